/**
 * The client's own link: faults at the packet level, so that they work against any server.
 *
 *     machines ──out──> [ drop duplicate delay reorder ] ──> socket ──> server
 *              <──in─── [ drop duplicate delay reorder ] <──
 *
 * Faults hit packets by kind, with a probability, or by rule (the n-th packet of a kind). Reordering
 * is a short delay that lets later packets overtake. A connection that closes takes its delayed
 * packets with it, as a network would.
 */
import { KIND_NAME, KINDS, type Kind } from '../protocol/index.ts';
import type { Random } from './random.ts';

export const FaultAction = { Pass: 0, Drop: 1, Duplicate: 2, Delay: 3, Truncate: 4 } as const;
export type FaultAction = (typeof FaultAction)[keyof typeof FaultAction];

/** Probabilities by packet name ('msg:R' …), or one number for every kind. */
type PerPacket = number | Readonly<Partial<Record<string, number>>>;

export interface LinkFaults {
  readonly drop?: PerPacket | undefined;
  readonly duplicate?: PerPacket | undefined;
  readonly reorder?: PerPacket | undefined;
  readonly delay?: PerPacket | undefined;
  /** Cut short, so that it cannot be decoded. Only a link that carries bytes can: the frame proxy. */
  readonly truncate?: PerPacket | undefined;
  /** Uniform delay of a delayed packet, ms. */
  readonly delayMs?: readonly [number, number] | undefined;
  /** Uniform delay of a reordered packet, ms. */
  readonly reorderMs?: readonly [number, number] | undefined;
  /** Exact faults: what happens to the n-th packet (from 1) of a kind on each client's link. */
  readonly rules?:
    | readonly {
        packet: string;
        nth: number;
        action: 'drop' | 'duplicate' | 'delay' | 'truncate';
      }[]
    | undefined;
}

/** How many packets were really hit: by fault, then by packet name; zeros are left out. */
export type FaultCounts = Record<PacketFault, Record<string, number>>;

/** The faults of a packet, as they are counted. */
export const PACKET_FAULTS = ['drop', 'duplicate', 'delay', 'reorder', 'truncate'] as const;
export type PacketFault = (typeof PACKET_FAULTS)[number];

/** Whoever has a link of its own. */
export interface LinkEnd {
  /** Packets of each kind that came to the link, for faults by rule; null until the first. */
  linkCounts: Uint32Array | null;
}

/** Faults as tables by kind; shared by all links of a worker. */
export class FaultPlan {
  private readonly drop: Float64Array;
  private readonly duplicate: Float64Array;
  private readonly reorder: Float64Array;
  private readonly delay: Float64Array;
  private readonly truncate: Float64Array;
  private readonly delayMs: readonly [number, number];
  private readonly reorderMs: readonly [number, number];
  private readonly rules = new Map<number, { action: FaultAction; hits: number }>();
  private readonly random: Random;
  private readonly hits: Record<PacketFault, Float64Array>;
  readonly hasRules: boolean;
  /** False after healing: everything passes. */
  active = true;

  constructor(faults: LinkFaults, random: Random) {
    this.drop = tableOf(faults.drop);
    this.duplicate = tableOf(faults.duplicate);
    this.reorder = tableOf(faults.reorder);
    this.delay = tableOf(faults.delay);
    this.truncate = tableOf(faults.truncate);
    this.hits = Object.fromEntries(
      PACKET_FAULTS.map((fault) => [fault, new Float64Array(KIND_SLOTS)]),
    ) as Record<PacketFault, Float64Array>;
    this.delayMs = faults.delayMs ?? [5, 50];
    this.reorderMs = faults.reorderMs ?? [1, 10];
    this.random = random;
    for (const { packet, nth, action } of faults.rules ?? []) {
      this.rules.set(ruleKey(kindOf(packet), nth), { action: RULE_ACTION[action], hits: 0 });
    }
    this.hasRules = this.rules.size > 0;
  }

  /** What happens to the next packet of that kind on the link of `end`. */
  decideOn(end: LinkEnd, kind: Kind): FaultAction {
    if (!this.hasRules) return this.decide(kind, 0);
    end.linkCounts ??= new Uint32Array(KIND_SLOTS);
    return this.decide(kind, ++end.linkCounts[kind]!);
  }

  /** What happens to a packet; `nth` counts the packets of its kind on this link, from 1. */
  decide(kind: Kind, nth: number): FaultAction {
    if (!this.active) return FaultAction.Pass;
    const rule = this.hasRules ? this.rules.get(ruleKey(kind, nth)) : undefined;
    const action = rule?.action ?? this.draw(kind);
    if (rule !== undefined) rule.hits++;
    if (action === FaultAction.Drop) this.hits.drop[kind]!++;
    else if (action === FaultAction.Duplicate) this.hits.duplicate[kind]!++;
    else if (action === FaultAction.Truncate) this.hits.truncate[kind]!++;
    return action;
  }

  /** How long a packet of this kind is held, ms. Asked once for each packet that is to be delayed. */
  holdMs(kind: Kind): number {
    const delay = this.delay[kind] as number;
    const reorder = this.reorder[kind] as number;
    // Without a probability for either, a rule asked for the delay.
    const isDelay = reorder === 0 || this.random.chance(delay / (delay + reorder));
    this.hits[isDelay ? 'delay' : 'reorder'][kind]!++;
    const [min, max] = isDelay ? this.delayMs : this.reorderMs;
    return min + this.random.unit() * (max - min);
  }

  /** What was really hit so far. */
  counts(): FaultCounts {
    const counts = {} as FaultCounts;
    for (const fault of PACKET_FAULTS) {
      counts[fault] = {};
      for (const kind of KINDS) {
        const count = this.hits[fault][kind] as number;
        if (count > 0) counts[fault][KIND_NAME[kind]] = count;
      }
    }
    return counts;
  }

  /** How often the rule for the `nth` packet of that name was kept. */
  ruleHits(packet: string, nth: number): number {
    return this.rules.get(ruleKey(kindOf(packet), nth))?.hits ?? 0;
  }

  private draw(kind: Kind): FaultAction {
    const { random } = this;
    if (random.chance(this.drop[kind] as number)) return FaultAction.Drop;
    if (random.chance(this.duplicate[kind] as number)) return FaultAction.Duplicate;
    if (random.chance((this.delay[kind] as number) + (this.reorder[kind] as number))) {
      return FaultAction.Delay;
    }
    if (random.chance(this.truncate[kind] as number)) return FaultAction.Truncate;
    return FaultAction.Pass;
  }
}

const KIND_SLOTS = Math.max(...KINDS) + 1;

const RULE_ACTION = {
  drop: FaultAction.Drop,
  duplicate: FaultAction.Duplicate,
  delay: FaultAction.Delay,
  truncate: FaultAction.Truncate,
} as const;

function kindOf(packet: string): Kind {
  return KINDS.find((candidate) => KIND_NAME[candidate] === packet) as Kind;
}

function ruleKey(kind: Kind, nth: number): number {
  return nth * KIND_SLOTS + kind;
}

function tableOf(faults: PerPacket | undefined): Float64Array {
  const table = new Float64Array(KIND_SLOTS);
  for (const kind of KINDS) {
    table[kind] = typeof faults === 'number' ? faults : (faults?.[KIND_NAME[kind]] ?? 0);
  }
  return table;
}
