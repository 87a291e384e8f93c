// SPDX-License-Identifier: GPL-3.0-or-later
// Assignment over HTTP on raw sockets: it agrees with decisions taken offline and with the weights,
// two experiments are independent, and 256 lock-step connections never stall. UPLIFT_ASSIGN_COUNT
// says how many customers (100,000 unless told otherwise).
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const bin = process.env.UPLIFT_BIN;
const COUNT = Number(process.env.UPLIFT_ASSIGN_COUNT ?? 100_000);
const SLICE = 100_000; // of what is decided offline at once
const folder = mkdtempSync(join(tmpdir(), 'uplift-assign-'));
const definitions = [
  { key: 'one', variants: [{ key: 'a', weight: 0.2 }, { key: 'b', weight: 0.3 }, { key: 'c', weight: 0.5 }] },
  { key: 'two', variants: [{ key: 'x' }, { key: 'y' }] },
];
let server, port, key;

const post = async (path, body) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST', headers: { Authorization: `Bearer ${key}` }, body: body ? JSON.stringify(body) : '',
  });
  assert.ok(answer.ok, `${path}: ${await answer.text()}`);
};

before(async () => {
  server = spawn(bin, ['serve', '--data', folder, '--listen', '127.0.0.1:0', '--rate', '0']);
  const text = await new Promise((resolve, reject) => {
    let seen = '';
    const timer = setTimeout(() => reject(new Error(`not listening: ${seen}`)), 30_000);
    server.stdout.on('data', (bytes) => {
      seen += bytes;
      if (/listening on/.test(seen)) { clearTimeout(timer); resolve(seen); }
    });
  });
  port = Number(/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)[1]);
  [key] = /adm-[A-Za-z0-9]+/.exec(text);
  for (const definition of definitions) {
    await post('/v1/experiments', definition);
    await post(`/v1/experiments/${definition.key}/start`);
  }
});

