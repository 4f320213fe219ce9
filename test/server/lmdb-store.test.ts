/**
 * The lmdb store: the conformance suite, and what only a durable store has - restarts, failed
 * commits, kill -9, the bounded index, the lock of the directory.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'lmdb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Order, Status } from '../../protocol/index.ts';
import {
  type LmdbStoreOptions,
  openLmdbStore,
  StoreOpenError,
} from '../../server/stores/lmdb-store.ts';
import { storeConformance } from '../conformance/store.ts';
import { FaultyLmdbStore } from '../support/faulty-lmdb-store.ts';
import { newRow, StoreClient } from '../support/store-client.ts';
import { withTempDir } from '../support/temp-dir.ts';

const LIMITS = { inboxMaxMessages: 1_000_000, inboxMaxBytes: 1_000_000_000 };
const { Ok, StoreFailed, Overloaded, InboxFull } = Status;

storeConformance('lmdb store', (options, use) =>
  withTempDir(async (path) => {
    const store = openLmdbStore({ ...options, path });
    await use(store).finally(() => store.close());
  }),
);

storeConformance('lmdb store with an index for two rows', (options, use) =>
  withTempDir(async (path) => {
    const store = openLmdbStore({ ...options, path, maxIndexedRows: 2 });
    await use(store).finally(() => store.close());
  }),
);

const test = suite('lmdb store alone');

/** A store for one test: `client`, its faults, and `reopen` as after a restart. */
async function withStore(
  options: Partial<LmdbStoreOptions>,
  use: (client: StoreClient, store: FaultyLmdbStore, reopen: Reopen) => Promise<void>,
): Promise<void> {
  await withTempDir(async (path) => {
    const openStore = (more: Partial<LmdbStoreOptions> = {}): FaultyLmdbStore =>
      new FaultyLmdbStore({ path, limits: LIMITS, ...options, ...more });
    let store = openStore();
    const reopen: Reopen = async (more) => {
      await store.close();
      store = openStore(more);
      return new StoreClient(store);
    };
    await use(new StoreClient(store), store, reopen).finally(() => store.close());
  });
}

type Reopen = (more?: Partial<LmdbStoreOptions>) => Promise<StoreClient>;

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

test('keeps rows, their order and their names over a restart', async () => {
  await withStore({}, async (before, _store, reopen) => {
    await before.putSeqs(range(1, 20), { content: new Uint8Array(5) });
    await before.putSeqs(range(1, 5), { receiver: 2, sender: 9 });
    await before.deletePage(await before.page({ limit: 10 }));
    const after = await reopen();
    assert.equal(await after.seqs(), range(11, 20));
    assert.equal((await after.counts(2)).counts, [{ sender: 9, count: 5 }]);
    await after.putSeqs(range(11, 20));
    assert.is((await after.page()).rows.length, 10, 'repeats are still known');
    await after.putSeqs(range(1, 2));
    assert.equal(await after.seqs(), [...range(11, 20), 1, 2]);
  });
});

test('gives growing positions over a restart with the clock set back, and no rows left', async () => {
  await withStore({ now: () => 2000 }, async (before, _store, reopen) => {
    await before.putSeqs([1, 2]);
    const page = await before.page();
    assert.equal([page.first, page.last], [2_000_000, 2_000_001]);
    await before.deletePage(page);
    const after = await reopen({ now: () => 1000 });
    await after.putSeqs([3]);
    assert.is((await after.page()).first, 2_000_002);
    assert.is(await after.deletePage(page), Ok);
    assert.equal(await after.seqs(), [3]);
  });
});

test('counts what it loads against the caps', async () => {
  const limits = { inboxMaxMessages: 3, inboxMaxBytes: 30 };
  await withStore({ limits }, async (before, _store, reopen) => {
    await before.putSeqs([1, 2], { content: new Uint8Array(10) });
    const after = await reopen();
    assert.equal(await after.putSeqs([3], { content: new Uint8Array(11) }), [InboxFull]);
    assert.equal(await after.putSeqs([3, 4], { content: new Uint8Array(5) }), [Ok, InboxFull]);
  });
});

