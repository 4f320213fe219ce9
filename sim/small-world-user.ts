/**
 * UserPart: one user's Client, driven input by input, and the books that an observer keeps of it.
 *
 * Books are sets of messages as bit masks (bit i = message i of the world), so that an invariant is
 * a few operations on integers. They belong to the part: a crash does not touch them.
 *
 * Time stands still at 0 ms. A timer fires by hand: the deadline of one waiting message (or of the
 * request) is set to 0, the message is put at the head of its attempt list, where the machine looks,
 * and the machine is asked. So each message may be due at any moment, whatever the others do, which
 * is more than real timers do; how many attempts it had is then no state (12 are never used up).
 */
import {
  assert,
  type Client,
  type ClientEffect,
  ClientEffectKind,
  type ClientEffects,
  createClientEffects,
  DEFAULT_RETRANSMIT,
  never,
  Outcome,
  Packet,
} from '../protocol/index.ts';
import type { SmallMessage, SmallWorldOptions } from './small-world-options.ts';
import { STALE_REQUEST } from './small-world-packets.ts';
import { textOf } from './small-world-snapshot.ts';
import type { UserInput } from './small-world-steps.ts';

const NEWEST_REQUEST = 1;
const EPOCH = 1;
const NOW_MS = 0;

/** Flags of `UserPart.wrongs`: what no user may ever see. */
export const Wrong = {
  DeliveredTwice: 1,
  WrongUser: 2,
  SettledTwice: 4,
  GaveUp: 8,
  BadPacket: 16,
} as const;

interface Waiting {
  readonly tag: number;
  deadlineMs: number;
  readonly after: Waiting | null;
}

interface AttemptList {
  readonly head: Waiting | null;
  append(entry: Waiting): void;
  remove(entry: Waiting): void;
}

/** What the search must see and set inside of the machines, whose fields are private to TypeScript. */
interface Inside {
  readonly sender: {
    readonly connected: boolean;
    readonly lists: readonly AttemptList[];
  };
  readonly puller: { request: number; deadlineMs: number };
}

/** Written to by one input, drained before the next; never a part of a state. */
const out: ClientEffects = createClientEffects();

export class UserPart {
  readonly uid: number;
  readonly machine: Client;
  attempted = 0;
  accepted = 0;
  confirmed = 0;
  confirmedStored = 0;
  failed = 0;
  delivered = 0;
  wrongs = 0;
  private readonly messages: readonly SmallMessage[];

  constructor(uid: number, options: SmallWorldOptions) {
    this.uid = uid;
    this.messages = Object.freeze(options.messages.slice());
    const { strategy, order } = options;
    const friends = Object.freeze(Array.from({ length: options.users }, (_, i) => i + 1));
    this.machine = options.makeClient({
      sender: {
        epoch: EPOCH,
        timers: { ...DEFAULT_RETRANSMIT, jitter: 0 },
        inflightMax: options.messages.length,
        jitterSeed: uid,
      },
      puller: Object.freeze({
        strategy,
        order,
        pageMessages: 1,
        pageBytes: 1000,
        wholeMessages: 100,
        wholeBytes: 1000,
        friends,
        requestTimeoutMs: 1,
      }),
    });
  }

  /** Messages that left the queue, or never came into it, are not in it. */
  get waiting(): number {
    return this.attempted & ~(this.confirmed | this.confirmedStored | this.failed);
  }

  /** Index of the message that this user submits next, -1 when there is none. */
  nextMessage(): number {
    return this.messages.findIndex(
      ({ from }, index) => from === this.uid && (this.attempted & (1 << index)) === 0,
    );
  }

  /** Messages whose deadline may come. */
  armedMessages(): number[] {
    const { connected, lists } = this.inside().sender;
    if (!connected) return [];
    return lists.flatMap((list) => waitingIn(list).map(({ tag }) => tag)).sort((a, b) => a - b);
  }

  isRequestArmed(): boolean {
    return this.inside().puller.deadlineMs !== Infinity;
  }

  /** One input; the packets that it made the client send, in order. */
  feed(input: UserInput<Packet>): Packet[] {
    const { machine } = this;
    switch (input.kind) {
      case 'submit':
        this.submit();
        break;
      case 'connect':
        machine.onConnect(NOW_MS, out);
        break;
      case 'disconnect':
        machine.onDisconnect();
        break;
      case 'crash':
        machine.onCrash();
        break;
      case 'pull':
        machine.puller.start(NOW_MS, out);
        break;
      case 'request':
        this.inside().puller.deadlineMs = NOW_MS;
        machine.onDeadline(NOW_MS, out);
        break;
      case 'deadline':
        this.fire(input.index);
        break;
      case 'packet':
        if (!machine.onPacket(input.packet, NOW_MS, out)) this.wrongs |= Wrong.BadPacket;
        break;
      default:
        never(input, 'input of a user');
    }
    return this.drain();
  }

