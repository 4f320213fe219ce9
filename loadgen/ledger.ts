/**
 * The ledger: every message of a run accounted for, exactly, with O(gaps) memory.
 *
 * Each side writes only what it saw. The sender's book knows what was attempted and how each attempt
 * ended (ok, fail, or neither = info); the receiver's book knows every arrival on the wire and every
 * line of the application's log, kept apart from the dedupe sets of the protocol machines, so that a
 * bug there shows here. Books of all workers meet in `auditBooks`, the only place that may say
 * `lost`. Definitions: docs/MEASUREMENT.md section 1.
 */
import { IntervalSet } from '../protocol/index.ts';

/** What the sender saw of one conversation. Sequences are 1 … attempted. */
export class SentBook {
  attempted = 0;
  readonly accepted = new IntervalSet();
  readonly confirmed = new IntervalSet();
  readonly stored = new IntervalSet();
  readonly failed = new IntervalSet();
  readonly gaveUp = new IntervalSet();
  /** A message settled twice: the sender's queue is broken. */
  settledTwice = 0;

  settle(set: IntervalSet, seq: number): void {
    const isSettled =
      this.confirmed.has(seq) ||
      this.stored.has(seq) ||
      this.failed.has(seq) ||
      this.gaveUp.has(seq);
    if (isSettled) this.settledTwice++;
    else set.add(seq);
  }
}

/** What the receiver saw of one conversation. */
export class ReceivedBook {
  wireArrivals = 0;
  readonly wire = new IntervalSet();
  /** Lines of the application's log; `duplicated` counts lines beyond the first of a message. */
  readonly delivered = new IntervalSet();
  duplicated = 0;
  corrupt = 0;
  misrouted = 0;
  orderInversions = 0;
  private lastDelivered = 0;

  onWire(seq: number): void {
    this.wireArrivals++;
    this.wire.add(seq);
  }

  onDelivered(seq: number): void {
    if (!this.delivered.add(seq)) this.duplicated++;
    if (seq < this.lastDelivered) this.orderInversions++;
    this.lastDelivered = seq;
  }
}

/** Books of one user: by the other party, then by epoch. */
export type BookShelf<Book> = Map<number, Map<number, Book>>;

/** The book for (party, epoch), made when missing. */
export function bookOf<Book>(
  shelf: BookShelf<Book>,
  party: number,
  epoch: number,
  make: () => Book,
): Book {
  let byEpoch = shelf.get(party);
  if (byEpoch === undefined) {
    byEpoch = new Map();
    shelf.set(party, byEpoch);
  }
  let book = byEpoch.get(epoch);
  if (book === undefined) {
    book = make();
    byEpoch.set(epoch, book);
  }
  return book;
}

/** One conversation in one direction, as it crosses threads. Sets are lo, hi pairs. */
export interface SentEntry {
  sender: number;
  receiver: number;
  epoch: number;
  attempted: number;
  accepted: number[];
  confirmed: number[];
  stored: number[];
  failed: number[];
  gaveUp: number[];
  settledTwice: number;
}

export interface ReceivedEntry {
  sender: number;
  receiver: number;
  epoch: number;
  wireArrivals: number;
  wire: number[];
  delivered: number[];
  duplicated: number;
  corrupt: number;
  misrouted: number;
  orderInversions: number;
}

/** All books of a worker. */
export interface Books {
  sent: SentEntry[];
  received: ReceivedEntry[];
  /** Messages still in an inbox although its user is online and drained. */
  stuck: number;
}

export function emptyBooks(): Books {
  return { sent: [], received: [], stuck: 0 };
}

/** Adds one user's shelves to `books`. */
export function closeShelves(
  user: number,
  sent: BookShelf<SentBook>,
  received: BookShelf<ReceivedBook>,
  books: Books,
): void {
  for (const [receiver, byEpoch] of sent) {
    for (const [epoch, book] of byEpoch) {
      books.sent.push({
        sender: user,
        receiver,
        epoch,
        attempted: book.attempted,
        accepted: book.accepted.toPairs(),
        confirmed: book.confirmed.toPairs(),
        stored: book.stored.toPairs(),
        failed: book.failed.toPairs(),
        gaveUp: book.gaveUp.toPairs(),
        settledTwice: book.settledTwice,
      });
    }
  }
  for (const [sender, byEpoch] of received) {
    for (const [epoch, book] of byEpoch) {
      books.received.push({
        sender,
        receiver: user,
        epoch,
        wireArrivals: book.wireArrivals,
        wire: book.wire.toPairs(),
        delivered: book.delivered.toPairs(),
        duplicated: book.duplicated,
        corrupt: book.corrupt,
        misrouted: book.misrouted,
        orderInversions: book.orderInversions,
      });
    }
  }
}
