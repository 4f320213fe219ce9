/**
 * The HTTP side: the offline inbox for clients without a socket, health and metrics.
 *
 * An HTTP call becomes the same packet as on a socket and goes through the same gateway with a
 * session of its own that is not registered as online; the answer packet becomes JSON. So there is
 * one implementation of pulling, of page tokens and of every check.
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import {
  CLOSE_INFO,
  type CloseCode,
  HTTP_ERROR,
  Kind,
  NO_PAGE,
  Order,
  Packet,
  PAGE_TOKEN_BYTES,
  Session,
  Status,
  STATUS_INFO,
} from '../protocol/index.ts';
import { type AuthError, type Identity, tokenOf } from './auth.ts';
import type { Peer, UserSession } from './connection.ts';
import { Counters } from './counters.ts';

export interface HttpContext {
  readonly counters: Counters;
  readonly limits: { readonly pageMaxMessages: number; readonly pageMaxBytes: number };
  authenticate(token: string | null): Identity | AuthError;
  /** Runs a packet of an HTTP session through the gateway. */
  submit(session: UserSession, packet: Packet): void;
  /** Why new clients should go elsewhere; null when they need not. */
  unreadyBy(): 'draining' | 'store-failed' | null;
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
}

/** Bodies of POST larger than this are refused. */
const BODY_MAX_BYTES = 4096;
/** Messages on a page when `limit` is not given. */
const LIMIT_DEFAULT = 100;

class HttpReply implements Peer {
  private res: HttpResponse | null;

  constructor(res: HttpResponse) {
    this.res = res;
    res.onAborted(() => {
      this.res = null;
    });
  }

  get aborted(): boolean {
    return this.res === null;
  }

  send(packet: Packet): void {
    if (packet.status !== Status.Ok) {
      const info = STATUS_INFO[packet.status as Exclude<Status, 0>];
      this.fail(info.name, info.advice);
      return;
    }
    switch (packet.kind) {
      case Kind.CountA:
        this.json(200, { counts: packet.counts });
        return;
      case Kind.PullA:
        this.json(200, {
          rows: packet.rows.map((row) => ({
            sender: row.sender,
            epoch: row.epoch,
            seq: row.seq,
            timeMs: row.timeMs,
            msgType: row.msgType,
            content: Buffer.from(
              row.content.buffer,
              row.content.byteOffset,
              row.content.byteLength,
            ).toString('base64'),
          })),
          page: Buffer.from(packet.page).toString('hex'),
          more: packet.more,
        });
        return;
      case Kind.DoneA:
        this.json(200, { ok: true });
        return;
      default:
        return; // inbox:N: an HTTP client finds out with its next pull
    }
  }

  close(code: CloseCode): void {
    this.fail('bad-request', CLOSE_INFO[code].advice);
  }

  fail(code: string, message: string): void {
    this.json(HTTP_ERROR[code] ?? 500, { error: { code, message } });
  }

  json(status: number, body: unknown): void {
    this.write(status, 'application/json', JSON.stringify(body));
  }

  write(status: number, contentType: string, body: string): void {
    const res = this.res;
    if (res === null) return;
    this.res = null;
    res.cork(() => {
      res.writeStatus(`${status} ${STATUS_TEXT[status] ?? ''}`);
      res.writeHeader('content-type', contentType);
      if (status === 401) res.writeHeader('www-authenticate', 'Bearer');
      res.end(body);
    });
  }
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  503: 'Service Unavailable',
};

/** Registers every HTTP route but the WebSocket upgrade. */
export function registerHttpApi(app: TemplatedApp, context: HttpContext): void {
  const { counters } = context;

  const withUser = (
    res: HttpResponse,
    req: HttpRequest,
    handle: (reply: HttpReply, session: UserSession) => void,
  ): void => {
    counters.httpRequests++;
    const reply = new HttpReply(res);
    const identity = context.authenticate(requestToken(req));
    if (typeof identity === 'string') {
      refuseToken(reply, identity);
      return;
    }
    handle(reply, new Session<Peer>(identity.uid, reply, Number.MAX_SAFE_INTEGER, Date.now()));
  };

  app.get('/v1/inbox/counts', (res, req) => {
    withUser(res, req, (_reply, session) => {
      const packet = new Packet();
      packet.kind = Kind.CountR;
      context.submit(session, packet);
    });
  });

  app.get('/v1/inbox', (res, req) => {
    const query = new URLSearchParams(req.getQuery() ?? '');
    withUser(res, req, (reply, session) => {
      const packet = pullOf(query, context.limits);
      if (typeof packet === 'string') reply.fail('bad-request', packet);
      else context.submit(session, packet);
    });
  });

  app.post('/v1/inbox/done', (res, req) => {
    withUser(res, req, (reply, session) => {
      readBody(res, reply, (body) => {
        const page = pageOf(body);
        if (page === null) {
          reply.fail(
            'bad-request',
            `the body must be {"ack":"<${2 * PAGE_TOKEN_BYTES} hex digits>"}`,
          );
          return;
        }
        const packet = new Packet();
        packet.kind = Kind.DoneR;
        packet.page = page;
        context.submit(session, packet);
      });
    });
  });

  app.get('/healthz', (res) => new HttpReply(res).json(200, { ok: true }));

  app.get('/readyz', (res) => {
    const reply = new HttpReply(res);
    const cause = context.unreadyBy();
    if (cause === null) reply.json(200, { ready: true });
    else reply.fail(cause, UNREADY_ADVICE[cause]);
  });

  app.get('/metrics', (res) => {
    const reply = new HttpReply(res);
    const { metrics } = context;
    metrics.text().then(
      (text) => reply.write(200, metrics.contentType, text),
      (error: unknown) => reply.fail('store-failed', String(error)),
    );
  });

  app.any('/*', (res) => {
    counters.httpRequests++;
    new HttpReply(res).fail('not-found', 'no such path; see docs/PROTOCOL.md');
  });
}

