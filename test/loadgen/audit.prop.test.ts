/**
 * The audit's interval arithmetic against Sets, and whole random histories, honest or not, against a
 * ledger that keeps every message by name and counts by looking at each.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { auditBooks, difference, intersection, sizeOf, union } from '../../loadgen/audit.ts';
import {
  bookOf,
  type BookShelf,
  closeShelves,
  emptyBooks,
  ReceivedBook,
  SentBook,
} from '../../loadgen/ledger.ts';
import { ledgerOf } from '../support/books.ts';

function pairsOf(values: Iterable<number>): number[] {
  const pairs: number[] = [];
  for (const value of [...new Set(values)].sort((a, b) => a - b)) {
    if (pairs.length > 0 && pairs[pairs.length - 1] === value - 1) pairs[pairs.length - 1] = value;
    else pairs.push(value, value);
  }
  return pairs;
}

const numbers = fc
  .oneof(
    fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 14 }),
    fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 }),
  )
  .map((values) => new Set(values));

test('interval arithmetic agrees with Sets', () => {
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      const [x, y] = [pairsOf(a), pairsOf(b)];
      assert.is(sizeOf(x), a.size);
      assert.equal(difference(x, y), pairsOf([...a].filter((n) => !b.has(n))));
      assert.equal(intersection(x, y), pairsOf([...a].filter((n) => b.has(n))));
      assert.equal(union(x, y), pairsOf([...a, ...b]));
    }),
    { numRuns: 3000 },
  );
});

test('interval arithmetic leaves its arguments alone', () => {
  const a = Object.freeze([1, 3, 7, 9]);
  const b = Object.freeze([2, 8]);
  assert.equal(difference(a, b), [1, 1, 9, 9]);
  assert.equal(intersection(a, b), [2, 3, 7, 8]);
  assert.equal(union(a, b), [1, 9]);
});

/** What may happen in a run; nothing forbids a server to do the impossible. */
type Step =
  | { do: 'send' }
  | { do: 'accept'; seq: number }
  | { do: 'confirmed' | 'stored' | 'failed' | 'gaveUp'; seq: number }
  | { do: 'arrive'; seq: number; isFresh: boolean };

interface Happening {
  sender: number;
  receiver: number;
  epoch: number;
  step: Step;
}

const seq = fc.integer({ min: 1, max: 9 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ do: 'send' }) },
  { weight: 3, arbitrary: seq.map((n): Step => ({ do: 'accept', seq: n })) },
  {
    weight: 3,
    arbitrary: fc
      .record({ do: fc.constantFrom('confirmed', 'stored', 'failed', 'gaveUp'), seq })
      .map((it) => it as Step),
  },
  {
    weight: 5,
    arbitrary: fc
      .record({ do: fc.constant('arrive'), seq, isFresh: fc.boolean() })
      .map((it) => it as Step),
  },
);
const uid = fc.integer({ min: 1, max: 3 });
const history: fc.Arbitrary<Happening[]> = fc.array(
  fc.record({ sender: uid, receiver: uid, epoch: fc.integer({ min: 1, max: 2 }), step }),
  { maxLength: 120 },
);

/** One message as the naive ledger keeps it. */
interface Message {
  isSent: boolean;
  isAccepted: boolean;
  settlements: string[];
  arrivals: number;
  lines: number;
}

interface Naive {
  messages: Map<string, Message>;
  /** Sequences in the order of the log, by conversation. */
  logs: Map<string, number[]>;
}

function keepNaively(happenings: readonly Happening[]): Naive {
  const messages = new Map<string, Message>();
  const logs = new Map<string, number[]>();
  const sentSoFar = new Map<string, number>();
  const messageOf = (conversation: string, n: number): Message => {
    const name = `${conversation}/${n}`;
    const known = messages.get(name);
    if (known !== undefined) return known;
    const fresh = { isSent: false, isAccepted: false, settlements: [], arrivals: 0, lines: 0 };
    messages.set(name, fresh);
    return fresh;
  };
  for (const { sender, receiver, epoch, step: it } of happenings) {
    const conversation = `${sender}-${receiver}-${epoch}`;
    if (it.do === 'send') {
      const n = (sentSoFar.get(conversation) ?? 0) + 1;
      sentSoFar.set(conversation, n);
      messageOf(conversation, n).isSent = true;
      continue;
    }
    const message = messageOf(conversation, it.seq);
    if (it.do === 'accept') message.isAccepted = true;
    else if (it.do === 'arrive') {
      message.arrivals++;
      if (!it.isFresh) continue;
      message.lines++;
      const log = logs.get(conversation) ?? [];
      log.push(it.seq);
      logs.set(conversation, log);
    } else message.settlements.push(it.do);
  }
  return { messages, logs };
}

