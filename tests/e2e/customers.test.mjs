// SPDX-License-Identifier: GPL-3.0-or-later
// A person's data over HTTP: shown whole, in pages, under ids of every kind; erased with the figures
// moved; nothing of it left in the trail. Consent is heeded by assignment, events and imports.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
    assert.deepEqual(unit, { experiment: 'exp', phase: 1, variant: 'b', epoch: unit.epoch, segments: { device: 'phone' }, sealed: false });
    assert.ok(Date.parse(exposed) <= at);
    assert.deepEqual(metrics, [{ metric: 'spend', value: 300 }, { metric: 'nps', value: 9 }]);
    assert.equal(json.rebuilding, false);
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

test('of a metric with a covariate or a denominator that is shown, too', async () => {
  for (const metric of [{ key: 'before', kind: 'mean', event: 'order', covariate_days: 7 }, { key: 'each', kind: 'ratio', event: 'order', denominator: 'visit' }])
    assert.equal((await ask(server, 'POST', '/v1/metrics', metric)).status, 201);
  const experiment = { key: 'more', variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['before', 'each'] } };
  assert.equal((await ask(server, 'POST', '/v1/experiments', experiment)).status, 201);
  assert.equal((await ask(server, 'POST', '/v1/experiments/more/start')).status, 200);
  const at = Date.now();
  await send(server, [{ type: 'outcome', customer: 'more', name: 'order', value: 3, at: at - 60_000 },
    { type: 'exposure', customer: 'more', experiment: 'more', variant: 'a', at },
    { type: 'outcome', customer: 'more', name: 'order', value: 5, at: at + 1 }, { type: 'outcome', customer: 'more', name: 'visit', value: 2, at: at + 2 }]);
  const [{ metrics }] = (await ask(server, 'GET', customer('more'))).json.units;
  assert.deepEqual(metrics, [{ metric: 'before', value: 5, pre: 3 }, { metric: 'each', value: 5, den: 2 }]);
  assert.equal((await ask(server, 'DELETE', customer('more'))).json.rebuilding, false);
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

const consent = (id) => `${customer(id)}/consent`;
const yes = { analytics: true, personalization: true };

test('consent is recorded, shown and heeded', async () => {
  const id = 'é/consent';
  assert.deepEqual((await ask(server, 'GET', consent(id))).json, { ...yes, recorded: false, at: null });
  assert.equal((await ask(server, 'GET', customer(id))).status, 404);
  await send(server, [exposure(id, 'b'), { type: 'outcome', customer: id, name: 'order', value: 3 }]);
  const refused = (await ask(server, 'PUT', consent(id), { analytics: true, personalization: false })).json;
  assert.equal(refused.erased, null);
  const { erased, ...shown } = refused;
  assert.deepEqual((await ask(server, 'GET', consent(id))).json, shown);
  assert.deepEqual((await ask(server, 'GET', customer(id))).json.consent, shown);

  const [decision] = (await ask(server, 'POST', '/v1/assign', { customer: id, experiments: ['exp'], track: true })).json.assignments;
  assert.deepEqual(decision, { experiment: 'exp', variant: 'a', value: decision.value, reason: 'consent', bucket: null, in_experiment: false });
  const [{ trace }] = (await ask(server, 'POST', '/v1/explain', { customer: id, experiments: ['exp'] })).json.assignments;
  assert.deepEqual(trace.map((step) => [step.step, step.passed]), [['state', true], ['consent', false]]);
  assert.equal(trace[1].personalization, false);
  const { accepted, rejected } = await send(server, [{ type: 'outcome', customer: id, name: 'order', value: 4 }, exposure(id, 'a')]);
  assert.equal(accepted, 1);
  assert.deepEqual(rejected, [{ index: 1, error: 'customer: has not consented to personalization' }]);

  const gone = (await ask(server, 'PUT', consent(id), { analytics: false, personalization: false })).json;
  assert.equal(gone.erased.events, 3);
  assert.equal(gone.erased.moved[0].customers.after, gone.erased.moved[0].customers.before - 1);
  assert.deepEqual((await send(server, [{ type: 'outcome', customer: id, name: 'order' }])).rejected, [{ index: 0, error: 'customer: has not consented to analytics' }]);
  assert.deepEqual((await ask(server, 'GET', customer(id))).json.events, []);
  assert.equal((await ask(server, 'DELETE', customer(id))).status, 404);

  assert.equal((await ask(server, 'PUT', consent(id), yes)).status, 200);
  const [again] = (await ask(server, 'POST', '/v1/assign', { customer: id, experiments: ['exp'] })).json.assignments;
  assert.equal(again.reason, 'assigned');
  assert.equal((await send(server, [exposure(id, again.variant)])).accepted, 1);
});

test('consent: bad input, and keys that may not', async () => {
  for (const body of [{}, { analytics: true }, { ...yes, more: 1 }, { analytics: 'yes', personalization: true }, '[]', '{'])
    assert.equal((await ask(server, 'PUT', consent('c'), body)).status, 400, JSON.stringify(body));
  assert.equal((await ask(server, 'PUT', '/v1/customers/%ff/consent', yes)).status, 400);
  const { key } = (await ask(server, 'POST', '/v1/keys', { kind: 'client' })).json;
  assert.equal((await ask(server, 'PUT', consent('c'), yes, key)).status, 403);
  assert.equal((await ask(server, 'GET', consent('c'))).json.recorded, false);
});

test('where consent is required, who said nothing is not kept', async () => {
  const own = await serve('required', '--require-consent');
  await define(own);
  const event = (id) => ({ type: 'outcome', customer: id, name: 'order', value: 1 });
  assert.equal((await send(own, [event('silent')])).rejected[0].error, 'customer: has not consented to analytics');
  assert.equal((await ask(own, 'POST', '/v1/assign', { customer: 'silent', experiments: ['exp'] })).json.assignments[0].reason, 'consent');
  await ask(own, 'PUT', consent('spoke'), yes);
  await ask(own, 'PUT', consent('refused'), { analytics: false, personalization: false });
  assert.equal((await send(own, [event('spoke')])).accepted, 1);
  assert.equal((await ask(own, 'POST', '/v1/assign', { customer: 'spoke', experiments: ['exp'] })).json.assignments[0].reason, 'assigned');
  assert.equal(await own.stop(), 0);
  // An import heeds it too: refusals always, silence where it is told to.
  const file = join(folder, 'events.ndjson');
  writeFileSync(file, ['silent', 'spoke', 'refused'].map((id) => JSON.stringify({ ...event(id), id: `i-${id}` })).join('\n'));
  const run = (...options) => spawnSync(bin, ['import', file, '--events', '--data', join(folder, 'required'), ...options], { encoding: 'utf8' });
  const strict = run('--require-consent');
  assert.equal(strict.status, 1);
  assert.match(strict.stderr, /1 events imported, 0 were there already, 2 refused/);
  assert.match(run().stderr, /1 events imported, 1 were there already, 1 refused/);
  const table = join(folder, 'table.csv');
  writeFileSync(table, 'who,group,buys\nsilent,a,1\nspoke,b,0\nrefused,a,1\nother,b,1\nmore,a,0\n');
  const read = spawnSync(bin, ['import', table, '--data', join(folder, 'required'), '--experiment', 'past', '--customer', 'who', '--variant', 'group', '--outcome', 'buys'], { encoding: 'utf8' });
  assert.match(read.stderr, /a row is refused: customer: has not consented to analytics/);
  assert.match(read.stderr, /4 rows imported, 1 refused/);
  assert.equal(read.status, 1);
});

// How often the words stand in any file of the folder.
function countInFolder(name, words) {
  let found = 0;
  for (const file of readdirSync(join(folder, name), { recursive: true }))
    if (statSync(join(folder, name, file)).isFile())
      found += readFileSync(join(folder, name, file)).toString('latin1').split(Buffer.from(words).toString('latin1')).length - 1;
  return found;
}

test('with pseudonyms no id is on disk, and everything else is as without', async () => {
  const key = join(folder, 'pseudonyms.key');
  const ids = ['anna.example@shop.test', 'künde-💶', 'shop/customer/7', ...Array.from({ length: 30 }, (_, i) => `customer-number-${i}`)];
  const shown = {};
  for (const [name, options] of [['hidden', ['--pseudonymise', key]], ['open', []]]) {
    const own = await serve(name, ...options);
    await define(own);
    shown[name] = [];
    for (const id of ids) {
      const { assignments } = (await ask(own, 'POST', '/v1/assign', { customer: id, attributes: { id, device: 'phone' }, track: true })).json;
      shown[name].push(assignments);
      await send(own, [{ type: 'outcome', customer: id, name: 'order', value: 2, at: Date.now() - 1 }]);
    }
    const { json } = await ask(own, 'GET', customer(ids[0]));
    assert.equal(json.events.length, 2);
    assert.ok(name === 'open' ? json.customer === ids[0] : /^[\w-]{32}$/.test(json.customer), json.customer);
    if (name === 'hidden') assert.equal((await ask(own, 'GET', customer(json.customer))).json.customer, json.customer);
    await ask(own, 'PUT', consent(ids[1]), { analytics: false, personalization: false });
    assert.equal((await send(own, [exposure(ids[1], 'a')])).accepted, 0);
    assert.equal(await own.stop(), 0);
    for (const id of ids)
      assert.equal(countInFolder(name, id) > 0, name === 'open', `${id} in ${name}`);
  }
  assert.deepEqual(shown.hidden, shown.open);
  assert.equal(statSync(key).mode & 0o777, 0o600);

  // What is exported are pseudonyms, which go into a store with the same key as they are.
  const run = (...words) => spawnSync(bin, words, { encoding: 'utf8' });
  const file = join(folder, 'hidden.ndjson');
  writeFileSync(file, run('export', '--data', join(folder, 'hidden')).stdout);
  assert.ok(!readFileSync(file, 'utf8').includes(ids[0]));
  assert.match(run('import', file, '--data', join(folder, 'again'), '--pseudonymise', key).stderr, /64 events imported/);
  const again = await serve('again', '--pseudonymise', key);
  assert.equal((await ask(again, 'GET', customer(ids[0]))).json.events.length, 2);
  assert.equal(await again.stop(), 0);
  assert.equal(run('check', '--data', join(folder, 'again')).status, 0);

  await assert.rejects(serve('hidden'), /--pseudonymise: is needed/);
  // A copy of the folder would carry the key.
  const inside = join(folder, 'inside');
  for (const place of [join(inside, 'key'), join(inside, '..', 'inside', 'key'), inside])
    await assert.rejects(serve('inside', '--pseudonymise', place), /--pseudonymise: .*lies within the data folder/);
  assert.ok(!existsSync(join(inside, 'key')));
  await assert.rejects(serve('open', '--pseudonymise', key), /ids as they came/);
  assert.match(run('import', file, '--data', join(folder, 'hidden')).stderr, /--pseudonymise: is needed/);
  assert.equal(run('demo', '--data', join(folder, 'story'), '--customers', '100', '--pseudonymise', key).status, 0);
  await assert.rejects(serve('story'), /--pseudonymise: is needed/);
});

test('after an erasure and a compaction no byte is left in the folder', async () => {
  const own = await serve('erased', '--compact-hours', '0');
  await define(own);
  const id = 'berta.example@shop.test', words = ['berta.example', 'words that nobody else says', 'unique-event-id', 'rare-device'];
  for (let i = 0; i < 20; i++)
    await send(own, Array.from({ length: 50 }, (_, k) => ({ type: 'outcome', customer: `other-${(i * 50 + k) % 70}`, name: 'order', value: k })));
  await send(own, [{ ...exposure(id, 'b'), attributes: { device: 'rare-device' } }, { type: 'feedback', customer: id, survey: 'nps', score: 1, comment: words[1] },
    { type: 'outcome', customer: id, name: 'order', value: 3, id: words[2], at: Date.now() }]);
  assert.equal((await ask(own, 'GET', customer(id))).json.events.length, 3);
  for (const word of words) assert.ok(countInFolder('erased', word) > 0, word);
  const erased = await ask(own, 'DELETE', customer(id));
  assert.equal(erased.status, 200);
  assert.equal(erased.json.compaction, 'off'); // nothing does by itself
  assert.equal(await own.stop(), 0);
  const run = (command) => spawnSync(bin, [command, '--data', join(folder, 'erased')], { encoding: 'utf8' });
  assert.equal(run('compact').status, 0);
  for (const word of words) assert.equal(countInFolder('erased', word), 0, word);
  const check = run('check');
  assert.equal(check.status, 0, check.stdout + check.stderr);
  assert.match(check.stdout, /70 customers, 0 differences/);
});
