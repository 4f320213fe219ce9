/**
 * What a store knows of its inboxes without reading contents: which rows there are, in which order,
 * whose, how large, and in which state. Shared by every store; it does no IO.
 *
 *     InboxIndex --receiver--> Inbox --sender--> Conversation --(epoch, seq)--> Entry
 *                              rows [ . . e e e x e e ]   both keep their entries in an array by
 *                                         ^head           position, x = gone, skipped
 *
 * Rule: positions only ever grow, so both arrays are sorted by appending alone. That is what makes a
 * page "a contiguous run of positions" and lets `first..last` name exactly its rows (S17).
 *
 * Cost: append O(1); a page O(its rows) from either end, whatever the inbox holds; a range O(log n +
 * its rows); removal O(1) amortised. 150 bytes per row in large inboxes, 600 for a row alone in one.
 */
import { assert, Order, type SenderCount } from '../../protocol/index.ts';
import type { InboxLimits, PageQuery, PageRange } from './store.ts';

/** Life of a row: Pending -> Committed -> Deleting -> Gone; a failed commit goes one step back. */
export const EntryState = { Pending: 0, Committed: 1, Deleting: 2, Gone: 3 } as const;
export type EntryState = (typeof EntryState)[keyof typeof EntryState];

/**
 * One row. `held` belongs to the store: the memory store keeps the content there, the lmdb store
 * the commit that a pending or deleting row waits for. Only `InboxIndex` changes `state`.
 */
export class Entry<Held> {
  readonly position: number;
  readonly epoch: number;
  readonly seq: number;
  readonly contentBytes: number;
  readonly conversation: Conversation<Held>;
  state: EntryState;
  held: Held | null;

  constructor(
    conversation: Conversation<Held>,
    name: { readonly position: number; readonly epoch: number; readonly seq: number },
    contentBytes: number,
    state: EntryState,
    held: Held | null,
  ) {
    this.position = name.position;
    this.epoch = name.epoch;
    this.seq = name.seq;
    this.contentBytes = contentBytes;
    this.conversation = conversation;
    this.state = state;
    this.held = held;
  }
}

/** The entries of one page in the order asked for, and whether the query matches more. */
export interface Selection<Held> {
  readonly entries: readonly Entry<Held>[];
  readonly more: boolean;
}

/** Gone entries that a list may hold beyond as many as it has live ones before it is rebuilt. */
const GONE_SLACK = 16;

/** Entries by position. Gone ones are dropped at both ends at once, in the middle by rebuilding. */
class EntryList<Held> {
  private entries: Entry<Held>[] = [];
  /** Before it, all are gone. */
  private head = 0;
  private live = 0;

  /** Rows that are not gone. */
  get size(): number {
    return this.live;
  }

  push(entry: Entry<Held>): void {
    const last = this.entries[this.entries.length - 1];
    assert(last === undefined || last.position < entry.position, 'positions only grow');
    // An array with one element takes one slot, an empty one that grows takes seventeen.
    if (last === undefined) this.entries = [entry];
    else this.entries.push(entry);
    this.live++;
  }

  /** To be called after one entry of this list became Gone. */
  trim(): void {
    const entries = this.entries;
    if (--this.live === 0) {
      this.entries = [];
      this.head = 0;
      return;
    }
    while ((entries[this.head] as Entry<Held>).state === EntryState.Gone) this.head++;
    while ((entries[entries.length - 1] as Entry<Held>).state === EntryState.Gone) entries.pop();
    if (entries.length > 2 * this.live + GONE_SLACK) {
      this.entries = entries.filter((entry) => entry.state !== EntryState.Gone);
      this.head = 0;
    }
  }

