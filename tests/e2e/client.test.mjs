// SPDX-License-Identifier: GPL-3.0-or-later
// libuplift and a real server: each decision in the process is the server's, a change is seen at
// once, and events are counted once whatever happens to the server or the client. The program that
// uses the library is tests/client/driver.c. UPLIFT_CLIENT_COUNT: how many customers (10,000).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { lane, post, serve, slack, until } from './serving.mjs';

const program = join(process.env.UPLIFT_BUILDDIR, 'tests', 'client', 'driver');
const skip = !existsSync(program) && 'configured with --disable-client';
const COUNT = Number(process.env.UPLIFT_CLIENT_COUNT ?? (slack > 1 ? 1000 : 10_000));
const folder = mkdtempSync(join(tmpdir(), 'uplift-client-'));
const data = join(folder, 'data');
const spill = (name) => join(folder, `${name}.events`);
let server, admin, key;

// The driver: ask(command, …fields) gives its answer.
function client(...options) {
  const child = spawn(program, options, { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting = [], notes = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(JSON.parse(line)));
  createInterface({ input: child.stderr }).on('line', (line) => notes.push(line));
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => {
    waiting.forEach((done) => done(null));
    resolve([code, signal]);
  }));
  child.stdin.on('error', () => {});
  return {
    child, ended, notes,
    ask: (...fields) => new Promise((resolve) => { waiting.push(resolve); child.stdin.write(`${fields.join('\t')}\n`); }),
    kill: () => { child.kill('SIGKILL'); return ended; },
    close: async (ms = 20_000) => {
      const answer = await new Promise((resolve) => { waiting.push(resolve); child.stdin.write(`close\t${ms}\n`); });
      assert.deepEqual(await ended, [0, null], notes.join('\n'));
      return answer;
    },
  };
}
const connected = (...options) => client(`url=${server.url}`, `key=${key}`, 'send=20', 'retry=20', 'retry_max=100', ...options);
const ok = (answer) => assert.equal(answer?.code, 0, answer?.text);

const call = async (method, path, body, headers) => {
  const answer = await server.ask(method, path, body, headers);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.json;
};
const start = async (definition) => {
  await call('POST', '/v1/experiments', definition);
  await call('POST', `/v1/experiments/${definition.key}/start`);
};
const exposed = async (experiment) => (await call('GET', `/v1/experiments/${experiment}/results`))
  .experiment.variants.reduce((sum, row) => sum + row.exposed, 0);
// Customers of whom the server has an order, of those with this beginning.
const events = async (customer) => (await call('GET', `/v1/customers/${encodeURIComponent(customer)}`)).events;

const ab = [{ key: 'a', value: 1 }, { key: 'b', value: 2 }];
const adults = { age: { $gte: 18 }, country: { $in: ['DE', 'FR'] } };
const forms = [
  { key: 'plain', variants: [{ key: 'a' }, { key: 'b' }] },
  { key: 'odd', variants: [{ key: 'a', weight: 3, value: 'x' }, { key: 'b', weight: 1.5, value: 'y' }, { key: 'c', weight: 0.1, value: 'z' }] },
  { key: 'traffic', traffic: 0.3, variants: ab },
  { key: 'lower', layer: { key: 'page', range: [0, 0.4] }, variants: ab },
  { key: 'upper', layer: { key: 'page', range: [0.4, 1] }, traffic: 0.9, variants: ab },
  { key: 'aimed', audience: adults, variants: [{ key: 'a', value: { on: false } }, { key: 'b', value: { on: true } }] },
  { key: 'forced', audience: adults, overrides: { 'c-1': 'b', 'кунде-2': 'a' }, variants: ab },
  { key: 'ids', audience: { id: { $regex: '[02468]$' } }, variants: ab },
  { key: 'factors', factors: [{ key: 'layout', levels: ['grid', 'list'] }, { key: 'tone', levels: ['soft', 'pushy'] }] },
  { key: 'seeded', seed: 'grün-💶', variants: ab },
  { key: 'child', prerequisites: [{ experiment: 'plain', variants: ['b'] }], variants: ab },
  { key: 'covered', variants: ab }, { key: 'covered-child', prerequisites: [{ experiment: 'plain', variants: ['b'] }], variants: ab },
  { key: 'paused', variants: ab }, { key: 'stopped', variants: ab }, { key: 'won', variants: ab },
  { key: 'won-aimed', audience: adults, overrides: { 'c-1': 'a' }, variants: ab },
];

