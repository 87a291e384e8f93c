// SPDX-License-Identifier: GPL-3.0-or-later
// The list: what needs somebody first, then the rest by state.
import { useState } from 'preact/hooks';
import { html } from 'htm/preact';
import { change, count, range, status, verdict } from '../lib/format.js';

const NEEDS = ['invalid', 'roll-back', 'diverging', 'ship', 'stop', 'your-call', 'unpowered'];
const active = (row) => row.state === 'running' || row.state === 'paused';
const needs = (row) => active(row) && NEEDS.includes(row.summary?.action);

function Row({ row }) {
  const { summary } = row;
  const primary = summary?.primary;
  return html`<tr>
    <th scope="row"><a href=${`/experiments/${encodeURIComponent(row.key)}`}><strong>${row.name}</strong></a>
      <small>${summary?.headline ?? 'Not started'}</small></th>
    <td>${row.state}${summary && `, day ${summary.day}`}</td>
    <td class="wide">${count(summary?.exposed)}</td>
    <td class="wide">${primary ? `${primary.name} ${change(primary.estimate, primary.effect)}` : '–'}</td>
    <td class="wide">${primary ? range(primary.interval, primary.effect) : '–'}</td>
    <td class=${`wide ${primary?.verdict ?? ''}`}>${primary && summary.action !== 'invalid' ? verdict(primary.verdict) : '–'}</td>
    <td>${status(summary?.health)} <span class="muted">${summary?.health ?? ''}</span></td>
  </tr>`;
}

function Table({ title, rows }) {
  return rows.length > 0 && html`<h2>${title} (${rows.length})</h2>
    <div class="scroll" tabindex="0" role="region" aria-label=${title}><table>
      <thead><tr><th scope="col" class="text">Experiment</th><th scope="col">State</th><th scope="col" class="wide">Customers</th>
        <th scope="col" class="wide">Main metric</th><th scope="col" class="wide">Range</th>
        <th scope="col" class="wide">Verdict</th><th scope="col">Health</th></tr></thead>
      <tbody>${rows.map((row) => html`<${Row} key=${row.key} row=${row} />`)}</tbody></table></div>`;
}

export function List({ list }) {
  const asked = new URLSearchParams(location.search);
  const [filter, setFilter] = useState(asked.get('filter') ?? '');
  const type = (event) => {
    const { value } = event.target;
    setFilter(value);
    history.replaceState(null, '', value ? `?filter=${encodeURIComponent(value)}` : location.pathname);
  };
  const rows = list.experiments.filter((row) => `${row.key} ${row.name}`.toLowerCase().includes(filter.toLowerCase()));
  document.title = 'Experiments · Uplift';
  if (!list.experiments.length) {
    return html`<h1>Experiments</h1><p>There is none yet. Create the first one:</p>
      <pre class="scroll" tabindex="0">${`curl -H "Authorization: Bearer $KEY" ${location.origin}/v1/experiments -d '
  {"key": "checkout-button", "variants": [{"key": "control"}, {"key": "green"}]}'`}</pre>`;
  }
  return html`<h1>Experiments</h1>
    <p><label>Filter <input value=${filter} onInput=${type} /></label></p>
    <${Table} title="Needs a decision" rows=${rows.filter(needs)} />
    <${Table} title="Running" rows=${rows.filter((row) => active(row) && !needs(row))} />
    <${Table} title="Draft" rows=${rows.filter((row) => row.state === 'draft')} />
    <${Table} title="Stopped" rows=${rows.filter((row) => row.state === 'stopped' || row.state === 'archived')} />`;
}
