// SPDX-License-Identifier: GPL-3.0-or-later
// What clients can do to a server, each against a real one: too many, too large, too slow, packed,
// nested, unreadable. Each gets an answer that says so or is cut, in bounded memory and without a
// busy loop, and others are served meanwhile. access.test.mjs has slow senders and keys that ask too
// often, server.test.mjs refusals of bodies.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { define, figures, lane, pause, post, serve, slack, until } from './serving.mjs';

const folder = mkdtempSync(join(tmpdir(), 'uplift-limits-'));
let server, short; // the latter does not wait for long

before(async () => {
  server = await serve(join(folder, 'data'));
  short = await serve(join(folder, 'short'), { options: ['--timeout', '2', '--arrive', '3'] });
  await define(server);
});
after(async () => {
  assert.deepEqual(await server.stop(), [0, null], server.text());
  assert.deepEqual(await short.stop(), [0, null]);
  rmSync(folder, { recursive: true, force: true });
});

const well = async (to = server) => assert.equal((await to.ask('POST', '/v1/assign', { customer: 'c' })).status, 200);
const outcome = (i) => ({ id: `e-${i}`, type: 'outcome', customer: `c-${i % 100}`, name: 'order', at: 1790000000000 + i });
// One request on a connection of its own: its answer, or null where it was cut.
async function once(bytes, to = server) {
  const one = lane(to.port);
  one.write(bytes);
  const answer = await Promise.race([one.answer(), pause(30_000).then(() => 'nothing')]);
  one.end();
  assert.notEqual(answer, 'nothing', String(bytes).slice(0, 60));
  return answer;
}

test('more connections than there may be wait, and come in when others go', async () => {
  const own = await serve(join(folder, 'few'), { options: ['--connections', '12', '--threads', '2'] });
  const lanes = Array.from({ length: 40 }, () => lane(own.port));
  const answered = lanes.map((one) => { one.write(post(own, '/v1/assign', { customer: 'c' })); return one.answer(); });
  await pause(500);
  const before = figures(own.child.pid).busy;
  await pause(1000);
  assert.ok(figures(own.child.pid).busy - before < 300 * slack, 'it is busy with waiting');
  let served = 0;
  await Promise.all(answered.map(async (answer, i) => {
    if ((await answer)?.status === 200) served++;
    lanes[i].end();
  }));
  assert.equal(served, 40);
  assert.deepEqual(await own.stop(), [0, null]);
});

