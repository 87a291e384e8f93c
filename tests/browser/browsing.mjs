// SPDX-License-Identifier: GPL-3.0-or-later
// Pages of a real server in real Chromium, for the tests of this folder: signed in, with what they
// complain of gathered. Skips the file that imports it where npm's packages are not installed.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before } from 'node:test';
import { bin, serve } from '../e2e/serving.mjs';

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
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// Filled by browse(). `key` is a viewer's, `writer` an administrator's, `complaints` those of the page opened last.
export const site = { url: '', key: '', writer: '', browser: null, complaints: [] };

// How a page may be looked at: for each, axe must find nothing and nothing scroll sideways.
export const LOOKS = [
  ['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }],
  ['phone', { viewport: { width: 360, height: 740 } }], ['forced colours', { forcedColors: 'active' }],
];

// Serves a store to this file's tests: `fill(folder)` fills it before there is a server, `tell()` by its API.
export function browse({ fill = () => {}, tell = async () => {} }) {
  const folder = mkdtempSync(join(tmpdir(), 'uplift-page-'));
  const data = join(folder, 'data');
  let server;
  before(async () => {
    fill(data);
    const made = (...options) => execFileSync(bin, ['key', 'create', '--data', data, ...options], { encoding: 'utf8' }).trim();
    site.key = made('--role', 'viewer');
    site.writer = made();
    server = await serve(data);
    site.url = server.url;
    await tell();
    site.browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  });
  after(async () => {
    await site.browser?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
}

export const demo = (folder) => execFileSync(bin, ['demo', '--data', folder, '--customers', '20000']);

export const api = async (path) => (await fetch(site.url + path, { headers: { Authorization: `Bearer ${site.key}` } })).json();

// Changes something; what is refused fails the test.
export async function post(path, body) {
  const answer = await fetch(site.url + path, {
    method: 'POST', headers: { Authorization: `Bearer ${site.writer}` }, body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${text}`);
  return text && JSON.parse(text);
}

export const ready = (page) => page.waitForSelector('html[data-ready]', { state: 'attached' });

// A signed-in page at a path. `script` runs in it first; `prepare` gets it before it loads.
export async function open(path, options = {}, { script, prepare = async () => {}, key = site.key } = {}) {
  const context = await site.browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  site.complaints = complaints;
  if (script) await page.addInitScript(script);
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => request.url().startsWith(site.url) || request.url().startsWith('data:') || complaints.push(request.url()));
  await prepare(page);
  await page.goto(`${site.url}${path}#key=${key}`);
  await ready(page);
  return page;
}

export async function findings(page) {
  // Through the debugger, which the page's policy does not bind.
  const session = await page.context().newCDPSession(page);
  await session.send('Runtime.evaluate', { expression: axe });
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then((r) =>
      JSON.stringify(r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' | ').slice(0, 300))))`,
    awaitPromise: true, returnByValue: true,
  });
  return JSON.parse(result.value);
}

// With UPLIFT_SHOTS set to a folder, a picture of the whole page is left there.
export async function shoot(page, name) {
  if (process.env.UPLIFT_SHOTS) await page.screenshot({ path: join(process.env.UPLIFT_SHOTS, `${name}.png`), fullPage: true });
}

// By how many pixels the page is too wide; none where nothing scrolls sideways.
export const excess = (page) => page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth));

// What the next `count` presses of Tab reach: [{text, outline: whether one shows}].
export async function walk(page, count) {
  const reached = [];
  for (let i = 0; i < count; i++) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => ({
      text: document.activeElement.innerText, outline: getComputedStyle(document.activeElement).outlineStyle !== 'none',
    })));
  }
  return reached;
}

// What a page loads before it asks the API: bytes as sent, by address.
export async function weigh(path) {
  const html = await (await fetch(site.url + path)).text();
  const sizes = {};
  for (const part of [path, ...[...html.matchAll(/(?:href|src)="(\/[^"]+)"/g)].map((match) => match[1])]) {
    const answer = await fetch(site.url + part, { headers: { 'Accept-Encoding': 'gzip' } });
    if (answer.status !== 200) throw new Error(`${part}: ${answer.status}`);
    sizes[part] = Number(answer.headers.get('content-length'));
  }
  return sizes;
}
