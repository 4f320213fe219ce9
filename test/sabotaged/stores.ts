/**
 * Stores that each break one rule of server/stores/store.ts for some rows or pages, around a store
 * that keeps them all. What must stay true: everything but the planted bug is the real store's work.
 */
import { Random } from '../../loadgen/random.ts';
import { Order, type Row, type SenderCount, Status } from '../../protocol/index.ts';
import type { NewRow, Page, PageQuery, PageRange, Store } from '../../server/stores/store.ts';
import { ANOTHER_NAME, type Plan } from './gateways.ts';

type Removal = Parameters<Store['remove']>[0];

/** Passes everything on. */
class SabotagedStore implements Store {
  protected readonly inner: Store;
  protected readonly random: Random;
  private readonly rate: number;

  constructor(inner: Store, plan: Plan) {
    this.inner = inner;
    this.random = new Random(plan.seed, 'store');
    this.rate = plan.rate;
  }

  get kind(): Store['kind'] {
    return this.inner.kind;
  }

  get survives(): string {
    return this.inner.survives;
  }

  put(row: NewRow, done: (status: Status) => void): void {
    this.inner.put(row, done);
  }

  page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    this.inner.page(query, done);
  }

  counts(receiver: number, done: (status: Status, counts: readonly SenderCount[]) => void): void {
    this.inner.counts(receiver, done);
  }

  deletePage(range: PageRange, done: (status: Status) => void): void {
    this.inner.deletePage(range, done);
  }

  remove(row: Removal, done: (status: Status) => void): void {
    this.inner.remove(row, done);
  }

  stats(): ReturnType<Store['stats']> {
    return this.inner.stats();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  protected strikes(): boolean {
    return this.random.chance(this.rate);
  }
}

/** S13's naive pull: the page is gone from the inbox before anybody has it. */
class DeletingBeforeReturnStore extends SabotagedStore {
  override page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    this.inner.page(query, (status, page) => {
      const { receiver, sender } = query;
      const { first, last } = page;
      if (page.rows.length === 0 || !this.strikes()) return done(status, page);
      this.inner.deletePage({ receiver, sender, first, last }, () => done(status, page));
    });
  }
}

const COMMIT_EVERY_MS = 5;

/**
 * Answers at once and commits in groups later. A group that fails is gone, as after a kill between
 * answer and commit; those who were answered are not told.
 */
class EarlyAckStore extends SabotagedStore {
  private group: NewRow[] = [];
  private timer: NodeJS.Timeout | null = null;

  override put(row: NewRow, done: (status: Status) => void): void {
    this.group.push(row);
    this.timer ??= setTimeout(() => this.commit(), COMMIT_EVERY_MS);
    done(Status.Ok);
  }

  override close(): Promise<void> {
    this.commit();
    return super.close();
  }

  private commit(): void {
    const { group } = this;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.group = [];
    if (group.length === 0 || this.strikes()) return;
    for (const row of group) this.inner.put(row, () => {});
  }
}

/** Answers that a row is stored, and stores nothing. */
class SkippingStore extends SabotagedStore {
  override put(row: NewRow, done: (status: Status) => void): void {
    if (this.strikes()) done(Status.Ok);
    else super.put(row, done);
  }
}

/** Deletes the row behind the page too. */
class DeletingTooMuchStore extends SabotagedStore {
  override deletePage(range: PageRange, done: (status: Status) => void): void {
    this.inner.deletePage(range, done);
    if (!this.strikes()) return;
    const { receiver, sender } = range;
    const query = { receiver, sender, order: Order.OldestFirst, limit: 1, limitBytes: 1 };
    this.inner.page(query, (_status, { rows, first }) => {
      if (rows.length > 0 && first > range.last) {
        this.inner.deletePage({ receiver, sender, first, last: first }, () => {});
      }
    });
  }
}

/** Remembers the last page of every receiver, so that its rows are known when it is deleted. */
abstract class PageMemory extends SabotagedStore {
  private readonly pages = new Map<number, Page>();

  override page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    this.inner.page(query, (status, page) => {
      if (page.rows.length > 0) this.pages.set(query.receiver, page);
      done(status, page);
    });
  }

  override deletePage(range: PageRange, done: (status: Status) => void): void {
    const page = this.pages.get(range.receiver);
    const isKnown = page?.first === range.first && page.last === range.last;
    this.pages.delete(range.receiver);
    this.inner.deletePage(range, (status) => {
      if (isKnown && status === Status.Ok && this.strikes()) this.onDeleted(range, page.rows);
      done(status);
    });
  }

  protected abstract onDeleted(range: PageRange, rows: readonly Row[]): void;
}

/** A deleted row comes back, under a msgid that dedupe cannot know. */
class ResurrectingStore extends PageMemory {
  protected override onDeleted({ receiver }: PageRange, rows: readonly Row[]): void {
    const row = rows[this.random.below(rows.length)] as Row;
    if (row.seq >= ANOTHER_NAME) return; // once is enough, or the inbox would never empty
    const { sender, epoch, timeMs, msgType, content } = row;
    const seq = row.seq + ANOTHER_NAME;
    this.inner.put({ receiver, sender, epoch, seq, timeMs, msgType, content }, () => {});
  }
}

/** Deletes rows, but goes on counting them. */
class MiscountingStore extends PageMemory {
  private readonly gone = new Map<number, Row[]>();

  override counts(
    receiver: number,
    done: (status: Status, counts: readonly SenderCount[]) => void,
  ): void {
    this.inner.counts(receiver, (status, counts) => {
      const bySender = new Map(counts.map(({ sender, count }) => [sender, count]));
      for (const { sender } of this.gone.get(receiver) ?? []) {
        bySender.set(sender, (bySender.get(sender) ?? 0) + 1);
      }
      done(
        status,
        [...bySender].map(([sender, count]) => ({ sender, count })),
      );
    });
  }

  protected override onDeleted({ receiver }: PageRange, rows: readonly Row[]): void {
    const gone = this.gone.get(receiver) ?? [];
    this.gone.set(receiver, [...gone, ...rows]);
  }
}

/** Says that a page was deleted, and keeps its last row. */
class KeepingStore extends SabotagedStore {
  override deletePage(range: PageRange, done: (status: Status) => void): void {
    if (!this.strikes()) super.deletePage(range, done);
    else if (range.first === range.last) done(Status.Ok);
    else super.deletePage({ ...range, last: range.last - 1 }, done);
  }
}

/** The same, and counts nothing: it denies what it keeps. */
class DenyingStore extends KeepingStore {
  override counts(
    _receiver: number,
    done: (status: Status, counts: readonly SenderCount[]) => void,
  ): void {
    done(Status.Ok, []);
  }
}

export type WrapStore = (inner: Store, plan: Plan) => Store;

export const deletesBeforeReturn: WrapStore = (inner, plan) =>
  new DeletingBeforeReturnStore(inner, plan);
export const acknowledgesEarly: WrapStore = (inner, plan) => new EarlyAckStore(inner, plan);
export const skips: WrapStore = (inner, plan) => new SkippingStore(inner, plan);
export const deletesTooMuch: WrapStore = (inner, plan) => new DeletingTooMuchStore(inner, plan);
export const resurrects: WrapStore = (inner, plan) => new ResurrectingStore(inner, plan);
export const miscounts: WrapStore = (inner, plan) => new MiscountingStore(inner, plan);
export const keeps: WrapStore = (inner, plan) => new KeepingStore(inner, plan);
export const denies: WrapStore = (inner, plan) => new DenyingStore(inner, plan);
