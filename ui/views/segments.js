// SPDX-License-Identifier: GPL-3.0-or-later
// Segments: first whether the effect differs between them at all, then a row for each.
import { html } from 'htm/preact';
import { scaleOf } from '../charts/range.js';
import { pValue } from '../lib/format.js';
import { Head, Rows } from './metrics.js';

function Differs({ metric, letters }) {
  return html`<p>${metric.heterogeneity.filter((row) => row.p_value !== null).map((row) => html`<span>
    ${letters[row.variant]}: ${row.p_value < 0.05 ? 'the effect may differ between segments' : 'no sign that the effect differs between segments'}
    <span class="muted"> (p = ${pValue(row.p_value)}, one look)</span>. </span>`)}</p>`;
}

function Segment({ segment, letters, hidden }) {
  return html`<details><summary>By ${segment.segment}: ${segment.values_looked_at} looked at</summary>
    <p class="muted">Of twenty segments about one may look clear by luck. Take them as ideas to test.</p>
    ${segment.metrics.map((metric) => {
      const rows = metric.values.map((value) => ({
        name: value.value,
        comparisons: value.comparisons.map((row, i) => ({
          verdict: 'unclear', limit: null, base: value.arms?.[0].mean, value: value.arms?.[i + 1].mean, ...row,
        })),
      }));
      const scale = scaleOf(rows.flatMap((row) => row.comparisons.map((item) => [item, metric])));
      return html`<h3>${metric.name}</h3><${Differs} metric=${metric} letters=${letters} />
        <div class="scroll" tabindex="0" role="region" aria-label=${`${metric.name} by ${segment.segment}`}><table class="metrics">
        <${Head} first=${segment.segment} scale=${scale} metric=${metric} />
        <tbody>${rows.map((row) => html`<${Rows} title=${row.name} note="" scale=${scale} metric=${metric}
          comparisons=${row.comparisons} letters=${letters} hidden=${hidden} />`)}</tbody></table></div>`;
    })}</details>`;
}

export function Segments({ segments, letters, hidden }) {
  const shown = segments.filter((segment) => segment.metrics.length && segment.values_looked_at);
  return shown.length > 0 && html`<section aria-label="Segments"><h2>Segments</h2>
    ${shown.map((segment) => html`<${Segment} segment=${segment} letters=${letters} hidden=${hidden} />`)}</section>`;
}
