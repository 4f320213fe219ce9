/**
 * The recorder against hdr-histogram-js, which it replaces in the hot path and whose format it
 * writes: same buckets, same percentiles, same interchange.
 */
import { build, decodeFromCompressedBase64, type Histogram } from 'hdr-histogram-js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../loadgen/random.ts';
import {
  isQuantileKnown,
  LATENCY_MAX_US,
  percentileCurve,
  Recorder,
} from '../../loadgen/recorder.ts';

function library(): Histogram {
  return build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MAX_US,
    numberOfSignificantValueDigits: 3,
  });
}

/** Counts by bucket; getCountAtIndex is public, but not part of the interface. */
function countsOf(histogram: Histogram): number[] {
  const all = histogram as Histogram & {
    readonly countsArrayLength: number;
    getCountAtIndex(index: number): number;
  };
  return Array.from({ length: all.countsArrayLength }, (_, i) => all.getCountAtIndex(i));
}

/** Largest value that shares a bucket of 3 digits with `value`. */
function highestEquivalent(value: number): number {
  const unit = 2 ** Math.max(0, Math.floor(Math.log2(value)) - 10);
  return Math.floor(value / unit) * unit + unit - 1;
}

/** Both edges of every power of two, and values of every magnitude. */
function interestingValues(): number[] {
  const values = [0, 1, 2, 1000, 2047, 2048, 2049, 4095, 4096, LATENCY_MAX_US - 1, LATENCY_MAX_US];
  for (let bit = 1; bit < 32; bit++) {
    for (const by of [-1, 0, 1]) {
      const value = 2 ** bit + by;
      if (value <= LATENCY_MAX_US) values.push(value);
    }
  }
  const random = new Random(5, 'recorder test');
  for (let i = 0; i < 20_000; i++) values.push(Math.floor(LATENCY_MAX_US ** random.unit()));
  return values;
}

test('has the bucket layout of the library', () => {
  const reference = library();
  const recorder = new Recorder();
  for (const value of interestingValues()) {
    reference.recordValue(value);
    recorder.record(value);
  }
  const expected = countsOf(reference);
  const found = [...recorder.counts];
  assert.ok(found.length <= expected.length);
  assert.equal(found, expected.slice(0, found.length));
  assert.is(
    expected.slice(found.length).reduce((sum, count) => sum + count, 0),
    0,
  );
});

test('gives the percentiles of the library', () => {
  const random = new Random(6, 'recorder test');
  // A multiple of 10,000 samples, so that every rank is whole and both round alike.
  const samples = Array.from({ length: 50_000 }, () => Math.round(random.exponential(3000)));
  const reference = library();
  const recorder = new Recorder();
  for (const value of samples) {
    reference.recordValue(value);
    recorder.record(value);
  }
  samples.sort((a, b) => a - b);
  for (const q of [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]) {
    const value = recorder.quantile(q);
    const exact = samples[Math.round(q * samples.length) - 1] as number;
    assert.ok(value <= exact && exact <= highestEquivalent(value), `p${q}: ${value} of ${exact}`);
    // The library answers with the largest value of the same bucket.
    assert.is(highestEquivalent(value), reference.getValueAtPercentile(q * 100), `p${q}`);
    assert.ok((exact - value) / exact < 0.001);
  }
});

test('quantiles of values below 2048 us are exact', () => {
  const recorder = new Recorder();
  for (const value of [30, 10, 50, 20, 40]) recorder.record(value);
  assert.is(recorder.quantile(0), 10);
  assert.is(recorder.quantile(0.2), 10);
  assert.is(recorder.quantile(0.21), 20);
  assert.is(recorder.quantile(0.5), 30);
  assert.is(recorder.quantile(0.8), 40);
  assert.is(recorder.quantile(0.81), 50);
  assert.is(recorder.quantile(1), 50);
  const all = new Recorder();
  for (let us = 1; us <= 2000; us++) all.record(us);
  assert.is(all.quantile(0.5), 1000);
  assert.is(all.quantile(0.9), 1800);
  assert.is(all.quantile(0.99), 1980);
  assert.is(all.mean, 1000.5);
  assert.is(all.max, 2000);
});

test('an empty recorder has no quantile, mean or maximum', () => {
  const empty = new Recorder();
  assert.equal([empty.count, empty.mean, empty.max, empty.quantile(0.5)], [0, 0, 0, 0]);
  const { hdr, ...summary } = empty.summary();
  assert.equal(summary, {
    count: 0,
    mean: 0,
    p50: null,
    p90: null,
    p95: null,
    p99: null,
    p999: null,
    p9999: null,
    max: 0,
  });
  assert.is(decodeFromCompressedBase64(hdr).totalCount, 0);
});

test('the maximum is exact and bounds every quantile', () => {
  const recorder = new Recorder();
  recorder.record(1_234_567);
  assert.is(recorder.max, 1_234_567);
  for (const q of [0.01, 0.5, 1]) assert.ok(recorder.quantile(q) <= 1_234_567);
});

