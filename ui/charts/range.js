// SPDX-License-Identifier: GPL-3.0-or-later
// One interval in a table row, on the axis that all rows of the table share, and that axis in the
// head. Hidden from screen readers: the cells beside it carry the same figures.
import { scaleLinear } from 'd3-scale';
import { html } from 'htm/preact';
import { absent, onAxis, tick } from '../lib/format.js';

const WIDTH = 260;
const HEIGHT = 24;

// The ends of a comparison on the axis of its metric.
const placed = (row, { effect, unit }) => ({
  low: onAxis(row.interval?.[0], effect, unit), high: onAxis(row.interval?.[1], effect, unit),
  estimate: onAxis(row.estimate, effect, unit), limit: onAxis(row.limit, effect, unit),
});

// The scale for rows of comparisons, given with their metrics: symmetric about 0, wide enough for what they hold, but not for
// a range ten times as wide as the typical one, whose end gets an arrow instead.
export function scaleOf(rows) {
  const ends = rows.flatMap(([row, metric]) => Object.values(placed(row, metric)))
    .filter((value) => typeof value === 'number').map(Math.abs).sort((a, b) => a - b);
  const most = ends.length
    ? Math.min(ends[ends.length - 1], 10 * ends[Math.floor(ends.length / 2)]) * 1.1 || 1 : 1;
  return scaleLinear().domain([-most, most]).range([4, WIDTH - 4]).clamp(true);
}

export function Axis({ scale, effect }) {
  const ticks = scale.ticks(4);
  const step = ticks[1] - ticks[0];
  return html`<svg class="axis" viewBox="0 0 ${WIDTH} 16" aria-hidden="true">${ticks.map((value) => html`
    <text x=${scale(value)} y="12" text-anchor="middle">${tick(value, step, effect)}</text>`)}</svg>`;
}

export function Range({ row, metric, scale, hidden }) {
  const [least, most] = scale.domain();
  const { low, high, estimate, limit } = placed(row, metric);
  const left = scale(low ?? least);
  const right = scale(high ?? most);
  const middle = HEIGHT / 2;
  const ranged = !absent(low) || !absent(high); // none before the first look of a schedule
  return html`<svg class="range" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
    ${scale.ticks(4).map((value) => html`<line class=${value ? 'grid' : 'zero'} x1=${scale(value)} x2=${scale(value)} y1="0" y2=${HEIGHT} />`)}
    ${row.interval && html`<g class=${hidden ? '' : row.verdict}>
      ${ranged && html`<rect class="bar" x=${left} width=${Math.max(1, right - left)} y="7" height="10" />`}
      ${!absent(estimate) && html`<rect class="mark" x=${scale(estimate) - 1.5} width="3" y="4" height="16" />`}
      ${ranged && (absent(low) || low < least) && html`<path class="mark" d="M 0 ${middle} l 8 -6 v 12 z" />`}
      ${ranged && (absent(high) || high > most) && html`<path class="mark" d="M ${WIDTH} ${middle} l -8 -6 v 12 z" />`}
    </g>`}
    ${!absent(limit) && html`<line class="limit" x1=${scale(limit)} x2=${scale(limit)} y1="0" y2=${HEIGHT} />`}
  </svg>`;
}
