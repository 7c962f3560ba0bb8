// SPDX-License-Identifier: MIT
//
// Draws the nodes by cabinet, chassis and slot. Where each is drawn is computed
// once for a list of nodes; afterwards only those are drawn again whose status
// changed.
'use strict';
(() => {
  const codes = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  // Each status has a colour and a shape of its own: nothing is told by colour alone.
  const looks = {
    failed: ['failed', 'cross'], on_hold: ['on-hold', 'bars'],
    power_off_pending: ['off-pending', 'down', true], power_off_gracefully_called: ['off-called', 'down'],
    power_off_forcefully_called: ['off-called', 'down2'], power_on_pending: ['on-pending', 'up', true],
    power_on_called: ['on-called', 'up'], configuring: ['configuring', 'diamond'], stable: ['stable', ''],
  };
  const order = Object.keys(looks);
  const sizes = [24, 20, 16, 12, 10, 8, 7, 6, 5, 4, 3];
  const perLine = 16; // slots of a chassis side by side
  const manyNodes = 20000, seldom = 2000; // of so many nodes, ask at most so often (ms)
  const soon = 1000; // when to ask again if the service could not answer (ms)
  const label = (status) => status.replaceAll('_', ' ');
  const count = (n) => n.toLocaleString('en').replaceAll(',', '\u202f');
  const plural = (n, one, many) => (n === 1 ? '1 ' + one : count(n) + ' ' + many);
  const sorted = (map) => [...map.keys()].sort((a, b) => a - b);

  // paint draws the shape of a status into a square.
  const paint = (ctx, status, size, css) => {
    const [colour, shape, dark] = looks[status] || ['other', 'dot', true];
    ctx.fillStyle = css.getPropertyValue('--' + colour);
    ctx.fillRect(0, 0, size, size);
    if (size < 8) return;
    ctx.strokeStyle = ctx.fillStyle = css.getPropertyValue(dark ? '--glyph-dark' : '--glyph');
    ctx.lineWidth = Math.max(1.25, size / 9);
    const a = size * 0.27, b = size * 0.73, m = size / 2;
    const line = (...points) => {
      ctx.beginPath();
      for (let i = 0; i < points.length; i += 2) ctx.lineTo(points[i], points[i + 1]);
    };
    switch (shape) {
      case 'cross': line(a, a, b, b); ctx.stroke(); line(a, b, b, a); ctx.stroke(); break;
      case 'bars': line(a + size * 0.08, a, a + size * 0.08, b); ctx.stroke(); line(b - size * 0.08, a, b - size * 0.08, b); ctx.stroke(); break;
      case 'up': line(a, b, m, a, b, b, a, b); dark ? ctx.stroke() : ctx.fill(); break;
      case 'down': line(a, a, m, b, b, a, a, a); dark ? ctx.stroke() : ctx.fill(); break;
      case 'down2': line(a, a, m, b, b, a, a, a); ctx.fill(); line(a, b, b, b); ctx.stroke(); break;
      case 'diamond': line(m, a, b, m, m, b, a, m, m, a); ctx.fill(); break;
      case 'dot': ctx.beginPath(); ctx.arc(m, m, size / 7, 0, 7); ctx.fill(); break;
    }
  };

  // arrange sorts nodes into cabinets, chassis and slots; what is no xname is put
  // together.
  const arrange = (ids) => {
    const cabinets = new Map(), others = [];
    const into = (map, key, make) => {
      let v = map.get(key);
      if (v === undefined) map.set(key, v = make());
      return v;
    };
    ids.forEach((id, i) => {
      const at = /^x(\d+)c(\d+)s(\d+)b(\d+)n(\d+)$/.exec(id);
      if (!at) { others.push(i); return; }
      const chassis = into(into(cabinets, +at[1], () => new Map()), +at[2], () => new Map());
      into(chassis, +at[3], () => []).push([+at[4] * 1e6 + +at[5], i]);
    });
    const out = sorted(cabinets).map((name) => ({
      name: 'x' + name,
      chassis: sorted(cabinets.get(name)).map((c) => {
        // A node is in the same row as those of the same place in other slots.
        const slots = cabinets.get(name).get(c);
        const places = [...new Set([...slots.values()].flatMap((slot) => slot.map((n) => n[0])))].sort((a, b) => a - b);
        const row = new Map(places.map((at, i) => [at, i]));
        return { name: 'c' + c, slots: sorted(slots).map((s) => slots.get(s).sort((a, b) => a[0] - b[0]).map(([at, i]) => [i, row.get(at)])) };
      }),
    }));
    if (others.length) out.push({ name: 'other names', chassis: [{ name: '', slots: others.map((i) => [[i, 0]]) }] });
    for (const cabinet of out) cabinet.nodes = cabinet.chassis.flatMap((c) => c.slots.flat().map(([i]) => i));
    return out;
  };

  // place computes where each node is drawn in a width.
  const place = (cabinets, total, cell, width) => {
    const pitch = cell + (cell > 6 ? 2 : 1), head = 17, gapX = Math.max(12, cell), gapY = 12;
    const xs = new Int32Array(total), ys = new Int32Array(total), labels = [];
    let x = 0, y = 0, deep = 0;
    for (const cabinet of cabinets) {
      const side = cabinet.chassis.length > 1 && cell >= 8 ? 20 : 0;
      const fit = Math.max(4, Math.floor((width - side) / pitch));
      const columns = Math.min(perLine, fit, Math.max(...cabinet.chassis.map((c) => c.slots.length)));
      const wide = Math.max(side + columns * pitch, cabinet.name.length * 7.5);
      if (x > 0 && x + wide > width) { x = 0; y += deep + gapY; deep = 0; }
      labels.push([cabinet.name, x, y + 11, true]);
      let at = y + head;
      for (const chassis of cabinet.chassis) {
        if (side) labels.push([chassis.name, x, at + cell - 1, false]);
        for (let from = 0; from < chassis.slots.length; from += columns) {
          const line = chassis.slots.slice(from, from + columns);
          let tall = 0;
          line.forEach((slot, column) => {
            for (const [node, row] of slot) {
              xs[node] = x + side + column * pitch;
              ys[node] = at + row * pitch;
              tall = Math.max(tall, row + 1);
            }
          });
          at += tall * pitch;
        }
        at += cell > 6 ? 4 : 2;
      }
      deep = Math.max(deep, at - y);
      x += wide + gapX;
    }
    return { cell, pitch, xs, ys, labels, height: Math.max(1, Math.ceil(y + deep)) };
  };

  class NodeMap {
    constructor(root) {
      this.root = root;
      this.url = root.dataset.map;
      this.base = this.url.replace(/[^/]*$/, '');
      this.sheet = root.querySelector('.sheet');
      this.canvas = root.querySelector('.sheet canvas');
      this.legend = root.querySelector('.legend');
      this.tip = root.querySelector('.tip');
      this.said = root.querySelector('[data-said]');
      this.ctx = this.canvas.getContext('2d', { willReadFrequently: true });
      this.names = []; // statuses that were seen, by number
      this.state = new Uint8Array(0); // the status of each node
      this.ids = [];
      this.cursor = -1;
      this.only = ''; // the one status that is not dimmed
      this.zoom = 0; // steps from the size that fits
      this.asking = this.again = false;
      this.listen();
      this.refresh();
    }

    listen() {
      document.addEventListener('bos-changed', () => this.refresh());
      new ResizeObserver(() => { if (this.width() !== this.drawnWidth) this.layOut(); }).observe(this.sheet);
      matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
      this.canvas.addEventListener('pointermove', (e) => this.hover(this.hit(e.offsetX, e.offsetY)));
      this.canvas.addEventListener('pointerleave', () => this.hover(-1));
      this.canvas.addEventListener('click', (e) => this.open(this.hit(e.offsetX, e.offsetY)));
      this.canvas.addEventListener('keydown', (e) => this.key(e));
      this.canvas.addEventListener('focus', () => { if (this.canvas.matches(':focus-visible')) this.go(Math.max(0, this.cursor)); });
      this.canvas.addEventListener('blur', () => this.hover(-1));
      for (const button of this.root.querySelectorAll('[data-zoom]')) {
        button.addEventListener('click', () => { this.zoom += button.dataset.zoom === 'in' ? -1 : 1; this.layOut(); });
      }
    }

    async refresh() {
      if (this.asking) { this.again = true; return; }
      this.asking = true;
      try {
        const url = this.layout ? this.url + (this.url.includes('?') ? '&' : '?') + 'layout=' + this.layout : this.url;
        const answer = await fetch(url, { headers: { Accept: 'application/json' }, cache: 'no-cache' });
        if (answer.status === 401) location.reload();
        if (answer.ok) this.take(await answer.json());
        else setTimeout(() => this.refresh(), soon);
      } catch (fault) {
        // An answer that got lost is asked for again at the next change.
        if (!(fault instanceof TypeError)) console.error(fault);
      }
      if (this.ids.length > manyNodes) await new Promise((done) => setTimeout(done, seldom));
      this.asking = false;
      if (this.again) { this.again = false; this.refresh(); }
    }

    // take shows what the service answered.
    take(fleet) {
      const numbers = new Uint8Array(256);
      fleet.statuses.forEach((name, i) => {
        if (!this.names.includes(name)) this.names.push(name);
        numbers[codes.charCodeAt(i)] = this.names.indexOf(name);
      });
      const before = this.state, state = new Uint8Array(fleet.codes.length);
      for (let i = 0; i < state.length; i++) state[i] = numbers[fleet.codes.charCodeAt(i)];
      this.state = state;
      if (fleet.layout !== this.layout) {
        this.layout = fleet.layout;
        this.ids = fleet.ids || [];
        this.cabinets = arrange(this.ids);
        this.rows = null;
        this.layOut();
      } else {
        this.redraw((i) => state[i] !== before[i]);
      }
      this.tell();
    }

    width() { return Math.max(120, this.sheet.clientWidth - 24); }

    layOut() {
      if (!this.cabinets) return;
      const width = this.drawnWidth = this.width();
      const room = Math.max(420, innerHeight * 0.8);
      let fit = sizes.findIndex((cell) => place(this.cabinets, this.ids.length, cell, width).height <= room);
      if (fit < 0) fit = sizes.length - 1;
      this.zoom = Math.min(sizes.length - 1 - fit, Math.max(-fit, this.zoom));
      this.at = place(this.cabinets, this.ids.length, sizes[fit + this.zoom], width);
      for (const button of this.root.querySelectorAll('[data-zoom]')) {
        button.disabled = fit + this.zoom === (button.dataset.zoom === 'in' ? 0 : sizes.length - 1);
      }
      // Which nodes are near a point.
      this.near = new Map();
      for (let i = 0; i < this.ids.length; i++) {
        const key = this.bucket(this.at.xs[i], this.at.ys[i]);
        const there = this.near.get(key);
        if (there) there.push(i); else this.near.set(key, [i]);
      }
      this.draw();
    }

    bucket(x, y) { return (y >> 5) * 4096 + (x >> 5); }

    draw() {
      if (!this.at) return;
      const { labels, height } = this.at, width = this.drawnWidth;
      // Canvases have a largest size.
      const dots = Math.min(devicePixelRatio || 1, 16000 / Math.max(width, height));
      this.canvas.width = width * dots;
      this.canvas.height = height * dots;
      this.canvas.style.width = width + 'px';
      this.canvas.style.height = height + 'px';
      this.ctx.setTransform(dots, 0, 0, dots, 0, 0);
      const css = getComputedStyle(document.documentElement);
      this.sprites = [];
      this.dots = dots;
      for (const [text, x, y, strong] of labels) {
        this.ctx.fillStyle = css.getPropertyValue(strong ? '--ink' : '--soft');
        this.ctx.font = strong ? '600 12px system-ui, sans-serif' : '10px system-ui, sans-serif';
        this.ctx.fillText(text, x, y);
      }
      // Nodes are drawn into memory, which is much quicker than to have the canvas
      // draw each; the names are a part of it.
      this.image = this.ctx.getImageData(0, 0, this.canvas.width, this.canvas.height);
      this.dotsOf = new Uint32Array(this.image.data.buffer);
      this.redraw(() => true);
      if (this.cursor >= 0 && document.activeElement === this.canvas) this.hover(this.cursor);
    }

    sprite(name, cell, dots, css, alpha = 1) {
      const image = document.createElement('canvas');
      image.width = image.height = Math.max(1, Math.round(cell * dots));
      const ctx = image.getContext('2d');
      ctx.scale(image.width / cell, image.width / cell);
      ctx.globalAlpha = alpha;
      paint(ctx, name, cell, css);
      return image;
    }

    // dotted returns the dots of a status as the map shows it now.
    dotted(status) {
      const name = this.names[status], dim = this.only !== '' && this.only !== name;
      if (!this.sprites[status]) {
        const css = getComputedStyle(document.documentElement);
        const image = this.sprite(name, this.at.cell, this.dots, css, dim ? 0.15 : 1);
        this.sprites[status] = new Uint32Array(image.getContext('2d').getImageData(0, 0, image.width, image.height).data.buffer);
      }
      return this.sprites[status];
    }

    // redraw draws the nodes for which changed says so.
    redraw(changed) {
      if (!this.image) return;
      const { xs, ys, cell } = this.at, { width, height } = this.image, side = Math.max(1, Math.round(cell * this.dots));
      let left = width, top = height, right = 0, bottom = 0;
      for (let i = 0; i < this.state.length; i++) {
        if (!changed(i)) continue;
        const dots = this.dotted(this.state[i]), x = Math.round(xs[i] * this.dots), y = Math.round(ys[i] * this.dots);
        for (let row = 0; row < side && y + row < height; row++) {
          this.dotsOf.set(dots.subarray(row * side, (row + 1) * side), (y + row) * width + x);
        }
        left = Math.min(left, x); top = Math.min(top, y);
        right = Math.max(right, x + side); bottom = Math.max(bottom, y + side);
      }
      if (right > left) this.ctx.putImageData(this.image, 0, 0, left, top, right - left, bottom - top);
    }

    // tell writes down how many nodes are how.
    tell() {
      const counts = new Uint32Array(this.names.length), total = {};
      for (let i = 0; i < this.state.length; i++) counts[this.state[i]]++;
      counts.forEach((n, i) => { if (n) total[this.names[i]] = n; });
      const rank = (s) => (order.includes(s) ? order.indexOf(s) : order.length);
      const names = Object.keys(total).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
      if (this.only && !names.includes(this.only)) names.push(this.only);
      const have = [...this.legend.children].map((b) => b.dataset.status);
      if (have.join() !== names.join()) this.relegend(names);
      for (const b of this.legend.children) b.querySelector('b').textContent = count(total[b.dataset.status] || 0);
      const say = names.map((s) => count(total[s] || 0) + ' ' + label(s)).join(', ');
      this.canvas.setAttribute('aria-label', 'Map of ' + plural(this.ids.length, 'node', 'nodes') + ': ' + say);
      this.tabulate();
    }

    relegend(names) {
      const focus = document.activeElement?.dataset?.status;
      const css = getComputedStyle(document.documentElement);
      this.legend.replaceChildren(...names.map((name) => {
        const button = document.createElement('button');
        button.type = 'button';
        button.dataset.status = name;
        button.setAttribute('aria-pressed', String(this.only === name));
        const swatch = this.sprite(name, 16, devicePixelRatio || 1, css), n = document.createElement('b');
        swatch.setAttribute('aria-hidden', 'true');
        button.append(swatch, label(name) + ' ', n);
        button.addEventListener('click', () => {
          this.only = this.only === name ? '' : name;
          for (const b of this.legend.children) b.setAttribute('aria-pressed', String(b.dataset.status === this.only));
          this.draw();
        });
        return button;
      }));
      if (focus) this.legend.querySelector(`[data-status="${CSS.escape(focus)}"]`)?.focus();
    }

    // tabulate brings the table of cabinets up to date, if the page has one.
    tabulate() {
      const body = document.querySelector('[data-cabinets]');
      const all = document.querySelector('[data-total]');
      if (all) all.textContent = plural(this.ids.length, 'node', 'nodes');
      if (!body || !this.cabinets) return;
      if (!this.rows) {
        this.rows = this.cabinets.map((cabinet) => {
          const row = document.createElement('tr'), head = document.createElement('th');
          head.scope = 'row';
          head.textContent = cabinet.name;
          row.append(head, ...Array.from({ length: 5 }, () => document.createElement('td')));
          return row;
        });
        body.replaceChildren(...this.rows);
      }
      const [stable, onHold, failed] = ['stable', 'on_hold', 'failed'].map((name) => this.names.indexOf(name));
      this.cabinets.forEach(({ nodes }, at) => {
        const counts = new Uint32Array(this.names.length);
        for (const i of nodes) counts[this.state[i]]++;
        const n = (status) => (status < 0 ? 0 : counts[status]), row = this.rows[at];
        const under = nodes.length - n(stable) - n(onHold) - n(failed);
        [nodes.length, n(stable), under, n(onHold), n(failed)].forEach((value, i) => {
          const cell = row.cells[i + 1], text = count(value);
          if (cell.textContent !== text) cell.textContent = text;
        });
        row.cells[5].classList.toggle('bad', n(failed) > 0);
      });
    }

    hit(x, y) {
      const { pitch, xs, ys } = this.at || { pitch: 0 };
      for (let by = y - 32; by <= y; by += 32) {
        for (let bx = x - 32; bx <= x; bx += 32) {
          for (const i of this.near?.get(this.bucket(bx, by)) || []) {
            if (x >= xs[i] && x < xs[i] + pitch && y >= ys[i] && y < ys[i] + pitch) return i;
          }
        }
      }
      return -1;
    }

    describe(i) { return this.ids[i] + ': ' + label(this.names[this.state[i]]); }

    // hover shows which node is meant.
    hover(i) {
      this.tip.hidden = i < 0;
      if (i < 0) { this.ring?.remove(); return; }
      const { cell, xs, ys } = this.at;
      this.tip.textContent = this.describe(i);
      const left = Math.min(xs[i] + 12, this.sheet.clientWidth - this.tip.offsetWidth - 4);
      this.tip.style.left = Math.max(0, left) + 'px';
      this.tip.style.top = ys[i] + cell + 18 + 'px';
      this.ring ||= Object.assign(document.createElement('div'), { className: 'ring' });
      this.ring.style.left = xs[i] + 12 - 3 + 'px';
      this.ring.style.top = ys[i] + 12 - 3 + 'px';
      this.ring.style.width = this.ring.style.height = cell + 6 + 'px';
      this.sheet.append(this.ring);
    }

    go(i) {
      if (i < 0 || i >= this.ids.length) return;
      this.cursor = i;
      this.hover(i);
      this.said.textContent = this.describe(i);
      this.ring.scrollIntoView({ block: 'nearest' });
    }

    open(i) { if (i >= 0) location.href = this.base + 'nodes/' + encodeURIComponent(this.ids[i]); }

    // beside finds the next node in a direction.
    beside(dx, dy) {
      const { cell, pitch, xs, ys, height } = this.at, step = Math.max(2, cell >> 1);
      let x = xs[this.cursor] + cell / 2, y = ys[this.cursor] + cell / 2;
      for (x += dx * pitch, y += dy * pitch; x >= 0 && y >= 0 && x < this.drawnWidth && y < height; x += dx * step, y += dy * step) {
        const i = this.hit(x, y);
        if (i >= 0 && i !== this.cursor) return i;
      }
      return this.cursor;
    }

    key(e) {
      if (e.ctrlKey || e.metaKey || e.altKey || this.cursor < 0) return;
      const all = this.cabinets.flatMap((c) => c.nodes);
      const here = this.cabinets.findIndex((c) => c.nodes.includes(this.cursor));
      const failed = () => {
        const from = all.indexOf(this.cursor);
        for (let n = 1; n <= all.length; n++) {
          const i = all[(from + n) % all.length];
          if (this.names[this.state[i]] === 'failed') return i;
        }
        this.said.textContent = 'No node has failed';
        return this.cursor;
      };
      const moves = {
        ArrowLeft: () => this.beside(-1, 0), ArrowRight: () => this.beside(1, 0),
        ArrowUp: () => this.beside(0, -1), ArrowDown: () => this.beside(0, 1),
        Home: () => all[0], End: () => all[all.length - 1],
        PageUp: () => this.cabinets[Math.max(0, here - 1)].nodes[0],
        PageDown: () => this.cabinets[Math.min(this.cabinets.length - 1, here + 1)].nodes[0],
        f: failed, F: failed,
      };
      if (e.key === 'Enter' || e.key === ' ') this.open(this.cursor);
      else if (moves[e.key]) this.go(moves[e.key]());
      else return;
      e.preventDefault();
    }
  }

  for (const root of document.querySelectorAll('[data-map]')) root.nodeMap = new NodeMap(root);
})();
