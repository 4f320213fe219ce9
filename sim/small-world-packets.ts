/**
 * Packets of a small world as bytes: what a step puts on a link went through the real codec, and
 * goes through it again when it arrives.
 */
import {
  assert,
  decode,
  DecodeResult,
  encodeAlone,
  isPage,
  KIND_NAME,
  Kind,
  Packet,
  Status,
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

/** The request number of everything that is not the newest; see `UserPart.renameRequests`. */
export const STALE_REQUEST = 0;

/** True for packets that change nothing, whenever they come, but what counts as accepted. */
export function isBeyondFaults({ kind, status, request }: Packet): boolean {
  switch (kind) {
    case Kind.AckA:
      return true;
    case Kind.MsgA:
      return status === Status.Ok || status === Status.StoreFailed;
    case Kind.PullA:
    case Kind.CountA:
    case Kind.DoneA:
      return request === STALE_REQUEST;
    default:
      return false;
  }
}

/**
 * `bytes` with the request number called stale; none when the packet then changes nothing: an answer,
 * which the client drops, or a request that acknowledges no page, whose answer it drops.
 */
export function agedBytes(bytes: PacketBytes): readonly PacketBytes[] {
  const packet = fromBytes(bytes);
  switch (packet.kind) {
    case Kind.PullA:
    case Kind.CountA:
    case Kind.DoneA:
    case Kind.CountR:
      return [];
    case Kind.PullR:
    case Kind.DoneR:
      if (!isPage(packet.page)) return [];
      packet.request = STALE_REQUEST;
      return [toBytes(packet)];
    default:
      return [bytes];
  }
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
