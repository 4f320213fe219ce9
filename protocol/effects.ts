/**
 * What machines write: effects in a buffer that the caller owns.
 *
 * The rule of every machine: one input, then the caller drains the buffer wholly, then the next
 * input. Slots are reused, so a drained effect must not be kept; contents of effects point into the
 * packet that caused them (or into the waiting-ack queue) and are valid while draining.
 */
import { assert } from './assert.ts';
import { NO_CONTENT, Packet } from './packet.ts';

/** A growing array of reusable slots. `push` hands out the next slot with its old values in it. */
export class EffectBuffer<T> {
  private readonly slots: T[] = [];
  private readonly make: () => T;
  /** Number of effects waiting to be drained. */
  length = 0;

  constructor(make: () => T) {
    this.make = make;
  }

  push(): T {
    const index = this.length++;
    const slot = this.slots[index];
    if (slot !== undefined) return slot;
    const fresh = this.make();
    this.slots.push(fresh);
    return fresh;
  }

  at(index: number): T {
    assert(index < this.length, 'effect index in range');
    return this.slots[index] as T;
  }

  clear(): void {
    this.length = 0;
  }
}

/** What a client machine asks its driver to do, or tells it. */
export const ClientEffectKind = {
  /** Send `packet`. */
  Send: 0,
  /** Append a new message to the application's log: uid (sender), epoch, seq, msgType, content. */
  Deliver: 1,
  /** A repeat arrived and was dropped: uid (sender), epoch, seq. */
  Repeat: 2,
  /** msg:A ok arrived for the first time: uid (receiver), epoch, seq, tag, submittedAtMs. */
  Accepted: 3,
  /** A message left the waiting-ack queue: as Accepted, and outcome, status, attempts, content. */
  Settled: 4,
  /** An offline pull ended; the inbox was empty. `status` is not 0 when the server refused it. */
  Drained: 5,
  /** A newer session of this user took over; the driver must not reconnect. */
  Kicked: 6,
} as const;
export type ClientEffectKind = (typeof ClientEffectKind)[keyof typeof ClientEffectKind];

/** How a message left the waiting-ack queue. */
export const Outcome = {
  /** ack:N(delivered): the receiver has it. */
  Delivered: 0,
  /** ack:N(stored): forged by the server, the message is in the receiver's inbox. */
  Stored: 1,
  /** A definite error to its only transmission: it had no effect. */
  Failed: 2,
  /** Attempts used up; whether it arrived is unknown. */
  GaveUp: 3,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** How logs and traces name them. */
export const OUTCOME_NAME: Readonly<Record<Outcome, string>> = {
  [Outcome.Delivered]: 'delivered',
  [Outcome.Stored]: 'stored',
  [Outcome.Failed]: 'failed',
  [Outcome.GaveUp]: 'given up',
};

export class ClientEffect {
  kind: ClientEffectKind = ClientEffectKind.Send;
  readonly packet = new Packet();
  uid = 0;
  epoch = 0;
  seq = 0;
  msgType = 0;
  content: Uint8Array = NO_CONTENT;
  /** Deliver and Repeat: true when it came in a page, false when it was pushed. */
  paged = false;
  outcome: Outcome = Outcome.Delivered;
  status = 0;
  /** Transmissions of the message, those after a reconnect included. */
  attempts = 0;
  /** What the caller gave to `submit`; means nothing here. */
  tag = 0;
  submittedAtMs = 0;
}

/** The buffer that Sender, Receiver, Puller and Client write to. */
export type ClientEffects = EffectBuffer<ClientEffect>;

export function createClientEffects(): ClientEffects {
  return new EffectBuffer(() => new ClientEffect());
}
