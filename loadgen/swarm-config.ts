/** What a worker is told: plain data, because it crosses threads. */
import type { Order, PullStrategy, RetransmitTimers } from '../protocol/index.ts';
import type { LinkFaults } from './link.ts';
import type { Arrivals, ReceiverChoice } from './schedule.ts';

/** Open loop: instants come from a schedule that does not wait for the server. */
export interface OpenLoad {
  readonly mode: 'open';
  readonly ratePerSec: number;
  readonly arrivals: Arrivals;
  readonly burst: number;
  /** Other rates from an instant on, ascending. */
  readonly steps?: readonly { readonly atS: number; readonly ratePerSec: number }[] | undefined;
}

/** Closed loop: a settled message makes room for the next one. For saturation only. */
export interface ClosedLoad {
  readonly mode: 'closed';
  /** Messages that each client keeps in flight; null = `outstanding` says how many. */
  readonly window: number | null;
  /** Messages in flight of all clients together, each from a sender chosen anew. */
  readonly outstanding: number | null;
}

/** Who wrote to whom and when; presence follows from it. */
export interface TraceLoad {
  readonly mode: 'trace';
  /** Ascending; users are indices, instants µs from the start of the load. */
  readonly atUs: Float64Array;
  readonly sender: Uint32Array;
  readonly receiver: Uint32Array;
  /** A user stays online for so long after the last own message, ms. */
  readonly lingerMs: number;
}

/** No messages by itself: the experiment drives single clients. */
export interface NoLoad {
  readonly mode: 'none';
}

export type Load = OpenLoad | ClosedLoad | TraceLoad | NoLoad;

/** Something that happens to clients at a time of the load. */
export interface ClientEvent {
  readonly atMs: number;
  readonly action: 'crash' | 'disconnect' | 'half-open' | 'slow-read';
  /** Share of the clients that it happens to. */
  readonly share: number;
  /** How long half-open and slow-read last, and how long a crashed client stays away. */
  readonly forMs: number;
}

export interface PullConfig {
  readonly strategy: PullStrategy;
  readonly order: Order;
  readonly pageMessages: number;
  readonly pageBytes: number;
  readonly wholeMessages: number;
  readonly wholeBytes: number;
  readonly requestTimeoutMs: number;
}

export interface SwarmConfig {
  readonly url: string;
  readonly isInsecure: boolean;
  readonly jwtKey: string;
  readonly seed: number;
  /** Users of the whole run are uidBase … uidBase + users - 1; this worker has [from, to). */
  readonly uidBase: number;
  readonly users: number;
  readonly from: number;
  readonly to: number;
  /** Share of all users that stay offline until the load is over, scattered over all of them. */
  readonly offlineShare: number;
  /** Experiments: users from this index on stay offline instead; null = by share. */
  readonly offlineFrom: number | null;
  /** Mean length of a session and of the absence after it, s; null = everybody stays. */
  readonly churn: { readonly onlineS: number; readonly offlineS: number } | null;
  readonly epoch: number;
  readonly load: Load;
  /** This worker's share of the load. */
  readonly share: number;
  readonly receivers: {
    readonly choice: ReceiverChoice;
    readonly friends: number;
    readonly exponent: number;
  };
  /** Content sizes: uniform in [min, max]. */
  readonly payloadBytes: { readonly min: number; readonly max: number };
  readonly retransmit: RetransmitTimers;
  readonly inflightMax: number;
  readonly pull: PullConfig;
  readonly faults: LinkFaults | null;
  /** Crash between page and acknowledgement: probability per page, at most so often per client. */
  readonly crashOnPage: { readonly probability: number; readonly maxPerClient: number } | null;
  /** Friends that naive pulls ask for; null = those that the receiver choice gives. */
  readonly friendUids: readonly number[] | null;
  /** Books and histograms are left out, to measure what they cost: such a run proves nothing. */
  readonly isBlind: boolean;
  /** Events of the message trace that a worker keeps; 0 = no trace. */
  readonly traceEventsMax: number;
  readonly events: readonly ClientEvent[];
  readonly connectRatePerSec: number;
  readonly reconnect: { readonly firstMs: number; readonly maxMs: number };
  /** First and last instant that counts for latency, ms from the start of the load. */
  readonly warmupMs: number;
  readonly durationMs: number;
}
