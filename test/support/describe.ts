/**
 * Packets and effects as one line of text each, so that a test compares what a machine did with what
 * it should have done as a list of lines:
 *
 *     send msg:R 2 7:1 "hi"                msg:R to user 2, epoch 7, seq 1
 *     settled 2 7:1 tag 5 delivered after 1
 *     to A: pull:A #3 ok page 2/0/1/2 rows 1 7:1, 1 7:2
 */
import {
  type ClientEffect,
  ClientEffectKind,
  type ClientEffects,
  CLOSE_INFO,
  Confirmation,
  type EffectBuffer,
  type GatewayEffect,
  GatewayEffectKind,
  type GatewayEffects,
  isPage,
  Kind,
  KIND_NAME,
  never,
  Order,
  OUTCOME_NAME,
  Packet,
  type PageRange,
  type PullQuery,
  statusName,
} from '../../protocol/index.ts';

/** A packet with these fields. */
export function packet(kind: Kind, fields: Partial<Packet> = {}): Packet {
  return Object.assign(new Packet(), { kind, ...fields });
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(content: Uint8Array): string {
  return new TextDecoder().decode(content);
}

function describeToken(token: Uint8Array): string {
  if (!isPage(token)) return '-';
  const view = new DataView(token.buffer, token.byteOffset, token.byteLength);
  return [0, 8, 16, 24].map((at) => String(view.getBigUint64(at, true))).join('/');
}

function describeRange({ receiver, sender, first, last }: PageRange): string {
  return `${receiver}/${sender}/${first}/${last}`;
}

function describeQuery(order: Order, limit: number, limitBytes: number): string {
  return `${order === Order.OldestFirst ? 'oldest' : 'newest'} ${limit}/${limitBytes}`;
}

export function describePacket(p: Packet): string {
  const name = KIND_NAME[p.kind];
  const message = `${name} ${p.uid} ${p.epoch}:${p.seq}`;
  switch (p.kind) {
    case Kind.MsgR:
      return `${message} "${textOf(p.content)}"${p.flags === 0 ? '' : ' again'}`;
    case Kind.MsgN:
      return `${message} "${textOf(p.content)}"`;
    case Kind.MsgA:
    case Kind.AckA:
      return `${message} ${statusName(p.status)}`;
    case Kind.AckR:
      return message;
    case Kind.AckN:
      return `${message} ${p.confirmation === Confirmation.Stored ? 'stored' : 'delivered'}`;
    case Kind.CountR:
      return `${name} #${p.request}`;
    case Kind.CountA: {
      const counts = p.counts.map(({ sender, count }) => ` ${sender}:${count}`).join('');
      return `${name} #${p.request} ${statusName(p.status)}${counts}`;
    }
    case Kind.PullR: {
      const query = describeQuery(p.order, p.limit, p.limitBytes);
      return `${name} #${p.request} from ${p.uid} ${query} page ${describeToken(p.page)}`;
    }
    case Kind.PullA: {
      const head = `${name} #${p.request} ${statusName(p.status)}${p.more ? ' more' : ''}`;
      const rows = p.rows.map(({ sender, epoch, seq }) => `${sender} ${epoch}:${seq}`);
      return `${head} page ${describeToken(p.page)} rows ${rows.join(', ')}`.trimEnd();
    }
    case Kind.DoneR:
      return `${name} #${p.request} page ${describeToken(p.page)}`;
    case Kind.DoneA:
      return `${name} #${p.request} ${statusName(p.status)}`;
    case Kind.InboxN:
    case Kind.KickN:
      return name;
    default:
      return never(p.kind, 'packet kind');
  }
}

function describeClientEffect(e: ClientEffect): string {
  const message = `${e.uid} ${e.epoch}:${e.seq}`;
  const way = e.paged ? 'paged' : 'pushed';
  const trouble = e.status === 0 ? '' : ` ${statusName(e.status)}`;
  switch (e.kind) {
    case ClientEffectKind.Send:
      return `send ${describePacket(e.packet)}`;
    case ClientEffectKind.Deliver:
      return `deliver ${message} "${textOf(e.content)}" ${way}`;
    case ClientEffectKind.Repeat:
      return `repeat ${message} ${way}`;
    case ClientEffectKind.Accepted:
      return `accepted ${message} tag ${e.tag}`;
    case ClientEffectKind.Settled:
      return `settled ${message} tag ${e.tag} ${OUTCOME_NAME[e.outcome]}${trouble} after ${e.attempts}`;
    case ClientEffectKind.Drained:
      return `drained${trouble}`;
    case ClientEffectKind.Kicked:
      return 'kicked';
    default:
      return never(e.kind, 'client effect');
  }
}

function describeGatewayEffect(e: GatewayEffect<string>): string {
  switch (e.kind) {
    case GatewayEffectKind.Send:
      return `to ${e.session?.handle}: ${describePacket(e.packet)}`;
    case GatewayEffectKind.Close:
      return `close ${e.session?.handle} ${CLOSE_INFO[e.closeCode].name}`;
    case GatewayEffectKind.Put: {
      const { sender, receiver, epoch, seq, content, timeMs } = present(e.put).row;
      return `put ${sender}>${receiver} ${epoch}:${seq} "${textOf(content)}" at ${timeMs}`;
    }
    case GatewayEffectKind.Page: {
      const query: PullQuery = present(e.page).query;
      const { receiver, sender, order, limit, limitBytes } = query;
      return `page ${receiver} from ${sender} ${describeQuery(order, limit, limitBytes)}`;
    }
    case GatewayEffectKind.Counts:
      return `counts ${present(e.counts).session.uid}`;
    case GatewayEffectKind.DeletePage:
      return `delete ${describeRange(present(e.deletion).range)}`;
    case GatewayEffectKind.Remove:
      return `remove ${e.packet.uid}>${e.receiver} ${e.packet.epoch}:${e.packet.seq}`;
    default:
      return never(e.kind, 'gateway effect');
  }
}

/** For what must be there: throws instead of passing null on. */
export function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('a value is missing');
  return value;
}

function drain<T>(out: EffectBuffer<T>, describe: (effect: T) => string): string[] {
  const lines: string[] = [];
  for (let i = 0; i < out.length; i++) lines.push(describe(out.at(i)));
  out.clear();
  return lines;
}

/** Empties the buffer into lines. */
export function drainClient(out: ClientEffects): string[] {
  return drain(out, describeClientEffect);
}

/** Empties the buffer into lines; sessions are named by their handle. */
export function drainGateway(out: GatewayEffects<string>): string[] {
  return drain(out, describeGatewayEffect);
}
