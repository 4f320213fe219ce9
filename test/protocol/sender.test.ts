import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Confirmation,
  createClientEffects,
  DEFAULT_RETRANSMIT,
  Kind,
  NO_CONTENT,
  Outcome,
  type Packet,
  type RetransmitTimers,
  Sender,
  type SenderOptions,
  Status,
} from '../../protocol/index.ts';
import { bytesOf, drainClient, packet } from '../support/describe.ts';

const TIMERS: RetransmitTimers = { firstMs: 100, maxMs: 400, maxAttempts: 4, jitter: 0 };
const OPTIONS: SenderOptions = { epoch: 7, timers: TIMERS, inflightMax: 100, jitterSeed: 1 };

/** A sender whose inputs answer with lines. */
function senderOf(options: Partial<SenderOptions> = {}) {
  const sender = new Sender({ ...OPTIONS, ...options });
  const out = createClientEffects();
  return {
    sender,
    out,
    connect(nowMs = 0): string[] {
      sender.onConnect(nowMs, out);
      return drainClient(out);
    },
    submit(to: number, text: string, nowMs = 0, tag = 0): string[] {
      sender.submit(to, 1, bytesOf(text), tag, nowMs, out);
      return drainClient(out);
    },
    msgA(fields: Partial<Packet>, nowMs = 1): string[] {
      sender.onMsgA(packet(Kind.MsgA, { uid: 2, epoch: 7, seq: 1, ...fields }), nowMs, out);
      return drainClient(out);
    },
    ackN(fields: Partial<Packet> = {}, nowMs = 1): string[] {
      sender.onAckN(packet(Kind.AckN, { uid: 2, epoch: 7, seq: 1, ...fields }), nowMs, out);
      return drainClient(out);
    },
    deadline(nowMs: number): string[] {
      sender.onDeadline(nowMs, out);
      return drainClient(out);
    },
  };
}

/** The same with an open session at time 0. */
function onlineSender(options: Partial<SenderOptions> = {}) {
  const driver = senderOf(options);
  driver.connect();
  return driver;
}

test('sends msg:R at once and numbers each conversation from 1', () => {
  const { submit, sender } = onlineSender();
  assert.equal(submit(2, 'a'), ['send msg:R 2 7:1 "a"']);
  assert.equal(submit(2, 'b'), ['send msg:R 2 7:2 "b"']);
  assert.equal(submit(3, 'c'), ['send msg:R 3 7:1 "c"']);
  assert.is(sender.inflight, 3);
  assert.equal(
    [2, 3, 4].map((uid) => sender.submittedTo(uid)),
    [2, 1, 0],
  );
});

test('keeps what is submitted without a session and sends it at login in the order given', () => {
  const { submit, connect, sender } = senderOf();
  assert.equal(submit(3, 'a', 5), []);
  assert.equal(submit(2, 'b', 6), []);
  assert.equal(submit(2, 'c', 6), []);
  assert.is(sender.nextDeadlineMs(), Infinity);
  assert.equal(connect(50), [
    'send msg:R 3 7:1 "a"',
    'send msg:R 2 7:1 "b"',
    'send msg:R 2 7:2 "c"',
  ]);
  assert.is(sender.nextDeadlineMs(), 150);
});

test('says once that a message was accepted', () => {
  const { submit, msgA, sender } = onlineSender();
  submit(2, 'a', 0, 5);
  assert.equal(msgA({}), ['accepted 2 7:1 tag 5']);
  assert.equal(msgA({}), []);
  assert.is(sender.inflight, 1);
});

test('settles a message as delivered or as stored, as its ack:N says', () => {
  const { submit, ackN, sender } = onlineSender();
  submit(2, 'a', 0, 5);
  submit(2, 'b', 0, 6);
  assert.equal(ackN({}), ['settled 2 7:1 tag 5 delivered after 1']);
  assert.equal(ackN({ seq: 2, confirmation: Confirmation.Stored }), [
    'settled 2 7:2 tag 6 stored after 1',
  ]);
  assert.is(sender.inflight, 0);
  assert.is(sender.nextDeadlineMs(), Infinity);
});

