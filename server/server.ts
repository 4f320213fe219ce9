/**
 * The reference server: uWebSockets.js drives the gateway, the gateway drives the store.
 *
 * One process is one event loop. A WebSocket message is one packet; it is decoded in place, decided
 * by the gateway, and the packets that come out wait in the outbox until the end of the loop turn.
 * Durable writes happen off this loop; only their completion comes back here.
 */
import * as uWS from 'uWebSockets.js';
import {
  CloseCode,
  createGatewayEffects,
  decode,
  DecodeResult,
  Gateway,
  type GatewayEffect,
  GatewayEffectKind,
  type GatewayOptions,
  Kind,
  MSG_FLAG_RETRANSMISSION,
  never,
  Packet,
  Status,
} from '../protocol/index.ts';
import { createAuthenticator, SUBPROTOCOL } from './auth.ts';
import type { ServerConfig } from './config.ts';
import { Connection, type Peer, type SocketData, type UserSession } from './connection.ts';
import { Counters } from './counters.ts';
import { refuseUpgrade, registerHttpApi, requestToken } from './http-api.ts';
import { createMetrics } from './metrics.ts';
import { Outbox } from './outbox.ts';
import type { Store } from './stores/store.ts';

export interface ServerOptions {
  /** `jwtKey` must be set; `jwtKeyFile`, `store` and `dataDir` are the caller's business. */
  readonly config: ServerConfig & { readonly jwtKey: string };
  readonly store: Store;
  /** How often sessions with an expired token are looked for; default 5000. */
  readonly expirySweepMs?: number;
  /** How long a drain waits for clients to answer the close frame; default 250. */
  readonly closeGraceMs?: number;
  /** Makes the gateway; default the protocol's own. For servers with a planted bug. */
  readonly makeGateway?: (options: GatewayOptions) => Gateway<Peer>;
}

export interface RunningServer {
  readonly port: number;
  readonly counters: Counters;
  /**
   * Stops accepting, finishes commits, closes sockets with 1012 and closes the store. False when
   * commits were still in flight after `drainTimeoutS`.
   */
  drain(): Promise<boolean>;
}

/** Frames up to this many bytes above the largest content are answered, longer ones closed. */
const FRAME_SLACK_BYTES = 4096;
const EXPIRY_SWEEP_MS = 5000;
const CLOSE_GRACE_MS = 250;
const DRAIN_POLL_MS = 5;

