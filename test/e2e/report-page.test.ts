// deadline: 120s
/// <reference lib="dom" />
/**
 * The pages in a real browser: every plot is drawn, nothing leaves the page, nothing is wider than a
 * phone, sliders calculate what `plan` calculates, and what a hostile file says is only ever text.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LiveRunServer } from '../../bench/live/live-run.ts';
import { FIELDS } from '../../bench/plan/fields.ts';
import { planFleet, type PlanInputs } from '../../bench/plan/formulas.ts';
import { DEFAULT_MACHINES } from '../../bench/plan/inputs.ts';
import { renderPage } from '../../bench/report/page-html.ts';
import { readFiles } from '../../bench/report/read-files.ts';
import type { PageData } from '../../bench/report/model.ts';
import { BROWSER_FILE, openPage, startBrowser } from '../support/browser.ts';
import { searchedCapacity, comparisonFile, fullResult, seriesOf } from '../support/report-files.ts';
import { resultOf, scenarioResult } from '../support/result.ts';
import { withTempDir } from '../support/temp-dir.ts';

const suiteOfPages = suite('pages');
const test = BROWSER_FILE === null ? suiteOfPages.skip : suiteOfPages;
let browser: Browser;

suiteOfPages.before(async () => {
  if (BROWSER_FILE !== null) browser = await startBrowser();
});
suiteOfPages.after(async () => browser?.close());

/** Writes files and the page that is made of them; its address. */
function pageOf(directory: string, files: readonly unknown[]): string {
  const names = files.map((content, i) => {
    const file = path.join(directory, `file-${i}.json`);
    writeFileSync(file, JSON.stringify(content));
    return file;
  });
  const data = readFiles(names);
  assert.not('mistakes' in data, JSON.stringify(data));
  const html = path.join(directory, 'report.html');
  writeFileSync(html, renderPage(data as PageData));
  return pathToFileURL(html).href;
}

const isReady = (page: Page) => page.waitForSelector('html[data-ready]', { state: 'attached' });

/** A page with its content there; what it complained about and asked for. */
async function openReady(
  url: string,
  look: Parameters<typeof openPage>[1],
): ReturnType<typeof openPage> {
  const opened = await openPage(browser, look);
  await opened.page.goto(url);
  await isReady(opened.page);
  return opened;
}

/** Plots by how much is drawn: painted pixels of a canvas, shapes of an SVG. */
async function plotsOf(page: Page): Promise<{ pixels: number[]; shapes: number[] }> {
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.plot')].every(({ firstElementChild: first }) => first !== null),
  );
  // A canvas is painted in the frame after the one that made it.
  await page.evaluate(
    () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
  );
  return page.evaluate(() => {
    const painted = (canvas: HTMLCanvasElement): number => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 3; i < data.length; i += 4) if (data[i]! > 0) count++;
      return count;
    };
    return {
      pixels: [...document.querySelectorAll('canvas')].map(painted),
      shapes: [...document.querySelectorAll('.plot svg')].map(
        (svg) => svg.querySelectorAll('path, circle, rect').length,
      ),
    };
  });
}

const widthOf = (page: Page) =>
  page.evaluate(() => ({ wide: document.documentElement.scrollWidth, room: innerWidth }));

test('draws every plot of every kind of file, light on a desk and dark on a phone, and asks for nothing', () =>
  withTempDir(async (directory) => {
    const other = { commit: { sha: 'ffffffff00', dirty: true, branch: 'main' } };
    const files = [fullResult(), fullResult(other), comparisonFile(), searchedCapacity()];
    const url = pageOf(directory, files);
    for (const look of [
      { width: 1440, scheme: 'light' },
      { width: 390, scheme: 'dark' },
    ] as const) {
      const { page, complaints, requests } = await openReady(url, look);
      const { pixels, shapes } = await plotsOf(page);
      assert.is(pixels.length, 10, 'five canvases for each of two scenarios');
      assert.ok(Math.min(...pixels) > 1000, `painted pixels: ${pixels.join(', ')}`);
      assert.is(
        shapes.length,
        6,
        'percentiles of two scenarios, a comparison, three of a capacity',
      );
      assert.ok(Math.min(...shapes) >= 4, `shapes: ${shapes.join(', ')}`);
      const { wide, room } = await widthOf(page);
      assert.ok(wide <= room, `${wide} pixels do not fit in ${room}`);
      assert.equal(complaints, []);
      assert.equal(
        requests.filter((address) => !address.startsWith('data:')),
        [url],
      );
      await page.close();
    }
  }));

