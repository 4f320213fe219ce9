/** The gateway's side of a message: sessions, the six packets, storing, policies, refusals. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createClientEffects,
  createGatewayEffects,
  DEFAULT_RETRANSMIT,
  Gateway,
  Kind,
  KIND_NAME,
  NO_CONTENT,
  Outcome,
  type Packet,
  Policy,
  Sender,
  Status,
  UID_MAX,
} from '../../protocol/index.ts';
import { SimStore } from '../../sim/store.ts';
import { bytesOf, drainClient, packet } from '../support/describe.ts';
import { GATEWAY_OPTIONS, gatewayOf } from '../support/gateway-driver.ts';
import { World } from '../support/world.ts';

// Sessions

test('newer session wins and the older gets kick:N', () => {
  const driver = gatewayOf();
  const older = driver.open(1, 'older');
  assert.equal(driver.loginLines, []);
  const newer = driver.open(1, 'newer');
  assert.equal(driver.loginLines, ['to older: kick:N', 'close older kicked']);
  assert.not(older.open);
  assert.is(driver.gateway.sessionOf(1), newer);
  assert.is(driver.gateway.online, 1);
});

test('hears nothing more from a kicked session, and its end does not log the newer one out', () => {
  const driver = gatewayOf();
  const older = driver.open(1, 'older');
  const newer = driver.open(1, 'newer');
  assert.equal(driver.msgR(older), []);
  driver.gateway.onClose(older);
  assert.is(driver.gateway.sessionOf(1), newer);
  driver.gateway.onClose(newer);
  assert.is(driver.gateway.sessionOf(1), undefined);
  assert.is(driver.gateway.online, 0);
});

test('takes only a valid uid from its driver', () => {
  const driver = gatewayOf();
  for (const uid of [0, -1, UID_MAX + 1]) assert.throws(() => driver.open(uid, 'x'), /valid uid/);
  assert.is(driver.open(UID_MAX, 'last').uid, UID_MAX);
});

// The six packets

test('answers msg:R and pushes msg:N at once when the receiver is online', () => {
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  driver.open(2, 'B');
  assert.equal(driver.msgR(a), ['to A: msg:A 2 7:1 ok', 'to B: msg:N 1 7:1 "hi"']);
  assert.is(driver.gateway.pending, 0);
});

test('keeps no state for an online message: a repeat is relayed like the first', () => {
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  driver.open(2, 'B');
  const first = driver.msgR(a);
  assert.equal(driver.msgR(a, { flags: 1 }), first);
});

test('passes type and content on', () => {
  const gateway = new Gateway<string>(GATEWAY_OPTIONS);
  const out = createGatewayEffects<string>();
  const a = gateway.onOpen(1, 'A', 0, out);
  gateway.onOpen(2, 'B', 0, out);
  const content = bytesOf('hi');
  const msgR = packet(Kind.MsgR, { uid: 2, epoch: 7, seq: 1, msgType: 9, content });
  gateway.onPacket(a, msgR, 0, out);
  assert.is(out.at(1).packet.msgType, 9);
  assert.is(out.at(1).packet.content, content);
});

test('answers ack:R and tells the sender by ack:N', () => {
  const driver = gatewayOf();
  driver.open(1, 'A');
  const b = driver.open(2, 'B');
  assert.equal(driver.receive(b, Kind.AckR, { uid: 1, epoch: 7, seq: 1 }), [
    'to B: ack:A 1 7:1 ok',
    'to A: ack:N 2 7:1 delivered',
  ]);
});

test('answers ack:R though the sender is away: his retransmission asks again', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  assert.equal(driver.receive(b, Kind.AckR, { uid: 1, epoch: 7, seq: 1 }), [
    'to B: ack:A 1 7:1 ok',
  ]);
});

test("ack:R for somebody else's message confirms nothing", () => {
  const driver = gatewayOf({ policy: Policy.Durable });
  driver.open(1, 'A');
  const c = driver.open(3, 'C');
  // C claims the message 7:1 of A, which went to user 2: it can only name one from A to C itself.
  assert.equal(driver.receive(c, Kind.AckR, { uid: 1, epoch: 7, seq: 1 }), [
    'to C: ack:A 1 7:1 ok',
    'remove 1>3 7:1',
    'to A: ack:N 3 7:1 delivered',
  ]);
  const sender = new Sender({
    epoch: 7,
    timers: DEFAULT_RETRANSMIT,
    inflightMax: 10,
    jitterSeed: 1,
  });
  const out = createClientEffects();
  sender.submit(2, 1, NO_CONTENT, 0, 0, out);
  sender.onAckN(packet(Kind.AckN, { uid: 3, epoch: 7, seq: 1 }), 0, out);
  assert.equal(drainClient(out), []);
  assert.is(sender.inflight, 1);
});

// Storing

test('forges ack:N only after the commit', () => {
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  assert.equal(driver.msgR(a, {}, 1234), ['put 1>2 7:1 "hi" at 1234']);
  assert.is(driver.gateway.pending, 1);
  assert.equal(driver.committed(), ['to A: msg:A 2 7:1 ok', 'to A: ack:N 2 7:1 stored']);
  assert.is(driver.gateway.pending, 0);
});

test('never answers a failed commit with ack:N', () => {
  for (const policy of Object.values(Policy)) {
    for (const [status, name] of [
      [Status.StoreFailed, 'store-failed'],
      [Status.InboxFull, 'inbox-full'],
      [Status.Overloaded, 'overloaded'],
    ] as const) {
      const driver = gatewayOf({ policy });
      const a = driver.open(1, 'A');
      driver.msgR(a);
      assert.equal(driver.committed(status), [`to A: msg:A 2 7:1 ${name}`]);
      assert.is(driver.gateway.pending, 0);
    }
  }
});

test('stores a copy: the packet is reused before the commit', () => {
  const driver = gatewayOf({ policy: Policy.Durable });
  const a = driver.open(1, 'A');
  driver.open(2, 'B');
  const content = bytesOf('hi');
  driver.msgR(a, { content });
  content.fill(0xee);
  assert.equal(driver.committed(), ['to A: msg:A 2 7:1 ok', 'to B: msg:N 1 7:1 "hi"']);
});

test('sends inbox:N when the receiver logs in while the row commits', () => {
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  driver.msgR(a);
  driver.open(2, 'B');
  assert.equal(driver.committed(), [
    'to A: msg:A 2 7:1 ok',
    'to A: ack:N 2 7:1 stored',
    'to B: inbox:N',
  ]);
});

test('tells the receiver though the sender left while the row committed', () => {
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  driver.msgR(a);
  driver.gateway.onClose(a);
  driver.open(2, 'B');
  assert.equal(driver.committed(), ['to B: inbox:N']);
});

test('sends inbox:N to a receiver who is online though her inbox is full', () => {
  const driver = gatewayOf({ policy: Policy.Durable });
  const a = driver.open(1, 'A');
  driver.open(2, 'B');
  driver.msgR(a);
  assert.equal(driver.committed(Status.InboxFull), [
    'to A: msg:A 2 7:1 inbox-full',
    'to B: inbox:N',
  ]);
  driver.msgR(a, { uid: 3 });
  assert.equal(driver.committed(Status.InboxFull), ['to A: msg:A 3 7:1 inbox-full']);
});

test('rows that failed removals left behind fill the inbox of an online receiver only once', () => {
  // Found by the property test: she has read everything and has no reason to pull, so that without
  // inbox:N nobody could send to her until her next login.
  class FailingRemovals extends SimStore {
    override remove(_name: unknown, done: (status: Status) => void): void {
      done(Status.StoreFailed);
    }
  }
  const world = new World({
    policy: Policy.Durable,
    inboxMaxMessages: 2,
    makeStore: (clock, options) => new FailingRemovals(clock, options),
  });
  world.logIn(1);
  world.logIn(2);
  world.run(100);
  for (let i = 0; i < 4; i++) {
    world.send(1, 2);
    world.run(100);
  }
  const { Delivered, Failed } = Outcome;
  assert.equal(
    world.messages.map(({ outcome }) => outcome),
    [Delivered, Delivered, Failed, Delivered],
  );
  assert.ok(world.settle());
  assert.is(world.audit().stuck, 0);
});

// Durable

test('durable commits first, then pushes, and leaves the confirmation to the receiver', () => {
  const driver = gatewayOf({ policy: Policy.Durable });
  const a = driver.open(1, 'A');
  const b = driver.open(2, 'B');
  assert.equal(driver.msgR(a), ['put 1>2 7:1 "hi" at 0']);
  assert.equal(driver.committed(), ['to A: msg:A 2 7:1 ok', 'to B: msg:N 1 7:1 "hi"']);
  assert.equal(driver.receive(b, Kind.AckR, { uid: 1, epoch: 7, seq: 1 }), [
    'to B: ack:A 1 7:1 ok',
    'remove 1>2 7:1',
    'to A: ack:N 2 7:1 delivered',
  ]);
});

test('durable forges ack:N for a receiver who is away, and pushes to one who came meanwhile', () => {
  const driver = gatewayOf({ policy: Policy.Durable });
  const a = driver.open(1, 'A');
  driver.msgR(a);
  assert.equal(driver.committed(), ['to A: msg:A 2 7:1 ok', 'to A: ack:N 2 7:1 stored']);
  driver.msgR(a, { seq: 2 });
  driver.open(2, 'B');
  assert.equal(driver.committed(), ['to A: msg:A 2 7:2 ok', 'to B: msg:N 1 7:2 "hi"']);
});

test('durable stores for a receiver who left while the row committed', () => {
  const driver = gatewayOf({ policy: Policy.Durable });
  const a = driver.open(1, 'A');
  const b = driver.open(2, 'B');
  driver.msgR(a);
  driver.gateway.onClose(b);
  assert.equal(driver.committed(), ['to A: msg:A 2 7:1 ok', 'to A: ack:N 2 7:1 stored']);
});

test('relay loses what only a dead sender had; durable keeps it', () => {
  for (const [policy, lost] of [
    [Policy.Relay, 1],
    [Policy.Durable, 0],
  ] as const) {
    const world = new World({ policy });
    world.logIn(1);
    world.logIn(2);
    world.run(100);
    world.admits = ({ kind }) => kind !== Kind.MsgN;
    world.send(1, 2);
    world.run(100);
    assert.ok(world.messages[0]?.accepted, 'msg:A came');
    world.admits = () => true;
    assert.ok(world.settle({ gone: [1] }));
    const audit = world.audit();
    assert.is(audit.lost, lost, policy);
    assert.is(audit.falseConfirm, 0);
    assert.is(audit.stuck, 0);
  }
});

// Refusals

test('refuses messages that name nobody or nothing, with the definite error', () => {
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  const refused = (fields: Partial<Packet>) => driver.msgR(a, fields);
  assert.equal(refused({ uid: 0 }), ['to A: msg:A 0 7:1 bad-uid']);
  assert.equal(refused({ uid: UID_MAX + 1 }), ['to A: msg:A 9007199254740992 7:1 bad-uid']);
  assert.equal(refused({ epoch: 0 }), ['to A: msg:A 2 0:1 bad-msgid']);
  assert.equal(refused({ seq: 0 }), ['to A: msg:A 2 7:0 bad-msgid']);
});

test('takes content up to the limit and refuses more', () => {
  const driver = gatewayOf({ contentMaxBytes: 3 });
  const a = driver.open(1, 'A');
  assert.equal(driver.msgR(a, { content: bytesOf('abc') }), ['put 1>2 7:1 "abc" at 0']);
  assert.equal(driver.msgR(a, { content: bytesOf('abcd') }), ['to A: msg:A 2 7:1 too-large']);
});

test('refuses ack:R that names nobody or nothing, and tells no sender', () => {
  const driver = gatewayOf({ policy: Policy.Durable });
  const b = driver.open(2, 'B');
  driver.open(1, 'A');
  const ackR = (fields: Partial<Packet>) =>
    driver.receive(b, Kind.AckR, { uid: 1, epoch: 7, seq: 1, ...fields });
  assert.equal(ackR({ uid: 0 }), ['to B: ack:A 0 7:1 bad-uid']);
  assert.equal(ackR({ epoch: 0 }), ['to B: ack:A 1 0:1 bad-msgid']);
  assert.equal(ackR({ seq: 0 }), ['to B: ack:A 1 7:0 bad-msgid']);
});

test('takes no new message while draining, but confirms and serves the inbox', () => {
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  const b = driver.open(2, 'B');
  driver.msgR(a, { uid: 3 });
  driver.gateway.drain();
  assert.equal(driver.msgR(a), ['to A: msg:A 2 7:1 draining']);
  assert.equal(driver.committed(), ['to A: msg:A 3 7:1 ok', 'to A: ack:N 3 7:1 stored']);
  assert.is(driver.receive(b, Kind.AckR, { uid: 1, epoch: 7, seq: 1 }).length, 2);
  assert.equal(driver.pullR(b), ['page 2 from 0 oldest 10/100']);
});

test('closes the connection that sent bytes or packets of no client, and touches no other', () => {
  for (const kind of [
    Kind.MsgA,
    Kind.MsgN,
    Kind.AckA,
    Kind.AckN,
    Kind.CountA,
    Kind.PullA,
    Kind.DoneA,
    Kind.InboxN,
    Kind.KickN,
  ]) {
    const driver = gatewayOf();
    const a = driver.open(1, 'A');
    driver.open(2, 'B');
    assert.equal(driver.receive(a, kind), ['close A wrong-direction'], KIND_NAME[kind]);
    assert.not(a.open);
    assert.is(driver.gateway.online, 1);
  }
  const driver = gatewayOf();
  const a = driver.open(1, 'A');
  driver.open(2, 'B');
  assert.equal(driver.unparsable(a), ['close A bad-packet']);
  assert.equal(driver.unparsable(a), []);
  assert.equal(driver.msgR(a), []);
  assert.is(driver.gateway.online, 1);
});

test('closes a session that exceeds its packet rate, after the burst and its refill', () => {
  const driver = gatewayOf({ packetsPerSec: 10, packetsBurst: 3 });
  const a = driver.open(1, 'A', 1000);
  const b = driver.open(2, 'B', 1000);
  const isTaken = (nowMs: number) => driver.msgR(a, {}, nowMs).length === 2;
  assert.equal([1000, 1000, 1000].map(isTaken), [true, true, true]);
  assert.ok(isTaken(1100), 'one more after a tenth of a second');
  assert.equal(driver.msgR(a, {}, 1199), ['close A rate-limit']);
  assert.equal(driver.msgR(a, {}, 9000), []);
  assert.ok(b.open);
});

test('saves no more than the burst however long a session is silent', () => {
  const driver = gatewayOf({ packetsPerSec: 1000, packetsBurst: 2 });
  const a = driver.open(1, 'A');
  driver.open(2, 'B');
  assert.is(driver.msgR(a, {}, 60_000).length, 2);
  assert.is(driver.msgR(a, {}, 60_000).length, 2);
  assert.equal(driver.msgR(a, {}, 60_000), ['close A rate-limit']);
});

test('takes packets as before when the clock of the server is set back', () => {
  // Found by the simulator: npm run sim -- --seed 3
  const driver = gatewayOf({ packetsPerSec: 1000, packetsBurst: 2 });
  const a = driver.open(1, 'A', 3_600_000);
  driver.open(2, 'B', 3_600_000);
  assert.is(driver.msgR(a, {}, 3_600_000).length, 2);
  assert.is(driver.msgR(a, {}, 0).length, 2);
  assert.is(driver.msgR(a, {}, 1).length, 2, 'and earns from the new time on');
});

// The server dies

test('a server that dies between commit and answer has stored the message, and says so when asked', () => {
  const world = new World({ commitMaxMs: 0 });
  world.logIn(1);
  world.run(100);
  world.admits = ({ kind }) => kind !== Kind.MsgA && kind !== Kind.AckN;
  world.send(1, 2);
  world.run(10);
  assert.is(world.store.committed.length, 1);
  world.crashServer(100);
  world.admits = () => true;
  world.run(1000);
  assert.is(world.store.committed.length, 1);
  assert.is(world.messages[0]?.outcome, 1);
  assert.ok(world.settle());
  assert.is(world.audit().delivered, 1);
});

test.run();
