// SPDX-License-Identifier: GPL-3.0-or-later
// GrowthBook's JavaScript SDK as it is published: for 10,000 customers each (UPLIFT_CUSTOMERS for
// more) it decides as POST /v1/assign and POST /api/eval do, in every state and part that an
// experiment may have; it sees a change by the stream; its tracking plugin counts. The seed of the
// customers is printed; UPLIFT_SEED gives one.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { lane, post, serve, until } from '../e2e/serving.mjs';
import { EventSource, sdk } from './clients.mjs';

const { configureCache, GrowthBook, GrowthBookClient, LocalStorageStickyBucketService, setPolyfills } = sdk('@growthbook/growthbook');
const { growthbookTrackingPlugin } = sdk('@growthbook/growthbook/plugins');
const folder = mkdtempSync(join(tmpdir(), 'uplift-growthbook-'));
const seed = Number(process.env.UPLIFT_SEED ?? Date.now() % 1_000_000);
const COUNT = Number(process.env.UPLIFT_CUSTOMERS ?? 10_000);
let server, clientKey, apiHost;

setPolyfills({ EventSource });

const admin = async (method, path, body, headers) => {
  const answer = await server.ask(method, path, body, headers);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.json;
};
const step = (key, word, body) => admin('POST', `/v1/experiments/${key}/${word}`, body);
const two = (a, b, more = {}) => [{ key: 'a', value: a, ...more.a }, { key: 'b', value: b, ...more.b }];

// Each is started; the rest of the list are steps that follow.
const definitions = [
  [{ key: 'plain', variants: two(false, true) }],
  [{ key: 'no-values', variants: [{ key: 'a' }, { key: 'b' }, { key: 'c' }, { key: 'd' }, { key: 'e' }, { key: 'f' }, { key: 'g' }], traffic: 0.83 }],
  [{ key: 'odd-weights', variants: [{ key: 'a', value: 'A', weight: 0.2 }, { key: 'b', value: 'B', weight: 0.3 }, { key: 'c', value: 'C', weight: 0.7 }], traffic: 0.37 }],
  [{ key: 'lopsided', variants: [{ key: 'a', value: 1, weight: 0.001 }, { key: 'b', value: 2.5, weight: 0 }, { key: 'c', value: -1e21, weight: 11.7 }] }],
  [{ key: 'nearly-one', variants: [{ key: 'a', value: 0, weight: 0.331 }, { key: 'b', value: 1, weight: 0.331 }, { key: 'c', value: 0.1, weight: 0.33 }], traffic: 0.07 }],
  [{ key: 'seeded', seed: 'sämling-💶', variants: two('', 'x') }],
  [{ key: 'audience', audience: { country: { $in: ['DE', 'FR'] }, age: { $gte: 18 } }, variants: two({ a: [1, { b: null }] }, { a: [] }) }],
  [{ key: 'conditions', audience: { $or: [{ $and: [{ tags: { $elemMatch: { $eq: 'x' } } }, { $not: { country: 'DE' } }] }, { 'nested.deep': { $exists: true } }, { version: { $vgte: '2.10.0' } }, { mail: { $regex: '^k.*@example' } }] }, variants: two(1, 2) }],
  [{ key: 'missing', audience: { age: { $lt: 5 }, plan: { $ne: 'pro' } }, variants: two(1, 2) }],
  [{ key: 'by-id', audience: { id: { $nin: ['c-1', 'c-2'] } }, variants: two(1, 2) }],
  [{ key: 'layer-low', layer: { key: 'shared', range: [0, 0.35] }, variants: two(1, 2), traffic: 0.5 }],
  [{ key: 'layer-high', layer: { key: 'shared', range: [0.35, 1] }, variants: two(1, 2), overrides: { 'c-3': 'b', 'künde-💶-4': 'b', 'c-5': 'a' }, audience: { country: 'FR' } }],
  [{ key: 'overridden', overrides: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`c-${i}`, ['a', 'b', 'c'][i % 3]])), variants: [{ key: 'a', value: 'A' }, { key: 'b', value: 'B' }, { key: 'c', value: 'C' }] }],
  [{ key: 'phased', variants: two(1, 2) }, ['new-phase', { traffic: 0.6 }], ['new-phase', { variants: [{ key: 'x', value: 'X', weight: 1 }, { key: 'y', value: 'Y', weight: 2 }] }]],
  [{ key: 'factors', factors: [{ key: 'layout', levels: ['grid', 'list'] }, { key: 'tone', levels: ['soft', 'pushy', 'none'] }] }],
  [{ key: 'paused', variants: two(1, 2), overrides: { 'c-1': 'b' } }, ['pause']],
  [{ key: 'resumed', variants: two(1, 2) }, ['pause'], ['resume']],
  [{ key: 'stopped', variants: two(1, 2) }, ['stop', { reason: 'r' }]],
  [{ key: 'won', variants: two(1, 2), overrides: { 'c-1': 'a' } }, ['stop', { winner: 'b', reason: 'r' }]],
  [{ key: 'won-there', audience: { country: 'DE' }, layer: { key: 'shared-2', range: [0, 0.1] }, variants: two(1, 2) }, ['stop', { winner: 'b', reason: 'r' }]],
  [{ key: 'child', prerequisites: [{ experiment: 'plain', variants: ['b'] }], audience: { country: { $ne: 'US' } }, variants: two(1, 2) }],
  [{ key: 'of-objects', prerequisites: [{ experiment: 'audience', variants: ['b'] }, { experiment: 'odd-weights', variants: ['a', 'c'] }], layer: { key: 'shared-3', range: [0.2, 1] }, overrides: { 'c-7': 'b' }, variants: two('p', 'q') }],
  [{ key: 'grandchild', prerequisites: [{ experiment: 'child', variants: ['a'] }, { experiment: 'won-there', variants: ['b'] }], variants: two(false, true) }],
  [{ key: 'child-won', prerequisites: [{ experiment: 'plain', variants: ['b'] }], variants: two(1, 2) }, ['stop', { winner: 'b', reason: 'r' }]],
  [{ key: 'child-of-control', prerequisites: [{ experiment: 'overridden', variants: ['a', 'b'] }], variants: two(1, 2) }, ['stop', { winner: 'b', reason: 'r' }]],
  [{ key: 'archived', variants: two(1, 2) }, ['stop', { reason: 'r' }], ['archive']],
];
const unknown = ['draft', 'archived'];

