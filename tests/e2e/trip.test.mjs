// SPDX-License-Identifier: GPL-3.0-or-later
// The whole trip on the real binary: the demo's verdicts, events and their refusals, kill -9, and the
// two public experiments (where their data is present).
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';

const bin = process.env.UPLIFT_BIN;
const shared = process.env.UPLIFT_SHARED_DATA ?? '../shared/data';
const folder = mkdtempSync(join(tmpdir(), 'uplift-trip-'));
const uplift = (...args) => execFileSync(bin, args, { encoding: 'utf8', timeout: 120_000 });

// Starts a server on a free port; {url, key, kill(signal)}.
async function serve(data, key) {
  const server = spawn(bin, ['serve', '--data', data, '--listen', '127.0.0.1:0']);
  let text = '';
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not listening: ${text}`)), 30_000);
    server.stderr.on('data', (bytes) => { text += bytes; });
    server.stdout.on('data', (bytes) => {
      text += bytes;
      if (/listening on/.test(text)) { clearTimeout(timer); resolve(); }
    });
    server.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
  return {
    url: /listening on (\S+)/.exec(text)[1],
    key: key ?? /adm-[A-Za-z0-9]+/.exec(text)?.[0],
    kill: (signal) => new Promise((resolve) => {
      server.removeAllListeners('exit');
      server.on('exit', resolve);
      server.kill(signal);
    }),
  };
}

async function ask(server, path, body, options = {}) {
  const answer = await fetch(server.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { Authorization: `Bearer ${server.key}`, ...options.headers },
    body: body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    ...(options.method ? { method: options.method } : {}),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text && JSON.parse(text) };
}

after(() => rmSync(folder, { recursive: true, force: true }));

describe('the demo', () => {
  let server;
  const data = join(folder, 'demo');
  before(async () => {
    uplift('demo', '--data', data, '--seed', '7');
    server = await serve(data, uplift('key', 'create', '--data', data).trim());
  });
  after(() => server.kill('SIGTERM'));

  test('each story has the verdict that it deserves', async () => {
    const { body } = await ask(server, '/v1/experiments');
    const actions = Object.fromEntries(body.experiments.map((row) => [row.key, row.summary.action]));
    assert.equal(actions.recommendations, 'roll-back');
    assert.equal(actions['checkout-copy'], 'ship');
    assert.equal(actions['search-rank'], 'invalid');
    assert.equal(actions['newsletter-box'], 'ship');
    assert.ok(['keep-running', 'stop'].includes(actions['same-same']), actions['same-same']);
  });

  test('recommendations sell more and are liked less, with figures', async () => {
    const { body } = await ask(server, '/v1/experiments/recommendations/results');
    const [purchase, csat] = ['purchase', 'csat'].map((key) =>
      body.metrics.find((metric) => metric.key === key).comparisons[0]);
    assert.equal(purchase.verdict, 'better');
    assert.ok(purchase.interval[0] > 0);
    assert.equal(csat.verdict, 'over-limit');
    assert.ok(csat.interval[1] < -0.02);
    assert.match(body.decision.reasons.map((reason) => reason.text).join('\n'), /CSAT -\d/);
  });

  test('the best cell of the factors is named', async () => {
    const { body } = await ask(server, '/v1/experiments/newsletter-box/results');
    assert.equal(body.decision.variant, 'list-warm');
    for (const { factors, arms } of body.metrics) {
      assert.deepEqual(factors.main.map((row) => [row.factor, row.level, row.reference]),
        [['layout', 'list', 'grid'], ['tone', 'warm', 'plain']]);
      assert.deepEqual(factors.interactions.map((row) => [...row.factors, row.df]), [['layout', 'tone', 1]]);
      assert.deepEqual(factors.cells.map((row) => [row.variant, row.mean]), arms.map((row) => [row.key, row.mean]));
    }
    const [{ factors }] = body.metrics;
    assert.equal(factors.best, 'list-warm');
    assert.ok(factors.main[1].interval[0] > 0 && factors.main[1].p_value < 0.05, JSON.stringify(factors.main));
  });

  test('the store agrees with its history', async () => {
    const copy = join(folder, 'checked');
    uplift('demo', '--data', copy, '--customers', '2000');
    assert.match(uplift('check', '--data', copy), / 0 differences/);
  });
});

describe('the interface', () => {
  let server;
  before(async () => {
    server = await serve(join(folder, 'api'));
    await ask(server, '/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' });
    await ask(server, '/v1/experiments', {
      key: 'exp', variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'] },
    });
    await ask(server, '/v1/experiments/exp/start', '');
  });
  after(() => server.kill('SIGTERM'));

  test('keys: none, wrong, and of the wrong kind', async () => {
    const client = (await ask(server, '/v1/keys', { kind: 'client', name: 'app' })).body.key;
    assert.equal((await ask({ ...server, key: '' }, '/v1/experiments')).status, 401);
    assert.equal((await ask({ ...server, key: 'adm-wrong' }, '/v1/experiments')).status, 401);
    assert.equal((await ask({ ...server, key: client }, '/v1/experiments')).status, 403);
    assert.equal((await ask({ ...server, key: client }, '/v1/assign', { customer: 'c' })).status, 200);
    const { body } = await ask(server, '/v1/keys');
    assert.ok(!JSON.stringify(body).includes(client), 'a list shows no secret');
  });

  test('bad bodies get a clear error and leave no trace', async () => {
    const before = (await ask(server, '/v1/experiments/exp/results')).body.metrics;
    const cases = [
      ['', /needed/], ['{', /line 1, column/], ['[NaN]', /line 1/], ['5', /array of events/],
      [`${'['.repeat(10_000)}`, /./], [new Uint8Array([0x5b, 0x22, 0xff, 0x22, 0x5d]), /./],
      ['[1e999]', /./], ['{"batch": 5}', /batch: must be an array/],
    ];
    for (const [body, words] of cases) {
      const answer = await ask(server, '/v1/events', body);
      assert.equal(answer.status, 400, String(body).slice(0, 40));
      assert.match(answer.body.detail, words);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    }
    assert.deepEqual((await ask(server, '/v1/experiments/exp/results')).body.metrics, before);
  });

  test('bad events are refused by index, the good ones go on', async () => {
    const { body } = await ask(server, '/v1/events', [
      { type: 'outcome', customer: 'x', name: 'order' },
      { type: 'outcome', customer: '', name: 'order' },
      { type: 'outcome', customer: 'x', name: 'order', value: 'many' },
      { type: 'exposure', customer: 'x', experiment: 'nope', variant: 'a' },
      { type: 'exposure', customer: 'x', experiment: 'exp', variant: 'c' },
      { type: 'feedback', customer: 'x', survey: 'nps', score: 11 },
      { type: 'outcome', customer: 'x', name: 'order', colour: 1 },
      { type: 'outcome', customer: 'x', name: 'order', at: '2999-01-01T00:00:00Z' },
      'event',
    ]);
    assert.equal(body.accepted, 1);
    assert.deepEqual(body.rejected.map((row) => row.index), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.match(body.rejected[5].error, /^colour: /);
    assert.match(body.rejected[6].error, /^at: /);
  });

  test('a gzip body is inflated up to the limit', async () => {
    const headers = { 'Content-Encoding': 'gzip' };
    const event = JSON.stringify([{ type: 'outcome', customer: 'gz', name: 'order' }]);
    assert.equal((await ask(server, '/v1/events', gzipSync(event), { headers })).body.accepted, 1);
    const bomb = gzipSync(Buffer.alloc(64 << 20, ' '));
    assert.equal((await ask(server, '/v1/events', bomb, { headers })).status, 413);
  });

  test('methods, paths and versions', async () => {
    assert.equal((await ask(server, '/v1/nothing')).status, 404);
    const wrong = await ask(server, '/healthz', '', { method: 'PUT' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET');
    const patch = { method: 'PATCH' };
    assert.equal((await ask(server, '/v1/experiments/exp', { name: 'N' }, patch)).status, 428);
    const stale = { ...patch, headers: { 'If-Match': '"1"' } };
    assert.equal((await ask(server, '/v1/experiments/exp', { name: 'N' }, stale)).status, 412);
    const { headers } = await ask(server, '/v1/experiments/exp');
    const right = { ...patch, headers: { 'If-Match': headers.get('etag') } };
    assert.equal((await ask(server, '/v1/experiments/exp', { name: 'N' }, right)).status, 200);
  });

  test('results by segment, as CSV, and not again where nothing changed', async () => {
    const unknown = await ask(server, '/v1/experiments/exp/results?segment=planet');
    assert.equal(unknown.status, 404);
    assert.equal(unknown.body.errors[0].place, 'segment');
    assert.equal((await ask(server, '/v1/experiments/exp/results?format=xml')).body.errors[0].place, 'format');
    const headers = { 'X-API-Key': server.key };
    const csv = await fetch(`${server.url}/v1/experiments/exp/results?format=csv`, { headers });
    assert.match(csv.headers.get('content-type'), /text\/csv/);
    const lines = (await csv.text()).trim().split('\r\n').filter((line) => !line.startsWith('#'));
    const { body } = await ask(server, '/v1/experiments/exp/results');
    assert.equal(lines.length, 1 + body.metrics.reduce((sum, metric) => sum + metric.comparisons.length, 0));
    const tag = (await fetch(`${server.url}/v1/experiments/exp/results`, { headers })).headers.get('etag');
    const again = await fetch(`${server.url}/v1/experiments/exp/results`, { headers: { ...headers, 'If-None-Match': tag } });
    assert.equal(again.status, 304);
  });

  test('the description names every route', async () => {
    const { body } = await ask(server, '/v1/openapi.json');
    assert.equal(body.openapi, '3.1.0');
    assert.ok(body.paths['/v1/experiments/{key}/results'].get.summary);
  });
});

test('kill -9 during ingest: every acknowledged event is there exactly once', async () => {
  const data = join(folder, 'killed');
  let server = await serve(data);
  const { key } = server;
  await ask(server, '/v1/metrics', { key: 'buy', kind: 'count', event: 'order' });
  await ask(server, '/v1/experiments', { key: 'exp', variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'] } });
  await ask(server, '/v1/experiments/exp/start', '');
  const at = Date.now();
  const acknowledged = [];
  for (let round = 0; round < 5; round++) {
    let over = false;
    const sender = async (lane) => {
      for (let i = 0; !over && i < 10_000; i++) {
        const id = `${round}-${lane}-${i}`;
        const batch = [{ id, type: 'outcome', customer: `c-${id}`, name: 'order', at }];
        try {
          if ((await ask(server, '/v1/events', batch)).body.accepted === 1) acknowledged.push(batch[0]);
        } catch { return; }
      }
    };
    const senders = Array.from({ length: 8 }, (_, lane) => sender(lane));
    await new Promise((resolve) => setTimeout(resolve, 150 + 50 * round));
    await server.kill('SIGKILL');
    over = true;
    await Promise.all(senders);
    server = await serve(data, key);
  }
  assert.ok(acknowledged.length > 50, `${acknowledged.length} were acknowledged`);
  // What is there already is a duplicate: none may be accepted a second time.
  for (let i = 0; i < acknowledged.length; i += 5000) {
    const part = acknowledged.slice(i, i + 5000);
    const { body } = await ask(server, '/v1/events', part);
    assert.deepEqual([body.accepted, body.duplicates], [0, part.length]);
  }
  await server.kill('SIGTERM');
  assert.match(uplift('check', '--data', data), / 0 differences/);
});

describe('public experiments', { skip: existsSync(shared) ? false : `${shared} is absent` }, () => {
  // Two ways to the same figures: import, and analyze of what the import counted.
  const read = (...args) => {
    const result = spawnSync(bin, ['import', ...args, '--report', 'json'], { encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
    return JSON.parse(result.stdout);
  };
  const metric = (report, key) => report.metrics.find((row) => row.key === key);

  test('cookie cats: retention falls', () => {
    for (const [effect, p] of [['absolute', 0.0016], ['relative', 0.0012]]) {
      const report = read(join(shared, 'cookie_cats.csv.gz'), '--data', join(folder, `cats-${effect}`),
        '--experiment', 'gate', '--customer', 'userid', '--variant', 'version', '--control', 'gate_30',
        '--outcome', 'retention_7', '--outcome', 'retention_1', '--method', 'fixed', '--effect', effect);
      assert.equal(report.experiment.variants[0].exposed + report.experiment.variants[1].exposed, 90189);
      const seven = metric(report, 'retention_7');
      assert.deepEqual(seven.arms.map((arm) => (100 * arm.mean).toFixed(2)), ['19.02', '18.20']);
      assert.equal(seven.comparisons[0].p_value.toFixed(4), p.toFixed(4));
      assert.deepEqual(metric(report, 'retention_1').arms.map((arm) => (100 * arm.mean).toFixed(2)), ['44.82', '44.23']);
      assert.notEqual(report.decision.action, 'too-early');
      const alone = JSON.parse(execFileSync(bin, ['analyze'], {
        encoding: 'utf8',
        input: JSON.stringify({
          design: { method: 'fixed', effect }, variants: [{ key: 'gate_30' }, { key: 'gate_40' }],
          metrics: [{ key: 'r', kind: 'binary', arms: seven.arms.map((arm) => ({ n: arm.n, sum: Math.round(arm.n * arm.mean) })) }],
        }),
      }));
      assert.equal(alone.metrics[0].comparisons[0].estimate, seven.comparisons[0].estimate);
      assert.equal(alone.metrics[0].comparisons[0].p_value, seven.comparisons[0].p_value);
    }
  });

  test('hillstrom: three arms, a covariate, segments', () => {
    const report = read(join(shared, 'hillstrom.csv.gz'), '--data', join(folder, 'hillstrom'),
      '--experiment', 'mail', '--variant', 'segment', '--control', 'No E-Mail', '--outcome', 'conversion',
      '--outcome', 'spend', '--covariate', 'history:spend', '--segment', 'channel');
    assert.equal(report.experiment.variants.reduce((sum, row) => sum + row.exposed, 0), 64000);
    const means = Object.fromEntries(metric(report, 'conversion').arms.map((arm) => [arm.key, (100 * arm.mean).toFixed(3)]));
    assert.deepEqual(means, { 'no-e-mail': '0.573', 'mens-e-mail': '1.253', 'womens-e-mail': '0.884' });
    assert.ok(metric(report, 'spend').comparisons[0].variance_reduction >= 0);
    assert.equal(report.segments[0].values_looked_at, 3);
  });
});
