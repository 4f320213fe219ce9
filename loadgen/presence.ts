/**
 * Who is there: churn, traces and events move clients on- and offline while the load runs.
 * Ends with the load: whatever is still scheduled then does nothing.
 */
import { Random } from './random.ts';
import type { ClientEvent, SwarmConfig } from './swarm-config.ts';
import type { VirtualClient } from './virtual-client.ts';

export class Presence {
  private readonly config: SwarmConfig;
  private readonly leaveAtMs = new Map<VirtualClient, number>();
  private events: readonly ClientEvent[] = [];
  private nextEvent = 0;
  private isActive = false;

  constructor(config: SwarmConfig) {
    this.config = config;
  }

  start(members: readonly VirtualClient[]): void {
    this.isActive = true;
    this.events = this.config.events.toSorted((a, b) => a.atMs - b.atMs);
    if (this.config.churn !== null) this.startChurn(members, this.config.churn);
  }

  stop(): void {
    this.isActive = false;
  }

  /** Runs the events that are due, `sinceStartMs` after the start of the load. */
  runEvents(members: readonly VirtualClient[], sinceStartMs: number): void {
    for (; this.nextEvent < this.events.length; this.nextEvent++) {
      const event = this.events[this.nextEvent] as ClientEvent;
      if (!this.isActive || event.atMs > sinceStartMs) return;
      this.runEvent(event, members);
    }
  }

  /** The user leaves when there was no further message of theirs for `lingerMs`. */
  lingerAfter(client: VirtualClient, lingerMs: number): void {
    const isScheduled = this.leaveAtMs.has(client);
    this.leaveAtMs.set(client, performance.now() + lingerMs);
    if (isScheduled) return;
    const leave = (): void => {
      if (!this.isActive) return;
      const leftMs = (this.leaveAtMs.get(client) as number) - performance.now();
      if (leftMs > 0) {
        setTimeout(leave, leftMs).unref();
        return;
      }
      this.leaveAtMs.delete(client);
      client.goOffline();
    };
    setTimeout(leave, lingerMs).unref();
  }

  private startChurn(
    members: readonly VirtualClient[],
    churn: { readonly onlineS: number; readonly offlineS: number },
  ): void {
    const random = new Random(this.config.seed, `churn ${this.config.from}`);
    for (const client of members) {
      const turn = (isOnline: boolean): void => {
        const meanMs = 1000 * (isOnline ? churn.onlineS : churn.offlineS);
        setTimeout(() => {
          if (!this.isActive) return;
          if (isOnline) client.goOffline();
          else client.goOnline();
          turn(!isOnline);
        }, random.exponential(meanMs)).unref();
      };
      turn(true);
    }
  }

  private runEvent(event: ClientEvent, members: readonly VirtualClient[]): void {
    const random = new Random(this.config.seed, `event ${event.action} ${event.atMs}`);
    const hit = members.filter(() => random.unit() < event.share);
    for (const client of hit) {
      switch (event.action) {
        case 'crash':
          client.crash(event.forMs);
          break;
        case 'disconnect':
          client.drop();
          break;
        case 'half-open':
          client.halfOpen();
          break;
        default:
          client.pauseReading();
      }
    }
    if (event.action !== 'half-open' && event.action !== 'slow-read') return;
    setTimeout(() => {
      for (const client of hit) {
        if (event.action === 'half-open') client.endHalfOpen();
        else client.resumeReading();
      }
    }, event.forMs).unref();
  }
}

/**
 * Whether a user is away during the load. By share: multiples of the golden ratio are spread evenly,
 * so every neighbourhood of users, and with it every circle of friends, has its share of absent ones.
 */
export function staysOffline(config: SwarmConfig, index: number): boolean {
  if (config.offlineFrom !== null) return index >= config.offlineFrom;
  return (index * GOLDEN_RATIO) % 1 >= 1 - config.offlineShare;
}

const GOLDEN_RATIO = 0.618_033_988_749_895;
