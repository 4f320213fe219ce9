/**
 * The codec against arbitrary packets and arbitrary bytes. Every decode here runs inside a larger,
 * poisoned buffer through a DataView that reports reads outside the packet.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assert as assertTrue,
  type Confirmation,
  decode,
  DecodeResult,
  encodeAlone,
  encodedBytes,
  Kind,
  KIND_NAME,
  KINDS,
  type Order,
  PACKET_BYTES,
  Packet,
  PAGE_TOKEN_BYTES,
  UID_MAX,
} from '../../protocol/index.ts';

const MARGIN = 64;

/** Throws when a read leaves [from, to). */
class GuardedView extends DataView<ArrayBuffer> {
  private readonly from: number;
  private readonly to: number;

  constructor(buffer: ArrayBuffer, from: number, to: number) {
    super(buffer);
    this.from = from;
    this.to = to;
  }

  override getUint32(at: number, littleEndian?: boolean): number {
    assertTrue(at >= this.from && at + 4 <= this.to, `read of [${at}, ${at + 4}) is outside`);
    return super.getUint32(at, littleEndian);
  }
}

interface Decoded {
  result: DecodeResult;
  packet: Packet;
}

function decodeAmid(packetBytes: Uint8Array, poison: number): Decoded {
  const to = MARGIN + packetBytes.length;
  const bytes = new Uint8Array(to + MARGIN).fill(poison);
  bytes.set(packetBytes, MARGIN);
  const packet = dirtyPacket();
  const view = new GuardedView(bytes.buffer, MARGIN, to);
  const result = decode(bytes, view, MARGIN, packetBytes.length, packet);
  if (result === DecodeResult.Ok) {
    for (const part of [packet.page, packet.content, ...packet.rows.map((row) => row.content)]) {
      if (part.buffer !== bytes.buffer) continue;
      assert.ok(part.byteOffset >= MARGIN && part.byteOffset + part.length <= to, 'view inside');
    }
  }
  return { result, packet };
}

/** Decodes amid zeros and amid ones: what is around a packet must not matter. */
function decodeGuarded(packetBytes: Uint8Array): Decoded {
  const amidZeros = decodeAmid(packetBytes, 0x00);
  const amidOnes = decodeAmid(packetBytes, 0xff);
  assert.equal(amidOnes.result, amidZeros.result);
  if (amidZeros.result === DecodeResult.Ok) {
    assert.equal(used(amidOnes.packet), used(amidZeros.packet));
  }
  return amidZeros;
}

/** A record with leftovers in every field, as reuse leaves it. */
function dirtyPacket(): Packet {
  const bytes = Uint8Array.from({ length: PAGE_TOKEN_BYTES }, () => 0xdd);
  return Object.assign(new Packet(), {
    kind: Kind.KickN,
    uid: 77,
    epoch: 77,
    seq: 77,
    msgType: 77,
    flags: 1,
    status: 77,
    confirmation: 1,
    request: 77,
    order: 1,
    limit: 77,
    limitBytes: 77,
    more: true,
    page: bytes,
    content: bytes,
    rows: [{ sender: 77, epoch: 77, seq: 77, timeMs: 77, msgType: 77, content: bytes }],
    counts: [{ sender: 77, count: 77 }],
  });
}

/** The fields each kind carries: the table in packet.ts. */
const USED: Readonly<Record<Kind, readonly (keyof Packet)[]>> = {
  [Kind.MsgR]: ['uid', 'epoch', 'seq', 'msgType', 'flags', 'content'],
  [Kind.MsgA]: ['uid', 'epoch', 'seq', 'status'],
  [Kind.MsgN]: ['uid', 'epoch', 'seq', 'msgType', 'content'],
  [Kind.AckR]: ['uid', 'epoch', 'seq'],
  [Kind.AckA]: ['uid', 'epoch', 'seq', 'status'],
  [Kind.AckN]: ['uid', 'epoch', 'seq', 'confirmation'],
  [Kind.CountR]: ['request'],
  [Kind.CountA]: ['request', 'status', 'counts'],
  [Kind.PullR]: ['request', 'uid', 'order', 'limit', 'limitBytes', 'page'],
  [Kind.PullA]: ['request', 'status', 'more', 'page', 'rows'],
  [Kind.DoneR]: ['request', 'page'],
  [Kind.DoneA]: ['request', 'status'],
  [Kind.InboxN]: [],
  [Kind.KickN]: [],
};

function used(packet: Packet): Record<string, unknown> {
  return Object.fromEntries(
    (['kind', ...USED[packet.kind]] as const).map((key) => [key, packet[key]]),
  );
}

/** Numbers whose edges come up often. */
function upTo(max: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.maxSafeNat().map((n) => n % (max + 1)) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, max - 1, max) },
  );
}

const u8 = upTo(0xff);
const u32 = upTo(0xffffffff);
const u53 = fc.oneof(upTo(UID_MAX - 1), fc.constantFrom(UID_MAX, 2 ** 32, 2 ** 32 - 1));
const bit = fc.constantFrom(0, 1);
const content = fc.uint8Array({ maxLength: 40 });
const token = fc.uint8Array({ minLength: PAGE_TOKEN_BYTES, maxLength: PAGE_TOKEN_BYTES });

