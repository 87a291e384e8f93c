// SPDX-License-Identifier: GPL-3.0-or-later
// Keys that are rotated, by the API and by the command, and rates of their own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bin, serve } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-keys-')), data = join(base, 'data');
after(() => rmSync(base, { recursive: true, force: true }));
const command = (...words) => spawnSync(bin, ['key', ...words, '--data', data], { encoding: 'utf8' });
let id, secrets = [];

test('rotated over HTTP: both secrets are good, one key, one rate', async () => {
  const server = await serve(data);
  const as = (key, path = '/v1/assign') => server.ask('POST', path, { customer: 'c' }, { 'X-API-Key': key });
  const made = await server.ask('POST', '/v1/keys', { kind: 'service', name: 'shop', rate: 4 });
  assert.equal(made.status, 201);
  assert.equal(made.json.rate, 4);
  id = made.json.id;
  const answer = await server.ask('POST', `/v1/keys/${id}/rotate`);
  assert.equal(answer.status, 200);
  assert.equal(answer.json.id, id);
  assert.match(answer.json.key, /^svc-\w{32}$/);
  secrets = [made.json.key, answer.json.key];
  assert.notEqual(...secrets);
  const statuses = [];
  for (let i = 0; i < 12; i++) statuses.push((await as(secrets[i % 2])).status);
  assert.deepEqual(statuses.slice(0, 4), [200, 200, 200, 200]);
  assert.ok(statuses.includes(429), String(statuses));
  const listed = (await server.ask('GET', '/v1/keys')).json.keys.find((key) => key.id === id);
  assert.equal(listed.rate, 4);
  for (const when of [listed.created_at, listed.rotated_at, listed.last_used_at, listed.previous.created_at, listed.previous.last_used_at]) assert.ok(Math.abs(new Date(when) - Date.now()) < 600_000, when);
  assert.equal(new Date(listed.previous.valid_until) - new Date(listed.rotated_at), 24 * 3_600_000);
  for (const [body, place] of [[{ valid_hours: 721 }, 'valid_hours'], [{ valid_hours: -1 }, 'valid_hours'], [{ hours: 1 }, 'hours']])
    assert.equal((await server.ask('POST', `/v1/keys/${id}/rotate`, body)).json.errors[0].place, place);
  assert.equal((await server.ask('POST', '/v1/keys/nosuch/rotate')).status, 404);
  const trail = await server.ask('GET', '/v1/audit?limit=1');
  assert.ok(trail.text.includes('key.rotate') && !secrets.some((secret) => trail.text.includes(secret.slice(4))));
  await server.stop();
});

test('rotated by the command, with no time left to the old one', async () => {
  const { status, stdout } = command('rotate', id, '--valid-hours', '0');
  assert.equal(status, 0);
  assert.match(stdout, /^svc-\w{32}\n$/);
  assert.equal(command('rotate').status, 2);
  assert.equal(command('rotate', 'nosuch').status, 2);
  const again = command('rotate', id).stdout.trim();
  assert.match(command('list').stdout, new RegExp(`${id} .* shop\n +its secret before: made 20\\S+, good until 20\\S+, last used -\n`));
  const server = await serve(data);
  const statuses = [];
  for (const key of [...secrets, stdout.trim(), again]) statuses.push((await server.ask('POST', '/v1/assign', { customer: 'c' }, { 'X-API-Key': key })).status);
  assert.deepEqual(statuses, [401, 401, 200, 200]);
  await server.stop();
});
