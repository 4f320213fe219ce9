/**
 * Wire codec: fixed little-endian layouts, first byte = kind (docs/PROTOCOL.md has the tables,
 * docs/protocol-vectors.json the vectors).
 *
 * Every packet carries its exact length: too short, too long or a reserved bit that is set is a
 * decoding error, so two encoders cannot disagree about one packet. Decoding never throws and never
 * reads outside [offset, offset + length).
 *
 * Cost: no allocation for the six packets of a message except the view of a content. u64 values are
 * read as two u32; every u64 above 2^53 - 1 decodes to 2^53, which `isUid` refuses and which encodes
 * as itself: a double would round such a number, and 2^64 - 1 would come back as 0.
 */
import { assert, never } from './assert.ts';
import {
  type Confirmation,
  Kind,
  MSG_FLAG_RETRANSMISSION,
  NO_CONTENT,
  type Order,
  PAGE_TOKEN_BYTES,
  type Packet,
  type Row,
  type SenderCount,
} from './packet.ts';

const TWO_32 = 4294967296;
/** The upper half of 2^53: from here on a double counts no longer one by one. */
const HIGH_END = 0x200000;
const BEYOND = HIGH_END * TWO_32;

/** Fixed part of each packet in bytes; the whole packet unless a content or a list follows. */
export const PACKET_BYTES: Readonly<Record<Kind, number>> = {
  [Kind.MsgR]: 20,
  [Kind.MsgA]: 20,
  [Kind.MsgN]: 20,
  [Kind.AckR]: 20,
  [Kind.AckA]: 20,
  [Kind.AckN]: 20,
  [Kind.CountR]: 8,
  [Kind.CountA]: 12,
  [Kind.PullR]: 24 + PAGE_TOKEN_BYTES,
  [Kind.PullA]: 12 + PAGE_TOKEN_BYTES,
  [Kind.DoneR]: 8 + PAGE_TOKEN_BYTES,
  [Kind.DoneA]: 8,
  [Kind.InboxN]: 4,
  [Kind.KickN]: 4,
};

/** Bytes of one sender's entry in count:A. */
export const COUNT_ENTRY_BYTES = 12;
/** Bytes of a row's header in pull:A; its content follows. */
export const ROW_HEADER_BYTES = 32;

/** Why a packet could not be decoded; `DecodeResult.Ok` when it could. */
export const DecodeResult = { Ok: 0, Empty: 1, UnknownKind: 2, BadLength: 3, Reserved: 4 } as const;
export type DecodeResult = (typeof DecodeResult)[keyof typeof DecodeResult];

/** Length of `packet` on the wire in bytes. O(1) but for pull:A, O(rows). */
export function encodedBytes(packet: Packet): number {
  const fixed = PACKET_BYTES[packet.kind];
  switch (packet.kind) {
    case Kind.MsgR:
    case Kind.MsgN:
      return fixed + packet.content.length;
    case Kind.CountA:
      return fixed + packet.counts.length * COUNT_ENTRY_BYTES;
    case Kind.PullA: {
      let bytes = fixed + packet.rows.length * ROW_HEADER_BYTES;
      for (const row of packet.rows) bytes += row.content.length;
      return bytes;
    }
    default:
      return fixed;
  }
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

function getU64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high < HIGH_END ? view.getUint32(at, true) + high * TWO_32 : BEYOND;
}

/**
 * Writes `packet` at `offset` and returns its length. `bytes` and `view` must cover the same memory,
 * and `encodedBytes(packet)` bytes must be free there.
 */
