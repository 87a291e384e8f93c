// SPDX-License-Identifier: GPL-3.0-or-later
// What an operator watches: every series of /metrics in the text format of Prometheus, telling what
// was done to a real server; and the series that doc/operations.md speaks of are there.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'uplift-monitoring-'));
let server;

before(async () => {
  const child = spawn(process.env.UPLIFT_BIN, ['serve', '--data', join(folder, 'data'), '--listen', '127.0.0.1:0']);
  let text = '';
  child.stderr.on('data', (bytes) => { text += bytes; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (bytes) => { text += bytes; if (/listening on/.test(text)) resolve(); });
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
  const url = /listening on (\S+)/.exec(text)[1], key = /adm-\w+/.exec(text)[0];
  server = {
    child,
    ask: (path, body) => fetch(url + path, { headers: { 'X-API-Key': key }, ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}) }),
  };
});

after(async () => {
  const ended = new Promise((resolve) => { server.child.removeAllListeners('exit'); server.child.on('exit', resolve); });
  server.child.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

// {name: {kind, samples: Map of label text to number}}, refusing whatever the format does not allow.
function read(text) {
  const series = {};
  let family;
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-z_]+) \S.*$/.exec(line), type = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line);
    if (help) {
      assert.ok(!(help[1] in series), `${help[1]} twice`);
      family = help[1];
    } else if (type) {
      assert.equal(type[1], family);
      series[family] = { kind: type[2], samples: new Map() };
    } else {
      const sample = /^([a-z_]+)(\{(?:[a-z]+="[^"\\]*",?)+\})? (\S+)$/.exec(line);
      assert.ok(sample, line);
      const suffix = sample[1].slice(family.length);
      assert.ok(sample[1].startsWith(family) && (series[family].kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).includes(suffix), line);
      assert.ok(Number.isFinite(Number(sample[3])), line);
      assert.ok(!series[family].samples.has(suffix + (sample[2] ?? '')), `${line} twice`);
      series[family].samples.set(suffix + (sample[2] ?? ''), Number(sample[3]));
    }
  }
  return series;
}

const figures = async () => read(await (await server.ask('/metrics')).text());
const one = (series, name) => series[name].samples.get('');

test('figures tell what was done', async () => {
  const start = await figures();
  assert.equal(one(start, 'uplift_customers'), 0);
  assert.equal(one(start, 'uplift_last_event_timestamp_seconds'), 0);
  const events = [{ id: '1', type: 'outcome', customer: 'a', name: 'order' }, { id: '1', type: 'outcome', customer: 'a', name: 'order' },
    { id: '2', type: 'outcome', customer: 'b', name: 'order' }, { type: 'outcome' }];
  assert.deepEqual((await (await server.ask('/v1/events', events)).json()).duplicates, 1);
  assert.equal((await server.ask('/v1/experiments', { key: 'exp', variants: [{ key: 'a' }, { key: 'b' }] })).status, 201);
  const end = await figures();
  assert.deepEqual(['accepted', 'duplicate', 'rejected'].map((word) => one(end, `uplift_events_${word}_total`)), [2, 1, 1]);
  assert.equal(one(end, 'uplift_customers'), 2);
  assert.ok(Math.abs(one(end, 'uplift_last_event_timestamp_seconds') - Date.now() / 1000) < 600);
  assert.equal(end.uplift_experiments.samples.get('{state="draft"}'), 1);
  assert.equal(one(end, 'uplift_queue_events'), 0);
  assert.equal(one(end, 'uplift_write_failures_total'), 0);
  assert.equal(one(end, 'uplift_write_refusing'), 0);
  assert.ok(one(end, 'uplift_http_connections') >= 1);
  assert.ok(one(end, 'uplift_disk_free_bytes') > 0 && one(end, 'uplift_store_used_bytes') > 0);
  assert.ok(one(end, 'process_resident_memory_bytes') > 1e6 && one(end, 'process_open_fds') >= 5);
  assert.ok(one(end, 'process_max_fds') >= one(end, 'process_open_fds'));
});

test('histograms are cumulative and count each answer and each commit once', async () => {
  const before = await figures(), body = { customer: 'x' };
  for (let i = 0; i < 5; i++) assert.equal((await server.ask('/v1/assign', body)).status, 200);
  const after = await figures();
  const label = 'route="POST /v1/assign"';
  assert.equal(after.uplift_http_request_seconds.samples.get(`_count{${label}}`), 5);
  assert.equal(one(after, 'uplift_events_accepted_total'), one(before, 'uplift_events_accepted_total'));
  const commits = after.uplift_commit_seconds.samples;
  assert.ok(commits.get('_count') >= 2 && commits.get('_sum') > 0);
  assert.equal(commits.get('_bucket{le="+Inf"}'), commits.get('_count'));
  for (const { kind, samples } of Object.values(after)) {
    let last = new Map();
    for (const [name, value] of kind === 'histogram' ? samples : []) {
      const bucket = /^_bucket\{(.*?),?le="(.*)"\}$/.exec(name);
      if (!bucket) continue;
      const [bound, most] = last.get(bucket[1]) ?? [-1, 0], here = bucket[2] === '+Inf' ? Infinity : Number(bucket[2]);
      assert.ok(here > bound && value >= most, name);
      last.set(bucket[1], [here, value]);
    }
  }
});

test('what the manual of operations watches is served', async () => {
  const served = await figures();
  const manual = readFileSync(join(process.env.UPLIFT_SRCDIR ?? '.', 'doc/operations.md'), 'utf8');
  const named = [...new Set([...manual.matchAll(/\b(?:uplift|process)_[a-z_]+(?=[`{\[ )])/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, '')))];
  assert.ok(named.length >= 5, `only ${named}`);
  for (const name of named) assert.ok(name in served, `${name} is not served`);
});
