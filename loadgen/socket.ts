/**
 * WebSocket client (RFC 6455) on net/tls, made for thousands of connections per thread.
 *
 * All sockets of a worker read into one buffer (`onread`) and frames are parsed there in place; only
 * a frame that a read cuts in two is copied. All sockets write through one buffer: the packets that
 * one event causes on one socket leave with one system call.
 *
 * The mask of every frame is zero, which leaves the payload as it is: section 10.3 wants masks
 * unpredictable to protect caches from scripts in browsers, and there is neither here.
 *
 * Bounds: a frame above `frameMaxBytes` closes the connection (1009); more than `unsentMaxBytes` in
 * the socket closes it too, because a server that does not read would otherwise fill our memory.
 */
import { isUtf8 } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Endpoint } from './endpoint.ts';

const READ_BYTES = 65_536;
const WRITE_BYTES = 262_144;
const HANDSHAKE_MAX_BYTES = 16_384;
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;

/** What happened to a connection; `code` 1006 when there was no close frame. */
export interface SocketListener {
  onOpen(): void;
  /** One binary message in [offset, offset + length); valid during the call. */
  onMessage(bytes: Uint8Array, view: DataView, offset: number, length: number): void;
  /** All messages of one read were handed over. */
  onReadEnd(): void;
  /** `socket` tells which: one that was given up closes after its successor has started. */
  onClose(code: number, reason: string, socket: ClientSocket): void;
}

/** Buffers shared by all sockets of a worker, and what was transferred through them. */
export class SocketHub {
  readonly readBytes = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly readView = new DataView(this.readBytes.buffer, this.readBytes.byteOffset, READ_BYTES);
  bytesReceived = 0;
  bytesSent = 0;
  /** Reads since the last look; tells an idle loop turn from a busy one. */
  reads = 0;
  write = Buffer.allocUnsafeSlow(WRITE_BYTES);
  writeView = new DataView(this.write.buffer, this.write.byteOffset, WRITE_BYTES);
  writeLength = 0;

  /** The kernel did not take everything: the pending write keeps the old memory. */
  replaceWriteBuffer(minBytes = WRITE_BYTES): void {
    const bytes = Math.max(minBytes, WRITE_BYTES);
    this.write = Buffer.allocUnsafeSlow(bytes);
    this.writeView = new DataView(this.write.buffer, this.write.byteOffset, bytes);
    this.writeLength = 0;
  }
}

const State = { Connecting: 0, Open: 1, Closing: 2, Closed: 3 } as const;
type State = (typeof State)[keyof typeof State];

export interface SocketLimits {
  readonly frameMaxBytes: number;
  readonly unsentMaxBytes: number;
}

export class ClientSocket {
  private readonly hub: SocketHub;
  private readonly listener: SocketListener;
  private readonly limits: SocketLimits;
  private readonly socket: Socket;
  /** What the server must answer to our key; forgotten once it has. */
  private acceptKey: string;
  private state: State = State.Connecting;
  /** Bytes of a frame (or of the handshake) that the reads so far have cut. */
  private rest: Buffer | null = null;
  private restLength = 0;
  /** The fragments of a message so far, in the first `fragmentBytes`; null outside of one. */
  private fragments: Buffer | null = null;
  private fragmentBytes = 0;
  private closeCode = 1006;
  private closeReason = '';
  /** The peer has said its last word, or one too many: what follows is not looked at. */
  private isDeaf = false;
  /** False: pings are not answered and nothing is written (half-open link). */
  isAlive = true;

  constructor(
    hub: SocketHub,
    endpoint: Endpoint,
    token: string,
    listener: SocketListener,
    limits: SocketLimits,
  ) {
    this.hub = hub;
    this.listener = listener;
    this.limits = limits;
    const key = randomBytes(16).toString('base64');
    this.acceptKey = createHash('sha1')
      .update(key + WEBSOCKET_GUID)
      .digest('base64');
    const { host, port, localAddress } = endpoint;
    const ends = localAddress === undefined ? { host, port } : { host, port, localAddress };
    if (endpoint.isTls) {
      // TLS decrypts into memory of its own: no shared read buffer there.
      this.socket = connectTls({ ...ends, rejectUnauthorized: !endpoint.isInsecure });
      this.socket.on('data', (chunk: Buffer) => this.onChunk(chunk));
      this.socket.on('secureConnect', () => this.sendHandshake(endpoint, key, token));
    } else {
      this.socket = connectTcp({
        ...ends,
        noDelay: true,
        onread: {
          buffer: hub.readBytes,
          callback: (length) => {
            this.onRead(length);
            return true;
          },
        },
      });
      this.socket.on('connect', () => this.sendHandshake(endpoint, key, token));
    }
    this.socket.on('error', (error) => {
      this.closeReason ||= error.message;
    });
    this.socket.on('end', () => this.socket.end());
    this.socket.on('close', () => this.onClosed());
  }

