/**
 * Both stores against a model that is an array: random puts (alone and many in one turn), pages,
 * acknowledged pages, removals, counts; for lmdb also restarts, failing commits and an index that
 * holds hardly anything.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Order, Status } from '../../protocol/index.ts';
import { createMemoryStore } from '../../server/stores/memory-store.ts';
import type { NewRow, PageQuery, Store } from '../../server/stores/store.ts';
import { FaultyLmdbStore } from '../support/faulty-lmdb-store.ts';
import { newRow, type PageAnswer, StoreClient } from '../support/store-client.ts';
import { withTempDir } from '../support/temp-dir.ts';

const LIMITS = { inboxMaxMessages: 8, inboxMaxBytes: 120 };

/** What the model is told of the store's life; the memory store has none of it. */
interface World {
  readonly store: Store;
  /** The next commit fails. */
  readonly failNextCommit: () => void;
  readonly restart: () => Promise<Store>;
}

type Operation =
  | { readonly kind: 'put'; readonly rows: readonly NewRow[]; readonly isFailing: boolean }
  | { readonly kind: 'page'; readonly query: PageQuery }
  | { readonly kind: 'acknowledge'; readonly isFailing: boolean }
  | { readonly kind: 'remove'; readonly row: NewRow; readonly isFailing: boolean }
  | { readonly kind: 'counts'; readonly receiver: number }
  | { readonly kind: 'restart' };

const receiver = fc.integer({ min: 1, max: 3 });
const row = fc
  .record({
    receiver,
    sender: fc.integer({ min: 1, max: 3 }),
    epoch: fc.integer({ min: 1, max: 2 }),
    seq: fc.integer({ min: 1, max: 6 }),
    content: fc.uint8Array({ maxLength: 40 }),
  })
  .map(newRow);
const query = fc.record({
  receiver,
  sender: fc.integer({ min: 0, max: 3 }),
  order: fc.constantFrom(Order.OldestFirst, Order.NewestFirst),
  limit: fc.integer({ min: 1, max: 5 }),
  limitBytes: fc.integer({ min: 0, max: 100 }),
});
const isFailing = fc.nat({ max: 5 }).map((n) => n === 0);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put'),
      rows: fc.array(row, { minLength: 1, maxLength: 6 }),
      isFailing,
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('page'), query }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('acknowledge'), isFailing }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove'), row, isFailing }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('counts'), receiver }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart') }) },
) as fc.Arbitrary<Operation>;

function nameOf(each: { sender: number; epoch: number; seq: number }): string {
  return `${each.sender}/${each.epoch}/${each.seq}`;
}

/** The rows in the order of storing; rows are the same only when they are the same object. */
class Model {
  rows: NewRow[] = [];

  find(wanted: NewRow): NewRow | undefined {
    return this.of(wanted.receiver).find((each) => nameOf(each) === nameOf(wanted));
  }

  of(uid: number, sender = 0): NewRow[] {
    return this.rows.filter((each) => each.receiver === uid && [0, each.sender].includes(sender));
  }

  /** The statuses of puts in one turn. */
  put(rows: readonly NewRow[], fails: boolean): Status[] {
    const before = this.rows;
    const added = new Set<NewRow>();
    const statuses = rows.map((each) => {
      const known = this.find(each);
      if (known !== undefined) return added.has(known) && fails ? Status.StoreFailed : Status.Ok;
      const inbox = this.of(each.receiver);
      const bytes = inbox.reduce((sum, { content }) => sum + content.length, 0);
      const isFull =
        inbox.length === LIMITS.inboxMaxMessages ||
        bytes + each.content.length > LIMITS.inboxMaxBytes;
      if (isFull) return Status.InboxFull;
      this.rows = [...this.rows, each];
      added.add(each);
      return fails ? Status.StoreFailed : Status.Ok;
    });
    if (fails) this.rows = before;
    return statuses;
  }

  page(wanted: PageQuery): { rows: NewRow[]; more: boolean } {
    const inbox = this.of(wanted.receiver, wanted.sender);
    if (wanted.order === Order.NewestFirst) inbox.reverse();
    let bytes = 0;
    const beyond = inbox.findIndex((each, at) => {
      bytes += each.content.length;
      return at >= wanted.limit || (at > 0 && bytes > wanted.limitBytes);
    });
    return beyond < 0 ? { rows: inbox, more: false } : { rows: inbox.slice(0, beyond), more: true };
  }

