// SPDX-License-Identifier: GPL-3.0-or-later
// What an operator may get wrong, and what a disk may: no command makes a store where it should find
// one, prints into one, or calls a store good that it has not read; and each says which place it means.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bin, serve } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-operator-'));
const at = (name) => join(base, name);
after(() => rmSync(base, { recursive: true, force: true }));

const run = (...words) => spawnSync(bin, words, { encoding: 'utf8' });
const shell = (text) => spawnSync('sh', ['-c', text], { encoding: 'utf8', env: { ...process.env, UPLIFT: bin } });

before(() => {
  assert.equal(run('demo', '--data', at('data'), '--customers', '200', '--seed', '3').status, 0);
  assert.equal(run('backup', '--data', at('data'), at('backup')).status, 0);
});

test('a command that wants a store makes none', () => {
  const commands = [['check'], ['check', '--repair'], ['compact'], ['upgrade'], ['export'], ['backup', at('to')], ['retain', '--days', '400'],
    ['audit', 'verify'], ['audit', 'list'], ['replay', 'exp'], ['key', 'list'], ['key', 'revoke', 'x']];
  mkdirSync(at('empty'));
  writeFileSync(at('file'), '');
  for (const name of ['absent', 'empty', 'file'])
    for (const words of commands) {
      const { status, stdout, stderr } = run(...words, '--data', at(name));
      assert.ok(status === 1 || status === 2, `${words.join(' ')}: ${status} ${stdout}`);
      assert.match(stderr, new RegExp(`^uplift ${words[0]}: ${at(name)}: there is no store\n$`));
    }
  assert.deepEqual(readdirSync(at('empty')), []);
  assert.ok(!existsSync(at('absent')) && !existsSync(at('to')));
  const imported = run('import', at('absent.ndjson'), '--data', at('into'));
  assert.equal(imported.status, 1);
  assert.match(imported.stderr, /absent\.ndjson: cannot open the file: No such file/);
  assert.ok(!existsSync(at('into')));
});

test('a folder that may not be read is told from one without a store', { skip: process.getuid() !== 0 && 'takes root to be nobody' }, () => {
  chmodSync(base, 0o755);
  const as = spawnSync(bin, ['check', '--data', at('data')], { encoding: 'utf8', uid: 65534, gid: 65534 });
  assert.equal(as.status, 1);
  assert.match(as.stderr, /data: cannot be opened: Permission denied/);
});

test('streams that are closed are no files of the store', () => {
  for (const closed of ['>&-', '2>&-', '<&- >&- 2>&-']) {
    const folder = at(`closed ${closed.length}`);
    const { stderr } = shell(`("$UPLIFT" serve --data '${folder}' --listen 127.0.0.1:0 ${closed} & pid=$!; sleep 0.5; kill $pid; wait $pid)`);
    for (const file of readdirSync(folder))
      assert.ok(!readFileSync(join(folder, file)).includes('uplift serve') && !/adm-\w{20}|listening/.test(readFileSync(join(folder, file), 'latin1')), `${closed}: ${file} ${stderr}`);
    assert.match(run('check', '--data', folder).stdout, /0 differences/);
  }
});

test('a pipe that is closed is no error to tell', () => {
  const { stderr } = shell(`"$UPLIFT" export --data '${at('data')}' | head -n 1 >/dev/null; "$UPLIFT" audit list --data '${at('data')}' | sed 1q >/dev/null`);
  assert.equal(stderr, '');
});

test('a backup does not go into the data folder', () => {
  for (const to of ['data/inside', 'data', 'data/../data/inside']) {
    const { status, stderr } = run('backup', '--data', at('data'), at(to));
    assert.equal(status, 2);
    assert.match(stderr, /lies within the data folder/);
  }
  assert.ok(!existsSync(at('data/inside')));
  assert.equal(run('backup', '--data', at('data'), at('data-beside')).status, 0); // whose name begins alike
});

// A copy of the backup in which a byte behind the n-th place with these bytes is another one.
function damage(name, find, behind, n = 0) {
  const bytes = readFileSync(join(at('backup'), 'data.mdb'));
  let where = bytes.indexOf(find);
  for (let i = 0; i < n; i++) where = bytes.indexOf(find, where + 1);
  assert.ok(where > 0);
  bytes[where + behind] ^= 1;
  mkdirSync(at(name));
  writeFileSync(join(at(name), 'data.mdb'), bytes);
  return at(name);
}

test('a customer whose id cannot be read is mended, and keeps all figures', () => {
  const folder = damage('id', 'recommendations-17', 16);
  const sound = run('export', '--data', at('backup'), '--events-only').stdout.split('\n');
  for (let i = 0; i < 2; i++) {
    const found = run('check', '--data', folder);
    assert.equal(found.status, 1);
    assert.equal(found.stdout, '');
    assert.match(found.stderr, /table 'customer' is damaged/);
  }
  const repaired = run('check', '--repair', '--data', folder);
  assert.equal(repaired.status, 0, repaired.stderr);
  assert.match(repaired.stdout, /customer number \d+: the id cannot be read: exports say '\(lost id of number \d+\)'\n\d+ customers, 0 differences/);
  const mended = run('export', '--data', folder, '--events-only').stdout.split('\n');
  assert.equal(mended.length, sound.length);
  assert.ok(mended.some((line) => line.includes('(lost id of number')));
});

test('a recount that damage ends is not called done', () => {
  const folder = damage('page', 'recommendations-17', 16);
  // A repair that is cut off leaves its note: here by a page that cannot be read at all.
  const file = join(folder, 'data.mdb'), bytes = readFileSync(file);
  const leaf = Math.floor(bytes.indexOf('recommendations-101') / 4096) * 4096;
  bytes.fill(0xff, leaf, leaf + 64);
  writeFileSync(file, bytes);
  const repaired = run('check', '--repair', '--data', folder);
  assert.equal(repaired.status, 1);
  assert.match(repaired.stderr, /the recount could not go on: the store's table 'customer'/);
  const checked = run('check', '--data', folder);
  assert.equal(checked.status, 1, checked.stdout);
  assert.match(checked.stderr, /damaged/);
});

test('check reads what it does not recount, too', () => {
  // In LMDB's leaf: 12 bytes of value, no flags, 16 bytes of key; so is a row of customer-id. The last
  // byte of its number is another one.
  const folder = damage('digest', Buffer.from([12, 0, 0, 0, 0, 0, 16, 0]), 8 + 16 + 7);
  const { status, stdout, stderr } = run('check', '--data', folder);
  assert.equal(status, 1, stdout);
  assert.equal(stdout, '');
  assert.match(stderr, /table 'customer-id' is damaged/);
});

test('errors name the folder', async () => {
  const folder = damage('named', 'recommendations-17', 16);
  const { status, stderr } = run('restore', folder, '--data', at('restored'));
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`^uplift restore: ${folder}: the store's table 'customer' is damaged`));
  writeFileSync(join(folder, 'data.mdb'), readFileSync(join(at('backup'), 'data.mdb')).subarray(0, 100_000));
  for (const command of ['check', 'compact', 'export']) {
    const cut = run(command, '--data', folder);
    assert.equal(cut.status, 1);
    assert.ok(cut.stderr.startsWith(`uplift ${command}: ${folder}`), cut.stderr);
  }
  await assert.rejects(serve(folder), new RegExp(`uplift serve: ${folder}`));
});
