// SPDX-License-Identifier: GPL-3.0-or-later
// OpenFeature's SDKs as they are published, with nothing but a base URL and a key: the provider for
// servers here, that for browsers in Chromium on a page of another origin. Whatever they say is held
// against /v1/assign. UPLIFT_CLIENT_IDS tells for how many ids (10,000 unless told otherwise; in the
// browser, where each one is a request of a page, for a tenth of them).
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { lane, post, serve, slack, until } from '../e2e/serving.mjs';
import { browser, bundle, elsewhere, sdk } from './clients.mjs';

const { OpenFeature, ErrorCode } = sdk('@openfeature/server-sdk');
const { OFREPProvider } = sdk('@openfeature/ofrep-provider');
sdk('@openfeature/web-sdk'); // or the file is skipped

const IDS = Number(process.env.UPLIFT_CLIENT_IDS ?? (slack > 1 ? 500 : 10_000));
const WEB_IDS = Math.ceil(IDS / 10);
const base = mkdtempSync(join(tmpdir(), 'uplift-ofrep-sdk-'));
const keys = {};
let server, chromium, script;

const made = async (method, path, body, headers) => {
  const answer = await server.ask(method, path, body, headers);
  assert.ok(answer.status < 300, `${path}: ${answer.text}`);
  return answer.json;
};
const run = async (definition, ...steps) => {
  await made('POST', '/v1/experiments', { variants: [{ key: 'off', value: false }, { key: 'on', value: true }], ...definition });
  for (const [step, body] of steps) await made('POST', `/v1/experiments/${definition.key}/${step}`, body);
};

before(async () => {
  server = await serve(join(base, 'main'), { options: ['--rate', '0'] });
  for (const kind of ['client', 'service']) keys[kind] = await made('POST', '/v1/keys', { kind });
  await made('POST', '/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' });
  await run({ key: 'bool' }, ['start']);
  await run({ key: 'text', traffic: 0.8, audience: { country: { $in: ['DE', 'AT'] } },
    variants: [{ key: 'a', weight: 1, value: 'old' }, { key: 'b', weight: 2, value: 'grün 💶' }, { key: 'c', weight: 3, value: '' }] }, ['start']);
  await run({ key: 'number', layer: { key: 'shared', range: [0.1, 0.7] }, variants: [{ key: 'a', value: 0 }, { key: 'b', value: 1.5 }, { key: 'c', value: -3 }] }, ['start']);
  await run({ key: 'object', overrides: { 'id-7': 'b', 'id-künde-3': 'b', 'id-11': 'a' }, variants: [{ key: 'a', value: { list: [1, null], text: 'x' } }, { key: 'b', value: { list: [] } }] }, ['start']);
  await run({ key: 'held' }, ['start'], ['pause']);
  await run({ key: 'ended' }, ['start'], ['stop']);
  await run({ key: 'won' }, ['start'], ['stop', { winner: 'on' }]);
  await run({ key: 'draft' });
});

after(async () => {
  await OpenFeature.close();
  await chromium?.close();
  rmSync(base, { recursive: true, force: true });
});

const KINDS = { bool: false, text: 'default', number: 99, object: { default: true } };
const idOf = (i) => (i % 3 ? `id-${i}` : `id-künde-${i}`);
const contextOf = (i) => ({ targetingKey: idOf(i), country: ['DE', 'AT', 'CH'][i % 3], n: i });

// What /v1/assign says of each id: [{key: assignment}, …].
async function assignments() {
  const rows = new Array(IDS);
  let next = 0;
  await Promise.all(Array.from({ length: 16 }, async () => {
    const one = lane(server.port);
    for (let i; (i = next++) < IDS;) {
      const { targetingKey: customer, ...attributes } = contextOf(i);
      one.write(post(server, '/v1/assign', { customer, attributes }));
      rows[i] = Object.fromEntries(JSON.parse((await one.answer()).body).assignments.map((row) => [row.experiment, row]));
    }
    one.end();
  }));
  return rows;
}

const REASONS = {
  assigned: 'SPLIT', override: 'TARGETING_MATCH', 'not-in-layer': 'DEFAULT', 'not-in-audience': 'DEFAULT', 'not-in-traffic': 'DEFAULT', paused: 'DISABLED',
  stopped: 'DISABLED', winner: 'STATIC',
};

// Fails where what an SDK says is not what was assigned.
function agree(details, assignment, where) {
  const said = { value: details.value, variant: details.variant, reason: details.reason, inside: details.flagMetadata?.inExperiment, error: details.errorCode };
  const { value, variant, reason, in_experiment: inside } = assignment;
  const named = inside || reason === 'override' || reason === 'winner';
  assert.deepEqual(said, { value, variant: named ? variant : undefined, reason: REASONS[reason], inside, error: undefined }, where);
}