test('heads that are too large or none are refused', async () => {
  const line = 'GET /healthz HTTP/1.1\r\nHost: x\r\n';
  assert.equal((await once(`${line}X-Large: ${'x'.repeat(40_000)}\r\n\r\n`)).status, 431);
  assert.equal((await once(`${line}${Array.from({ length: 3000 }, (_, i) => `X-${i}: yes\r\n`).join('')}\r\n`)).status, 431);
  assert.equal((await once(`GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).status, 414);
  for (const garbage of ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '\0\0\0\0\r\n\r\n', 'GET\r\n\r\n', 'hello\r\n\r\n', `${'x'.repeat(40_000)}`,
    'GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n', 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n', 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n',
    'POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n']) {
    const answer = await once(Buffer.from(garbage, 'latin1'), short);
    assert.ok(answer === null || (answer.status >= 400 && answer.status < 600), `${garbage.slice(0, 30)}: ${answer?.head}`);
  }
  // Empty lines before a request are none of it.
  assert.equal((await once(`\r\n\r\n${line}\r\n`)).status, 200);
  await well();
  await well(short);
});

const chunked = (parts) => `POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.key}\r\nTransfer-Encoding: chunked\r\n\r\n${
  parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`;

test('bodies come whole or in chunks, and are refused when too large', async () => {
  const body = JSON.stringify([outcome(1), outcome(2)]), one = lane(server.port);
  one.write(chunked([body.slice(0, 10), body.slice(10, 50), body.slice(50)]));
  assert.deepEqual(JSON.parse((await one.answer()).body), { rejected: [], accepted: 2, duplicates: 0 });
  one.write(chunked(Array.from({ length: 150 }, () => ' '.repeat(65_536)))); // 9.4 MiB
  assert.equal((await one.answer()).status, 413);
  one.write(post(server, '/v1/events', ' '.repeat(9 << 20)));
  assert.equal((await one.answer()).status, 413);
  one.write(chunked([body])); // the connection can still be used
  assert.equal(JSON.parse((await one.answer()).body).duplicates, 2);
  one.end();
  // One that says that more comes than would be read is answered at once.
  assert.equal((await once(`POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.key}\r\nContent-Length: 9000000000\r\n\r\n`)).status, 413);
  await well();
});

test('a bomb of gzip is refused in bounded memory', async () => {
  const bomb = gzipSync(Buffer.alloc(200 << 20, 0x20), { level: 9 }), head = { 'Content-Encoding': 'gzip' };
  assert.ok(bomb.length < 300_000);
  assert.equal((await server.ask('POST', '/v1/events', bomb, head)).status, 413);
  const before = figures(server.child.pid).memory;
  let most = 0, over = false;
  const watching = (async () => { while (!over) { most = Math.max(most, figures(server.child.pid).memory); await pause(10); } })();
  const answers = await Promise.all(Array.from({ length: 30 }, () => server.ask('POST', '/v1/events', bomb, head)));
  over = true;
  await watching;
  assert.ok(answers.every(({ status }) => status === 413));
  assert.ok(most - before < slack * (64 << 20), `${(most - before) >> 20} MiB more`);
  const twice = gzipSync(gzipSync(JSON.stringify([outcome(1)])));
  assert.equal((await server.ask('POST', '/v1/events', twice, head)).status, 400);
  for (const cut of [1, 10, 17]) assert.equal((await server.ask('POST', '/v1/events', gzipSync('[]').subarray(0, cut), head)).status, 400);
  await well();
});

test('JSON of any depth and of too many events is refused', async () => {
  for (const [open, close] of [['[', ']'], ['{"a":', '}']]) {
    const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
    for (const path of ['/v1/events', '/v1/assign', '/v1/experiments', '/v1/analyze'])
      assert.equal((await server.ask('POST', path, deep)).status, 400, path);
    const attributes = `[{"type":"exposure","customer":"c","experiment":"exp","variant":"a","attributes":{"x":${deep}}}]`;
    assert.equal((await server.ask('POST', '/v1/events', attributes)).status, 400);
  }
  const many = Array.from({ length: 10_001 }, (_, i) => outcome(i));
  assert.equal((await server.ask('POST', '/v1/events', many)).status, 413);
  const lines = many.map((event) => JSON.stringify(event)).join('\n');
  assert.equal((await server.ask('POST', '/v1/events', lines)).status, 413);
  assert.equal((await server.ask('POST', '/v1/events', many.slice(1))).json.rejected.length, 0);
  await well();
});

test('requests in one piece are answered one after the other', async () => {
  const one = lane(server.port);
  const events = Array.from({ length: 40 }, (_, i) => outcome(20_000 + i));
  one.write(events.map((event) => `${post(server, '/v1/events', [event])}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n${
    post(server, '/v1/assign', { customer: event.id })}GET /none HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
  for (const { id } of events) {
    assert.equal(JSON.parse((await one.answer()).body).accepted, 1);
    assert.equal((await one.answer()).status, 200);
    assert.equal(JSON.parse((await one.answer()).body).customer ?? id, id);
    assert.equal((await one.answer()).status, 404);
  }
  one.end();
});

test('who does not take answers is cut, in bounded memory', async () => {
  const before = figures(short.child.pid).memory;
  const lanes = Array.from({ length: 24 }, () => lane(short.port));
  for (const { socket, write } of lanes) {
    socket.pause();
    write('GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(400));
  }
  await pause(1500);
  const held = figures(short.child.pid);
  assert.ok(held.memory - before < slack * (48 << 20), `${(held.memory - before) >> 20} MiB more`);
  await well(short);
  const connections = async () => Number(/^uplift_http_connections (\d+)/m.exec((await short.ask('GET', '/metrics')).text)[1]);
  await until(async () => await connections() < 12, 'cut', 60_000);
  lanes.forEach((one) => one.end());
});

test('streams that come and go leave room for others', async () => {
  const ask = `GET /v1/stream?key=${server.key} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const before = figures(server.child.pid).memory;
  for (let round = 0; round < 4; round++) {
    const lanes = Array.from({ length: 120 }, () => lane(server.port));
    lanes.forEach((one) => one.write(ask));
    await pause(100);
    lanes.forEach((one) => one.end());
  }
  assert.ok(figures(server.child.pid).memory - before < slack * (32 << 20));
  await well();
  // Those that are gone are noticed when there is something to say.
  for (let i = 0; ; i++) {
    assert.ok(i < 40, 'no room for another stream');
    await server.ask('POST', '/v1/events', [outcome(30_000 + i)]);
    await pause(250);
    const one = lane(server.port);
    one.write(ask);
    const answer = await one.answer();
    one.end();
    if (answer?.status === 200) break;
  }
});
