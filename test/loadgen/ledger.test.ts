/** The two books: each side writes only what it saw. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  bookOf,
  type BookShelf,
  closeShelves,
  emptyBooks,
  ReceivedBook,
  SentBook,
} from '../../loadgen/ledger.ts';

const newSent = (epoch: number): SentBook => new SentBook(epoch);
const newReceived = (epoch: number): ReceivedBook => new ReceivedBook(epoch);

test('a message settles once; every further outcome is counted and changes nothing', () => {
  const outcomes = ['confirmed', 'stored', 'failed', 'gaveUp'] as const;
  for (const first of outcomes) {
    for (const second of outcomes) {
      const book = new SentBook(1);
      book.settle(first, 7);
      assert.is(book.settledTwice, 0);
      book.settle(second, 7);
      assert.is(book.settledTwice, 1, `${first}, then ${second}`);
      for (const outcome of outcomes) {
        assert.is(book[outcome]?.has(7) ?? false, outcome === first, outcome);
      }
      book.settle(second, 8);
      assert.is(book.settledTwice, 1, 'another message is another matter');
    }
  }
});

test('counts arrivals and lines of the log apart', () => {
  const book = new ReceivedBook(1);
  for (const seq of [1, 1, 2, 3, 3, 3]) book.onWire(seq);
  for (const seq of [1, 2, 3]) book.onDelivered(seq);
  assert.is(book.wireArrivals, 6);
  assert.equal(book.wire.toPairs(), [1, 3]);
  assert.equal(book.delivered.toPairs(), [1, 3]);
  assert.is(book.duplicated, 0);
});

test('counts each line of the log beyond the first of a message', () => {
  const book = new ReceivedBook(1);
  for (const seq of [1, 2, 2, 2, 1]) book.onDelivered(seq);
  assert.is(book.duplicated, 3);
  assert.is(book.delivered.size, 2);
});

test('counts a delivery that follows a later message as an inversion', () => {
  const inversions = (seqs: readonly number[]): number => {
    const book = new ReceivedBook(1);
    for (const seq of seqs) book.onDelivered(seq);
    return book.orderInversions;
  };
  assert.is(inversions([1, 2, 3, 4]), 0);
  assert.is(inversions([1, 3, 5]), 0, 'a gap is not an inversion');
  assert.is(inversions([2, 1]), 1);
  assert.is(inversions([4, 3, 2, 1]), 3);
  assert.is(inversions([3, 1, 2, 4]), 1, 'a block that came late is one inversion');
  assert.is(inversions([2, 1, 4, 3]), 2);
});

test('finds the book of a party and epoch, and makes it once', () => {
  const shelf: BookShelf<SentBook> = new Map();
  const made: number[] = [];
  const make = (epoch: number): SentBook => {
    made.push(epoch);
    return new SentBook(epoch);
  };
  const first = bookOf(shelf, 9, 5, make);
  const second = bookOf(shelf, 9, 6, make);
  const third = bookOf(shelf, 9, 4, make);
  const elsewhere = bookOf(shelf, 8, 5, make);
  assert.equal(made, [5, 6, 4, 5]);
  assert.is(new Set([first, second, third, elsewhere]).size, 4);
  assert.is(bookOf(shelf, 9, 5, make), first);
  assert.is(bookOf(shelf, 9, 6, make), second);
  assert.is(bookOf(shelf, 9, 4, make), third);
  assert.is(bookOf(shelf, 8, 5, make), elsewhere);
  assert.is(made.length, 4);
  assert.equal(
    [first, second, third].map(({ epoch }) => epoch),
    [5, 6, 4],
  );
});

test('closes every book of every epoch under the names of both parties', () => {
  const sent: BookShelf<SentBook> = new Map();
  const one = bookOf(sent, 20, 1, newSent);
  one.attempted = 4;
  for (const seq of [1, 2, 3]) one.accepted.add(seq);
  one.settle('confirmed', 1);
  one.settle('stored', 2);
  one.settle('failed', 4);
  one.settle('gaveUp', 3);
  one.settle('gaveUp', 3);
  bookOf(sent, 20, 2, newSent).attempted = 1;

  const received: BookShelf<ReceivedBook> = new Map();
  const other = bookOf(received, 30, 3, newReceived);
  for (const seq of [2, 2, 1]) other.onWire(seq);
  other.onDelivered(2);
  other.onDelivered(1);
  other.corrupt = 1;
  other.misrouted = 2;

  const books = emptyBooks();
  closeShelves(10, sent, received, books);
  assert.equal(books, {
    sent: [
      {
        sender: 10,
        receiver: 20,
        epoch: 1,
        attempted: 4,
        accepted: [1, 3],
        confirmed: [1, 1],
        stored: [2, 2],
        failed: [4, 4],
        gaveUp: [3, 3],
        settledTwice: 1,
      },
      {
        sender: 10,
        receiver: 20,
        epoch: 2,
        attempted: 1,
        accepted: [],
        confirmed: [],
        stored: [],
        failed: [],
        gaveUp: [],
        settledTwice: 0,
      },
    ],
    received: [
      {
        sender: 30,
        receiver: 10,
        epoch: 3,
        wireArrivals: 3,
        wire: [1, 2],
        delivered: [1, 2],
        duplicated: 0,
        corrupt: 1,
        misrouted: 2,
        orderInversions: 1,
      },
    ],
    stuck: 0,
  });
});

test('names what is behind its figures, the first ten of each book', () => {
  const received: BookShelf<ReceivedBook> = new Map();
  const book = bookOf(received, 30, 3, newReceived);
  for (const seq of [1, 2, 2]) book.onDelivered(seq);
  book.mark('corrupt', 'seq 1');
  book.mark('misrouted', 'seq 2, meant for 40');
  for (let i = 0; i < 20; i++) book.note('stuck', 'still counted: 5');
  const books = emptyBooks();
  closeShelves(10, new Map(), received, books);
  const { duplicated, corrupt, misrouted } = books.received[0]!;
  assert.equal({ duplicated, corrupt, misrouted }, { duplicated: 1, corrupt: 1, misrouted: 1 });
  assert.is(books.notes?.length, 10);
  assert.equal(books.notes?.slice(0, 4), [
    { figure: 'duplicated', text: '30->10 epoch 3 seq 2' },
    { figure: 'corrupt', text: '30->10 epoch 3 seq 1' },
    { figure: 'misrouted', text: '30->10 epoch 3 seq 2, meant for 40' },
    { figure: 'stuck', text: '30->10 epoch 3 still counted: 5' },
  ]);
});

test('an ack:N that ended no wait counts only when its message was never sent', () => {
  const sent: BookShelf<SentBook> = new Map();
  const book = bookOf(sent, 20, 1, newSent);
  book.attempted = 3;
  for (const seq of [1, 3, 3]) book.onIdleAckN(seq);
  const books = emptyBooks();
  closeShelves(10, sent, new Map(), books);
  assert.is(books.strays, undefined, 'late repeats are normal');
  book.onIdleAckN(4);
  closeShelves(10, sent, new Map(), books);
  assert.equal(books.strays, ['10->20 epoch 1 seq 4']);
});

test('needs memory for gaps, not for messages', () => {
  const sent: BookShelf<SentBook> = new Map();
  const received: BookShelf<ReceivedBook> = new Map();
  const mine = bookOf(sent, 2, 1, newSent);
  const theirs = bookOf(received, 2, 1, newReceived);
  for (let seq = 1; seq <= 200_000; seq++) {
    mine.attempted++;
    mine.accepted.add(seq);
    mine.settle('confirmed', seq);
    if (seq === 100_000) continue;
    theirs.onWire(seq);
    theirs.onDelivered(seq);
  }
  const books = emptyBooks();
  closeShelves(1, sent, received, books);
  assert.equal(books.sent[0]!.confirmed, [1, 200_000]);
  assert.equal(books.received[0]!.delivered, [1, 99_999, 100_001, 200_000]);
});

test('a blank book is left out, one that saw anything at all is not', () => {
  const touches: ((sent: SentBook, received: ReceivedBook) => void)[] = [
    (sent) => (sent.attempted = 1),
    (sent) => sent.accepted.add(1),
    (sent) => sent.settle('confirmed', 1),
    (sent) => sent.settle('stored', 1),
    (sent) => sent.settle('failed', 1),
    (sent) => sent.settle('gaveUp', 1),
    (sent) => sent.onIdleAckN(1),
    (_, received) => received.onWire(1),
    (_, received) => received.onDelivered(1),
    (_, received) => received.mark('corrupt', 'seq 1'),
    (_, received) => received.mark('misrouted', 'seq 1'),
    (_, received) => received.note('stuck', 'still counted'),
  ];
  for (const touch of touches) {
    const sent = new SentBook(1);
    const received = new ReceivedBook(1);
    const books = emptyBooks();
    closeShelves(7, new Map([[8, sent]]), new Map([[8, received]]), books);
    assert.is(books.sent.length + books.received.length, 0);
    touch(sent, received);
    closeShelves(7, new Map([[8, sent]]), new Map([[8, received]]), books);
    assert.is(books.sent.length + books.received.length, 1, String(touch));
  }
});

test.run();