let assigned;
const assignedOnce = async () => (assigned ??= await assignments());

// --- servers

async function client(domain, options) {
  await OpenFeature.setProviderAndWait(domain, new OFREPProvider({ baseUrl: server.url, ...options }));
  return OpenFeature.getClient(domain);
}
const bearer = (key) => ({ headers: [['Authorization', `Bearer ${key}`]] });

const details = (of, key, context) => {
  const kind = { boolean: 'Boolean', string: 'String', number: 'Number', object: 'Object' }[typeof KINDS[key]];
  return of[`get${kind}Details`](key, KINDS[key], context);
};

test(`server SDK: ${IDS} ids get what /v1/assign says`, async () => {
  const of = await client('equal', { headersFactory: () => [['X-API-Key', keys.service.key]] });
  const rows = await assignedOnce(), names = Object.keys(KINDS);
  let next = 0;
  const seen = {};
  await Promise.all(Array.from({ length: 16 }, async () => {
    for (let i; (i = next++) < IDS;) {
      const key = names[i % names.length];
      const said = await details(of, key, contextOf(i));
      agree(said, rows[i][key], `${key} of ${idOf(i)}`);
      seen[`${key} ${said.reason} ${said.variant}`] = (seen[`${key} ${said.reason} ${said.variant}`] ?? 0) + 1;
    }
  }));
  // Everything that there is was met.
  for (const what of ['bool SPLIT on', 'bool SPLIT off', 'text SPLIT c', 'text DEFAULT undefined', 'number DEFAULT undefined', 'number SPLIT b', 'object TARGETING_MATCH b'])
    assert.ok(seen[what] > 0, what);
});

test('server SDK: paused, stopped, with a winner, without an id', async () => {
  const of = await client('states', bearer(keys.client.key));
  for (const context of [{ targetingKey: 'c' }, {}])
    for (const [key, value, reason, variant] of [['held', false, 'DISABLED'], ['ended', false, 'DISABLED'], ['won', true, 'STATIC', 'on']]) {
      const said = await of.getBooleanDetails(key, !value, context);
      assert.deepEqual([said.value, said.reason, said.variant, said.errorCode], [value, reason, variant, undefined]);
      assert.deepEqual([said.flagMetadata.experiment, said.flagMetadata.phase, typeof said.flagMetadata.version], [key, '1', 'string']);
    }
});

test('server SDK: errors as it maps them', async () => {
  const of = await client('errors', bearer(keys.client.key));
  const fails = async (say, code, words) => {
    const said = await say;
    assert.deepEqual([said.value, said.reason, said.errorCode], ['kept', 'ERROR', code]);
    if (words) assert.match(said.errorMessage, words);
  };
  const context = { targetingKey: 'c', country: 'DE' };
  await fails(of.getStringDetails('text', 'kept', { country: 'DE' }), ErrorCode.TARGETING_KEY_MISSING, /targetingKey is needed/);
  await fails(of.getStringDetails('text', 'kept', { ...context, targetingKey: 'x'.repeat(300) }), ErrorCode.INVALID_CONTEXT);
  await fails(of.getStringDetails('draft', 'kept', context), ErrorCode.FLAG_NOT_FOUND, /not started/);
  await fails(of.getStringDetails('a/b c', 'kept', context), ErrorCode.FLAG_NOT_FOUND);
  await fails(of.getStringDetails('bool', 'kept', context), ErrorCode.TYPE_MISMATCH);
  await fails(of.getStringDetails('text', 'kept', { ...context, bad: '\ud800' }), ErrorCode.PARSE_ERROR);
  for (const key of ['sdk-00000000000000000000000000000000', ''])
    await fails((await client(`wrong${key}`, bearer(key))).getStringDetails('text', 'kept', context), ErrorCode.GENERAL);
});

test('server SDK: a single evaluation is an exposure where the definition says so', async () => {
  await run({ key: 'counted', evaluation_is_exposure: true, metrics: { primary: ['buy'] } }, ['start']);
  const of = await client('exposures', bearer(keys.client.key));
  const variants = { on: 0, off: 0 };
  for (let i = 0; i < 30; i++) variants[(await of.getBooleanDetails('counted', false, { targetingKey: idOf(i) })).variant]++;
  const { experiment } = await made('GET', '/v1/experiments/counted/results');
  assert.deepEqual(Object.fromEntries(experiment.variants.map(({ key, exposed }) => [key, exposed])), variants);
});

