// SPDX-License-Identifier: GPL-3.0-or-later
// The page in real Chromium on the real server with the demo: what it says equals the API, no
// accessibility finding, no console error, no request to another host. With UPLIFT_SHOTS set to a
// folder, it leaves the pictures of the README there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { LOOKS, api, browse, demo, excess, findings, open, post, ready, shoot, site, walk, weigh } from './browsing.mjs';

browse({ fill: demo });

test('the key leaves the address, and without one the page asks for it', async () => {
  const page = await open('/');
  assert.ok(!page.url().includes(site.key));
  const fresh = await (await site.browser.newContext()).newPage();
  await fresh.goto(site.url);
  await fresh.getByLabel(/Key of a person/).fill('adm-wrong');
  await fresh.getByRole('button', { name: 'Sign in' }).click();
  await fresh.getByRole('alert').waitFor();
  assert.match(await fresh.getByRole('alert').innerText(), /not known/);
});

test('the list says what needs a decision, in the words of the API', async () => {
  const page = await open('/experiments');
  const { experiments } = await api('/v1/experiments');
  const text = await page.locator('main').innerText();
  for (const row of experiments) {
    assert.ok(text.includes(row.name), row.name);
    assert.ok(text.includes(row.summary.headline), row.summary.headline);
  }
  assert.match(text, /Needs a decision \(4\)/);
  await page.getByLabel('Filter').fill('search');
  await page.waitForURL(/filter=search/);
  assert.equal(await page.getByRole('row').count(), 2);
  assert.deepEqual(site.complaints, []);
});

test('the results page shows every verdict and figure of the API', async () => {
  const page = await open('/experiments/recommendations');
  const results = await api('/v1/experiments/recommendations/results');
  const text = (await page.locator('main').innerText()).replaceAll('\u2212', '-');
  assert.ok(text.includes(results.decision.headline));
  for (const reason of results.decision.reasons) assert.ok(text.includes(reason.text), reason.text);
  for (const check of results.health) assert.ok(text.includes(check.text), check.text);
  const csat = results.metrics.find((metric) => metric.key === 'csat').comparisons[0];
  assert.ok(text.includes(`${(csat.estimate * 100).toFixed(1)} points`), text);
  assert.match(text, /▲ better/);
  assert.match(text, /✕ over limit/);
  assert.deepEqual(site.complaints, []);
});

test('a split that is off hides verdicts until somebody asks', async () => {
  const page = await open('/experiments/search-rank');
  assert.match(await page.locator('main').innerText(), /Do not decide: the traffic split is off/);
  assert.equal(await page.getByRole('table').count(), 0);
  await page.getByRole('button', { name: 'Show the figures anyway' }).click();
  assert.match(await page.getByRole('table').first().innerText(), /—/);
});

for (const [name, options] of LOOKS) {
  test(`${name}: axe finds nothing, and nothing scrolls sideways`, async () => {
    for (const path of ['/experiments', '/experiments/recommendations', '/experiments/newsletter-box', '/experiments/search-rank?raw=1']) {
      const page = await open(path, options);
      await page.locator('table').first().waitFor();
      if (name !== 'forced colours') await shoot(page, `${path.split('/').pop().split('?')[0]}-${name}`);
      assert.deepEqual(await findings(page), [], path);
      assert.equal(await excess(page), 0, path);
      assert.deepEqual(site.complaints, []);
    }
  });
}

for (const width of [320, 360]) {
  test(`at ${width} px the main facts are in sight without scrolling`, async () => {
    // axe passes a table whose verdicts are scrolled away.
    for (const path of ['/experiments/recommendations', '/experiments/newsletter-box']) {
      const page = await open(path, { viewport: { width, height: 740 } });
      await page.locator('table').first().waitFor();
      const ends = await page.locator('td.change, td.verdict, td svg.range').evaluateAll((cells) =>
        cells.map((cell) => Math.ceil(cell.getBoundingClientRect().right)));
      assert.ok(ends.length > 0 && ends.every((end) => end > 0 && end <= width), `${path}: ${ends}`);
    }
  });
}

