// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of doc/statistics.md, run as they stand there, say what the page says they do: the
// block of JSON after a command is a part of its report, in figures rounded for people.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const page = readFileSync(join(process.env.UPLIFT_SRCDIR ?? '.', 'doc/statistics.md'), 'utf8');
const examples = [...page.matchAll(/```sh\n([\s\S]*?)```[\s\S]*?```json\n([\s\S]*?)```/g)];

// Whether every member of `part` is somewhere in one object of `whole`.
function holds(whole, part) {
  if (typeof part === 'number') return Math.abs(whole - part) <= 1e-3 * Math.abs(part);
  if (part === null || typeof part !== 'object') return whole === part;
  if (whole === null || typeof whole !== 'object') return false;
  if (Object.keys(part).every((key) => holds(whole[key], part[key]))) return true;
  return Object.values(whole).some((inner) => typeof inner === 'object' && holds(inner, part));
}

test('the page has examples', () => {
  assert.ok(examples.length >= 2);
  assert.equal(examples.length, [...page.matchAll(/```sh\n/g)].length);
});

for (const [, command, output] of examples) {
  test(`${command.split('\n')[0].slice(0, 60)}... gives what the page shows`, () => {
    const text = execFileSync('sh', ['-euc', command.replaceAll('build/uplift', process.env.UPLIFT_BIN)],
      { encoding: 'utf8', timeout: 60_000 });
    assert.ok(holds(JSON.parse(text), JSON.parse(output)), `${text}\nlacks\n${output}`);
  });
}

test('every source that the page names is in stats/REFERENCES.md', () => {
  const references = readFileSync(join(process.env.UPLIFT_SRCDIR ?? '.', 'stats/REFERENCES.md'), 'utf8');
  const tags = [...page.matchAll(/\[([A-Z][A-Za-z]+\d{4}(?:, [A-Z][A-Za-z]+\d{4})*)\]/g)]
    .flatMap((match) => match[1].split(', '));
  assert.ok(tags.length > 15);
  for (const tag of tags) assert.ok(references.includes(`[${tag}]`), tag);
});
