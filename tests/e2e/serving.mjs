// SPDX-License-Identifier: GPL-3.0-or-later
// A real server for a test, and talking to it.
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { after } from 'node:test';

export const bin = process.env.UPLIFT_BIN;
// How many times as much memory and time a server with a sanitizer may take.
export const slack = /__(asan|tsan)_init/.test(readFileSync(bin, 'latin1')) ? 10 : 1;

// A test that failed leaves its server; the file would wait for it until its time is over. Later than
// the file's own hooks, of which this one is the first: those may end a server in peace.
const running = new Set();
after(() => setTimeout(() => running.forEach((child) => child.kill('SIGKILL')), 10_000 * slack).unref());

// Starts `uplift serve` on the folder. Gives {port, key (of a fresh store), url, child, ended: a
// promise of [code, signal], text(): what it printed, stop(signal), ask()}. `shell`: what is run by
// sh before, such as 'ulimit -n 64'.
export async function serve(folder, { options = [], env = {}, shell = '', key, program = bin } = {}) {
  const line = ['serve', '--data', folder, '--listen', '127.0.0.1:0', ...options];
  const child = spawn('sh', ['-c', `${shell ? `${shell} && ` : ''}exec "$0" "$@"`, program, ...line],
    { env: { ASAN_OPTIONS: 'quarantine_size_mb=8', ...process.env, ...env } });
  let text = '';
  running.add(child);
  const ended = new Promise((resolve) => child.on('exit', (code, signal) => { running.delete(child); resolve([code, signal]); }));
  child.stderr.on('data', (bytes) => { text += bytes; });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (bytes) => { text += bytes; if (/listening on/.test(text)) resolve(); });
    ended.then(() => reject(new Error(`did not start: ${text}`)));
  });
  const port = Number(/listening on https?:\/\/127\.0\.0\.1:(\d+)/.exec(text)[1]);
  const server = {
    port, child, ended, key: /adm-\w+/.exec(text)?.[0] ?? key, url: /listening on (http\S+)/.exec(text)[1], text: () => text,
    // Killed hard in the end, so that a server that hangs fails the test and does not outlive it.
    stop: (signal = 'SIGTERM') => {
      const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
      child.kill(signal);
      ended.then(() => clearTimeout(timer));
      return ended;
    },
    ask: async (method, path, body, headers = {}) => {
      const answer = await fetch(server.url + path, {
        method, body: body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        headers: { ...(server.key ? { 'X-API-Key': server.key } : {}), ...headers },
      });
      const said = await answer.text();
      let json;
      try { json = JSON.parse(said); } catch { json = undefined; }
      return { status: answer.status, headers: answer.headers, text: said, json };
    },
  };
  return server;
}

// One answer after another on a raw connection: {status, head, body}; null where it was closed.
export function lane(port) {
  const socket = connect(port, '127.0.0.1');
  let buffer = Buffer.alloc(0), wake = () => {}, closed = false;
  socket.on('data', (bytes) => { buffer = Buffer.concat([buffer, bytes]); wake(); })
    .on('error', () => {}).on('close', () => { closed = true; wake(); });
  const take = () => {
    const head = buffer.indexOf('\r\n\r\n');
    if (head < 0) return undefined;
    const text = buffer.subarray(0, head).toString('latin1');
    const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
    if (buffer.length < head + 4 + length) return undefined;
    const body = buffer.subarray(head + 4, head + 4 + length).toString();
    buffer = buffer.subarray(head + 4 + length);
    return { status: Number(text.split(' ')[1]), head: text, body };
  };
  return {
    socket,
    closed: () => closed,
    write: (bytes) => socket.write(bytes),
    answer: async () => {
      for (let answer; ;) {
        if ((answer = take())) return answer;
        if (closed) return null;
        await new Promise((resolve) => { wake = resolve; });
      }
    },
    end: () => socket.destroy(),
  };
}

export function post(server, path, body, headers = '') {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.key}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n${headers}\r\n${text}`;
}

// Of a process: private memory in bytes, processor time in ms, open descriptors.
export function figures(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const dirty = [...memory.matchAll(/^Private_Dirty:\s+(\d+)/gm)].reduce((sum, [, kb]) => sum + Number(kb) * 1024, 0);
  return { memory: dirty, busy: (Number(stat[11]) + Number(stat[12])) * 10, files: readdirSync(`/proc/${pid}/fd`).length };
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until `is` gives something true; fails after `ms`.
export async function until(is, what, ms = 20_000) {
  for (const end = Date.now() + ms; ;) {
    const result = await is();
    if (result) return result;
    if (Date.now() > end) throw new Error(`not ${what} within ${ms} ms`);
    await pause(50);
  }
}

// A metric and a running experiment.
export async function define(server) {
  for (const [path, body] of [['/v1/metrics', { key: 'buy', kind: 'binary', event: 'order' }],
    ['/v1/experiments', { key: 'exp', variants: [{ key: 'a' }, { key: 'b' }], metrics: { primary: ['buy'] } }], ['/v1/experiments/exp/start', undefined]]) {
    const { status, text } = await server.ask('POST', path, body);
    if (status >= 300) throw new Error(`${path}: ${status} ${text}`);
  }
}
