/**
 * Bencher Metric Format, for `bencher run --adapter json --file`: benchmarks by name, each with its
 * measures. Latencies use the built-in measure `latency`, which is in nanoseconds, rates the built-in
 * `throughput`; the others get measures of their own, named with their unit, since Bencher creates
 * unknown measures without one.
 */
import type { Result } from '../result.ts';
import { type TrackedMetric, trackedMetrics } from './tracked-metrics.ts';

interface BencherMetric {
  value: number;
  lower_value?: number;
  upper_value?: number;
}

/** With their unit; a figure that is not here keeps its name. */
const MEASURES: Readonly<Record<string, string>> = {
  serverCpu: 'server-cpu-us-per-message',
  packets: 'packets-per-message',
  wireBytes: 'bytes-per-message',
  memory: 'server-bytes-per-client',
};

const NS_PER_US = 1000;

/** One JSON object, `{}` when there is nothing to compare. */
export function renderBencher(result: Result): string {
  const benchmarks: Record<string, Record<string, BencherMetric>> = {};
  for (const metric of trackedMetrics(result)) {
    const { run, figure, isLatency } = metric;
    const benchmark = (benchmarks[isLatency ? `${run.label}.${figure}` : run.label] ??= {});
    if (isLatency) benchmark['latency'] = bencherMetric(metric, NS_PER_US);
    else benchmark[MEASURES[figure] ?? figure] = bencherMetric(metric, 1);
  }
  return `${JSON.stringify(benchmarks, null, 2)}\n`;
}

function bencherMetric({ value, spread }: TrackedMetric, factor: number): BencherMetric {
  const scaled = (x: number): number => Number((x * factor).toPrecision(12));
  if (spread === null) return { value: scaled(value) };
  const { lower, upper } = spread;
  return { value: scaled(value), lower_value: scaled(lower), upper_value: scaled(upper) };
}
