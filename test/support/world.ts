/**
 * World: several clients, one gateway and its store on a virtual clock, joined by faulty links. The
 * machines are the real ones, and every packet is encoded and decoded on its way.
 *
 *     Client ──┐  connection: latency, drop, duplicate, delay, reorder per packet kind
 *     Client ──┼──────────────> Gateway ──> SimStore
 *     Client ──┘  cut, half open, twice        both crash together; committed rows stay
 *
 * What must stay true: a run is a function of its options and of the calls made (one seed, one clock,
 * one PRNG). Each message is on record at its sender, each delivery in its receiver's log, and
 * `audit` compares the two.
 */
import {
  type Client,
  type ClientEffects,
  ClientEffectKind,
  createGatewayEffects,
  decode,
  DecodeResult,
  encodeAlone,
  type Gateway,
  type GatewayEffect,
  GatewayEffectKind,
  type GatewayEffects,
  type Kind,
  never,
  Packet,
} from '../../protocol/index.ts';
import { type Audit, auditOf, type MessageRecord, nameOf } from './audit.ts';
import { Clock } from '../../sim/clock.ts';
import { bytesOf, describePacket, present, textOf } from './describe.ts';
import { Random } from '../../sim/random.ts';
import type { SimStore } from '../../sim/store.ts';
import { Connection, User } from './user.ts';
import {
  DEFAULT_GATEWAY,
  DEFAULT_WORLD,
  type LinkFaults,
  NO_FAULTS,
  type WorldOptions,
} from './world-options.ts';

const EPOCH = 7;
/** How long a client waits before it connects again. */
const RECONNECT_MS = 50;

export class World {
  readonly clock = new Clock();
  readonly users: User[] = [];
  readonly messages: MessageRecord[] = [];
  readonly store: SimStore;
  gateway: Gateway<Connection>;
  /** Packets that were handed to a link, by kind. */
  readonly packets = new Map<Kind, number>();
  /** False for a packet that the link shall drop. For scripted faults. */
  admits: (packet: Packet, uid: number) => boolean = () => true;

  private readonly options: WorldOptions;
  private readonly random: Random;
  private readonly gatewayOut: GatewayEffects<Connection> = createGatewayEffects<Connection>();
  private readonly arriving = new Packet();
  private faultsOf: (kind: Kind) => LinkFaults;
  private serverUp = true;
  private lastTrafficMs = 0;
  private settled = false;

  constructor(options: Partial<WorldOptions> = {}) {
    this.options = { ...DEFAULT_WORLD, ...options };
    this.random = new Random(this.options.seed);
    this.faultsOf = this.options.faultsOf;
    this.store = this.options.makeStore(this.clock, {
      inboxMaxMessages: this.options.inboxMaxMessages,
      commitMs: () => this.random.int(0, this.options.commitMaxMs),
      commitFails: () => false,
      survivors: () => 0,
      onBroken: () => undefined,
      onDeleted: () => undefined,
    });
    this.gateway = this.newGateway();
    for (let uid = 1; uid <= this.options.clients; uid++) this.users.push(this.newUser(uid));
  }

  user(uid: number): User {
    return present(this.users[uid - 1]);
  }

  // What users do

  /** Submits a message; its content is unique. */
  send(from: number, to: number): void {
    const content = `${from}>${to} #${this.messages.length}`;
    const tag = this.messages.length;
    this.toMachine(this.user(from), ({ sender }, out) => {
      const seq = sender.submit(to, 1, bytesOf(content), tag, this.clock.nowMs, out);
      if (seq === 0) throw new Error('the waiting-ack queue of the test is too small');
      const record = { from, to, epoch: EPOCH, seq, content, accepted: false, outcome: null };
      this.messages.push(record);
    });
  }

  logIn(uid: number): void {
    const user = this.user(uid);
    user.wantsOnline = true;
    if (user.connection === null) this.connect(user);
  }

  /** Hangs up; the server sees it `noticeMs` later and thinks until then that the user is online. */
  logOut(uid: number, noticeMs = 0): void {
    this.user(uid).wantsOnline = false;
    this.hangUp(this.user(uid), noticeMs, (machine) => machine.onDisconnect());
  }

  /** The process dies and loses all but its log, dedupe sets and waiting-ack queue. */
  crash(uid: number, noticeMs = 0): void {
    this.user(uid).wantsOnline = false;
    this.hangUp(this.user(uid), noticeMs, (machine) => machine.onCrash());
  }

