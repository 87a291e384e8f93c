// SPDX-License-Identifier: GPL-3.0-or-later
// OFREP as it looks on the wire: every answer and every error in the shape that OpenFeature's SDKs
// read, what counts as an exposure, and the stream. tests/clients has the SDKs themselves.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { define, lane, serve, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-ofrep-'));
const FLAGS = '/ofrep/v1/evaluate/flags';
const keys = {};
let server;

const made = async (method, path, body, headers) => {
  const answer = await server.ask(method, path, body, headers);
  assert.ok(answer.status < 300, `${path}: ${answer.text}`);
  return answer.json;
};
const run = async (definition, ...steps) => {
  await made('POST', '/v1/experiments', { variants: [{ key: 'a' }, { key: 'b' }], ...definition });
  for (const [step, body] of steps) await made('POST', `/v1/experiments/${definition.key}/${step}`, body);
};
const ask = (path, body, headers = {}, to = server) => to.ask('POST', path, body, { 'X-API-Key': keys.client, ...headers });
const one = (key, context, headers) => ask(`${FLAGS}/${key}`, { context }, headers);
const all = (context, headers) => ask(FLAGS, { context }, headers);

before(async () => {
  server = await serve(join(base, 'main'));
  for (const kind of ['client', 'service']) keys[kind] = (await made('POST', '/v1/keys', { kind })).key;
  keys.viewer = (await made('POST', '/v1/keys', { kind: 'admin', role: 'viewer' })).key;
  await define(server);
  const on = [{ key: 'off', value: false }, { key: 'on', value: true }];
  await run({ key: 'sure', variants: [{ key: 'a', weight: 0, value: { n: 1 } }, { key: 'b', weight: 1, value: { n: 2 } }], overrides: { boss: 'a' } }, ['start']);
  await run({ key: 'few', variants: on, audience: { country: 'DE' } }, ['start']);
  await run({ key: 'none', variants: on, traffic: 0.0001 }, ['start']);
  await run({ key: 'apart', variants: on, layer: { key: 'l', range: [0, 0.0001] } }, ['start']);
  await run({ key: 'held', variants: on }, ['start'], ['pause']);
  await run({ key: 'ended', variants: on }, ['start'], ['stop']);
  await run({ key: 'won', variants: on }, ['start'], ['stop', { winner: 'on' }]);
  await run({ key: 'won-de', variants: on, audience: { country: 'DE' } }, ['start'], ['stop', { winner: 'on' }]);
  await run({ key: 'won-id', variants: on, audience: { id: { $ne: 'x' } } }, ['start'], ['stop', { winner: 'on' }]);
  await run({ key: 'draft' });
  await run({ key: 'gone' }, ['start'], ['stop'], ['archive']);
});

after(() => rmSync(base, { recursive: true, force: true }));

// What is not said of the flag's metadata here is the same for all.
const expected = (key, version, said) => ({
  ...said, key, metadata: { experiment: key, phase: '1', version: String(version), inExperiment: false, ...said.metadata },
});

test('every reason, with variant, value and metadata', async () => {
  for (const [key, version, context, said] of [
    ['sure', 2, { targetingKey: 'c' }, { value: { n: 2 }, variant: 'b', reason: 'SPLIT', metadata: { inExperiment: true, decision: 'assigned' } }],
    ['sure', 2, { targetingKey: 'boss' }, { value: { n: 1 }, variant: 'a', reason: 'TARGETING_MATCH', metadata: { decision: 'override' } }],
    ['few', 2, { targetingKey: 'c' }, { value: false, reason: 'DEFAULT', metadata: { decision: 'not-in-audience' } }],
    ['none', 2, { targetingKey: 'c' }, { value: false, reason: 'DEFAULT', metadata: { decision: 'not-in-traffic' } }],
    ['apart', 2, { targetingKey: 'c' }, { value: false, reason: 'DEFAULT', metadata: { decision: 'not-in-layer' } }],
    ['held', 3, { targetingKey: 'c' }, { value: false, reason: 'DISABLED', metadata: { decision: 'paused' } }],
    ['ended', 3, { targetingKey: 'c' }, { value: false, reason: 'DISABLED', metadata: { decision: 'stopped' } }],
    ['won', 3, { targetingKey: 'c' }, { value: true, variant: 'on', reason: 'STATIC', metadata: { decision: 'winner' } }],
    ['won-de', 3, { targetingKey: 'c', country: 'DE' }, { value: true, variant: 'on', reason: 'TARGETING_MATCH', metadata: { decision: 'winner' } }],
    ['won-de', 3, { targetingKey: 'c' }, { value: false, reason: 'DEFAULT', metadata: { decision: 'not-in-audience' } }],
    ['won-id', 3, { targetingKey: 'c' }, { value: true, variant: 'on', reason: 'TARGETING_MATCH', metadata: { decision: 'winner' } }],
    // The unit is targetingKey, whatever the attributes say of an id.
    ['won-id', 3, { targetingKey: 'x', id: 'y' }, { value: false, reason: 'DEFAULT', metadata: { decision: 'not-in-audience' } }],
    // These need no unit.
    ['held', 3, {}, { value: false, reason: 'DISABLED', metadata: { decision: 'paused' } }],
    ['ended', 3, { targetingKey: '' }, { value: false, reason: 'DISABLED', metadata: { decision: 'stopped' } }],
    ['won', 3, undefined, { value: true, variant: 'on', reason: 'STATIC', metadata: { decision: 'winner' } }],
    ['won-de', 3, { country: 'DE' }, { value: true, variant: 'on', reason: 'TARGETING_MATCH', metadata: { decision: 'winner' } }],
  ]) {
    const { status, json, headers } = await one(key, context);
    assert.equal(status, 200);
    assert.match(headers.get('content-type'), /^application\/json/);
    assert.deepEqual(json, expected(key, version, said));
  }
});

