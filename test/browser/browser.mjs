// SPDX-License-Identifier: MIT
//
// A browser that watches over what pages do: no error, nothing from elsewhere.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const executable = () => {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const dir of (process.env.PATH || '').split(delimiter)) {
      if (existsSync(join(dir, name))) return join(dir, name);
    }
  }
  throw new Error('there is no chromium; make browser-test installs it');
};

export const desktop = { viewport: { width: 1280, height: 860 } };
export const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

export const launch = async (t) => {
  const browser = await chromium.launch({ executablePath: executable(), args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  t.after(() => browser.close());
  return browser;
};

// open makes a page of its own context. After the test it must have met no error
// and asked nobody else for anything. What answers are expected to be refused is
// in page.expected, as parts of addresses; with page.busy the service may be too busy
// now and then.
export const open = async (t, browser, bos, options = desktop) => {
  const context = await browser.newContext({ baseURL: bos.url, colorScheme: 'light', ...options });
  // A machine that tests may be busy with many things.
  context.setDefaultTimeout(60000);
  const page = await context.newPage();
  const faults = [];
  page.expected = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (m) => {
    const at = m.location().url;
    if (m.type() === 'error' && !page.expected.some((part) => at.includes(part)) && !(page.busy && m.text().includes('status of 503'))) faults.push(`${m.text()} (${at})`);
  });
  page.on('request', (r) => {
    if (!r.url().startsWith(bos.url + '/')) faults.push('asked ' + r.url());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });
  return page;
};

// accessible checks a page with axe: the rules of WCAG 2.2 A and AA, and best
// practices. Axe is run outside of the page's own policy.
export const accessible = async (page, what) => {
  const session = await page.context().newCDPSession(page);
  await session.send('Page.enable');
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  await session.send('Runtime.evaluate', { expression: axe, contextId: executionContextId });
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      .then((r) => JSON.stringify({ passes: r.passes.length, violations: r.violations.map((v) => v.id + ': ' + v.help + ' at ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' ' + (n.any[0]?.message || '')).join(' | ')) }))`,
    contextId: executionContextId, awaitPromise: true, returnByValue: true,
  });
  assert.equal(exceptionDetails, undefined, what);
  const { passes, violations } = JSON.parse(result.value);
  assert.deepEqual(violations, [], what);
  assert.ok(passes > 10, `${what}: only ${passes} rules applied`);
  await session.detach();
};

// fits checks that a page is not wider than the window.
export const fits = async (page, what) => {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= room, `${what}: ${wide} px wide in a window of ${room}`);
};

const shots = process.env.SCREENSHOTS;

// shoot keeps a picture of a page where SCREENSHOTS says.
export const shoot = async (page, name) => {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, name + '.png') });
};
