// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { call, startBOS, startSite, until } from './bosd.mjs';
import { accessible, desktop, fits, launch, open, phone, shoot } from './browser.mjs';

const nodes = 64;

// hooks lets what was started for all tests of a suite be ended after them.
const hooks = () => {
  const ends = [];
  return { after: (end) => ends.unshift(end), end: async () => { for (const end of ends) await end(); } };
};

describe('the dashboard of a site of 64 nodes', () => {
  const suite = hooks();
  let bos, site, browser, silent;
  before(async () => {
    site = await startSite(suite, nodes, 0.05);
    bos = await startBOS(suite, [], site.env, site.listen);
    browser = await launch(suite);
    await bos.discovered(nodes);
    // A node that never reports is given up soon.
    await bos.api('PATCH', '/v2/options', { max_boot_wait_time: 15, default_retry_policy: 1, polling_frequency: 5 });
    await bos.putTemplate('compute', site.image);
    await bos.putTemplate('broken', 's3://boot-images/none/manifest.json');
    silent = (await bos.api('GET', '/v2/fleet')).ids[5];
    await call('POST', `${site.control}/nodes/${silent}/fault`, { kind: 'never_reports' });
  });
  after(() => suite.end());

  it('boots all from the form, and finds the node whose reporter never reports', async (t) => {
    const page = await open(t, browser, bos);
    await page.goto('/ui/');
    await page.getByRole('link', { name: 'Templates' }).click();
    await page.getByText('✓ Valid').waitFor();
    await page.getByText('Session template: \'broken\'').waitFor();
    await accessible(page, 'templates');
    await shoot(page, 'templates-64');
    await page.getByRole('link', { name: 'compute' }).click();
    await page.getByLabel('Name').fill('monday');
    await accessible(page, 'template');
    await page.getByRole('button', { name: 'Show the plan' }).click();
    await page.getByRole('heading', { name: 'Plan: boot 64 nodes' }).waitFor();
    await accessible(page, 'plan');
    await shoot(page, 'plan-64');
    assert.deepEqual(await bos.api('GET', '/v2/sessions'), [], 'the plan made a session');

    await page.getByRole('button', { name: 'Boot 64 nodes in 1 cabinet' }).click();
    await page.getByRole('heading', { name: 'monday' }).waitFor();
    assert.match(page.url(), /\/ui\/sessions\/monday$/);
    // Progress comes by itself.
    const done = page.locator('.progress .said').first();
    await page.locator('.map .legend button').first().waitFor();
    await done.getByText(/^63 of 64/).waitFor({ timeout: 120000 });
    // The one that is late is named, and its page says whose turn it is.
    const late = page.getByRole('link', { name: silent }).first();
    await late.waitFor();
    await shoot(page, 'session-64');
    await late.click();
    await page.getByRole('heading', { name: silent }).waitFor();
    await page.locator('.summary').getByText(/report/).waitFor();
    await accessible(page, 'node');
    await shoot(page, 'node-64');
    // Its page changes by itself when BOS gives up.
    await page.locator('h1 + .lead').getByText('failed').waitFor({ timeout: 120000 });
    await page.goBack();
    await page.locator('h1 + .lead').getByText('partial').waitFor();
    await page.locator('.failures').getByText('1 node').waitFor();
    await accessible(page, 'session');
    await shoot(page, 'session-over-64');
    await page.getByRole('link', { name: 'Sessions' }).first().click();
    await page.getByRole('row', { name: /monday/ }).getByText('partial').waitFor();
    await accessible(page, 'sessions');
  });

  it('is used with the keyboard alone', async (t) => {
    const page = await open(t, browser, bos);
    const focused = () => page.evaluate(() => {
      const e = document.activeElement;
      return e.id || e.getAttribute('aria-roledescription') || e.textContent.trim();
    });
    const tabTo = async (what) => {
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        if ((await focused()).startsWith(what)) {
          const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
          assert.equal(outline, 'solid', `the focus on ${what} can be seen`);
          return;
        }
      }
      assert.fail(`${what} is not reached by Tab; the focus is on ${await focused()}`);
    };
    await page.goto('/ui/');
    await page.locator('.map .legend button').first().waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to the content');
    await page.keyboard.press('Enter');
    await tabTo('map of nodes');
    const said = page.locator('[data-said]');
    await said.getByText('x1000c0s0b0n0: stable').waitFor({ state: 'attached' });
    for (const [key, text] of [
      ['ArrowRight', 'x1000c0s1b0n0'], ['ArrowDown', 'x1000c0s1b0n1'], ['ArrowLeft', 'x1000c0s0b0n1'], ['ArrowUp', 'x1000c0s0b0n0'],
      ['End', ''], ['Home', 'x1000c0s0b0n0'], ['f', silent + ': failed'],
    ]) {
      await page.keyboard.press(key);
      await said.getByText(text).waitFor({ state: 'attached' });
    }
    await shoot(page, 'fleet-64');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: silent }).waitFor();

    // A session of its own: chosen, planned, begun, cancelled. Its end is not near:
    // the silent node is waited for.
    await bos.api('PATCH', '/v2/options', { max_boot_wait_time: 3600 });
    await page.goto('/ui/templates/compute');
    await tabTo('limit');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('ArrowDown');
    assert.ok(await page.getByLabel('Reboot').isChecked());
    await tabTo('limit');
    await page.keyboard.type('x1000c0s0b0n0,' + silent);
    await tabTo('Show the plan');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Plan: reboot 2 nodes' }).waitFor();
    await tabTo('Reboot 2 nodes in 1 cabinet');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /^reboot-/ }).waitFor();
    await tabTo('pause');
    await page.keyboard.press('Enter');
    await page.locator('h1 + .lead').getByText('paused').waitFor();
    await tabTo('resume');
    await page.keyboard.press('Enter');
    await page.locator('h1 + .lead').getByText(/running|pending/).waitFor();
    await tabTo('cancel');
    await page.keyboard.press('Enter');
    await tabTo('cancel-now');
    await page.keyboard.press('Enter');
    await page.locator('h1 + .lead').getByText('cancelled').waitFor();
    await page.getByText('Cancel the session').waitFor({ state: 'detached' });
  });

  it('tells what went wrong with a form, where the reader is', async (t) => {
    const page = await open(t, browser, bos);
    page.expected.push('/plan');
    await page.goto('/ui/templates/broken');
    await page.getByRole('button', { name: 'Show the plan' }).click();
    await page.getByRole('alert').getByText('Session template fails check').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'wrong');
    await accessible(page, 'a form that was refused');
    page.expected.push('/ui/?missing');
    await page.goto('/ui/');
    await page.getByLabel('Go to a node').fill('x9c0s0b0n0');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('There is no node x9c0s0b0n0.').waitFor();
    await page.getByLabel('Go to a node').fill(silent);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: silent }).waitFor();
  });

  it('announces progress to those who listen, now and then', async (t) => {
    const page = await open(t, browser, bos);
    await bos.api('POST', '/v2/sessions', { operation: 'shutdown', template_name: 'compute', name: 'evening', limit: 'x1000c0s3b0n0' });
    await page.goto('/ui/sessions/evening');
    await page.locator('#announcer').getByText(/evening succeeded: 1 of 1 node succeeded/).waitFor({ state: 'attached', timeout: 60000 });
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const [kind, size] of [['desktop', desktop], ['phone', phone]]) {
      it(`fits and can be read by everybody: ${colorScheme}, ${kind}`, async (t) => {
        const page = await open(t, browser, bos, { ...size, colorScheme });
        for (const path of ['/ui/', '/ui/sessions', '/ui/sessions/monday', '/ui/templates', '/ui/templates/compute', '/ui/nodes/' + silent]) {
          await page.goto(path);
          if (path === '/ui/' || path.includes('monday')) await page.locator('.map .legend button').first().waitFor();
          await accessible(page, `${path}, ${colorScheme}, ${kind}`);
          await fits(page, `${path}, ${kind}`);
          const name = { '/ui/': 'fleet', '/ui/sessions/monday': 'session', '/ui/sessions': 'sessions' }[path] || (path.includes('nodes') && 'node');
          if (name) await shoot(page, `${name}-64-${colorScheme}-${kind}`);
        }
      });
    }
  }

  it('works behind a gateway that changes the path', async (t) => {
    const page = await open(t, browser, bos);
    await page.goto('/apis/bos/ui/');
    await page.locator('.map .legend button').first().waitFor();
    await page.getByRole('link', { name: 'Sessions' }).click();
    await page.getByRole('link', { name: 'monday' }).click();
    await page.getByRole('heading', { name: 'monday' }).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    assert.match(page.url(), /\/apis\/bos\/ui\/sessions\/monday$/);
  });

  it('says the same without scripts', async (t) => {
    const page = await open(t, browser, bos, { ...desktop, javaScriptEnabled: false });
    await page.goto('/ui/');
    await page.getByText('By cabinet').click();
    await page.getByRole('row', { name: /x1000/ }).waitFor();
    await page.goto('/ui/sessions/monday');
    await page.getByText('63 of 64').waitFor();
  });

  it('goes on asking where the stream of events is held back', async (t) => {
    const page = await open(t, browser, bos);
    page.expected.push('/ui/events');
    await page.route('**/ui/events*', (route) => route.fulfill({ status: 429, body: '' }));
    await page.goto('/ui/');
    await page.getByText('Asks every 3 seconds').waitFor();
    const before = await page.locator('[data-total]').textContent();
    await bos.api('PUT', '/v2/components', [{ id: 'x9000c0s0b0n0' }]);
    await until('the new node is counted', async () => (await page.locator('[data-total]').textContent()) !== before, 30);
    await bos.api('DELETE', '/v2/components/x9000c0s0b0n0');
  });
});
