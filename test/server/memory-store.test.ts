/** The memory store: the conformance suite, and that it never evicts. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createMemoryStore } from '../../server/stores/memory-store.ts';
import { storeConformance } from '../conformance/store.ts';
import { newRow, StoreClient } from '../support/store-client.ts';

storeConformance('memory store', (options, use) => use(createMemoryStore(options)));

const test = suite('memory store alone');

test('drops inboxes that are empty or were never filled, and no others', async () => {
  const limits = { inboxMaxMessages: 10, inboxMaxBytes: 10 };
  const client = new StoreClient(createMemoryStore({ limits }));
  for (let receiver = 1; receiver <= 100; receiver++)
    await client.put(newRow({ receiver, seq: 1 }));
  await client.put(newRow({ receiver: 101, seq: 1, content: new Uint8Array(11) }));
  await client.page({ receiver: 102 });
  await client.remove(newRow({ receiver: 7, seq: 1 }));
  const { indexedInboxes, indexedRows } = client.store.stats();
  assert.equal({ indexedInboxes, indexedRows }, { indexedInboxes: 99, indexedRows: 99 });
});

test.run();
