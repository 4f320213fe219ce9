/**
 * ClientNode: a user's process: the client machine, its log on a disk, and its connection.
 *
 *     machine ──Deliver, submit, Settled──> journal ──sync──> safe
 *        └────Send──> held until the journal before it is safe ──> link
 *
 * The order is the promise: a packet leaves only after everything that the machine knew when it made
 * it is safe. So an ack:R never speaks of a delivery that a crash could take back, and no msgid is
 * on its way that the log could give to another message. After a crash the machine is rebuilt from
 * the journal alone.
 */
import {
  Client,
  type ClientEffects,
  ClientEffectKind,
  type ClientOptions,
  createClientEffects,
  decode,
  DecodeResult,
  never,
  type Outcome,
  OUTCOME_NAME,
  Packet,
} from '../protocol/index.ts';
import type { MessageRecord } from './checker.ts';
import { bytesOf, type Connection } from './link.ts';
import { unitOf } from './random.ts';
import { describePacket, messagesOf, nameOf } from './trace.ts';
import type { World } from './world.ts';

/** Epoch of everybody's sequences. */
export const EPOCH = 7;
const RECONNECT_MS = 50;
const MSG_TYPE = 1;

/** Streams of the draws that belong to a client. */
const Stream = { Latency: 200, LogSync: 201, CrashPoint: 202, Tail: 203, Linger: 204 } as const;

type Entry =
  | { readonly what: 'submit'; readonly record: MessageRecord }
  | { readonly what: 'settle'; readonly record: MessageRecord; readonly outcome: Outcome }
  | { readonly what: 'deliver'; readonly record: MessageRecord; readonly from: number };

export class ClientNode {
  readonly uid: number;
  readonly server: number;
  connection: Connection | null = null;
  wantsOnline = false;
  /** The application's log: content by message name. */
  readonly log = new Map<string, string>();
  rowsPaged = 0;
  drained = 0;
  crashes = 0;
  machine: Client;
  private readonly world: World;
  private readonly options: ClientOptions;
  private readonly out: ClientEffects = createClientEffects();
  private readonly scratch = new Packet();
  private readonly arriving = new Packet();
  private journal: Entry[] = [];
  private safeEntries = 0;
  private isSyncing = false;
  private held: { needs: number; connection: Connection; bytes: Uint8Array<ArrayBuffer> }[] = [];
  private incarnation = 0;
  private wakeAtMs = Infinity;

  constructor(world: World, uid: number, server: number, options: ClientOptions) {
    this.world = world;
    this.uid = uid;
    this.server = server;
    this.options = options;
    this.machine = new Client(options);
  }

  /** Submits a message of unique content. */
  send(to: number): void {
    const { world } = this;
    const content = `${this.uid}>${to} #${world.checker.messages.length}`;
    const nowMs = world.clock.nowMs;
    const tag = world.checker.messages.length;
    const bytes = new TextEncoder().encode(content);
    const seq = this.machine.sender.submit(to, MSG_TYPE, bytes, tag, nowMs, this.out);
    const record = world.checker.onSubmit(this.uid, to, EPOCH, seq, content);
    world.trace.add(nowMs, 1, record.index, seq);
    world.trace.tell(
      nowMs,
      { messages: [record.name] },
      () => `${this.uid} submits ${record.name}`,
    );
    this.append({ what: 'submit', record });
    this.drain();
  }

  logIn(): void {
    this.wantsOnline = true;
    if (this.connection === null) this.connect();
  }

  /** Connects anew while the server still holds the older session, which it then kicks. */
  logInTwice(): void {
    if (this.connection !== null) this.machine.onDisconnect();
    this.wantsOnline = true;
    this.connect();
  }

  /** Hangs up; the server sees it `noticeMs` later and thinks until then that the user is online. */
  logOut(noticeMs: number): void {
    this.wantsOnline = false;
    this.machine.onDisconnect();
    this.tell('hangs up');
    this.leave(noticeMs);
  }

  /** The process dies. What its log had not synced survives, or (`losesTail`) does not. */
  crash(noticeMs: number, losesTail: boolean): void {
    this.wantsOnline = false;
    this.crashes++;
    this.world.trace.add(this.world.clock.nowMs, 2, this.uid, losesTail ? 1 : 0);
    this.tell(losesTail ? 'crashes, and its log loses what was not synced' : 'crashes');
    this.leave(noticeMs);
    this.incarnation++;
    this.held = [];
    this.isSyncing = false;
    if (losesTail) this.loseTail();
    else this.makeSafe(this.journal.length);
    this.rebuild();
  }

  pull(): void {
    this.machine.puller.start(this.world.clock.nowMs, this.out);
    this.drain();
  }

