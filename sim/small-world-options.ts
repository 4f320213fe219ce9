/**
 * What a small world is made of: its users and messages, how many faults of each kind may happen,
 * and its machines, which a test replaces in order to break one rule.
 */
import {
  Client,
  type ClientOptions,
  Gateway,
  type GatewayOptions,
  Order,
  Policy,
  PullStrategy,
} from '../protocol/index.ts';
import { SmallStore } from './small-world-store.ts';

/** A message that its sender may submit at any moment, after its earlier ones. uids from 1. */
export interface SmallMessage {
  readonly from: number;
  readonly to: number;
}

/** How often each may happen in one history. 0 … 7. */
export interface SmallBudget {
  /** Packets lost. */
  readonly losses: number;
  /** Packets that arrive twice. */
  readonly duplicates: number;
  /** Packets that overtake the one before. */
  readonly reorders: number;
  /** Crashes of a client or of the server. */
  readonly crashes: number;
  /** Connections that break or are closed, each noticed late, or never, by the other end. */
  readonly disconnects: number;
  /** Retransmissions of msg:R by deadline. */
  readonly retransmissions: number;
  /** Requests of the offline side sent again by deadline. */
  readonly repeats: number;
  /** Commits that fail. */
  readonly commitFailures: number;
}

export interface SmallWorldOptions extends SmallBudget {
  readonly policy: Policy;
  readonly strategy: PullStrategy;
  readonly order: Order;
  readonly users: number;
  readonly messages: readonly SmallMessage[];
  /** The search ends, incomplete, beyond so many states. */
  readonly statesMax: number;
  /** State of machines must be in fields of theirs, not in closures: they are copied. */
  readonly makeClient: (options: ClientOptions) => Client;
  readonly makeGateway: (options: GatewayOptions) => Gateway<number>;
  readonly makeStore: () => SmallStore;
}

export const BUDGET_KEYS = [
  'losses',
  'duplicates',
  'reorders',
  'crashes',
  'disconnects',
  'retransmissions',
  'repeats',
  'commitFailures',
] as const satisfies readonly (keyof SmallBudget)[];

export const DEFAULT_SMALL_WORLD: SmallWorldOptions = {
  policy: Policy.Relay,
  strategy: PullStrategy.PagedNext,
  order: Order.OldestFirst,
  users: 2,
  messages: [
    { from: 1, to: 2 },
    { from: 1, to: 2 },
  ],
  losses: 2,
  duplicates: 1,
  reorders: 0,
  crashes: 1,
  disconnects: 1,
  retransmissions: 2,
  repeats: 1,
  commitFailures: 0,
  statesMax: 20_000_000,
  makeClient: (options) => new Client(options),
  makeGateway: (options) => new Gateway<number>(options),
  makeStore: () => new SmallStore(),
};
