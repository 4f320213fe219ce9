/**
 * One link of the frame proxy: a client's connection, the one to the server that was made for it, and
 * the two lanes between them, in which packets are dropped, held, doubled and cut.
 *
 * What must stay true: what one side does (bytes, FIN, RST) is done to the other, unless the lane
 * between them is dead; and a lane whose receiver does not read stops reading its sender.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { FaultAction, type FaultPlan, Kind, KIND_NAME, type Random } from '../loadgen/index.ts';
import {
  firstPayloadByte,
  type FrameSink,
  FrameSplitter,
  shortenedFrame,
  WHOLE_BINARY,
} from './frame-proxy-frames.ts';

const FRAME_MAX_BYTES = 4 * 1024 * 1024;
const UNSENT_MAX_BYTES = 256 * 1024;
const HELD_MAX_BYTES = 64 * 1024 * 1024;
const PEN_BYTES = 131_072;
/** Of msg:R and msg:N, what is behind this is content, and a shorter content is a valid one. */
const MSG_HEADER_BYTES = 20;
/** How long a link may take to close once one side has begun to. */
const LINGER_MS = 10_000;

/**
 * What can be done to whole links. reset: RST to both sides. tear: the next packet, either way, is
 * cut in the middle, then both sides are closed. half-open: nothing passes, nobody is told; -up and
 * -down: in that direction only. ghost: the client is reset and the server is not told. stall: nothing
 * is read for a while. throttle: reads are as slow as `bytesPerSec`.
 */
export const LINK_ACTIONS = [
  'reset',
  'tear',
  'half-open',
  'half-open-up',
  'half-open-down',
  'ghost',
  'stall',
  'throttle',
] as const;
export type LinkAction = (typeof LINK_ACTIONS)[number];

export interface LinkHit {
  readonly action: LinkAction;
  /** Probability for each open link; at least one is hit when there is one. */
  readonly share: number;
  /** How long it lasts, ms; half-open links and ghosts are reset then. */
  readonly forMs: number;
  /** Of throttle. */
  readonly bytesPerSec: number;
}

/** The server behind the proxy: TLS to it, if it wants, and plain TCP to the clients. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly isInsecure: boolean;
}

/** What all links share. */
export interface LinkOwner {
  readonly plan: FaultPlan;
  readonly random: Random;
  readonly pen: Pen;
  /** Memory that every read from the server goes through. */
  readonly readBytes: Buffer<ArrayBuffer>;
  /** Packets that came, by kind. */
  readonly packets: Float64Array;
  heldBytes: number;
  heldPeakBytes: number;
  unsentPeakBytes: number;
  unheld: number;
  swallowed: number;
  untouched: number;
  refused: number;
  /** Only faults that really happened count; a tear happens with the packet that it cuts. */
  onHit(action: LinkAction): void;
  onLinkGone(link: Link): void;
}

/** Bytes of one read on their way out: what passes is collected here and leaves with one write. */
export class Pen {
  private bytes = Buffer.allocUnsafeSlow(PEN_BYTES);
  private length = 0;

  /** Appends bytes [from, to); first writes to `socket` what has no room beside them. */
  append(bytes: Buffer, from: number, to: number, socket: Socket): void {
    if (this.length + to - from > PEN_BYTES) this.flush(socket);
    if (to - from > PEN_BYTES) {
      socket.write(Buffer.from(bytes.subarray(from, to)));
      return;
    }
    bytes.copy(this.bytes, this.length, from, to);
    this.length += to - from;
  }

  /** Hands everything to `socket`. */
  flush(socket: Socket): void {
    const { length } = this;
    if (length === 0) return;
    this.length = 0;
    if (socket.destroyed || socket.writableEnded) return;
    const part = this.bytes.subarray(0, length);
    // Behind others it waits: a copy of its size, or a slow reader would keep one pen per packet.
    if (socket.writableLength > 0) {
      socket.write(Buffer.from(part));
      return;
    }
    socket.write(part);
    if (socket.writableLength > 0) this.bytes = Buffer.allocUnsafeSlow(PEN_BYTES);
  }
}

/** One direction of a link. */
class Lane implements FrameSink {
  /** Everything is swallowed, closes included. */
  isDead = false;
  /** The next packet is cut in the middle. */
  isTearing = false;
  isStalled = false;
  bytesPerSec = Infinity;
  readonly splitter: FrameSplitter;
  private readonly proxy: LinkOwner;
  private readonly link: Link;
  private readonly from: Socket;
  private readonly to: Socket;
  /** Packets of each kind so far, for rules. */
  private readonly counts: Uint32Array | null;
  private throttleTimer: NodeJS.Timeout | null = null;
  private isBlocked = false;

