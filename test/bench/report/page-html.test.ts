/** The page as a file: one script, one style, no way in for what a result file says, nothing from elsewhere. */
import { createHash } from 'node:crypto';
import { Script } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bundlePage } from '../../../bench/report/bundle.ts';
import { inertJson, pagePolicy, renderPage } from '../../../bench/report/page-html.ts';
import { emptyPage } from '../../../bench/report/read-files.ts';
import { STYLE } from '../../../bench/report/style.ts';

const HOSTILE = '</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> \u2028 &amp;';

/** What is between the tags of the `index`-th element of a name. */
function inside(html: string, tag: string, index = 0): string {
  const found = [...html.matchAll(new RegExp(`<${tag}[^>]*>([\\s\\S]*?)</${tag}>`, 'g'))][index];
  assert.ok(found, `there is a ${tag} ${index}`);
  return found[1] as string;
}

test('the browser’s part is one script without modules and types', () => {
  const script = bundlePage();
  assert.ok(new Script(script), 'it can be parsed');
  assert.not.match(script, /^\s*(import|export)\b/m);
  assert.match(script, /uPlot/);
  assert.match(script, /planFleet/, 'the formulas of plan are in it');
});

test('whatever a file says stays data', () => {
  const page = emptyPage({ isLive: false });
  page.tool = { name: HOSTILE, version: HOSTILE };
  const html = renderPage(page);
  assert.is(html.match(/<script/g)?.length, 2, 'the data and the script');
  assert.not.match(inertJson(HOSTILE), /[<>&\u2028]/);
  const data = inside(html, 'script', 0);
  assert.equal((JSON.parse(data) as typeof page).tool.name, HOSTILE);
});

test('the policy allows the one script and the one style, and no request', () => {
  const html = renderPage(emptyPage({ isLive: false }));
  const hash = (text: string): string =>
    `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '';
  assert.is(policy, pagePolicy({ isLive: false }));
  assert.ok(policy.includes(`script-src ${hash(inside(html, 'script', 1))}`));
  assert.ok(policy.includes(`style-src ${hash(inside(html, 'style'))}`));
  assert.match(policy, /default-src 'none'.*connect-src 'none'/);
  assert.not.match(policy, /unsafe|https?:/);
  assert.match(pagePolicy({ isLive: true }), /connect-src 'self'/);
});

test('nothing on the page comes from elsewhere', () => {
  const html = renderPage(emptyPage({ isLive: false }));
  const namespaces = /http:\/\/www\.w3\.org\/\d+\/\w+/g;
  const rest = html.replace(namespaces, '').match(/(?:https?:)?\/\/[\w.-]+\.\w+\S*/g) ?? [];
  assert.equal(
    rest.filter((address) => !/leeoniya/.test(address)),
    [],
    'only the home of the plotting library, in its notice',
  );
});

/** WCAG 2: relative luminance of `#rrggbb`. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const share = parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [
    number,
    number,
  ];
  return (light + 0.05) / (dark + 0.05);
}

/** The colour variables of the first block that sets this scheme. */
function coloursOf(scheme: 'light' | 'dark'): Record<string, string> {
  const block = new RegExp(`color-scheme: ${scheme};([^}]*)`).exec(STYLE)?.[1] ?? '';
  return Object.fromEntries(
    [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6})\b/gi)].map(([, name, value]) => [name, value]),
  );
}

test('texts have a contrast of 4.5 on their ground, lines and bars one of 3, light and dark', () => {
  for (const scheme of ['light', 'dark'] as const) {
    const colours = coloursOf(scheme);
    const check = (name: string, ground: string, least: number): void => {
      const ratio = contrast(colours[name] as string, colours[ground] as string);
      assert.ok(ratio >= least, `${scheme}: ${name} on ${ground} has ${ratio.toFixed(2)}`);
    };
    for (const ground of ['ground', 'card', 'sunk']) {
      for (const text of ['ink', 'quiet', 'fail']) check(text, ground, 4.5);
    }
    for (const tone of ['pass', 'fail', 'warn']) {
      check(tone, 'card', 4.5);
      check(tone, `${tone}-ground`, 4.5);
      check('ink', `${tone}-ground`, 4.5);
    }
    check('warn', 'sunk', 4.5);
    check('accent', 'card', 4.5);
    check('mark', 'card', 4.5);
    for (const curve of ['c0', 'c1', 'c2', 'c3', 'c4', 'c5']) check(curve, 'card', 3);
  }
});

test.run();
