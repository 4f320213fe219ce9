/**
 * What every store must do, as one suite (the rules of server/stores/store.ts). A store's own test
 * file calls this, then tests what only that store has.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Order, Status } from '../../protocol/index.ts';
import type { InboxLimits, Store } from '../../server/stores/store.ts';
import { newRow, StoreClient } from '../support/store-client.ts';

interface StoreOptions {
  readonly limits: InboxLimits;
  readonly now: () => number;
}

/** Runs `use` with a fresh store; closing it and removing its traces is the maker's job. */
export type WithStore = (
  options: StoreOptions,
  use: (store: Store) => Promise<void>,
) => Promise<void>;

const MANY: InboxLimits = { inboxMaxMessages: 10_000, inboxMaxBytes: 10_000_000 };
const NOW_MS = 1_700_000_000_000;

function bytes(length: number): Uint8Array {
  return new Uint8Array(length).fill(length);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** Registers the suite under `suiteName`; the caller's file runs it by this call. */
export function storeConformance(suiteName: string, withStore: WithStore): void {
  const test = suite(suiteName);

  function check(
    title: string,
    body: (client: StoreClient) => Promise<void>,
    options: Partial<StoreOptions> = {},
  ): void {
    test(title, async () => {
      await withStore({ limits: MANY, now: () => NOW_MS, ...options }, async (store) => {
        const client = new StoreClient(store);
        await body(client);
        await store.close();
        assert.is(client.repeatedAnswers, 0, 'no operation is answered twice');
      });
    });
  }

  check('gives back every field of a row', async (client) => {
    const row = newRow({
      receiver: 2 ** 53 - 1,
      sender: 2 ** 53 - 2,
      epoch: 2 ** 32 - 1,
      seq: 2 ** 32 - 2,
      timeMs: NOW_MS + 5,
      msgType: 255,
      content: Uint8Array.of(0, 1, 255),
    });
    assert.is(await client.put(row), Status.Ok);
    const { rows, more, status } = await client.page({ receiver: row.receiver });
    assert.is(status, Status.Ok);
    assert.is(more, false);
    assert.is(rows.length, 1);
    const [{ sender, epoch, seq, timeMs, msgType, content }] = rows as [(typeof rows)[0]];
    assert.equal(
      { sender, epoch, seq, timeMs, msgType, content: [...content] },
      {
        sender: row.sender,
        epoch: row.epoch,
        seq: row.seq,
        timeMs: row.timeMs,
        msgType: row.msgType,
        content: [0, 1, 255],
      },
    );
  });

  check('stores empty and large contents', async (client) => {
    for (const [i, length] of [0, 1, 4096, 16_384, 100_000].entries()) {
      assert.is(await client.put(newRow({ seq: i + 1, content: bytes(length) })), Status.Ok);
    }
    const { rows } = await client.page();
    assert.equal(
      rows.map((row) => row.content.length),
      [0, 1, 4096, 16_384, 100_000],
    );
    assert.ok(rows.every(({ content }) => content.every((byte) => byte === content.length % 256)));
  });

  check('keeps one row when the same message is put again', async (client) => {
    const row = newRow({ seq: 1, content: bytes(3) });
    assert.is(await client.put(row), Status.Ok);
    assert.is(await client.put({ ...row, content: bytes(9) }), Status.Ok);
    const { rows } = await client.page();
    assert.is(rows.length, 1);
    assert.is(rows[0]?.content.length, 3, 'the first content stays');
  });

  check('keeps one row when a message is put again before it is committed', async (client) => {
    assert.equal(await client.putSeqs([1, 1, 2, 1]), [0, 0, 0, 0]);
    assert.equal(await client.seqs(), [1, 2]);
  });

  check('tells messages apart by receiver, sender, epoch and seq', async (client) => {
    const row = newRow({ seq: 1 });
    const others = [{ ...row, sender: 3 }, { ...row, epoch: 2 }, newRow({ seq: 2 })];
    for (const each of [row, ...others, { ...row, receiver: 9 }]) await client.put(each);
    assert.is((await client.page()).rows.length, 4);
    assert.is((await client.page({ receiver: 9 })).rows.length, 1);
  });

  check('stores a message again once its row is gone', async (client) => {
    const row = newRow({ seq: 1 });
    await client.put(row);
    const first = await client.page();
    await client.deletePage(first);
    assert.is(await client.put(row), Status.Ok);
    const second = await client.page();
    assert.is(second.rows.length, 1);
    assert.ok(second.first > first.last, 'at a new position');
    assert.is(await client.deletePage(first), Status.Ok);
    assert.equal(await client.seqs(), [1], 'the old page does not name the new row');
  });

  check('dedupes in a conversation of a thousand rows and two epochs', async (client) => {
    await client.putSeqs(range(1, 500), { epoch: 7 });
    await client.putSeqs(range(1, 500), { epoch: 8 });
    await client.putSeqs(range(1, 500), { epoch: 7 });
    assert.is((await client.page()).rows.length, 1000);
    assert.is(await client.remove(newRow({ epoch: 8, seq: 250 })), Status.Ok);
    await client.putSeqs([250], { epoch: 8 });
    assert.equal((await client.counts()).counts, [{ sender: 2, count: 1000 }]);
    assert.is((await client.page({ order: Order.NewestFirst, limit: 1 })).rows[0]?.seq, 250);
  });

  check('has nothing for a receiver that it does not know', async (client) => {
    assert.equal(await client.page({ receiver: 77 }), {
      status: Status.Ok,
      rows: [],
      first: 0,
      last: 0,
      more: false,
    });
    assert.equal(await client.counts(77), { status: Status.Ok, counts: [] });
    assert.is(await client.deletePage({ first: 1, last: 9 }, { receiver: 77 }), Status.Ok);
    assert.is(await client.remove(newRow({ receiver: 77, seq: 1 })), Status.Ok);
  });

  check('counts rows by sender', async (client) => {
    await client.putSeqs(range(1, 3), { sender: 5 });
    await client.putSeqs(range(1, 2), { sender: 6 });
    const bySender = (a: { sender: number }, b: { sender: number }) => a.sender - b.sender;
    assert.equal([...(await client.counts()).counts].sort(bySender), [
      { sender: 5, count: 3 },
      { sender: 6, count: 2 },
    ]);
    await client.deletePage(await client.page({ sender: 6 }), { sender: 6 });
    assert.equal((await client.counts()).counts, [{ sender: 5, count: 3 }]);
  });

  check('pages oldest first and newest first', async (client) => {
    await client.putSeqs(range(1, 5));
    assert.equal(await client.seqs({ order: Order.OldestFirst, limit: 2 }), [1, 2]);
    assert.equal(await client.seqs({ order: Order.NewestFirst, limit: 2 }), [5, 4]);
    assert.equal(await client.seqs({ order: Order.NewestFirst }), [5, 4, 3, 2, 1]);
  });

  check('pages one sender alone, in both orders', async (client) => {
    for (const seq of range(1, 4)) await client.putSeqs([seq], { sender: seq % 2 === 0 ? 20 : 10 });
    assert.equal(await client.seqs({ sender: 20 }), [2, 4]);
    assert.equal(await client.seqs({ sender: 10, order: Order.NewestFirst }), [3, 1]);
    assert.equal(await client.seqs({ sender: 99 }), []);
  });

  check('limits a page in bytes of content, but never below one row', async (client) => {
    for (const seq of range(1, 4)) await client.put(newRow({ seq, content: bytes(10) }));
    assert.equal(await client.seqs({ limitBytes: 0 }), [1]);
    assert.equal(await client.seqs({ limitBytes: 19 }), [1]);
    assert.equal(await client.seqs({ limitBytes: 20 }), [1, 2]);
    assert.equal(await client.seqs({ limitBytes: 39, order: Order.NewestFirst }), [4, 3, 2]);
  });

  check('says whether the query matches rows beyond the page', async (client) => {
    await client.putSeqs([1, 2], { sender: 5, content: bytes(10) });
    await client.putSeqs([1], { sender: 6, content: bytes(10) });
    const more = async (query: object): Promise<boolean> => (await client.page(query)).more;
    assert.is(await more({}), false);
    assert.is(await more({ limit: 3 }), false);
    assert.is(await more({ limit: 2 }), true);
    assert.is(await more({ limitBytes: 29 }), true);
    assert.is(await more({ limitBytes: 30 }), false);
    assert.is(await more({ sender: 5, limit: 1 }), true);
    assert.is(await more({ sender: 5, limit: 2 }), false, 'rows of others do not count');
    assert.is(await more({ sender: 6, limit: 1, order: Order.NewestFirst }), false);
  });

  for (const order of [Order.OldestFirst, Order.NewestFirst]) {
    const name = order === Order.OldestFirst ? 'oldest first' : 'newest first';
    check(`deletes exactly the rows of a page taken ${name}`, async (client) => {
      await client.putSeqs(range(1, 4));
      const page = await client.page({ order, limit: 2 });
      await client.putSeqs([5, 6]);
      assert.is(await client.deletePage(page), Status.Ok);
      assert.equal(await client.seqs(), order === Order.OldestFirst ? [3, 4, 5, 6] : [1, 2, 5, 6]);
    });
  }

  check("leaves rows of other senders inside a sender's page", async (client) => {
    for (const seq of range(1, 6)) await client.putSeqs([seq], { sender: seq % 2 === 0 ? 20 : 10 });
    const page = await client.page({ sender: 20 });
    assert.is(await client.deletePage(page, { sender: 20 }), Status.Ok);
    assert.equal(await client.seqs(), [1, 3, 5]);
    assert.equal(await client.seqs({ sender: 20 }), []);
  });

  check("leaves other receivers' rows of the same time", async (client) => {
    for (const receiver of [1, 2, 1, 2]) await client.putSeqs([1, 2], { receiver });
    await client.deletePage(await client.page());
    assert.equal(await client.seqs(), []);
    assert.equal(await client.seqs({ receiver: 2 }), [1, 2]);
  });

  check('deletes a page once when it is acknowledged twice', async (client) => {
    await client.putSeqs(range(1, 4));
    const page = await client.page({ limit: 2 });
    assert.equal(await Promise.all([client.deletePage(page), client.deletePage(page)]), [0, 0]);
    assert.is(await client.deletePage(page), Status.Ok);
    assert.equal(await client.seqs(), [3, 4]);
  });

  check('drains an inbox in N pages from both ends, each row once', async (client) => {
    const seen: number[] = [];
    await client.putSeqs(range(1, 100));
    for (let pages = 0; pages < 10; pages++) {
      const page = await client.page({ order: (pages % 2) as Order, limit: 10 });
      seen.push(...page.rows.map((row) => row.seq));
      assert.is(page.more, pages < 9);
      await client.deletePage(page);
    }
    assert.equal(
      seen.toSorted((a, b) => a - b),
      range(1, 100),
    );
    assert.equal(await client.seqs(), []);
  });

  check('stays right when rows vanish from the middle of an inbox', async (client) => {
    await client.putSeqs(range(1, 200));
    for (const seq of range(1, 200)) if (seq % 4 !== 0) await client.remove(newRow({ seq }));
    assert.equal(await client.seqs({ limit: 3 }), [4, 8, 12]);
    assert.equal(await client.seqs({ limit: 2, order: Order.NewestFirst }), [200, 196]);
    await client.putSeqs([201]);
    assert.is((await client.page()).rows.length, 51);
  });

  check('removes one row by its name', async (client) => {
    await client.putSeqs(range(1, 3));
    assert.is(await client.remove(newRow({ seq: 2 })), Status.Ok);
    assert.is(await client.remove(newRow({ seq: 2 })), Status.Ok, 'also when there is none');
    assert.is(await client.remove(newRow({ seq: 2, sender: 9 })), Status.Ok);
    assert.equal(await client.seqs(), [1, 3]);
  });

  check('removes a row whose put is not answered yet', async (client) => {
    const row = newRow({ seq: 1 });
    assert.equal(await Promise.all([client.put(row), client.remove(row)]), [0, 0]);
    assert.equal(await client.seqs(), []);
  });

  check(
    'refuses a row beyond the cap in messages, and takes it when there is room again',
    async (client) => {
      const full = Status.InboxFull;
      assert.equal(await client.putSeqs(range(1, 5)), [0, 0, 0, full, full]);
      assert.equal(await client.putSeqs([3, 4], { receiver: 2 }), [0, 0], 'a cap per receiver');
      assert.equal(await client.putSeqs([2]), [0], 'a repeat is no new row');
      await client.deletePage(await client.page({ limit: 1 }));
      assert.equal(await client.putSeqs([4, 5]), [0, full]);
      assert.equal(await client.seqs(), [2, 3, 4]);
    },
    { limits: { inboxMaxMessages: 3, inboxMaxBytes: 1000 } },
  );

  check(
    'refuses a row beyond the cap in bytes, and takes a smaller one',
    async (client) => {
      assert.is(await client.put(newRow({ seq: 1, content: bytes(60) })), Status.Ok);
      assert.is(await client.put(newRow({ seq: 2, content: bytes(41) })), Status.InboxFull);
      assert.is(await client.put(newRow({ seq: 3, content: bytes(40) })), Status.Ok);
      assert.is(await client.put(newRow({ seq: 4 })), Status.Ok, 'no content always fits');
      await client.remove(newRow({ seq: 1 }));
      assert.is(await client.put(newRow({ seq: 2, content: bytes(41) })), Status.Ok);
      assert.is(
        await client.put(newRow({ receiver: 2, seq: 1, content: bytes(101) })),
        Status.InboxFull,
      );
      assert.equal((await client.counts(2)).counts, []);
    },
    { limits: { inboxMaxMessages: 100, inboxMaxBytes: 100 } },
  );

  let clockMs = NOW_MS;
  check(
    'gives growing positions, whatever the clock does',
    async (client) => {
      const positions: number[] = [];
      for (const [i, ms] of [NOW_MS, NOW_MS, NOW_MS + 1, NOW_MS - 1000, NOW_MS + 2].entries()) {
        clockMs = ms;
        await client.putSeqs([i + 1]);
        positions.push((await client.page({ order: Order.NewestFirst, limit: 1 })).first);
      }
      const start = NOW_MS * 1000;
      assert.equal(positions, [start, start + 1, start + 1000, start + 1001, start + 2000]);
      assert.equal(await client.seqs(), [1, 2, 3, 4, 5]);
    },
    { now: () => clockMs },
  );

  check('names a page by its smallest and largest position, in both orders', async (client) => {
    await client.putSeqs([1, 2, 3]);
    for (const order of [Order.OldestFirst, Order.NewestFirst]) {
      const { first, last } = await client.page({ order });
      assert.equal([first, last], [NOW_MS * 1000, NOW_MS * 1000 + 2]);
    }
  });

  check('drops an empty inbox from what it counts', async (client) => {
    await client.putSeqs(range(1, 3));
    assert.is(client.store.stats().indexedRows, 3);
    await client.deletePage(await client.page());
    const { indexedRows, pendingWrites } = client.store.stats();
    assert.equal({ indexedRows, pendingWrites }, { indexedRows: 0, pendingWrites: 0 });
  });

  check(
    'answers everything that it took before close, and StoreFailed after it',
    async (client) => {
      const taken = client.putSeqs(range(1, 20));
      const closed = client.store.close();
      assert.equal(
        await taken,
        range(1, 20).map(() => Status.Ok),
      );
      await closed;
      await client.store.close();
      const failed = Status.StoreFailed;
      assert.is(await client.put(newRow({ seq: 21 })), failed);
      assert.is((await client.page()).status, failed);
      assert.equal(await client.counts(), { status: failed, counts: [] });
      assert.is(await client.deletePage({ first: 1, last: 2 }), failed);
      assert.is(await client.remove(newRow({ seq: 1 })), failed);
    },
  );

  test.run();
}
