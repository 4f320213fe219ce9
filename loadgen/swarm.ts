/**
 * A swarm: the virtual clients of one worker thread, their schedule, clock, books and recorders.
 *
 * One loop drives all: due timers, due messages, then the sockets. While the next message is less
 * than a timer's precision away the loop polls (setImmediate) instead of sleeping, so that sends are
 * on time; polling that found nothing to do is counted as idle, not as load.
 */
import {
  assert,
  Client,
  type ClientEffect,
  ClientEffectKind,
  createClientEffects,
  KINDS,
  Outcome,
  Packet,
  PullStrategy,
} from '../protocol/index.ts';
import { nowUs } from './clock.ts';
import { closeShelves, type Books, bookOf, emptyBooks, ReceivedBook, SentBook } from './ledger.ts';
import { FaultPlan } from './link.ts';
import { LoopMeter, type LoopHealth } from './loop-meter.ts';
import { PayloadPool } from './payload-pool.ts';
import { PayloadReader } from './payload.ts';
import { Presence } from './presence.ts';
import { Random } from './random.ts';
import type { RecorderState } from './recorder.ts';
import { GapStatistics, ReceiverChoice, ReceiverPicker, Schedule } from './schedule.ts';
import { type Endpoint, parseEndpoint, SocketHub, type SocketLimits } from './socket.ts';
import type { SwarmConfig } from './swarm-config.ts';
import { LATENCIES, type Latency, type SecondSample, Tally, type WindowCounts } from './tally.ts';
import { TimingWheel } from './timing-wheel.ts';
import { createMinter } from './token.ts';
import { VirtualClient } from './virtual-client.ts';

/** Everything that a worker reports when the run is over. */
export interface SwarmReport {
  books: Books;
  latencies: Record<Latency, RecorderState>;
  packets: number[];
  counters: SwarmCounters;
  bytesSent: number;
  bytesReceived: number;
  /** Of the instants that were really used. */
  gaps: { count: number; coefficientOfVariation: number };
  /** Inside the measured window. */
  window: WindowCounts;
  health: LoopHealth;
}

class SwarmCounters {
  connects = 0;
  disconnects = 0;
  crashes = 0;
  undecodable = 0;
  /** Not sent because the waiting-ack queue was full: the generator's own bound. */
  refusedByQueue = 0;
  /** No online sender was found for a due message. */
  noSender = 0;
  /** Messages delivered from pages, and rows that were repeats. */
  pagedDelivered = 0;
  pagedRepeats = 0;
  pulls = 0;
  pullsRefused = 0;
  interactions = 0;
  closes: Record<string, number> = {};
}

const FRAME_MAX_BYTES = 16 * 1024 * 1024;
const UNSENT_MAX_BYTES = 4 * 1024 * 1024;
/** A sleep of the runtime may end this late; sends due sooner are awaited by polling. */
const TIMER_PRECISION_MS = 2;
const IDLE_SLEEP_MS = 2;
/** Packets of one read that share a time stamp. */
const PACKETS_PER_STAMP = 16;
const SENDER_TRIES = 32;
/** About 1 KB each. */
const PREPARED_CONVERSATIONS_MAX = 500_000;

export class Swarm {
  readonly config: SwarmConfig;
  readonly endpoint: Endpoint;
  readonly socketLimits: SocketLimits = {
    frameMaxBytes: FRAME_MAX_BYTES,
    unsentMaxBytes: UNSENT_MAX_BYTES,
  };
  readonly hub = new SocketHub();
  readonly effects = createClientEffects();
  readonly packet = new Packet();
  readonly packets = new Float64Array(Math.max(...KINDS) + 1);
  readonly counters = new SwarmCounters();
  readonly faults: FaultPlan | null;
  readonly wheel: TimingWheel;
  readonly random: Random;
  readonly clients: VirtualClient[] = [];
  readonly tally: Tally;
  /** Last reading of the clock, µs. */
  nowUs = nowUs();

