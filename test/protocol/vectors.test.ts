/**
 * docs/protocol-vectors.json against the codec in both directions, and docs/PROTOCOL.md against
 * both: the page quotes only vectors, and its list of packets is the code's.
 *
 * The vectors were made by a second implementation of the layouts, not by this codec.
 */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Confirmation,
  decode,
  DecodeResult,
  encodeAlone,
  Kind,
  KIND_NAME,
  KINDS,
  MSG_FLAG_RETRANSMISSION,
  never,
  Order,
  PACKET_BYTES,
  Packet,
  PROTOCOL_VERSION,
} from '../../protocol/index.ts';

interface Vector {
  name: string;
  kind: string;
  hex: string;
  fields: Record<string, unknown>;
}

interface InvalidVector {
  name: string;
  hex: string;
  reason: keyof typeof REASONS;
  why: string;
}

const REASONS = {
  empty: DecodeResult.Empty,
  'unknown-kind': DecodeResult.UnknownKind,
  'bad-length': DecodeResult.BadLength,
  reserved: DecodeResult.Reserved,
} as const;

function docs(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

const FILE = JSON.parse(docs('protocol-vectors.json')) as {
  protocol: number;
  vectors: Vector[];
  invalid: InvalidVector[];
};
const PAGE = docs('PROTOCOL.md');

function bytesOf(hex: unknown): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(hex as string, 'hex'));
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function kindOf(name: string): Kind {
  const kind = KINDS.find((each) => KIND_NAME[each] === name);
  assert.ok(kind !== undefined, `${name} is a kind`);
  return kind;
}

/** A decoded packet in the words of the vectors. */
function fieldsOf(packet: Packet): Record<string, unknown> {
  const { uid, epoch, seq, status, request } = packet;
  switch (packet.kind) {
    case Kind.MsgR: {
      const retransmission = packet.flags === MSG_FLAG_RETRANSMISSION;
      const content = hexOf(packet.content);
      return { receiver: uid, epoch, seq, msgType: packet.msgType, retransmission, content };
    }
    case Kind.MsgN: {
      const content = hexOf(packet.content);
      return { sender: uid, epoch, seq, msgType: packet.msgType, content };
    }
    case Kind.MsgA:
      return { receiver: uid, epoch, seq, status };
    case Kind.AckR:
      return { sender: uid, epoch, seq };
    case Kind.AckA:
      return { sender: uid, epoch, seq, status };
    case Kind.AckN: {
      const isStored = packet.confirmation === Confirmation.Stored;
      return { receiver: uid, epoch, seq, confirmation: isStored ? 'stored' : 'delivered' };
    }
    case Kind.CountR:
      return { request };
    case Kind.CountA:
      return { request, status, counts: packet.counts };
    case Kind.PullR: {
      const order = packet.order === Order.NewestFirst ? 'newest' : 'oldest';
      const { limit, limitBytes } = packet;
      return { request, sender: uid, order, limit, limitBytes, page: hexOf(packet.page) };
    }
    case Kind.PullA: {
      const rows = packet.rows.map((row) => ({ ...row, content: hexOf(row.content) }));
      return { request, status, more: packet.more, page: hexOf(packet.page), rows };
    }
    case Kind.DoneR:
      return { request, page: hexOf(packet.page) };
    case Kind.DoneA:
      return { request, status };
    case Kind.InboxN:
    case Kind.KickN:
      return {};
    default:
      return never(packet.kind, 'packet kind');
  }
}

/** The packet that a vector's fields describe. */
function packetOf(vector: Vector): Packet {
  const { receiver, sender, content, page, rows, retransmission, confirmation, order, ...plain } =
    vector.fields;
  const packet: Packet = Object.assign(new Packet(), plain, { kind: kindOf(vector.kind) });
  packet.uid = (receiver ?? sender ?? 0) as number;
  if (retransmission === true) packet.flags = MSG_FLAG_RETRANSMISSION;
  if (confirmation === 'stored') packet.confirmation = Confirmation.Stored;
  if (order === 'newest') packet.order = Order.NewestFirst;
  if (content !== undefined) packet.content = bytesOf(content);
  if (page !== undefined) packet.page = bytesOf(page);
  if (rows !== undefined) {
    packet.rows = (rows as Packet['rows']).map((row) => ({
      ...row,
      content: bytesOf(row.content),
    }));
  }
  return packet;
}

function decodeHex(hex: string, into: Packet): DecodeResult {
  const bytes = bytesOf(hex);
  return decode(bytes, new DataView(bytes.buffer), 0, bytes.length, into);
}

const vectors = suite('vectors');

for (const vector of FILE.vectors) {
  const title = `${vector.kind} ${vector.name}`;

  vectors(`${title}: fields give the hex`, () => {
    assert.is(hexOf(encodeAlone(packetOf(vector))), vector.hex);
  });

  vectors(`${title}: hex gives the fields`, () => {
    const packet = new Packet();
    assert.is(decodeHex(vector.hex, packet), DecodeResult.Ok);
    assert.is(KIND_NAME[packet.kind], vector.kind);
    assert.equal(fieldsOf(packet), vector.fields);
  });
}

for (const { name, hex, reason } of FILE.invalid) {
  vectors(`${name} is refused`, () => {
    assert.ok(reason in REASONS, reason);
    assert.is(decodeHex(hex, new Packet()), REASONS[reason]);
  });
}

vectors('are of this version of the protocol', () => {
  assert.is(FILE.protocol, PROTOCOL_VERSION);
  assert.ok(PAGE.includes(`/v${PROTOCOL_VERSION}/ws`));
});

vectors('cover every kind, at least twice unless it has no fields', () => {
  for (const kind of KINDS) {
    const ofKind = FILE.vectors.filter((vector) => vector.kind === KIND_NAME[kind]);
    assert.ok(ofKind.length >= (PACKET_BYTES[kind] === 4 ? 1 : 2), KIND_NAME[kind]);
  }
});

vectors('cover every reason to refuse', () => {
  assert.equal(new Set(FILE.invalid.map(({ reason }) => reason)), new Set(Object.keys(REASONS)));
});

vectors('have names of their own', () => {
  const names = FILE.vectors.map((each) => `${each.kind} ${each.name}`);
  names.push(...FILE.invalid.map((each) => each.name));
  assert.is(new Set(names).size, names.length);
});

const page = suite('docs/PROTOCOL.md');

page('quotes only hex that is in the vectors', () => {
  const known = new Set(FILE.vectors.map(({ hex }) => hex));
  // Lines of the worked examples: who to whom, a packet name, its bytes in groups, a remark.
  const line = /^\w+ -> \w+ +[a-z]+:[RAN] +((?:[0-9a-f]{2,}[ \n]+)*[0-9a-f]{2,})(?: {4}.*)?$/gm;
  const quoted = [...PAGE.matchAll(line)];
  assert.is(quoted.length, PAGE.match(/^\w+ -> /gm)?.length, 'every line is understood');
  assert.ok(quoted.length >= 20, `found ${quoted.length} quotes`);
  for (const [line, hex] of quoted) {
    assert.ok(known.has((hex as string).replace(/\s/g, '')), line);
  }
});

page('lists every kind with its byte and the length of its fixed part', () => {
  const rows = [...PAGE.matchAll(/^\| `([a-z]+:[RAN])` +\| `(0x[0-9a-f]{2})` +\| (\d+)\b/gm)];
  assert.equal(
    rows.map(([, name, byte, length]) => [name, Number(byte), Number(length)]),
    KINDS.map((kind) => [KIND_NAME[kind], kind, PACKET_BYTES[kind]]),
  );
});

vectors.run();
page.run();
