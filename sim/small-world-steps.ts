/**
 * The steps of a small world, and what each does to one user and the user's connection.
 *
 * What a client sends waits in `up`, in order, for as long as anybody likes. What the server sends is
 * received in the step that sends it, or never. That is no restriction: a history in which packets
 * to clients take time can be told in another order of the same events, in which everything that a
 * client does before it receives a packet happens before the server sends it. Nothing that the
 * client does until then can depend on that packet, and it waits in `up` instead. (The server's step
 * and the receipts of what it sent can be drawn together because connections are in order: no receipt
 * comes before the sending, and none overtakes an earlier one.) Packets that die with their connection
 * are those that the server sends to a client that has hung up already, which it notices later:
 *
 *     None ──login──> Both ──hang up, or crash of the client──> ServerOnly ──server notices──> None
 *      ^               │                                            │ │
 *      │               └────────── crash of the server: None <──────┘ │
 *      └──────────── login: the gateway kicks the older session <─────┘
 *
 * A connection that the server closes is the same as one that the client hung up and the server
 * noticed at once. Two things cost more of the budget than they would with queues to the clients: a
 * packet that dies in a crash of the server takes a loss or a disconnect too; and a rule that is
 * broken only while a packet is under way shows as broken for good in the history that loses it.
 *
 * Some packets are beyond faults, because losing or delaying them adds nothing. ack:A: the client
 * ignores it, and the search fails if it does not. msg:A ok: it makes a message *accepted*, of which
 * the machine only remembers that an error came too late; the sooner, the stricter the rules. The
 * pulls of a quiet user, to whom nobody writes: they see and change nothing that others do, and their
 * requests reach the server in the step that sends them.
 *
 * Everything here is written once for two drivers: P is a machine and K a packet, or the numbers
 * under which the search keeps them.
 */
import { assert, Kind, never } from '../protocol/index.ts';
import { BUDGET_KEYS, type SmallBudget } from './small-world-options.ts';

export const StepKind = {
  Submit: 0,
  Login: 1,
  HangUp: 2,
  ServerNotices: 3,
  CrashClient: 4,
  /** The first packet of `up` arrives; is lost; arrives and comes once more; is overtaken. */
  Up: 5,
  LoseUp: 6,
  DuplicateUp: 7,
  DelayUp: 8,
  /** A copy, or a packet that was overtaken, arrives. */
  LateUp: 9,
  LateDown: 10,
  Retransmit: 11,
  Repeat: 12,
  Pull: 13,
  Commit: 14,
  CommitFails: 15,
  Answer: 16,
  CrashServer: 17,
} as const;
export type StepKind = (typeof StepKind)[keyof typeof StepKind];

export interface Step {
  readonly kind: StepKind;
  /** Index of the user, uid - 1; 0 for steps of the server. */
  readonly user: number;
  /** The message of Retransmit, the index of Answer, LateUp and LateDown, and 0 else. */
  readonly arg: number;
  /** Fates of the packets that the server sends in this step, two bits each, the first lowest. */
  readonly fates: number;
}

/** What becomes of a packet on its way to a client. */
export const Fate = {
  Received: 0,
  Lost: 1,
  /** Received, and a copy comes at any later moment of the same connection. */
  Duplicated: 2,
  /** Comes at any later moment of the same connection. */
  Delayed: 3,
} as const;
export type Fate = (typeof Fate)[keyof typeof Fate];

/** What a step uses up; null for the steps that are free. Fates come on top. */
const STEP_COST: Readonly<Record<StepKind, keyof SmallBudget | null>> = {
  [StepKind.Submit]: null,
  [StepKind.Login]: null,
  [StepKind.HangUp]: 'disconnects',
  [StepKind.ServerNotices]: null,
  [StepKind.CrashClient]: 'crashes',
  [StepKind.Up]: null,
  [StepKind.LoseUp]: 'losses',
  [StepKind.DuplicateUp]: 'duplicates',
  [StepKind.DelayUp]: 'reorders',
  [StepKind.LateUp]: null,
  [StepKind.LateDown]: null,
  [StepKind.Retransmit]: 'retransmissions',
  [StepKind.Repeat]: 'repeats',
  [StepKind.Pull]: null,
  [StepKind.Commit]: null,
  [StepKind.CommitFails]: 'commitFailures',
  [StepKind.Answer]: null,
  [StepKind.CrashServer]: 'crashes',
};

const FATE_COST: Readonly<Record<Fate, keyof SmallBudget | null>> = {
  [Fate.Received]: null,
  [Fate.Lost]: 'losses',
  [Fate.Duplicated]: 'duplicates',
  [Fate.Delayed]: 'reorders',
};

/** Bits of a packed budget per entry, the top one a guard that stays 0; see `isWithin`. */
const FIELD_BITS = 4;
const FIELD_MAX = (1 << (FIELD_BITS - 1)) - 1;
const GUARDS = 0x88888888 | 0;