test('says the verdict first, in words that need no manual', () =>
  withTempDir(async (directory) => {
    const failed = scenarioResult({ verdict: 'fail', reasons: ['lost 3'] });
    failed.ledger.lost = 3;
    const url = pageOf(directory, [resultOf([failed], { verdict: 'fail' })]);
    const { page } = await openReady(url, { width: 1440, scheme: 'light' });
    assert.is(await page.locator('main h1').first().innerText(), 'FAIL 3 messages were lost.');
    const many = pageOf(directory, [
      resultOf([failed], { verdict: 'fail' }),
      fullResult(),
      fullResult(),
    ]);
    await page.goto(many);
    await isReady(page);
    const [all, ...others] = await page.locator('main h1').allInnerTexts();
    assert.is(all, 'FAIL is the verdict of 1 of 3 runs.');
    assert.equal(others, []);
    await page.close();
  }));

test('lays runs over each other and names them, and warns where their loads differ', () =>
  withTempDir(async (directory) => {
    const other = fullResult({ commit: { sha: 'ffffffff00', dirty: false, branch: 'main' } });
    (other.scenarios[0] as { configHash: string }).configHash = 'another';
    const url = pageOf(directory, [fullResult(), other]);
    const { page } = await openReady(url, { width: 1440, scheme: 'light' });
    const steady = page.locator('[data-scenario=steady]');
    const legend = await steady.locator('.u-legend').first().innerText();
    assert.match(legend, /a1b2c3d4[\s\S]*ffffffff/);
    assert.match(await steady.innerText(), /The configurations differ/);
    await page.close();
  }));

test('sliders calculate what plan calculates, to the last digit', () =>
  withTempDir(async (directory) => {
    const url = pageOf(directory, [searchedCapacity()]);
    const { page, complaints } = await openReady(url, { width: 1440, scheme: 'light' });
    const answer = page.locator('[data-answer]');
    const before = await answer.innerText();
    await page.locator('select[aria-label^="a kind"]').selectOption('consumer-messenger');
    const users = page.locator('input[name=dailyUsers]');
    await users.focus();
    await users.fill('270');
    assert.is.not(await answer.innerText(), before, 'the answer moved');
    const command = await page.locator('pre').last().textContent();
    const flags = new Map(
      [...(command ?? '').matchAll(/--([a-z0-9-]+) (\S+)/g)].map(([, flag, text]) => [flag, text]),
    );
    const values = FIELDS.map(({ key, flag, fallback, parse }) => {
      const text = flags.get(flag);
      return [key, text === undefined ? fallback : parse(text)];
    });
    const { model, search } = searchedCapacity();
    assert.ok(model !== null);
    const inputs = { ...Object.fromEntries(values), machines: DEFAULT_MACHINES } as PlanInputs;
    assert.ok(inputs.dailyUsers > 10_000_000, `${inputs.dailyUsers} users`);
    const { fleets, chosen } = planFleet({ model, search, refusal: null }, inputs);
    const fleet = fleets[chosen as number];
    assert.is(await answer.getAttribute('data-nodes'), String(fleet?.nodes.value));
    assert.is(await answer.getAttribute('data-nodes-exact'), String(fleet?.nodesExact.value));
    assert.is(await answer.getAttribute('data-busy-share'), String(fleet?.busyShare.value));
    assert.equal(complaints, []);
    await page.close();
  }));

test('a slider leads back to where it was, and the defaults undo a kind of messaging', () =>
  withTempDir(async (directory) => {
    const url = pageOf(directory, [searchedCapacity()]);
    const { page, complaints } = await openReady(url, { width: 1440, scheme: 'light' });
    const answer = page.locator('[data-answer]');
    const exact = () => answer.getAttribute('data-nodes-exact');
    const before = await exact();
    for (const { key } of FIELDS) {
      const slider = page.locator(`input[type=range][name=${key}]`);
      if ((await slider.count()) === 0) continue;
      await slider.evaluate((input: HTMLInputElement) => {
        const start = input.value;
        for (const value of [input.max, input.min, start]) {
          input.value = value;
          input.dispatchEvent(new Event('input'));
        }
      });
      assert.is(await exact(), before, key);
    }
    const kinds = page.locator('select[aria-label^="a kind"]');
    assert.is(await kinds.inputValue(), '');
    await kinds.selectOption('customer-support');
    assert.is.not(await exact(), before);
    const growth = page.locator('input[name=growth]');
    await growth.fill('100');
    assert.is(await kinds.inputValue(), '', 'it is that kind no longer');
    await kinds.selectOption('the defaults');
    assert.is(await exact(), before);
    assert.equal(complaints, []);
    await page.close();
  }));

