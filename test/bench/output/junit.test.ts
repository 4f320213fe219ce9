/** JUnit XML: well-formed, counts that add up, and the right thing blamed. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderJunit } from '../../../bench/output/junit.ts';
import type { Result, ScenarioResult } from '../../../bench/result.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';
import { BUSY_GATE, invalidRun, measuredRun, variantsOf } from './measured.ts';

interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: Element[];
  text: string;
}

const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** As a plain error, which `assert.throws` takes for one. */
function demand(isMet: unknown, what: string): asserts isMet {
  if (isMet === undefined || isMet === false) throw new Error(what);
}

function decode(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (_, code: string | undefined, name: string) => {
    if (code !== undefined) return String.fromCodePoint(Number(code));
    const named = NAMED[name];
    demand(named, `&${name}; is no entity`);
    return named;
  });
}

/** The part of XML that a report may use; throws at what is not well-formed. */
function parseXml(text: string): Element {
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  demand(text.startsWith(head), 'no declaration');
  const forbidden = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;
  demand(!forbidden.test(text), 'a forbidden character');
  const token =
    /<(\/?)([A-Za-z][\w-]*)((?: [a-z]+="(?:[^<&"]|&(?:#\d+|\w+);)*")*)(\/?)>|((?:[^<&]|&(?:#\d+|\w+);)+)/y;
  token.lastIndex = head.length;
  const root: Element = { name: '', attributes: new Map(), children: [], text: '' };
  const open = [root];
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const found = token.exec(text);
    if (found === null) throw new Error(`not well-formed: ${text.slice(at, at + 60)}`);
    const [, closing, name, attributes, empty, content] = found;
    const parent = open.at(-1) as Element;
    if (content !== undefined) parent.text += decode(content);
    else if (closing === '/') demand(open.pop()?.name === name, `</${name}> closes something else`);
    else {
      const pairs = [...(attributes as string).matchAll(/ ([a-z]+)="([^"]*)"/g)];
      const element: Element = {
        name: name as string,
        attributes: new Map(
          pairs.map(([, key, value]) => [key as string, decode(value as string)]),
        ),
        children: [],
        text: '',
      };
      demand(element.attributes.size === pairs.length, 'an attribute twice');
      parent.children.push(element);
      if (empty !== '/') open.push(element);
    }
  }
  demand(open.length === 1, 'an element is not closed');
  demand(root.children.length === 1, 'more than one root');
  return root.children[0] as Element;
}

const COUNTS = ['tests', 'failures', 'errors', 'skipped'] as const;

function countsOf({ attributes }: Element): number[] {
  return COUNTS.map((name) => Number(attributes.get(name)));
}

/** Suites of the report, after checking what holds for every report. */
function suitesOf(scenarios: ScenarioResult[], facts: Partial<Result> = {}): Element[] {
  const root = parseXml(renderJunit(resultOf(scenarios, facts)));
  assert.is(root.name, 'testsuites');
  const sums = [0, 0, 0, 0];
  const known = new Set<string>();
  for (const suite of root.children) {
    assert.is(suite.name, 'testsuite');
    const cases = suite.children.filter(({ name }) => name === 'testcase');
    const having = (kind: string): number =>
      cases.filter(({ children }) => children.some(({ name }) => name === kind)).length;
    const counts = [cases.length, having('failure'), having('error'), having('skipped')];
    assert.equal(countsOf(suite), counts, 'the counts of a suite are those of its cases');
    counts.forEach((count, i) => (sums[i] = (sums[i] as number) + count));
    for (const one of cases) {
      assert.ok(one.children.length <= 1);
      assert.match(one.attributes.get('time') as string, /^\d+\.\d{3}$/);
      const key = `${one.attributes.get('classname')} ${one.attributes.get('name')}`;
      assert.not(known.has(key), `${key} is there once`);
      known.add(key);
    }
    const times = cases.map(({ attributes }) => Number(attributes.get('time')));
    const total = times.reduce((sum, time) => sum + time, 0);
    assert.is(total.toFixed(3), suite.attributes.get('time'));
  }
  assert.equal(countsOf(root), sums);
  assert.match(root.attributes.get('timestamp') as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  return root.children;
}

/** `name: outcome` of every case. */
function outcomesOf(suite: Element | undefined): string[] {
  const cases = (suite?.children ?? []).filter(({ name }) => name === 'testcase');
  return cases.map(
    ({ attributes, children }) => `${attributes.get('name')}: ${children[0]?.name ?? 'passed'}`,
  );
}

function textOf(suite: Element | undefined, name: string): string {
  const found = suite?.children.find(({ attributes }) => attributes.get('name') === name);
  return found?.children[0]?.text ?? '';
}

test('the check knows what is not well-formed', () => {
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  const wrong = ['<a>', '<a></b>', '<a b="<"/>', '<a>&</a>', '<a>&no;</a>', '<a b="1" b="2"/>'];
  for (const text of [...wrong, '<a/><b/>', '<a b=1/>', '<a>\u0001</a>']) {
    assert.throws(
      () => parseXml(head + text),
      (error: unknown) => error instanceof Error,
      text,
    );
  }
  assert.is(parseXml(`${head}<a b="&lt;&#10;"><c/>d</a>`).attributes.get('b'), '<\n');
});

test('a passed scenario is a suite of passed cases', () => {
  const run = measuredRun({
    gates: [{ ...BUSY_GATE, value: 0.2, ok: true }],
    thresholds: [{ threshold: 'confirm.p99<50ms', value: 19_792, ok: true }],
    extra: { elapsedS: 12.3456 },
  });
  const [suite] = suitesOf([run]);
  assert.equal(outcomesOf(suite), [
    'audit: passed',
    'G3 generator busy: passed',
    'threshold confirm.p99<50ms: passed',
  ]);
  assert.is(suite?.attributes.get('time'), '12.346');
  assert.is(suite?.children[1]?.attributes.get('classname'), 'ackbench.a-scenario');
});

test('a failed audit is a failure with reasons and examples', () => {
  const run = scenarioResult({
    verdict: 'fail',
    reasons: ['lost: 2 of 1000 messages', 'falseConfirm: 2 of 1000 messages'],
    examples: ['lost 1->2 epoch 1 seq 5..6'],
  });
  const [suite] = suitesOf([run], { verdict: 'fail' });
  assert.equal(outcomesOf(suite), ['audit: failure']);
  assert.is(
    textOf(suite, 'audit'),
    'lost: 2 of 1000 messages\nfalseConfirm: 2 of 1000 messages\nlost 1->2 epoch 1 seq 5..6',
  );
});

test('a missed threshold is a failure of its own, and the audit passed', () => {
  const run = measuredRun({
    verdict: 'fail',
    reasons: ['threshold confirm.p99<1ms missed: it is 19792'],
    thresholds: [{ threshold: 'confirm.p99<1ms', value: 19_792, ok: false }],
  });
  const [suite] = suitesOf([run], { verdict: 'fail' });
  assert.equal(outcomesOf(suite), ['audit: passed', 'threshold confirm.p99<1ms: failure']);
  assert.is(textOf(suite, 'threshold confirm.p99<1ms'), 'it is 19.8 ms');
});

test('a failed gate is an error, and thresholds of that run were not judged', () => {
  const thresholds = [{ threshold: 'confirm.p99<1ms', value: 19_792, ok: false }];
  const [suite] = suitesOf([invalidRun({ thresholds })], { verdict: 'invalid' });
  assert.equal(outcomesOf(suite), [
    'audit: passed',
    'G3 generator busy: error',
    'threshold confirm.p99<1ms: skipped',
  ]);
  const expected = 'the generator was the bottleneck: loop busy 93 %\nvalue 0.93, limit <= 0.7';
  assert.is(textOf(suite, 'G3 generator busy'), expected);
});

test('a failed audit and a failed gate are both told', () => {
  const run = invalidRun();
  const both = { ...run, verdict: 'fail' as const, reasons: ['lost: 1', ...run.reasons] };
  const [suite] = suitesOf([both], { verdict: 'fail' });
  assert.equal(outcomesOf(suite), ['audit: failure', 'G3 generator busy: error']);
  assert.is(textOf(suite, 'audit'), 'lost: 1');
});

test('what makes a run invalid and is no gate is told at the audit', () => {
  const run = scenarioResult({
    verdict: 'invalid',
    reasons: ['planned, but never happened: kill'],
  });
  const [suite] = suitesOf([run], { verdict: 'invalid' });
  assert.equal(outcomesOf(suite), ['audit: error']);
  assert.is(textOf(suite, 'audit'), 'planned, but never happened: kill');
});

test('nothing proven is an error, and gates of what was interrupted were not asked', () => {
  const run = measuredRun({
    verdict: 'unknown',
    reasons: ['interrupted: the figures cover what was run'],
    gates: [BUSY_GATE],
  });
  const [suite] = suitesOf([run], { verdict: 'unknown', interrupted: true });
  assert.equal(outcomesOf(suite), ['audit: error', 'G3 generator busy: skipped']);
});

test('variants have cases of their own', () => {
  const bad = scenarioResult({ variant: 'w16', verdict: 'fail', reasons: ['lost: 1'] });
  const sum = {
    ...variantsOf(scenarioResult({ variant: 'w1' }), bad),
    verdict: 'fail' as const,
    reasons: ['w16: lost: 1'],
  };
  const [suite] = suitesOf([sum], { verdict: 'fail' });
  assert.equal(outcomesOf(suite), [
    'w1: audit: passed',
    'w16: audit: failure',
    'all variants: passed',
  ]);
});

test('a verdict that no variant explains is told at all of them', () => {
  // Of several rounds the result keeps one.
  const sum = {
    ...variantsOf(scenarioResult({ variant: 'w1' })),
    verdict: 'fail' as const,
    reasons: ['w1: lost: 1'],
  };
  const [suite] = suitesOf([sum], { verdict: 'fail' });
  assert.equal(outcomesOf(suite), ['w1: audit: passed', 'all variants: failure']);
});

test('a scenario that could not be run is missed', () => {
  const suites = suitesOf([scenarioResult()], { verdict: 'invalid' });
  assert.equal(outcomesOf(suites[1]), ['all scenarios were run: error']);
  const none = suitesOf([], { verdict: 'unknown', interrupted: true });
  assert.equal(outcomesOf(none[0]), ['all scenarios were run: error']);
});

test('text of all kinds comes back as it was, or with what XML forbids replaced', () => {
  const reason = `a<b && "c" > 'd' ]]> é 😀 \u0000\u001b[31m`;
  const run = scenarioResult({
    verdict: 'fail',
    reasons: [reason],
    thresholds: [
      { threshold: 'a.b<1', value: 0, ok: true },
      { threshold: 'a.b<1', value: 0, ok: true },
    ],
  });
  const [suite] = suitesOf([run], { verdict: 'fail' });
  assert.is(textOf(suite, 'audit'), reason.replace('\u0000\u001b', '\uFFFD\uFFFD'));
  const failure = suite?.children[1]?.children[0];
  assert.is(failure?.attributes.get('message'), failure?.text);
});

test.run();
