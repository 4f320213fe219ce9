/** The exact sign-flip test and its interval, against published and enumerated values. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { signFlipInterval, signFlipP } from '../../../bench/statistics/sign-flip.ts';

/** Darwin's maize: differences of 15 pairs in eighths of an inch (Fisher 1935, sections 17 and 21). */
const MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48];

test("Fisher's own example: 863 of the 32,768 assignments reach the sum 314 on either side", () => {
  assert.is(signFlipP(MAIZE), (2 * 863) / 32_768);
});

test('pairs that all differ the same way have the smallest p that so many pairs can have', () => {
  for (const n of [1, 2, 6, 8, 12]) {
    const same = Array.from({ length: n }, (_, i) => 1 + i);
    assert.is(signFlipP(same), 2 ** (1 - n));
    assert.is(signFlipP(same.map((d) => -d)), 2 ** (1 - n));
  }
});

test('differences of nothing are no difference', () => {
  assert.is(signFlipP([]), 1);
  assert.is(signFlipP([0, 0, 0]), 1);
});

test('rounding does not break ties', () => {
  // |±0.1 ±0.2 ±0.3| reaches 0.2 + 0.1 - 0.3 = 0 (in doubles 5.6e-17) in all eight assignments.
  assert.is(signFlipP([0.1, 0.2, -0.3]), 1);
  assert.is(signFlipP([0.1, 0.2, 0.3]), 2 / 8);
});

/** Enumerated the long way. */
function enumerated(ds: readonly number[]): number {
  let extreme = 0;
  const observed = Math.abs(ds.reduce((sum, d) => sum + d, 0));
  for (let signs = 0; signs < 2 ** ds.length; signs++) {
    const sum = ds.reduce((total, d, i) => total + ((signs >> i) & 1 ? d : -d), 0);
    if (Math.abs(sum) >= observed - 1e-9) extreme++;
  }
  return extreme / 2 ** ds.length;
}

test('agrees with the enumeration of all signs', () => {
  for (const ds of [
    [3, -1, 4, -1, 5, -9, 2, 6],
    [0.02, 0.031, -0.004, 0.05, 0.017, 0.009, -0.02, 0.03],
    MAIZE,
  ]) {
    assert.is(signFlipP(ds), enumerated(ds));
  }
});

test('the interval is where the test stops rejecting', () => {
  for (const ds of [MAIZE, [0.02, 0.031, -0.004, 0.05, 0.017, 0.009, -0.02, 0.03]]) {
    const { low, high } = signFlipInterval(ds);
    const p = (shift: number): number => enumerated(ds.map((d) => d - shift));
    const step = 1e-6 * (high - low);
    assert.ok(p(low - step) <= 0.05, 'rejected below');
    assert.ok(p(low + step) > 0.05, 'not rejected just inside');
    assert.ok(p(high - step) > 0.05, 'not rejected just inside');
    assert.ok(p(high + step) <= 0.05, 'rejected above');
  }
});

test('five pairs can reject nothing, so their interval is everything', () => {
  assert.equal(signFlipInterval([1, 2, 3, 4, 5]), { low: -Infinity, high: Infinity });
  assert.ok(Number.isFinite(signFlipInterval([1, 2, 3, 4, 5, 6]).low));
});

test('more pairs than can be enumerated are refused', () => {
  assert.throws(() => signFlipP(new Array<number>(23).fill(1)), /at most 22 pairs/);
});

test.run();
