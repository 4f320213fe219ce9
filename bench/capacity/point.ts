/** One run at one point: its scenario, and what of its result the model is fitted to. */
import type { Gate, ScenarioResult } from '../result.ts';
import { type LoadScenario, parseScenario } from '../scenario.ts';
import type { TrafficReport } from '../traffic.ts';
import type { CapacityRun, OperationRates } from './file.ts';

export interface Point {
  readonly mix: string;
  readonly clients: number;
  readonly ratePerSec: number;
  readonly payloadBytes: number;
  readonly offlineShare: number;
  /** Mean seconds online and offline of clients that come and go; null = they stay. */
  readonly churn: { readonly onlineS: number; readonly offlineS: number } | null;
  /** Of every msg:A that a client gets, so that it sends again. */
  readonly dropShare: number;
  readonly heldOut: CapacityRun['heldOut'];
}

export interface Timing {
  readonly warmupS: number;
  readonly windowS: number;
}

export interface ServerChoice {
  readonly policy: string;
  readonly store: string;
  /** Within which clients wait for their answer without repeating themselves. */
  readonly sloMs: number;
}

const PATIENCE_OF_SLO = 5;
const COLD_WARMUP_MIN_S = 2;

/** Gates on what latencies are worth; what the server spends is the same with a late generator. */
const LATENCY_GATES = new Set(['G1', 'G3', 'G5', 'G6', 'G9', 'G11']);
/**
 * What is stolen is not in the processor time of the server. Where the disk is served by the cores of the
 * host, the commits of a run alone take 4 to 8 %: a bound of 2 % would leave out all that is stored.
 */
const STOLEN_TOLERATED = 0.1;
const WORD = 'capacity';

export function scenarioOf(
  point: Point,
  { warmupS, windowS }: Timing,
  server: ServerChoice,
): LoadScenario {
  const patienceMs = Math.min(2000, Math.max(500, PATIENCE_OF_SLO * server.sloMs));
  const { clients, ratePerSec, payloadBytes, offlineShare, churn, dropShare } = point;
  const parsed = parseScenario(
    {
      kind: 'load',
      name: WORD,
      clients,
      load: { mode: 'open', ...coldStart(ratePerSec, warmupS) },
      payloadBytes,
      offlineShare,
      churn,
      faults: dropShare > 0 ? { drop: { 'msg:A': dropShare } } : null,
      durationS: warmupS + windowS,
      warmupS,
      // Above the SLO: a repeat is a fault, not a part of the load. Not much longer, because at the end of
      // every run twice as long is waited for silence.
      retransmit: { firstMs: dropShare > 0 ? 200 : patienceMs, maxMs: patienceMs },
      inflightMax: 1_000_000,
      server: { policy: server.policy, store: server.store },
    },
    WORD,
  );
  if ('mistakes' in parsed) throw new Error(parsed.mistakes.join('\n'));
  return parsed as LoadScenario;
}

/**
 * Half of the rate until a second before the window: near its limit a server that is not compiled yet
 * would build up a backlog that it needs the whole window to get rid of.
 */
function coldStart(ratePerSec: number, warmupS: number): object {
  if (warmupS < COLD_WARMUP_MIN_S) return { ratePerSec };
  return { ratePerSec: ratePerSec / 2, steps: [{ atS: warmupS - 1, ratePerSec }] };
}

/**
 * Of the messages of the window, those that were sent again. A fresh server is slow for its first seconds,
 * and what it made senders repeat before the window says nothing about the rate.
 */
export function resentShareOf({ extra }: ScenarioResult): number {
  const { packets, submitted } = extra['traffic'] as TrafficReport;
  return Math.max(0, (packets['msg:R'] ?? 0) - submitted) / Math.max(1, submitted);
}

/** What of a run's result the model needs. */
export function capacityRun(point: Point, result: ScenarioResult): CapacityRun {
  const traffic = result.extra['traffic'] as TrafficReport & {
    waiting: number;
    perConnect: CapacityRun['measured']['perConnect'];
    dataBytes: number | null;
  };
  const { windowS } = traffic;
  const failed = result.gates.filter(({ ok }) => !ok);
  const { cpuUsPerMessage, rssBytes } = result.server;
  const { confirmUs } = result.latency;
  const config = result.config as LoadScenario;
  const online = result.series.filter(({ second }) => second > config.warmupS);
  const meanOnline =
    online.reduce((sum, point) => sum + point.online, 0) / Math.max(1, online.length);
  return {
    mix: point.mix,
    clients: point.clients,
    ratePerSec: point.ratePerSec,
    payloadBytes: point.payloadBytes,
    offlineShare: point.offlineShare,
    heldOut: point.heldOut,
    verdict: result.verdict,
    reasons: result.reasons,
    isUsable:
      result.verdict === 'pass' ||
      (result.verdict === 'invalid' && failed.every(concernsLatencyOnly)),
    isLatencyValid: result.verdict === 'pass',
    measured: {
      windowS,
      achievedPerSec: result.load.achievedPerSec,
      rates: ratesOf(point, traffic, meanOnline),
      packetsPerSec: Object.fromEntries(
        Object.entries(traffic.packets).map(([name, count]) => [name, count / windowS]),
      ),
      cpuShare:
        cpuUsPerMessage === null ? null : (cpuUsPerMessage * result.load.achievedPerSec) / 1e6,
      // 0 is what a server that cannot be seen reads as.
      rssBytes: rssBytes === null || rssBytes === 0 ? null : rssBytes,
      connections: meanOnline,
      waiting: traffic.waiting,
      dataBytes: traffic.dataBytes,
      perConnect: traffic.perConnect,
      bytesInPerSec: traffic.bytesSent / windowS,
      bytesOutPerSec: traffic.bytesReceived / windowS,
      confirmUs: { p50: confirmUs.p50, p90: confirmUs.p90, p99: confirmUs.p99 },
      lost: result.ledger.lost,
    },
  };
}

function concernsLatencyOnly({ id, name, value }: Gate): boolean {
  if (id === 'G4') return name.includes('stolen') && value <= STOLEN_TOLERATED;
  return LATENCY_GATES.has(id);
}

function ratesOf(point: Point, traffic: TrafficReport, meanOnline: number): OperationRates {
  const { windowS, packets, submitted } = traffic;
  const perSec = (count: number): number => Math.max(0, count) / windowS;
  const at = (name: string): number => packets[name] ?? 0;
  const areAllOnline = point.offlineShare === 0 && point.churn === null;
  const online = areAllOnline ? submitted : Math.min(submitted, at('msg:N'));
  const packetsIn = Object.entries(packets)
    .filter(([name]) => name.endsWith(':R'))
    .reduce((sum, [, count]) => sum + count, 0);
  return {
    online: perSec(online),
    stored: perSec(submitted - online),
    pulled: perSec(traffic.pagedRows),
    connect: perSec(traffic.connects),
    connectionSecond: meanOnline,
    payloadKiB: perSec((at('msg:R') * point.payloadBytes) / 1024),
    retransmit: perSec(at('msg:R') - submitted),
    packetsIn: perSec(packetsIn),
  };
}
