/**
 * The audit, fed by hand with what it must reject: every figure of the ledger with exact numbers,
 * every conservation law broken once. Definitions: docs/MEASUREMENT.md section 1.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Audit, auditBooks, MUST_BE_ZERO } from '../../loadgen/audit.ts';
import type { Books, ReceivedEntry, SentEntry } from '../../loadgen/ledger.ts';
import { books, ledgerOf, receivedEntry, sentEntry, upTo } from '../support/books.ts';

/** One conversation 1 -> 2, closed by one worker. */
function auditOne(sent: Partial<SentEntry>, received: Partial<ReceivedEntry> | null): Audit {
  return auditBooks([
    books({
      sent: [sentEntry(sent)],
      received: received === null ? [] : [receivedEntry(received)],
    }),
  ]);
}

/** Ten messages, all of them confirmed and delivered. */
const TEN: Partial<SentEntry> = { attempted: 10, accepted: upTo(10), confirmed: upTo(10) };
const TEN_LEDGER = { attempted: 10, accepted: 10, confirmed: 10, delivered: 10 };

test('finds nothing in empty books', () => {
  const expected: Audit = {
    ledger: ledgerOf({}),
    dedupe: { wireArrivals: 0, wireDuplicates: 0, wireDuplicateRatio: 0, absorbed: 0 },
    violations: [],
    examples: [],
  };
  assert.equal(auditBooks([]), expected);
  assert.equal(auditBooks([books({}), books({})]), expected);
  // Books that were prepared for conversations in which nothing was said.
  assert.equal(auditOne({}, {}), expected);
});

test('finds nothing wrong with ten messages delivered and confirmed', () => {
  assert.equal(auditOne(TEN, { delivered: upTo(10) }), {
    ledger: ledgerOf(TEN_LEDGER),
    dedupe: { wireArrivals: 10, wireDuplicates: 0, wireDuplicateRatio: 0, absorbed: 0 },
    violations: [],
    examples: [],
  });
});

test('lost: accepted by msg:A, in no log', () => {
  const { ledger, examples, violations } = auditOne(
    { attempted: 10, accepted: upTo(10), confirmed: [1, 4, 8, 10] },
    { delivered: [1, 4, 8, 10] },
  );
  assert.equal(
    ledger,
    ledgerOf({ attempted: 10, accepted: 10, confirmed: 7, delivered: 7, lost: 3 }),
  );
  assert.equal(examples, ['lost 1->2 epoch 1 seq 5..7']);
  assert.equal(violations, []);
});

test('lost: all of a conversation whose receiver has no book', () => {
  const { ledger, examples } = auditOne({ attempted: 3, accepted: [1, 1, 3, 3] }, null);
  assert.equal(ledger, ledgerOf({ attempted: 3, accepted: 2, info: 1, unknown: 1, lost: 2 }));
  assert.equal(examples, ['lost 1->2 epoch 1 seq 1', 'lost 1->2 epoch 1 seq 3']);
});

test('lost and falseConfirm: confirmed by ack:N though msg:A never came, in no log', () => {
  const { ledger, examples } = auditOne(
    { attempted: 2, confirmed: upTo(2) },
    { delivered: [1, 1] },
  );
  assert.equal(
    ledger,
    ledgerOf({
      attempted: 2,
      accepted: 2,
      confirmed: 2,
      delivered: 1,
      lost: 1,
      falseConfirm: 1,
    }),
  );
  assert.equal(examples, ['lost 1->2 epoch 1 seq 2', 'falseConfirm 1->2 epoch 1 seq 2']);
});

test('falseConfirm: a forged confirmation that no later pull redeemed', () => {
  const { ledger } = auditOne(
    { attempted: 4, accepted: upTo(4), confirmed: [1, 1], stored: [2, 4] },
    { delivered: [1, 2] },
  );
  assert.equal(
    ledger,
    ledgerOf({
      attempted: 4,
      accepted: 4,
      confirmed: 1,
      confirmedStored: 3,
      delivered: 2,
      lost: 2,
      falseConfirm: 2,
    }),
  );
});

test('counts a message once that has both confirmations', () => {
  const { ledger } = auditOne({ attempted: 1, confirmed: [1, 1], stored: [1, 1] }, null);
  assert.equal(
    ledger,
    ledgerOf({
      attempted: 1,
      accepted: 1,
      confirmed: 1,
      confirmedStored: 1,
      lost: 1,
      falseConfirm: 1,
    }),
  );
});