  /** Connects anew while the server still holds the older session, which it then kicks. */
  logInTwice(uid: number): void {
    const user = this.user(uid);
    if (user.connection !== null) user.machine.onDisconnect();
    user.wantsOnline = true;
    this.connect(user);
  }

  /** The link goes dead; the ends find out `noticeMs` later. */
  goDead(uid: number, noticeMs: number): void {
    const { connection } = this.user(uid);
    if (connection === null) return;
    connection.dead = true;
    this.clock.after(noticeMs, () => {
      this.closeAtServer(connection);
      this.closeAtClient(connection);
    });
  }

  pull(uid: number): void {
    this.toMachine(this.user(uid), ({ puller }, out) => puller.start(this.clock.nowMs, out));
  }

  // What happens to the server

  /** kill -9: sessions and uncommitted writes are gone; it is back after `downMs`. */
  crashServer(downMs: number): void {
    if (!this.serverUp) return;
    this.trace('server crashes');
    this.serverUp = false;
    this.store.crash();
    this.gateway = this.newGateway();
    for (const { connection } of this.users) {
      if (connection === null) continue;
      connection.dead = true;
      this.clock.after(this.latencyMs(), () => this.closeAtClient(connection));
    }
    this.clock.after(downMs, () => (this.serverUp = true));
  }

  // Time

  run(forMs: number): void {
    this.clock.runUntil(this.clock.nowMs + forMs);
  }

  /**
   * Quiescence: faults stop, everybody (but `gone`) comes online, and pulls go on until a page comes
   * back empty twice, each followed by silence for twice the largest retransmission timeout. False
   * when that is not reached within `limitMs`: the verdict is then unknown.
   */
  settle({ limitMs = 600_000, gone = [] as readonly number[] } = {}): boolean {
    this.faultsOf = () => NO_FAULTS;
    this.serverUp = true;
    const here = this.users.filter(({ uid }) => !gone.includes(uid));
    for (const { uid } of this.users) if (gone.includes(uid)) this.logOut(uid);
    for (const { uid } of here) this.logIn(uid);

    const untilMs = this.clock.nowMs + limitMs;
    let isQuiet = this.runUntilSilent(untilMs);
    for (let emptyRounds = 0; isQuiet && emptyRounds < 2;) {
      const before = here.map(({ rowsPaged, drained }) => ({ rowsPaged, drained }));
      for (const { uid } of here) this.pull(uid);
      isQuiet = this.runUntilSilent(untilMs);
      const isEmpty = here.every(
        ({ rowsPaged, drained }, i) =>
          rowsPaged === before[i]?.rowsPaged && drained > before[i].drained,
      );
      emptyRounds = isEmpty ? emptyRounds + 1 : 0;
    }
    const isDone = here.every(({ machine }) => machine.sender.inflight === 0);
    this.settled = isQuiet && isDone && this.gateway.pending === 0;
    return this.settled;
  }

  audit(): Audit {
    const logs = new Map(this.users.map(({ uid, log }) => [uid, log]));
    return auditOf(this.settled, this.messages, logs, this.store.committed.length);
  }

  private runUntilSilent(untilMs: number): boolean {
    const { maxMs, jitter } = this.options.timers;
    for (;;) {
      const silentAtMs = this.lastTrafficMs + 2 * maxMs * (1 + jitter);
      if (silentAtMs > untilMs) return false;
      if (this.clock.nextMs > silentAtMs) {
        this.clock.nowMs = Math.max(this.clock.nowMs, silentAtMs);
        return true;
      }
      this.clock.step();
    }
  }

  // Connections

  private connect(user: User): void {
    const connection = new Connection(user);
    user.connection = connection;
    this.lastTrafficMs = this.clock.nowMs;
    this.clock.after(this.latencyMs(), () => {
      if (user.connection !== connection || connection.dead) return;
      if (!this.serverUp) {
        this.closeAtClient(connection);
        return;
      }
      connection.gateway = this.gateway;
      this.toGateway((gateway, out) => {
        connection.session = gateway.onOpen(user.uid, connection, this.clock.nowMs, out);
      });
      connection.nextToClientMs = this.clock.nowMs + this.latencyMs();
      this.clock.at(connection.nextToClientMs, () => {
        if (user.connection !== connection || connection.dead) return;
        this.trace(`${user.uid} is online`);
        connection.established = true;
        this.toMachine(user, (machine, out) => machine.onConnect(this.clock.nowMs, out));
      });
    });
  }

