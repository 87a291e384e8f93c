// SPDX-License-Identifier: GPL-3.0-or-later
// A multivariate experiment as a grid: the first factor down, the others across, the main metric of
// each combination in the cells.
import { html } from 'htm/preact';
import { change, level, verdict } from '../lib/format.js';

// All combinations of the levels of these factors: [{layout: 'grid'}, …].
const combinations = (factors) => factors.reduce(
  (all, factor) => all.flatMap((one) => factor.levels.map((word) => ({ ...one, [factor.key]: word }))), [{}]);

const matches = (variant, levels) => Object.entries(levels).every(([key, word]) => variant.levels?.[key] === word);

function Cell({ variant, metric, hidden }) {
  if (!variant) return html`<td class="muted">not tried</td>`;
  const arm = metric.arms.find((row) => row.key === variant.key);
  const row = metric.comparisons.find((item) => item.variant === variant.key);
  return html`<td><strong>${level(arm?.mean, metric.unit)}</strong><small class="muted"> ${variant.letter}</small><br />
    ${row ? html`<span class=${hidden ? '' : row.verdict}>${change(row.estimate, metric.effect, metric.unit)} ${hidden ? '—' : verdict(row.verdict)}</span>`
      : html`<span class="muted">control</span>`}</td>`;
}

export function Factors({ experiment, metric, hidden }) {
  const [down, ...across] = experiment.factors;
  const columns = combinations(across);
  return html`<section aria-label="Combinations"><h2>Combinations</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Combinations of levels"><table class="grid">
      <caption>${metric.name}; change against the control</caption>
      <thead><tr><th scope="col" class="text">${down.key}</th>${columns.map((levels) => html`<th scope="col">
        ${Object.entries(levels).map(([key, word]) => `${key}: ${word}`).join(', ')}</th>`)}</tr></thead>
      <tbody>${down.levels.map((word) => html`<tr><th scope="row"><strong>${word}</strong></th>
        ${columns.map((levels) => html`<${Cell} metric=${metric} hidden=${hidden}
          variant=${experiment.variants.find((item) => matches(item, { [down.key]: word, ...levels }))} />`)}</tr>`)}</tbody>
    </table></div></section>`;
}
