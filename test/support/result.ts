/** Results in which nothing happened, for tests of what is made of them. */
import type { LatencyReport, Result, ScenarioResult } from '../../bench/result.ts';
import { LATENCIES, Recorder } from '../../loadgen/index.ts';
import { ledgerOf } from './books.ts';

export function latencyReport(): LatencyReport {
  const empty = new Recorder().summary();
  return Object.fromEntries(
    LATENCIES.map((name) => [`${name}Us`, empty]),
  ) as unknown as LatencyReport;
}

export function scenarioResult(facts: Partial<ScenarioResult> = {}): ScenarioResult {
  return {
    name: 'a-scenario',
    variant: null,
    verdict: 'pass',
    reasons: [],
    config: {},
    configHash: '0123456789abcdef',
    target: { policy: 'relay', store: 'memory' },
    load: { clients: 10, offeredPerSec: 100, achievedPerSec: 99, sent: 1000, mode: 'open' },
    latency: latencyReport(),
    ledger: ledgerOf({ attempted: 1000, accepted: 1000, confirmed: 1000, delivered: 1000 }),
    dedupe: { wireArrivals: 1000, wireDuplicates: 0, wireDuplicateRatio: 0, absorbed: 0 },
    retransmit: { count: 0, ratio: 0 },
    packets: { 'msg:R': 1000, 'msg:A': 1000 },
    bytes: { sent: 200_000, received: 250_000 },
    server: { cpuUsPerMessage: 12.5, rssBytes: 2 ** 26, peakRssBytes: 2 ** 27 },
    generator: { cpuUsPerMessage: 9, eluMean: 0.2, eluMax: 0.3, loopDelayP99Us: 900, gcShare: 0 },
    gates: [],
    thresholds: [],
    series: [],
    lossBelow: 0.003,
    detection: [],
    examples: [],
    extra: {},
    variants: [],
    ...facts,
  };
}

export function resultOf(scenarios: ScenarioResult[], facts: Partial<Result> = {}): Result {
  return {
    schema: 1,
    tool: { name: 'ackbench', version: '0.0.0' },
    startedAt: '2025-01-01T00:00:00.000Z',
    durationS: 12.4,
    seed: 42,
    interrupted: false,
    commit: { sha: 'unknown', dirty: false, branch: 'unknown' },
    environment: {
      cpuModel: 'a cpu',
      cores: 2,
      memoryBytes: 2 ** 30,
      kernel: 'a kernel',
      node: 'v22',
      uws: 'unknown',
      pinning: 'none',
      openFilesLimit: 1024,
    },
    target: { kind: 'reference', policy: 'relay', store: 'memory', url: '' },
    verdict: 'pass',
    scenarios,
    ...facts,
  };
}