test('duplicated: lines of the log beyond the first, which dedupe therefore did not absorb', () => {
  const { ledger, dedupe, examples } = auditOne(TEN, {
    delivered: upTo(10),
    wireArrivals: 15,
    duplicated: 2,
  });
  assert.equal(ledger, ledgerOf({ ...TEN_LEDGER, duplicated: 2 }));
  assert.equal(dedupe, {
    wireArrivals: 15,
    wireDuplicates: 5,
    wireDuplicateRatio: 0.5,
    absorbed: 3,
  });
  assert.equal(examples, ['duplicated 1->2 epoch 1 2 times']);
});

test('wire duplicates alone are no fault', () => {
  const { ledger, dedupe, violations } = auditOne(TEN, {
    delivered: upTo(10),
    wireArrivals: 14,
  });
  assert.equal(ledger, ledgerOf(TEN_LEDGER));
  assert.equal(dedupe, {
    wireArrivals: 14,
    wireDuplicates: 4,
    wireDuplicateRatio: 0.4,
    absorbed: 4,
  });
  assert.equal(violations, []);
});

test('unexpected: beyond what was sent in a known conversation', () => {
  const { ledger, examples } = auditOne(TEN, { delivered: upTo(12) });
  assert.equal(ledger, ledgerOf({ ...TEN_LEDGER, delivered: 12, unexpected: 2 }));
  assert.equal(examples, ['unexpected 1->2 epoch 1 seq 11..12']);
});

test('unexpected: in a conversation that nobody began', () => {
  const { ledger, examples } = auditBooks([
    books({
      sent: [sentEntry(TEN)],
      received: [
        receivedEntry({ delivered: upTo(10) }),
        receivedEntry({ sender: 7, receiver: 2, delivered: [4, 6] }),
      ],
    }),
  ]);
  assert.equal(ledger, ledgerOf({ ...TEN_LEDGER, delivered: 13, unexpected: 3 }));
  assert.equal(examples, ['unexpected 7->2 epoch 1 seq 4..6']);
});

test('unexpected: in a conversation that was prepared and stayed empty', () => {
  const { ledger } = auditOne({ attempted: 0 }, { delivered: [1, 1] });
  assert.equal(ledger, ledgerOf({ delivered: 1, unexpected: 1 }));
});

test('misrouted and corrupt: as the receiver counted them', () => {
  const { ledger } = auditOne(TEN, { delivered: upTo(10), misrouted: 3, corrupt: 4 });
  assert.equal(ledger, ledgerOf({ ...TEN_LEDGER, misrouted: 3, corrupt: 4 }));
});

test('phantom: refused by a definite error, in the log all the same', () => {
  const { ledger, examples, violations } = auditOne(
    { attempted: 5, accepted: upTo(2), confirmed: upTo(2), failed: [3, 5] },
    { delivered: [1, 2, 4, 4] },
  );
  assert.equal(
    ledger,
    ledgerOf({
      attempted: 5,
      accepted: 2,
      confirmed: 2,
      delivered: 3,
      failed: 3,
      phantom: 1,
    }),
  );
  assert.equal(examples, ['phantom 1->2 epoch 1 seq 4']);
  assert.equal(violations, []);
});

test('recovered and unknown: neither answer came, and only the log can tell', () => {
  const { ledger, examples, violations } = auditOne(
    { attempted: 6, accepted: upTo(2), confirmed: upTo(2), gaveUp: [3, 6] },
    { delivered: [1, 3] },
  );
  assert.equal(
    ledger,
    ledgerOf({
      attempted: 6,
      accepted: 2,
      confirmed: 2,
      delivered: 3,
      info: 4,
      recovered: 1,
      unknown: 3,
    }),
  );
  assert.equal(examples, [], 'neither is a fault');
  assert.equal(violations, []);
});

test('a message that the server accepted and the sender gave up is lost, not unknown', () => {
  const { ledger } = auditOne({ attempted: 1, accepted: [1, 1], gaveUp: [1, 1] }, null);
  assert.equal(ledger, ledgerOf({ attempted: 1, accepted: 1, lost: 1 }));
});

test('stuck: what every worker still found in inboxes', () => {
  const { ledger } = auditBooks([books({ stuck: 2 }), books({}), books({ stuck: 5 })]);
  assert.equal(ledger, ledgerOf({ stuck: 7 }));
});