test('the keyboard reaches everything, with a visible outline', async () => {
  const page = await open('/experiments');
  const reached = await walk(page, 6);
  assert.equal(reached[0].text, 'Skip to content');
  assert.ok(reached.every((stop) => stop.outline), JSON.stringify(reached));
});

test('charts have a name that holds their figures', async () => {
  const page = await open('/experiments/recommendations');
  const { metrics } = await api('/v1/experiments/recommendations/results');
  const { n, counts, groups } = metrics.find((metric) => metric.key === 'nps').answers[0];
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  assert.deepEqual(groups, [sum(counts.slice(0, 7)), sum(counts.slice(7, 9)), sum(counts.slice(9))]);
  const name = `${groups[0]} low, ${groups[1]} middle, ${groups[2]} high of ${n} answers`;
  assert.ok(await page.getByRole('img', { name: new RegExp(name) }).count() > 0, name);
});

test('who answered is told in the figures of the API', async () => {
  const page = await open('/experiments/recommendations');
  const { metrics } = await api('/v1/experiments/recommendations/results');
  const { response } = metrics.find((metric) => metric.key === 'csat').comparisons[0];
  await page.getByRole('region', { name: 'CSAT: answers' }).getByText('Who answered', { exact: true }).click();
  const text = (await page.locator('main').innerText()).replaceAll('\u2212', '-');
  const percent = (value) => `${(100 * value).toFixed(value < 0.1 ? 2 : 1)}%`;
  assert.ok(text.includes(`B answered ${percent(response.rates[1])}, A ${percent(response.rates[0])}`), text);
  assert.ok(text.includes(`weighted to everybody exposed by ${response.post_stratified_by}`) || response.post_stratified === null, text);
  assert.deepEqual(site.complaints, []);
});

test('what comes in is shown without waiting for the next asking', async () => {
  // Without timers the page asks only when the stream tells it to.
  const page = await open('/experiments/same-same', {}, { script: () => { window.setInterval = () => 0; } });
  const shown = async () => Number(/A \S+ ([\d,]+)/.exec(await page.locator('main').innerText())[1].replaceAll(',', ''));
  const before = await shown();
  const events = Array.from({ length: 5 }, (_, i) => ({ type: 'exposure', customer: `streamed-${i}`, experiment: 'same-same', variant: 'a' }));
  assert.equal((await post('/v1/events', events)).accepted, 5);
  await page.waitForFunction((count) => document.querySelector('main').innerText.replaceAll(',', '').includes(`A a ${count}`), before + 5);
  assert.deepEqual(site.complaints, []);
});

test('how the range narrowed: a panel a variant, whose name and table hold the looks', async () => {
  const page = await open('/experiments/newsletter-box');
  const { looks, experiment, metrics } = await api('/v1/experiments/newsletter-box/results');
  assert.ok(looks.length >= 28, `${looks.length} looks`);
  const section = page.getByRole('region', { name: 'How the range narrowed' });
  const panels = section.getByRole('img');
  assert.equal(await panels.count(), experiment.variants.length - 1);
  for (const [i, row] of metrics[0].comparisons.entries()) {
    const name = await panels.nth(i).getAttribute('aria-label');
    const percent = `${Math.abs(row.estimate * 100).toFixed(1)}%`;
    assert.ok(name.includes(percent) && name.includes(`after ${looks.length} looks`), name);
    assert.equal(name.includes(`clear since day ${row.clear_since?.day}`), row.clear_since !== null, name);
  }
  await section.getByText('Show as table').click();
  assert.equal(await section.getByRole('row').count(), 1 + looks.length * metrics[0].comparisons.length);
  assert.deepEqual(await findings(page), []);
});

