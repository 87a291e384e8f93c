// SPDX-License-Identifier: GPL-3.0-or-later
// Layers as bars and tables, holdouts, and experiments that share customers. Colour says nothing here:
// who holds a range is told by its place, number and name.
import { html } from 'htm/preact';
import { count, day, moment, part, span } from '../lib/format.js';
import { useAsked } from '../lib/state.js';

const size = ([from, to]) => to - from;
const linkTo = (key) => `/experiments/${encodeURIComponent(key)}`;
const Link = ({ row }) => html`<a href=${linkTo(row.key)}>${row.name}</a>`;
const listed = (keys) => keys.map((key, i) => html`${i > 0 && ', '}<a href=${linkTo(key)}>${key}</a>`);
// Below this a name has no room on a phone, nor a finger: the number stands there, the link in the table.
const NAMED = 0.12;

const WORDS = { running: 'running', paused: 'paused, keeps its range', draft: 'draft', stopped: 'stopped, holds nothing' };

// Who holds, then drafts, then stopped ones, each with a number in this order; what is free, which has
// none, stands where it is among those that hold.
function rowsOf({ experiments, free }) {
  const parts = [experiments.filter((row) => row.holds), ...['draft', 'stopped'].map((state) => experiments.filter((row) => row.state === state))];
  let last = 0;
  const [holding, drafts, stopped] = parts.map((rows) => rows.map((row) => ({ ...row, number: ++last })));
  const held = [...holding, ...free.map((range) => ({ free: true, range }))].sort((a, b) => a.range[0] - b.range[0]);
  return { held, drafts, stopped };
}

function Segment({ row }) {
  const [from] = row.range;
  const wide = size(row.range) >= NAMED;
  return html`<li class=${`${row.free ? 'free' : row.state} ${wide ? '' : 'narrow'}`} style=${{ left: `${from * 100}%`, width: `${size(row.range) * 100}%` }}>
    ${row.free ? (wide && html`<span>free</span>`) : html`<span>${row.number}${wide && html` <${Link} row=${row} />`}</span>`}
    ${wide && html`<small>${span(row.range)}${row.state === 'paused' && ', paused'}</small>`}</li>`;
}

function Bar({ layer, held }) {
  return html`<ol class="layer" aria-label=${`Ranges of ${layer.key}`}>${held.map((row) => html`<${Segment} row=${row} />`)}</ol>
    <div class="scale" aria-hidden="true">${[0, 25, 50, 75, 100].map((at) => html`<span>${at}%</span>`)}</div>`;
}

// Where the row lies between 0 and 100%; the columns beside it say it in figures.
function Place({ row }) {
  const [from] = row.range;
  return html`<svg class="place" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="whole" x="0" y="4" width="100" height="2" />
    <rect class=${row.free ? 'free' : row.state} x=${from * 100} y="1" width=${size(row.range) * 100} height="8" /></svg>`;
}

function Row({ row, withs }) {
  const waits = row.overlaps?.length > 0;
  return html`<tr class=${row.free ? 'free' : ''}>
    <td class="wide">${row.number ?? ''}</td>
    <th scope="row">${row.free ? 'Free' : html`<strong><${Link} row=${row} /></strong><small>${row.key}</small>`}</th>
    <td class="text">${row.free ? '–' : WORDS[row.state] ?? row.state}${waits && html`<br /><strong>… waits for ${listed(row.overlaps)}</strong>`}
      ${row.state === 'draft' && !waits && html`<br /><span class="muted">✓ its range is free</span>`}</td>
    <td>${span(row.range)}</td>
    <td class="wide"><${Place} row=${row} /></td>
    <td class="wide">${part(size(row.range))}</td>
    <td class="wide">${row.free ? '–' : part(row.traffic)}</td>
    <td class="wide">${row.started_at ? day(row.started_at) : '–'}</td></tr>`;
}

function Group({ title, rows }) {
  return rows.length > 0 && html`<tbody>${title && html`<tr><th scope="rowgroup" colspan="8" class="group text">${title}</th></tr>`}
    ${rows.map((row) => html`<${Row} row=${row} />`)}</tbody>`;
}

function Layer({ layer, stopped }) {
  const rows = rowsOf(layer);
  const waiting = rows.drafts.filter((row) => row.overlaps.length > 0);
  return html`<section aria-label=${`Layer ${layer.key}`}>
    <h2>${layer.key} <span class="pill">${layer.free_share > 0 ? `${part(layer.free_share)} free` : 'nothing free'}</span></h2>
    <${Bar} layer=${layer} held=${rows.held} />
    ${waiting.map((row) => html`<p class="waits">… <${Link} row=${row} /> (draft, ${span(row.range)}) cannot start before${' '}
      ${listed(row.overlaps)} ${row.overlaps.length > 1 ? 'are' : 'is'} stopped, or it takes a range that is free.</p>`)}
    <div class="scroll" tabindex="0" role="region" aria-label=${`Table of ${layer.key}`}><table class="grid layers">
      <caption>Who has which range of ${layer.key}</caption>
      <thead><tr><th scope="col" class="wide">No.</th><th scope="col" class="text">Experiment</th><th scope="col" class="text">State</th>
        <th scope="col">Range</th><th scope="col" class="wide">Place, 0 to 100%</th><th scope="col" class="wide">Of all customers</th>
        <th scope="col" class="wide">Traffic</th><th scope="col" class="wide">Started</th></tr></thead>
      <${Group} rows=${rows.held} /><${Group} title="Drafts: hold nothing yet" rows=${rows.drafts} />
      ${stopped && html`<${Group} title="Stopped" rows=${rows.stopped} />`}</table></div></section>`;
}

