// SPDX-License-Identifier: GPL-3.0-or-later
// Importing: what the file repeats is said, what cannot be is refused before anything is written, and
// two public experiments have the same figures by three ways: import, events over HTTP, and analyze.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

const bin = process.env.UPLIFT_BIN;
const shared = process.env.UPLIFT_SHARED_DATA ?? '';
const folder = mkdtempSync(join(tmpdir(), 'uplift-import-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args) => spawnSync(bin, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
let files = 0;
function file(text) {
  const path = join(folder, `table-${files++}.csv`);
  writeFileSync(path, text);
  return path;
}
const importing = (path, data, ...args) => run('import', path, '--data', join(folder, data), '--experiment', 'e',
  '--customer', 'id', '--variant', 'v', '--report', 'json', ...args);

test('rows that repeat a customer add up, equal ones too, and are counted', () => {
  const path = file('id,v,spend\na,x,5\na,x,5\nb,y,1\nb,y,2.5\nc,x,4\nd,y,0\n');
  const { status, stdout, stderr } = importing(path, 'repeats', '--outcome', 'spend:mean');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /2 rows repeat a customer: their outcomes are added up/);
  const [metric] = JSON.parse(stdout).metrics;
  assert.deepEqual(metric.arms.map((arm) => [arm.n, arm.mean]), [[2, 7], [2, 1.75]]);
});

test('a customer in two variants is left out and counted', () => {
  const path = file('id,v,buys\na,x,1\na,y,0\nb,y,1\nc,x,0\n');
  const { status, stdout, stderr } = importing(path, 'crossed', '--outcome', 'buys');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /1 customers are in more than one variant: left out/);
  assert.deepEqual(JSON.parse(stdout).experiment.variants.map((row) => row.exposed), [1, 1]);
});

