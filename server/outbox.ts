/**
 * Outbox: outgoing packets are collected per socket and flushed once per loop turn, corked.
 *
 *     turn:  handlers of many sockets ──> queues of the sockets they answer ──> setImmediate: flush
 *
 * One packet stays one WebSocket message; what is shared is the system call. Measured on the
 * prototype: saturated throughput doubles, nothing is lost at low load.
 *
 * Packets wait encoded in slots from a pool by exact length: the packets of a message have few
 * lengths, so in steady state a packet allocates nothing. uWebSockets.js copies on send, so a slot
 * is free again as soon as it was sent.
 */
import { encode, encodedBytes, type Kind, type Packet } from '../protocol/index.ts';

/** What the outbox needs of a socket; uWebSockets.js satisfies it. */
interface OutgoingSocket {
  /** 1 = sent, 0 = buffered behind backpressure, 2 = dropped. */
  send(bytes: ArrayBuffer, isBinary: boolean): number;
  cork(run: () => void): unknown;
}

/** A socket with packets waiting for the end of this turn. */
export interface OutgoingQueue {
  readonly socket: OutgoingSocket;
  readonly waiting: Slot[];
  /** Bytes of what waits; kept by the outbox. */
  waitingBytes: number;
  /** The buffer of the socket is full; this packet and all after it in the turn were not sent. */
  onDropped(kind: Kind): void;
  /** Everything of this turn was handed to the socket. */
  onFlushed(): void;
}

class Slot {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(length: number) {
    this.buffer = new ArrayBuffer(length);
    this.bytes = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
  }
}
export type { Slot };

/** Longer packets are not pooled. */
const POOLED_BYTES_MAX = 2048;
/** Bytes kept in free slots, all lengths together, with what a slot costs beside its bytes. */
const POOL_MAX_BYTES = 16_777_216;
const SLOT_OVERHEAD_BYTES = 400;

export class Outbox {
  private readonly pools: (Slot[] | undefined)[] = new Array<Slot[] | undefined>(
    POOLED_BYTES_MAX + 1,
  ).fill(undefined);
  private pooledBytes = 0;
  private dirty: OutgoingQueue[] = [];
  private spare: OutgoingQueue[] = [];
  private current: OutgoingQueue | null = null;
  private readonly flushLater = (): void => this.flush();
  private readonly sendCurrent = (): void => this.sendAll(this.current as OutgoingQueue);

  /** Encodes `packet` now and sends it at the end of this loop turn. */
  enqueue(queue: OutgoingQueue, packet: Packet): void {
    const slot = this.take(encodedBytes(packet));
    encode(packet, slot.bytes, slot.view, 0);
    if (queue.waiting.length === 0) {
      if (this.dirty.length === 0) setImmediate(this.flushLater);
      this.dirty.push(queue);
    }
    queue.waiting.push(slot);
    queue.waitingBytes += slot.bytes.length;
  }

  /** Sends whatever waits. */
  flush(): void {
    const flushing = this.dirty;
    this.dirty = this.spare;
    this.spare = flushing;
    for (const queue of flushing) {
      this.current = queue;
      if (queue.waiting.length === 1) this.sendCurrent();
      else if (queue.waiting.length > 1) queue.socket.cork(this.sendCurrent);
      queue.onFlushed();
    }
    this.current = null;
    flushing.length = 0;
  }

  /** Forgets what waits for a socket that is gone. */
  discard(queue: OutgoingQueue): void {
    for (const slot of queue.waiting) this.give(slot);
    queue.waiting.length = 0;
    queue.waitingBytes = 0;
  }

  private sendAll(queue: OutgoingQueue): void {
    const { socket, waiting } = queue;
    let isFull = false;
    for (const slot of waiting) {
      isFull ||= socket.send(slot.buffer, true) === 2;
      if (isFull) queue.onDropped(slot.bytes[0] as Kind);
      this.give(slot);
    }
    waiting.length = 0;
    queue.waitingBytes = 0;
  }

  private take(length: number): Slot {
    const pool = length <= POOLED_BYTES_MAX ? this.pools[length] : undefined;
    const slot = pool?.pop();
    if (slot === undefined) return new Slot(length);
    this.pooledBytes -= length + SLOT_OVERHEAD_BYTES;
    return slot;
  }

  private give(slot: Slot): void {
    const length = slot.bytes.length;
    const cost = length + SLOT_OVERHEAD_BYTES;
    if (length > POOLED_BYTES_MAX || this.pooledBytes + cost > POOL_MAX_BYTES) return;
    (this.pools[length] ??= []).push(slot);
    this.pooledBytes += cost;
  }
}
