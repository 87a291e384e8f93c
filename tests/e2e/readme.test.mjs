// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of the README's tour, run as they stand there. Only the folder, the port and the
// place of the binary are replaced, as those belong to the reader's machine.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';

const bin = process.env.UPLIFT_BIN;
const readme = readFileSync(join(process.env.UPLIFT_SRCDIR ?? '.', 'README.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'uplift-readme-'));
let port, server, key;

// The commands of the section whose heading holds these words.
function commands(words) {
  const section = readme.split(/^### /m).find((part) => part.split('\n')[0].includes(words));
  assert.ok(section, `the README has a section "${words}"`);
  const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1]);
  assert.ok(blocks.length > 0, `"${words}" has commands`);
  return blocks.map((text) => text
    .replaceAll('build/uplift', bin)
    .replaceAll('/tmp/uplift-', `${folder}/uplift-`)
    .replaceAll('127.0.0.1:8099', `127.0.0.1:${port}`)
    .replaceAll('curl -s', 'curl -sS --fail-with-body'));
}

function run(text) {
  return execFileSync('sh', ['-euc', text], {
    cwd: folder, encoding: 'utf8', env: { ...process.env, KEY: key }, timeout: 60_000,
  });
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address();
      probe.close(() => resolve(free));
    });
  });
}

before(async () => {
  port = await freePort();
  server = spawn('sh', ['-euc', `exec ${commands('Ask for a variant')[0]}`], { cwd: folder });
  const output = [];
  key = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no key within 20 s: ${output.join('')}`)), 20_000);
    const read = (data) => {
      output.push(data);
      const text = output.join('');
      const found = /adm-[A-Za-z0-9_-]+/.exec(text);
      if (found && /listening on/.test(text)) {
        clearTimeout(timer);
        resolve(found[0]);
      }
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    server.on('exit', (code) => reject(new Error(`serve ended with ${code}: ${output.join('')}`)));
  });
});

after(async () => {
  server.removeAllListeners('exit');
  const ended = new Promise((resolve) => server.on('exit', resolve));
  server.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

test('the tour creates, starts and assigns', () => {
  const output = run(commands('Ask for a variant')[1]);
  assert.match(output, /"variant":\s*"(control|green)"/);
  assert.match(output, /"reason":\s*"assigned"/);
});

test('the tour sends events and reads results', () => {
  const output = run(commands('Tell what happened')[0]);
  assert.match(output, /"accepted":\s*2/);
  assert.match(output, /"action":\s*"too-early"/);
});

test('the tour imports a table', () => {
  const rows = Array.from({ length: 400 }, (_, i) => `${i % 2 ? 'green' : 'blue'},${i % 7 === 0 ? 1 : 0}`);
  writeFileSync(join(folder, 'experiment.csv'), `variant,bought\n${rows.join('\n')}\n`);
  const output = run(commands('Read a finished experiment')[0]);
  assert.match(output, /bought/);
  assert.match(output, /green/);
});

test('the tour analyses a study', () => {
  const report = JSON.parse(run(commands('Statistics alone')[0]));
  assert.equal(report.metrics[0].comparisons[0].variant, 'b');
});
