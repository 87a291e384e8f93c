// SPDX-License-Identifier: GPL-3.0-or-later
// Decisions of experiments that hang together (sticky, prerequisites, holdouts, layers), held against a
// small evaluator written here from the guide: random definitions offline by `uplift explain`, and over
// HTTP with exposures recorded on the way. UPLIFT_DECISIONS says how many of the former (4,000).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bin, serve } from './serving.mjs';

const COUNT = Number(process.env.UPLIFT_DECISIONS ?? 4000);

let seed = 1;
const draw = (below) => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return (seed >>> 8) % below; };
const chance = (one) => draw(one) === 0;
const pick = (list) => list[draw(list.length)];

// --- the evaluator ---

const fnv = (text) => {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619) >>> 0;
  return hash;
};
const bucket = (key, customer) => (fnv(String(fnv(key + customer))) % 10000) / 10000;

function byBucket(e, customer) {
  const n = bucket(e.seed ?? e.key, customer), sum = e.variants.reduce((all, { weight }) => all + weight, 0);
  for (let i = 0, from = 0; i < e.variants.length; i++) {
    const share = e.variants[i].weight / sum;
    if (n >= from && n < from + (e.traffic ?? 1) * share) return i;
    from += share;
  }
  return -1;
}

const matches = (audience, attributes) => Object.entries(audience ?? {}).every(([name, value]) => attributes[name] === value);

// Holdouts that cover it, in the order in which they are asked.
const holdoutsOf = (world, e) => Object.values(world)
  .filter(({ holdout: h, state, at }) => h && state === 'running' && (at === undefined || e.at >= at)
    && (!(h.experiments ?? h.tags) || h.experiments?.includes(e.key) || h.tags?.some((tag) => e.tags?.includes(tag))))
  .sort((a, b) => (a.key < b.key ? -1 : 1));
const isHeld = (holdout, customer) => byBucket(holdout, customer) === 0;

// What the experiment gives: {variant: index or -1, reason, inside}.
function decide(world, e, who) {
  const is = (reason, variant = 0, inside = false) => ({ variant, reason, inside });
  const met = () => (e.prerequisites ?? []).every(({ experiment, variants }) => {
    const parent = world[experiment], { variant } = decide(world, parent, who);
    return variant >= 0 && variants.includes(parent.variants[variant].key);
  });
  const walk = () => {
    if (['draft', 'archived'].includes(e.state)) return is('not-running', -1);
    if (e.state === 'paused') return is('paused');
    if (e.state === 'stopped') {
      if (!e.winner) return is('stopped', e.holdout ? 1 : 0);
      if (!met()) return is('prerequisite');
      return matches(e.audience, who.attributes) ? is('winner', e.variants.findIndex(({ key }) => key === e.winner)) : is('not-in-audience');
    }
    const forced = e.overrides?.[who.customer];
    if (forced) return is('override', e.variants.findIndex(({ key }) => key === forced));
    if (!met()) return is('prerequisite');
    if (e.layer) {
      const n = bucket(e.layer.key, who.customer);
      if (n < e.layer.range[0] || n >= e.layer.range[1]) return is('not-in-layer');
    }
    const held = e.sticky ? who.held[e.key] : undefined;
    if (held) return is('sticky', e.variants.findIndex(({ key }) => key === held), true);
    if (!matches(e.audience, who.attributes)) return is('not-in-audience');
    const variant = byBucket(e, who.customer);
    return variant < 0 ? is('not-in-traffic') : is('assigned', variant, !e.holdout);
  };
  const result = walk();
  if (e.holdout || !(result.inside || result.reason === 'winner')) return result;
  const holder = holdoutsOf(world, e).find((holdout) => isHeld(holdout, who.customer));
  return holder ? { ...is('holdout'), holder: holder.key, exposes: result.inside && !e.prerequisites?.length } : result;
}

// --- random definitions ---

const countries = ['DE', 'FR', 'US'];

