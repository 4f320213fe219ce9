/**
 * The value of a threshold as people read it: the result file has latencies in us whatever unit the
 * threshold was written in, and `confirm.p99<1ms: 4040` would look like a mistake.
 */
import { parseThreshold, type ThresholdOutcome } from '../thresholds.ts';
import { formatUs } from '../units.ts';

/** `4.04 ms`, `0.013`, or `no value`. */
export function thresholdValue({ threshold, value }: ThresholdOutcome): string {
  if (value === null) return 'no value';
  return isLatency(threshold) ? formatUs(value) : String(Number(value.toPrecision(6)));
}

function isLatency(threshold: string): boolean {
  const parsed = parseThreshold(threshold);
  if (typeof parsed === 'string') return false;
  const [root, , quantile] = parsed.path;
  return root === 'latency' && quantile !== 'count';
}
