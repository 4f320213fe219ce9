/**
 * The steps of a small world, and what each does to one user and the user's connection.
 *
 * A user has at most one connection that matters: `up` to the server and `down` to the client, each
 * in order, since WebSocket is. It is in one of four states; an end that is gone drops what reaches
 * it, and the other end learns of it at some later step:
 *
 *     None ──login──> Both ──hang up, crash of the client──> ServerOnly ──server notices──> None
 *      ^                └────cut, crash of the server──────> ClientOnly ──client notices──> None
 *      └──────────────────── login while ServerOnly: the gateway kicks the older session
 *
 * A login is one step at both ends: what the client sends then waits in `up` for as long as anybody
 * likes, which is as good as a client that hears of its connection late.
 *
 * Two kinds of packets are taken in the same step in which they are sent. ack:A, because a client
 * ignores it (the search fails if it does not); and the pulls of a quiet user, to whom nobody writes,
 * because they see and change nothing that others do. Leaving them in their queues would only delay
 * what is behind them, which a step that comes later does too.
 *
 * Everything here is written once for two drivers: P is a machine and K a packet, or the numbers
 * under which the search keeps them.
 */
import { assert, Kind } from '../protocol/index.ts';
import { BUDGET_KEYS, type SmallBudget } from './small-world-options.ts';

export const StepKind = {
  Submit: 0,
  Login: 1,
  HangUp: 2,
  Cut: 3,
  ServerNotices: 4,
  ClientNotices: 5,
  CrashClient: 6,
  Up: 7,
  Down: 8,
  LoseUp: 9,
  LoseDown: 10,
  DuplicateUp: 11,
  DuplicateDown: 12,
  OvertakeUp: 13,
  OvertakeDown: 14,
  Retransmit: 15,
  Repeat: 16,
  Pull: 17,
  Commit: 18,
  CommitFails: 19,
  Answer: 20,
  CrashServer: 21,
} as const;
export type StepKind = (typeof StepKind)[keyof typeof StepKind];

/** `arg` is the attempt list of Retransmit, the index of Answer, and 0 else. */
export interface Step {
  readonly kind: StepKind;
  /** Index of the user, uid - 1; 0 for steps of the server. */
  readonly user: number;
  readonly arg: number;
}

/** What a step uses up; null for the steps that are free. */
export const STEP_COST: Readonly<Record<StepKind, keyof SmallBudget | null>> = {
  [StepKind.Submit]: null,
  [StepKind.Login]: null,
  [StepKind.HangUp]: 'disconnects',
  [StepKind.Cut]: 'disconnects',
  [StepKind.ServerNotices]: null,
  [StepKind.ClientNotices]: null,
  [StepKind.CrashClient]: 'crashes',
  [StepKind.Up]: null,
  [StepKind.Down]: null,
  [StepKind.LoseUp]: 'losses',
  [StepKind.LoseDown]: 'losses',
  [StepKind.DuplicateUp]: 'duplicates',
  [StepKind.DuplicateDown]: 'duplicates',
  [StepKind.OvertakeUp]: 'reorders',
  [StepKind.OvertakeDown]: 'reorders',
  [StepKind.Retransmit]: 'retransmissions',
  [StepKind.Repeat]: 'repeats',
  [StepKind.Pull]: null,
  [StepKind.Commit]: null,
  [StepKind.CommitFails]: 'commitFailures',
  [StepKind.Answer]: null,
  [StepKind.CrashServer]: 'crashes',
};

/** Bits of a packed budget per entry, the top one a guard that stays 0; see `isWithin`. */
const FIELD_BITS = 4;
export const FIELD_MAX = (1 << (FIELD_BITS - 1)) - 1;
const GUARDS = 0x88888888 | 0;

/** What a step adds to a packed budget. */
export const STEP_UNITS: readonly number[] = Object.values(StepKind).map((kind) => {
  const key = STEP_COST[kind];
  return key === null ? 0 : 1 << (FIELD_BITS * BUDGET_KEYS.indexOf(key));
});

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

export const Link = { None: 0, Both: 1, ServerOnly: 2, ClientOnly: 3 } as const;
export type Link = (typeof Link)[keyof typeof Link];

export interface UserState<P, K> {
  readonly part: P;
  readonly link: Link;
  readonly up: readonly K[];
  readonly down: readonly K[];
}

export type UserInput<K> =
  | { readonly kind: 'submit' | 'connect' | 'disconnect' | 'crash' | 'pull' | 'request' }
  | { readonly kind: 'list'; readonly list: number }
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
  /** The packet with its request number called stale. */
  aged(packet: K): K;
  kindOf(packet: K): Kind;
  isSamePart(a: P, b: P): boolean;
}

/** The state of a user after a step, and what the server gets in the same step, in order. */
export interface UserMove<P, K> {
  readonly state: UserState<P, K>;
  readonly inputs: readonly ServerInput<K>[];
}

/** One user's side of every step. */
export class UserSteps<P, K> {
  private readonly runner: UserRunner<P, K>;
  private readonly uid: number;
  private readonly isQuiet: boolean;

  constructor(runner: UserRunner<P, K>, uid: number, isQuiet: boolean) {
    this.runner = runner;
    this.uid = uid;
    this.isQuiet = isQuiet;
  }

