// SPDX-License-Identifier: GPL-3.0-or-later
// A real server whose disk is full, whose store has reached its bound, whose disk is read-only, or
// that has no file descriptors left: writes are refused with 507 or 503, reads, results and
// assignment go on, all recovers when the cause goes, and nothing acknowledged is lost.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bin, define, figures, lane, pause, post, serve, slack, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-disk-'));
after(() => rmSync(base, { recursive: true, force: true }));

let number = 0;
const acknowledged = new Set();

function batch(size) {
  return Array.from({ length: size }, () => {
    const id = `e-${++number}`, customer = `c-${number % 5000}`, at = Date.now() - 1000;
    return number % 3 ? { id, type: 'outcome', customer, name: 'order', at } :
      { id, type: 'exposure', customer, experiment: 'exp', variant: number % 2 ? 'a' : 'b', at };
  });
}

async function send(server, size = 20) {
  const events = batch(size), { status, json, text } = await server.ask('POST', '/v1/events', events);
  if (status === 200) assert.equal(json.accepted, size, text);
  if (status === 200) for (const { id } of events) acknowledged.add(id);
  return status;
}

// Assignment, results, lists and figures, many at once, so that readers that were never used are.
async function goesOn(server) {
  const asks = Array.from({ length: 60 }, (_, i) => [
    ['POST', '/v1/assign', { customer: `c-${i}` }], ['GET', '/v1/experiments/exp/results'], ['GET', '/v1/experiments'], ['GET', '/metrics'],
    ['GET', '/v1/audit'], ['GET', '/healthz']][i % 6]);
  const answers = await Promise.all(asks.map((ask) => server.ask(...ask)));
  answers.forEach(({ status, text }, i) => assert.equal(status, 200, `${asks[i][1]}: ${status} ${text}`));
}

function verify(folder) {
  const lines = execFileSync(bin, ['export', '--data', folder, '--events-only'], { encoding: 'utf8', maxBuffer: 1 << 30 }).trim().split('\n');
  const kept = new Set(lines.map((line) => JSON.parse(line).id));
  assert.equal(kept.size, lines.length, 'an event is there twice');
  for (const id of acknowledged) assert.ok(kept.has(id), `${id} was acknowledged and is lost`);
  assert.match(execFileSync(bin, ['check', '--data', folder], { encoding: 'utf8' }), / 0 differences/);
}

function begin(name) {
  number = 0;
  acknowledged.clear();
  const folder = join(base, name);
  mkdirSync(folder);
  return folder;
}

// Why nothing can be mounted here, or false.
function unmountable() {
  const folder = join(base, 'mountable');
  mkdirSync(folder, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'pipe' });
    execFileSync('umount', [folder]);
    return false;
  } catch (error) {
    return `no file system can be mounted here: ${String(error.stderr ?? error).trim()}`;
  }
}

// A small file system: a tmpfs, or ext4 in a file.
function mount(kind, folder) {
  if (kind === 'tmpfs') return execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', folder]);
  const image = `${folder}.image`;
  execFileSync('dd', ['if=/dev/zero', `of=${image}`, 'bs=1M', 'count=24'], { stdio: 'pipe' });
  execFileSync('mkfs.ext4', ['-q', '-m', '0', image], { stdio: 'pipe' });
  return execFileSync('mount', ['-o', 'loop', image, folder], { stdio: 'pipe' });
}

function fill(folder) {
  try {
    execFileSync('dd', ['if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=4096'], { stdio: 'pipe' });
  } catch { /* it ends when nothing is left */ }
}

for (const kind of ['tmpfs', 'ext4'])
  test(`a full disk (${kind}) refuses writes with 507, and takes them when there is room again`, { skip: unmountable() }, async (context) => {
    const folder = begin(kind);
    try { mount(kind, folder); } catch (error) { return context.skip(`cannot make it: ${String(error.stderr ?? error).trim()}`); }
    try {
      const data = join(folder, 'data');
      let server = await serve(data);
      const { key } = server;
      await define(server);
      for (let i = 0; i < 20; i++) assert.equal(await send(server), 200);
      for (let round = 0; round < 2; round++) {
        fill(folder);
        const statuses = [];
        for (let i = 0; i < 30 && statuses.filter((status) => status === 507).length < 5; i++) statuses.push(await send(server, 500));
        assert.ok(statuses.every((status) => status === 200 || status === 507), statuses.join());
        assert.equal(statuses.at(-1), 507, statuses.join());
        await goesOn(server);
        const { status, json } = await server.ask('PATCH', '/v1/experiments/exp', { name: `round ${round}` }, { 'If-Match': '*' });
        assert.ok(status === 507 || status === 200, JSON.stringify(json));
        if (round === 1) { // it starts on a full disk, too
          assert.deepEqual(await server.stop(), [0, null], server.text());
          server = await serve(data, { key });
          await goesOn(server);
          assert.equal(await send(server, 500), 507);
        }
        rmSync(join(folder, 'filler'));
        assert.equal(await send(server), 200);
        await goesOn(server);
      }
      assert.deepEqual(await server.stop(), [0, null], server.text());
      verify(data);
      // Less room than a compaction takes: it is not begun.
      fill(folder);
      const filler = join(folder, 'filler');
      truncateSync(filler, statSync(filler).size - (64 << 10));
      const compact = spawnSync(bin, ['compact', '--data', data], { encoding: 'utf8' });
      assert.equal(compact.status, 1);
      assert.match(compact.stderr, /compacting takes \d+ bytes of the disk, which has \d+ left/);
      verify(data);
    } finally {
      execFileSync('umount', ['-l', folder]);
    }
  });