test('names that get one key, taken keys and wrong words are refused before anything is written', () => {
  const data = join(folder, 'refused');
  const keep = importing(file('id,v,buys\na,x,1\nb,y,0\n'), 'refused', '--outcome', 'buys');
  assert.equal(keep.status, 0, keep.stderr);
  const inventory = () => [run('key', 'list', '--data', data).stdout, run('check', '--data', data).stdout,
    readFileSync(join(data, 'data.mdb')).length];
  const before = inventory();
  for (const [text, args, words] of [
    ['id,v,buys\na,No Mail,1\nb,no-mail,0\n', ['--outcome', 'buys'], /'No Mail' and 'no-mail' would both get the key 'no-mail'/],
    ['id,v,Buys It,buys it\na,x,1,1\nb,y,0,0\n', ['--outcome', 'Buys It', '--outcome', 'buys it'], /would both get the key 'buys-it'/],
    ['id,v,other\na,x,1\nb,y,0\n', ['--outcome', 'other'], /--experiment: there is an experiment 'e' already/],
  ]) {
    const { status, stderr, stdout } = importing(file(text), 'refused', ...args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
    assert.equal(stdout, '');
  }
  const taken = run('import', file('id,v,fresh,buys\na,x,1,1\nb,y,0,0\n'), '--data', data, '--experiment', 'second', '--customer', 'id',
    '--variant', 'v', '--outcome', 'fresh', '--outcome', 'buys');
  assert.match(taken.stderr, /--outcome: there is a metric 'buys' already/);
  const method = run('import', file('id,v,late\na,x,1\nb,y,0\n'), '--data', data, '--experiment', 'third', '--customer', 'id',
    '--variant', 'v', '--outcome', 'late', '--method', 'magic');
  assert.equal(method.status, 2, method.stderr);
  assert.match(method.stderr, /--method: must be/);
  const exact = run('import', file('id,v,late\na,x,1\nb,y,0\n'), '--data', join(folder, 'exact'), '--experiment', 'third', '--customer', 'id',
    '--variant', 'v', '--outcome', 'late', '--method', 'exact');
  assert.equal(exact.status, 0, exact.stderr);
  assert.deepEqual(inventory(), before);
});

test('rows that cannot be read are refused by their line, the others count', () => {
  const path = file('id,v,spend\na,x,1\nb,y,two\n,x,3\nc,y,1e11\nd,y,4\n"e,x\n');
  const { status, stdout, stderr } = importing(path, 'bad-rows', '--outcome', 'spend:mean');
  assert.equal(status, 1, stderr);
  for (const line of [3, 4, 5]) assert.match(stderr, new RegExp(`line ${line}: `));
  assert.match(stderr, /2 rows imported, 4 refused/);
  assert.deepEqual(JSON.parse(stdout).metrics[0].arms.map((arm) => arm.n), [1, 1]);
});

test('of many refusals the first twenty are told, and how many more there were', () => {
  const told = (stderr) => [stderr.match(/^uplift import: .*: line \d+: /gm).length, ...stderr.match(/: and \d+ more$/m) ?? []];
  const table = file(`id,v,spend\na,x,1\nb,y,1\n${'c,x,two\n'.repeat(27)}`);
  assert.deepEqual(told(importing(table, 'many-rows', '--outcome', 'spend:mean').stderr), [20, ': and 7 more']);
  const events = file(`${'{"type": "outcome", "name": "order"}\n'.repeat(20)}`);
  assert.deepEqual(told(run('import', events, '--events', '--data', join(folder, 'many-events')).stderr), [20]);
  writeFileSync(events, `${readFileSync(events, 'utf8')}{"type": "what"}\n`);
  assert.deepEqual(told(run('import', events, '--events', '--data', join(folder, 'many-events')).stderr), [20, ': and 1 more']);
});

// --- three ways ---------------------------------------------------------------------------------

async function serve(name) {
  const child = spawn(bin, ['serve', '--data', join(folder, name), '--listen', '127.0.0.1:0', '--rate', '0']);
  let text = '';
  child.stderr.on('data', (bytes) => { text += bytes; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (bytes) => { text += bytes; if (/listening on/.test(text)) resolve(); });
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
  const ended = new Promise((resolve) => { child.removeAllListeners('exit'); child.on('exit', resolve); });
  const url = /listening on (\S+)/.exec(text)[1];
  const key = /adm-\w+/.exec(text)[0];
  return {
    ask: async (path, body) => {
      const answer = await fetch(url + path, { method: body ? 'POST' : 'GET', headers: { 'X-API-Key': key }, body: body && JSON.stringify(body) });
      const got = await answer.json();
      assert.ok(answer.ok, JSON.stringify(got));
      return got;
    },
    stop: () => { child.kill('SIGTERM'); return ended; },
  };
}

// Good enough for these two: delimiters within quotes are in columns that are not read.
const table = (name) => gunzipSync(readFileSync(join(shared, name))).toString().trim().split(/\r?\n/)
  .map((line) => line.replace(/"([^"]*)"/g, (_, text) => text.replace(/[;,]/g, ' ')).split(/[;,]/));

// Sends rows as events: each an exposure, and outcomes that are not 0.
async function send(server, experiment, rows) {
  const start = Date.parse((await server.ask(`/v1/experiments/${experiment}`)).started_at);
  let events = [];
  const flush = async () => {
    const { rejected } = await server.ask('/v1/events', events);
    assert.deepEqual(rejected, []);
    events = [];
  };
  for (const { customer, variant, attributes, outcomes, earlier } of rows) {
    events.push({ type: 'exposure', customer, experiment, variant, attributes, at: start });
    for (const [name, value] of outcomes) if (value !== 0) events.push({ type: 'outcome', customer, name, value, at: start + 1 });
    for (const [name, value] of earlier) if (value !== 0) events.push({ type: 'outcome', customer, name, value, at: start - 1000 });
    if (events.length > 8000) await flush();
  }
  await flush();
}

const close = (a, b, what) => assert.ok(a === b || Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b), 1e-3), `${what}: ${a} and ${b}`);

