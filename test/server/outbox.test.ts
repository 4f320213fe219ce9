/** The outbox against sockets made of arrays: what is sent when, in which order, and how often. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, DecodeResult, Kind, Packet } from '../../protocol/index.ts';
import { Outbox, type OutgoingQueue, type Slot } from '../../server/outbox.ts';

/** A socket that notes what it is asked to do, and takes `room` packets. */
class FakeSocket implements OutgoingQueue {
  readonly waiting: Slot[] = [];
  waitingBytes = 0;
  readonly sent: { readonly kind: number; readonly seq: number; readonly corked: boolean }[] = [];
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
      this.sent.push({ kind: packet.kind, seq: packet.seq, corked: this.isCorked });
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
  assert.equal([full.waiting.length, full.flushes], [0, 1]);
  assert.equal(other.seqs, [1], 'others are not concerned');
});

test('forgets what waits for a socket that is gone', async () => {
  const outbox = new Outbox();
  const socket = new FakeSocket();
  outbox.enqueue(socket, msgA(1));
  outbox.enqueue(socket, msgA(2));
  outbox.discard(socket);
  assert.is(socket.waiting.length, 0);
  await endOfTurn();
  assert.is(socket.sent.length, 0);
});

test('uses buffers again, of the same length only, and never one that still waits', async () => {
  const outbox = new Outbox();
  const socket = new FakeSocket();
  const lengths = [0, 1, 0, 100, 1, 2028, 2029, 16_384, 0];
  for (let round = 1; round <= 3; round++) {
    for (const [i, length] of lengths.entries()) {
      outbox.enqueue(socket, msgN(100 * round + i, length));
    }
    const buffers = new Set(socket.waiting.map((slot) => slot.buffer));
    assert.is(buffers.size, lengths.length, 'each waiting packet has its own');
    for (const [i, slot] of socket.waiting.entries()) {
      assert.is(slot.buffer.byteLength, 20 + lengths[i]!);
    }
    await endOfTurn();
  }
  assert.is(socket.sent.length, 3 * lengths.length);
});

test('takes a buffer from the pool in steady state', async () => {
  const outbox = new Outbox();
  const socket = new FakeSocket();
  const seen = new Set<ArrayBuffer>();
  for (let seq = 1; seq <= 50; seq++) {
    outbox.enqueue(socket, msgA(seq));
    seen.add(socket.waiting[0]!.buffer);
    await endOfTurn();
  }
  assert.is(seen.size, 1);
});

test.run();