  constructor(proxy: LinkOwner, link: Link, from: Socket, to: Socket) {
    this.proxy = proxy;
    this.link = link;
    this.from = from;
    this.to = to;
    this.splitter = new FrameSplitter(this, FRAME_MAX_BYTES);
    this.counts = proxy.plan.hasRules ? new Uint32Array(256) : null;
    to.on('drain', () => {
      if (!this.isBlocked) return;
      this.isBlocked = false;
      this.flow();
    });
  }

  /** A read of the sender. */
  take(bytes: Buffer, length: number): void {
    this.splitter.take(bytes, length);
    this.proxy.pen.flush(this.to);
    const unsentBytes = this.to.writableLength;
    if (unsentBytes > this.proxy.unsentPeakBytes) this.proxy.unsentPeakBytes = unsentBytes;
    if (unsentBytes > UNSENT_MAX_BYTES) {
      this.isBlocked = true;
      this.flow();
    }
    if (this.bytesPerSec !== Infinity && this.throttleTimer === null) {
      const forMs = (1000 * length) / this.bytesPerSec;
      this.throttleTimer = setTimeout(() => this.unthrottle(), forMs);
      this.flow();
    }
  }

  /** Reads or does not read, as all of its troubles together want. */
  flow(): void {
    const isPaused = this.isStalled || this.isBlocked || this.throttleTimer !== null;
    if (isPaused) this.from.pause();
    else this.from.resume();
  }

  calm(): void {
    this.isTearing = false;
    this.isStalled = false;
    this.bytesPerSec = Infinity;
    this.unthrottle();
  }

  close(): void {
    if (this.throttleTimer !== null) clearTimeout(this.throttleTimer);
    this.throttleTimer = null;
  }

  onBytes(bytes: Buffer, from: number, to: number): void {
    if (!this.isDead) this.proxy.pen.append(bytes, from, to, this.to);
  }

  onFrame(bytes: Buffer, at: number, headerBytes: number, payloadBytes: number): void {
    const { proxy } = this;
    const end = at + headerBytes + payloadBytes;
    const isPacket = bytes[at] === WHOLE_BINARY && payloadBytes > 0;
    const kind = isPacket ? (firstPayloadByte(bytes, at, headerBytes) as Kind) : 0;
    const isKnown = isPacket && KIND_NAME[kind as Kind] !== undefined;
    if (isKnown) proxy.packets[kind]!++;
    else if (((bytes[at] as number) & 0x08) === 0) proxy.untouched++;
    if (this.isDead) {
      proxy.swallowed++;
      return;
    }
    if (!isKnown) {
      proxy.pen.append(bytes, at, end, this.to);
      return;
    }
    if (this.isTearing) {
      proxy.pen.append(bytes, at, at + Math.ceil((end - at) / 2), this.to);
      proxy.pen.flush(this.to);
      this.link.tear();
      return;
    }
    const nth = this.counts === null ? 0 : ++this.counts[kind]!;
    switch (proxy.plan.decide(kind as Kind, nth)) {
      case FaultAction.Drop:
        return;
      case FaultAction.Duplicate:
        proxy.pen.append(bytes, at, end, this.to);
        proxy.pen.append(bytes, at, end, this.to);
        return;
      case FaultAction.Delay:
        this.hold(bytes.subarray(at, end), kind as Kind);
        return;
      case FaultAction.Truncate: {
        const isMessage = kind === Kind.MsgR || kind === Kind.MsgN;
        const mostBytes = isMessage ? Math.min(MSG_HEADER_BYTES, payloadBytes) : payloadBytes;
        const frame = shortenedFrame(bytes, at, headerBytes, proxy.random.below(mostBytes));
        proxy.pen.append(frame, 0, frame.length, this.to);
        return;
      }
      default:
        proxy.pen.append(bytes, at, end, this.to);
    }
  }

  private hold(part: Buffer, kind: Kind): void {
    const { proxy } = this;
    if (proxy.heldBytes + part.length > HELD_MAX_BYTES) {
      proxy.unheld++;
      proxy.pen.append(part, 0, part.length, this.to);
      return;
    }
    const held = Buffer.from(part);
    proxy.heldBytes += held.length;
    proxy.heldPeakBytes = Math.max(proxy.heldPeakBytes, proxy.heldBytes);
    setTimeout(() => {
      proxy.heldBytes -= held.length;
      // A link takes what it held with it.
      if (this.isDead || this.to.destroyed || this.to.writableEnded) return;
      this.to.write(held);
    }, proxy.plan.holdMs(kind));
  }

  private unthrottle(): void {
    this.close();
    this.flow();
  }
}

