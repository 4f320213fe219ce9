/**
 * What a World is made of: its links, its machines and their parameters. The defaults are a world
 * without faults, with timers short enough that a run of a few virtual seconds sees many of them.
 */
import {
  Client,
  type ClientOptions,
  Gateway,
  type GatewayOptions,
  type Kind,
  Order,
  Policy,
  PullStrategy,
  type RetransmitTimers,
} from '../../protocol/index.ts';
import type { Clock } from '../../sim/clock.ts';
import { SimStore, type SimStoreOptions } from '../../sim/store.ts';
import type { Connection } from './user.ts';

/** Probabilities that a link does this to one packet. */
export interface LinkFaults {
  readonly drop: number;
  readonly duplicate: number;
  /** Everything behind the packet waits with it. */
  readonly delay: number;
  /** The packet alone comes late: later ones overtake it. */
  readonly reorder: number;
}

export const NO_FAULTS: LinkFaults = { drop: 0, duplicate: 0, delay: 0, reorder: 0 };

export interface WorldOptions {
  readonly seed: number;
  /** The clients' uids are 1 … clients. */
  readonly clients: number;
  readonly policy: Policy;
  readonly strategy: PullStrategy;
  readonly order: Order;
  readonly pageMessages: number;
  readonly pageBytes: number;
  readonly timers: RetransmitTimers;
  readonly requestTimeoutMs: number;
  readonly gateway: Partial<GatewayOptions>;
  readonly inboxMaxMessages: number;
  /** Longest commit of the store. */
  readonly commitMaxMs: number;
  readonly faultsOf: (kind: Kind) => LinkFaults;
  readonly latencyMaxMs: number;
  /** Longest delay of a delayed or reordered packet. */
  readonly delayMaxMs: number;
  /** The machines; replaced in order to sabotage them. */
  readonly makeClient: (options: ClientOptions) => Client;
  readonly makeGateway: (options: GatewayOptions) => Gateway<Connection>;
  readonly makeStore: (clock: Clock, options: SimStoreOptions) => SimStore;
  /** Gets one line per event, for reading a failed case. */
  readonly trace: ((line: string) => void) | null;
}

export const DEFAULT_WORLD: WorldOptions = {
  seed: 1,
  clients: 2,
  policy: Policy.Relay,
  strategy: PullStrategy.PagedNext,
  order: Order.OldestFirst,
  pageMessages: 10,
  pageBytes: 1000,
  timers: { firstMs: 200, maxMs: 1600, maxAttempts: 60, jitter: 0.1 },
  requestTimeoutMs: 500,
  gateway: {},
  inboxMaxMessages: 1000,
  commitMaxMs: 5,
  faultsOf: () => NO_FAULTS,
  latencyMaxMs: 5,
  delayMaxMs: 1000,
  makeClient: (options) => new Client(options),
  makeGateway: (options) => new Gateway<Connection>(options),
  makeStore: (clock, options) => new SimStore(clock, options),
  trace: null,
};

export const DEFAULT_GATEWAY: Omit<GatewayOptions, 'policy'> = {
  contentMaxBytes: 1000,
  pageMaxMessages: 100,
  pageMaxBytes: 100_000,
  packetsPerSec: 0,
  packetsBurst: 0,
  pendingMax: 1000,
};
