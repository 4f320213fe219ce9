/**
 * A client of the protocol by somebody who has read docs/PROTOCOL.md and nothing else: its own
 * encoder and decoder, and the `ws` package as the socket. It must import nothing from protocol/,
 * server/ or loadgen/: where it and the server disagree, the page or the server is wrong.
 *
 * `Stranger` speaks single packets and is told by the test what to do; `StrangerUser` keeps the
 * rules of a receiver: it acknowledges every msg:N, dedupes by an exact set, and pulls.
 */
import type { IncomingMessage } from 'node:http';
import { type ClientOptions, type RawData, WebSocket } from 'ws';

/** A test that waits longer than this for a packet has failed; generous, machines are slow. */
const PATIENCE_MS = 20_000;

const PAGE_BYTES = 32;
export const NO_TOKEN: Buffer = Buffer.alloc(PAGE_BYTES);

export const STATUS = {
  ok: 0,
  inboxFull: 1,
  tooLarge: 2,
  storeFailed: 3,
  badUid: 4,
  badMsgid: 5,
  badLimit: 6,
  badPage: 7,
  overloaded: 8,
  draining: 9,
} as const;

export interface Name {
  readonly epoch: number | bigint;
  readonly seq: number;
}

export interface StrangerRow {
  readonly sender: bigint;
  readonly epoch: number;
  readonly seq: number;
  readonly timeMs: bigint;
  readonly msgType: number;
  readonly content: Buffer;
}

interface MessageAnswer {
  readonly status: number;
  readonly epoch: number;
  readonly seq: number;
  readonly uid: bigint;
}

export interface Answers {
  'msg:A': MessageAnswer;
  'msg:N': {
    readonly msgType: number;
    readonly epoch: number;
    readonly seq: number;
    readonly uid: bigint;
    readonly content: Buffer;
  };
  'ack:A': MessageAnswer;
  'ack:N': {
    readonly confirmation: 'delivered' | 'stored';
    readonly epoch: number;
    readonly seq: number;
    readonly uid: bigint;
  };
  'count:A': {
    readonly status: number;
    readonly request: number;
    readonly counts: ReadonlyMap<bigint, number>;
  };
  'pull:A': {
    readonly status: number;
    readonly more: boolean;
    readonly request: number;
    readonly token: Buffer;
    readonly rows: readonly StrangerRow[];
  };
  'done:A': { readonly status: number; readonly request: number };
  'inbox:N': object;
  'kick:N': object;
}

export type AnswerName = keyof Answers;
export type Answer = { [K in AnswerName]: { readonly name: K } & Answers[K] }[AnswerName];
type AnswerOf<K extends AnswerName> = { readonly name: K } & Answers[K];

// ---- the byte tables, client to server ----

export interface MsgRFields {
  readonly receiver: number | bigint;
  readonly epoch?: number;
  readonly seq: number;
  readonly msgType?: number;
  readonly flags?: number;
  readonly content?: Buffer | string;
}

export function msgR(fields: MsgRFields): Buffer {
  const content = Buffer.from(fields.content ?? '');
  const bytes = Buffer.alloc(20 + content.length);
  bytes.writeUInt8(0x01, 0);
  bytes.writeUInt8(fields.msgType ?? 1, 1);
  bytes.writeUInt8(fields.flags ?? 0, 2);
  bytes.writeUInt32LE(fields.epoch ?? 1, 4);
  bytes.writeUInt32LE(fields.seq, 8);
  bytes.writeBigUInt64LE(BigInt(fields.receiver), 12);
  content.copy(bytes, 20);
  return bytes;
}

export function ackR(fields: {
  readonly sender: number | bigint;
  readonly epoch: number;
  readonly seq: number;
}): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt8(0x11, 0);
  bytes.writeUInt32LE(fields.epoch, 4);
  bytes.writeUInt32LE(fields.seq, 8);
  bytes.writeBigUInt64LE(BigInt(fields.sender), 12);
  return bytes;
}

export function countR(request: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(0x21, 0);
  bytes.writeUInt32LE(request, 4);
  return bytes;
}

export interface PullFields {
  readonly order?: 'oldest' | 'newest';
  readonly sender?: number | bigint;
  readonly limit?: number;
  readonly limitBytes?: number;
  readonly token?: Buffer;
}