  private readonly mint: (uid: number) => string;
  private readonly picker: ReceiverPicker;
  private readonly gaps = new GapStatistics();
  private readonly payloads = new PayloadPool();
  private readonly presence: Presence;
  private readonly reader = new PayloadReader();
  private readonly senders: VirtualClient[] = [];
  private readonly offliners: VirtualClient[] = [];
  private readonly meter = new LoopMeter();
  private schedule: Schedule | null = null;
  private traceAt = 0;
  private loadStartUs = Infinity;
  private isLoading = false;
  private isStopped = false;
  private stampAge = 0;
  private didSend = false;
  private onlineCount = 0;
  private crashOnPageActive: boolean;
  /** Last time a packet of the protocol went either way, µs. */
  private lastPacketUs = 0;
  private lastPacketTotal = 0;

  constructor(config: SwarmConfig) {
    this.config = config;
    this.endpoint = parseEndpoint(config.url, { isInsecure: config.isInsecure });
    this.mint = createMinter(config.jwtKey);
    this.random = new Random(config.seed, `swarm ${config.from}`);
    const faultRandom = new Random(config.seed, `faults ${config.from}`);
    this.faults = config.faults === null ? null : new FaultPlan(config.faults, faultRandom);
    this.crashOnPageActive = config.crashOnPage !== null;
    this.wheel = new TimingWheel(this.nowUs / 1000);
    this.picker = new ReceiverPicker(
      { users: config.users, ...config.receivers },
      new Random(config.seed, `receivers ${config.from}`),
    );
    this.tally = new Tally(config);
    this.presence = new Presence(config);
    const firstOffline = Math.round(config.users * (1 - config.offlineShare));
    for (let index = config.from; index < config.to; index++) {
      const client = this.createClient(index);
      this.clients.push(client);
      (index < firstOffline ? this.senders : this.offliners).push(client);
    }
  }

  /** Reads the clock. */
  touch(): number {
    this.stampAge = 0;
    this.nowUs = nowUs();
    return this.nowUs;
  }

  /** The clock for a packet: read anew every few packets of one read. */
  touchOften(): number {
    if (this.stampAge-- <= 0) {
      this.touch();
      this.stampAge = PACKETS_PER_STAMP;
    }
    return this.nowUs;
  }

  tokenOf(uid: number): string {
    return this.mint(uid);
  }

  get online(): number {
    return this.onlineCount;
  }

  get inflight(): number {
    return this.tally.inflight;
  }

  /** Runs the loop until `stop`. */
  run(): void {
    const turn = (): void => {
      if (this.isStopped) return;
      const now = this.touch();
      this.wheel.advance(now / 1000);
      this.runDue(now);
      const reads = this.hub.reads;
      this.hub.reads = 0;
      const waitMs = this.waitMs();
      const isPolling = waitMs < TIMER_PRECISION_MS;
      this.stampAge = 0;
      this.meter.onTurn({ didWork: reads > 0 || this.didSend, isPolling });
      this.didSend = false;
      if (isPolling) setImmediate(turn);
      else setTimeout(turn, Math.max(1, waitMs - TIMER_PRECISION_MS + 1));
    };
    turn();
  }

  stop(): void {
    this.isStopped = true;
    this.meter.stop();
    for (const client of this.clients) client.goOffline();
  }

  /** Connects everybody who is to be online, at the configured rate; resolves when all are. */
  async connectAll(): Promise<void> {
    if (this.config.load.mode === 'trace') return; // presence follows the trace
    this.prepareConversations();
    await this.connect(this.senders);
  }

  /**
   * Makes the state of every conversation between friends ahead of the load: made by first messages,
   * it would be what the garbage collector moves while latencies are taken.
   */
  private prepareConversations(): void {
    const { receivers, uidBase, epoch, from, to } = this.config;
    const friends = Math.min(receivers.friends, this.config.users - 1);
    const isWorthIt = this.clients.length * friends <= PREPARED_CONVERSATIONS_MAX;
    if (receivers.choice !== ReceiverChoice.Friends || !isWorthIt) return;
    for (const client of this.clients) {
      for (let k = 0; k < friends; k++) {
        const friend = this.picker.friendOf(client.index, k);
        bookOf(client.sent, uidBase + friend, epoch, newSentBook);
        client.machine.sender.expect(uidBase + friend);
        const other = friend >= from && friend < to ? this.clients[friend - from] : undefined;
        if (other === undefined) continue;
        bookOf(other.received, client.uid, epoch, newReceivedBook);
        other.machine.receiver.expect(client.uid, epoch);
      }
    }
  }

