/**
 * Link: one connection of a user to his server, and what the network does to each packet on it.
 *
 * Fate is a function of the packet's name: the n-th packet of its kind, in its direction, of its
 * user. Every fault that strikes has a key; a plan that is being shrunk runs with some keys muted.
 */
import { encodeAlone, type Kind, KIND_NAME, type Packet, type Session } from '../protocol/index.ts';
import type { PacketFaults, Plan } from './plan.ts';
import { unitOf } from './random.ts';

export class Connection {
  readonly user: number;
  readonly server: number;
  /** The server's life that it belongs to. */
  life = -1;
  session: Session<Connection> | null = null;
  /** The client knows that it is open. */
  isEstablished = false;
  /** Nothing gets through, and nobody knows yet. */
  isDead = false;
  /** What the client sent before he hung up still arrives. */
  lingers = false;
  /** Bytes wait here while the client reads slowly; null = he reads. */
  unread: Uint8Array<ArrayBuffer>[] | null = null;
  /** Packets in one direction stay in order, unless a fault says otherwise. */
  nextToServerMs = 0;
  nextToClientMs = 0;

  constructor(user: number, server: number) {
    this.user = user;
    this.server = server;
  }
}

export type Direction = 'to server' | 'to client';

/** Which fault struck: `drop msg:A #3 to client of 2`. */
export type FaultKey = string;

/** Arrival of one copy, ms from now; `inOrder` waits for what was sent before. */
export interface Copy {
  readonly afterMs: number;
  readonly inOrder: boolean;
}

const NO_FAULTS: PacketFaults = { drop: 0, duplicate: 0, delay: 0, reorder: 0 };

/** Salts of the draws of one packet. */
const Draw = { Drop: 1, Duplicate: 2, Delay: 3, Reorder: 4, DelayMs: 5, LatencyMs: 6 } as const;

export class Network {
  isHealed = false;
  /** Faults that struck, by class. */
  readonly struck = new Map<string, number>();
  /** Keys in the order in which they struck; null = not wanted. */
  readonly keys: FaultKey[] | null;
  private readonly plan: Plan;
  private readonly muted: ReadonlySet<FaultKey>;
  private readonly counts = new Map<number, number>();

  constructor(plan: Plan, muted: ReadonlySet<FaultKey>, isRecording: boolean) {
    this.plan = plan;
    this.muted = muted;
    this.keys = isRecording ? [] : null;
  }

  /** True when the fault of this class, with this probability and name, strikes. */
  strikes(
    what: string,
    probability: number,
    name: { user: number; stream: number; nth: number; draw: number },
    describe: () => string,
  ): boolean {
    if (probability === 0 || this.isHealed) return false;
    const { user, stream, nth, draw } = name;
    if (unitOf(this.plan.seed, user, stream, nth, draw) >= probability) return false;
    if (this.muted.size > 0 || this.keys !== null) {
      const key = `${what} ${describe()}`;
      if (this.muted.has(key)) return false;
      this.keys?.push(key);
    }
    this.struck.set(what, (this.struck.get(what) ?? 0) + 1);
    return true;
  }

  /** How many of a stream came before. */
  next(user: number, stream: number): number {
    const key = user * 4096 + stream;
    const nth = (this.counts.get(key) ?? 0) + 1;
    this.counts.set(key, nth);
    return nth;
  }

  latencyMs(user: number, stream: number): number {
    const nth = this.next(user, stream);
    return 0.1 + unitOf(this.plan.seed, user, stream, nth, Draw.LatencyMs) * this.plan.latencyMaxMs;
  }

  /** The fate of one packet: the copies that arrive. */
  fateOf(user: number, direction: Direction, kind: Kind): Copy[] {
    const { plan } = this;
    const faults = plan.packets[kind] ?? NO_FAULTS;
    const stream = kind * 2 + (direction === 'to server' ? 0 : 1);
    const nth = this.next(user, stream);
    const describe = (): string => `${KIND_NAME[kind]} #${nth} of ${user}`;
    const strikes = (what: string, probability: number, draw: number): boolean =>
      this.strikes(what, probability, { user, stream, nth, draw }, describe);
    if (strikes('drop', faults.drop, Draw.Drop)) return [];
    const draw = (salt: number): number => unitOf(plan.seed, user, stream, nth, salt);
    const latencyMs = 0.1 + draw(Draw.LatencyMs) * plan.latencyMaxMs;
    const lateMs = draw(Draw.DelayMs) * plan.delayMaxMs;
    const copies: Copy[] = [{ afterMs: latencyMs, inOrder: true }];
    if (strikes('reorder', faults.reorder, Draw.Reorder)) {
      copies[0] = { afterMs: latencyMs + lateMs, inOrder: false };
    } else if (strikes('delay', faults.delay, Draw.Delay)) {
      copies[0] = { afterMs: latencyMs + lateMs, inOrder: true };
    }
    if (strikes('duplicate', faults.duplicate, Draw.Duplicate)) {
      copies.push({ afterMs: latencyMs + lateMs / 2, inOrder: false });
    }
    return copies;
  }
}

/** The bytes of a packet, of their own. */
export function bytesOf(packet: Packet): Uint8Array<ArrayBuffer> {
  return encodeAlone(packet);
}
