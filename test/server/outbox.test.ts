/** The outbox against sockets made of arrays: what is sent when, in which order, and how often. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, DecodeResult, Kind, Packet } from '../../protocol/index.ts';
import { Outbox, type OutgoingQueue } from '../../server/outbox.ts';

/** A socket that notes what it is asked to do, and takes `room` packets. */
class FakeSocket implements OutgoingQueue {
  waitingCount = 0;
  waitingBytes = 0;
  firstAt = 0;
  lastAt = 0;
  readonly sent: {
    readonly kind: number;
    readonly seq: number;
    readonly content: Uint8Array;
    readonly corked: boolean;
  }[] = [];
  /** Buffers that packets came in. */
  readonly buffers = new Set<ArrayBuffer>();
  readonly dropped: number[] = [];
  flushes = 0;
  corks = 0;
  room = Infinity;
  onFlush: () => void = () => {};
  private isCorked = false;

  readonly socket = {
    send: (buffer: ArrayBuffer, isBinary: boolean): number => {
      assert.ok(isBinary);
      if (this.sent.length >= this.room) return 2;
      // A copy at once, as the real one does: the buffer is used again.
      const bytes = new Uint8Array(buffer.slice(0));
      const packet = new Packet();
      const result = decode(bytes, new DataView(bytes.buffer), 0, bytes.length, packet);
      assert.is(result, DecodeResult.Ok);
      const { kind, seq, content } = packet;
      this.sent.push({ kind, seq, content, corked: this.isCorked });
      this.buffers.add(buffer);
      return this.sent.length === this.room ? 0 : 1;
    },
    cork: (run: () => void): void => {
      this.corks++;
      this.isCorked = true;
      run();
      this.isCorked = false;
    },
  };

  onDropped(kind: Kind): void {
    this.dropped.push(kind);
  }

  onFlushed(): void {
    this.flushes++;
    this.onFlush();
  }

  get seqs(): number[] {
    return this.sent.map(({ seq }) => seq);
  }
}

function msgA(seq: number): Packet {
  const packet = new Packet();
  packet.kind = Kind.MsgA;
  packet.uid = 1;
  packet.epoch = 1;
  packet.seq = seq;
  return packet;
}

function msgN(seq: number, contentBytes: number): Packet {
  const packet = msgA(seq);
  packet.kind = Kind.MsgN;
  packet.content = new Uint8Array(contentBytes);
  return packet;
}

