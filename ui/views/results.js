// SPDX-License-Identifier: GPL-3.0-or-later
// The results of one experiment: what to do, whether the data can be trusted, every metric with its
// range, how the ranges narrowed, what customers answered, combinations and segments.
import { useState } from 'preact/hooks';
import { html } from 'htm/preact';
import { Narrowing } from '../charts/narrowing.js';
import { saveCsv } from '../lib/download.js';
import { count, day, days, moment, status } from '../lib/format.js';
import { useAsked } from '../lib/state.js';
import { Answers } from './answers.js';
import { Decision } from './decision.js';
import { Factors } from './factors.js';
import { Methods, Metrics } from './metrics.js';
import { Segments } from './segments.js';

function Health({ checks }) {
  return html`<section aria-label="Data health"><h2>Data health</h2>
    <ul class="strip">${checks.map((check) => html`<li class=${check.status}>${status(check.status)} ${check.text}${
      check.since && html` <span class="muted">since ${day(check.since)}</span>`}</li>`)}</ul></section>`;
}

// The address that shows others these very figures.
function linkTo(results) {
  const url = new URL(location.href);
  url.searchParams.set('asof', results.as_of);
  return url.href;
}

function Tools({ results, source, apiKey }) {
  const [told, tell] = useState('');
  const copy = async () => {
    const link = linkTo(results);
    try {
      await navigator.clipboard.writeText(link);
      tell('The link is copied.');
    } catch {
      tell(link); // without a secure connection browsers do not let pages copy
    }
  };
  const csv = async () => {
    const path = `${source}${source.includes('?') ? '&' : '?'}format=csv`;
    tell(await saveCsv(path, apiKey, `${results.experiment.key}.csv`));
  };
  return html`<p class="tools"><button onClick=${copy}>Copy link</button><button onClick=${csv}>Download CSV</button>
    <span role="status">${told}</span></p>`;
}

export function Results({ results, source, apiKey }) {
  const { experiment, metrics, health, segments, decision } = results;
  const [raw, setRaw] = useAsked('raw');
  const [chosen, setChosen] = useAsked('metric');
  const [asOf] = useAsked('asof');
  const letters = Object.fromEntries(experiment.variants.map((variant) => [variant.key, variant.letter]));
  const invalid = decision.action === 'invalid';
  const shown = !invalid || raw === '1';
  const main = metrics.find((metric) => metric.role === 'primary') ?? metrics[0];
  const metric = metrics.find((item) => item.key === chosen) ?? main;
  const exposed = experiment.variants.some((variant) => variant.exposed > 0);
  const planned = days(results.planned_days);
  document.title = `${experiment.name} · Uplift`;
  return html`<p><a href="/experiments">Experiments</a> / ${experiment.key}</p>
    <h1>${experiment.name} <span class="pill">${experiment.state}, day ${results.day}${planned && ` of about ${planned}`}</span></h1>
    ${asOf && html`<p class="stale">As of ${moment(results.as_of)}. <a href=${location.pathname}>See now</a></p>`}
    <p class="muted">${experiment.variants.map((variant) => `${variant.letter} ${variant.name} ${count(variant.exposed)}`).join(' · ')}</p>
    <${Tools} results=${results} source=${source} apiKey=${apiKey} />
    <${Decision} decision=${decision} design=${results.design} schedule=${results.schedule} />
    <${Health} checks=${health} />
    ${results.rebuilding && html`<p class="stale">Figures are being counted anew: ${count(100 * results.rebuilding.done)}% done.
      Until then these are the last ones, of ${moment(results.as_of)}.</p>`}
    ${results.sealed && html`<p class="muted">The figures of ${count(results.sealed.units)} customers are final since ${day(results.sealed.since)}:
      their events are no longer kept.</p>`}
    <h2>Metrics, change against A</h2>
    ${!exposed && html`<p>Nobody has been exposed yet. Record the first exposure:</p>
      <pre class="scroll" tabindex="0">${`curl -H "Authorization: Bearer $KEY" ${location.origin}/v1/assign -d '
  {"customer": "c-1", "experiments": ["${experiment.key}"], "track": true}'`}</pre>`}
    ${!metrics.length ? html`<p>No metric is attached yet.</p>`
      : !shown ? html`<p><button onClick=${() => setRaw('1')}>Show the figures anyway</button></p>`
        : html`<${Metrics} metrics=${metrics} design=${results.design} letters=${letters} hidden=${invalid} /><${Methods} metrics=${metrics} />
          ${experiment.factors && html`<${Factors} experiment=${experiment} metric=${main} hidden=${invalid} />`}
          <${Narrowing} results=${results} metric=${metric} letters=${letters} onMetric=${(key) => setChosen(key === main.key ? '' : key)} />`}
    ${metrics.filter((item) => item.answers).map((item) => (item.answers.some((row) => row.n > 0)
      ? html`<${Answers} metric=${item} letters=${letters} />`
      : html`<h2>${item.name}: answers</h2><p>${item.answers.map((row) => `${letters[row.variant]}: 0 of ${count(row.asked)} asked have answered`).join(' · ')}.</p>`))}
    ${shown && html`<${Segments} segments=${segments} letters=${letters} hidden=${invalid} />`}
    <p class="muted">Figures as of <time datetime=${results.as_of}>${moment(results.as_of)}</time>; days are days in ${results.zone}.
      Method ${results.design.method}, ${results.design.effect} effects, correction ${results.design.correction}.</p>`;
}