test('the worst verdict stands first, whatever kind of file it is of', () =>
  withTempDir(async (directory) => {
    const bad = resultOf([scenarioResult({ verdict: 'fail', series: seriesOf(3) })], {
      verdict: 'fail',
    });
    const url = pageOf(directory, [searchedCapacity(), fullResult(), bad]);
    const { page, complaints } = await openReady(url, { width: 1440, scheme: 'light' });
    const verdicts = await page
      .locator('[data-verdict]')
      .evaluateAll((heroes) => heroes.map((hero) => (hero as HTMLElement).dataset['verdict']));
    assert.is(verdicts[0], 'fail');
    assert.is(verdicts.length, 3);
    assert.equal(complaints, []);
    await page.close();
  }));

test('what a hostile file says is text', () =>
  withTempDir(async (directory) => {
    const evil =
      '</script><script>window.isOwned = true</script><img src=x onerror="window.isOwned = true">';
    const hostile = scenarioResult({
      name: evil,
      verdict: 'fail',
      reasons: [evil],
      examples: [evil],
      config: { description: evil, [evil]: evil, clientEvents: [{ atS: 1, action: evil }] },
      configHash: evil,
      packets: { [evil]: 7 },
      gates: [{ id: evil, name: evil, value: 1, limit: evil, ok: false }],
      thresholds: [{ threshold: evil, value: 1, ok: false }],
      series: seriesOf(3),
      extra: {
        trace: evil,
        costTable: evil,
        chaos: { never: evil },
        layout: { servers: 1, reason: evil },
      },
    });
    const result = resultOf([hostile], {
      verdict: 'fail',
      startedAt: evil,
      commit: { sha: evil, dirty: true, branch: evil },
    });
    Object.assign(result.environment, { cpuModel: evil, kernel: evil });
    const comparison = comparisonFile();
    comparison.reasons.push(evil);
    (comparison.a as { label: string }).label = evil;
    (comparison.metrics[0] as { name: string }).name = evil;
    const url = pageOf(directory, [result, comparison]);
    const { page, complaints, requests } = await openReady(url, { width: 390, scheme: 'light' });
    assert.is(await page.evaluate('window.isOwned'), undefined);
    assert.is(await page.locator('img').count(), 0);
    assert.ok(
      (await page.locator('main').innerText()).includes('onerror="window.isOwned'),
      'it is shown',
    );
    assert.equal(complaints, []);
    assert.is(requests.length, 1);
    const { wide, room } = await widthOf(page);
    assert.ok(wide <= room, `${wide} pixels do not fit in ${room}`);
    await page.close();
  }));

test('changes between light and dark by a button, and is light on paper', () =>
  withTempDir(async (directory) => {
    const url = pageOf(directory, [fullResult()]);
    const { page } = await openReady(url, { width: 1440, scheme: 'dark' });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    const button = page.getByRole('button', { name: /^Theme/ });
    await button.click();
    const light = await ground();
    assert.is.not(light, dark);
    await button.click();
    assert.is(await ground(), dark, 'dark as chosen');
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    assert.is(await ground(), light);
    assert.is(await page.locator('details:not([open])').count(), 0, 'nothing is folded on paper');
    await page.close();
  }));

test('a live page shows the run as it goes, then its result, and asks its own origin only', async () => {
  const result = fullResult();
  const live = await LiveRunServer.start({ port: 0, planned: ['steady', 'cost', 'saturated'] });
  const { page, complaints, requests } = await openPage(browser, { width: 390, scheme: 'light' });
  await page.goto(live.url);
  await page.waitForSelector('[data-live]');
  live.progress.start('steady', 12, result.scenarios[0]?.config as object);
  for (const point of seriesOf(4)) live.progress.update(point.second, '1,000 confirmed/s', point);
  await page.waitForSelector('[data-live=running] canvas');
  const { pixels } = await plotsOf(page);
  assert.is(pixels.length, 5);
  assert.ok(Math.min(...pixels) > 1000, `painted pixels: ${pixels.join(', ')}`);
  assert.match(
    await page.locator('main h1').first().innerText(),
    /^Running steady, scenario 1 of 3/,
  );
  const { wide, room } = await widthOf(page);
  assert.ok(wide <= room, `${wide} pixels do not fit in ${room}`);
  live.finished({ ...result, scenarios: result.scenarios.slice(0, 1) });
  await page.waitForSelector('[data-verdict=pass]');
  await live.end(result, 'x.json');
  await page.waitForFunction(() => document.querySelectorAll('[data-scenario]').length === 3);
  assert.is(await page.locator('[data-live]').count(), 0);
  assert.equal(complaints, []);
  const origin = new URL(live.url).origin;
  assert.equal(
    requests.filter((address) => !address.startsWith(origin) && !address.startsWith('data:')),
    [],
  );
  await page.close();
});

suiteOfPages.run();
