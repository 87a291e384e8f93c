// SPDX-License-Identifier: GPL-3.0-or-later
// Compiles the page into one C file: `node ui/build.mjs OUTPUT.c`. Scripts and styles get a digest of
// their content in their names, so that browsers may keep them for ever; HTML names them.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2];

const bundle = (entry) => buildSync({
  entryPoints: [join(here, entry)], bundle: true, minify: true, write: false, format: 'esm',
  target: 'es2020', charset: 'utf8', legalComments: 'none', outdir: here,
}).outputFiles[0].text;

const digest = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);
const assets = { 'app.js': bundle('app.js'), 'app.css': bundle('app.css') };
const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', html: 'text/html; charset=utf-8' };

const files = Object.entries(assets).map(([name, text]) => {
  const [stem, kind] = name.split('.');
  return { name, path: `/${stem}-${digest(text)}.${kind}`, kind, text, immutable: true };
});
for (const name of ['index.html', 'experiment.html']) {
  const text = files.reduce(
    (html, file) => html.replaceAll(`"/${file.name}"`, `"${file.path}"`),
    readFileSync(join(here, name), 'utf8'));
  files.push({ name, path: `/${name}`, kind: 'html', text, immutable: false });
}

const bytes = (buffer) => [...buffer].map((byte) => `${byte},`).join('').replace(/(.{96}[^,]*,)/g, '$1\n');
const parts = files.map((file, i) => {
  const plain = Buffer.from(file.text);
  const gzip = gzipSync(plain, { level: 9 });
  gzip[9] = 255; // the system that compressed it, which must not show in the output
  return {
    data: `static const unsigned char plain_${i}[] = {\n${bytes(plain)}};\n`
      + `static const unsigned char gzip_${i}[] = {\n${bytes(gzip)}};\n`,
    row: `    {"${file.path}", "${types[file.kind]}", "\\"${digest(file.text)}\\"", ${file.immutable},\n`
      + `     plain_${i}, gzip_${i}, sizeof plain_${i}, sizeof gzip_${i}},\n`,
  };
});
writeFileSync(output, '/* SPDX-License-Identifier: GPL-3.0-or-later */\n'
  + '/* The page, as byte tables. Made by ui/build.mjs. */\n#include "http/page.h"\n\n'
  + parts.map((part) => part.data).join('')
  + `\nconst struct page_file page_files[] = {\n${parts.map((part) => part.row).join('')}    {0},\n};\n`);
