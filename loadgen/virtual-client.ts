/**
 * A virtual client is a full client: the protocol machines on a socket of its own, with the faults
 * of its own link between them, and the two books of the ledger beside them.
 *
 * It decides nothing about the protocol. Timers of the machines and of reconnecting share one entry
 * in the worker's timing wheel, armed lazily: a deadline that moves later is found out when the old
 * one fires, so acknowledged messages cost no timer operation.
 */
import {
  type Client,
  ClientEffectKind,
  decode,
  DecodeResult,
  encode,
  encodeAlone,
  encodedBytes,
  Kind,
  never,
  type Packet,
  type SenderCount,
  Status,
} from '../protocol/index.ts';
import {
  bookOf,
  type Books,
  type BookShelf,
  closeShelves,
  NO_BOOKS,
  type ReceivedBook,
  SentBook,
} from './ledger.ts';
import { HeldPacket } from './held-packet.ts';
import { FaultAction, type LinkEnd } from './link.ts';
import { SessionEnd, TraceWhat } from './message-trace.ts';
import { ClientSocket, type SocketListener } from './socket.ts';
import type { Swarm } from './swarm.ts';
import { Timer } from './timing-wheel.ts';

/** Request number of the harness's own count:R; the puller's numbers never get there. */
const PROBE_REQUEST = 0xffffffff;
/** Within which the server must have answered the upgrade. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

export class VirtualClient extends Timer implements SocketListener, LinkEnd {
  readonly uid: number;
  readonly index: number;
  readonly machine: Client;
  private readonly swarm: Swarm;
  /** Null until the first book: most idle clients never have one. */
  private sentBooks: BookShelf<SentBook> | null = null;
  private receivedBooks: BookShelf<ReceivedBook> | null = null;
  private socket: ClientSocket | null = null;
  private online = false;
  private wanted = false;
  private connectStartedUs = 0;
  private reconnects = 0;
  private reconnectAtMs = Infinity;
  linkCounts: Uint32Array | null = null;
  /** True while what the machines send is thrown away: the process dies, or holds its tongue. */
  private isCrashing = false;
  private isMute = false;
  private crashes = 0;
  private isHalfOpen = false;
  private wasKicked = false;
  /** Closed loop: settled messages whose successors wait for the end of the drain. */
  settledNow = 0;
  /** Pulls that ended with no row since the last row; two in a row mean drained. */
  emptyPulls = 0;
  rowsInPull = 0;
  pullStartedUs = 0;
  /** What happens at a page of this client, before it is acknowledged; null = nothing. */
  atPage: { readonly nth: number; readonly action: 'crash' | 'hold'; reached: boolean } | null =
    null;
  private pages = 0;
  /** Pulls that ended, and when and after how much traffic of the worker the last one did. */
  drains = 0;
  drainedAtUs = 0;
  drainedBytesReceived = 0;
  drainedBytesSent = 0;
  /** Called once, when the next pull starts. */
  onFirstPull: (() => void) | null = null;
  isPulling = false;
  /** Messages in the inbox at the final probe; -1 = not probed. */
  probedCount = -1;
  /** The same by sender; empty when nothing is left, as it should be. */
  probed: readonly SenderCount[] = [];

  constructor(swarm: Swarm, index: number, uid: number, machine: Client) {
    super();
    this.swarm = swarm;
    this.index = index;
    this.uid = uid;
    this.machine = machine;
  }

  get sent(): BookShelf<SentBook> {
    return (this.sentBooks ??= new Map());
  }

  get received(): BookShelf<ReceivedBook> {
    return (this.receivedBooks ??= new Map());
  }

  get isOnline(): boolean {
    return this.online;
  }

  get isWanted(): boolean {
    return this.wanted;
  }

  /** Connects now and reconnects whenever the connection is lost. */
  goOnline(): void {
    if (this.wanted) return;
    this.wanted = true;
    this.reconnects = 0;
    this.connect();
  }

  /** Logs out with a close frame; what waits for ack:N stays in the queue. */
  goOffline(): void {
    if (this.wanted && this.swarm.isLoading) this.swarm.counters.logouts++;
    this.wanted = false;
    this.reconnectAtMs = Infinity;
    this.socket?.close(1000);
    this.loseSession(SessionEnd.Logout);
  }

  /** The process dies and comes back after `awayMs`; its log survives. */
  crash(awayMs: number): void {
    this.crashes++;
    this.swarm.counters.crashes++;
    const socket = this.socket;
    this.socket = null;
    socket?.destroy();
    this.loseSession(SessionEnd.Crash);
    if (this.wanted) this.reconnectIn(awayMs);
  }

  /** The network drops the connection; the client comes back at once. */
  drop(): void {
    if (this.socket !== null) this.swarm.counters.drops++;
    this.resetNow();
  }

  /** The link goes dead without a sign, in both directions. */
  halfOpen(): void {
    if (this.socket === null) return;
    this.isHalfOpen = true;
    this.swarm.counters.halfOpens++;
    this.swarm.traceClient(this, TraceWhat.Silent, 0);
    this.socket.isAlive = false;
  }

  endHalfOpen(): void {
    if (!this.isHalfOpen) return;
    this.isHalfOpen = false;
    this.resetNow();
  }

  pauseReading(): void {
    if (this.socket === null) return;
    this.swarm.counters.slowReads++;
    this.swarm.traceClient(this, TraceWhat.Paused, 0);
    this.socket.pause();
  }

  resumeReading(): void {
    if (this.socket === null) return;
    this.swarm.traceClient(this, TraceWhat.Resumed, 0);
    this.socket.resume();
  }

  /** Starts a pull unless one is under way. */
  pull(nowMs: number): void {
    if (!this.online || this.machine.puller.busy) return;
    this.noticePull();
    this.machine.puller.start(nowMs, this.swarm.effects);
    this.drain(nowMs);
  }

  /** Asks the server how many messages it still holds. */
  probe(): void {
    const { packet } = this.swarm;
    packet.kind = Kind.CountR;
    packet.request = PROBE_REQUEST;
    this.write(packet);
    this.socket?.flush();
  }

  /** Adds what this client saw to `books`. */
  closeBooks(books: Books): void {
    closeShelves(this.uid, this.sentBooks ?? NO_BOOKS, this.receivedBooks ?? NO_BOOKS, books);
  }

  /** Drains what an input of the machines wrote, then writes to the socket. */
  drain(nowMs: number): void {
    const { swarm } = this;
    const { effects } = swarm;
    for (;;) {
      for (let i = 0; i < effects.length; i++) {
        const effect = effects.at(i);
        switch (effect.kind) {
          case ClientEffectKind.Send:
            if (!this.isCrashing && !this.isMute) this.transmit(effect.packet, nowMs);
            break;
          case ClientEffectKind.Deliver:
          case ClientEffectKind.Repeat:
            if (effect.paged) this.rowsInPull++;
            swarm.onArrival(this, effect);
            break;
          case ClientEffectKind.Accepted:
            swarm.onAccepted(this, effect);
            break;
          case ClientEffectKind.Settled:
            swarm.onSettled(this, effect);
            break;
          case ClientEffectKind.Drained:
            this.onDrained(effect.status);
            break;
          case ClientEffectKind.Kicked:
            this.wasKicked = true;
            break;
          default:
            never(effect.kind, 'client effect');
        }
      }
      effects.clear();
      if (this.settledNow === 0) break;
      const settled = this.settledNow;
      this.settledNow = 0;
      for (let i = 0; i < settled; i++) swarm.submitNext(this, nowMs);
      if (effects.length === 0) break;
    }
  }

  flush(): void {
    this.socket?.flush();
    this.reschedule();
  }

  override onTimer(nowMs: number): void {
    if (this.reconnectAtMs <= nowMs) {
      this.reconnectAtMs = Infinity;
      if (this.wanted && this.socket === null) this.connect();
      else if (this.wanted && !this.online) this.giveUpHandshake();
    }
    if (this.machine.nextDeadlineMs() <= nowMs) {
      this.machine.onDeadline(nowMs, this.swarm.effects);
      this.drain(nowMs);
    }
    this.flush();
  }

  onOpen(): void {
    const { swarm } = this;
    const nowUs = swarm.touch();
    this.online = true;
    this.reconnects = 0;
    this.reconnectAtMs = Infinity;
    this.wasKicked = false;
    swarm.onConnected(this, nowUs - this.connectStartedUs);
    this.noticePull();
    this.machine.onConnect(nowUs / 1000, swarm.effects);
    this.drain(nowUs / 1000);
    this.flush();
  }

  onMessage(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    if (this.isHalfOpen) return;
    const { swarm } = this;
    const nowMs = swarm.touchOften() / 1000;
    const { packet } = swarm;
    if (decode(bytes, view, offset, length, packet) !== DecodeResult.Ok) {
      swarm.counters.undecodable++;
      this.socket?.close(1002);
      return;
    }
    const kind = packet.kind;
    swarm.packets[kind]!++;
    const action = this.fateOf(packet, true);
    if (action === FaultAction.Drop) return;
    if (action === FaultAction.Delay) {
      // Not bytes.slice: of a Buffer that is a view, and the next read overwrites it.
      this.hold(new Uint8Array(bytes.subarray(offset, offset + length)), true, nowMs);
      return;
    }
    this.handle(packet, nowMs);
    if (action !== FaultAction.Duplicate) return;
    decode(bytes, view, offset, length, packet);
    this.handle(packet, nowMs);
  }

  onReadEnd(): void {
    this.flush();
    this.swarm.afterRead();
  }

  onClose(code: number, reason: string, socket: ClientSocket): void {
    if (socket !== this.socket) return;
    this.socket = null;
    this.swarm.onDisconnected(code, reason);
    this.loseSession(SessionEnd.Lost);
    if (!this.wanted) return;
    if (this.wasKicked) {
      this.wanted = false;
      return;
    }
    const { firstMs, maxMs } = this.swarm.config.reconnect;
    const backoffMs = Math.min(firstMs * 2 ** this.reconnects++, maxMs);
    this.reconnectIn(backoffMs * (0.5 + this.swarm.random.unit()));
  }

  /** A held packet is due; it is gone when its connection is. */
  onHeld(
    socket: ClientSocket,
    bytes: Uint8Array<ArrayBuffer>,
    isIncoming: boolean,
    nowMs: number,
  ): void {
    const isLost = socket !== this.socket || !socket.isOpen;
    const { packet, trace } = this.swarm;
    if (trace !== null) trace.onHeld(this.swarm.nowUs, this.uid, isIncoming, bytes, isLost);
    if (isLost) return;
    if (isIncoming) {
      decode(bytes, new DataView(bytes.buffer), 0, bytes.length, packet);
      this.handle(packet, nowMs);
    } else {
      const at = socket.reserve(bytes.length);
      this.swarm.hub.write.set(bytes, at);
    }
    this.flush();
  }

  private handle(packet: Packet, nowMs: number): void {
    const { swarm } = this;
    if (packet.kind === Kind.CountA && packet.request === PROBE_REQUEST) {
      // A refusal holds no counts, which is not the same as nothing left: it stays unanswered.
      if (packet.status !== Status.Ok) return;
      this.probedCount = packet.counts.reduce((sum, { count }) => sum + count, 0);
      this.probed = packet.counts.map(({ sender, count }) => ({ sender, count }));
      return;
    }
    if (packet.kind === Kind.InboxN) this.noticePull();
    const isPage = packet.kind === Kind.PullA && packet.rows.length > 0;
    const planned = isPage ? this.plannedAtPage() : null;
    this.isMute = planned === 'hold';
    this.isCrashing = planned === 'crash' || (isPage && swarm.crashesNow(this.crashes));
    if (!this.machine.onPacket(packet, nowMs, swarm.effects)) {
      swarm.counters.undecodable++;
      this.socket?.close(1002);
    }
    if (swarm.effects.length === 0) this.onIdleAnswer(packet);
    this.drain(nowMs);
    this.isMute = false;
    if (this.isCrashing) {
      this.isCrashing = false;
      swarm.counters.pageCrashes++;
      this.crash(swarm.crashAwayMs());
    }
  }

  /** An answer that ended no wait. Of another epoch it may be meant for a run before this one. */
  private onIdleAnswer({ kind, uid, epoch, seq, status }: Packet): void {
    const isOk = kind === Kind.MsgA && status === Status.Ok;
    if ((!isOk && kind !== Kind.AckN) || epoch !== this.swarm.config.epoch) return;
    const book = bookOf(this.sent, uid, epoch, (made) => new SentBook(made));
    if (isOk) book.onLateAnswer(seq);
    else book.onIdleAckN(seq);
  }

  private plannedAtPage(): 'crash' | 'hold' | null {
    const { atPage } = this;
    this.pages++;
    if (atPage === null || atPage.reached || this.pages !== atPage.nth) return null;
    atPage.reached = true;
    return atPage.action;
  }

  private noticePull(): void {
    if (this.isPulling) return;
    this.isPulling = true;
    this.rowsInPull = 0;
    this.pullStartedUs = this.swarm.nowUs;
    this.onFirstPull?.();
    this.onFirstPull = null;
  }

  private onDrained(status: number): void {
    this.emptyPulls = this.rowsInPull === 0 && status === 0 ? this.emptyPulls + 1 : 0;
    const { hub } = this.swarm;
    this.drains++;
    this.drainedAtUs = this.swarm.touch();
    this.drainedBytesReceived = hub.bytesReceived;
    this.drainedBytesSent = hub.bytesSent + hub.writeLength;
    this.swarm.onDrained(this, status);
    this.isPulling = false;
    if (this.machine.puller.busy) this.noticePull(); // it went on by itself
  }

  private transmit(packet: Packet, nowMs: number): void {
    const kind = packet.kind;
    const { swarm } = this;
    swarm.packets[kind]!++;
    if (this.socket === null) return;
    switch (this.fateOf(packet, false)) {
      case FaultAction.Drop:
        return;
      case FaultAction.Delay:
        this.hold(encodeAlone(packet), false, nowMs);
        return;
      case FaultAction.Duplicate:
        this.write(packet);
        this.write(packet);
        return;
      default:
        this.write(packet);
    }
  }

  private write(packet: Packet): void {
    const { socket } = this;
    if (socket === null || !socket.isOpen) return;
    const at = socket.reserve(encodedBytes(packet));
    const { hub } = this.swarm;
    encode(packet, hub.write, hub.writeView, at);
  }

  private hold(bytes: Uint8Array<ArrayBuffer>, isIncoming: boolean, nowMs: number): void {
    const { faults, wheel } = this.swarm;
    if (faults === null || this.socket === null) return;
    const holdMs = faults.holdMs(bytes[0] as Kind);
    wheel.arm(new HeldPacket(this, this.socket, bytes, isIncoming), nowMs + holdMs);
  }

  /** What the link does with a packet. */
  private fateOf(packet: Packet, isIncoming: boolean): FaultAction {
    const { faults, trace } = this.swarm;
    const action = faults === null ? FaultAction.Pass : faults.decideOn(this, packet.kind);
    if (trace !== null) trace.onPacket(this.swarm.nowUs, this.uid, isIncoming, packet, action);
    return action;
  }

  private resetNow(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.reset();
    this.loseSession(SessionEnd.Reset);
    if (!this.wanted) return;
    this.reconnects = 0;
    this.connect();
  }

  private connect(): void {
    const { swarm } = this;
    this.connectStartedUs = swarm.touch();
    swarm.counters.connects++;
    this.socket = new ClientSocket(
      swarm.hub,
      swarm.endpointOf(this.index),
      swarm.tokenOf(this.uid),
      this,
      swarm.socketLimits,
    );
    this.reconnectIn(HANDSHAKE_TIMEOUT_MS);
  }

  /** Nobody answers on this connection: a dead link, or a server that only listens. */
  private giveUpHandshake(): void {
    const { swarm } = this;
    swarm.counters.handshakeTimeouts++;
    const { socket } = this;
    this.socket = null;
    socket?.destroy();
    this.connect();
  }

  private loseSession(why: SessionEnd): void {
    if (why === SessionEnd.Crash) this.machine.onCrash();
    else this.machine.onDisconnect();
    if (this.isPulling) this.isPulling = false;
    if (!this.online) return;
    this.online = false;
    this.swarm.onSessionLost(this, why);
  }

  private reconnectIn(ms: number): void {
    this.reconnectAtMs = this.swarm.touch() / 1000 + ms;
    this.reschedule();
  }

  private reschedule(): void {
    const next = Math.min(this.machine.nextDeadlineMs(), this.reconnectAtMs);
    if (next < this.deadlineMs || this.wheelSlot < 0) this.swarm.wheel.arm(this, next);
  }
}
