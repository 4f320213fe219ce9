/** Percentile distributions: numbers that HdrHistogram's plotter reads, and files that exist. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderHgrm } from '../../../bench/output/hgrm.ts';
import { Recorder } from '../../../loadgen/index.ts';
import { latencyReport, resultOf } from '../../support/result.ts';
import { measuredRun, oneOfEach, variantsOf } from './measured.ts';

/** Rows as the plotter takes them: value, percentile, total count, 1/(1-percentile). */
function rowsOf(text: string): number[][] {
  return text
    .split('\n')
    .filter((line) => /^ *\d/.test(line))
    .map((line) => line.trim().split(/ +/).map(Number));
}

test('reads back as the values that were recorded, in ms', () => {
  const [file] = renderHgrm(resultOf([measuredRun()])) as [{ name: string; text: string }];
  assert.is(file.name, 'a-scenario-confirm.hgrm');
  assert.match(file.text, /^ +Value +Percentile TotalCount 1\/\(1-Percentile\)\n\n/);
  const rows = rowsOf(file.text);
  // 1 … 20,000 us, in buckets of 8 us at 10,000 and of 16 us at 20,000.
  assert.equal(
    rows.find(([, percentile]) => percentile === 0.5),
    [10.007, 0.5, 10_007, 2],
  );
  assert.equal(rows.at(-1), [20.015, 1, 20_000]);
  for (const [i, row] of rows.entries()) {
    const [value, percentile, count, distance] = row as [number, number, number, number?];
    const before = (rows[i - 1] ?? [0, 0, 0]) as [number, number, number];
    assert.ok(value >= before[0] && percentile >= before[1] && count >= before[2]);
    if (distance === undefined) continue;
    assert.ok(Math.abs(distance * (1 - percentile) - 1) < 0.01, `row ${i}`);
  }
});

test('ends with mean, deviation, maximum and count', () => {
  const [file] = renderHgrm(resultOf([measuredRun()])) as [{ name: string; text: string }];
  const [, mean, deviation] =
    /^#\[Mean +=( +[\d.]+), StdDeviation +=( +[\d.]+)\]$/m.exec(file.text) ?? [];
  // Of 1 … n: (n + 1) / 2 and sqrt((n² - 1) / 12); the histogram knows 3 digits.
  assert.ok(Math.abs(Number(mean) / 10.0005 - 1) < 0.001, mean);
  assert.ok(Math.abs(Number(deviation) / 5.7735 - 1) < 0.001, deviation);
  assert.match(file.text, /^#\[Max +=\s+20\.015, Total count +=\s+20000\]$/m);
  assert.match(file.text, /^#\[Buckets =\s+\d+, SubBuckets +=\s+2048\]\n$/m);
});

test('what never arrived stands at an hour', () => {
  const recorder = new Recorder();
  for (let i = 0; i < 99; i++) recorder.record(1000);
  recorder.recordNever();
  const latency = { ...latencyReport(), confirmUs: recorder.summary() };
  const [file] = renderHgrm(resultOf([measuredRun({ latency })])) as [
    { name: string; text: string },
  ];
  const [value, , count] = rowsOf(file.text).at(-1) as [number, number, number];
  assert.is(count, 100);
  assert.ok(Math.abs(value / 3_600_000 - 1) < 0.001, `${value} ms`);
});

test('every run and latency has a file of its own, whatever the variants are called', () => {
  const latency = { ...latencyReport(), acceptUs: oneOfEach(5), storedConfirmUs: oneOfEach(5) };
  const variants = ['relay w1', 'relay/w1', '200, 100 in flight', '../..'].map((variant) =>
    measuredRun({ variant, latency }),
  );
  const names = renderHgrm(resultOf([variantsOf(...variants)])).map(({ name }) => name);
  assert.equal(names, [
    'a-scenario-relay-w1-accept.hgrm',
    'a-scenario-relay-w1-storedConfirm.hgrm',
    'a-scenario-relay-w1-accept-2.hgrm',
    'a-scenario-relay-w1-storedConfirm-2.hgrm',
    'a-scenario-200-100-in-flight-accept.hgrm',
    'a-scenario-200-100-in-flight-storedConfirm.hgrm',
    'a-scenario-..-..-accept.hgrm',
    'a-scenario-..-..-storedConfirm.hgrm',
  ]);
});

test.run();
