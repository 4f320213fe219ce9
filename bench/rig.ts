/**
 * The rig of one run: a target (a fresh server or somebody else's) and a pool of swarms, and what
 * every experiment does with them: bring everybody online, end in quiescence, close the books.
 */
import { createHash } from 'node:crypto';
import {
  type Audit,
  auditBooks,
  KIND_NAME,
  KINDS,
  LATENCIES,
  type LatencySummary,
  type Ledger,
  MUST_BE_ZERO,
  Order,
  Recorder,
  type RetransmitTimers,
  type SecondSample,
  type SwarmConfig,
  type SwarmPool,
  type SwarmReport,
  type SwarmStatus,
} from '../loadgen/index.ts';
import type { MessageTraces } from './explain/save.ts';
import type { Progress } from './progress.ts';
import type { LatencyReport, SeriesPoint } from './result.ts';
import type { Scenario } from './scenario.ts';
import type { ServerOrder, ServerProcess } from './server-process.ts';
import type { ServerYard } from './server-yard.ts';
import type { Threshold } from './thresholds.ts';

/** What all runs of one invocation share. */
export interface RunContext {
  readonly seed: number;
  readonly workers: number;
  readonly servers: ServerYard;
  /** Somebody else's server, or null for a fresh reference server per run. */
  readonly target: {
    readonly url: string;
    readonly jwtKey: string;
    readonly isInsecure: boolean;
  } | null;
  readonly progress: Progress;
  /** Thresholds of the flags that stop a load when they are missed. */
  readonly stopsOn?: readonly Threshold[];
  /** Where what happens to each message is written; absent = it is not recorded. */
  readonly messageTraces?: MessageTraces | null;
  /** Waited for when everybody is connected, before the load begins. */
  readonly beforeLoad?: () => Promise<void>;
  /** Aborted by Ctrl-C: load stops, what was measured is reported. */
  readonly signal: AbortSignal;
}

/** Longest silence that is waited for after an interruption. */
const INTERRUPTED_QUIESCE_MS = 3000;
const POLL_MS = 20;

export interface Quiescence {
  reached: boolean;
  reason: string;
  stuck: number;
}

/** Waits, but not beyond an interruption. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish);
  });
}

/** Starts the server that a scenario wants; null for a remote target. */
export async function startTarget(
  context: RunContext,
  order: ServerOrder,
): Promise<{ server: ServerProcess | null; url: string; jwtKey: string; isInsecure: boolean }> {
  if (context.target !== null) return { server: null, ...context.target };
  const server = await context.servers.take(order);
  return { server, url: server.url, jwtKey: server.jwtKey, isInsecure: false };
}

/** What a result says about its server: of somebody else's, nothing is known. */
export function describeTarget(
  context: RunContext,
  order: { readonly policy: string; readonly store: string },
): { policy: string; store: string } {
  if (context.target !== null) return { policy: 'unknown', store: 'unknown' };
  return { policy: order.policy, store: order.store };
}

let lastEpoch = 0;

/**
 * Epoch of all sequences of a run. A server that outlives the run may still hold messages of an
 * earlier one: there the epoch is new every time, as after a reinstall, also within one second. With
 * the names of an earlier run, a late message of it would stand in for a lost one of this.
 */
export function epochOf(context: Pick<RunContext, 'target'>): number {
  if (context.target === null) return 1;
  lastEpoch = Math.max(lastEpoch + 1, Math.floor(Date.now() / 1000));
  return lastEpoch;
}

