/**
 * One gateway, the memory store behind it with answers that wait, and the model that judges it.
 *
 * Rules, checked at every effect:
 * - effects go to open sessions only, and each is a packet that a server sends and that decodes;
 * - every R is answered by exactly one A on its own session, or that session closes;
 * - msg:N comes from a msg:R of that sender, ack:N(delivered) from an ack:R of that receiver,
 *   ack:N(stored) from a row that the store took; kick:N only before its close;
 * - a store operation touches the inbox of its own session only, and a put is in its sender's name;
 * - `pending` counts what is in flight, and never passes `pendingMax`;
 * - no session gets more packets through than its bucket holds; the newest login is the user online.
 */
import {
  type CloseCode,
  CloseCode as Code,
  Confirmation,
  createGatewayEffects,
  decode,
  DecodeResult,
  encodeAlone,
  Gateway,
  type GatewayEffect,
  GatewayEffectKind,
  type GatewayOptions,
  isUid,
  Kind,
  KIND_NAME,
  Packet,
  Policy,
  type Session,
  Status,
} from '../../protocol/index.ts';
import { createMemoryStore } from '../../server/index.ts';
import { expect } from './target.ts';

export const USERS = [1001, 2002, 3003, 2 ** 53 - 1] as const;
const CONTENT_MAX_BYTES = 64;
const PAGE_MAX_MESSAGES = 4;
const PAGE_MAX_BYTES = 128;
const BURST = 24;
const PACKETS_PER_SEC = 10;
const START_MS = 1_700_000_000_000;

export interface Client {
  readonly number: number;
  session: Session<Client> | null;
  /** Requests without an answer: how many of each name. */
  readonly owed: Map<string, number>;
  /** Packets that the bucket lets through. */
  credit: number;
  creditAtMs: number;
  isKicked: boolean;
}

/** The A that answers an R, and by what it is told. */
function answerName(packet: Packet): string {
  switch (packet.kind) {
    case Kind.MsgR:
    case Kind.MsgA:
      return `msg ${packet.uid} ${packet.epoch} ${packet.seq}`;
    case Kind.AckR:
    case Kind.AckA:
      return `ack ${packet.uid} ${packet.epoch} ${packet.seq}`;
    case Kind.CountR:
    case Kind.CountA:
      return `count ${packet.request}`;
    case Kind.PullR:
    case Kind.PullA:
      return `pull ${packet.request}`;
    case Kind.DoneR:
    case Kind.DoneA:
      return `done ${packet.request}`;
    default:
      return '';
  }
}

export class GatewayWorld {
  private readonly gateway: Gateway<Client>;
  private readonly out = createGatewayEffects<Client>();
  private readonly store;
  private readonly isLimited: boolean;
  private readonly pendingMax: number;
  private readonly seen: Set<number>;
  private nowMs = START_MS;
  private clients: Client[] = [];
  private newestOf = new Map<number, Client>();
  /** Store operations in flight, each with its answer. */
  private inFlight: ((status: Status) => void)[] = [];
  /** "sender receiver epoch seq" of every msg:R, and of every ack:R as "receiver sender …". */
  private readonly said = new Set<string>();
  private readonly acked = new Set<string>();
  private readonly stored = new Set<string>();
  private input = 0;

  /** Bit 0 of `head`: durable; bit 1: a packet rate and few operations in flight. `make` makes the gateway to judge. */
  constructor(
    head: number,
    seen: Set<number>,
    make = (options: GatewayOptions): Gateway<Client> => new Gateway<Client>(options),
  ) {
    this.seen = seen;
    this.isLimited = (head & 2) !== 0;
    this.pendingMax = this.isLimited ? 3 : 1000;
    this.gateway = make({
      policy: (head & 1) !== 0 ? Policy.Durable : Policy.Relay,
      contentMaxBytes: CONTENT_MAX_BYTES,
      pageMaxMessages: PAGE_MAX_MESSAGES,
      pageMaxBytes: PAGE_MAX_BYTES,
      packetsPerSec: this.isLimited ? PACKETS_PER_SEC : 0,
      packetsBurst: BURST,
      pendingMax: this.pendingMax,
    });
    this.store = createMemoryStore({
      limits: { inboxMaxMessages: 3, inboxMaxBytes: 100 },
      now: () => this.nowMs,
    });
  }

  step(op: string, who: number, payload: Buffer): void {
    this.input = 0x100;
    switch (op) {
      case 'packet':
        this.onBytes(this.clientOf(who), payload);
        break;
      case 'open':
        this.open(who);
        break;
      case 'close':
        this.close(this.clientOf(who));
        break;
      case 'answer':
      case 'fail': {
        const [answer] = this.inFlight.splice(who % Math.max(1, this.inFlight.length), 1);
        this.input = op === 'fail' ? 0x101 : 0x102;
        answer?.(op === 'fail' ? Status.StoreFailed : Status.Ok);
        break;
      }
      case 'wait':
        this.nowMs += who * 10;
        break;
      default:
        this.gateway.drain();
    }
    this.check();
  }

