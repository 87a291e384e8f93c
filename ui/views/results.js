// SPDX-License-Identifier: GPL-3.0-or-later
// The results of one experiment: what to do, whether the data can be trusted, every metric with its
// range, what customers answered, and the segments.
import { useState } from 'preact/hooks';
import { html } from 'htm/preact';
import { Range, axisOf } from '../charts/range.js';
import { change, count, level, range, status, verdict } from '../lib/format.js';

const ICONS = { ship: '▲', 'roll-back': '▼', invalid: '✕', diverging: '⚠', stop: '■' };

function Decision({ decision }) {
  return html`<section class=${`card ${decision.action}`} aria-label="Decision">
    <p>${ICONS[decision.action] ?? '–'} ${decision.headline}</p>
    <ul>${decision.reasons.map((reason) => html`<li>${reason.text}</li>`)}</ul>
  </section>`;
}

function Head({ letter, first }) {
  return html`<thead><tr><th scope="col" class="text">${first}</th><th scope="col">Variant</th>
    <th scope="col" class="wide">${letter} (control)</th><th scope="col" class="wide">Value</th>
    <th scope="col">Interval</th><th scope="col">Change</th><th scope="col" class="wide">Range</th>
    <th scope="col">Verdict</th></tr></thead>`;
}

function Rows({ title, note, comparisons, metric, letters, axis, hidden }) {
  const { effect, unit } = metric;
  return comparisons.map((row, i) => html`<tr>
    ${i === 0 && html`<th scope="row" rowspan=${comparisons.length}><strong>${title}</strong><small>${note}</small></th>`}
    <td>${letters[row.variant] ?? row.variant}</td>
    <td class="wide">${level(row.base, unit)}</td><td class="wide">${level(row.value, unit)}</td>
    <td><${Range} row=${row} axis=${axis} hidden=${hidden} /></td>
    <td class=${`change ${hidden ? '' : row.verdict}`}>${row.error ?? change(row.estimate, effect, unit)}</td>
    <td class="wide">${range(row.interval, effect, unit)}</td>
    <td class=${`verdict ${hidden ? '' : row.verdict}`}>${hidden ? '—' : verdict(row.verdict)}</td>
  </tr>`);
}

function note(metric) {
  const parts = [metric.role];
  if (metric.goal === 'decrease') parts.push('lower is better');
  if (metric.limit !== null) parts.push(`limit ${change(metric.limit, metric.effect, metric.unit)}`);
  if (metric.method !== 'sequential') parts.push(`${metric.method} method`);
  return parts.join(', ');
}

// Percent and points never share an axis.
const axisGroup = (metric) => (metric.effect === 'relative' ? 'relative' : `${metric.effect} ${metric.unit}`);

function Metrics({ metrics, letters, hidden }) {
  const groups = [...new Set(metrics.map(axisGroup))];
  return groups.map((group) => {
    const members = metrics.filter((metric) => axisGroup(metric) === group);
    const axis = axisOf(members.flatMap((metric) => metric.comparisons));
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Metrics, ${group} change`}><table>
      <${Head} letter="A" first="Metric" />
      <tbody>${members.map((metric) => html`<${Rows} title=${metric.name} note=${note(metric)} comparisons=${metric.comparisons}
        metric=${metric} letters=${letters} axis=${axis} hidden=${hidden} />`)}</tbody></table></div>`;
  });
}

// Which scores are low, middle and high, by the number of scores of the survey.
const CUTS = { 11: [7, 9], 5: [2, 3], 7: [3, 4] };

function Answers({ metric, letters }) {
  const [low, high] = CUTS[metric.answers[0].counts.length];
  return html`<h2>${metric.name}: answers</h2><div class="answers">${metric.answers.map((row) => {
    const sum = (from, to) => row.counts.slice(from, to).reduce((a, b) => a + b, 0);
    const parts = [sum(0, low), sum(low, high), sum(high)];
    const label = `${letters[row.variant]}: ${parts[0]} low, ${parts[1]} middle, ${parts[2]} high of ${row.n} answers`;
    let x = 0;
    return html`<span>${letters[row.variant]}, n = ${count(row.n)}</span>
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=${label}>${
        parts.map((part, i) => {
          const width = row.n ? (part / row.n) * 100 : 0;
          x += width;
          return html`<rect class=${['low', 'middle', 'high'][i]} x=${x - width} width=${width} height="10" />`;
        })}</svg>
      <span>${level(row.score, metric.unit)} <span class="muted">${row.rate === null ? '' : `answered ${level(row.rate, 'share')}`}</span></span>`;
  })}</div>`;
}

function Segment({ segment, letters, hidden }) {
  return html`<details><summary>By ${segment.segment}: ${segment.values_looked_at} looked at</summary>
    <p class="muted">Of twenty segments about one may look clear by luck. Take them as ideas to test.</p>
    ${segment.metrics.map((metric) => {
      const axis = axisOf(metric.values.flatMap((value) => value.comparisons));
      return html`<div class="scroll" tabindex="0" role="region" aria-label=${`${metric.name} by ${segment.segment}`}><table>
        <${Head} letter="A" first=${metric.name} />
        <tbody>${metric.values.map((value) => html`<${Rows} title=${value.value} note="" axis=${axis} metric=${metric}
          comparisons=${value.comparisons.map((row) => ({ verdict: 'unclear', limit: null, ...row }))} letters=${letters} hidden=${hidden} />`)}</tbody>
      </table></div>`;
    })}</details>`;
}

export function Results({ results }) {
  const { experiment, metrics, health, segments, decision } = results;
  const [raw, setRaw] = useState(new URLSearchParams(location.search).get('raw') === '1');
  const letters = Object.fromEntries(experiment.variants.map((variant) => [variant.key, variant.letter]));
  const invalid = decision.action === 'invalid';
  document.title = `${experiment.name} · Uplift`;
  return html`<p><a href="/experiments">Experiments</a> / ${experiment.key}</p>
    <h1>${experiment.name} <span class="pill">${experiment.state}, day ${results.day}</span></h1>
    <p class="muted">${experiment.variants.map((variant) => `${variant.letter} ${variant.name} ${count(variant.exposed)}`).join(' · ')}</p>
    <${Decision} decision=${decision} />
    <h2>Data health</h2>
    <ul class="strip">${health.map((check) => html`<li>${status(check.status)} ${check.text}</li>`)}</ul>
    <h2>Metrics, change against A</h2>
    ${invalid && !raw ? html`<p><button onClick=${() => setRaw(true)}>Show the figures anyway</button></p>`
      : metrics.length ? html`<${Metrics} metrics=${metrics} letters=${letters} hidden=${invalid} />`
        : html`<p>No metric is attached yet.</p>`}
    ${metrics.filter((metric) => metric.answers?.some((row) => row.n > 0))
      .map((metric) => html`<${Answers} metric=${metric} letters=${letters} />`)}
    ${segments.some((segment) => segment.metrics.length) && html`<h2>Segments</h2>
      ${segments.map((segment) => html`<${Segment} segment=${segment} letters=${letters} hidden=${invalid} />`)}`}
    <p class="muted">You may look or stop whenever you like where the method is sequential or exact. Figures as of${" "}
      <time datetime=${results.as_of}>${results.as_of}</time>.</p>`;
}
