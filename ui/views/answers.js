// SPDX-License-Identifier: GPL-3.0-or-later
// What customers answered, per variant: one bar in three parts, the score with its range, and behind
// it every score and who answered.
import { html } from 'htm/preact';
import { absent, change, count, level, pValue, range } from '../lib/format.js';

// The least score, by how many scores the survey has.
const LEAST = { 11: 0, 5: 1, 7: 1 };

function Bar({ row, letter }) {
  const parts = row.groups;
  const label = `${letter}: ${parts[0]} low, ${parts[1]} middle, ${parts[2]} high of ${row.n} answers`;
  let x = 0;
  return html`<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=${label}>${parts.map((part, i) => {
    const width = row.n ? (part / row.n) * 100 : 0;
    x += width;
    return html`<rect class=${['low', 'middle', 'high'][i]} x=${x - width} width=${width} height="10" />`;
  })}</svg>`;
}

function Scores({ metric, letters, least }) {
  const { answers } = metric;
  return html`<details><summary>Every score</summary>
    <div class="scroll" tabindex="0" role="region" aria-label=${`${metric.name}: every score`}><table>
      <thead><tr><th scope="col" class="text">Score</th>${answers.map((row) => html`<th scope="col">${letters[row.variant]}</th>`)}</tr></thead>
      <tbody>${answers[0].counts.map((_, i) => html`<tr><th scope="row">${i + least}</th>
        ${answers.map((row) => html`<td>${count(row.counts[i])}</td>`)}</tr>`)}</tbody></table></div></details>`;
}

// One comparison in sentences: do both answer alike, what is left once that is corrected, and bounds.
function Who({ row, letter, unit }) {
  const { response } = row;
  const [control, treatment] = response.rates;
  const by = response.post_stratified_by ? ` by ${response.post_stratified_by}` : '';
  const turning = response.by_segment.filter((item) => item.sign_agrees === false);
  const differ = absent(response.p_value) ? 'nothing to compare yet'
    : `${response.p_value < 0.05 ? 'they may differ' : 'no sign of a difference'} (p ${pValue(response.p_value)}, one look)`;
  const effect = (value) => change(value, 'absolute', unit);
  return html`<li>${letter} answered ${level(treatment, 'share')}, A ${level(control, 'share')}: ${differ}.
    ${!absent(response.naive) && html` Among those who answered the change is ${effect(response.naive)}${
      absent(response.post_stratified) ? '.' : `; weighted to everybody exposed${by} it is ${effect(response.post_stratified)
      } (range ${range(response.post_stratified_interval, 'absolute', unit)}).`}`}
    ${turning.map((item) => html` <strong>⚠ Weighted${item.segment ? ` by ${item.segment}` : ''} it turns: ${effect(item.post_stratified)}.</strong>`)}
    ${response.lee && html` For those who would answer either way it lies between ${range(response.lee, 'absolute', unit)}${
      response.lee_interval ? ` (with chance: ${range(response.lee_interval, 'absolute', unit)})` : ''}.`}</li>`;
}

function WhoAnswered({ metric, letters }) {
  const rows = metric.comparisons.filter((row) => row.response);
  return rows.length > 0 && html`<details><summary>Who answered</summary>
    <ul>${rows.map((row) => html`<${Who} row=${row} letter=${letters[row.variant]} unit=${metric.unit} />`)}</ul></details>`;
}

export function Answers({ metric, letters }) {
  const least = LEAST[metric.answers[0].counts.length];
  const { unit } = metric;
  return html`<section aria-label=${`${metric.name}: answers`}><h2>${metric.name}: answers</h2>
    <div class="answers">${metric.answers.map((row) => html`
      <span>${letters[row.variant]}, n = ${count(row.n)}</span>
      <${Bar} row=${row} letter=${letters[row.variant]} />
      <span><strong>${level(row.score, unit)}</strong> ${row.interval && html`<span class="muted">${level(row.interval[0], unit)} to ${level(row.interval[1], unit)}</span>`}
        ${' '}${row.rate !== null && html`<small class="muted">answered ${level(row.rate, 'share')}</small>`}</span>`)}</div>
    <p class="muted">Only those who answered are in these figures.</p>
    <${WhoAnswered} metric=${metric} letters=${letters} />
    <${Scores} metric=${metric} letters=${letters} least=${least} /></section>`;
}