  select(query: Pick<PageQuery, 'order' | 'limit' | 'limitBytes'>): Selection<Held> {
    const isOldestFirst = query.order === Order.OldestFirst;
    const step = isOldestFirst ? 1 : -1;
    const end = isOldestFirst ? this.entries.length : this.head - 1;
    const selected: Entry<Held>[] = [];
    let bytes = 0;
    for (let at = isOldestFirst ? this.head : this.entries.length - 1; at !== end; at += step) {
      const entry = this.entries[at] as Entry<Held>;
      if (entry.state !== EntryState.Committed) continue;
      bytes += entry.contentBytes;
      const isFull = selected.length > 0 && bytes > query.limitBytes;
      if (isFull || selected.length === query.limit) return { entries: selected, more: true };
      selected.push(entry);
    }
    return { entries: selected, more: false };
  }

  /** Committed and deleting entries with a position in [first, last], ascending. */
  between(first: number, last: number): Entry<Held>[] {
    const found: Entry<Held>[] = [];
    for (let at = this.lowerBound(first); at < this.entries.length; at++) {
      const entry = this.entries[at] as Entry<Held>;
      if (entry.position > last) break;
      if (entry.state === EntryState.Committed || entry.state === EntryState.Deleting) {
        found.push(entry);
      }
    }
    return found;
  }

  /** The entry of that name that is not gone; newest first, where repeats come from. O(size). */
  scan(epoch: number, seq: number): Entry<Held> | undefined {
    for (let at = this.entries.length - 1; at >= this.head; at--) {
      const entry = this.entries[at] as Entry<Held>;
      if (entry.seq === seq && entry.epoch === epoch && entry.state !== EntryState.Gone) {
        return entry;
      }
    }
    return undefined;
  }

  /** Visits every entry that is not gone, oldest first. */
  forEach(visit: (entry: Entry<Held>) => void): void {
    for (let at = this.head; at < this.entries.length; at++) {
      const entry = this.entries[at] as Entry<Held>;
      if (entry.state !== EntryState.Gone) visit(entry);
    }
  }

  private lowerBound(position: number): number {
    let low = this.head;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.entries[middle] as Entry<Held>).position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Up to so many rows of one sender are searched one by one; a Map would cost more than they do. */
const SCAN_MAX_ROWS = 8;

/** What one sender has in one inbox. */
export class Conversation<Held> {
  readonly inbox: Inbox<Held>;
  readonly sender: number;
  readonly list = new EntryList<Held>();
  /** Rows that pages and counts show: the committed ones. */
  shownRows = 0;
  /** epoch -> seq -> entry; null while the list is short enough to be scanned. */
  private byName: Map<number, Map<number, Entry<Held>>> | null = null;

  constructor(inbox: Inbox<Held>, sender: number) {
    this.inbox = inbox;
    this.sender = sender;
  }

  find(epoch: number, seq: number): Entry<Held> | undefined {
    if (this.byName === null) return this.list.scan(epoch, seq);
    return this.byName.get(epoch)?.get(seq);
  }

  push(entry: Entry<Held>): void {
    this.list.push(entry);
    if (this.byName !== null) {
      this.remember(this.byName, entry);
    } else if (this.list.size > SCAN_MAX_ROWS) {
      const byName = (this.byName = new Map());
      this.list.forEach((each) => this.remember(byName, each));
    }
  }

  /** To be called after `entry` became Gone. */
  forget(entry: Entry<Held>): void {
    this.list.trim();
    if (this.byName === null) return;
    const bySeq = this.byName.get(entry.epoch);
    bySeq?.delete(entry.seq);
    if (bySeq?.size === 0) this.byName.delete(entry.epoch);
  }

  private remember(byName: Map<number, Map<number, Entry<Held>>>, entry: Entry<Held>): void {
    const bySeq = byName.get(entry.epoch);
    if (bySeq === undefined) byName.set(entry.epoch, new Map([[entry.seq, entry]]));
    else bySeq.set(entry.seq, entry);
  }
}

/** What one receiver has. Changed through `InboxIndex` only. */
export class Inbox<Held> {
  readonly receiver: number;
  readonly list = new EntryList<Held>();
  readonly conversations = new Map<number, Conversation<Held>>();
  /** Bytes of content of all rows that are not gone. */
  contentBytes = 0;
  /** Rows that wait for a commit; such an inbox is not evicted. */
  busyRows = 0;
  /** Neighbours in the order of last use; an inbox with busy rows is not in that list. */
  older: Inbox<Held> | null = null;
  newer: Inbox<Held> | null = null;