  delete(gone: readonly NewRow[], fails: boolean): Status {
    const isTouched = this.rows.some((each) => gone.includes(each));
    if (fails && isTouched) return Status.StoreFailed;
    this.rows = this.rows.filter((each) => !gone.includes(each));
    return Status.Ok;
  }
}

/** Runs the operations on both; throws at the first difference. */
async function compare(world: World, operations: readonly Operation[]): Promise<void> {
  const model = new Model();
  let client = new StoreClient(world.store);
  let pulled: { page: PageAnswer; query: PageQuery; rows: NewRow[] } | null = null;
  let highest = 0;
  for (const each of operations) {
    switch (each.kind) {
      case 'put': {
        // The same object may come twice from fast-check; the model tells rows apart by identity.
        const rows = each.rows.map((one) => ({ ...one }));
        const expected = model.put(rows, each.isFailing && canFail(world));
        if (expected.includes(Status.StoreFailed)) world.failNextCommit();
        assert.equal(await Promise.all(rows.map((one) => client.put(one))), expected);
        break;
      }
      case 'page': {
        const page = await client.page(each.query);
        const expected = model.page(each.query);
        assert.equal(page.rows.map(describe), expected.rows.map(describe));
        assert.is(page.more, expected.more);
        if (expected.rows.length > 0) assert.ok(page.first > 0 && page.first <= page.last);
        else assert.equal([page.first, page.last], [0, 0]);
        highest = Math.max(highest, page.last);
        pulled = { page, query: each.query, rows: expected.rows };
        break;
      }
      case 'acknowledge': {
        if (pulled === null) break;
        const expected = model.delete(pulled.rows, each.isFailing && canFail(world));
        if (expected === Status.StoreFailed) world.failNextCommit();
        assert.is(await client.deletePage(pulled.page, pulled.query), expected);
        break;
      }
      case 'remove': {
        const known = model.find(each.row);
        const gone = known === undefined ? [] : [known];
        const expected = model.delete(gone, each.isFailing && canFail(world));
        if (expected === Status.StoreFailed) world.failNextCommit();
        assert.is(await client.remove(each.row), expected);
        break;
      }
      case 'counts': {
        const { counts } = await client.counts(each.receiver);
        const expected = [1, 2, 3]
          .map((sender) => ({ sender, count: model.of(each.receiver, sender).length }))
          .filter(({ count }) => count > 0);
        assert.equal(
          [...counts].sort((a, b) => a.sender - b.sender),
          expected,
        );
        break;
      }
      case 'restart': {
        client = new StoreClient(await world.restart());
        break;
      }
    }
  }
  for (const uid of [1, 2, 3]) {
    const { rows } = await client.page({ receiver: uid });
    assert.equal(rows.map(describe), model.of(uid).map(describe));
  }
  const probe = newRow({ receiver: 4, seq: 1 });
  await client.put(probe);
  assert.ok((await client.page({ receiver: 4 })).first > highest, 'positions grow');
}

function canFail(world: World): boolean {
  return world.store.kind === 'lmdb';
}

function describe(each: { sender: number; epoch: number; seq: number; content: Uint8Array }) {
  return `${nameOf(each)}: ${Buffer.from(each.content).toString('hex')}`;
}

const test = suite('stores against a model');

const operations = fc.array(operation, { minLength: 5, maxLength: 60, size: 'max' });

test('the memory store behaves like an array', async () => {
  const property = fc.asyncProperty(operations, async (list) => {
    const store = createMemoryStore({ limits: LIMITS, now: () => 1 });
    await compare({ store, failNextCommit: () => {}, restart: async () => store }, list);
  });
  await fc.assert(property, { numRuns: 300 });
});

for (const maxIndexedRows of [500_000, 4]) {
  test(`the lmdb store with an index for ${maxIndexedRows} rows behaves like an array`, async () => {
    const property = fc.asyncProperty(operations, (list) =>
      withTempDir(async (path) => {
        const openStore = (): FaultyLmdbStore =>
          new FaultyLmdbStore({ path, limits: LIMITS, now: () => 1, maxIndexedRows });
        let store = openStore();
        const world: World = {
          store,
          failNextCommit: () => store.failCommits++,
          restart: async () => {
            await store.close();
            return (store = openStore());
          },
        };
        await compare(world, list).finally(() => store.close());
      }),
    );
    await fc.assert(property, { numRuns: 25 });
  });
}

test.run();
