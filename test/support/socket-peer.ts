/**
 * Both ends for tests of the client's socket: a listener that keeps what it was told and lets a test
 * wait for it, and a raw server that says exactly the bytes that the test wants.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  ClientSocket,
  SocketHub,
  type SocketLimits,
  type SocketListener,
} from '../../loadgen/socket.ts';
import type { Endpoint } from '../../loadgen/endpoint.ts';

export const LIMITS: SocketLimits = { frameMaxBytes: 1 << 20, unsentMaxBytes: 1 << 20 };

interface Waiter {
  isDone: () => boolean;
  resolve: () => void;
}

/** Keeps everything; `until` resolves as soon as its condition holds, and rejects on a close. */
export class Ear implements SocketListener {
  isOpened = false;
  readonly messages: Buffer[] = [];
  readEnds = 0;
  readonly closes: { code: number; reason: string; socket: ClientSocket }[] = [];
  onEach: (message: Buffer) => void = () => {};
  private waiters: Waiter[] = [];

  onOpen(): void {
    this.isOpened = true;
    this.settle();
  }

  onMessage(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    if (length > 0 && view.getUint8(offset) !== bytes[offset]) {
      throw new Error('view and bytes are not of one memory');
    }
    const message = Buffer.from(bytes.subarray(offset, offset + length));
    this.messages.push(message);
    this.onEach(message);
    this.settle();
  }

  onReadEnd(): void {
    this.readEnds++;
  }

  onClose(code: number, reason: string, socket: ClientSocket): void {
    this.closes.push({ code, reason, socket });
    this.settle();
  }

  until(isDone: () => boolean): Promise<void> {
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push({ isDone, resolve }));
  }

  opened(): Promise<void> {
    return this.until(() => this.isOpened || this.closes.length > 0).then(() => {
      if (!this.isOpened) throw new Error(`not opened: ${JSON.stringify(this.lastClose())}`);
    });
  }

  received(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count || this.closes.length > 0).then(() => {
      if (this.messages.length < count) {
        throw new Error(`${this.messages.length} of ${count}: ${JSON.stringify(this.lastClose())}`);
      }
    });
  }

  async closed(): Promise<{ code: number; reason: string }> {
    await this.until(() => this.closes.length > 0);
    return this.lastClose();
  }

  private lastClose(): { code: number; reason: string } {
    const { code = 0, reason = '' } = this.closes[this.closes.length - 1] ?? {};
    return { code, reason };
  }

  private settle(): void {
    const done = this.waiters.filter(({ isDone }) => isDone());
    this.waiters = this.waiters.filter((waiter) => !done.includes(waiter));
    for (const { resolve } of done) resolve();
  }
}

export function endpointOf(port: number, facts: Partial<Endpoint> = {}): Endpoint {
  return { host: '127.0.0.1', port, path: '/v1/ws', isTls: false, isInsecure: false, ...facts };
}

/** A client with a hub of its own unless one is given. */
export function connectTo(
  port: number,
  options: { hub?: SocketHub; limits?: Partial<SocketLimits>; endpoint?: Partial<Endpoint> } = {},
): { client: ClientSocket; ear: Ear; hub: SocketHub } {
  const hub = options.hub ?? new SocketHub();
  const ear = new Ear();
  const limits = { ...LIMITS, ...options.limits };
  const endpoint = endpointOf(port, options.endpoint);
  return { client: new ClientSocket(hub, endpoint, 'a.token', ear, limits), ear, hub };
}

/** Sends one binary message of the client. */
export function say(client: ClientSocket, hub: SocketHub, message: Uint8Array): void {
  const at = client.reserve(message.length);
  hub.write.set(message, at);
  client.flush();
}

/** A frame as a server sends it: unmasked. */
export function frame(firstByte: number, payload: Uint8Array | string): Buffer {
  const body = Buffer.from(payload);
  let head: Buffer;
  if (body.length < 126) head = Buffer.from([firstByte, body.length]);
  else if (body.length < 65_536) {
    head = Buffer.from([firstByte, 126, 0, 0]);
    head.writeUInt16BE(body.length, 2);
  } else {
    head = Buffer.alloc(10);
    head[0] = firstByte;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(body.length), 2);
  }
  return Buffer.concat([head, body]);
}

/** First bytes of frames: FIN and opcode. */
export const First = {
  Continuation: 0x80,
  Text: 0x81,
  Binary: 0x82,
  Close: 0x88,
  Ping: 0x89,
  Pong: 0x8a,
} as const;

export function acceptOf(request: string): string {
  const key = /^sec-websocket-key: *(\S+)/im.exec(request)?.[1] ?? '';
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** The answer that opens the connection. */
export function switching(request: string): Buffer {
  return Buffer.from(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${acceptOf(request)}\r\n\r\n`,
  );
}

/** Accepts connections, reads the request and leaves the rest to `onRequest`. */
export async function withRawServer<T>(
  onRequest: (socket: Socket, request: string) => void,
  use: (port: number) => Promise<T>,
): Promise<T> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    let request = '';
    const onData = (chunk: Buffer): void => {
      request += chunk.toString('latin1');
      if (!request.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      onRequest(socket, request);
    };
    socket.on('data', onData);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
}

export type OnPeer = (peer: WebSocket, request: IncomingMessage) => void;

/** The server of the package `ws`, an independent peer. */
export async function withWsServer<T>(
  onPeer: OnPeer,
  use: (port: number) => Promise<T>,
): Promise<T> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', onPeer);
  await once(server, 'listening');
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    for (const peer of server.clients) peer.terminate();
    server.close();
    await once(server, 'close');
  }
}

export const echo: OnPeer = (peer) => {
  peer.on('message', (data) => peer.send(data as Buffer));
};

/** Bytes that tell their position. */
export function pattern(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
}

/** The raw server opens the connection and then says `bytes`. */
export function saying(...bytes: Uint8Array[]) {
  return (socket: Socket, request: string): void => {
    socket.write(Buffer.concat([switching(request), ...bytes]));
  };
}
