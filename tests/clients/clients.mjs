// SPDX-License-Identifier: GPL-3.0-or-later
// What the tests of SDKs share: their packages, or a skip with the reason; Chromium, and a page of
// another origin in it.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const source = resolve(process.env.UPLIFT_SRCDIR ?? '.');
const folders = { clients: join(source, 'tests', 'clients'), page: join(source, 'ui') };

// Ends the test file where a package is not installed: a tarball is checked without npm's.
function skip(name, where) {
  console.log(`TAP version 13\n1..0 # SKIP ${name} is not installed: run ./bootstrap test, or npm ci in ${where}/`);
  process.exit(0);
}

function need(folder, name, where) {
  try {
    return createRequire(join(folder, 'package.json'))(name);
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') skip(name, where);
    throw error;
  }
}

// The published package of an SDK, as an application gets it.
export const sdk = (name) => need(folders.clients, name, 'tests/clients');

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

// Chromium. Close it.
export const browser = () => need(folders.page, 'playwright-core', 'ui').chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });

// JavaScript (of modules; packages of tests/clients may be imported) as one script for a browser.
export async function bundle(code) {
  const { outputFiles } = await need(folders.page, 'esbuild', 'ui').build({
    stdin: { contents: code, resolveDir: folders.clients, loader: 'js' }, bundle: true, write: false, format: 'iife', platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' }, logLevel: 'silent',
  });
  return outputFiles[0].text;
}

// A page with this script, from an origin that is not the server's: {url, close()}.
export async function elsewhere(script) {
  const pages = createServer((request, response) => {
    const isScript = request.url.startsWith('/script.js');
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
    response.end(isScript ? script : '<!doctype html><title>page</title><script src="/script.js"></script>');
  });
  await new Promise((done) => pages.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${pages.address().port}/`, close: () => new Promise((done) => { pages.close(done); pages.closeAllConnections(); }) };
}
