/**
 * SimStore: an inbox store on a simulated disk, with the rules of the real one.
 *
 *     write ──> transaction ──written──> synced ──> answer        one transaction at a time
 *                   │           │           │
 *      power off:   gone     maybe there    there                 maybe = any prefix
 *
 * Group commit: writes that come while a transaction is under way go into the next one. A process
 * that is killed, or a machine that loses power, keeps every synced transaction and an arbitrary
 * prefix of the written ones; a torn one is found by its checksum and is not there. A full disk fails
 * transactions until there is room; a failed sync makes the store refuse every later write until it
 * is opened again, because nobody knows what the disk holds. Reads show committed rows at the call
 * and are answered later, so an answer may be stale.
 */
import {
  Order,
  type PageRange,
  type PullQuery,
  type PutRow,
  type Row,
  type SenderCount,
  Status,
} from '../protocol/index.ts';
import type { Clock } from './clock.ts';

export interface StoredRow extends PutRow {
  readonly position: number;
  /** Deletions under way; the row is hidden while there are any. */
  deletions: number;
}

export interface Page {
  readonly rows: readonly Row[];
  readonly first: number;
  readonly last: number;
  readonly more: boolean;
}

export interface SimStoreOptions {
  readonly inboxMaxMessages: number;
  /** Length of the next commit, ms. */
  commitMs(): number;
  /** True when the next commit fails and the disk is well again. */
  commitFails(): boolean;
  /** How much of `written` transactions a crash leaves, 0 … written. */
  survivors(written: number): number;
  /** A sync failed: from now on every write is refused. */
  onBroken(): void;
  /** A committed deletion: for the checker. */
  onDeleted(row: StoredRow): void;
}

type Answer = (status: Status) => void;

/** One write: what it does to the rows when its transaction commits. */
interface Write {
  readonly put: StoredRow | null;
  readonly deleted: readonly StoredRow[];
  status: Status;
  readonly done: Answer;
}

export class SimStore {
  isFull = false;
  private readonly clock: Clock;
  private readonly options: SimStoreOptions;
  /** Committed rows by position: what is on the disk, and what everybody sees. */
  private rows: StoredRow[] = [];
  private waiting: Write[] = [];
  private underWay: Write[] | null = null;
  private isWritten = false;
  private isBroken = false;
  private nextSyncFails = false;
  private lastPosition = 0;
  private incarnation = 0;

  constructor(clock: Clock, options: SimStoreOptions) {
    this.clock = clock;
    this.options = options;
  }

  /** Rows that are committed and not being deleted. */
  get visible(): readonly StoredRow[] {
    return this.rows.filter(({ deletions }) => deletions === 0);
  }

  /** Every row on the disk. */
  get committed(): readonly StoredRow[] {
    return this.rows;
  }

  get needsRestart(): boolean {
    return this.isBroken;
  }

  put(row: PutRow, done: Answer): void {
    this.lastPosition++;
    const stored = { ...row, position: this.lastPosition, deletions: 0 };
    this.write({ put: stored, deleted: [], status: Status.Ok, done });
  }

  page(query: PullQuery, done: (status: Status, page: Page) => void): void {
    const matching = this.rows.filter(
      (row) =>
        row.receiver === query.receiver &&
        row.deletions === 0 &&
        (query.sender === 0 || query.sender === row.sender),
    );
    if (query.order === Order.NewestFirst) matching.reverse();
    const rows: StoredRow[] = [];
    let bytes = 0;
    for (const row of matching) {
      bytes += row.content.length;
      if (rows.length === query.limit || (rows.length > 0 && bytes > query.limitBytes)) break;
      rows.push(row);
    }
    let [first, last] = [0, 0];
    for (const { position } of rows) {
      first = first === 0 ? position : Math.min(first, position);
      last = Math.max(last, position);
    }
    const more = rows.length < matching.length;
    this.answer(() => done(Status.Ok, { rows, first, last, more }));
  }

  counts(receiver: number, done: (status: Status, counts: readonly SenderCount[]) => void): void {
    const bySender = new Map<number, number>();
    for (const row of this.rows) {
      if (row.receiver !== receiver || row.deletions > 0) continue;
      bySender.set(row.sender, (bySender.get(row.sender) ?? 0) + 1);
    }
    const counts = [...bySender].map(([sender, count]) => ({ sender, count }));
    this.answer(() => done(Status.Ok, counts));
  }

