// SPDX-License-Identifier: GPL-3.0-or-later
// Where a server listens: TLS, whose certificate changes under load while nobody notices; Unix
// sockets, of which a live one is not stolen and a dead one is replaced; several places at once.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { bin, define, serve, until } from './serving.mjs';

const base = mkdtempSync(join(tmpdir(), 'uplift-listen-'));
const at = (name) => join(base, name);
const openssl = (...words) => execFileSync('openssl', words, { stdio: 'pipe', cwd: base });
const certify = (name, ...kind) => openssl('req', '-x509', '-newkey', ...kind, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`,
  '-days', '30', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1');
after(() => rmSync(base, { recursive: true, force: true }));

before(() => {
  certify('one', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256');
  certify('two', 'rsa:2048');
  openssl('x509', '-in', 'one.pem', '-signkey', 'one.key', '-days', '-1', '-out', 'over.pem');
  openssl('pkcs8', '-topk8', '-in', 'one.key', '-out', 'locked.key', '-passout', 'pass:x');
  writeFileSync(at('empty.pem'), '');
});

const authorities = () => [readFileSync(at('one.pem')), readFileSync(at('two.pem'))];
const show = (name) => { copyFileSync(at(`${name}.pem`), at('now.pem')); copyFileSync(at(`${name}.key`), at('now.key')); };
const secure = (folder, options = []) => serve(at(folder), { options: ['--tls-cert', at('now.pem'), '--tls-key', at('now.key'), ...options] });

// {status, text, name: of the certificate}
function get(server, path, { agent = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const asked = (options.socketPath ? http : https).get({ host: '127.0.0.1', port: server?.port, path, agent, ca: authorities(),
      headers: server?.key ? { 'X-API-Key': server.key } : {}, ...options }, (answer) => {
      const name = answer.socket.getPeerCertificate?.()?.subject?.CN;
      let text = '';
      answer.on('data', (bytes) => { text += bytes; }).on('end', () => resolve({ status: answer.statusCode, text, name })).on('error', reject);
    }).on('error', reject);
    asked.setTimeout(20_000, () => asked.destroy(new Error('no answer')));
  });
}

test('files that cannot be used are refused with the reason', () => {
  const start = (certificate, key) => spawnSync(bin, ['serve', '--data', at('never'), '--listen', '127.0.0.1:0', '--tls-cert', at(certificate), ...(key ? ['--tls-key', at(key)] : [])], { encoding: 'utf8' });
  for (const [certificate, key, why] of [['absent.pem', 'one.key', /absent\.pem: cannot be opened: No such file/], ['one.pem', 'absent.key', /absent\.key: cannot be opened/],
    ['one.pem', 'two.key', /two\.key: is not the key of the certificate in .*one\.pem/], ['over.pem', 'one.key', /over\.pem: the certificate's time was over on \d{4}-/],
    ['empty.pem', 'one.key', /empty\.pem: is no certificate in PEM/], ['one.pem', 'one.pem', /one\.pem: is no private key in PEM/],
    ['one.pem', 'locked.key', /locked\.key: .*password/]]) {
    const { status, stderr, stdout } = start(certificate, key);
    assert.equal(status, 1, `${certificate} ${key}`);
    assert.match(stderr, why);
    assert.ok(!/listening|admin key/.test(stdout));
  }
  const half = start('one.pem');
  assert.equal(half.status, 2);
  assert.match(half.stderr, /--tls-cert and --tls-key go together/);
});

test('modern protocols and ciphers only', async () => {
  show('one');
  const server = await secure('modern');
  const handshake = (...words) => spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${server.port}`, ...words], { input: '', encoding: 'utf8' });
  for (const version of ['-tls1_2', '-tls1_3']) assert.match(handshake(version).stdout, /New, TLSv1\.[23], Cipher is \S*(GCM|CHACHA)/);
  for (const words of [['-tls1'], ['-tls1_1'], ['-tls1_2', '-cipher', 'AES128-SHA'], ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256']])
    assert.match(handshake(...words, ...(words[1] ? [] : ['-cipher', 'ALL:@SECLEVEL=0'])).stdout, /Cipher is \(NONE\)/, words.join(' '));
  // Who speaks plain HTTP is not answered, and does no harm.
  const plain = connect(server.port, '127.0.0.1');
  plain.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  let said = '';
  await new Promise((resolve) => plain.on('data', (bytes) => { said += bytes.toString('latin1'); }).on('error', () => {}).on('close', resolve));
  assert.ok(!said.includes('ok'));
  assert.equal((await get(server, '/healthz')).text, 'ok\n');
  assert.deepEqual(await server.stop(), [0, null]);
});

