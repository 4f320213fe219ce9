/**
 * RFC 6455 case by case, as data: what a peer sends, what the RFC wants in answer, and where a side
 * of ours is known to differ, with the reason. Sections of Autobahn's suite are the model; run against
 * the server and against the client's socket by test/e2e/rfc6455.test.ts.
 *
 * A reaction is a line of words: `msg:1,2` are the messages taken (numbers of count:R packets, which
 * the server answers and the client's listener is handed), `pong:x` the pongs, then how it ends:
 * `open` (a ping at the end is answered), `close:1002` (a close frame), or `end` (TCP without one).
 */

/** A frame as both sides write it; only a client masks. */
export interface FrameSpec {
  /** First byte: FIN, reserved bits, opcode. */
  readonly first: number;
  readonly payload: Buffer;
  /** True: masked by a server, or not masked by a client. */
  readonly isMaskWrong?: boolean;
  /** Bytes of the extended length: 0, 2 or 8; default the fewest that do. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** The length that the header announces; default the payload's. */
  readonly announced?: bigint;
}

export type Side = 'server' | 'client';

/**
 * As Autobahn has them. `ok`: what the RFC wants. `non-strict`: allowed, but there is a better way,
 * such as ending TCP where a close frame SHOULD come first. `informational`: the RFC leaves it open.
 * `failed`: against a MUST.
 */
type Verdict = 'ok' | 'non-strict' | 'informational' | 'failed';

interface Known {
  readonly verdict: Exclude<Verdict, 'ok'>;
  readonly reaction: string;
  readonly why: string;
}

export interface Rfc6455Case {
  readonly id: string;
  /** Of the RFC. */
  readonly section: string;
  readonly title: string;
  readonly frames: readonly FrameSpec[];
  /** Bytes per TCP segment; default all at once. */
  readonly segment?: number;
  readonly wants: string;
  /** Where a side differs. A side that is not named does what is wanted. */
  readonly known?: Readonly<Partial<Record<Side, Known>>>;
}

/** Largest message of either side in these cases, in bytes. */
export const MESSAGE_MAX_BYTES = 4196;

