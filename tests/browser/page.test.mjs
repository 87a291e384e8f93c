// SPDX-License-Identifier: GPL-3.0-or-later
// The page in real Chromium on the real server with the demo: what it says equals the API, no
// serious accessibility finding, no console error, no request to another host. With UPLIFT_SHOTS
// set to a folder, it leaves the pictures of the README there.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

const source = resolve(process.env.UPLIFT_SRCDIR ?? '.');
const require = createRequire(join(source, 'ui', 'package.json'));
// A tarball is built and checked without npm's packages.
let chromium, axe;
try {
  ({ chromium } = require('playwright-core'));
  axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
} catch {
  console.log('TAP version 13\n1..0 # SKIP playwright-core and axe-core are not installed in ui/');
  process.exit(0);
}
const bin = process.env.UPLIFT_BIN;
const folder = mkdtempSync(join(tmpdir(), 'uplift-page-'));
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
let server, url, key, browser, complaints;

before(async () => {
  const data = join(folder, 'demo');
  execFileSync(bin, ['demo', '--data', data, '--customers', '20000']);
  key = execFileSync(bin, ['key', 'create', '--data', data, '--role', 'viewer'], { encoding: 'utf8' }).trim();
  server = spawn(bin, ['serve', '--data', data, '--listen', '127.0.0.1:0']);
  url = await new Promise((found, fail) => {
    let text = '';
    const timer = setTimeout(() => fail(new Error(`not listening: ${text}`)), 30_000);
    server.stdout.on('data', (bytes) => {
      text += bytes;
      const match = /listening on (\S+)/.exec(text);
      if (match) { clearTimeout(timer); found(match[1]); }
    });
  });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
});

after(async () => {
  await browser?.close();
  const ended = new Promise((done) => server.on('exit', done));
  server.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

const api = async (path) => (await fetch(url + path, { headers: { Authorization: `Bearer ${key}` } })).json();

// A signed-in page at a path; what it complains of is gathered.
async function open(path, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => request.url().startsWith(url) || request.url().startsWith('data:') || complaints.push(request.url()));
  await page.goto(`${url}${path}#key=${key}`);
  await page.waitForSelector('html[data-ready]', { state: 'attached' });
  return page;
}

async function findings(page) {
  // Through the debugger, which the page's policy does not bind.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}).then((r) =>
      JSON.stringify(r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' | ').slice(0, 300))))`,
    awaitPromise: true, returnByValue: true,
  });
  return JSON.parse(result.value);
}

test('the key leaves the address, and without one the page asks for it', async () => {
  const page = await open('/');
  assert.ok(!page.url().includes(key));
  const fresh = await (await browser.newContext()).newPage();
  await fresh.goto(url);
  await fresh.getByLabel(/Key of a person/).fill('adm-wrong');
  await fresh.getByRole('button', { name: 'Sign in' }).click();
  await fresh.getByRole('alert').waitFor();
  assert.match(await fresh.getByRole('alert').innerText(), /not known/);
});

test('the list says what needs a decision, in the words of the API', async () => {
  const page = await open('/experiments');
  const { experiments } = await api('/v1/experiments');
  const text = await page.locator('main').innerText();
  for (const row of experiments) {
    assert.ok(text.includes(row.name), row.name);
    assert.ok(text.includes(row.summary.headline), row.summary.headline);
  }
  assert.match(text, /Needs a decision \(4\)/);
  await page.getByLabel('Filter').fill('search');
  await page.waitForURL(/filter=search/);
  assert.equal(await page.getByRole('row').count(), 2);
  assert.deepEqual(complaints, []);
});

test('the results page shows every verdict and figure of the API', async () => {
  const page = await open('/experiments/recommendations');
  const results = await api('/v1/experiments/recommendations/results');
  const text = (await page.locator('main').innerText()).replaceAll('\u2212', '-');
  assert.ok(text.includes(results.decision.headline));
  for (const reason of results.decision.reasons) assert.ok(text.includes(reason.text), reason.text);
  for (const check of results.health) assert.ok(text.includes(check.text), check.text);
  const csat = results.metrics.find((metric) => metric.key === 'csat').comparisons[0];
  assert.ok(text.includes(`${(csat.estimate * 100).toFixed(1)} points`), text);
  assert.match(text, /▲ better/);
  assert.match(text, /✕ over limit/);
  assert.deepEqual(complaints, []);
});

test('a split that is off hides verdicts until somebody asks', async () => {
  const page = await open('/experiments/search-rank');
  assert.match(await page.locator('main').innerText(), /Do not decide: the traffic split is off/);
  assert.equal(await page.getByRole('table').count(), 0);
  await page.getByRole('button', { name: 'Show the figures anyway' }).click();
  assert.match(await page.getByRole('table').first().innerText(), /—/);
});

for (const [name, options] of [
  ['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }],
  ['phone', { viewport: { width: 360, height: 740 } }], ['forced colours', { forcedColors: 'active' }],
]) {
  test(`${name}: axe finds nothing, and nothing scrolls sideways`, async () => {
    for (const path of ['/experiments', '/experiments/recommendations', '/experiments/newsletter-box']) {
      const page = await open(path, options);
      await page.locator('table').first().waitFor();
      if (process.env.UPLIFT_SHOTS && name !== 'forced colours')
        await page.screenshot({ path: join(process.env.UPLIFT_SHOTS, `${path.split('/').pop()}-${name}.png`), fullPage: true });
      assert.deepEqual(await findings(page), [], path);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${path}: ${wide} px too wide`);
      assert.deepEqual(complaints, []);
    }
  });
}

for (const width of [320, 360]) {
  test(`at ${width} px the main facts are in sight without scrolling`, async () => {
    // axe passes a table whose verdicts are scrolled away.
    for (const path of ['/experiments/recommendations', '/experiments/newsletter-box']) {
      const page = await open(path, { viewport: { width, height: 740 } });
      await page.locator('table').first().waitFor();
      const ends = await page.locator('td.change, td.verdict, td svg.range').evaluateAll((cells) =>
        cells.map((cell) => Math.ceil(cell.getBoundingClientRect().right)));
      assert.ok(ends.length > 0 && ends.every((end) => end > 0 && end <= width), `${path}: ${ends}`);
    }
  });
}

test('the keyboard reaches everything, with a visible outline', async () => {
  const page = await open('/experiments');
  const reached = [];
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return { text: document.activeElement.innerText, outline: style.outlineStyle !== 'none' };
    }));
  }
  assert.equal(reached[0].text, 'Skip to content');
  assert.ok(reached.every((stop) => stop.outline), JSON.stringify(reached));
});

test('charts have a name that holds their figures', async () => {
  const page = await open('/experiments/recommendations');
  const { metrics } = await api('/v1/experiments/recommendations/results');
  const { n } = metrics.find((metric) => metric.key === 'nps').answers[0];
  assert.ok(await page.getByRole('img', { name: new RegExp(`of ${n} answers`) }).count() > 0);
});

test('the results page is at most 60 KB over the wire', async () => {
  let bytes = 0;
  const html = await (await fetch(`${url}/experiments/recommendations`)).text();
  for (const path of ['/experiments/recommendations', ...[...html.matchAll(/"(\/app-[^"]+)"/g)].map((match) => match[1])]) {
    const answer = await fetch(url + path, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(answer.status, 200);
    bytes += Number(answer.headers.get('content-length'));
  }
  assert.ok(bytes > 1000 && bytes < 60_000, `${bytes} bytes`);
});
