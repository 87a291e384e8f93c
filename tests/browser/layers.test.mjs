// SPDX-License-Identifier: GPL-3.0-or-later
// The page of layers in real Chromium on the real server: its words and figures are those of the API.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOKS, api, browse, excess, findings, open, post, ready, shoot, site, walk, weigh } from './browsing.mjs';

const variants = [{ key: 'control' }, { key: 'new' }];
const place = async (key, name, layer, range, steps = [], more = {}) => {
  await post('/v1/experiments', { key, name, variants, layer: { key: layer, range }, ...more });
  for (const step of steps) await post(`/v1/experiments/${key}/${step}`, step === 'stop' ? { winner: null, reason: 'over' } : {});
};

browse({
  tell: async () => {
    await place('button-colour', 'Button colour', 'checkout', [0, 0.3], ['start']);
    await place('one-page', 'Checkout on one page', 'checkout', [0.3, 0.55], ['start', 'pause'], { traffic: 0.5 });
    await place('tiny', 'Tiny trial', 'checkout', [0.96, 1], ['start']);
    await place('express', 'Express payment', 'checkout', [0.4, 0.7]);
    await place('vouchers', 'Vouchers', 'checkout', [0.55, 0.75]);
    await place('old-form', 'Old form', 'checkout', [0.6, 0.8], ['start', 'stop']);
    await place('third', 'A third of search', 'search', [1 / 3, 2 / 3], ['start']);
    await post('/v1/experiments', {
      key: 'h2', name: 'Held out in the second half', holdout: { tags: ['growth'] },
      variants: [{ key: 'held', weight: 0.05 }, { key: 'open', weight: 0.95 }],
    });
    await post('/v1/experiments/h2/start', {});
  },
});

const percent = (value) => `${Number((value * 100).toFixed(2))}%`;
const span = ([from, to]) => `${percent(from)} to ${percent(to)}`;

test('every layer says who has which range, what is free and who waits for whom, as the API does', async () => {
  const page = await open('/layers?stopped=1');
  const { layers } = await api('/v1/layers');
  assert.equal(layers.length, 2);
  for (const layer of layers) {
    const section = page.getByRole('region', { name: `Layer ${layer.key}` });
    assert.match(await section.getByRole('heading').innerText(), new RegExp(`${layer.key}.*${percent(layer.free_share)} free`));
    for (const row of layer.experiments) {
      const text = await section.getByRole('row').filter({ has: page.getByRole('link', { name: row.name }) }).innerText();
      assert.ok(text.includes(span(row.range)) && text.includes(row.state) && text.includes(percent(row.traffic)), text);
      assert.equal(/waits for/.test(text), row.overlaps.length > 0, text);
      for (const key of row.overlaps) assert.ok(text.includes(key), text);
    }
    const free = await section.getByRole('row').filter({ has: page.getByRole('rowheader', { name: 'Free', exact: true }) }).allInnerTexts();
    assert.deepEqual(free.map((text) => /\S+ to \S+/.exec(text)[0]), layer.free.map(span));
  }
  assert.equal(layers[0].experiments.find((row) => row.key === 'express').overlaps[0], 'one-page');
  assert.deepEqual(site.complaints, []);
});

test('the bar puts every range where the API says it is, and links who holds it', async () => {
  const page = await open('/layers');
  const { layers: [layer] } = await api('/v1/layers');
  const bar = page.getByRole('list', { name: 'Ranges of checkout' });
  const found = await bar.evaluate((list) => {
    const whole = list.getBoundingClientRect();
    return [...list.children].map((item) => {
      const { left, right } = item.getBoundingClientRect();
      return [(left - whole.left) / whole.width, (right - whole.left) / whole.width];
    });
  });
  const expected = [...layer.free, ...layer.experiments.filter((row) => row.holds).map((row) => row.range)].sort((a, b) => a[0] - b[0]);
  assert.equal(found.length, expected.length);
  found.forEach((range, i) => range.forEach((end, k) => assert.ok(Math.abs(end - expected[i][k]) < 0.01, `${range} for ${expected[i]}`)));
  assert.equal(await bar.getByRole('link', { name: 'Button colour' }).getAttribute('href'), '/experiments/button-colour');
  assert.match(await bar.innerText(), /paused/);
});

test('holdouts say which share they keep out, and of what', async () => {
  const page = await open('/layers');
  const { experiments } = await api('/v1/experiments');
  const text = await page.getByRole('region', { name: 'Holdouts', exact: true }).innerText();
  for (const row of experiments.filter((item) => item.holdout))
    assert.ok(text.includes(row.name) && text.includes(percent(row.variants[0].weight)) && text.includes(row.holdout.tags[0]), text);
});

