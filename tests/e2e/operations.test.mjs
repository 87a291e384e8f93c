// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of doc/operations.md, run in their order as they stand there, beside a running server.
// Only folders, the port and the place of the binary are replaced.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

const bin = process.env.UPLIFT_BIN, sources = process.env.UPLIFT_SRCDIR ?? '.';
const folder = mkdtempSync(join(tmpdir(), 'uplift-operations-'));
const path = (name) => join(folder, name);
const manual = readFileSync(join(sources, 'doc/operations.md'), 'utf8');
let server, port;

// The commands of a section.
function commands(heading) {
  const section = manual.split(/^## /m).find((part) => part.split('\n')[0] === heading);
  assert.ok(section, `the manual has a section "${heading}"`);
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text
    .replaceAll('/var/', `${folder}/var/`)
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)
    .replaceAll('curl -s', 'curl -sS --fail-with-body'));
}

const run = (text) => execFileSync('sh', ['-euc', text], {
  cwd: folder, encoding: 'utf8', timeout: 60_000, env: { ...process.env, PATH: `${path('bin')}:${process.env.PATH}` },
});

before(async () => {
  for (const name of ['bin', 'var/lib', 'var/backups']) mkdirSync(path(name), { recursive: true });
  symlinkSync(bin, path('bin/uplift'));
  run(`uplift demo --data '${path('var/lib/uplift')}' --customers 300 --seed 5`);
  mkdirSync(path('var/lib/uplift-old'));
  writeFileSync(path('var/lib/uplift-old/data.mdb'), gunzipSync(readFileSync(join(sources, 'tests/data/store/schema-1.mdb.gz'))));
  server = spawn(bin, ['serve', '--data', path('var/lib/uplift'), '--listen', '127.0.0.1:0']);
  port = await new Promise((resolve, reject) => {
    let text = '';
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (bytes) => {
        text += bytes;
        const found = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text);
        if (found) resolve(found[1]);
      });
    server.on('exit', (code) => reject(new Error(`serve ended with ${code}: ${text}`)));
  });
});

after(async () => {
  server.removeAllListeners('exit');
  const ended = new Promise((resolve) => server.on('exit', resolve));
  server.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

test('the folder holds the files that the manual names', () => {
  const named = [...manual.matchAll(/^\| (`[^|]+`) \| /gm)].flatMap(([, cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
  for (const name of readdirSync(path('var/lib/uplift'))) assert.ok(named.includes(name), `${name} is not explained`);
});

test('backup, restore, check, export and import', () => {
  const [backup, restore, text] = commands('Backup and restore');
  run(backup);
  assert.match(run(restore), /\b0 differences/);
  assert.match(run(`uplift check --data '${path('var/lib/uplift')}'`), /\b0 differences/); // beside the server
  run(text);
  assert.ok(existsSync(path('var/lib/uplift-copy/data.mdb')));
  assert.match(run(`uplift check --data '${path('var/lib/uplift-copy')}'`), /\b0 differences/);
});

test('upgrade of an older store', () => {
  assert.throws(() => run(`uplift check --data '${path('var/lib/uplift-old')}'`), /run uplift upgrade/);
  run(commands('Upgrade')[0]);
  assert.ok(existsSync(path('var/lib/uplift-old/data.mdb.schema-1')));
  assert.match(run(`uplift check --data '${path('var/lib/uplift-old')}'`), /[1-9]\d* customers, 0 differences/);
});

test('dropping old history and compacting', () => {
  run(commands('Old history, erased customers')[0]);
  assert.match(run(`uplift check --data '${path('var/lib/uplift-copy')}'`), /\b0 differences/);
});

test('the trail and the figures', () => {
  assert.match(run(commands('The trail')[0]), /\b\d+ rows\b.*[0-9a-f]{64}/s);
  assert.match(run(commands('Monitoring')[0]), /^uplift_write_refusing 0$/m);
});
