/**
 * What a message of the load carries, so that its receiver can time and check it:
 *
 *     0        4        8            16          24         32         40
 *     | check  | seq    | intended µs | sent µs  | sender   | receiver | filler …
 *
 * `check` covers everything behind it, so a changed byte is `corrupt`, and sender, receiver and seq
 * inside it expose a message that reached the wrong user or carries another's name. The filler comes
 * from one fixed random block, so that payloads are neither constant nor costly.
 */
import { assert } from '../protocol/index.ts';
import type { SentBook } from './ledger.ts';
import { Random } from './random.ts';

/** Smallest content that the harness can send. */
export const PAYLOAD_MIN_BYTES = 40;

const FILLER_BYTES = 65_536;
const filler = new Uint8Array(FILLER_BYTES);
const random = new Random(0x5eed, 'filler');
for (let i = 0; i < FILLER_BYTES; i++) filler[i] = random.below(256);

/**
 * 32-bit check over [offset + 4, offset + length), a word at a time in two lanes, because a single one
 * would wait for its own multiplications.
 */
function checkOf(view: DataView, offset: number, length: number): number {
  let hash = 0x811c9dc5 ^ length;
  let other = 0x85ebca6b;
  const end = offset + length;
  let at = offset + 4;
  for (; at + 8 <= end; at += 8) {
    hash = Math.imul(hash ^ view.getUint32(at, true), 0x9e3779b1);
    other = Math.imul(other ^ view.getUint32(at + 4, true), 0x9e3779b1);
    hash ^= hash >>> 15;
    other ^= other >>> 15;
  }
  // Multiplied once more: lanes that differ alike must not cancel each other out.
  hash = Math.imul(hash ^ Math.imul(other, 0xc2b2ae35), 0x9e3779b1);
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getUint32(at, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x01000193);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** A content buffer with the view that fills it; reused when its message has settled. */
export class Payload {
  readonly bytes: Uint8Array;
  intendedAtUs = 0;
  sentAtUs = 0;
  /** Its message counts for latency and has not settled. */
  isInWindow = true;
  /** Whom its message is for, and the book that it was entered in. */
  receiver = 0;
  book: SentBook | null = null;
  private readonly view: DataView;

  constructor(length: number) {
    // Written a second time, lest V8 compile it in as a constant until the window opens.
    this.isInWindow = false;
    assert(length >= PAYLOAD_MIN_BYTES, 'the payload holds its header');
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
    const start = length < FILLER_BYTES ? (length * 7919) % (FILLER_BYTES - length) : 0;
    for (let i = PAYLOAD_MIN_BYTES; i < length; i++) {
      this.bytes[i] = filler[(start + i) % FILLER_BYTES] as number;
    }
  }

  write(stamp: {
    seq: number;
    intendedAtUs: number;
    sentAtUs: number;
    sender: number;
    receiver: number;
  }): void {
    const { view, bytes } = this;
    this.intendedAtUs = stamp.intendedAtUs;
    this.sentAtUs = stamp.sentAtUs;
    this.receiver = stamp.receiver;
    view.setUint32(4, stamp.seq, true);
    view.setFloat64(8, stamp.intendedAtUs, true);
    view.setFloat64(16, stamp.sentAtUs, true);
    view.setFloat64(24, stamp.sender, true);
    view.setFloat64(32, stamp.receiver, true);
    view.setUint32(0, checkOf(view, 0, bytes.length), true);
  }
}

/** Reads a content that arrived; one instance serves all. */
export class PayloadReader {
  seq = 0;
  intendedAtUs = 0;
  sentAtUs = 0;
  sender = 0;
  receiver = 0;
  /** Contents come in few buffers, and a view of each content would cost more than its check. */
  private view: DataView = new DataView(new ArrayBuffer(0));

  /** False when the content is too short or its check does not fit: corrupt. */
  read(content: Uint8Array): boolean {
    if (content.length < PAYLOAD_MIN_BYTES) return false;
    const { buffer, byteOffset: at } = content;
    if (this.view.buffer !== buffer) this.view = new DataView(buffer);
    const { view } = this;
    if (view.getUint32(at, true) !== checkOf(view, at, content.length)) return false;
    this.seq = view.getUint32(at + 4, true);
    this.intendedAtUs = view.getFloat64(at + 8, true);
    this.sentAtUs = view.getFloat64(at + 16, true);
    this.sender = view.getFloat64(at + 24, true);
    this.receiver = view.getFloat64(at + 32, true);
    return true;
  }
}
