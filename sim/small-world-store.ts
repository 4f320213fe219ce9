/**
 * SmallStore: the offline inbox of the small world, whose every step is a choice of the search.
 *
 *     put, deletePage, remove ──> writes ──commit (or failure)──> rows changed ──> answers
 *     page, counts ───────────────────────────read at once──────────────────────> answers
 *
 * Writes commit in the order in which they came; answers are given in any order, which is more than
 * a real store does. A crash takes writes and answers, so a row may be stored though nobody was told.
 * Contents are one byte each, so only the page limit in messages counts. The rules of a store hold: idempotent put, positions that only grow, and a row that is being deleted
 * is hidden and comes back when the deletion fails.
 */
import {
  type CountsOperation,
  type DeleteOperation,
  Order,
  type PageOperation,
  type PageRange,
  type PutOperation,
  type PutRow,
  type Row,
  type SenderCount,
  Status,
} from '../protocol/index.ts';

export interface SmallRow extends PutRow {
  readonly position: number;
  /** Deletions under way; the row is hidden while there are any. */
  deletions: number;
}

interface SmallPage {
  readonly rows: readonly Row[];
  readonly first: number;
  readonly last: number;
  readonly more: boolean;
}

export type RowName = Pick<PutRow, 'receiver' | 'sender' | 'epoch' | 'seq'>;

type Write =
  | { readonly kind: 'put'; readonly operation: PutOperation<number> }
  | {
      readonly kind: 'deletion';
      /** Null for a removal on ack:R, which asks for no answer. */
      operation: DeleteOperation<number> | null;
      readonly positions: readonly number[];
    };

/** A finished operation whose answer the gateway has not seen. */
export type StoreAnswer =
  | {
      readonly kind: 'put';
      readonly operation: PutOperation<number>;
      readonly status: Status;
    }
  | {
      readonly kind: 'page';
      operation: PageOperation<number>;
      readonly status: Status;
      readonly page: SmallPage;
    }
  | {
      readonly kind: 'counts';
      operation: CountsOperation<number>;
      readonly status: Status;
      readonly counts: readonly SenderCount[];
    }
  | {
      readonly kind: 'deletion';
      operation: DeleteOperation<number>;
      readonly status: Status;
    };

function isSame(a: RowName, b: RowName): boolean {
  return (
    a.receiver === b.receiver && a.sender === b.sender && a.epoch === b.epoch && a.seq === b.seq
  );
}

export class SmallStore {
  /** Committed rows of everybody, by position. */
  rows: SmallRow[] = [];
  /** Not committed yet, the next one first. */
  writes: Write[] = [];
  answers: StoreAnswer[] = [];
  private nextPosition = 1;

  put(operation: PutOperation<number>): void {
    this.writes.push({ kind: 'put', operation });
  }

  page(operation: PageOperation<number>): void {
    const { query } = operation;
    const matching = this.visible(query.receiver).filter(
      ({ sender }) => query.sender === 0 || query.sender === sender,
    );
    if (query.order === Order.NewestFirst) matching.reverse();
    const rows = matching.slice(0, query.limit);
    const positions = rows.map(({ position }) => position);
    const page = {
      rows: rows.map(({ sender, epoch, seq, timeMs, msgType, content }) => {
        return { sender, epoch, seq, timeMs, msgType, content };
      }),
      first: rows.length === 0 ? 0 : Math.min(...positions),
      last: rows.length === 0 ? 0 : Math.max(...positions),
      more: rows.length < matching.length,
    };
    this.answers.push({ kind: 'page', operation, status: Status.Ok, page });
  }

  counts(operation: CountsOperation<number>): void {
    const bySender = new Map<number, number>();
    for (const { sender } of this.visible(operation.session.uid)) {
      bySender.set(sender, (bySender.get(sender) ?? 0) + 1);
    }
    const counts = [...bySender].map(([sender, count]) => ({ sender, count }));
    this.answers.push({ kind: 'counts', operation, status: Status.Ok, counts });
  }

  deletePage(operation: DeleteOperation<number>): void {
    this.hide(operation, this.named(operation.range));
  }

  /** A removal of nothing changes nothing, and is not queued. */
  remove(name: RowName): void {
    const rows = this.rows.filter((row) => isSame(row, name));
    if (rows.length > 0) this.hide(null, rows);
  }

  /** Ends the first write: as its commit, or as its failure. */
  commit(succeeds: boolean): void {
    const write = this.writes.shift();
    if (write === undefined) return;
    if (write.kind === 'put') {
      const { operation } = write;
      const status = succeeds ? this.insert(operation.row) : Status.StoreFailed;
      this.answers.push({ kind: 'put', operation, status });
      return;
    }
    const { operation, positions } = write;
    if (succeeds) {
      this.rows = this.rows.filter(({ position }) => !positions.includes(position));
    } else {
      for (const row of this.rows) if (positions.includes(row.position)) row.deletions--;
    }
    const status = succeeds ? Status.Ok : Status.StoreFailed;
    if (operation !== null) this.answers.push({ kind: 'deletion', operation, status });
  }

  /** Answers deletions that delete nothing before their turn, when it `isSilent` about them. */
  skipEmptyDeletions(isSilent: (operation: DeleteOperation<number>) => boolean): void {
    for (let i = this.writes.length - 1; i >= 0; i--) {
      const write = this.writes[i] as Write;
      if (write.kind === 'put' || write.positions.length > 0) continue;
      const { operation } = write;
      if (operation === null || !isSilent(operation)) continue;
      this.writes.splice(i, 1);
      this.answers.push({ kind: 'deletion', operation, status: Status.Ok });
    }
  }

  /** The process died: what was under way never happened, committed rows stay. */
  crash(): void {
    this.writes = [];
    this.answers = [];
    for (const row of this.rows) row.deletions = 0;
  }

  /** What a committed put does. */
  protected insert(row: PutRow): Status {
    if (!this.rows.some((stored) => isSame(stored, row))) {
      this.rows.push({ ...row, position: this.nextPosition++, deletions: 0 });
    }
    return Status.Ok;
  }

  protected named(range: PageRange): SmallRow[] {
    return this.rows.filter(
      ({ receiver, sender, position }) =>
        receiver === range.receiver &&
        (range.sender === 0 || range.sender === sender) &&
        position >= range.first &&
        position <= range.last,
    );
  }

  /** Hides `rows` at once and queues their deletion. */
  protected hide(operation: DeleteOperation<number> | null, rows: readonly SmallRow[]): void {
    for (const row of rows) row.deletions++;
    const positions = rows.map(({ position }) => position);
    this.writes.push({ kind: 'deletion', operation, positions });
  }

  private visible(receiver: number): SmallRow[] {
    return this.rows.filter((row) => row.receiver === receiver && row.deletions === 0);
  }
}
