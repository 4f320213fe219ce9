/**
 * The workload of one swarm: which message is due, who sends it to whom, and what it carries.
 *
 * Open loop and traces follow their schedule whatever the server does; in a closed loop a client's
 * settled message makes room for its next one.
 */
import { assert } from '../protocol/index.ts';
import { bookOf, ReceivedBook, SentBook } from './ledger.ts';
import { PayloadPool } from './payload-pool.ts';
import { Presence } from './presence.ts';
import { Random } from './random.ts';
import {
  GapStatistics,
  ReceiverChoice,
  ReceiverPicker,
  Schedule,
  scheduleRandom,
} from './schedule.ts';
import type { SwarmConfig, TraceLoad } from './swarm-config.ts';
import type { Swarm } from './swarm.ts';
import type { VirtualClient } from './virtual-client.ts';

const SENDER_TRIES = 32;
/** About 1 KB each. */
const PREPARED_CONVERSATIONS_MAX = 500_000;

export class Workload {
  readonly gaps = new GapStatistics();
  readonly payloads = new PayloadPool();
  readonly picker: ReceiverPicker;
  private readonly swarm: Swarm;
  private readonly config: SwarmConfig;
  private readonly presence: Presence;
  private readonly random: Random;
  private schedule: Schedule | null = null;
  private traceAt = 0;
  private traceWriters: Map<number, Set<number>> | null = null;
  private startUs = Infinity;
  private isLoading = false;
  private didSend = false;
  /** Messages that may be sent at once, of a closed loop over all clients. */
  private room = 0;

  constructor(swarm: Swarm, config: SwarmConfig) {
    this.swarm = swarm;
    this.config = config;
    this.presence = new Presence(config);
    this.random = new Random(config.seed, `senders ${config.from}`);
    this.picker = new ReceiverPicker(
      { users: config.users, ...config.receivers },
      new Random(config.seed, `receivers ${config.from}`),
    );
  }

  get isRunning(): boolean {
    return this.isLoading;
  }

  /** Everybody who may write to a user. */
  writersTo(user: number): number[] {
    const { load } = this.config;
    if (load.mode !== 'trace') return this.picker.writersTo(user);
    this.traceWriters ??= writersOf(load);
    return [...(this.traceWriters.get(user) ?? [])];
  }

  /** True when a message was sent since the last call. */
  takeDidSend(): boolean {
    const { didSend } = this;
    this.didSend = false;
    return didSend;
  }

  /** Starts the load at `startUs` on the monotonic clock. */
  start(startUs: number): void {
    const { config, swarm } = this;
    const { load } = config;
    this.startUs = startUs;
    this.isLoading = true;
    this.presence.start(swarm.senders);
    if (load.mode === 'open') {
      this.schedule = new Schedule(
        {
          ...load,
          ratePerSec: load.ratePerSec * config.share,
          steps: (load.steps ?? []).map(({ atS, ratePerSec }) => ({
            atUs: atS * 1e6,
            ratePerSec: ratePerSec * config.share,
          })),
        },
        scheduleRandom(config),
      );
    } else if (load.mode === 'closed' && load.window !== null) {
      for (const client of swarm.senders) {
        const nowMs = swarm.touch() / 1000;
        for (let i = 0; i < load.window; i++) this.submitNext(client, nowMs);
        client.drain(nowMs);
        client.flush();
      }
    } else if (load.mode === 'closed') {
      this.room = Math.max(1, Math.round((load.outstanding ?? 0) * config.share));
      this.fillRoom();
    }
  }

  /** Closed loop: a message of `client` settled, and the next one may go. */
  onSettled(client: VirtualClient): void {
    const { load } = this.config;
    if (load.mode !== 'closed' || !this.isLoading) return;
    if (load.window !== null) client.settledNow++;
    else this.room++;
  }

  /** Closed loop over all clients: sends what the settled messages made room for. */
  fillRoom(): void {
    for (; this.room > 0 && this.isLoading; this.room--) {
      const client = this.pickSender();
      if (client === null) return;
      const nowMs = this.swarm.touch() / 1000;
      this.submitNext(client, nowMs);
      client.drain(nowMs);
      client.flush();
    }
  }

  /** No new messages and no more events. */
  stop(): void {
    this.isLoading = false;
    this.presence.stop();
  }

  /**
   * Makes the state of every conversation between friends ahead of the load: made by first messages,
   * it would be what the garbage collector moves while latencies are taken.
   */
  prepareConversations(): void {
    const { load, receivers, uidBase, epoch, from, to } = this.config;
    if (load.mode === 'none') return;
    const friends = Math.min(receivers.friends, this.config.users - 1);
    const isWorthIt = this.swarm.clients.length * friends <= PREPARED_CONVERSATIONS_MAX;
    if (receivers.choice !== ReceiverChoice.Friends || !isWorthIt) return;
    for (const client of this.swarm.clients) {
      for (let k = 0; k < friends; k++) {
        const friend = this.picker.friendOf(client.index, k);
        bookOf(client.sent, uidBase + friend, epoch, newSentBook);
        client.machine.sender.expect(uidBase + friend);
        const other = friend >= from && friend < to ? this.swarm.clients[friend - from] : undefined;
        if (other === undefined) continue;
        bookOf(other.received, client.uid, epoch, newReceivedBook);
        other.machine.receiver.expect(client.uid, epoch);
      }
    }
  }

  /** Closed loop: the next message of `client`. The caller drains. */
  submitNext(client: VirtualClient, nowMs: number): void {
    const { config } = this;
    const receiver = config.uidBase + this.picker.pick(client.index);
    this.submit(client, receiver, nowMs * 1000, nowMs);
  }

