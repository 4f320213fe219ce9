/**
 * The wire codec against any bytes. Decoding never throws, never reads outside of what it was given,
 * and accepts one encoding of a packet only: what decodes encodes to the same bytes again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Packet } from '../../protocol/index.ts';
import { mutateBytes } from './mutate.ts';
import { expect, type OpenTarget } from './target.ts';

const VECTORS = join(import.meta.dirname, '../../docs/protocol-vectors.json');
const MAX_BYTES = 2048;
/** Bytes before and after the packet, which must not matter. */
const MARGIN = 64;

/** Every packet of the test vectors, the invalid ones too. */
export function vectorPackets(): { valid: Buffer[]; invalid: Buffer[] } {
  const { vectors, invalid } = JSON.parse(readFileSync(VECTORS, 'utf8')) as {
    vectors: { hex: string }[];
    invalid: { hex: string }[];
  };
  const bytesOf = ({ hex }: { hex: string }): Buffer => Buffer.from(hex, 'hex');
  return { valid: vectors.map(bytesOf), invalid: invalid.map(bytesOf) };
}

/** Every u64 of a packet. */
function numbersOf(packet: Packet): number[] {
  switch (packet.kind) {
    case 0x22: // count:A
      return packet.counts.map(({ sender }) => sender);
    case 0x32: // pull:A
      return packet.rows.flatMap(({ sender, timeMs }) => [sender, timeMs]);
    default:
      return [packet.uid];
  }
}

export const openCodecTarget: OpenTarget = async () => {
  const {
    decode,
    DecodeResult,
    encodeAlone,
    encodedBytes,
    Kind,
    KIND_NAME,
    KINDS,
    Packet: PacketRecord,
  } = await import('../../protocol/index.ts');
  const { valid, invalid } = vectorPackets();
  const packet = new PacketRecord();
  const again = new PacketRecord();
  const memory = new Uint8Array(MARGIN + MAX_BYTES + MARGIN);
  const view = new DataView(memory.buffer);

  /** The views that a packet of its kind has into the bytes it came in. */
  const viewsOf = ({ kind, content, page, rows }: Packet): Uint8Array[] => {
    switch (kind) {
      case Kind.MsgR:
      case Kind.MsgN:
        return [content];
      case Kind.PullR:
      case Kind.DoneR:
        return [page];
      case Kind.PullA:
        return [page, ...rows.map((row) => row.content)];
      default:
        return [];
    }
  };

  /** Decodes with other bytes around the input; throws when a byte outside of it is reached. */
  const decodeWithin = (input: Buffer, around: number, into: Packet) => {
    memory.fill(around);
    memory.set(input, MARGIN);
    const result = decode(memory, view, MARGIN, input.length, into);
    const end = MARGIN + input.length;
    if (result === DecodeResult.Ok) {
      for (const part of viewsOf(into)) {
        const isInside = part.byteOffset >= MARGIN && part.byteOffset + part.length <= end;
        expect(part.length === 0 || isInside, 'a view reaches out of the packet');
      }
    }
    return result;
  };

  return {
    sources: /\/protocol\/codec\.ts$/,
    maxBytes: MAX_BYTES,
    batch: 256,
    dictionary: KINDS.map((kind) => Buffer.from([kind, 0, 0, 0])),
    seeds: [...valid, ...invalid],
    mutate: mutateBytes,
    run(input, seen) {
      const result = decodeWithin(input, 0x00, packet);
      const otherResult = decodeWithin(input, 0xff, again);
      expect(result === otherResult, 'bytes around a packet change how it decodes');
      const kind = result === DecodeResult.UnknownKind ? 0 : (input[0] ?? 0);
      seen.add((kind << 4) | result);
      if (result !== DecodeResult.Ok) return;
      expect(packet.kind in KIND_NAME, `an unknown kind ${packet.kind} decodes`);
      expect(encodedBytes(packet) === input.length, 'encodedBytes is not the length that decoded');
      // The views point into `memory`, which the second decoding filled again.
      decodeWithin(input, 0x00, packet);
      const encoded = Buffer.from(encodeAlone(packet));
      expect(decodeWithin(encoded, 0x00, again) === DecodeResult.Ok, 'encode makes no packet');
      // Numbers above 2^53 - 1 decode to one that is no uid: only they may encode otherwise.
      expect(encoded.equals(encodeAlone(again)), 'what is encoded decodes to something else');
      expect(isDeepStrictEqual(numbersOf(packet), numbersOf(again)), 'a number changes on its way');
      const isExact = numbersOf(packet).every(Number.isSafeInteger);
      if (isExact) expect(encoded.equals(input), 'a packet has two encodings');
    },
    describe: (input) => `${input.length} bytes: ${input.toString('hex')}`,
  };
};
