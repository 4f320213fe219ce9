/**
 * Puller: empties the inbox by one of the strategies of the source articles (S13-S19).
 *
 * | strategy   | interactions for F friends, N pages            | acknowledges                     |
 * |------------|------------------------------------------------|----------------------------------|
 * | naive      | F: one pull per friend                         | with the next pull, the last one |
 * |            |                                                | with the first pull of next time |
 * | counts     | F + 2: counts, a pull per conversation, done   | with the next pull               |
 * | one-shot   | 2: one pull for all, done                      | by done:R                        |
 * | paged-ack  | 2N: every page has its own done                | by done:R after each page        |
 * | paged-next | N + 1                                          | with the next pull               |
 *
 * A page is acknowledged only after all of its rows were delivered (S17). A token that could not be
 * sent (connection lost) is carried into the next pull; a crash forgets it, the page comes again and
 * dedupe absorbs it (S18). Requests are idempotent: one without an answer is sent again unchanged.
 *
 * Bound: one request in flight.
 */
import { assert, never } from './assert.ts';
import { type ClientEffects, ClientEffectKind } from './effects.ts';
import { Status } from './errors.ts';
import { isPage, Kind, NO_PAGE, type Order, type Packet } from './packet.ts';

export const PullStrategy = {
  Naive: 'naive',
  Counts: 'counts',
  OneShot: 'one-shot',
  PagedAck: 'paged-ack',
  PagedNext: 'paged-next',
} as const;
export type PullStrategy = (typeof PullStrategy)[keyof typeof PullStrategy];

export interface PullerOptions {
  readonly strategy: PullStrategy;
  readonly order: Order;
  /** Page size in messages for the paged strategies. */
  readonly pageMessages: number;
  /** Page size in bytes of content. */
  readonly pageBytes: number;
  /** What naive, counts and one-shot ask for at once: the server's page maximum. */
  readonly wholeMessages: number;
  readonly wholeBytes: number;
  /** Friends that naive asks for, one by one. */
  readonly friends: readonly number[];
  /** A request without an answer is sent again after this. */
  readonly requestTimeoutMs: number;
}

/** Default of docs/PROTOCOL.md. */
export const DEFAULT_REQUEST_TIMEOUT_MS = 5000;

const Waits = { Nothing: 0, Counts: 1, Page: 2, Done: 3 } as const;
type Waits = (typeof Waits)[keyof typeof Waits];

export class Puller {
  private readonly options: PullerOptions;
  private waits: Waits = Waits.Nothing;
  private request = 0;
  private deadlineMs = Infinity;
  /** Token of the page that was delivered and is not acknowledged yet. */
  private unacknowledged: Uint8Array = NO_PAGE;
  /** Conversations still to pull (naive, counts); null for the strategies that pull all at once. */
  private queue: number[] | null = null;
  private filter = 0;
  private pageHadMore = false;
  private again = false;
  /** Requests first sent, by this puller's whole life; repeats after a timeout not counted. */
  interactions = 0;

  constructor(options: PullerOptions) {
    this.options = options;
  }

  /** True while a pull is under way. */
  get busy(): boolean {
    return this.waits !== Waits.Nothing;
  }

  /** Starts a pull; one that is under way runs again when it ends. Ends with the effect Drained. */
  start(nowMs: number, out: ClientEffects): void {
    if (this.busy) {
      this.again = true;
      return;
    }
    const { strategy } = this.options;
    this.filter = 0;
    this.queue = null;
    switch (strategy) {
      case PullStrategy.Counts:
        this.ask(Waits.Counts, nowMs, out);
        return;
      case PullStrategy.Naive:
        this.queue = this.options.friends.slice();
        this.pullNextConversation(nowMs, out);
        return;
      case PullStrategy.OneShot:
      case PullStrategy.PagedAck:
      case PullStrategy.PagedNext:
        this.ask(Waits.Page, nowMs, out);
        return;
      default:
        never(strategy, 'pull strategy');
    }
  }

  /** True when `packet` answers the request in flight; others are stale and must be dropped. */
  expects(packet: Packet): boolean {
    if (packet.request !== this.request) return false;
    switch (packet.kind) {
      case Kind.CountA:
        return this.waits === Waits.Counts;
      case Kind.PullA:
        return this.waits === Waits.Page;
      case Kind.DoneA:
        return this.waits === Waits.Done;
      default:
        return false;
    }
  }