function covers({ experiments = [], tags = [] }) {
  if (!experiments.length && !tags.length) return 'all experiments that start, or begin a phase, while it runs';
  return html`of those that start, or begin a phase, while it runs: ${listed(experiments)}
    ${experiments.length > 0 && tags.length > 0 && ' and '}${tags.length > 0 && `all with the tag ${tags.join(' or ')}`}`;
}

function Holdouts({ answer }) {
  if (answer.problem) return html`<h2>Holdouts</h2><p class="stale" role="status">They could not be read: ${answer.problem.detail}</p>`;
  const rows = answer.data.experiments.filter((row) => row.holdout && row.state !== 'archived');
  return html`<section aria-label="Holdouts"><h2>Holdouts</h2>
    ${rows.length === 0 ? html`<p class="muted">None: no customers are kept out of all experiments.</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label="Table of holdouts"><table class="grid layers"><caption>Who is kept out of experiments, to tell what all of them did</caption>
        <thead><tr><th scope="col" class="text">Holdout</th><th scope="col" class="text">State</th><th scope="col">Held out</th>
          <th scope="col" class="text">Covers</th><th scope="col" class="wide">Started</th></tr></thead>
        <tbody>${rows.map((row) => html`<tr><th scope="row"><strong><${Link} row=${row} /></strong><small>${row.key}</small></th>
          <td class="text">${row.state}</td><td>${part(row.variants[0].weight)}</td>
          <td class="text">${covers(row.holdout)}</td><td class="wide">${row.started_at ? day(row.started_at) : '–'}</td></tr>`)}</tbody></table></div>`}</section>`;
}

const INTERACTION = { found: '⚠ they depend on each other', 'none-seen': '– none seen', 'too-early': '… too early to tell' };

function leftOut({ experiments, pairs, untested }) {
  const parts = [[experiments, 'experiments'], [pairs, 'pairs'], [untested, 'tests']].filter(([n]) => n > 0);
  return parts.length > 0 && html`<p class="stale">Left out, as there are too many: ${parts.map(([n, word]) => `${count(n)} ${word}`).join(', ')}.</p>`;
}

function Pairs({ list }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of overlaps"><table class="grid layers">
    <caption>Pairs that share customers, most first</caption>
    <thead><tr><th scope="col" class="text">Experiments</th><th scope="col">Customers in both</th>
      <th scope="col" class="wide">Of the smaller one</th><th scope="col" class="text">Interaction</th></tr></thead>
    <tbody>${list.map((row) => html`<tr><th scope="row"><${Link} row=${row.experiments[0]} /> and <${Link} row=${row.experiments[1]} /></th>
      <td>${count(row.customers)}</td><td class="wide">${part(row.share)}</td>
      <td class="text"><strong>${INTERACTION[row.interaction] ?? row.interaction}</strong><br /><span class="muted">${row.text}</span></td></tr>`)}</tbody></table></div>`;
}

function Overlaps({ answer }) {
  if (answer.status === 404) return null; // an older server
  if (answer.problem) return html`<h2>Overlap</h2><p class="stale" role="status">It could not be read: ${answer.problem.detail}</p>`;
  const { as_of, refreshing, left_out, overlaps } = answer.data;
  return html`<section aria-label="Overlap"><h2>Overlap</h2>
    ${overlaps.length > 0 ? html`<${Pairs} list=${overlaps} />`
      : html`<p class="muted">${as_of ? 'No two experiments that run share customers.' : 'Customers are being counted for the first time.'}</p>`}
    ${left_out && leftOut(left_out)}
    ${as_of && html`<p class="muted">Counted <time datetime=${as_of}>${moment(as_of)}</time>${refreshing && '; being counted anew'}.</p>`}</section>`;
}

function Empty() {
  return html`<p>No experiment is in a layer yet. Experiments of one layer never share a customer. Create the first one:</p>
    <pre class="scroll" tabindex="0">${`curl -H "Authorization: Bearer $KEY" ${location.origin}/v1/experiments -d '
  {"key": "checkout-button", "layer": {"key": "checkout", "range": [0, 0.5]},
   "variants": [{"key": "control"}, {"key": "green"}]}'`}</pre>`;
}

export function Layers({ data: { layers, experiments, overlaps } }) {
  const [filter, setFilter] = useAsked('filter');
  const [stopped, setStopped] = useAsked('stopped');
  const has = (text) => text.toLowerCase().includes(filter.toLowerCase());
  const shown = layers.filter((layer) => has(layer.key) || layer.experiments.some((row) => has(`${row.key} ${row.name}`)));
  document.title = 'Layers · Uplift';
  return html`<h1>Layers</h1>
    ${layers.length === 0 ? html`<${Empty} />` : html`<p class="tools"><label>Filter <input value=${filter} onInput=${(event) => setFilter(event.target.value)} /></label>
      <label><input type="checkbox" checked=${stopped === '1'} onChange=${(event) => setStopped(event.target.checked ? '1' : '')} /> Show stopped ones</label></p>`}
    ${layers.length > 0 && shown.length === 0 && html`<p>No layer, nor an experiment in one, has this in its name.</p>`}
    ${shown.map((layer) => html`<${Layer} key=${layer.key} layer=${layer} stopped=${stopped === '1'} />`)}
    <${Holdouts} answer=${experiments} /><${Overlaps} answer=${overlaps} />`;
}
