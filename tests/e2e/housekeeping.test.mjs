// SPDX-License-Identifier: GPL-3.0-or-later
// A server that runs for days keeps house by itself: after an erasure it compacts its file, it takes
// the look of each day, it drops old history. The days pass by uplift_hasty, at a signal.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bin, define, serve, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-house-'));
const servers = [];
after(() => {
  for (const { child } of servers) child.kill('SIGKILL'); // of a test that failed
  rmSync(base, { recursive: true, force: true });
});
const program = process.env.UPLIFT_HASTY_BIN;
const skip = !program && 'UPLIFT_HASTY_BIN is not built';

async function begin(folder, options = []) {
  const server = await serve(folder, { program, options });
  servers.push(server);
  await define(server);
  return server;
}

const rounds = async (server) => Number(/^uplift_housekeeping_timestamp_seconds (\S+)/m.exec((await server.ask('GET', '/metrics')).text)[1]);

// A day and an hour later, when housekeeping was done once more.
async function later(server) {
  const before = await rounds(server);
  server.child.kill('SIGUSR1');
  await until(async () => await rounds(server) > before + 86_400, 'kept house');
}

const people = Array.from({ length: 400 }, (_, i) => `person-${i}.example`);
const sent = (id) => [{ type: 'exposure', customer: id, experiment: 'exp', variant: id.length % 2 ? 'a' : 'b' },
  { type: 'feedback', customer: id, survey: 'nps', score: 9, comment: `${id} said so and more, ${'x'.repeat(500)}` }];

test('a running server compacts its file a day after an erasure', { skip }, async () => {
  const folder = join(base, 'erased');
  const server = await begin(folder);
  assert.equal((await server.ask('POST', '/v1/events', people.flatMap(sent))).json.accepted, 800);
  const erased = people.slice(0, 300);
  // How many of them stand in any file of the folder: bytes of some are in pages that are free.
  const left = () => {
    const files = readdirSync(folder).map((file) => readFileSync(join(folder, file)));
    return erased.filter((id) => files.some((bytes) => bytes.includes(`${id} said so`))).length;
  };
  for (const id of erased) assert.equal((await server.ask('DELETE', `/v1/customers/${id}`)).status, 200);
  const size = statSync(join(folder, 'data.mdb')).size;
  const began = await rounds(server);
  await until(async () => await rounds(server) > began, 'kept house');
  assert.ok(left() > 0);
  assert.doesNotMatch(server.text(), /compacted/);
  await later(server);
  await until(() => /compacted: \d+ bytes on disk, \d+ before/.test(server.text()), 'compacted');
  assert.equal(left(), 0);
  assert.ok(statSync(join(folder, 'data.mdb')).size < size);
  // Once, and everything goes on.
  await later(server);
  assert.equal(server.text().match(/compacted/g).length, 1);
  assert.equal((await server.ask('GET', `/v1/customers/${people[350]}`)).json.events.length, 2);
  assert.equal((await server.ask('GET', `/v1/customers/${people[7]}`)).status, 404);
  assert.equal((await server.ask('POST', '/v1/events', sent('new'))).json.accepted, 2);
  assert.deepEqual(await server.stop(), [0, null]);
  assert.match(execFileSync(bin, ['check', '--data', folder], { encoding: 'utf8' }), /101 customers, 0 differences/);
});

test('a running server takes a look each day, and drops history', { skip }, async () => {
  const folder = join(base, 'days');
  const server = await begin(folder, ['--retain-days', '1', '--compact-hours', '0']);
  await server.ask('POST', '/v1/events', people.slice(0, 50).flatMap(sent));
  const events = async () => (await server.ask('GET', `/v1/customers/${people[0]}`)).json.events.length;
  const looks = async () => (await server.ask('GET', '/v1/experiments/exp/looks')).json.looks.length;
  for (let day = 1; day <= 3; day++) {
    await later(server);
    await until(async () => await looks() >= day, `a look of day ${day}`);
  }
  assert.equal(await events(), 2);
  // A window of 14 days, a week, and the days that retention waits for a clock to be right.
  for (let day = 4; day <= 26; day++) await later(server);
  await until(async () => await events() === 0, 'dropped');
  const results = (await server.ask('GET', '/v1/experiments/exp/results')).json;
  assert.equal(results.sealed.units, 50);
  assert.deepEqual(await server.stop(), [0, null]);
  assert.match(execFileSync(bin, ['check', '--data', folder], { encoding: 'utf8' }), /50 customers, 0 differences/);
});