  perform(state: UserState<P, K>, kind: StepKind, arg: number): UserMove<P, K> {
    const { uid } = this;
    const { up, down, link } = state;
    switch (kind) {
      case StepKind.Submit:
        return this.run(state, { kind: 'submit' });
      case StepKind.Login: {
        assert(link === Link.None || link === Link.ServerOnly, 'the client is offline');
        const fresh = { ...state, link: Link.Both, up: [], down: [] };
        const { state: next, inputs } = this.run(fresh, { kind: 'connect' });
        return { state: next, inputs: [{ kind: 'open', uid }, ...inputs] };
      }
      case StepKind.HangUp:
        assert(link === Link.Both, 'there is a connection');
        return this.run({ ...state, link: Link.ServerOnly, down: [] }, { kind: 'disconnect' });
      case StepKind.CrashClient: {
        const isServerLeft = link === Link.Both || link === Link.ServerOnly;
        const left = isServerLeft ? Link.ServerOnly : Link.None;
        return this.run({ ...state, link: left, down: [] }, { kind: 'crash' });
      }
      case StepKind.Cut:
        return { state: this.closed(state), inputs: [{ kind: 'close', uid }] };
      case StepKind.ServerNotices:
        assert(link === Link.ServerOnly, 'the client is gone');
        return { state: this.closed(state), inputs: [{ kind: 'close', uid }] };
      case StepKind.ClientNotices:
        assert(link === Link.ClientOnly, 'the server is gone');
        return this.run({ ...state, link: Link.None, down: [] }, { kind: 'disconnect' });
      case StepKind.CrashServer:
        return { state: this.closed(state), inputs: [] };
      case StepKind.LoseUp:
        return { state: { ...state, up: up.slice(1) }, inputs: [] };
      case StepKind.LoseDown:
        return { state: { ...state, down: down.slice(1) }, inputs: [] };
      case StepKind.Up:
        return { state: { ...state, up: up.slice(1) }, inputs: [this.arrival(up[0])] };
      case StepKind.DuplicateUp:
        return { state, inputs: [this.arrival(up[0])] };
      case StepKind.OvertakeUp:
        return { state: { ...state, up: up.toSpliced(1, 1) }, inputs: [this.arrival(up[1])] };
      case StepKind.Down:
        return this.receive({ ...state, down: down.slice(1) }, down[0]);
      case StepKind.DuplicateDown:
        return this.receive(state, down[0]);
      case StepKind.OvertakeDown:
        return this.receive({ ...state, down: down.toSpliced(1, 1) }, down[1]);
      case StepKind.Retransmit:
        return this.run(state, { kind: 'list', list: arg });
      case StepKind.Repeat:
        return this.run(state, { kind: 'request' });
      case StepKind.Pull:
        return this.run(state, { kind: 'pull' });
      default:
        throw new Error(`no step of a user: ${kind}`);
    }
  }

  /** The server sent `packet` to this user. */
  append(state: UserState<P, K>, packet: K): UserMove<P, K> {
    if (state.link !== Link.Both) return { state, inputs: [] };
    const kind = this.runner.kindOf(packet);
    if (kind === Kind.AckA) {
      const move = this.receive(state, packet);
      const isIgnored = this.runner.isSamePart(move.state.part, state.part);
      assert(isIgnored && move.inputs.length === 0, 'a client ignores ack:A');
      return move;
    }
    if (this.isQuiet && isInboxAnswer(kind)) return this.receive(state, packet);
    return { state: { ...state, down: [...state.down, packet] }, inputs: [] };
  }

  /** The server's end is gone. */
  closed(state: UserState<P, K>): UserState<P, K> {
    const { link } = state;
    const isClientLeft = link === Link.Both || link === Link.ClientOnly;
    if (isClientLeft) return { ...state, link: Link.ClientOnly, up: [] };
    return { ...state, link: Link.None, up: [], down: [] };
  }

  private arrival(packet: K | undefined): ServerInput<K> {
    assert(packet !== undefined, 'there is a packet');
    return { kind: 'packet', uid: this.uid, packet };
  }

  private receive(state: UserState<P, K>, packet: K | undefined): UserMove<P, K> {
    assert(packet !== undefined, 'there is a packet');
    return this.run(state, { kind: 'packet', packet });
  }

  private run(state: UserState<P, K>, input: UserInput<K>): UserMove<P, K> {
    const { part, packets, isAged } = this.runner.run(state.part, input);
    const inputs: ServerInput<K>[] = [];
    let { up, down } = state;
    if (isAged) {
      up = up.map((packet) => this.runner.aged(packet));
      down = down.map((packet) => this.runner.aged(packet));
      inputs.push({ kind: 'age', uid: this.uid });
    }
    if (state.link === Link.Both) {
      for (const packet of packets) {
        const isTakenAtOnce = this.isQuiet && isInboxRequest(this.runner.kindOf(packet));
        if (isTakenAtOnce) inputs.push(this.arrival(packet));
        else up = [...up, packet];
      }
    }
    return { state: { ...state, part, up, down }, inputs };
  }
}

function isInboxRequest(kind: Kind): boolean {
  return kind === Kind.PullR || kind === Kind.CountR || kind === Kind.DoneR;
}

function isInboxAnswer(kind: Kind): boolean {
  return kind === Kind.PullA || kind === Kind.CountA || kind === Kind.DoneA;
}
