/**
 * Trace: what happened in a world, as a hash always and as readable lines on demand. Two runs of one
 * plan must give the same hash; that is what makes a seed a proof that anybody can repeat.
 */
import {
  Confirmation,
  isPage,
  Kind,
  KIND_NAME,
  type Packet,
  statusName,
} from '../protocol/index.ts';
import { mix } from './random.ts';

/** One line of a recorded trace. */
export interface TraceLine {
  readonly atMs: number;
  readonly text: string;
  /** Messages that the line is about, by name. */
  readonly messages: readonly string[];
  /** Users whom it is about; empty = everybody of `server`. */
  readonly users: readonly number[];
  readonly server: number | null;
  /** A packet's way, as opposed to what happened to people and servers. */
  readonly isPacket: boolean;
}

/** What a line is about. */
export interface About {
  readonly messages?: readonly string[];
  readonly users?: readonly number[];
  readonly server?: number;
  readonly isPacket?: boolean;
}

/** The name of a message: `1>2 7:3` is the third from 1 to 2 in epoch 7. */
export function nameOf(from: number, to: number, epoch: number, seq: number): string {
  return `${from}>${to} ${epoch}:${seq}`;
}

export class Trace {
  /** Every recorded line; null when only the hash is wanted. */
  readonly lines: TraceLine[] | null;
  events = 0;
  private high = 0x2545f491;
  private low = 0x6c62272e;

  constructor(isRecording: boolean) {
    this.lines = isRecording ? [] : null;
  }

  /** 16 hex digits. */
  get hash(): string {
    const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
    return hex(this.high) + hex(this.low);
  }

  /** Mixes an event into the hash; `what` names its kind. */
  add(atMs: number, what: number, a: number, b: number): void {
    this.events++;
    const time = Math.round(atMs * 1000);
    this.low = mix(mix(mix(mix(this.low, time), what), a), b);
    this.high = mix(this.high ^ (time / 4294967296), this.low);
  }

  /** Adds a packet to the hash, all fields that matter. */
  addPacket(atMs: number, what: number, user: number, packet: Packet): void {
    const { kind, uid, epoch, seq, status, confirmation, request } = packet;
    this.add(atMs, what, user, kind);
    this.add(atMs, epoch, seq, uid);
    this.add(atMs, status * 2 + confirmation, request, packet.rows.length);
  }

  /** Records a line; `text` is made only when somebody wants to read it. */
  tell(atMs: number, about: About, text: () => string): void {
    if (this.lines === null) return;
    const { messages = [], users = [], server = null, isPacket = false } = about;
    this.lines.push({ atMs, text: text(), messages, users, server, isPacket });
  }
}

/** Messages that a packet names. `user` is the client at the other end of the link. */
export function messagesOf(packet: Packet, user: number): string[] {
  const { uid, epoch, seq } = packet;
  switch (packet.kind) {
    case Kind.MsgR:
    case Kind.MsgA:
    case Kind.AckN:
      return [nameOf(user, uid, epoch, seq)];
    case Kind.MsgN:
    case Kind.AckR:
    case Kind.AckA:
      return [nameOf(uid, user, epoch, seq)];
    case Kind.PullA:
      return packet.rows.map((row) => nameOf(row.sender, user, row.epoch, row.seq));
    default:
      return [];
  }
}

/** A packet in a few words. `user` is the client at the other end of the link. */
export function describePacket(packet: Packet, user: number): string {
  const name = KIND_NAME[packet.kind];
  const message = messagesOf(packet, user).join(', ');
  switch (packet.kind) {
    case Kind.MsgR:
      return `${name} ${message}${packet.flags === 0 ? '' : ' again'}`;
    case Kind.MsgA:
    case Kind.AckA:
      return `${name} ${message} ${statusName(packet.status)}`;
    case Kind.AckN:
      return `${name} ${message} ${packet.confirmation === Confirmation.Stored ? 'stored' : 'delivered'}`;
    case Kind.MsgN:
    case Kind.AckR:
      return `${name} ${message}`;
    case Kind.PullR:
    case Kind.DoneR:
      return `${name} #${packet.request}${isPage(packet.page) ? ' with the page before' : ''}`;
    case Kind.PullA: {
      const more = packet.more ? ', more' : '';
      const rows = packet.rows.length === 0 ? 'no rows' : message;
      return `${name} #${packet.request} ${statusName(packet.status)}: ${rows}${more}`;
    }
    case Kind.CountA:
    case Kind.DoneA:
      return `${name} #${packet.request} ${statusName(packet.status)}`;
    case Kind.CountR:
      return `${name} #${packet.request}`;
    default:
      return name;
  }
}

/**
 * The lines of a trace that tell the life of one message: from its submission on, every packet that
 * names it, and what happens to its sender, its receiver and their server.
 */
export function lifeOf(
  lines: readonly TraceLine[],
  message: { name: string; from: number; to: number; server: number },
): TraceLine[] {
  const { name, from, to, server } = message;
  const start = lines.findIndex(({ messages }) => messages.includes(name));
  return lines.slice(Math.max(0, start)).filter((line) => {
    if (line.messages.length > 0) return line.messages.includes(name);
    if (line.isPacket) return false;
    if (line.users.length > 0) return line.users.includes(from) || line.users.includes(to);
    return line.server === null || line.server === server;
  });
}

export function formatLine({ atMs, text }: TraceLine): string {
  return `${atMs.toFixed(1).padStart(10)} ms  ${text}`;
}
