/**
 * The offline inbox as the gateway sees it: one small interface, run by one conformance suite
 * (test/conformance/store.ts) for every implementation.
 *
 * Rules that every store keeps:
 * - `put` is idempotent on (receiver, sender, epoch, seq) while the row exists, and answers Ok only
 *   when the row would survive what the store calls durable.
 * - Each row gets a position: a positive safe integer, larger than every position the store ever
 *   gave, restarts included. A page is a contiguous run of positions of its receiver (or of its
 *   receiver and sender), so `first..last` with the filter names exactly the rows of that page (S17):
 *   rows stored later have a larger position and cannot fall into it.
 * - Rows become visible in the order of their positions: a row that appeared later inside the range
 *   of a page that was read would be deleted unseen by that page's token.
 * - Pages and counts show committed rows only. A row that is being deleted is shown no more, and is
 *   shown again when its deletion fails.
 * - Answers come through callbacks, each exactly once, possibly before the call returns.
 */
import type { Order, Row, SenderCount, Status } from '../../protocol/index.ts';

/**
 * A message to store. `content` does not change, but it may share memory with others: who keeps it
 * for long copies it.
 */
export interface NewRow {
  readonly receiver: number;
  readonly sender: number;
  readonly epoch: number;
  readonly seq: number;
  readonly timeMs: number;
  readonly msgType: number;
  readonly content: Uint8Array;
}

export interface PageQuery {
  readonly receiver: number;
  /** 0 = of every sender. */
  readonly sender: number;
  readonly order: Order;
  /** At most so many rows, >= 1. */
  readonly limit: number;
  /** At most so many bytes of content, but always the first row. */
  readonly limitBytes: number;
}

export interface Page {
  /** In the order asked for. Contents must not be changed. */
  readonly rows: readonly Row[];
  /** Smallest and largest position in the page; 0 and 0 for an empty page. */
  readonly first: number;
  readonly last: number;
  /** True when the query would match further rows beyond this page. */
  readonly more: boolean;
}

/** Names the rows of one page. sender 0 = of every sender. */
export interface PageRange {
  readonly receiver: number;
  readonly sender: number;
  readonly first: number;
  readonly last: number;
}

export interface StoreStats {
  /** Rows in inboxes that the store has in its index now; not all rows of a persistent store. */
  readonly indexedRows: number;
  /** Receivers in the index. */
  readonly indexedInboxes: number;
  /** Writes that wait for a commit. */
  readonly pendingWrites: number;
  readonly commits: number;
  readonly commitFailures: number;
  /** The disk failed: every operation is answered StoreFailed until a restart. */
  readonly isStopped: boolean;
}

/** Caps per receiver; a put beyond either answers InboxFull. */
export interface InboxLimits {
  readonly inboxMaxMessages: number;
  readonly inboxMaxBytes: number;
}

export interface Store {
  readonly kind: 'lmdb' | 'memory';
  /** What an Ok of `put` survives: for the start-up line and the docs. */
  readonly survives: string;
  /** Ok, InboxFull, StoreFailed or Overloaded (too many writes pending). */
  put(row: NewRow, done: (status: Status) => void): void;
  page(query: PageQuery, done: (status: Status, page: Page) => void): void;
  counts(receiver: number, done: (status: Status, counts: readonly SenderCount[]) => void): void;
  deletePage(range: PageRange, done: (status: Status) => void): void;
  /** Deletes one row by its name (durable policy, on ack:R). Ok also when there is none. */
  remove(
    row: Pick<NewRow, 'receiver' | 'sender' | 'epoch' | 'seq'>,
    done: (status: Status) => void,
  ): void;
  stats(): StoreStats;
  /** Finishes pending commits and closes. Operations afterwards answer StoreFailed. */
  close(): Promise<void>;
}

export const EMPTY_PAGE: Page = { rows: [], first: 0, last: 0, more: false };
