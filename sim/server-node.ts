/**
 * ServerNode: a server process: the gateway machine, its store on a simulated disk, and its lives.
 *
 * It can die before any effect is carried out, be paused, and have its wall clock set. What it tells
 * the checker is only what a disk and a socket could be seen to do.
 */
import {
  CloseCode,
  createGatewayEffects,
  decode,
  DecodeResult,
  Gateway,
  type GatewayEffect,
  GatewayEffectKind,
  type GatewayEffects,
  never,
  Packet,
  Status,
} from '../protocol/index.ts';
import type { Connection } from './link.ts';
import { unitOf } from './random.ts';
import { SimStore } from './store.ts';
import { describePacket, messagesOf } from './trace.ts';
import type { World } from './world.ts';

const WALL_CLOCK_MS = 1_700_000_000_000;
/** Streams of the draws that belong to a server; its name among users is `SERVERS + index`. */
const Stream = { Commit: 300, CommitFailure: 301, Survivors: 302, CrashPoint: 303 } as const;
const SERVERS = 100_000;
/** Packets that wait for one slow reader before he is closed. */
const SLOW_PACKETS_MAX = 8;
/** How long that takes. */
const OPERATOR_MS = 2000;
const LIMITS = { contentMaxBytes: 1000, pageMaxMessages: 100, pageMaxBytes: 100_000 } as const;

export class ServerNode {
  readonly index: number;
  readonly store: SimStore;
  gateway: Gateway<Connection>;
  life = 0;
  isUp = true;
  crashes = 0;
  private readonly world: World;
  private readonly out: GatewayEffects<Connection> = createGatewayEffects<Connection>();
  private readonly arriving = new Packet();
  /** Virtual time at which the process wakes up. */
  pausedUntilMs = 0;
  private wallOffsetMs = WALL_CLOCK_MS;
  private isDraining = false;

  constructor(world: World, index: number) {
    this.world = world;
    this.index = index;
    const { plan, network, checker } = world;
    const name = SERVERS + index;
    const draw = (stream: number): number =>
      unitOf(plan.seed, name, stream, network.next(name, stream), 0);
    this.store = new SimStore(world.clock, {
      inboxMaxMessages: plan.inboxMaxMessages,
      commitMs: () => 0.1 + draw(Stream.Commit) * plan.commitMaxMs,
      commitFails: () => {
        const nth = network.next(name, Stream.CommitFailure);
        const draws = { user: name, stream: Stream.CommitFailure, nth, draw: 0 };
        return network.strikes(
          'fail commit',
          plan.commitFailure,
          draws,
          () => `#${nth} of server ${index}`,
        );
      },
      survivors: (written) => (draw(Stream.Survivors) < 0.5 ? 0 : written),
      // An operator restarts a server whose store refuses to write.
      onBroken: () =>
        world.clock.after(OPERATOR_MS, () => this.store.needsRestart && this.crash(1, false)),
      onDeleted: (row) => {
        world.tell(
          { messages: [`${row.sender}>${row.receiver} ${row.epoch}:${row.seq}`] },
          () => 'the inbox forgets it',
        );
        checker.onDeleted(row.receiver, row);
      },
    });
    this.gateway = this.newGateway();
  }

  get wallMs(): number {
    return this.world.clock.nowMs + this.wallOffsetMs;
  }

  setClock(byMs: number): void {
    this.wallOffsetMs += byMs;
    this.tell(`has its clock set by ${byMs} ms`);
  }

  pause(forMs: number): void {
    this.pausedUntilMs = Math.max(this.pausedUntilMs, this.world.clock.nowMs + forMs);
    this.tell(`stands still for ${forMs} ms`);
  }

  /** Runs `input` when the process is not paused, in the order in which inputs came. */
  whenAwake(input: () => void): void {
    const { clock } = this.world;
    if (clock.nowMs < this.pausedUntilMs) clock.at(this.pausedUntilMs, () => this.whenAwake(input));
    else input();
  }