  /** Brings `clients` online at the connect rate and waits until they are. */
  async connect(clients: readonly VirtualClient[]): Promise<void> {
    const { connectRatePerSec, share } = this.config;
    const batchMs = 10;
    const batch = Math.max(1, Math.round((connectRatePerSec * share * batchMs) / 1000));
    for (let i = 0; i < clients.length; i += batch) {
      for (const client of clients.slice(i, i + batch)) client.goOnline();
      await sleep(batchMs);
    }
  }

  isAllOnline(): boolean {
    return this.clients.every((client) => !client.isWanted || client.isOnline);
  }

  /** Starts the load at `startUs` on the monotonic clock. */
  startLoad(startUs: number): void {
    const { config } = this;
    const { load } = config;
    this.loadStartUs = startUs;
    this.isLoading = true;
    this.tally.start(startUs);
    this.meter.start();
    this.presence.start(this.senders);
    if (load.mode === 'open') {
      this.schedule = new Schedule(
        { ...load, ratePerSec: load.ratePerSec * config.share },
        new Random(config.seed, `schedule ${config.from}`),
      );
    } else if (load.mode === 'closed') {
      for (const client of this.senders) {
        const nowMs = this.touch() / 1000;
        for (let i = 0; i < load.window; i++) this.submitNext(client, nowMs);
        client.drain(nowMs);
        client.flush();
      }
    }
  }

  /** No new messages from now on. */
  stopLoad(): void {
    if (!this.isLoading) return;
    this.isLoading = false;
    this.presence.stop();
    this.tally.stop(this.touch());
    this.meter.stop();
  }

  /** Ends every fault. */
  heal(): void {
    if (this.faults !== null) this.faults.active = false;
    this.crashOnPageActive = false;
    this.presence.stop();
    for (const client of this.clients) {
      client.endHalfOpen();
      client.resumeReading();
    }
  }

  /** Brings everybody online, those too who stayed away. */
  async returnAll(): Promise<void> {
    await this.connect(this.clients);
  }

  /** True when nothing waits for ack:N. */
  isSettled(): boolean {
    return this.tally.inflight === 0;
  }

  /** ms since the last packet of the protocol, in or out. */
  silenceMs(): number {
    const total = this.packets.reduce((sum, count) => sum + count, 0);
    if (total !== this.lastPacketTotal) {
      this.lastPacketTotal = total;
      this.lastPacketUs = this.touch();
    }
    return (this.touch() - this.lastPacketUs) / 1000;
  }

  /** Makes everybody pull once and resolves with the rows that came; null when it took too long. */
  async pullAll(timeoutMs: number): Promise<number | null> {
    const before = this.counters.pagedDelivered + this.counters.pagedRepeats;
    const nowMs = this.touch() / 1000;
    for (const client of this.clients) {
      client.pull(nowMs);
      client.flush();
    }
    const isDone = (): boolean =>
      this.clients.every((client) => client.isOnline && !client.machine.puller.busy);
    if (!(await until(isDone, timeoutMs))) return null;
    return this.counters.pagedDelivered + this.counters.pagedRepeats - before;
  }

  /** Asks the server what is left in every inbox; null when not everybody was answered. */
  async probeAll(timeoutMs: number): Promise<number | null> {
    for (const client of this.clients) {
      client.probedCount = -1;
      client.probe();
    }
    const isDone = (): boolean => this.clients.every((client) => client.probedCount >= 0);
    if (!(await until(isDone, timeoutMs))) return null;
    return this.clients.reduce((sum, client) => sum + client.probedCount, 0);
  }

  /** The second that just ended. */
  takeSecond(): SecondSample {
    return this.tally.takeSecond({
      nowUs: this.touch(),
      online: this.onlineCount,
      busyShare: this.meter.takeBusyShare(),
    });
  }

