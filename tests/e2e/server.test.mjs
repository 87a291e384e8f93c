// SPDX-License-Identifier: GPL-3.0-or-later
// The server's own life: it ends in peace under load, starts again at once on the same port, and
// refuses what is too large, badly packed or not allowed with an answer that can be read.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const bin = process.env.UPLIFT_BIN;
const folder = mkdtempSync(join(tmpdir(), 'uplift-server-'));
after(() => rmSync(folder, { recursive: true, force: true }));

// {port, key, ended: a promise of [code, signal], stop()}; fails where the server does not start.
async function serve(name, port = 0) {
  const server = spawn(bin, ['serve', '--data', join(folder, name), '--listen', `127.0.0.1:${port}`]);
  let text = '';
  const ended = new Promise((resolve) => server.on('exit', (code, signal) => resolve([code, signal])));
  server.stderr.on('data', (bytes) => { text += bytes; });
  await new Promise((resolve, reject) => {
    server.stdout.on('data', (bytes) => {
      text += bytes;
      if (/listening on/.test(text)) resolve();
    });
    ended.then(() => reject(new Error(`did not start: ${text}`)));
  });
  const stop = () => {
    server.kill('SIGTERM');
    // Killed hard in the end, so that a server that hangs fails the test and does not outlive it.
    const timer = setTimeout(() => server.kill('SIGKILL'), 30_000);
    ended.then(() => clearTimeout(timer));
    return ended;
  };
  return { port: Number(/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)[1]), key: /adm-\w+/.exec(text)?.[0], stop };
}

async function ask(server, path, body, headers = {}, key = server.key) {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    method: 'POST', body, headers: { ...(key ? { 'X-API-Key': key } : {}), ...headers },
  });
  const text = await answer.text();
  return { status: answer.status, body: text && JSON.parse(text) };
}

// Sends event after event on one connection until it is closed; counts the acknowledged ones.
function send(server, lane, count) {
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1');
    let buffer = '', i = 0;
    const go = () => {
      const body = JSON.stringify([{ type: 'outcome', customer: `c-${lane}-${i++}`, name: 'order', at: Date.now() }]);
      socket.write(`POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    };
    socket.on('connect', go).on('error', () => {}).on('close', resolve).on('data', (bytes) => {
      buffer += bytes;
      const head = buffer.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(buffer)?.[1]);
      if (head < 0 || buffer.length < head + 4 + length) return;
      if (buffer.startsWith('HTTP/1.1 200 ')) count.acknowledged++;
      buffer = buffer.slice(head + 4 + length);
      go();
    });
  });
}

test('SIGTERM under load ends in peace, with every acknowledged event kept', async () => {
  const server = await serve('load');
  const count = { acknowledged: 0 };
  const lanes = Array.from({ length: 200 }, (_, lane) => send(server, lane, count));
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.deepEqual(await server.stop(), [0, null]);
  await Promise.all(lanes);
  const words = execFileSync(bin, ['check', '--data', join(folder, 'load')], { encoding: 'utf8' });
  assert.match(words, / 0 differences/);
  // More may be there than was acknowledged, as an answer can be lost on its way; never less.
  assert.ok(Number(/(\d+) customers/.exec(words)[1]) >= count.acknowledged, `${words} ${count.acknowledged}`);
});

test('a server starts again at once on the port of the one before', async () => {
  const first = await serve('again');
  const client = connect(first.port, '127.0.0.1');
  client.on('error', () => {}).write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => client.once('data', resolve));
  assert.deepEqual(await first.stop(), [0, null]);
  const second = await serve('again', first.port);
  assert.equal(second.port, first.port);
  assert.deepEqual(await second.stop(), [0, null]);
});

test('refusals are answers that can be read', async (context) => {
  const server = await serve('refuse');
  after(() => server.stop());
  await context.test('a body over the limit is 413 on a small and on a large route', async () => {
    for (const path of ['/v1/assign', '/v1/events'])
      assert.equal((await ask(server, path, new Uint8Array(9 << 20))).status, 413, path);
  });
  await context.test('a key is asked for before the encoding', async () => {
    const headers = { 'Content-Encoding': 'br' };
    assert.equal((await ask(server, '/v1/events', '[]', headers, '')).status, 401);
    assert.equal((await ask(server, '/v1/events', '[]', headers)).status, 415);
  });
  await context.test('a viewer writes nothing', async () => {
    const { key } = (await ask(server, '/v1/keys', '{"kind":"admin","role":"viewer"}')).body;
    assert.equal((await ask(server, '/v1/events', '[]', {}, key)).status, 403);
    assert.equal((await ask(server, '/v1/assign', '{"customer":"c","track":true}', {}, key)).status, 403);
  });
  await context.test('a refused body is not read for ever', async () => {
    const socket = connect(server.port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => {}).write('POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(65536)}\r\n`;
    let sent = 0;
    while (!socket.destroyed && sent < 1024) {
      sent++;
      if (!socket.write(chunk)) await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
    }
    assert.ok(sent < 1024, `${sent} chunks of 64 KiB were taken`);
  });
});
