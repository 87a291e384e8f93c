// SPDX-License-Identifier: GPL-3.0-or-later
// One interval in a table row, on the axis that all rows of the table share. Hidden from screen
// readers: the cells beside it carry the same figures.
import { html } from 'htm/preact';

const WIDTH = 200;
const HEIGHT = 24;

// The axis for rows of comparisons: symmetric about 0, wide enough for what they hold, but not for
// a range ten times as wide as the typical one, whose end gets an arrow instead.
export function axisOf(comparisons) {
  const ends = comparisons.flatMap((row) => [...(row.interval ?? []), row.limit, row.estimate])
    .filter((value) => typeof value === 'number').map(Math.abs).sort((a, b) => a - b);
  if (!ends.length) return 1;
  return Math.min(ends[ends.length - 1], 10 * ends[Math.floor(ends.length / 2)]) * 1.1 || 1;
}

export function Range({ row, axis, hidden }) {
  const x = (value) => ((Math.max(-axis, Math.min(axis, value)) / axis + 1) * WIDTH) / 2;
  const [low, high] = row.interval ?? [null, null];
  const left = x(low ?? -axis);
  const right = x(high ?? axis);
  return html`<svg class="range" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none"
    aria-hidden="true">
    <line class="zero" x1=${x(0)} x2=${x(0)} y1="0" y2=${HEIGHT} />
    ${row.limit !== null && row.limit !== undefined && html`
      <line class="limit" x1=${x(row.limit)} x2=${x(row.limit)} y1="0" y2=${HEIGHT} />`}
    ${row.interval && html`<g class=${hidden ? '' : row.verdict}>
      <rect class="bar" x=${left} width=${Math.max(1, right - left)} y="7" height="10" />
      ${row.estimate !== null && html`<rect class="mark" x=${x(row.estimate) - 1.5} width="3" y="4" height="16" />`}
    </g>`}
  </svg>`;
}
