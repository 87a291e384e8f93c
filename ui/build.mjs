// SPDX-License-Identifier: GPL-3.0-or-later
// Compiles the pages into one C file: `node ui/build.mjs OUTPUT.c`. Each file of pages/ is a page, whose
// HTML names the scripts it needs, and no more: what pages share is split off. Scripts and styles get a
// digest of their content in their names, so that browsers may keep them for ever.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2];
const pages = readdirSync(join(here, 'pages')).sort();

const digest = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);
const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', html: 'text/html; charset=utf-8' };

const { outputFiles, metafile } = buildSync({
  entryPoints: ['app.css', ...pages.map((name) => `pages/${name}`)], absWorkingDir: here,
  bundle: true, splitting: true, minify: true, write: false, metafile: true, format: 'esm',
  target: 'es2020', charset: 'utf8', legalComments: 'none', outdir: here,
  entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]',
});
const files = outputFiles.map((file) => ({
  path: `/${relative(here, file.path)}`, kind: file.path.split('.').pop(), text: file.text, immutable: true,
}));

// The file made from this source, and all it imports: told at once, they load side by side.
const made = (source) => Object.keys(metafile.outputs).find((name) => metafile.outputs[name].entryPoint === source);
const imported = (name, found = new Set()) => {
  for (const { path } of metafile.outputs[name].imports)
    if (!found.has(path)) imported(path, found.add(path));
  return [...found];
};
for (const name of pages) {
  const script = made(`pages/${name}`);
  const links = [
    `<link rel="stylesheet" href="/${made('app.css')}">`,
    ...imported(script).map((path) => `<link rel="modulepreload" href="/${path}">`),
    `<script type="module" src="/${script}"></script>`,
  ];
  const text = readFileSync(join(here, 'page.html'), 'utf8').replace('<!-- files -->', links.join('\n'));
  files.push({ path: `/${basename(name, '.js')}.html`, kind: 'html', text, immutable: false });
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