/** A count:R with this request number: a whole packet of 8 bytes. */
function packet(request: number): Buffer {
  const bytes = Buffer.from([0x21, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeUInt32LE(request, 4);
  return bytes;
}

export const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;
const FIN = 0x80;

function frame(first: number, payload: Buffer | string = '', more: object = {}): FrameSpec {
  return { first, payload: Buffer.from(payload as string), ...more };
}

const binary = (request: number, more: object = {}): FrameSpec =>
  frame(FIN | Opcode.Binary, packet(request), more);
const start = (bytes: Buffer | string): FrameSpec => frame(Opcode.Binary, bytes);
const middle = (bytes: Buffer | string): FrameSpec => frame(Opcode.Continuation, bytes);
const last = (bytes: Buffer | string): FrameSpec => frame(FIN | Opcode.Continuation, bytes);
const ping = (text: string): FrameSpec => frame(FIN | Opcode.Ping, text);
const pong = (text: string): FrameSpec => frame(FIN | Opcode.Pong, text);
const text = (bytes: Buffer | string): FrameSpec => frame(FIN | Opcode.Text, bytes);

/** A close frame; a number becomes its code. */
function close(code?: number, reason: Buffer | string = ''): FrameSpec {
  if (code === undefined) return frame(FIN | Opcode.Close);
  const head = Buffer.from([code >> 8, code & 0xff]);
  return frame(FIN | Opcode.Close, Buffer.concat([head, Buffer.from(reason as string)]));
}

const one = packet(1);
const NO_UTF8 = Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex');

// ---- what uWebSockets.js does its own way -----------------------------------------------------

/** It forces TCP closed where a close frame SHOULD come first (section 7.1.7). */
const DROPS =
  'uWebSockets.js ends TCP at once where a close frame with a code SHOULD come first (7.1.7)';
const drops = (reaction = 'end', besides = ''): Readonly<Partial<Record<Side, Known>>> => ({
  server: {
    verdict: 'non-strict',
    reaction,
    why: besides === '' ? DROPS : `${DROPS}; ${besides}`,
  },
});

/** It answers what it does not like in a close frame with a close frame without a code. */
const closesWithoutCode = (why: string): Readonly<Partial<Record<Side, Known>>> => ({
  server: { verdict: 'non-strict', reaction: 'close:', why },
});

const NO_SUCH_CODE =
  'uWebSockets.js answers the close with an empty close frame, where 1002 would name the mistake';
const UNKNOWN_CODE =
  'uWebSockets.js knows 1000-1003, 1007-1011 and 4000-4999; the answer typically echoes the code';
/** What the server answers waits for the end of the loop turn; by then the connection is gone. */
const UNSENT = 'the answer to what came before in the same segment is dropped with the connection';

export const CASES: readonly Rfc6455Case[] = [
  // 1: messages and lengths (5.2)
  { id: '1.1', section: '5.2', title: 'a message', frames: [binary(1)], wants: 'msg:1 open' },
  {
    id: '1.2',
    section: '5.2',
    title: 'fifty messages in one segment',
    frames: Array.from({ length: 50 }, (_, i) => binary(i + 1)),
    wants: `msg:${Array.from({ length: 50 }, (_, i) => i + 1).join(',')} open`,
  },
  {
    id: '1.3',
    section: '5.2',
    title: 'two messages cut at every byte',
    frames: [binary(1), binary(2)],
    segment: 1,
    wants: 'msg:1,2 open',
  },
  {
    id: '1.4',
    section: '5.2',
    title: 'a length of 8 written in 16 bits',
    frames: [binary(1, { lengthBytes: 2 })],
    wants: 'close:1002',
    known: both(
      'msg:1 open',
      'both read a length that is longer than it need be; the rule binds the sender, nothing names what a receiver does',
    ),
  },
  {
    id: '1.5',
    section: '5.2',
    title: 'a length of 8 written in 64 bits',
    frames: [binary(1, { lengthBytes: 8 })],
    wants: 'close:1002',
    known: both(
      'msg:1 open',
      'both read a length that is longer than it need be; the rule binds the sender, nothing names what a receiver does',
    ),
  },
  {
    id: '1.6',
    section: '5.2',
    title: 'a length of 2^53 + 1',
    frames: [frame(FIN | Opcode.Binary, one, { lengthBytes: 8, announced: 2n ** 53n + 1n })],
    wants: 'close:1009',
    known: drops(),
  },
  {
    id: '1.7',
    section: '5.2',
    title: 'a length with its highest bit set',
    frames: [frame(FIN | Opcode.Binary, one, { lengthBytes: 8, announced: 2n ** 63n + 8n })],
    wants: 'close:1009',
    known: drops(),
  },
  {
    id: '1.8',
    section: '10.4',
    title: 'a frame one byte above the largest message',
    frames: [frame(FIN | Opcode.Binary, Buffer.alloc(MESSAGE_MAX_BYTES + 1))],
    wants: 'close:1009',
    known: drops(),
  },
  {
    id: '1.9',
    section: '10.4',
    title: 'fragments that are together above the largest message',
    frames: [
      start(Buffer.alloc(MESSAGE_MAX_BYTES - 10)),
      middle(Buffer.alloc(10)),
      last(Buffer.alloc(1)),
    ],
    wants: 'close:1009',
    known: drops(),
  },

  // 2: control frames (5.5)
  { id: '2.1', section: '5.5.2', title: 'a ping', frames: [ping('x')], wants: 'pong:x open' },
  {
    id: '2.2',
    section: '5.5.2',
    title: 'a ping without a payload',
    frames: [ping('')],
    wants: 'pong: open',
  },
  {
    id: '2.3',
    section: '5.5',
    title: 'a ping of 125 bytes',
    frames: [ping('x'.repeat(125))],
    wants: `pong:${'x'.repeat(125)} open`,
  },
  {
    id: '2.4',
    section: '5.5',
    title: 'a ping of 126 bytes',
    frames: [ping('x'.repeat(126))],
    wants: 'close:1002',
    known: drops(),
  },
  {
    id: '2.5',
    section: '5.5',
    title: 'a ping in fragments',
    frames: [frame(Opcode.Ping, 'x'), last('y')],
    wants: 'close:1002',
    known: drops(),
  },
  {
    id: '2.6',
    section: '5.5.3',
    title: 'a pong that nobody asked for',
    frames: [pong('unasked'), binary(1)],
    wants: 'msg:1 open',
  },
  {
    id: '2.7',
    section: '5.5.2',
    title: 'ten pings in one segment, cut at every byte',
    frames: Array.from({ length: 10 }, (_, i) => ping(String(i))),
    segment: 1,
    wants: 'pong:0,1,2,3,4,5,6,7,8,9 open',
  },
  {
    id: '2.8',
    section: '5.5',
    title: 'a close frame of 126 bytes',
    frames: [close(1000, 'x'.repeat(124))],
    wants: 'close:1002',
    known: drops(),
  },
  {
    id: '2.9',
    section: '5.5',
    title: 'a close frame in fragments',
    frames: [frame(Opcode.Close, Buffer.from([3, 0xe8])), last('')],
    wants: 'close:1002',
    known: drops(),
  },

  // 3: reserved bits and opcodes, masks (5.1, 5.2)
  ...[0x40, 0x20, 0x10, 0x70].map((bits, i): Rfc6455Case => ({
    id: `3.${i + 1}`,
    section: '5.2',
    title: `reserved bits 0x${bits.toString(16)} after a good message`,
    frames: [binary(1), frame(FIN | bits | Opcode.Binary, packet(2))],
    wants: 'msg:1 close:1002',
    known: drops('end', UNSENT),
  })),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): Rfc6455Case => ({
    id: `3.op${opcode}`,
    section: '5.2',
    title: `the reserved opcode ${opcode}`,
    frames: [frame(FIN | opcode, one), binary(2)],
    wants: 'close:1002',
    known: drops(),
  })),
  {
    id: '3.m1',
    section: '5.1',
    title: 'a frame that is masked by a server, or not masked by a client',
    frames: [binary(1, { isMaskWrong: true }), binary(2)],
    wants: 'close:1002',
    known: {
      server: {
        verdict: 'failed',
        reaction: 'close:4500',
        why: 'uWebSockets.js does not look at the mask bit and takes the first four bytes for a mask; what it reads then is no packet',
      },
    },
  },

  // 4: fragmentation (5.4)
  {
    id: '4.1',
    section: '5.4',
    title: 'a message in two fragments',
    frames: [start(one.subarray(0, 3)), last(one.subarray(3))],
    wants: 'msg:1 open',
  },
  {
    id: '4.2',
    section: '5.4',
    title: 'a message in eight fragments of a byte, cut at every byte',
    frames: [...one].map((byte, i) =>
      frame(i === 0 ? Opcode.Binary : i === 7 ? FIN : 0, Buffer.of(byte)),
    ),
    segment: 1,
    wants: 'msg:1 open',
  },
  {
    id: '4.3',
    section: '5.4',
    title: 'fragments without a byte around the message',
    frames: [start(''), middle(''), middle(one), middle(''), last('')],
    wants: 'msg:1 open',
  },
  {
    id: '4.4',
    section: '5.4',
    title: 'five thousand fragments without a byte',
    frames: [start(one), ...Array.from({ length: 5000 }, () => middle('')), last('')],
    wants: 'msg:1 open',
  },
  {
    id: '4.5',
    section: '5.4',
    title: 'a ping and a pong between fragments',
    frames: [start(one.subarray(0, 1)), ping('a'), pong('b'), last(one.subarray(1)), binary(2)],
    wants: 'msg:1,2 pong:a open',
  },
  {
    id: '4.6',
    section: '5.4',
    title: 'a continuation without a start',
    frames: [last(one), binary(2)],
    wants: 'close:1002',
    known: drops(),
  },
  {
    id: '4.7',
    section: '5.4',
    title: 'an unfinished continuation without a start',
    frames: [middle(one), binary(2)],
    wants: 'close:1002',
    known: drops(),
  },
  {
    id: '4.8',
    section: '5.4',
    title: 'a continuation after a message that was whole',
    frames: [binary(1), last(one)],
    wants: 'msg:1 close:1002',
    known: drops('end', UNSENT),
  },
  {
    id: '4.9',
    section: '5.4',
    title: 'a message that starts within another',
    frames: [start(one), binary(2)],
    wants: 'close:1002',
    known: {
      server: {
        verdict: 'failed',
        reaction: 'close:4500',
        why: 'uWebSockets.js takes the second start for a continuation; the two together are no packet',
      },
    },
  },
  {
    id: '4.10',
    section: '5.4',
    title: 'a close frame between fragments',
    frames: [start(one.subarray(0, 4)), close(1000), last(one.subarray(4))],
    wants: 'close:1000',
  },

  // 5: text (8.1). The protocol has no text: 1003 is its answer to good text.
  {
    id: '5.1',
    section: '5.6',
    title: 'a text message',
    frames: [text('hello')],
    wants: 'close:1003',
  },
  {
    id: '5.2',
    section: '5.6',
    title: 'an empty text message',
    frames: [text('')],
    wants: 'close:1003',
  },
  {
    id: '5.3',
    section: '8.1',
    title: 'text that is not UTF-8',
    frames: [text(NO_UTF8)],
    wants: 'close:1007',
    known: {
      ...drops(),
      client: {
        verdict: 'non-strict',
        reaction: 'close:1003',
        why: 'no text is looked into: whatever it holds, it is refused as text',
      },
    },
  },

  // 6: closing (5.5.1, 7)
  {
    id: '6.1',
    section: '5.5.1',
    title: 'a close frame without a payload',
    frames: [close()],
    wants: 'close:',
  },
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 4000, 4999].map(
    (code): Rfc6455Case => ({
      id: `6.c${code}`,
      section: '7.4',
      title: `the close code ${code}`,
      frames: [close(code)],
      wants: `close:${code}`,
    }),
  ),
  ...[1012, 1013, 1014].map((code): Rfc6455Case => ({
    id: `6.c${code}`,
    section: '7.4',
    title: `the close code ${code}, registered later`,
    frames: [close(code)],
    wants: `close:${code}`,
    known: closesWithoutCode(UNKNOWN_CODE),
  })),
  ...[3000, 3999].map((code): Rfc6455Case => ({
    id: `6.c${code}`,
    section: '7.4.2',
    title: `the close code ${code} of a framework`,
    frames: [close(code)],
    wants: `close:${code}`,
    known: closesWithoutCode(UNKNOWN_CODE),
  })),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map(
    (code): Rfc6455Case => ({
      id: `6.c${code}`,
      section: '7.4',
      title: `the close code ${code}, which no frame may hold`,
      frames: [close(code)],
      wants: 'close:1002',
      known: closesWithoutCode(NO_SUCH_CODE),
    }),
  ),
  {
    id: '6.2',
    section: '5.5.1',
    title: 'a close frame of one byte',
    frames: [frame(FIN | Opcode.Close, 'x')],
    wants: 'close:1002',
    known: closesWithoutCode(NO_SUCH_CODE),
  },
  {
    id: '6.3',
    section: '5.5.1',
    title: 'a close reason of 123 bytes',
    frames: [close(1000, 'r'.repeat(123))],
    wants: 'close:1000',
  },
  {
    id: '6.4',
    section: '5.5.1',
    title: 'a close reason that is not UTF-8',
    frames: [close(1000, NO_UTF8)],
    wants: 'close:1007',
    known: closesWithoutCode(
      'uWebSockets.js answers with an empty close frame, where 1007 would name the mistake',
    ),
  },
  {
    id: '6.5',
    section: '5.5.1',
    title: 'a message, a ping and a second close after a close frame',
    frames: [close(1000), binary(1), ping('late'), close(1001)],
    wants: 'close:1000',
  },
  {
    id: '6.6',
    section: '5.5.1',
    title: 'a message before a close frame, in one segment',
    frames: [binary(1), close(1001)],
    wants: 'msg:1 close:1001',
    known: { server: { verdict: 'informational', reaction: 'close:1001', why: UNSENT } },
  },
  {
    id: '6.7',
    section: '5.5.1',
    title: 'a close frame cut at every byte',
    frames: [ping('p'), close(1000, 'done')],
    segment: 1,
    wants: 'pong:p close:1000',
  },
];

function both(reaction: string, why: string): Readonly<Record<Side, Known>> {
  const known = { verdict: 'informational', reaction, why } as const;
  return { server: known, client: known };
}
