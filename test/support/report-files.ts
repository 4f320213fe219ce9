/** Files of every kind that a report can be made of, with numbers that nobody measured. */
import type { CapacityFile, Probe } from '../../bench/capacity/file.ts';
import { metricsOf } from '../../bench/compare/metrics.ts';
import type { Comparison } from '../../bench/compare/report.ts';
import { judgeMetrics, type PairValue } from '../../bench/compare/verdict.ts';
import type { Result, SeriesPoint } from '../../bench/result.ts';
import { Recorder } from '../../loadgen/index.ts';
import { ledgerOf } from './books.ts';
import { capacityFile, capacityRun } from './capacity.ts';
import { latencyReport, resultOf, scenarioResult } from './result.ts';

/** Between -1 and 1, the same every time. */
function wave(i: number, k = 1): number {
  return Math.sin(i * 12.9898 * k + k);
}

export function seriesOf(seconds: number, ratePerSec = 1000): SeriesPoint[] {
  return Array.from({ length: seconds }, (_, i) => ({
    second: i + 1,
    sentPerSec: ratePerSec + Math.round(20 * wave(i)),
    confirmedPerSec: ratePerSec + Math.round(20 * wave(i, 2)),
    deliveredPerSec: ratePerSec + Math.round(20 * wave(i, 3)),
    inflight: 10 + Math.round(5 * wave(i, 4)),
    online: 100,
    confirmUsP50: 400 + Math.round(30 * wave(i)),
    confirmUsP99: 3000 + Math.round(800 * wave(i, 2)),
    confirmUsMax: 9000 + Math.round(3000 * wave(i, 3)),
    generatorBusy: 0.3 + 0.05 * wave(i),
  }));
}

function latencies(): ReturnType<typeof latencyReport> {
  const summary = (scale: number) => {
    const recorder = new Recorder();
    for (let i = 1; i <= 5000; i++) recorder.record(scale * (200 + 400_000 / (5001 - i)));
    return recorder.summary();
  };
  return {
    ...latencyReport(),
    acceptUs: summary(0.5),
    deliverUs: summary(0.8),
    confirmUs: summary(1),
    acceptServiceUs: summary(0.4),
    deliverServiceUs: summary(0.7),
    confirmServiceUs: summary(0.9),
    sendLagUs: summary(0.1),
  };
}

/** One scenario with everything that a page can show of it, and one with variants. */
export function fullResult(facts: Partial<Result> = {}): Result {
  const load = scenarioResult({
    name: 'steady',
    config: {
      name: 'steady',
      kind: 'load',
      description: 'open loop with a server that dies',
      judged: 'latency',
      durationS: 12,
      warmupS: 2,
      load: { mode: 'open', ratePerSec: 1000 },
      serverEvents: [{ atS: 5, action: 'kill', forMs: 300 }],
      clientEvents: [{ atS: 8, action: 'disconnect', share: 1, forMs: 0 }],
    },
    load: { clients: 100, offeredPerSec: 1000, achievedPerSec: 998, sent: 12_000, mode: 'open' },
    latency: latencies(),
    ledger: ledgerOf({ attempted: 12_000, accepted: 12_000, confirmed: 11_900, delivered: 12_000 }),
    dedupe: { wireArrivals: 12_300, wireDuplicates: 300, wireDuplicateRatio: 0.025, absorbed: 300 },
    retransmit: { count: 420, ratio: 0.035 },
    packets: { 'msg:R': 12_420, 'msg:A': 12_420, 'msg:N': 12_300, 'ack:R': 12_300 },
    gates: [
      { id: 'G10', name: 'all sockets open', value: 100, limit: '100', ok: true },
      { id: 'G3', name: 'generator busy', value: 0.3, limit: '<= 0.7', ok: true },
    ],
    thresholds: [{ threshold: 'confirm.p99<50ms', value: 4040, ok: true }],
    series: seriesOf(12),
    detection: [{ lossRate: 1e-4, probability: 0.69 }],
    extra: {
      serverEvents: [{ action: 'kill', tookMs: 412 }],
      recovery: { reconnectedMs: 800, steadyMs: 1200, inflightBefore: 10 },
      processorTime: { stolen: 0, others: 0.01 },
      chaos: {
        total: 12,
        server: { kill: 2, pause: 1 },
        links: { reset: 4 },
        clients: { crash: 3, disconnect: 2 },
        packets: { drop: { 'msg:R': 5 } },
        seen: {},
        connections: 100,
        refused: 0,
        swallowed: 7,
        never: [],
        moments: [{ of: 'server', action: 'pause', atS: 10, tookMs: 250, share: 1 }],
      },
    },
  });
  const cost = scenarioResult({
    name: 'cost',
    load: { clients: 51, offeredPerSec: 0, achievedPerSec: 0, sent: 200, mode: 'none' },
    extra: {
      costTable: ['naive', 'paged-next'].flatMap((strategy, i) =>
        ['none', 'client killed'].map((disturbance, k) => ({
          strategy,
          disturbance,
          interactions: 50 - 20 * i + k,
          expected: k === 0 ? 50 - 20 * i : null,
          rows: 200 + 20 * k,
          repeats: 20 * k,
          bytesReceived: 40_000,
          bytesSent: 2000,
          drainUs: 90_000 - 30_000 * i,
        })),
      ),
    },
  });
  const variant = (name: string) =>
    scenarioResult({
      name: 'saturated',
      variant: name,
      latency: latencies(),
      series: seriesOf(4, 5000),
      load: { clients: 10, offeredPerSec: 0, achievedPerSec: 5000, sent: 20_000, mode: 'closed' },
    });
  const variants = [variant('relay w16'), variant('durable w1')];
  const saturated = { ...variant('relay w16'), variants };
  return resultOf([load, cost, saturated], {
    commit: { sha: 'a1b2c3d4e5', dirty: false, branch: 'main' },
    ...facts,
  });
}