test('a certificate is replaced under load, and a bad one is not taken', async () => {
  show('one');
  const server = await secure('reload');
  const agent = new https.Agent({ keepAlive: true, maxSockets: 8 });
  const names = new Set();
  let going = true, count = 0, lost = 0;
  // Connections that stay, and ones made anew all the time.
  const load = Array.from({ length: 16 }, async (_, i) => {
    while (going) {
      const answer = await get(server, '/readyz', { agent: i % 2 ? agent : false }).catch((error) => ({ error }));
      if (answer.status === 200) count++; else { lost++; assert.fail(String(answer.error ?? answer.status)); }
      names.add(answer.name);
    }
  });
  const stream = await new Promise((resolve, reject) => https.get({ host: '127.0.0.1', port: server.port, path: '/v1/stream', agent: false, ca: authorities(), headers: { 'X-API-Key': server.key } }, resolve).on('error', reject));
  let told = '', streamEnded = false;
  stream.on('data', (bytes) => { told += bytes; }).on('close', () => { streamEnded = true; });
  const reloaded = (times) => until(() => server.text().split('the certificate was read again').length > times, 'read again');
  for (let i = 1; i <= 6; i++) {
    show(i % 2 ? 'two' : 'one');
    server.child.kill('SIGHUP');
    await reloaded(i);
    assert.equal((await get(server, '/healthz')).name, i % 2 ? 'two' : 'one');
  }
  copyFileSync(at('two.key'), at('now.key'));
  server.child.kill('SIGHUP');
  await until(() => /the old certificate stays: .*now\.key: is not the key of the certificate/.test(server.text()), 'refused');
  assert.equal((await get(server, '/healthz')).name, 'one');
  copyFileSync(at('over.pem'), at('now.pem'));
  copyFileSync(at('one.key'), at('now.key'));
  server.child.kill('SIGHUP');
  await until(() => /the old certificate stays: .*now\.pem: the certificate's time was over/.test(server.text()), 'refused');
  assert.equal((await get(server, '/healthz')).name, 'one');
  going = false;
  await Promise.all(load);
  assert.equal(lost, 0);
  assert.ok(count >= 50 && names.size === 2, `${count} ${[...names]}`);
  // The stream, which is older than all of them, still tells.
  const asked = https.request({ host: '127.0.0.1', port: server.port, path: '/v1/experiments', method: 'POST', agent: false, ca: authorities(), headers: { 'X-API-Key': server.key } });
  asked.end(JSON.stringify({ key: 'exp', variants: [{ key: 'a' }, { key: 'b' }] }));
  await until(() => told.includes('"exp"'), 'told');
  assert.ok(!streamEnded);
  const ends = Number(/uplift_tls_certificate_end_timestamp_seconds (\d+)/.exec((await get(server, '/metrics')).text)[1]);
  assert.ok(Math.abs(ends - Date.now() / 1000 - 30 * 86400) < 86400, String(ends));
  assert.deepEqual(await server.stop(), [0, null]);
  assert.ok(told.includes('hello') && streamEnded);
  agent.destroy();
});

test('large bodies and answers, and requests that never become whole, over TLS', async () => {
  show('two');
  const server = await secure('large', ['--arrive', '1']);
  const events = Array.from({ length: 9000 }, (_, i) => ({ id: `e${i}`, type: 'outcome', customer: `${'c'.repeat(100)}${i % 100}`, name: 'order', value: 1 }));
  const answer = await new Promise((resolve, reject) => {
    const asked = https.request({ host: '127.0.0.1', port: server.port, path: '/v1/events', method: 'POST', agent: false, ca: authorities(), headers: { 'X-API-Key': server.key } }, (got) => {
      let text = '';
      got.on('data', (bytes) => { text += bytes; }).on('end', () => resolve(text));
    }).on('error', reject);
    asked.end(JSON.stringify(events));
  });
  assert.equal(JSON.parse(answer).accepted, 9000, answer.slice(0, 300));
  assert.ok((await get(server, '/v1/openapi.json')).text.length > 10_000);
  // Cut without a word: a plain answer would be no record of TLS.
  const slow = connectTls({ host: '127.0.0.1', port: server.port, ca: authorities(), servername: '' });
  let said = '';
  slow.on('data', (bytes) => { said += bytes; }).on('error', (error) => { if (error.code !== 'ECONNRESET') said += error; });
  slow.write('GET / HTTP/1.1\r\n');
  await new Promise((resolve) => slow.on('close', resolve));
  assert.equal(said, '');
  assert.deepEqual(await server.stop(), [0, null]);
});

test('several places, one of them a Unix socket, which is no loopback', async () => {
  const path = at('socket'), server = await serve(at('several'), { options: ['--listen', '127.0.0.1:0', '--listen', `unix:${path}`, '--socket-mode', '600'] });
  const ports = [...server.text().matchAll(/listening on http:\/\/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  assert.equal(ports.length, 2);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await define(server);
  const over = (headers) => get(null, '/metrics', { socketPath: path, headers });
  assert.equal((await over({})).status, 401);
  assert.equal((await over({ 'X-API-Key': server.key })).status, 200);
  assert.equal((await get(null, '/v1/experiments', { socketPath: path, headers: { 'X-API-Key': server.key } })).status, 200);
  for (const port of ports) {
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200);
    for (const header of ['Forwarded', 'X-Forwarded-For']) assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { [header]: '127.0.0.1' } })).status, 401);
  }
  assert.deepEqual(await server.stop(), [0, null]);
  assert.ok(!existsSync(path));
});

