/**
 * A swarm: the virtual clients of one worker thread, their schedule, clock, books and recorders.
 *
 * One loop drives all: due timers, due messages, then the sockets. While the next message is less
 * than a timer's precision away the loop polls (setImmediate) instead of sleeping, so that sends are
 * on time; polling that found nothing to do is counted as idle, not as load.
 */
import {
  Client,
  type ClientEffect,
  ClientEffectKind,
  createClientEffects,
  KINDS,
  Outcome,
  Packet,
  type PullerOptions,
  PullStrategy,
} from '../protocol/index.ts';
import { nowUs } from './clock.ts';
import { type Endpoint, endpointsFor, parseEndpoint, PORTS_PER_ADDRESS } from './endpoint.ts';
import { type Books, bookOf, emptyBooks, type SentBook } from './ledger.ts';
import { type FaultCounts, FaultPlan } from './link.ts';
import { LoopMeter, type LoopHealth } from './loop-meter.ts';
import { MessageTrace, type SessionEnd, TraceWhat } from './message-trace.ts';
import { type Payload, PayloadReader } from './payload.ts';
import { staysOffline } from './presence.ts';
import { Random } from './random.ts';
import type { RecorderState } from './recorder.ts';
import { SocketHub, type SocketLimits } from './socket.ts';
import type { GapSummary } from './schedule.ts';
import type { SwarmConfig } from './swarm-config.ts';
import { SwarmCounters } from './swarm-counters.ts';
import { LATENCIES, type Latency, type SecondSample, Tally, type WindowCounts } from './tally.ts';
import { TimingWheel } from './timing-wheel.ts';
import { createMinter } from './token.ts';
import { VirtualClient } from './virtual-client.ts';
import { sleep, until } from './wait.ts';
import { newReceivedBook, newSentBook, Workload } from './workload.ts';

/** Everything that a worker reports when the run is over. */
export interface SwarmReport {
  books: Books;
  latencies: Record<Latency, RecorderState>;
  packets: number[];
  counters: SwarmCounters;
  /** Packets that the faults of the clients' own links hit; null = no such faults. */
  linkFaults: FaultCounts | null;
  bytesSent: number;
  bytesReceived: number;
  /** Of the instants that were really used. */
  gaps: GapSummary;
  /** Inside the measured window. */
  window: WindowCounts;
  health: LoopHealth;
}

const FRAME_MAX_BYTES = 16 * 1024 * 1024;
const UNSENT_MAX_BYTES = 4 * 1024 * 1024;
/** A sleep of the runtime may end this late; sends due sooner are awaited by polling. */
const TIMER_PRECISION_MS = 2;
const IDLE_SLEEP_MS = 2;
const STALE_PULLS_MAX = 2;
/** Packets of one read that share a time stamp. */
const PACKETS_PER_STAMP = 16;

export class Swarm {
  readonly config: SwarmConfig;
  /** The server, from each source address. */
  private readonly endpoints: readonly Endpoint[];
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
  /** What happens to each message; null = nobody asked for it. */
  readonly trace: MessageTrace | null;
  /** Last reading of the clock, µs. */
  nowUs = nowUs();

  private readonly mint: (uid: number) => string;
  private readonly workload: Workload;
  private readonly reader = new PayloadReader();
  private readonly pull: PullerOptions;
  /** Those who are online during the load, and may send. */
  readonly senders: VirtualClient[] = [];
  private readonly meter = new LoopMeter();
  private isStopped = false;
  private stampAge = 0;
  private onlineCount = 0;
  private crashOnPageActive: boolean;
  /** Pulls of everybody in a row that brought nothing but repeats. */
  private stalePulls = 0;
  /** Rows of the last of them: acknowledged again and again, and still there. */
  private staleRows = 0;
  /** Last time a packet of the protocol went either way, µs. */
  private lastPacketUs = 0;
  private lastPacketTotal = 0;

