/**
 * The codec by example: the layouts written out by hand (not taken from the encoder), what decoding
 * refuses and why, and what it must never do. Properties: codec.prop.test.ts.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Confirmation,
  COUNT_ENTRY_BYTES,
  decode,
  DecodeResult,
  encode,
  encodeAlone,
  encodedBytes,
  isPage,
  isUid,
  Kind,
  KIND_NAME,
  KINDS,
  MSG_FLAG_RETRANSMISSION,
  NO_CONTENT,
  NO_PAGE,
  Order,
  PACKET_BYTES,
  Packet,
  PAGE_TOKEN_BYTES,
  ROW_HEADER_BYTES,
  UID_MAX,
} from '../../protocol/index.ts';

/** Bytes from hex; blanks separate the fields. */
function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.replace(/\s/g, '').match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

function packetOf(kind: Kind, fields: Partial<Packet>): Packet {
  return Object.assign(new Packet(), fields, { kind });
}

function decodeAlone(bytes: Uint8Array<ArrayBuffer>, into = new Packet()): DecodeResult {
  return decode(bytes, new DataView(bytes.buffer), 0, bytes.length, into);
}

const TOKEN = Uint8Array.from({ length: PAGE_TOKEN_BYTES }, (_, i) => i + 1);
const TOKEN_HEX = '0102030405060708 090a0b0c0d0e0f10 1112131415161718 191a1b1c1d1e1f20';
/** epoch 0x01020304, seq 0x0a0b0c0d, uid 0x00112233_44556677: every byte differs. */
const NAME = { epoch: 0x01020304, seq: 0x0a0b0c0d, uid: 0x0011223344556677 };
const NAME_HEX = '04030201 0d0c0b0a 7766554433221100';

/** Every kind, laid out by hand from the tables of docs/PROTOCOL.md. */
const LAYOUTS: readonly [Kind, Partial<Packet>, string][] = [
  [Kind.MsgR, { ...NAME, msgType: 7, content: bytesOf('6869') }, `01 07 00 00 ${NAME_HEX} 6869`],
  [
    Kind.MsgR,
    { ...NAME, msgType: 7, flags: MSG_FLAG_RETRANSMISSION, content: bytesOf('6869') },
    `01 07 01 00 ${NAME_HEX} 6869`,
  ],
  [Kind.MsgA, { ...NAME, status: 3 }, `02 03 00 00 ${NAME_HEX}`],
  [Kind.MsgN, { ...NAME, msgType: 7, content: bytesOf('6869') }, `03 07 00 00 ${NAME_HEX} 6869`],
  [Kind.AckR, NAME, `11 00 00 00 ${NAME_HEX}`],
  [Kind.AckA, { ...NAME, status: 5 }, `12 05 00 00 ${NAME_HEX}`],
  [Kind.AckN, { ...NAME, confirmation: Confirmation.Delivered }, `13 00 00 00 ${NAME_HEX}`],
  [Kind.AckN, { ...NAME, confirmation: Confirmation.Stored }, `13 01 00 00 ${NAME_HEX}`],
  [Kind.CountR, { request: 0x11223344 }, '21 00 00 00 44332211'],
  [
    Kind.CountA,
    {
      request: 0x11223344,
      status: 3,
      counts: [
        { sender: 9, count: 2 },
        { sender: NAME.uid, count: 0x01020304 },
      ],
    },
    '22 03 00 00 44332211 02000000 0900000000000000 02000000 7766554433221100 04030201',
  ],
  [
    Kind.PullR,
    {
      request: 0x11223344,
      uid: NAME.uid,
      order: Order.NewestFirst,
      limit: 1000,
      limitBytes: 0x100000,
      page: TOKEN,
    },
    `31 01 00 00 44332211 7766554433221100 e8030000 00001000 ${TOKEN_HEX}`,
  ],
  [
    Kind.PullA,
    {
      request: 0x11223344,
      status: 0,
      more: true,
      page: TOKEN,
      rows: [
        { sender: 9, epoch: 1, seq: 2, timeMs: 1735689600000, msgType: 7, content: NO_CONTENT },
        {
          sender: NAME.uid,
          epoch: NAME.epoch,
          seq: NAME.seq,
          timeMs: 1,
          msgType: 255,
          content: bytesOf('68690a'),
        },
      ],
    },
    // 1735689600000 = 0x194_1f29_7c00
    `32 00 01 00 44332211 02000000 ${TOKEN_HEX}
     0900000000000000 01000000 02000000 007c291f94010000 07000000 00000000
     7766554433221100 04030201 0d0c0b0a 0100000000000000 ff000000 03000000 68690a`,
  ],
  [Kind.DoneR, { request: 0x11223344, page: TOKEN }, `41 00 00 00 44332211 ${TOKEN_HEX}`],
  [Kind.DoneA, { request: 0x11223344, status: 7 }, '42 07 00 00 44332211'],
  [Kind.InboxN, {}, '53 00 00 00'],
  [Kind.KickN, {}, '63 00 00 00'],
];

