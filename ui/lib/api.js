// SPDX-License-Identifier: GPL-3.0-or-later
// The API and the key. The key comes from the form or from the link that the first start printed; it
// stays in this tab's session and leaves the address at once.
const NAME = 'uplift-key';

export function readKey() {
  const found = /^#key=(.+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(NAME, decodeURIComponent(found[1]));
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(NAME) ?? '';
}

export const keepKey = (key) => sessionStorage.setItem(NAME, key);
export const forgetKey = () => sessionStorage.removeItem(NAME);

// {status, data, problem}: never throws.
export async function fetchJson(path, key) {
  try {
    const answer = await fetch(path, { headers: { Authorization: `Bearer ${key}` } });
    const body = await answer.json();
    return answer.ok ? { status: answer.status, data: body, problem: null }
      : { status: answer.status, data: null, problem: body };
  } catch {
    return {
      status: 0, data: null,
      problem: { title: 'The server does not answer', detail: 'Nothing is lost; trying again.' },
    };
  }
}

// The same for a list, with the rows (`name`) of all its pages.
export async function fetchAll(path, key, name) {
  const whole = await fetchJson(path, key);
  let last = whole;
  while (last.data?.cursor) {
    last = await fetchJson(`${path}?cursor=${encodeURIComponent(last.data.cursor)}`, key);
    if (!last.data) return last;
    whole.data[name].push(...last.data[name]);
  }
  return whole;
}
