/** Bencher Metric Format: benchmarks, measures and metrics as its schema has them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderBencher } from '../../../bench/output/bencher.ts';
import type { ScenarioResult } from '../../../bench/result.ts';
import { resultOf } from '../../support/result.ts';
import { invalidRun, measuredRun } from './measured.ts';

type Benchmarks = Record<string, Record<string, Record<string, number>>>;

function benchmarksOf(...scenarios: ScenarioResult[]): Benchmarks {
  return JSON.parse(renderBencher(resultOf(scenarios))) as Benchmarks;
}

test('latencies are in nanoseconds, with the best and the worst second as bounds', () => {
  const benchmarks = benchmarksOf(measuredRun());
  assert.equal(benchmarks['a-scenario.confirm.p50'], {
    latency: { value: 10_000_000, lower_value: 9_000_000, upper_value: 11_000_000 },
  });
  assert.equal(benchmarks['a-scenario.confirm.p99'], {
    latency: { value: 19_792_000, lower_value: 18_000_000, upper_value: 21_000_000 },
  });
});

test('the other figures of a run are measures of one benchmark', () => {
  // 2,000 packets and 64 MiB over 1,000 messages and 10 clients.
  const load = { ...measuredRun().load, mode: 'closed', achievedPerSec: 99 };
  const benchmarks = benchmarksOf(measuredRun({ load, series: [] }));
  assert.equal(Object.keys(benchmarks), ['a-scenario']);
  for (const [measure, value] of [
    ['server-cpu-us-per-message', 12.5],
    ['packets-per-message', 2],
    ['server-bytes-per-client', 6_710_886.4],
    ['throughput', 99],
  ] as const) {
    assert.equal(benchmarks['a-scenario']?.[measure], { value }, measure);
  }
});

test('every metric has a value, and bounds around it if any', () => {
  const numbers = Object.values(benchmarksOf(measuredRun())).flatMap((measures) =>
    Object.values(measures),
  );
  for (const { value, lower_value: lower = value, upper_value: upper = value } of numbers) {
    assert.ok((lower as number) <= (value as number) && (value as number) <= (upper as number));
  }
});

test('runs without numbers to compare are left out', () => {
  assert.is(renderBencher(resultOf([invalidRun()])), '{}\n');
  assert.is(renderBencher(resultOf([measuredRun({ verdict: 'unknown' })])), '{}\n');
});

test.run();
