// SPDX-License-Identifier: GPL-3.0-or-later
// A person's data over HTTP: shown whole, in pages, under ids of every kind; erased with the figures
// moved; nothing of it left in the trail.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const bin = process.env.UPLIFT_BIN;
const folder = mkdtempSync(join(tmpdir(), 'uplift-customers-'));
let server;

async function serve(name, ...options) {
  const child = spawn(bin, ['serve', '--data', join(folder, name), '--listen', '127.0.0.1:0', ...options]);
  let text = '';
  child.stderr.on('data', (bytes) => { text += bytes; });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (bytes) => { text += bytes; if (/listening on/.test(text)) resolve(); });
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
  return {
    url: /listening on (\S+)/.exec(text)[1], key: /adm-\w+/.exec(text)?.[0],
    stop: () => { child.kill('SIGTERM'); return ended; },
  };
}

async function ask(to, method, path, body, key = to.key) {
  const answer = await fetch(to.url + path, {
    method, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body), headers: { 'X-API-Key': key },
  });
  const text = await answer.text();
  return { status: answer.status, text, json: text && JSON.parse(text) };
}

const customer = (id) => `/v1/customers/${encodeURIComponent(id)}`;

async function define(to) {
  for (const metric of [{ key: 'spend', kind: 'mean', event: 'order' }, { key: 'nps', kind: 'nps' }])
    assert.equal((await ask(to, 'POST', '/v1/metrics', metric)).status, 201);
  const experiment = { key: 'exp', variants: [{ key: 'a' }, { key: 'b' }], segments: ['device'], metrics: { primary: ['spend'], guardrail: ['nps'] } };
  assert.equal((await ask(to, 'POST', '/v1/experiments', experiment)).status, 201);
  assert.equal((await ask(to, 'POST', '/v1/experiments/exp/start')).status, 200);
}

async function send(to, events) {
  const { status, json } = await ask(to, 'POST', '/v1/events', events);
  assert.equal(status, 200);
  return json;
}

const exposure = (id, variant) => ({ type: 'exposure', customer: id, experiment: 'exp', variant, attributes: { device: 'phone' } });

before(async () => {
  server = await serve('all');
  await define(server);
});

after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(folder, { recursive: true, force: true });
});

test('ids of every kind are shown and erased', async () => {
  const ids = ['c-1', 'a/b', 'a/b/consent', '/', 'with space+plus', 'é-💶', '100%', '?x=1', '#', 'a%2Fb', '"quoted"', 'x'.repeat(256)];
  await send(server, ids.map((id) => ({ type: 'outcome', customer: id, name: 'order', value: 1 })));
  for (const id of ids) {
    const { status, json } = await ask(server, 'GET', customer(id));
    assert.equal(status, 200, id);
    assert.equal(json.customer, id);
    assert.equal(json.events.length, 1);
    assert.equal(json.events[0].customer, id);
  }
  for (const id of ids) {
    assert.equal((await ask(server, 'DELETE', customer(id))).status, 200, id);
    assert.equal((await ask(server, 'GET', customer(id))).status, 404, id);
    assert.equal((await ask(server, 'DELETE', customer(id))).status, 404, id);
  }
  assert.equal((await ask(server, 'GET', '/v1/customers/%ff')).status, 400);
  assert.equal((await ask(server, 'GET', '/v1/customers/')).status, 404);
  assert.equal((await ask(server, 'GET', customer('x'.repeat(257)))).status, 404);
});

test('all that is kept is shown, events in pages', async () => {
  await send(server, [exposure('paged', 'b')]);
  const at = Date.now();
  await send(server, Array.from({ length: 25 }, (_, i) => ({ type: 'outcome', customer: 'paged', name: 'order', value: i, id: `o-${i}`, at: at + i })));
  await send(server, [{ type: 'feedback', customer: 'paged', survey: 'nps', score: 9, comment: 'said once', stage: 'checkout', channel: 'app' }]);
  const events = [];
  let pages = 0;
  for (let cursor = ''; cursor !== null; pages++) {
    const { status, json } = await ask(server, 'GET', `${customer('paged')}?limit=10${cursor && `&cursor=${cursor}`}`);
    assert.equal(status, 200);
    assert.equal(json.units.length, 1);
    const [{ metrics, exposed_at: exposed, ...unit }] = json.units;
    assert.deepEqual(unit, { experiment: 'exp', phase: 1, variant: 'b', epoch: unit.epoch, segments: { device: 'phone' } });
    assert.ok(Date.parse(exposed) <= at);
    assert.deepEqual(metrics.map(({ metric, value }) => [metric, value]), [['spend', 300], ['nps', 9]]);
    events.push(...json.events);
    cursor = json.cursor;
  }
  assert.equal(pages, 3);
  assert.equal(events.length, 27);
  assert.deepEqual(events.filter((row) => row.type === 'outcome').map((row) => row.value), Array.from({ length: 25 }, (_, i) => i));
  assert.ok(events.every((row) => row.received && row.customer === 'paged'));
  assert.equal(events.find((row) => row.type === 'feedback').comment, 'said once');
  assert.equal((await ask(server, 'GET', `${customer('paged')}?limit=0`)).status, 400);
  assert.equal((await ask(server, 'GET', `${customer('paged')}?cursor=x`)).status, 400);
});

test('an erasure tells how figures moved, and the trail nothing of who it was', async () => {
  const shown = async () => (await ask(server, 'GET', '/v1/experiments/exp/results')).json.experiment.variants.map((row) => row.exposed);
  await send(server, [exposure('stays', 'a'), exposure('goes', 'a'), exposure('goes', 'b'), exposure('leaves', 'a')]);
  await send(server, [{ type: 'outcome', customer: 'stays', name: 'order', value: 5 }, { type: 'outcome', customer: 'leaves', name: 'order', value: 7 }]);
  const [was] = await shown();
  const { status, json } = await ask(server, 'DELETE', customer('leaves'));
  assert.equal(status, 200);
  assert.equal(json.events, 2);
  assert.equal(json.units, 1);
  assert.equal(json.compaction, 'due');
  const [{ metrics: [spend], ...moved }] = json.moved;
  assert.deepEqual(moved, { experiment: 'exp', phase: 1, variant: 'a', customers: { before: 2, after: 1 } });
  assert.deepEqual(spend, { metric: 'spend', customers: { before: 2, after: 1 }, sum: { before: 12, after: 5 } });
  assert.equal((await shown())[0], was - 1);
  const crossed = (await ask(server, 'DELETE', customer('goes'))).json.moved;
  assert.deepEqual(crossed, [{ experiment: 'exp', phase: 1, variant: null, customers: { before: 1, after: 0 }, metrics: [] }]);
  const trail = (await ask(server, 'GET', '/v1/audit')).json.audit.filter((row) => row.action === 'customer.erase');
  assert.match(trail[0].key, /^[0-9a-f]{32}$/);
  assert.deepEqual(trail[0].before, { events: 2, units: 1 });
  assert.ok(!JSON.stringify(trail).includes('goes') && !JSON.stringify(trail).includes('leaves'));
});