const layout = suite('layout');

layout('has an example for every kind', () => {
  assert.equal([...new Set(LAYOUTS.map(([kind]) => kind))], KINDS);
});

for (const [kind, fields, hex] of LAYOUTS) {
  const title = `${KIND_NAME[kind]} ${hex.replace(/\s+/g, ' ').slice(0, 11)}`;

  layout(`${title} is encoded as drawn`, () => {
    assert.equal(encodeAlone(packetOf(kind, fields)), bytesOf(hex));
  });

  layout(`${title} is decoded as drawn`, () => {
    const packet = new Packet();
    assert.is(decodeAlone(bytesOf(hex), packet), DecodeResult.Ok);
    assert.equal(packet, packetOf(kind, fields));
  });
}

layout('fixed parts have the documented lengths', () => {
  for (const [kind, fields] of LAYOUTS) {
    const bare = packetOf(kind, { ...fields, content: NO_CONTENT, rows: [], counts: [] });
    assert.is(encodedBytes(bare), PACKET_BYTES[kind], KIND_NAME[kind]);
  }
  assert.is(COUNT_ENTRY_BYTES, 12);
  assert.is(ROW_HEADER_BYTES, 32);
});

layout('encodes at an offset and touches nothing around it', () => {
  for (const [kind, fields, hex] of LAYOUTS) {
    const expected = bytesOf(hex);
    const bytes = new Uint8Array(expected.length + 20).fill(0xee);
    const written = encode(packetOf(kind, fields), bytes, new DataView(bytes.buffer), 10);
    assert.is(written, expected.length);
    assert.equal(bytes.slice(10, -10), expected);
    assert.ok(bytes.slice(0, 10).every((byte) => byte === 0xee));
    assert.ok(bytes.slice(-10).every((byte) => byte === 0xee));
  }
});

layout('msg:N has no flags even when the record it was made from has', () => {
  const packet = packetOf(Kind.MsgN, { ...NAME, flags: MSG_FLAG_RETRANSMISSION });
  assert.is(encodeAlone(packet)[2], 0);
});

layout('decoding overwrites what the kind uses and leaves the rest alone', () => {
  const packet = packetOf(Kind.DoneA, { uid: 5, more: true, page: TOKEN, request: 1, status: 1 });
  assert.is(decodeAlone(bytesOf('42 00 00 00 02000000'), packet), DecodeResult.Ok);
  assert.equal(packet, packetOf(Kind.DoneA, { uid: 5, more: true, page: TOKEN, request: 2 }));
});

layout('a decoded empty content keeps no hold of the received bytes', () => {
  const packet = new Packet();
  decodeAlone(bytesOf(`01 07 00 00 ${NAME_HEX}`), packet);
  assert.is(packet.content, NO_CONTENT);
});

const refusal = suite('refusal');

/** By name: what is wrong, the result, the bytes. */
const REFUSED: readonly [string, DecodeResult, string][] = [
  ['no bytes at all', DecodeResult.Empty, ''],
  ['fewer than four bytes', DecodeResult.BadLength, '53 00 00'],
  ['kind 0', DecodeResult.UnknownKind, '00 00 00 00'],
  ['a kind between others', DecodeResult.UnknownKind, '54 00 00 00'],
  ['kind 255', DecodeResult.UnknownKind, 'ff 00 00 00'],
  ['a fixed part cut short', DecodeResult.BadLength, '21 00 00 00 112233'],
  ['a count that promises more', DecodeResult.BadLength, '22 00 00 00 01000000 01000000'],
  [
    'a count that promises less',
    DecodeResult.BadLength,
    '22 00 00 00 01000000 00000000 0900000000000000 02000000',
  ],
  ['a row without header', DecodeResult.BadLength, `32 00 00 00 01000000 01000000 ${TOKEN_HEX}`],
  [
    'a row whose content ends outside',
    DecodeResult.BadLength,
    `32 00 00 00 01000000 01000000 ${TOKEN_HEX}
     0900000000000000 01000000 02000000 0000000000000000 07000000 02000000 aa`,
  ],
  [
    'a byte after the last row',
    DecodeResult.BadLength,
    `32 00 00 00 01000000 01000000 ${TOKEN_HEX}
     0900000000000000 01000000 02000000 0000000000000000 07000000 01000000 aabb`,
  ],
  [
    "a row's message type above 255",
    DecodeResult.Reserved,
    `32 00 00 00 01000000 01000000 ${TOKEN_HEX}
     0900000000000000 01000000 02000000 0000000000000000 00010000 00000000`,
  ],
];

