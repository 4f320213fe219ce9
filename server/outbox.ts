/**
 * Outbox: outgoing packets are collected per socket and flushed once per loop turn, corked.
 *
 *     turn:  handlers of many sockets ──> queues of the sockets they answer ──> setImmediate: flush
 *
 * One packet stays one WebSocket message; what is shared is the system call. Measured on the
 * prototype: saturated throughput doubles, nothing is lost at low load.
 *
 * Packets wait encoded, one behind the other in a tape that the next turn writes over; those of a
 * socket are linked. uWebSockets.js takes an ArrayBuffer of the exact length and copies it on send,
 * so each is copied into the one buffer of its length first: packets have few lengths, and such a
 * buffer with all that the runtime keeps about it stays in the cache. A buffer per waiting packet,
 * even a pooled one, does not, and cost more than the copy: docs/decisions/0010.
 *
 *     tape   | next, length, packet | next, length, packet | …        socket: first, last
 *                 └──────────────────────────^
 */
import { assert, encode, encodedBytes, type Kind, type Packet } from '../protocol/index.ts';

/** What the outbox needs of a socket; uWebSockets.js satisfies it. */
interface OutgoingSocket {
  /** 1 = sent, 0 = buffered behind backpressure, 2 = dropped. */
  send(bytes: ArrayBuffer, isBinary: boolean): number;
  cork(run: () => void): unknown;
}

/** A socket with packets waiting for the end of this turn. All but the socket is the outbox's. */
export interface OutgoingQueue {
  readonly socket: OutgoingSocket;
  waitingCount: number;
  waitingBytes: number;
  /** Where on the tape its first and last packet are; nowhere when none waits. */
  firstAt: number;
  lastAt: number;
  /** The buffer of the socket is full; this packet and all after it in the turn were not sent. */
  onDropped(kind: Kind): void;
  /** Everything of this turn was handed to the socket. */
  onFlushed(): void;
}

/** A piece of the tape. */
class Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;

  constructor() {
    const buffer = new ArrayBuffer(CHUNK_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
  }
}

/** What packets of one length are sent from. */
class Carrier {
  readonly buffer: ArrayBuffer;
  private readonly bytes: Uint8Array;
  private readonly words: Uint32Array;

  constructor(length: number) {
    this.buffer = new ArrayBuffer(length);
    this.bytes = new Uint8Array(this.buffer);
    this.words = new Uint32Array(this.buffer, 0, length >>> 2);
  }

  /** Takes the packet that begins at word `from` of `chunk`. */
  load(chunk: Chunk, from: number): void {
    const { bytes, words } = this;
    const source = chunk.words;
    for (let i = 0; i < words.length; i++) words[i] = source[from + i] as number;
    for (let i = words.length << 2; i < bytes.length; i++) {
      bytes[i] = chunk.bytes[(from << 2) + i] as number;
    }
  }
}

const CHUNK_SHIFT = 18;
const CHUNK_BYTES = 1 << CHUNK_SHIFT;
/** Kept from one turn to the next: 4 MiB, several times what a saturated turn needs. */
const CHUNKS_KEPT = 16;
/** Beyond it positions on the tape would not fit into 32 bits; no turn receives so much. */
const CHUNKS_MAX = 1 << (32 - CHUNK_SHIFT);
/** Before each packet: where the next one of its socket is, and its length. */
const HEADER_BYTES = 8;
/** Longer packets have a buffer of their own, and the tape its number. */
const CARRIED_BYTES_MAX = 2048;

export class Outbox {
  private chunks: Chunk[] = [new Chunk()];
  /** Bytes of the tape in use. */
  private used = 0;
  private readonly carriers: (Carrier | undefined)[] = new Array<Carrier | undefined>(
    CARRIED_BYTES_MAX + 1,
  ).fill(undefined);
  private large: ArrayBuffer[] = [];
  private dirty: (OutgoingQueue | null)[] = [];
  private dirtyCount = 0;
  private spare: (OutgoingQueue | null)[] = [];
  private current: OutgoingQueue | null = null;
  private readonly flushLater = (): void => this.flush();
  private readonly sendCurrent = (): void => this.sendAll(this.current as OutgoingQueue);

  /** Whether something was enqueued within this turn of the loop, and waits for its end. */
  get isWaiting(): boolean {
    return this.dirtyCount > 0;
  }