  /**
   * Renames requests so that states stay finite: 1 is the newest, whatever came before is 0. `packets`
   * are those that the last input sent, `wasBusy` says whether a request was under way before it. True
   * when earlier packets with request 1 are stale now.
   *
   * Sound, because a client only compares an answer's number with its newest, and only while it
   * waits; numbers never come back.
   */
  renameRequests(packets: readonly Packet[], wasBusy: boolean): boolean {
    const { puller } = this.inside();
    const newest = puller.request;
    if (newest <= NEWEST_REQUEST) return wasBusy && !this.machine.puller.busy;
    for (const packet of packets)
      packet.request = packet.request === newest ? NEWEST_REQUEST : STALE_REQUEST;
    puller.request = NEWEST_REQUEST;
    return true;
  }

  text(): string {
    return textOf(this);
  }

  private submit(): void {
    const index = this.nextMessage();
    const message = this.messages[index];
    assert(message !== undefined, 'there is a message to submit');
    this.attempted |= 1 << index;
    const content = Uint8Array.of(index);
    const { sender } = this.machine;
    const seq = sender.submit(message.to, 1, content, index, NOW_MS, out);
    assert(seq === this.seqOf(index), 'sequences are dense from 1');
  }

  /** The deadline of message `index` has come. */
  private fire(index: number): void {
    const { lists } = this.inside().sender;
    const list = lists.find((one) => waitingIn(one).some(({ tag }) => tag === index));
    assert(list !== undefined, 'the message waits');
    const waiting = waitingIn(list);
    for (const entry of waiting) {
      if (entry.tag === index) entry.deadlineMs = NOW_MS;
      else moveToEnd(list, entry);
    }
    this.machine.onDeadline(NOW_MS, out);
  }

  private drain(): Packet[] {
    const packets: Packet[] = [];
    for (let i = 0; i < out.length; i++) this.perform(out.at(i), packets);
    out.clear();
    return packets;
  }

  private perform(effect: ClientEffect, packets: Packet[]): void {
    switch (effect.kind) {
      case ClientEffectKind.Send:
        packets.push(Object.assign(new Packet(), effect.packet));
        return;
      case ClientEffectKind.Deliver:
        this.deliver(effect);
        return;
      case ClientEffectKind.Accepted:
        this.accepted |= 1 << effect.tag;
        return;
      case ClientEffectKind.Settled:
        this.settle(effect);
        return;
      case ClientEffectKind.Repeat:
      case ClientEffectKind.Drained:
      case ClientEffectKind.Kicked: // the connection that brought it is one that the user left
        return;
      default:
        never(effect.kind, 'client effect');
    }
  }

  private deliver(effect: ClientEffect): void {
    const index = effect.content[0] ?? -1;
    const message = this.messages[index];
    const isMine =
      message !== undefined &&
      message.to === this.uid &&
      message.from === effect.uid &&
      effect.epoch === EPOCH &&
      effect.seq === this.seqOf(index);
    if (!isMine) {
      this.wrongs |= Wrong.WrongUser;
      return;
    }
    if ((this.delivered & (1 << index)) !== 0) this.wrongs |= Wrong.DeliveredTwice;
    this.delivered |= 1 << index;
  }

  private settle(effect: ClientEffect): void {
    const bit = 1 << effect.tag;
    if (((this.confirmed | this.confirmedStored | this.failed) & bit) !== 0) {
      this.wrongs |= Wrong.SettledTwice;
    }
    switch (effect.outcome) {
      case Outcome.Delivered:
        this.confirmed |= bit;
        return;
      case Outcome.Stored:
        this.confirmedStored |= bit;
        return;
      case Outcome.Failed:
        this.failed |= bit;
        return;
      case Outcome.GaveUp:
        this.wrongs |= Wrong.GaveUp;
        return;
      default:
        never(effect.outcome, 'outcome');
    }
  }

  /** Message `index` is the seq-th from its sender to its receiver. */
  private seqOf(index: number): number {
    const { from, to } = this.messages[index] as SmallMessage;
    return this.messages.slice(0, index + 1).filter((m) => m.from === from && m.to === to).length;
  }

  private inside(): Inside {
    return this.machine as unknown as Inside;
  }
}

function waitingIn(list: AttemptList): Waiting[] {
  const waiting: Waiting[] = [];
  for (let entry = list.head; entry !== null; entry = entry.after) waiting.push(entry);
  return waiting;
}

function moveToEnd(list: AttemptList, entry: Waiting): void {
  list.remove(entry);
  list.append(entry);
}
