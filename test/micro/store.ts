/**
 * Stores: put, page and delete, over ten inboxes of rows with 128 bytes of content.
 *
 * With lmdb a block of puts or deletes is one commit, and everything up to its answer counts, the
 * commit on lmdb's own thread included (not its waiting for the disk, which has no instructions).
 */
import { Order, Status } from '../../protocol/index.ts';
import { createMemoryStore } from '../../server/stores/memory-store.ts';
import type { NewRow, PageQuery, PageRange, Store } from '../../server/stores/store.ts';
import type { Benchmark, Prepared } from './benchmark.ts';

const INBOXES = 10;
const SENDERS = 4;
const CONTENT = new Uint8Array(128).fill(7);
const LIMITS = { inboxMaxMessages: 10_000, inboxMaxBytes: 100_000_000 };

/** Fixed, so that positions are. */
const NOW_MS = 1_700_000_000_000;
const now = (): number => NOW_MS;

type Opener = (directory: string) => Store | Promise<Store>;

const openers: Readonly<Record<'memory' | 'lmdb', Opener>> = {
  memory: () => createMemoryStore({ limits: LIMITS, now }),
  // Imported when used: it takes longest to load, above all while instructions are counted.
  lmdb: async (path) => {
    const { openLmdbStore } = await import('../../server/stores/lmdb-store.ts');
    return openLmdbStore({ path, limits: LIMITS, now });
  },
};

/** Sums what `count` answers are worth. */
class Answers {
  readonly sum: Promise<number>;
  private resolve: (sum: number) => void = () => {};
  private missing: number;
  private worth = 0;

  constructor(count: number) {
    this.missing = count;
    this.sum = new Promise((resolve) => (this.resolve = resolve));
  }

  add(worth: number): void {
    this.worth += worth;
    if (--this.missing === 0) this.resolve(this.worth);
  }
}

/** One store and the three deeds, each of `rowsMax` operations. What they need is made before. */
class Deeds {
  readonly store: Store;
  private readonly rowsMax: number;
  private rows: NewRow[] = [];
  private readonly queries: readonly PageQuery[];
  private readonly ranges: PageRange[] = [];
  private seq = 0;

  constructor(store: Store, rowsMax: number) {
    this.store = store;
    this.rowsMax = rowsMax;
    this.queries = Array.from({ length: INBOXES }, (_, index): PageQuery => {
      const order = Order.OldestFirst;
      return { receiver: 1 + index, sender: 0, order, limit: rowsMax, limitBytes: 1e9 };
    });
    this.makeRows();
  }

  makeRows(): void {
    this.rows = Array.from({ length: this.rowsMax }, (_, index): NewRow => {
      return {
        receiver: 1 + (index % INBOXES),
        sender: 1001 + (index % SENDERS),
        epoch: 77,
        seq: ++this.seq,
        timeMs: NOW_MS,
        msgType: 1,
        content: CONTENT,
      };
    });
  }

  /** Resolves with the number of rows stored. */
  put(): Promise<number> {
    const answers = new Answers(this.rowsMax);
    const done = (status: Status): void => answers.add(status === Status.Ok ? 1 : 0);
    // By index: an iterator may make an object per row, and that would count as the store's.
    for (let i = 0; i < this.rowsMax; i++) this.store.put(this.rows[i] as NewRow, done);
    return answers.sum;
  }

  /** Reads every inbox as one page; resolves with the number of rows read. */
  page(): Promise<number> {
    const answers = new Answers(INBOXES);
    this.ranges.length = 0;
    for (const query of this.queries) {
      this.store.page(query, (status, { rows, first, last }) => {
        this.ranges.push({ receiver: query.receiver, sender: 0, first, last });
        const isRead = status === Status.Ok && rows.at(-1)?.content[127] === 7;
        answers.add(isRead ? rows.length : 0);
      });
    }
    return answers.sum;
  }

  /** Deletes the pages that `page` read; resolves with the number of pages deleted. */
  delete(): Promise<number> {
    const answers = new Answers(this.ranges.length);
    const done = (status: Status): void => answers.add(status === Status.Ok ? 1 : 0);
    for (const range of this.ranges) this.store.deletePage(range, done);
    return answers.sum;
  }
}

function benchmarksOf(kind: 'memory' | 'lmdb', rowsMax: number): Benchmark[] {
  // Commits take long while instructions are counted.
  const common = { operations: rowsMax, ...(kind === 'lmdb' ? { warmUpBlocks: 60 } : {}) };
  const prepare = async (
    directory: string,
    use: (deeds: Deeds) => Promise<Prepared> | Prepared,
  ): Promise<Prepared> => {
    const store = await openers[kind](directory);
    return { ...(await use(new Deeds(store, rowsMax))), close: () => store.close() };
  };
  return [
    {
      ...common,
      name: `store, ${kind}: put`,
      prepare: (directory) =>
        prepare(directory, (deeds) => ({
          expected: rowsMax,
          run: () => deeds.put(),
          reset: async () => {
            await deeds.page();
            await deeds.delete();
            deeds.makeRows();
          },
        })),
    },
    {
      operations: rowsMax,
      // A block is ten calls only: it takes more of them until all is optimised.
      warmUpBlocks: 480,
      name: `store, ${kind}: page`,
      prepare: (directory) =>
        prepare(directory, async (deeds) => {
          await deeds.put();
          return { expected: rowsMax, run: () => deeds.page() };
        }),
    },
    {
      ...common,
      name: `store, ${kind}: delete`,
      prepare: (directory) =>
        prepare(directory, async (deeds) => {
          const fill = async (): Promise<void> => {
            deeds.makeRows();
            await deeds.put();
            await deeds.page();
          };
          await fill();
          return { expected: INBOXES, run: () => deeds.delete(), reset: fill };
        }),
    },
  ];
}

export const benchmarks: readonly Benchmark[] = [
  ...benchmarksOf('memory', 500),
  ...benchmarksOf('lmdb', 200),
];
