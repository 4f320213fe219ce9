import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Client,
  type ClientOptions,
  createClientEffects,
  encodePageToken,
  Kind,
  KIND_NAME,
  type Packet,
  PullStrategy,
  Order,
} from '../../protocol/index.ts';
import { bytesOf, drainClient, packet } from '../support/describe.ts';
import { World } from '../support/world.ts';

const OPTIONS: ClientOptions = {
  sender: {
    epoch: 7,
    timers: { firstMs: 100, maxMs: 400, maxAttempts: 4, jitter: 0 },
    inflightMax: 10,
    jitterSeed: 1,
  },
  puller: {
    strategy: PullStrategy.PagedNext,
    order: Order.OldestFirst,
    pageMessages: 5,
    pageBytes: 50,
    wholeMessages: 100,
    wholeBytes: 1000,
    friends: [],
    requestTimeoutMs: 500,
  },
};

/** A client whose inputs answer with lines. */
function clientOf() {
  const client = new Client(OPTIONS);
  const out = createClientEffects();
  return {
    client,
    connect(nowMs = 0): string[] {
      client.onConnect(nowMs, out);
      return drainClient(out);
    },
    submit(to: number, text: string, nowMs = 0): string[] {
      client.sender.submit(to, 1, bytesOf(text), 0, nowMs, out);
      return drainClient(out);
    },
    receive(kind: Kind, fields: Partial<Packet> = {}, nowMs = 0): string[] {
      assert.ok(client.onPacket(packet(kind, fields), nowMs, out));
      return drainClient(out);
    },
    deadline(nowMs: number): string[] {
      client.onDeadline(nowMs, out);
      return drainClient(out);
    },
  };
}

/** How often each kind was handed to a link. */
function packetsOf(world: World): Record<string, number> {
  return Object.fromEntries([...world.packets].map(([kind, n]) => [KIND_NAME[kind], n]));
}

const PULL = 'send pull:R #1 from 0 oldest 5/50 page -';

test('sends what waits and pulls the inbox at login', () => {
  const { submit, connect, client } = clientOf();
  submit(2, 'a');
  assert.equal(connect(), ['send msg:R 2 7:1 "a"', PULL]);
  assert.is(client.nextDeadlineMs(), 100);
});

test('gives each packet to the machine that it is for', () => {
  const { submit, connect, receive } = clientOf();
  connect();
  submit(2, 'a');
  const message = { uid: 2, epoch: 7, seq: 1 };
  assert.equal(receive(Kind.MsgA, message), ['accepted 2 7:1 tag 0']);
  assert.equal(receive(Kind.AckN, message), ['settled 2 7:1 tag 0 delivered after 1']);
  assert.equal(receive(Kind.MsgN, { uid: 3, epoch: 1, seq: 1, content: bytesOf('hi') }), [
    'deliver 3 1:1 "hi" pushed',
    'send ack:R 3 1:1',
  ]);
  assert.equal(receive(Kind.AckA, { uid: 3, epoch: 1, seq: 1 }), []);
  assert.equal(receive(Kind.KickN), ['kicked']);
});

test('delivers every row of a page before it acknowledges the page', () => {
  const { connect, receive } = clientOf();
  connect();
  const row = { sender: 3, epoch: 1, timeMs: 0, msgType: 1, content: bytesOf('hi') };
  const rows = [1, 2, 1].map((seq) => ({ ...row, seq }));
  const page = encodePageToken({ receiver: 9, sender: 0, first: 1, last: 3 });
  assert.equal(receive(Kind.PullA, { request: 1, rows, page }), [
    'deliver 3 1:1 "hi" paged',
    'deliver 3 1:2 "hi" paged',
    'repeat 3 1:1 paged',
    'send done:R #2 page 9/0/1/3',
  ]);
  assert.equal(receive(Kind.DoneA, { request: 2 }), ['drained']);
});

test('drops stale answers with their rows', () => {
  const { connect, receive } = clientOf();
  connect();
  const rows = [{ sender: 3, epoch: 1, seq: 1, timeMs: 0, msgType: 1, content: bytesOf('hi') }];
  assert.equal(receive(Kind.PullA, { request: 2, rows }), []);
  assert.equal(receive(Kind.CountA, { request: 1 }), []);
  assert.equal(receive(Kind.DoneA, { request: 1 }), []);
  assert.equal(receive(Kind.PullA, { request: 1 }), ['drained']);
  assert.equal(receive(Kind.PullA, { request: 1, rows }), []);
});

test('pulls on inbox:N, and once more when it was pulling already', () => {
  const { connect, receive } = clientOf();
  connect();
  assert.equal(receive(Kind.InboxN), []);
  assert.equal(receive(Kind.PullA, { request: 1 }), ['drained', PULL.replace('#1', '#2')]);
  assert.equal(receive(Kind.PullA, { request: 2 }), ['drained']);
  assert.equal(receive(Kind.InboxN), [PULL.replace('#1', '#3')]);
});

