// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startBOS, until } from './bosd.mjs';
import { accessible, desktop, fits, launch, open, phone, shoot } from './browser.mjs';

// drawn counts the nodes that a map has drawn, by how the first dot of each looks:
// what is not drawn has none.
const drawn = (page) => page.evaluate(() => {
  const map = document.querySelector('[data-map]').nodeMap;
  const dots = map.ctx.getImageData(0, 0, map.canvas.width, map.canvas.height);
  let n = 0;
  for (let i = 0; i < map.ids.length; i++) {
    const x = Math.floor((map.at.xs[i] + map.at.cell / 2) * map.dots), y = Math.floor((map.at.ys[i] + map.at.cell / 2) * map.dots);
    if (dots.data[(y * dots.width + x) * 4 + 3] > 0) n++;
  }
  return n;
});

// pace is how long drawing all nodes takes, and the longest that the page was busy
// at once while its statuses changed, in ms. They are told, not judged: a machine
// has other things to do.
const pace = (page) => page.evaluate(async () => {
  const map = document.querySelector('[data-map]').nodeMap;
  const from = performance.now();
  map.draw();
  map.ctx.getImageData(0, 0, 1, 1);
  const whole = performance.now() - from;
  const names = ['stable', 'failed', 'power_on_called', 'configuring'];
  let busy = 0;
  for (let round = 0; round < 10; round++) {
    const codes = Array.from({ length: map.ids.length }, (_, i) => 'ABCD'[(i * 7 + round * (i % 3 === 0)) % 4]).join('');
    const at = performance.now();
    map.take({ layout: map.layout, statuses: names, codes });
    map.ctx.getImageData(0, 0, 1, 1);
    busy = Math.max(busy, performance.now() - at);
    await new Promise((done) => requestAnimationFrame(done));
  }
  map.refresh();
  return { whole: Math.round(whole), busy: Math.round(busy) };
});

it('a map of 10,000 nodes that boot', async (t) => {
  const bos = await startBOS(t, ['--simulate', '10000', '--time-scale', '0.1']);
  const browser = await launch(t);
  await bos.discovered(10000);
  await bos.putTemplate('compute');
  const page = await open(t, browser, bos);
  page.busy = true;
  await page.goto('/ui/');
  await page.locator('.map .legend button').first().waitFor();
  const { total } = await bos.api('GET', '/v2/fleet');
  assert.equal(await drawn(page), total);
  t.diagnostic(`${total} nodes: ${JSON.stringify(await pace(page))}`);

  await bos.api('POST', '/v2/sessions', { operation: 'boot', template_name: 'compute', name: 'all' });
  // The map follows: nodes are on their way, and in the end all are stable.
  await page.locator('.legend [data-status="power_on_called"]').waitFor({ timeout: 120000 });
  await until('a part of the nodes is under way', async () => Number((await page.locator('.legend [data-status="power_on_called"] b').textContent()).replace(/\D/g, '')) > 500);
  await shoot(page, 'fleet-10000');
  const other = await open(t, browser, bos);
  other.busy = true;
  await other.goto('/ui/sessions/all');
  await other.locator('.map .legend button').first().waitFor();
  await shoot(other, 'session-10000');
  await other.close();
  const small = await open(t, browser, bos, { ...phone, colorScheme: 'dark' });
  small.busy = true;
  await small.goto('/ui/');
  await small.locator('.map .legend button').first().waitFor();
  await shoot(small, 'fleet-10000-dark-phone');
  await fits(small, 'a map of 10,000 nodes on a phone');
  assert.equal(await drawn(small), total);
  await small.close();
  await until('all are stable again', async () => (await page.locator('.legend button').count()) === 1, 300);
  assert.equal(await page.locator('.legend b').textContent(), total.toLocaleString('en').replace(',', '\u202f'));
  await accessible(page, 'a map of 10,000 nodes');
});

it('a map of 100,000 nodes', async (t) => {
  const bos = await startBOS(t, ['--simulate', '8', '--time-scale', '0.1']);
  const browser = await launch(t);
  const page = await open(t, browser, bos, { ...desktop, colorScheme: 'dark' });
  const ids = [];
  for (let i = 0; i < 100000; i++) ids.push(`x${1000 + (i >> 8)}c${(i >> 5) % 8}s${(i >> 2) % 8}b${(i >> 1) % 2}n${i % 2}`);
  ids.sort();
  await page.route('**/ui/fleet.json*', (route) => route.fulfill({
    json: { total: ids.length, layout: 'a', ids, statuses: ['stable', 'failed'], codes: ids.map((_, i) => (i % 997 ? 'A' : 'B')).join('') },
  }));
  await page.goto('/ui/');
  await page.locator('.legend [data-status="failed"]').waitFor({ timeout: 60000 });
  assert.equal(await drawn(page), ids.length);
  t.diagnostic(`100000 nodes: ${JSON.stringify(await pace(page))}`);
  // A single node is found by pointer and by key.
  await page.locator('canvas[role="application"]').focus();
  await page.keyboard.press('f');
  await page.locator('[data-said]').getByText(': failed').waitFor({ state: 'attached' });
  await page.locator('.legend [data-status="failed"]').click();
  await shoot(page, 'fleet-100000-dark');
});
