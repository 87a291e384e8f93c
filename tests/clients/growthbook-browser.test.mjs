// SPDX-License-Identifier: GPL-3.0-or-later
// GrowthBook's SDK in Chromium, on a page of another origin than the server: fetching, the stream,
// remote evaluation, the tracking plugin's fetch and its beacon when the page is left, and beacons
// and errors of our own routes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { serve, until } from '../e2e/serving.mjs';
import { browser, bundle, elsewhere, sdk } from './clients.mjs';

sdk('@growthbook/growthbook');
const folder = mkdtempSync(join(tmpdir(), 'uplift-growthbook-'));
let server, clientKey, chromium, page, site, complaints;

const admin = async (method, path, body, headers) => {
  const answer = await server.ask(method, path, body, headers);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.json;
};
const exposed = async () => (await admin('GET', '/v1/experiments/exp/results')).experiment.variants.map((row) => row.exposed);
const outcomes = async (id) => (await server.ask('GET', `/v1/customers/${id}`)).json.events?.filter((event) => event.type === 'outcome') ?? [];

before(async () => {
  const script = await bundle(`
    import { GrowthBook } from '@growthbook/growthbook';
    import { growthbookTrackingPlugin } from '@growthbook/growthbook/plugins';
    window.begin = async (options) => {
      window.calls = [];
      window.gb = new GrowthBook({
        trackingCallback: (experiment, result) => calls.push([experiment.key, result.key]),
        ...options, plugins: [growthbookTrackingPlugin({ ingestorHost: options.apiHost, ...options.tracking })],
      });
      const { success } = await gb.init({ skipCache: true, streaming: options.streaming });
      return success;
    };`);
  server = await serve(join(folder, 'data'));
  clientKey = (await admin('POST', '/v1/keys', { kind: 'client' })).key;
  await admin('POST', '/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' });
  await admin('POST', '/v1/experiments', { key: 'exp', variants: [{ key: 'a', value: 'A', weight: 0 }, { key: 'b', value: 'B', weight: 1 }], metrics: { primary: ['buy'] } });
  await admin('POST', '/v1/experiments/exp/start');
  site = await elsewhere(script);
  chromium = await browser();
});

after(async () => {
  await chromium?.close();
  await site?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function open() {
  page = await (await chromium.newContext()).newPage();
  complaints = [];
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(site.url);
}
const begin = (options) => page.evaluate((all) => begin(all), { apiHost: server.url, clientKey, streaming: true, ...options });
const value = () => page.evaluate(() => gb.getFeatureValue('exp', null));

test('fetches, tracks by fetch, and sees a change by the stream', async () => {
  await open();
  assert.equal(await begin({ attributes: { id: 'one' } }), true);
  assert.equal(await value(), 'B');
  await page.evaluate(() => gb.logEvent('order', { value: 3 }));
  await until(async () => (await exposed())[1] === 1, 'exposed');
  await until(async () => (await outcomes('one')).length === 1, 'bought');
  await admin('POST', '/v1/experiments/exp/pause');
  await until(async () => await value() === 'A', 'paused');
  await admin('POST', '/v1/experiments/exp/resume');
  await until(async () => await value() === 'B', 'resumed');
  assert.deepEqual(complaints, []);
});

test('what is tracked just before the page is left comes by a beacon', async () => {
  await open();
  // Nothing is sent but when the page goes.
  assert.equal(await begin({ attributes: { id: 'two' }, tracking: { queueFlushInterval: 3_600_000 } }), true);
  assert.equal(await value(), 'B');
  await page.evaluate(() => {
    const send = navigator.sendBeacon.bind(navigator);
    navigator.sendBeacon = (...args) => { localStorage.beacons = Number(localStorage.beacons ?? 0) + 1; return send(...args); };
  });
  await page.goto('about:blank');
  await until(async () => (await exposed())[1] === 2, 'exposed');
  await page.goto(site.url);
  assert.equal(await page.evaluate(() => localStorage.beacons), '1');
});

test('remote evaluation is preflighted, and told of once', async () => {
  await open();
  assert.equal(await begin({ attributes: { id: 'three' }, remoteEval: true, streaming: false }), true);
  assert.equal(await value(), 'B');
  assert.equal(await value(), 'B');
  assert.deepEqual(await page.evaluate(() => calls), [['exp', 'b']]);
  await until(async () => (await exposed())[1] === 3, 'exposed');
  assert.deepEqual(complaints, []);
});

test('a beacon of JSON to /v1/events is preflighted with credentials, and taken', async () => {
  await open();
  const queued = await page.evaluate(([url, key]) => navigator.sendBeacon(`${url}/v1/events?key=${key}`,
    new Blob([JSON.stringify([{ id: 'b-1', type: 'outcome', customer: 'four', name: 'order', value: 4 }])], { type: 'application/json' })), [server.url, clientKey]);
  assert.equal(queued, true);
  await until(async () => (await outcomes('four')).length === 1, 'bought');
  assert.deepEqual(complaints, []);
});

test('a page of another origin can read answers, errors and ETags, and only by a client key\'s routes', async () => {
  await open();
  const read = (path, options) => page.evaluate(async ([url, init]) => {
    try {
      const answer = await fetch(url, init);
      return [answer.status, (await answer.text()).length > 0, answer.headers.get('ETag')?.length];
    } catch (error) { return error.name; }
  }, [server.url + path, options]);
  const json = { 'Content-Type': 'application/json' };
  assert.deepEqual((await read('/v1/assign', { method: 'POST', headers: { ...json, Authorization: `Bearer ${clientKey}` }, body: '{"customer":"x"}' })).slice(0, 2), [200, true]);
  assert.deepEqual((await read('/v1/assign', { method: 'POST', headers: { ...json, 'X-API-Key': 'wrong' }, body: '{}' })).slice(0, 2), [401, true]);
  assert.deepEqual((await read('/v1/events', { method: 'POST', headers: json, body: '[]', credentials: 'include' })).slice(0, 2), [401, true]);
  assert.deepEqual(await read(`/api/features/${clientKey}`), [200, true, 34]);
  assert.deepEqual((await read('/api/features/sdk-unknown')).slice(0, 2), [404, true]);
  assert.deepEqual((await read('/api/features/sdk-unknown', { method: 'DELETE' })), 'TypeError');
  assert.equal(await read('/v1/experiments', { headers: { 'X-API-Key': server.key } }), 'TypeError');
  assert.equal(await read('/healthz'), 'TypeError');
});