  deletePage(range: PageRange, done: Answer): void {
    this.delete(
      (row) =>
        row.receiver === range.receiver &&
        (range.sender === 0 || range.sender === row.sender) &&
        row.position >= range.first &&
        row.position <= range.last,
      done,
    );
  }

  remove(name: Pick<PutRow, 'receiver' | 'sender' | 'epoch' | 'seq'>, done: Answer): void {
    this.delete((row) => isSame(row, name), done);
  }

  /** The next sync fails, and the store with it. */
  failSync(): void {
    this.nextSyncFails = true;
  }

  /** The disk has room and syncs from now on. What a failed sync broke stays broken. */
  heal(): void {
    this.isFull = this.nextSyncFails = false;
  }

  /** The process or the machine dies. What the disk keeps is what the next life opens. */
  crash(): void {
    this.incarnation++;
    const kept = this.options.survivors(this.isWritten ? 1 : 0);
    if (this.underWay !== null && kept > 0) this.apply(this.underWay);
    this.underWay = null;
    this.waiting = [];
    this.isWritten = this.isBroken = this.nextSyncFails = false;
    for (const row of this.rows) row.deletions = 0;
  }

  private delete(isNamed: (row: StoredRow) => boolean, done: Answer): void {
    const deleted = this.rows.filter(isNamed);
    for (const row of deleted) row.deletions++;
    this.write({ put: null, deleted, status: Status.Ok, done });
  }

  private write(write: Write): void {
    if (this.isBroken) {
      this.undo(write);
      this.answer(() => write.done(Status.StoreFailed));
      return;
    }
    this.waiting.push(write);
    if (this.underWay === null) this.commit();
  }

  private commit(): void {
    const batch = this.waiting;
    this.waiting = [];
    this.underWay = batch;
    this.isWritten = false;
    const { incarnation } = this;
    const [writeMs, syncMs] = [this.options.commitMs() / 2, this.options.commitMs() / 2];
    const fails = this.options.commitFails();
    this.clock.after(writeMs, () => {
      if (incarnation !== this.incarnation) return;
      if (this.isFull || fails) {
        this.end(batch, false);
        return;
      }
      this.isWritten = true;
      this.clock.after(syncMs, () => {
        if (incarnation !== this.incarnation) return;
        if (this.nextSyncFails) {
          this.isBroken = true;
          this.options.onBroken();
        }
        this.end(batch, !this.nextSyncFails);
      });
    });
  }

  private end(batch: readonly Write[], isSynced: boolean): void {
    // After a failed sync the batch may be on the disk all the same: `isWritten` stays for a crash.
    if (!this.isBroken) {
      this.underWay = null;
      this.isWritten = false;
    }
    if (isSynced) this.apply(batch);
    for (const write of batch) {
      if (!isSynced) this.undo(write);
      const status = isSynced ? write.status : Status.StoreFailed;
      this.answer(() => write.done(status));
    }
    if (this.isBroken) {
      for (const write of this.waiting) {
        this.undo(write);
        this.answer(() => write.done(Status.StoreFailed));
      }
      this.waiting = [];
    } else if (this.waiting.length > 0) this.commit();
  }

  /** A transaction becomes part of the disk. Puts are idempotent on the message's name. */
  private apply(batch: readonly Write[]): void {
    for (const write of batch) {
      const { put, deleted } = write;
      if (put !== null) write.status = this.insert(put);
      if (deleted.length === 0) continue;
      for (const row of deleted) if (this.rows.includes(row)) this.options.onDeleted(row);
      this.rows = this.rows.filter((row) => !deleted.includes(row));
    }
  }

  private insert(row: StoredRow): Status {
    if (this.rows.some((stored) => isSame(stored, row))) return Status.Ok;
    const held = this.rows.filter(({ receiver }) => receiver === row.receiver).length;
    if (held >= this.options.inboxMaxMessages) return Status.InboxFull;
    this.rows.push(row);
    return Status.Ok;
  }

  private undo(write: Write): void {
    for (const row of write.deleted) row.deletions--;
  }

  private answer(done: () => void): void {
    const { incarnation } = this;
    this.clock.after(this.options.commitMs() / 4, () => {
      if (incarnation === this.incarnation) done();
    });
  }
}

function isSame(
  a: Pick<PutRow, 'receiver' | 'sender' | 'epoch' | 'seq'>,
  b: Pick<PutRow, 'receiver' | 'sender' | 'epoch' | 'seq'>,
): boolean {
  return (
    a.receiver === b.receiver && a.sender === b.sender && a.epoch === b.epoch && a.seq === b.seq
  );
}
