// SPDX-License-Identifier: GPL-3.0-or-later
// Who may do what: every route of the description times every kind and role of key, against the table
// in tests/data/http; wrong methods; bad input of every kind, after which everything is as before;
// limits per key and per request; streams and the trail.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const bin = process.env.UPLIFT_BIN;
const folder = mkdtempSync(join(tmpdir(), 'uplift-access-'));
const table = JSON.parse(readFileSync(join(process.env.UPLIFT_SRCDIR ?? '.', 'tests/data/http/access.json'), 'utf8'));
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
let server;
const keys = { wrong: 'adm-00000000000000000000000000000000' };

async function serve(name, ...options) {
  const child = spawn(bin, ['serve', '--data', join(folder, name), '--listen', '127.0.0.1:0', ...options]);
  let text = '';
  child.stderr.on('data', (bytes) => { text += bytes; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (bytes) => { text += bytes; if (/listening on/.test(text)) resolve(); });
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
  const port = Number(/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)[1]);
  const ended = new Promise((resolve) => { child.removeAllListeners('exit'); child.on('exit', (code) => resolve(code)); });
  return { port, url: `http://127.0.0.1:${port}`, key: /adm-\w+/.exec(text)[0], stop: () => { child.kill('SIGTERM'); return ended; } };
}