  /** Submits one message; the caller drains and flushes. */
  submit(client: VirtualClient, receiver: number, intendedUs: number, nowMs: number): void {
    const { payloadBytes } = this.config;
    const spread = payloadBytes.max - payloadBytes.min;
    const length = payloadBytes.min + (spread === 0 ? 0 : this.random.below(spread + 1));
    const { isBlind, epoch } = this.config;
    const book = isBlind ? null : bookOf(client.sent, receiver, epoch, newSentBook);
    const isDueInWindow = this.swarm.tally.onDue(intendedUs);
    const tag = this.payloads.take(length);
    const payload = this.payloads.at(tag);
    const sentAtUs = nowMs * 1000;
    payload.write({
      seq: (book?.attempted ?? 0) + 1,
      intendedAtUs: intendedUs,
      sentAtUs,
      sender: client.uid,
      receiver,
    });
    const seq = client.machine.sender.submit(
      receiver,
      0,
      payload.bytes,
      tag,
      nowMs,
      this.swarm.effects,
    );
    if (seq === 0) {
      this.swarm.counters.refusedByQueue++;
      this.payloads.give(tag);
      return;
    }
    this.swarm.counters.submitted++;
    if (book !== null) {
      book.attempted++;
      assert(seq === book.attempted, 'the ledger and the sender count the same sequence');
    }
    const { trace, nowUs } = this.swarm;
    if (trace !== null) trace.onSubmitted(nowUs, client.uid, receiver, epoch, seq, intendedUs);
    payload.isInWindow = isDueInWindow;
    payload.book = book;
    this.swarm.tally.onSent(payload, sentAtUs);
  }

  /** Sends whatever is due and runs events whose time has come. */
  runDue(now: number): void {
    const sinceStartUs = now - this.startUs;
    this.presence.runEvents(this.swarm.senders, sinceStartUs / 1000);
    if (!this.isLoading) return;
    this.fillRoom();
    const { schedule } = this;
    const endUs = this.config.durationMs * 1000;
    if (schedule !== null) {
      while (schedule.peekUs() <= sinceStartUs && schedule.peekUs() < endUs) {
        this.sendDue(this.startUs + schedule.takeUs());
      }
    } else if (this.config.load.mode === 'trace') {
      this.runTrace(sinceStartUs);
    }
  }

  private sendDue(intendedUs: number): void {
    // Of the window, as everything that gates judge: before it the rate may be another.
    if (intendedUs - this.startUs >= this.config.warmupMs * 1000) this.gaps.add(intendedUs);
    this.didSend = true;
    const client = this.pickSender();
    if (client === null) {
      this.swarm.counters.noSender++;
      this.swarm.tally.onDue(intendedUs);
      return;
    }
    const receiver = this.config.uidBase + this.picker.pick(client.index);
    const nowMs = this.swarm.touch() / 1000;
    this.submit(client, receiver, intendedUs, nowMs);
    client.drain(nowMs);
    client.flush();
  }

  private pickSender(): VirtualClient | null {
    const { random } = this;
    const { senders } = this.swarm;
    if (this.config.churn === null) return senders[random.below(senders.length)] ?? null;
    for (let i = 0; i < SENDER_TRIES; i++) {
      const client = senders[random.below(senders.length)];
      if (client !== undefined && client.isWanted) return client;
    }
    return null;
  }

  private runTrace(sinceStartUs: number): void {
    const { load, uidBase, from, to } = this.config;
    if (load.mode !== 'trace') return;
    while (this.traceAt < load.atUs.length) {
      const atUs = load.atUs[this.traceAt] as number;
      if (atUs > sinceStartUs) return;
      const sender = load.sender[this.traceAt] as number;
      const receiver = load.receiver[this.traceAt] as number;
      this.traceAt++;
      if (sender < from || sender >= to) continue;
      const client = this.swarm.clients[sender - from] as VirtualClient;
      const nowMs = this.swarm.touch() / 1000;
      this.didSend = true;
      client.goOnline();
      this.submit(client, uidBase + receiver, this.startUs + atUs, nowMs);
      client.drain(nowMs);
      client.flush();
      this.presence.lingerAfter(client, load.lingerMs);
    }
  }

  /** Between two sockets of one turn: sends what fell due while the turn was reading. */
  runOverdue(nowUs: number): void {
    this.fillRoom();
    if (this.schedule === null || !this.isLoading) return;
    if (this.schedule.peekUs() <= nowUs - this.startUs) this.runDue(nowUs);
  }

  /** us until the next message is due; Infinity when none is scheduled. */
  dueInUs(nowUs: number): number {
    const { load } = this.config;
    let nextUs = Infinity;
    if (this.schedule !== null) nextUs = this.schedule.peekUs();
    else if (load.mode === 'trace') nextUs = load.atUs[this.traceAt] ?? Infinity;
    return nextUs - (nowUs - this.startUs);
  }
}

export const newSentBook = (epoch: number): SentBook => new SentBook(epoch);
export const newReceivedBook = (epoch: number): ReceivedBook => new ReceivedBook(epoch);

/** Who writes to whom in a trace, by receiver. */
function writersOf(load: TraceLoad): Map<number, Set<number>> {
  const writers = new Map<number, Set<number>>();
  for (const [i, receiver] of load.receiver.entries()) {
    const known = writers.get(receiver) ?? new Set();
    writers.set(receiver, known.add(load.sender[i] as number));
  }
  return writers;
}