test('evicts the inbox used least recently and loads it again', async () => {
  await withStore({ maxIndexedRows: 20 }, async (client) => {
    for (const receiver of range(1, 30)) await client.putSeqs(range(1, 4), { receiver });
    const { indexedRows, indexedInboxes } = client.store.stats();
    assert.equal({ indexedRows, indexedInboxes }, { indexedRows: 16, indexedInboxes: 4 });
    for (const receiver of range(1, 30)) {
      await client.putSeqs([4, 5], { receiver });
      assert.equal(await client.seqs({ receiver }), range(1, 5), 'and dedupes what it loaded');
      assert.ok(client.store.stats().indexedRows <= 20);
    }
  });
});

test('holds an inbox larger than its whole index', async () => {
  await withStore({ maxIndexedRows: 20 }, async (client, _store, reopen) => {
    await client.putSeqs(range(1, 50));
    await client.putSeqs(range(1, 50), { receiver: 2 });
    assert.equal(await client.seqs({ limit: 60 }), range(1, 50));
    assert.is(client.store.stats().indexedInboxes, 1);
    assert.equal(await (await reopen()).seqs({ limit: 60 }), range(1, 50));
  });
});

test('does not evict an inbox with a row that waits for its commit', async () => {
  await withStore({ maxIndexedRows: 4 }, async (client, store) => {
    store.hold();
    const puts = range(1, 10).map((receiver) => client.put(newRow({ receiver, seq: 1 })));
    const again = range(1, 10).map((receiver) => client.put(newRow({ receiver, seq: 1 })));
    assert.is(store.stats().indexedRows, 10);
    store.release();
    await Promise.all([...puts, ...again]);
    assert.ok(store.stats().indexedRows <= 4);
    assert.equal(await client.seqs({ receiver: 1 }), [1]);
  });
});

test('commits everything that was written in one turn together', async () => {
  await withStore({}, async (client) => {
    await client.putSeqs(range(1, 500));
    assert.is(client.store.stats().commits, 1);
  });
});

test('collects writes while a commit is in flight, and commits them when it ends', async () => {
  await withStore({}, async (client, store) => {
    store.hold();
    const first = client.putSeqs([1]);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const others = range(2, 50).map((seq) => client.putSeqs([seq]));
    assert.is(store.stats().pendingWrites, 50);
    store.release();
    await Promise.all([first, ...others]);
    assert.is(store.stats().commits, 2);
    assert.is(store.stats().pendingWrites, 0);
  });
});

test('shows a row only when it is committed, and no more once it is being deleted', async () => {
  await withStore({}, async (client, store) => {
    await client.putSeqs([1, 2]);
    store.hold();
    const put = client.putSeqs([3]);
    assert.equal(await client.seqs({ order: Order.NewestFirst }), [2, 1]);
    const deletion = client.deletePage(await client.page({ limit: 1 }));
    assert.equal(await client.seqs(), [2]);
    assert.equal((await client.counts()).counts, [{ sender: 2, count: 1 }]);
    assert.is(await client.put(newRow({ seq: 1 })), Ok, 'a row being deleted was stored');
    store.release();
    assert.equal(await Promise.all([put, deletion]), [[Ok], Ok]);
    assert.equal(await client.seqs(), [2, 3]);
  });
});

test('answers StoreFailed to every put of a failed commit and keeps none of its rows', async () => {
  const errors: string[] = [];
  const onError = (error: Error): number => errors.push(error.message);
  await withStore({ onError }, async (client, store, reopen) => {
    await client.putSeqs([1]);
    store.failCommits = 1;
    assert.equal(await client.putSeqs([2, 3, 2]), [StoreFailed, StoreFailed, StoreFailed]);
    assert.equal(errors, ['the test wants this commit to fail']);
    assert.is(store.stats().commitFailures, 1);
    assert.equal(await client.seqs(), [1]);
    assert.equal(await client.putSeqs([3]), [Ok], 'the next commit is on its own');
    assert.equal(await client.seqs(), [1, 3]);
    assert.equal(await (await reopen()).seqs(), [1, 3]);
  });
});

test('gives room back to the caps when a commit failed', async () => {
  const limits = { inboxMaxMessages: 1, inboxMaxBytes: 10 };
  await withStore({ limits }, async (client, store) => {
    store.failCommits = 1;
    const content = new Uint8Array(10);
    assert.equal(await client.putSeqs([1, 2], { content }), [StoreFailed, InboxFull]);
    assert.equal(await client.putSeqs([2], { content }), [Ok]);
  });
});

