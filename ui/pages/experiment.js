// SPDX-License-Identifier: GPL-3.0-or-later
// The results of the experiment in the path, as of the moment in the address.
import { html } from 'htm/preact';
import { fetchJson } from '../lib/api.js';
import { start } from '../lib/shell.js';
import { asked } from '../lib/state.js';
import { Results } from '../views/results.js';

const experiment = decodeURIComponent(location.pathname.split('/')[2] ?? '');

function source() {
  const query = new URLSearchParams();
  if (asked('asof')) query.set('as_of', asked('asof'));
  if (asked('phase')) query.set('phase', asked('phase'));
  const text = query.toString();
  return `/v1/experiments/${encodeURIComponent(experiment)}/results${text && `?${text}`}`;
}

start({
  load: (key) => fetchJson(source(), key),
  concerns: ({ experiments, results }) => results.includes(experiment) || experiments.some((row) => row.key === experiment),
  View: ({ data, apiKey }) => html`<${Results} results=${data} source=${source()} apiKey=${apiKey} />`,
});