test('a live socket is not stolen, a dead one is replaced, another file is left alone', async () => {
  const path = at('shared'), options = ['--listen', `unix:${path}`];
  const first = await serve(at('first'), { options });
  const second = spawnSync(bin, ['serve', '--data', at('second'), '--listen', `unix:${path}`], { encoding: 'utf8' });
  assert.equal(second.status, 1);
  assert.match(second.stderr, /--listen: another process listens on/);
  assert.equal((await get(null, '/healthz', { socketPath: path })).text, 'ok\n');
  await first.stop('SIGKILL');
  assert.ok(existsSync(path));
  const third = await serve(at('first'), { options });
  assert.equal((await get(null, '/healthz', { socketPath: path })).text, 'ok\n');
  // Whoever takes the path meanwhile keeps it.
  rmSync(path);
  const other = createServer().listen(path);
  await new Promise((resolve) => other.on('listening', resolve));
  assert.deepEqual(await third.stop(), [0, null]);
  assert.ok(existsSync(path));
  other.close();
  writeFileSync(path, 'precious');
  const fourth = spawnSync(bin, ['serve', '--data', at('first'), '--listen', `unix:${path}`], { encoding: 'utf8' });
  assert.equal(fourth.status, 1);
  assert.match(fourth.stderr, /is there, and no socket/);
  assert.equal(readFileSync(path, 'utf8'), 'precious');
  for (const [place, why] of [['unix:', /path of a socket/], [`unix:/${'x'.repeat(110)}`, /path of a socket/], ['localhost:80', /is not an address/], ['8080', /must be ADDRESS:PORT/]])
    assert.match(spawnSync(bin, ['serve', '--data', at('first'), '--listen', place], { encoding: 'utf8' }).stderr, why);
  assert.equal(spawnSync(bin, ['serve', '--data', at('first'), '--socket-mode', '9'], { encoding: 'utf8' }).status, 2);
});

test('the environment names places instead of the default one', async () => {
  const child = spawn(bin, ['serve', '--data', at('environment')], { env: { ...process.env, UPLIFT_LISTEN: `127.0.0.1:0 unix:${at('e.sock')}` } });
  let text = '';
  child.stdout.on('data', (bytes) => { text += bytes; });
  await until(() => text.match(/listening on/g)?.length === 2, 'listening in both');
  assert.match(text, /listening on http:\/\/127\.0\.0\.1:\d+\nlistening on unix:/);
  assert.ok(!text.includes(':8080'), text);
  const ended = new Promise((done) => child.on('exit', done));
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
});