test('shows rows again, in their place, when their deletion failed', async () => {
  await withStore({}, async (client, store) => {
    await client.putSeqs(range(1, 4));
    const page = await client.page({ limit: 2 });
    store.failCommits = 1;
    assert.is(await client.deletePage(page), StoreFailed);
    assert.equal(await client.seqs(), [1, 2, 3, 4]);
    assert.equal((await client.counts()).counts, [{ sender: 2, count: 4 }]);
    assert.is(await client.deletePage(page), Ok);
    assert.equal(await client.seqs(), [3, 4]);
  });
});

test('deletes itself what an earlier deletion of the same page failed to', async () => {
  await withStore({}, async (client, store, reopen) => {
    await client.putSeqs(range(1, 3));
    const page = await client.page({ limit: 2 });
    store.failCommits = 1;
    assert.equal(await Promise.all([client.deletePage(page), client.deletePage(page)]), [
      StoreFailed,
      Ok,
    ]);
    assert.equal(await client.seqs(), [3]);
    assert.equal(await (await reopen()).seqs(), [3]);
  });
});

test('has nothing to remove when the put of that row failed', async () => {
  await withStore({}, async (client, store) => {
    const row = newRow({ seq: 1 });
    store.failCommits = 1;
    assert.equal(await Promise.all([client.put(row), client.remove(row)]), [StoreFailed, Ok]);
    assert.is(store.stats().indexedRows, 0);
  });
});

test('refuses rows beyond the bound on pending ones, repeats included', async () => {
  await withStore({ maxPendingPuts: 3 }, async (client, store) => {
    await client.putSeqs([1]);
    store.hold();
    const taken = client.putSeqs([2, 3, 3]);
    assert.equal(await client.putSeqs([2, 4]), [Overloaded, Overloaded]);
    const deleted = client.deletePage(await client.page());
    store.release();
    assert.equal(await taken, [Ok, Ok, Ok]);
    assert.is(await deleted, Ok);
    assert.equal(await client.putSeqs([4]), [Ok]);
  });
});

test('refuses deletions beyond the bound on pending ones, and shows their rows again', async () => {
  await withStore({ maxPendingDeletions: 2 }, async (client, store) => {
    await client.putSeqs([1, 2, 3, 4]);
    store.hold();
    const [one, two] = [client.remove(newRow({ seq: 1 })), client.remove(newRow({ seq: 2 }))];
    assert.is(await client.remove(newRow({ seq: 3 })), Overloaded);
    assert.is(await client.deletePage(await client.page()), Overloaded);
    assert.equal(await client.seqs(), [3, 4]);
    const taken = client.putSeqs([5]);
    store.release();
    assert.equal([await one, await two, ...(await taken)], [Ok, Ok, Ok]);
    assert.is(await client.deletePage(await client.page()), Ok);
    assert.equal(await client.seqs(), []);
  });
});

test('takes the deletion of many more rows than may wait to be stored', async () => {
  await withStore({ maxPendingPuts: 10 }, async (client, store) => {
    for (let seq = 1; seq <= 60; seq += 10) await client.putSeqs(range(seq, seq + 9));
    store.hold();
    const pages = [];
    for (let i = 0; i < 6; i++) pages.push(client.deletePage(await client.page({ limit: 10 })));
    store.release();
    assert.equal(await Promise.all(pages), [Ok, Ok, Ok, Ok, Ok, Ok]);
  });
});

test('commits in parts when more has collected than one batch takes', async () => {
  await withStore({}, async (client, store) => {
    const answers = await client.putSeqs(range(1, 20_000));
    assert.ok(answers.every((status) => status === Ok));
    assert.is(store.stats().commits, 3);
    assert.is((await client.page()).rows.length, 20_000);
  });
});

