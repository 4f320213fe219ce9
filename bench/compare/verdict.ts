/**
 * How a comparison decides. A pair gives each metric one difference d = ln(B / A).
 *
 *     stage 1   8 pairs     flagged when |mean d| >= δ and the sign-flip p <= 0.05
 *     stage 2   12 fresh    only what was flagged: Holm-corrected p <= 0.05 and |mean d| >= δ
 *
 * Fresh pairs decide, because those that raised the suspicion are chosen for being extreme. What was
 * not flagged is judged by all pairs: `same` only when the whole 95 % interval lies within ±δ, which
 * is proof of sameness and not lack of proof; otherwise `inconclusive`.
 */
import { holm } from '../statistics/holm.ts';
import { median } from '../statistics/median.ts';
import { type Interval, signFlipInterval, signFlipP } from '../statistics/sign-flip.ts';
import { studentQuantile } from '../statistics/student.ts';
import type { Metric } from './metrics.ts';

const LEVEL = 0.05;
/** The smallest p of 6 pairs is 0.031: fewer could never flag anything. */
export const STAGE_1_PAIRS_MIN = 6;
/** The same when Holm's correction multiplies the p of a dozen metrics that were flagged together. */
export const STAGE_2_PAIRS_MIN = 10;

export type MetricVerdict = 'worse' | 'better' | 'same' | 'inconclusive' | 'invalid';

/** The values of one metric in one pair. */
export interface PairValue {
  readonly a: number;
  readonly b: number;
}

/** The pairs of a metric that both sides could be measured in. */
export interface MetricPairs {
  readonly metric: Metric;
  readonly stage1: readonly PairValue[];
  readonly stage2: readonly PairValue[];
}

export interface MetricOutcome {
  readonly name: string;
  readonly scenario: string;
  readonly unit: Metric['unit'];
  readonly tier: Metric['tier'];
  readonly delta: number;
  readonly isLowerBetter: boolean;
  /** Medians over the pairs that decided. */
  readonly a: number;
  readonly b: number;
  readonly pairs: number;
  /** Mean of ln(B / A) and its 95 % interval; infinite ends are null. */
  readonly meanLog: number;
  readonly low: number | null;
  readonly high: number | null;
  /** Of the pairs that decided; Holm-corrected in stage 2. */
  readonly p: number;
  readonly stage: 1 | 2;
  readonly isFlagged: boolean;
  /** The smallest change that would have been called with a chance of 80 %, as a share. */
  readonly detectable: number | null;
  readonly verdict: MetricVerdict;
}

const differences = (pairs: readonly PairValue[]): number[] =>
  pairs.map(({ a, b }) => Math.log(b / a));

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Rounding must not make a change of exactly δ too small. */
const reaches = (change: number, delta: number): boolean =>
  Math.abs(change) >= Math.log1p(delta) - 1e-12;

/** Whether stage 1 gives reason to look again. */
export function isFlagged({ metric, stage1 }: Omit<MetricPairs, 'stage2'>): boolean {
  const ds = differences(stage1);
  if (ds.length < STAGE_1_PAIRS_MIN) return false;
  return reaches(mean(ds), metric.delta) && signFlipP(ds) <= LEVEL;
}

/** The verdict on each metric. `isFinished` = stage 2 was run where stage 1 asked for it. */
export function judgeMetrics(
  all: readonly MetricPairs[],
  { isFinished }: { readonly isFinished: boolean },
): MetricOutcome[] {
  const flags = all.map(isFlagged);
  const ps = all.map(({ stage2 }) => (stage2.length === 0 ? 1 : signFlipP(differences(stage2))));
  const adjusted = holm(ps.filter((_, i) => flags[i]));
  let next = 0;
  return all.map((pairs, i) => {
    const flagged = flags[i] as boolean;
    const corrected = flagged ? (adjusted[next++] as number) : null;
    return judgeOne(pairs, corrected, isFinished);
  });
}

/** `corrected`: the p of stage 2 after Holm; null = not flagged. */
function judgeOne(
  { metric, stage1, stage2 }: MetricPairs,
  corrected: number | null,
  isFinished: boolean,
): MetricOutcome {
  const { name, scenario, unit, tier, delta, isLowerBetter } = metric;
  const decides = corrected !== null && stage2.length > 0 ? stage2 : [...stage1, ...stage2];
  const isFlaggedMetric = corrected !== null;
  const base = { name, scenario, unit, tier, delta, isLowerBetter, isFlagged: isFlaggedMetric };
  if (decides.length === 0) {
    const nothing = { a: NaN, b: NaN, pairs: 0, meanLog: NaN, low: null, high: null, p: 1 };
    return { ...base, ...nothing, stage: 1, detectable: null, verdict: 'invalid' };
  }
  const ds = differences(decides);
  const change = mean(ds);
  const interval = signFlipInterval(ds);
  const stage = corrected !== null && stage2.length > 0 ? 2 : 1;
  const p = stage === 2 ? (corrected as number) : signFlipP(ds);
  const isChanged = stage === 2 && isFinished && p <= LEVEL && reaches(change, delta);
  const isWorse = change > 0 === isLowerBetter;
  return {
    ...base,
    a: median(decides.map(({ a }) => a)),
    b: median(decides.map(({ b }) => b)),
    pairs: decides.length,
    meanLog: change,
    low: finite(interval.low),
    high: finite(interval.high),
    p,
    stage,
    detectable: detectable(ds, { delta, stage1Pairs: stage1.length }),
    verdict: isChanged
      ? isWorse
        ? 'worse'
        : 'better'
      : isSame(interval, delta)
        ? 'same'
        : 'inconclusive',
  };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function isSame({ low, high }: Interval, delta: number): boolean {
  const limit = Math.log1p(delta);
  return low > -limit && high < limit;
}

/**
 * The smallest change that passes stage 1 with a chance of 80 %, from the scatter seen: stage 2 has
 * more pairs and finds less than stage 1 lets through. By Student's t, to which the sign-flip test
 * comes close when the noise is not wild. null for fewer pairs than can flag anything.
 */
function detectable(
  ds: readonly number[],
  { delta, stage1Pairs }: { delta: number; stage1Pairs: number },
): number | null {
  const n = stage1Pairs;
  if (n < STAGE_1_PAIRS_MIN || ds.length < 2) return null;
  const centre = mean(ds);
  const variance = ds.reduce((sum, d) => sum + (d - centre) ** 2, 0) / (ds.length - 1);
  const errors = studentQuantile(1 - LEVEL / 2, n - 1) + studentQuantile(0.8, n - 1);
  return Math.max(delta, Math.expm1(errors * Math.sqrt(variance / n)));
}
