/** Holm, Student's t and the slope of Theil and Sen, against independent values. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { holm } from '../../../bench/statistics/holm.ts';
import { studentCdf, studentQuantile } from '../../../bench/statistics/student.ts';
import { theilSen } from '../../../bench/statistics/theil-sen.ts';

const near = (actual: number, expected: number, error: number): void => {
  assert.ok(Math.abs(actual - expected) <= error, `${actual} is near ${expected}`);
};

test('Holm: the values of p.adjust(…, "holm") in R', () => {
  const rounded = (ps: number[]): number[] => holm(ps).map((p) => Number(p.toFixed(10)));
  assert.equal(rounded([0.01, 0.02, 0.03, 0.04]), [0.04, 0.06, 0.06, 0.06]);
  // Wright, "Adjusted p-values for simultaneous inference", Biometrics 48 (1992): the worked order.
  assert.equal(rounded([0.04, 0.01, 0.03, 0.005]), [0.06, 0.03, 0.06, 0.02]);
  assert.equal(rounded([0.6, 0.9]), [1, 1]);
  assert.equal(holm([]), []);
});

test("Student's t: the table of critical values", () => {
  // Pearson & Hartley, Biometrika Tables for Statisticians, table 12.
  for (const [q, freedom, t] of [
    [0.975, 1, 12.7062047],
    [0.975, 7, 2.36462425],
    [0.975, 11, 2.20098516],
    [0.95, 10, 1.81246112],
    [0.8, 7, 0.89602964],
    [0.995, 30, 2.74999565],
  ] as const) {
    near(studentQuantile(q, freedom), t, 1e-7);
    near(studentQuantile(1 - q, freedom), -t, 1e-7);
    near(studentCdf(t, freedom), q, 1e-8);
  }
  assert.is(studentCdf(0, 5), 0.5);
});

test('one degree of freedom is the Cauchy distribution', () => {
  for (const t of [-3, -0.5, 0.1, 2, 40]) {
    near(studentCdf(t, 1), 0.5 + Math.atan(t) / Math.PI, 1e-12);
  }
});

test('the slope is that of the line, whatever a few wild points do', () => {
  const line = Array.from({ length: 20 }, (_, i) => 3 + 0.5 * i);
  assert.equal(theilSen(line), { slope: 0.5, low: 0.5, high: 0.5 });
  line[4] = 1e6;
  line[15] = -1e6;
  const { slope, low, high } = theilSen(line);
  assert.is(slope, 0.5);
  assert.ok(low <= 0.5 && high >= 0.5);
});

test('few points tell nothing about a slope', () => {
  assert.equal(theilSen([7]), { slope: 0, low: -Infinity, high: Infinity });
  assert.is(theilSen([1, 2]).low, -Infinity);
});

test('the interval of a slope has the ranks that Sen gives', () => {
  // n = 7: 21 slopes, 1.96 sqrt(7 * 6 * 19 / 18) = 13.05, so the ranks (21 -+ 13.05) / 2.
  const ys = [1, 4, 2, 8, 5, 7, 9];
  const slopes: number[] = [];
  for (let i = 0; i < 7; i++) {
    for (let j = i + 1; j < 7; j++) slopes.push((ys[j]! - ys[i]!) / (j - i));
  }
  slopes.sort((a, b) => a - b);
  assert.equal(theilSen(ys), { slope: slopes[10], low: slopes[3], high: slopes[18] });
});

test.run();