test('orderInversions: as the receivers counted them', () => {
  const { ledger } = auditBooks([
    books({ received: [receivedEntry({ orderInversions: 3 })] }),
    books({ received: [receivedEntry({ sender: 2, receiver: 1, orderInversions: 4 })] }),
  ]);
  assert.is(ledger.orderInversions, 7);
});

test('every figure that must be zero has a fault that raises it', () => {
  const { ledger } = auditBooks([
    books({
      sent: [sentEntry({ attempted: 3, accepted: [1, 1], confirmed: [2, 2], failed: [3, 3] })],
      received: [receivedEntry({ delivered: [3, 4], duplicated: 1, misrouted: 1, corrupt: 1 })],
      stuck: 1,
    }),
  ]);
  for (const figure of MUST_BE_ZERO) assert.ok(ledger[figure] > 0, figure);
});

// ---- conservation laws ---------------------------------------------------------------------

test('violation: on the wire and never in the log', () => {
  const { violations } = auditOne(TEN, { wire: upTo(10), delivered: upTo(9) });
  assert.equal(violations, ['set(Wire) = set(Del): 1->2 epoch 1']);
});

test('violation: in the log and never on the wire', () => {
  const { violations } = auditOne(TEN, { wire: upTo(9), delivered: upTo(10) });
  assert.equal(violations, ['set(Wire) = set(Del): 1->2 epoch 1']);
});

test('violation: the same number of messages on the wire and in the log, but others', () => {
  const { violations } = auditOne(TEN, { wire: [1, 4, 6, 6], delivered: [1, 5] });
  assert.equal(violations, ['set(Wire) = set(Del): 1->2 epoch 1']);
});

test('violation: a message both accepted and definitely failed', () => {
  const { violations } = auditOne({ ...TEN, failed: [10, 10] }, { delivered: upTo(10) });
  assert.equal(violations, ['sent = ok + fail + info: 1->2 epoch 1']);
});

test('violation: an answer to a message that was never sent', () => {
  for (const answer of ['accepted', 'confirmed', 'stored', 'failed'] as const) {
    const { violations } = auditOne({ attempted: 10, [answer]: [11, 11] }, null);
    assert.equal(violations, ['sent = ok + fail + info: 1->2 epoch 1'], answer);
  }
});

test('violation: a message left the waiting-ack queue twice', () => {
  const { violations } = auditOne({ ...TEN, settledTwice: 1 }, { delivered: upTo(10) });
  assert.equal(violations, ['a message settles once: 1->2 epoch 1']);
});

test('violation: two books of one conversation, in which a repeat would hide', () => {
  const received = books({ received: [receivedEntry({ delivered: upTo(10) })] });
  const sent = books({ sent: [sentEntry(TEN)] });
  const law = ['one book per conversation: 1->2 epoch 1'];
  assert.equal(auditBooks([sent, received, received]).violations, law);
  assert.equal(auditBooks([sent, sent, received]).violations, law);
});

test('names what only receivers can name, and lets no figure crowd out another', () => {
  const lost = sentEntry({ attempted: 60, accepted: upTo(60) });
  const odd = Array.from({ length: 30 }, (_, i) => [2 * i + 1, 2 * i + 1]).flat();
  const notes = [
    { figure: 'corrupt', text: '1->2 epoch 1 seq 3' },
    { figure: 'misrouted', text: '1->2 epoch 1 seq 5, meant for 9' },
    { figure: 'stuck', text: '1->2 epoch 1 still counted: 4' },
  ] as const;
  const received = receivedEntry({ delivered: odd, corrupt: 1, misrouted: 1 });
  const { examples } = auditBooks([
    books({ sent: [lost], received: [received], stuck: 4, notes: [...notes] }),
  ]);
  assert.is(examples.length, 10);
  assert.equal(examples.slice(0, 4), [
    'corrupt 1->2 epoch 1 seq 3',
    'misrouted 1->2 epoch 1 seq 5, meant for 9',
    'stuck 1->2 epoch 1 still counted: 4',
    'lost 1->2 epoch 1 seq 2',
  ]);
  assert.equal(examples.slice(4, 6), ['lost 1->2 epoch 1 seq 4', 'lost 1->2 epoch 1 seq 6']);
});

test('violation: an ack:N for a message that its addressee never sent', () => {
  const { violations } = auditBooks([
    books({ sent: [sentEntry(TEN)], received: [receivedEntry({ delivered: upTo(10) })] }),
    books({ strays: ['3->2 epoch 1 seq 7'] }),
  ]);
  assert.equal(violations, ['ack:N only for what was sent: 3->2 epoch 1 seq 7']);
});

