/**
 * The echo load: connections that send a packet back whenever one comes, `window` of them on the way
 * each. It measures a raw echo server with the very socket that the virtual clients use, or with the
 * `ws` client, so that a server and a client of ours can be held against what a socket costs at all.
 */
import type { ClientOptions, WebSocket } from 'ws';
import { encodedBytes, Kind, Packet } from '../protocol/index.ts';
import { nowUs } from './clock.ts';
import { type Endpoint, endpointsFor, parseEndpoint, PORTS_PER_ADDRESS } from './endpoint.ts';
import { sampleProcess } from './process-sampler.ts';
import { ClientSocket, SocketHub, type SocketListener } from './socket.ts';
import { sleep } from './wait.ts';

export interface EchoOrder {
  readonly url: string;
  /** The server's process, whose CPU is read; null = not seen. */
  readonly serverPid: number | null;
  readonly client: 'own' | 'ws';
  readonly connections: number;
  /** Packets on the way per connection. */
  readonly window: number;
  /** Content of the message; its msg:R is what is sent. */
  readonly contentBytes: number;
  readonly warmupMs: number;
  readonly durationMs: number;
}

/** What was seen within the measured time. */
export interface EchoReport {
  connected: number;
  echoes: number;
  elapsedUs: number;
  /** Of the thread that drove the connections. */
  clientCpuUs: number;
  /** null when the server's process is not seen. */
  serverCpuUs: number | null;
}

const CONNECT_BATCH = 50;
const CONNECT_PAUSE_MS = 5;
const CONNECT_TIMEOUT_MS = 60_000;
const TOKEN = 'none';

/** Sends packets and counts what comes back. */
interface EchoClient {
  readonly connected: number;
  readonly echoes: number;
  /** Why connections ended, the first reason; empty when none did. */
  readonly failure: string;
  connect(endpoint: Endpoint): void;
  /** `window` packets on every connection. */
  start(window: number): void;
  stop(): void;
}

/** The connections of the virtual clients. */
class OwnEchoClient implements EchoClient {
  connected = 0;
  echoes = 0;
  failure = '';
  private readonly hub = new SocketHub();
  private readonly sockets: ClientSocket[] = [];
  private readonly packet: Uint8Array;
  private isStopped = false;

  constructor(packet: Uint8Array) {
    this.packet = packet;
  }

  connect(endpoint: Endpoint): void {
    const { hub, packet } = this;
    const echo = (): void => {
      const at = socket.reserve(packet.length);
      hub.write.set(packet, at);
    };
    const listener: SocketListener = {
      onOpen: () => {
        this.connected++;
      },
      onMessage: () => {
        this.echoes++;
        if (!this.isStopped) echo();
      },
      onReadEnd: () => socket.flush(),
      onClose: (code, reason) => {
        if (!this.isStopped) this.failure ||= `${code} ${reason}`;
      },
    };
    const limits = { frameMaxBytes: 1 << 20, unsentMaxBytes: 1 << 26 };
    const socket = new ClientSocket(hub, endpoint, TOKEN, listener, limits);
    this.sockets.push(socket);
  }

  start(window: number): void {
    for (const socket of this.sockets) {
      for (let i = 0; i < window; i++) {
        const at = socket.reserve(this.packet.length);
        this.hub.write.set(this.packet, at);
      }
      socket.flush();
    }
  }

  stop(): void {
    this.isStopped = true;
    for (const socket of this.sockets) socket.destroy();
  }
}

type WebSocketConstructor = new (url: string, options: ClientOptions) => WebSocket;

/** The `ws` package, as its README has it. */
class WsEchoClient implements EchoClient {
  connected = 0;
  echoes = 0;
  failure = '';
  private readonly sockets: WebSocket[] = [];
  private readonly packet: Uint8Array;
  private readonly WebSocket: WebSocketConstructor;
  private isStopped = false;

  constructor(packet: Uint8Array, constructor: WebSocketConstructor) {
    this.packet = packet;
    this.WebSocket = constructor;
  }

  connect({ host, port, path, localAddress }: Endpoint): void {
    const socket = new this.WebSocket(`ws://${host}:${port}${path}`, {
      perMessageDeflate: false,
      ...(localAddress !== undefined && { localAddress }),
    });
    socket.on('open', () => {
      this.connected++;
    });
    socket.on('message', () => {
      this.echoes++;
      if (!this.isStopped) socket.send(this.packet);
    });
    socket.on('error', (error) => {
      this.failure ||= error.message;
    });
    this.sockets.push(socket);
  }

  start(window: number): void {
    for (const socket of this.sockets) {
      for (let i = 0; i < window; i++) socket.send(this.packet);
    }
  }

  stop(): void {
    this.isStopped = true;
    for (const socket of this.sockets) socket.terminate();
  }
}

/** The `ws` package is for development: a checkout has it, the published package does not. */
async function loadWs(): Promise<WebSocketConstructor | null> {
  return import('ws').then(
    ({ WebSocket }) => WebSocket,
    () => null,
  );
}

/** The piscina task; null when the client that was asked for is not installed. */
export default async function runEcho(order: EchoOrder): Promise<EchoReport | null> {
  const packet = new Packet();
  packet.kind = Kind.MsgR;
  packet.content = new Uint8Array(order.contentBytes);
  const bytes = new Uint8Array(encodedBytes(packet)).fill(7);
  let client: EchoClient;
  if (order.client === 'own') client = new OwnEchoClient(bytes);
  else {
    const constructor = await loadWs();
    if (constructor === null) return null;
    client = new WsEchoClient(bytes, constructor);
  }
  try {
    await connectAll(client, order);
    client.start(order.window);
    await sleep(order.warmupMs);
    const before = sample(client, order.serverPid);
    await sleep(order.durationMs);
    const after = sample(client, order.serverPid);
    const serverCpuUs =
      before.serverCpuUs === null || after.serverCpuUs === null
        ? null
        : after.serverCpuUs - before.serverCpuUs;
    return {
      connected: client.connected,
      echoes: after.echoes - before.echoes,
      elapsedUs: after.atUs - before.atUs,
      clientCpuUs: after.clientCpuUs - before.clientCpuUs,
      serverCpuUs,
    };
  } finally {
    client.stop();
    await sleep(CONNECT_PAUSE_MS);
  }
}

async function connectAll(client: EchoClient, order: EchoOrder): Promise<void> {
  const { connections } = order;
  const endpoints = endpointsFor(parseEndpoint(order.url, { isInsecure: false }), connections);
  for (let i = 0; i < connections; i++) {
    client.connect(endpoints[Math.floor(i / PORTS_PER_ADDRESS)] as Endpoint);
    if (i % CONNECT_BATCH === CONNECT_BATCH - 1) await sleep(CONNECT_PAUSE_MS);
  }
  const endMs = performance.now() + CONNECT_TIMEOUT_MS;
  while (client.connected < connections) {
    if (client.failure !== '') throw new Error(`the echo server refused: ${client.failure}`);
    if (performance.now() > endMs) {
      throw new Error(`only ${client.connected} of ${connections} echo connections opened`);
    }
    await sleep(CONNECT_PAUSE_MS);
  }
}

function sample(client: EchoClient, serverPid: number | null) {
  const { user, system } = process.threadCpuUsage();
  return {
    echoes: client.echoes,
    atUs: nowUs(),
    clientCpuUs: user + system,
    serverCpuUs: serverPid === null ? null : (sampleProcess(serverPid)?.cpuUs ?? null),
  };
}
