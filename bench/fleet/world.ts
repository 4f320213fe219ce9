/**
 * The fleet: how many connections each gateway holds, who is on the way back, and some gateways watched
 * packet by packet. The others only hold connections: gateways with the same load are alike, and those
 * that differ are the ones to watch. Clients that lost their connection come back within the spread; a
 * balancer hands them round robin to the gateways that accept.
 */
import { Random } from '../../loadgen/index.ts';
import { bump, CONNECT_TIMEOUT_S, SLICE_S, WatchedGateway } from './gateway.ts';
import { type FleetWorkload, p99Of } from './workload.ts';

/** docs/PROTOCOL.md: after a second for the first attempt, so long for the next, times 0.5 to 1.5. */
const BACKOFF_S = [2, 4, 8, 16, 30] as const;
/** Messages that a p99 of a window needs. */
const WINDOW_PACKETS_MIN = 2000;
const WINDOW_MAX_S = 30;
const WATCHED_MAX = 4;

export interface WindowSample {
  readonly fromS: number;
  readonly untilS: number;
  /** Of the watched gateway that was worst. */
  readonly p99S: number;
  readonly backlogS: number;
}

interface Watched {
  readonly index: number;
  readonly gateway: WatchedGateway;
  /** Time that it was busy until the window began. */
  busyBeforeS: number;
}

const NOBODY: ReadonlyMap<number, number> = new Map();

/** Clients that will try in a slice: how many, and the sum of the instants at which they were lost. */
interface Due {
  count: number;
  lostAtSumS: number;
  /** Sum of the attempts made before. */
  tries: number;
}

export interface WorldOptions {
  readonly workload: FleetWorkload;
  readonly seed: number;
  /** Gateways to watch beside the ones chosen at random. */
  readonly watch: readonly number[];
  readonly spreadS: number;
  /** Load at an instant, of that at the peak. */
  readonly loadAt?: (atS: number) => number;
  /** Told when a slice is done. */
  readonly onSlice?: (nowS: number) => void;
}

export class FleetWorld {
  slice = 0;
  readonly samples: WindowSample[] = [];
  /** Largest number of clients without a connection. */
  awayMax = 0;
  private readonly options: WorldOptions;
  private readonly connections: Float64Array;
  private readonly accepts: boolean[];
  private readonly watched: Watched[];
  private readonly due = new Map<number, Due>();
  /** Connects that are being worked on, by slice of their end, per watched gateway. */
  private readonly arriving: Map<number, number>[];
  private windowFromS = 0;
  private windowBacklogS = 0;
  private turn = 0;
  private isQuiet = false;
  /** Gateways that take clients in; null = to be found again. */
  private open: number[] | null = null;
  /** Whether, in this window, somebody came and no gateway took them. */
  private isShut = false;

  constructor(options: WorldOptions) {
    const { workload, seed, watch } = options;
    this.options = options;
    this.connections = new Float64Array(workload.gateways).fill(
      workload.connections / workload.gateways,
    );
    this.accepts = Array.from({ length: workload.gateways }, () => true);
    const random = new Random(seed, 'watched gateways');
    const chosen = new Set(watch);
    while (chosen.size < Math.min(WATCHED_MAX, workload.gateways)) {
      chosen.add(random.below(workload.gateways));
    }
    this.watched = [...chosen].map((index) => ({
      index,
      gateway: new WatchedGateway(workload, new Random(seed, `gateway ${index}`)),
      busyBeforeS: 0,
    }));
    this.arriving = this.watched.map(() => new Map());
  }

  get nowS(): number {
    return this.slice * SLICE_S;
  }

  /** Clients without a connection. */
  get away(): number {
    return this.options.workload.connections - this.connections.reduce((sum, n) => sum + n, 0);
  }

  get isEverybodyBack(): boolean {
    return this.away < 0.5;
  }

  /** Connections of the gateway that holds most, of an even share among all. */
  get imbalance(): number {
    const { connections, gateways } = this.options.workload;
    return Math.max(...this.connections) / (connections / gateways);
  }

