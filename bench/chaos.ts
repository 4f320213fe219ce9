/**
 * Chaos: real faults while an open or closed loop runs. The runner kills and pauses the server, the
 * frame proxy spoils packets and links, the virtual clients crash, drop and stop reading.
 *
 *     0 ─── faults at random instants, drawn from the seed ───> duration - quietS ── calm ──> audit
 *
 * Instants of one kind are a Poisson process with the mean gap `everyS`; the first one comes early, so
 * that every kind happens however short the run. Nothing is drawn or kept per message. What was
 * really done is counted where it was done, and what was planned and never happened is said.
 */
import {
  type ClientEvent,
  type FaultCounts,
  PACKET_FAULTS,
  parseEndpoint,
  Random,
  type SwarmReport,
} from '../loadgen/index.ts';
import type { Pinning } from './environment.ts';
import type { FrameProxyStats } from './frame-proxy.ts';
import { LINK_ACTIONS, type LinkAction } from './frame-proxy-link.ts';
import { FrameProxyProcess } from './frame-proxy-process.ts';
import { pause } from './rig.ts';
import type { Chaos, LoadScenario } from './scenario.ts';
import type { ServerProcess } from './server-process.ts';

const STATS_MS = 1000;
/** A soak has more than anybody looks at. */
const MOMENTS_MAX = 500;
/** Events that hit fewer clients leave no trace that could be seen in a plot. */
const MOMENT_SHARE_MIN = 0.5;
/** Wait for a link that could be hit. */
const NO_LINK_MS = 50;
const LATE_MS = 5000;

/** What really happened. Counts. */
export interface ChaosReport {
  /** All faults together. */
  total: number;
  server: { kill: number; pause: number };
  /** Links of the proxy that were hit; zeros are left out. */
  links: Partial<Record<LinkAction, number>>;
  /** Clients that were hit. `page-crash`: between page and acknowledgement. */
  clients: Record<ClientFault, number>;
  /** Packets that the proxy hit, by fault and name. */
  packets: FaultCounts;
  /** Packets that came to the proxy, by name. */
  seen: Record<string, number>;
  /** Connections through the proxy, and those that found no server behind it. */
  connections: number;
  refused: number;
  /** Packets that half-open links swallowed. */
  swallowed: number;
  /** What was planned and did not happen, in words. */
  never: string[];
  /** When the server was killed or paused, and when most clients were hit; the first of them. */
  moments: ChaosMoment[];
}

export interface ChaosMoment {
  readonly of: 'server' | 'clients';
  readonly action: string;
  /** Since the start of the load. */
  readonly atS: number;
  readonly tookMs: number;
  /** Of the clients that it hit; 1 for the server. */
  readonly share: number;
}

type ClientFault = ClientEvent['action'] | 'page-crash' | 'log-out';

interface Timed<Event> {
  readonly atMs: number;
  readonly forMs: number;
  readonly event: Event;
}

/**
 * Instants of all `events` in [0, untilMs), ascending, each with a duration. The first of each kind
 * lies in the first half, and not later than one mean gap.
 */
export function drawInstants<
  Event extends { action: string; everyS: number; forMs: number | [number, number] },
>(
  events: readonly Event[],
  untilMs: number,
  options: { seed: number; of: string },
): Timed<Event>[] {
  const timed: Timed<Event>[] = [];
  for (const [index, event] of events.entries()) {
    const random = new Random(options.seed, `chaos ${options.of} ${index} ${event.action}`);
    const meanMs = event.everyS * 1000;
    const [min, max] = typeof event.forMs === 'number' ? [event.forMs, event.forMs] : event.forMs;
    let atMs = random.unit() * Math.min(meanMs, untilMs / 2);
    while (atMs < untilMs) {
      timed.push({ atMs, forMs: min + random.unit() * (max - min), event });
      atMs += random.exponential(meanMs);
    }
  }
  return timed.sort((a, b) => a.atMs - b.atMs);
}

/** True when `chaos` kills or pauses the server, which only a server of ours may suffer. */
export function touchesServer(scenario: LoadScenario): boolean {
  return scenario.serverEvents.length > 0 || (scenario.chaos?.server.length ?? 0) > 0;
}

function hasPacketFaults(chaos: Chaos): boolean {
  const { packets } = chaos;
  return (packets.rules?.length ?? 0) > 0 || PACKET_FAULTS.some((f) => packets[f] !== undefined);
}

export class ChaosRun {
  /** Where the clients are to connect: the proxy, or the server itself when nothing needs one. */
  readonly url: string;
  /** For the swarms, which know the instants themselves. */
  readonly clientEvents: ClientEvent[];
  private readonly chaos: Chaos;
  private readonly scenario: LoadScenario;
  private readonly seed: number;
  private readonly untilMs: number;
  private readonly server: ServerProcess | null;
  private readonly proxy: FrameProxyProcess | null;
  private readonly done = { kill: 0, pause: 0 };
  private readonly serverMoments: ChaosMoment[] = [];
  private stats: FrameProxyStats | null = null;
  private statsTimer: NodeJS.Timeout | null = null;
  private startMs = Infinity;

