// SPDX-License-Identifier: GPL-3.0-or-later
// The list: what needs somebody first, then the rest by state.
import { html } from 'htm/preact';
import { Range, scaleOf } from '../charts/range.js';
import { change, count, days, range, status, verdict } from '../lib/format.js';
import { useAsked } from '../lib/state.js';

const NEEDS = ['invalid', 'roll-back', 'diverging', 'ship', 'stop', 'your-call', 'unpowered'];
const active = (row) => row.state === 'running' || row.state === 'paused';
const needs = (row) => active(row) && NEEDS.includes(row.summary?.action);

function Main({ summary, scale }) {
  const primary = summary?.primary;
  const valid = summary?.action !== 'invalid';
  if (!primary) return html`<td class="wide" colspan="4">–</td>`;
  return html`<td class="wide">${primary.name} ${change(primary.estimate, primary.effect, primary.unit)}</td>
    <td class="wide">${primary.effect === 'relative' && html`<${Range} row=${primary} metric=${primary} scale=${scale} hidden=${!valid} />`}</td>
    <td class="wide">${range(primary.interval, primary.effect, primary.unit)}</td>
    <td class=${`wide ${valid ? primary.verdict : ''}`}>${valid ? verdict(primary.verdict) : '—'}</td>`;
}

function Row({ row, scale }) {
  const { summary } = row;
  const planned = days(summary?.planned_days);
  return html`<tr>
    <th scope="row"><a href=${`/experiments/${encodeURIComponent(row.key)}`}><strong>${row.name}</strong></a>
      <small>${summary?.headline ?? 'Not started'}</small></th>
    <td class="text">${row.state}${summary && html`<br /><span class="muted">day ${summary.day}${planned && ` of ~${planned}`}</span>`}</td>
    <td class="wide">${count(summary?.exposed)}</td>
    <${Main} summary=${summary} scale=${scale} />
    <td>${status(summary?.health)} <span class="muted">${summary?.health ?? ''}</span></td>
  </tr>`;
}

function Table({ title, rows, scale }) {
  return rows.length > 0 && html`<h2>${title} (${rows.length})</h2>
    <div class="scroll" tabindex="0" role="region" aria-label=${title}><table class="list">
      <thead><tr><th scope="col" class="text">Experiment</th><th scope="col" class="text">State</th><th scope="col" class="wide">Customers</th>
        <th scope="col" class="wide">Main metric</th><th scope="col" class="wide">Interval</th><th scope="col" class="wide">Range</th>
        <th scope="col" class="wide">Verdict</th><th scope="col">Health</th></tr></thead>
      <tbody>${rows.map((row) => html`<${Row} key=${row.key} row=${row} scale=${scale} />`)}</tbody></table></div>`;
}

export function List({ data: list }) {
  const [filter, setFilter] = useAsked('filter');
  const rows = list.experiments.filter((row) => `${row.key} ${row.name} ${row.owner ?? ''}`.toLowerCase().includes(filter.toLowerCase()));
  const scale = scaleOf(rows.map((row) => row.summary?.primary).filter((row) => row?.effect === 'relative').map((row) => [row, row]));
  document.title = 'Experiments · Uplift';
  if (!list.experiments.length) {
    return html`<h1>Experiments</h1><p>There is none yet. Create the first one:</p>
      <pre class="scroll" tabindex="0">${`curl -H "Authorization: Bearer $KEY" ${location.origin}/v1/experiments -d '
  {"key": "checkout-button", "variants": [{"key": "control"}, {"key": "green"}]}'`}</pre>`;
  }
  return html`<h1>Experiments</h1>
    <p><label>Filter <input value=${filter} onInput=${(event) => setFilter(event.target.value)} /></label></p>
    ${rows.length === 0 && html`<p>No experiment has this in its name.</p>`}
    <${Table} title="Needs a decision" scale=${scale} rows=${rows.filter(needs)} />
    <${Table} title="Running" scale=${scale} rows=${rows.filter((row) => active(row) && !needs(row))} />
    <${Table} title="Draft" scale=${scale} rows=${rows.filter((row) => row.state === 'draft')} />
    <${Table} title="Stopped" scale=${scale} rows=${rows.filter((row) => row.state === 'stopped' || row.state === 'archived')} />`;
}
