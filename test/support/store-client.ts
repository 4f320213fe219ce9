/**
 * A store with promises instead of callbacks, and rows in few words. Rejects when the store calls
 * one callback twice, so that every test also checks "each exactly once".
 */
import type { SenderCount, Status } from '../../protocol/index.ts';
import { NO_CONTENT, Order } from '../../protocol/index.ts';
import type { NewRow, Page, PageQuery, PageRange, Store } from '../../server/stores/store.ts';

export interface PageAnswer extends Page {
  readonly status: Status;
}

export interface CountsAnswer {
  readonly status: Status;
  readonly counts: readonly SenderCount[];
}

/** A row with defaults: receiver 1, sender 2, epoch 1, no content. */
export function newRow(fields: Partial<NewRow> & { readonly seq: number }): NewRow {
  return {
    receiver: 1,
    sender: 2,
    epoch: 1,
    timeMs: 1_700_000_000_000,
    msgType: 1,
    content: NO_CONTENT,
    ...fields,
  };
}

export class StoreClient {
  readonly store: Store;
  /** Callbacks that came more than once; a test of the suite expects none. */
  repeatedAnswers = 0;

  constructor(store: Store) {
    this.store = store;
  }

  put(row: NewRow): Promise<Status> {
    return this.once((done) => this.store.put(row, done));
  }

  /** Puts rows of the default receiver and sender with these seqs in one turn. */
  putSeqs(seqs: readonly number[], fields: Partial<NewRow> = {}): Promise<Status[]> {
    return Promise.all(seqs.map((seq) => this.put(newRow({ ...fields, seq }))));
  }

  /** Defaults: receiver 1, every sender, oldest first, no limits. */
  page(query: Partial<PageQuery> = {}): Promise<PageAnswer> {
    const whole: PageQuery = {
      receiver: 1,
      sender: 0,
      order: Order.OldestFirst,
      limit: 1_000_000,
      limitBytes: 1_000_000_000,
      ...query,
    };
    return this.once<PageAnswer>((done) => {
      this.store.page(whole, (status, page) => done({ status, ...page }));
    });
  }

  /** The seqs of a page, in its order. */
  async seqs(query: Partial<PageQuery> = {}): Promise<number[]> {
    return (await this.page(query)).rows.map((row) => row.seq);
  }

  counts(receiver = 1): Promise<CountsAnswer> {
    return this.once<CountsAnswer>((done) => {
      this.store.counts(receiver, (status, counts) => done({ status, counts }));
    });
  }

  deletePage(page: Pick<Page, 'first' | 'last'>, of: Partial<PageRange> = {}): Promise<Status> {
    const range = { receiver: 1, sender: 0, first: page.first, last: page.last, ...of };
    return this.once((done) => this.store.deletePage(range, done));
  }

  remove(row: NewRow): Promise<Status> {
    return this.once((done) => this.store.remove(row, done));
  }

  private once<T>(ask: (done: (answer: T) => void) => void): Promise<T> {
    let isAnswered = false;
    return new Promise((resolve) => {
      ask((answer) => {
        if (isAnswered) this.repeatedAnswers++;
        isAnswered = true;
        resolve(answer);
      });
    });
  }
}