// One random number after another: mulberry32.
let state = seed;
const random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};
const one = (list) => list[Math.floor(random() * list.length)];
const customers = Array.from({ length: COUNT }, (_, i) => {
  const id = i < 40 ? `c-${i}` : one([`c-${i}`, `c-${i}`, `künde-💶-${i}`, `${'長'.repeat(1 + i % 60)}${i}`, `${Math.floor(random() * 1e12)}`, `a b/${i}?x=1&y#"\\`, `\u{10ffff}\uffff${i}`]);
  const attributes = { id, country: one(['DE', 'FR', 'US', null, 5]), age: one([17, 18, 18.5, '30', 0, undefined]), tags: one([['x', 'y'], [], ['y'], 'x', undefined]),
    nested: one([{ deep: 0 }, { deep: null }, { shallow: 1 }, undefined]), version: one(['2.9.9', '2.10.0', 'v3.0.0-rc.1', '', undefined]), mail: one(['k@example.org', 'x@example.org', undefined]), plan: one(['pro', 'free', undefined]) };
  return JSON.parse(JSON.stringify(attributes));
});

// Does `work` for each, with connections of its own to ask by: 10,000 fetches cost more than the rest.
async function each(list, work, count = 4) {
  let next = 0;
  await Promise.all(Array.from({ length: count }, async () => {
    const line = lane(server.port);
    while (next < list.length) await work(list[next++], line);
    line.end();
  }));
}

const sorted = (object) => object && Object.entries(object).sort();
const same = (a, b, what) => { if (JSON.stringify(a) !== JSON.stringify(b)) assert.fail(`${what()}: ${JSON.stringify(a)} is not ${JSON.stringify(b)}`); };

before(async () => {
  console.log(`# seed ${seed}`);
  server = await serve(join(folder, 'data'));
  apiHost = server.url;
  clientKey = (await admin('POST', '/v1/keys', { kind: 'client' })).key;
  await admin('POST', '/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' });
  await admin('POST', '/v1/metrics', { key: 'spent', kind: 'mean', event: 'order' });
  for (const [definition, ...steps] of definitions) {
    await admin('POST', '/v1/experiments', definition);
    await step(definition.key, 'start');
    for (const [word, body] of steps) await step(definition.key, word, body);
  }
  await admin('POST', '/v1/experiments', { key: 'draft', variants: two(1, 2) });
});

after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const connected = async (options = {}) => {
  const client = new GrowthBookClient({ apiHost, clientKey, ...options });
  const { success, error } = await client.init({ skipCache: true, streaming: false });
  assert.ok(success, error);
  return client;
};