/** A client's connection and the connection to the server that was made for it. */
export class Link {
  private readonly proxy: LinkOwner;
  private readonly client: Socket;
  private readonly upstream: Socket;
  private readonly up: Lane;
  private readonly down: Lane;
  /** Ends what is being done to it. */
  private timer: NodeJS.Timeout | null = null;
  private lingerTimer: NodeJS.Timeout | null = null;
  private isConnected = false;
  private closedSides = 0;

  constructor(proxy: LinkOwner, client: Socket, endpoint: Endpoint) {
    this.proxy = proxy;
    this.client = client;
    this.upstream = this.connect(endpoint);
    this.up = new Lane(proxy, this, client, this.upstream);
    this.down = new Lane(proxy, this, this.upstream, client);
    client.on('data', (chunk: Buffer) => this.up.take(chunk, chunk.length));
    this.watch(client, this.upstream, this.up);
    this.watch(this.upstream, client, this.down);
  }

  /** Open in both directions, and nothing is being done to it yet. */
  get isHittable(): boolean {
    const isOpen = this.up.splitter.isOpen && this.down.splitter.isOpen && this.closedSides === 0;
    return isOpen && this.timer === null && !this.up.isTearing && !this.down.isTearing;
  }

  hit({ action, forMs, bytesPerSec }: LinkHit): void {
    const { up, down } = this;
    switch (action) {
      case 'tear': // counted when it happens
        up.isTearing = down.isTearing = true;
        return;
      case 'reset':
        this.destroy();
        break;
      case 'stall':
        up.isStalled = down.isStalled = true;
        break;
      case 'throttle':
        up.bytesPerSec = down.bytesPerSec = bytesPerSec;
        break;
      case 'ghost':
        up.isDead = down.isDead = true;
        this.client.resetAndDestroy();
        break;
      default:
        up.isDead = action !== 'half-open-down';
        down.isDead = action !== 'half-open-up';
    }
    this.proxy.onHit(action);
    if (action === 'reset') return;
    up.flow();
    down.flow();
    this.timer = setTimeout(() => this.calm(), forMs);
  }

  /** Ends what was done to it: a link that swallowed packets has no way back but a reset. */
  calm(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.up.isDead || this.down.isDead) {
      this.destroy();
      return;
    }
    this.up.calm();
    this.down.calm();
  }

  /** The last packet was cut in the middle; both sides see the end of the connection. */
  tear(): void {
    this.proxy.onHit('tear');
    this.up.isTearing = this.down.isTearing = false;
    this.up.isDead = this.down.isDead = true;
    this.client.destroySoon();
    this.upstream.destroySoon();
    this.linger();
  }

  /** RST to both sides. */
  destroy(): void {
    this.client.resetAndDestroy();
    this.upstream.resetAndDestroy();
  }

  private connect({ host, port, isTls, isInsecure }: Endpoint): Socket {
    const onConnect = (): void => {
      this.isConnected = true;
      this.client.resume();
    };
    if (isTls) {
      const socket = connectTls({ host, port, rejectUnauthorized: !isInsecure });
      socket.once('secureConnect', onConnect);
      socket.on('data', (chunk: Buffer) => this.down.take(chunk, chunk.length));
      return socket;
    }
    const { readBytes } = this.proxy;
    const onread = {
      buffer: readBytes,
      callback: (length: number): boolean => {
        this.down.take(readBytes, length);
        return true;
      },
    };
    const socket = connectTcp({ host, port, noDelay: true, allowHalfOpen: true, onread });
    socket.once('connect', onConnect);
    return socket;
  }

  /** What `near` does to its connection is done to `far`, unless the lane between them is dead. */
  private watch(near: Socket, far: Socket, lane: Lane): void {
    near.on('error', () => {}); // told by close
    near.on('end', () => {
      if (lane.isDead) return;
      far.end();
      this.linger();
    });
    near.on('close', (hadError) => {
      lane.close();
      const isRefusal = near === this.upstream && hadError && !this.isConnected;
      if (isRefusal && !far.destroyed) this.proxy.refused++;
      if (!far.destroyed && !lane.isDead) {
        if (hadError || !this.isConnected) far.resetAndDestroy();
        else {
          far.end();
          this.linger();
        }
      }
      this.onSideClosed();
    });
  }

  private linger(): void {
    this.lingerTimer ??= setTimeout(() => this.destroy(), LINGER_MS);
  }

  private onSideClosed(): void {
    this.closedSides++;
    if (this.closedSides < 2) return;
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.lingerTimer !== null) clearTimeout(this.lingerTimer);
    this.timer = this.lingerTimer = null;
    this.proxy.onLinkGone(this);
  }
}
