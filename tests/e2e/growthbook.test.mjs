// SPDX-License-Identifier: GPL-3.0-or-later
// What GrowthBook's SDKs rely on, over bare HTTP: the payload and its ETag, dates that move, the
// stream, remote evaluation, events of the tracking plugin, errors and keys. tests/clients has the
// SDK itself.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { define, lane, pause, serve, until } from './serving.mjs';

const folder = mkdtempSync(join(tmpdir(), 'uplift-growthbook-'));
let server, client, service;

const admin = async (method, path, body, headers) => {
  const answer = await server.ask(method, path, body, headers);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.json;
};
const start = async (definition) => {
  await admin('POST', '/v1/experiments', definition);
  await admin('POST', `/v1/experiments/${definition.key}/start`);
};
const patch = (key, body) => admin('PATCH', `/v1/experiments/${key}`, body, { 'If-Match': '*' });
// As an SDK asks: without a header of ours.
const bare = async (method, path, body, headers = {}) => {
  const answer = await fetch(server.url + path, { method, headers, body: typeof body === 'object' ? JSON.stringify(body) : body });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, json: text ? JSON.parse(text) : undefined };
};
const payload = (headers) => bare('GET', `/api/features/${client}`, undefined, headers);
const exposed = async (key) => (await admin('GET', `/v1/experiments/${key}/results`)).experiment.variants.map((row) => row.exposed);

