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
    stdin: { contents: code, resolveDir: folders.clients, loader: 'jsx' }, jsx: 'automatic', bundle: true, write: false, format: 'iife', platform: 'browser',
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

// An EventSource for SDKs in Node, which has none of its own yet: what the standard says of named
// events, ids and coming back after a second.
export class EventSource {
  constructor(url) {
    this.url = url;
    this.readyState = 0;
    this.listeners = {};
    this.stop = new AbortController();
    this.run();
  }

  addEventListener(type, listener) { (this.listeners[type] ??= []).push(listener); }

  emit(type, event) { this[`on${type}`]?.(event); for (const listener of this.listeners[type] ?? []) listener({ type, ...event }); }

  close() { this.readyState = 2; this.stop.abort(); }

  async run() {
    while (this.readyState !== 2) {
      try {
        const answer = await fetch(this.url, { signal: this.stop.signal, headers: this.lastId ? { 'Last-Event-ID': this.lastId } : {} });
        if (answer.status !== 200) { this.readyState = 2; this.emit('error', {}); return; }
        this.readyState = 1;
        this.emit('open', {});
        await this.read(answer.body);
      } catch { /* closed, or the connection is gone */ }
      if (this.readyState === 2) return;
      this.readyState = 0;
      this.emit('error', {});
      await new Promise((resolve) => setTimeout(resolve, 1000).unref());
    }
  }

  async read(body) {
    let text = '';
    const decoder = new TextDecoder();
    for await (const part of body) {
      text += decoder.decode(part, { stream: true });
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        const lines = event.split('\n').filter((line) => !line.startsWith(':')).map((line) => /^([^:]*):? ?(.*)$/s.exec(line).slice(1));
        const all = (name) => lines.filter(([field]) => field === name).map(([, value]) => value);
        this.lastId = all('id').at(-1) ?? this.lastId;
        if (all('data').length) this.emit(all('event').at(-1) ?? 'message', { data: all('data').join('\n'), lastEventId: this.lastId });
      }
    }
  }
}