for (const damage of ['damaged', 'missing'] as const) {
  test(`answers StoreFailed for a page with a row that is ${damage}`, async () => {
    const errors: string[] = [];
    const onError = (error: Error): number => errors.push(error.message);
    await withTempDir(async (path) => {
      const store = openLmdbStore({ path, limits: LIMITS, now: () => 1, onError });
      const client = new StoreClient(store);
      await client.putSeqs([1], { content: new Uint8Array(8) });
      const database = open({ path, noSubdir: false, keyEncoding: 'binary', encoding: 'binary' });
      const key = Buffer.alloc(16);
      key.writeUInt32BE(1, 4);
      key.writeUInt32BE(1000, 12);
      assert.is(database.getBinary(key)?.length, 25 + 8);
      await (damage === 'missing' ? database.remove(key) : database.put(key, Buffer.alloc(32)));
      assert.is((await client.page()).status, StoreFailed);
      assert.equal(errors, ['row 1000 of inbox 1 is missing or damaged']);
      await store.close();
    });
  });
}

test('loses no row that was answered Ok when the process is killed while it writes', async () => {
  await withTempDir(async (path) => {
    const script = fileURLToPath(new URL('../support/store-writer.ts', import.meta.url));
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.length > 20_000) child.kill('SIGKILL');
    });
    const signal = await new Promise((resolve) => child.on('close', (_, by) => resolve(by)));
    assert.is(signal, 'SIGKILL');
    const answers = output.slice(0, output.lastIndexOf('\n')).split('\n').map(Number);
    const store = openLmdbStore({ path, limits: LIMITS });
    const { rows } = await new StoreClient(store).page();
    await store.close();
    const kept = new Map(rows.map((row) => [row.seq, Buffer.from(row.content).toString()]));
    const removed = new Set(answers.filter((seq) => seq < 0).map((seq) => -seq));
    const stored = answers.filter((seq) => seq > 0);
    assert.ok(stored.length > 1000 && removed.size > 100);
    // A tenth row may be gone already without its removal having been answered.
    const lost = stored.filter((seq) => seq % 10 !== 0 && kept.get(seq) !== `content of ${seq}`);
    assert.equal(lost, []);
    assert.equal(
      [...removed].filter((seq) => kept.has(seq)),
      [],
      'a removed row is gone',
    );
  });
});

const LOCK = 'ackbench.lock';

function refusal(path: string): string {
  try {
    void openLmdbStore({ path, limits: LIMITS }).close();
    return 'opened';
  } catch (error) {
    assert.instance(error, StoreOpenError);
    return (error as Error).message;
  }
}

test('refuses a directory that this process has open already, until it is closed', async () => {
  await withStore({}, async (client) => {
    await withTempDir(async (path) => {
      const store = openLmdbStore({ path, limits: LIMITS });
      assert.is(
        refusal(path),
        `the store in ${path} is already open in this process; ` +
          'stop that server or give this one another directory',
      );
      await store.close();
      assert.not(existsSync(join(path, LOCK)));
      await openLmdbStore({ path, limits: LIMITS }).close();
    });
    await client.putSeqs([1]);
  });
});

test('refuses a directory that another living process has open', async () => {
  await withTempDir(async (path) => {
    const pid = process.ppid;
    writeFileSync(join(path, LOCK), JSON.stringify({ pid, started: '' }));
    assert.match(refusal(path), `is already open in process ${pid};`);
    assert.ok(existsSync(join(path, LOCK)), 'and leaves its lock');
  });
});

test('takes over the lock of a dead process, of a reused pid, and a damaged one', async () => {
  const dead = spawnSync(process.execPath, ['--version']).pid;
  const stale = [JSON.stringify({ pid: dead, started: '' }), '', '{}', '{"pid":-1,"started":""}'];
  if (process.platform === 'linux') {
    stale.push(JSON.stringify({ pid: process.pid, started: 'boot/1' }));
  }
  for (const text of stale) {
    await withTempDir(async (path) => {
      writeFileSync(join(path, LOCK), text);
      const client = new StoreClient(openLmdbStore({ path, limits: LIMITS }));
      assert.equal(await client.putSeqs([1]), [Ok]);
      assert.match(refusal(path), 'already open in this process');
      await client.store.close();
    });
  }
});