  /** The store answers all that is in flight; then nobody who is still there waits for anything. */
  end(): void {
    while (this.inFlight.length > 0) {
      this.inFlight.shift()?.(Status.Ok);
      this.check();
    }
    for (const { session, owed } of this.clients) {
      if (session?.open !== true) continue;
      expect(owed.size === 0, `never answered: ${[...owed.keys()].join(', ')}`);
    }
    expect(this.gateway.pending === 0, `${this.gateway.pending} operations pend for ever`);
  }

  private clientOf(who: number): Client | null {
    return this.clients.length === 0 ? null : (this.clients[who % this.clients.length] as Client);
  }

  private open(who: number): void {
    const uid = USERS[who % USERS.length] as number;
    const client: Client = {
      number: this.clients.length,
      session: null,
      owed: new Map(),
      credit: BURST,
      creditAtMs: this.nowMs,
      isKicked: false,
    };
    this.clients.push(client);
    const older = this.newestOf.get(uid);
    this.newestOf.set(uid, client);
    client.session = this.gateway.onOpen(uid, client, this.nowMs, this.out);
    const isReplacing = older?.session?.open === true;
    this.drain();
    expect(!isReplacing || older.isKicked, 'the older session was not kicked');
    expect(this.gateway.sessionOf(uid) === client.session, 'the newest session is not the one');
  }

  private close(client: Client | null): void {
    if (client?.session === null || client === null) return;
    this.gateway.onClose(client.session);
    this.drain();
  }

  private onBytes(client: Client | null, bytes: Buffer): void {
    const session = client?.session ?? null;
    if (client === null || session === null) return;
    const wasOpen = session.open;
    const packet = new Packet();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (decode(bytes, view, 0, bytes.length, packet) !== DecodeResult.Ok) {
      this.gateway.onUnparsable(session, this.out);
      this.drain();
      expect(!session.open, 'a session goes on after bytes that are no packet');
      return;
    }
    this.input = packet.kind;
    const isWithin = wasOpen && this.takesCredit(client);
    const name = answerName(packet);
    const isRequest = (packet.kind & 3) === 1;
    if (isWithin && isRequest) {
      client.owed.set(name, (client.owed.get(name) ?? 0) + 1);
      const key = `${packet.epoch} ${packet.seq}`;
      if (packet.kind === Kind.MsgR) this.said.add(`${session.uid} ${packet.uid} ${key}`);
      if (packet.kind === Kind.AckR) this.acked.add(`${session.uid} ${packet.uid} ${key}`);
    }
    this.gateway.onPacket(session, packet, this.nowMs, this.out);
    this.drain();
    expect(isRequest || !session.open, 'a session goes on after a packet of the server');
    expect(isWithin || !session.open, 'a session goes on beyond its packets per second');
    if (isWithin && isRequest) expect(session.open, `${KIND_NAME[packet.kind]} closes its session`);
  }

  private takesCredit(client: Client): boolean {
    if (!this.isLimited) return true;
    const earned = ((this.nowMs - client.creditAtMs) * PACKETS_PER_SEC) / 1000;
    client.credit = Math.min(BURST, client.credit + earned) - 1;
    client.creditAtMs = this.nowMs;
    return client.credit >= 0;
  }

  private drain(): void {
    for (let i = 0; i < this.out.length; i++) this.apply(this.out.at(i));
    this.out.clear();
  }