  report(stuck: number): SwarmReport {
    const books = emptyBooks();
    books.stuck = stuck;
    let interactions = 0;
    for (const client of this.clients) {
      closeShelves(client.uid, client.sent, client.received, books);
      interactions += client.machine.puller.interactions;
    }
    this.tally.close(this.payloads.unresolved());
    this.counters.interactions = interactions;
    return {
      books,
      latencies: Object.fromEntries(
        LATENCIES.map((name) => [name, this.tally.latencies[name].state()]),
      ) as Record<Latency, RecorderState>,
      packets: [...this.packets],
      counters: this.counters,
      bytesSent: this.hub.bytesSent,
      bytesReceived: this.hub.bytesReceived,
      gaps: {
        count: this.gaps.gaps,
        coefficientOfVariation: this.gaps.coefficientOfVariation,
      },
      window: this.tally.window,
      health: this.meter.health(),
    };
  }

  // ---- what clients tell -------------------------------------------------------------------

  onConnected(_client: VirtualClient, tookUs: number): void {
    this.onlineCount++;
    this.tally.latencies.connect.record(tookUs);
  }

  onSessionLost(): void {
    this.onlineCount--;
  }

  onDisconnected(code: number, reason: string): void {
    this.counters.disconnects++;
    const name = reason === '' ? String(code) : `${code} ${reason.slice(0, 80)}`;
    const { closes } = this.counters;
    if (closes[name] !== undefined || Object.keys(closes).length < 20) {
      closes[name] = (closes[name] ?? 0) + 1;
    }
  }

  onAccepted(client: VirtualClient, effect: ClientEffect): void {
    bookOf(client.sent, effect.uid, effect.epoch, newSentBook).accepted.add(effect.seq);
    this.tally.onAccepted(this.payloads.at(effect.tag), this.nowUs);
  }

  onSettled(client: VirtualClient, effect: ClientEffect): void {
    const book = bookOf(client.sent, effect.uid, effect.epoch, newSentBook);
    book.settle(HOW_SETTLED[effect.outcome], effect.seq);
    this.tally.onSettled(effect.outcome, this.payloads.at(effect.tag), this.nowUs);
    this.payloads.give(effect.tag);
    if (this.isLoading && this.config.load.mode === 'closed') client.settledNow++;
  }

  /** A message reached the machines of `client`, as a push or in a page, new or repeated. */
  onArrival(client: VirtualClient, effect: ClientEffect): void {
    const book = bookOf(client.received, effect.uid, effect.epoch, newReceivedBook);
    const { reader } = this;
    book.onWire(effect.seq);
    const isFresh = effect.kind === ClientEffectKind.Deliver;
    if (effect.paged) {
      if (isFresh) this.counters.pagedDelivered++;
      else this.counters.pagedRepeats++;
    }
    if (!isFresh) return;
    book.onDelivered(effect.seq);
    const isReadable = reader.read(effect.content);
    if (!isReadable) book.corrupt++;
    else if (reader.receiver !== client.uid) book.misrouted++;
    else if (reader.sender !== effect.uid || reader.seq !== effect.seq) book.corrupt++;
    this.tally.onDelivered(isReadable ? reader : null, { paged: effect.paged, nowUs: this.nowUs });
  }

  onDrained(client: VirtualClient, status: number): void {
    this.counters.pulls++;
    if (status !== 0) this.counters.pullsRefused++;
    this.tally.latencies.pull.record(this.nowUs - client.pullStartedUs);
  }

  /** Whether a client that crashed `crashes` times so far dies between page and acknowledgement. */
  crashesNow(crashes: number): boolean {
    const { crashOnPage } = this.config;
    if (crashOnPage === null || !this.crashOnPageActive) return false;
    return crashes < crashOnPage.maxPerClient && this.random.chance(crashOnPage.probability);
  }

  crashAwayMs(): number {
    return 10 + this.random.unit() * 100;
  }

  /**
   * Between two sockets of one turn: a turn may read from hundreds, and what falls due meanwhile must
   * not wait for all of them.
   */
  afterRead(): void {
    this.stampAge = 0;
    if (this.schedule === null || !this.isLoading) return;
    const now = this.touch();
    if (this.schedule.peekUs() <= now - this.loadStartUs) this.runDue(now);
  }