before(async () => {
  if (skip) return;
  server = await serve(data, { options: ['--rate', '0'] });
  admin = server.key;
  key = (await call('POST', '/v1/keys', { kind: 'client' })).key;
  await call('POST', '/v1/metrics', { key: 'buy', kind: 'mean', event: 'order' });
  await start({ key: 'hold', holdout: { experiments: ['covered', 'covered-child'] }, variants: [{ key: 'held', weight: 0.3 }, { key: 'open', weight: 0.7 }] });
  for (const form of forms) await start({ ...form, metrics: { primary: ['buy'] } });
  await call('POST', '/v1/experiments/paused/pause');
  await call('POST', '/v1/experiments/stopped/stop', { reason: 'a test' });
  for (const won of ['won', 'won-aimed']) await call('POST', `/v1/experiments/${won}/stop`, { winner: 'b', reason: 'a test' });
  await call('POST', '/v1/experiments', { key: 'draft', variants: ab });
});

after(async () => {
  if (server) await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const restart = async () => { server = await serve(data, { key: admin, options: ['--rate', '0'] }); };
// The address must stay the client's: a new server listens elsewhere, so a door stands in front.
function door() {
  let to = null, away = false;
  const seen = [];
  const front = createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part)).on('end', async () => {
      seen.push(`${request.method} ${request.url}`);
      if (away) { response.writeHead(...away); response.end('{}'); return; }
      try {
        const answer = await fetch(server.url + request.url, {
          method: request.method, body: request.method === 'POST' ? Buffer.concat(parts) : undefined,
          headers: { authorization: request.headers.authorization ?? '' },
        });
        const text = await answer.text();
        if (to === 'lose answers') { response.destroy(); return; }
        response.writeHead(answer.status, { 'Content-Type': 'application/json' });
        response.end(text);
      } catch { response.destroy(); }
    });
  });
  return new Promise((resolve) => front.listen(0, '127.0.0.1', () => resolve({
    url: `http://127.0.0.1:${front.address().port}`, seen,
    away: (...answer) => { away = answer.length ? answer : false; },
    mode: (name) => { to = name; },
    close: () => { front.close(); front.closeAllConnections(); },
  })));
}

const ids = ['c-1', 'кунде-2', 'künde-💶', '0', ' ', 'ÿ', '\u{10ffff}', ...Array.from({ length: COUNT }, (_, i) =>
  (i % 3 === 0 ? `c-${i}` : i % 3 === 1 ? `kundé-ß-${i}` : `客${i}\u{1f6d2}`))];
const attributes = (i) => ({ age: i % 40, country: ['DE', 'FR', 'US'][i % 3], id: 'never this' });

test(`${COUNT} customers get in the process what they get from the server`, { skip }, async () => {
  const c = connected('no_streaming');
  ok(await c.ask('wait', 20_000));
  const seen = new Map(forms.map(({ key: form }) => [form, new Set()]));
  let next = 0;
  const compare = async () => {
    const connection = lane(server.port);
    for (let i; (i = next++) < ids.length;) {
      const customer = ids[i], text = JSON.stringify(attributes(i));
      connection.write(post(server, '/v1/assign', { customer, attributes: attributes(i) }));
      const [answer, ...mine] = await Promise.all([connection.answer(), ...forms.map((form) => c.ask('decide', form.key, customer, text))]);
      assert.equal(answer.status, 200, answer.body);
      const theirs = new Map(JSON.parse(answer.body).assignments.map((row) => [row.experiment, row]));
      forms.forEach((form, f) => {
        const { variant, index, value, reason, in_experiment: inside, bucket, code } = mine[f];
        const row = theirs.get(form.key), where = `${form.key} for ${customer}: ${JSON.stringify(mine[f])}, server ${JSON.stringify(row)}`;
        if (code !== 0 || inside !== row.in_experiment || JSON.stringify(value) !== JSON.stringify(row.value)) assert.fail(where);
        if (variant !== row.variant && (variant !== null || !['paused', 'stopped', 'won', 'won-aimed'].includes(form.key))) assert.fail(where);
        if (row.bucket !== null && reason !== 'held-out' && bucket !== row.bucket) assert.fail(where);
        if (inside && form.variants && form.variants[index].key !== row.variant) assert.fail(where);
        seen.get(form.key).add(`${row.reason} ${reason}`);
      });
    }
    connection.end();
  };
  await Promise.all(Array.from({ length: 8 }, compare));
  assert.deepEqual([...seen.get('forced')].sort(), ['assigned assigned', 'not-in-audience default', 'override forced']);
  assert.deepEqual([...seen.get('covered')].sort(), ['assigned assigned', 'holdout held-out']);
  assert.ok(seen.get('covered-child').has('holdout held-out') && seen.get('child').has('assigned assigned'));
  assert.deepEqual([...seen.get('won-aimed')].sort(), ['not-in-audience default', 'winner forced']);
  assert.deepEqual([...seen.get('lower')].sort(), ['assigned assigned', 'not-in-layer default']);
  assert.deepEqual([...seen.get('traffic')].sort(), ['assigned assigned', 'not-in-traffic default']);
  assert.equal((await c.ask('decide', 'draft', 'c', '')).reason, 'unknown');
  ok(await c.close());
});