test('keeps ten examples and ten violations of a run where everything is wrong', () => {
  const all: Books = books({});
  for (let sender = 1; sender <= 50; sender++) {
    all.sent.push(
      sentEntry({ sender, receiver: 99, attempted: 1, accepted: [1, 1], settledTwice: 1 }),
    );
  }
  const { ledger, violations, examples } = auditBooks([all]);
  assert.is(ledger.lost, 50);
  assert.is(violations.length, 10);
  assert.is(examples.length, 10);
  assert.is(examples[0], 'lost 1->99 epoch 1 seq 1');
});

// ---- merging ---------------------------------------------------------------------------------

test('joins the books of sender and receiver from different workers, in any order', () => {
  const first = books({
    sent: [sentEntry({ attempted: 5, accepted: upTo(5), confirmed: upTo(4) })],
    received: [receivedEntry({ sender: 2, receiver: 1, delivered: upTo(2) })],
  });
  const second = books({
    sent: [
      sentEntry({ sender: 2, receiver: 1, attempted: 3, accepted: upTo(3), confirmed: upTo(2) }),
    ],
    received: [receivedEntry({ delivered: upTo(4) })],
  });
  const expected = ledgerOf({
    attempted: 8,
    accepted: 8,
    confirmed: 6,
    delivered: 6,
    lost: 2,
  });
  const audits = [auditBooks([first, second]), auditBooks([second, first])];
  for (const { ledger, violations, examples } of audits) {
    assert.equal(ledger, expected);
    assert.equal(violations, []);
    assert.equal([...examples].sort(), ['lost 1->2 epoch 1 seq 5', 'lost 2->1 epoch 1 seq 3']);
  }
});

test('keeps the epochs of a conversation apart', () => {
  const { ledger, examples } = auditBooks([
    books({
      sent: [
        sentEntry({ epoch: 1, attempted: 5, accepted: upTo(5), confirmed: upTo(5) }),
        sentEntry({ epoch: 2, attempted: 3, accepted: upTo(3), confirmed: upTo(3) }),
      ],
      received: [
        receivedEntry({ epoch: 2, delivered: upTo(5) }),
        receivedEntry({ epoch: 1, delivered: upTo(3) }),
      ],
    }),
  ]);
  assert.equal(
    ledger,
    ledgerOf({
      attempted: 8,
      accepted: 8,
      confirmed: 8,
      delivered: 8,
      lost: 2,
      falseConfirm: 2,
      unexpected: 2,
    }),
  );
  assert.equal(examples, [
    'lost 1->2 epoch 1 seq 4..5',
    'falseConfirm 1->2 epoch 1 seq 4..5',
    'unexpected 1->2 epoch 2 seq 4..5',
  ]);
});

test('keeps the directions of a conversation apart', () => {
  const { ledger } = auditBooks([
    books({
      sent: [sentEntry({ attempted: 2, accepted: upTo(2) })],
      received: [receivedEntry({ sender: 2, receiver: 1, delivered: upTo(2) })],
    }),
  ]);
  assert.equal(
    ledger,
    ledgerOf({ attempted: 2, accepted: 2, delivered: 2, lost: 2, unexpected: 2 }),
  );
});

test('keeps neighbouring uids apart, however they are written together', () => {
  const { ledger } = auditBooks([
    books({
      sent: [
        sentEntry({ sender: 1, receiver: 23, attempted: 1, accepted: [1, 1] }),
        sentEntry({ sender: 12, receiver: 3, attempted: 1, accepted: [1, 1] }),
      ],
      received: [receivedEntry({ sender: 1, receiver: 23, delivered: [1, 1] })],
    }),
  ]);
  assert.equal(ledger, ledgerOf({ attempted: 2, accepted: 2, delivered: 1, lost: 1 }));
});

test('accounts for 10^8 messages of one conversation in intervals', () => {
  const n = 1e8;
  const { ledger } = auditOne(
    { attempted: n, accepted: upTo(n), confirmed: upTo(n) },
    { delivered: [1, 5e7, 5e7 + 2, n] },
  );
  assert.equal(
    ledger,
    ledgerOf({
      attempted: n,
      accepted: n,
      confirmed: n,
      delivered: n - 1,
      lost: 1,
      falseConfirm: 1,
    }),
  );
});

test.run();