test('rounds fractions and clamps what is out of range', () => {
  const recorder = new Recorder();
  recorder.record(-5);
  recorder.record(1.4);
  recorder.record(1.5);
  recorder.record(LATENCY_MAX_US * 3);
  recorder.record(Infinity);
  assert.is(recorder.count, 5);
  assert.is(recorder.quantile(0.2), 0);
  assert.is(recorder.quantile(0.4), 1);
  assert.is(recorder.quantile(0.6), 2);
  assert.is(recorder.max, LATENCY_MAX_US);
});

test('never is an hour, in every quantile that it reaches', () => {
  assert.is(LATENCY_MAX_US, 3600 * 1e6);
  const recorder = new Recorder();
  for (let i = 0; i < 950; i++) recorder.record(100);
  recorder.recordNever(50);
  assert.is(recorder.count, 1000);
  assert.is(recorder.quantile(0.95), 100);
  assert.is(recorder.quantile(0.951), LATENCY_MAX_US);
  assert.is(recorder.quantile(0.99), LATENCY_MAX_US);
  assert.is(recorder.max, LATENCY_MAX_US);
  assert.is(recorder.mean, (950 * 100 + 50 * LATENCY_MAX_US) / 1000);
});

test('merging adds counts, as if one recorder had seen everything', () => {
  const parts = [new Recorder(), new Recorder(), new Recorder()];
  const whole = new Recorder();
  for (const [i, value] of interestingValues().entries()) {
    (parts[i % 3] as Recorder).record(value);
    whole.record(value);
  }
  const merged = new Recorder();
  for (const part of parts) merged.add(part.state());
  assert.equal(merged.state(), whole.state());
  assert.equal(merged.summary(), whole.summary());
  const copied = structuredClone(merged.state());
  const again = new Recorder();
  again.add(copied);
  assert.equal(again.summary(), whole.summary(), 'a state survives its way between threads');
});

test('reset forgets everything', () => {
  const recorder = new Recorder();
  recorder.record(5);
  recorder.recordNever();
  recorder.reset();
  assert.equal(recorder.state(), new Recorder().state());
});

test('a quantile is known from 100 / (1 - q) samples on', () => {
  const needed: [q: number, samples: number][] = [
    [0.5, 200],
    [0.9, 1000],
    [0.95, 2000],
    [0.99, 10_000],
    [0.999, 100_000],
    [0.9999, 1_000_000],
  ];
  for (const [q, samples] of needed) {
    assert.not(isQuantileKnown(q, samples - 1), `p${q} of ${samples - 1}`);
    assert.ok(isQuantileKnown(q, samples), `p${q} of ${samples}`);
  }
});

test('the summary leaves out quantiles without enough samples', () => {
  const recorder = new Recorder();
  const known = (): string[] =>
    Object.entries(recorder.summary())
      .filter(([name, value]) => /^p\d/.test(name) && value !== null)
      .map(([name]) => name);
  const grow = (count: number): void => {
    while (recorder.count < count) recorder.record(7);
  };
  grow(199);
  assert.equal(known(), []);
  grow(200);
  assert.equal(known(), ['p50']);
  grow(2000);
  assert.equal(known(), ['p50', 'p90', 'p95']);
  grow(99_999);
  assert.equal(known(), ['p50', 'p90', 'p95', 'p99']);
  grow(100_000);
  assert.equal(known(), ['p50', 'p90', 'p95', 'p99', 'p999']);
  grow(1_000_000);
  assert.equal(known(), ['p50', 'p90', 'p95', 'p99', 'p999', 'p9999']);
});

test('the hdr string of a summary decodes to the same counts', () => {
  const recorder = new Recorder();
  for (const value of interestingValues()) recorder.record(value);
  const decoded = decodeFromCompressedBase64(recorder.summary().hdr);
  assert.is(decoded.totalCount, recorder.count);
  const counts = countsOf(decoded);
  const found = [...recorder.counts];
  const length = Math.max(counts.length, found.length);
  for (let i = 0; i < length; i++) assert.is(counts[i] ?? 0, found[i] ?? 0, `bucket ${i}`);
});

test('a curve goes from the smallest value to the largest, with the percentiles of the summary', () => {
  const recorder = new Recorder();
  for (let i = 1; i <= 200_000; i++) recorder.record(7 * i);
  recorder.recordNever(2);
  const summary = recorder.summary();
  const curve = percentileCurve(summary.hdr);
  assert.equal(curve[0], [1, 7]);
  assert.equal(curve.at(-1), [200_002, LATENCY_MAX_US], 'what never arrived is the end of it');
  assert.equal(
    curve.find(([oneOver]) => oneOver === 2),
    [2, summary.p50],
  );
  assert.equal(curve.find(([oneOver]) => Math.abs(oneOver - 10) < 0.7)?.[0], 10);
  for (const [i, [oneOver, us]] of curve.entries()) {
    const before = curve[i - 1];
    assert.ok(before === undefined || (before[0] < oneOver && before[1] <= us), `ascends at ${i}`);
    assert.is(us, recorder.quantile(1 - 1 / oneOver) || 7, `p${100 * (1 - 1 / oneOver)}`);
  }
});

test('an empty histogram has no curve, and what is none is refused', () => {
  assert.equal(percentileCurve(new Recorder().summary().hdr), []);
  assert.throws(() => percentileCurve('zzz'));
});

test.run();
