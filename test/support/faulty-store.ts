/**
 * A memory store with faults that a test switches on: writes that fail, a disk that is full, answers
 * that are held back. Reads and deletions work unless they are held.
 */
import { Status } from '../../protocol/index.ts';
import { createMemoryStore } from '../../server/index.ts';
import type { InboxLimits, NewRow, Page, PageQuery, PageRange, Store } from '../../server/index.ts';

type Done = (status: Status) => void;

export class FaultyStore implements Store {
  readonly kind = 'memory';
  readonly survives = 'nothing: a store of a test';
  /** So many of the next puts fail. */
  failPuts = 0;
  /** So many of the next reads and deletions fail. */
  failOthers = 0;
  /** Content that fits on the "disk", all receivers together; beyond it puts fail. */
  diskBytes = Infinity;
  private usedBytes = 0;
  private readonly held: (() => void)[] = [];
  private isHeld = false;
  private readonly inner: Store;
  private onHeld: (() => void) | null = null;

  constructor(limits: InboxLimits) {
    this.inner = createMemoryStore({ limits });
  }

  /** From now on nothing is done and answered before `release`. */
  hold(): void {
    this.isHeld = true;
  }

  release(): void {
    this.isHeld = false;
    for (const run of this.held.splice(0)) run();
  }

  /** Resolves when an operation is held. */
  whenHeld(): Promise<void> {
    if (this.held.length > 0) return Promise.resolve();
    return new Promise((resolve) => (this.onHeld = resolve));
  }

  put(row: NewRow, done: Done): void {
    this.run(() => {
      if (this.failPuts > 0) {
        this.failPuts--;
        done(Status.StoreFailed);
      } else if (this.usedBytes + row.content.length > this.diskBytes) {
        done(Status.StoreFailed);
      } else {
        this.inner.put(row, (status) => {
          if (status === Status.Ok) this.usedBytes += row.content.length;
          done(status);
        });
      }
    });
  }

  page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    this.run(() => {
      if (this.fails()) done(Status.StoreFailed, { rows: [], first: 0, last: 0, more: false });
      else this.inner.page(query, done);
    });
  }

  counts(receiver: number, done: Parameters<Store['counts']>[1]): void {
    this.run(() => {
      if (this.fails()) done(Status.StoreFailed, []);
      else this.inner.counts(receiver, done);
    });
  }

  deletePage(range: PageRange, done: Done): void {
    this.run(() => {
      if (this.fails()) {
        done(Status.StoreFailed);
        return;
      }
      this.usedBytes = 0; // tests of a full disk delete everything at once
      this.inner.deletePage(range, done);
    });
  }

  remove(row: Parameters<Store['remove']>[0], done: Done): void {
    this.run(() => this.inner.remove(row, done));
  }

  stats(): ReturnType<Store['stats']> {
    return this.inner.stats();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  private fails(): boolean {
    if (this.failOthers === 0) return false;
    this.failOthers--;
    return true;
  }

  private run(operation: () => void): void {
    if (!this.isHeld) {
      operation();
      return;
    }
    this.held.push(operation);
    this.onHeld?.();
  }
}
