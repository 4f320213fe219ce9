/**
 * Graph: the states of a small world as numbers, and its steps as looked-up functions of them.
 *
 * Machines are deterministic: what an input does depends on the machine's state and on nothing else.
 * So each pair (state of one part, input) is run once, on a deep copy of the real object, and then
 * remembered; a state of the world is a handful of numbers, and a step of it a few look-ups:
 *
 *     world = (user 1, user 2, …, server)       user = (client and its books, link, up, late)
 *
 * Two states of a part get one number when their canonical texts are equal (small-world-snapshot.ts
 * says what those leave out); the first object stands for all of them. Packets are numbered by their
 * bytes, without the retransmission flag, on which no decision depends (docs/PROTOCOL.md).
 *
 * Numbers are exact: nothing is hashed away. Cost: a run of a machine is some tens of microseconds,
 * most of it copy and text; a step of the world is a few tenths of one.
 */
import { assert, Kind } from '../protocol/index.ts';
import type { SmallWorldOptions } from './small-world-options.ts';
import {
  agedBytes,
  fromBytes,
  isBeyondFaults,
  type PacketBytes,
  toBytes,
} from './small-world-packets.ts';
import type { WorldBooks } from './small-world-rules.ts';
import { ServerPart } from './small-world-server.ts';
import { copyOf } from './small-world-snapshot.ts';
import {
  Fate,
  Link,
  offline,
  type ServerInput,
  STEP_UNITS,
  StepKind,
  type UserInput,
  type UserMove,
  type UserRunner,
  type UserState,
  UserSteps,
} from './small-world-steps.ts';
import { UserPart } from './small-world-user.ts';

/** Numbers of inputs of a client: the plain ones, then messages, then packets. */
const PLAIN_INPUTS = ['submit', 'connect', 'disconnect', 'crash', 'pull', 'request'] as const;
const FIRST_MESSAGE_INPUT = PLAIN_INPUTS.length;
const FIRST_PACKET_INPUT = 32;
/** Inputs and packets are numbered below this; states times this fit a double. */
const INPUTS_MAX = 65_536;

/** A step of one user, looked up: the user's next state, and inputs of the server in that step. */
export interface LocalMove {
  readonly kind: StepKind;
  readonly arg: number;
  /** What it uses up, packed. */
  readonly units: number;
  readonly user: number;
  readonly inputs: readonly number[];
}

interface PartRun {
  readonly part: number;
  readonly packets: readonly number[];
  readonly isAged: boolean;
}

interface ServerRun {
  readonly server: number;
  /** Index of a user and number of a packet, in turn. */
  readonly packets: readonly number[];
  /** Indexes of users whose connection the server closed. */
  readonly closed: readonly number[];
}

interface AppendRun {
  readonly user: number;
  readonly inputs: readonly number[];
  readonly hasFate: boolean;
}

/** Gives equal texts one number, from 0. */
class Numbering<T> {
  readonly items: T[] = [];
  private readonly numbers = new Map<string, number>();

  numberOf(key: string, make: () => T): number {
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const number = this.items.length;
    this.numbers.set(key, number);
    this.items.push(make());
    return number;
  }

  at(number: number): T {
    const item = this.items[number];
    assert(item !== undefined, 'the number was given');
    return item;
  }

  get size(): number {
    return this.items.length;
  }
}

interface UserEntry {
  readonly index: number;
  readonly state: UserState<number, number>;
  readonly part: UserPart;
  moves: readonly LocalMove[] | null;
  closed: number;
  /** By packet and fate. */
  readonly appends: Map<number, AppendRun>;
}

interface PacketEntry {
  readonly bytes: PacketBytes;
  readonly kind: Kind;
  readonly isBeyondFaults: boolean;
}

interface ServerEntry {
  readonly part: ServerPart;
  readonly stored: number;
  readonly writes: number;
  readonly answers: number;
  /** By input. */
  readonly runs: Map<number, ServerRun>;
}