test('refuses packets that a server never sends', () => {
  const { client } = clientOf();
  const out = createClientEffects();
  for (const kind of [Kind.MsgR, Kind.AckR, Kind.CountR, Kind.PullR, Kind.DoneR]) {
    assert.not(client.onPacket(packet(kind), 0, out), KIND_NAME[kind]);
  }
  assert.is(out.length, 0);
});

test('keeps the deadlines of messages and pulls apart', () => {
  const { client, connect, submit, deadline } = clientOf();
  assert.is(client.nextDeadlineMs(), Infinity);
  connect();
  assert.is(client.nextDeadlineMs(), 500);
  submit(2, 'a', 450);
  assert.is(client.nextDeadlineMs(), 500);
  assert.equal(deadline(500), [PULL]);
  assert.is(client.nextDeadlineMs(), 550);
  assert.equal(deadline(550), ['send msg:R 2 7:1 "a" again']);
});

test('rests without a session and goes on where it was', () => {
  const { client, connect, submit } = clientOf();
  connect();
  submit(2, 'a');
  client.onDisconnect();
  assert.is(client.nextDeadlineMs(), Infinity);
  assert.equal(connect(50), ['send msg:R 2 7:1 "a" again', PULL.replace('#1', '#2')]);
});

test('keeps waiting messages and dedupe in a crash, but not the token of a page', () => {
  const { client, connect, submit, receive } = clientOf();
  connect();
  submit(2, 'a');
  const row = { sender: 3, epoch: 1, seq: 1, timeMs: 0, msgType: 1, content: bytesOf('hi') };
  const page = encodePageToken({ receiver: 9, sender: 0, first: 1, last: 1 });
  receive(Kind.PullA, { request: 1, rows: [row], page });
  client.onCrash();
  assert.is(client.nextDeadlineMs(), Infinity);
  assert.equal(connect(50), ['send msg:R 2 7:1 "a" again', PULL.replace('#1', '#3')]);
  assert.equal(receive(Kind.PullA, { request: 3, rows: [row], page })[0], 'repeat 3 1:1 paged');
});

// Two clients and a gateway, with every packet on its way.

test('one message between two online users is six packets', () => {
  const world = new World();
  world.logIn(1);
  world.logIn(2);
  world.run(100);
  world.packets.clear();
  world.send(1, 2);
  world.run(5000);
  assert.equal(packetsOf(world), {
    'msg:R': 1,
    'msg:A': 1,
    'msg:N': 1,
    'ack:R': 1,
    'ack:A': 1,
    'ack:N': 1,
  });
});

test('a message to a user who is away is three packets for the sender', () => {
  const world = new World();
  world.logIn(1);
  world.run(100);
  world.packets.clear();
  world.send(1, 2);
  world.run(5000);
  assert.equal(packetsOf(world), { 'msg:R': 1, 'msg:A': 1, 'ack:N': 1 });
});

test('one user can write to herself', () => {
  const world = new World();
  world.logIn(1);
  world.send(1, 1);
  assert.ok(world.settle());
  assert.is(world.audit().delivered, 1);
});

test('the sender cannot tell a lost msg:N from a lost ack:N, and the user sees one message', () => {
  for (const [lost, arrivals] of [
    [Kind.MsgN, 1],
    [Kind.AckN, 2],
  ] as const) {
    const world = new World();
    world.logIn(1);
    world.logIn(2);
    world.run(100);
    let losses = 1;
    world.admits = ({ kind }) => kind !== lost || losses-- <= 0;
    world.send(1, 2);
    world.run(5000);
    const { absorbed, log } = world.user(2);
    assert.equal([...log], [['1 7:1', { times: 1, content: '1>2 #0' }]]);
    assert.is(absorbed, arrivals - 1);
    assert.is(packetsOf(world)['msg:R'], 2);
    assert.is(world.messages[0]?.accepted, true);
    assert.is(world.messages[0]?.outcome, 0);
  }
});

test('a crash between page and acknowledgement makes the page come again, and the user sees it once', () => {
  const world = new World({ pageMessages: 2 });
  world.logIn(1);
  for (let i = 0; i < 5; i++) world.send(1, 2);
  world.run(1000);
  world.admits = ({ kind, page }, uid) => {
    const isSecondPull = kind === Kind.PullR && uid === 2 && page.some((byte) => byte !== 0);
    return !isSecondPull;
  };
  world.logIn(2);
  world.run(200);
  assert.is(world.user(2).log.size, 2);
  assert.is(world.store.committed.length, 5);
  world.crash(2);
  world.admits = () => true;
  assert.ok(world.settle());
  assert.is(world.user(2).absorbed, 2);
  const { delivered, duplicated, lost, stuck } = world.audit();
  assert.equal(
    { delivered, duplicated, lost, stuck },
    { delivered: 5, duplicated: 0, lost: 0, stuck: 0 },
  );
});

test.run();