test('gives the content and the time of submission back when a message settles', () => {
  const { sender, out } = onlineSender();
  const content = bytesOf('a');
  sender.submit(2, 1, content, 5, 10, out);
  out.clear();
  sender.onAckN(packet(Kind.AckN, { uid: 2, epoch: 7, seq: 1 }), 30, out);
  assert.is(out.at(0).content, content);
  assert.is(out.at(0).submittedAtMs, 10);
  assert.is(out.at(0).outcome, Outcome.Delivered);
});

test('needs no msg:A when ack:N overtakes it, and ignores the late one', () => {
  const { submit, msgA, ackN } = onlineSender();
  submit(2, 'a');
  assert.equal(ackN(), ['settled 2 7:1 tag 0 delivered after 1']);
  assert.equal(msgA({}), []);
  assert.equal(msgA({ status: Status.InboxFull }), []);
});

test('ignores a second ack:N and those for messages that are not its own', () => {
  const { submit, ackN, msgA, sender } = onlineSender();
  submit(2, 'a');
  assert.equal(ackN({ epoch: 6 }), []);
  assert.equal(ackN({ uid: 3 }), []);
  assert.equal(ackN({ seq: 2 }), []);
  assert.equal(msgA({ epoch: 6 }), []);
  assert.is(sender.inflight, 1);
  ackN();
  assert.equal(ackN(), []);
});

test('resends msg:R when ack:N misses its deadline', () => {
  const { submit, deadline, sender } = onlineSender();
  submit(2, 'a', 1000);
  assert.is(sender.nextDeadlineMs(), 1100);
  assert.equal(deadline(1099), []);
  assert.equal(deadline(1100), ['send msg:R 2 7:1 "a" again']);
  assert.is(sender.nextDeadlineMs(), 1300);
});

test('resends an accepted message too: msg:A does not say that it arrived', () => {
  const { submit, msgA, deadline } = onlineSender();
  submit(2, 'a');
  msgA({});
  assert.equal(deadline(100), ['send msg:R 2 7:1 "a" again']);
});

test('doubles each wait up to the largest and gives up when the attempts are used up', () => {
  const { submit, deadline, sender } = onlineSender();
  submit(2, 'a', 0, 5);
  const sentAgainAtMs: number[] = [];
  for (let nowMs = 0; nowMs < 1100; nowMs++) {
    if (deadline(nowMs).length > 0) sentAgainAtMs.push(nowMs);
  }
  assert.equal(sentAgainAtMs, [100, 300, 700]);
  assert.equal(deadline(1100), ['settled 2 7:1 tag 5 given up after 4']);
  assert.is(sender.inflight, 0);
  assert.is(sender.nextDeadlineMs(), Infinity);
});

test('moves a message on by one attempt only, however late the clock is', () => {
  const { submit, deadline, sender } = onlineSender();
  submit(2, 'a');
  assert.equal(deadline(100_000), ['send msg:R 2 7:1 "a" again']);
  assert.is(sender.nextDeadlineMs(), 100_200);
});

test('resends what is due in the order of sending and leaves the rest', () => {
  const { submit, ackN, deadline, sender } = onlineSender();
  for (const [index, text] of ['a', 'b', 'c', 'd'].entries()) submit(2, text, index);
  ackN({ seq: 2 }, 50); // from the middle
  ackN({ seq: 4 }, 50); // from the end
  assert.equal(deadline(101), ['send msg:R 2 7:1 "a" again']);
  assert.is(sender.nextDeadlineMs(), 102);
  submit(2, 'e', 101);
  assert.equal(deadline(201), ['send msg:R 2 7:3 "c" again', 'send msg:R 2 7:5 "e" again']);
  assert.is(sender.nextDeadlineMs(), 301);
});

test('spreads the waits of different clients by the jitter, within its bounds', () => {
  const waitsMs = new Set<number>();
  for (let jitterSeed = 0; jitterSeed < 200; jitterSeed++) {
    const { submit, sender } = onlineSender({ timers: DEFAULT_RETRANSMIT, jitterSeed });
    submit(2, 'a');
    const waitMs = sender.nextDeadlineMs();
    assert.ok(waitMs >= 900 && waitMs <= 1100, `seed ${jitterSeed}: ${waitMs} ms`);
    waitsMs.add(waitMs);
    submit(3, 'b');
    assert.is(sender.nextDeadlineMs(), waitMs, 'one client waits alike for all its messages');
  }
  assert.is(waitsMs.size, 200);
});

