// SPDX-License-Identifier: GPL-3.0-or-later
// The examples of doc/sdk.md that are said to be run here, run as they stand. Only the address, the keys
// and the customer are replaced. All get "green", which is not the default of any example.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { serve, slack, until } from '../e2e/serving.mjs';
import { browser, bundle, elsewhere, sdk } from './clients.mjs';

for (const name of ['@growthbook/growthbook', '@growthbook/growthbook-react', 'react', 'react-dom', '@openfeature/react-sdk',
  '@openfeature/server-sdk', '@openfeature/ofrep-provider', '@openfeature/web-sdk', '@openfeature/ofrep-web-provider']) sdk(name);
const source = resolve(process.env.UPLIFT_SRCDIR ?? '.'), built = process.env.UPLIFT_BUILDDIR ?? '.';
const folder = mkdtempSync(join(tmpdir(), 'uplift-sdk-'));
const versions = JSON.parse(readFileSync(join(source, 'tests/clients/package.json'), 'utf8')).devDependencies;
// {title: {mark, about, blocks: [{language, text}]}}
const sections = Object.fromEntries(readFileSync(join(source, 'doc/sdk.md'), 'utf8').split(/^## /m).slice(1).map((part) => {
  const [about] = part.split('```');
  return [part.split('\n')[0], {
    mark: /\*\*(Run here|Not run here)\*\*/.exec(about)?.[1], about,
    blocks: [...part.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, text]) => ({ language, text })),
  }];
}));
const run = new Set();
const keys = {};
let server, chromium;

before(async () => {
  server = await serve(join(folder, 'data'));
  const made = async (path, body) => {
    const answer = await server.ask('POST', path, body);
    assert.ok(answer.status < 300, answer.text);
    return answer.json;
  };
  for (const kind of ['client', 'service']) keys[kind] = (await made('/v1/keys', { kind })).key;
  await made('/v1/metrics', { key: 'purchase', kind: 'binary', event: 'order' });
  await made('/v1/experiments', { key: 'checkout-button', metrics: { primary: ['purchase'] },
    variants: [{ key: 'control', weight: 0, value: 'blue' }, { key: 'green', weight: 1, value: 'green' }] });
  await made('/v1/experiments/checkout-button/start');
  chromium = await browser();
});
after(async () => {
  await chromium?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

// The one example of a section, for a customer of its own.
function example(title, customer) {
  run.add(title);
  const { blocks } = sections[title];
  assert.equal(blocks.length, 1, title);
  const text = blocks[0].text.replaceAll('http://127.0.0.1:8080', server.url)
    .replaceAll('sdk-KEY', keys.client).replaceAll('svc-KEY', keys.service).replaceAll('c-42', customer);
  assert.ok(text.includes(server.url) && text.includes(customer), title);
  return text;
}
// What the server keeps of the customer: that many exposures and outcomes, soon.
const kept = (customer, exposures, outcomes) => until(async () => {
  const { events = [] } = (await server.ask('GET', `/v1/customers/${customer}`)).json ?? {};
  const count = (type) => events.filter((event) => event.type === type).length;
  return count('exposure') === exposures && count('outcome') === outcomes;
}, `${exposures} exposures and ${outcomes} outcomes of ${customer}`);

async function inNode(title, customer) {
  const file = join(source, 'tests/clients', `.${customer}-${process.pid}.mjs`); // where the packages are found
  writeFileSync(file, example(title, customer));
  try {
    return (await promisify(execFile)(process.execPath, [file], { timeout: 60_000 })).stdout;
  } finally { rmSync(file); }
}

// The example on a page of another origin. `see`: what is to be seen in it in the end.
async function inBrowser(title, customer, see) {
  const lines = example(title, customer).split('\n'), complaints = [], said = [];
  const imports = lines.filter((line) => line.startsWith('import ')), rest = lines.filter((line) => !line.startsWith('import '));
  const site = await elsewhere(await bundle(`${imports.join('\n')}
    addEventListener('DOMContentLoaded', async () => {
      document.body.innerHTML = '<div id="root"></div>';
      ${rest.join('\n')}
    });`));
  const context = await chromium.newContext(), page = await context.newPage();
  page.on('console', (message) => (message.type() === 'error' ? complaints : said).push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  try {
    await page.goto(site.url);
    await until(() => see(page, said), `seen (${complaints.join('; ')})`);
    assert.deepEqual(complaints, []);
  } finally { await context.close(); await site.close(); }
}

test('curl', async () => {
  const said = execFileSync('sh', ['-euc', example('Any language: HTTP', 'c-curl').replaceAll('curl -s', 'curl -sS --fail-with-body')], { encoding: 'utf8' });
  assert.match(said, /"value":\s*"green"/);
  assert.match(said, /"accepted":\s*1/);
  await kept('c-curl', 1, 1);
});

test('JavaScript on a server', async () => {
  assert.equal(await inNode('JavaScript on a server, GrowthBook', 'c-node'), 'green\n');
  await kept('c-node', 1, 1);
  assert.equal(await inNode('JavaScript on a server, OpenFeature', 'c-flags'), 'green\n');
  await kept('c-flags', 0, 0);
});

test('JavaScript in a browser', async () => {
  await inBrowser('JavaScript in a browser, GrowthBook', 'c-page', (page, said) => said.includes('green'));
  await kept('c-page', 1, 1);
  await inBrowser('JavaScript in a browser, OpenFeature', 'c-web', (page, said) => said.includes('green'));
  await kept('c-web', 1, 0);
});

test('React', async () => {
  const green = async (page) => await page.locator('button').textContent({ timeout: 20_000 }) === 'green';
  await inBrowser('React, GrowthBook', 'c-react', async (page) => {
    if (!await green(page)) return false;
    await page.locator('button').click();
    return true;
  });
  await kept('c-react', 1, 1);
  await inBrowser('React, OpenFeature', 'c-hook', green);
});

test('C', { skip: slack > 1 ? 'a library with a sanitizer asks the program for it too' : !existsSync(join(built, 'libuplift.la')) && 'configured with --disable-client' }, async () => {
  const program = join(folder, 'shop');
  mkdirSync(join(folder, 'include/uplift'), { recursive: true });
  symlinkSync(join(source, 'client/client.h'), join(folder, 'include/uplift/client.h'));
  writeFileSync(`${program}.c`, example('C and C++, libuplift', 'c-c'));
  const libraries = join(resolve(built), '.libs');
  execFileSync('cc', ['-std=c11', '-Wall', '-Wextra', '-Werror', `${program}.c`, `-I${folder}/include`, `-L${libraries}`, '-luplift', '-o', program]);
  const { stdout } = await promisify(execFile)(program, { timeout: 60_000, env: { ...process.env, LD_LIBRARY_PATH: libraries } });
  assert.equal(stdout, '"green"\n');
  await kept('c-c', 1, 1);
});

test('what is said to be run here is, with the versions named, and nothing else is', () => {
  for (const [title, { mark, about, blocks }] of Object.entries(sections)) {
    assert.equal(blocks.length > 0, mark !== undefined, `${title}: examples are marked`);
    assert.equal(mark === 'Run here', run.has(title) || (slack > 1 && title.startsWith('C ')), title);
    for (const [, name, version] of about.matchAll(/`(@[\w/-]+)` (\d[\d.]*\d)/g)) if (mark === 'Run here') assert.equal(versions[name], version, `${title}: ${name}`);
  }
});