test('a change is seen by the stream, and an unchanged payload costs a 304', { skip }, async () => {
  const c = connected('poll=3600000');
  ok(await c.ask('wait', 20_000));
  await start({ key: 'late', variants: ab });
  await until(async () => (await c.ask('decide', 'late', 'c-1', '')).reason === 'assigned', 'seen');
  const polled = connected('poll=20', 'no_streaming');
  ok(await polled.ask('wait', 20_000));
  await call('POST', '/v1/experiments/late/pause');
  await until(async () => (await polled.ask('decide', 'late', 'c-1', '')).reason === 'default', 'polled');
  await until(async () => (await c.ask('decide', 'late', 'c-1', '')).reason === 'default', 'streamed');
  assert.equal((await polled.ask('stats')).payloads, 2);
  ok(await c.close());
  ok(await polled.close());
});

test('exposures count once, outcomes and feedback arrive with what was said', { skip }, async () => {
  const c = connected();
  ok(await c.ask('wait', 20_000));
  const before = await exposed('plain');
  for (let round = 0; round < 3; round++)
    for (let i = 0; i < 50; i++) ok(await c.ask('assign', 'plain', `shown-${i}`, '{"country":"DE"}'));
  ok(await c.ask('outcome', 'shown-1', 'order', '59.9'));
  ok(await c.ask('feedback', 'shown-1', 'nps', '9', 'fein: 💶'));
  ok(await c.ask('event', JSON.stringify({ type: 'outcome', customer: 'shown-2', name: 'order', at: '2026-01-01T00:00:00Z', channel: 'app' })));
  ok(await c.ask('send', 20_000));
  const { accepted, duplicates, rejected, waiting } = await c.ask('stats');
  assert.deepEqual({ accepted, duplicates, rejected, waiting }, { accepted: 53, duplicates: 0, rejected: 0, waiting: 0 });
  assert.equal(await exposed('plain'), before + 50);
  const told = (await events('shown-1')).map(({ type, value, score, comment }) => ({ type, value: value ?? score, comment }));
  assert.deepEqual(told.find(({ type }) => type === 'outcome').value, 59.9);
  assert.deepEqual(told.find(({ type }) => type === 'feedback'), { type: 'feedback', value: 9, comment: 'fein: 💶' });
  ok(await c.close());
});

test('what the server refuses is told, and holds nothing up', { skip }, async () => {
  const c = connected();
  ok(await c.ask('wait', 20_000));
  const far = new Date(Date.now() + 20 * 3600_000).toISOString();
  ok(await c.ask('event', JSON.stringify({ type: 'outcome', customer: 'refused-1', name: 'order', at: far })));
  ok(await c.ask('event', JSON.stringify({ type: 'exposure', customer: 'refused-1', experiment: 'nowhere', variant: 'a' })));
  ok(await c.ask('outcome', 'refused-1', 'order', '1'));
  ok(await c.ask('send', 20_000));
  const { accepted, rejected } = await c.ask('stats');
  assert.equal(accepted + rejected, 3);
  assert.ok(rejected > 0 && c.notes.some((note) => /refused 1 events, the first: /.test(note)), c.notes.join('\n'));
  ok(await c.close());
});

