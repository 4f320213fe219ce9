/**
 * A slope that a few wild values cannot bend: the median of the slopes between all pairs of points
 * (Theil 1950; Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968),
 * and Sen's interval for it from the variance of Kendall's statistic. O(n^2 log n).
 */

export interface Slope {
  readonly slope: number;
  /** Of the 95 % interval. */
  readonly low: number;
  readonly high: number;
}

const Z_95 = 1.959963984540054;

/** Slope of `ys` over their index. Infinite ends when the points are too few to tell anything. */
export function theilSen(ys: readonly number[]): Slope {
  const n = ys.length;
  const slopes: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      slopes.push(((ys[j] as number) - (ys[i] as number)) / (j - i));
    }
  }
  if (slopes.length === 0) return { slope: 0, low: -Infinity, high: Infinity };
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  const slope =
    slopes.length % 2 === 1
      ? (slopes[middle] as number)
      : ((slopes[middle - 1] as number) + (slopes[middle] as number)) / 2;
  const spread = Z_95 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const lowRank = Math.floor((slopes.length - spread) / 2);
  const highRank = Math.ceil((slopes.length + spread) / 2);
  return {
    slope,
    low: slopes[lowRank] ?? -Infinity,
    high: slopes[highRank] ?? Infinity,
  };
}