  get isOpen(): boolean {
    return this.state === State.Open;
  }

  /**
   * Reserves a binary frame of `length` payload bytes in the write buffer and returns the offset of
   * its payload there. Fill it, then `flush` when the event is over.
   */
  reserve(length: number): number {
    const { hub } = this;
    const headerBytes = length < 126 ? 6 : length < 65_536 ? 8 : 14;
    if (hub.writeLength + headerBytes + length > hub.write.length) {
      this.flush();
      if (headerBytes + length > hub.write.length) hub.replaceWriteBuffer(headerBytes + length);
    }
    const at = hub.writeLength;
    this.frameHeader(0x80 | Opcode.Binary, length, at);
    hub.writeLength = at + headerBytes + length;
    return at + headerBytes;
  }

  /** Hands everything reserved to the kernel. */
  flush(): void {
    const { hub, socket } = this;
    const length = hub.writeLength;
    if (length === 0) return;
    if (this.state !== State.Open || !this.isAlive) {
      hub.writeLength = 0;
      return;
    }
    hub.bytesSent += length;
    socket.write(hub.write.subarray(0, length));
    if (socket.writableLength === 0) {
      hub.writeLength = 0;
    } else {
      hub.replaceWriteBuffer();
      if (socket.writableLength > this.limits.unsentMaxBytes) {
        this.closeReason = 'the server does not read';
        this.destroy();
      }
    }
  }

