// SPDX-License-Identifier: GPL-3.0-or-later
// How the range narrowed: one panel a variant, all on one scale. The band is grey while nothing is
// clear and has the verdict's colour from the look on at which it became so.
import { extent } from 'd3-array';
import { scaleLinear } from 'd3-scale';
import { area, line } from 'd3-shape';
import { useRef } from 'preact/hooks';
import { html } from 'htm/preact';
import { absent, change, count, day as dayOf, onAxis, range, tick, verdict } from '../lib/format.js';
import { saveSvg } from '../lib/download.js';

const WIDTH = 470;
const HEIGHT = 260;
const LEFT = 52;
const RIGHT = 108;
const TOP = 18;
const BOTTOM = 26;
const DAY_MS = 86_400_000;
// Looks before this share of them are too wide to set the scale.
const SETTLED = 0.25;

const isClear = (word) => word === 'better' || word === 'worse' || word === 'over-limit' || word === 'within-limit';

// The looks of one variant: [{day, at, n, estimate, low, high, verdict}].
function pointsOf(looks, metric, variant) {
  return looks.flatMap((look) => {
    const row = look.metrics.find((item) => item.key === metric.key)?.comparisons
      .find((item) => item.variant === variant);
    return row?.interval && !absent(row.estimate)
      ? [{ day: look.day, at: look.at, n: row.n, estimate: row.estimate, low: row.interval[0], high: row.interval[1], verdict: row.verdict }]
      : [];
  });
}

// As high as the ranges are once they have settled, and whatever is to be compared with them.
function heightOf(panels, metric) {
  const ends = panels.flatMap(({ points }) => points.slice(Math.floor(points.length * SETTLED))
    .flatMap((point) => [point.low, point.high, point.estimate]));
  const [least, most] = extent([...ends, metric.limit, smallest(metric), 0].filter((value) => !absent(value)));
  const room = (most - least) * 0.06 || 1;
  return scaleLinear().domain([least - room, most + room]).range([HEIGHT - BOTTOM, TOP]).clamp(true).nice();
}

// The smallest change worth having, on the good side; relative effects only, as it is given so.
function smallest(metric) {
  if (absent(metric.min_effect) || metric.effect !== 'relative' || metric.role === 'guardrail') return null;
  return metric.goal === 'decrease' ? -metric.min_effect : metric.min_effect;
}

// Labels at the right end, pushed apart where they would touch.
function spread(labels) {
  const sorted = labels.filter((label) => label.text).sort((a, b) => a.y - b.y);
  sorted.forEach((label, i) => { if (i && label.y < sorted[i - 1].y + 15) label.y = sorted[i - 1].y + 15; });
  return sorted;
}

function Bands({ points, x, y }) {
  const [bottom, top] = y.domain();
  const band = area().x((point) => x(point.day)).y0((point) => y(point.low ?? bottom)).y1((point) => y(point.high ?? top));
  const edge = (end, open) => line().x((point) => x(point.day)).y((point) => y(point[end] ?? open));
  const last = points[points.length - 1].verdict;
  // The stretch at the end with the verdict that holds now.
  let from = points.length;
  while (isClear(last) && from > 0 && points[from - 1].verdict === last) from -= 1;
  const parts = [[points.slice(0, from + 1), 'unclear'], [points.slice(from), last]];
  return html`${parts.filter(([part]) => part.length > 0).map(([part, word]) => html`<g class=${word}>
    <path class="band" d=${band(part)} />
    <path class="edge" d=${edge('low', bottom)(part)} /><path class="edge" d=${edge('high', top)(part)} />
    <path class="line" d=${line().x((point) => x(point.day)).y((point) => y(point.estimate))(part)} />
  </g>`)}
  ${from < points.length && from > 0 && html`<circle class=${`dot ${last}`} cx=${x(points[from].day)}
    cy=${y(points[from].estimate)} r="4" />`}`;
}

