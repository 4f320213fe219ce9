/**
 * World: the users and servers of a plan on one virtual clock, joined by faulty links.
 *
 *     ClientNode ──┐                          ┌── ServerNode 0: Gateway ── SimStore
 *     ClientNode ──┼── Connection, Network ───┤
 *     ClientNode ──┘                          └── ServerNode 1: …
 *          └───────────────── Checker ─────────────────┘
 *
 * A run is a function of its plan and of the muted faults: one clock, no other source of order. The
 * machines are the real ones and every packet is encoded and decoded on its way.
 */
import { Kind, type Packet } from '../protocol/index.ts';
import { Checker, type MessageRecord } from './checker.ts';
import { ClientNode, EPOCH } from './client-node.ts';
import { Clock } from './clock.ts';
import { bytesOf, Connection, type Direction, Network } from './link.ts';
import { FAULT_MAX_MS, PATIENT_ATTEMPTS, type Plan, type Step, TROUBLE_MS } from './plan.ts';
import { ServerNode } from './server-node.ts';
import { type About, describePacket, messagesOf, Trace } from './trace.ts';

/** Streams of a user's draws that belong to his link. */
const Stream = { Connect: 400, Notice: 401 } as const;
/** Virtual time after the troubles within which everything must be at rest. */
const SETTLE_LIMIT_MS = 600_000;
/** Pulls of everybody at the end; two that come back empty are enough. */
const PULL_ROUNDS_MAX = 100;
const PAGE_MAX = { messages: 100, bytes: 100_000 } as const;

export class World {
  readonly plan: Plan;
  readonly clock = new Clock();
  readonly network: Network;
  readonly trace: Trace;
  readonly checker: Checker;
  readonly servers: ServerNode[] = [];
  readonly clients: ClientNode[] = [];
  private readonly partitions = new Map<number, Record<Direction, number>>();
  private lastTrafficMs = 0;
  private isHealed = false;

  constructor(plan: Plan, options: { muted: ReadonlySet<string>; isRecording: boolean }) {
    this.plan = plan;
    this.network = new Network(plan, options.muted, options.isRecording);
    this.trace = new Trace(options.isRecording);
    this.checker = new Checker({
      policy: plan.policy,
      mayFailTwins: (plan.packets[Kind.MsgR]?.duplicate ?? 0) > 0,
      isPatient: plan.timers.maxAttempts >= PATIENT_ATTEMPTS,
      now: () => this.clock.nowMs,
      disk: { holds: (record) => this.isOnDisk(record) },
    });
    for (let index = 0; index < plan.servers; index++) {
      this.servers.push(new ServerNode(this, index));
    }
    for (let uid = 1; uid <= plan.users; uid++) this.clients.push(this.newClient(uid));
  }

  client(uid: number): ClientNode {
    return this.clients[uid - 1] as ClientNode;
  }

  serverOf(client: { readonly server: number }): ServerNode {
    return this.servers[client.server] as ServerNode;
  }

  message(index: number): MessageRecord {
    return this.checker.messages[index] as MessageRecord;
  }

  /** Runs the plan to its end, heals everything, and waits until the world is at rest. */
  run(): void {
    for (const step of this.plan.steps) this.clock.at(step.atMs, () => this.act(step));
    this.clock.runUntil(TROUBLE_MS);
    const isAtRest = this.settle();
    const { checker } = this;
    if (!isAtRest) checker.onStall(`not at rest ${SETTLE_LIMIT_MS / 1000} s after the last fault`);
    let rowsLeft = 0;
    for (const { store } of this.servers) rowsLeft += store.committed.length;
    checker.finish(new Map(this.clients.map(({ uid, log }) => [uid, log])), rowsLeft);
    for (const { hash } of this.checker.messages.map(hashOfRecord)) {
      this.trace.add(this.clock.nowMs, 99, hash, 0);
    }
  }

  // What connects them

  /** A client dials; its server answers, or the attempt fails. */
  open(client: ClientNode): Connection {
    const connection = new Connection(client.uid, client.server);
    const server = this.serverOf(client);
    this.lastTrafficMs = this.clock.nowMs;
    const arriveMs = this.afterPartition(client.uid, 'to server', this.latencyMs(client.uid));
    this.clock.at(arriveMs, () => {
      if (client.connection !== connection || connection.isDead) return;
      if (!server.isUp) {
        client.onClosed(connection);
        return;
      }
      server.whenAwake(() => {
        if (client.connection !== connection || connection.isDead || !server.isUp) return;
        server.onOpen(connection, client.uid);
        const backMs = this.afterPartition(client.uid, 'to client', this.latencyMs(client.uid));
        connection.nextToClientMs = Math.max(connection.nextToClientMs, backMs);
        this.clock.at(backMs, () => client.onOpen(connection));
      });
    });
    return connection;
  }