  // ---- sending -----------------------------------------------------------------------------

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
    const book = bookOf(client.sent, receiver, this.config.epoch, newSentBook);
    const isDueInWindow = this.tally.onDue(intendedUs);
    const tag = this.payloads.take(length);
    const payload = this.payloads.at(tag);
    const sentAtUs = nowMs * 1000;
    payload.write({
      seq: book.attempted + 1,
      intendedAtUs: intendedUs,
      sentAtUs,
      sender: client.uid,
      receiver,
    });
    const seq = client.machine.sender.submit(receiver, 0, payload.bytes, tag, nowMs, this.effects);
    if (seq === 0) {
      this.counters.refusedByQueue++;
      this.payloads.give(tag);
      return;
    }
    book.attempted++;
    assert(seq === book.attempted, 'the ledger and the sender count the same sequence');
    payload.isInWindow = isDueInWindow;
    this.tally.onSent(payload, sentAtUs);
  }

  private runDue(now: number): void {
    const sinceStartUs = now - this.loadStartUs;
    this.presence.runEvents(this.senders, sinceStartUs / 1000);
    if (!this.isLoading) return;
    const { schedule } = this;
    const endUs = this.config.durationMs * 1000;
    if (schedule !== null) {
      while (schedule.peekUs() <= sinceStartUs && schedule.peekUs() < endUs) {
        this.sendDue(this.loadStartUs + schedule.takeUs());
      }
    } else if (this.config.load.mode === 'trace') {
      this.runTrace(sinceStartUs);
    }
  }

  private sendDue(intendedUs: number): void {
    this.gaps.add(intendedUs);
    this.didSend = true;
    const client = this.pickSender();
    if (client === null) {
      this.counters.noSender++;
      this.tally.onDue(intendedUs);
      return;
    }
    const receiver = this.config.uidBase + this.picker.pick(client.index);
    const nowMs = this.touch() / 1000;
    this.submit(client, receiver, intendedUs, nowMs);
    client.drain(nowMs);
    client.flush();
  }

  private pickSender(): VirtualClient | null {
    const { senders, random } = this;
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
      const client = this.clients[sender - from] as VirtualClient;
      const nowMs = this.touch() / 1000;
      this.didSend = true;
      client.goOnline();
      this.submit(client, uidBase + receiver, this.loadStartUs + atUs, nowMs);
      client.drain(nowMs);
      client.flush();
      this.presence.lingerAfter(client, load.lingerMs);
    }
  }

  private waitMs(): number {
    const { schedule } = this;
    if (!this.isLoading) return this.wheel.armed > 0 ? TIMER_PRECISION_MS : IDLE_SLEEP_MS;
    const sinceStartUs = this.nowUs - this.loadStartUs;
    let nextUs = Infinity;
    if (schedule !== null) nextUs = schedule.peekUs();
    else if (this.config.load.mode === 'trace') {
      nextUs = this.config.load.atUs[this.traceAt] ?? Infinity;
    }
    return Math.max(0, Math.min((nextUs - sinceStartUs) / 1000, TIMER_PRECISION_MS));
  }

  private createClient(index: number): VirtualClient {
    const { config } = this;
    const { friends } = config.receivers;
    const friendUids: number[] = [...(config.friendUids ?? [])];
    if (config.pull.strategy === PullStrategy.Naive && config.friendUids === null) {
      for (let k = 0; k < friends; k++) {
        friendUids.push(config.uidBase + this.picker.friendOf(index, k));
      }
    }
    const machine = new Client({
      sender: {
        epoch: config.epoch,
        timers: config.retransmit,
        inflightMax: config.inflightMax,
        jitterSeed: index,
      },
      puller: { ...config.pull, friends: friendUids },
    });
    return new VirtualClient(this, index, config.uidBase + index, machine);
  }
}

const HOW_SETTLED = {
  [Outcome.Delivered]: 'confirmed',
  [Outcome.Stored]: 'stored',
  [Outcome.Failed]: 'failed',
  [Outcome.GaveUp]: 'gaveUp',
} as const;
const newSentBook = (epoch: number): SentBook => new SentBook(epoch);
const newReceivedBook = (epoch: number): ReceivedBook => new ReceivedBook(epoch);

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls `isDone` until it holds; false after `timeoutMs`. */
export async function until(isDone: () => boolean, timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (!isDone()) {
    if (performance.now() >= endMs) return false;
    await sleep(5);
  }
  return true;
}