  /** Bytes arrive; the buffer is spoilt afterwards, so that who kept a view shall notice. */
  onBytes(connection: Connection, bytes: Uint8Array<ArrayBuffer>): void {
    const isOurs = this.connection === connection && connection.isEstablished;
    if (!isOurs || connection.isDead) return;
    if (connection.unread !== null) {
      connection.unread.push(bytes);
      return;
    }
    const packet = this.arriving;
    const result = decode(bytes, new DataView(bytes.buffer), 0, bytes.length, packet);
    if (result !== DecodeResult.Ok) throw new Error(`a packet does not decode: ${result}`);
    const nowMs = this.world.clock.nowMs;
    this.world.trace.addPacket(nowMs, 3, this.uid, packet);
    this.world.trace.tell(nowMs, { messages: messagesOf(packet, this.uid), isPacket: true }, () => {
      return `${this.uid} gets ${describePacket(packet, this.uid)}`;
    });
    if (!this.machine.onPacket(packet, nowMs, this.out)) {
      throw new Error('the gateway sent a packet that only clients send');
    }
    this.drain();
    bytes.fill(0xee);
  }

  /** Reads again what waited. */
  readOn(connection: Connection): void {
    const unread = connection.unread ?? [];
    connection.unread = null;
    for (const bytes of unread) this.onBytes(connection, bytes);
  }

  /** Sees that the connection is gone, and connects anew when it wants to be online. */
  onClosed(connection: Connection): void {
    if (this.connection !== connection) return;
    this.connection = null;
    this.machine.onDisconnect();
    this.tell('sees that his connection is gone');
    this.world.clock.after(RECONNECT_MS, () => {
      if (this.wantsOnline && this.connection === null) this.connect();
    });
  }

  private connect(): void {
    const { world } = this;
    const connection = world.open(this);
    this.connection = connection;
    world.trace.add(world.clock.nowMs, 4, this.uid, 0);
  }

  /** The server accepted the session. */
  onOpen(connection: Connection): void {
    if (this.connection !== connection || connection.isDead) return;
    connection.isEstablished = true;
    this.tell('is online');
    this.machine.onConnect(this.world.clock.nowMs, this.out);
    this.drain();
  }

  private leave(noticeMs: number): void {
    const { connection } = this;
    if (connection === null) return;
    this.connection = null;
    const nth = this.world.network.next(this.uid, Stream.Linger);
    connection.lingers = unitOf(this.world.plan.seed, this.uid, Stream.Linger, nth, 0) < 0.5;
    this.world.clock.after(noticeMs, () => this.world.serverOf(this).onGone(connection));
  }

  /** Drains what an input wrote: log first, packets after it. */
  private drain(): void {
    const { out, world } = this;
    for (let i = 0; i < out.length; i++) {
      if (this.diesHere()) {
        out.clear();
        return;
      }
      const effect = out.at(i);
      switch (effect.kind) {
        case ClientEffectKind.Send:
          this.sendOut(effect.packet);
          break;
        case ClientEffectKind.Deliver: {
          if (effect.paged) this.rowsPaged++;
          const content = new TextDecoder().decode(effect.content);
          const { uid: from, epoch, seq } = effect;
          const record = world.checker.onDeliver(this.uid, from, epoch, seq, content);
          const name = nameOf(from, this.uid, epoch, seq);
          world.trace.tell(world.clock.nowMs, { messages: [name] }, () => {
            return `${this.uid} delivers ${name} to the application`;
          });
          this.log.set(name, content);
          if (record !== null) this.append({ what: 'deliver', record, from });
          break;
        }
        case ClientEffectKind.Repeat:
          if (effect.paged) this.rowsPaged++;
          world.checker.absorbed++;
          break;
        case ClientEffectKind.Accepted:
          world.checker.onAccepted(world.message(effect.tag));
          break;
        case ClientEffectKind.Settled: {
          const record = world.message(effect.tag);
          world.trace.tell(world.clock.nowMs, { messages: [record.name] }, () => {
            return `${this.uid} settles ${record.name}: ${OUTCOME_NAME[effect.outcome]}`;
          });
          world.checker.onSettled(record, effect.outcome);
          this.append({ what: 'settle', record, outcome: effect.outcome });
          break;
        }
        case ClientEffectKind.Drained:
          this.drained++;
          break;
        case ClientEffectKind.Kicked:
          this.wantsOnline = false;
          break;
        default:
          never(effect.kind, 'client effect');
      }
    }
    out.clear();
    this.setTimer();
  }