  /** kill -9, or the machine loses power; back after `forMs`. */
  crash(forMs: number, power: boolean): void {
    if (!this.isUp) return;
    const { world } = this;
    world.trace.add(world.clock.nowMs, 20, this.index, this.life);
    this.tell(power ? 'loses power' : 'is killed');
    this.crashes++;
    this.life++;
    this.isUp = false;
    this.pausedUntilMs = 0;
    this.out.clear();
    this.store.crash();
    this.gateway = this.newGateway();
    world.checker.onRecovered((user) => world.serverOf(world.client(user)) === this);
    world.onServerDied(this, power);
    world.clock.after(forMs, () => this.start());
  }

  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.tell('is up again');
  }

  onOpen(connection: Connection, uid: number): void {
    connection.life = this.life;
    connection.session = this.gateway.onOpen(uid, connection, this.wallMs, this.out);
    this.drain();
  }

  onBytes(connection: Connection, bytes: Uint8Array<ArrayBuffer>): void {
    const { session } = connection;
    if (!this.isUp || session?.open !== true || connection.life !== this.life) return;
    if (connection.isDead) return;
    const packet = this.arriving;
    const result = decode(bytes, new DataView(bytes.buffer), 0, bytes.length, packet);
    if (result !== DecodeResult.Ok) throw new Error(`a packet does not decode: ${result}`);
    this.world.trace.addPacket(this.world.clock.nowMs, 21, connection.user, packet);
    this.world.tell(
      { messages: messagesOf(packet, connection.user), isPacket: true },
      () => `server ${this.index} takes ${describePacket(packet, connection.user)}`,
    );
    this.gateway.onPacket(session, packet, this.wallMs, this.out);
    this.drain();
    bytes.fill(0xee);
  }

  /** The connection of a client is gone. */
  onGone({ session, life }: Connection): void {
    if (session?.open === true && life === this.life) this.gateway.onClose(session);
  }

  private newGateway(): Gateway<Connection> {
    const { policy, pendingMax, packetsPerSec } = this.world.plan;
    return new Gateway<Connection>({
      ...LIMITS,
      policy,
      pendingMax,
      packetsPerSec,
      packetsBurst: packetsPerSec,
    });
  }

  private drain(): void {
    if (this.isDraining) return; // a store that answers at once
    this.isDraining = true;
    const { life, out } = this;
    for (let i = 0; i < out.length && life === this.life; i++) {
      if (this.diesHere()) break;
      this.apply(out.at(i));
    }
    out.clear();
    this.isDraining = false;
  }

  private diesHere(): boolean {
    const { network, plan } = this.world;
    if (plan.serverCrashPoint === 0 || network.isHealed) return false;
    const user = SERVERS + this.index;
    const nth = network.next(user, Stream.CrashPoint);
    const draws = { user, stream: Stream.CrashPoint, nth, draw: 0 };
    const describe = (): string => `${this.index} at step ${nth}`;
    if (!network.strikes('crash server', plan.serverCrashPoint, draws, describe)) return false;
    const draw = (salt: number): number => unitOf(plan.seed, user, Stream.CrashPoint, nth, salt);
    this.crash(1 + draw(1) * 1000, draw(2) < 0.5);
    return true;
  }

  private apply(effect: GatewayEffect<Connection>): void {
    const { world, store } = this;
    const { life } = this;
    /** The process gets a store's answer when it is awake and still the same. */
    const answered = (input: () => void): void => {
      this.whenAwake(() => {
        if (life !== this.life) return;
        input();
        this.drain();
      });
    };
    switch (effect.kind) {
      case GatewayEffectKind.Send:
        this.send((effect.session as NonNullable<typeof effect.session>).handle, effect.packet);
        return;
      case GatewayEffectKind.Close:
        this.close((effect.session as NonNullable<typeof effect.session>).handle, effect.closeCode);
        return;
      case GatewayEffectKind.Put: {
        const operation = effect.put as NonNullable<typeof effect.put>;
        const { row } = operation;
        store.put(row, (status) => {
          const record = world.checker.find(row.sender, row.receiver, row.epoch, row.seq);
          if (status === Status.Ok && record !== undefined) {
            world.tell({ messages: [record.name] }, () => `the inbox of ${record.to} has it`);
            world.checker.onStored(record);
          }
          answered(() => this.gateway.onPut(operation, status, this.out));
        });
        return;
      }
      case GatewayEffectKind.Page: {
        const operation = effect.page as NonNullable<typeof effect.page>;
        store.page(operation.query, (status, page) => {
          answered(() => this.gateway.onPage(operation, status, page, this.out));
        });
        return;
      }
      case GatewayEffectKind.Counts: {
        const operation = effect.counts as NonNullable<typeof effect.counts>;
        store.counts(operation.session.uid, (status, counts) => {
          answered(() => this.gateway.onCounts(operation, status, counts, this.out));
        });
        return;
      }
      case GatewayEffectKind.DeletePage: {
        const operation = effect.deletion as NonNullable<typeof effect.deletion>;
        store.deletePage(operation.range, (status) => {
          answered(() => this.gateway.onDeleted(operation, status, this.out));
        });
        return;
      }
      case GatewayEffectKind.Remove: {
        const { uid: sender, epoch, seq } = effect.packet;
        store.remove({ receiver: effect.receiver, sender, epoch, seq }, () => undefined);
        return;
      }
      default:
        never(effect.kind, 'gateway effect');
    }
  }

  private send(connection: Connection, packet: Packet): void {
    if (connection.unread !== null && connection.unread.length >= SLOW_PACKETS_MAX) {
      this.tell(`drops a packet for ${connection.user}, who reads too slowly, and closes him`);
      this.onGone(connection);
      connection.isDead = true;
      this.world.closeAtClient(connection);
      return;
    }
    this.world.transmit(connection, 'to client', packet);
  }

  private close(connection: Connection, code: CloseCode): void {
    if (code !== CloseCode.Kicked) this.world.checker.onClosedForNothing(connection.user, code);
    this.world.closeAtClient(connection);
  }

  private tell(what: string): void {
    this.world.tell({ server: this.index }, () => `server ${this.index} ${what}`);
  }
}
