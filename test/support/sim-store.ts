/**
 * SimStore: the offline inbox as a reference model on the virtual clock.
 *
 *     call ──commit latency──> committed (or failed) ──answer latency──> callback
 *
 * Commits are FIFO; a crash takes what is not committed, and every callback that has not fired: a
 * row may therefore be stored though nobody was told. Reads show what was committed at the call, and
 * answer later, so an answer may be stale. Rules of `server/stores/store.ts` hold: idempotent put,
 * positions that only grow, a row under deletion is hidden and comes back when the deletion fails.
 */
import { Order, type SenderCount, Status } from '../../protocol/index.ts';
import type { NewRow, Page, PageQuery, PageRange, Store } from '../../server/stores/store.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

export interface SimStoreOptions {
  /** Largest latency of a commit, and of an answer after it, in ms. */
  readonly latencyMaxMs: number;
  /** Cap per receiver; a put beyond it answers InboxFull. */
  readonly inboxMaxMessages: number;
}

export interface StoredRow extends NewRow {
  readonly position: number;
  /** Deletions in flight; the row is hidden while there are any. */
  deletions: number;
}

export type RowName = Pick<NewRow, 'receiver' | 'sender' | 'epoch' | 'seq'>;

function isSame(a: RowName, b: RowName): boolean {
  return (
    a.receiver === b.receiver && a.sender === b.sender && a.epoch === b.epoch && a.seq === b.seq
  );
}

export class SimStore implements Pick<Store, 'put' | 'page' | 'counts' | 'deletePage' | 'remove'> {
  /** Probability that a commit fails. */
  commitFailure = 0;
  /** Committed rows of everybody, by position. */
  rows: StoredRow[] = [];
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly options: SimStoreOptions;
  private nextPosition = 1;
  private lastCommitAtMs = 0;
  private incarnation = 0;

  constructor(clock: Clock, random: Random, options: SimStoreOptions) {
    this.clock = clock;
    this.random = random;
    this.options = options;
  }

  put(row: NewRow, done: (status: Status) => void): void {
    this.write(
      () => this.insert(row),
      () => undefined,
      done,
    );
  }

  page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    const matching = this.visible(query.receiver).filter(
      ({ sender }) => query.sender === 0 || query.sender === sender,
    );
    if (query.order === Order.NewestFirst) matching.reverse();
    const rows: StoredRow[] = [];
    let bytes = 0;
    for (const row of matching) {
      bytes += row.content.length;
      if (rows.length === query.limit || (rows.length > 0 && bytes > query.limitBytes)) break;
      rows.push(row);
    }
    const positions = rows.map(({ position }) => position);
    const first = rows.length === 0 ? 0 : Math.min(...positions);
    const last = rows.length === 0 ? 0 : Math.max(...positions);
    const more = rows.length < matching.length;
    this.answer(() => done(Status.Ok, { rows, first, last, more }));
  }

  counts(receiver: number, done: (status: Status, counts: readonly SenderCount[]) => void): void {
    const bySender = new Map<number, number>();
    for (const { sender } of this.visible(receiver)) {
      bySender.set(sender, (bySender.get(sender) ?? 0) + 1);
    }
    const counts = [...bySender].map(([sender, count]) => ({ sender, count }));
    this.answer(() => done(Status.Ok, counts));
  }

  deletePage(range: PageRange, done: (status: Status) => void): void {
    this.delete(
      (row) =>
        row.receiver === range.receiver &&
        (range.sender === 0 || range.sender === row.sender) &&
        row.position >= range.first &&
        row.position <= range.last,
      done,
    );
  }

  remove(name: RowName, done: (status: Status) => void): void {
    this.delete((row) => isSame(row, name), done);
  }

  /** The server process died: what was under way never happened, committed rows stay. */
  crash(): void {
    this.incarnation++;
    this.lastCommitAtMs = this.clock.nowMs;
    for (const row of this.rows) row.deletions = 0;
  }

  /** What a committed put does. Overridden by sabotaged stores. */
  protected insert(row: NewRow): Status {
    if (this.rows.some((stored) => isSame(stored, row))) return Status.Ok;
    const held = this.rows.filter(({ receiver }) => receiver === row.receiver).length;
    if (held >= this.options.inboxMaxMessages) return Status.InboxFull;
    this.rows.push({ ...row, position: this.nextPosition++, deletions: 0 });
    return Status.Ok;
  }

  private visible(receiver: number): StoredRow[] {
    return this.rows.filter((row) => row.receiver === receiver && row.deletions === 0);
  }

  private delete(isNamed: (row: StoredRow) => boolean, done: (status: Status) => void): void {
    const named = this.rows.filter(isNamed);
    for (const row of named) row.deletions++;
    this.write(
      () => {
        this.rows = this.rows.filter((row) => !named.includes(row));
        return Status.Ok;
      },
      () => {
        for (const row of named) row.deletions--;
      },
      done,
    );
  }

  private write(commit: () => Status, undo: () => void, done: (status: Status) => void): void {
    const { incarnation } = this;
    const earliestMs = this.clock.nowMs + this.random.int(0, this.options.latencyMaxMs);
    this.lastCommitAtMs = Math.max(this.lastCommitAtMs, earliestMs);
    this.clock.at(this.lastCommitAtMs, () => {
      if (incarnation !== this.incarnation) return;
      let status: Status = Status.StoreFailed;
      if (this.random.chance(this.commitFailure)) undo();
      else status = commit();
      this.answer(() => done(status));
    });
  }

  private answer(done: () => void): void {
    const { incarnation } = this;
    this.clock.after(this.random.int(0, this.options.latencyMaxMs), () => {
      if (incarnation === this.incarnation) done();
    });
  }
}
