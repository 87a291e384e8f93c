// SPDX-License-Identifier: GPL-3.0-or-later
// Everything at once, for some seconds: assignment, events one by one and in batches, results,
// definitions being changed, figures counted anew, streams, a backup, another process that reads.
// What is acknowledged is kept and counted; under the sanitizers the server ends without a finding.
// UPLIFT_LOAD_SECONDS takes longer (3).
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { bin, define, lane, pause, post, serve } from './serving.mjs';

const seconds = Number(process.env.UPLIFT_LOAD_SECONDS ?? 3);
const base = mkdtempSync(join(tmpdir(), 'uplift-load-')), folder = join(base, 'data');
after(() => rmSync(base, { recursive: true, force: true }));

let number = 0, over = false;
const count = { events: 0, answers: 0, changes: 0, streams: 0, backups: 0 };

function event() {
  const id = `e-${++number}`, customer = `c-${number % 3000}`, at = Date.now() - (number % 7) * 3_600_000;
  return number % 4 ? { id, type: 'outcome', customer, name: 'order', value: number % 90, at } :
    { id, type: 'exposure', customer, experiment: 'exp', variant: (number >> 2) % 2 ? 'a' : 'b', at, attributes: { device: number % 3 ? 'phone' : 'desktop' } };
}

async function sendEvents(server, size) {
  const one = lane(server.port);
  while (!over) {
    const events = Array.from({ length: size }, event);
    one.write(post(server, '/v1/events', events));
    const answer = await one.answer();
    if (answer?.status === 503) { await pause(20); continue; } // busy, and said so
    assert.equal(answer?.status, 200, answer?.body);
    assert.deepEqual(JSON.parse(answer.body), { rejected: [], accepted: size, duplicates: 0 });
    count.events += size;
  }
  one.end();
}

async function askAll(server, asks) {
  const one = lane(server.port);
  for (let i = 0; !over; i++) {
    const [path, body] = asks[i % asks.length];
    one.write(body ? post(server, path, body) : `GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.key}\r\n\r\n`);
    const answer = await one.answer();
    assert.ok(answer?.status === 200 || answer?.status === 503, `${path}: ${answer?.head} ${answer?.body}`);
    count.answers++;
  }
  one.end();
}

async function change(server) {
  for (let i = 1; !over; i++) {
    const [method, path, body] = [
      ['PATCH', '/v1/experiments/exp', { name: `name ${i}` }],
      ['PUT', '/v1/metrics/buy', { key: 'buy', kind: 'binary', event: 'order', covariate_days: 1 + i % 20 }],
      ['PATCH', '/v1/experiments/exp', { segments: i % 2 ? ['device'] : [] }],
      ['POST', '/v1/keys', { kind: 'client' }],
      ['POST', '/v1/experiments', { key: `draft-${i}`, variants: [{ key: 'a' }, { key: 'b' }] }]][i % 5];
    const { status, text } = await server.ask(method, path, body, method === 'POST' ? {} : { 'If-Match': '*' });
    assert.ok([200, 201, 503].includes(status), `${path}: ${status} ${text}`);
    count.changes++;
    await pause(30);
  }
}

async function stream(server) {
  while (!over) {
    const stop = new AbortController();
    const answer = await fetch(`${server.url}/v1/stream?key=${server.key}`, { signal: stop.signal });
    assert.equal(answer.status, 200);
    const reader = answer.body.getReader();
    for (let i = 0; i < 3 && !over; i++) await Promise.race([reader.read(), pause(1500)]);
    stop.abort();
    count.streams++;
  }
}

async function copy() {
  const run = promisify(execFile);
  for (let i = 0; !over; i++) {
    const to = join(base, `copy-${i}`);
    await run(bin, ['backup', '--data', folder, to]);
    assert.match((await run(bin, ['check', '--data', to])).stdout, / 0 differences/);
    rmSync(to, { recursive: true });
    count.backups++;
  }
}

test(`${seconds} seconds of everything at once`, async () => {
  const server = await serve(folder);
  await define(server);
  const assign = Array.from({ length: 50 }, (_, i) => ['/v1/assign', { customer: `c-${i}`, attributes: { device: 'phone' } }]);
  const read = [['/v1/experiments/exp/results'], ['/v1/experiments'], ['/metrics'], ['/v1/audit'], ['/v1/metrics'], ['/readyz'],
    ['/v1/assign', { customer: 'c-1', track: true }], ['/v1/explain', { customer: 'c-2' }]];
  const tasks = [sendEvents(server, 1), sendEvents(server, 1), sendEvents(server, 1), sendEvents(server, 100), sendEvents(server, 500),
    askAll(server, assign), askAll(server, assign), askAll(server, read), askAll(server, read), change(server), stream(server), stream(server), copy()];
  const all = Promise.all(tasks);
  await Promise.race([all, pause(1000 * seconds)]);
  over = true;
  await all;
  assert.deepEqual(await server.stop(), [0, null], server.text());
  assert.doesNotMatch(server.text(), /Sanitizer|runtime error/);
  console.log(`# ${JSON.stringify(count)}`);
  for (const [name, n] of Object.entries(count)) assert.ok(n > 0, name);
  const lines = execFileSync(bin, ['export', '--data', folder, '--events-only'], { encoding: 'utf8', maxBuffer: 1 << 30 }).trim().split('\n');
  const kept = lines.map((line) => JSON.parse(line).id).filter((id) => id?.startsWith('e-'));
  assert.equal(new Set(kept).size, kept.length);
  assert.ok(kept.length >= count.events, `${kept.length} of ${count.events}`);
  assert.match(execFileSync(bin, ['check', '--data', folder], { encoding: 'utf8' }), / 0 differences/);
});
