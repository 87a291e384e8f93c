// SPDX-License-Identifier: GPL-3.0-or-later
// Export while a server writes, import into an empty folder, and retention: the figures stay the same,
// what is cut or refused is told by the exit code.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';

const bin = process.env.UPLIFT_BIN;
const folder = mkdtempSync(join(tmpdir(), 'uplift-export-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args) => spawnSync(bin, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
const good = (...args) => {
  const { status, stdout, stderr } = run(...args);
  assert.equal(status, 0, stderr);
  return stdout;
};
const path = (name) => join(folder, name);

async function serve(data, key) {
  const server = spawn(bin, ['serve', '--data', data, '--listen', '127.0.0.1:0']);
  let text = '';
  server.stderr.on('data', (bytes) => { text += bytes; });
  await new Promise((resolve, reject) => {
    server.stdout.on('data', (bytes) => { text += bytes; if (/listening on/.test(text)) resolve(); });
    server.on('exit', () => reject(new Error(text)));
  });
  const url = /listening on (\S+)/.exec(text)[1];
  return {
    ask: async (where, body) => {
      const answer = await fetch(url + where, { method: body ? 'POST' : 'GET', body: body && JSON.stringify(body),
        headers: { Authorization: `Bearer ${key ?? /adm-\w+/.exec(text)[0]}` } });
      const json = await answer.json();
      assert.ok(answer.ok, JSON.stringify(json));
      return json;
    },
    stop: () => new Promise((resolve) => { server.removeAllListeners('exit'); server.on('exit', resolve); server.kill('SIGTERM'); }),
  };
}

const figures = (results) => [results.experiment.variants, results.metrics.map((metric) => [metric.arms, metric.comparisons.map((row) => row.estimate)]),
  results.segments];
async function figuresOf(data) {
  const server = await serve(data, good('key', 'create', '--data', data).trim());
  const results = await server.ask('/v1/experiments/button/results');
  await server.stop();
  return figures(results);
}

const batch = (round) => Array.from({ length: 200 }, (_, i) => {
  const customer = `${i % 7 ? 'c' : '=c"'}-${round % 3}-${i}`;
  return i % 2 ? { type: 'outcome', customer, name: 'order', value: i / 7, id: `${round}-${i}` }
    : { type: 'exposure', customer, experiment: 'button', variant: i % 4 ? 'red' : 'blue', attributes: { plan: i % 3 ? 'free' : 'paid' } };
});

test('an export beside a server that writes is read back with the same figures', async () => {
  const data = path('data'), copy = path('copy'), file = path('all.ndjson');
  const server = await serve(data);
  await server.ask('/v1/metrics', { key: 'spend', kind: 'mean', event: 'order' });
  await server.ask('/v1/experiments', { key: 'button', variants: [{ key: 'blue' }, { key: 'red' }], segments: ['plan'], metrics: { primary: ['spend'] } });
  await server.ask('/v1/experiments/button/start', {});
  for (let round = 0; round < 6; round++) await server.ask('/v1/events', batch(round));
  // Meanwhile events go on: the export is of one moment, so it reads back whole.
  const exporting = spawn(bin, ['export', '--data', data], { stdio: ['ignore', openSync(file, 'w'), 'inherit'] });
  const ended = new Promise((resolve) => exporting.on('exit', resolve));
  for (let round = 6; round < 12; round++) await server.ask('/v1/events', batch(round));
  assert.equal(await ended, 0);
  const part = run('import', file, '--data', path('part'));
  assert.equal(part.status, 0, part.stderr);
  assert.match(good('check', '--data', path('part')), / 0 differences/);

  const text = good('export', '--data', data);
  await server.stop();
  writeFileSync(`${file}.gz`, gzipSync(text));
  const { status, stderr } = run('import', `${file}.gz`, '--data', copy);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /[1-9]\d+ events imported, 0 were there already, 0 refused; 2 definitions/);
  assert.match(good('check', '--data', copy), / 0 differences/);
  assert.deepEqual(await figuresOf(copy), await figuresOf(data));

  // Again, and as CSV: nothing changes.
  writeFileSync(path('all.csv'), good('export', '--data', data, '--format', 'csv'));
  for (const again of [`${file}.gz`, path('all.csv')]) {
    const second = run('import', again, '--data', copy);
    assert.equal(second.status, 0, second.stderr);
    assert.match(second.stderr, /^0 events imported, [1-9]\d+ were there already, 0 refused/m);
  }
});

test('what is cut, refused or not to be had is told by the exit code', () => {
  const data = path('data'), text = good('export', '--data', data), lines = text.split('\n');
  writeFileSync(path('cut.ndjson'), lines.slice(0, -3).join('\n'));
  const cut = run('import', path('cut.ndjson'), '--data', path('cut'));
  assert.equal(cut.status, 2);
  assert.match(cut.stderr, /the export was cut/);
  writeFileSync(path('cut.gz'), gzipSync(text).subarray(0, 2000));
  assert.equal(run('import', path('cut.gz'), '--data', path('cut')).status, 1);
  assert.equal(run('import', path('all.ndjson'), '--data', path('cut')).status, 0); // goes on where it was

  writeFileSync(path('bare'), '{"type": "outcome", "customer": "z", "name": "order"}\n{"type": "outcome"}\n');
  const bare = run('import', path('bare'), '--data', path('cut'), '--events');
  assert.equal(bare.status, 1);
  assert.match(bare.stderr, /line 2: customer: is missing/);
  assert.match(bare.stderr, /1 events imported, 0 were there already, 1 refused/);

  assert.equal(run('import', path('bare'), '--data', path('cut')).status, 2);
  assert.equal(spawnSync('sh', ['-c', `"${bin}" export --data "${data}" >/dev/full`]).status, 1);
  assert.equal(run('export', '--data', path('nowhere')).status, 2);
  assert.equal(run('export', '--data', data, '--experiment', 'none').status, 2);
  assert.equal(run('export', '--data', data, '--from', 'yesterday').status, 2);
});

test('retention drops events and leaves the figures', async () => {
  const data = path('old'), days = 86_400_000, start = Date.now() - 60 * days;
  const text = good('export', '--data', path('copy'));
  // The same story two months earlier: times within the export are moved back.
  const moved = text.replace(/"(\d{4}-\d\d-\d\dT[\d:.]+Z)"/g, (_, at) => `"${new Date(Date.parse(at) - 60 * days).toISOString()}"`)
    .split('\n').filter((line) => !line.startsWith('{"look":')).join('\n');
  writeFileSync(path('moved'), moved);
  const imported = run('import', path('moved'), '--data', data);
  assert.equal(imported.status, 0, imported.stderr);
  const before = await figuresOf(data);
  assert.match(good('retain', '--data', data, '--days', '1'), new RegExp(`events from ${new Date(Date.now() - 21 * days).toISOString().slice(0, 10)}`));
  assert.deepEqual(await figuresOf(data), before);
  assert.match(good('check', '--data', data, '--repair'), / 0 differences/);
  assert.deepEqual(await figuresOf(data), before);
  const left = run('export', '--data', data, '--events-only');
  assert.equal(left.stdout, '');
  assert.match(left.stderr, /were dropped by retention/);
  writeFileSync(path('late'), `{"type": "outcome", "customer": "c-0-1", "name": "order", "at": ${start}}\n`);
  const late = run('import', path('late'), '--data', data, '--events');
  assert.equal(late.status, 1);
  assert.match(late.stderr, /line 1: at: is older than the history that is kept/);
  const server = await serve(data, good('key', 'create', '--data', data).trim());
  const { sealed } = await server.ask('/v1/experiments/button/results');
  await server.stop();
  assert.equal(sealed.units, before[0][0].exposed + before[0][1].exposed);
  assert.ok(Date.now() - Date.parse(sealed.since) < days);
});