/** The parts of a swarm's configuration that follow from a scenario's common fields. */
export function swarmBase(options: {
  target: { url: string; jwtKey: string; isInsecure: boolean };
  seed: number;
  uidBase: number;
  epoch: number;
  users: number;
  retransmit: RetransmitTimers;
  payloadBytes: number | [number, number];
  pull: {
    strategy: SwarmConfig['pull']['strategy'];
    order: 'oldest' | 'newest';
    pageMessages: number;
    pageBytes: number;
    requestTimeoutMs: number;
  };
  whole?: { messages: number; bytes: number };
}): SwarmConfig {
  const { payloadBytes, pull, whole } = options;
  const [min, max] = typeof payloadBytes === 'number' ? [payloadBytes, payloadBytes] : payloadBytes;
  return {
    url: options.target.url,
    isInsecure: options.target.isInsecure,
    jwtKey: options.target.jwtKey,
    seed: options.seed,
    uidBase: options.uidBase,
    users: options.users,
    from: 0,
    to: options.users,
    offlineShare: 0,
    offlineFrom: null,
    churn: null,
    epoch: options.epoch,
    load: { mode: 'none' },
    share: 1,
    receivers: { choice: 'friends', friends: 16, exponent: 1 },
    payloadBytes: { min, max },
    retransmit: options.retransmit,
    inflightMax: 1_000_000,
    pull: {
      strategy: pull.strategy,
      order: pull.order === 'newest' ? Order.NewestFirst : Order.OldestFirst,
      pageMessages: pull.pageMessages,
      pageBytes: pull.pageBytes,
      wholeMessages: whole?.messages ?? 10_000,
      wholeBytes: whole?.bytes ?? 1_048_576,
      requestTimeoutMs: pull.requestTimeoutMs,
    },
    faults: null,
    crashOnPage: null,
    friendUids: null,
    isBlind: false,
    traceEventsMax: 0,
    events: [],
    connectRatePerSec: 10_000,
    reconnect: { firstMs: 50, maxMs: 1000 },
    warmupMs: 0,
    durationMs: 0,
  };
}

/** One config per worker: users in equal slices, the load in proportion to them. */
export function sliceConfig(config: SwarmConfig, workers: number): SwarmConfig[] {
  const count = Math.max(1, Math.min(workers, config.users));
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor((config.users * i) / count);
    const to = Math.floor((config.users * (i + 1)) / count);
    return { ...config, from, to, share: (to - from) / config.users };
  });
}

/** Status of all workers, summed; silence is the shortest. */
export async function statusOf(pool: SwarmPool): Promise<SwarmStatus> {
  const parts = await pool.ask('status', null);
  const sum = (pick: (status: SwarmStatus) => number): number =>
    parts.reduce((total, status) => total + pick(status), 0);
  return {
    clients: sum(({ clients }) => clients),
    wanted: sum(({ wanted }) => wanted),
    online: sum(({ online }) => online),
    inflight: sum(({ inflight }) => inflight),
    pulling: sum(({ pulling }) => pulling),
    silenceMs: Math.min(...parts.map(({ silenceMs }) => silenceMs)),
    topClose: parts.find(({ topClose }) => topClose !== '')?.topClose ?? '',
  };
}

/** Waits until a status satisfies `isDone`; null after `timeoutMs`. */
async function waitFor(
  pool: SwarmPool,
  isDone: (status: SwarmStatus) => boolean,
  timeoutMs: number,
): Promise<SwarmStatus | null> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const status = await statusOf(pool);
    if (isDone(status)) return status;
    if (performance.now() >= endMs) return null;
    await pause(POLL_MS);
  }
}

/** The server under test cannot be used; the message is for whoever started the run. */
export class TargetError extends Error {}

/**
 * Whether the server under test is at fault: it did not start, ended by itself, or nobody could connect
 * to it. That is a failure of what is tested, not of the machine.
 */
export function isServersFault(error: unknown): boolean {
  const { message } = error as Error;
  return /(^|: )(the server (was not ready|ended|cannot be started)|no client could connect)/.test(
    message,
  );
}

/** The environment does not fit, as opposed to a defect of ours. */
export function isUnfit(error: unknown): boolean {
  const { message } = error as Error;
  return (
    error instanceof TargetError ||
    /^(the server (was|cannot|ended)|the echo server|a generator process)/.test(message)
  );
}

const REFUSED_MS = 3000;

/** Connects everybody; the sockets that are open after at most `timeoutMs`. */
export async function connectEverybody(
  pool: SwarmPool,
  timeoutMs: number,
): Promise<{ asked: number; open: number }> {
  const startMs = performance.now();
  await pool.ask('connect', null);
  const isComplete = ({ online, wanted, pulling }: SwarmStatus): boolean =>
    online === wanted && pulling === 0;
  // Nobody got in within seconds and somebody was turned away: waiting longer tells nothing more.
  const isRefused = (status: SwarmStatus): boolean =>
    status.online === 0 && status.wanted > 0 && status.topClose !== '';
  const early = await waitFor(
    pool,
    (status) => isComplete(status) || status.online > 0,
    REFUSED_MS,
  );
  const first = early ?? (await statusOf(pool));
  if (isRefused(first)) throw new TargetError(`no client could connect: ${first.topClose}`);
  const status = (await waitFor(pool, isComplete, timeoutMs)) ?? (await statusOf(pool));
  if (status.online === 0 && status.wanted > 0) {
    const waitedS = Math.round((performance.now() - startMs) / 1000);
    throw new TargetError(`no client could connect: no handshake was answered within ${waitedS} s`);
  }
  return { asked: status.wanted, open: status.online };
}

