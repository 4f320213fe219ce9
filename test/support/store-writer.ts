/**
 * Child process of the kill -9 test: stores rows without end in the store at argv[2], 64 at a time,
 * and prints the seq of each row that was answered Ok. Also deletes every tenth row and prints `-seq`
 * when that was answered.
 */
import { writeSync } from 'node:fs';
import { Status } from '../../protocol/index.ts';
import { openLmdbStore } from '../../server/stores/lmdb-store.ts';
import { newRow } from './store-client.ts';

const limits = { inboxMaxMessages: 1_000_000, inboxMaxBytes: 1_000_000_000 };
const store = openLmdbStore({ path: process.argv[2] as string, limits });
let lastSeq = 0;

function putNext(): void {
  const row = newRow({ seq: ++lastSeq, content: Buffer.from(`content of ${lastSeq}`) });
  store.put(row, (status) => {
    if (status !== Status.Ok) throw new Error(`put answered ${status}`);
    writeSync(1, `${row.seq}\n`);
    if (row.seq % 10 === 0) store.remove(row, () => writeSync(1, `-${row.seq}\n`));
    putNext();
  });
}

for (let i = 0; i < 64; i++) putNext();
