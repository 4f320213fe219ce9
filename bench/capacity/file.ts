/**
 * A capacity result: what `ackbench capacity` measured on one server, the model that was fitted to it,
 * and how far the model was off where it was not fitted. `plan`, the fleet simulation and the report
 * read it; nothing in it is an assumption.
 */
import type { Commit, Environment } from '../environment.ts';

export const CAPACITY_SCHEMA = 2;

/** What the server spends its processor on; the model has one demand for each. */
export const OPERATIONS = [
  /** A message to a receiver who is online: msg:R and ack:R in; msg:A, msg:N, ack:A, ack:N out. */
  'online',
  /** A message to a receiver who is offline: stored, msg:A and a forged ack:N out. */
  'stored',
  /** A stored message that leaves in a page. */
  'pulled',
  /** A connection: handshake, token, registration, the counts of its inbox. */
  'connect',
  /** A second of an open connection: its share of timers and heartbeats. */
  'connectionSecond',
  /** A KiB of message content that comes in. */
  'payloadKiB',
  /** A msg:R beyond the first of its message. */
  'retransmit',
  /**
   * A packet that finds the server's event loop asleep: the wake-up costs more than the packet. Of
   * packets that arrive at random, as many find it asleep as its idle share.
   */
  'wakeUp',
  /**
   * A message that is stored while the event loop would be asleep: it has a commit for itself, which
   * messages that come close together share.
   */
  'loneCommit',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What only an idle server pays for: it follows from other rates and the busy share. */
type IdleOperation = 'wakeUp' | 'loneCommit';
const DIRECT_OPERATIONS = OPERATIONS.filter(
  (operation): operation is Exclude<Operation, IdleOperation> =>
    operation !== 'wakeUp' && operation !== 'loneCommit',
);

/** Operations per second of server time. */
export type OperationRates = Record<Exclude<Operation, IdleOperation>, number> & {
  /** Packets that come in, per second. */
  packetsIn: number;
};

export interface CapacitySettings {
  policy: string;
  store: string;
  clients: number;
  payloadBytes: number;
  sloMs: number;
  startPerSec: number;
  maxPerSec: number;
  seed: number;
  workers: number;
  isQuick: boolean;
  isSearchOnly: boolean;
}

/** One short run of the grid, or a probe of the search: what was offered and what was measured. */
export interface CapacityRun {
  /** `online`, `mixed`, `offline`, … : runs of one mix differ in rate, clients or payload. */
  mix: string;
  clients: number;
  ratePerSec: number;
  payloadBytes: number;
  offlineShare: number;
  /** null = fitted; otherwise why it was held out. */
  heldOut: 'point' | 'mix' | null;
  verdict: string;
  reasons: string[];
  /** The load was offered and the machine undisturbed: CPU, memory and bytes count. */
  isUsable: boolean;
  /** The generator was fast enough as well: latencies count. */
  isLatencyValid: boolean;
  measured: {
    windowS: number;
    achievedPerSec: number;
    rates: OperationRates;
    /** By name, per second, as the clients saw them. */
    packetsPerSec: Record<string, number>;
    /** Of one core, of the server's process; null where it cannot be seen. */
    cpuShare: number | null;
    rssBytes: number | null;
    /** Mean of the window. */
    connections: number;
    /** Messages that the server held at the end of the window: stored, or on their way. */
    waiting: number;
    /** Its data directory on the disk; null where it cannot be seen. */
    dataBytes: number | null;
    /** Bytes of one login, by the client: handshake and the pull of an empty inbox. */
    perConnect: { bytesSent: number; bytesReceived: number } | null;
    /** Of the clients' sockets, WebSocket frames included: the server sees them the other way round. */
    bytesInPerSec: number;
    bytesOutPerSec: number;
    confirmUs: { p50: number | null; p90: number | null; p99: number | null };
    lost: number;
  };
}

/** A probe of the search for the highest rate that meets the SLO. */
export interface Probe {
  phase: 'ramp' | 'bisect' | 'confirm' | 'overload' | 'recovery';
  ratePerSec: number;
  ok: boolean;
  /** Why it did not hold; empty when it did. `generator: …` = not the server's fault. */
  reasons: string[];
  confirmUsP99: number | null;
  cpuShare: number | null;
}

export interface CapacitySearch {
  slo: { quantile: 'p99'; confirmMs: number };
  probes: Probe[];
  /** Highest Poisson rate, messages/s, that met the SLO with every gate valid; null = none did. */
  lambdaStarPerSec: number | null;
  /** What gave way above it. Only with `server` is it more than a lower bound. */
  binds: 'server' | 'generator' | 'machine' | 'rate-max' | 'none found';
  why: string;
  /** After an overload of 1.5 times: seconds until the SLO holds again; null = not tried. */
  recovery: { recoveredS: number | null; metastable: boolean } | null;
}

/** A quantile of confirm latency over the busy share: `aUs + bUs * rho / (1 - rho)`. */
export interface LatencyLaw {
  quantile: 'p50' | 'p90' | 'p99';
  aUs: number;
  bUs: number;
}

/** One set of parameters: the fit itself, or one replicate of the bootstrap over runs. */
export interface Parameters {
  /** us of one core per operation. */
  demandUs: Record<Operation, number>;
  /** Resident bytes: an empty server, each connection, each message that waits in memory. */
  memory: {
    baseBytes: number;
    perConnectionBytes: number;
    /** Per message that waits, beside its content. */
    perStoredBytes: number;
    /** Per byte of content that waits: pages of the store that are in memory. */
    perContentByte: number;
  };
  latency: LatencyLaw[];
}

/** Exact, from the frame layouts: bytes on the server's sockets with WebSocket frames. */
export interface NetworkLaw {
  /** Per operation, without content. */
  inBytes: { online: number; stored: number; pulled: number; connect: number };
  outBytes: { online: number; stored: number; pulled: number; connect: number };
  /** How often a byte of content comes in and goes out. */
  contentIn: { online: number; stored: number; pulled: number };
  contentOut: { online: number; stored: number; pulled: number };
  /** TCP and IP headers per segment, bytes; a small packet is a segment. */
  segmentBytes: number;
}

export interface Validation {
  /** Mean and largest relative error over points (medians of their runs), and the share of runs inside their 90 % interval. */
  layers: {
    layer: 'cpu' | 'throughput' | 'memory' | 'network' | 'p99';
    points: number;
    meanError: number;
    maxError: number;
    coverage: number | null;
    /** Runs that the coverage is of. */
    judged: number;
  }[];
  /** Why node counts must not be printed; null = they may. */
  refusal: string | null;
}

export interface CapacityFile {
  schema: typeof CAPACITY_SCHEMA;
  kind: 'capacity';
  tool: { name: string; version: string };
  startedAt: string;
  durationS: number;
  seed: number;
  interrupted: boolean;
  commit: Commit;
  environment: Environment;
  target: { kind: 'reference' | 'remote'; policy: string; store: string; url: string };
  /** What was asked for; `--resume` goes on with the same. */
  settings: CapacitySettings;
  search: CapacitySearch;
  runs: CapacityRun[];
  /** Runs of any kind that failed their audit: rate and reasons. */
  losses: string[];
  /** null where the server's process cannot be seen, or too few runs are valid. */
  model: {
    fitted: Parameters;
    /** Bootstrap over the fitted runs, in no order: 5 % and 95 % of a formula over them are its interval. */
    replicates: Parameters[];
    network: NetworkLaw;
    /** On disk per stored message beyond its content, bytes, measured. */
    diskBytesPerStored: number | null;
    /** Ranges that were measured; beyond twice the upper end, everything is "extrapolated". */
    measured: { ratePerSec: number; connections: number; payloadBytes: number; cpuShare: number };
  } | null;
  validation: Validation | null;
}

/**
 * Busy share of the server's core under `rates`: U = D + W (1 - U), solved for U. D is the direct work,
 * W what everything that finds the loop idle, with probability 1 - U, pays on top of it: a packet the
 * wake-up, a message that is stored a commit of its own.
 */
export function busyShareOf(demandUs: Record<Operation, number>, rates: OperationRates): number {
  const direct = directShareOf(demandUs, rates);
  const wake = wakeShareOf(demandUs, rates);
  return (direct + wake) / (1 + wake);
}

/** Core seconds per second that are paid for whatever else goes on. */
export function directShareOf(demandUs: Record<Operation, number>, rates: OperationRates): number {
  return DIRECT_OPERATIONS.reduce((sum, name) => sum + (rates[name] * demandUs[name]) / 1e6, 0);
}

/** Core seconds per second that would be paid if everything found the loop idle. */
export function wakeShareOf(demandUs: Record<Operation, number>, rates: OperationRates): number {
  return (rates.packetsIn * demandUs.wakeUp + rates.stored * demandUs.loneCommit) / 1e6;
}