  private hangUp(user: User, noticeMs: number, stop: (machine: Client) => void): void {
    const { connection } = user;
    stop(user.machine);
    if (connection === null) return;
    this.trace(`${user.uid} hangs up`);
    user.connection = null;
    connection.lingers = this.random.chance(0.5);
    this.clock.after(noticeMs, () => this.closeAtServer(connection));
  }

  private closeAtServer({ session, gateway }: Connection): void {
    if (session?.open === true && gateway === this.gateway) gateway.onClose(session);
  }

  /** The client sees that its connection is gone, and connects anew when it wants to be online. */
  private closeAtClient(connection: Connection): void {
    const { user } = connection;
    if (user.connection !== connection) return;
    user.connection = null;
    user.machine.onDisconnect();
    this.clock.after(RECONNECT_MS, () => {
      if (user.wantsOnline && user.connection === null) this.connect(user);
    });
  }

  private latencyMs(): number {
    return this.random.int(1, this.options.latencyMaxMs);
  }

  /** Puts a packet on the link; `arrive` gets bytes of its own for each copy that gets through. */
  private transmit(connection: Connection, to: 'server' | 'client', packet: Packet): void {
    const { kind } = packet;
    const { uid } = connection.user;
    this.lastTrafficMs = this.clock.nowMs;
    this.packets.set(kind, (this.packets.get(kind) ?? 0) + 1);
    this.trace(to === 'server' ? `${uid} ──> ` : `  ──> ${uid} `, packet);
    const faults = this.faultsOf(kind);
    const isDropped = this.random.chance(faults.drop) || !this.admits(packet, uid);
    const copies = this.random.chance(faults.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      let arriveAtMs = this.clock.nowMs + this.latencyMs();
      const lateMs = this.random.int(1, this.options.delayMaxMs);
      const next = to === 'server' ? 'nextToServerMs' : 'nextToClientMs';
      if (this.random.chance(faults.reorder)) {
        arriveAtMs += lateMs;
      } else {
        if (this.random.chance(faults.delay)) arriveAtMs += lateMs;
        arriveAtMs = connection[next] = Math.max(connection[next], arriveAtMs);
      }
      if (isDropped) continue;
      const bytes = encodeAlone(packet);
      this.clock.at(arriveAtMs, () => {
        if (to === 'server') this.arriveAtServer(connection, bytes);
        else this.arriveAtClient(connection, bytes);
        bytes.fill(0xee); // who kept a view instead of a copy shall notice
      });
    }
  }

  private decoded(bytes: Uint8Array<ArrayBuffer>): Packet {
    const view = new DataView(bytes.buffer);
    const result = decode(bytes, view, 0, bytes.length, this.arriving);
    if (result !== DecodeResult.Ok) throw new Error(`a packet does not decode: ${result}`);
    return this.arriving;
  }

  private arriveAtServer(connection: Connection, bytes: Uint8Array<ArrayBuffer>): void {
    const { session, user } = connection;
    if (session?.open !== true || connection.gateway !== this.gateway || connection.dead) return;
    if (user.connection !== connection && !connection.lingers) return;
    this.toGateway((gateway, out) => {
      gateway.onPacket(session, this.decoded(bytes), this.clock.nowMs, out);
    });
  }

  private arriveAtClient(connection: Connection, bytes: Uint8Array<ArrayBuffer>): void {
    const { user } = connection;
    if (user.connection !== connection || !connection.established || connection.dead) return;
    this.toMachine(user, (machine, out) => {
      const isKnown = machine.onPacket(this.decoded(bytes), this.clock.nowMs, out);
      if (!isKnown) throw new Error('the gateway sent a packet that only clients send');
    });
  }

  // The machines

  private newUser(uid: number): User {
    const { options } = this;
    const friends = Array.from({ length: options.clients }, (_, i) => i + 1);
    const machine = options.makeClient({
      sender: { epoch: EPOCH, timers: options.timers, inflightMax: 1000, jitterSeed: uid },
      puller: {
        strategy: options.strategy,
        order: options.order,
        pageMessages: options.pageMessages,
        pageBytes: options.pageBytes,
        wholeMessages: DEFAULT_GATEWAY.pageMaxMessages,
        wholeBytes: DEFAULT_GATEWAY.pageMaxBytes,
        friends,
        requestTimeoutMs: options.requestTimeoutMs,
      },
    });
    return new User(uid, machine);
  }