// As the API describes it: a walk over all customers would make this test a slow one.
const overlap = {
  as_of: '2026-11-25T10:00:00.000Z', refreshing: false, left_out: { experiments: 0, pairs: 3, untested: 0 }, cursor: null,
  overlaps: [{
    experiments: [{ key: 'third', name: 'A third of search' }, { key: 'button-colour', name: 'Button colour' }],
    customers: 9600, share: 0.25, interaction: 'found', text: 'A third of search and Button colour depend on each other.',
  }, {
    experiments: [{ key: 'third', name: 'A third of search' }, { key: 'one-page', name: 'Checkout on one page' }],
    customers: 120, share: 0.125, interaction: 'too-early', text: 'Not enough customers in both yet.',
  }],
};
const withOverlap = { prepare: (page) => page.route('**/v1/overlap', (route) => route.fulfill({ json: overlap })) };

test('experiments that share customers are told with the words of the API', async () => {
  const page = await open('/layers', {}, withOverlap);
  const text = await page.getByRole('region', { name: 'Overlap', exact: true }).innerText();
  for (const row of overlap.overlaps) assert.ok(text.includes(row.text) && text.includes(percent(row.share)), text);
  assert.match(text, /9,600/);
  assert.match(text, /⚠ they depend on each other/);
  assert.match(text, /3 pairs/);
});

for (const [name, options] of [...LOOKS, ['small phone', { viewport: { width: 320, height: 740 } }]]) {
  test(`${name}: axe finds nothing, and nothing scrolls sideways`, async () => {
    const page = await open('/layers?stopped=1', options, withOverlap);
    await shoot(page, `layers-${name}`);
    assert.deepEqual(await findings(page), []);
    assert.equal(await excess(page), 0);
    const ends = await page.locator('table.layers td').evaluateAll((cells) => cells.map((cell) => Math.ceil(cell.getBoundingClientRect().right)));
    assert.ok(ends.every((end) => end <= page.viewportSize().width), `${ends}`);
    assert.deepEqual(site.complaints, []);
  });
}

test('the keyboard reaches everything with a visible outline, and follows links', async () => {
  const page = await open('/layers');
  const reached = await walk(page, 10);
  assert.ok(reached.every((stop) => stop.outline), JSON.stringify(reached));
  assert.equal(reached[2].text, 'Layers');
  assert.equal(await page.locator('nav a[aria-current="page"]').innerText(), 'Layers');
  assert.equal(reached[7].text, 'Button colour');
  await page.getByRole('link', { name: 'Button colour' }).first().focus();
  await page.keyboard.press('Enter');
  await page.waitForURL(/experiments\/button-colour/);
});

test('filters live in the address and survive a reload', async () => {
  const page = await open('/layers');
  assert.equal(await page.getByRole('link', { name: 'Old form' }).count(), 0);
  await page.getByLabel('Show stopped').check();
  await page.getByRole('link', { name: 'Old form' }).waitFor();
  await page.getByLabel('Filter').fill('search');
  await page.waitForURL(/stopped=1&filter=search/);
  await page.reload();
  await ready(page);
  assert.equal(await page.getByRole('region', { name: /^Layer / }).count(), 1);
});

test('a change shows without waiting for the next asking', async () => {
  const page = await open('/layers', {}, { script: () => { window.setInterval = () => 0; } });
  await post('/v1/experiments', { key: 'fresh', name: 'Fresh one', variants, layer: { key: 'search', range: [0, 0.1] } });
  await page.getByRole('link', { name: 'Fresh one' }).waitFor();
});

test('an error says what failed, keeps what was shown, and a part that fails keeps the others', async () => {
  const page = await open('/layers');
  let broken = '**/v1/experiments';
  const refuse = (route) => route.fulfill({ status: 503, json: { title: 'Service Unavailable', detail: 'the queue is full', request_id: 'r-7' } });
  const again = async () => { await page.getByRole('button', { name: 'Pause' }).click(); await page.getByRole('button', { name: 'Pause' }).click(); };
  await page.route(broken, refuse);
  await again();
  await page.getByText('They could not be read: the queue is full').waitFor();
  assert.ok(await page.getByRole('region', { name: 'Layer checkout' }).isVisible());
  broken = '**/v1/layers';
  await page.route(broken, refuse);
  await again();
  await page.getByRole('alert').waitFor();
  assert.match(await page.locator('main').innerText(), /Request r-7[^]*Numbers are from \d\d:\d\d[^]*Button colour/);
});

test('without a layer the page says how to make one, in a call that works', async () => {
  const page = await open('/layers', {}, { prepare: (fresh) => fresh.route('**/v1/layers', (route) => route.fulfill({ json: { layers: [], cursor: null } })) });
  const call = await page.locator('pre').innerText();
  assert.ok(call.includes(`${site.url}/v1/experiments`), call);
  const made = await post('/v1/experiments', JSON.parse(/-d '([^]*)'/.exec(call)[1]));
  assert.equal(made.layer.key, 'checkout');
  assert.deepEqual(await findings(page), []);
});

test('it loads less than the results do', async () => {
  const sizes = await weigh('/layers');
  const sum = Object.values(sizes).reduce((a, b) => a + b, 0);
  assert.ok(sum > 5_000 && sum < 30_000, JSON.stringify(sizes));
});