export class Graph implements UserRunner<number, number> {
  /** Runs of real machines on a copy of their state. */
  machineRuns = 0;
  /** Packets of the last step that a fate could befall. */
  fateful = 0;
  private fates = 0;
  private readonly options: SmallWorldOptions;
  private readonly packets = new Numbering<PacketEntry>();
  private readonly parts = new Numbering<UserPart>();
  private readonly users = new Numbering<UserEntry>();
  private readonly servers = new Numbering<ServerEntry>();
  private readonly inputs = new Numbering<ServerInput<number>>();
  private readonly partRuns = new Map<number, PartRun>();
  private readonly agedPackets = new Map<number, readonly number[]>();
  private readonly stepInputs: number[] = [];
  private readonly steps: readonly UserSteps<number, number>[];

  constructor(options: SmallWorldOptions) {
    this.options = options;
    this.steps = Array.from({ length: options.users }, (_, index) => {
      const isQuiet = !options.messages.some(({ to }) => to === index + 1);
      return new UserSteps(this, index + 1, isQuiet);
    });
  }

  get sizes(): { users: number; clients: number; servers: number; packets: number } {
    return {
      users: this.users.size,
      clients: this.parts.size,
      servers: this.servers.size,
      packets: this.packets.size,
    };
  }

  /** Numbers of the users, and of the server last: quiet users are online, nothing was sent. */
  initial(): number[] {
    const { options } = this;
    const world = this.steps.map((_, index) => {
      return this.numberUser(index, offline(this.numberPart(new UserPart(index + 1, options))));
    });
    world.push(this.numberServer(new ServerPart(options)));
    this.steps.forEach(({ isQuiet }, index) => {
      if (!isQuiet) return;
      const move = this.moveOf(world[index] as number, StepKind.Login, 0);
      this.applyMove(world, index, move, 0);
    });
    return world;
  }

  /** Every step that `user` can take by itself, whatever the budgets say. */
  movesOf(user: number): readonly LocalMove[] {
    const entry = this.users.at(user);
    return (entry.moves ??= this.enabled(entry)
      .map(([kind, arg]) => this.localMove(user, kind, arg))
      .filter((move) => move.user !== user || move.inputs.length > 0));
  }

  /** The same step from the list of `movesOf`, or made for this one time. */
  moveOf(user: number, kind: StepKind, arg: number): LocalMove {
    for (const move of this.movesOf(user)) if (move.kind === kind && move.arg === arg) return move;
    return this.localMove(user, kind, arg);
  }

  private localMove(user: number, kind: StepKind, arg: number): LocalMove {
    const { index, state } = this.users.at(user);
    const move = (this.steps[index] as UserSteps<number, number>).perform(state, kind, arg);
    return { kind, arg, units: STEP_UNITS[kind] as number, ...this.numberMove(index, move) };
  }

  /** Does a step of user `index` to `world`, in place; `fates` as in `Step`. */
  applyMove(world: number[], index: number, move: LocalMove, fates: number): void {
    this.begin(fates);
    world[index] = move.user;
    for (const input of move.inputs) this.applyInput(world, input);
  }

  /** Does a step of the server to `world`, in place. */
  applyServer(world: number[], kind: StepKind, arg: number, fates: number): void {
    this.begin(fates);
    if (kind === StepKind.CrashServer) {
      for (let index = 0; index < this.steps.length; index++) this.close(world, index);
    }
    this.applyInput(world, this.serverStepInput(kind, arg));
  }

  private serverStepInput(kind: StepKind, arg: number): number {
    const key = kind * 32 + arg;
    return (this.stepInputs[key] ??= this.numberInput(serverInputOf(kind, arg)));
  }

  writesOf(server: number): number {
    return this.servers.at(server).writes;
  }

  answersOf(server: number): number {
    return this.servers.at(server).answers;
  }

  userState(user: number): UserState<number, number> {
    return this.users.at(user).state;
  }

  partOf(user: number): UserPart {
    return this.users.at(user).part;
  }

  serverPart(server: number): ServerPart {
    return this.servers.at(server).part;
  }

  /** Fills `books` for `world`. */
  readBooks(world: ArrayLike<number>, books: WorldBooks): void {
    books.attempted = books.accepted = books.confirmed = books.confirmedStored = 0;
    books.failed = books.waiting = books.delivered = books.wrongs = 0;
    const users = this.steps.length;
    for (let index = 0; index < users; index++) {
      const part = this.partOf(world[index] as number);
      books.attempted |= part.attempted;
      books.accepted |= part.accepted;
      books.confirmed |= part.confirmed;
      books.confirmedStored |= part.confirmedStored;
      books.failed |= part.failed;
      books.waiting |= part.waiting;
      books.delivered |= part.delivered;
      books.wrongs |= part.wrongs;
    }
    books.stored = this.servers.at(world[users] as number).stored;
  }

