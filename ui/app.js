// SPDX-License-Identifier: GPL-3.0-or-later
// The page: signs in with a key, shows what the API answers. It formats figures and computes none.
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { html } from 'htm/preact';
import { Results } from './views/results.js';
import { List } from './views/list.js';
import { fetchJson, forgetKey, keepKey, readKey } from './lib/api.js';

const REFRESH_MS = 10_000;

// What the address asks for: the view of the HTML file, and the experiment in the path.
const view = document.documentElement.dataset.view;
const experiment = decodeURIComponent(location.pathname.split('/')[2] ?? '');
const source = view === 'results'
  ? `/v1/experiments/${encodeURIComponent(experiment)}/results` : '/v1/experiments';

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

function Problem({ problem, stale }) {
  return html`<section class="card error" role="alert"><p>${problem.title}</p>
    <div>${problem.detail}${stale && html` The figures below are from ${stale}.`}</div>
    ${problem.request_id && html`<div class="muted">Request ${problem.request_id}</div>`}
  </section>`;
}

function App() {
  const [key, setKey] = useState(readKey());
  const [wrong, setWrong] = useState('');
  const [data, setData] = useState(null);
  const [problem, setProblem] = useState(null);
  const [paused, setPaused] = useState(false);
  const [seen, setSeen] = useState('');

  useEffect(() => {
    if (!key || paused) return undefined;
    let stopped = false;
    const refresh = async () => {
      const answer = await fetchJson(source, key);
      if (stopped) return;
      if (answer.status === 401) {
        forgetKey();
        setKey('');
        setWrong(answer.problem.detail);
        return;
      }
      setProblem(answer.problem);
      if (answer.data) {
        setData(answer.data);
        setSeen(new Date().toLocaleTimeString());
      }
      document.documentElement.dataset.ready = 'yes';
    };
    refresh();
    const timer = setInterval(refresh, REFRESH_MS);
    return () => { stopped = true; clearInterval(timer); };
  }, [key, paused]);

  const signIn = (value) => { keepKey(value); setWrong(''); setKey(value); };
  const body = !key ? html`<${SignIn} onKey=${signIn} wrong=${wrong} />`
    : !data ? (problem ? null : html`<p class="muted">Loading…</p>`)
      : view === 'results' ? html`<${Results} results=${data} />` : html`<${List} list=${data} />`;
  return html`<a class="skip" href="#main">Skip to content</a>
    <header><nav aria-label="Pages"><a href="/experiments">Experiments</a></nav>
      ${key && html`<span class="muted" role="status">${seen && `Updated ${seen}`}</span>
      <button onClick=${() => setPaused(!paused)} aria-pressed=${paused}>Pause</button>`}
    </header>
    <main id="main">${problem && html`<${Problem} problem=${problem} stale=${data && seen} />`}${body}</main>`;
}

render(html`<${App} />`, document.body);
