/**
 * LiveWorld: a small world of real objects that go on from step to step, without copies, numbers or
 * look-ups. It replays a path of the search: the proof that the path is one of the machines, and not
 * of the search's bookkeeping, and the text of the path for people.
 */
import { assert, type Kind, type Packet } from '../protocol/index.ts';
import { serverInputOf } from './small-world-graph.ts';
import { DEFAULT_SMALL_WORLD, type SmallWorldOptions } from './small-world-options.ts';
import {
  agedBytes,
  describePacket,
  fromBytes,
  isBeyondFaults,
  type PacketBytes,
  toBytes,
} from './small-world-packets.ts';
import { brokenRule, emptyBooks, type WorldBooks } from './small-world-rules.ts';
import { ServerPart } from './small-world-server.ts';
import {
  Fate,
  offline,
  type ServerInput,
  type Step,
  StepKind,
  type UserInput,
  type UserRunner,
  type UserState,
  UserSteps,
} from './small-world-steps.ts';
import { UserPart } from './small-world-user.ts';

const STEP_TEXT: Readonly<Record<StepKind, string>> = {
  [StepKind.Submit]: 'submits a message',
  [StepKind.Login]: 'logs in',
  [StepKind.HangUp]: 'hangs up',
  [StepKind.ServerNotices]: 'is gone, and the server notices',
  [StepKind.CrashClient]: 'crashes',
  [StepKind.Up]: 'is heard by the server',
  [StepKind.LoseUp]: 'loses a packet to the server',
  [StepKind.DuplicateUp]: 'is heard by the server, and a copy is still under way',
  [StepKind.DelayUp]: 'has a packet overtaken',
  [StepKind.LateUp]: 'is heard late by the server',
  [StepKind.LateDown]: 'gets a late packet',
  [StepKind.Retransmit]: 'has a deadline',
  [StepKind.Repeat]: 'has no answer to a request',
  [StepKind.Pull]: 'pulls',
  [StepKind.Commit]: 'commits',
  [StepKind.CommitFails]: 'fails to commit',
  [StepKind.Answer]: 'hears from the store',
  [StepKind.CrashServer]: 'crashes',
};

const FATE_TEXT: Readonly<Record<Fate, string>> = {
  [Fate.Received]: '',
  [Fate.Lost]: ' (lost)',
  [Fate.Duplicated]: ' (and a copy under way)',
  [Fate.Delayed]: ' (late)',
};

export interface Replay {
  /** One line per step, with the packets it sent. */
  readonly lines: readonly string[];
  /** The rule that the last step broke; null when all hold. */
  readonly rule: string | null;
  readonly books: WorldBooks;
}

/** Replays `steps` on fresh machines. Throws when a step is impossible. */
export function replaySmallWorld(
  options: Partial<SmallWorldOptions>,
  steps: readonly Step[],
): Replay {
  const world = new LiveWorld({ ...DEFAULT_SMALL_WORLD, ...options });
  for (const step of steps) world.perform(step);
  const books = world.books();
  return { lines: world.lines, rule: brokenRule(books, world.options.policy), books };
}

class LiveRunner implements UserRunner<UserPart, PacketBytes> {
  run(part: UserPart, input: UserInput<PacketBytes>) {
    const wasBusy = part.machine.puller.busy;
    const packets = part.feed(
      input.kind === 'packet' ? { kind: 'packet', packet: fromBytes(input.packet) } : input,
    );
    const isAged = part.renameRequests(packets, wasBusy);
    return { part, packets: packets.map((packet) => toBytes(packet)), isAged };
  }

  aged(packet: PacketBytes): readonly PacketBytes[] {
    return agedBytes(packet);
  }

  kindOf(packet: PacketBytes): Kind {
    return fromBytes(packet).kind;
  }

  isBeyondFaults(packet: PacketBytes): boolean {
    return isBeyondFaults(fromBytes(packet));
  }
}

export class LiveWorld {
  readonly options: SmallWorldOptions;
  readonly lines: string[] = [];
  readonly server: ServerPart;
  readonly users: UserState<UserPart, PacketBytes>[] = [];
  private readonly steps: UserSteps<UserPart, PacketBytes>[] = [];
  private fates = 0;
  private heard: string[] = [];

  constructor(options: SmallWorldOptions) {
    this.options = options;
    this.server = new ServerPart(options);
    for (let index = 0; index < options.users; index++) {
      const isQuiet = !options.messages.some(({ to }) => to === index + 1);
      this.steps.push(new UserSteps(new LiveRunner(), index + 1, isQuiet));
      this.users.push(offline(new UserPart(index + 1, options)));
    }
    this.steps.forEach(({ isQuiet }, user) => {
      if (isQuiet) this.perform({ kind: StepKind.Login, user, arg: 0, fates: 0 });
    });
  }

  perform({ kind, user, arg, fates }: Step): void {
    this.fates = fates;
    this.heard = [];
    const isServers = kind >= StepKind.Commit;
    if (isServers) {
      if (kind === StepKind.CrashServer) {
        for (let index = 0; index < this.users.length; index++) this.close(index);
      }
      this.feed(serverInputOf(kind, arg));
    } else {
      const { state, inputs } = this.stepsOf(user).perform(this.userAt(user), kind, arg);
      this.users[user] = state;
      for (const input of inputs) this.feed(input);
    }
    const who = isServers ? 'server' : `user ${user + 1}`;
    this.lines.push([`${who} ${STEP_TEXT[kind]}`, ...this.heard].join('; '));
  }

  books(): WorldBooks {
    const books = emptyBooks();
    for (const { part } of this.users) {
      books.attempted |= part.attempted;
      books.accepted |= part.accepted;
      books.confirmed |= part.confirmed;
      books.confirmedStored |= part.confirmedStored;
      books.failed |= part.failed;
      books.waiting |= part.waiting;
      books.delivered |= part.delivered;
      books.wrongs |= part.wrongs;
    }
    books.stored = this.server.storedMask(this.options.messages);
    return books;
  }

  private feed(input: ServerInput<PacketBytes>): void {
    let live: ServerInput<Packet>;
    if (input.kind === 'packet') {
      live = { ...input, packet: fromBytes(input.packet) };
      this.heard.push(`server got ${describePacket(live.packet)}`);
    } else {
      live = input;
    }
    const { packets, closed } = this.server.feed(live);
    for (const { uid, packet } of packets) this.append(uid - 1, packet);
    for (const uid of closed) this.close(uid - 1);
  }

  private append(user: number, packet: Packet): void {
    const steps = this.stepsOf(user);
    const state = this.userAt(user);
    const bytes = toBytes(packet);
    let fate: Fate = Fate.Received;
    if (steps.hasFate(state, bytes)) {
      fate = (this.fates & 3) as Fate;
      this.fates >>>= 2;
    }
    this.heard.push(`${describePacket(packet)} to user ${user + 1}${FATE_TEXT[fate]}`);
    const move = steps.append(state, bytes, fate);
    this.users[user] = move.state;
    for (const input of move.inputs) this.feed(input);
  }

  private close(user: number): void {
    this.users[user] = this.stepsOf(user).closed(this.userAt(user));
  }

  private stepsOf(user: number): UserSteps<UserPart, PacketBytes> {
    const steps = this.steps[user];
    assert(steps !== undefined, 'there is such a user');
    return steps;
  }

  private userAt(user: number): UserState<UserPart, PacketBytes> {
    const state = this.users[user];
    assert(state !== undefined, 'there is such a user');
    return state;
  }
}
