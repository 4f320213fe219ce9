/** The result file (schema 1): what is kept, its types, and how a verdict is reached. */
import type { Dedupe, LatencySummary, Ledger } from '../loadgen/index.ts';
import type { Commit, Environment } from './environment.ts';
import type { ThresholdOutcome } from './thresholds.ts';

export const SCHEMA = 1;

/** pass: proven. fail: the audit or a threshold says no. invalid: the measurement cannot be
 *  trusted. unknown: no quiescence, so nothing was proven. */
export type Verdict = 'pass' | 'fail' | 'invalid' | 'unknown';

export interface Gate {
  readonly id: string;
  readonly name: string;
  readonly value: number;
  readonly limit: string;
  readonly ok: boolean;
}

export interface LatencyReport {
  acceptUs: LatencySummary;
  deliverUs: LatencySummary;
  confirmUs: LatencySummary;
  storedConfirmUs: LatencySummary;
  pullUs: LatencySummary;
  connectUs: LatencySummary;
  sendLagUs: LatencySummary;
  acceptServiceUs: LatencySummary;
  deliverServiceUs: LatencySummary;
  confirmServiceUs: LatencySummary;
}

/** One second of the load, all workers together. */
export interface SeriesPoint {
  second: number;
  sentPerSec: number;
  confirmedPerSec: number;
  deliveredPerSec: number;
  inflight: number;
  online: number;
  confirmUsP50: number;
  confirmUsP99: number;
  confirmUsMax: number;
  generatorBusy: number;
}

/** How probably a server that loses messages at `lossRate` would have been caught in this run. */
export interface Detection {
  lossRate: number;
  probability: number;
}

export interface ScenarioResult {
  name: string;
  /** Which variant the headline figures are of; ledger, dedupe and packets sum over all. */
  variant: string | null;
  verdict: Verdict;
  reasons: string[];
  config: unknown;
  configHash: string;
  target: { policy: string; store: string };
  load: {
    clients: number;
    /** 0 in a closed loop, where nothing is offered. */
    offeredPerSec: number;
    achievedPerSec: number;
    sent: number;
    mode: string;
  };
  latency: LatencyReport;
  ledger: Ledger;
  dedupe: Dedupe;
  retransmit: { count: number; ratio: number };
  packets: Record<string, number>;
  /** On the sockets of all clients, frame headers and handshakes included. */
  bytes: { sent: number; received: number };
  server: {
    /** null where the server's process cannot be seen. */
    cpuUsPerMessage: number | null;
    rssBytes: number | null;
    peakRssBytes: number | null;
  };
  generator: {
    cpuUsPerMessage: number;
    eluMean: number;
    eluMax: number;
    loopDelayP99Us: number;
    gcShare: number;
  };
  gates: Gate[];
  thresholds: ThresholdOutcome[];
  series: SeriesPoint[];
  /** Loss that 0 lost of N excludes at 95 %: 3 / N (rule of three); null when N is 0. */
  lossBelow: number | null;
  /** What the run could have seen. */
  detection: Detection[];
  examples: string[];
  extra: Record<string, unknown>;
  variants: ScenarioResult[];
}

export interface Result {
  schema: typeof SCHEMA;
  tool: { name: string; version: string };
  startedAt: string;
  durationS: number;
  seed: number;
  interrupted: boolean;
  commit: Commit;
  environment: Environment;
  target: { kind: 'reference' | 'remote'; policy: string; store: string; url: string };
  verdict: Verdict;
  scenarios: ScenarioResult[];
}

const LOSS_RATES = [1e-4, 1e-5, 1e-6] as const;

/**
 * What `judged` messages prove and could have shown: 1 - (1 - p)^N is the probability that at least
 * one of N messages is lost when each is with probability p, independently of the others. A server
 * that loses in bursts is caught less often than that. `judged` = accepted messages of a run in which
 * `lost` was judged; 0 when there was no quiescence, for then none was.
 */
export function detectionPower(judged: number): {
  lossBelow: number | null;
  detection: Detection[];
} {
  return {
    lossBelow: judged === 0 ? null : 3 / judged,
    detection: LOSS_RATES.map((lossRate) => ({
      lossRate,
      // 1 - (1 - p)^N without the cancellation that small p would bring.
      probability: -Math.expm1(judged * Math.log1p(-lossRate)),
    })),
  };
}

const ORDER: readonly Verdict[] = ['pass', 'invalid', 'unknown', 'fail'];

/** The worst of all; a failed audit outweighs a measurement that cannot be trusted. */
export function worstVerdict(verdicts: readonly Verdict[]): Verdict {
  let worst = 0;
  for (const verdict of verdicts) worst = Math.max(worst, ORDER.indexOf(verdict));
  return ORDER[worst] as Verdict;
}