  /** Stops reading, as a slow consumer does; `resume` ends it. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Sends a close frame and closes when the peer has answered. */
  close(code: number): void {
    if (this.state !== State.Open) {
      this.destroy();
      return;
    }
    this.state = State.Closing;
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code, 0);
    this.writeControl(Opcode.Close, payload);
    this.socket.end();
  }

  /** Drops the connection without a close frame, as a crash does. */
  destroy(): void {
    this.state = this.state === State.Closed ? State.Closed : State.Closing;
    this.socket.destroy();
  }

  /** As destroy, but the peer gets RST instead of FIN. */
  reset(): void {
    this.state = this.state === State.Closed ? State.Closed : State.Closing;
    // Once our FIN is under way there is no RST any more: Node would report EINVAL and never close.
    if (this.socket.writableEnded) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  private sendHandshake(endpoint: Endpoint, key: string, token: string): void {
    const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
    this.socket.write(
      `GET ${endpoint.path} HTTP/1.1\r\nHost: ${host}:${endpoint.port}\r\n` +
        `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
  }

  private onChunk(chunk: Buffer): void {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.take(chunk, view, chunk.length);
  }

  private onRead(length: number): void {
    this.take(this.hub.readBytes, this.hub.readView, length);
  }

  private take(bytes: Buffer, view: DataView, length: number): void {
    const { hub } = this;
    hub.reads++;
    hub.bytesReceived += length;
    if (this.state === State.Closed || this.isDeaf) return;
    if (this.restLength === 0) {
      const used = this.parse(bytes, view, length);
      if (used < length) this.keep(bytes, used, length);
    } else {
      this.keep(bytes, 0, length);
      const rest = this.rest as Buffer;
      const restView = new DataView(rest.buffer, rest.byteOffset, rest.byteLength);
      const used = this.parse(rest, restView, this.restLength);
      rest.copy(rest, 0, used, this.restLength);
      this.restLength -= used;
      if (this.restLength === 0) this.rest = null;
    }
    if (this.state === State.Open) this.listener.onReadEnd();
    // What a socket had reserved when it died in this read would leave through the next one.
    else hub.writeLength = 0;
  }

  private keep(bytes: Buffer, from: number, to: number): void {
    const needed = this.restLength + to - from;
    if (this.rest === null || this.rest.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * (this.rest?.length ?? 256)));
      this.rest?.copy(grown, 0, 0, this.restLength);
      this.rest = grown;
    }
    bytes.copy(this.rest, this.restLength, from, to);
    this.restLength = needed;
  }

  /** Parses whole frames in [0, length) and returns how many bytes they took. */
  private parse(bytes: Buffer, view: DataView, length: number): number {
    let at = 0;
    if (this.state === State.Connecting) {
      at = this.parseHandshake(bytes, length);
      if (at === 0) return 0;
    }
    while (length - at >= 2 && !this.isDeaf && !this.socket.destroyed) {
      const first = bytes[at] as number;
      const second = bytes[at + 1] as number;
      if ((first & 0x70) !== 0 || (second & 0x80) !== 0) {
        this.fail(1002, 'reserved bits or a masked frame from the server');
        return length;
      }
      let headerBytes = 2;
      let payloadBytes = second & 0x7f;
      if (payloadBytes === 126) {
        headerBytes = 4;
        if (length - at < headerBytes) break;
        payloadBytes = view.getUint16(at + 2, false);
      } else if (payloadBytes === 127) {
        headerBytes = 10;
        if (length - at < headerBytes) break;
        payloadBytes = view.getUint32(at + 2, false) * 4294967296 + view.getUint32(at + 6, false);
      }
      if (payloadBytes > this.limits.frameMaxBytes) {
        this.fail(1009, `frame of ${payloadBytes} bytes`);
        return length;
      }
      if (length - at < headerBytes + payloadBytes) break;
      this.onFrame(first, bytes, view, at + headerBytes, payloadBytes);
      at += headerBytes + payloadBytes;
    }
    return at;
  }

  private onFrame(first: number, bytes: Buffer, view: DataView, at: number, length: number): void {
    const isFinal = (first & 0x80) !== 0;
    const opcode = first & 0x0f;
    if (opcode === Opcode.Binary && isFinal && this.fragments === null) {
      if (this.state === State.Open) this.listener.onMessage(bytes, view, at, length);
      return;
    }
    if (opcode >= Opcode.Close && (!isFinal || length > 125)) {
      this.fail(1002, 'a control frame must be whole and short');
      return;
    }
    switch (opcode) {
      case Opcode.Ping:
        // A closing socket has said its last frame.
        if (this.state === State.Open) {
          this.writeControl(Opcode.Pong, bytes.subarray(at, at + length));
        }
        return;
      case Opcode.Pong:
        return;
      case Opcode.Close:
        this.onCloseFrame(bytes.subarray(at, at + length));
        return;
      case Opcode.Binary:
      case Opcode.Continuation:
        this.onFragment(opcode, isFinal, bytes.subarray(at, at + length));
        return;
      case Opcode.Text:
        this.fail(1003, 'a text message');
        return;
      default:
        this.fail(1002, `opcode ${opcode}`);
    }
  }

  private onFragment(opcode: number, isFinal: boolean, part: Buffer): void {
    const continues = opcode === Opcode.Continuation;
    if (continues !== (this.fragments !== null)) {
      this.fail(1002, 'a continuation without a start, or a start within a message');
      return;
    }
    const bytes = this.fragmentBytes + part.length;
    if (bytes > this.limits.frameMaxBytes) {
      this.fail(1009, `message of ${bytes} bytes`);
      return;
    }
    // One buffer that doubles: a list would let a server fill our memory with fragments of no bytes.
    this.fragments ??= Buffer.allocUnsafeSlow(Math.max(bytes, 256));
    if (bytes > this.fragments.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.fragments.length));
      this.fragments.copy(grown, 0, 0, this.fragmentBytes);
      this.fragments = grown;
    }
    part.copy(this.fragments, this.fragmentBytes);
    this.fragmentBytes = bytes;
    if (!isFinal) return;
    const whole = this.fragments.subarray(0, bytes);
    this.fragments = null;
    this.fragmentBytes = 0;
    const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength);
    if (this.state === State.Open) this.listener.onMessage(whole, view, 0, whole.length);
  }

  private onCloseFrame(payload: Buffer): void {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    if (payload.length === 1 || (payload.length >= 2 && !isCloseCode(code))) {
      this.fail(1002, 'a close frame without a valid code');
      return;
    }
    if (!isUtf8(payload.subarray(2))) {
      this.fail(1007, 'a close reason that is not UTF-8');
      return;
    }
    this.isDeaf = true;
    this.closeCode = code;
    this.closeReason = payload.subarray(2).toString('utf8');
    if (this.state === State.Open) {
      this.writeControl(Opcode.Close, payload.subarray(0, 2));
      this.state = State.Closing;
    }
    this.socket.end();
  }

  private parseHandshake(bytes: Buffer, length: number): number {
    const end = bytes.subarray(0, length).indexOf('\r\n\r\n');
    if (end > HANDSHAKE_MAX_BYTES || (end < 0 && length > HANDSHAKE_MAX_BYTES)) {
      this.fail(1002, 'the handshake answer is too long');
      return length;
    }
    if (end < 0) return 0;
    const head = bytes.subarray(0, end).toString('latin1');
    const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? '';
    if (status !== '101') {
      const body = bytes.subarray(end + 4, length).toString('utf8');
      this.fail(1006, `the server answered HTTP ${status}: ${body.slice(0, 200)}`);
      return length;
    }
    const accept = /^sec-websocket-accept: *(\S+)/im.exec(head)?.[1];
    if (accept !== this.acceptKey) {
      this.fail(1002, 'Sec-WebSocket-Accept does not fit');
      return length;
    }
    const wrong = wrongHeaderOf(head);
    if (wrong !== null) {
      this.fail(1002, wrong);
      return length;
    }
    this.state = State.Open;
    this.listener.onOpen();
    return end + 4;
  }

  /** Tells the peer why, as far as it still listens, and closes (RFC 6455 section 7.1.7). */
  private fail(code: number, reason: string): void {
    this.closeCode = code;
    this.closeReason = reason;
    this.isDeaf = true;
    if (this.state === State.Open) {
      this.state = State.Closing;
      this.writeControl(Opcode.Close, Buffer.from([code >> 8, code & 0xff]));
      if (this.socket.writableLength === 0) {
        this.socket.destroySoon();
        return;
      }
    }
    this.destroy();
  }

  private frameHeader(firstByte: number, length: number, at: number): void {
    const { writeView: view } = this.hub;
    view.setUint8(at, firstByte);
    if (length < 126) {
      view.setUint8(at + 1, 0x80 | length);
      view.setUint32(at + 2, 0);
    } else if (length < 65_536) {
      view.setUint8(at + 1, 0x80 | 126);
      view.setUint16(at + 2, length, false);
      view.setUint32(at + 4, 0);
    } else {
      view.setUint8(at + 1, 0x80 | 127);
      view.setUint32(at + 2, Math.floor(length / 4294967296), false);
      view.setUint32(at + 6, length >>> 0, false);
      view.setUint32(at + 10, 0);
    }
  }

  private writeControl(opcode: number, payload: Uint8Array): void {
    if (!this.isAlive || this.socket.destroyed) return;
    const frame = Buffer.alloc(6 + payload.length);
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | payload.length;
    frame.set(payload, 6);
    this.socket.write(frame);
  }

  private onClosed(): void {
    if (this.state === State.Closed) return;
    this.state = State.Closed;
    this.rest = null;
    this.restLength = 0;
    this.fragments = null;
    this.listener.onClose(this.closeCode, this.closeReason, this);
  }
}

/** Codes that may stand in a close frame (RFC 6455 section 7.4 and the IANA registry). */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/** What a 101 lacks or has too much (RFC 6455 section 4.1), in words; null when it is sound. */
function wrongHeaderOf(head: string): string | null {
  if (!/^upgrade:[ \t]*websocket[ \t]*$/im.test(head)) return 'no Upgrade to websocket';
  if (!/^connection:(?:.*,)?[ \t]*upgrade[ \t]*(?:,|$)/im.test(head))
    return 'no Connection: Upgrade';
  // Neither was offered.
  const extra = /^sec-websocket-(?:extensions|protocol):[ \t]*\S.*$/im.exec(head)?.[0];
  return extra === undefined ? null : `not asked for: ${extra}`;
}