  /** Encodes `packet` now and sends it at the end of this loop turn. */
  enqueue(queue: OutgoingQueue, packet: Packet): void {
    const length = encodedBytes(packet);
    const isCarried = length <= CARRIED_BYTES_MAX;
    const at = this.reserve(HEADER_BYTES + (isCarried ? length : 4));
    const chunk = this.chunks[at >>> CHUNK_SHIFT] as Chunk;
    const offset = at & (CHUNK_BYTES - 1);
    chunk.words[(offset >>> 2) + 1] = length;
    if (isCarried) {
      encode(packet, chunk.bytes, chunk.view, offset + HEADER_BYTES);
    } else {
      const buffer = new ArrayBuffer(length);
      encode(packet, new Uint8Array(buffer), new DataView(buffer), 0);
      chunk.words[(offset >>> 2) + 2] = this.large.push(buffer) - 1;
    }
    if (queue.waitingCount === 0) {
      if (this.dirtyCount === 0) setImmediate(this.flushLater);
      this.dirty[this.dirtyCount++] = queue;
      queue.firstAt = at;
    } else {
      const last = this.chunks[queue.lastAt >>> CHUNK_SHIFT] as Chunk;
      last.words[(queue.lastAt & (CHUNK_BYTES - 1)) >>> 2] = at;
    }
    queue.lastAt = at;
    queue.waitingCount++;
    queue.waitingBytes += length;
  }

  /** Sends whatever waits. */
  flush(): void {
    const flushing = this.dirty;
    const count = this.dirtyCount;
    this.dirty = this.spare;
    this.dirtyCount = 0;
    this.spare = flushing;
    for (let i = 0; i < count; i++) {
      const queue = flushing[i] as OutgoingQueue;
      // Not by `length = 0`, which frees the array's memory to be grown again in the next turn.
      flushing[i] = null;
      this.current = queue;
      if (queue.waitingCount === 1) this.sendCurrent();
      else if (queue.waitingCount > 1) queue.socket.cork(this.sendCurrent);
      queue.onFlushed();
    }
    this.current = null;
    if (this.dirtyCount === 0) this.rewind();
  }

  /** Forgets what waits for a socket that is gone. */
  discard(queue: OutgoingQueue): void {
    queue.waitingCount = 0;
    queue.waitingBytes = 0;
  }

  private sendAll(queue: OutgoingQueue): void {
    const { socket, waitingCount } = queue;
    let isFull = false;
    let at = queue.firstAt;
    for (let i = 0; i < waitingCount; i++) {
      const chunk = this.chunks[at >>> CHUNK_SHIFT] as Chunk;
      const word = (at & (CHUNK_BYTES - 1)) >>> 2;
      const length = chunk.words[word + 1] as number;
      const buffer =
        length <= CARRIED_BYTES_MAX
          ? this.load(chunk, word + 2, length)
          : (this.large[chunk.words[word + 2] as number] as ArrayBuffer);
      isFull ||= socket.send(buffer, true) === 2;
      if (isFull) queue.onDropped(new Uint8Array(buffer, 0, 1)[0] as Kind);
      at = chunk.words[word] as number;
    }
    queue.waitingCount = 0;
    queue.waitingBytes = 0;
  }

  private load(chunk: Chunk, word: number, length: number): ArrayBuffer {
    const carrier = (this.carriers[length] ??= new Carrier(length));
    carrier.load(chunk, word);
    return carrier.buffer;
  }

  /** A place on the tape for so many bytes, within one chunk and aligned to words. */
  private reserve(bytes: number): number {
    const free = CHUNK_BYTES - (this.used & (CHUNK_BYTES - 1));
    if (free < bytes) this.used += free;
    const at = this.used;
    const index = at >>> CHUNK_SHIFT;
    if (index === this.chunks.length) {
      assert(index < CHUNKS_MAX, 'a turn of the loop sends less than 4 GiB');
      this.chunks.push(new Chunk());
    }
    this.used = at + ((bytes + 3) & ~3);
    return at;
  }

  /** Nothing waits any more: the next turn begins the tape anew. */
  private rewind(): void {
    this.used = 0;
    if (this.large.length > 0) this.large = [];
    if (this.chunks.length > CHUNKS_KEPT) this.chunks = this.chunks.slice(0, CHUNKS_KEPT);
  }
}