test('a store at its bound refuses writes with 507, and goes on with a larger one', async () => {
  const folder = begin('bound');
  let server = await serve(folder, { options: ['--store-max', '3M'] });
  const { key } = server;
  await define(server);
  const statuses = [];
  for (let i = 0; i < 200 && statuses.filter((status) => status === 507).length < 5; i++) statuses.push(await send(server, 500));
  assert.ok(statuses.every((status) => status === 200 || status === 507), statuses.join());
  assert.ok(statuses.includes(200) && statuses.includes(507), statuses.join());
  await goesOn(server);
  assert.deepEqual(await server.stop(), [0, null], server.text());
  server = await serve(folder, { key, options: ['--store-max', '64M'] });
  assert.equal(await send(server, 500), 200);
  await goesOn(server);
  assert.deepEqual(await server.stop(), [0, null], server.text());
  verify(folder);
});

test('a disk that is read-only refuses writes with 503, and takes them when it is not', { skip: !process.env.UPLIFT_DISK_BIN && 'UPLIFT_DISK_BIN is not built' }, async () => {
  const folder = begin('read-only');
  const server = await serve(folder, { program: process.env.UPLIFT_DISK_BIN });
  await define(server);
  for (let round = 0; round < 3; round++) {
    assert.equal(await send(server), 200);
    server.child.kill('SIGUSR1');
    await until(async () => await send(server) === 503, 'refused');
    for (let i = 0; i < 5; i++) assert.equal(await send(server), 503);
    await goesOn(server);
    assert.equal((await server.ask('PATCH', '/v1/experiments/exp', { name: 'no' }, { 'If-Match': '*' })).status, 503);
    assert.match((await server.ask('GET', '/metrics')).text, /^uplift_write_refusing 1$/m);
    server.child.kill('SIGUSR2');
    await until(async () => await send(server) === 200, 'taken');
    assert.match((await server.ask('GET', '/metrics')).text, /^uplift_write_refusing 0$/m);
  }
  // One line where it began, whatever came between, and one when all went well for five seconds.
  const told = () => server.text().match(/^uplift serve: .*$/gm) ?? [];
  assert.equal(told().length, 1);
  assert.match(told()[0], /^uplift serve: a write was refused: cannot write to the store: /);
  await until(async () => await send(server) === 200 && told().length > 1, 'told');
  assert.equal(told()[1], 'uplift serve: writes go well again');
  assert.deepEqual(await server.stop(), [0, null], server.text());
  verify(folder);
});

test('without file descriptors it answers those it has, rests, and recovers', async () => {
  const folder = begin('descriptors');
  const server = await serve(folder, { shell: 'ulimit -n 60' });
  assert.match(server.text(), /takes 30 connections at once, not 2000/);
  await define(server);
  for (let round = 0; round < 2; round++) {
    const lanes = Array.from({ length: 150 }, () => lane(server.port));
    lanes.forEach(({ write }) => write(post(server, '/v1/assign', { customer: 'c' })));
    await pause(500);
    const before = figures(server.child.pid).busy, began = Date.now();
    await pause(1000);
    const share = (figures(server.child.pid).busy - before) / (Date.now() - began);
    const answers = await Promise.all(lanes.map((one) => Promise.race([one.answer(), pause(100)])));
    const served = answers.filter((answer) => answer?.status === 200).length;
    assert.ok(served >= 15, `${served} were answered`);
    assert.ok(share < 0.3 * slack, `it uses ${Math.round(100 * share)}% of a processor`);
    // Those that have a connection can do all that they ever could.
    const held = lanes.filter((one, i) => answers[i]?.status === 200 && !one.closed());
    for (const one of held.slice(0, 10)) {
      one.write(`GET /v1/experiments/exp/results HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.key}\r\n\r\n`);
      assert.equal((await one.answer())?.status, 200);
      one.write(post(server, '/v1/events', batch(3)));
      assert.equal((await one.answer())?.status, 200);
    }
    lanes.forEach((one) => one.end());
    await until(async () => (await server.ask('GET', '/healthz').catch(() => ({}))).status === 200, 'answering again');
  }
  assert.equal(await send(server), 200);
  assert.deepEqual(await server.stop(), [0, null], server.text());
  verify(folder);
});
