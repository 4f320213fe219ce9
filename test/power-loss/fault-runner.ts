/**
 * Child process, on the simulated disk: one store after the other below argv[3], each with a fault of
 * its own from argv[4] on (JSON of what `DiskShim.set` takes). argv[2] is the
 * library. Prints a line of JSON per fault: what
 * three puts got before the fault, while it lasts, and after it, and what a page got then.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from '../../protocol/index.ts';
import { openLmdbStore } from '../../server/stores/lmdb-store.ts';
import { newRow, StoreClient } from '../support/store-client.ts';
import { DiskShim } from './disk-shim.ts';

const LIMITS = { inboxMaxMessages: 1_000_000, inboxMaxBytes: 1_000_000_000 };

/** What it prints. */
export interface FaultReport {
  readonly before: readonly Status[];
  readonly during: readonly Status[];
  readonly after: readonly Status[];
  readonly page: Status;
  readonly isStopped: boolean;
  /** What the store reported through `onError`. */
  readonly errors: readonly string[];
}

async function run(path: string, disk: DiskShim, fault: object): Promise<FaultReport> {
  const errors: string[] = [];
  const onError = (error: Error): number => errors.push(error.message);
  const client = new StoreClient(openLmdbStore({ path, limits: LIMITS, onError }));
  const content = Buffer.alloc(3000);
  // Each in a commit of its own.
  const put = async (seqs: readonly number[]): Promise<Status[]> => {
    const statuses: Status[] = [];
    for (const seq of seqs) statuses.push(await client.put(newRow({ seq, content })));
    return statuses;
  };
  const before = await put([1, 2, 3]);
  disk.set(fault);
  const during = await put([4, 5, 6]);
  disk.heal();
  const after = await put([7, 8, 9]);
  const { status: page } = await client.page();
  const { isStopped } = client.store.stats();
  await client.store.close();
  return { before, during, after, page, isStopped, errors };
}

const [libraryPath, directory, ...faults] = process.argv.slice(2) as [string, string, ...string[]];
const disk = new DiskShim(libraryPath, directory, { isNew: false });
for (const [i, fault] of faults.entries()) {
  const report = await run(join(directory, `store-${i}`), disk, JSON.parse(fault) as object);
  writeSync(1, `${JSON.stringify(report)}\n`);
}
disk.close();