function unitOf(key: keyof SmallBudget | null): number {
  return key === null ? 0 : 1 << (FIELD_BITS * BUDGET_KEYS.indexOf(key));
}

/** What a step, and what a fate, adds to a packed budget. */
export const STEP_UNITS: readonly number[] = Object.values(StepKind).map((kind) => {
  return unitOf(STEP_COST[kind]);
});
export const FATE_UNITS: readonly number[] = Object.values(Fate).map((fate) => {
  return unitOf(FATE_COST[fate]);
});

/** Entries of a packed budget in all. */
export function sumOf(packed: number): number {
  let sum = 0;
  for (let rest = packed; rest !== 0; rest >>>= FIELD_BITS) sum += rest & (2 * FIELD_MAX + 1);
  return sum;
}

/** `budget` in one i32. */
export function packBudget(budget: SmallBudget): number {
  let packed = 0;
  BUDGET_KEYS.forEach((key, field) => {
    assert(budget[key] >= 0 && budget[key] <= FIELD_MAX, `${key} is 0 … ${FIELD_MAX}`);
    packed |= budget[key] << (FIELD_BITS * field);
  });
  return packed;
}

/** True when every entry of `a` is at most the same entry of `b`. */
export function isWithin(a: number, b: number): boolean {
  return (((b | GUARDS) - a) & GUARDS) === GUARDS;
}

export const Link = { None: 0, Both: 1, ServerOnly: 2 } as const;
export type Link = (typeof Link)[keyof typeof Link];

export interface UserState<P, K> {
  readonly part: P;
  readonly link: Link;
  readonly up: readonly K[];
  /** Copies, and packets that were overtaken. */
  readonly lateUp: readonly K[];
  readonly lateDown: readonly K[];
  /**
   * An inbox:N was lost, and the client has had no reason to pull since. The server does not say it
   * twice: what it told of waits for the next pull, and only then may a message wait.
   */
  readonly isUntold: boolean;
}

export type UserInput<K> =
  | { readonly kind: 'submit' | 'connect' | 'disconnect' | 'crash' | 'pull' | 'request' }
  /** The deadline of message `index` of the world comes. */
  | { readonly kind: 'deadline'; readonly index: number }
  | { readonly kind: 'packet'; readonly packet: K };

export type ServerInput<K> =
  | { readonly kind: 'open' | 'close' | 'age'; readonly uid: number }
  | { readonly kind: 'packet'; readonly uid: number; readonly packet: K }
  | { readonly kind: 'commit'; readonly succeeds: boolean }
  | { readonly kind: 'answer'; readonly index: number }
  | { readonly kind: 'crash' };

/** How a driver runs a user's machine and knows packets. */
export interface UserRunner<P, K> {
  /** `isAged`: packets under way with the newest request number are stale from now on. */
  run(
    part: P,
    input: UserInput<K>,
  ): { readonly part: P; readonly packets: readonly K[]; readonly isAged: boolean };
  /** The packet with its request number called stale; none when it then changes nothing at all. */
  aged(packet: K): readonly K[];
  kindOf(packet: K): Kind;
  /** True for packets that have no fate: see the head of this file. */
  isBeyondFaults(packet: K): boolean;
}

/** The state of a user after a step, and what the server gets in the same step, in order. */
export interface UserMove<P, K> {
  readonly state: UserState<P, K>;
  readonly inputs: readonly ServerInput<K>[];
}

/** A user who is offline. */
export function offline<P, K>(part: P): UserState<P, K> {
  return { part, link: Link.None, up: [], lateUp: [], lateDown: [], isUntold: false };
}

/** One user's side of every step. */
export class UserSteps<P, K> {
  private readonly runner: UserRunner<P, K>;
  private readonly uid: number;
  readonly isQuiet: boolean;

  constructor(runner: UserRunner<P, K>, uid: number, isQuiet: boolean) {
    this.runner = runner;
    this.uid = uid;
    this.isQuiet = isQuiet;
  }

