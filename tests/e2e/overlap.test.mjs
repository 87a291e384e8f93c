// SPDX-License-Identifier: GPL-3.0-or-later
// Overlap over HTTP: two experiments with a planted interaction, which is found, told in health of
// both and by a webhook, and another one that only adds up; layers keep apart; a look of it replays.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bin, serve, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-overlap-'));
after(() => rmSync(base, { recursive: true, force: true }));

// Customers of whom the n-th gets a variant by each of its bits; `buys` is a chance out of 20.
function histories(customers, experiments, buys, at) {
  const events = [];
  for (let i = 0; i < customers; i++) {
    const customer = `c-${i}`, got = experiments.map((_, k) => (i >> k) & 1);
    experiments.forEach((experiment, k) => events.push({ type: 'exposure', customer, experiment, variant: got[k] ? 'b' : 'a', at }));
    if ((i >> experiments.length) % 20 < buys(got)) events.push({ type: 'outcome', customer, name: 'order', at: at + 1000 });
  }
  return events;
}

test('a planted interaction is found, one that adds up is not, layers keep apart', async () => {
  const server = await serve(join(base, 'found'), { program: process.env.UPLIFT_HASTY_BIN });
  const post = async (path, body) => {
    const { status, text, json } = await server.ask('POST', path, body);
    assert.ok(status < 300, `${path}: ${status} ${text}`);
    return json;
  };
  const get = async (path) => { const { status, text, json } = await server.ask('GET', path); assert.equal(status, 200, text); return json; };
  await post('/v1/webhooks', { url: 'http://127.0.0.1:9/nobody', events: ['interaction.alarm'] });
  await post('/v1/metrics', { key: 'buy', name: 'Purchase', kind: 'binary', event: 'order' });
  const keys = ['button', 'headline', 'search', 'left', 'right'];
  for (const key of keys) {
    const layer = { left: { key: 'l', range: [0, 0.5] }, right: { key: 'l', range: [0.5, 1] } }[key];
    await post('/v1/experiments', { key, name: key[0].toUpperCase() + key.slice(1), layer, variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'] } });
    await post(`/v1/experiments/${key}/start`);
  }
  assert.deepEqual((await get('/v1/overlap')).overlaps, [], 'nobody came yet');
  const at = Date.now(), events = histories(9600, ['button', 'headline', 'search'], ([x, y, z]) => 3 + z + (x && y ? 8 : 0), at);
  for (let i = 0; i < 60; i++) events.push(...['left', 'right'].map((experiment) => ({ type: 'exposure', customer: `c-${i}`, experiment, variant: 'a', at })));
  for (let i = 0; i < events.length; i += 10_000) await post('/v1/events', events.slice(i, i + 10_000));
  // What was made a moment ago is given for an hour.
  const kept = await get('/v1/overlap');
  assert.equal(kept.overlaps.length, 0);
  assert.deepEqual(kept.left_out, { experiments: 0, pairs: 0, untested: 0 });

  server.child.kill('SIGUSR1'); // a day goes by
  const list = await until(async () => { const found = await get('/v1/overlap'); return found.overlaps.length && found; }, 'counted anew');
  const row = (a, b) => list.overlaps.find(({ experiments: [x, y] }) => x.key === a && y.key === b);
  assert.equal(row('left', 'right'), undefined, 'a layer keeps them apart');
  assert.equal(list.overlaps.length, 9);
  assert.equal(list.cursor, null);
  const found = row('button', 'headline');
  assert.equal(found.customers, 9600);
  assert.equal(found.share, 1);
  assert.deepEqual(found.cells, [[2400, 2400], [2400, 2400]]);
  assert.equal(found.interaction, 'found');
  assert.match(found.text, /^Button and Headline depend on each other\. Purchase: "b" of Button changes it by .*0\.0\d* points where Headline gives "a", by \+40\.0 points/);
  for (const [a, b] of [['button', 'search'], ['headline', 'search']]) {
    assert.equal(row(a, b).interaction, 'none-seen');
    assert.match(row(a, b).text, /work independently as far as we can tell \(Purchase: difference -[\d.]+ points to \+[\d.]+ points\)$/);
  }
  assert.equal(row('button', 'left').interaction, 'too-early');
  for (const key of ['button', 'headline']) {
    const { health } = await get(`/v1/experiments/${key}/health`);
    const check = health.find(({ id }) => id === 'interaction');
    assert.equal(check.status, 'warn');
    assert.equal(check.text, found.text);
    assert.equal(check.evidence[0].metric, 'buy');
    assert.equal(check.evidence[0].experiment, key === 'button' ? 'headline' : 'button');
    assert.ok(Date.parse(check.since));
  }
  assert.equal((await get('/v1/experiments/search/health')).health.find(({ id }) => id === 'interaction').status, 'ok');
  const one = await get('/v1/experiments/left/overlap?limit=2');
  assert.equal(one.overlaps.length, 2);
  assert.equal((await get(`/v1/experiments/left/overlap?limit=2&cursor=${one.cursor}`)).overlaps.length, 1);
  assert.equal((await server.ask('GET', '/v1/experiments/none/overlap')).status, 404);
  assert.equal((await server.ask('GET', '/v1/overlap?cursor=x')).status, 400);
  const told = (await get('/v1/deliveries')).deliveries.filter(({ type }) => type === 'interaction.alarm');
  assert.equal(told.length, 1);
  const { data } = typeof told[0].body === 'string' ? JSON.parse(told[0].body) : told[0].body;
  assert.deepEqual(data.experiments.map(({ key }) => key), ['button', 'headline']);
  assert.equal(data.findings[0].metric, 'buy');
  assert.equal(data.text, found.text);
  await server.stop();
  assert.match(execFileSync(bin, ['replay', 'button', '--data', join(base, 'found')], { encoding: 'utf8' }), /the same, byte for byte/);
});