  /** Puts a packet on the link. */
  transmit(connection: Connection, direction: Direction, packet: Packet): void {
    const { user } = connection;
    const nowMs = this.clock.nowMs;
    this.lastTrafficMs = nowMs;
    const copies = this.network.fateOf(user, direction, packet.kind);
    this.trace.addPacket(
      nowMs,
      direction === 'to server' ? 40 + copies.length : 50 + copies.length,
      user,
      packet,
    );
    this.tell({ messages: messagesOf(packet, user), isPacket: true }, () => {
      const arrow = direction === 'to server' ? `${user} ──>` : `──> ${user}`;
      const fate = copies.length === 0 ? '  DROPPED' : copies.length > 1 ? '  TWICE' : '';
      return `${arrow} ${describePacket(packet, user)}${fate}`;
    });
    for (const { afterMs, inOrder } of copies) {
      const next = direction === 'to server' ? 'nextToServerMs' : 'nextToClientMs';
      let arriveMs = this.afterPartition(user, direction, afterMs);
      if (inOrder) arriveMs = connection[next] = Math.max(connection[next], arriveMs);
      const bytes = bytesOf(packet);
      this.clock.at(arriveMs, () => this.arrive(connection, direction, bytes));
    }
  }

  /** The server closed a connection; the client sees it after what was sent before. */
  closeAtClient(connection: Connection): void {
    const client = this.client(connection.user);
    const atMs = this.clock.nowMs + this.latencyMs(connection.user);
    connection.nextToClientMs = Math.max(connection.nextToClientMs, atMs);
    this.clock.at(connection.nextToClientMs, () => client.onClosed(connection));
  }

  /** A process that was killed resets its connections; one without power says nothing. */
  onServerDied(server: ServerNode, power: boolean): void {
    for (const client of this.clients) {
      const { connection } = client;
      if (connection === null || client.server !== server.index) continue;
      connection.isDead = true;
      const noticeMs = this.latencyMs(client.uid) * (power ? 50 : 1);
      this.clock.after(noticeMs, () => client.onClosed(connection));
    }
  }

  tell(about: About, text: () => string): void {
    this.trace.tell(this.clock.nowMs, about, text);
  }

  private arrive(
    connection: Connection,
    direction: Direction,
    bytes: Uint8Array<ArrayBuffer>,
  ): void {
    const client = this.client(connection.user);
    if (direction === 'to client') {
      client.onBytes(connection, bytes);
      return;
    }
    if (client.connection !== connection && !connection.lingers) return;
    const server = this.serverOf(client);
    server.whenAwake(() => server.onBytes(connection, bytes));
  }

  private latencyMs(user: number): number {
    return this.network.latencyMs(user, Stream.Connect);
  }

  /** When something sent now arrives, if the way is cut until later. */
  private afterPartition(user: number, direction: Direction, afterMs: number): number {
    const atMs = this.clock.nowMs + afterMs;
    const untilMs = this.partitions.get(user)?.[direction] ?? 0;
    return untilMs > this.clock.nowMs ? Math.max(atMs, untilMs + afterMs) : atMs;
  }

  // What happens

  private act(step: Step): void {
    if (this.isHealed) return;
    this.trace.add(this.clock.nowMs, 60, 'who' in step ? step.who : 0, step.do.length);
    switch (step.do) {
      case 'send':
        this.client(step.from).send(step.to);
        return;
      case 'log in':
        this.client(step.who).logIn();
        return;
      case 'log in twice':
        this.client(step.who).logInTwice();
        return;
      case 'log out':
        this.client(step.who).logOut(step.noticeMs);
        this.clock.after(step.forMs, () => this.client(step.who).logIn());
        return;
      case 'crash client':
        this.client(step.who).crash(step.noticeMs, step.losesTail);
        this.clock.after(step.forMs, () => this.client(step.who).logIn());
        return;
      case 'pull':
        this.client(step.who).pull();
        return;
      case 'half open':
        this.halfOpen(step.who, step.forMs);
        return;
      case 'partition':
        this.partition(step.who, step.way, step.forMs);
        return;
      case 'read slowly':
        this.readSlowly(step.who, step.forMs);
        return;
      default:
        this.actOnServer(step);
    }
  }

  private actOnServer(step: Extract<Step, { readonly server: number }>): void {
    const server = this.servers[step.server] as ServerNode;
    switch (step.do) {
      case 'crash server':
        server.crash(step.forMs, step.power);
        return;
      case 'pause server':
        server.pause(step.forMs);
        return;
      case 'jump clock':
        server.setClock(step.byMs);
        return;
      case 'fill disk':
        server.store.isFull = true;
        this.clock.after(step.forMs, () => (server.store.isFull = false));
        return;
      default:
        server.store.failSync();
    }
  }

  private halfOpen(who: number, forMs: number): void {
    const client = this.client(who);
    const { connection } = client;
    if (connection === null) return;
    this.tell({ users: [who] }, () => `the link of ${who} goes dead`);
    connection.isDead = true;
    this.clock.after(forMs, () => {
      this.serverOf(client).onGone(connection);
      client.onClosed(connection);
    });
  }

