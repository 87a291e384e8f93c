// SPDX-License-Identifier: GPL-3.0-or-later
// kill -9 of a real server under load, over HTTP: what was answered 200 is in the store once, and a
// recount finds no difference. tests/e2e/t_kill does it by the hundred in process.
// UPLIFT_KILL_ROUNDS takes more rounds.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bin, define, lane, pause, post, serve } from './serving.mjs';

const rounds = Number(process.env.UPLIFT_KILL_ROUNDS ?? 8), lanes = 12, most = 25;
const folder = mkdtempSync(join(tmpdir(), 'uplift-kill-'));
after(() => rmSync(folder, { recursive: true, force: true }));

let number = 0;
const sent = new Map(), acknowledged = new Set();

function batch() {
  return Array.from({ length: 1 + Math.floor(Math.random() * most) }, () => {
    const id = `e-${++number}`, customer = `c-${number % 700}`, at = Date.now() - 1000;
    const event = number % 3 ? { id, type: 'outcome', customer, name: 'order', at } :
      { id, type: 'exposure', customer, experiment: 'exp', variant: number % 2 ? 'a' : 'b', at };
    sent.set(id, event);
    return event;
  });
}

// Sends batch after batch until the connection ends. What was under way then is sent again, whole,
// by the next round: whether it was written cannot be known.
async function send(server, open) {
  const connection = lane(server.port);
  for (;;) {
    const events = open.pop() ?? batch();
    connection.write(post(server, '/v1/events', events));
    const answer = await connection.answer();
    if (!answer) { open.push(events); return; }
    assert.equal(answer.status, 200);
    const { accepted, duplicates } = JSON.parse(answer.body);
    assert.equal(accepted + duplicates, events.length, answer.body);
    for (const { id } of events) acknowledged.add(id);
  }
}

test(`${rounds} kills lose nothing that was answered, and double nothing`, async () => {
  let key;
  const open = [];
  for (let round = 0; round < rounds; round++) {
    const server = await serve(folder, { key });
    key = server.key;
    if (round === 0) await define(server);
    const running = Array.from({ length: lanes }, () => send(server, open));
    if (round % 2) server.ask('PUT', '/v1/metrics/buy', { key: 'buy', kind: 'binary', event: 'order', covariate_days: round }, { 'If-Match': '*' }).catch(() => {});
    await pause(Math.random() * 500);
    assert.deepEqual(await server.stop('SIGKILL'), [null, 'SIGKILL']);
    await Promise.all(running);
  }
  const last = await serve(folder, { key });
  while (open.length) assert.equal((await last.ask('POST', '/v1/events', open.pop())).status, 200);
  assert.deepEqual(await last.stop(), [0, null]);
  const lines = execFileSync(bin, ['export', '--data', folder], { encoding: 'utf8', maxBuffer: 1 << 30 }).trim().split('\n').map((line) => JSON.parse(line));
  const kept = lines.filter((row) => row.id && row.type).map((row) => row.id);
  assert.equal(new Set(kept).size, kept.length, 'an event is there twice');
  // Of those that were answered none was sent again: one that is missing was lost.
  assert.deepEqual(new Set(kept), new Set(sent.keys()));
  assert.ok(acknowledged.size >= rounds * 10, `${acknowledged.size} acknowledged`);
  assert.match(execFileSync(bin, ['check', '--data', folder], { encoding: 'utf8' }), / 0 differences/);
  console.log(`# ${rounds} kills, ${acknowledged.size} events acknowledged before the last`);
});