export function pullR(request: number, fields: PullFields): Buffer {
  const bytes = Buffer.alloc(56);
  bytes.writeUInt8(0x31, 0);
  bytes.writeUInt8(fields.order === 'newest' ? 1 : 0, 1);
  bytes.writeUInt32LE(request, 4);
  bytes.writeBigUInt64LE(BigInt(fields.sender ?? 0), 8);
  bytes.writeUInt32LE(fields.limit ?? 1000, 16);
  bytes.writeUInt32LE(fields.limitBytes ?? 65_536, 20);
  (fields.token ?? NO_TOKEN).copy(bytes, 24);
  return bytes;
}

export function doneR(request: number, token: Buffer): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeUInt8(0x41, 0);
  bytes.writeUInt32LE(request, 4);
  token.copy(bytes, 8);
  return bytes;
}

// ---- the byte tables, server to client ----

/** Strict, as the page demands: throws on anything that is not exactly one packet of a server. */
export function decode(bytes: Buffer): Answer {
  need(bytes.length >= 4, 'at least four bytes');
  switch (bytes.readUInt8(0)) {
    case 0x02:
      return { name: 'msg:A', ...messageAnswer(bytes) };
    case 0x12:
      return { name: 'ack:A', ...messageAnswer(bytes) };
    case 0x03:
      need(bytes.length >= 20 && bytes.readUInt16LE(2) === 0, 'msg:N');
      return {
        name: 'msg:N',
        msgType: bytes.readUInt8(1),
        epoch: bytes.readUInt32LE(4),
        seq: bytes.readUInt32LE(8),
        uid: bytes.readBigUInt64LE(12),
        content: bytes.subarray(20),
      };
    case 0x13:
      need(bytes.length === 20 && bytes.readUInt16LE(2) === 0, 'ack:N');
      need(bytes.readUInt8(1) <= 1, 'a confirmation');
      return {
        name: 'ack:N',
        confirmation: bytes.readUInt8(1) === 0 ? 'delivered' : 'stored',
        epoch: bytes.readUInt32LE(4),
        seq: bytes.readUInt32LE(8),
        uid: bytes.readBigUInt64LE(12),
      };
    case 0x22:
      return countA(bytes);
    case 0x32:
      return pullA(bytes);
    case 0x42:
      need(bytes.length === 8 && bytes.readUInt16LE(2) === 0, 'done:A');
      return { name: 'done:A', status: bytes.readUInt8(1), request: bytes.readUInt32LE(4) };
    case 0x53:
      need(bytes.length === 4 && bytes.readUInt32LE(0) === 0x53, 'inbox:N');
      return { name: 'inbox:N' };
    case 0x63:
      need(bytes.length === 4 && bytes.readUInt32LE(0) === 0x63, 'kick:N');
      return { name: 'kick:N' };
    default:
      throw new Error(`no packet of a server: ${bytes.toString('hex', 0, 64)}`);
  }
}

function messageAnswer(bytes: Buffer): MessageAnswer {
  need(bytes.length === 20 && bytes.readUInt16LE(2) === 0, 'msg:A or ack:A');
  return {
    status: bytes.readUInt8(1),
    epoch: bytes.readUInt32LE(4),
    seq: bytes.readUInt32LE(8),
    uid: bytes.readBigUInt64LE(12),
  };
}

function countA(bytes: Buffer): AnswerOf<'count:A'> {
  need(bytes.length >= 12 && bytes.readUInt16LE(2) === 0, 'count:A');
  const entries = bytes.readUInt32LE(8);
  need(bytes.length === 12 + 12 * entries, 'count:A with as many entries as it says');
  const counts = new Map<bigint, number>();
  for (let at = 12; at < bytes.length; at += 12) {
    counts.set(bytes.readBigUInt64LE(at), bytes.readUInt32LE(at + 8));
  }
  need(counts.size === entries, 'each sender once');
  return { name: 'count:A', status: bytes.readUInt8(1), request: bytes.readUInt32LE(4), counts };
}