test('says in one sentence why it cannot open a directory', async () => {
  await withTempDir(async (path) => {
    const file = join(path, 'file');
    writeFileSync(file, '');
    assert.match(refusal(file), `cannot open the store in ${file}: `);

    const foreign = join(path, 'foreign');
    const database = open({ path: foreign, noSubdir: false });
    await database.put('key', 'value');
    await database.close();
    assert.match(refusal(foreign), 'was not made by ackbench');
    assert.not(existsSync(join(foreign, LOCK)), 'and takes no lock');

    const newer = join(path, 'newer');
    mkdirSync(newer);
    await openLmdbStore({ path: newer, limits: LIMITS }).close();
    const later = open({ path: newer, noSubdir: false, keyEncoding: 'binary', encoding: 'binary' });
    await later.put(Buffer.from('ackbench.version'), Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0));
    await later.close();
    assert.match(refusal(newer), 'has schema version 2, this server knows 1;');
  });
});

/** A store with rows of every size, some deleted again: branches, leaves, large rows, free pages. */
async function fillStore(path: string): Promise<void> {
  const client = new StoreClient(openLmdbStore({ path, limits: LIMITS }));
  for (let receiver = 1; receiver <= 8; receiver++) {
    const content = new Uint8Array(receiver === 8 ? 20_000 : 60);
    await client.putSeqs(range(1, receiver === 8 ? 5 : 200), { receiver, content });
  }
  await client.deletePage(await client.page({ receiver: 2 }), { receiver: 2 });
  await client.store.close();
}

function overwrite(file: string, offset: number, bytes: Uint8Array): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, offset);
  closeSync(descriptor);
}

const PAGE_BYTES = 4096;
const DAMAGES: readonly { name: string; damage: (file: string) => void; says: RegExp }[] = [
  { name: 'is empty', damage: (file) => truncateSync(file, 0), says: /only 0 bytes long/ },
  {
    name: 'is cut inside its head',
    damage: (file) => truncateSync(file, 5000),
    says: /only 5000 bytes long/,
  },
  {
    name: 'is cut short',
    damage: (file) => truncateSync(file, 10 * PAGE_BYTES),
    says: /page \d+ is missing/,
  },
  {
    name: 'has lost its large rows',
    damage: (file) => truncateSync(file, readFileSync(file).length - 12 * PAGE_BYTES),
    says: /page \d+ is missing/,
  },
  {
    name: 'begins with zeros',
    damage: (file) => overwrite(file, 0, new Uint8Array(PAGE_BYTES)),
    says: /page 0 is not the head of a database/,
  },
  {
    name: 'has a second page of zeros',
    damage: (file) => overwrite(file, PAGE_BYTES, new Uint8Array(PAGE_BYTES)),
    says: /page 1 is not the head of a database/,
  },
  {
    name: 'has zeros behind its head',
    damage: (file) => overwrite(file, 2 * PAGE_BYTES, new Uint8Array(30 * PAGE_BYTES)),
    says: /page \d+ is damaged/,
  },
  {
    name: 'holds something else',
    damage: (file) => writeFileSync(file, Buffer.alloc(100_000, 'not a database ')),
    says: /page 0 is not the head of a database/,
  },
];

for (const { name, damage, says } of DAMAGES) {
  test(`refuses, in a sentence, a database that ${name}`, async () => {
    await withTempDir(async (path) => {
      await fillStore(path);
      const file = join(path, 'data.mdb');
      await openLmdbStore({ path, limits: LIMITS }).close();
      damage(file);
      const before = readFileSync(file);
      assert.match(refusal(path), says);
      assert.match(refusal(path), `the database ${file} is damaged: `);
      assert.not(existsSync(join(path, LOCK)), 'and takes no lock');
      assert.ok(readFileSync(file).equals(before), 'and leaves it as it is');
    });
  });
}

test('survives a start that was cut off before the database had its name', async () => {
  await withTempDir(async (path) => {
    await fillStore(path);
    for (const bytes of [0, 4096, 8192, 12_288]) {
      // A draft, whole or in part, as a power failure leaves it.
      const draft = join(path, 'data.mdb.new');
      if (existsSync(join(path, 'data.mdb'))) renameSync(join(path, 'data.mdb'), draft);
      truncateSync(draft, bytes);
      const client = new StoreClient(openLmdbStore({ path, limits: LIMITS }));
      assert.equal(await client.seqs(), []);
      assert.equal(await client.putSeqs([1]), [Ok]);
      await client.store.close();
      assert.equal(readdirSync(path).sort(), ['data.mdb', 'lock.mdb']);
    }
  });
});

test.run();