/** The token of an HTTP request or an upgrade. */
export function requestToken(req: HttpRequest): string | null {
  return tokenOf({
    authorization: req.getHeader('authorization'),
    subprotocols: req.getHeader('sec-websocket-protocol'),
    queryToken: req.getQuery('token'),
  });
}

const UNREADY_ADVICE = {
  draining: 'the server is shutting down',
  'store-failed': 'the disk failed and nothing can be stored until the server is restarted',
} as const;

const TOKEN_ADVICE: Readonly<Record<AuthError, string>> = {
  'token-missing': 'send a token in Authorization, Sec-WebSocket-Protocol or ?token=',
  'token-invalid': 'the token has a wrong signature, algorithm or claim (exp and sub are required)',
  'token-expired': 'the token has expired; get a fresh one',
};

function refuseToken(reply: HttpReply, error: AuthError): void {
  reply.fail(error, TOKEN_ADVICE[error]);
}

/** Answers an upgrade that is refused; the body says why. */
export function refuseUpgrade(res: HttpResponse, counters: Counters, code: string): void {
  Counters.bump(counters.refusedByCode, code);
  const advice = TOKEN_ADVICE[code as AuthError] ?? `the server refuses: ${code}`;
  new HttpReply(res).fail(code, advice);
}

/** A pull:R from query parameters, or what is wrong with them. */
function pullOf(
  query: URLSearchParams,
  limits: { readonly pageMaxMessages: number; readonly pageMaxBytes: number },
): Packet | string {
  const known = new Set(['sender', 'order', 'limit', 'limitBytes', 'ack', 'token']);
  const mistakes: string[] = [];
  for (const name of query.keys()) if (!known.has(name)) mistakes.push(`unknown parameter ${name}`);
  const whole = (name: string, fallback: number): number => {
    const text = query.get(name);
    if (text === null) return fallback;
    if (!/^\d{1,15}$/.test(text)) mistakes.push(`${name} must be a whole number`);
    return Math.min(Number(text), 0xffffffff);
  };
  const packet = new Packet();
  packet.kind = Kind.PullR;
  const sender = query.get('sender');
  if (sender !== null && !/^\d{1,16}$/.test(sender)) mistakes.push('sender must be a uid');
  packet.uid = Number(sender ?? 0);
  packet.limit = whole('limit', Math.min(LIMIT_DEFAULT, limits.pageMaxMessages));
  packet.limitBytes = whole('limitBytes', limits.pageMaxBytes);
  const order = query.get('order') ?? 'oldest';
  if (order === 'newest') packet.order = Order.NewestFirst;
  else if (order !== 'oldest') mistakes.push('order must be oldest or newest');
  const ack = query.get('ack');
  packet.page = ack === null ? NO_PAGE : (hexToPage(ack) ?? NO_PAGE);
  if (ack !== null && hexToPage(ack) === null) {
    mistakes.push(`ack must be ${2 * PAGE_TOKEN_BYTES} hex digits`);
  }
  return mistakes.length > 0 ? mistakes.join('; ') : packet;
}

function hexToPage(hex: string): Uint8Array | null {
  if (hex.length !== 2 * PAGE_TOKEN_BYTES || !/^[0-9a-f]+$/i.test(hex)) return null;
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

function pageOf(body: Buffer): Uint8Array | null {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null) return null;
    const { ack } = parsed as { ack?: unknown };
    return typeof ack === 'string' ? hexToPage(ack) : null;
  } catch {
    return null;
  }
}

function readBody(res: HttpResponse, reply: HttpReply, onBody: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  res.onData((chunk, isLast) => {
    if (reply.aborted) return;
    bytes += chunk.byteLength;
    if (bytes > BODY_MAX_BYTES) {
      reply.fail('bad-request', `the body is longer than ${BODY_MAX_BYTES} bytes`);
      return;
    }
    chunks.push(Buffer.from(chunk.slice(0))); // the chunk dies with this callback
    if (isLast) onBody(Buffer.concat(chunks));
  });
}
