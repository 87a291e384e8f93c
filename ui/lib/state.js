// SPDX-License-Identifier: GPL-3.0-or-later
// What the address holds (phase, metric, raw, asof, filter) and what this browser keeps (theme, colours
// of verdicts). Defaults are left out of the address, and names that are not known are left alone.
import { useState } from 'preact/hooks';

export const asked = (name) => new URLSearchParams(location.search).get(name) ?? '';

export function put(name, value) {
  const query = new URLSearchParams(location.search);
  if (value) query.set(name, value);
  else query.delete(name);
  const text = query.toString();
  history.replaceState(null, '', text ? `?${text}` : location.pathname);
}

// A piece of state that lives in the address.
export function useAsked(name) {
  const [value, set] = useState(asked(name));
  return [value, (next) => { put(name, next); set(next); }];
}

const kept = (name) => { try { return localStorage.getItem(`uplift-${name}`) ?? ''; } catch { return ''; } };

// Settings are on the root element, where the styles look for them.
function show(name, value) {
  if (value) document.documentElement.dataset[name] = value;
  else delete document.documentElement.dataset[name];
}
for (const name of ['theme', 'colours']) show(name, kept(name));

// A setting of this browser.
export function useSetting(name) {
  const [value, set] = useState(kept(name));
  return [value, (next) => {
    try { localStorage.setItem(`uplift-${name}`, next); } catch { /* private windows keep nothing */ }
    show(name, next);
    set(next);
  }];
}