  private apply(effect: GatewayEffect<Client>): void {
    const status = effect.kind === GatewayEffectKind.Send ? effect.packet.status : 0;
    const detail = effect.kind === GatewayEffectKind.Send ? effect.packet.kind : 0;
    // Which input led to which effect: a decision, and the fuzzer's second kind of coverage.
    this.seen.add((this.input << 16) | (effect.kind << 12) | (detail << 4) | status);
    const session = effect.session as Session<Client>;
    switch (effect.kind) {
      case GatewayEffectKind.Send:
        this.onSend(session, effect.packet);
        return;
      case GatewayEffectKind.Close:
        this.onClosed(session, effect.closeCode);
        return;
      case GatewayEffectKind.Put: {
        const operation = effect.put!;
        const { receiver, sender, epoch, seq } = operation.row;
        const key = `${sender} ${receiver} ${epoch} ${seq}`;
        expect(sender === operation.session.uid, "a put in another's name");
        expect(this.said.has(key), 'a put of a message that nobody sent');
        this.later((wanted) => {
          if (wanted !== Status.Ok) return this.gateway.onPut(operation, wanted, this.out);
          this.store.put(operation.row, (answer) => {
            if (answer === Status.Ok) this.stored.add(key);
            this.gateway.onPut(operation, answer, this.out);
          });
        });
        return;
      }
      case GatewayEffectKind.Page: {
        const operation = effect.page!;
        const { receiver, limit, limitBytes } = operation.query;
        expect(receiver === operation.session.uid, "a page of another's inbox");
        expect(limit >= 1 && limit <= PAGE_MAX_MESSAGES, 'a page beyond its limit');
        expect(limitBytes >= 1 && limitBytes <= PAGE_MAX_BYTES, 'a page beyond its bytes');
        const empty = { rows: [], first: 0, last: 0, more: false };
        this.later((wanted) => {
          if (wanted !== Status.Ok) return this.gateway.onPage(operation, wanted, empty, this.out);
          this.store.page(operation.query, (answer, page) =>
            this.gateway.onPage(operation, answer, page, this.out),
          );
        });
        return;
      }
      case GatewayEffectKind.Counts: {
        const operation = effect.counts!;
        this.later((wanted) => {
          if (wanted !== Status.Ok) return this.gateway.onCounts(operation, wanted, [], this.out);
          this.store.counts(operation.session.uid, (answer, counts) =>
            this.gateway.onCounts(operation, answer, counts, this.out),
          );
        });
        return;
      }
      case GatewayEffectKind.DeletePage: {
        const operation = effect.deletion!;
        expect(operation.range.receiver === operation.session.uid, "a deletion in another's inbox");
        this.later((wanted) => {
          if (wanted !== Status.Ok) return this.gateway.onDeleted(operation, wanted, this.out);
          this.store.deletePage(operation.range, (answer) =>
            this.gateway.onDeleted(operation, answer, this.out),
          );
        });
        return;
      }
      default: {
        const { uid: sender, epoch, seq } = effect.packet;
        const key = `${effect.receiver} ${sender} ${epoch} ${seq}`;
        expect(this.acked.has(key), 'a row is removed that its receiver did not acknowledge');
        this.store.remove({ receiver: effect.receiver, sender, epoch, seq }, () => {});
      }
    }
  }

  private later(answer: (status: Status) => void): void {
    this.inFlight.push((status) => {
      answer(status);
      this.drain();
    });
  }

  private onSend(session: Session<Client>, packet: Packet): void {
    const name = KIND_NAME[packet.kind];
    const client = session.handle;
    expect(session.open || packet.kind === Kind.KickN, `${name} to a session that is closed`);
    const bytes = encodeAlone(packet);
    const view = new DataView(bytes.buffer);
    const seen = new Packet();
    const decoded = decode(bytes, view, 0, bytes.length, seen);
    expect(decoded === DecodeResult.Ok, `${name} that no client can decode`);
    const key = `${packet.epoch} ${packet.seq}`;
    switch (packet.kind) {
      case Kind.MsgN:
        expect(this.said.has(`${packet.uid} ${session.uid} ${key}`), 'msg:N that nobody sent');
        return;
      case Kind.AckN: {
        const isStored = packet.confirmation === Confirmation.Stored;
        const isTrue = isStored
          ? this.stored.has(`${session.uid} ${packet.uid} ${key}`)
          : this.acked.has(`${packet.uid} ${session.uid} ${key}`);
        expect(isTrue, `ack:N of what is not ${isStored ? 'stored' : 'acknowledged'}`);
        return;
      }
      case Kind.InboxN:
        return;
      case Kind.KickN:
        client.isKicked = true;
        return;
      default: {
        expect((packet.kind & 3) === 2, `${name} sent by a server`);
        const answers = answerName(seen); // as the client reads it
        const owed = client.owed.get(answers) ?? 0;
        expect(owed > 0, `an answer that nobody waits for: ${answers}`);
        if (owed === 1) client.owed.delete(answers);
        else client.owed.set(answers, owed - 1);
        if (packet.kind !== Kind.MsgA || packet.status !== Status.Ok) return;
        const isSaid = this.said.has(`${session.uid} ${packet.uid} ${key}`);
        expect(isSaid && isUid(packet.uid), 'msg:A ok of what was not sent');
      }
    }
  }

  private onClosed(session: Session<Client>, code: CloseCode): void {
    expect(!session.open, 'a session is closed and stays open');
    expect(code !== Code.Kicked || session.handle.isKicked, 'kicked without kick:N');
  }

  private check(): void {
    const { pending } = this.gateway;
    expect(pending === this.inFlight.length, `pending ${pending}, not ${this.inFlight.length}`);
    expect(pending <= this.pendingMax, `${pending} operations in flight`);
    let online = 0;
    for (const uid of USERS) {
      const session = this.gateway.sessionOf(uid);
      if (session === undefined) continue;
      online++;
      expect(session.open && session.uid === uid, 'a session that is not open is online');
    }
    expect(online === this.gateway.online, 'users are online who never logged in');
  }
}
