/** Durations, counts and numbers, as people write and read them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  formatBytes,
  formatCount,
  formatDurationMs,
  formatUs,
  parseCount,
  parseDurationMs,
  printable,
  significant,
} from '../../bench/units.ts';
import { LATENCY_MAX_US } from '../../loadgen/index.ts';

test('reads durations: plain seconds, one unit, or several', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['30', 30_000],
    ['1.5', 1500],
    ['500ms', 500],
    ['30s', 30_000],
    ['0.5s', 500],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1m30s', 90_000],
    ['1h2m3s4ms', 3_723_004],
  ];
  for (const [text, ms] of cases) assert.is(parseDurationMs(text), ms, text);
});

test('writes durations as they are read', () => {
  for (const text of ['0ms', '500ms', '1s', '1m30s', '1h', '1h2m3s4ms', '168h']) {
    assert.is(formatDurationMs(parseDurationMs(text)), text);
  }
});

test('shows control characters of a file instead of sending them to the terminal', () => {
  assert.is(
    printable('a\u001b[2Jb\tc\u009bd\r\ne\u0000'),
    'a\ufffd[2Jb\ufffdc\ufffdd\ufffd\ne\ufffd',
  );
  assert.is(printable('a line, × and ~\n'), 'a line, × and ~\n');
});

test('refuses what is no duration', () => {
  for (const text of ['', 's', '-1', '1d', '1 s', '1h30', '1.s', '.5s', '1e3', '10ks', 'NaN']) {
    assert.ok(Number.isNaN(parseDurationMs(text)), JSON.stringify(text));
  }
});

test('reads counts with k and m', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['250', 250],
    ['10k', 10_000],
    ['10K', 10_000],
    ['1.5m', 1_500_000],
    ['0.5k', 500],
  ];
  for (const [text, count] of cases) assert.is(parseCount(text), count, text);
});

test('refuses what is no count', () => {
  for (const text of ['', 'k', '-5', '1,000', '1g', '10 k', '1.k', '1e6', 'Infinity']) {
    assert.ok(Number.isNaN(parseCount(text)), JSON.stringify(text));
  }
});

test('writes counts with thousands apart', () => {
  assert.equal([0, 7, 999, 1000, 999_999, 1_234_567, 1e9, 1999.6, -1234].map(formatCount), [
    '0',
    '7',
    '999',
    '1,000',
    '999,999',
    '1,234,567',
    '1,000,000,000',
    '2,000',
    '-1,234',
  ]);
});

test('writes latencies with three digits and a unit that fits', () => {
  const cases: [number | null, string][] = [
    [null, '-'],
    [0, '0 us'],
    [7, '7.00 us'],
    [999, '999 us'],
    [1000, '1.00 ms'],
    [12_345, '12.3 ms'],
    [999_000, '999 ms'],
    [1_500_000, '1.50 s'],
    [61_000_000, '61.0 s'],
    [LATENCY_MAX_US - 1, '3,600 s'],
    [LATENCY_MAX_US, 'never'],
  ];
  for (const [us, text] of cases) assert.is(formatUs(us), text);
});

test('writes bytes as B, KiB or MiB', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1536, '1.50 KiB'],
    [2 ** 20, '1.00 MiB'],
    [150 * 2 ** 20, '150 MiB'],
    [3000 * 2 ** 20, '2.93 GiB'],
  ];
  for (const [bytes, text] of cases) assert.is(formatBytes(bytes), text);
});

test('writes three significant digits, never an exponent', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [0.001234, '0.001'],
    [0.1234, '0.123'],
    [1.234, '1.23'],
    [-1.234, '-1.23'],
    [12.34, '12.3'],
    [123.4, '123'],
    [12_345.6, '12,346'],
    [1e21 / 1e12, '1,000,000,000'],
  ];
  for (const [value, text] of cases) assert.is(significant(value), text);
});

test.run();
