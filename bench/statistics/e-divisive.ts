/**
 * Change points of a series: where the distribution before and after differs most in the sense of
 * energy statistics (Matteson & James, "A nonparametric approach for multiple change point analysis",
 * JASA 109, 2014, with exponent 1), split again and again.
 *
 * Whether the best split of all segments is one, a permutation decides: the same maximum over the
 * series with its values shuffled inside each segment. Shuffled are blocks, not single values, because
 * runs on one machine resemble their neighbours: with single values, or with a t-test at the chosen
 * split, noise that is merely autocorrelated is full of change points.
 *
 * Cost: O(n^2) per segment and permutation.
 */
import assert from 'node:assert/strict';

export interface EDivisiveOptions {
  /** Values on either side of a change point, at least 2. Default 3. */
  readonly sizeMin?: number;
  /** Length of the blocks that are shuffled. Default 3. */
  readonly blockLength?: number;
  /** Default 999: p is a multiple of 1/1000. */
  readonly permutations?: number;
  /** Largest p of a change point. Default 0.05. */
  readonly level?: number;
  /** A whole number from 0 to below `bound`; the same seed gives the same change points. */
  readonly below: (bound: number) => number;
}

export interface ChangePoint {
  /** The first value of the new regime. */
  readonly index: number;
  readonly p: number;
}

interface Split {
  readonly at: number;
  /** nm/(n+m) times the energy distance of the two sides. */
  readonly statistic: number;
}

/** Change points in ascending order. */
export function eDivisive(values: readonly number[], options: EDivisiveOptions): ChangePoint[] {
  const { sizeMin = 3, blockLength = 3, permutations = 999, level = 0.05, below } = options;
  assert(sizeMin >= 2, 'a distance within one value says nothing');
  const found: ChangePoint[] = [];
  for (;;) {
    const ends = [...found.map(({ index }) => index).sort((a, b) => a - b), values.length];
    const segments = ends.map((end, i) => values.slice(i === 0 ? 0 : (ends[i - 1] as number), end));
    const starts = ends.map((_, i) => (i === 0 ? 0 : (ends[i - 1] as number)));
    let best: Split | null = null;
    for (const [i, segment] of segments.entries()) {
      const split = bestSplit(segment, sizeMin);
      if (split === null || split.statistic <= (best?.statistic ?? -Infinity)) continue;
      best = { at: split.at + (starts[i] as number), statistic: split.statistic };
    }
    if (best === null) break;
    let asLarge = 1;
    // More than `level` of all permutations cannot become fewer: stop there.
    const asLargeMax = level * (permutations + 1);
    for (let k = 0; k < permutations && asLarge <= asLargeMax; k++) {
      const largest = Math.max(
        ...segments.map(
          (segment) =>
            bestSplit(shuffleBlocks(segment, blockLength, below), sizeMin)?.statistic ?? 0,
        ),
      );
      if (largest >= best.statistic) asLarge++;
    }
    if (asLarge > asLargeMax) break;
    found.push({ index: best.at, p: asLarge / (permutations + 1) });
  }
  return found.sort((a, b) => a.index - b.index);
}

/** The split with the largest statistic; null when the values are too few to be split. */
export function bestSplit(values: readonly number[], sizeMin: number): Split | null {
  const n = values.length;
  if (n < 2 * sizeMin) return null;
  const distance = (i: number, j: number): number =>
    Math.abs((values[i] as number) - (values[j] as number));
  // Sums of |x_i - x_j| over pairs on the left, on the right and across, moved along with the split.
  let left = 0;
  let right = 0;
  let across = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      if (j < sizeMin) left += distance(i, j);
      else if (i >= sizeMin) right += distance(i, j);
      else across += distance(i, j);
    }
  }
  let best: Split | null = null;
  for (let at = sizeMin; ; at++) {
    const m = n - at;
    const energy =
      (2 * across) / (at * m) - left / ((at * (at - 1)) / 2) - right / ((m * (m - 1)) / 2);
    const statistic = ((at * m) / n) * energy;
    if (best === null || statistic > best.statistic) best = { at, statistic };
    if (at === n - sizeMin) return best;
    let toLeft = 0;
    let toRight = 0;
    for (let i = 0; i < at; i++) toLeft += distance(i, at);
    for (let j = at + 1; j < n; j++) toRight += distance(at, j);
    left += toLeft;
    right -= toRight;
    across += toRight - toLeft;
  }
}

/** The values with their blocks in random order; where the first block begins is random, too. */
function shuffleBlocks(
  values: readonly number[],
  blockLength: number,
  below: (bound: number) => number,
): number[] {
  const n = values.length;
  const blocks: number[][] = [];
  const offset = below(n);
  for (let i = 0; i < n; i += blockLength) {
    const length = Math.min(blockLength, n - i);
    blocks.push(Array.from({ length }, (_, k) => values[(offset + i + k) % n] as number));
  }
  for (let i = blocks.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [blocks[i], blocks[j]] = [blocks[j] as number[], blocks[i] as number[]];
  }
  return blocks.flat();
}