// Every figure of `one` is that of `other`.
function same(one, other, what) {
  if (typeof one === 'number') close(one, other, what);
  else if (Array.isArray(one)) one.forEach((item, i) => same(item, other?.[i], `${what}[${i}]`));
  else if (one && typeof one === 'object') for (const key of Object.keys(one)) same(one[key], other?.[key], `${what}.${key}`);
  else assert.equal(other, one, what);
}

const FIGURES = ['variant', 'estimate', 'se', 'interval', 'p_value', 'e_value', 'theta', 'variance_reduction'];
const comparison = (row) => Object.fromEntries(FIGURES.filter((key) => key in row).map((key) => [key, row[key]]));

describe('three ways to the same figures', { skip: existsSync(join(shared, 'hillstrom.csv.gz')) ? false : `${shared} is absent` }, () => {
  test('cookie cats: retention falls, by import, by events and by analyze', async () => {
    const imported = run('import', join(shared, 'cookie_cats.csv.gz'), '--data', join(folder, 'cats'), '--experiment', 'gate', '--customer', 'userid',
      '--variant', 'version', '--control', 'gate_30', '--outcome', 'retention_7', '--outcome', 'retention_1', '--method', 'fixed', '--effect', 'absolute', '--report', 'json');
    assert.equal(imported.status, 0, imported.stderr);
    const report = JSON.parse(imported.stdout);
    const [head, ...lines] = table('cookie_cats.csv.gz');
    const at = (name) => head.indexOf(name);
    const yes = (line, name) => (/^(true|1)$/i.test(line[at(name)]) ? 1 : 0);
    const server = await serve('cats-http');
    for (const key of ['retention_7', 'retention_1']) await server.ask('/v1/metrics', { key, kind: 'binary', event: key });
    await server.ask('/v1/experiments', { key: 'gate', variants: [{ key: 'gate_30' }, { key: 'gate_40' }], metrics: { primary: ['retention_7'], secondary: ['retention_1'] },
      design: { method: 'fixed', effect: 'absolute' } });
    await server.ask('/v1/experiments/gate/start', {});
    await send(server, 'gate', lines.map((line) => ({
      customer: line[at('userid')], variant: line[at('version')], earlier: [],
      outcomes: ['retention_7', 'retention_1'].map((name) => [name, yes(line, name)]),
    })));
    const overHttp = await server.ask('/v1/experiments/gate/results');
    assert.equal(await server.stop(), 0);
    assert.deepEqual(overHttp.experiment.variants.map((row) => row.exposed), report.experiment.variants.map((row) => row.exposed));
    assert.equal(report.experiment.variants.reduce((sum, row) => sum + row.exposed, 0), 90189);
    for (const [i, metric] of report.metrics.entries()) {
      same(metric.arms, overHttp.metrics[i].arms, metric.key);
      same(metric.comparisons.map(comparison), overHttp.metrics[i].comparisons.map(comparison), metric.key);
      const sums = ['gate_30', 'gate_40'].map((version) => lines.filter((line) => line[at('version')] === version))
        .map((rows) => ({ n: rows.length, sum: rows.reduce((sum, line) => sum + yes(line, metric.key), 0) }));
      const alone = JSON.parse(spawnSync(bin, ['analyze'], { encoding: 'utf8', input: JSON.stringify({
        design: { method: 'fixed', effect: 'absolute' }, variants: [{ key: 'gate_30' }, { key: 'gate-40' }], metrics: [{ key: 'm', kind: 'binary', arms: sums }] }) }).stdout);
      same(comparison({ ...alone.metrics[0].comparisons[0], variant: 0 }), comparison({ ...metric.comparisons[0], variant: 0 }), metric.key);
    }
  });

  test('hillstrom: three arms, a covariate and segments, by import, by events and by analyze', async () => {
    const imported = run('import', join(shared, 'hillstrom.csv.gz'), '--data', join(folder, 'mail'), '--experiment', 'mail', '--variant', 'segment', '--control', 'No E-Mail',
      '--outcome', 'conversion', '--outcome', 'spend', '--covariate', 'history:spend', '--segment', 'channel', '--report', 'json');
    assert.equal(imported.status, 0, imported.stderr);
    const report = JSON.parse(imported.stdout);
    const [head, ...lines] = table('hillstrom.csv.gz');
    const at = (name) => head.indexOf(name);
    const variants = report.experiment.variants.map((row) => row.key);
    const variantOf = (line) => line[at('segment')].toLowerCase().replace(/[^a-z0-9]+/g, '-');
    const server = await serve('mail-http');
    await server.ask('/v1/metrics', { key: 'conversion', kind: 'binary', event: 'conversion' });
    await server.ask('/v1/metrics', { key: 'spend', kind: 'mean', event: 'spend', covariate_days: 1 });
    await server.ask('/v1/experiments', { key: 'mail', variants: variants.map((key) => ({ key })), segments: ['channel'], metrics: { primary: ['conversion'], secondary: ['spend'] } });
    await server.ask('/v1/experiments/mail/start', {});
    await send(server, 'mail', lines.map((line, i) => ({
      customer: `row-${i}`, variant: variantOf(line), attributes: { channel: line[at('channel')] },
      outcomes: [['conversion', Number(line[at('conversion')])], ['spend', Number(line[at('spend')])]], earlier: [['spend', Number(line[at('history')])]],
    })));
    const overHttp = await server.ask('/v1/experiments/mail/results');
    assert.equal(await server.stop(), 0);
    for (const [i, metric] of report.metrics.entries()) {
      same(metric.arms, overHttp.metrics[i].arms, metric.key);
      same(metric.comparisons.map(comparison), overHttp.metrics[i].comparisons.map(comparison), metric.key);
    }
    same(report.segments[0].metrics.map((metric) => metric.values.map((value) => [value.value, value.arms])),
      overHttp.segments[0].metrics.map((metric) => metric.values.map((value) => [value.value, value.arms])), 'segments');
    const arms = variants.map((variant) => {
      const arm = { n: 0, sum: 0, sum_sq: 0, pre_sum: 0, pre_sum_sq: 0, pre_sum_post: 0 };
      for (const line of lines.filter((row) => variantOf(row) === variant)) {
        const [y, x] = [Number(line[at('spend')]), Number(line[at('history')])];
        arm.n += 1; arm.sum += y; arm.sum_sq += y * y; arm.pre_sum += x; arm.pre_sum_sq += x * x; arm.pre_sum_post += x * y;
      }
      return arm;
    });
    const alone = JSON.parse(spawnSync(bin, ['analyze'], { encoding: 'utf8', input: JSON.stringify({
      design: { relative: 'fieller' }, variants: variants.map((key) => ({ key })), metrics: [{ key: 'spend', kind: 'mean', arms }] }) }).stdout);
    const spend = report.metrics.find((metric) => metric.key === 'spend');
    // Sums made by plain addition in JavaScript are right to about 1e-10.
    alone.metrics[0].comparisons.forEach((row, i) => {
      for (const name of ['estimate', 'se', 'theta', 'p_value']) {
        const [a, b] = [row[name], spend.comparisons[i][name]];
        assert.ok(Math.abs(a - b) <= 1e-9 * Math.abs(b), `${name}: ${a} and ${b}`);
      }
    });
    const means = Object.fromEntries(report.metrics[0].arms.map((arm) => [arm.key, (100 * arm.mean).toFixed(3)]));
    assert.deepEqual(means, { 'no-e-mail': '0.573', 'mens-e-mail': '1.253', 'womens-e-mail': '0.884' });
  });
});