  // What UserSteps asks for

  run(part: number, input: UserInput<number>): PartRun {
    const key = part * INPUTS_MAX + inputNumber(input);
    const known = this.partRuns.get(key);
    if (known !== undefined) return known;
    this.machineRuns++;
    const copy = copyOf(this.parts.at(part));
    const wasBusy = copy.machine.puller.busy;
    const packets = this.feed(copy, input);
    const isAged = copy.renameRequests(packets, wasBusy);
    const run = {
      part: this.numberPart(copy),
      packets: packets.map((packet) => {
        packet.flags = 0;
        return this.numberPacket(toBytes(packet), packet.kind);
      }),
      isAged,
    };
    this.partRuns.set(key, run);
    return run;
  }

  aged(packet: number): readonly number[] {
    const known = this.agedPackets.get(packet);
    if (known !== undefined) return known;
    const { bytes, kind } = this.packets.at(packet);
    const aged = agedBytes(bytes).map((fresh) => this.numberPacket(fresh, kind));
    this.agedPackets.set(packet, aged);
    return aged;
  }

  kindOf(packet: number): Kind {
    return this.packets.at(packet).kind;
  }

  isBeyondFaults(packet: number): boolean {
    return this.packets.at(packet).isBeyondFaults;
  }

  private feed(part: UserPart, input: UserInput<number>) {
    return part.feed(
      input.kind === 'packet'
        ? { kind: 'packet', packet: fromBytes(this.packets.at(input.packet).bytes) }
        : input,
    );
  }

  private begin(fates: number): void {
    this.fates = fates;
    this.fateful = 0;
  }

  private applyInput(world: number[], input: number): void {
    const users = this.steps.length;
    const server = world[users] as number;
    const run = this.servers.at(server).runs.get(input) ?? this.serve(server, input);
    world[users] = run.server;
    for (let i = 0; i < run.packets.length; i += 2) {
      const index = run.packets[i] as number;
      const move = this.append(world[index] as number, run.packets[i + 1] as number);
      world[index] = move.user;
      for (const next of move.inputs) this.applyInput(world, next);
    }
    for (const index of run.closed) this.close(world, index);
  }

  private serve(server: number, input: number): ServerRun {
    this.machineRuns++;
    const entry = this.servers.at(server);
    const part = copyOf(entry.part);
    const what = this.inputs.at(input);
    const { packets, closed } = part.feed(
      what.kind === 'packet'
        ? { ...what, packet: fromBytes(this.packets.at(what.packet).bytes) }
        : what,
    );
    const run = {
      packets: packets.flatMap(({ uid, packet }) => {
        return [uid - 1, this.numberPacket(toBytes(packet), packet.kind)];
      }),
      closed: closed.map((uid) => uid - 1),
      server: this.numberServer(part),
    };
    entry.runs.set(input, run);
    return run;
  }

  private append(user: number, packet: number): AppendRun {
    let fate: Fate = Fate.Received;
    const received = this.appendAs(user, packet, fate);
    if (!received.hasFate) return received;
    fate = ((this.fates >>> (2 * this.fateful)) & 3) as Fate;
    this.fateful++;
    return fate === Fate.Received ? received : this.appendAs(user, packet, fate);
  }

  private appendAs(user: number, packet: number, fate: Fate): AppendRun {
    const { index, state, appends } = this.users.at(user);
    const key = packet * 4 + fate;
    const known = appends.get(key);
    if (known !== undefined) return known;
    const steps = this.steps[index] as UserSteps<number, number>;
    const move = steps.append(state, packet, fate);
    const isIgnored = this.isBeyondFaults(packet) && this.kindOf(packet) !== Kind.MsgA;
    assert(
      !isIgnored || move.state.part === state.part,
      'a client ignores ack:A and stale answers',
    );
    const run = { ...this.numberMove(index, move), hasFate: steps.hasFate(state, packet) };
    appends.set(key, run);
    return run;
  }

