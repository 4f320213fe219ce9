/** Hand-made entries of the ledger's books: a test states only what it is about. */
import type { Ledger } from '../../loadgen/index.ts';
import {
  type Books,
  emptyBooks,
  type ReceivedEntry,
  type SentEntry,
} from '../../loadgen/ledger.ts';

/** 1 … n as intervals. */
export function upTo(n: number): number[] {
  return n === 0 ? [] : [1, n];
}

/** Nothing happened yet between 1 and 2 in epoch 1. */
export function sentEntry(facts: Partial<SentEntry>): SentEntry {
  return {
    sender: 1,
    receiver: 2,
    epoch: 1,
    attempted: 0,
    accepted: [],
    confirmed: [],
    stored: [],
    failed: [],
    gaveUp: [],
    settledTwice: 0,
    ...facts,
  };
}

/** Everything on the wire was delivered, once each, unless `facts` say otherwise. */
export function receivedEntry(facts: Partial<ReceivedEntry>): ReceivedEntry {
  const wire = facts.wire ?? facts.delivered ?? [];
  let arrivals = 0;
  for (let i = 0; i < wire.length; i += 2) {
    arrivals += (wire[i + 1] as number) - (wire[i] as number) + 1;
  }
  return {
    sender: 1,
    receiver: 2,
    epoch: 1,
    wireArrivals: arrivals,
    wire,
    delivered: wire,
    duplicated: 0,
    corrupt: 0,
    misrouted: 0,
    orderInversions: 0,
    ...facts,
  };
}

export function books(facts: Partial<Books>): Books {
  return { ...emptyBooks(), ...facts };
}

/** A ledger in which nothing happened but `facts`. */
export function ledgerOf(facts: Partial<Ledger>): Ledger {
  return {
    attempted: 0,
    accepted: 0,
    confirmed: 0,
    confirmedStored: 0,
    delivered: 0,
    failed: 0,
    info: 0,
    lost: 0,
    falseConfirm: 0,
    duplicated: 0,
    unexpected: 0,
    misrouted: 0,
    corrupt: 0,
    phantom: 0,
    recovered: 0,
    unknown: 0,
    stuck: 0,
    orderInversions: 0,
    ...facts,
  };
}
