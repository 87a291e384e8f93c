// SPDX-License-Identifier: GPL-3.0-or-later
// The decision card: what to do, why, and by which rule. Its colour follows the action.
import { html } from 'htm/preact';
import { count, days } from '../lib/format.js';

const ICONS = { ship: '▲', 'roll-back': '▼', invalid: '✕', diverging: '⚠', stop: '■' };

// In order of precedence: the first that holds.
const RULES = [
  ['invalid', 'The traffic split is off, or too many customers saw two variants: do not decide.'],
  ['roll-back', 'A guardrail is beyond its limit for sure, or a main metric is worse: roll back.'],
  ['too-early', 'Less than the least number of whole weeks: too early.'],
  ['diverging', 'A main metric gains and a guardrail is harmed, perhaps within its limit: a person must decide.'],
  ['ship', 'A main metric is better and every guardrail is within its limit for sure, and neither turns with who answered: ship.'],
  ['unpowered', 'A main metric is better and a guardrail is not yet known: wait for more answers.'],
  ['stop', 'Every range is below the smallest change worth having: stop.'],
  ['your-call', 'The plan is over and none of these holds: your call, with both risks in numbers.'],
  ['keep-running', 'Otherwise: keep running.'],
];

// What the reader may do with the ranges, by the method.
function Reading({ design, schedule }) {
  const level = count(100 * (1 - design.alpha));
  if (design.method === 'fixed') return null;
  if (design.method === 'bayesian') {
    return html`<div class="muted">Ranges hold the change with ${level}% probability if the prior is right. They are not made for
      looking again and again until one is clear.</div>`;
  }
  if (schedule && !schedule.over) {
    return html`<div class="muted">Looks are by schedule: ${schedule.last_look_day ? `the last one was after day ${schedule.last_look_day}` : 'none yet'}${
      schedule.next_look_day ? `, the next is after day ${schedule.next_look_day}` : ''}; ${`${count(schedule.customers)} of ${count(schedule.horizon)} planned customers`}
      are here. Ranges are those of the last look, estimates those of now; between looks nothing is claimed, but of quantiles,
      which may be read at any time. Main metrics share the ${count(100 * design.alpha)}%.</div>`;
  }
  return html`<div class="muted">You may look or stop whenever you like. If every test is read this way, at least
    ${' '}${level} of 100 ranges hold the true change at every look.</div>`;
}

export function Decision({ decision, design, schedule }) {
  const left = days(decision.expected_days_left);
  return html`<section class=${`card ${decision.action}`} aria-label="Decision">
    <p>${ICONS[decision.action] ?? '–'} ${decision.headline}</p>
    <ul>${decision.reasons.map((reason) => html`<li>${reason.text}</li>`)}
      ${left && html`<li>Days left if it stays so: about ${left}.</li>`}
      ${decision.value_per_month !== null && html`<li>Worth about ${count(decision.value_per_month)} a month on the main metric alone.</li>`}</ul>
    <${Reading} design=${design} schedule=${schedule} />
    <details><summary>How this is decided</summary><ol>${RULES.map(([action, text]) => html`<li class=${action === decision.action ? 'holds' : 'muted'}>${text}${
      action === decision.action ? ' (holds here)' : ''}</li>`)}</ol></details>
  </section>`;
}