  constructor(receiver: number) {
    this.receiver = receiver;
  }

  /** The row of that name, in whatever state; undefined when there is none. */
  find(sender: number, epoch: number, seq: number): Entry<Held> | undefined {
    return this.conversations.get(sender)?.find(epoch, seq);
  }

  /** True when a row with so much content would exceed a cap. Rows being deleted still count. */
  isFullFor(contentBytes: number, limits: InboxLimits): boolean {
    return (
      this.list.size >= limits.inboxMaxMessages ||
      this.contentBytes + contentBytes > limits.inboxMaxBytes
    );
  }

  /** The committed rows of a page. */
  select(query: PageQuery): Selection<Held> {
    const list = this.listOf(query.sender);
    return list === undefined ? { entries: [], more: false } : list.select(query);
  }

  /** The rows that a range names: committed or already being deleted, oldest first. */
  between(range: PageRange): Entry<Held>[] {
    return this.listOf(range.sender)?.between(range.first, range.last) ?? [];
  }

  /** Committed rows by sender, senders without any left out. O(senders). */
  counts(): SenderCount[] {
    const counts: SenderCount[] = [];
    for (const { sender, shownRows } of this.conversations.values()) {
      if (shownRows > 0) counts.push({ sender, count: shownRows });
    }
    return counts;
  }

  private listOf(sender: number): EntryList<Held> | undefined {
    return sender === 0 ? this.list : this.conversations.get(sender)?.list;
  }
}

/** A row to index: its name, its place and its size. */
export interface IndexedRow {
  readonly sender: number;
  readonly epoch: number;
  readonly seq: number;
  readonly position: number;
  readonly contentBytes: number;
}

/** The position of the next row: larger than `last`, and than any that an earlier life gave. */
export function nextPosition(last: number, nowMs: number): number {
  return Math.max(last + 1, Math.floor(nowMs * 1000));
}

/**
 * The inboxes of one store. With a finite `maxIndexedRows` it is a cache: the inbox used least
 * recently is evicted when rows plus inboxes exceed it, never one with busy rows, never the one used
 * last; an empty inbox stays as the knowledge that there is nothing to load. Without a bound it is
 * the whole truth and empty inboxes are dropped.
 */
export class InboxIndex<Held> {
  private readonly maxIndexedRows: number;
  private readonly inboxes = new Map<number, Inbox<Held>>();
  private oldest: Inbox<Held> | null = null;
  private newest: Inbox<Held> | null = null;
  private rowCount = 0;

  constructor(options: { readonly maxIndexedRows: number }) {
    this.maxIndexedRows = options.maxIndexedRows;
  }

  /** Rows in the index, in whatever state. */
  get rows(): number {
    return this.rowCount;
  }

  /** Receivers in the index. */
  get size(): number {
    return this.inboxes.size;
  }

  /** The inbox of `receiver`, now the one used last; undefined when the index does not have it. */
  get(receiver: number): Inbox<Held> | undefined {
    const inbox = this.inboxes.get(receiver);
    if (inbox !== undefined && inbox !== this.newest && inbox.busyRows === 0) {
      this.unlink(inbox);
      this.link(inbox);
    }
    return inbox;
  }

  /** A new, empty inbox for a receiver that the index does not have. */
  create(receiver: number): Inbox<Held> {
    assert(!this.inboxes.has(receiver), 'one inbox per receiver');
    const inbox = new Inbox<Held>(receiver);
    this.inboxes.set(receiver, inbox);
    this.link(inbox);
    this.evict();
    return inbox;
  }

  /** Appends a committed row. */
  addCommitted(inbox: Inbox<Held>, row: IndexedRow, held: Held | null): Entry<Held> {
    const entry = this.add(inbox, row, EntryState.Committed, held);
    entry.conversation.shownRows++;
    this.evict();
    return entry;
  }