  private close(world: number[], index: number): void {
    const entry = this.users.at(world[index] as number);
    if (entry.closed < 0) {
      const closed = (this.steps[index] as UserSteps<number, number>).closed(entry.state);
      entry.closed = this.numberUser(index, closed);
    }
    world[index] = entry.closed;
  }

  private enabled({ state }: UserEntry): [StepKind, number][] {
    const { link, up, lateUp, lateDown } = state;
    const part = this.parts.at(state.part);
    const steps: [StepKind, number][] = [];
    if (part.nextMessage() >= 0) steps.push([StepKind.Submit, 0]);
    if (link === Link.None || link === Link.ServerOnly) steps.push([StepKind.Login, 0]);
    if (link === Link.Both) steps.push([StepKind.HangUp, 0]);
    if (link === Link.ServerOnly) steps.push([StepKind.ServerNotices, 0]);
    steps.push([StepKind.CrashClient, 0]);
    if (up.length > 0) {
      steps.push([StepKind.Up, 0], [StepKind.LoseUp, 0]);
      steps.push([StepKind.DuplicateUp, 0], [StepKind.DelayUp, 0]);
    }
    for (let index = 0; index < lateUp.length; index++) steps.push([StepKind.LateUp, index]);
    for (let index = 0; index < lateDown.length; index++) steps.push([StepKind.LateDown, index]);
    for (const index of part.armedMessages()) steps.push([StepKind.Retransmit, index]);
    if (part.isRequestArmed()) steps.push([StepKind.Repeat, 0]);
    return steps;
  }

  // Numbers

  private numberMove(index: number, { state, inputs }: UserMove<number, number>) {
    return {
      user: this.numberUser(index, state),
      inputs: inputs.map((input) => this.numberInput(input)),
    };
  }

  private numberUser(index: number, state: UserState<number, number>): number {
    const { part, link, up, lateUp, lateDown, isUntold } = state;
    const key = `${part}|${link}|${up.join()}|${lateUp.join()}|${lateDown.join()}|${isUntold}`;
    return this.users.numberOf(key, () => {
      const entry = { index, state, part: this.parts.at(part), moves: null, closed: -1 };
      return { ...entry, appends: new Map<number, AppendRun>() };
    });
  }

  private numberPart(part: UserPart): number {
    return this.parts.numberOf(part.text(), () => part);
  }

  private numberServer(part: ServerPart): number {
    return this.servers.numberOf(part.text(), () => ({
      part,
      stored: part.storedMask(this.options.messages),
      writes: part.store.writes.length,
      answers: part.store.answers.length,
      runs: new Map<number, ServerRun>(),
    }));
  }

  private numberPacket(bytes: PacketBytes, kind: Kind): number {
    const key = String.fromCharCode(...bytes);
    const number = this.packets.numberOf(key, () => {
      return { bytes, kind, isBeyondFaults: isBeyondFaults(fromBytes(bytes)) };
    });
    assert(number + FIRST_PACKET_INPUT < INPUTS_MAX, 'few packets differ');
    return number;
  }

  private numberInput(input: ServerInput<number>): number {
    const key = Object.values(input).join(' ');
    const number = this.inputs.numberOf(key, () => input);
    assert(number < INPUTS_MAX, 'few inputs differ');
    return number;
  }
}

function inputNumber(input: UserInput<number>): number {
  switch (input.kind) {
    case 'packet':
      return FIRST_PACKET_INPUT + input.packet;
    case 'deadline':
      return FIRST_MESSAGE_INPUT + input.index;
    default:
      return PLAIN_INPUTS.indexOf(input.kind);
  }
}

/** The server's input in a step of the server. */
export function serverInputOf(kind: StepKind, arg: number): ServerInput<never> {
  switch (kind) {
    case StepKind.Commit:
      return { kind: 'commit', succeeds: true };
    case StepKind.CommitFails:
      return { kind: 'commit', succeeds: false };
    case StepKind.Answer:
      return { kind: 'answer', index: arg };
    case StepKind.CrashServer:
      return { kind: 'crash' };
    default:
      throw new Error(`no step of the server: ${kind}`);
  }
}
