/**
 * Cuts one direction of a connection into WebSocket frames (RFC 6455 section 5.2), however the reads
 * cut it, and rewrites a frame that is to be shorter.
 *
 *     HTTP head ── untouched ──> frame frame frame …       after `Upgrade: websocket` and a 101
 *               └─ anything else: bytes, untouched
 *
 * Nothing is validated here: what a peer says wrongly is passed on, so that the other peer sees it.
 * Bound: at most `frameMaxBytes` of a frame (or of the head) are kept; a longer frame streams through.
 */

const HEAD_MAX_BYTES = 16_384;
const HEAD_END = Buffer.from('\r\n\r\n');

/** A binary message in one frame: what carries a packet. */
export const WHOLE_BINARY = 0x82;

const Mode = { Head: 0, Frames: 1, Bytes: 2 } as const;
type Mode = (typeof Mode)[keyof typeof Mode];

export interface FrameSink {
  /**
   * A whole frame: header (mask included) at `at`, payload behind it. The bytes are of the read, not
   * to be kept.
   */
  onFrame(bytes: Buffer, at: number, headerBytes: number, payloadBytes: number): void;
  /** Bytes that are no frame, or of a frame too long to be held. */
  onBytes(bytes: Buffer, from: number, to: number): void;
}

export class FrameSplitter {
  private readonly sink: FrameSink;
  private readonly frameMaxBytes: number;
  private mode: Mode = Mode.Head;
  private rest: Buffer | null = null;
  private restLength = 0;
  /** Bytes of a long frame still to come. */
  private streamBytes = 0;

  constructor(sink: FrameSink, frameMaxBytes: number) {
    this.sink = sink;
    this.frameMaxBytes = frameMaxBytes;
  }

  /** Bytes of a frame that the reads so far have cut. */
  get keptBytes(): number {
    return this.restLength;
  }

  /** True once the connection has become a WebSocket in this direction. */
  get isOpen(): boolean {
    return this.mode === Mode.Frames;
  }

  /** The bytes [0, length) of a read; they are free again afterwards. */
  take(bytes: Buffer, length: number): void {
    if (this.restLength === 0) {
      const used = this.parse(bytes, length);
      if (used < length) this.keep(bytes, used, length);
      return;
    }
    this.keep(bytes, 0, length);
    const rest = this.rest as Buffer;
    const used = this.parse(rest, this.restLength);
    rest.copy(rest, 0, used, this.restLength);
    this.restLength -= used;
    if (this.restLength === 0) this.rest = null;
  }

  private keep(bytes: Buffer, from: number, to: number): void {
    const needed = this.restLength + to - from;
    if (this.rest === null || this.rest.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * (this.rest?.length ?? 128)));
      this.rest?.copy(grown, 0, 0, this.restLength);
      this.rest = grown;
    }
    bytes.copy(this.rest, this.restLength, from, to);
    this.restLength = needed;
  }

  /** Tells the sink what is whole in [0, length) and returns how many bytes that took. */
  private parse(bytes: Buffer, length: number): number {
    let at = 0;
    if (this.mode === Mode.Head) {
      at = this.parseHead(bytes, length);
      if (at === 0) return 0;
    }
    if (this.mode === Mode.Bytes) {
      if (length > at) this.sink.onBytes(bytes, at, length);
      return length;
    }
    while (at < length) {
      if (this.streamBytes > 0) {
        const part = Math.min(this.streamBytes, length - at);
        this.sink.onBytes(bytes, at, at + part);
        this.streamBytes -= part;
        at += part;
        continue;
      }
      if (length - at < 2) break;
      const second = bytes[at + 1] as number;
      let headerBytes = (second & 0x80) === 0 ? 2 : 6;
      let payloadBytes = second & 0x7f;
      if (payloadBytes === 126) {
        headerBytes += 2;
        if (length - at < 4) break;
        payloadBytes = bytes.readUInt16BE(at + 2);
      } else if (payloadBytes === 127) {
        headerBytes += 8;
        if (length - at < 10) break;
        payloadBytes = bytes.readUInt32BE(at + 2) * 4294967296 + bytes.readUInt32BE(at + 6);
      }
      const frameBytes = headerBytes + payloadBytes;
      if (frameBytes > this.frameMaxBytes) {
        this.streamBytes = frameBytes;
        continue;
      }
      if (length - at < frameBytes) break;
      this.sink.onFrame(bytes, at, headerBytes, payloadBytes);
      at += frameBytes;
    }
    return at;
  }

  private parseHead(bytes: Buffer, length: number): number {
    const end = bytes.subarray(0, length).indexOf(HEAD_END);
    if (end < 0) {
      if (length <= HEAD_MAX_BYTES) return 0;
      this.mode = Mode.Bytes;
      this.sink.onBytes(bytes, 0, length);
      return length;
    }
    const head = bytes.toString('latin1', 0, end);
    const isUpgrade = /^upgrade: *websocket/im.test(head);
    const isAnswer = head.startsWith('HTTP/');
    const isFrames = isUpgrade && (!isAnswer || /^HTTP\/1\.1 101\b/.test(head));
    this.mode = isFrames ? Mode.Frames : Mode.Bytes;
    this.sink.onBytes(bytes, 0, end + HEAD_END.length);
    return end + HEAD_END.length;
  }
}

/** First byte of a frame's payload, unmasked. The payload must not be empty. */
export function firstPayloadByte(bytes: Buffer, at: number, headerBytes: number): number {
  const first = bytes[at + headerBytes] as number;
  const isMasked = ((bytes[at + 1] as number) & 0x80) !== 0;
  return isMasked ? first ^ (bytes[at + headerBytes - 4] as number) : first;
}

/** The frame at `at` with only the first `keepBytes` of its payload; mask and opcode stay. */
export function shortenedFrame(
  bytes: Buffer,
  at: number,
  headerBytes: number,
  keepBytes: number,
): Buffer {
  const isMasked = ((bytes[at + 1] as number) & 0x80) !== 0;
  const maskBytes = isMasked ? 4 : 0;
  const lengthBytes = keepBytes < 126 ? 0 : keepBytes < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + lengthBytes + maskBytes + keepBytes);
  frame[0] = bytes[at] as number;
  const flag = isMasked ? 0x80 : 0;
  if (lengthBytes === 0) frame[1] = flag | keepBytes;
  else if (lengthBytes === 2) {
    frame[1] = flag | 126;
    frame.writeUInt16BE(keepBytes, 2);
  } else {
    frame[1] = flag | 127;
    frame.writeBigUInt64BE(BigInt(keepBytes), 2);
  }
  const payloadAt = at + headerBytes;
  bytes.copy(frame, 2 + lengthBytes, payloadAt - maskBytes, payloadAt + keepBytes);
  return frame;
}