  private newGateway(): Gateway<Connection> {
    const { policy, gateway } = this.options;
    return this.options.makeGateway({ ...DEFAULT_GATEWAY, ...gateway, policy });
  }

  /** One input to a user's machine; then its effects are drained and its timer is set. */
  private toMachine(user: User, input: (machine: Client, out: ClientEffects) => void): void {
    const { out, machine } = user;
    input(machine, out);
    for (let i = 0; i < out.length; i++) {
      const effect = out.at(i);
      switch (effect.kind) {
        case ClientEffectKind.Send:
          if (user.connection !== null) this.transmit(user.connection, 'server', effect.packet);
          break;
        case ClientEffectKind.Deliver: {
          if (effect.paged) user.rowsPaged++;
          const name = nameOf({ from: effect.uid, epoch: effect.epoch, seq: effect.seq });
          const entry = user.log.get(name);
          if (entry === undefined)
            user.log.set(name, { times: 1, content: textOf(effect.content) });
          else entry.times++;
          break;
        }
        case ClientEffectKind.Repeat:
          if (effect.paged) user.rowsPaged++;
          user.absorbed++;
          break;
        case ClientEffectKind.Accepted:
          present(this.messages[effect.tag]).accepted = true;
          break;
        case ClientEffectKind.Settled: {
          const record = present(this.messages[effect.tag]);
          if (record.outcome !== null) throw new Error('a message settled twice');
          record.outcome = effect.outcome;
          break;
        }
        case ClientEffectKind.Drained:
          user.drained++;
          break;
        case ClientEffectKind.Kicked:
          user.wantsOnline = false;
          break;
        default:
          never(effect.kind, 'client effect');
      }
    }
    out.clear();
    this.setTimer(user);
  }

  private setTimer(user: User): void {
    const atMs = user.machine.nextDeadlineMs();
    if (atMs >= user.wakeAtMs) return;
    user.wakeAtMs = atMs;
    this.clock.at(atMs, () => {
      if (user.wakeAtMs !== atMs) return; // an earlier timer was set meanwhile
      user.wakeAtMs = Infinity;
      this.toMachine(user, (machine, out) => machine.onDeadline(this.clock.nowMs, out));
    });
  }

  private toGateway(
    input: (gateway: Gateway<Connection>, out: GatewayEffects<Connection>) => void,
  ): void {
    const out = this.gatewayOut;
    input(this.gateway, out);
    for (let i = 0; i < out.length; i++) this.perform(out.at(i));
    out.clear();
  }

  private perform(effect: GatewayEffect<Connection>): void {
    switch (effect.kind) {
      case GatewayEffectKind.Send:
        this.transmit(present(effect.session).handle, 'client', effect.packet);
        return;
      case GatewayEffectKind.Close: {
        const connection = present(effect.session).handle;
        const atMs = Math.max(connection.nextToClientMs, this.clock.nowMs);
        this.clock.at(atMs + this.latencyMs(), () => this.closeAtClient(connection));
        return;
      }
      case GatewayEffectKind.Put: {
        const put = present(effect.put);
        this.store.put(put.row, (status) => this.toGateway((g, out) => g.onPut(put, status, out)));
        return;
      }
      case GatewayEffectKind.Page: {
        const pull = present(effect.page);
        this.store.page(pull.query, (status, page) =>
          this.toGateway((g, out) => g.onPage(pull, status, page, out)),
        );
        return;
      }
      case GatewayEffectKind.Counts: {
        const ask = present(effect.counts);
        this.store.counts(ask.session.uid, (status, counts) =>
          this.toGateway((g, out) => g.onCounts(ask, status, counts, out)),
        );
        return;
      }
      case GatewayEffectKind.DeletePage: {
        const deletion = present(effect.deletion);
        this.store.deletePage(deletion.range, (status) =>
          this.toGateway((g, out) => g.onDeleted(deletion, status, out)),
        );
        return;
      }
      case GatewayEffectKind.Remove: {
        const { uid: sender, epoch, seq } = effect.packet;
        this.store.remove({ receiver: effect.receiver, sender, epoch, seq }, () => undefined);
        return;
      }
      default:
        never(effect.kind, 'gateway effect');
    }
  }

  private trace(what: string, packet?: Packet): void {
    const { trace } = this.options;
    if (trace === null) return;
    const text = packet === undefined ? what : what + describePacket(packet);
    trace(`${String(Math.round(this.clock.nowMs)).padStart(8)} ms  ${text}`);
  }
}