  /** The expected answer; the rows of a pull:A must have been delivered before. */
  onAnswer(packet: Packet, nowMs: number, out: ClientEffects): void {
    assert(this.expects(packet), 'the answer is expected');
    if (packet.status !== Status.Ok) {
      this.onRefusal(packet.status as Status, nowMs, out);
      return;
    }
    switch (packet.kind) {
      case Kind.CountA:
        this.queue = packet.counts.map(({ sender }) => sender);
        this.pullNextConversation(nowMs, out);
        return;
      case Kind.PullA:
        // A pull acknowledged what was delivered before it; from now on it is this page's turn.
        this.unacknowledged = packet.rows.length > 0 ? new Uint8Array(packet.page) : NO_PAGE;
        this.pageHadMore = packet.more;
        this.afterPage(nowMs, out);
        return;
      default:
        this.unacknowledged = NO_PAGE;
        if (this.pageHadMore) this.ask(Waits.Page, nowMs, out);
        else this.end(Status.Ok, nowMs, out);
    }
  }

  /** The session is gone: the request is void, the unacknowledged token is kept. */
  onDisconnect(): void {
    this.waits = Waits.Nothing;
    this.deadlineMs = Infinity;
    this.again = false;
  }

  /** The client crashed: only its log survives, so the token is gone too. */
  onCrash(): void {
    this.onDisconnect();
    this.unacknowledged = NO_PAGE;
  }

  nextDeadlineMs(): number {
    return this.deadlineMs;
  }

  /** Sends the request again, unchanged. */
  onDeadline(nowMs: number, out: ClientEffects): void {
    if (nowMs < this.deadlineMs) return;
    this.write(nowMs, out);
  }

  private onRefusal(status: Status, nowMs: number, out: ClientEffects): void {
    switch (status) {
      case Status.BadPage:
        // Not our token any more; the page comes again and dedupe absorbs it.
        this.unacknowledged = NO_PAGE;
        this.ask(Waits.Page, nowMs, out);
        return;
      case Status.BadLimit:
      case Status.BadUid:
        this.end(status, nowMs, out);
        return;
      default:
        return; // a passing trouble of the server: the deadline asks again
    }
  }

  private afterPage(nowMs: number, out: ClientEffects): void {
    const { strategy } = this.options;
    const isAcknowledgedAlone = strategy === PullStrategy.PagedAck;
    if (this.pageHadMore && !isAcknowledgedAlone) this.ask(Waits.Page, nowMs, out);
    else if (this.queue !== null && this.queue.length > 0) this.pullNextConversation(nowMs, out);
    else this.finishPages(nowMs, out);
  }

  private pullNextConversation(nowMs: number, out: ClientEffects): void {
    const next = this.queue?.shift();
    if (next === undefined) {
      this.finishPages(nowMs, out);
      return;
    }
    this.filter = next;
    this.ask(Waits.Page, nowMs, out);
  }

  private finishPages(nowMs: number, out: ClientEffects): void {
    const carries = this.options.strategy === PullStrategy.Naive;
    if (!carries && isPage(this.unacknowledged)) this.ask(Waits.Done, nowMs, out);
    else this.end(Status.Ok, nowMs, out);
  }

  private end(status: Status, nowMs: number, out: ClientEffects): void {
    this.waits = Waits.Nothing;
    this.deadlineMs = Infinity;
    const effect = out.push();
    effect.kind = ClientEffectKind.Drained;
    effect.status = status;
    if (this.again) {
      this.again = false;
      this.start(nowMs, out);
    }
  }

  private ask(waits: Waits, nowMs: number, out: ClientEffects): void {
    this.waits = waits;
    this.request = this.request === 0xffffffff ? 1 : this.request + 1;
    this.interactions++;
    this.write(nowMs, out);
  }

  private write(nowMs: number, out: ClientEffects): void {
    const { strategy, pageMessages, pageBytes, wholeMessages, wholeBytes } = this.options;
    const isPaged = strategy === PullStrategy.PagedAck || strategy === PullStrategy.PagedNext;
    this.deadlineMs = nowMs + this.options.requestTimeoutMs;
    const effect = out.push();
    effect.kind = ClientEffectKind.Send;
    const packet = effect.packet;
    packet.request = this.request;
    if (this.waits === Waits.Counts) {
      packet.kind = Kind.CountR;
      return;
    }
    packet.page = this.unacknowledged;
    if (this.waits === Waits.Done) {
      packet.kind = Kind.DoneR;
      return;
    }
    packet.kind = Kind.PullR;
    packet.uid = this.filter;
    packet.order = this.options.order;
    packet.limit = isPaged ? pageMessages : wholeMessages;
    packet.limitBytes = isPaged ? pageBytes : wholeBytes;
  }
}