function randomExperiment(i, before) {
  const e = { key: `e${i}`, variants: [] };
  for (let v = 0; v < 2 + draw(3); v++) e.variants.push({ key: `v${v}`, weight: 1 + draw(5) });
  if (chance(3)) e.tags = ['t'];
  if (chance(6)) {
    e.holdout = pick([{}, {}, { tags: ['t'] }, { experiments: [...new Set([`e${draw(10)}`, `e${draw(10)}`])] }]);
    e.variants = [{ key: 'held', weight: 1 }, { key: 'open', weight: 1 + draw(5) }];
    e.state = pick(['draft', 'running', 'running', 'running', 'stopped']);
    if (e.state === 'stopped' && chance(2)) e.winner = pick(e.variants).key;
    return e;
  }
  if (chance(3)) e.traffic = (1 + draw(9)) / 10;
  if (chance(3)) e.audience = { country: pick(countries) };
  if (chance(4)) { const from = draw(8) / 10; e.layer = { key: pick(['l', 'm']), range: [from, from + 0.2] }; }
  if (chance(3)) e.sticky = true;
  if (chance(4)) e.overrides = { [`c-${draw(40)}`]: pick(e.variants).key };
  const parents = before.filter(({ holdout }) => !holdout);
  if (parents.length && chance(2)) {
    e.prerequisites = [...new Set([pick(parents), pick(parents)])].map((parent) => ({
      experiment: parent.key, variants: parent.variants.map(({ key }) => key).filter((_, v) => v === 0 ? chance(3) : !chance(3)),
    })).filter(({ variants }) => variants.length);
  }
  e.state = pick(['draft', 'running', 'running', 'running', 'running', 'running', 'paused', 'stopped', 'stopped']);
  if (e.state === 'stopped' && !chance(3)) e.winner = pick(e.variants).key;
  return e;
}

function randomWorld(size, ...list) {
  for (let i = list.length; i < size; i++) list.push(randomExperiment(i, list));
  return list;
}

const worldOf = (list) => Object.fromEntries(list.map((e) => [e.key, e]));

test('decisions offline are those of another evaluator', { timeout: 300_000 }, () => {
  console.log(`# seed ${seed}`);
  const questions = [], expected = [], seen = {};
  for (let i = 0; i < COUNT; i++) {
    const list = randomWorld(6), world = worldOf(list), e = pick(list);
    const who = { customer: `c-${draw(40)}`, attributes: { country: pick(countries) }, held: {} };
    for (const other of list) if (chance(2)) who.held[other.key] = pick(other.variants).key;
    questions.push(JSON.stringify({ experiment: e, others: list.filter((other) => other !== e), ...who }));
    expected.push({ e, ...decide(world, e, who) });
  }
  const lines = execFileSync(bin, ['explain', '--lines'], { input: questions.join('\n') + '\n', maxBuffer: 1 << 30 }).toString().trim().split('\n');
  assert.equal(lines.length, COUNT);
  lines.forEach((line, i) => {
    const { e, variant, reason, inside } = expected[i], is = JSON.parse(line);
    assert.deepEqual([is.variant, is.reason, is.in_experiment], [e.variants[variant]?.key ?? null, reason, inside], `${questions[i]}\n${line}`);
    assert.deepEqual([is.holdout, is.exposes], [expected[i].holder, expected[i].exposes], `${questions[i]}\n${line}`);
    seen[reason] = (seen[reason] ?? 0) + 1;
  });
  console.log(`# ${JSON.stringify(seen)}`);
  for (const reason of ['assigned', 'sticky', 'override', 'not-running', 'paused', 'stopped', 'winner', 'prerequisite', 'holdout', 'not-in-layer', 'not-in-audience', 'not-in-traffic'])
    assert.ok(seen[reason] > COUNT / 500, reason);
});

// --- over HTTP ---

const folder = mkdtempSync(join(tmpdir(), 'uplift-definitions-'));

async function must(server, method, path, body, headers) {
  const { status, text, json } = await server.ask(method, path, body, headers);
  assert.ok(status < 300, `${method} ${path}: ${status} ${text}`);
  return json;
}

const change = (server, key, body) => must(server, 'PATCH', `/v1/experiments/${key}`, body, { 'If-Match': '*' });

test('a sticky experiment keeps its customers when weights change', async () => {
  const server = await serve(folder, { options: ['--rate', '0'] });
  const e = { key: 'sticky', sticky: true, variants: [{ key: 'a', weight: 1 }, { key: 'b', weight: 1 }] }, held = {};
  await must(server, 'POST', '/v1/experiments', e);
  await must(server, 'POST', '/v1/experiments/sticky/start');
  for (const weights of [[1, 1], [9, 1], [0, 1], [1, 3]]) {
    e.variants.forEach((variant, i) => { variant.weight = weights[i]; });
    await change(server, 'sticky', { variants: e.variants });
    for (let i = 0; i < 60; i++) {
      const customer = `c-${draw(100)}`, who = { customer, attributes: {}, held: { sticky: held[customer] } };
      const expected = decide({ sticky: e }, { ...e, state: 'running' }, who);
      const { assignments: [is] } = await must(server, 'POST', '/v1/assign', { customer, track: !chance(3) });
      assert.deepEqual([is.variant, is.reason], [e.variants[expected.variant].key, expected.reason]);
      const { assignments: [again] } = await must(server, 'POST', '/v1/explain', { customer });
      if (again.reason === 'sticky') held[customer] = again.variant;
      if (again.reason === 'sticky') assert.ok(again.trace.some(({ step, passed, variant }) => step === 'sticky' && passed && variant === is.variant));
      assert.equal(again.variant, is.variant);
    }
  }
  const { health } = await must(server, 'GET', '/v1/experiments/sticky/results');
  assert.equal(health.find(({ id }) => id === 'crossovers').evidence.customers, 0);
  const { status, json } = await server.ask('PATCH', '/v1/experiments/sticky', { sticky: false }, { 'If-Match': '*' });
  assert.equal(status, 409);
  assert.match(json.detail, /new phase/);
  assert.deepEqual(await server.stop(), [0, null]);
  rmSync(folder, { recursive: true, force: true });
});