export function encode(packet: Packet, bytes: Uint8Array, view: DataView, offset: number): number {
  const kind = packet.kind;
  switch (kind) {
    case Kind.MsgR:
    case Kind.MsgN: {
      const flags = kind === Kind.MsgR ? packet.flags : 0;
      view.setUint32(offset, kind | (packet.msgType << 8) | (flags << 16), true);
      encodeMessageName(packet, view, offset);
      bytes.set(packet.content, offset + 20);
      return 20 + packet.content.length;
    }
    case Kind.MsgA:
    case Kind.AckA:
      view.setUint32(offset, kind | (packet.status << 8), true);
      encodeMessageName(packet, view, offset);
      return 20;
    case Kind.AckR:
      view.setUint32(offset, kind, true);
      encodeMessageName(packet, view, offset);
      return 20;
    case Kind.AckN:
      view.setUint32(offset, kind | (packet.confirmation << 8), true);
      encodeMessageName(packet, view, offset);
      return 20;
    case Kind.CountR:
      view.setUint32(offset, kind, true);
      view.setUint32(offset + 4, packet.request, true);
      return 8;
    case Kind.CountA: {
      view.setUint32(offset, kind | (packet.status << 8), true);
      view.setUint32(offset + 4, packet.request, true);
      view.setUint32(offset + 8, packet.counts.length, true);
      let at = offset + 12;
      for (const { sender, count } of packet.counts) {
        setU64(view, at, sender);
        view.setUint32(at + 8, count, true);
        at += COUNT_ENTRY_BYTES;
      }
      return at - offset;
    }
    case Kind.PullR:
      view.setUint32(offset, kind | (packet.order << 8), true);
      view.setUint32(offset + 4, packet.request, true);
      setU64(view, offset + 8, packet.uid);
      view.setUint32(offset + 16, packet.limit, true);
      view.setUint32(offset + 20, packet.limitBytes, true);
      assert(packet.page.length === PAGE_TOKEN_BYTES, 'a page token has its length');
      bytes.set(packet.page, offset + 24);
      return 24 + PAGE_TOKEN_BYTES;
    case Kind.PullA: {
      view.setUint32(offset, kind | (packet.status << 8) | ((packet.more ? 1 : 0) << 16), true);
      view.setUint32(offset + 4, packet.request, true);
      view.setUint32(offset + 8, packet.rows.length, true);
      assert(packet.page.length === PAGE_TOKEN_BYTES, 'a page token has its length');
      bytes.set(packet.page, offset + 12);
      let at = offset + 12 + PAGE_TOKEN_BYTES;
      for (const row of packet.rows) {
        setU64(view, at, row.sender);
        view.setUint32(at + 8, row.epoch, true);
        view.setUint32(at + 12, row.seq, true);
        setU64(view, at + 16, row.timeMs);
        view.setUint32(at + 24, row.msgType, true);
        view.setUint32(at + 28, row.content.length, true);
        bytes.set(row.content, at + ROW_HEADER_BYTES);
        at += ROW_HEADER_BYTES + row.content.length;
      }
      return at - offset;
    }
    case Kind.DoneR:
      view.setUint32(offset, kind, true);
      view.setUint32(offset + 4, packet.request, true);
      assert(packet.page.length === PAGE_TOKEN_BYTES, 'a page token has its length');
      bytes.set(packet.page, offset + 8);
      return 8 + PAGE_TOKEN_BYTES;
    case Kind.DoneA:
      view.setUint32(offset, kind | (packet.status << 8), true);
      view.setUint32(offset + 4, packet.request, true);
      return 8;
    case Kind.InboxN:
    case Kind.KickN:
      view.setUint32(offset, kind, true);
      return 4;
    default:
      return never(kind, 'packet kind');
  }
}

function encodeMessageName(packet: Packet, view: DataView, offset: number): void {
  view.setUint32(offset + 4, packet.epoch, true);
  view.setUint32(offset + 8, packet.seq, true);
  setU64(view, offset + 12, packet.uid);
}

/** Encodes into fresh memory. Convenience for rare packets and tests. */
export function encodeAlone(packet: Packet): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(encodedBytes(packet));
  const written = encode(packet, bytes, new DataView(bytes.buffer), 0);
  assert(written === bytes.length, 'encodedBytes and encode agree');
  return bytes;
}

/**
 * Decodes the packet in [offset, offset + length) into `into`, whose former fields are overwritten
 * as far as its kind uses them. Views in `into` point into `bytes`.
 */
