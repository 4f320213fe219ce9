/**
 * Sender: the waiting-ack queue of S6.
 *
 *     submit ──> sent ──msg:A ok──> accepted ──ack:N──> settled (delivered | stored)
 *                 │  └──────────────ack:N───────────────────^
 *                 ├── definite error, only transmission ──> settled (failed)
 *                 └── attempts used up ───────────────────> settled (gave up)
 *
 * Every transmission of one message carries the same msgid (S7). Sequences are dense per receiver,
 * from 1. A message settles exactly once.
 *
 * Timers: attempt k waits `timeoutMs(k)`: exponential backoff, jittered per client and attempt, not
 * per message. All deadlines of one attempt are then in order of arming, so each attempt is a FIFO
 * list and arming, disarming and finding the next deadline are O(1); jitter exists to keep clients
 * apart, and it still does.
 *
 * Bound: `inflightMax` messages; a submit beyond it is refused.
 */
import { assert } from './assert.ts';
import { type ClientEffects, ClientEffectKind, Outcome } from './effects.ts';
import { Status } from './errors.ts';
import { Confirmation, Kind, MSG_FLAG_RETRANSMISSION, NO_CONTENT, type Packet } from './packet.ts';

export interface RetransmitTimers {
  /** Wait for ack:N after the first transmission. */
  readonly firstMs: number;
  /** Each further wait doubles, up to this. */
  readonly maxMs: number;
  /** Transmissions in all, the first included; then the message is given up. */
  readonly maxAttempts: number;
  /** Relative jitter, e.g. 0.1 for ±10 %. */
  readonly jitter: number;
}

/** Defaults of docs/PROTOCOL.md. */
export const DEFAULT_RETRANSMIT: RetransmitTimers = {
  firstMs: 1000,
  maxMs: 8000,
  maxAttempts: 12,
  jitter: 0.1,
};

export interface SenderOptions {
  /** Identifies this installation's sequences; new on reinstall, 1 … 2^32 - 1. */
  readonly epoch: number;
  readonly timers: RetransmitTimers;
  readonly inflightMax: number;
  /** Any number; clients with different seeds get different jitter. */
  readonly jitterSeed: number;
}

class Waiting {
  conversation: Conversation | null = null;
  receiver = 0;
  seq = 0;
  msgType = 0;
  content: Uint8Array = NO_CONTENT;
  tag = 0;
  submittedAtMs = 0;
  /** Transmissions whose deadline counts; reconnecting sends again without using one up. */
  attempts = 0;
  transmissions = 0;
  accepted = false;
  deadlineMs = 0;
  before: Waiting | null = null;
  after: Waiting | null = null;
}

/** Settled places at the head of a conversation's line before they are cut off. */
const CUT_AT = 32;

/**
 * What waits in one conversation. Sequences are dense and settle roughly in order, so the line is an
 * array from the oldest waiting message on: found by index, no hashing, nothing kept when idle.
 *
 *     seq   firstSeq          nextSeq
 *          [ - | - | w | - | w ]         - = settled, w = waiting
 */
class Conversation {
  nextSeq = 1;
  private firstSeq = 1;
  private readonly line: (Waiting | null)[] = [];
  private waitingCount = 0;
  private settledAtHead = 0;

  find(seq: number): Waiting | undefined {
    return this.line[seq - this.firstSeq] ?? undefined;
  }

  append(entry: Waiting): void {
    this.line.push(entry);
    this.waitingCount++;
  }

  /** Takes everything before `seq` as settled. */
  skipTo(seq: number): void {
    if (this.waitingCount === 0) this.firstSeq = Math.max(this.firstSeq, seq);
    else while (this.firstSeq + this.line.length < seq) this.line.push(null);
    this.nextSeq = Math.max(this.nextSeq, seq);
  }

  remove(seq: number): void {
    const { line } = this;
    line[seq - this.firstSeq] = null;
    this.waitingCount--;
    if (this.waitingCount === 0) {
      line.length = 0;
      this.firstSeq = this.nextSeq;
      this.settledAtHead = 0;
      return;
    }
    while (line[this.settledAtHead] === null) this.settledAtHead++;
    if (this.settledAtHead < CUT_AT) return;
    line.splice(0, this.settledAtHead);
    this.firstSeq += this.settledAtHead;
    this.settledAtHead = 0;
  }
}

/** FIFO of messages that wait after the same attempt. */
class AttemptList {
  head: Waiting | null = null;
  tail: Waiting | null = null;

  append(entry: Waiting): void {
    entry.before = this.tail;
    entry.after = null;
    if (this.tail === null) this.head = entry;
    else this.tail.after = entry;
    this.tail = entry;
  }

  remove(entry: Waiting): void {
    if (entry.before === null) this.head = entry.after;
    else entry.before.after = entry.after;
    if (entry.after === null) this.tail = entry.before;
    else entry.after.before = entry.before;
    entry.before = entry.after = null;
  }
}