for (const [what, result, hex] of REFUSED) {
  refusal(`refuses ${what}`, () => assert.is(decodeAlone(bytesOf(hex)), result));
}

/** Bytes 1 and 2 of each kind: which bits are reserved. Byte 3 is reserved everywhere. */
const RESERVED_BITS: Readonly<Record<Kind, readonly [number, number]>> = {
  [Kind.MsgR]: [0x00, 0xfe],
  [Kind.MsgA]: [0x00, 0xff],
  [Kind.MsgN]: [0x00, 0xff],
  [Kind.AckR]: [0xff, 0xff],
  [Kind.AckA]: [0x00, 0xff],
  [Kind.AckN]: [0xfe, 0xff],
  [Kind.CountR]: [0xff, 0xff],
  [Kind.CountA]: [0x00, 0xff],
  [Kind.PullR]: [0xfe, 0xff],
  [Kind.PullA]: [0x00, 0xfe],
  [Kind.DoneR]: [0xff, 0xff],
  [Kind.DoneA]: [0x00, 0xff],
  [Kind.InboxN]: [0xff, 0xff],
  [Kind.KickN]: [0xff, 0xff],
};

refusal('refuses each reserved bit of the first four bytes, and no other bit', () => {
  for (const kind of KINDS) {
    const masks = [...RESERVED_BITS[kind], 0xff];
    for (const [index, mask] of masks.entries()) {
      for (let bit = 1; bit < 256; bit <<= 1) {
        const bytes = encodeAlone(packetOf(kind, {}));
        bytes[index + 1] = bit;
        const expected = (mask & bit) === 0 ? DecodeResult.Ok : DecodeResult.Reserved;
        assert.is(decodeAlone(bytes), expected, `${KIND_NAME[kind]} byte ${index + 1} bit ${bit}`);
      }
    }
  }
});

refusal('decodes a uid above 2^53 - 1 to a number that isUid refuses', () => {
  for (const hex of ['0000000000002000', '0100000000002000', 'ffffffffffffffff']) {
    const packet = new Packet();
    assert.is(decodeAlone(bytesOf(`11 00 00 00 01000000 01000000 ${hex}`), packet), 0);
    assert.not(isUid(packet.uid), hex);
  }
});

refusal('throws on kinds that no table knows: a programmer error, not a packet', () => {
  const alien = packetOf(0x77 as Kind, {});
  assert.throws(() => encode(alien, new Uint8Array(8), new DataView(new ArrayBuffer(8)), 0));
  // A kind with a length but without a layout: somebody forgot half of it.
  const lengths = PACKET_BYTES as Record<number, number>;
  lengths[0x77] = 4;
  try {
    assert.throws(() => decodeAlone(bytesOf('77 00 00 00')), /unhandled packet kind: 119/);
  } finally {
    delete lengths[0x77];
  }
});

const vocabulary = suite('vocabulary');

vocabulary('every kind has its own byte and its own name', () => {
  assert.is(KINDS.length, 14);
  assert.equal(KINDS, Object.values(Kind));
  assert.is(new Set(KINDS).size, KINDS.length);
  assert.is(new Set(Object.values(KIND_NAME)).size, KINDS.length);
});

vocabulary('the letter of a kind is in its low two bits: R 1, A 2, N 3', () => {
  for (const kind of KINDS) {
    assert.is('?RAN'[kind & 3], KIND_NAME[kind].at(-1), KIND_NAME[kind]);
  }
});

vocabulary('a uid is above 0 and fits a double exactly', () => {
  assert.not(isUid(0));
  assert.ok(isUid(1));
  assert.ok(isUid(UID_MAX));
  assert.not(isUid(UID_MAX + 1));
  assert.not(isUid(NaN));
});

vocabulary('a token of zeros names no page, any other byte does', () => {
  assert.not(isPage(NO_PAGE));
  assert.not(isPage(new Uint8Array(0)));
  const token = new Uint8Array(PAGE_TOKEN_BYTES);
  token[PAGE_TOKEN_BYTES - 1] = 1;
  assert.ok(isPage(token));
});

layout.run();
refusal.run();
vocabulary.run();