  private diesHere(): boolean {
    const { network, plan, clock } = this.world;
    if (plan.clientCrashPoint === 0 || network.isHealed) return false;
    const name = { user: this.uid, stream: Stream.CrashPoint, nth: 0, draw: 0 };
    name.nth = network.next(this.uid, Stream.CrashPoint);
    const describe = (): string => `of ${this.uid} at step ${name.nth}`;
    if (!network.strikes('crash client', plan.clientCrashPoint, name, describe)) return false;
    const draw = (salt: number): number => unitOf(plan.seed, this.uid, Stream.Tail, name.nth, salt);
    this.crash(draw(1) < 0.5 ? 0 : draw(2) * 2000, draw(3) < 0.5);
    clock.after(1 + draw(4) * 2000, () => this.logIn());
    return true;
  }

  // The log

  private append(entry: Entry): void {
    this.journal.push(entry);
    if (this.world.plan.logSyncMaxMs === 0) this.makeSafe(this.journal.length);
    else this.sync();
  }

  private sync(): void {
    if (this.isSyncing) return;
    this.isSyncing = true;
    const { world, incarnation } = this;
    const target = this.journal.length;
    const nth = world.network.next(this.uid, Stream.LogSync);
    const part = unitOf(world.plan.seed, this.uid, Stream.LogSync, nth, 0);
    world.clock.after(part * world.plan.logSyncMaxMs, () => {
      if (incarnation !== this.incarnation) return;
      this.isSyncing = false;
      this.makeSafe(target);
      while (this.held.length > 0 && (this.held[0]?.needs ?? 0) <= this.safeEntries) {
        const { connection, bytes } = this.held.shift() as (typeof this.held)[number];
        if (this.connection !== connection) continue;
        decode(bytes, new DataView(bytes.buffer), 0, bytes.length, this.scratch);
        world.transmit(connection, 'to server', this.scratch);
      }
      if (this.journal.length > this.safeEntries) this.sync();
    });
  }

  private makeSafe(entries: number): void {
    for (; this.safeEntries < entries; this.safeEntries++) {
      const entry = this.journal[this.safeEntries] as Entry;
      if (entry.what === 'deliver') entry.record.log = 'synced';
    }
  }

  private sendOut(packet: Packet): void {
    if (this.connection === null) return;
    if (this.journal.length === this.safeEntries && this.held.length === 0) {
      this.world.transmit(this.connection, 'to server', packet);
      return;
    }
    const { connection } = this;
    this.held.push({ needs: this.journal.length, connection, bytes: bytesOf(packet) });
  }

  private loseTail(): void {
    const tail = this.journal.splice(this.safeEntries);
    const deliveries: MessageRecord[] = [];
    const unsent: MessageRecord[] = [];
    for (const entry of tail) {
      if (entry.what === 'submit') unsent.push(entry.record);
      else if (entry.what === 'settle') entry.record.outcome = null;
      else {
        deliveries.push(entry.record);
        this.log.delete(entry.record.name);
      }
    }
    this.world.checker.onTailLost(deliveries, unsent);
  }

  /** A new machine with what the journal knows. */
  private rebuild(): void {
    this.out.clear();
    this.wakeAtMs = Infinity;
    const machine = new Client(this.options);
    this.machine = machine;
    const settled = new Set<MessageRecord>();
    for (const entry of this.journal) {
      if (entry.what === 'settle') settled.add(entry.record);
      else if (entry.what === 'deliver') {
        const { epoch, seq } = entry.record;
        machine.receiver.expect(entry.from, epoch).setOf(epoch).add(seq);
      }
    }
    const nowMs = this.world.clock.nowMs;
    for (const entry of this.journal) {
      if (entry.what !== 'submit') continue;
      const { to, seq, content, index } = entry.record;
      if (settled.has(entry.record)) {
        machine.sender.resumeAfter(to, seq);
        continue;
      }
      const message = { msgType: MSG_TYPE, content: new TextEncoder().encode(content), tag: index };
      machine.sender.resume(to, seq, message, nowMs, this.out);
    }
    this.out.clear();
  }

  private setTimer(): void {
    const { clock } = this.world;
    const atMs = this.machine.nextDeadlineMs();
    if (atMs >= this.wakeAtMs) return;
    this.wakeAtMs = atMs;
    const { incarnation } = this;
    clock.at(atMs, () => {
      if (this.wakeAtMs !== atMs || incarnation !== this.incarnation) return;
      this.wakeAtMs = Infinity;
      this.machine.onDeadline(clock.nowMs, this.out);
      this.drain();
    });
  }

  private tell(what: string): void {
    const { trace, clock } = this.world;
    trace.tell(clock.nowMs, { users: [this.uid] }, () => `${this.uid} ${what}`);
  }
}
