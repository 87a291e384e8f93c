// SPDX-License-Identifier: GPL-3.0-or-later
// Webhooks against a real receiver: what is told, how it is signed, what becomes of what is not
// taken, across a kill -9, and that erasing a customer takes their messages too.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { define, serve, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-webhooks-'));
after(() => rmSync(base, { recursive: true, force: true }));

// A receiver that answers what `answer` says and keeps what came.
async function receiver(answer = () => ({ status: 204 })) {
  const got = [];
  const http = createServer((request, response) => {
    let body = '';
    request.on('data', (bytes) => { body += bytes; }).on('end', () => {
      const message = { headers: request.headers, body, json: JSON.parse(body), url: request.url };
      const { status, headers = {} } = answer(message, got.length);
      got.push(message);
      response.writeHead(status, headers).end();
    });
  });
  await new Promise((done) => http.listen(0, '127.0.0.1', done));
  after(() => http.close());
  return { got, url: `http://127.0.0.1:${http.address().port}/hook`, close: () => http.close() };
}

// As Standard Webhooks has receivers verify it.
function verify(message, secret) {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures } = message.headers;
  assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60);
  const expected = `v1,${createHmac('sha256', key).update(`${id}.${time}.${message.body}`).digest('base64')}`;
  return signatures.split(' ').includes(expected);
}

const hook = async (server, url, events, status = 201) => {
  const answer = await server.ask('POST', '/v1/webhooks', { url, events });
  assert.equal(answer.status, status, answer.text);
  return answer.json;
};
const waiting = async (server, query = '') => (await server.ask('GET', `/v1/deliveries${query}`)).json.deliveries;

test('state changes and low scores are told, signed, and once', async () => {
  const to = await receiver();
  const server = await serve(join(base, 'told'));
  const made = await hook(server, to.url, ['experiment.state', 'feedback.low']);
  assert.match(made.secret, /^whsec_[A-Za-z0-9+/=]{44}$/);
  const { text } = await server.ask('GET', '/v1/webhooks');
  assert.ok(!text.includes('whsec_'), 'the secret is shown once');
  await define(server);
  const state = await until(() => to.got.find((m) => m.json.type === 'experiment.state'), 'told of the start');
  assert.ok(verify(state, made.secret));
  assert.ok(!verify({ ...state, body: `${state.body} ` }, made.secret));
  assert.equal(state.json.data.experiment, 'exp');
  assert.equal(state.json.data.from, 'draft');
  assert.equal(state.json.data.to, 'running');
  const at = Date.now(), old = at - 30 * 86_400_000;
  const events = [{ id: 'f1', survey: 'nps', score: 6, at, comment: 'too pushy' }, { id: 'f2', survey: 'nps', score: 7, at },
    { id: 'f3', survey: 'csat', score: 2, at }, { id: 'f4', survey: 'ces', score: 4, at }, { id: 'f5', survey: 'nps', score: 0, at: old }]
    .map((event) => ({ ...event, type: 'feedback', customer: 'c-1' }));
  for (let i = 0; i < 2; i++) assert.equal((await server.ask('POST', '/v1/events', events)).status, 200);
  await until(() => to.got.filter((m) => m.json.type === 'feedback.low').length === 2, 'told of two low scores');
  await until(async () => (await waiting(server)).length === 0, 'all taken');
  const low = to.got.filter((m) => m.json.type === 'feedback.low').map((m) => m.json.data);
  assert.deepEqual(low.map((data) => [data.survey, data.score]).sort(), [['csat', 2], ['nps', 6]]);
  assert.equal(low.find((data) => data.survey === 'nps').comment, 'too pushy');
  assert.equal(new Set(to.got.map((m) => m.headers['webhook-id'])).size, to.got.length);
  assert.deepEqual(await server.stop(), [0, null]);
});