async function ask(to, method, path, { key, body, headers = {} } = {}) {
  const answer = await fetch(to.url + path, {
    method, body: body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    headers: { ...(key ? { 'X-API-Key': key } : {}), ...headers },
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, json: () => JSON.parse(text) };
}

before(async () => {
  server = await serve('all');
  keys.admin = server.key;
  for (const [name, body] of [['client', { kind: 'client' }], ['service', { kind: 'service' }],
    ['viewer', { kind: 'admin', role: 'viewer' }], ['editor', { kind: 'admin', role: 'editor' }]])
    keys[name] = (await ask(server, 'POST', '/v1/keys', { key: server.key, body })).json().key;
  await ask(server, 'POST', '/v1/metrics', { key: server.key, body: { key: 'buy', kind: 'binary', event: 'order' } });
  await ask(server, 'POST', '/v1/experiments', { key: server.key, body: { key: 'exp', variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'] } } });
  assert.equal((await ask(server, 'POST', '/v1/experiments/exp/start', { key: server.key })).status, 200);
});

after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(folder, { recursive: true, force: true });
});

const routes = async () => {
  const { paths } = (await ask(server, 'GET', '/v1/openapi.json')).json();
  return Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
};

test('the table names every route of the description', async () => {
  assert.deepEqual((await routes()).sort(), Object.keys(table.routes).sort());
});

test('every key may do what the table says, and nothing else', async () => {
  for (const route of await routes()) {
    const [method, pattern] = route.split(' ');
    if (pattern === '/v1/stream' || pattern.includes('{clientKey}')) continue; // have tests of their own: streams do not end
    for (const name of table.keys) {
      // Never there, so that what is allowed changes nothing: 400, 404, 409 or 428 say that the key was fine.
      const { status } = await ask(server, method, pattern.replace(/\{\w+\}/, 'nowhere'), { key: keys[name], ...(method === 'GET' ? {} : { body: '{' }) });
      const may = table.who[table.routes[route]].includes(name);
      const want = may ? status !== 401 && status !== 403 : status === (name === 'none' || name === 'wrong' ? 401 : 403);
      assert.ok(want, `${route} with ${name}: ${status}`);
    }
  }
});

test('a wrong method is refused, and told which ones there are', async () => {
  const known = {};
  for (const route of await routes()) {
    const [method, path] = route.split(' ');
    (known[path] ??= []).push(method);
  }
  for (const [path, methods] of Object.entries(known)) {
    for (const method of METHODS.filter((word) => !methods.includes(word))) {
      const { status, headers, json } = await ask(server, method, path.replace(/\{\w+\}/, 'x'), { key: server.key });
      assert.equal(status, 405, `${method} ${path}`);
      // Where SDKs of others ask, errors are in their words.
      if (!/^\/(ofrep|api|sub|track)\b/.test(path)) assert.equal(json().title, 'Method Not Allowed');
      assert.deepEqual(headers.get('allow').split(', ').sort(), [...methods].sort(), path);
    }
  }
});

test('pages of other origins may call what a client key may, and nothing else', async () => {
  const origin = 'https://shop.example';
  for (const route of await routes()) {
    const [method, pattern] = route.split(' ');
    const path = pattern.replace(/\{\w+\}/, 'nowhere');
    const shared = table.routes[route] === 'client';
    const preflight = await ask(server, 'OPTIONS', path, {
      headers: { Origin: origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': 'content-type' },
    });
    const refused = pattern === '/v1/stream' ? preflight : await ask(server, method, path, { key: 'sdk-wrong', headers: { Origin: origin }, body: method === 'GET' ? undefined : '{' });
    const wrong = await ask(server, 'PURGE', path, { headers: { Origin: origin } });
    assert.equal(preflight.status, shared ? 204 : 405, route);
    for (const { headers } of [preflight, refused, wrong]) {
      const allowed = headers.get('access-control-allow-origin');
      if (!shared) {
        assert.equal(allowed, null, route);
        continue;
      }
      // Beacons carry credentials, for which "*" does not count.
      const beacons = pattern === '/v1/events' || pattern === '/track';
      assert.equal(allowed, beacons ? origin : '*', route);
      assert.equal(headers.get('access-control-allow-credentials'), beacons ? 'true' : null, route);
      assert.equal(headers.get('vary'), beacons ? 'Origin' : null, route);
      assert.equal(headers.get('access-control-expose-headers'), 'ETag, Retry-After, x-sse-support');
    }
    if (!shared)
      continue;
    assert.equal(preflight.text, '');
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, POST, OPTIONS');
    assert.equal(preflight.headers.get('access-control-allow-headers'), 'Authorization, Content-Type, Content-Encoding, If-None-Match, X-API-Key, Idempotency-Key');
    assert.equal(preflight.headers.get('access-control-max-age'), '86400');
  }
  const plain = await ask(server, 'POST', '/v1/events', { body: '[]' });
  assert.equal(plain.status, 401);
  assert.equal(plain.headers.get('access-control-allow-origin'), '*');
  const fine = await ask(server, 'POST', '/v1/events', { key: keys.client, body: '[]', headers: { Origin: 'null' } });
  assert.equal(fine.headers.get('access-control-allow-origin'), 'null');
});

// What there is of everything.
async function inventory() {
  const figures = (await ask(server, 'GET', '/metrics')).text;
  const get = async (path) => (await ask(server, 'GET', path, { key: server.key })).json();
  const { experiments } = await get('/v1/experiments');
  return {
    accepted: /^uplift_events_accepted_total (\d+)/m.exec(figures)[1],
    experiments: experiments.map((row) => [row.key, row.version]),
    metrics: (await get('/v1/metrics')).metrics.map((row) => [row.key, row.version]),
    keys: (await get('/v1/keys')).keys.map((row) => row.id),
    audit: (await get('/v1/audit')).audit.length,
    exposed: (await get('/v1/experiments/exp/results')).experiment.variants.map((row) => row.exposed),
  };
}

test('bad input of every kind gets a clear error and leaves no trace', async () => {
  const before = await inventory();
  const key = server.key;
  const deep = '['.repeat(10_000) + ']'.repeat(10_000);
  const broken = new Uint8Array([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]);
  const targets = [['POST', '/v1/experiments'], ['POST', '/v1/metrics'], ['POST', '/v1/keys'], ['POST', '/v1/assign'],
    ['POST', '/v1/explain'], ['POST', '/v1/analyze'], ['POST', '/v1/plan'], ['POST', '/v1/experiments/exp/stop'], ['POST', '/v1/experiments/exp/new-phase']];
  const kinds = {
    'a wrong type': '{"key": 5, "customer": 5, "kind": 5, "variants": 5, "winner": 5, "seed": 5}', NaN: '{"key": NaN}', 'a huge number': '{"key": 1e999}',
    'broken UTF-8': broken, 'deep nesting': deep, 'an unknown field': '{"no-such-field": 1}', 'half a document': '{"key": "x"',
    'the wrong shape': '[1]', 'something behind it': '{} {}', 'a repeated member': '{"key": "x", "key": "y"}',
  };
  for (const [method, path] of targets)
    for (const [kind, body] of Object.entries(kinds)) {
      const { status, headers, json } = await ask(server, method, path, { key, body });
      assert.ok(status >= 400 && status < 500, `${path} with ${kind}: ${status}`);
      assert.match(headers.get('content-type'), /problem\+json/, `${path} with ${kind}`);
      const problem = json();
      assert.ok(problem.detail.length > 5 && problem.title && problem.status === status && problem.request_id, `${path} with ${kind}: ${JSON.stringify(problem)}`);
    }
  // Events are refused one by one where the body as a whole can be read.
  for (const body of [broken, deep, '{"type": 1e999}', '[', 'x'])
    assert.equal((await ask(server, 'POST', '/v1/events', { key, body })).status, 400);
  const { rejected, accepted } = (await ask(server, 'POST', '/v1/events', {
    key, body: [5, {}, { type: 'outcome' }, { type: 'outcome', customer: 'c', name: 'order', value: 'NaN' },
      { type: 'exposure', customer: 'c', experiment: 'none', variant: 'a' }, { type: 'exposure', customer: 'c', experiment: 'exp', variant: 'z' },
      { type: 'feedback', customer: 'c', survey: 'nps', score: 99 }, { type: 'outcome', customer: '', name: 'order' },
      { type: 'outcome', customer: 'c', name: 'order', colour: 1 }, { type: 'outcome', customer: 'c', name: 'order', at: '9999-01-01T00:00:00Z' }],
  })).json();
  assert.equal(accepted, 0);
  assert.deepEqual(rejected.map((row) => row.index), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.ok(rejected.some((row) => row.error === 'value: must be a finite number'), JSON.stringify(rejected));
  for (const options of [{}, { key: keys.wrong }])
    for (const [method, path] of targets)
      assert.equal((await ask(server, method, path, { ...options, body: { key: 'x' } })).status, 401);
  for (const [method, path] of targets)
    assert.equal((await ask(server, method, path, { key, body: 'x'.repeat((8 << 20) + 1) })).status, 413, path);
  assert.deepEqual(await inventory(), before);
});

test('large integers in attributes and events are numbers as in JavaScript', async () => {
  const { status, json } = await ask(server, 'POST', '/v1/assign', { key: server.key, body: '{"customer": "c-1", "attributes": {"big": 18446744073709551616}}' });
  assert.equal(status, 200);
  assert.equal(json().assignments.length, 1);
});

test('the last admin key is not revoked, others are', async () => {
  const list = () => ask(server, 'GET', '/v1/keys', { key: server.key });
  const admins = (await list()).json().keys.filter((row) => row.role === 'admin');
  assert.equal(admins.length, 1);
  const { status, json } = await ask(server, 'DELETE', `/v1/keys/${admins[0].id}`, { key: server.key });
  assert.equal(status, 409);
  assert.match(json().detail, /last key of role admin/);
  const other = (await ask(server, 'POST', '/v1/keys', { key: server.key, body: { kind: 'admin', role: 'admin' } })).json();
  assert.equal((await ask(server, 'DELETE', `/v1/keys/${other.id}`, { key: server.key })).status, 204);
  assert.equal((await ask(server, 'GET', '/v1/keys', { key: other.key })).status, 401);
});

test('a key in the address: clients for events, people for streams, nobody elsewhere', async () => {
  const event = [{ type: 'outcome', customer: 'c', name: 'x' }];
  assert.equal((await ask(server, 'POST', `/v1/events?key=${keys.client}`, { body: event })).status, 200);
  assert.equal((await ask(server, 'POST', `/v1/events?key=${keys.service}`, { body: event })).status, 403);
  assert.equal((await ask(server, 'GET', `/v1/experiments?key=${keys.admin}`)).status, 401);
});

test('the trail is shown newest first, in pages', async () => {
  const page = async (query) => (await ask(server, 'GET', `/v1/audit?limit=2${query}`, { key: server.key })).json();
  const seen = [];
  for (let cursor = ''; cursor !== null;) {
    const { audit, cursor: next } = await page(cursor && `&cursor=${cursor}`);
    seen.push(...audit);
    cursor = next;
  }
  assert.deepEqual(seen.map((row) => row.number), seen.map((_, i) => seen.length - i));
  assert.ok(seen.some((row) => row.key === 'exp' && row.action && row.who && row.before));
  assert.equal((await ask(server, 'GET', '/v1/audit?cursor=x', { key: server.key })).status, 400);
});

// What a stream says until it has said `words`, or for `ms`.
async function listen(to, key, words, ms) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), ms);
  let text = '';
  try {
    const answer = await fetch(`${to.url}/v1/stream?key=${key}`, { signal: stop.signal });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /text\/event-stream/);
    const decoder = new TextDecoder();
    for await (const bytes of answer.body) {
      text += decoder.decode(bytes);
      if (text.includes(words)) break;
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
  clearTimeout(timer);
  stop.abort();
  return text;
}

test('a stream says what changed, by name', async () => {
  assert.equal((await ask(server, 'GET', `/v1/stream?key=${keys.client}`)).status, 403);
  assert.equal((await ask(server, 'GET', '/v1/stream')).status, 401);
  const results = listen(server, keys.viewer, '"results":["exp"]', 15_000);
  const definitions = listen(server, keys.viewer, '"key":"exp","version"', 15_000);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await ask(server, 'POST', '/v1/assign', { key: keys.service, body: { customer: 'streamed', experiments: ['exp'], track: true } });
  assert.match((await results).replaceAll(' ', ''), /event:change\ndata:.*"results":\["exp"\]/);
  await ask(server, 'PATCH', '/v1/experiments/exp', { key: keys.editor, body: { name: 'Another' }, headers: { 'If-Match': '*' } });
  assert.match((await definitions).replaceAll(' ', ''), /"experiments":\[\{"key":"exp","version":\d+\}\]/);
});

test('streams do not hold up the end, nor too many of them the server', async () => {
  const own = await serve('streams');
  const stop = new AbortController();
  const opened = await Promise.all(Array.from({ length: 105 }, () => fetch(`${own.url}/v1/stream?key=${own.key}`, { signal: stop.signal })));
  const refused = opened.filter((answer) => answer.status === 503);
  assert.equal(refused.length, 5);
  assert.equal(refused[0].headers.get('retry-after'), '1');
  assert.equal((await ask(own, 'GET', '/healthz')).status, 200);
  assert.equal(await own.stop(), 0);
  stop.abort();
});

test('a key that asks too often is told to wait a second, others are not', async () => {
  const own = await serve('rate', '--rate', '20');
  const other = (await ask(own, 'POST', '/v1/keys', { key: own.key, body: { kind: 'service' } })).json().key;
  const answers = [];
  for (let i = 0; i < 60; i++) answers.push(await ask(own, 'GET', '/v1/keys', { key: own.key }));
  const refused = answers.filter((answer) => answer.status === 429);
  assert.ok(refused.length > 0 && refused.length < 60, `${refused.length} of 60`);
  assert.equal(refused[0].headers.get('retry-after'), '1');
  assert.equal(refused[0].json().title, 'Too Many Requests');
  assert.equal((await ask(own, 'POST', '/v1/assign', { key: other, body: { customer: 'c' } })).status, 200);
  assert.equal(await own.stop(), 0);
});

test('a request that trickles in is answered 408 and cut, in its head and in its body', async () => {
  const own = await serve('slow', '--arrive', '2');
  const head = 'POST /v1/events HTTP/1.1\r\nHost: x\r\n';
  const body = `${head}X-API-Key: ${own.key}\r\nContent-Length: 1000\r\n\r\n[`;
  const cut = (start) => new Promise((resolve) => {
    const socket = connect(own.port, '127.0.0.1', () => socket.write(start));
    const timer = setInterval(() => socket.write(' '), 200);
    let said = '';
    const give = (how) => { clearInterval(timer); clearTimeout(late); socket.destroy(); resolve(how === 'cut' ? said.split('\r\n')[0] : how); };
    const late = setTimeout(() => give('never'), 20_000);
    socket.on('error', () => give('cut')).on('close', () => give('cut')).on('end', () => give('cut')).on('data', (bytes) => { said += bytes; });
  });
  // A client that goes on sending may lose the answer to the reset that its bytes cause.
  const ends = await Promise.all([cut(`${head}X-Slow: `), cut(body), cut(`${head}X-Slow: `), cut(body)]);
  assert.ok(ends.every((end) => end === '' || end === 'HTTP/1.1 408 Request Timeout'), ends.join());
  assert.ok(ends.includes('HTTP/1.1 408 Request Timeout'), ends.join());
  assert.equal((await ask(own, 'GET', '/healthz')).status, 200);
  assert.equal(await own.stop(), 0);
});