  /** Gateways die: their clients are lost at once, with whoever was connecting. */
  kill(gateways: readonly number[]): void {
    this.accept(gateways, false);
    for (const index of gateways) {
      this.lose(index, { share: 1, overS: this.options.spreadS });
      const at = this.watched.findIndex((each) => each.index === index);
      if (at < 0) continue;
      this.watched[at]?.gateway.clear(this.nowS);
      const connecting = this.arriving[at] as Map<number, number>;
      for (const count of connecting.values()) this.schedule(this.nowS, count, 0);
      connecting.clear();
    }
    this.noteAway();
  }

  /** Gateways take nobody in any more, and send their clients away evenly over `forS`. */
  drain(gateways: readonly number[], forS: number): void {
    this.accept(gateways, false);
    const steps = Math.max(1, Math.round(forS));
    for (let step = 0; step < steps; step++) {
      const share = 1 / (steps - step);
      for (const index of gateways) this.lose(index, { share, overS: forS / steps });
      this.noteAway();
      this.runTo(this.nowS + forS / steps);
    }
  }

  start(gateways: readonly number[]): void {
    this.accept(gateways, true);
  }

  /** Every connection breaks, but nobody dies: a balancer or a network that went. */
  loseAll(): void {
    const over = { share: 1, overS: this.options.spreadS };
    for (let index = 0; index < this.connections.length; index++) this.lose(index, over);
    this.noteAway();
  }

  /** What runs meanwhile only moves connections; no packet is simulated, no window judged. */
  unwatched(run: () => void): void {
    this.finish();
    this.isQuiet = true;
    run();
    this.isQuiet = false;
    this.isShut = false;
    this.windowFromS = this.nowS;
    for (const watched of this.watched) watched.busyBeforeS = watched.gateway.busyS(this.nowS);
  }

  /** Closes the window that is open. */
  finish(): void {
    if (this.nowS > this.windowFromS) this.closeWindow();
  }

  runTo(untilS: number): void {
    while (this.nowS < untilS - SLICE_S / 2) this.runSlice();
  }

  /** A share of a gateway's clients, who try again within `overS`. */
  private lose(index: number, { share, overS }: { share: number; overS: number }): void {
    const count = (this.connections[index] as number) * share;
    this.connections[index] = (this.connections[index] as number) - count;
    const slices = Math.max(1, Math.round(overS / SLICE_S));
    for (let i = 0; i < slices; i++) {
      this.schedule(this.nowS + (i + 1) * SLICE_S, count / slices, 0);
    }
  }

  private noteAway(): void {
    this.awayMax = Math.max(this.awayMax, this.away);
  }

  private accept(gateways: readonly number[], isOpen: boolean): void {
    for (const index of gateways) this.accepts[index] = isOpen;
    this.open = null;
  }

  private add(index: number, count: number): void {
    this.connections[index] = (this.connections[index] as number) + count;
  }

  private schedule(atS: number, count: number, tries: number, lostAtS = this.nowS): void {
    const slice = Math.max(this.slice + 1, Math.floor(atS / SLICE_S));
    const due = this.due.get(slice) ?? { count: 0, lostAtSumS: 0, tries: 0 };
    due.count += count;
    due.lostAtSumS += count * lostAtS;
    due.tries += count * tries;
    this.due.set(slice, due);
  }

  private runSlice(): void {
    const due = this.due.get(this.slice) ?? { count: 0, lostAtSumS: 0, tries: 0 };
    this.due.delete(this.slice);
    const lostAtS = due.count > 0 ? due.lostAtSumS / due.count : this.nowS;
    const shares = due.count > 0 ? this.share(due.count) : NOBODY;
    const { asked, failed } = this.serveWatched(shares ?? NOBODY, lostAtS);
    const tries = due.count > 0 ? due.tries / due.count : 0;
    if (shares === null) {
      // Refused at once, and they try again.
      this.isShut = true;
      this.retry(due.count, { tries, lostAtS, afterS: 0 });
    } else {
      // Those that nobody watches do as well as those that are watched.
      const failing = asked > 0 ? failed / asked : 0;
      let failedUnseen = 0;
      for (const [index, share] of shares) {
        if (this.watched.some((each) => each.index === index)) continue;
        this.add(index, share * (1 - failing));
        failedUnseen += share * failing;
      }
      const afterS = CONNECT_TIMEOUT_S;
      if (failed + failedUnseen > 0) this.retry(failed + failedUnseen, { tries, lostAtS, afterS });
    }
    this.slice++;
    if (!this.isQuiet) this.sample();
    this.options.onSlice?.(this.nowS);
  }