test('decisions, guardrails over their limit and failing checks are told once, with the look that finds them', async () => {
  const to = await receiver();
  const server = await serve(join(base, 'alarms'));
  const post = async (path, body) => { const { status, text } = await server.ask('POST', path, body); assert.ok(status < 300, text); };
  await hook(server, to.url, ['experiment.decision', 'guardrail.alarm', 'health.alarm']);
  await post('/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' });
  await post('/v1/metrics', { key: 'mood', kind: 'csat', margin: 0.05 });
  for (const key of ['harm', 'skew']) {
    await post('/v1/experiments', { key, variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'], guardrail: ['mood'] } });
    await post(`/v1/experiments/${key}/start`);
  }
  const at = Date.now(), events = [];
  for (let i = 0; i < 1200; i++) {
    const customer = `c-${i}`, variant = i % 2 ? 'b' : 'a';
    events.push({ type: 'exposure', customer, experiment: 'harm', variant, at },
      { type: 'feedback', customer, survey: 'csat', score: (i % 2 ? i % 3 : i % 10 === 0) ? 1 : 5, at: at + 1 },
      { type: 'exposure', customer, experiment: 'skew', variant: i % 10 ? 'a' : 'b', at });
  }
  await post('/v1/events', events);
  const results = async (key) => (await server.ask('GET', `/v1/experiments/${key}/results`)).json;
  const harm = await results('harm');
  assert.equal(harm.decision.action, 'roll-back');
  assert.equal((await results('skew')).decision.action, 'invalid');
  const of = (type, key) => to.got.map((m) => m.json).filter((m) => m.type === type && m.data.experiment === key).map((m) => m.data);
  await until(async () => to.got.length >= 4 && (await waiting(server)).length === 0, 'all told');
  const [alarm] = of('guardrail.alarm', 'harm');
  assert.equal(alarm.metric, 'mood');
  assert.equal(alarm.variant, 'b');
  const row = harm.metrics.find((metric) => metric.key === 'mood').comparisons[0];
  assert.equal(alarm.estimate, row.estimate);
  assert.ok(alarm.text.includes('95%'), alarm.text);
  assert.equal(of('experiment.decision', 'harm')[0].decision.action, 'roll-back');
  assert.ok(of('health.alarm', 'skew').some((data) => data.id && data.text), JSON.stringify(of('health.alarm', 'skew')));
  const told = to.got.length;
  await post('/v1/events', [{ type: 'exposure', customer: 'c-new', experiment: 'harm', variant: 'a', at: Date.now() }]);
  for (const key of ['harm', 'skew']) await results(key);
  await post(`/v1/webhooks/${(await server.ask('GET', '/v1/webhooks')).json.webhooks[0].id}/test`);
  await until(() => to.got.some((m) => m.json.type === 'webhook.test'), 'a trial came');
  assert.equal(to.got.length, told + 1);
  await server.stop();
});

test('a new secret signs beside the old one', async () => {
  const to = await receiver();
  const server = await serve(join(base, 'rotated'));
  const made = await hook(server, to.url, ['experiment.state']);
  const { json: rotated } = await server.ask('POST', `/v1/webhooks/${made.id}/rotate`);
  assert.notEqual(rotated.secret, made.secret);
  assert.equal((await server.ask('POST', `/v1/webhooks/${made.id}/test`)).status, 204);
  const message = await until(() => to.got[0], 'a trial came');
  assert.equal(message.json.type, 'webhook.test');
  assert.ok(verify(message, made.secret) && verify(message, rotated.secret));
  await server.stop();
});

test('what is not taken is tried again, also after a kill -9, and a dead letter on demand', async () => {
  let well = false;
  const to = await receiver(() => ({ status: well ? 200 : 500 }));
  const server = await serve(join(base, 'retried'));
  const made = await hook(server, to.url, ['experiment.state']);
  await define(server);
  const failed = await until(async () => (await waiting(server)).find((row) => row.attempts === 1), 'noted as failed');
  assert.equal(failed.status, 500);
  assert.equal(failed.dead, false);
  server.child.kill('SIGKILL');
  await server.ended;
  well = true;
  const again = await serve(join(base, 'retried'), { key: server.key });
  await until(() => to.got.length === 2, 'sent again');
  assert.equal(to.got[1].headers['webhook-id'], to.got[0].headers['webhook-id']);
  assert.ok(verify(to.got[1], made.secret));
  await until(async () => (await waiting(again)).length === 0, 'taken');
  await again.stop();
});

test('410 switches a webhook off and leaves a dead letter, which can be sent or dropped', async () => {
  let status = 410;
  const to = await receiver(() => ({ status }));
  const server = await serve(join(base, 'gone'));
  const made = await hook(server, to.url, ['experiment.state']);
  await define(server);
  const [dead] = await until(async () => { const rows = await waiting(server, '?state=dead'); return rows.length && rows; }, 'dead');
  const { json: off } = await server.ask('GET', `/v1/webhooks/${made.id}`);
  assert.equal(off.enabled, false);
  assert.match(off.disabled_why, /410/);
  assert.deepEqual([off.waiting, off.dead], [0, 1]);
  status = 200;
  const { url, events } = made;
  assert.equal((await server.ask('PUT', `/v1/webhooks/${made.id}`, { url, events, enabled: true })).status, 200);
  assert.equal((await server.ask('POST', `/v1/deliveries/${dead.id}/retry`)).status, 204);
  await until(async () => (await waiting(server)).length === 0, 'taken');
  assert.equal((await server.ask('DELETE', `/v1/deliveries/${dead.id}`)).status, 404);
  const { json: trail } = await server.ask('GET', '/v1/audit');
  assert.ok(trail.audit.some((row) => row.action === 'webhook.create' && row.key === made.id));
  assert.ok(!JSON.stringify(trail).includes('whsec_'));
  assert.equal((await server.ask('DELETE', `/v1/webhooks/${made.id}`)).status, 204);
  assert.equal((await server.ask('GET', `/v1/webhooks/${made.id}`)).status, 404);
  await server.stop();
});

test('redirects are not followed, and a slow receiver does not hold up another', async () => {
  const to = await receiver();
  const away = await receiver(() => ({ status: 302, headers: { Location: to.url } }));
  const silent = createServer(() => {});
  await new Promise((done) => silent.listen(0, '127.0.0.1', done));
  const server = await serve(join(base, 'slow'));
  await hook(server, `http://127.0.0.1:${silent.address().port}/`, ['experiment.state']);
  await hook(server, away.url, ['experiment.state']);
  await hook(server, to.url, ['experiment.state']);
  await define(server);
  await until(() => to.got.length === 1 && away.got.length === 1, 'the others are told');
  await until(async () => (await waiting(server)).some((row) => row.status === 302), 'a redirect is a failure');
  assert.equal(to.got.length, 1);
  assert.deepEqual(await server.stop(), [0, null]);
  silent.closeAllConnections();
  silent.close();
});

test('erasing a customer takes the messages about them', async () => {
  const server = await serve(join(base, 'erased'));
  await hook(server, 'http://127.0.0.1:1/', ['feedback.low']);
  const event = (customer) => ({ type: 'feedback', customer, survey: 'nps', score: 1, at: Date.now() });
  await server.ask('POST', '/v1/events', [event('c-1'), event('c-2')]);
  assert.equal((await waiting(server)).length, 2);
  assert.equal((await server.ask('DELETE', '/v1/customers/c-1')).status, 200);
  const left = await waiting(server);
  assert.deepEqual(left.map((row) => JSON.parse(row.body).data.customer), ['c-2']);
  await server.stop();
});

test('bad definitions are refused by their place', async () => {
  const server = await serve(join(base, 'bad'));
  const good = { url: 'https://example.org/x', events: ['experiment.state'] };
  for (const [change, words] of [[{ url: 'ftp://example.org/' }, /url: must be an address of http or https/],
    [{ url: 'https://user:secret@example.org/' }, /url: must not hold a user or a password/],
    [{ url: undefined }, /url: is required|url/], [{ events: [] }, /events/], [{ events: ['experiment.state', 'nonsense'] }, /events\[1\]: is no type/],
    [{ events: ['feedback.low', 'feedback.low'] }, /events\[1\]: is there twice/], [{ colour: 1 }, /colour: unknown field/]]) {
    const { status, text } = await server.ask('POST', '/v1/webhooks', { ...good, ...change });
    assert.equal(status, 400, text);
    assert.match(JSON.stringify(JSON.parse(text)).replaceAll('"place":"', '').replaceAll('","message":"', ': '), words);
  }
  const viewer = (await server.ask('POST', '/v1/keys', { kind: 'admin', role: 'editor' })).json.key;
  assert.equal((await server.ask('GET', '/v1/webhooks', undefined, { 'X-API-Key': viewer })).status, 403);
  for (let i = 0; i < 20; i++) await hook(server, good.url, good.events);
  await hook(server, good.url, good.events, 409);
  await server.stop();
});
