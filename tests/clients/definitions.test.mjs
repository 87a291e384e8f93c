// SPDX-License-Identifier: GPL-3.0-or-later
// GrowthBook's SDK on experiments that hang together: values of every customer, and what is tracked,
// are those of the server, also for holdouts and prerequisites.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serve } from '../e2e/serving.mjs';
import { sdk } from './clients.mjs';

const { GrowthBook } = sdk('@growthbook/growthbook');
const COUNT = Number(process.env.UPLIFT_SDK_COUNT ?? 300);

test('an SDK and the server agree on holdouts and prerequisites', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'uplift-define-')), server = await serve(folder, { options: ['--rate', '0'] });
  const must = async (path, body) => {
    const { status, text, json } = await server.ask('POST', path, body);
    assert.ok(status < 300, `${path}: ${status} ${text}`);
    return json;
  };
  const start = async (definition, ...steps) => {
    await must('/v1/experiments', definition);
    await must(`/v1/experiments/${definition.key}/start`);
    for (const [step, body] of steps) await must(`/v1/experiments/${definition.key}/${step}`, body);
  };
  const two = [{ key: 'a', value: 'A' }, { key: 'b', value: 'B' }], share = (weight) => [{ key: 'out', weight }, { key: 'in', weight: 1 - weight }];
  await start({ key: 'before', variants: two });
  await start({ key: 'h1', holdout: {}, variants: share(0.3) });
  await start({ key: 'h2', holdout: { tags: ['t'] }, variants: share(0.2) });
  await start({ key: 'plain', variants: two });
  await start({ key: 'aimed', tags: ['t'], audience: { country: 'DE' }, traffic: 0.6, layer: { key: 'l', range: [0, 0.7] }, overrides: { 'c-1': 'b' }, variants: two });
  await start({ key: 'object', variants: [{ key: 'a', value: { n: 1, m: 2 } }, { key: 'b', value: { m: 2, n: 2 } }, { key: 'c', value: { m: 1 } }] });
  await start({ key: 'child', prerequisites: [{ experiment: 'before', variants: ['b'] }], variants: two });
  await start({ key: 'grandchild', prerequisites: [{ experiment: 'object', variants: ['b', 'c'] }, { experiment: 'child', variants: ['a'] }], variants: two });
  await start({ key: 'won', tags: ['t'], variants: two }, ['stop', { winner: 'b', reason: 'test' }]);
  await start({ key: 'won-needing', audience: { country: 'DE' }, prerequisites: [{ experiment: 'won', variants: ['b'] }], variants: two }, ['stop', { winner: 'b', reason: 'test' }]);
  await start({ key: 'paused', variants: two }, ['pause']);
  await must('/v1/experiments', { key: 'draft', variants: two });
  await start({ key: 'waiting', prerequisites: [{ experiment: 'draft', variants: ['a'] }], variants: two });
  const { key } = await must('/v1/keys', { kind: 'client' });
  const payload = await (await fetch(`${server.url}/api/features/${key}`)).json(), seen = {};
  for (let i = 0; i < COUNT; i++) {
    const customer = `c-${i}`, attributes = { id: customer, country: i % 2 ? 'DE' : 'FR' };
    const { assignments } = await must('/v1/assign', { customer, attributes });
    for (const is of assignments) {
      const tracked = [], expected = [];
      const gb = new GrowthBook({ attributes, trackingCallback: (experiment, result) => tracked.push(`${experiment.key}:${result.key}`) });
      gb.initSync({ payload });
      assert.deepEqual(gb.evalFeature(is.experiment).value, is.value, `${customer} ${is.experiment} ${JSON.stringify(is)}`);
      gb.destroy();
      seen[is.reason] = (seen[is.reason] ?? 0) + 1;
      if (['child', 'grandchild', 'waiting', 'won-needing'].includes(is.experiment)) continue; // an SDK tracks what it looked at
      if (is.in_experiment) expected.push(`${is.experiment}:${is.variant}`);
      const holdouts = ['h1', ...(['aimed'].includes(is.experiment) ? ['h2'] : [])].filter(() => is.experiment !== 'before');
      if (is.in_experiment) expected.unshift(...holdouts.map((holdout) => `${holdout}:in`));
      if (is.exposes) expected.push(...holdouts.slice(0, holdouts.indexOf(is.holdout)).map((holdout) => `${holdout}:in`), `${is.holdout}:out`);
      assert.deepEqual(tracked, expected, `${customer} ${is.experiment}`);
    }
  }
  console.log(`# ${JSON.stringify(seen)}`);
  for (const reason of ['assigned', 'holdout', 'prerequisite', 'winner', 'override', 'not-in-audience']) assert.ok(seen[reason] > 0, reason);
  assert.deepEqual(await server.stop(), [0, null]);
  rmSync(folder, { recursive: true, force: true });
});
