// SPDX-License-Identifier: MIT
//
// Starts real servers for the tests, and ends them.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = process.env.BOSD;
if (!program) throw new Error('BOSD must name the program bosd; make browser-test does so');

// run starts bosd and waits until its output matches; it is ended with t.
const run = (t, args, env, ready) => new Promise((resolve, reject) => {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const take = (chunk) => {
    text += chunk;
    const found = ready.exec(text);
    if (found) resolve({ text: () => text, found });
    else if (text.length > 1 << 22) text = '';
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  child.on('error', reject);
  const over = new Promise((done) => child.on('exit', (code) => {
    reject(new Error(`bosd ${args.join(' ')} ended with ${code}: ${text.slice(-2000)}`));
    done();
  }));
  t.after(async () => { child.kill('SIGTERM'); await over; });
});

const folder = (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'bos-browser-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};

const call = async (method, url, body) => {
  const answer = await fetch(url, { method, body: body && JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
};

// until asks again and again whether something holds, and returns what it then is.
export const until = async (what, holds, seconds = 120) => {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((done) => setTimeout(done, 50));
  }
};

// freePort finds a port that nobody uses.
const freePort = () => new Promise((resolve, reject) => {
  const server = createServer().on('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

// startSite starts a simulated site as a process of its own, so that single nodes
// can be broken. They report to the address listen, where a BOS is started next.
export const startSite = async (t, nodes, timeScale) => {
  const listen = '127.0.0.1:' + await freePort();
  const site = await run(t, ['simulate', '--nodes', String(nodes), '--time-scale', String(timeScale), '--site-listen', '127.0.0.1:0',
    '--report-url', `http://${listen}/apis/bos`], {}, /look at it and break it: (\S+)\/sim\/state[\s\S]*# image [^\n]*\n/);
  const env = Object.fromEntries([...site.text().matchAll(/\b((?:BOS|S3)_\w+)=(\S+)/g)].map((m) => [m[1], m[2]]));
  return { listen, control: site.found[1] + '/sim', env, image: /# image \S+ \(\S+\): (\S+)/.exec(site.text())[1] };
};

// startBOS starts a BOS. With a number of nodes it brings a simulated site of its
// own.
export const startBOS = async (t, args, env = {}, listen = '127.0.0.1:0') => {
  const bos = await run(t, ['serve', '--listen', listen, '--data-dir', folder(t), ...args], env, /dashboard=(\S+?)\/apis\/bos\/ui\//);
  return new BOS(bos.found[1], /simulated image".*? path=(\S+)/.exec(bos.text())?.[1]);
};

export class BOS {
  constructor(url, image) {
    this.url = url;
    this.image = image;
  }

  api(method, path, body) { return call(method, this.url + path, body); }

  // discovered waits until so many nodes are known.
  discovered(nodes) {
    return until(`${nodes} nodes known`, async () => (await this.api('GET', '/v2/fleet')).total >= nodes);
  }

  putTemplate(name, image = this.image, more = {}) {
    return this.api('PUT', '/v2/sessiontemplates/' + name, {
      description: 'All compute nodes', cfs: { configuration: 'compute-25.11' },
      boot_sets: { compute: { path: image, type: 's3', node_roles_groups: ['Compute'], rootfs_provider: 'sbps' } }, ...more,
    });
  }
}

export { call };