/** The end of this loop turn, when the outbox flushes by itself. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const test = suite('outbox');

test('sends at the end of the turn, all packets of a socket under one cork, in order', async () => {
  const outbox = new Outbox();
  const [one, two] = [new FakeSocket(), new FakeSocket()];
  for (const seq of [1, 2, 3]) {
    outbox.enqueue(one, msgA(seq));
    outbox.enqueue(two, msgN(10 * seq, seq));
  }
  assert.equal([one.sent.length, two.sent.length], [0, 0], 'nothing is sent within the turn');
  await endOfTurn();
  assert.equal(one.seqs, [1, 2, 3]);
  assert.equal(two.seqs, [10, 20, 30]);
  assert.equal([one.corks, two.corks, one.flushes, two.flushes], [1, 1, 1, 1]);
  assert.ok(one.sent.every(({ corked }) => corked));
});

test('sends a single packet without the cost of a cork', async () => {
  const outbox = new Outbox();
  const socket = new FakeSocket();
  outbox.enqueue(socket, msgA(1));
  await endOfTurn();
  assert.equal(socket.seqs, [1]);
  assert.equal([socket.corks, socket.flushes], [0, 1]);
});

test('encodes at once: the caller may use its packet again', async () => {
  const outbox = new Outbox();
  const socket = new FakeSocket();
  const packet = msgA(1);
  outbox.enqueue(socket, packet);
  packet.seq = 2;
  outbox.enqueue(socket, packet);
  packet.seq = 99;
  await endOfTurn();
  assert.equal(socket.seqs, [1, 2]);
});

test('flushes on demand, and then not again', async () => {
  const outbox = new Outbox();
  const socket = new FakeSocket();
  outbox.enqueue(socket, msgA(1));
  outbox.flush();
  assert.equal(socket.seqs, [1]);
  await endOfTurn();
  assert.equal([socket.sent.length, socket.flushes], [1, 1]);
});

test('takes what is enqueued during a flush in the next turn', async () => {
  const outbox = new Outbox();
  const [one, two] = [new FakeSocket(), new FakeSocket()];
  one.onFlush = () => {
    one.onFlush = () => {};
    outbox.enqueue(one, msgA(2));
    outbox.enqueue(two, msgA(3));
  };
  outbox.enqueue(one, msgA(1));
  outbox.flush();
  assert.equal([one.seqs, two.seqs], [[1], []]);
  await endOfTurn();
  assert.equal([one.seqs, two.seqs], [[1, 2], [3]]);
});

test('after a drop sends nothing more to that socket in the turn, and reports each', async () => {
  const outbox = new Outbox();
  const [full, other] = [new FakeSocket(), new FakeSocket()];
  full.room = 2;
  for (const seq of [1, 2, 3]) outbox.enqueue(full, msgA(seq));
  outbox.enqueue(full, msgN(4, 10));
  outbox.enqueue(other, msgA(1));
  await endOfTurn();
  assert.equal(full.seqs, [1, 2]);
  assert.equal(full.dropped, [Kind.MsgA, Kind.MsgN]);
  assert.equal([full.waitingCount, full.flushes], [0, 1]);
  assert.equal(other.seqs, [1], 'others are not concerned');
});

test('forgets what waits for a socket that is gone', async () => {
  const outbox = new Outbox();
  const socket = new FakeSocket();
  outbox.enqueue(socket, msgA(1));
  outbox.enqueue(socket, msgA(2));
  outbox.discard(socket);
  assert.is(socket.waitingCount, 0);
  await endOfTurn();
  assert.is(socket.sent.length, 0);
});

test('every packet arrives as it was encoded, whatever its length and how many there are', async () => {
  const outbox = new Outbox();
  const sockets = Array.from({ length: 7 }, () => new FakeSocket());
  const lengths = [0, 1, 2, 3, 4, 100, 2027, 2028, 2029, 16_384, 300_000];
  for (let round = 1; round <= 3; round++) {
    const expected = sockets.map(() => [] as Uint8Array[]);
    // Far more than a piece of the tape holds, and no two contents alike.
    for (let i = 0; i < 700; i++) {
      const packet = msgN(i + 1, lengths[i % lengths.length]!);
      packet.content.forEach((_, at) => (packet.content[at] = (at * 7 + i * round) & 0xff));
      outbox.enqueue(sockets[i % sockets.length]!, packet);
      expected[i % sockets.length]!.push(packet.content.slice());
    }
    await endOfTurn();
    for (const [n, socket] of sockets.entries()) {
      assert.is(socket.sent.length, expected[n]!.length);
      for (const [i, { content }] of socket.sent.entries()) {
        assert.ok(Buffer.from(content).equals(expected[n]![i]!), `packet ${i} of socket ${n}`);
      }
      assert.equal([socket.waitingCount, socket.waitingBytes], [0, 0]);
      socket.sent.length = 0;
    }
  }
});

test('sends the packets of one length from one buffer', async () => {
  const outbox = new Outbox();
  const [one, two] = [new FakeSocket(), new FakeSocket()];
  for (let seq = 1; seq <= 50; seq++) {
    outbox.enqueue(one, msgA(seq));
    outbox.enqueue(two, msgN(seq, 5));
    if (seq % 7 === 0) await endOfTurn();
  }
  await endOfTurn();
  assert.equal([one.buffers.size, two.buffers.size], [1, 1]);
  assert.is(one.sent.length, 50);
});

test.run();
