// SPDX-License-Identifier: GPL-3.0-or-later
// The trail of a running server: a stop against the advice asks for a reason, uplift audit verifies
// and lists beside the server, uplift replay makes the look once more, and both tell of what is not so.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { bin, serve } from './serving.mjs';

const folder = mkdtempSync(join(tmpdir(), 'uplift-trail-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(status, ...words) {
  const ended = spawnSync(bin, [...words, '--data', join(folder, 'data')], { encoding: 'utf8' });
  assert.equal(ended.status, status, `${words.join(' ')}: ${ended.stdout}${ended.stderr}`);
  return ended.stdout + ended.stderr;
}

test('decisions, overrides and looks can be told and made again beside the server', async () => {
  const server = await serve(join(folder, 'data'));
  try {
    const made = async (method, path, body) => {
      const answer = await server.ask(method, path, body);
      assert.ok(answer.status < 300, answer.text);
      return answer.json;
    };
    await made('POST', '/v1/metrics', { key: 'buy', kind: 'mean', event: 'order' });
    await made('POST', '/v1/experiments', { key: 'exp', variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'] } });
    await made('POST', '/v1/experiments/exp/start');
    const first = /digest (\w{64})/.exec(run(0, 'audit', 'verify'))[1];
    const events = Array.from({ length: 400 }, (_, i) => [
      { type: 'exposure', customer: `c${i}`, experiment: 'exp', variant: 'ab'[i % 2] },
      { type: 'outcome', customer: `c${i}`, name: 'order', value: (i % 7) + 0.1 }]).flat();
    await made('POST', '/v1/events', events);

    const refused = await server.ask('POST', '/v1/experiments/exp/stop', { winner: 'b' });
    assert.equal(refused.status, 409);
    assert.match(refused.json.detail, /^reason: .*Too early to decide/);
    await made('POST', '/v1/experiments/exp/stop', { winner: 'b', reason: 'the season is over' });

    const rows = run(0, 'audit', 'list').trim().split('\n').map(JSON.parse);
    assert.deepEqual(rows.map((row) => row.number), rows.map((_, i) => i + 1));
    const { before, after: done, who } = rows.find((row) => row.action === 'override');
    assert.equal(who, rows.find((row) => row.action === 'experiment.stop').who);
    assert.equal(before.action, 'too-early');
    assert.deepEqual([done.winner, done.reason], ['b', 'the season is over']);
    assert.equal(rows.find((row) => row.action === 'decision').after.action, 'too-early');
    assert.match(run(0, 'audit', 'verify', '--expect', first), new RegExp(`^${rows.length} rows, unbroken`));
    assert.match(run(1, 'audit', 'verify', '--expect', '0'.repeat(64)), /no row has the digest expected/);

    assert.match(run(0, 'replay', 'exp'), /the same, byte for byte, from 800 events/);
    assert.equal((await server.ask('DELETE', '/v1/customers/c3')).status, 200);
    const differs = run(1, 'replay', 'exp', '--all');
    assert.match(differs, /differs, from 798 events, first at \/experiment\/variants\/1\/exposed\n +recorded: 200\n +from history: 199/);
    assert.match(differs, /since the look a customer was erased \(row \d+\)/);
  } finally {
    assert.deepEqual(await server.stop(), [0, null]);
  }
});

test('wrong words are refused', () => {
  assert.match(run(2, 'audit', 'show'), /verify or list/);
  assert.match(run(2, 'audit', 'list', '--expect', 'x'), /only verify takes it/);
  assert.match(run(2, 'replay', 'none'), /there is no experiment 'none'/);
  assert.match(run(2, 'replay', 'exp', '--at', 'now'), /--at: must be a time/);
  assert.match(run(2, 'replay', 'exp', '--at', '2020-01-01T00:00:00Z'), /no look of it was kept by then/);
  assert.match(run(2, 'replay', 'exp', '--phase', '2'), /there was no phase 2/);
});
