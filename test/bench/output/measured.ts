/** Results in which something was measured, for tests of what is written of them. */
import type { ScenarioResult, SeriesPoint } from '../../../bench/result.ts';
import { type LatencySummary, Recorder } from '../../../loadgen/index.ts';
import { latencyReport, scenarioResult } from '../../support/result.ts';

/**
 * 1, 2 … n us, once each. Of 20,000: p50 is 10,000, p99 is 19,792 (the bucket of 19,800), and p99.9 has
 * too few samples.
 */
export function oneOfEach(n: number): LatencySummary {
  const recorder = new Recorder();
  for (let us = 1; us <= n; us++) recorder.record(us);
  return recorder.summary();
}

export function second(second: number, facts: Partial<SeriesPoint> = {}): SeriesPoint {
  return {
    second,
    sentPerSec: 100,
    confirmedPerSec: 100,
    deliveredPerSec: 100,
    inflight: 3,
    online: 10,
    confirmUsP50: 10_000,
    confirmUsP99: 20_000,
    confirmUsMax: 25_000,
    generatorBusy: 0.2,
    ...facts,
  };
}

/** An open loop judged by its latencies, one second of warm-up. */
export function measuredRun(facts: Partial<ScenarioResult> = {}): ScenarioResult {
  return scenarioResult({
    config: { judged: 'latency', warmupS: 1 },
    latency: { ...latencyReport(), confirmUs: oneOfEach(20_000) },
    series: [
      second(1, { confirmUsP50: 90_000, confirmUsP99: 90_000 }),
      second(2, { confirmUsP50: 9000, confirmUsP99: 18_000 }),
      second(3, { confirmUsP50: 11_000, confirmUsP99: 21_000 }),
    ],
    ...facts,
  });
}

export const BUSY_GATE = {
  id: 'G3',
  name: 'generator busy',
  value: 0.93,
  limit: '<= 0.7',
  ok: false,
};

/** As the bench says it. */
export function invalidRun(facts: Partial<ScenarioResult> = {}): ScenarioResult {
  return measuredRun({
    verdict: 'invalid',
    reasons: ['the generator was the bottleneck: loop busy 93 %'],
    gates: [BUSY_GATE],
    ...facts,
  });
}

/** A closed loop in two variants, and their sum. */
export function variantsOf(...runs: ScenarioResult[]): ScenarioResult {
  return scenarioResult({ ...(runs[0] as ScenarioResult), variants: runs });
}
