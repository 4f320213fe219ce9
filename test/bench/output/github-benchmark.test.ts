/** The two files for benchmark-action/github-action-benchmark. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { biggerFileOf, renderGithubBenchmark } from '../../../bench/output/github-benchmark.ts';
import type { ScenarioResult } from '../../../bench/result.ts';
import { resultOf } from '../../support/result.ts';
import { invalidRun, measuredRun, second, variantsOf } from './measured.ts';

interface Entry {
  name: string;
  unit: string;
  value: number;
  range?: string;
  extra: string;
}

function entriesOf(...scenarios: ScenarioResult[]): { smaller: Entry[]; bigger: Entry[] } {
  const { smaller, bigger } = renderGithubBenchmark(resultOf(scenarios));
  return { smaller: JSON.parse(smaller) as Entry[], bigger: JSON.parse(bigger) as Entry[] };
}

const CLOSED = { clients: 10, offeredPerSec: 0, achievedPerSec: 99.5, sent: 1000, mode: 'closed' };

test('an open loop has figures of which less is better', () => {
  const { smaller, bigger } = entriesOf(measuredRun());
  assert.equal(bigger, []);
  const names = smaller.map(({ name }) => name);
  for (const figure of ['serverCpu', 'packets', 'memory', 'confirm.p50']) {
    assert.ok(names.includes(`a-scenario.${figure}`), figure);
  }
  const p99 = smaller.find(({ name }) => name === 'a-scenario.confirm.p99');
  assert.equal(p99, {
    name: 'a-scenario.confirm.p99',
    unit: 'us',
    value: 19_792,
    range: '18000 … 21000',
    extra: 'verdict pass\n10 clients, 1000 messages\nconfig 0123456789abcdef, seed 42',
  });
});

test('a closed loop has its throughput in the other file, and no latency', () => {
  const series = [second(1), second(2, { confirmedPerSec: 90 }), second(3)];
  const { smaller, bigger } = entriesOf(measuredRun({ load: CLOSED, series }));
  assert.equal(
    bigger.map(({ name, unit, value, range }) => [name, unit, value, range]),
    [['a-scenario.throughput', '/s', 99.5, '90 … 100']],
  );
  assert.not(smaller.some(({ unit, name }) => unit === 'us' && name !== 'a-scenario.serverCpu'));
});

test('the file for bigger values lies beside the other', () => {
  assert.is(biggerFileOf('out/bench.json'), 'out/bench.bigger.json');
  assert.is(biggerFileOf('out/bench'), 'out/bench.bigger.json');
  assert.is(biggerFileOf('out.json/bench'), 'out.json/bench.bigger.json');
});

test('runs without numbers to compare are left out, and both files stay arrays', () => {
  const unknown = measuredRun({ name: 'unknown', verdict: 'unknown' });
  assert.equal(entriesOf(invalidRun(), unknown), { smaller: [], bigger: [] });
  const { smaller } = entriesOf(invalidRun(), measuredRun({ name: 'good', verdict: 'fail' }));
  assert.ok(smaller.length > 0);
  for (const { name } of smaller) assert.match(name, /^good\./);
});

test('latencies that no gate stood guard over are left out', () => {
  const config = { judged: 'audit', warmupS: 1 };
  const { smaller } = entriesOf(measuredRun({ config }));
  assert.not(smaller.some(({ name }) => name.includes('confirm')));
  assert.ok(smaller.some(({ name }) => name === 'a-scenario.serverCpu'));
});

test('variants are told apart', () => {
  const runs = ['w1', 'w16'].map((variant) => measuredRun({ variant, load: CLOSED }));
  const { bigger } = entriesOf(variantsOf(...runs));
  assert.equal(
    bigger.map(({ name }) => name),
    ['a-scenario w1.throughput', 'a-scenario w16.throughput'],
  );
});

test('a range that does not hold the value is none', () => {
  // Stored messages are in the figure and not in the seconds.
  const { bigger } = entriesOf(measuredRun({ load: { ...CLOSED, achievedPerSec: 500 } }));
  assert.not('range' in (bigger[0] as Entry));
  const { smaller } = entriesOf(measuredRun({ series: [] }));
  for (const entry of smaller) assert.not('range' in entry, entry.name);
});

test.run();