/** A record with the prototype that decoded rows have; fast-check likes to leave it out. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true });
}

const packetOfAnyKind: fc.Arbitrary<Packet> = fc
  .record({
    kind: fc.constantFrom(...KINDS),
    uid: u53,
    epoch: u32,
    seq: u32,
    msgType: u8,
    flags: bit,
    status: u8,
    confirmation: bit as fc.Arbitrary<Confirmation>,
    request: u32,
    order: bit as fc.Arbitrary<Order>,
    limit: u32,
    limitBytes: u32,
    more: fc.boolean(),
    page: token,
    content,
    rows: fc.array(
      plain({ sender: u53, epoch: u32, seq: u32, timeMs: u53, msgType: u8, content }),
      { maxLength: 5 },
    ),
    counts: fc.array(plain({ sender: u53, count: u32 }), { maxLength: 5 }),
  })
  .map((fields) => Object.assign(new Packet(), fields));

/** Bytes that get past the first checks: a real kind in front, reserved bytes mostly clear. */
const nearPacket: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom(...KINDS), bit, bit, fc.uint8Array({ maxLength: 120 }), fc.nat(3))
  .map(([kind, second, third, rest, rows]) => {
    const bytes = Uint8Array.from([kind, second, third, 0, ...rest]);
    // A small number of rows or counts, else nearly every list is refused at once.
    if (bytes.length >= 12) bytes.set([rows, 0, 0, 0], 8);
    return bytes;
  });

/** True when no u64 in the packet lies above what a double holds. */
function isExact(packet: Packet): boolean {
  const numbers = [
    USED[packet.kind].includes('uid') ? packet.uid : 0,
    ...(packet.kind === Kind.PullA ? packet.rows : []).flatMap((row) => [row.sender, row.timeMs]),
    ...(packet.kind === Kind.CountA ? packet.counts : []).map((entry) => entry.sender),
  ];
  return numbers.every((number) => number <= UID_MAX);
}

test('every packet survives encoding and decoding, into a record with leftovers', () => {
  fc.assert(
    fc.property(packetOfAnyKind, (packet) => {
      const bytes = encodeAlone(packet);
      assert.is(bytes.length, encodedBytes(packet));
      const decoded = decodeGuarded(bytes);
      assert.is(decoded.result, DecodeResult.Ok);
      assert.equal(used(decoded.packet), used(packet));
    }),
    { numRuns: 1000 },
  );
});

test('every strict prefix is refused unless it is a message with less content', () => {
  fc.assert(
    fc.property(packetOfAnyKind, (packet) => {
      const bytes = encodeAlone(packet);
      const isMessage = packet.kind === Kind.MsgR || packet.kind === Kind.MsgN;
      for (let length = 0; length < bytes.length; length++) {
        const { result, packet: cut } = decodeGuarded(bytes.subarray(0, length));
        if (isMessage && length >= PACKET_BYTES[packet.kind]) {
          assert.is(result, DecodeResult.Ok);
          assert.equal(cut.content, packet.content.subarray(0, length - 20));
        } else {
          assert.is(
            result,
            length === 0 ? DecodeResult.Empty : DecodeResult.BadLength,
            `${KIND_NAME[packet.kind]} cut to ${length} of ${bytes.length}`,
          );
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('a byte appended is content of a message and an error of everything else', () => {
  fc.assert(
    fc.property(packetOfAnyKind, u8, (packet, extra) => {
      const { result } = decodeGuarded(Uint8Array.from([...encodeAlone(packet), extra]));
      const isMessage = packet.kind === Kind.MsgR || packet.kind === Kind.MsgN;
      assert.is(result, isMessage ? DecodeResult.Ok : DecodeResult.BadLength);
    }),
    { numRuns: 500 },
  );
});

test('garbage never throws and never reads outside; what it accepts has one encoding', () => {
  const garbage = fc.oneof(fc.uint8Array({ maxLength: 150 }), nearPacket);
  fc.assert(
    fc.property(garbage, (bytes) => {
      const { result, packet } = decodeGuarded(bytes);
      if (result === DecodeResult.Ok && isExact(packet)) {
        assert.equal(encodeAlone(packet), Uint8Array.from(bytes));
      }
    }),
    { numRuns: 5000 },
  );
});

test('a packet with any one bit flipped still never throws and has one encoding or none', () => {
  fc.assert(
    fc.property(packetOfAnyKind, fc.nat(), (packet, at) => {
      const bytes = encodeAlone(packet);
      const bitAt = at % (bytes.length * 8);
      bytes[bitAt >> 3] = (bytes[bitAt >> 3] as number) ^ (1 << (bitAt & 7));
      const decoded = decodeGuarded(bytes);
      if (decoded.result === DecodeResult.Ok && isExact(decoded.packet)) {
        assert.equal(encodeAlone(decoded.packet), bytes);
      }
    }),
    { numRuns: 2000 },
  );
});

test('the guard itself catches a decoder that reads outside', () => {
  const view = new GuardedView(new ArrayBuffer(16), 4, 12);
  assert.is(view.getUint32(8, true), 0);
  assert.throws(() => view.getUint32(9, true), /outside/);
  assert.throws(() => view.getUint32(3, true), /outside/);
});

test.run();