test('decisions of a server are those of another evaluator', { timeout: 120_000 }, async () => {
  const server = await serve(folder, { options: ['--rate', '0'] });
  console.log(`# seed ${seed}`);
  const first = { key: 'e0', state: 'running', holdout: {}, variants: [{ key: 'held', weight: 1 }, { key: 'open', weight: 2 }] };
  const list = randomWorld(25, first).filter(({ layer }, i, all) => !layer || all.findIndex((other) => other.layer?.key === layer.key && Math.abs(other.layer.range[0] - layer.range[0]) < 0.2) === i);
  const kept = new Set(list.map(({ key }) => key)), world = worldOf(list), held = {};
  for (const e of list) {
    const { state, winner, ...definition } = e;
    if (e.prerequisites) definition.prerequisites = e.prerequisites = e.prerequisites.filter(({ experiment }) => kept.has(experiment));
    await must(server, 'POST', '/v1/experiments', definition);
    for (const step of { running: ['start'], paused: ['start', 'pause'], stopped: ['start', 'stop'] }[state] ?? [])
      e.at = Date.parse((await must(server, 'POST', `/v1/experiments/${e.key}/${step}`, step === 'stop' ? { winner: winner ?? null, reason: 'test' } : undefined)).started_at);
  }
  const exposed = Object.fromEntries(list.map(({ key }) => [key, {}])); // customer → variant
  for (let i = 0; i < 300; i++) {
    const customer = `c-${draw(150)}`, who = { customer, attributes: { country: pick(countries) }, held: held[customer] ?? {} };
    const track = chance(2);
    const { assignments } = await must(server, 'POST', '/v1/assign', { customer, attributes: who.attributes, track });
    assert.equal(assignments.length, list.filter(({ state }) => state !== 'draft').length);
    for (const is of assignments) {
      const expected = decide(world, world[is.experiment], who), key = world[is.experiment].variants[expected.variant].key;
      assert.deepEqual([is.variant, is.reason, is.in_experiment], [key, expected.reason, expected.inside], is.experiment);
    }
    if (!track) continue;
    held[customer] ??= {};
    for (const is of assignments) {
      const e = world[is.experiment];
      if (is.in_experiment) exposed[e.key][customer] = held[customer][e.key] ??= is.variant;
      if (e.prerequisites?.length || !(is.in_experiment || is.exposes)) continue;
      for (const holdout of holdoutsOf(world, e)) {
        exposed[holdout.key][customer] = isHeld(holdout, customer) ? 'held' : 'open';
        if (isHeld(holdout, customer)) break;
      }
    }
  }
  assert.equal(new Set(Object.values(exposed.e0)).size, 2, 'both variants of the holdout are exposed');
  for (const e of list.filter(({ state }) => state !== 'draft')) {
    const { experiment, health } = await must(server, 'GET', `/v1/experiments/${e.key}/results`);
    for (const { key, exposed: count } of experiment.variants)
      assert.equal(count, Object.values(exposed[e.key]).filter((variant) => variant === key).length, `${e.key} ${key}`);
    assert.equal(health.find(({ id }) => id === 'crossovers').evidence.customers, 0, e.key);
  }
  assert.deepEqual(await server.stop(), [0, null]);
  rmSync(folder, { recursive: true, force: true });
});