test('server SDK: 429 pauses it for a second, without a request', async () => {
  const slow = await serve(join(base, 'slow'), { options: ['--rate', '3'] });
  for (const [path, body] of [['', { key: 'bool', variants: [{ key: 'off', value: false }, { key: 'on', value: true }] }], ['/bool/start'], ['/bool/pause']])
    await until(async () => (await slow.ask('POST', `/v1/experiments${path}`, body)).status < 300, 'taken');
  let asked = 0;
  const counting = (...what) => { asked++; return fetch(...what); };
  await OpenFeature.setProviderAndWait('slow', new OFREPProvider({ baseUrl: slow.url, fetchImplementation: counting, ...bearer(slow.key) }));
  const of = OpenFeature.getClient('slow');
  const evaluate = () => of.getBooleanDetails('bool', true);
  let said;
  for (let i = 0; i < 50 && said?.errorCode !== 'GENERAL'; i++) said = await evaluate();
  assert.deepEqual([said.value, said.errorCode], [true, 'GENERAL']);
  const before = asked;
  for (let i = 0; i < 5; i++) assert.equal((await evaluate()).value, true);
  assert.equal(asked, before);
  await until(async () => (await evaluate()).value === false, 'gone on');
  await slow.stop();
});

// --- browsers

const CODE = `
  import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
  import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
  const events = [];
  for (const name of Object.values(ProviderEvents)) OpenFeature.addHandler(name, (about) => events.push({ name, at: Date.now(), ...about }));
  const of = OpenFeature.getClient();
  window.app = {
    events,
    begin: async (baseUrl, key, context, options) => {
      await OpenFeature.setContext(context);
      const provider = new OFREPWebProvider({ baseUrl, headers: [['Authorization', 'Bearer ' + key]], ...options });
      try { await OpenFeature.setProviderAndWait(provider); } catch (error) { return String(error); }
      return of.providerStatus;
    },
    context: async (context) => { await OpenFeature.setContext(context); return of.providerStatus; },
    status: () => of.providerStatus,
    say: (kinds) => Object.fromEntries(Object.entries(kinds).map(([key, value]) =>
      [key, of['get' + { boolean: 'Boolean', string: 'String', number: 'Number', object: 'Object' }[typeof value] + 'Details'](key, value)])),
    // What each of the contexts gets, one after the other.
    all: async (contexts, kinds) => {
      const rows = [];
      for (const context of contexts) { await OpenFeature.setContext(context); rows.push(window.app.say(kinds)); }
      return rows;
    },
    end: () => OpenFeature.close(),
  };`;

// A page of another origin that talks to the server, and the answers that it got.
async function page(use) {
  chromium ??= await browser();
  script ??= await bundle(CODE);
  const other = await elsewhere(script), context = await chromium.newContext(), tab = await context.newPage();
  const answers = [], broken = [];
  tab.on('response', async (answer) => answer.url().includes('/ofrep/') && answers.push({
    method: answer.request().method(), path: new URL(answer.url()).pathname, status: answer.status(), sent: answer.request().headers() }));
  tab.on('pageerror', (error) => broken.push(String(error)));
  await tab.goto(other.url);
  try {
    await use(tab, answers);
    assert.deepEqual(broken, []);
  } finally {
    await context.close();
    await other.close();
  }
}
const begin = (tab, key, context, options) => tab.evaluate(([url, ...rest]) => window.app.begin(url, ...rest), [server.url, key, context, options]);
const say = (tab, kinds = KINDS) => tab.evaluate((what) => window.app.say(what), kinds);
const NO_CACHE = { cacheMode: 'disabled' };

test(`web SDK: ${WEB_IDS} ids get what /v1/assign says, in Chromium, from another origin`, async () => {
  const rows = await assignedOnce();
  await page(async (tab) => {
    assert.equal(await begin(tab, keys.client.key, contextOf(0), NO_CACHE), 'READY');
    for (let from = 0; from < WEB_IDS; from += 500) {
      const contexts = Array.from({ length: Math.min(500, WEB_IDS - from) }, (_, i) => contextOf(from + i));
      const got = await tab.evaluate(([list, kinds]) => window.app.all(list, kinds), [contexts, KINDS]);
      got.forEach((said, i) => { for (const key of Object.keys(KINDS)) agree(said[key], rows[from + i][key], `${key} of ${idOf(from + i)}`); });
    }
  });
});

test('web SDK: begins with an empty context, and gets its values with the first id', async () => {
  await page(async (tab, answers) => {
    assert.equal(await begin(tab, keys.client.key, {}, NO_CACHE), 'READY');
    let said = await say(tab, { bool: true, held: true, won: false, 'no-such': true });
    assert.deepEqual([said.bool.value, said.bool.errorCode, said.bool.reason], [true, 'TARGETING_KEY_MISSING', 'ERROR']);
    assert.deepEqual([said.held.value, said.held.reason, said.won.value, said.won.variant], [false, 'DISABLED', true, 'on']);
    assert.equal(said['no-such'].errorCode, 'FLAG_NOT_FOUND');
    assert.equal(said['no-such'].flagMetadata.flagSetId, 'uplift');
    assert.equal(await tab.evaluate((context) => window.app.context(context), contextOf(1)), 'READY');
    said = await say(tab);
    for (const key of Object.keys(KINDS)) agree(said[key], (await assignedOnce())[1][key], key);
    // Bulk never counts.
    assert.ok(answers.every(({ path }) => !/flags\/./.test(path)));
  });
});