function pullA(bytes: Buffer): AnswerOf<'pull:A'> {
  need(bytes.length >= 44 && bytes.readUInt8(2) <= 1 && bytes.readUInt8(3) === 0, 'pull:A');
  const rows: StrangerRow[] = [];
  let at = 44;
  for (let left = bytes.readUInt32LE(8); left > 0; left--) {
    need(at + 32 <= bytes.length, 'a whole row');
    const contentBytes = bytes.readUInt32LE(at + 28);
    need(bytes.readUInt32LE(at + 24) <= 255, 'a message type');
    need(at + 32 + contentBytes <= bytes.length, 'the whole content');
    rows.push({
      sender: bytes.readBigUInt64LE(at),
      epoch: bytes.readUInt32LE(at + 8),
      seq: bytes.readUInt32LE(at + 12),
      timeMs: bytes.readBigUInt64LE(at + 16),
      msgType: bytes.readUInt32LE(at + 24),
      content: bytes.subarray(at + 32, at + 32 + contentBytes),
    });
    at += 32 + contentBytes;
  }
  need(at === bytes.length, 'the last row ends where the packet ends');
  return {
    name: 'pull:A',
    status: bytes.readUInt8(1),
    more: bytes.readUInt8(2) === 1,
    request: bytes.readUInt32LE(4),
    token: bytes.subarray(12, 44),
    rows,
  };
}

function need(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`the server sent bytes that are not ${what}`);
}

// ---- the connection ----

/** An upgrade that was answered with HTTP. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;
  /** `error.code` of the body. */
  readonly code: string;

  constructor(status: number, body: string) {
    super(`the upgrade was refused with ${status}: ${body}`);
    this.status = status;
    this.code = (JSON.parse(body) as { error: { code: string } }).error.code;
  }
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export interface ConnectOptions extends ClientOptions {
  /** Goes into the Authorization header. */
  readonly token?: string;
  readonly protocols?: string[];
}

interface Waiter {
  matches(answer: Answer): boolean;
  take(answer: Answer): void;
}

export class Stranger {
  readonly ws: WebSocket;
  /** Settles when the connection is closed, whoever did it. */
  readonly closed: Promise<Closed>;
  /** Packets that nobody has asked for yet, oldest first. */
  readonly unread: Answer[] = [];
  /** Packets received, by name. */
  readonly received = new Map<AnswerName, number>();
  /** Called with every packet before it goes to whoever waits for it. */
  onPacket: (answer: Answer) => void = () => {};
  private readonly waiters: Waiter[] = [];
  private lastRequest = 0;
  private isClosed = false;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => {
        this.isClosed = true;
        resolve({ code, reason: reason.toString() });
      });
    });
    // A broken connection shows in `closed`; without a listener it would end the process.
    ws.on('error', () => {});
    ws.on('message', (data: RawData, isBinary: boolean) => {
      need(isBinary, 'a binary message');
      this.onBytes(data as Buffer);
    });
  }

  /** Connects. Rejects with `Refused` when the server answers the upgrade with HTTP. */
  static connect(url: string, options: ConnectOptions = {}): Promise<Stranger> {
    const { token, protocols = [], ...rest } = options;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return new Promise((resolve, reject) => {
      const ws = new WebSocket(url, protocols, { perMessageDeflate: false, headers, ...rest });
      const stranger = new Stranger(ws);
      ws.once('open', () => resolve(stranger));
      ws.once('error', reject);
      ws.once('unexpected-response', (_request, response: IncomingMessage) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => reject(new Refused(response.statusCode ?? 0, body)));
      });
    });
  }

  send(bytes: Buffer): void {
    this.ws.send(bytes);
  }

  /** The first packet of this name that nobody has taken yet, now or later. */
  next<K extends AnswerName>(
    name: K,
    matches: (answer: AnswerOf<K>) => boolean = () => true,
  ): Promise<AnswerOf<K>> {
    const isIt = (answer: Answer): boolean =>
      answer.name === name && matches(answer as AnswerOf<K>);
    const known = this.unread.findIndex(isIt);
    if (known >= 0) return Promise.resolve(this.unread.splice(known, 1)[0] as AnswerOf<K>);
    if (this.isClosed) return Promise.reject(new Error(`closed, and no ${name} has come`));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        matches: isIt,
        take: (answer) => {
          clearTimeout(patience);
          resolve(answer as AnswerOf<K>);
        },
      };
      const giveUp = (why: string): void => {
        clearTimeout(patience);
        const at = this.waiters.indexOf(waiter);
        if (at < 0) return;
        this.waiters.splice(at, 1);
        const unread = this.unread.map((answer) => answer.name).join(' ');
        reject(new Error(`${why} while waiting for ${name}; unread: ${unread || 'nothing'}`));
      };
      const patience = setTimeout(() => giveUp('out of patience'), PATIENCE_MS);
      this.waiters.push(waiter);
      void this.closed.then(({ code }) => giveUp(`closed with ${code}`));
    });
  }

  /** Sends a msg:R and returns its msg:A. */
  submit(fields: MsgRFields): Promise<AnswerOf<'msg:A'>> {
    this.send(msgR(fields));
    return this.next('msg:A', ({ seq, epoch }) => {
      return seq === fields.seq && epoch === (fields.epoch ?? 1);
    });
  }

  /** Sends a msg:R and returns how it was confirmed. */
  async confirm(fields: MsgRFields): Promise<'delivered' | 'stored'> {
    this.send(msgR(fields));
    const { confirmation } = await this.next('ack:N', ({ seq, epoch, uid }) => {
      return seq === fields.seq && epoch === (fields.epoch ?? 1) && uid === BigInt(fields.receiver);
    });
    return confirmation;
  }

  counts(): Promise<AnswerOf<'count:A'>> {
    const request = ++this.lastRequest;
    this.send(countR(request));
    return this.next('count:A', (answer) => answer.request === request);
  }

  pull(fields: PullFields = {}): Promise<AnswerOf<'pull:A'>> {
    const request = ++this.lastRequest;
    this.send(pullR(request, fields));
    return this.next('pull:A', (answer) => answer.request === request);
  }

  done(token: Buffer): Promise<AnswerOf<'done:A'>> {
    const request = ++this.lastRequest;
    this.send(doneR(request, token));
    return this.next('done:A', (answer) => answer.request === request);
  }

  /**
   * After it, everything that the server had for this client before is here: packets of one
   * connection keep their order.
   */
  async barrier(): Promise<void> {
    await this.counts();
  }

  /** Closes and waits for the server's answer. */
  async close(code = 1000): Promise<Closed> {
    this.ws.close(code);
    return this.closed;
  }

  /** Reads nothing from the network any more until `resume`. */
  stopReading(): void {
    this.ws.pause();
  }

  resume(): void {
    this.ws.resume();
  }

  /** Breaks the connection without a close frame, as a crash does. */
  async crash(): Promise<void> {
    this.ws.terminate();
    await this.closed;
  }

  private onBytes(bytes: Buffer): void {
    const answer = decode(bytes);
    this.received.set(answer.name, (this.received.get(answer.name) ?? 0) + 1);
    this.onPacket(answer);
    const at = this.waiters.findIndex((waiter) => waiter.matches(answer));
    if (at >= 0) (this.waiters.splice(at, 1)[0] as Waiter).take(answer);
    else this.unread.push(answer);
  }
}