test('SDK, POST /v1/assign and POST /api/eval agree on every customer, variant and value', async (t) => {
  const client = await connected();
  const seen = {};
  await each(customers, async (attributes, line) => {
    const { id } = attributes;
    line.write(post(server, '/v1/assign', { customer: id, attributes }));
    line.write(post(server, `/api/eval/${clientKey}`, { attributes, forcedVariations: {}, forcedFeatures: [], url: '' }));
    const [{ assignments }, remote] = [JSON.parse((await line.answer()).body), JSON.parse((await line.answer()).body)];
    assert.equal(assignments.length, definitions.length - 1);
    for (const is of assignments) {
      const say = () => `${is.experiment} for ${JSON.stringify(attributes)}`;
      const local = client.evalFeature(is.experiment, { attributes });
      const result = local.source === 'experiment' ? local.experimentResult : undefined;
      const { defaultValue, rules } = remote.features[is.experiment];
      same(local.value, is.value, say);
      same(rules ? rules[0].force : defaultValue, is.value, say);
      same(!!result?.inExperiment, is.in_experiment, say);
      if (result) same([result.key, result.bucket, result.hashValue, local.experiment.key], [is.variant, is.bucket, id, is.experiment], say);
      same(sorted(rules?.[0].tracks[0].result), sorted(result), say);
      const kind = `${is.experiment} ${is.variant} ${is.reason}`;
      seen[kind] = (seen[kind] ?? 0) + 1;
    }
    for (const key of unknown)
      assert.equal(client.evalFeature(key, { attributes }).source, 'unknownFeature');
  });
  t.diagnostic(`${Object.keys(seen).length} kinds of decisions`);
  for (const kind of ['no-values g assigned', 'odd-weights a not-in-traffic', 'lopsided c assigned', 'audience a not-in-audience', 'audience b assigned', 'conditions b assigned', 'conditions a not-in-audience', 'missing b assigned',
    'layer-low a not-in-layer', 'layer-high b override', 'layer-high b assigned', 'overridden c override', 'phased y assigned', 'factors list-none assigned', 'paused a paused', 'resumed b assigned', 'stopped a stopped', 'won b winner', 'won-there b winner', 'won-there a not-in-audience',
    'child b assigned', 'child a prerequisite', 'of-objects b assigned', 'of-objects a prerequisite', 'grandchild b assigned', 'grandchild a prerequisite', 'child-won b winner', 'child-won a prerequisite', 'child-of-control b winner'])
    assert.ok(seen[kind] > 0, `${kind} was never met`);
  assert.ok(!seen['lopsided b assigned']);
  client.destroy();
});

test('who is held out is so here and there, also where a variant is forced or there is no id', async () => {
  await admin('POST', '/v1/experiments', { key: 'held', holdout: { tags: ['held'] }, variants: [{ key: 'held-out', weight: 0.3 }, { key: 'open', weight: 0.7 }] });
  await step('held', 'start');
  await admin('POST', '/v1/experiments', { key: 'covered', tags: ['held'], audience: { country: 'DE' }, variants: two(1, 2) });
  await step('covered', 'start');
  let forcedAway = 0;
  for (const attributes of [{ country: 'DE' }, ...customers.slice(0, 300)])
    for (const forcedVariations of [{}, { covered: 1 }]) {
      const gb = new GrowthBook({ apiHost, clientKey, attributes, forcedVariations });
      await gb.init({ skipCache: true, streaming: false });
      const { features } = await (await fetch(`${apiHost}/api/eval/${clientKey}`, { method: 'POST', body: JSON.stringify({ attributes, forcedVariations }) })).json();
      for (const key of ['held', 'covered'])
        same(features[key].rules?.[0].force ?? features[key].defaultValue, gb.getFeatureValue(key, null), () => `${key} for ${JSON.stringify(attributes)}`);
      forcedAway += Number(forcedVariations.covered === 1 && gb.getFeatureValue('covered', null) === 1);
      gb.destroy();
    }
  assert.ok(forcedAway > 0);
  for (const key of ['covered', 'held']) {
    await step(key, 'stop', { reason: 'r' });
    await step(key, 'archive');
  }
});

