/** A capacity result that nobody measured: round numbers, so that a plan can be calculated by hand. */
import {
  busyShareOf,
  CAPACITY_SCHEMA,
  type CapacityFile,
  type CapacityRun,
  type OperationRates,
  type Parameters,
} from '../../bench/capacity/file.ts';
import type { PlanInputs, PlanSource } from '../../bench/plan/formulas.ts';

export const PARAMETERS: Parameters = {
  demandUs: {
    online: 50,
    stored: 80,
    pulled: 10,
    connect: 400,
    connectionSecond: 2,
    payloadKiB: 4,
    retransmit: 20,
    wakeUp: 10,
    loneCommit: 0,
  },
  memory: { baseBytes: 100e6, perConnectionBytes: 10_000, perStoredBytes: 200, perContentByte: 0 },
  latency: [
    { quantile: 'p50', aUs: 300, bUs: 100 },
    { quantile: 'p90', aUs: 800, bUs: 500 },
    { quantile: 'p99', aUs: 2000, bUs: 4000 },
  ],
};

/** The parameters with everything that costs multiplied. */
export function scaledParameters(by: number): Parameters {
  const { demandUs, memory, latency } = PARAMETERS;
  return {
    demandUs: Object.fromEntries(
      Object.entries(demandUs).map(([operation, us]) => [operation, us * by]),
    ) as Parameters['demandUs'],
    memory: {
      baseBytes: memory.baseBytes * by,
      perConnectionBytes: memory.perConnectionBytes * by,
      perStoredBytes: memory.perStoredBytes * by,
      perContentByte: memory.perContentByte * by,
    },
    latency: latency.map(({ quantile, aUs, bUs }) => ({ quantile, aUs: aUs * by, bUs: bUs * by })),
  };
}

/** 101 replicates from -10 % to +10 %, evenly: their 5 % and 95 % are -9 % and +9 %. */
export const REPLICATES: readonly Parameters[] = Array.from({ length: 101 }, (_, i) =>
  scaledParameters(0.9 + i / 500),
);

export const MODEL: PlanSource['model'] = {
  fitted: PARAMETERS,
  replicates: [...REPLICATES],
  network: {
    inBytes: { online: 100, stored: 60, pulled: 1, connect: 400 },
    outBytes: { online: 120, stored: 50, pulled: 40, connect: 300 },
    contentIn: { online: 1, stored: 1, pulled: 0 },
    contentOut: { online: 1, stored: 0, pulled: 1 },
    segmentBytes: 52,
  },
  diskBytesPerStored: 72,
  measured: { ratePerSec: 10_000, connections: 5000, payloadBytes: 1024, cpuShare: 0.9 },
};

/** Whose parts are a plan's source. */
export function planSource(changed: Partial<PlanSource> = {}): PlanSource {
  return {
    model: MODEL,
    search: {
      slo: { quantile: 'p99', confirmMs: 100 },
      lambdaStarPerSec: 12_000,
      binds: 'server',
    },
    refusal: null,
    ...changed,
  };
}

/** 864,000 users who send 100 a day: 1000/s in the mean, 2000/s at the peak. */
export const INPUTS: PlanInputs = {
  dailyUsers: 864_000,
  peakConcurrent: 0.1,
  messagesPerUserPerDay: 100,
  peakFactor: 2,
  offlineShare: 0.25,
  loginsPerUserPerDay: 5,
  retentionDays: 30,
  keeps: 'stored',
  payloadBytes: 128,
  tls: false,
  heartbeatS: 60,
  sloP99Ms: 100,
  targetUtilisation: 0.6,
  spareNodes: 1,
  growth: 0,
  retransmitShare: 0,
  copies: 2,
  connectionsPerProcess: 64_000,
  contention: 0,
  machines: [
    { name: 'two', cores: 2, memoryGb: 8, networkGbps: 1, diskGb: 1000, pricePerMonth: 60 },
    { name: 'four', cores: 4, memoryGb: 16, networkGbps: 2, diskGb: 2000, pricePerMonth: 100 },
  ],
};

/** A run whose measurements are what the model says, times `cpuError`. */
export function capacityRun(
  ratePerSec: number,
  { cpuError = 1, offlineShare = 0 }: { cpuError?: number; offlineShare?: number } = {},
): CapacityRun {
  const stored = ratePerSec * offlineShare;
  const rates: OperationRates = {
    online: ratePerSec - stored,
    stored,
    pulled: 0,
    connect: 0,
    connectionSecond: 400,
    payloadKiB: ratePerSec / 8,
    retransmit: 0,
    packetsIn: 2 * ratePerSec - stored,
  };
  const busyShare = busyShareOf(PARAMETERS.demandUs, rates);
  const at = (quantile: 'p50' | 'p90' | 'p99'): number => {
    const law = PARAMETERS.latency.find((each) => each.quantile === quantile);
    return (law?.aUs ?? 0) + ((law?.bUs ?? 0) * busyShare) / (1 - busyShare);
  };
  const measured = {
    windowS: 10,
    achievedPerSec: ratePerSec,
    rates,
    packetsPerSec: {},
    cpuShare: busyShare * cpuError,
    rssBytes: 104e6,
    connections: 400,
    waiting: 0,
    dataBytes: null,
    perConnect: null,
    bytesInPerSec: 228 * ratePerSec,
    bytesOutPerSec: 248 * ratePerSec,
    confirmUs: { p50: at('p50'), p90: at('p90'), p99: at('p99') },
    lost: 0,
  };
  return {
    mix: offlineShare > 0 ? 'offline' : 'online',
    clients: 400,
    ratePerSec,
    payloadBytes: 128,
    offlineShare,
    heldOut: null,
    verdict: 'pass',
    reasons: [],
    isUsable: true,
    isLatencyValid: true,
    measured,
  };
}

export function capacityFile(changed: Partial<CapacityFile> = {}): CapacityFile {
  const settings = {
    policy: 'relay',
    store: 'lmdb',
    clients: 400,
    payloadBytes: 128,
    sloMs: 100,
    startPerSec: 1000,
    maxPerSec: 50_000,
    seed: 1,
    workers: 1,
    isQuick: false,
    isSearchOnly: false,
  };
  const { lambdaStarPerSec, slo, binds } = planSource().search;
  return {
    schema: CAPACITY_SCHEMA,
    kind: 'capacity',
    tool: { name: 'ackbench', version: '0.1.0' },
    startedAt: '2026-01-02T03:04:05.000Z',
    durationS: 900,
    seed: 1,
    interrupted: false,
    settings,
    commit: { sha: '0123456789abcdef0123456789abcdef01234567', dirty: false, branch: 'main' },
    environment: {
      cpuModel: 'Nobody’s CPU',
      cores: 2,
      memoryBytes: 8e9,
      kernel: 'Linux',
      node: 'v22',
      uws: '20',
      pinning: 'none',
      openFilesLimit: 1024,
    },
    target: { kind: 'reference', policy: 'relay', store: 'lmdb', url: 'ws://127.0.0.1:0' },
    search: { slo, probes: [], lambdaStarPerSec, binds, why: 'the SLO', recovery: null },
    losses: [],
    runs: [
      ...[1000, 3000, 6000, 9000, 12_000].map((rate) => capacityRun(rate)),
      capacityRun(4000, { offlineShare: 0.5 }),
    ],
    model: MODEL,
    validation: {
      layers: [
        { layer: 'cpu', points: 6, meanError: 0.02, maxError: 0.05, coverage: 0.9, judged: 6 },
      ],
      refusal: null,
    },
    ...changed,
  };
}