export function decode(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  into: Packet,
): DecodeResult {
  if (length < 4) return length < 1 ? DecodeResult.Empty : DecodeResult.BadLength;
  const head = view.getUint32(offset, true);
  const kind = (head & 0xff) as Kind;
  const fixed = PACKET_BYTES[kind] as number | undefined;
  if (fixed === undefined) return DecodeResult.UnknownKind;
  if (length < fixed) return DecodeResult.BadLength;
  const second = (head >>> 8) & 0xff;
  const third = (head >>> 16) & 0xff;
  const fourth = head >>> 24;
  if (fourth !== 0) return DecodeResult.Reserved;
  into.kind = kind;
  switch (kind) {
    case Kind.MsgR:
    case Kind.MsgN:
      if (third > (kind === Kind.MsgR ? MSG_FLAG_RETRANSMISSION : 0)) return DecodeResult.Reserved;
      into.msgType = second;
      into.flags = third;
      decodeMessageName(view, offset, into);
      into.content = length === 20 ? NO_CONTENT : bytes.subarray(offset + 20, offset + length);
      return DecodeResult.Ok;
    case Kind.MsgA:
    case Kind.AckA:
      if (length !== fixed) return DecodeResult.BadLength;
      if (third !== 0) return DecodeResult.Reserved;
      into.status = second;
      decodeMessageName(view, offset, into);
      return DecodeResult.Ok;
    case Kind.AckR:
      if (length !== fixed) return DecodeResult.BadLength;
      if (second !== 0 || third !== 0) return DecodeResult.Reserved;
      decodeMessageName(view, offset, into);
      return DecodeResult.Ok;
    case Kind.AckN:
      if (length !== fixed) return DecodeResult.BadLength;
      if (second > 1 || third !== 0) return DecodeResult.Reserved;
      into.confirmation = second as Confirmation;
      decodeMessageName(view, offset, into);
      return DecodeResult.Ok;
    case Kind.CountR:
      if (length !== fixed) return DecodeResult.BadLength;
      if (second !== 0 || third !== 0) return DecodeResult.Reserved;
      into.request = view.getUint32(offset + 4, true);
      return DecodeResult.Ok;
    case Kind.CountA:
      if (third !== 0) return DecodeResult.Reserved;
      return decodeCounts(view, offset, length, second, into);
    case Kind.PullR:
      if (length !== fixed) return DecodeResult.BadLength;
      if (second > 1 || third !== 0) return DecodeResult.Reserved;
      into.order = second as Order;
      into.request = view.getUint32(offset + 4, true);
      into.uid = getU64(view, offset + 8);
      into.limit = view.getUint32(offset + 16, true);
      into.limitBytes = view.getUint32(offset + 20, true);
      into.page = bytes.subarray(offset + 24, offset + 24 + PAGE_TOKEN_BYTES);
      return DecodeResult.Ok;
    case Kind.PullA:
      if (third > 1) return DecodeResult.Reserved;
      into.status = second;
      into.more = third === 1;
      return decodeRows(bytes, view, offset, length, into);
    case Kind.DoneR:
      if (length !== fixed) return DecodeResult.BadLength;
      if (second !== 0 || third !== 0) return DecodeResult.Reserved;
      into.request = view.getUint32(offset + 4, true);
      into.page = bytes.subarray(offset + 8, offset + 8 + PAGE_TOKEN_BYTES);
      return DecodeResult.Ok;
    case Kind.DoneA:
      if (length !== fixed) return DecodeResult.BadLength;
      if (third !== 0) return DecodeResult.Reserved;
      into.status = second;
      into.request = view.getUint32(offset + 4, true);
      return DecodeResult.Ok;
    case Kind.InboxN:
    case Kind.KickN:
      if (length !== fixed) return DecodeResult.BadLength;
      return second !== 0 || third !== 0 ? DecodeResult.Reserved : DecodeResult.Ok;
    default:
      return never(kind, 'packet kind');
  }
}

function decodeMessageName(view: DataView, offset: number, into: Packet): void {
  into.epoch = view.getUint32(offset + 4, true);
  into.seq = view.getUint32(offset + 8, true);
  into.uid = getU64(view, offset + 12);
}

function decodeCounts(
  view: DataView,
  offset: number,
  length: number,
  status: number,
  into: Packet,
): DecodeResult {
  const entries = view.getUint32(offset + 8, true);
  if (length !== 12 + entries * COUNT_ENTRY_BYTES) return DecodeResult.BadLength;
  const counts: SenderCount[] = [];
  for (let at = offset + 12; at < offset + length; at += COUNT_ENTRY_BYTES) {
    counts.push({ sender: getU64(view, at), count: view.getUint32(at + 8, true) });
  }
  into.status = status;
  into.request = view.getUint32(offset + 4, true);
  into.counts = counts;
  return DecodeResult.Ok;
}

function decodeRows(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  into: Packet,
): DecodeResult {
  const end = offset + length;
  const count = view.getUint32(offset + 8, true);
  const rows: Row[] = [];
  let at = offset + 12 + PAGE_TOKEN_BYTES;
  for (let i = 0; i < count; i++) {
    if (end - at < ROW_HEADER_BYTES) return DecodeResult.BadLength;
    const contentBytes = view.getUint32(at + 28, true);
    const contentAt = at + ROW_HEADER_BYTES;
    if (end - contentAt < contentBytes) return DecodeResult.BadLength;
    const msgType = view.getUint32(at + 24, true);
    if (msgType > 255) return DecodeResult.Reserved;
    rows.push({
      sender: getU64(view, at),
      epoch: view.getUint32(at + 8, true),
      seq: view.getUint32(at + 12, true),
      timeMs: getU64(view, at + 16),
      msgType,
      content: bytes.subarray(contentAt, contentAt + contentBytes),
    });
    at = contentAt + contentBytes;
  }
  if (at !== end) return DecodeResult.BadLength;
  into.request = view.getUint32(offset + 4, true);
  into.page = bytes.subarray(offset + 12, offset + 12 + PAGE_TOKEN_BYTES);
  into.rows = rows;
  return DecodeResult.Ok;
}
