/**
 * Child process: opens the store in each directory of argv, reads every inbox, stores one more row,
 * and prints a line of JSON per directory. A process of its own, because lmdb may take the process
 * with it when a database is damaged; whoever started it then knows by the line that is missing.
 */
import { writeSync } from 'node:fs';
import { Status } from '../../protocol/index.ts';
import { openLmdbStore } from '../../server/stores/lmdb-store.ts';
import { newRow, StoreClient } from '../support/store-client.ts';
import { digestOf, type FoundRow, RECEIVERS } from './inbox-book.ts';

const LIMITS = { inboxMaxMessages: 1_000_000, inboxMaxBytes: 1_000_000_000 };

/** What it prints. */
export interface ImageReport {
  readonly rows: readonly FoundRow[];
  /** Why it does not open or work; empty when all is well. */
  readonly error: string;
}

async function look(path: string): Promise<ImageReport> {
  const rows: FoundRow[] = [];
  try {
    const client = new StoreClient(openLmdbStore({ path, limits: LIMITS }));
    for (const receiver of RECEIVERS) {
      const page = await client.page({ receiver });
      if (page.status !== Status.Ok) return { rows, error: `a page got status ${page.status}` };
      for (const { sender, seq, content } of page.rows) {
        rows.push({ receiver, sender, seq, digest: digestOf(Buffer.from(content)) });
      }
    }
    const status = await client.put(newRow({ receiver: 9, seq: 1, content: Buffer.alloc(5000) }));
    await client.store.close();
    return { rows, error: status === Status.Ok ? '' : `a put got status ${status}` };
  } catch (error) {
    return { rows, error: (error as Error).message };
  }
}

for (const path of process.argv.slice(2)) {
  writeSync(1, `${JSON.stringify(await look(path))}\n`);
}