/** A receiver with a log: acknowledges every msg:N, keeps each message once. */
export class StrangerUser {
  /** Contents in the order in which they became known. */
  readonly log: string[] = [];
  /** Messages that came again and were dropped. */
  repeats = 0;
  private readonly known = new Set<string>();

  /** Takes msg:N of this connection from now on. */
  attach(stranger: Stranger): void {
    stranger.onPacket = (answer) => {
      if (answer.name !== 'msg:N') return;
      this.take(answer.uid, answer.epoch, answer.seq, answer.content);
      stranger.send(ackR({ sender: answer.uid, epoch: answer.epoch, seq: answer.seq }));
    };
  }

  /**
   * Pulls until the inbox is empty, each pull acknowledging the page before (S19). Returns the
   * number of interactions.
   */
  async drain(stranger: Stranger, fields: PullFields = {}): Promise<number> {
    let interactions = 0;
    let token = NO_TOKEN;
    for (;;) {
      const page = await stranger.pull({ ...fields, token });
      interactions++;
      if (page.status !== STATUS.ok) throw new Error(`the pull got status ${page.status}`);
      for (const row of page.rows) this.take(row.sender, row.epoch, row.seq, row.content);
      token = page.token;
      if (!page.more) break;
    }
    if (token.equals(NO_TOKEN)) return interactions;
    const { status } = await stranger.done(token);
    if (status !== STATUS.ok) throw new Error(`done:R got status ${status}`);
    return interactions + 1;
  }

  private take(sender: bigint, epoch: number, seq: number, content: Buffer): void {
    const name = `${sender}/${epoch}/${seq}`;
    if (this.known.has(name)) {
      this.repeats++;
      return;
    }
    this.known.add(name);
    this.log.push(content.toString());
  }
}
