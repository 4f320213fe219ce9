/**
 * The exact ledger of a simulated run (docs/MEASUREMENT.md, "The ledger"): what senders were told
 * about each message against what stands in the receivers' logs.
 *
 * Send outcome: ok = msg:A ok seen; fail = definite error; info = anything else.
 */
import { Outcome } from '../../protocol/index.ts';

/** One message as its sender knows it. */
export interface MessageRecord {
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
  readonly seq: number;
  readonly content: string;
  /** msg:A ok was seen. */
  accepted: boolean;
  /** null while it is in the waiting-ack queue. */
  outcome: Outcome | null;
}

/** What a receiver's application holds of one message. */
export interface LogEntry {
  times: number;
  readonly content: string;
}

/** A receiver's application log: a multiset by message name. Survives crashes. */
export type Log = Map<string, LogEntry>;

export interface Audit {
  /** False: quiescence was not reached, and no figure below proves anything. */
  settled: boolean;
  attempted: number;
  delivered: number;
  /** Accepted, not delivered. */
  lost: number;
  /** Confirmed by ack:N, not delivered. */
  falseConfirm: number;
  /** Deliveries of a message beyond its first. */
  duplicated: number;
  /** Delivered though never sent to that user, or with another content. */
  unexpected: number;
  /** Definite error, yet delivered. */
  phantom: number;
  /** Left in an inbox. */
  stuck: number;
  /** Neither msg:A ok nor a definite error, yet delivered: not a fault. */
  recovered: number;
  /** Neither msg:A ok nor a definite error, and not delivered: not a fault, and never called lost. */
  unknown: number;
}

export function nameOf(message: { from: number; epoch: number; seq: number }): string {
  return `${message.from} ${message.epoch}:${message.seq}`;
}

export function auditOf(
  settled: boolean,
  messages: readonly MessageRecord[],
  logs: ReadonlyMap<number, Log>,
  rowsInInboxes: number,
): Audit {
  const audit: Audit = {
    settled,
    attempted: messages.length,
    delivered: 0,
    lost: 0,
    falseConfirm: 0,
    duplicated: 0,
    unexpected: 0,
    phantom: 0,
    stuck: rowsInInboxes,
    recovered: 0,
    unknown: 0,
  };
  const expected = new Map<number, Map<string, string>>();
  for (const message of messages) {
    const { to, accepted, outcome } = message;
    const name = nameOf(message);
    const ofReceiver = expected.get(to) ?? new Map<string, string>();
    expected.set(to, ofReceiver.set(name, message.content));

    const isDelivered = logs.get(to)?.has(name) ?? false;
    const isConfirmed = outcome === Outcome.Delivered || outcome === Outcome.Stored;
    if (isDelivered) {
      audit.delivered++;
      if (outcome === Outcome.Failed) audit.phantom++;
      else if (!accepted) audit.recovered++;
    } else {
      if (isConfirmed) audit.falseConfirm++;
      if (accepted) audit.lost++;
      else if (outcome !== Outcome.Failed && !isConfirmed) audit.unknown++;
    }
  }
  for (const [receiver, log] of logs) {
    for (const [name, { times, content }] of log) {
      audit.duplicated += times - 1;
      if (expected.get(receiver)?.get(name) !== content) audit.unexpected++;
    }
  }
  return audit;
}
