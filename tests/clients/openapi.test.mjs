// SPDX-License-Identifier: GPL-3.0-or-later
// The description of the API, by a validator of others: it is OpenAPI 3.1, every example and what a
// real server answers are of the shapes that it tells, and each route is described.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { define, serve } from '../e2e/serving.mjs';
import { sdk } from './clients.mjs';

const Ajv = sdk('ajv/dist/2020.js').default;
const { Validator } = await import('@seriousme/openapi-schema-validator');
const base = mkdtempSync(join(tmpdir(), 'uplift-openapi-'));
let server, document, ajv;

before(async () => {
  server = await serve(join(base, 'data'));
  await define(server);
  document = (await server.ask('GET', '/v1/openapi.json')).json;
  ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema(document, 'api');
});
after(async () => { await server.stop(); rmSync(base, { recursive: true, force: true }); });

const check = (pointer, value) => {
  const validate = ajv.getSchema(`api#${pointer}`) ?? ajv.compile({ $ref: `api#${pointer}` });
  assert.ok(validate(value), `${pointer}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value).slice(0, 500)}`);
};
const escape = (path) => encodeURIComponent(path.replace(/~/g, '~0').replace(/\//g, '~1')).replace(/%7E/gi, '~');
const operations = () => Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));

test('it is OpenAPI 3.1', async () => {
  assert.equal(document.openapi, '3.1.0');
  const result = await new Validator().validate(structuredClone(document));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
  // The validator can refuse.
  const wrong = structuredClone(document);
  wrong.paths['/v1/assign'].post.parameters = [{ name: 'x', in: 'nowhere' }];
  assert.ok(!(await new Validator().validate(wrong)).valid);
});

test('every reference leads somewhere, and every schema has an example that is of it', () => {
  for (const [, pointer] of JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g))
    assert.ok(pointer.split('/').slice(1).reduce((at, part) => at?.[part], document), pointer);
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    assert.ok(schema.examples?.length, `${name} has no example`);
    for (const example of schema.examples) check(`/components/schemas/${name}`, example);
  }
});

test('each operation has its parameters, who may call it, and its errors', () => {
  for (const { path, method, operation } of operations()) {
    const where = `${method} ${path}`;
    for (const [, name] of path.matchAll(/\{(\w+)\}/g)) assert.ok(operation.parameters.some((p) => p.in === 'path' && p.name === name && p.required), where);
    assert.ok(operation.summary && Object.keys(operation.responses).some((status) => /^2/.test(status)), where);
    assert.ok(operation.responses['503'], where);
    const inPath = /\{clientKey\}/.test(path);
    if (operation.security.length || inPath) assert.ok(operation.responses['401'] && operation.responses['403'], where);
    for (const use of operation.security) for (const scheme of Object.keys(use)) assert.ok(document.components.securitySchemes[scheme], where);
    const error = /^\/ofrep\//.test(path) ? 'ofrep_error' : /^\/(api|sub|track)\b/.test(path) ? 'growthbook_error' : 'problem';
    assert.equal(operation.responses['503'].$ref, `#/components/responses/${error}`, where);
  }
});

test('each operation has shapes: none takes or gives any object', () => {
  for (const { path, method, operation } of operations()) {
    const where = `${method} ${path}`, [[, answer]] = Object.entries(operation.responses).filter(([status]) => /^2\d\d$/.test(status));
    for (const { schema } of [operation.requestBody, answer].flatMap((body) => Object.values(body?.content ?? {}))) {
      const { $ref, type } = schema, name = $ref?.split('/').at(-1);
      assert.ok(type === 'string' || ['nothing', 'openapi'].includes(name) || Object.keys(document.components.schemas[name]).some((key) => /^(required|properties|items|anyOf|allOf)$/.test(key)), where);
    }
  }
});