test('without an id, nobody is in an experiment, and a winner is everybody\'s', async () => {
  const client = await connected();
  for (const attributes of [{}, { id: '' }, { id: null }, { country: 'DE' }]) {
    const remote = await (await fetch(`${apiHost}/api/eval/${clientKey}`, { method: 'POST', body: JSON.stringify({ attributes }) })).json();
    for (const key of Object.keys(remote.features)) {
      assert.equal(remote.features[key].rules, undefined);
      assert.deepEqual(client.evalFeature(key, { attributes }).value, remote.features[key].defaultValue, `${key} ${JSON.stringify(attributes)}`);
    }
  }
  client.destroy();
});

test('forced variations and addresses are the same, asked here or there', async () => {
  const urls = ['', 'http://s/?plain=1', 'http://s/?audience=1&plain=0#plain=1', 'http://s/?layer-low=1&layer-high=1', 'http://s/?plain=7', 'http://s/?plain', 'http://s/?plain=1?plain=0', 'http://s/?overridden=2'];
  const forced = [{}, { plain: 1, audience: 1, 'layer-low': 1, overridden: 0 }, { plain: 9, paused: 1, won: 0, 'won-there': 0, phased: 0 }];
  for (const url of urls)
    for (const forcedVariations of forced)
      for (const id of ['c-1', 'c-2', 'c-77', 'künde-💶-4']) {
        const attributes = { id, country: 'US' };
        const gb = new GrowthBook({ apiHost, clientKey, attributes, forcedVariations, url });
        await gb.init({ streaming: false });
        const { features } = await (await fetch(`${apiHost}/api/eval/${clientKey}`, { method: 'POST', body: JSON.stringify({ attributes, forcedVariations, url }) })).json();
        for (const key of Object.keys(features)) {
          const { defaultValue, rules } = features[key], local = gb.evalFeature(key);
          assert.deepEqual(rules ? rules[0].force : defaultValue, local.value, `${key} of ${id} by ${url} and ${JSON.stringify(forcedVariations)}`);
          assert.equal(!!rules, !!local.experimentResult?.hashUsed, key);
        }
        gb.destroy();
      }
});

test('the SDK sees a change by the stream', async () => {
  await admin('POST', '/v1/experiments', { key: 'live', variants: [{ key: 'a', value: 'A', weight: 0 }, { key: 'b', value: 'B', weight: 1 }] });
  await step('live', 'start');
  configureCache({ backgroundSync: true }); // what was asked for without streams turned off
  const gb = new GrowthBook({ apiHost, clientKey, attributes: { id: 'c-1' } });
  assert.ok((await gb.init({ skipCache: true, streaming: true })).success);
  assert.equal(gb.getFeatureValue('live', null), 'B');
  for (const [word, value] of [['pause', 'A'], ['resume', 'B'], ['stop', 'A']]) {
    await step('live', word, word === 'stop' ? { reason: 'r' } : undefined);
    await until(() => gb.getFeatureValue('live', null) === value, `${word} seen`);
  }
  await step('live', 'archive');
  await until(() => gb.evalFeature('live').source === 'unknownFeature', 'archived seen');
  gb.destroy();
});

test('what the tracking plugin sends is in the results: each customer once, each order', async () => {
  await admin('POST', '/v1/experiments', { key: 'counted', segments: ['country'], traffic: 0.7, variants: two('A', 'B'), metrics: { primary: ['buy'], secondary: ['spent'] } });
  await step('counted', 'start');
  const shown = { a: new Set(), b: new Set() };
  let spent = 0;
  // Two page loads a customer, by two processes.
  for (const round of [1, 2]) {
    const client = await connected({ plugins: [growthbookTrackingPlugin({ ingestorHost: apiHost, queueFlushInterval: 20 })] });
    for (let i = 0; i < 300; i++) {
      const user = client.createScopedInstance({ attributes: { id: `t-${i}`, user_id: `U${i}`, country: i % 2 ? 'DE' : 'FR' } });
      const { experimentResult } = user.evalFeature('counted');
      if (!experimentResult?.inExperiment) continue;
      shown[experimentResult.key].add(i);
      // Twice the same in one page: two orders.
      if (i % 10 === 0)
        for (let n = 0; n < 2; n++, spent += 5) user.logEvent('order', round === 1 ? { value: 5 } : { revenue: 5 });
    }
    const orders = spent / 5;
    await until(async () => +/^uplift_events_accepted_total (\d+)/m.exec((await server.ask('GET', '/metrics')).text)[1] >= shown.a.size + shown.b.size + orders, 'counted');
    client.destroy();
  }
  const { experiment, metrics, health } = await admin('GET', '/v1/experiments/counted/results');
  assert.deepEqual(experiment.variants.map((row) => row.exposed), [shown.a.size, shown.b.size]);
  const metric = (key) => metrics.find((row) => row.key === key);
  const bought = (name) => [...shown[name]].filter((i) => i % 10 === 0).length;
  const total = metric('spent').arms.reduce((sum, row) => sum + row.mean * row.n, 0);
  assert.ok(Math.abs(total - spent) < 1e-6, `${total} of ${spent}`);
  assert.deepEqual(metric('buy').arms.map((row) => Math.round(row.mean * row.n)), [bought('a'), bought('b')]);
  assert.equal(health.find((row) => row.id === 'crossovers').evidence.customers, 0);
});

