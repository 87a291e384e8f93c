// SPDX-License-Identifier: GPL-3.0-or-later
// How a server ends, and what it tells a service manager: not ready before it stops, all that is
// under way answered, all that was acknowledged on disk, a second signal; READY, RELOADING, STOPPING,
// and signs of life.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bin, define, lane, pause, post, serve, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-life-'));
const at = (name) => join(base, name);
after(() => rmSync(base, { recursive: true, force: true }));

test('a drain: not ready first, served on, all acknowledged on disk', async () => {
  const server = await serve(at('drain'), { options: ['--drain-seconds', '2'] });
  await define(server);
  assert.equal((await server.ask('GET', '/readyz')).status, 200);
  const stream = lane(server.port);
  stream.write(`GET /v1/stream?key=${server.key} HTTP/1.1\r\nHost: x\r\n\r\n`);
  assert.equal((await stream.answer()).status, 200);
  let going = true, sent = 0, acknowledged = 0;
  const load = Array.from({ length: 4 }, async () => {
    while (going) {
      const id = sent++;
      const answer = await server.ask('POST', '/v1/events', [{ id: `e${id}`, type: 'outcome', customer: `c${id}`, name: 'order' }]).catch(() => null);
      if (!answer) { going = false; break; }
      if (answer.status === 200) acknowledged++;
    }
  });
  await until(() => acknowledged > 20, 'loaded');
  const began = Date.now();
  server.child.kill('SIGTERM');
  const left = await until(async () => { const answer = await server.ask('GET', '/readyz'); return answer.status === 503 && answer; }, 'not ready');
  assert.match(left.json.detail, /is ending/);
  assert.equal(left.headers.get('connection'), 'close');
  assert.equal((await server.ask('GET', '/healthz')).status, 200);
  const at503 = acknowledged;
  await until(() => acknowledged > at503, 'served on');
  assert.ok(!stream.closed());
  assert.deepEqual(await server.ended, [0, null]);
  assert.ok(Date.now() - began >= 2000);
  going = false;
  await Promise.all(load);
  await until(() => stream.closed(), 'stream ended');
  const kept = spawnSync(bin, ['export', '--data', at('drain'), '--events-only'], { encoding: 'utf8', maxBuffer: 1 << 28 }).stdout.split('\n').filter((line) => line.includes('"order"')).length;
  assert.ok(kept >= acknowledged && kept <= sent, `${acknowledged} acknowledged, ${kept} kept, ${sent} sent`);
});

test('what is under way is answered; a second signal ends at once', async () => {
  const server = await serve(at('under'), { options: ['--drain-seconds', '600'] });
  const slow = lane(server.port), text = post(server, '/v1/assign', { customer: 'c' });
  slow.write(text.slice(0, -3));
  await until(async () => (await server.ask('GET', '/readyz')).status === 200, 'ready');
  server.child.kill('SIGTERM');
  await until(async () => (await server.ask('GET', '/readyz')).status === 503, 'not ready');
  slow.write(text.slice(-3));
  assert.equal((await slow.answer()).status, 200);
  const half = lane(server.port);
  half.write(text.slice(0, -3)); // never whole
  await pause(100);
  server.child.kill('SIGTERM');
  assert.deepEqual(await server.ended, [0, null]);
  // Without a drain the half one is waited for, for a while: the second signal does not wait.
  const second = await serve(at('under'));
  const other = lane(second.port);
  other.write(post({ key: server.key }, '/v1/assign', { customer: 'c' }).slice(0, -3));
  await until(async () => /uplift_http_connections [1-9]/.test((await second.ask('GET', '/metrics')).text), 'connected');
  await pause(100);
  second.child.kill('SIGTERM');
  await pause(500);
  assert.equal(second.child.exitCode, null);
  other.write(post({ key: server.key }, '/v1/assign', { customer: 'c' }).slice(-3));
  assert.equal((await other.answer()).status, 200);
  assert.deepEqual(await second.ended, [0, null]);
  const third = await serve(at('under'));
  const last = lane(third.port);
  last.write(post({ key: server.key }, '/v1/assign', { customer: 'c' }).slice(0, -3));
  await pause(200);
  third.child.kill('SIGTERM');
  await pause(300);
  third.child.kill('SIGTERM');
  assert.deepEqual(await third.ended, [null, 'SIGTERM']);
  assert.equal(spawnSync(bin, ['check', '--data', at('under')]).status, 0);
});

// A service manager's socket: the datagrams that came, lines of each joined by ';'.
async function manager(path) {
  const child = spawn('perl', ['-MIO::Socket::UNIX', '-MSocket', '-e',
    '$s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die; $| = 1; print "up\\n"; while (defined $s->recv($m, 4096)) { $m =~ s/\\n/;/g; print "$m\\n" }', path]);
  let text = '';
  child.stdout.on('data', (bytes) => { text += bytes; });
  await until(() => text.startsWith('up\n'), 'listening');
  after(() => child.kill());
  return { told: () => text.split('\n').slice(1, -1), end: () => child.kill() };
}

test('a service manager is told', async () => {
  const heard = await manager(at('notify'));
  const server = await serve(at('notified'), { options: ['--drain-seconds', '1'], env: { NOTIFY_SOCKET: at('notify'), WATCHDOG_USEC: '600000', WATCHDOG_PID: '' } });
  await until(() => heard.told().includes('READY=1'), 'ready');
  const signs = () => heard.told().filter((line) => line === 'WATCHDOG=1').length;
  await until(() => signs() >= 3, 'alive');
  server.child.kill('SIGHUP');
  await until(() => heard.told().some((line) => /^RELOADING=1;MONOTONIC_USEC=\d+$/.test(line)), 'reloading');
  await until(() => heard.told().filter((line) => line === 'READY=1').length === 2, 'ready again');
  // A process of which a thread hangs gives no signs.
  server.child.kill('SIGTERM');
  assert.deepEqual(await server.ended, [0, null]);
  await until(() => heard.told().includes('STOPPING=1;EXTEND_TIMEOUT_USEC=31000000'), 'stopping');
  assert.equal(heard.told()[0], 'READY=1');
  heard.end();
});