/** The books as the swarm writes them, users spread over two workers. */
function keepInBooks(happenings: readonly Happening[]) {
  const sent = new Map<number, BookShelf<SentBook>>();
  const received = new Map<number, BookShelf<ReceivedBook>>();
  for (const user of [1, 2, 3]) {
    sent.set(user, new Map());
    received.set(user, new Map());
  }
  for (const { sender, receiver, epoch, step: it } of happenings) {
    const sentBook = (): SentBook =>
      bookOf(sent.get(sender)!, receiver, epoch, (e) => new SentBook(e));
    if (it.do === 'send') sentBook().attempted++;
    else if (it.do === 'accept') sentBook().accepted.add(it.seq);
    else if (it.do === 'arrive') {
      const book = bookOf(received.get(receiver)!, sender, epoch, (e) => new ReceivedBook(e));
      book.onWire(it.seq);
      if (it.isFresh) book.onDelivered(it.seq);
    } else sentBook().settle(it.do, it.seq);
  }
  const workers = [emptyBooks(), emptyBooks()];
  for (const user of [1, 2, 3]) {
    closeShelves(user, sent.get(user)!, received.get(user)!, workers[user % 2]!);
  }
  return workers;
}

test('random histories agree with a ledger that looks at every message', () => {
  fc.assert(
    fc.property(history, (happenings) => {
      const { messages, logs } = keepNaively(happenings);
      const expected = ledgerOf({});
      let arrivals = 0;
      let distinct = 0;
      const broken = new Set<string>();
      for (const [name, it] of messages) {
        const conversation = name.split('/')[0] as string;
        const first = it.settlements[0];
        const isConfirmed = first === 'confirmed' || first === 'stored';
        const isOk = it.isAccepted || isConfirmed;
        const isFailed = first === 'failed';
        const isInfo = it.isSent && !isOk && !isFailed;
        const isDelivered = it.lines > 0;
        if (it.isSent) expected.attempted++;
        if (isOk) expected.accepted++;
        if (first === 'confirmed') expected.confirmed++;
        if (first === 'stored') expected.confirmedStored++;
        if (isFailed) expected.failed++;
        if (isInfo) expected.info++;
        if (isDelivered) expected.delivered++;
        if (isOk && !isDelivered) expected.lost++;
        if (isConfirmed && !isDelivered) expected.falseConfirm++;
        if (isFailed && isDelivered) expected.phantom++;
        if (isDelivered && !it.isSent) expected.unexpected++;
        if (isInfo && isDelivered) expected.recovered++;
        if (isInfo && !isDelivered) expected.unknown++;
        expected.duplicated += Math.max(0, it.lines - 1);
        arrivals += it.arrivals;
        if (it.arrivals > 0) distinct++;
        if (isOk && isFailed) broken.add(`sent = ok + fail + info: ${conversation}`);
        if (!it.isSent && (isOk || isFailed))
          broken.add(`sent = ok + fail + info: ${conversation}`);
        if (it.settlements.length > 1) broken.add(`a message settles once: ${conversation}`);
        if (it.arrivals > 0 !== isDelivered) broken.add(`set(Wire) = set(Del): ${conversation}`);
      }
      for (const log of logs.values()) {
        for (let i = 1; i < log.length; i++) if (log[i]! < log[i - 1]!) expected.orderInversions++;
      }

      const { ledger, dedupe, violations } = auditBooks(keepInBooks(happenings));
      assert.equal(ledger, expected);
      assert.equal(dedupe, {
        wireArrivals: arrivals,
        wireDuplicates: arrivals - distinct,
        wireDuplicateRatio: distinct === 0 ? 0 : (arrivals - distinct) / distinct,
        absorbed: arrivals - distinct - expected.duplicated,
      });
      const named = violations.map((text) => text.replace(/(\d)->(\d) epoch (\d)$/, '$1-$2-$3'));
      if (broken.size <= 10) assert.equal(named.sort(), [...broken].sort());
      else assert.is(named.length, 10);
    }),
    { numRuns: 2000 },
  );
});

test.run();
