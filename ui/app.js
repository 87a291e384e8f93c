// SPDX-License-Identifier: GPL-3.0-or-later
// The page: signs in with a key, shows what the API answers. It formats figures and computes none.
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from 'htm/preact';
import { Results } from './views/results.js';
import { List } from './views/list.js';
import { fetchJson, forgetKey, keepKey, readKey } from './lib/api.js';
import { asked, useSetting } from './lib/state.js';

const REFRESH_MS = 10_000;
const ANNOUNCE_MS = 30_000;

// What the address asks for: the view of the HTML file, the experiment in the path, and the moment.
const view = document.documentElement.dataset.view;
const experiment = decodeURIComponent(location.pathname.split('/')[2] ?? '');

function sourceOf() {
  if (view !== 'results') return '/v1/experiments';
  const query = new URLSearchParams();
  if (asked('asof')) query.set('as_of', asked('asof'));
  if (asked('phase')) query.set('phase', asked('phase'));
  const text = query.toString();
  return `/v1/experiments/${encodeURIComponent(experiment)}/results${text && `?${text}`}`;
}

// Calls `refresh` when the server says that something on this page changed; asking every few seconds
// goes on beside it, for where no stream is to be had. Returns how to stop.
function listen(key, refresh) {
  const stream = new EventSource(`/v1/stream?key=${encodeURIComponent(key)}`);
  stream.addEventListener('change', (event) => {
    const { experiments, results } = JSON.parse(event.data);
    if (view !== 'results' || results.includes(experiment) || experiments.some((row) => row.key === experiment)) refresh();
  });
  return () => stream.close();
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

function App() {
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
  const source = sourceOf();
  const still = paused || asked('asof') !== '';

  useEffect(() => {
    if (!key) return undefined;
    let stopped = false;
    const refresh = async () => {
      setNow(Date.now());
      if (busy.current) return;
      busy.current = true;
      const answer = await fetchJson(source, key);
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
    const forget = still ? () => {} : listen(key, refresh);
    return () => { stopped = true; clearInterval(timer); forget(); };
  }, [key, still, attempt]);

  const signIn = (value) => { keepKey(value); setWrong(''); setKey(value); };
  const stale = data && !still && now - seen > 2 * REFRESH_MS;
  const body = !key ? html`<${SignIn} onKey=${signIn} wrong=${wrong} />`
    : !data ? (problem ? null : html`<div class="skeleton"><p>Loading…</p></div>`)
      : view === 'results' ? html`<${Results} results=${data} source=${source} apiKey=${key} />` : html`<${List} list=${data} />`;
  return html`<a class="skip" href="#main">Skip to content</a>
    <header><nav aria-label="Pages"><a href="/experiments">Experiments</a></nav>
      ${key && html`<span class="muted" role="status">${told > 0 && `Updated ${clock(told)}`}</span>
      <button onClick=${() => setPaused(!paused)} aria-pressed=${paused}>Pause</button>`}
      <${Settings} />
    </header>
    <main id="main">${problem && html`<${Problem} problem=${problem} onRetry=${() => setAttempt(attempt + 1)} />`}
      ${(stale || (problem && data)) && html`<p class="stale" role="status">Numbers are from ${clock(seen)}.</p>`}${body}</main>
    <footer>${location.href.split('#')[0]}</footer>`;
}

render(html`<${App} />`, document.body);
