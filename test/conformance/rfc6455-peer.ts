/**
 * The peer of the RFC 6455 cases: writes frames as either side, reads frames of the other, and tells
 * the reaction in the words of `rfc6455.ts`. On a plain TCP socket, without a WebSocket library.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type FrameSpec, Opcode, type Side } from './rfc6455.ts';

const MASK = Buffer.from([0x5a, 0x01, 0xff, 0x80]);
/** Ends a case: who still answers it is open. */
const PROBE = 'are you open?';

/** Bytes of a frame as the peer of `side` sends it. */
function encodeFrame(spec: FrameSpec, side: Side): Buffer {
  const { first, payload, isMaskWrong = false } = spec;
  const length = spec.announced ?? BigInt(payload.length);
  const lengthBytes = spec.lengthBytes ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8);
  const isMasked = (side === 'server') !== isMaskWrong;
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = first;
  head[1] =
    (isMasked ? 0x80 : 0) | (lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(Number(length), 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(length, 2);
  if (!isMasked) return Buffer.concat([head, payload]);
  const masked = Buffer.from(payload.map((byte, i) => byte ^ (MASK[i % 4] as number)));
  return Buffer.concat([head, MASK, masked]);
}

interface Heard {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Reads the frames of one side; throws on one that this side must not send. */
class FrameReader {
  private bytes: Buffer = Buffer.alloc(0);
  private readonly side: Side;

  constructor(side: Side) {
    this.side = side;
  }

  push(chunk: Buffer): Heard[] {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    const frames: Heard[] = [];
    for (;;) {
      const { bytes } = this;
      if (bytes.length < 2) return frames;
      const isMasked = (bytes[1]! & 0x80) !== 0;
      if (isMasked !== (this.side === 'client')) throw new Error('a frame with the wrong masking');
      if ((bytes[0]! & 0xf0) !== 0x80) throw new Error('a frame in fragments, or reserved bits');
      const short = bytes[1]! & 0x7f;
      const lengthBytes = short < 126 ? 0 : short === 126 ? 2 : 8;
      const maskAt = 2 + lengthBytes;
      const from = maskAt + (isMasked ? 4 : 0);
      if (bytes.length < from) return frames;
      const length =
        lengthBytes === 0
          ? short
          : lengthBytes === 2
            ? bytes.readUInt16BE(2)
            : Number(bytes.readBigUInt64BE(2));
      if (bytes.length < from + length) return frames;
      const mask = bytes.subarray(maskAt, from);
      const payload = bytes
        .subarray(from, from + length)
        .map((byte, i) => byte ^ (isMasked ? (mask[i % 4] as number) : 0));
      frames.push({ opcode: bytes[0]! & 0x0f, payload: Buffer.from(payload) });
      this.bytes = bytes.subarray(from + length);
    }
  }
}

/** What the peer heard until the end of a case. */
export interface Reaction {
  /** Payloads of binary messages. */
  readonly messages: readonly Buffer[];
  readonly pongs: readonly string[];
  /** `open`, `close:<code>` or `end`. */
  readonly ending: string;
}

/**
 * Says `frames` to `side` on an upgraded socket and listens until it answers the probe behind them,
 * or TCP ends. `early` are bytes that came with the upgrade.
 */
export async function converse(
  socket: Socket,
  side: Side,
  talk: { readonly frames: readonly FrameSpec[]; readonly segment?: number | undefined },
): Promise<Reaction> {
  const reader = new FrameReader(side);
  const messages: Buffer[] = [];
  const pongs: string[] = [];
  let ending = '';
  let wrong: Error | null = null;
  const onData = (chunk: Buffer): void => {
    try {
      for (const { opcode, payload } of reader.push(chunk)) {
        if (ending.startsWith('close:')) throw new Error('a frame after a close frame');
        if (opcode === Opcode.Binary) messages.push(payload);
        else if (opcode === Opcode.Close) {
          ending = `close:${payload.length >= 2 ? payload.readUInt16BE(0) : ''}`;
        } else if (opcode === Opcode.Pong && payload.toString() === PROBE) {
          ending = 'open';
          socket.destroy();
        } else if (opcode === Opcode.Pong) pongs.push(payload.toString());
        else if (opcode !== Opcode.Ping) throw new Error(`opcode ${opcode}`);
      }
    } catch (error) {
      wrong = error as Error;
      socket.destroy();
    }
  };
  socket.on('data', onData);
  const gone = socket.closed ? Promise.resolve() : once(socket, 'close');
  const probe = { first: 0x80 | Opcode.Ping, payload: Buffer.from(PROBE) };
  const bytes = Buffer.concat([...talk.frames, probe].map((spec) => encodeFrame(spec, side)));
  const step = talk.segment ?? bytes.length;
  for (let at = 0; at < bytes.length && socket.writable; at += step) {
    socket.write(bytes.subarray(at, at + step));
    if (talk.segment !== undefined) await nextTurn();
  }
  await gone;
  if (wrong !== null) throw wrong;
  return { messages, pongs, ending: ending === '' ? 'end' : ending };
}

/** The reaction in words; `requests` are the numbers of the messages that were taken. */
export function inWords(reaction: Reaction, requests: readonly number[]): string {
  const words: string[] = [];
  if (requests.length > 0) words.push(`msg:${requests.join(',')}`);
  if (reaction.pongs.length > 0) words.push(`pong:${reaction.pongs.join(',')}`);
  words.push(reaction.ending);
  return words.join(' ');
}