after(async () => {
  const ended = new Promise((resolve) => server.on('exit', resolve));
  server.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

const request = (customer) => {
  const body = JSON.stringify({ customer });
  return `POST /v1/assign HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

// Calls answered(body) for each answer on the socket, whose bodies all say their length.
function readAnswers(socket, answered) {
  let buffer = '';
  socket.setEncoding('latin1');
  socket.on('data', (bytes) => {
    buffer += bytes;
    for (;;) {
      const head = buffer.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(buffer.slice(0, head))[1]);
      if (buffer.length < head + 4 + length) return;
      const body = buffer.slice(head + 4, head + 4 + length);
      assert.match(buffer, /^HTTP\/1\.1 200 /);
      buffer = buffer.slice(head + 4 + length);
      answered(body);
    }
  });
}

// Variants of both experiments for customers 0…count-1, over 16 connections.
async function assignAll(count) {
  const variants = { one: new Array(count), two: new Array(count) };
  let next = 0;
  const lane = () => new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let mine = -1;
    const ask = () => {
      if (next >= count) { socket.end(); resolve(); return; }
      mine = next++;
      socket.write(request(`customer-${mine}`));
    };
    socket.on('error', reject).on('connect', ask);
    readAnswers(socket, (body) => {
      for (const row of JSON.parse(body).assignments) variants[row.experiment][mine] = row.variant;
      ask();
    });
  });
  await Promise.all(Array.from({ length: 16 }, lane));
  return variants;
}

const tally = (list) => list.reduce((counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1), new Map());
const chiSquared = (pairs) => pairs.reduce((sum, [seen, expected]) => sum + (seen - expected) ** 2 / expected, 0);

test(`${COUNT} customers agree with offline decisions and with the weights`, async () => {
  const variants = await assignAll(COUNT);
  for (const definition of definitions) {
    const counts = tally(variants[definition.key]);
    const pairs = definition.variants.map((variant) =>
      [counts.get(variant.key) ?? 0, COUNT * (variant.weight ?? 1 / definition.variants.length)]);
    // The decision is fixed by the ids; 18.4 and 13.8 are the points that chance passes once in
    // 10,000 at 2 and 1 degrees of freedom (roughly), so this fails only where something is wrong.
    assert.ok(chiSquared(pairs) < 18.4, `${definition.key}: ${JSON.stringify(pairs)}`);
    for (let from = 0; from < COUNT; from += SLICE) {
      const input = Array.from({ length: Math.min(SLICE, COUNT - from) }, (_, i) =>
        JSON.stringify({ experiment: definition, customer: `customer-${from + i}` })).join('\n');
      const lines = execFileSync(bin, ['explain', '--lines'], { input, encoding: 'utf8', maxBuffer: 1 << 30 }).trim().split('\n');
      assert.equal(lines.length, Math.min(SLICE, COUNT - from));
      // Not JSON.parse: the trace of every step is in each line, and there are two million.
      lines.forEach((line, i) => {
        const [, variant] = /"variant": ?"([^"]+)"/.exec(line);
        if (variant !== variants[definition.key][from + i]) assert.fail(`customer-${from + i}: ${variants[definition.key][from + i]}, offline ${line}`);
      });
    }
  }
  const both = tally(variants.one.map((name, i) => name + variants.two[i]));
  const [one, two] = [tally(variants.one), tally(variants.two)];
  const cells = [...one].flatMap(([a, n]) => [...two].map(([b, m]) => [both.get(a + b) ?? 0, (n * m) / COUNT]));
  assert.ok(chiSquared(cells) < 18.4, `independent: ${JSON.stringify(cells)}`);
});

test('256 lock-step connections never stall', async () => {
  const sockets = await Promise.all(Array.from({ length: 256 }, () => new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', reject).on('connect', () => resolve(socket));
  })));
  let answers = 0;
  let over;
  sockets.forEach((socket) => readAnswers(socket, () => { answers += 1; if (answers % 256 === 0) over(); }));
  for (let round = 0; round < 60; round++) {
    await new Promise((resolve, reject) => {
      // A stall waits for the next event or for ever; ten seconds are neither speed nor luck.
      const timer = setTimeout(() => reject(new Error(`round ${round}: ${answers % 256} of 256 answered`)), 10_000);
      over = () => { clearTimeout(timer); resolve(); };
      sockets.forEach((socket, i) => socket.write(request(`c-${round}-${i}`)));
    });
  }
  assert.equal(answers, 60 * 256);
  sockets.forEach((socket) => socket.destroy());
});

test('a client that sends slowly does not hold others up', async () => {
  const slow = connect(port, '127.0.0.1');
  await new Promise((resolve) => slow.on('connect', resolve));
  slow.on('error', () => {});
  slow.write('POST /v1/assign HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{');
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  assert.equal(answer.status, 200);
  slow.destroy();
});

test('an exposure that is not recorded is told, one whose attributes are too long is recorded without them', async () => {
  await post('/v1/experiments', { key: 'cut', variants: [{ key: 'a' }, { key: 'b' }], segments: ['country'] });
  await post('/v1/experiments/cut/start');
  const assign = async (customer, attributes) => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/assign`, {
      method: 'POST', headers: { Authorization: `Bearer ${key}` }, body: JSON.stringify({ customer, attributes, experiments: ['cut'], track: true }),
    });
    assert.equal(answer.status, 200);
    return answer.json();
  };
  const events = async (customer) => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/customers/${customer}`, { headers: { Authorization: `Bearer ${key}` } });
    return answer.ok ? (await answer.json()).events : [];
  };
  const long = 'x'.repeat(9000);
  assert.deepEqual(Object.keys(await assign('long', { country: 'DE', long })), ['assignments']);
  assert.deepEqual((await events('long')).map((event) => event.attributes), [{ country: 'DE' }]);
  const told = await assign('longer', { country: long });
  assert.equal(told.assignments[0].in_experiment, true);
  assert.equal(told.unrecorded.length, 1);
  assert.equal(told.unrecorded[0].experiment, 'cut');
  assert.match(told.unrecorded[0].error, /^attributes: are longer/);
  assert.deepEqual(await events('longer'), []);
});