  perform(state: UserState<P, K>, kind: StepKind, arg: number): UserMove<P, K> {
    const { uid } = this;
    const { up, lateUp, lateDown, link } = state;
    switch (kind) {
      case StepKind.Submit:
        return this.run(state, { kind: 'submit' });
      case StepKind.Login: {
        assert(link === Link.None || link === Link.ServerOnly, 'the client is offline');
        const fresh = { ...offline<P, K>(state.part), link: Link.Both };
        const { state: next, inputs } = this.run(fresh, { kind: 'connect' });
        return { state: next, inputs: [{ kind: 'open', uid }, ...inputs] };
      }
      case StepKind.HangUp: {
        assert(link === Link.Both, 'there is a connection');
        const left = { ...state, link: Link.ServerOnly, lateDown: [] };
        return this.run(left, { kind: 'disconnect' });
      }
      case StepKind.CrashClient: {
        const left = link === Link.None ? Link.None : Link.ServerOnly;
        return this.run({ ...state, link: left, lateDown: [] }, { kind: 'crash' });
      }
      case StepKind.ServerNotices:
        assert(link === Link.ServerOnly, 'the client is gone');
        return { state: offline(state.part), inputs: [{ kind: 'close', uid }] };
      case StepKind.Up:
        return { state: { ...state, up: up.slice(1) }, inputs: [this.arrival(up[0])] };
      case StepKind.LoseUp:
        return { state: { ...state, up: up.slice(1) }, inputs: [] };
      case StepKind.DuplicateUp: {
        const copied = { ...state, up: up.slice(1), lateUp: [...lateUp, up[0] as K] };
        return { state: copied, inputs: [this.arrival(up[0])] };
      }
      case StepKind.DelayUp: {
        const delayed = { ...state, up: up.slice(1), lateUp: [...lateUp, up[0] as K] };
        return { state: delayed, inputs: [] };
      }
      case StepKind.LateUp: {
        const rest = { ...state, lateUp: lateUp.toSpliced(arg, 1) };
        return { state: rest, inputs: [this.arrival(lateUp[arg])] };
      }
      case StepKind.LateDown:
        return this.receive({ ...state, lateDown: lateDown.toSpliced(arg, 1) }, lateDown[arg]);
      case StepKind.Retransmit:
        return this.run(state, { kind: 'deadline', index: arg });
      case StepKind.Repeat:
        return this.run(state, { kind: 'request' });
      case StepKind.Pull:
        return this.run({ ...state, isUntold: false }, { kind: 'pull' });
      default:
        throw new Error(`no step of a user: ${kind}`);
    }
  }

  /** True when a packet to this user may be lost, come twice or late. */
  hasFate(state: UserState<P, K>, packet: K): boolean {
    if (state.link !== Link.Both || this.runner.isBeyondFaults(packet)) return false;
    return !(this.isQuiet && isInboxAnswer(this.runner.kindOf(packet)));
  }

  /** The server sent `packet` to this user. */
  append(state: UserState<P, K>, packet: K, fate: Fate): UserMove<P, K> {
    if (state.link !== Link.Both) return { state, inputs: [] };
    const lateDown = [...state.lateDown, packet];
    switch (fate) {
      case Fate.Received:
        return this.receive(state, packet);
      case Fate.Lost:
        return {
          state: { ...state, isUntold: state.isUntold || this.isInboxN(packet) },
          inputs: [],
        };
      case Fate.Duplicated:
        return this.receive({ ...state, lateDown }, packet);
      case Fate.Delayed:
        return { state: { ...state, lateDown }, inputs: [] };
      default:
        return never(fate, 'fate');
    }
  }

  /** The server's end is gone, and the client is told. */
  closed(state: UserState<P, K>): UserState<P, K> {
    if (state.link !== Link.Both) return offline(state.part);
    return offline(this.run(state, { kind: 'disconnect' }).state.part);
  }

  private arrival(packet: K | undefined): ServerInput<K> {
    assert(packet !== undefined, 'there is a packet');
    return { kind: 'packet', uid: this.uid, packet };
  }

  private receive(state: UserState<P, K>, packet: K | undefined): UserMove<P, K> {
    assert(packet !== undefined, 'there is a packet');
    const isUntold = state.isUntold && !this.isInboxN(packet);
    return this.run({ ...state, isUntold }, { kind: 'packet', packet });
  }

  private isInboxN(packet: K): boolean {
    return this.runner.kindOf(packet) === Kind.InboxN;
  }

  private run(state: UserState<P, K>, input: UserInput<K>): UserMove<P, K> {
    const { part, packets, isAged } = this.runner.run(state.part, input);
    const inputs: ServerInput<K>[] = [];
    let { up, lateUp, lateDown } = state;
    if (isAged) {
      const aged = (packet: K) => this.runner.aged(packet);
      up = up.flatMap(aged);
      lateUp = lateUp.flatMap(aged);
      lateDown = lateDown.flatMap(aged);
      inputs.push({ kind: 'age', uid: this.uid });
    }
    if (state.link === Link.Both) {
      for (const packet of packets) {
        const isTakenAtOnce = this.isQuiet && isInboxRequest(this.runner.kindOf(packet));
        if (isTakenAtOnce) inputs.push(this.arrival(packet));
        else up = [...up, packet];
      }
    }
    return { state: { ...state, part, up, lateUp, lateDown }, inputs };
  }
}

function isInboxRequest(kind: Kind): boolean {
  return kind === Kind.PullR || kind === Kind.CountR || kind === Kind.DoneR;
}

function isInboxAnswer(kind: Kind): boolean {
  return kind === Kind.PullA || kind === Kind.CountA || kind === Kind.DoneA;
}
