// SPDX-License-Identifier: GPL-3.0-or-later
// What all pages share: signing in with a key, the header, asking the API again and again, and what is
// shown while it loads or fails. It formats figures and computes none.
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from 'htm/preact';
import { forgetKey, keepKey, readKey } from './api.js';
import { asked, useSetting } from './state.js';

const REFRESH_MS = 10_000;
const ANNOUNCE_MS = 30_000;

const PAGES = [['/experiments', 'Experiments'], ['/layers', 'Layers']];
const here = location.pathname === '/' ? '/experiments' : location.pathname;

// Calls `refresh` when the server says that something on this page changed; asking every few seconds
// goes on beside it, for where no stream is to be had. Returns how to stop.
function listen(key, concerns, refresh) {
  const stream = new EventSource(`/v1/stream?key=${encodeURIComponent(key)}`);
  stream.addEventListener('change', (event) => concerns(JSON.parse(event.data)) && refresh());
  return () => stream.close();
}

function Navigation() {
  return html`<nav aria-label="Pages">${PAGES.map(([path, name]) => html`<a href=${path}
    aria-current=${path === here ? 'page' : here.startsWith(`${path}/`) ? 'true' : undefined}>${name}</a>`)}</nav>`;
}

function SignIn({ onKey, wrong }) {
  const submit = (event) => {
    event.preventDefault();
    onKey(new FormData(event.target).get('key').trim());
  };
  return html`<form onSubmit=${submit}>
    <h1>Sign in</h1>
    <p><label for="key">Key of a person (adm-…)</label></p>
    <p><input id="key" name="key" type="password" autocomplete="off" required size="44" /></p>
    ${wrong && html`<p class="worse" role="alert">${wrong}</p>`}
    <p><button>Sign in</button></p>
    <p class="muted">The first start of the server printed one; "uplift key create" makes more.</p>
  </form>`;
}

function Problem({ problem, onRetry }) {
  return html`<section class="card error" role="alert"><p>${problem.title}</p>
    <div>${problem.detail}</div>
    ${problem.request_id && html`<div class="muted">Request ${problem.request_id}</div>`}
    <div><button onClick=${onRetry}>Try again</button></div>
  </section>`;
}

function Settings() {
  const [theme, setTheme] = useSetting('theme');
  const [colours, setColours] = useSetting('colours');
  return html`<details class="settings"><summary>Settings</summary><div>
    <label>Theme <select value=${theme} onChange=${(event) => setTheme(event.target.value)}>
      <option value="">as the system</option><option value="light">light</option><option value="dark">dark</option></select></label>
    <label><input type="checkbox" checked=${colours === 'off'} onChange=${(event) => setColours(event.target.checked ? 'off' : '')} />
      ${' '}Verdicts without colour</label></div></details>`;
}

const clock = (time) => new Date(time).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', hour12: false });

function App({ load, concerns, View }) {
  const [key, setKey] = useState(readKey());
  const [wrong, setWrong] = useState('');
  const [data, setData] = useState(null);
  const [problem, setProblem] = useState(null);
  const [paused, setPaused] = useState(false);
  const [seen, setSeen] = useState(0); // when the figures came, and when that was last told
  const [now, setNow] = useState(0);
  const [told, tell] = useState(0);
  const [attempt, setAttempt] = useState(0);
  const busy = useRef(false);
  const still = paused || asked('asof') !== '';

  useEffect(() => {
    if (!key) return undefined;
    let stopped = false;
    const refresh = async () => {
      setNow(Date.now());
      if (busy.current) return;
      busy.current = true;
      const answer = await load(key);
      busy.current = false;
      if (stopped) return;
      if (answer.status === 401) {
        forgetKey();
        setKey('');
        setWrong(answer.problem.detail);
        return;
      }
      setProblem(answer.problem);
      if (answer.data) {
        const time = Date.now();
        setData(answer.data);
        setSeen(time);
        setNow(time);
        tell((last) => (time - last >= ANNOUNCE_MS ? time : last));
      }
      document.documentElement.dataset.ready = 'yes';
    };
    if (!still || !data) refresh();
    const timer = still ? 0 : setInterval(refresh, REFRESH_MS);
    const forget = still ? () => {} : listen(key, concerns, refresh);
    return () => { stopped = true; clearInterval(timer); forget(); };
  }, [key, still, attempt]);

  const signIn = (value) => { keepKey(value); setWrong(''); setKey(value); };
  const stale = data && !still && now - seen > 2 * REFRESH_MS;
  const body = !key ? html`<${SignIn} onKey=${signIn} wrong=${wrong} />`
    : !data ? (problem ? null : html`<div class="skeleton"><p>Loading…</p></div>`)
      : html`<${View} data=${data} apiKey=${key} />`;
  return html`<a class="skip" href="#main">Skip to content</a>
    <header><${Navigation} />
      ${key && html`<span class="muted" role="status">${told > 0 ? `Updated ${clock(told)}` : ''}</span>
      <button onClick=${() => setPaused(!paused)} aria-pressed=${paused}>Pause</button>`}
      <${Settings} />
    </header>
    <main id="main">${problem && html`<${Problem} problem=${problem} onRetry=${() => setAttempt(attempt + 1)} />`}
      ${(stale || (problem && data)) && html`<p class="stale" role="status">Numbers are from ${clock(seen)}.</p>`}${body}</main>
    <footer>${location.href.split('#')[0]}</footer>`;
}

// Shows a page. `load`: asks the API with the key, and gives what fetchJson gives. `concerns`: whether a
// change the server tells of is one of this page (by itself: all are). `View`: shows {data, apiKey}.
export function start({ load, concerns = () => true, View }) {
  render(html`<${App} load=${load} concerns=${concerns} View=${View} />`, document.body);
}