/**
 * Quiescence: load stopped, faults healed, everybody online, nothing waiting for ack:N, silence for
 * twice the largest retransmission timeout, and two pulls of everybody that come back empty.
 */
export async function quiesce(
  pool: SwarmPool,
  options: {
    retransmit: RetransmitTimers;
    timeoutMs: number;
    /** Let those who were away return while the faults are still on. */
    returnsUnderFaults: boolean;
    signal: AbortSignal;
  },
): Promise<Quiescence> {
  const { retransmit, signal } = options;
  const limitMs = signal.aborted
    ? Math.min(options.timeoutMs, INTERRUPTED_QUIESCE_MS)
    : options.timeoutMs;
  const endMs = performance.now() + limitMs;
  const leftMs = (): number => Math.max(0, endMs - performance.now());
  const silenceMs = 2 * retransmit.maxMs * (1 + retransmit.jitter);
  const isCalm = (status: SwarmStatus): boolean =>
    status.online === status.clients && status.inflight === 0 && status.pulling === 0;

  await pool.ask('stopLoad', null);
  if (options.returnsUnderFaults) {
    await pool.ask('returnAll', null);
    await waitFor(pool, isCalm, leftMs() / 2);
  }
  await pool.ask('heal', null);
  await pool.ask('returnAll', null);
  for (;;) {
    const calm = await waitFor(
      pool,
      (status) => isCalm(status) && status.silenceMs >= silenceMs,
      leftMs(),
    );
    if (calm === null) {
      const { online, clients, inflight } = await statusOf(pool);
      return {
        reached: false,
        reason: `not quiescent after ${Math.round(limitMs / 1000)} s: ${online} of ${clients} online, ${inflight} messages without ack:N`,
        stuck: 0,
      };
    }
    const first = await pullEverybody(pool, leftMs());
    const second = first === 0 ? await pullEverybody(pool, leftMs()) : null;
    if (first === 0 && second === 0) break;
    if (first === null || (first === 0 && second === null)) {
      return { reached: false, reason: 'the last pulls were not answered', stuck: 0 };
    }
  }
  const probes = await pool.ask('probeAll', { timeoutMs: Math.max(1000, leftMs()) });
  if (probes.includes(null)) {
    return { reached: false, reason: 'the final counts were not answered', stuck: 0 };
  }
  return { reached: true, reason: '', stuck: probes.reduce<number>((sum, n) => sum + (n ?? 0), 0) };
}

async function pullEverybody(pool: SwarmPool, timeoutMs: number): Promise<number | null> {
  const rows = await pool.ask('pullAll', { timeoutMs });
  return rows.includes(null) ? null : rows.reduce<number>((sum, n) => sum + (n ?? 0), 0);
}

/** Everything that the swarms reported, merged. */
export interface Merged {
  audit: Audit;
  latency: LatencyReport;
  recorders: Record<(typeof LATENCIES)[number], Recorder>;
  packets: Record<string, number>;
  reports: SwarmReport[];
}

export function mergeReports(reports: SwarmReport[]): Merged {
  const recorders = {} as Merged['recorders'];
  const latency = {} as Record<string, LatencySummary>;
  for (const name of LATENCIES) {
    const recorder = new Recorder();
    for (const report of reports) recorder.add(report.latencies[name]);
    recorders[name] = recorder;
    latency[`${name}Us`] = recorder.summary();
  }
  const packets: Record<string, number> = {};
  for (const kind of KINDS) {
    packets[KIND_NAME[kind]] = reports.reduce(
      (sum, report) => sum + (report.packets[kind] ?? 0),
      0,
    );
  }
  return {
    audit: auditBooks(reports.map(({ books }) => books)),
    latency: latency as unknown as LatencyReport,
    recorders,
    packets,
    reports,
  };
}

/** Bytes on the sockets of all clients. */
export function bytesOf(reports: readonly SwarmReport[]): { sent: number; received: number } {
  return {
    sent: reports.reduce((sum, { bytesSent }) => sum + bytesSent, 0),
    received: reports.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0),
  };
}