function Panel({ panel, metric, y, x, started }) {
  const { points, row, letter } = panel;
  const last = points[points.length - 1];
  const write = (value) => change(value, metric.effect, metric.unit).replace(' points', '');
  const ticks = y.ticks(5);
  const step = ticks[1] - ticks[0];
  const least = smallest(metric);
  const clear = row.clear_since && isClear(row.verdict) ? `clear since day ${row.clear_since.day}` : '';
  const labels = spread([
    { y: y(last.high ?? y.domain()[1]), text: absent(last.high) ? '' : write(last.high) },
    { y: y(last.estimate), text: `${letter} ${write(last.estimate)}`, strong: true },
    { y: y(last.low ?? y.domain()[0]), text: absent(last.low) ? '' : write(last.low) },
  ]);
  const name = `${letter}: ${metric.name} ${write(last.estimate)}, ${range([last.low, last.high], metric.effect, metric.unit)} `
    + `after ${points.length} looks, ${verdict(row.verdict).slice(2)}${clear && `, ${clear}`}`;
  return html`<figure><svg class="narrowing" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${name}>
    ${ticks.map((value) => html`<line class=${value ? 'grid' : 'zero'} x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(value)} y2=${y(value)} />
      <text class="small" x=${LEFT - 6} y=${y(value) + 4} text-anchor="end">${tick(onAxis(value, metric.effect, metric.unit), onAxis(step, metric.effect, metric.unit), metric.effect)}</text>`)}
    ${x.ticks(Math.min(5, points.length)).filter(Number.isInteger).map((value) => html`<text class="small" x=${x(value)} y=${HEIGHT - 8}
      text-anchor="middle">${dayOf(new Date(started).getTime() + (value - 1) * DAY_MS)}</text>`)}
    <${Bands} points=${points} x=${x} y=${y} />
    ${least !== null && html`<line class="least" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(least)} y2=${y(least)} />
      <text class="small" x=${LEFT} y=${TOP - 6}>┄ smallest change worth having ${write(least)}</text>`}
    ${!absent(metric.limit) && html`<line class="limit" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(metric.limit)} y2=${y(metric.limit)} />
      <text class="small" x=${LEFT} y=${TOP - 6}>┄ limit ${write(metric.limit)}</text>`}
    ${labels.map((label) => html`<text class=${label.strong ? `strong ${row.verdict}` : 'small'} x=${WIDTH - RIGHT + 6} y=${label.y + 4}>${label.text}</text>`)}
    ${clear && html`<text class=${`strong ${row.verdict}`} x=${(LEFT + WIDTH - RIGHT) / 2} y=${HEIGHT - BOTTOM - 8} text-anchor="middle">${clear}</text>`}
  </svg>
  ${row.drift_since && html`<figcaption>The effect changed over time (seen on day ${row.drift_since.day}). From then on the range is
    that of the present look alone, about the whole time so far.</figcaption>`}</figure>`;
}

function Table({ panels, metric }) {
  const write = (value) => change(value, metric.effect, metric.unit);
  return html`<details><summary>Show as table</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="All looks"><table>
      <caption>${metric.name}: every look</caption>
      <thead><tr><th scope="col" class="text">Day</th><th scope="col">Variant</th><th scope="col">Counted</th><th scope="col">Change</th>
        <th scope="col">Range</th><th scope="col">Verdict</th></tr></thead>
      <tbody>${panels.flatMap(({ points, letter }) => points.map((point) => html`<tr>
        <th scope="row">${point.day}, ${dayOf(point.at)}</th><td>${letter}</td><td>${count(point.n)}</td><td>${write(point.estimate)}</td>
        <td>${range([point.low, point.high], metric.effect, metric.unit)}</td><td>${verdict(point.verdict)}</td></tr>`))}</tbody>
    </table></div></details>`;
}

export function Narrowing({ results, metric, letters, onMetric }) {
  const box = useRef(null);
  const { looks, metrics } = results;
  const panels = metric.comparisons.map((row) => ({ row, letter: letters[row.variant], points: pointsOf(looks, metric, row.variant) }))
    .filter((panel) => panel.points.length > 0);
  const drawn = panels.some((panel) => panel.points.length > 1);
  const x = scaleLinear().domain(extent(panels.flatMap((panel) => panel.points.map((point) => point.day))))
    .range([LEFT, WIDTH - RIGHT]);
  const y = panels.length ? heightOf(panels, metric) : null;
  const save = () => box.current.querySelectorAll('svg').forEach((svg, i) =>
    saveSvg(svg, `${results.experiment.key}-${metric.key}-${panels[i].row.variant}.svg`));
  return html`<section aria-label="How the range narrowed" ref=${box}>
    <h2>How the range narrowed</h2>
    <p class="tools"><label>Metric <select value=${metric.key} onChange=${(event) => onMetric(event.target.value)}>
      ${metrics.map((item) => html`<option value=${item.key}>${item.name}</option>`)}</select></label>
      ${drawn && html`<button onClick=${save}>Save chart as SVG</button>`}</p>
    ${drawn ? html`<div class="panels">${panels.map((panel) => html`<${Panel} key=${panel.row.variant} panel=${panel} metric=${metric}
        x=${x} y=${y} started=${results.experiment.started_at} />`)}</div><${Table} panels=${panels} metric=${metric} />`
      : html`<p class="muted">${panels.length ? 'One look so far: there is one each day.' : 'No look has a figure for this metric yet.'}</p>`}
  </section>`;
}
