// SPDX-License-Identifier: GPL-3.0-or-later
// Copies of a store: taken while its server is under load, restored, compacted; a store of the schema
// before is upgraded. What is in a copy is what was there at one moment, and it checks.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

const bin = process.env.UPLIFT_BIN;
const folder = mkdtempSync(join(tmpdir(), 'uplift-backup-'));
const servers = [];
after(() => {
  for (const server of servers) server.kill('SIGKILL'); // of a test that failed
  rmSync(folder, { recursive: true, force: true });
});
const at = (name) => join(folder, name);

function run(...words) {
  const { status, stdout, stderr } = spawnSync(bin, words, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function good(...words) {
  const result = run(...words);
  assert.equal(result.status, 0, `${words.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

function refused(words, pattern, code = 2) {
  const result = run(...words);
  assert.equal(result.status, code, `${words.join(' ')}: ${result.stdout}`);
  assert.match(result.stderr, pattern);
}

async function serve(name, given) {
  const server = spawn(bin, ['serve', '--data', at(name), '--listen', '127.0.0.1:0', '--threads', '2']);
  servers.push(server);
  let text = '';
  const ended = new Promise((resolve) => server.on('exit', (code) => resolve(code)));
  server.stderr.on('data', (bytes) => { text += bytes; });
  await new Promise((resolve, reject) => {
    server.stdout.on('data', (bytes) => {
      text += bytes;
      if (/listening on/.test(text)) resolve();
    });
    ended.then(() => reject(new Error(`did not start: ${text}`)));
  });
  const url = `http://127.0.0.1:${/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)[1]}`;
  const key = given ?? /adm-\w+/.exec(text)[0];
  return {
    key,
    ask: async (method, path, body) => {
      const answer = await fetch(url + path, {
        method, headers: { 'X-API-Key': key }, body: body && JSON.stringify(body),
      });
      const json = await answer.json();
      assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(json)}`);
      return json;
    },
    stop: () => { server.kill('SIGTERM'); return ended; },
  };
}

// The figures of every experiment, without what belongs to the moment of asking.
async function figures(server) {
  const list = (await server.ask('GET', '/v1/experiments')).experiments, all = {};
  for (const { key } of list) {
    const { experiment, metrics } = await server.ask('GET', `/v1/experiments/${key}/results`);
    all[key] = { variants: experiment.variants, metrics };
  }
  return all;
}

function event(i, now) {
  return [{ type: 'exposure', customer: `c-${i}`, experiment: 'button', variant: i % 2 ? 'green' : 'blue', at: now },
    { type: 'outcome', customer: `c-${i}`, name: 'order', value: i % 7, at: now + 1 }];
}

test('a backup under load is one moment of the store, and restores', async () => {
  const server = await serve('data');
  await server.ask('POST', '/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' });
  await server.ask('POST', '/v1/experiments', {
    key: 'button', variants: [{ key: 'blue' }, { key: 'green' }], metrics: { primary: ['buy'] },
  });
  await server.ask('POST', '/v1/experiments/button/start', {});
  let sent = 0, over = false;
  const send = async () => {
    while (!over) {
      const now = Date.now(), first = sent;
      sent += 50;
      await server.ask('POST', '/v1/events', Array.from({ length: 50 }, (_, i) => event(first + i, now)).flat());
    }
  };
  const senders = [send(), send(), send()];
  while (sent < 1500) await new Promise((resolve) => setTimeout(resolve, 5));
  const backup = spawn(bin, ['backup', '--data', at('data'), at('backup')]);
  let told = '';
  backup.stdout.on('data', (bytes) => { told += bytes; });
  assert.equal(await new Promise((resolve) => backup.on('exit', resolve)), 0);
  assert.match(told, /^backed up: \d+ bytes of rows, verified, in [\d.]+ s/);
  over = true;
  await Promise.all(senders);
  refused(['backup', '--data', at('data'), at('backup')], /is there already/);
  assert.equal(await server.stop(), 0);

  assert.match(good('restore', at('backup'), '--data', at('restored')), /^restored: /);
  refused(['restore', at('backup'), '--data', at('restored')], /is there already/);
  const checked = /(\d+) customers, 0 differences/.exec(good('check', '--data', at('restored')));
  assert.ok(Number(checked[1]) >= 1500 - 150 && Number(checked[1]) <= sent, checked[0]);
});

test('what is restored gives the same results, compacted or not', async () => {
  good('backup', '--data', at('data'), at('quiet'));
  good('restore', at('quiet'), '--data', at('twin'));
  assert.match(good('compact', '--data', at('twin')), /^compacted: \d+ bytes on disk, \d+ before/);
  const key = good('key', 'create', '--data', at('data')).trim();
  const twin_key = good('key', 'create', '--data', at('twin')).trim();
  const first = await serve('data', key), second = await serve('twin', twin_key);
  assert.deepEqual(await figures(second), await figures(first));
  assert.ok(JSON.stringify(await figures(first)).length > 200);
  await first.stop();
  await second.stop();
});

test('a damaged backup is not restored, and leaves nothing', () => {
  mkdirSync(at('damaged'));
  const bytes = readFileSync(join(at('quiet'), 'data.mdb'));
  const where = bytes.indexOf('c-7');
  bytes[where + 1] ^= 1;
  writeFileSync(join(at('damaged'), 'data.mdb'), bytes);
  refused(['restore', at('damaged'), '--data', at('none')], /is damaged/, 1);
  assert.ok(!existsSync(at('none')));
  refused(['restore', at('absent'), '--data', at('none')], /there is no store/);
  refused(['backup', '--data', at('absent'), at('none')], /there is no store/);
  refused(['compact', '--data', at('absent')], /there is no store/);
  assert.ok(!existsSync(at('absent')) && !existsSync(at('none')));
});

test('a store of schema 1 is refused, upgraded, and checks', async () => {
  mkdirSync(at('old'));
  const bytes = gunzipSync(readFileSync(join(process.env.UPLIFT_SRCDIR, 'tests/data/store/schema-1.mdb.gz')));
  writeFileSync(join(at('old'), 'data.mdb'), bytes);
  refused(['check', '--data', at('old')], /the store has schema 1.*reads 2: run uplift upgrade/, 1);
  assert.match(good('upgrade', '--data', at('old')), /^upgraded: .*\nthe old file is kept: .*schema-1\n$/);
  assert.deepEqual(readFileSync(join(at('old'), 'data.mdb.schema-1')), bytes);
  refused(['upgrade', '--data', at('old')], /has schema 2 already/);
  assert.match(good('check', '--data', at('old')), /^40 customers, 0 differences/m);
  const server = await serve('old', good('key', 'create', '--data', at('old')).trim());
  const results = await server.ask('GET', '/v1/experiments/button/results');
  const expected = JSON.parse(readFileSync(join(process.env.UPLIFT_SRCDIR, 'tests/data/store/schema-1.json')));
  assert.deepEqual(Object.fromEntries(results.metrics.map(({ key, arms }) => [key, arms])), expected);
  assert.ok(results.looks.length > 0);
  await server.stop();
});
