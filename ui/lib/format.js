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

export const absent = (value) => value === null || value === undefined;

export const count = (value) => (absent(value) ? '–' : number(value, 0, false));

// The value of an arm: a share in percent (a small one with two decimals), points, or a plain number.
export function level(value, unit) {
  if (absent(value)) return 'no data yet';
  if (unit === 'share') return `${number(value * 100, value < 0.1 ? 2 : 1, false)}%`;
  return unit === 'points' ? number(value, 0, true) : number(value, 2, false);
}

// A share of customers, "12.5%": as many decimals as it has, up to two.
export const part = (value) => (absent(value) ? '–' : `${new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 }).format(value * 100)}%`);
export const span = ([from, to]) => `${part(from)} to ${part(to)}`;

const ending = { one: 'st', two: 'nd', few: 'rd', other: 'th' };
const ordinal = (value) => `${value}${Number.isInteger(value)
  ? ending[new Intl.PluralRules('en', { type: 'ordinal' }).select(value)] : 'th'}`;

// What a metric by its distribution shows: "p90", or "capped at the 99th percentile (212.40)".
export function distribution(metric) {
  if (!absent(metric.quantile)) return `p${Number((metric.quantile * 100).toPrecision(6))}`;
  if (absent(metric.cap_percentile)) return null;
  const cap = absent(metric.cap) ? '' : ` (${level(metric.cap, metric.unit)})`;
  return `capped at the ${ordinal(metric.cap_percentile)} percentile${cap}`;
}

// A change: percent where relative, else points or the metric's own unit.
export function change(value, effect, unit) {
  if (absent(value)) return '–';
  if (effect === 'relative') return `${number(value * 100, 1, true)}%`;
  if (unit === 'share') return `${number(value * 100, 1, true)} points`;
  return unit === 'points' ? `${number(value, 1, true)} points` : number(value, 2, true);
}

// A change as it stands on an axis: percent, points (a share's too), or the metric's own unit.
export const onAxis = (value, effect, unit) =>
  (absent(value) ? null : effect === 'relative' || unit === 'share' ? value * 100 : value);

// A tick of that axis: as few digits as the step needs.
export const tick = (value, step, effect) =>
  `${number(value, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), true)}${effect === 'relative' ? '%' : ''}`;

export function range(interval, effect, unit) {
  if (!interval) return '–';
  if (absent(interval[0]) && absent(interval[1])) return 'no range yet';
  if (absent(interval[0])) return `at most ${change(interval[1], effect, unit)}`;
  if (absent(interval[1])) return `at least ${change(interval[0], effect, unit)}`;
  return `${change(interval[0], effect, unit).replace(' points', '')} to ${change(interval[1], effect, unit)}`;
}

export function pValue(value) {
  if (absent(value)) return '–';
  return value < 0.001 ? '< 0.001' : number(value, 3, false);
}

const VERDICTS = {
  better: '▲ better', worse: '▼ worse', unclear: '– unclear',
  'within-limit': '✓ within limit', 'over-limit': '✕ over limit', 'not-yet-known': '… not yet known',
};
export const verdict = (word) => VERDICTS[word] ?? '–';

const STATUS = { ok: '✓', warn: '⚠', fail: '✕' };
export const status = (word) => STATUS[word] ?? '';

// "12 Nov": days of an experiment are days of its zone, which is UTC.
export const day = (time) => new Intl.DateTimeFormat(undefined, {
  day: 'numeric', month: 'short', timeZone: 'UTC',
}).format(new Date(time));

// "12 Nov 2026, 14:02 UTC".
export const moment = (time) => `${new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC', hour12: false,
}).format(new Date(time))} UTC`;

export const clearSince = (row) => (row.clear_since ? `clear since day ${row.clear_since.day}` : '');

// "6 to 9", "about 6": days as a range.
export function days(pair) {
  if (!pair) return '';
  const [low, high] = pair;
  if (absent(high)) return `${count(low)} or more`;
  return low === high ? count(low) : `${count(low)} to ${count(high)}`;
}
