// SPDX-License-Identifier: GPL-3.0-or-later
// Tables of metrics: real tables, whose cells hold small intervals on one axis. Percent and points
// never share one.
import { html } from 'htm/preact';
import { Axis, Range, scaleOf } from '../charts/range.js';
import { change, clearSince, distribution, level, pValue, range, verdict } from '../lib/format.js';

export function Head({ first, scale, metric }) {
  return html`<thead><tr><th scope="col" class="text">${first}</th><th scope="col">Variant</th>
    <th scope="col" class="wide">A (control)</th><th scope="col" class="wide">Value</th>
    <th scope="col"><span class="hidden">Interval</span><${Axis} scale=${scale} effect=${metric.effect} /></th>
    <th scope="col">Change</th><th scope="col" class="wide">Range</th><th scope="col">Verdict</th></tr></thead>`;
}

// What the verdict rests on, for who wants to know more.
const evidence = (row) => [row.p_value !== null && `p = ${pValue(row.p_adjusted ?? row.p_value)}`, clearSince(row),
  row.drift_since && `the effect changed over time, seen on day ${row.drift_since.day}`,
  row.restarted && `begun anew on day ${row.restarted.day}: ${row.restarted.reason}`].filter(Boolean).join(', ');

// What a posterior says in words, under the verdict.
const likely = ({ chance_to_win: chance }) => typeof chance === 'number' && html`<small>${level(chance, 'share')} likely better</small>`;

export function Rows({ title, note, comparisons, metric, letters, scale, hidden }) {
  const { effect, unit } = metric;
  return comparisons.map((row, i) => html`<tr>
    ${i === 0 && html`<th scope="row" rowspan=${comparisons.length}><strong>${title}</strong><small>${note}</small></th>`}
    <td>${letters[row.variant] ?? row.variant}</td>
    <td class="wide">${level(row.base, unit)}</td><td class="wide">${level(row.value, unit)}</td>
    <td><${Range} row=${row} metric=${metric} scale=${scale} hidden=${hidden} /></td>
    <td class=${`change ${hidden ? '' : row.verdict}`}>${row.error ?? change(row.estimate, effect, unit)}</td>
    <td class="wide">${range(row.interval, effect, unit)}</td>
    <td class=${`verdict ${hidden ? '' : row.verdict}`} title=${hidden ? '' : evidence(row)}>${hidden ? '—' : verdict(row.verdict)}${!hidden && likely(row)}</td>
  </tr>`);
}

function note(metric, design) {
  const parts = [metric.role, distribution(metric)].filter(Boolean);
  const anew = metric.comparisons.find((row) => row.restarted)?.restarted;
  if (metric.goal === 'decrease') parts.push('lower is better');
  if (metric.limit !== null) parts.push(`limit ${change(metric.limit, metric.effect, metric.unit)}`);
  if (metric.method !== design.method) parts.push(`${metric.method} method`);
  if (anew) parts.push(`begun anew on day ${anew.day}: ${anew.reason}`);
  return parts.join(', ');
}

// Metrics that are computed alike are told of together.
export function Methods({ metrics }) {
  const alike = new Map();
  for (const metric of metrics) {
    const text = JSON.stringify(metric.method_text);
    alike.set(text, [...(alike.get(text) ?? []), metric]);
  }
  return html`<details><summary>How these figures are computed</summary>
    ${[...alike.values()].map((members) => html`<h3>${members.map((metric) => metric.name).join(', ')}</h3>
      <p>${members[0].method_text.computed}</p><p>Taken for granted: ${members[0].method_text.assumption}</p>
      <p class="muted">Source: ${members[0].method_text.source}</p>`)}</details>`;
}

// A share's absolute change is in points, as NPS is.
const axisGroup = ({ effect, unit }) => (effect === 'relative' ? 'relative' : unit === 'number' ? 'absolute' : 'points');

// The chance of each variant to be the best of all.
const Best = ({ metric, letters }) => html`<p>${metric.name}, chance to be the best: ${metric.best.map((row) =>
  `${letters[row.variant]} ${row.error ?? level(row.probability, 'share')}`).join(', ')}.</p>`;

export function Metrics({ metrics, design, letters, hidden }) {
  const groups = [...new Set(metrics.map(axisGroup))];
  return groups.map((group) => {
    const members = metrics.filter((metric) => axisGroup(metric) === group);
    const scale = scaleOf(members.flatMap((metric) => metric.comparisons.map((row) => [row, metric])));
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Metrics, ${group} change`}><table class="metrics">
      <${Head} first="Metric" scale=${scale} metric=${members[0]} />
      <tbody>${members.map((metric) => html`<${Rows} title=${metric.name} note=${note(metric, design)} comparisons=${metric.comparisons}
        metric=${metric} letters=${letters} scale=${scale} hidden=${hidden} />`)}</tbody></table></div>
      ${!hidden && members.filter((metric) => metric.best).map((metric) => html`<${Best} metric=${metric} letters=${letters} />`)}`;
  });
}