test('exposures of who is held out are of the holdout alone, once, and refused where they say nothing of it', async () => {
  const server = await serve(folder, { options: ['--rate', '0'] });
  const variants = [{ key: 'a' }, { key: 'b' }];
  const start = async (definition) => {
    await must(server, 'POST', '/v1/experiments', definition);
    await must(server, 'POST', `/v1/experiments/${definition.key}/start`);
  };
  await start({ key: 'before', tags: ['x'], variants });
  await start({ key: 'held-all', holdout: {}, variants: [{ key: 'out', weight: 1 }, { key: 'in', weight: 0 }] });
  await start({ key: 'held-none', holdout: { tags: ['x'] }, variants: [{ key: 'out', weight: 0 }, { key: 'in', weight: 1 }] });
  await start({ key: 'after', tags: ['x'], variants });
  await start({ key: 'needing', variants, prerequisites: [{ experiment: 'after', variants: ['a'] }] });
  const at = new Date(Date.now() + 1000).toISOString();
  const events = ['before', 'after', 'needing'].map((experiment) => ({ id: experiment, type: 'exposure', customer: 'c', experiment, variant: 'b', at }));
  assert.deepEqual(await must(server, 'POST', '/v1/events', events), { rejected: [{ index: 2, error: 'customer: is held out by "held-all"' }], accepted: 2, duplicates: 0 });
  assert.equal((await must(server, 'POST', '/v1/events', events)).duplicates, 2);
  const { units } = await must(server, 'GET', '/v1/customers/c');
  assert.deepEqual(units.map(({ experiment, variant }) => [experiment, variant]).sort(), [['before', 'b'], ['held-all', 'out']]);
  const { assignments } = await must(server, 'POST', '/v1/assign', { customer: 'c' });
  assert.deepEqual(assignments.map(({ experiment, reason, exposes }) => [experiment, reason, exposes]), [['after', 'holdout', true],
    ['before', 'assigned', undefined], ['held-all', 'assigned', undefined], ['held-none', 'assigned', undefined], ['needing', 'holdout', false]]);
  // Ended, it holds nobody.
  await must(server, 'POST', '/v1/experiments/held-all/stop', { reason: 'test' });
  assert.equal((await must(server, 'POST', '/v1/assign', { customer: 'c', experiments: ['after'], track: true })).assignments[0].reason, 'assigned');
  const now = (await must(server, 'GET', '/v1/customers/c')).units.map(({ experiment, variant }) => [experiment, variant]);
  assert.deepEqual(now.filter(([experiment]) => experiment === 'held-none'), [['held-none', 'in']]);
  for (const [key, body, message] of [['after', { tags: [] }, /no more/], ['held-none', { holdout: { tags: ['y'] } }, /new phase/]]) {
    const { status, json } = await server.ask('PATCH', `/v1/experiments/${key}`, body, { 'If-Match': '*' });
    assert.equal(status, 409);
    assert.match(json.detail, message);
  }
  for (const step of ['pause', 'new-phase'])
    assert.equal((await server.ask('POST', `/v1/experiments/held-none/${step}`)).status, 409);
  for (const field of [{ audience: { a: 1 } }, { traffic: 0.5 }, { sticky: true }, { overrides: { c: 'a' } }, { layer: { key: 'l', range: [0, 1] } }, { holdout: { colour: 1 } }, { variants: [...variants, { key: 'c' }] }]) {
    const { status } = await server.ask('POST', '/v1/experiments', { key: 'wrong', holdout: {}, variants, ...field });
    assert.equal(status, 400, JSON.stringify(field));
  }
  assert.deepEqual(await server.stop(), [0, null]);
  rmSync(folder, { recursive: true, force: true });
});

test('layers tell who has which range', async () => {
  const server = await serve(folder, { options: ['--rate', '0'] });
  const variants = [{ key: 'a' }, { key: 'b' }];
  await must(server, 'POST', '/v1/experiments', { key: 'one', variants, layer: { key: 'l', range: [0, 0.5] } });
  await must(server, 'POST', '/v1/experiments', { key: 'two', variants, layer: { key: 'l', range: [0.25, 0.75] } });
  await must(server, 'POST', '/v1/experiments/one/start');
  const { layers, cursor } = await must(server, 'GET', '/v1/layers');
  assert.equal(cursor, null);
  assert.deepEqual(layers, [await must(server, 'GET', '/v1/layers/l')]);
  assert.deepEqual(layers[0].free, [[0.5, 1]]);
  assert.deepEqual(layers[0].experiments.map(({ key, holds, overlaps }) => [key, holds, overlaps]), [['one', true, []], ['two', false, ['one']]]);
  assert.equal((await server.ask('POST', '/v1/experiments/two/start')).status, 409);
  assert.equal((await server.ask('GET', '/v1/layers/none')).status, 404);
  assert.deepEqual(await server.stop(), [0, null]);
  rmSync(folder, { recursive: true, force: true });
});