test('rests without a session and sends everything again at login', () => {
  const { submit, msgA, connect, deadline, sender } = onlineSender();
  submit(2, 'a', 0);
  submit(3, 'b', 10);
  msgA({});
  assert.equal(deadline(100), ['send msg:R 2 7:1 "a" again']);
  sender.onDisconnect();
  assert.is(sender.nextDeadlineMs(), Infinity);
  assert.equal(deadline(5000), []);
  assert.equal(submit(2, 'c', 5000), []);
  assert.equal(connect(6000), [
    'send msg:R 2 7:1 "a" again',
    'send msg:R 3 7:1 "b" again',
    'send msg:R 2 7:2 "c"',
  ]);
  // A login uses up no attempt: "a" waits as after its second, "b" and "c" as after their first.
  assert.is(sender.nextDeadlineMs(), 6100);
  assert.equal(deadline(6100), ['send msg:R 3 7:1 "b" again', 'send msg:R 2 7:2 "c" again']);
  assert.is(sender.nextDeadlineMs(), 6200);
});

test('gives up no message because the connection flaps', () => {
  const { submit, connect, deadline, sender } = onlineSender();
  submit(2, 'a');
  for (let login = 0; login < 100; login++) {
    sender.onDisconnect();
    assert.equal(connect(), ['send msg:R 2 7:1 "a" again']);
  }
  for (const nowMs of [100, 300, 700]) assert.is(deadline(nowMs).length, 1);
  assert.equal(deadline(1100), ['settled 2 7:1 tag 0 given up after 104']);
});

test('waits out the last attempt after a login too', () => {
  const { submit, connect, deadline, sender } = onlineSender();
  submit(2, 'a');
  for (const nowMs of [100, 300, 700]) deadline(nowMs);
  sender.onDisconnect();
  assert.equal(connect(800), ['send msg:R 2 7:1 "a" again']);
  assert.is(sender.nextDeadlineMs(), 1200);
  assert.equal(deadline(1200), ['settled 2 7:1 tag 0 given up after 5']);
});

test('keeps a message whose transmission after a login gets an error', () => {
  const { submit, connect, msgA, sender } = onlineSender();
  submit(2, 'a');
  sender.onDisconnect();
  connect(10);
  assert.equal(msgA({ status: Status.InboxFull }, 20), []);
  assert.is(sender.inflight, 1);
});

test('settles as failed on a definite error to the only transmission', () => {
  for (const status of [Status.InboxFull, Status.TooLarge, Status.BadUid, Status.BadMsgid]) {
    const { submit, msgA, sender, out } = onlineSender();
    submit(2, 'a', 0, 5);
    const [line] = msgA({ status });
    assert.match(line ?? '', /^settled 2 7:1 tag 5 failed .+ after 1$/);
    assert.is(sender.inflight, 0);
    assert.is(out.length, 0);
  }
  const { submit, msgA } = onlineSender();
  submit(2, 'a', 0, 5);
  assert.equal(msgA({ status: Status.InboxFull }), [
    'settled 2 7:1 tag 5 failed inbox-full after 1',
  ]);
});

test('keeps a message whose retransmission gets an error: the transmission before may be there', () => {
  const { submit, deadline, msgA, ackN, sender } = onlineSender();
  submit(2, 'a');
  deadline(100);
  assert.equal(msgA({ status: Status.InboxFull }, 110), []);
  assert.is(sender.inflight, 1);
  assert.equal(ackN({}, 120), ['settled 2 7:1 tag 0 delivered after 2']);
});

test('keeps an accepted message when an error follows', () => {
  const { submit, msgA, sender } = onlineSender();
  submit(2, 'a');
  msgA({});
  assert.equal(msgA({ status: Status.InboxFull }), []);
  assert.is(sender.inflight, 1);
});

test('keeps a message through passing troubles of the server', () => {
  for (const status of [Status.StoreFailed, Status.Overloaded, Status.Draining]) {
    const { submit, msgA, deadline } = onlineSender();
    submit(2, 'a');
    assert.equal(msgA({ status }), []);
    assert.equal(deadline(100), ['send msg:R 2 7:1 "a" again']);
  }
});

