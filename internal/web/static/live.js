// SPDX-License-Identifier: MIT
//
// Keeps a page up to date. The service tells of changes in a stream of events;
// each part of the page that may have changed is then read again. Without a stream
// (there are too many, or a proxy holds them back) the page asks from time to time.
'use strict';
(() => {
  const source = document.body.dataset.events;
  const sign = document.getElementById('live');
  const announcer = document.getElementById('announcer');
  const restful = 1000; // ms between two refreshes, at least
  const patience = 15000; // ms between two announcements that are not urgent
  const pollEvery = 3000;
  let stream = null, polling = 0, due = 0, last = 0, failures = 0, reopening = 0;

  const show = (state, text) => {
    if (sign && sign.dataset.state !== state) {
      sign.dataset.state = state;
      sign.textContent = text;
    }
  };

  const changed = () => {
    if (due || document.hidden) return;
    due = setTimeout(() => {
      due = 0;
      last = performance.now();
      htmx.trigger(document.body, 'bos:changed');
      document.dispatchEvent(new CustomEvent('bos-changed'));
    }, Math.max(0, restful - (performance.now() - last)));
  };

  const poll = (on) => {
    if (on && !polling) {
      show('polling', 'Asks every 3 seconds');
      polling = setInterval(changed, pollEvery);
    } else if (!on && polling) {
      clearInterval(polling);
      polling = 0;
    }
  };

  const close = () => {
    clearTimeout(reopening);
    if (stream) stream.close();
    stream = null;
  };

  const open = () => {
    close();
    stream = new EventSource(source);
    stream.onopen = () => { failures = 0; poll(false); show('live', 'Live'); changed(); };
    for (const kind of ['session', 'component', 'fleet', 'event', 'reset']) stream.addEventListener(kind, changed);
    stream.onerror = () => {
      poll(true);
      // What was refused stays closed; it is tried again, ever more seldom.
      if (stream && stream.readyState === EventSource.CLOSED) {
        close();
        reopening = setTimeout(open, Math.min(60000, 5000 * 2 ** failures++));
      }
    };
  };

  if (source) {
    // Nobody looks at a hidden page, and a browser has few connections.
    const look = () => {
      if (document.hidden) { close(); poll(false); return; }
      open();
      changed();
    };
    document.addEventListener('visibilitychange', look);
    addEventListener('pagehide', close);
    // A page that comes back from the browser's memory shows what was.
    addEventListener('pageshow', (e) => { if (e.persisted) look(); });
    open();
  }

  // What changed is said now and then, and at once when it is over.
  let said = '', saidAt = -Infinity, later = 0;
  const say = (text) => { announcer.textContent = text; said = text; saidAt = performance.now(); };
  const announce = () => {
    const from = document.querySelector('[data-announce]');
    if (!from || from.dataset.announce === said) return;
    clearTimeout(later);
    if (saidAt === -Infinity) { said = from.dataset.announce; saidAt = performance.now(); return; }
    const wait = from.hasAttribute('data-over') ? 0 : Math.max(0, patience - (performance.now() - saidAt));
    later = setTimeout(() => say(from.dataset.announce), wait);
  };
  announce();

  document.body.addEventListener('htmx:afterSwap', () => {
    announce();
    // What depends on the state alone is read again when that is another one, so
    // that nobody loses a button that they are about to press.
    const now = document.querySelector('[data-now]');
    for (const part of document.querySelectorAll('[data-follow]')) {
      if (now && part.dataset.follow !== now.dataset.now) {
        part.dataset.follow = now.dataset.now;
        htmx.trigger(part, 'bos:follow');
      }
    }
  });

  // After a form was refused, what was wrong is where reading goes on.
  const wrong = document.getElementById('wrong');
  if (wrong && wrong.tabIndex === -1) wrong.focus();
})();