test('a key in the address lets in where it is said to', async () => {
  const { key } = (await server.ask('POST', '/v1/keys', { kind: 'client' })).json;
  const said = operations().flatMap(({ path, operation }) => operation.security.flatMap(Object.keys).filter((scheme) => /key/.test(scheme)).map((scheme) => `${path}?${scheme}`));
  assert.deepEqual(said.sort(), ['/track?client_key', '/v1/events?key', '/v1/stream?key']);
  for (const [path, kind] of [['/track?client_key=', 202], ['/v1/events?key=', 200]])
    for (const [given, status] of [[key, kind], ['sdk-none', 401]])
      assert.equal((await fetch(server.url + path + given, { method: 'POST', body: '[]' })).status, status, path);
});

test('what a real server answers is as described', async () => {
  const seen = new Set();
  const answered = async (method, path, body, pattern = path) => {
    const answer = await server.ask(method.toUpperCase(), path, body, /^(put|patch|delete)$/.test(method) ? { 'If-Match': '*' } : {});
    const described = document.paths[pattern][method].responses[answer.status];
    assert.ok(described, `${method} ${path}: ${answer.status} ${answer.text}`);
    if (answer.status < 300) seen.add(`${method} ${pattern}`);
    if (described.$ref) check(`/components/schemas/${described.$ref.split('/').at(-1)}`, answer.json);
    else if (!described.content) assert.equal(answer.text, '', pattern);
    else if (described.content['application/json']) check(`/paths/${escape(pattern)}/${method}/responses/${answer.status}/content/${escape('application/json')}/schema`, answer.json);
    return answer;
  };
  await answered('post', '/v1/assign', { customer: 'c', track: true });
  await answered('post', '/v1/events', [{ type: 'outcome', customer: 'c', name: 'order', value: 1 }, { type: 'x' }]);
  await answered('get', '/v1/experiments');
  await answered('post', '/v1/experiments', { key: 'two', variants: [{ key: 'a' }, { key: 'b' }] });
  await answered('get', '/v1/experiments/exp', undefined, '/v1/experiments/{key}');
  await answered('get', '/v1/experiments/exp/results', undefined, '/v1/experiments/{key}/results');
  await answered('get', '/v1/metrics');
  await answered('get', '/v1/overlap');
  await answered('get', '/v1/experiments/exp/overlap', undefined, '/v1/experiments/{key}/overlap');
  await answered('get', '/v1/metrics/buy', undefined, '/v1/metrics/{key}');
  const made = await answered('post', '/v1/keys', { kind: 'client', name: 'x' });
  await answered('post', `/v1/keys/${made.json.id}/rotate`, undefined, '/v1/keys/{key}/rotate');
  await answered('get', '/v1/keys');
  await answered('get', '/v1/audit');
  const at = (method, pattern, value, body) => answered(method, pattern.replace(/\{\w+\}/, value), body, pattern);
  const client = made.json.key;
  await answered('post', '/v1/explain', { customer: 'c' });
  for (const context of [{ targetingKey: 'c' }, {}]) await answered('post', '/ofrep/v1/evaluate/flags', { context });
  await at('post', '/ofrep/v1/evaluate/flags/{id}', 'exp', { context: { targetingKey: 'c' } });
  const live = (await answered('post', '/v1/keys', { kind: 'client' })).json.key;
  await at('get', '/api/features/{clientKey}', live);
  await at('post', '/api/eval/{clientKey}', live, { attributes: { id: 'c' } });
  assert.notEqual(client, live);
  await answered('post', '/track', [{ event_name: 'Experiment Viewed', properties_json: { experimentId: 'exp', variationId: 'a', hashValue: 'd' } }]);
  await at('put', '/v1/experiments/{key}', 'two', { key: 'two', variants: [{ key: 'a' }, { key: 'b' }], layer: { key: 'l', range: [0, 0.5] } });
  await at('patch', '/v1/experiments/{key}', 'two', { traffic: 0.5 });
  for (const [step, body] of [['start'], ['pause'], ['resume'], ['new-phase', { traffic: 1 }], ['stop', { winner: 'a', reason: 'a trial' }], ['archive']])
    await at('post', `/v1/experiments/{key}/${step}`, 'two', body);
  await answered('post', '/v1/experiments', { key: 'gone', variants: [{ key: 'a' }, { key: 'b' }], layer: { key: 'l', range: [0, 0.5] } });
  for (const part of ['looks', 'health']) await at('get', `/v1/experiments/{key}/${part}`, 'exp');
  await answered('get', '/v1/layers');
  await at('get', '/v1/layers/{key}', 'l');
  await at('delete', '/v1/experiments/{key}', 'gone');
  await answered('post', '/v1/metrics', { key: 'visits', kind: 'mean', event: 'visit' });
  await at('put', '/v1/metrics/{key}', 'visits', { key: 'visits', kind: 'mean', event: 'visit', name: 'Visits' });
  await at('delete', '/v1/metrics/{key}', 'visits');
  await answered('post', '/v1/analyze', document.components.schemas.study.examples[0]);
  for (const more of [{}, { customers_per_day: 1000 }, { simulate: { runs: 10, looks: 3 } }, { method: 'group-sequential' }])
    await answered('post', '/v1/plan', { ...document.components.schemas.plan.examples[0], ...more });
  await at('get', '/v1/customers/{id}/consent', 'c');
  await at('get', '/v1/customers/{id}', 'c');
  await at('put', '/v1/customers/{id}/consent', 'c', { analytics: true, personalization: true });
  await at('put', '/v1/customers/{id}/consent', 'd', { analytics: false, personalization: false });
  await at('delete', '/v1/customers/{id}', 'c');
  const hook = (await answered('post', '/v1/webhooks', { url: 'http://127.0.0.1:9/', events: ['experiment.state'] })).json.id;
  await answered('get', '/v1/webhooks');
  await at('get', '/v1/webhooks/{key}', hook);
  await at('put', '/v1/webhooks/{key}', hook, { url: 'http://127.0.0.1:9/', events: ['guardrail.alarm'], name: 'x' });
  await at('post', '/v1/webhooks/{key}/rotate', hook);
  for (let i = 0; i < 2; i++) await at('post', '/v1/webhooks/{key}/test', hook);
  const [first, second] = (await answered('get', '/v1/deliveries')).json.deliveries;
  await at('post', '/v1/deliveries/{key}/retry', first.id);
  await at('delete', '/v1/deliveries/{key}', second.id);
  await at('delete', '/v1/webhooks/{key}', hook);
  await at('delete', '/v1/keys/{key}', made.json.id);
  for (const path of ['/v1/openapi.json', '/healthz', '/readyz', '/metrics']) await answered('get', path);
  const missing = operations().filter(({ operation }) => !JSON.stringify(operation.responses).includes('event-stream')).map(({ method, path }) => `${method} ${path}`).filter((name) => !seen.has(name));
  assert.deepEqual(missing, [], 'every route was asked');
  // Errors are as described too.
  for (const [method, path, body, pattern] of [['post', '/v1/experiments', { key: '?' }], ['get', '/v1/experiments/none', undefined, '/v1/experiments/{key}'], ['post', '/v1/assign', {}], ['post', '/v1/metrics', { key: 'x', kind: 'y' }],
    ['post', '/ofrep/v1/evaluate/flags', []], ['post', '/ofrep/v1/evaluate/flags/none', { context: {} }, '/ofrep/v1/evaluate/flags/{id}'], ['post', '/track', 'x'],
    ['get', '/api/features/sdk-none', undefined, '/api/features/{clientKey}'], ['post', `/api/eval/${live}`, [], '/api/eval/{clientKey}']]) {
    const answer = await answered(method, path, body, pattern ?? path);
    assert.ok(answer.status >= 400, `${path}: ${answer.text}`);
  }
});
