// SPDX-License-Identifier: GPL-3.0-or-later
// A multivariate experiment: what each factor does by itself, whether factors depend on each other,
// and the grid of combinations (the first factor down, the others across) with the best one marked.
import { html } from 'htm/preact';
import { absent, change, level, pValue, range, verdict } from '../lib/format.js';

// All combinations of the levels of these factors: [{layout: 'grid'}, …].
const combinations = (factors) => factors.reduce(
  (all, factor) => all.flatMap((one) => factor.levels.map((word) => ({ ...one, [factor.key]: word }))), [{}]);

const matches = (variant, levels) => Object.entries(levels).every(([key, word]) => variant.levels?.[key] === word);

// "layout", "layout and tone", "layout, tone and size".
const listed = (words) => (words.length < 2 ? words.join('')
  : `${words.slice(0, -1).join(', ')} and ${words[words.length - 1]}`);

// "list +3.1% (+0.4% to +5.8%) against grid, averaged over tone"
function sentence(row, metric, others) {
  if (row.error) return `${row.level} against ${row.reference}: no figure, as ${row.error}`;
  const { effect, unit } = metric;
  const over = others.length ? `, averaged over ${listed(others)}` : '';
  return `${row.level} ${change(row.estimate, effect, unit)} (${range(row.interval, effect, unit)}) against ${row.reference}${over}`;
}

function Mains({ metric }) {
  const { main } = metric.factors;
  const keys = [...new Set(main.map((row) => row.factor))];
  return html`<div class="panels">${keys.map((key) => html`<div class="card factor"><h3>Main effect of ${key}</h3>
    ${main.filter((row) => row.factor === key).map((row) => html`<p>${
      sentence(row, metric, keys.filter((other) => other !== key))}</p>`)}</div>`)}</div>`;
}

function dependence(row, metric, hidden) {
  if (row.error) return `no figure, as ${row.error}`;
  if (hidden) return '—';
  return row.p_value <= metric.alpha ? 'they depend: choose the pair' : 'no sign that they depend on each other';
}

function Interactions({ metric, hidden }) {
  const rows = metric.factors.interactions;
  return rows.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label="Interactions of factors"><table class="grid">
    <caption>Do the factors depend on each other? Tested at this look alone.</caption>
    <thead><tr><th scope="col" class="text">Factors</th><th scope="col" class="text">Answer</th><th scope="col">p, one look</th></tr></thead>
    <tbody>${rows.map((row) => html`<tr><th scope="row">${listed(row.factors)}</th>
      <td class="text">${dependence(row, metric, hidden)}</td><td>${pValue(row.p_value)}</td></tr>`)}</tbody></table></div>`;
}

function Best({ cell, metric }) {
  return html`<br /><strong>★ best of all</strong><span class="muted">, ${level(cell.shrunk.estimate, metric.unit)} drawn to the centre</span>`;
}

function Cell({ variant, metric, hidden }) {
  if (!variant) return html`<td class="muted">not tried</td>`;
  const arm = metric.arms.find((row) => row.key === variant.key);
  const row = metric.comparisons.find((item) => item.variant === variant.key);
  const best = !hidden && metric.factors?.best === variant.key
    && metric.factors.cells.find((cell) => cell.variant === variant.key);
  return html`<td><strong>${level(arm?.mean, metric.unit)}</strong><small class="muted"> ${variant.letter}</small><br />
    ${row ? html`<span class=${hidden ? '' : row.verdict}>${change(row.estimate, metric.effect, metric.unit)} ${hidden ? '—' : verdict(row.verdict)}</span>`
      : html`<span class="muted">control</span>`}${best && html`<${Best} cell=${best} metric=${metric} />`}</td>`;
}

// What is said of the best combination below the grid.
function bestNote({ factors }) {
  if (!absent(factors.best))
    return 'The best combination is named after all were drawn towards the centre, as the best of several is flattered by luck.';
  return factors.cells.some((cell) => cell.error) ? ''
    : 'No combination stands out: they differ by no more than chance.';
}

export function Factors({ experiment, metric, hidden }) {
  const [down, ...across] = experiment.factors;
  const columns = combinations(across);
  const { factors } = metric; // looks of earlier versions have none
  return html`<section aria-label="Factors">${factors && html`<h2>Factors: ${metric.name}</h2>
      <${Mains} metric=${metric} /><${Interactions} metric=${metric} hidden=${hidden} />`}
    <h2>Combinations</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Combinations of levels"><table class="grid">
      <caption>${metric.name}; change against the control</caption>
      <thead><tr><th scope="col" class="text">${down.key}</th>${columns.map((levels) => html`<th scope="col">
        ${Object.entries(levels).map(([key, word]) => `${key}: ${word}`).join(', ')}</th>`)}</tr></thead>
      <tbody>${down.levels.map((word) => html`<tr><th scope="row"><strong>${word}</strong></th>
        ${columns.map((levels) => html`<${Cell} metric=${metric} hidden=${hidden}
          variant=${experiment.variants.find((item) => matches(item, { [down.key]: word, ...levels }))} />`)}</tr>`)}</tbody>
    </table></div>${factors && !hidden && html`<p class="muted">${bestNote(metric)}</p>`}</section>`;
}
