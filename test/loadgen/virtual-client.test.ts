/** What a virtual client writes down of answers that its machines have no use for. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { auditBooks } from '../../loadgen/audit.ts';
import { bookOf, closeShelves, emptyBooks, SentBook } from '../../loadgen/ledger.ts';
import { parseEndpoint } from '../../loadgen/endpoint.ts';
import { SocketHub } from '../../loadgen/socket.ts';
import type { Swarm } from '../../loadgen/swarm.ts';
import { TimingWheel } from '../../loadgen/timing-wheel.ts';
import { VirtualClient } from '../../loadgen/virtual-client.ts';
import {
  Client,
  Confirmation,
  createClientEffects,
  DEFAULT_RETRANSMIT,
  encodeAlone,
  Kind,
  KINDS,
  Order,
  Packet,
  PullStrategy,
  Status,
} from '../../protocol/index.ts';

const EPOCH = 5;
const RECEIVER = 20;
const PROBE = 0xffffffff;

function machineOf(): Client {
  return new Client({
    sender: { epoch: EPOCH, timers: DEFAULT_RETRANSMIT, inflightMax: 10, jitterSeed: 1 },
    puller: {
      strategy: PullStrategy.PagedNext,
      order: Order.OldestFirst,
      pageMessages: 10,
      pageBytes: 1000,
      wholeMessages: 10,
      wholeBytes: 1000,
      friends: [],
      requestTimeoutMs: 100,
    },
  });
}

/** A client that three messages to `RECEIVER` were given up by, and how packets reach it. */
function afterGivingUp() {
  const swarm = {
    config: { epoch: EPOCH },
    effects: createClientEffects(),
    packet: new Packet(),
    packets: new Float64Array(Math.max(...KINDS) + 1),
    counters: { undecodable: 0 },
    faults: null,
    trace: null,
    nowUs: 0,
    touchOften: () => 0,
  };
  const machine = machineOf();
  const client = new VirtualClient(swarm as unknown as Swarm, 0, 10, machine);
  const book = bookOf(client.sent, RECEIVER, EPOCH, (epoch) => new SentBook(epoch));
  book.attempted = 3;
  for (const seq of [1, 2, 3]) book.settle('gaveUp', seq);
  const receive = (facts: Partial<Packet>): void => {
    const bytes = encodeAlone(Object.assign(new Packet(), facts));
    client.onMessage(bytes, new DataView(bytes.buffer), 0, bytes.length);
  };
  const audit = () => {
    const books = emptyBooks();
    closeShelves(client.uid, client.sent, client.received, books);
    return auditBooks([books]);
  };
  return { client, receive, audit };
}

const MESSAGE = { uid: RECEIVER, epoch: EPOCH };

test('what was given up, never answered and never arrived is unknown', () => {
  const { ledger } = afterGivingUp().audit();
  assert.equal([ledger.accepted, ledger.lost, ledger.unknown], [0, 0, 3]);
});

test('a msg:A ok or an ack:N that comes after giving up makes the message accepted', () => {
  const { receive, audit } = afterGivingUp();
  const ok = { ...MESSAGE, kind: Kind.MsgA, status: Status.Ok };
  const confirmation = Confirmation.Delivered;
  receive({ ...ok, seq: 1 });
  receive({ ...MESSAGE, kind: Kind.AckN, seq: 3, confirmation });
  const { ledger, examples, violations } = audit();
  assert.equal([ledger.accepted, ledger.lost, ledger.unknown], [2, 2, 1]);
  assert.equal(examples, ['lost 10->20 epoch 5 seq 1', 'lost 10->20 epoch 5 seq 3']);
  assert.equal(violations, []);
});

test('a late error accepts nothing, nor does an answer to another epoch', () => {
  const { receive, audit } = afterGivingUp();
  receive({ ...MESSAGE, kind: Kind.MsgA, status: Status.InboxFull, seq: 1 });
  receive({ ...MESSAGE, kind: Kind.MsgA, status: Status.Ok, seq: 1, epoch: EPOCH + 1 });
  assert.is(audit().ledger.accepted, 0);
});

test('an ack:N for a message that was never sent is a violation', () => {
  const { receive, audit } = afterGivingUp();
  const confirmation = Confirmation.Stored;
  receive({ ...MESSAGE, kind: Kind.AckN, seq: 4, confirmation });
  assert.equal(audit().violations, ['ack:N only for what was sent: 10->20 epoch 5 seq 4']);
});

test('a refused final count is no count of 0', () => {
  const { client, receive } = afterGivingUp();
  client.probedCount = -1;
  receive({ kind: Kind.CountA, request: PROBE, status: Status.StoreFailed });
  assert.is(client.probedCount, -1);
  const counts = [{ sender: 7, count: 4 }];
  receive({ kind: Kind.CountA, request: PROBE, status: Status.Ok, counts });
  assert.is(client.probedCount, 4);
});

test('connects anew when a server takes the connection and never answers', async () => {
  const taken: Socket[] = [];
  const server = createServer((socket) => taken.push(socket.resume()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  let nowMs = 1000;
  const counters = { connects: 0, handshakeTimeouts: 0 };
  const swarm = {
    config: { epoch: EPOCH, reconnect: { firstMs: 50, maxMs: 1000 } },
    effects: createClientEffects(),
    hub: new SocketHub(),
    endpointOf: () => parseEndpoint(`ws://127.0.0.1:${port}`, { isInsecure: false }),
    tokenOf: () => 'token',
    socketLimits: { frameMaxBytes: 1000, unsentMaxBytes: 1000 },
    wheel: new TimingWheel(nowMs),
    counters,
    touch: () => nowMs * 1000,
    onDisconnected() {},
  };
  const client = new VirtualClient(swarm as unknown as Swarm, 0, 10, machineOf());
  client.goOnline();
  nowMs += 9999;
  swarm.wheel.advance(nowMs);
  assert.equal({ ...counters }, { connects: 1, handshakeTimeouts: 0 });
  nowMs += 10;
  swarm.wheel.advance(nowMs);
  assert.equal({ ...counters }, { connects: 2, handshakeTimeouts: 1 });
  client.goOffline();
  nowMs += 20_000;
  swarm.wheel.advance(nowMs);
  assert.is(counters.connects, 2, 'who went away stays away');
  for (const socket of taken) socket.destroy();
  server.close();
});

test.run();