  private partition(who: number, way: Direction | 'both', forMs: number): void {
    this.tell(
      { users: [who] },
      () => `the way ${way === 'both' ? 'to and from' : way} of ${who} is cut`,
    );
    const cut = this.partitions.get(who) ?? { 'to server': 0, 'to client': 0 };
    const untilMs = this.clock.nowMs + forMs;
    for (const direction of ['to server', 'to client'] as const) {
      if (way === direction || way === 'both') cut[direction] = Math.max(cut[direction], untilMs);
    }
    this.partitions.set(who, cut);
  }

  private readSlowly(who: number, forMs: number): void {
    const client = this.client(who);
    const { connection } = client;
    if (connection === null || connection.unread !== null) return;
    this.tell({ users: [who] }, () => `${who} stops reading`);
    connection.unread = [];
    this.clock.after(forMs, () => client.readOn(connection));
  }

  // The end

  /**
   * Quiescence: faults stop, everybody comes online, and pulls go on until a page comes back empty
   * twice, each followed by silence longer than anything that could still be under way.
   */
  private settle(): boolean {
    this.isHealed = this.network.isHealed = true;
    this.tell({}, () => 'all faults end');
    this.partitions.clear();
    for (const server of this.servers) {
      // A paused server is silent and not at rest.
      this.lastTrafficMs = Math.max(this.lastTrafficMs, server.pausedUntilMs);
      server.store.heal();
      if (server.store.needsRestart) server.crash(1, false);
      server.start();
    }
    for (const client of this.clients) client.logIn();
    const untilMs = this.clock.nowMs + SETTLE_LIMIT_MS;
    let isQuiet = this.runUntilSilent(untilMs);
    // Links that swallow a notification and live on are beyond TCP; the next pull finds the message.
    const { packets } = this.plan;
    const mayBeDeaf = [Kind.InboxN, Kind.MsgN].some((kind) => (packets[kind]?.drop ?? 0) > 0);
    if (isQuiet && !mayBeDeaf) this.checker.onSilence();
    let rounds = 0;
    for (let emptyRounds = 0; isQuiet && emptyRounds < 2;) {
      if (++rounds > PULL_ROUNDS_MAX) return false;
      const before = this.clients.map(({ rowsPaged, drained }) => ({ rowsPaged, drained }));
      for (const client of this.clients) client.pull();
      isQuiet = this.runUntilSilent(untilMs);
      const isEmpty = this.clients.every(
        ({ rowsPaged, drained }, i) =>
          rowsPaged === before[i]?.rowsPaged && drained > before[i].drained,
      );
      emptyRounds = isEmpty ? emptyRounds + 1 : 0;
    }
    const isDone = this.clients.every(({ machine }) => machine.sender.inflight === 0);
    return isQuiet && isDone && this.servers.every(({ gateway }) => gateway.pending === 0);
  }

  private runUntilSilent(untilMs: number): boolean {
    const { timers, delayMaxMs, commitMaxMs, logSyncMaxMs } = this.plan;
    const silenceMs = Math.max(
      2 * timers.maxMs * (1 + timers.jitter),
      FAULT_MAX_MS + delayMaxMs + 2 * commitMaxMs + logSyncMaxMs + 500,
    );
    for (;;) {
      const silentAtMs = this.lastTrafficMs + silenceMs;
      if (silentAtMs > untilMs) return false;
      if (this.clock.nextMs > silentAtMs) {
        this.clock.nowMs = Math.max(this.clock.nowMs, silentAtMs);
        return true;
      }
      this.clock.step();
    }
  }

  private isOnDisk({ from, to, epoch, seq }: MessageRecord): boolean {
    const { store } = this.serverOf(this.client(to));
    return store.committed.some(
      (row) => row.sender === from && row.receiver === to && row.epoch === epoch && row.seq === seq,
    );
  }

  private newClient(uid: number): ClientNode {
    const { plan } = this;
    const server = (uid - 1) % plan.servers;
    const friends = Array.from({ length: plan.users }, (_, i) => i + 1).filter(
      (other) => (other - 1) % plan.servers === server,
    );
    return new ClientNode(this, uid, server, {
      sender: { epoch: EPOCH, timers: plan.timers, inflightMax: 1000, jitterSeed: uid },
      puller: {
        strategy: plan.strategy,
        order: plan.order,
        pageMessages: plan.pageMessages,
        pageBytes: plan.pageBytes,
        wholeMessages: PAGE_MAX.messages,
        wholeBytes: PAGE_MAX.bytes,
        friends,
        requestTimeoutMs: plan.requestTimeoutMs,
      },
    });
  }
}

function hashOfRecord(record: MessageRecord): { hash: number } {
  const { index, outcome, log } = record;
  return { hash: index * 64 + (outcome ?? 7) * 4 + (log === 'none' ? 0 : 1) };
}