test('web SDK: 304 where the answer is the same, a new one where it is not', async () => {
  await page(async (tab, answers) => {
    await begin(tab, keys.client.key, { targetingKey: 'id-1', country: 'DE' }, { ...NO_CACHE, changeDetection: 'none' });
    const posts = () => answers.filter(({ method }) => method === 'POST');
    await tab.evaluate(() => window.app.context({ targetingKey: 'id-1', country: 'DE', page: 2 }));
    await tab.evaluate(() => window.app.context({ targetingKey: 'id-1', country: 'CH' }));
    assert.equal((await say(tab)).text.reason, 'DEFAULT');
    await until(() => posts().length === 3, 'asked three times');
    assert.deepEqual(posts().map(({ status }) => status), [200, 304, 200]);
    assert.equal(posts()[0].sent['if-none-match'], undefined);
    assert.match(posts()[2].sent['if-none-match'], /^"\w+"$/);
  });
});

test('web SDK: a change is seen through the stream, without asking', async () => {
  await run({ key: 'live' }, ['start']);
  await page(async (tab) => {
    await begin(tab, keys.client.key, { targetingKey: 'boss' }, NO_CACHE);
    let best = Infinity;
    for (const variant of ['on', 'off', 'on', 'off']) {
      await made('PATCH', '/v1/experiments/live', { overrides: { boss: variant } }, { 'If-Match': '*' });
      const began = Date.now();
      await until(async () => (await say(tab, { live: true })).live.variant === variant && (await say(tab, { live: true })).live.reason === 'TARGETING_MATCH', 'seen');
      best = Math.min(best, Date.now() - began);
    }
    console.log(`# seen after ${best} ms at best of four`);
    assert.ok(best < 1000 * slack, `${best} ms`);
    const events = await tab.evaluate(() => window.app.events);
    const changed = events.filter(({ name }) => name === 'PROVIDER_CONFIGURATION_CHANGED');
    assert.ok(changed.length >= 4);
    // No flag of which nothing changed is named.
    for (const { flagsChanged } of changed) assert.deepEqual(flagsChanged, ['live']);
  });
});

test('web SDK: a wrong key is fatal', async () => {
  await page(async (tab) => {
    assert.match(await begin(tab, 'sdk-00000000000000000000000000000000', {}, NO_CACHE), /Initialization failed/);
    assert.equal(await tab.evaluate(() => window.app.status()), 'FATAL');
  });
});

test('web SDK: when its key is revoked it says so and keeps its values', async () => {
  const own = await made('POST', '/v1/keys', { kind: 'client' });
  await page(async (tab, answers) => {
    await begin(tab, own.key, { targetingKey: 'id-1', country: 'DE' }, NO_CACHE);
    const before = await say(tab);
    await made('DELETE', `/v1/keys/${own.id}`);
    await tab.evaluate(() => window.app.context({ targetingKey: 'id-1', country: 'CH' }));
    assert.equal(answers.at(-1).status, 401);
    const events = await tab.evaluate(() => window.app.events);
    assert.ok(events.some(({ name, message }) => name === 'PROVIDER_ERROR' && /Unauthorized|401/i.test(message)), JSON.stringify(events));
    assert.deepEqual(await say(tab), before);
  });
});

test('web SDK: through a server that comes back it goes on', async () => {
  const folder = join(base, 'back');
  let own = await serve(folder);
  const { key } = await own.ask('POST', '/v1/keys', { kind: 'client' }).then(({ json }) => json);
  for (const [path, body] of [['', { key: 'bool', variants: [{ key: 'off', value: false }, { key: 'on', value: true }] }], ['/bool/start']])
    assert.ok((await own.ask('POST', `/v1/experiments${path}`, body)).status < 300);
  await page(async (tab) => {
    await tab.evaluate(([url, ...rest]) => window.app.begin(url, ...rest), [own.url, key, { targetingKey: 'c' }, NO_CACHE]);
    assert.equal((await say(tab, { bool: true })).bool.reason, 'SPLIT');
    const { key: admin, port } = own;
    await own.stop();
    own = await serve(folder, { key: admin, options: ['--listen', `127.0.0.1:${port}`] });
    assert.ok((await own.ask('POST', '/v1/experiments/bool/pause')).status < 300);
    await until(async () => (await say(tab, { bool: true })).bool.reason === 'DISABLED', 'seen');
  });
  await own.stop();
});

test('the server ends well after all that', async () => {
  assert.deepEqual(await server.stop(), [0, null], server.text());
});
