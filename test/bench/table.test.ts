/** The report for people: columns that align, colours only where they are wanted. */
import { stripVTControlCharacters } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { columns } from '../../bench/columns.ts';
import { renderResult } from '../../bench/table.ts';
import { ledgerOf } from '../support/books.ts';
import type { ScenarioResult } from '../../bench/result.ts';
import { resultOf, scenarioResult } from '../support/result.ts';

const ESCAPE = '\u001b[';

/** Runs with these variables and puts the old ones back. */
function withEnvironment(facts: Record<string, string | undefined>, run: () => void): void {
  const before = Object.keys(facts).map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(facts)) set(name, value);
  try {
    run();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

function plain(result: Parameters<typeof renderResult>[0]): string {
  let text = '';
  withEnvironment({ NO_COLOR: '1', FORCE_COLOR: undefined }, () => (text = renderResult(result)));
  return text;
}

test('pads columns to their widest cell: the first to the left, the others to the right', () => {
  const rows = [
    ['name', 'count', 'p99'],
    ['accept', '1,000', '1.20 ms'],
    ['x', '7', '-'],
  ];
  assert.is(
    columns(rows),
    ['  name    count      p99', '  accept  1,000  1.20 ms', '  x           7        -'].join('\n'),
  );
  assert.is(columns(rows, '').split('\n')[0], 'name    count      p99');
});

test('columns leave no spaces at line ends, and take rows of different length', () => {
  const text = columns([['a', 'long header'], ['b', ''], ['c']]);
  for (const line of text.split('\n')) assert.is(line, line.trimEnd());
  assert.is(columns([]), '');
});

test('lines of a table end in one column', () => {
  const text = plain(resultOf([scenarioResult({ extra: { costTable: COSTS } })]));
  const table = text.split('\n').filter((line) => /^ {2}(strategy|naive|paged-next) /.test(line));
  assert.is(table.length, 3);
  assert.is(new Set(table.map(({ length }) => length)).size, 1, table.join('\n'));
});
const COSTS = [
  {
    strategy: 'naive',
    disturbance: 'none',
    interactions: 50,
    expected: 50,
    rows: 2000,
    repeats: 0,
    bytesReceived: 300_000,
    bytesSent: 4000,
    drainUs: 12_345,
  },
  {
    strategy: 'paged-next',
    disturbance: 'server killed',
    interactions: 7,
    expected: null,
    rows: 2100,
    repeats: 100,
    bytesReceived: 12,
    bytesSent: 4_000_000,
    drainUs: 3,
  },
];

test('FORCE_COLOR paints, NO_COLOR does not, and the text is the same', () => {
  const result = resultOf([scenarioResult()]);
  let painted = '';
  withEnvironment({ FORCE_COLOR: '1', NO_COLOR: '1' }, () => (painted = renderResult(result)));
  assert.ok(painted.includes(ESCAPE));
  const text = plain(result);
  assert.not(text.includes(ESCAPE));
  assert.is(stripVTControlCharacters(painted), text);
  withEnvironment({ FORCE_COLOR: '0', NO_COLOR: '1' }, () => {
    assert.not(renderResult(result).includes(ESCAPE));
  });
});

test('counts one thing in the singular', () => {
  const { load } = scenarioResult();
  const one = { load: { ...load, clients: 1, sent: 1 }, ledger: ledgerOf({ attempted: 1 }) };
  assert.match(plain(resultOf([scenarioResult(one)])), '1 client, 1 message)');
  assert.match(plain(resultOf([scenarioResult(one)])), 'PASS: 1 scenario, 1 message, ');
  const two = plain(resultOf([scenarioResult(), scenarioResult()]));
  assert.match(two, 'PASS: 2 scenarios, 2,000 messages, ');
});

test('says what a run without loss proves', () => {
  const text = plain(resultOf([scenarioResult()]));
  assert.match(
    text,
    'PASS: 1 scenario, 1,000 messages, 0 lost (loss below 3.0e-3 at 95 %; would have caught a loss of 1 in 10,000 with 9.51 %), 12 s, seed 42',
  );
});

test('names the rarest loss that would hardly have been overlooked', () => {
  const powerOf = (accepted: number, facts: Partial<ScenarioResult> = {}): string => {
    const ledger = ledgerOf({ attempted: accepted, accepted });
    const text = plain(resultOf([scenarioResult({ ledger, ...facts })]));
    return /would have caught a loss of [^)]*/.exec(text)?.[0] ?? '';
  };
  assert.is(powerOf(69_074), 'would have caught a loss of 1 in 10,000 with 99.89 %');
  assert.is(powerOf(69_075), 'would have caught a loss of 1 in 10,000 with 99.9 %');
  assert.is(powerOf(299_571), 'would have caught a loss of 1 in 10,000 with 99.99 %');
  assert.is(powerOf(299_572), 'would have caught a loss of 1 in 100,000 with 95 %');
  assert.is(powerOf(100_000_000), 'would have caught a loss of 1 in 1,000,000 with 99.99 %');
  assert.is(powerOf(1_000_000, { lossBelow: null }), '', 'no loss was judged without quiescence');
});

test('shows what is wrong: reasons, examples, and the figures that must be zero', () => {
  const ledger = ledgerOf({ attempted: 1000, accepted: 1000, delivered: 998, lost: 2 });
  const bad = scenarioResult({
    verdict: 'fail',
    reasons: ['lost: 2 of 1000 messages'],
    examples: ['lost 1->2 epoch 1 seq 5..6'],
    ledger,
    thresholds: [{ threshold: 'confirm.p99<1ms', value: null, ok: false }],
  });
  const text = plain(resultOf([bad], { verdict: 'fail', interrupted: true }));
  assert.match(text, 'a-scenario  fail  (relay, memory, 10 clients, 1,000 messages)');
  assert.match(text, '  ! lost: 2 of 1000 messages');
  assert.match(text, '    lost 1->2 epoch 1 seq 5..6');
  assert.match(text, 'lost 2, falseConfirm 0, duplicated 0');
  assert.match(text, 'threshold  confirm.p99<1ms: no value, FAILED');
  assert.match(text, 'FAIL: interrupted: 1 scenario, 1,000 messages, 2 lost, 12 s');
});

test('keeps examples to itself when nothing is wrong', () => {
  const text = plain(resultOf([scenarioResult({ examples: ['corrupt 1->2'] })]));
  assert.not(text.includes('corrupt 1->2'));
});

test('a generator that was the bottleneck comes with a rate that it can send', () => {
  const base = scenarioResult();
  const busy = (ok: boolean): ScenarioResult => ({
    ...base,
    verdict: ok ? 'pass' : 'invalid',
    load: { ...base.load, offeredPerSec: 10_000, achievedPerSec: 9900 },
    generator: { ...base.generator, eluMean: 0.84 },
    gates: [{ id: 'G3', name: 'generator busy', value: 0.84, limit: '<= 0.7', ok }],
  });
  assert.match(plain(resultOf([busy(false)])), 'take --rate 7000 or less on this machine');
  assert.not.match(plain(resultOf([busy(true)])), '--rate');
});

test.run();