  /** Appends a row that waits for its commit: `settle` or `discard`. */
  addPending(inbox: Inbox<Held>, row: IndexedRow, held: Held): Entry<Held> {
    const entry = this.add(inbox, row, EntryState.Pending, held);
    this.occupy(inbox);
    this.evict();
    return entry;
  }

  /** A committed row waits for its deletion: `discard`, or `settle` when that failed. */
  markDeleting(entry: Entry<Held>, held: Held): void {
    assert(entry.state === EntryState.Committed, 'only a committed row is deleted');
    entry.state = EntryState.Deleting;
    entry.held = held;
    entry.conversation.shownRows--;
    this.occupy(entry.conversation.inbox);
  }

  /** A pending row is committed now, or a deleting one still is: it is shown. */
  settle(entry: Entry<Held>): void {
    assert(isBusy(entry), 'only a busy row is settled');
    entry.state = EntryState.Committed;
    entry.held = null;
    entry.conversation.shownRows++;
    this.vacate(entry.conversation.inbox);
  }

  /** The row is gone: deleted, or never committed. */
  discard(entry: Entry<Held>): void {
    assert(entry.state !== EntryState.Gone, 'a row goes once');
    const { conversation } = entry;
    const { inbox } = conversation;
    const wasBusy = isBusy(entry);
    if (!wasBusy) conversation.shownRows--;
    entry.state = EntryState.Gone;
    entry.held = null;
    conversation.forget(entry);
    if (conversation.list.size === 0) inbox.conversations.delete(conversation.sender);
    inbox.list.trim();
    inbox.contentBytes -= entry.contentBytes;
    this.rowCount--;
    if (wasBusy) this.vacate(inbox);
    if (inbox.list.size === 0 && this.maxIndexedRows === Infinity) this.remove(inbox);
  }

  /** Drops an inbox without busy rows; it can be loaded again. */
  remove(inbox: Inbox<Held>): void {
    assert(inbox.busyRows === 0, 'an inbox with busy rows stays');
    this.unlink(inbox);
    this.inboxes.delete(inbox.receiver);
    this.rowCount -= inbox.list.size;
  }

  private add(
    inbox: Inbox<Held>,
    row: IndexedRow,
    state: EntryState,
    held: Held | null,
  ): Entry<Held> {
    let conversation = inbox.conversations.get(row.sender);
    if (conversation === undefined) {
      conversation = new Conversation(inbox, row.sender);
      inbox.conversations.set(row.sender, conversation);
    }
    const entry = new Entry(conversation, row, row.contentBytes, state, held);
    conversation.push(entry);
    inbox.list.push(entry);
    inbox.contentBytes += row.contentBytes;
    this.rowCount++;
    return entry;
  }

  private occupy(inbox: Inbox<Held>): void {
    if (inbox.busyRows++ === 0) this.unlink(inbox);
  }

  private vacate(inbox: Inbox<Held>): void {
    if (--inbox.busyRows > 0) return;
    this.link(inbox);
    this.evict();
  }

  private evict(): void {
    while (
      this.rowCount + this.inboxes.size > this.maxIndexedRows &&
      this.oldest !== null &&
      this.oldest !== this.newest
    ) {
      this.remove(this.oldest);
    }
  }

  private link(inbox: Inbox<Held>): void {
    inbox.older = this.newest;
    if (this.newest === null) this.oldest = inbox;
    else this.newest.newer = inbox;
    this.newest = inbox;
  }

  private unlink(inbox: Inbox<Held>): void {
    const { older, newer } = inbox;
    if (older === null) this.oldest = newer;
    else older.newer = newer;
    if (newer === null) this.newest = older;
    else newer.older = older;
    inbox.older = inbox.newer = null;
  }
}

function isBusy<Held>(entry: Entry<Held>): boolean {
  return entry.state === EntryState.Pending || entry.state === EntryState.Deleting;
}
