/**
 * Packets of a small world as bytes: what a step puts on a link went through the real codec, and
 * goes through it again when it arrives.
 */
import {
  assert,
  decode,
  DecodeResult,
  encodeAlone,
  KIND_NAME,
  Kind,
  Packet,
} from '../protocol/index.ts';

export type PacketBytes = Uint8Array<ArrayBuffer>;

export function toBytes(packet: Packet): PacketBytes {
  return encodeAlone(packet);
}

/** A fresh packet whose contents are views of `bytes`. */
export function fromBytes(bytes: PacketBytes): Packet {
  const packet = new Packet();
  const result = decode(bytes, new DataView(bytes.buffer), 0, bytes.length, packet);
  assert(result === DecodeResult.Ok, 'a packet of a machine decodes');
  return packet;
}

/** For traces: `msg:N 1#2`, `pull:A request 3, 1 row`. Messages as sender or receiver # seq. */
export function describePacket(packet: Packet): string {
  const name = KIND_NAME[packet.kind];
  switch (packet.kind) {
    case Kind.MsgR:
    case Kind.MsgN:
    case Kind.AckR:
      return `${name} #${packet.seq}`;
    case Kind.MsgA:
    case Kind.AckA:
      return `${name} #${packet.seq} status ${packet.status}`;
    case Kind.AckN:
      return `${name} #${packet.seq} ${packet.confirmation === 0 ? 'delivered' : 'stored'}`;
    case Kind.PullA: {
      const rows = packet.rows.map(({ seq }) => `#${seq}`).join(' ');
      return `${name} [${rows}]${packet.more ? ' and more' : ''}`;
    }
    default:
      return name;
  }
}
