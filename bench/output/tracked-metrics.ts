/**
 * What services that follow benchmarks over time are given: the metrics of `ackbench compare`, with the
 * same names, of runs whose numbers may be compared. A single run has no confidence interval; what it
 * has is the best and the worst second of its window.
 */
import { type Metric, metricsOf } from '../compare/metrics.ts';
import type { Result, SeriesPoint } from '../result.ts';
import { type Run, runsOf } from './runs.ts';

export interface TrackedMetric {
  readonly run: Run;
  /** Without the scenario: `confirm.p99`. */
  readonly figure: string;
  readonly unit: Metric['unit'];
  readonly isLatency: boolean;
  readonly isLowerBetter: boolean;
  readonly value: number;
  /** Lowest and highest second of the window; null where seconds do not have the figure. */
  readonly spread: { readonly lower: number; readonly upper: number } | null;
}

const OF_SECOND: Readonly<Record<string, (point: SeriesPoint) => number>> = {
  'confirm.p50': ({ confirmUsP50 }) => confirmUsP50,
  'confirm.p99': ({ confirmUsP99 }) => confirmUsP99,
  throughput: ({ confirmedPerSec }) => confirmedPerSec,
};

export function trackedMetrics(result: Result): TrackedMetric[] {
  return runsOf(result)
    .filter(({ isComparable }) => isComparable)
    .flatMap((run) => metricsOf(run.label, run.result.load.mode).flatMap((m) => track(run, m)));
}

const LATENCY_TIER = 3;

function track(run: Run, { name, unit, tier, isLowerBetter, read }: Metric): TrackedMetric[] {
  const isLatency = tier === LATENCY_TIER;
  const value = read(run.result);
  if (value === null || !Number.isFinite(value) || (isLatency && !isGuarded(run))) return [];
  const figure = name.slice(run.label.length + 1);
  const spread = spreadOf(run, figure, value);
  return [{ run, figure, unit, isLatency, isLowerBetter, value, spread }];
}

/**
 * Whether gates stood guard over the latencies: in a run judged by its audit alone, such as an open loop
 * of --quick, the generator may have been late itself.
 */
function isGuarded({ result }: Run): boolean {
  return (result.config as { judged?: string } | null)?.judged === 'latency';
}

function spreadOf({ result }: Run, figure: string, value: number): TrackedMetric['spread'] {
  const pick = OF_SECOND[figure];
  if (pick === undefined) return null;
  const warmupS = (result.config as { warmupS?: number } | null)?.warmupS ?? 0;
  // A second in which nothing was confirmed has no latency.
  const seconds = result.series.filter(
    ({ second, confirmedPerSec }) => second > warmupS && confirmedPerSec > 0,
  );
  const lower = Math.min(...seconds.map(pick));
  const upper = Math.max(...seconds.map(pick));
  // Seconds count only what reached its receiver; the figure may count what was stored as well.
  return lower <= value && value <= upper ? { lower, upper } : null;
}