/** Starts listening. Rejects with a clear sentence when the port or the TLS files are no good. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, store, expirySweepMs = EXPIRY_SWEEP_MS, closeGraceMs = CLOSE_GRACE_MS } = options;
  const counters = new Counters();
  const outbox = new Outbox();
  const connections = new Set<Connection>();
  const effects = createGatewayEffects<Peer>();
  const packet = new Packet();
  const input = new Uint8Array(config.contentMaxBytes + FRAME_SLACK_BYTES);
  const inputView = new DataView(input.buffer);
  const authenticate = createAuthenticator({ algorithm: config.jwtAlgorithm, key: config.jwtKey });
  const makeGateway = options.makeGateway ?? ((given) => new Gateway<Peer>(given));
  const gateway = makeGateway({
    policy: config.policy,
    contentMaxBytes: config.contentMaxBytes,
    pageMaxMessages: config.pageMaxMessages,
    pageMaxBytes: config.pageMaxBytes,
    packetsPerSec: config.packetsPerSec,
    packetsBurst: config.packetsBurst,
    pendingMax: config.pendingMax,
  });
  let isDraining = false;
  let isApplying = false;

  const apply = (effect: GatewayEffect<Peer>): void => {
    switch (effect.kind) {
      case GatewayEffectKind.Send:
        (effect.session as UserSession).handle.send(effect.packet);
        return;
      case GatewayEffectKind.Close:
        (effect.session as UserSession).handle.close(effect.closeCode);
        return;
      case GatewayEffectKind.Put: {
        const operation = effect.put!;
        store.put(operation.row, (status) => {
          gateway.onPut(operation, status, effects);
          applyAll();
        });
        return;
      }
      case GatewayEffectKind.Page: {
        const operation = effect.page!;
        store.page(operation.query, (status, page) => {
          gateway.onPage(operation, status, page, effects);
          applyAll();
        });
        return;
      }
      case GatewayEffectKind.Counts: {
        const operation = effect.counts!;
        store.counts(operation.session.uid, (status, counts) => {
          gateway.onCounts(operation, status, counts, effects);
          applyAll();
        });
        return;
      }
      case GatewayEffectKind.DeletePage: {
        const operation = effect.deletion!;
        store.deletePage(operation.range, (status) => {
          gateway.onDeleted(operation, status, effects);
          applyAll();
        });
        return;
      }
      case GatewayEffectKind.Remove: {
        const { uid: sender, epoch, seq } = effect.packet;
        store.remove({ receiver: effect.receiver, sender, epoch, seq }, (status) => {
          if (status !== Status.Ok) counters.removeFailures++;
        });
        return;
      }
      default:
        never(effect.kind, 'gateway effect');
    }
  };

  /** Drains the buffer. A store that answers at once adds to it while it is being drained. */
  const applyAll = (): void => {
    if (isApplying) return;
    isApplying = true;
    for (let i = 0; i < effects.length; i++) apply(effects.at(i));
    effects.clear();
    isApplying = false;
  };

  let nowMs = 0;
  /** The wall clock, read once per turn of the loop rather than once per packet. */
  const turnMs = (): number => {
    if (!outbox.isWaiting) nowMs = Date.now();
    return nowMs;
  };

  const onMessage = (connection: Connection, message: ArrayBuffer, isBinary: boolean): void => {
    const session = connection.session;
    if (session === null || !session.open) return;
    if (!isBinary) {
      gateway.onClose(session);
      connection.close(CloseCode.UnsupportedData);
      return;
    }
    const length = message.byteLength;
    // Copied into one buffer with one view: a DataView per message costs more than the copy.
    input.set(new Uint8Array(message));
    if (decode(input, inputView, 0, length, packet) !== DecodeResult.Ok) {
      gateway.onUnparsable(session, effects);
    } else {
      counters.received[packet.kind]!++;
      if (packet.kind === Kind.MsgR && packet.flags === MSG_FLAG_RETRANSMISSION) {
        counters.retransmissionsReceived++;
      }
      gateway.onPacket(session, packet, turnMs(), effects);
    }
    applyAll();
  };

  const context = {
    outbox,
    counters,
    waitingMaxBytes: config.backpressureMaxBytes,
    onGone(connection: Connection): void {
      connections.delete(connection);
      if (connection.session !== null) gateway.onClose(connection.session);
    },
  };

  const app = createApp(config);

  app.ws<SocketData>('/v1/ws', {
    maxPayloadLength: config.contentMaxBytes + FRAME_SLACK_BYTES,
    maxBackpressure: config.backpressureMaxBytes,
    closeOnBackpressureLimit: false,
    idleTimeout: config.idleTimeoutS,
    sendPingsAutomatically: true,
    upgrade: (res, req, socketContext) => {
      if (isDraining) {
        refuseUpgrade(res, counters, 'draining');
        return;
      }
      if (connections.size >= config.connectionsMax) {
        refuseUpgrade(res, counters, 'too-many-connections');
        return;
      }
      const identity = authenticate(requestToken(req));
      if (typeof identity === 'string') {
        refuseUpgrade(res, counters, identity);
        return;
      }
      const offered = req
        .getHeader('sec-websocket-protocol')
        .split(',')
        .map((name) => name.trim());
      res.upgrade(
        { connection: new Connection(identity.uid, identity.expiresAtMs, context) },
        req.getHeader('sec-websocket-key'),
        offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : '',
        req.getHeader('sec-websocket-extensions'),
        socketContext,
      );
    },
    open: (ws) => {
      const { connection } = ws.getUserData();
      connection.onOpen(ws);
      connections.add(connection);
      counters.connectionsOpened++;
      connection.session = gateway.onOpen(connection.uid, connection, Date.now(), effects);
      applyAll();
    },
    message: (ws, message, isBinary) => onMessage(ws.getUserData().connection, message, isBinary),
    close: (ws, code) => ws.getUserData().connection.onClosed(code),
  });

  const metrics = createMetrics({
    counters,
    online: () => gateway.online,
    connections: () => connections.size,
    pendingOperations: () => gateway.pending,
    store: () => store.stats(),
  });
  registerHttpApi(app, {
    counters,
    limits: config,
    authenticate,
    submit: (session, request) => {
      gateway.onPacket(session, request, Date.now(), effects);
      applyAll();
    },
    unreadyBy: () => {
      if (isDraining) return 'draining';
      return store.stats().isStopped ? 'store-failed' : null;
    },
    metrics,
  });

  const expirySweep = setInterval(() => {
    const nowMs = Date.now();
    for (const connection of connections) {
      if (connection.expiresAtMs > nowMs) continue;
      if (connection.session !== null) gateway.onClose(connection.session);
      connection.close(CloseCode.TokenExpired);
    }
  }, expirySweepMs);

  const drain = async (listening: uWS.us_listen_socket): Promise<boolean> => {
    isDraining = true;
    clearInterval(expirySweep);
    uWS.us_listen_socket_close(listening);
    gateway.drain();
    const deadlineMs = performance.now() + config.drainTimeoutS * 1000;
    while (gateway.pending > 0 && performance.now() < deadlineMs) await pause(DRAIN_POLL_MS);
    const isDrained = gateway.pending === 0;
    outbox.flush();
    const hasSessions = connections.size > 0;
    for (const connection of connections) connection.close(CloseCode.Restart);
    // Closing a socket on which bytes of the client lie unread resets it, and the close frame is
    // lost: go on reading while clients that are sending find it and answer.
    await pause(hasSessions ? closeGraceMs : 0);
    await store.close();
    app.close();
    return isDrained;
  };

  return new Promise((resolve, reject) => {
    const listen = app.listen.bind(app) as unknown as ExclusiveListen;
    listen(config.host, config.port, LISTEN_EXCLUSIVE_PORT, (listening) => {
      if (listening === false) {
        clearInterval(expirySweep);
        reject(new Error(`cannot listen on ${config.host}:${config.port}: is the port in use?`));
        return;
      }
      let draining: Promise<boolean> | null = null;
      resolve({
        port: uWS.us_socket_local_port(listening),
        counters,
        drain: () => (draining ??= drain(listening)),
      });
    });
  });
}

/**
 * LIBUS_LISTEN_EXCLUSIVE_PORT. The default of the library shares the port (SO_REUSEPORT): a second
 * server would start without a word and take every other connection.
 */
const LISTEN_EXCLUSIVE_PORT = 1;
/** A form of `listen` that the types of the library lack. */
type ExclusiveListen = (
  host: string,
  port: number,
  options: number,
  done: (listening: uWS.us_listen_socket | false) => void,
) => void;

function createApp({ tlsCert, tlsKey }: ServerConfig): uWS.TemplatedApp {
  if (tlsCert === undefined || tlsKey === undefined) return uWS.App();
  try {
    return uWS.SSLApp({ cert_file_name: tlsCert, key_file_name: tlsKey });
  } catch {
    // All that the library says is "App construction failed".
    throw new Error(
      `cannot use the certificate ${tlsCert} with the key ${tlsKey}: are both readable, in PEM, and a pair?`,
    );
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