  /** A slice of the watched gateways; of the clients that came to them, how many timed out. */
  private serveWatched(
    shares: ReadonlyMap<number, number>,
    lostAtS: number,
  ): { asked: number; failed: number } {
    const { workload, loadAt } = this.options;
    const load = loadAt?.(this.nowS) ?? 1;
    let asked = 0;
    let failed = 0;
    this.watched.forEach(({ index, gateway }, at) => {
      const arriving = this.arriving[at] as Map<number, number>;
      this.add(index, arriving.get(this.slice) ?? 0);
      arriving.delete(this.slice);
      const share = shares.get(index) ?? 0;
      // Whole clients are served; what is left of one is carried by the counts alone.
      const count = this.isQuiet ? 0 : Math.round(share);
      if (count === 0) this.add(index, share);
      if (this.isQuiet) return;
      const packetsPerSec =
        (this.connections[index] as number) * workload.packetsPerConnection * load;
      const awayS = this.nowS - lostAtS;
      const outcome = gateway.run(this.slice, packetsPerSec, { count, awayS });
      const worth = count === 0 ? 0 : share / count;
      for (const [slice, done] of outcome.connectedIn) {
        if (slice > this.slice) bump(arriving, slice, done * worth);
        else this.add(index, done * worth);
      }
      asked += share;
      failed += outcome.timedOut * worth;
      const backlogS = gateway.backlogS((this.slice + 1) * SLICE_S);
      this.windowBacklogS = Math.max(this.windowBacklogS, backlogS);
    });
    return { asked, failed };
  }

  private retry(
    count: number,
    { tries, lostAtS, afterS }: { tries: number; lostAtS: number; afterS: number },
  ): void {
    const backoffS = BACKOFF_S[Math.min(BACKOFF_S.length - 1, Math.floor(tries))] as number;
    const fromS = this.nowS + afterS + backoffS / 2;
    const slices = Math.max(1, Math.round(backoffS / SLICE_S));
    for (let i = 0; i < slices; i++) {
      this.schedule(fromS + i * SLICE_S, count / slices, tries + 1, lostAtS);
    }
  }

  /** `count` clients by gateway, round robin; null = no gateway accepts. */
  private share(count: number): ReadonlyMap<number, number> | null {
    this.open ??= this.accepts.flatMap((isOpen, index) => (isOpen ? [index] : []));
    const { open } = this;
    if (open.length === 0) return null;
    const whole = Math.floor(count / open.length);
    const shares = new Map<number, number>();
    if (whole > 0) for (const index of open) shares.set(index, whole);
    for (let left = count - whole * open.length; left > 0; left--) {
      bump(shares, open[this.turn++ % open.length] as number, Math.min(1, left));
    }
    return shares;
  }

  /** Closes a window once it is a second long and has packets enough. */
  private sample(): void {
    const longS = this.nowS - this.windowFromS;
    if (longS < 1 - SLICE_S / 2) return;
    const most = Math.max(...this.watched.map(({ gateway }) => gateway.waits.count));
    if (most < WINDOW_PACKETS_MIN && longS < WINDOW_MAX_S) return;
    this.closeWindow();
  }

  private closeWindow(): void {
    const { workload } = this.options;
    const untilS = this.nowS;
    // Whoever is turned away by everybody is not served at all.
    let p99S = this.isShut ? Infinity : 0;
    this.isShut = false;
    for (const watched of this.watched) {
      const { gateway, busyBeforeS } = watched;
      const busyS = gateway.busyS(untilS);
      const busyShare = (busyS - busyBeforeS) / (untilS - this.windowFromS);
      watched.busyBeforeS = busyS;
      if (gateway.waits.count > 0) {
        p99S = Math.max(p99S, p99Of(workload, busyShare, gateway.waits.quantileS(0.99)));
      }
      gateway.waits.clear();
    }
    this.samples.push({ fromS: this.windowFromS, untilS, p99S, backlogS: this.windowBacklogS });
    this.windowFromS = untilS;
    this.windowBacklogS = 0;
  }
}
