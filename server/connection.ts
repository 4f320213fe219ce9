/**
 * One WebSocket session of the server: a gateway session on one side, a uWebSockets.js socket on the
 * other, and the packets that wait for the end of the loop turn between them.
 */
import type { WebSocket } from 'uWebSockets.js';
import { CloseCode, CLOSE_INFO, type Kind, type Packet, type Session } from '../protocol/index.ts';
import type { Counters } from './counters.ts';
import type { Outbox, OutgoingQueue } from './outbox.ts';

/** Where the gateway's packets for a session go: a WebSocket or an HTTP answer. */
export interface Peer {
  send(packet: Packet): void;
  close(code: CloseCode): void;
}

export type UserSession = Session<Peer>;

/** What every connection shares. */
export interface ConnectionContext {
  readonly outbox: Outbox;
  readonly counters: Counters;
  /** Bytes that may wait for one socket within a turn of the loop. */
  readonly waitingMaxBytes: number;
  /** The socket is gone, whoever closed it. */
  onGone(connection: Connection): void;
}

/** What uWebSockets.js keeps for a socket: it copies the properties, so the object is only a shell. */
export interface SocketData {
  readonly connection: Connection;
}

export class Connection implements Peer, OutgoingQueue {
  readonly uid: number;
  readonly expiresAtMs: number;
  waitingCount = 0;
  waitingBytes = 0;
  firstAt = 0;
  lastAt = 0;
  session: UserSession | null = null;
  private ws: WebSocket<SocketData> | null = null;
  private closeCode: CloseCode | 0 = 0;
  private readonly context: ConnectionContext;

  constructor(uid: number, expiresAtMs: number, context: ConnectionContext) {
    this.uid = uid;
    this.expiresAtMs = expiresAtMs;
    this.context = context;
  }

  get socket(): WebSocket<SocketData> {
    if (this.ws === null) throw new Error('the socket is open while packets wait for it');
    return this.ws;
  }

  onOpen(ws: WebSocket<SocketData>): void {
    this.ws = ws;
  }

  send(packet: Packet): void {
    if (this.ws === null) {
      this.context.counters.droppedClosed++;
      return;
    }
    const { counters, outbox, waitingMaxBytes } = this.context;
    counters.sent[packet.kind]!++;
    if (this.waitingBytes >= waitingMaxBytes) {
      // One turn may answer thousands of requests that arrived together: the bound holds there too.
      this.onDropped(packet.kind);
      this.end();
      return;
    }
    outbox.enqueue(this, packet);
  }

  /** Closes after what waits was flushed, with a reason that a person can read. */
  close(code: CloseCode): void {
    if (this.ws === null || this.closeCode !== 0) return;
    this.closeCode = code;
    if (this.waitingCount === 0) this.end();
  }

  onDropped(kind: Kind): void {
    const { counters } = this.context;
    counters.sent[kind]!--;
    counters.droppedBackpressure[kind]!++;
    // What was dropped is repeated by its sender or pulled again; a consumer this slow must go,
    // because every further packet would be dropped too.
    this.closeCode ||= CloseCode.SlowConsumer;
  }

  onFlushed(): void {
    if (this.closeCode !== 0) this.end();
  }

  /** The socket's close event: nothing may be sent any more. */
  onClosed(code: number): void {
    const { counters, outbox } = this.context;
    countClose(counters, this.closeCode === 0 ? code : this.closeCode);
    counters.droppedClosed += this.waitingCount;
    this.ws = null;
    outbox.discard(this);
    this.context.onGone(this);
  }

  private end(): void {
    const code = this.closeCode as CloseCode;
    // A close frame would wait behind the full buffer, and the buffer for the client: free it now.
    if (code === CloseCode.SlowConsumer) this.ws?.close();
    else this.ws?.end(code, CLOSE_INFO[code].name);
  }
}

function countClose(counters: Counters, code: number): void {
  counters.closedByCode.set(code, (counters.closedByCode.get(code) ?? 0) + 1);
}