test('remote evaluation: values, one callback for each experiment seen, new attributes, forced features', async () => {
  const calls = [];
  const gb = new GrowthBook({ apiHost, clientKey, remoteEval: true, attributes: { id: 'c-1', country: 'DE' }, trackingCallback: (experiment, result) => calls.push([experiment.key, result.key, result.hashValue, result.variationId]) });
  assert.ok((await gb.init({ skipCache: true })).success);
  const local = await connected();
  const value = (key, attributes) => local.evalFeature(key, { attributes });
  for (const attributes of [{ id: 'c-1', country: 'DE' }, { id: 'c-2', country: 'FR' }]) {
    if (attributes.id !== 'c-1') await gb.setAttributes(attributes);
    calls.length = 0;
    const expected = [];
    for (const [{ key }] of definitions) {
      assert.deepEqual(gb.getFeatureValue(key, null), value(key, attributes).value, key);
      gb.evalFeature(key);
      const { experimentResult } = value(key, attributes);
      if (experimentResult?.inExperiment) expected.push([key, experimentResult.key, attributes.id, experimentResult.variationId]);
    }
    assert.deepEqual(calls, expected);
  }
  assert.ok(!JSON.stringify(gb.getPayload()).includes('"condition"'));
  await gb.setForcedVariations({ plain: 1 });
  assert.equal(gb.getFeatureValue('plain', null), true);
  await gb.setForcedVariations({ plain: 0 });
  assert.equal(gb.getFeatureValue('plain', null), false);
  await gb.setForcedFeatures(new Map([['plain', 'forced'], ['new', 7]]));
  assert.deepEqual([gb.getFeatureValue('plain', null), gb.getFeatureValue('new', null)], ['forced', 7]);
  await gb.setForcedFeatures(new Map());
  assert.equal(gb.getFeatureValue('plain', null), false);
  gb.destroy();
  local.destroy();
});

test('a sticky bucket service sticks where the experiment is sticky, in its phase', async () => {
  const weights = (a, b) => [{ key: 'a', value: 'A', weight: a }, { key: 'b', value: 'B', weight: b }];
  for (const sticky of [true, false]) {
    await admin('POST', '/v1/experiments', { key: `sticky-${sticky}`, ...(sticky ? { sticky } : {}), variants: weights(1, 0) });
    await step(`sticky-${sticky}`, 'start');
  }
  const store = new Map();
  const localStorage = { getItem: (key) => store.get(key) ?? null, setItem: (key, value) => { store.set(key, value); } };
  const values = async () => {
    const gb = new GrowthBook({ apiHost, clientKey, attributes: { id: 'c-1' }, stickyBucketService: new LocalStorageStickyBucketService({ localStorage }) });
    await gb.init({ skipCache: true, streaming: false });
    const found = ['sticky-true', 'sticky-false'].map((key) => gb.getFeatureValue(key, null));
    gb.destroy();
    return found;
  };
  assert.deepEqual(await values(), ['A', 'A']);
  await admin('PATCH', '/v1/experiments/sticky-true', { variants: weights(0, 1) }, { 'If-Match': '*' });
  await step('sticky-false', 'new-phase', { variants: weights(0, 1) });
  assert.deepEqual(await values(), ['A', 'B']);
  await step('sticky-true', 'new-phase', { variants: weights(0, 1) });
  assert.deepEqual(await values(), ['B', 'B']);
});

test('an unknown key is an error, and the SDK goes on without features', async () => {
  const gb = new GrowthBook({ apiHost, clientKey: 'sdk-00000000000000000000000000000000', attributes: { id: 'c-1' } });
  const { success } = await gb.init({ skipCache: true });
  assert.equal(success, false);
  assert.equal(gb.getFeatureValue('plain', 'fallback'), 'fallback');
  gb.destroy();
});