test('a server that is away, busy or loses its answers: all is counted exactly once', { skip }, async () => {
  const front = await door();
  const options = [`url=${front.url}`, `key=${key}`, 'send=5', 'retry=10', 'retry_max=80', 'batch=7', 'no_streaming', `spill=${spill('away')}`, `kept=${join(folder, 'kept')}`];
  let c = client(...options);
  ok(await c.ask('wait', 20_000));
  let count = 0;
  const record = async (n) => { for (let i = 0; i < n; i++) ok(await c.ask('outcome', `away-${count++ % 5}`, 'order', '1')); };
  await record(20);
  front.mode('lose answers');
  await record(30);
  await until(async () => (await c.ask('stats')).failures > 2, 'retried');
  front.mode(null);
  front.away(429, { 'Retry-After': '1' });
  await record(30);
  await until(() => c.notes.some((note) => /answers 429/.test(note)), 'answered 429');
  const asked = front.seen.filter((line) => line === 'POST /v1/events').length;
  const started = Date.now();
  await until(() => front.seen.filter((line) => line === 'POST /v1/events').length > asked, 'asked again');
  assert.ok(Date.now() - started > 500, 'Retry-After was kept');
  front.away(503, {});
  await record(30);
  await until(() => c.notes.some((note) => /answers 503/.test(note)), 'answered 503');
  await server.stop();
  front.away();
  await record(30);
  // The client ends while nobody is there, and starts again: definitions and events are in its files.
  assert.equal((await c.close(50)).code, 4);
  c = client(...options);
  ok(await c.ask('wait', 0));
  assert.equal((await c.ask('decide', 'plain', 'c-1', '')).reason, 'assigned');
  await record(20);
  await restart();
  ok(await c.ask('send', 30_000));
  const { waiting, rejected } = await c.ask('stats');
  assert.deepEqual({ waiting, rejected }, { waiting: 0, rejected: 0 });
  const lists = await Promise.all([0, 1, 2, 3, 4].map((i) => events(`away-${i}`)));
  assert.equal(lists.flat().length, count);
  assert.equal(new Set(lists.flat().map(({ id }) => id)).size, count);
  ok(await c.close());
  front.close();
});

test('kill -9 of the client loses nothing that was kept, and counts nothing twice', { skip }, async () => {
  const at = spill('killed');
  const firms = [];
  let kept = 0, number = 0;
  for (let round = 0; round < 8; round++) {
    const c = connected(`spill=${at}`, 'send=1', 'batch=3');
    const lot = 20 + round * 10;
    for (let i = 0; i < lot; i++) c.ask('event', JSON.stringify({ id: `k-${number++}`, type: 'outcome', customer: `killed-${i % 3}`, name: 'order' }));
    ok(await c.ask('keep', 20_000));
    kept = number;
    // Some more, which may or may not be there after a kill at a moment of its own choosing.
    for (let i = 0; i < 50; i++) c.ask('event', JSON.stringify({ id: `k-${number++}`, type: 'outcome', customer: `killed-${i % 3}`, name: 'order' }));
    const firm = Array.from({ length: lot }, (_, i) => kept - lot + i);
    firms.push(...firm);
    await new Promise((resolve) => setTimeout(resolve, round * 3));
    await c.kill();
  }
  const last = connected(`spill=${at}`);
  ok(await last.ask('send', 20_000));
  ok(await last.close());
  const lists = (await Promise.all([0, 1, 2].map((i) => events(`killed-${i}`)))).flat().map(({ id }) => id);
  assert.equal(new Set(lists).size, lists.length, 'none twice');
  const there = new Set(lists);
  assert.deepEqual(firms.filter((n) => !there.has(`k-${n}`)), [], 'all that were kept are there');
});

test('a wrong key, a file of something else, an address of nobody: told, and the program goes on', { skip }, async () => {
  writeFileSync(spill('other'), readFileSync(process.execPath).subarray(0, 4096));
  const other = client(`url=${server.url}`, `key=${key}`, `spill=${spill('other')}`);
  assert.deepEqual(await other.ended, [2, null]);
  assert.match(other.notes.join('\n'), /other\.events: the spill file is of something else/);
  const wrong = client(`url=${server.url}`, 'key=sdk-00000000000000000000000000000000', 'retry=10', 'retry_max=10');
  assert.equal((await wrong.ask('wait', 300)).code, 4);
  assert.equal((await wrong.ask('decide', 'plain', 'c', '')).reason, 'unavailable');
  ok(await wrong.ask('outcome', 'c', 'order', '1'));
  await until(() => wrong.notes.some((note) => /sending events: the server answers 401/.test(note)), 'refused');
  assert.ok(!wrong.notes.join('').includes('sdk-0000'));
  assert.equal((await wrong.close(0)).code, 5);
});