test('consent that is refused gives the control', async () => {
  await made('PUT', '/v1/customers/shy/consent', { analytics: false, personalization: true });
  const { json } = await one('sure', { targetingKey: 'shy' });
  assert.deepEqual(json, expected('sure', 2, { value: { n: 1 }, reason: 'DEFAULT', metadata: { decision: 'consent' } }));
  assert.equal((await one('sure', {})).status, 400);
  assert.equal((await one('held', {})).status, 200);
});

test('what is optional may be absent, and what is unknown is passed over', async () => {
  for (const body of [{}, { context: null }, { context: {} }, { context: { targetingKey: null } }, { more: 1 }])
    assert.equal((await ask(`${FLAGS}/held`, body)).json.value, false);
  assert.equal((await ask(`${FLAGS}/held?domain=x&flag=%22`, {})).status, 200);
  assert.equal((await ask(`${FLAGS}?flagConfigEtag=%22r2%22&flagConfigLastModified=1771622898`, {})).status, 200);
  for (const kind of ['client', 'service'])
    for (const headers of [{ 'X-API-Key': keys[kind] }, { 'X-API-Key': '', Authorization: `Bearer ${keys[kind]}` }])
      assert.equal((await one('held', {}, headers)).status, 200);
});

// An error of a single evaluation: SDKs need key and errorCode as texts.
async function refused(path, body, [status, errorCode, key], headers = {}) {
  const answer = await ask(path, body, headers);
  assert.equal(answer.status, status, `${path}: ${answer.text}`);
  assert.match(answer.headers.get('content-type'), /^application\/json/);
  assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  assert.deepEqual(Object.keys(answer.json).sort(), [...(key === undefined ? [] : ['key']), 'errorCode', 'errorDetails'].sort());
  assert.equal(answer.json.errorCode, errorCode);
  assert.equal(answer.json.key, key);
  assert.equal(typeof answer.json.errorDetails, 'string');
  return answer;
}

test('errors of one flag', async () => {
  for (const body of ['{', '', '[]', '"x"', '{"context":{"a":"\\ud800"}}']) await refused(`${FLAGS}/sure`, body, [400, 'PARSE_ERROR', 'sure']);
  for (const context of [[], 'x', 7, { targetingKey: 7 }, { targetingKey: {} }, { targetingKey: 'x'.repeat(257) }])
    await refused(`${FLAGS}/sure`, { context }, [400, 'INVALID_CONTEXT', 'sure']);
  for (const body of [{}, { context: { targetingKey: '' } }, { context: { id: 'c' } }]) await refused(`${FLAGS}/sure`, body, [400, 'TARGETING_KEY_MISSING', 'sure']);
  await refused(`${FLAGS}/won-id`, {}, [400, 'TARGETING_KEY_MISSING', 'won-id']);
  const context = { targetingKey: 'c' };
  for (const [path, key] of [['draft', 'draft'], ['gone', 'gone'], ['no-such', 'no-such'], ['a/b', 'a/b'], ['a%2Fb', 'a/b'], ['a%20b+c', 'a b+c'],
    ['sure/', 'sure/'], ['', ''], ['%F0%9F%92%B6', '💶'], ['%00sure', '?'], ['sure%00', '?'], ['%ff', '?'], ['x'.repeat(2000), 'x'.repeat(2000)]]) {
    const answer = await ask(`${FLAGS}/${path}`, { context });
    assert.equal(answer.status, 404, path);
    assert.equal(answer.json.errorCode, 'FLAG_NOT_FOUND', path);
    assert.equal(answer.json.key, key);
  }
  await refused(`${FLAGS}/sure`, { context }, [401, 'GENERAL', 'sure'], { 'X-API-Key': 'sdk-wrong' });
  await refused(`${FLAGS}/sure`, { context }, [401, 'GENERAL', 'sure'], { 'X-API-Key': '' });
  await refused(`${FLAGS}/sure`, { context }, [403, 'GENERAL', 'sure'], { 'X-API-Key': keys.viewer });
  await refused(`${FLAGS}/sure`, ' '.repeat((1 << 20) + 1), [413, 'GENERAL', 'sure']);
  await refused(`${FLAGS}/sure`, { context }, [415, 'GENERAL', 'sure'], { 'Content-Encoding': 'br' });
  const got = await server.ask('GET', `${FLAGS}/sure`, undefined, { 'X-API-Key': keys.client });
  assert.equal(got.status, 405);
  assert.equal(got.json.errorCode, 'GENERAL');
});