test('refuses what exceeds the waiting-ack queue without using up a number', () => {
  const { sender, out, ackN } = onlineSender({ inflightMax: 2 });
  const submit = () => sender.submit(2, 1, NO_CONTENT, 0, 0, out);
  assert.equal([submit(), submit(), submit()], [1, 2, 0]);
  assert.is(out.length, 2);
  ackN();
  assert.is(submit(), 3);
});

test('never mixes up messages when it reuses entries', () => {
  const { submit, ackN, deadline } = onlineSender({ inflightMax: 200 });
  for (let round = 0; round < 2; round++) {
    for (let i = 1; i <= 100; i++) submit(2, `${round}.${i}`);
    assert.is(deadline(0).length, 0);
    for (let i = 1; i <= 100; i++) {
      const seq = round * 100 + i;
      assert.equal(ackN({ seq }), [`settled 2 7:${seq} tag 0 delivered after 1`]);
    }
  }
  submit(2, 'last', 50);
  assert.equal(deadline(150), ['send msg:R 2 7:201 "last" again']);
});

test('refuses options that name no installation and no time', () => {
  assert.throws(() => senderOf({ epoch: 0 }), /epoch is a u32 above 0/);
  assert.throws(() => senderOf({ epoch: 2 ** 32 }), /epoch is a u32 above 0/);
  assert.throws(() => senderOf({ timers: { ...TIMERS, maxAttempts: 0 } }), /timers are positive/);
  assert.throws(() => senderOf({ timers: { ...TIMERS, firstMs: 0 } }), /timers are positive/);
});

test('stops when time goes back', () => {
  const { submit, ackN } = onlineSender();
  submit(2, 'a', 100);
  assert.throws(() => ackN({}, 99), /time does not go back/);
});

// After a crash, from a log

function resumed(seqs: readonly number[]) {
  const driver = senderOf();
  for (const seq of seqs) {
    const message = { msgType: 1, content: bytesOf(`m${seq}`), tag: seq };
    driver.sender.resume(2, seq, message, 0, driver.out);
  }
  return { ...driver, lines: drainClient(driver.out) };
}

test('sends what a log kept once there is a session, as a repeat and in order', () => {
  const { connect, lines, sender } = resumed([2, 5]);
  assert.equal(lines, []);
  assert.is(sender.inflight, 2);
  assert.equal(connect(), ['send msg:R 2 7:2 "m2" again', 'send msg:R 2 7:5 "m5" again']);
});

test('goes on after the last sequence of a log', () => {
  const { connect, submit, sender } = resumed([2]);
  sender.resumeAfter(2, 4);
  sender.resumeAfter(3, 9);
  connect();
  assert.equal(submit(2, 'a'), ['send msg:R 2 7:5 "a"']);
  assert.equal(submit(3, 'b'), ['send msg:R 3 7:10 "b"']);
  assert.is(sender.submittedTo(2), 5);
});

test('settles a resumed message, and forgets those between', () => {
  const { connect, ackN, submit, sender } = resumed([1, 3]);
  connect();
  assert.equal(ackN({ seq: 2 }), []);
  assert.equal(ackN({ seq: 3 }), ['settled 2 7:3 tag 3 delivered after 2']);
  assert.equal(ackN({ seq: 1 }), ['settled 2 7:1 tag 1 delivered after 2']);
  assert.is(sender.inflight, 0);
  assert.equal(submit(2, 'a'), ['send msg:R 2 7:4 "a"']);
});

test('takes no error to a resumed message as its own: an earlier transmission may have arrived', () => {
  const { connect, msgA, sender } = resumed([1]);
  connect();
  assert.equal(msgA({ status: Status.InboxFull }), []);
  assert.is(sender.inflight, 1);
});

test('refuses to resume a message that comes before another', () => {
  const { sender, out } = resumed([4]);
  const message = { msgType: 1, content: NO_CONTENT, tag: 0 };
  assert.throws(() => sender.resume(2, 4, message, 0, out), /order of submission/);
});

test.run();
