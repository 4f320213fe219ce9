/**
 * Where the series of a history change, and between which commits. Found by E-divisive on logarithms
 * (noise of a run is a share of its value), corrected over all metrics that were looked at, and only
 * where the medians differ by the δ of the metric: a change that nobody would act upon is none.
 *
 *     runs      a a b b c c | d d e e
 *     suspects  c..d          the last commit before the change to the first one after it
 */
import { Random } from '../../loadgen/index.ts';
import { median } from '../statistics/median.ts';
import { type ChangePoint, eDivisive } from '../statistics/e-divisive.ts';
import { falseDiscoveryLimit } from './false-discoveries.ts';
import type { HistoryLine } from './record.ts';
import type { Series } from './series.ts';

const LEVEL = 0.05;
/** Values on either side of a change. */
const SIZE_MIN = 3;
/** Fewer runs cannot be split, and are not counted as looked at. */
export const RUNS_MIN = 2 * SIZE_MIN;
const PERMUTATIONS_MIN = 999;
/**
 * Shuffled are blocks of a twelfth of the runs, at least 3. Longer ones take noise that hangs together
 * better (autocorrelation 0.5, 100 runs, level 5 %: blocks of 3 find a change in 18 % of series, of 5
 * in 11 %, of 8 in 5 %), but leave short histories nothing to shuffle.
 */
const blockLengthOf = (runs: number): number => Math.max(3, Math.round(runs / 12));
/** Any: the same history has the same changes every time. */
const SEED = 1;

export interface Change {
  /** Index of the first run of the new regime. */
  readonly run: number;
  /** Medians of the runs up to the neighbouring changes. */
  readonly before: number;
  readonly after: number;
  /** after / before - 1. */
  readonly change: number;
  readonly isWorse: boolean;
  readonly p: number;
  readonly suspects: Suspects;
}

/** The change lies after `from`, and at the latest in `to`; a `*` = with uncommitted changes. */
export interface Suspects {
  readonly from: string;
  readonly to: string;
  /** One commit was measured on both sides: then the machine is the first suspect. */
  readonly straddling: string | null;
}

export interface Changes {
  /** In the order of the series, each in the order of time. */
  readonly bySeries: Change[][];
  /** Series with runs enough to be looked at. */
  readonly looked: number;
  /** The largest p that counts among them; 0 when nothing was found. */
  readonly pMax: number;
}

/** The version that a run measured. */
function versionOf({ sha, dirty }: HistoryLine): string {
  return dirty ? `${sha}*` : sha;
}

export function findChanges(all: readonly Series[], runs: readonly HistoryLine[]): Changes {
  const measured = all.map(({ values }) =>
    values.flatMap((value, run) => (value === null ? [] : [{ run, value }])),
  );
  const looked = measured.filter(({ length }) => length >= RUNS_MIN).length;
  // So many that the smallest p possible is half of what the first of all metrics needs.
  const permutations = Math.max(PERMUTATIONS_MIN, Math.ceil((2 * looked) / LEVEL) - 1);
  const found = measured.map((values, i): ChangePoint[] => {
    if (values.length < RUNS_MIN) return [];
    const random = new Random(SEED, (all[i] as Series).name);
    const logs = values.map(({ value }) => Math.log(value));
    const below = (bound: number): number => random.below(bound);
    const blockLength = blockLengthOf(logs.length);
    return eDivisive(logs, { below, permutations, level: LEVEL, sizeMin: SIZE_MIN, blockLength });
  });
  // One hypothesis per metric: that it never changed. Its p is that of its surest change.
  const ps = measured.flatMap(({ length }, i) =>
    length < RUNS_MIN ? [] : [Math.min(1, ...(found[i] as ChangePoint[]).map(({ p }) => p))],
  );
  const pMax = falseDiscoveryLimit(ps, LEVEL);
  const bySeries = all.map((series, i) => {
    const values = measured[i] as Measured[];
    const points = (found[i] as ChangePoint[]).filter(({ p }) => p <= pMax);
    return changesOf(series, { values, runs, points });
  });
  return { bySeries, looked, pMax };
}

interface Measured {
  readonly run: number;
  readonly value: number;
}

function changesOf(
  { figure }: Series,
  facts: {
    readonly values: readonly Measured[];
    readonly runs: readonly HistoryLine[];
    readonly points: readonly ChangePoint[];
  },
): Change[] {
  const { values, runs } = facts;
  const numbers = values.map(({ value }) => value);
  const points = withoutSmall(numbers, facts.points, figure.delta);
  const medians = regimes(numbers, points).map(median);
  return points.map(({ index, p }, i) => {
    const [before, after] = [medians[i] as number, medians[i + 1] as number];
    const versions = values.map(({ run }) => versionOf(runs[run] as HistoryLine));
    return {
      run: (values[index] as Measured).run,
      before,
      after,
      change: after / before - 1,
      isWorse: after > before === figure.isLowerBetter,
      p,
      suspects: suspectsOf(versions, index),
    };
  });
}

/** The values between neighbouring change points. */
function regimes(numbers: readonly number[], points: readonly ChangePoint[]): number[][] {
  const starts = [0, ...points.map(({ index }) => index)];
  return starts.map((start, i) => numbers.slice(start, starts[i + 1] ?? numbers.length));
}

/** The smallest change goes first, because its neighbours then have longer regimes to be judged by. */
function withoutSmall(
  numbers: readonly number[],
  points: readonly ChangePoint[],
  delta: number,
): readonly ChangePoint[] {
  const logs = regimes(numbers, points).map((regime) => Math.log(median(regime)));
  const sizes = points.map((_, i) => Math.abs((logs[i + 1] as number) - (logs[i] as number)));
  const smallest = Math.min(...sizes);
  // Rounding must not make a change of exactly δ too small.
  if (smallest >= Math.log1p(delta) - 1e-12) return points;
  const left = points.filter((_, i) => i !== sizes.indexOf(smallest));
  return withoutSmall(numbers, left, delta);
}

/** The versions around the change before value `index`. */
function suspectsOf(versions: readonly string[], index: number): Suspects {
  const before = versions[index - 1] as string;
  const after = versions[index] as string;
  if (before !== after) return { from: before, to: after, straddling: null };
  // Which of its runs were off cannot be told: it may have come with this commit, or with the next.
  return {
    from: versions.slice(0, index).findLast((version) => version !== before) ?? before,
    to: versions.slice(index).find((version) => version !== after) ?? after,
    straddling: before,
  };
}