  constructor(config: SwarmConfig) {
    this.config = config;
    const endpoint = parseEndpoint(config.url, { isInsecure: config.isInsecure });
    this.endpoints = endpointsFor(endpoint, config.users);
    this.mint = createMinter(config.jwtKey);
    this.random = new Random(config.seed, `swarm ${config.from}`);
    const faultRandom = new Random(config.seed, `faults ${config.from}`);
    this.faults = config.faults === null ? null : new FaultPlan(config.faults, faultRandom);
    this.crashOnPageActive = config.crashOnPage !== null;
    this.wheel = new TimingWheel(this.nowUs / 1000);
    this.tally = new Tally(config);
    this.trace = config.traceEventsMax > 0 ? new MessageTrace(config.traceEventsMax) : null;
    this.workload = new Workload(this, config);
    this.pull = { ...config.pull, friends: [] };
    for (let index = config.from; index < config.to; index++) {
      const client = this.createClient(index);
      this.clients.push(client);
      if (!staysOffline(config, index)) this.senders.push(client);
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

  /** The server from where user `index` connects, the same whichever worker has her. */
  endpointOf(index: number): Endpoint {
    return this.endpoints[Math.floor(index / PORTS_PER_ADDRESS)] ?? (this.endpoints[0] as Endpoint);
  }

  tokenOf(uid: number): string {
    return this.mint(uid);
  }

  get online(): number {
    return this.onlineCount;
  }

  get isLoading(): boolean {
    return this.workload.isRunning;
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
      this.workload.runDue(now);
      const reads = this.hub.reads;
      this.hub.reads = 0;
      const waitMs = this.waitMs();
      const isPolling = waitMs < TIMER_PRECISION_MS;
      this.stampAge = 0;
      const didSend = this.workload.takeDidSend();
      this.meter.onTurn({ didWork: reads > 0 || didSend, isPolling });
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
    this.workload.prepareConversations();
    await this.connect(this.senders);
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
    this.tally.start(startUs);
    this.meter.startWithWarmup(this.config.warmupMs);
    this.workload.start(startUs);
  }

  /** No new messages from now on. */
  stopLoad(): void {
    if (!this.workload.isRunning) return;
    this.workload.stop();
    this.tally.stop(this.touch());
    this.meter.stop();
  }

  /** Ends every fault. */
  heal(): void {
    if (this.faults !== null) this.faults.active = false;
    this.crashOnPageActive = false;
    this.workload.stop();
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

  /**
   * Makes everybody pull once and resolves with the rows that came; null when it took too long. Rows
   * that come again and again although they were acknowledged are none: waiting will not end them,
   * and `probeAll` counts them.
   */
  async pullAll(timeoutMs: number): Promise<number | null> {
    const { pagedDelivered, pagedRepeats } = this.counters;
    const nowMs = this.touch() / 1000;
    for (const client of this.clients) {
      client.pull(nowMs);
      client.flush();
    }
    const isDone = (): boolean =>
      this.clients.every((client) => client.isOnline && !client.machine.puller.busy);
    if (!(await until(isDone, timeoutMs))) return null;
    const fresh = this.counters.pagedDelivered - pagedDelivered;
    const repeats = this.counters.pagedRepeats - pagedRepeats;
    this.stalePulls = fresh === 0 && repeats > 0 ? this.stalePulls + 1 : 0;
    this.staleRows = this.stalePulls > STALE_PULLS_MAX ? repeats : 0;
    return this.staleRows > 0 ? 0 : fresh + repeats;
  }

  /**
   * What is left in the inboxes: what the server says, or what it goes on sending whatever it says.
   * null when not everybody was answered.
   */
  async probeAll(timeoutMs: number): Promise<number | null> {
    for (const client of this.clients) {
      client.probedCount = -1;
      client.probe();
    }
    const isDone = (): boolean => this.clients.every((client) => client.probedCount >= 0);
    if (!(await until(isDone, timeoutMs))) return null;
    for (const client of this.clients) {
      for (const { sender, count } of client.probed) {
        const book = bookOf(client.received, sender, this.config.epoch, newReceivedBook);
        book.note('stuck', `still counted: ${count}`);
      }
    }
    const counted = this.clients.reduce((sum, client) => sum + client.probedCount, 0);
    return Math.max(counted, this.staleRows);
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
      client.closeBooks(books);
      interactions += client.machine.puller.interactions;
    }
    this.tally.close(this.workload.payloads.unresolved());
    this.counters.interactions = interactions;
    return {
      books,
      latencies: Object.fromEntries(
        LATENCIES.map((name) => [name, this.tally.latencies[name].state()]),
      ) as Record<Latency, RecorderState>,
      packets: [...this.packets],
      counters: this.counters,
      linkFaults: this.faults?.counts() ?? null,
      bytesSent: this.hub.bytesSent,
      bytesReceived: this.hub.bytesReceived,
      gaps: this.workload.gaps.summary(),
      window: this.tally.window,
      health: this.meter.health(),
    };
  }

  // ---- what clients tell -------------------------------------------------------------------

  onConnected(client: VirtualClient, tookUs: number): void {
    this.onlineCount++;
    this.traceClient(client, TraceWhat.Opened, 0);
    this.tally.latencies.connect.record(tookUs);
  }

  onSessionLost(client: VirtualClient, why: SessionEnd): void {
    this.onlineCount--;
    this.traceClient(client, TraceWhat.Closed, why);
  }

  /** Something that happened to a client, for the trace. */
  traceClient(client: VirtualClient, what: TraceWhat, status: number): void {
    if (this.trace !== null) this.trace.onClient(this.touch(), client.uid, what, status);
  }

  onDisconnected(code: number, reason: string): void {
    this.counters.disconnects++;
    const name = reason === '' ? String(code) : `${code} ${reason.slice(0, 160)}`;
    const { closes } = this.counters;
    if (closes[name] !== undefined || Object.keys(closes).length < 20) {
      closes[name] = (closes[name] ?? 0) + 1;
    }
  }

  onAccepted(client: VirtualClient, effect: ClientEffect): void {
    const payload = this.workload.payloads.at(effect.tag);
    if (!this.config.isBlind) this.sentBookOf(client, effect, payload).accepted.add(effect.seq);
    this.tally.onAccepted(payload, this.nowUs);
  }

  onSettled(client: VirtualClient, effect: ClientEffect): void {
    const payload = this.workload.payloads.at(effect.tag);
    if (!this.config.isBlind) {
      const book = this.sentBookOf(client, effect, payload);
      book.settle(HOW_SETTLED[effect.outcome], effect.seq);
    }
    this.tally.onSettled(effect.outcome, payload, this.nowUs);
    if (this.trace !== null) this.trace.onSettled(this.nowUs, client.uid, effect);
    this.workload.payloads.give(effect.tag);
    this.workload.onSettled(client);
  }

  /** A message reached the machines of `client`, as a push or in a page, new or repeated. */
  onArrival(client: VirtualClient, effect: ClientEffect): void {
    if (this.trace !== null) this.trace.onArrival(this.nowUs, client.uid, effect);
    if (this.config.isBlind) return;
    const book = bookOf(client.received, effect.uid, effect.epoch, newReceivedBook);
    const { reader } = this;
    book.onWire(effect.seq);
    const isFresh = effect.kind === ClientEffectKind.Deliver;
    if (effect.paged) {
      if (isFresh) this.onRow();
      else {
        this.counters.pagedRepeats++;
        if (this.stalePulls >= STALE_PULLS_MAX) {
          book.note('stuck', `seq ${effect.seq} comes again although acknowledged`);
        }
      }
    }
    if (!isFresh) return;
    book.onDelivered(effect.seq);
    const isReadable = reader.read(effect.content);
    const { seq } = effect;
    if (!isReadable) book.mark('corrupt', `seq ${seq}`);
    else if (reader.receiver !== client.uid) {
      book.mark('misrouted', `seq ${seq}, meant for ${reader.receiver}`);
    } else if (reader.sender !== effect.uid || reader.seq !== seq) {
      book.mark('corrupt', `seq ${seq}, content of seq ${reader.seq} of ${reader.sender}`);
    }
    this.tally.onDelivered(isReadable ? reader : null, { paged: effect.paged, nowUs: this.nowUs });
  }

  private onRow(): void {
    const { counters } = this;
    counters.pagedDelivered++;
    if (this.workload.isRunning) return;
    counters.drainedRows++;
    counters.drainedFromUs = Math.min(counters.drainedFromUs, this.nowUs);
    counters.drainedUntilUs = this.nowUs;
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
    if (this.workload.isRunning) this.workload.runOverdue(this.touch());
  }

  /** Closed loop: the next message of `client`. The caller drains. */
  submitNext(client: VirtualClient, nowMs: number): void {
    this.workload.submitNext(client, nowMs);
  }

  /** Submits one message; the caller drains and flushes. */
  submit(client: VirtualClient, receiver: number, intendedUs: number, nowMs: number): void {
    this.workload.submit(client, receiver, intendedUs, nowMs);
  }

  /** The book that an effect names, found again without a search when the message is the tag's. */
  private sentBookOf(client: VirtualClient, effect: ClientEffect, payload: Payload): SentBook {
    const { book, receiver } = payload;
    if (book !== null && receiver === effect.uid && book.epoch === effect.epoch) return book;
    return bookOf(client.sent, effect.uid, effect.epoch, newSentBook);
  }

  private waitMs(): number {
    if (!this.workload.isRunning) return IDLE_SLEEP_MS;
    return Math.max(0, Math.min(this.workload.dueInUs(this.nowUs) / 1000, TIMER_PRECISION_MS));
  }

  private createClient(index: number): VirtualClient {
    const { config } = this;
    const friendUids: number[] = [...(config.friendUids ?? [])];
    if (config.pull.strategy === PullStrategy.Naive && config.friendUids === null) {
      for (const writer of this.workload.writersTo(index)) {
        friendUids.push(config.uidBase + writer);
      }
    }
    const machine = new Client({
      sender: {
        epoch: config.epoch,
        timers: config.retransmit,
        inflightMax: config.inflightMax,
        jitterSeed: index,
      },
      // One object for all who have no list of their own.
      puller: friendUids.length === 0 ? this.pull : { ...config.pull, friends: friendUids },
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
