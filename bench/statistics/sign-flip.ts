/**
 * The exact sign-flip test of paired differences, and the interval that belongs to it.
 *
 * If neither side differs, a difference is as likely to be -d as d. So the p-value is the share of
 * the 2^n assignments of signs whose sum is at least as far from 0 as the one observed (Fisher, The
 * Design of Experiments, 1935, section 21). Nothing is assumed about the shape of the noise but its
 * symmetry, and a drift of the machine that hits both sides of a pair cancels in d.
 *
 * The interval holds every shift that the test does not reject: its ends are means of subsets of the
 * differences (Hartigan, "Using subsample values as typical values", JASA 64, 1969).
 *
 * Cost: 2^n steps, so at most PAIRS_MAX pairs.
 */
import assert from 'node:assert/strict';

/** 2^22 subset means are 32 MiB and half a second. */
export const PAIRS_MAX = 22;
/** Sums that differ by less are one: rounding must not decide about a tie. */
const RELATIVE_TIE = 1e-12;

/** Two-sided p of "the differences are symmetric about 0". 1 for no differences. */
export function signFlipP(differences: readonly number[]): number {
  const n = differences.length;
  assert(n <= PAIRS_MAX, `at most ${PAIRS_MAX} pairs`);
  const observed = Math.abs(differences.reduce((sum, d) => sum + d, 0));
  const scale = differences.reduce((sum, d) => sum + Math.abs(d), 0);
  const limit = observed - RELATIVE_TIE * scale;
  // Gray code: each step flips one sign, and the sum follows by one addition.
  let sum = -differences.reduce((total, d) => total + d, 0);
  let signs = 0;
  let extreme = 0;
  const assignments = 2 ** n;
  for (let k = 1; k <= assignments; k++) {
    if (Math.abs(sum) >= limit) extreme++;
    const bit = 31 - Math.clz32(k & -k);
    if (bit >= n) break;
    signs ^= 1 << bit;
    sum += ((signs >>> bit) & 1 ? 2 : -2) * (differences[bit] as number);
  }
  return extreme / assignments;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * All shifts that the two-sided test at 1 - `confidence` does not reject. Infinite when there are
 * too few pairs to reject anything: 2^(1-n) is the smallest p of n pairs.
 */
export function signFlipInterval(differences: readonly number[], confidence = 0.95): Interval {
  const n = differences.length;
  assert(n <= PAIRS_MAX, `at most ${PAIRS_MAX} pairs`);
  const subsets = 2 ** n;
  const rank = Math.floor(((1 - confidence) / 2) * subsets + 1e-9);
  if (rank < 1) return { low: -Infinity, high: Infinity };
  const means = new Float64Array(subsets - 1);
  let sum = 0;
  let size = 0;
  let members = 0;
  for (let k = 1; k < subsets; k++) {
    const bit = 31 - Math.clz32(k & -k);
    members ^= 1 << bit;
    const isIn = ((members >>> bit) & 1) === 1;
    sum += (isIn ? 1 : -1) * (differences[bit] as number);
    size += isIn ? 1 : -1;
    means[k - 1] = sum / size;
  }
  means.sort();
  return { low: means[rank - 1] as number, high: means[means.length - rank] as number };
}
