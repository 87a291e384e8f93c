// SPDX-License-Identifier: GPL-3.0-or-later
// POST /v1/plan: the answer of `uplift plan`, refusals with their place, and a bound for simulations.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const bin = process.env.UPLIFT_BIN;
const folder = mkdtempSync(join(tmpdir(), 'uplift-plan-'));
let server, url, key;

before(async () => {
  server = spawn(bin, ['serve', '--data', join(folder, 'data'), '--listen', '127.0.0.1:0']);
  let text = '';
  await new Promise((resolve, reject) => {
    const take = (bytes) => {
      text += bytes;
      if (/adm-\w+/.test(text) && /listening on/.test(text)) resolve();
    };
    server.stdout.on('data', take);
    server.stderr.on('data', take);
    server.on('exit', () => reject(new Error(`did not start: ${text}`)));
  });
  url = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(text)[1];
  key = /adm-\w+/.exec(text)[0];
});

after(async () => {
  const ended = new Promise((resolve) => server.removeAllListeners('exit').on('exit', resolve));
  server.kill('SIGTERM');
  assert.equal(await ended, 0);
  rmSync(folder, { recursive: true, force: true });
});

async function plan(body, who = key) {
  const answer = await fetch(`${url}/v1/plan`, {
    method: 'POST', headers: who ? { 'X-API-Key': who } : {}, body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.json() };
}

const good = { kind: 'binary', baseline: { rate: 0.1 }, min_effect: 0.1, customers_per_day: 500, weights: [2, 1, 1] };
const spending = { function: 'pocock', times: [0.5, 1] };

test('the answer is that of the command, for every method', async () => {
  for (const method of ['sequential', 'msprt', 'exact', 'fixed', 'group-sequential', 'bayesian']) {
    const input = { ...good, method, ...(method === 'exact' ? { effect: 'absolute' } : {}),
      ...(method === 'group-sequential' ? { spending } : {}), simulate: { runs: 40, looks: method === 'group-sequential' ? undefined : 6, seed: 11 } };
    const { status, body } = await plan(input);
    assert.equal(status, 200, method);
    assert.deepEqual(body, JSON.parse(execFileSync(bin, ['plan'], { encoding: 'utf8', input: JSON.stringify(input) })), method);
    assert.equal(body.per_arm.reduce((sum, n) => sum + n), body.total);
    assert.equal(body.days, Math.ceil(body.total / 500));
    assert.equal(body.simulation.seed, 11);
  }
});

test('a seed that is not told is drawn, and gives the same again', async () => {
  const { body: first } = await plan({ ...good, simulate: { runs: 30 } });
  const { body: second } = await plan({ ...good, simulate: { runs: 30 } });
  assert.notEqual(first.simulation.seed, second.simulation.seed);
  const { body: again } = await plan({ ...good, simulate: { runs: 30, seed: first.simulation.seed } });
  assert.deepEqual(again, first);
});

test('what cannot be planned is null with a reason', async () => {
  const { status, body } = await plan({ ...good, min_effect: 1e-9 });
  assert.equal(status, 200);
  assert.deepEqual([body.per_arm, body.total, body.days], [null, null, null]);
  assert.match(body.error, /too small/);
});

test('a viewer may, nobody may not, and a client key may not', async () => {
  const make = async (body) => (await (await fetch(`${url}/v1/keys`, { method: 'POST', headers: { 'X-API-Key': key }, body: JSON.stringify(body) })).json()).key;
  assert.equal((await plan(good, await make({ kind: 'admin', role: 'viewer' }))).status, 200);
  assert.equal((await plan(good, await make({ kind: 'client' }))).status, 403);
  assert.equal((await plan(good, '')).status, 401);
});

test('bad input names the place', async () => {
  const cases = [
    [{ ...good, colour: 1 }, 'colour: unknown field'],
    [{ ...good, baseline: { rate: 7 } }, 'baseline.rate: must be between 0 and 1, both excluded'],
    [{ ...good, min_effect: 0 }, 'min_effect: must not be 0'],
    [{ ...good, weights: [1, -1] }, 'weights[1]: must be a number above 0'],
    [{ ...good, simulate: { runs: 0 } }, 'simulate.runs: must be from 1 to 1000000'],
    [[], 'must be an object'],
    ['', 'a body of JSON is needed'],
    ['{"kind":', 'line 1, column 8: ends too early'],
  ];
  for (const [input, detail] of cases) {
    const { status, type, body } = await plan(input);
    assert.equal(status, 400, detail);
    assert.match(type, /problem\+json/);
    assert.equal(body.detail, detail);
  }
  assert.deepEqual((await plan({ ...good, weights: [1, -1] })).body.errors, [{ place: 'weights[1]', message: 'must be a number above 0' }]);
});

test('more work than about a second is refused, what is allowed ends in time', async () => {
  const large = { ...good, simulate: { runs: 1_000_000, looks: 10_000 } };
  const { status, body } = await plan(large);
  assert.equal(status, 400);
  assert.match(body.detail, /^simulate\.runs: runs x looks x arms x truths .* must be at most 1000000 here, and is 60000000000$/);
  const start = Date.now();
  assert.equal((await plan({ ...good, simulate: { runs: 2000 } })).status, 200);
  // About 0.5 s; the bound leaves room for sanitizers and a busy machine.
  assert.ok(Date.now() - start < 20_000, `${Date.now() - start} ms`);
});

test('the description has the route', async () => {
  const { paths } = await (await fetch(`${url}/v1/openapi.json`)).json();
  assert.match(paths['/v1/plan'].post.summary, /customers/);
  assert.ok(paths['/v1/plan'].post.requestBody);
});
