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
    if (operation.security) assert.ok(operation.responses['401'] && operation.responses['403'], where);
    for (const use of operation.security ?? []) for (const scheme of Object.keys(use)) assert.ok(document.components.securitySchemes[scheme], where);
  }
});

test('what a real server answers is as described', async () => {
  const answered = async (method, path, body, pattern = path) => {
    const answer = await server.ask(method.toUpperCase(), path, body, method === 'put' ? { 'If-Match': '*' } : {});
    const described = document.paths[pattern][method].responses[answer.status];
    assert.ok(described, `${method} ${path}: ${answer.status} ${answer.text}`);
    if (described.$ref) check('/components/schemas/problem', answer.json);
    else if (described.content?.['application/json']) check(`/paths/${escape(pattern)}/${method}/responses/${answer.status}/content/${escape('application/json')}/schema`, answer.json);
    return answer;
  };
  await answered('post', '/v1/assign', { customer: 'c', track: true });
  await answered('post', '/v1/events', [{ type: 'outcome', customer: 'c', name: 'order', value: 1 }, { type: 'x' }]);
  await answered('get', '/v1/experiments');
  await answered('post', '/v1/experiments', { key: 'two', variants: [{ key: 'a' }, { key: 'b' }] });
  await answered('get', '/v1/experiments/exp', undefined, '/v1/experiments/{key}');
  await answered('get', '/v1/experiments/exp/results', undefined, '/v1/experiments/{key}/results');
  await answered('get', '/v1/metrics');
  await answered('get', '/v1/metrics/buy', undefined, '/v1/metrics/{key}');
  const made = await answered('post', '/v1/keys', { kind: 'client', name: 'x' });
  await answered('post', `/v1/keys/${made.json.id}/rotate`, undefined, '/v1/keys/{key}/rotate');
  await answered('get', '/v1/keys');
  await answered('get', '/v1/audit');
  await answered('get', '/v1/customers/c/consent', undefined, '/v1/customers/{id}/consent');
  // Errors are as described too.
  for (const [method, path, body, pattern] of [['post', '/v1/experiments', { key: '?' }], ['get', '/v1/experiments/none', undefined, '/v1/experiments/{key}'], ['post', '/v1/assign', {}], ['post', '/v1/metrics', { key: 'x', kind: 'y' }]])
    assert.ok((await answered(method, path, body, pattern ?? path)).status >= 400);
});
