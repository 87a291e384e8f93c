// SPDX-License-Identifier: GPL-3.0-or-later
// What the server writes to standard error: in each format one line for each request, with the id
// that the answer has, and never a key, whatever way it came.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bin, define, serve, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-logs-'));
after(() => rmSync(base, { recursive: true, force: true }));

// Standard error without what a server prints of its first key.
const lines = (server) => server.text().split('\n').filter((line) => line && !/^(admin key|open the page|listening)/.test(line));

function logfmt(line) {
  const parts = [...line.matchAll(/([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)(?: |$)/g)];
  assert.equal(parts.map(([whole]) => whole).join(''), line);
  return Object.fromEntries(parts.map(([, name, value]) => [name, /^["\d-]|^(true|false)$/.test(value) && !/[:T]/.test(value.replace(/^".*"$/, '')) ? (() => { try { return JSON.parse(value); } catch { return value; } })() : value]));
}

const read = { json: JSON.parse, logfmt };

for (const format of ['json', 'logfmt', 'text'])
  test(`requests in ${format}, and no key in any line`, async () => {
    const server = await serve(join(base, format), { options: ['--log-format', format, '--log-requests'] });
    await define(server);
    const made = {};
    for (const [kind, role] of [['client'], ['service'], ['admin', 'viewer']])
      made[kind] = (await server.ask('POST', '/v1/keys', { kind, ...(role ? { role } : {}), name: 'n' })).json.key;
    const wrong = `adm-${'q'.repeat(32)}`, secrets = [server.key, wrong, ...Object.values(made)];
    for (const key of secrets) {
      for (const headers of [{ Authorization: `Bearer ${key}` }, { 'X-API-Key': key }, { Authorization: `Basic ${key}` }, { 'X-Request-Id': key }])
        await server.ask('POST', '/v1/assign', { customer: 'secret-customer' }, headers);
      for (const path of [`/v1/events?key=${key}`, `/v1/stream?key=${key}&x`, `/track?client_key=${key}`])
        await fetch(server.url + path, { method: 'POST', body: '[]' });
      for (const path of [`/api/features/${key}`, `/sub/${key}x`, `/api/eval/${key}`, `/ofrep/v1/stream/${key}x`, `/v1/experiments/${key}`, `/v1/keys/${key}`, `/${key}`, `/experiments/${key}`, '/v1/customers/secret-customer'])
        await server.ask('GET', path);
    }
    const own = await server.ask('GET', '/v1/experiments/exp', undefined, { 'X-Request-Id': 'abc-1.2_3' });
    assert.equal(own.headers.get('x-request-id'), 'abc-1.2_3');
    for (const id of ['', 'a b', 'x'.repeat(65), 'a"b', made.client]) {
      const answer = await server.ask('GET', '/healthz', undefined, { 'X-Request-Id': id });
      assert.match(answer.headers.get('x-request-id'), /^[0-9a-f]{16}$/);
    }
    const failed = await server.ask('POST', '/v1/experiments', '{', { 'X-Request-Id': 'bad-1' });
    assert.equal(failed.json.request_id, 'bad-1');
    await until(() => lines(server).some((line) => line.includes('bad-1')), 'told');
    await server.stop();
    const told = lines(server);
    for (const secret of secrets) assert.ok(!told.some((line) => line.includes(secret.slice(4))), `a key of ${secret.slice(0, 3)} is told`);
    assert.ok(!told.some((line) => line.includes('secret-customer')));
    assert.ok(told.length > 80);
    if (format === 'text') {
      assert.ok(told.every((line) => line.startsWith('uplift serve: ')));
      assert.match(told.find((line) => line.includes('abc-1.2_3')), /^uplift serve: request id=abc-1\.2_3 method=GET route=\/v1\/experiments\/\{key\} status=200 ms=[\d.]+ body=0 whole=true key=\w{8}$/);
      return;
    }
    const all = told.map(read[format]);
    for (const line of all) {
      assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);
      assert.ok(['error', 'warning', 'info'].includes(line.level));
      assert.equal(typeof line.message, 'string');
    }
    const one = all.find((line) => line.id === 'abc-1.2_3');
    assert.deepEqual({ ...one, time: 0, ms: 0, key: 0 }, { time: 0, level: 'info', message: 'request', id: 'abc-1.2_3', method: 'GET', route: '/v1/experiments/{key}', status: 200, ms: 0, body: 0, whole: true, key: 0 });
    assert.ok(one.ms >= 0 && one.ms < 60_000);
    assert.equal(all.find((line) => line.id === 'bad-1').status, 400);
    assert.ok(all.some((line) => line.route === 'page' && line.status === 200) && all.some((line) => line.route === 'none' && line.status === 404));
  });

test('levels, and nothing of requests without being asked', async () => {
  const server = await serve(join(base, 'quiet'), { options: ['--log-format', 'json'] });
  await server.ask('GET', '/healthz');
  server.child.kill('SIGHUP');
  await server.stop();
  assert.deepEqual(lines(server), []);
  const warning = await serve(join(base, 'quiet'), { options: ['--log-format', 'json', '--log-requests', '--log-level', 'warning'], shell: 'ulimit -n 200' });
  await warning.ask('GET', '/healthz');
  await warning.stop();
  assert.deepEqual(lines(warning).map((line) => JSON.parse(line).level), ['warning']);
  for (const words of [['--log-format', 'xml'], ['--log-level', 'loud']])
    assert.equal(spawnSync(bin, ['serve', '--data', join(base, 'quiet'), ...words]).status, 2);
  const failed = spawnSync(bin, ['serve', '--data', join(base, 'quiet'), '--listen', 'x:1', '--log-format', 'json'], { encoding: 'utf8' });
  assert.match(JSON.parse(failed.stderr).message, /--listen: 'x' is not an address/);
});