test('errors of all flags have no key', async () => {
  await refused(FLAGS, '{', [400, 'PARSE_ERROR']);
  await refused(FLAGS, { context: 1 }, [400, 'INVALID_CONTEXT']);
  await refused(FLAGS, {}, [401, 'GENERAL'], { 'X-API-Key': 'sdk-wrong' });
  const answer = await ask('/ofrep/v1/else', {});
  assert.deepEqual([answer.status, answer.json.errorCode, answer.json.key], [404, 'GENERAL', undefined]);
});

test('who asks too often is told to wait for a second, in whole seconds', async () => {
  const own = await serve(join(base, 'rate'), { options: ['--rate', '2'] });
  let answer;
  for (let i = 0; i < 50 && answer?.status !== 429; i++) answer = await own.ask('POST', `${FLAGS}/x`, {});
  assert.equal(answer.status, 429);
  assert.equal(answer.headers.get('retry-after'), '1');
  assert.deepEqual([answer.json.key, answer.json.errorCode], ['x', 'GENERAL']);
  await own.stop();
});

test('all flags at once: those of single evaluations, and errors among them', async () => {
  const context = { targetingKey: 'c', country: 'DE' };
  const { status, json } = await all(context);
  assert.equal(status, 200);
  assert.deepEqual(json.flags.map(({ key }) => key), ['apart', 'ended', 'exp', 'few', 'held', 'none', 'sure', 'won', 'won-de', 'won-id']);
  for (const flag of json.flags) assert.deepEqual(flag, (await one(flag.key, context)).json);
  assert.match(json.metadata.version, /^[0-9a-f]{16}$/);
  assert.equal(json.metadata.flagSetId, 'uplift');
  assert.deepEqual(json.eventStreams, [{ type: 'sse', endpoint: { requestUri: `/ofrep/v1/stream/${keys.client}` }, inactivityDelaySec: 120 }]);
  // A service key is no secret of a browser's.
  assert.equal((await all(context, { 'X-API-Key': keys.service })).json.eventStreams, undefined);

  const empty = await all({});
  assert.equal(empty.status, 200);
  assert.deepEqual(empty.json.flags.filter(({ errorCode }) => errorCode).map(({ key, errorCode }) => [key, errorCode]),
    ['apart', 'exp', 'few', 'none', 'sure', 'won-id'].map((key) => [key, 'TARGETING_KEY_MISSING']));
  assert.deepEqual(empty.json.flags.filter(({ errorCode }) => !errorCode).map(({ key }) => key), ['ended', 'held', 'won', 'won-de']);
});

test('the ETag is that of the answer for this context', async () => {
  const context = { targetingKey: 'c' };
  const first = await all(context), etag = first.headers.get('etag');
  assert.match(etag, /^"[0-9a-f]+"$/);
  const same = await all(context, { 'If-None-Match': etag });
  assert.deepEqual([same.status, same.text, same.headers.get('etag')], [304, '', etag]);
  assert.equal(same.headers.get('access-control-expose-headers'), 'ETag, Retry-After, x-sse-support');
  // The SDK keeps its ETag when an attribute changes.
  const other = await all({ ...context, country: 'DE' }, { 'If-None-Match': etag });
  assert.equal(other.status, 200);
  assert.notEqual(other.headers.get('etag'), etag);
  assert.equal((await all({ ...context, colour: 'red' }, { 'If-None-Match': etag })).status, 304);
  // What no customer gets changes nothing.
  await made('POST', '/v1/metrics', { key: 'm', kind: 'nps' });
  await run({ key: 'another-draft' });
  assert.equal((await all(context, { 'If-None-Match': etag })).status, 304);
  await made('POST', '/v1/experiments/another-draft/start');
  assert.equal((await all(context, { 'If-None-Match': etag })).status, 200);
});

