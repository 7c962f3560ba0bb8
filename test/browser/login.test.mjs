// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { startBOS } from './bosd.mjs';
import { accessible, launch, open } from './browser.mjs';

// issuer makes tokens, and the file with the key that they are checked with.
const issuer = (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const dir = mkdtempSync(join(tmpdir(), 'bos-keys-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'keys.json');
  writeFileSync(file, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'RS256' }] }));
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = (name, role, claims = {}) => {
    const text = encode({ alg: 'RS256', kid: 'k' }) + '.' + encode({
      iss: 'https://idp', aud: 'shasta', sub: name, exp: Math.floor(Date.now() / 1000) + 3600,
      resource_access: { shasta: { roles: [role] } }, preferred_username: name, ...claims,
    });
    return text + '.' + createSign('RSA-SHA256').update(text).sign(privateKey).toString('base64url');
  };
  return { file, token };
};

it('somebody logs in with a token, and out again', async (t) => {
  const idp = issuer(t);
  const bos = await startBOS(t, ['--simulate', '16', '--time-scale', '0.05', '--auth', 'jwt', '--auth-issuers', 'https://idp', '--auth-keys', idp.file]);
  const browser = await launch(t);
  const page = await open(t, browser, bos);
  page.expected.push('/ui/login', '/ui/t/green');
  await page.goto('/ui/sessions');
  assert.match(page.url(), /\/ui\/login\?to=sessions$/);
  await accessible(page, 'login');
  await page.getByLabel('Token').fill('nonsense');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').getByText('no JWT').waitFor();
  await accessible(page, 'a login that was refused');
  // A long one does not fit into one cookie.
  await page.getByLabel('Token').fill(idp.token('olga', 'admin', { padding: 'x'.repeat(6000) }));
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Sessions' }).waitFor();
  await page.getByText('olga').waitFor();
  assert.equal(await page.evaluate(() => document.cookie), '', 'scripts can read the token');
  await page.getByText('Live', { exact: true }).waitFor();
  await page.goto('/ui/');
  await page.locator('.map .legend button').first().waitFor();
  await accessible(page, 'the fleet, logged in');
  await page.getByLabel('Tenant').fill('blue');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.locator('[data-total]').getByText('8 nodes').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  await page.goto('/ui/');
  assert.match(page.url(), /login/);

  await page.getByLabel('Token').fill(idp.token('tina', 'tenant-admin', { groups: ['/blue-tenant-admin'] }));
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.locator('[data-total]').getByText('8 nodes').waitFor();
  assert.match(page.url(), /\/ui\/t\/blue\/$/);
  await page.getByLabel('Tenant').fill('green');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByRole('alert').getByText('does not name your tenant').waitFor();
});
