/** Codec: the six packets of one message with 128 bytes of content, and a page of 50 such rows. */
import {
  Confirmation,
  decode,
  DecodeResult,
  encode,
  encodedBytes,
  Kind,
  Packet,
  PAGE_TOKEN_BYTES,
  type Row,
} from '../../protocol/index.ts';
import type { Benchmark } from './benchmark.ts';

const MESSAGES = 500;
const PAGES = 50;
const ROWS = 50;
const CONTENT = new Uint8Array(128).fill(7);

function packet(kind: Kind, fields: Partial<Packet> = {}): Packet {
  const name = { uid: 5_000_000_000, epoch: 77, seq: 123_456 };
  return Object.assign(new Packet(), name, { kind, ...fields });
}

function sixPackets(): Packet[] {
  return [
    packet(Kind.MsgR, { msgType: 1, content: CONTENT }),
    packet(Kind.MsgA),
    packet(Kind.MsgN, { msgType: 1, content: CONTENT }),
    packet(Kind.AckR),
    packet(Kind.AckA),
    packet(Kind.AckN, { confirmation: Confirmation.Delivered }),
  ];
}

function page(): Packet {
  const rows = Array.from({ length: ROWS }, (_, index): Row => {
    return {
      sender: 1000 + index,
      epoch: 77,
      seq: index + 1,
      timeMs: 1_700_000_000_000,
      msgType: 1,
      content: CONTENT,
    };
  });
  const token = new Uint8Array(PAGE_TOKEN_BYTES).fill(3);
  return packet(Kind.PullA, { request: 9, more: true, page: token, rows });
}

/** Packets one after the other in one buffer. */
function encodeAll(packets: readonly Packet[]): {
  bytes: Uint8Array;
  view: DataView;
  lengths: number[];
} {
  const lengths = packets.map(encodedBytes);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const each of packets) at += encode(each, bytes, view, at);
  return { bytes, view, lengths };
}

function encoding(packets: readonly Packet[], times: number): ReturnType<Benchmark['prepare']> {
  const { bytes, view, lengths } = encodeAll(packets);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return {
    expected: times * total,
    run: () => {
      let written = 0;
      for (let i = 0; i < times; i++) {
        let at = 0;
        for (const each of packets) at += encode(each, bytes, view, at);
        written += at;
      }
      return written;
    },
  };
}

function decoding(
  packets: readonly Packet[],
  times: number,
  proof: (into: Packet) => number,
): ReturnType<Benchmark['prepare']> {
  const { bytes, view, lengths } = encodeAll(packets);
  const into = new Packet();
  return {
    expected: times * packets.reduce((sum, each) => sum + proof(each), 0),
    run: () => {
      let sum = 0;
      for (let i = 0; i < times; i++) {
        let at = 0;
        for (const length of lengths) {
          if (decode(bytes, view, at, length, into) !== DecodeResult.Ok) return -1;
          sum += proof(into);
          at += length;
        }
      }
      return sum;
    },
  };
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'codec: encode six packets',
    operations: MESSAGES,
    prepare: () => encoding(sixPackets(), MESSAGES),
  },
  {
    name: 'codec: decode six packets',
    operations: MESSAGES,
    prepare: () => decoding(sixPackets(), MESSAGES, (into) => into.kind + into.seq),
  },
  {
    name: 'codec: encode page of 50',
    operations: PAGES,
    prepare: () => encoding([page()], PAGES),
  },
  {
    name: 'codec: decode page of 50',
    operations: PAGES,
    prepare: () => {
      const proof = ({ rows }: Packet) => rows.length + (rows[ROWS - 1]?.content[0] ?? 0);
      return decoding([page()], PAGES, proof);
    },
  },
];