// --- exposures

const exposed = async (to, key) => {
  const { json, text } = await to.ask('GET', `/v1/experiments/${key}/results`);
  assert.ok(json?.experiment, text);
  return json.experiment.variants.map(({ exposed: n }) => n).reduce((sum, n) => sum + n, 0);
};

test('a single evaluation is an exposure where the definition says so, and no other is', async () => {
  await run({ key: 'counts', evaluation_is_exposure: true, traffic: 0.5, metrics: { primary: ['buy'] }, segments: ['country'] }, ['start']);
  let inside = 0;
  for (let i = 0; i < 40; i++) {
    const { json } = await one('counts', { targetingKey: `e-${i}`, country: 'DE' });
    assert.equal(json.metadata.exposureRecorded, json.metadata.inExperiment ? true : undefined);
    inside += json.metadata.inExperiment;
    assert.deepEqual((await one('counts', { targetingKey: `e-${i}`, country: 'DE' })).json, json);
    // On disk before it was answered, and kept once.
    const kept = (await made('GET', `/v1/customers/e-${i}`).catch(() => ({ events: [] }))).events;
    assert.equal(kept.length, json.metadata.inExperiment ? 1 : 0);
    if (kept.length) assert.deepEqual([kept[0].type, kept[0].experiment, kept[0].variant, kept[0].attributes], ['exposure', 'counts', json.variant, { country: 'DE' }]);
  }
  assert.ok(inside > 5 && inside < 35, String(inside));
  assert.equal(await exposed(server, 'counts'), inside);
  for (let i = 40; i < 60; i++) await all({ targetingKey: `e-${i}` });
  assert.equal(await exposed(server, 'counts'), inside);
  const { json } = await one('exp', { targetingKey: 'e-1' });
  assert.equal(json.metadata.exposureRecorded, undefined);
  assert.equal(await exposed(server, 'exp'), 0);
});

test('who counts as exposed stays as it is within a phase', async () => {
  const patch = (body) => server.ask('PATCH', '/v1/experiments/counts', body, { 'If-Match': '*' });
  const refusal = await patch({ evaluation_is_exposure: false });
  assert.equal(refusal.status, 409);
  assert.equal(refusal.json.errors[0].place, 'evaluation_is_exposure');
  assert.equal((await patch({ name: 'Counts' })).json.evaluation_is_exposure, true);
  assert.equal((await made('POST', '/v1/experiments/counts/new-phase', { evaluation_is_exposure: false })).evaluation_is_exposure, false);
  assert.equal((await server.ask('POST', '/v1/experiments', { key: 'odd', variants: [{ key: 'a' }, { key: 'b' }], evaluation_is_exposure: 1 })).status, 400);
});