  private constructor(options: {
    chaos: Chaos;
    scenario: LoadScenario;
    seed: number;
    server: ServerProcess | null;
    proxy: FrameProxyProcess | null;
    url: string;
  }) {
    this.chaos = options.chaos;
    this.scenario = options.scenario;
    this.seed = options.seed;
    this.server = options.server;
    this.proxy = options.proxy;
    this.url = options.url;
    this.untilMs = (options.scenario.durationS - options.chaos.quietS) * 1000;
    this.clientEvents = drawInstants(options.chaos.clients, this.untilMs, {
      seed: options.seed,
      of: 'clients',
    }).map(({ atMs, forMs, event }) => ({ atMs, forMs, action: event.action, share: event.share }));
  }

  /** Starts the proxy where one is needed; null for a scenario without chaos. No fault yet. */
  static async prepare(options: {
    scenario: LoadScenario;
    seed: number;
    target: { url: string; isInsecure: boolean; server: ServerProcess | null };
    pinning: Pinning | null;
  }): Promise<ChaosRun | null> {
    const { scenario, seed, target } = options;
    const { chaos } = scenario;
    if (chaos === null) return null;
    const common = { chaos, scenario, seed, server: target.server };
    if (chaos.network.length === 0 && !hasPacketFaults(chaos)) {
      return new ChaosRun({ ...common, proxy: null, url: target.url });
    }
    const upstream = parseEndpoint(target.url, { isInsecure: target.isInsecure });
    const proxy = await FrameProxyProcess.start(
      { upstream, packets: chaos.packets, seed },
      options.pinning,
    );
    const url = `ws://127.0.0.1:${proxy.port}${upstream.path}`;
    return new ChaosRun({ ...common, proxy, url });
  }

  /**
   * Lets it loose: `startMs` is the start of the load on `performance.now()`. Resolves when all is
   * calm again; rejects when the server did not come back or the proxy died.
   */
  async run(startMs: number, signal: AbortSignal): Promise<void> {
    this.startMs = startMs;
    const { proxy } = this;
    const waitUntil = (ms: number): Promise<void> =>
      pause(startMs + ms - performance.now(), signal);
    if (proxy !== null) {
      const poll = async (): Promise<void> => {
        this.stats = await proxy.stats();
      };
      // A dead proxy is noticed by the next order.
      this.statsTimer = setInterval(() => void poll().catch(() => {}), STATS_MS).unref();
      await waitUntil(0);
      await proxy.arm();
    }
    await Promise.all([this.runServer(waitUntil, signal), this.runNetwork(waitUntil, signal)]);
    await waitUntil(this.untilMs);
    await proxy?.calm();
  }

  /** Faults so far, for the progress line; the proxy's part is up to a second old. */
  get faultsSoFar(): number {
    const { stats } = this;
    const sinceMs = Math.min(this.nowMs, this.untilMs);
    const events = this.clientEvents.findLastIndex(({ atMs }) => atMs <= sinceMs) + 1;
    const ofProxy = stats === null ? 0 : sumOf(stats.links) + sumOf(totalsOf(stats.faults));
    return this.done.kill + this.done.pause + events + ofProxy;
  }

  /** What happened, once the load is over. */
  async report(reports: readonly SwarmReport[]): Promise<ChaosReport> {
    const stats = (await this.proxy?.stats()) ?? null;
    const sum = (name: keyof SwarmReport['counters']): number =>
      reports.reduce((total, { counters }) => total + (counters[name] as number), 0);
    const clients: ChaosReport['clients'] = {
      crash: sum('crashes') - sum('pageCrashes'),
      disconnect: sum('drops'),
      'half-open': sum('halfOpens'),
      'slow-read': sum('slowReads'),
      'page-crash': sum('pageCrashes'),
      'log-out': sum('logouts'),
    };
    const packets = stats?.faults ?? NO_FAULTS;
    const links = Object.fromEntries(
      LINK_ACTIONS.map((action) => [action, stats?.links[action] ?? 0] as const).filter(
        ([, count]) => count > 0,
      ),
    );
    return {
      total: sumOf(this.done) + sumOf(links) + sumOf(clients) + sumOf(totalsOf(packets)),
      server: { ...this.done },
      links,
      clients,
      packets,
      seen: stats?.packets ?? {},
      connections: stats?.connections ?? 0,
      refused: stats?.refused ?? 0,
      swallowed: stats?.swallowed ?? 0,
      never: this.neverHappened(clients, stats),
      moments: this.moments(),
    };
  }

