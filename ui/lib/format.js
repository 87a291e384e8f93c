// SPDX-License-Identifier: GPL-3.0-or-later
// How figures are written. Missing is a dash, never 0.
const MINUS = '\u2212';

function number(value, digits, signed) {
  const text = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
    signDisplay: signed ? 'exceptZero' : 'auto',
  }).format(value);
  return text.replace('-', MINUS);
}

const absent = (value) => value === null || value === undefined;

export const count = (value) => (absent(value) ? '–' : number(value, 0, false));

// The value of an arm: a share in percent, points, or a plain number.
export function level(value, unit) {
  if (absent(value)) return 'no data yet';
  if (unit === 'share') return `${number(value * 100, 1, false)}%`;
  return unit === 'points' ? number(value, 0, true) : number(value, 2, false);
}

// A change: percent where relative, else points or the metric's own unit.
export function change(value, effect, unit) {
  if (absent(value)) return '–';
  if (effect === 'relative') return `${number(value * 100, 1, true)}%`;
  if (unit === 'share') return `${number(value * 100, 1, true)} points`;
  return unit === 'points' ? `${number(value, 1, true)} points` : number(value, 2, true);
}

export function range(interval, effect, unit) {
  if (!interval) return '–';
  return `${absent(interval[0]) ? 'open' : change(interval[0], effect, unit)} to ${
    absent(interval[1]) ? 'open' : change(interval[1], effect, unit)}`;
}

const VERDICTS = {
  better: '▲ better', worse: '▼ worse', unclear: '– unclear',
  'within-limit': '✓ within limit', 'over-limit': '✕ over limit', 'not-yet-known': '… not yet known',
};
export const verdict = (word) => VERDICTS[word] ?? '–';

const STATUS = { ok: '✓', warn: '⚠', fail: '✕' };
export const status = (word) => STATUS[word] ?? '';
