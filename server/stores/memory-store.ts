/**
 * The inbox in memory: for measuring the protocol without a disk, and for tests. It survives
 * nothing, and the server says so at its start.
 *
 * Every answer comes before the call returns. Positions start at the clock, so that a page token
 * given before a restart names no row stored after it (unless the clock was set back in between).
 */
import { type SenderCount, Status } from '../../protocol/index.ts';
import { type Entry, InboxIndex, nextPosition } from './inbox-index.ts';
import {
  EMPTY_PAGE,
  type InboxLimits,
  type NewRow,
  type Page,
  type PageQuery,
  type PageRange,
  type Store,
  type StoreStats,
} from './store.ts';

export interface MemoryStoreOptions {
  readonly limits: InboxLimits;
  /** ms since 1970; default `Date.now`. */
  readonly now?: () => number;
}

/** A store that lives as long as the process. Memory is bounded per receiver only, by `limits`. */
export function createMemoryStore(options: MemoryStoreOptions): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  readonly kind = 'memory';
  readonly survives = 'nothing: every stored message is gone when the process ends';
  private readonly limits: InboxLimits;
  private readonly now: () => number;
  private readonly index = new InboxIndex<NewRow>({ maxIndexedRows: Infinity });
  private lastPosition = 0;
  private isClosed = false;

  constructor(options: MemoryStoreOptions) {
    this.limits = options.limits;
    this.now = options.now ?? Date.now;
  }

  put(row: NewRow, done: (status: Status) => void): void {
    if (this.isClosed) return done(Status.StoreFailed);
    const known = this.index.get(row.receiver);
    if (known?.find(row.sender, row.epoch, row.seq) !== undefined) return done(Status.Ok);
    const contentBytes = row.content.length;
    const inbox = known ?? this.index.create(row.receiver);
    if (inbox.isFullFor(contentBytes, this.limits)) {
      if (known === undefined) this.index.remove(inbox);
      return done(Status.InboxFull);
    }
    const { sender, epoch, seq } = row;
    const position = nextPosition(this.lastPosition, this.now());
    this.lastPosition = position;
    // A copy: contents of one moment share memory, and here a row may outlive all its neighbours.
    const held = { ...row, content: row.content.slice() };
    this.index.addCommitted(inbox, { sender, epoch, seq, position, contentBytes }, held);
    done(Status.Ok);
  }

  page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    if (this.isClosed) return done(Status.StoreFailed, EMPTY_PAGE);
    const selection = this.index.get(query.receiver)?.select(query);
    if (selection === undefined || selection.entries.length === 0) {
      return done(Status.Ok, EMPTY_PAGE);
    }
    const { entries, more } = selection;
    const from = (entries[0] as Entry<NewRow>).position;
    const to = (entries[entries.length - 1] as Entry<NewRow>).position;
    done(Status.Ok, {
      rows: entries.map((entry) => entry.held as NewRow),
      first: Math.min(from, to),
      last: Math.max(from, to),
      more,
    });
  }

  counts(receiver: number, done: (status: Status, counts: readonly SenderCount[]) => void): void {
    if (this.isClosed) return done(Status.StoreFailed, []);
    done(Status.Ok, this.index.get(receiver)?.counts() ?? []);
  }

  deletePage(range: PageRange, done: (status: Status) => void): void {
    if (this.isClosed) return done(Status.StoreFailed);
    const entries = this.index.get(range.receiver)?.between(range) ?? [];
    for (const entry of entries) this.index.discard(entry);
    done(Status.Ok);
  }

  remove(
    row: Pick<NewRow, 'receiver' | 'sender' | 'epoch' | 'seq'>,
    done: (status: Status) => void,
  ): void {
    if (this.isClosed) return done(Status.StoreFailed);
    const entry = this.index.get(row.receiver)?.find(row.sender, row.epoch, row.seq);
    if (entry !== undefined) this.index.discard(entry);
    done(Status.Ok);
  }

  stats(): StoreStats {
    return {
      indexedRows: this.index.rows,
      indexedInboxes: this.index.size,
      pendingWrites: 0,
      commits: 0,
      commitFailures: 0,
      isStopped: false,
    };
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