test('an exposure that cannot be recorded holds no value back, and the answer says so', { skip: !process.env.UPLIFT_DISK_BIN && 'UPLIFT_DISK_BIN is not built' }, async () => {
  const ill = await serve(join(base, 'ill'), { program: process.env.UPLIFT_DISK_BIN });
  await define(ill);
  await ill.ask('POST', '/v1/experiments', { key: 'counts', evaluation_is_exposure: true, variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'] } });
  await ill.ask('POST', '/v1/experiments/counts/start');
  let number = 0, counted = 0;
  const evaluate = async (more = {}) => {
    const { status, json, text } = await ill.ask('POST', `${FLAGS}/counts`, { context: { targetingKey: `c-${++number}`, ...more } });
    assert.equal(status, 200, text);
    assert.equal(json.reason, 'SPLIT');
    counted += json.metadata.exposureRecorded;
    return json.metadata.exposureRecorded;
  };
  assert.equal(await evaluate(), true);
  assert.equal(await evaluate({ long: 'x'.repeat(9000) }), true); // what an event has no room for is left out
  ill.child.kill('SIGUSR1');
  await until(async () => await evaluate() === false, 'refused');
  assert.equal(await evaluate(), false);
  ill.child.kill('SIGUSR2');
  await until(async () => await evaluate() === true, 'taken');
  assert.equal(await exposed(ill, 'counts'), counted);
  assert.deepEqual(await ill.stop(), [0, null], ill.text());
});

// --- the stream

// A stream as an EventSource sees it: events(n) waits for n of them in all.
async function follow(headers = {}, to = server) {
  const stop = new AbortController();
  const answer = await fetch(`${to.url}/ofrep/v1/stream/${keys.client}`, { headers, signal: stop.signal });
  const stream = { answer, events: [], id: '', end: () => stop.abort() };
  let text = '';
  const reading = (async () => {
    for await (const bytes of answer.body) {
      text += Buffer.from(bytes).toString();
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        const fields = Object.fromEntries(text.slice(0, end).split('\n').filter((line) => !line.startsWith(':')).map((line) => /^(\w+): ?(.*)$/.exec(line).slice(1)));
        if (fields.id) stream.id = fields.id;
        if (fields.data) stream.events.push(fields);
      }
    }
  })();
  reading.catch(() => {});
  await until(() => stream.id, 'an id');
  return stream;
}

test('the stream tells of what customers get, and of nothing else', async () => {
  await run({ key: 'streamed' });
  const stream = await follow({ 'Last-Event-ID': (await all({})).json.metadata.version });
  assert.match(stream.answer.headers.get('content-type'), /^text\/event-stream/);
  assert.equal(stream.answer.headers.get('access-control-allow-origin'), '*');
  await made('POST', '/v1/metrics', { key: 'unseen', kind: 'nps' });
  await made('PATCH', '/v1/experiments/streamed', { name: 'x' }, { 'If-Match': '*' });
  await made('POST', '/v1/events', [{ type: 'outcome', customer: 'c', name: 'order' }]);
  await made('POST', '/v1/experiments/streamed/start');
  await until(() => stream.events.length, 'told');
  const { version } = (await all({})).json.metadata;
  const [{ id, event, data }] = stream.events;
  assert.deepEqual([id, event], [version, 'message']);
  const { lastModified, ...rest } = JSON.parse(data);
  assert.deepEqual(rest, { type: 'refetchEvaluation', etag: `"${version}"` });
  assert.ok(Math.abs(lastModified - Date.now() / 1000) < 600);
  assert.equal(stream.events.length, 1);

  // Who comes back is told of what was missed, and of nothing else.
  const missed = await follow({ 'Last-Event-ID': '0123456789abcdef' });
  await until(() => missed.events.length, 'told');
  const knows = await follow({ 'Last-Event-ID': version });
  // Who is new may have asked before the change.
  const fresh = await follow();
  await until(() => fresh.events.length, 'told');
  await made('POST', '/v1/experiments/streamed/pause');
  await until(() => knows.events.length && missed.events.length > 1, 'told');
  assert.equal(knows.events.length, 1);
  for (const one of [stream, missed, knows, fresh]) one.end();
});

test('only a client key opens a stream, and it stands in no error', async () => {
  for (const [key, status] of [['sdk-00000000000000000000000000000000', 404], [keys.service, 403], [server.key, 403]]) {
    const answer = await server.ask('GET', `/ofrep/v1/stream/${key}`);
    assert.equal(answer.status, status);
    assert.equal(answer.json.errorCode, 'GENERAL');
    assert.ok(!answer.text.includes(key));
  }
});

test('a version outlives a restart', async () => {
  let own = await serve(join(base, 'again'));
  await define(own);
  const version = async () => (await own.ask('POST', FLAGS, {})).json.metadata.version;
  const before = await version(), { key } = own;
  await own.stop();
  own = await serve(join(base, 'again'), { key });
  assert.equal(await version(), before);
  await own.stop();
});

test('half of the connections may be streams, and the server ends with them open', async () => {
  const own = await serve(join(base, 'many'), { options: ['--connections', '40'] });
  const client = (await own.ask('POST', '/v1/keys', { kind: 'client' })).json.key;
  const lanes = Array.from({ length: 25 }, () => lane(own.port));
  const statuses = await Promise.all(lanes.map(async (one) => {
    one.write(`GET /ofrep/v1/stream/${client} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return (await one.answer()).status;
  }));
  assert.equal(statuses.filter((status) => status === 200).length, 20);
  assert.equal(statuses.filter((status) => status === 503).length, 5);
  assert.equal((await own.ask('GET', '/healthz')).status, 200);
  assert.deepEqual(await own.stop(), [0, null], own.text());
  lanes.forEach((one) => one.end());
});

test('the server ends well after all that', async () => {
  assert.deepEqual(await server.stop(), [0, null], server.text());
});