test('another metric is chosen, and the address keeps it', async () => {
  const page = await open('/experiments/recommendations');
  await page.getByRole('combobox', { name: 'Metric' }).selectOption('csat');
  await page.waitForURL(/metric=csat/);
  await page.reload();
  await ready(page);
  assert.match(await page.getByRole('img', { name: /CSAT/ }).first().getAttribute('aria-label'), /over limit/);
  assert.match(await page.locator('figcaption').innerText(), /The effect changed over time/);
});

test('an earlier look is shown as of its time, and stays as it is', async () => {
  const { looks } = await api('/v1/experiments/recommendations/results');
  const { at, day, exposed } = looks[8];
  const page = await open(`/experiments/recommendations?asof=${encodeURIComponent(at)}`);
  const text = await page.locator('main').innerText();
  assert.match(text, new RegExp(`day ${day}\\b`));
  assert.match(text, /As of /);
  const then = await api(`/v1/experiments/recommendations/results?as_of=${at}`);
  assert.equal(then.experiment.variants.reduce((sum, row) => sum + row.exposed, 0), exposed);
  assert.ok(text.includes(then.decision.headline), text);
  await page.getByRole('link', { name: 'See now' }).click();
  await ready(page);
  assert.ok(!page.url().includes('asof'));
});

test('a chart is saved as an SVG that needs no style sheet', async () => {
  const page = await open('/experiments/recommendations');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save chart as SVG' }).click()]);
  const svg = readFileSync(await download.path(), 'utf8');
  assert.equal(download.suggestedFilename(), 'recommendations-purchase-pushy.svg');
  assert.match(svg, /clear since day \d+/);
  assert.match(svg, /fill="rgb\(/);
  assert.ok(!svg.includes('var(--') && !svg.includes('class='), svg.slice(0, 300));
});

test('the combinations of a multivariate experiment stand in a grid', async () => {
  const page = await open('/experiments/newsletter-box');
  const grid = page.getByRole('region', { name: 'Combinations of levels' });
  const { metrics } = await api('/v1/experiments/newsletter-box/results');
  const cells = await grid.getByRole('cell').allInnerTexts();
  assert.equal(cells.length, 4);
  for (const arm of metrics[0].arms)
    assert.ok(cells.some((text) => text.includes(`${(arm.mean * 100).toFixed(1)}%`)), `${arm.key}: ${cells}`);
});

test('factors are told by themselves, with the figures of the API', async () => {
  const page = await open('/experiments/newsletter-box');
  const [metric] = (await api('/v1/experiments/newsletter-box/results')).metrics;
  const text = await page.getByRole('region', { name: 'Factors', exact: true }).innerText();
  const percent = (value) => `${value < 0 ? '\u2212' : '+'}${Math.abs(value * 100).toFixed(1)}%`;
  assert.equal(metric.factors.main.length, 2);
  for (const row of metric.factors.main) {
    const other = metric.factors.main.find((item) => item !== row).factor;
    assert.ok(text.includes(`Main effect of ${row.factor}`), text);
    assert.ok(text.includes(`${row.level} ${percent(row.estimate)} (${percent(row.interval[0])} to ${
      percent(row.interval[1])}) against ${row.reference}, averaged over ${other}`), text);
  }
  const [interaction] = metric.factors.interactions;
  assert.ok(text.includes(interaction.p_value <= metric.alpha ? 'they depend: choose the pair'
    : 'no sign that they depend on each other'), text);
  const grid = page.getByRole('region', { name: 'Combinations of levels' });
  const best = metric.factors.cells.find((cell) => cell.variant === metric.factors.best);
  const marked = (await grid.getByRole('cell').allInnerTexts()).filter((cell) => cell.includes('best of all'));
  assert.equal(marked.length, 1);
  assert.ok(marked[0].includes(`${(best.shrunk.estimate * 100).toFixed(1)}% drawn to the centre`), marked[0]);
  assert.match(text, /flattered by luck/);
  assert.deepEqual(await findings(page), []);
});

test('theme and colours are settings of this browser, kept over a reload', async () => {
  const page = await open('/experiments/recommendations', { colorScheme: 'light' });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByText('Settings').click();
  await page.getByLabel('Theme').selectOption('dark');
  await page.getByLabel('Verdicts without colour').check();
  assert.notEqual(await ground(), light);
  await page.reload();
  await ready(page);
  assert.notEqual(await ground(), light);
  const colours = await page.evaluate(() => [getComputedStyle(document.querySelector('td.verdict.better')).color,
    getComputedStyle(document.body).color]);
  assert.equal(colours[0], colours[1]);
  assert.deepEqual(await findings(page), []);
});

test('an error says what failed, keeps the figures and their time, and can be tried again', async () => {
  const page = await open('/experiments/recommendations');
  let broken = true;
  await page.route('**/v1/**', (route) => (broken
    ? route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Service Unavailable', detail: 'the queue is full', request_id: 'r-7' }) })
    : route.continue()));
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('alert').waitFor();
  const text = await page.locator('main').innerText();
  assert.match(text, /the queue is full/);
  assert.match(text, /Request r-7/);
  assert.match(text, /Numbers are from \d\d:\d\d/);
  assert.match(text, /Roll back/);
  broken = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('alert').waitFor({ state: 'detached' });
});

test('what is empty says what to do next', async () => {
  const page = await open('/experiments');
  await page.route('**/v1/experiments', (route) => route.fulfill({ json: { experiments: [], next: null } }));
  await page.reload();
  await page.getByText('There is none yet').waitFor();
  assert.match(await page.locator('pre').innerText(), /curl .*\/v1\/experiments/);
  assert.deepEqual(await findings(page), []);
});

test('a quantile and a percentile cap are named beside their metric', async () => {
  const page = await open('/experiments');
  await page.route('**/v1/experiments/recommendations/results*', async (route) => {
    const json = await (await route.fetch()).json();
    const row = json.metrics.find((metric) => metric.key === 'revenue');
    json.metrics.push({ ...row, key: 'p90', name: 'Ninetieth', kind: 'quantile', quantile: 0.9 });
    Object.assign(row, { cap: 212.4, cap_percentile: 99 });
    await route.fulfill({ json });
  });
  await page.goto(`${site.url}/experiments/recommendations`);
  await page.getByText('p90').first().waitFor();
  assert.match(await page.locator('main').innerText(), /secondary, capped at the 99th percentile \(212\.40\)/);
  assert.match(await page.locator('main').innerText(), /Ninetieth\s*secondary, p90/);
  assert.deepEqual(site.complaints, []);
});

test('on paper there is no navigation, and the address stands below', async () => {
  const page = await open('/experiments/recommendations');
  await page.emulateMedia({ media: 'print' });
  assert.equal(await page.locator('header').isVisible(), false);
  assert.match(await page.locator('footer').innerText(), /\/experiments\/recommendations/);
  assert.ok((await page.pdf()).length > 10_000);
});

test('the results page is at most 60 KB over the wire, and no page loads what only others need', async () => {
  const sum = (sizes) => Object.values(sizes).reduce((a, b) => a + b, 0);
  const results = await weigh('/experiments/recommendations');
  const list = await weigh('/experiments');
  assert.ok(sum(results) > 10_000 && sum(results) < 60_000, JSON.stringify(results));
  assert.ok(sum(list) < sum(results) && !Object.keys(list).some((path) => path.startsWith('/experiment-')), JSON.stringify(list));
  // HTML names every script that comes: none is found only by running another one.
  const page = await open('/experiments/recommendations', {}, {
    prepare: (fresh) => fresh.on('response', (answer) => {
      const { pathname } = new URL(answer.url());
      if (/\.(js|css)$/.test(pathname) && !results[pathname]) site.complaints.push(`not named: ${pathname}`);
    }),
  });
  assert.equal(await page.locator('nav a[aria-current]').innerText(), 'Experiments');
  assert.deepEqual(site.complaints, []);
});

test('addresses that are none say so', async () => {
  for (const path of ['/experiments/', '/experiments/a/b', '/experiment', '/settings'])
    assert.equal((await fetch(site.url + path)).status, 404, path);
});