  private moments(): ChaosMoment[] {
    const nowMs = this.nowMs;
    const ofClients = this.clientEvents
      .filter(({ atMs, share }) => share >= MOMENT_SHARE_MIN && atMs < nowMs)
      .map(({ action, atMs, forMs, share }): ChaosMoment => ({
        of: 'clients',
        action,
        atS: atMs / 1000,
        tookMs: forMs,
        share,
      }));
    return [...this.serverMoments, ...ofClients]
      .sort((a, b) => a.atS - b.atS)
      .slice(0, MOMENTS_MAX);
  }

  /** Ends the proxy. */
  async close(): Promise<void> {
    if (this.statsTimer !== null) clearInterval(this.statsTimer);
    await this.proxy?.stop();
  }

  /**
   * One after the other. Instants are of the time in which the server is there: what it was away is
   * added to those that follow, so it is never killed again before anybody could talk to it.
   */
  private async runServer(
    waitUntil: (ms: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { done, server } = this;
    if (server === null) return;
    const events = drawInstants(this.chaos.server, this.untilMs, { seed: this.seed, of: 'server' });
    let awayMs = 0;
    for (const { atMs, forMs, event } of events) {
      const isFirst = done[event.action] === 0;
      await waitUntil(isFirst ? Math.min(atMs + awayMs, this.untilMs) : atMs + awayMs);
      if (signal.aborted) return;
      if (this.nowMs >= this.untilMs && !isFirst) continue;
      const beganMs = this.nowMs;
      if (event.action === 'kill') {
        await server.kill();
        done.kill++;
        await pause(forMs, signal);
        await server.restart();
      } else {
        server.pause();
        done.pause++;
        await pause(forMs, signal);
        server.resume();
      }
      const tookMs = this.nowMs - beganMs;
      awayMs += tookMs;
      this.serverMoments.push({
        of: 'server',
        action: event.action,
        atS: beganMs / 1000,
        tookMs,
        share: 1,
      });
    }
  }

  private async runNetwork(
    waitUntil: (ms: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { proxy } = this;
    if (proxy === null) return;
    const events = drawInstants(this.chaos.network, this.untilMs, {
      seed: this.seed,
      of: 'network',
    });
    const happened = new Set<LinkAction>();
    for (const { atMs, forMs, event } of events) {
      const { action, share, bytesPerSec } = event;
      // A kind that found no link yet, because the server was down, may still find one a bit late.
      const untilMs = happened.has(action) ? this.untilMs : this.untilMs + LATE_MS;
      await waitUntil(atMs);
      while (!signal.aborted && this.nowMs < untilMs) {
        if ((await proxy.hit({ action, share, bytesPerSec, forMs })) > 0) {
          happened.add(action);
          break;
        }
        await pause(NO_LINK_MS, signal);
      }
    }
  }

  private get nowMs(): number {
    return performance.now() - this.startMs;
  }

  private neverHappened(clients: ChaosReport['clients'], stats: FrameProxyStats | null): string[] {
    const { chaos, scenario } = this;
    const never = new Set<string>();
    const expect = (isThere: boolean, what: string): void => {
      if (!isThere) never.add(what);
    };
    for (const { action } of chaos.server) expect(this.done[action] > 0, `${action} of the server`);
    for (const { action } of chaos.network) {
      expect((stats?.links[action] ?? 0) > 0, `${action} of a link`);
    }
    for (const { action } of chaos.clients) expect(clients[action] > 0, `${action} of a client`);
    if (scenario.crashOnPage !== null) {
      expect(clients['page-crash'] > 0, 'crash of a client between page and acknowledgement');
    }
    if (scenario.churn !== null) expect(clients['log-out'] > 0, 'log-out of a client');
    for (const fault of PACKET_FAULTS) {
      const planned = chaos.packets[fault];
      if (planned === undefined || planned === 0) continue;
      const counts = stats?.faults[fault] ?? {};
      if (typeof planned === 'number') expect(sumOf(counts) > 0, `${fault} of a packet`);
      else {
        for (const [packet, probability] of Object.entries(planned)) {
          if ((probability ?? 0) > 0) expect((counts[packet] ?? 0) > 0, `${fault} of ${packet}`);
        }
      }
    }
    for (const [index, { action, packet, nth }] of (chaos.packets.rules ?? []).entries()) {
      expect((stats?.ruleHits[index] ?? 0) > 0, `${action} of the ${nth}. ${packet} of a link`);
    }
    return [...never];
  }
}

const NO_FAULTS = Object.fromEntries(PACKET_FAULTS.map((fault) => [fault, {}])) as FaultCounts;

/** Packets hit, by fault. */
export function totalsOf(counts: FaultCounts): Record<string, number> {
  return Object.fromEntries(PACKET_FAULTS.map((fault) => [fault, sumOf(counts[fault])]));
}

function sumOf(counts: Readonly<Record<string, number | undefined>>): number {
  return Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0);
}