before(async () => {
  server = await serve(join(folder, 'data'));
  client = (await admin('POST', '/v1/keys', { kind: 'client' })).key;
  service = (await admin('POST', '/v1/keys', { kind: 'service' })).key;
  await admin('POST', '/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' });
  await admin('POST', '/v1/metrics', { key: 'spent', kind: 'mean', event: 'order' });
  await start({ key: 'exp', segments: ['country'], variants: [{ key: 'a', value: 'A' }, { key: 'b', value: 'B' }], metrics: { primary: ['buy', 'spent'] } });
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('the payload: shape, ETag, 304, and a date that moves with each change and no restart', async () => {
  const first = await payload();
  assert.equal(first.status, 200);
  assert.match(first.headers.get('content-type'), /^application\/json/);
  assert.equal(first.headers.get('cache-control'), 'no-cache');
  assert.equal(first.headers.get('x-sse-support'), 'enabled');
  assert.equal(first.headers.get('access-control-allow-origin'), '*');
  assert.deepEqual(Object.keys(first.json), ['status', 'dateUpdated', 'features', 'experiments', 'savedGroups']);
  assert.deepEqual(Object.keys(first.json.features), ['exp']);
  const etag = first.headers.get('etag');
  assert.match(etag, /^"[0-9a-f]{32}"$/);
  for (const match of [etag, `W/${etag}`, `"x", ${etag}`]) {
    const same = await payload({ 'If-None-Match': match });
    assert.equal(same.status, 304, match);
    assert.equal(same.text, '');
    assert.equal(same.headers.get('etag'), etag);
    assert.equal(same.headers.get('cache-control'), 'no-cache');
  }
  assert.equal((await payload({ 'If-None-Match': '"other"' })).status, 200);

  await admin('POST', '/v1/experiments', { key: 'draft', variants: [{ key: 'a' }, { key: 'b' }] });
  assert.equal((await payload()).text, first.text, 'a draft is nothing to an SDK');

  let last = first;
  for (const name of ['one', 'two', 'three']) {
    await patch('exp', { name });
    const next = await payload({ 'If-None-Match': last.headers.get('etag') });
    assert.equal(next.status, 200);
    assert.equal(next.json.features.exp.rules[0].name, name);
    assert.notEqual(next.headers.get('etag'), last.headers.get('etag'));
    assert.match(next.json.dateUpdated, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    assert.ok(next.json.dateUpdated > last.json.dateUpdated);
    assert.ok(Math.abs(Date.parse(next.json.dateUpdated) - Date.now()) < 60_000);
    last = next;
  }
  const { key } = server;
  assert.deepEqual(await server.stop(), [0, null]);
  server = await serve(join(folder, 'data'), { key });
  const again = await payload();
  assert.equal(again.text, last.text);
  await patch('exp', { name: 'after the restart' });
  assert.ok((await payload()).json.dateUpdated > last.json.dateUpdated);
});

test('keys: only a client key may stand in an address, and what is wrong is said as SDKs read it', async () => {
  const wrong = 'sdk-00000000000000000000000000000000';
  for (const [method, path] of [['GET', '/api/features/'], ['GET', '/sub/'], ['POST', '/api/eval/']])
    for (const [key, status] of [[wrong, 404], [service, 403], [server.key, 403], ['x'.repeat(79), 404]]) {
      const answer = await bare(method, path + key, method === 'GET' ? undefined : {}, { 'X-API-Key': client });
      assert.equal(answer.status, status, `${method} ${path}${key}`);
      assert.deepEqual(Object.keys(answer.json), ['status', 'error']);
      assert.equal(answer.json.status, status);
      assert.ok(!answer.text.includes(key));
      assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    }
  for (const [query, headers, status] of [[`?client_key=${wrong}`, {}, 401], [`?client_key=${service}`, {}, 403], ['', {}, 401], [`?client_key=${client}`, {}, 202], ['', { 'X-API-Key': client }, 202]]) {
    const answer = await bare('POST', `/track${query}`, '[]', { 'Content-Type': 'text/plain', ...headers });
    assert.equal(answer.status, status, query);
    assert.ok(status === 202 || answer.json.error, query);
  }
  // A service key is fine in a header, where it is not public.
  assert.equal((await bare('POST', '/track', '[]', { 'X-API-Key': service })).status, 202);
  for (const body of ['', '{', '5', 'x'])
    assert.deepEqual(Object.keys((await bare('POST', `/track?client_key=${client}`, body)).json), ['status', 'error']);
  for (const body of ['', '{', '5', '[]', '{"attributes": 5}', '{"attributes": {"id": "' + 'x'.repeat(257) + '"}}'])
    assert.equal((await bare('POST', `/api/eval/${client}`, body)).status, 400, body);
  assert.doesNotMatch(server.text(), /sdk-/);
});

test('the stream carries the payload on one line, when it has changed', async () => {
  const reader = (await fetch(`${server.url}/sub/${client}`)).body.getReader();
  let text = '';
  const read = (async () => { for (let part; !(part = await reader.read()).done;) text += new TextDecoder().decode(part.value); })();
  await until(() => text.includes('\n\n'), 'opened');
  text = '';
  await patch('exp', { name: 'streamed' });
  const event = await until(() => /^event: features\ndata: (.*)\n\n/m.exec(text), 'told');
  assert.equal(event[1], (await payload()).text);
  text = '';
  await admin('POST', '/v1/experiments', { key: 'silent', variants: [{ key: 'a' }, { key: 'b' }] });
  await pause(600);
  assert.doesNotMatch(text, /event:/);
  await reader.cancel();
  await read;
});

const evaluate = async (body) => (await bare('POST', `/api/eval/${client}`, body)).json;

test('a stream ends with its key: what is said later is not said to it', async () => {
  const own = await serve(join(folder, 'streams'));
  const made = async (body) => (await own.ask('POST', '/v1/keys', body)).json;
  const client = await made({ kind: 'client' }), viewer = await made({ kind: 'admin', role: 'viewer' });
  const paths = [`/sub/${client.key}`, `/ofrep/v1/stream/${client.key}`, `/v1/stream?key=${viewer.key}`];
  const streams = await Promise.all(paths.map(async (path) => {
    const answer = await fetch(own.url + path, { signal: AbortSignal.timeout(30_000) });
    assert.equal(answer.status, 200, path);
    return { path, text: answer.text() };
  }));
  for (const { id } of [client, viewer]) assert.equal((await own.ask('DELETE', `/v1/keys/${id}`)).status, 204);
  await define(own);
  for (const { path, text } of streams) assert.doesNotMatch(await text, /^data:/m, path.split(/[?]|sdk/)[0]);
  assert.deepEqual(await own.stop(), [0, null]);
});

test('remote evaluation: only what this customer gets, and the tracks of what counts', async () => {
  await start({ key: 'aimed', audience: { country: 'DE' }, overrides: { qa: 'b' }, variants: [{ key: 'a', value: 1 }, { key: 'b', value: 2 }] });
  await start({ key: 'layered', layer: { key: 'l', range: [0, 0.0001] }, variants: [{ key: 'a', value: 1 }, { key: 'b', value: 2 }] });
  const answer = await bare('POST', `/api/eval/${client}`, { attributes: { id: 'u1', country: 'DE' }, forcedVariations: {}, forcedFeatures: [], url: 'http://s/' });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.equal(answer.headers.get('x-sse-support'), null);
  assert.doesNotMatch(answer.text, /condition|filters|overrides|"qa"/);
  assert.deepEqual(Object.keys(answer.json.features), ['aimed', 'exp', 'layered']);
  const { assignments } = (await server.ask('POST', '/v1/assign', { customer: 'u1', attributes: { country: 'DE' } })).json;
  const { variant, value, bucket } = assignments.find((row) => row.experiment === 'exp');
  const [rule] = answer.json.features.exp.rules, [{ experiment, result }] = rule.tracks;
  assert.equal(rule.force, value);
  assert.deepEqual(result, { key: variant, name: variant, featureId: 'exp', inExperiment: true, hashUsed: true, variationId: variant === 'a' ? 0 : 1, value, hashAttribute: 'id', hashValue: 'u1', bucket, stickyBucketUsed: false });
  assert.equal(experiment.key, 'exp');
  assert.deepEqual(experiment.variations, ['A', 'B']);
  assert.deepEqual(answer.json.features.layered, { defaultValue: 1 });

  // Overrides are told to nobody; without an id, or outside of the audience, nobody is in.
  assert.deepEqual((await evaluate({ attributes: { id: 'qa' } })).features.aimed, { defaultValue: 2 });
  for (const body of [{}, { attributes: { country: 'DE' } }, { attributes: { id: '', country: 'DE' } }, { attributes: { id: null, country: 'DE' } }, { attributes: { id: 0, country: 'DE' } }])
    assert.deepEqual((await evaluate(body)).features.aimed, { defaultValue: 1 }, JSON.stringify(body));
  // A number is the text that JavaScript makes of it.
  assert.deepEqual((await evaluate({ attributes: { id: 12.5 } })).features, (await evaluate({ attributes: { id: '12.5' } })).features);

  // Forced: by the application, by the address before that, in no layer; never tracked.
  const forced = (body) => evaluate({ attributes: { id: 'u1' }, ...body });
  for (const [body, want] of [
    [{ forcedVariations: { aimed: 1 } }, 2], [{ forcedVariations: { aimed: 0 } }, 1], [{ forcedVariations: { aimed: 7 } }, 1],
    [{ forcedVariations: { aimed: 0 }, url: 'http://s/p?x=0&aimed=1&aimed=0#aimed=0' }, 2], [{ url: 'http://s/p?aimed=1x' }, 2],
    [{ forcedVariations: { aimed: 1 }, url: 'http://s/p?aimed=9' }, 2], [{ url: 'http://s/p#?aimed=1' }, 2], [{ url: 'http://s/p?aimed&aimed=1' }, 1], [{ url: 'http://s/?aimedx=1' }, 1],
  ])
    assert.deepEqual((await forced(body)).features.aimed, { defaultValue: want }, JSON.stringify(body));
  assert.deepEqual((await forced({ forcedVariations: { layered: 1 } })).features.layered, { defaultValue: 1 });
  assert.deepEqual((await forced({ forcedVariations: { exp: 1 } })).features.exp, { defaultValue: 'B' });
  const features = (await forced({ forcedFeatures: [['exp', { any: 1 }], ['new', null], 5, []] })).features;
  assert.deepEqual([features.exp, features.new], [{ defaultValue: { any: 1 } }, { defaultValue: null }]);
  // Another answer has another date, the same answer the same one.
  const dates = await Promise.all([{}, {}, { forcedVariations: { exp: 1 } }].map(async (body) => (await forced(body)).dateUpdated));
  assert.equal(dates[0], dates[1]);
  assert.notEqual(dates[0], dates[2]);
});

test('who does not consent gets the control', async () => {
  await start({ key: 'private', variants: [{ key: 'a', weight: 0, value: false }, { key: 'b', weight: 1, value: true }] });
  const of = async (id) => (await evaluate({ attributes: { id } })).features.private;
  assert.equal((await of('willing')).rules[0].force, true);
  await admin('PUT', '/v1/customers/unwilling/consent', { analytics: false, personalization: false });
  assert.deepEqual(await of('unwilling'), { defaultValue: false });
  await admin('POST', '/v1/experiments/private/stop', { reason: 'done' });
});

const track = async (events) => {
  const answer = await bare('POST', `/track?client_key=${client}`, JSON.stringify(events), { 'Content-Type': 'text/plain', Accept: 'application/json' });
  assert.equal(answer.status, 202, answer.text);
  return answer.json;
};
const viewed = (id, variationId, more = {}) => ({
  event_name: 'Experiment Viewed', properties_json: { experimentId: 'exp', variationId, hashAttribute: 'id', hashValue: id },
  user_id: null, device_id: id, page_id: null, session_id: null, sdk_language: 'js', sdk_version: '1.8.0', url: 'http://s/p', context_json: { country: 'DE' }, ...more,
});
const logged = (device, event_name, properties_json, more = {}) => ({ event_name, properties_json, user_id: null, device_id: device, context_json: {}, url: '', ...more });

test('what the tracking plugin sends is counted: exposures once, outcomes each', async () => {
  const answer = await track([
    viewed('t1', 'a'), viewed('t2', 'b'), viewed('t2', 'b'), logged('t1', 'Feature Evaluated', { feature: 'exp', value: 'A' }),
    viewed('t3', 'nope'), viewed(77, 'b'), logged('t1', 'order', { value: 5 }), logged('t1', 'order', { value: 5 }), logged('t2', 'order', { revenue: 3 }),
    { nothing: 1 }, 5, logged(null, 'order', {}),
  ]);
  assert.deepEqual([answer.accepted, answer.duplicates, answer.rejected.map((row) => row.index)], [6, 1, [4, 9, 10, 11]]);
  assert.equal((await track([viewed('t1', 'a'), viewed('t2', 'b')])).duplicates, 2);
  assert.equal((await track(viewed('t4', 'a'))).accepted, 1);
  assert.deepEqual(await exposed('exp'), [2, 2]);
  // Before the exposure, or by the same visitor under another id: its hashValue is the customer.
  await track([logged('dev-5', 'order', { value: 2 }, { user_id: 'U5' }), viewed('t5', 'a', { device_id: 'dev-5', user_id: 'U5' })]);
  await track([logged('dev-6', 'order', { value: 'much' }, { user_id: 'U6' })]);
  await track([logged(null, 'order', null, { user_id: 'U7' })]);
  const of = async (id) => (await admin('GET', `/v1/customers/${id}`)).events.filter((event) => event.type === 'outcome').map((event) => event.value);
  assert.deepEqual(await of('t1'), [5, 5]);
  assert.deepEqual(await of('t2'), [3]);
  assert.deepEqual(await of('t5'), [2]);
  for (const id of ['dev-6', 'U7'])
    assert.equal((await of(id)).length, 1, id);
  // An outcome that came with its exposure is not from before it.
  const [buy] = (await admin('GET', '/v1/experiments/exp/results')).metrics;
  assert.deepEqual(buy.arms.map((row) => row.mean * row.n), [2, 1]);
  const [exposure] = (await admin('GET', '/v1/customers/t1')).events.filter((event) => event.type === 'exposure');
  assert.deepEqual(exposure.attributes, { country: 'DE' });
});

test('a new phase counts exposures anew, and long attributes cost nothing but themselves', async () => {
  await admin('POST', '/v1/experiments/exp/new-phase', { traffic: 0.9 });
  assert.deepEqual(await exposed('exp'), [0, 0]);
  const long = { country: 'FR', words: 'x'.repeat(9000) };
  assert.equal((await track([viewed('t1', 'a'), viewed('t2', 'b', { context_json: long })])).accepted, 2);
  assert.deepEqual(await exposed('exp'), [1, 1]);
  const exposures = (await admin('GET', '/v1/customers/t2')).events.filter((event) => event.type === 'exposure');
  assert.deepEqual(exposures.at(-1).attributes, { country: 'FR' });
});

test('answered is on disk: after kill -9 what was tracked is there', async () => {
  await track([viewed('k1', 'b')]);
  const { key } = server;
  await server.stop('SIGKILL');
  server = await serve(join(folder, 'data'), { key });
  assert.deepEqual(await exposed('exp'), [1, 2]);
});

test('a preflight on a raw connection: 204 without a body, and the connection stays', async () => {
  const line = lane(server.port);
  for (let i = 0; i < 2; i++) {
    line.write(`OPTIONS /api/eval/${client} HTTP/1.1\r\nHost: x\r\nOrigin: http://shop\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n`);
    const answer = await line.answer();
    assert.equal(answer.status, 204);
    assert.match(answer.head, /^Access-Control-Allow-Origin: \*$/im);
    assert.match(answer.head, /^Access-Control-Allow-Headers: .*Content-Type/im);
  }
  line.end();
});

test('the server ends well', async () => {
  assert.deepEqual(await server.stop(), [0, null]);
});