/** msg:R packets beyond the first of each message, and over the messages. */
export function retransmitOf(merged: Merged): { count: number; ratio: number } {
  const { attempted } = merged.audit.ledger;
  const count = (merged.packets['msg:R'] ?? 0) - attempted;
  return { count: Math.max(0, count), ratio: attempted === 0 ? 0 : Math.max(0, count) / attempted };
}

/**
 * What the audit says against a run, in words; empty when it says nothing. Without quiescence a
 * message that has not arrived may still arrive: it is moved from `lost` to `unknown`, and only what
 * no waiting can mend counts against the run.
 */
export function auditReasons(audit: Audit, quiescence: { reached: boolean }): string[] {
  const reasons: string[] = [];
  if (!quiescence.reached) {
    const { ledger } = audit;
    ledger.unknown += ledger.lost;
    ledger.lost = ledger.falseConfirm = ledger.stuck = 0;
  }
  for (const figure of MUST_BE_ZERO) {
    const count = audit.ledger[figure];
    if (count > 0) reasons.push(`${figure}: ${count} of ${audit.ledger.attempted} messages`);
  }
  for (const violation of audit.violations) reasons.push(`conservation violated: ${violation}`);
  return reasons;
}

/** With more of the messages than this without answer or arrival, the rest stands for nothing. */
const UNANSWERED_SHARE_MAX = 0.005;

/**
 * Why an audit without a finding proves nothing; null when it proves something. A server cannot lose
 * what it never took: one that ignores most messages would otherwise look like one that keeps all.
 */
export function proofReason({ attempted, accepted, unknown }: Ledger): string | null {
  if (accepted === 0) {
    return `no message was ${attempted === 0 ? 'sent' : 'accepted'}: nothing was proven`;
  }
  if (unknown <= UNANSWERED_SHARE_MAX * attempted) return null;
  return `${unknown} of ${attempted} messages were never answered and never arrived`;
}

/** Samples hold a histogram each: of older seconds only the point is kept. */
const SAMPLED_SECONDS = 16;

/**
 * Samples of all workers, second by second. A sample of a worker that comes more than
 * `SAMPLED_SECONDS` late is left out of the series (and of nothing else).
 */
export class SeriesCollector {
  private readonly seconds = new Map<number, SecondSample[]>();
  private readonly closed: SeriesPoint[] = [];
  private closedUntil = -Infinity;

  /** Adds a worker's second and returns what is known of that second so far. */
  add(sample: SecondSample): SeriesPoint {
    const second = Math.round(sample.second);
    if (second <= this.closedUntil) return pointOf(second, [sample]);
    const samples = this.seconds.get(second) ?? [];
    samples.push(sample);
    this.seconds.set(second, samples);
    while (this.seconds.size > SAMPLED_SECONDS) this.closeOldest();
    return pointOf(second, samples);
  }

  points(untilS: number): SeriesPoint[] {
    const open = [...this.seconds].sort(([a], [b]) => a - b).map(([at, all]) => pointOf(at, all));
    return [...this.closed, ...open].filter(({ second }) => second >= 1 && second <= untilS + 0.5);
  }

  private closeOldest(): void {
    const oldest = Math.min(...this.seconds.keys());
    this.closed.push(pointOf(oldest, this.seconds.get(oldest) as SecondSample[]));
    this.closedUntil = oldest;
    this.seconds.delete(oldest);
  }
}

function pointOf(second: number, samples: readonly SecondSample[]): SeriesPoint {
  const sum = (pick: (sample: SecondSample) => number): number =>
    samples.reduce((total, sample) => total + pick(sample), 0);
  const confirm = new Recorder();
  for (const sample of samples) confirm.add(sample.confirm);
  return {
    second,
    sentPerSec: sum(({ sent }) => sent),
    confirmedPerSec: sum(({ confirmed }) => confirmed),
    deliveredPerSec: sum(({ delivered }) => delivered),
    inflight: sum(({ inflight }) => inflight),
    online: sum(({ online }) => online),
    confirmUsP50: confirm.quantile(0.5),
    confirmUsP99: confirm.quantile(0.99),
    confirmUsMax: confirm.max,
    generatorBusy: Math.max(...samples.map(({ busyShare }) => busyShare)),
  };
}

/** Identity of a configuration, without its seed. */
export function hashOf(scenario: Scenario): string {
  const { seed: _, ...rest } = scenario;
  return createHash('sha256').update(JSON.stringify(rest)).digest('hex').slice(0, 16);
}