/** Uniform in [-1, 1) from two integers: splitmix-like mixing, stable over runs. */
function jitterOf(seed: number, attempt: number): number {
  let x = Math.imul(seed ^ Math.imul(attempt + 1, 0x9e3779b1), 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  x ^= x >>> 16;
  return (x >>> 0) / 2147483648 - 1;
}

export class Sender {
  readonly epoch: number;
  private readonly inflightMax: number;
  private readonly timers: RetransmitTimers;
  private readonly jitterSeed: number;
  /** Null until the first message, as the lists are: a client that never writes pays for neither. */
  private conversations: Map<number, Conversation> | null = null;
  /** One per attempt, made when first used, and the wait of each. */
  private readonly lists: AttemptList[] = [];
  private readonly timeoutsMs: number[] = [];
  private readonly free: Waiting[] = [];
  private inflightCount = 0;
  private connected = false;

  constructor(options: SenderOptions) {
    const { timers } = options;
    assert(options.epoch >= 1 && options.epoch <= 0xffffffff, 'epoch is a u32 above 0');
    assert(timers.maxAttempts >= 1 && timers.firstMs > 0, 'timers are positive');
    this.epoch = options.epoch;
    this.inflightMax = options.inflightMax;
    this.timers = timers;
    this.jitterSeed = options.jitterSeed;
  }

  /** Messages in the waiting-ack queue. */
  get inflight(): number {
    return this.inflightCount;
  }

  /** How many messages were submitted to `receiver` so far: its sequences are 1 … this. */
  submittedTo(receiver: number): number {
    return (this.conversations?.get(receiver)?.nextSeq ?? 1) - 1;
  }

  /**
   * Queues a message and sends msg:R when connected. `content` is kept until the message settles,
   * not copied. `tag` comes back with its effects. Returns the seq, or 0 when the queue is full.
   */
  submit(
    receiver: number,
    msgType: number,
    content: Uint8Array,
    tag: number,
    nowMs: number,
    out: ClientEffects,
  ): number {
    if (this.inflightCount >= this.inflightMax) return 0;
    const entry = this.enter(receiver, msgType, content, tag, nowMs);
    this.transmit(entry, nowMs, out);
    return entry.seq;
  }

  /**
   * Puts a message back that a log of the client's kept: after a crash, before `onConnect`, in the
   * order of submission. It may have been transmitted before, so no error to it is definite and its
   * msg:R says "again". Sequences go on after the largest that was resumed or `submitted` before.
   */
  resume(
    receiver: number,
    seq: number,
    message: { readonly msgType: number; readonly content: Uint8Array; readonly tag: number },
    nowMs: number,
    out: ClientEffects,
  ): void {
    const conversation = this.expect(receiver);
    assert(seq >= conversation.nextSeq, 'messages are resumed in the order of submission');
    conversation.skipTo(seq);
    const entry = this.enter(receiver, message.msgType, message.content, message.tag, nowMs);
    entry.transmissions = 1;
    this.transmit(entry, nowMs, out);
  }

  /** Sequences of `receiver` go on after `seq`: those up to it were submitted before a crash. */
  resumeAfter(receiver: number, seq: number): void {
    this.expect(receiver).skipTo(seq + 1);
  }

  /** Makes the state of a conversation before its first message, so that no message pays for it. */
  expect(receiver: number): Conversation {
    const conversations = (this.conversations ??= new Map<number, Conversation>());
    let conversation = conversations.get(receiver);
    if (conversation === undefined) {
      conversation = new Conversation();
      conversations.set(receiver, conversation);
    }
    return conversation;
  }

  /** msg:A: accepted, or a definite error. Unknown messages are ignored: late answers are normal. */
  onMsgA(packet: Packet, nowMs: number, out: ClientEffects): void {
    const entry = this.find(packet);
    if (entry === undefined) return;
    switch (packet.status) {
      case Status.Ok:
        if (entry.accepted) return;
        entry.accepted = true;
        this.tell(ClientEffectKind.Accepted, entry, out);
        return;
      case Status.StoreFailed:
      case Status.Overloaded:
      case Status.Draining:
        return; // passing troubles of the server: the deadline sends it again
      default:
        // An error to a retransmission says nothing about the transmission before it, which may
        // have arrived: only the error to a sole transmission is the message's own.
        if (entry.transmissions === 1 && !entry.accepted) {
          this.settle(entry, Outcome.Failed, packet.status as Status, nowMs, out);
        }
    }
  }

  /** ack:N: the message leaves the queue. Duplicates and acks for others' messages are ignored. */
  onAckN(packet: Packet, nowMs: number, out: ClientEffects): void {
    const entry = this.find(packet);
    if (entry === undefined) return;
    const outcome =
      packet.confirmation === Confirmation.Stored ? Outcome.Stored : Outcome.Delivered;
    this.settle(entry, outcome, Status.Ok, nowMs, out);
  }

  /** The session is open: everything that waits is sent again at once, oldest attempt first. */
  onConnect(nowMs: number, out: ClientEffects): void {
    this.connected = true;
    const waiting: Waiting[] = [];
    for (const list of this.lists) {
      for (let entry = list.head; entry !== null; entry = entry.after) waiting.push(entry);
    }
    waiting.sort((a, b) => a.submittedAtMs - b.submittedAtMs || a.seq - b.seq);
    for (const entry of waiting) {
      this.listOf(entry).remove(entry);
      if (entry.attempts > 0) entry.attempts--;
      this.transmit(entry, nowMs, out);
    }
  }

  /** The session is gone: deadlines rest until `onConnect`; nothing is forgotten. */
  onDisconnect(): void {
    this.connected = false;
  }

  /** Earliest deadline in ms, Infinity when nothing waits or there is no session. O(attempts). */
  nextDeadlineMs(): number {
    if (!this.connected || this.inflightCount === 0) return Infinity;
    let next = Infinity;
    for (const list of this.lists) {
      if (list.head !== null && list.head.deadlineMs < next) next = list.head.deadlineMs;
    }
    return next;
  }

  /** Sends again, or gives up, whatever is due. */
  onDeadline(nowMs: number, out: ClientEffects): void {
    if (!this.connected) return;
    // From the last attempt down, so that what moves one list up is not looked at twice.
    for (let attempt = this.lists.length - 1; attempt >= 0; attempt--) {
      const list = this.lists[attempt] as AttemptList;
      while (list.head !== null && list.head.deadlineMs <= nowMs) {
        this.retransmit(list.head, nowMs, out);
      }
    }
  }

  /** A new entry at the end of its conversation. */
  private enter(
    receiver: number,
    msgType: number,
    content: Uint8Array,
    tag: number,
    nowMs: number,
  ): Waiting {
    const conversation = this.expect(receiver);
    const entry = this.free.pop() ?? new Waiting();
    entry.conversation = conversation;
    entry.receiver = receiver;
    entry.seq = conversation.nextSeq++;
    entry.msgType = msgType;
    entry.content = content;
    entry.tag = tag;
    entry.submittedAtMs = nowMs;
    entry.attempts = 0;
    entry.transmissions = 0;
    entry.accepted = false;
    conversation.append(entry);
    this.inflightCount++;
    return entry;
  }

  private find(packet: Packet): Waiting | undefined {
    if (packet.epoch !== this.epoch) return undefined;
    return this.conversations?.get(packet.uid)?.find(packet.seq);
  }

  private retransmit(entry: Waiting, nowMs: number, out: ClientEffects): void {
    if (entry.attempts >= this.timers.maxAttempts) {
      this.settle(entry, Outcome.GaveUp, Status.Ok, nowMs, out);
      return;
    }
    this.listOf(entry).remove(entry);
    this.transmit(entry, nowMs, out);
  }

  /** Arms the next deadline and sends. Offline, the message waits in list 0 with no attempt used. */
  private transmit(entry: Waiting, nowMs: number, out: ClientEffects): void {
    if (this.connected) {
      const effect = out.push();
      effect.kind = ClientEffectKind.Send;
      const packet = effect.packet;
      packet.kind = Kind.MsgR;
      packet.uid = entry.receiver;
      packet.epoch = this.epoch;
      packet.seq = entry.seq;
      packet.msgType = entry.msgType;
      packet.flags = entry.transmissions === 0 ? 0 : MSG_FLAG_RETRANSMISSION;
      packet.content = entry.content;
      entry.attempts++;
      entry.transmissions++;
    }
    const attempt = Math.max(entry.attempts - 1, 0);
    if (attempt >= this.lists.length) this.makeList(attempt);
    entry.deadlineMs = nowMs + (this.timeoutsMs[attempt] as number);
    (this.lists[attempt] as AttemptList).append(entry);
  }

  /** The list of an attempt, and how long one waits there. Attempts come one after the other. */
  private makeList(attempt: number): void {
    const { firstMs, maxMs, jitter } = this.timers;
    const plainMs = Math.min(firstMs * 2 ** attempt, maxMs);
    this.timeoutsMs.push(plainMs * (1 + jitter * jitterOf(this.jitterSeed, attempt)));
    this.lists.push(new AttemptList());
  }

  private listOf(entry: Waiting): AttemptList {
    return this.lists[Math.max(entry.attempts - 1, 0)] as AttemptList;
  }

  private settle(
    entry: Waiting,
    outcome: Outcome,
    status: Status,
    nowMs: number,
    out: ClientEffects,
  ): void {
    assert(nowMs >= entry.submittedAtMs, 'time does not go back');
    this.listOf(entry).remove(entry);
    (entry.conversation as Conversation).remove(entry.seq);
    this.inflightCount--;
    const effect = this.tell(ClientEffectKind.Settled, entry, out);
    effect.outcome = outcome;
    effect.status = status;
    effect.attempts = entry.transmissions;
    effect.content = entry.content;
    entry.content = NO_CONTENT;
    if (this.free.length < FREE_MAX) this.free.push(entry);
  }

  private tell(kind: ClientEffectKind, entry: Waiting, out: ClientEffects) {
    const effect = out.push();
    effect.kind = kind;
    effect.uid = entry.receiver;
    effect.epoch = this.epoch;
    effect.seq = entry.seq;
    effect.tag = entry.tag;
    effect.submittedAtMs = entry.submittedAtMs;
    return effect;
  }
}

/** Settled entries kept for reuse. */
const FREE_MAX = 64;
