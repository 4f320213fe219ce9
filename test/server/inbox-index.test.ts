/** The index of inboxes by itself: what cannot be seen through a store. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Order } from '../../protocol/index.ts';
import {
  type Entry,
  type Inbox,
  InboxIndex,
  nextPosition,
} from '../../server/stores/inbox-index.ts';

const test = suite('inbox index');

let position = 0;

function add(index: InboxIndex<object>, inbox: Inbox<object>, seq: number): Entry<object> {
  position++;
  return index.addCommitted(inbox, { sender: 1, epoch: 1, seq, position, contentBytes: 1 }, null);
}

/** Receivers 1 to `inboxes` with one row each. */
function filled(inboxes: number, maxIndexedRows: number): InboxIndex<object> {
  const index = new InboxIndex<object>({ maxIndexedRows });
  for (let receiver = 1; receiver <= inboxes; receiver++) add(index, index.create(receiver), 1);
  return index;
}

/** Which of `receivers` the index has. Asking counts as use. */
function present(index: InboxIndex<object>, receivers: readonly number[]): number[] {
  return receivers.filter((receiver) => index.get(receiver) !== undefined);
}

test('evicts the inbox used least recently', () => {
  const index = filled(3, 6);
  assert.ok(index.get(1));
  add(index, index.create(4), 1);
  assert.equal(present(index, [1, 2, 3, 4]), [1, 3, 4]);
});

test('counts a busy inbox as used when its row is settled', () => {
  const index = filled(3, 6);
  const [entry] = (index.get(1) as Inbox<object>).between({
    receiver: 1,
    sender: 0,
    first: 0,
    last: position,
  }) as [Entry<object>];
  index.markDeleting(entry, {});
  index.get(2);
  index.get(3);
  index.settle(entry);
  add(index, index.create(4), 1);
  assert.equal(present(index, [1, 2, 3, 4]), [1, 3, 4]);
});

test('remembers that an inbox is empty only as long as it is bounded', () => {
  for (const [maxIndexedRows, expected] of [
    [10, 1],
    [Infinity, 0],
  ] as const) {
    const index = new InboxIndex<object>({ maxIndexedRows });
    index.discard(add(index, index.create(1), 1));
    assert.equal([index.rows, index.size], [0, expected]);
  }
});

test('finds and pages rows after any pattern of removals', () => {
  for (const keeps of [1, 2, 3, 7, 19, 100]) {
    const index = new InboxIndex<object>({ maxIndexedRows: Infinity });
    const inbox = index.create(1);
    const entries = Array.from({ length: 200 }, (_, i) => add(index, inbox, i + 1));
    const kept = entries.filter((_, i) => i % keeps === 0);
    for (const entry of entries) if (!kept.includes(entry)) index.discard(entry);
    const query = { receiver: 1, sender: 0, limit: 3, limitBytes: 3 };
    const oldest = inbox.select({ ...query, order: Order.OldestFirst });
    assert.equal(oldest.entries.map(seqOf), kept.slice(0, 3).map(seqOf));
    assert.is(oldest.more, kept.length > 3);
    const newest = inbox.select({ ...query, order: Order.NewestFirst });
    assert.equal(newest.entries.map(seqOf), kept.slice(-3).reverse().map(seqOf));
    const range = { first: (kept[1] as Entry<object>).position, last: position };
    assert.equal(
      inbox.between({ receiver: 1, sender: 1, ...range }).map(seqOf),
      kept.slice(1).map(seqOf),
    );
    for (const entry of entries) {
      assert.is(inbox.find(1, 1, entry.seq), kept.includes(entry) ? entry : undefined);
    }
    assert.is(inbox.contentBytes, kept.length);
  }
});

test('places the next row after the last one and not before the clock', () => {
  assert.is(nextPosition(0, 5), 5000);
  assert.is(nextPosition(4999, 5), 5000);
  assert.is(nextPosition(5000, 5), 5001);
  assert.is(nextPosition(0, 5.0004), 5000);
});

function seqOf(entry: Entry<object>): number {
  return entry.seq;
}

test.run();
