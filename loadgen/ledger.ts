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

/** How many messages behind a figure one book remembers by name. */
const NOTES_MAX = 10;

/** What the sender saw of one conversation. Sequences are 1 … attempted. */
export class SentBook {
  readonly epoch: number;
  /** Book of another epoch of the same conversation. */
  other: SentBook | null = null;
  attempted = 0;
  readonly accepted = new IntervalSet();
  readonly confirmed = new IntervalSet();
  /** Made when first needed: most conversations never do. */
  stored: IntervalSet | null = null;
  failed: IntervalSet | null = null;
  gaveUp: IntervalSet | null = null;
  /** A message settled twice: the sender's queue is broken. */
  settledTwice = 0;
  /** Sequences of ack:N for messages that were never sent, the first of them; mostly null. */
  strays: number[] | null = null;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  /** Nothing was ever written here. */
  get isBlank(): boolean {
    return (
      this.attempted === 0 &&
      this.accepted.size === 0 &&
      this.confirmed.size === 0 &&
      this.stored === null &&
      this.failed === null &&
      this.gaveUp === null &&
      this.strays === null
    );
  }

  settle(how: 'confirmed' | 'stored' | 'failed' | 'gaveUp', seq: number): void {
    const isSettled =
      this.confirmed.has(seq) ||
      this.stored?.has(seq) === true ||
      this.failed?.has(seq) === true ||
      this.gaveUp?.has(seq) === true;
    if (isSettled) this.settledTwice++;
    else if (how === 'confirmed') this.confirmed.add(seq);
    else (this[how] ??= new IntervalSet()).add(seq);
  }

  /** An ack:N that ended no wait: a late repeat is normal, one for a message never sent is not. */
  onIdleAckN(seq: number): void {
    this.onLateAnswer(seq);
    if (seq <= this.attempted) return;
    this.strays ??= [];
    if (this.strays.length < NOTES_MAX) this.strays.push(seq);
  }

  /**
   * msg:A ok or ack:N after the sender gave up: the server took the message all the same, and answers
   * for it. Without this a loss that is admitted late would count as `unknown`.
   */
  onLateAnswer(seq: number): void {
    if (this.gaveUp?.has(seq) === true) this.accepted.add(seq);
  }
}

/** What the receiver saw of one conversation. */
export class ReceivedBook {
  readonly epoch: number;
  other: ReceivedBook | null = null;
  wireArrivals = 0;
  readonly wire = new IntervalSet();
  /** Lines of the application's log; `duplicated` counts lines beyond the first of a message. */
  readonly delivered = new IntervalSet();
  duplicated = 0;
  corrupt = 0;
  misrouted = 0;
  orderInversions = 0;
  /** What is behind the figures, the first of them; mostly null. */
  notes: { figure: NotedFigure; what: string }[] | null = null;
  private lastDelivered = 0;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  /** Nothing was ever written here. */
  get isBlank(): boolean {
    return (
      this.wireArrivals === 0 &&
      this.delivered.size === 0 &&
      this.corrupt === 0 &&
      this.misrouted === 0 &&
      this.notes === null
    );
  }

  onWire(seq: number): void {
    this.wireArrivals++;
    this.wire.add(seq);
  }

  onDelivered(seq: number): void {
    if (!this.delivered.add(seq)) {
      this.duplicated++;
      this.note('duplicated', `seq ${seq}`);
    }
    if (seq < this.lastDelivered) this.orderInversions++;
    this.lastDelivered = seq;
  }

  /** A delivered content that is not what its name promises; `what` says which and why. */
  mark(figure: 'corrupt' | 'misrouted', what: string): void {
    this[figure]++;
    this.note(figure, what);
  }

  /** Remembers by name what a figure counts, up to a bound. */
  note(figure: NotedFigure, what: string): void {
    this.notes ??= [];
    if (this.notes.length < NOTES_MAX) this.notes.push({ figure, what });
  }
}

/** Figures that only the receiver can put names to. */
export type NotedFigure = 'duplicated' | 'corrupt' | 'misrouted' | 'stuck';

/** Books of one user by the other party; further epochs hang on the first book. */
export type BookShelf<Book> = Map<number, Book>;

/** The shelf of a user who never had a book. */
export const NO_BOOKS: ReadonlyMap<number, never> = new Map<number, never>();

/** The book for (party, epoch), made when missing. */
export function bookOf<Book extends { readonly epoch: number; other: Book | null }>(
  shelf: BookShelf<Book>,
  party: number,
  epoch: number,
  make: (epoch: number) => Book,
): Book {
  const first = shelf.get(party);
  if (first === undefined) {
    const fresh = make(epoch);
    shelf.set(party, fresh);
    return fresh;
  }
  let book = first;
  while (book.epoch !== epoch) book = book.other ??= make(epoch);
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
  /** Messages behind the figures, by name; absent when there are none. */
  notes?: { figure: NotedFigure; text: string }[];
  /** Messages that nobody sent and an ack:N confirmed; absent when there are none. */
  strays?: string[];
}

export function emptyBooks(): Books {
  return { sent: [], received: [], stuck: 0 };
}

/** Adds one user's shelves to `books`. */
export function closeShelves(
  user: number,
  sent: ReadonlyMap<number, SentBook>,
  received: ReadonlyMap<number, ReceivedBook>,
  books: Books,
): void {
  for (const [receiver, first] of sent) {
    for (let book: SentBook | null = first; book !== null; book = book.other) {
      if (book.isBlank) continue;
      books.sent.push({
        sender: user,
        receiver,
        epoch: book.epoch,
        attempted: book.attempted,
        accepted: book.accepted.toPairs(),
        confirmed: book.confirmed.toPairs(),
        stored: book.stored?.toPairs() ?? [],
        failed: book.failed?.toPairs() ?? [],
        gaveUp: book.gaveUp?.toPairs() ?? [],
        settledTwice: book.settledTwice,
      });
      for (const seq of book.strays ?? []) {
        (books.strays ??= []).push(`${user}->${receiver} epoch ${book.epoch} seq ${seq}`);
      }
    }
  }
  for (const [sender, first] of received) {
    for (let book: ReceivedBook | null = first; book !== null; book = book.other) {
      if (book.isBlank) continue;
      books.received.push({
        sender,
        receiver: user,
        epoch: book.epoch,
        wireArrivals: book.wireArrivals,
        wire: book.wire.toPairs(),
        delivered: book.delivered.toPairs(),
        duplicated: book.duplicated,
        corrupt: book.corrupt,
        misrouted: book.misrouted,
        orderInversions: book.orderInversions,
      });
      for (const { figure, what } of book.notes ?? []) {
        const text = `${sender}->${user} epoch ${book.epoch} ${what}`;
        (books.notes ??= []).push({ figure, text });
      }
    }
  }
}