/** Eight pairs in which B costs 30 % more processor time, and twelve that confirm it. */
export function comparisonFile(): Comparison {
  const metrics = metricsOf('steady', 'open');
  const valuesOf = (count: number, from: number): PairValue[][] =>
    metrics.map((metric, k) =>
      Array.from({ length: count }, (_, i) => {
        const factor = metric.name.endsWith('serverCpu') ? 1.3 : 1;
        const noise = 0.01 * wave(from + i, k + 1) * (metric.tier === 3 ? 6 : 1);
        return { a: 100, b: 100 * factor * (1 + noise) };
      }),
    );
  const [first, second] = [valuesOf(8, 0), valuesOf(12, 20)];
  const outcomes = judgeMetrics(
    metrics.map((metric, k) => ({
      metric,
      stage1: first[k] as PairValue[],
      stage2: second[k] as PairValue[],
    })),
    { isFinished: true },
  );
  const pairs = [...Array(20).keys()].map((i) => {
    const value = (k: number): PairValue =>
      (i < 8 ? first[k]?.[i] : second[k]?.[i - 8]) as PairValue;
    const slice = (side: 'a' | 'b') => ({
      how: 'together' as const,
      verdict: 'pass' as const,
      reasons: [],
      values: Object.fromEntries(metrics.map(({ name }, k) => [name, value(k)[side]])),
    });
    return {
      stage: i < 8 ? (1 as const) : (2 as const),
      seed: i,
      first: i % 2 === 0 ? ('a' as const) : ('b' as const),
      a: [slice('a')],
      b: [slice('b')],
      repeated: 0,
    };
  });
  const side = (sha: string, subject: string) =>
    ({ label: sha.slice(0, 7), kind: 'commit', sha, subject, dirty: false }) as const;
  const { tool, startedAt, environment } = resultOf([]);
  return {
    schema: 1,
    kind: 'comparison',
    tool,
    startedAt,
    durationS: 321,
    seed: 7,
    interrupted: false,
    environment,
    a: side('aaaaaaaaaa', 'Before'),
    b: side('bbbbbbbbbb', 'After'),
    scenarios: [],
    stage1Pairs: 8,
    stage2Pairs: 12,
    isStage2Needed: true,
    pairs,
    metrics: outcomes,
    verdict: 'worse',
    reasons: [],
    falseAlarms: { comparisons: 20, alarms: 0, metrics: 120 },
  };
}

/** The capacity of round numbers with its search: 12,000 messages/s within 100 ms. */
export function searchedCapacity(): CapacityFile {
  const probe = (phase: Probe['phase'], ratePerSec: number): Probe => {
    const isHeld = ratePerSec <= 12_100;
    const cpuShare = Math.min(0.995, (ratePerSec * 70) / 1e6);
    const p99 = Math.round(2000 + (4000 * cpuShare) / (1 - cpuShare));
    return {
      phase,
      ratePerSec,
      ok: isHeld,
      reasons: isHeld ? [] : [`confirm p99 above the SLO at ${ratePerSec}/s`],
      confirmUsP99: isHeld ? p99 : p99 + 400_000,
      cpuShare,
    };
  };
  const runs = [1000, 2000, 3000, 4500, 6000, 7500, 9000, 10_500, 12_000].map((rate, i) => {
    const options = { cpuError: 1 + 0.03 * wave(i), offlineShare: i % 3 === 2 ? 0.5 : 0 };
    return { ...capacityRun(rate, options), heldOut: i % 3 === 1 ? ('point' as const) : null };
  });
  const base = capacityFile();
  return {
    ...base,
    runs,
    search: {
      ...base.search,
      probes: [
        ...[1000, 1500, 2250, 3375, 5062, 7594, 11_391, 17_086].map((rate) => probe('ramp', rate)),
        ...[13_951, 12_606, 11_983, 12_291].map((rate) => probe('bisect', rate)),
        ...[12_000, 12_000, 12_000].map((rate) => probe('confirm', rate)),
      ],
      lambdaStarPerSec: 12_000,
      binds: 'server',
      why: 'At 12,291/s p99 of confirm was above 100 ms in two of three runs.',
      recovery: { recoveredS: 1, metastable: false },
    },
    validation: {
      layers: [
        { layer: 'cpu', points: 6, meanError: 0.02, maxError: 0.05, coverage: 0.9, judged: 6 },
        { layer: 'p99', points: 6, meanError: 0.11, maxError: 0.25, coverage: 0.8, judged: 6 },
      ],
      refusal: null,
    },
  };
}
