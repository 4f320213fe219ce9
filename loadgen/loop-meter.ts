/**
 * How loaded the generator's thread is: the validity gates stand on these figures.
 *
 * busy share = 1 - (idle time of the event loop + time spent polling) / time. Plain event-loop
 * utilisation would read 1 for a loop that polls for its next send. A polling turn that found nothing
 * was idle as a whole; of a turn that found something, as much as an empty turn takes was: under load
 * the same turn serves many packets, so its fixed cost is not what the load takes.
 */
import {
  type EventLoopUtilization,
  monitorEventLoopDelay,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks';

export interface LoopHealth {
  /** Over the window. */
  busyMean: number;
  /** Busiest second. */
  busyMax: number;
  loopDelayP99Us: number;
  /** Share of time in garbage collection. */
  gcShare: number;
  cpuUs: number;
  elapsedUs: number;
}

const DELAY_RESOLUTION_MS = 1;
/** A longer empty turn was interrupted by something else and says nothing about polling. */
const EMPTY_TURN_MAX_MS = 0.05;
/** By which a second may end late. */
const SECOND_SLACK_MS = 250;

export class LoopMeter {
  private readonly delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  private readonly observer: PerformanceObserver;
  private idlePollMs = 0;
  private idlePollTakenMs = 0;
  private lastTurnMs = 0;
  /** Moving average of the length of a turn that found nothing. */
  private emptyTurnMs = 0;
  private wasPolling = false;
  private gcMs = 0;
  private anewUntilMs = -Infinity;
  private startMs = 0;
  private endMs = 0;
  private startCpu = process.threadCpuUsage();
  private cpuUs = 0;
  private startElu: EventLoopUtilization = performance.eventLoopUtilization();
  private totalElu: EventLoopUtilization | null = null;
  private secondElu: EventLoopUtilization = this.startElu;
  private secondStartMs = 0;
  private busyMax = 0;
  private isRunning = false;

  constructor() {
    this.observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.gcMs += entry.duration;
    });
  }

  /**
   * For a load that begins now and has a warm-up: every second begins anew until the second whose end is
   * that of the warm-up. Not once at that instant: what runs for the first time takes milliseconds, in
   * which nothing would be sent.
   */
  startWithWarmup(warmupMs: number): void {
    this.start();
    this.anewUntilMs = this.startMs + warmupMs + SECOND_SLACK_MS;
  }

  start(): void {
    if (!this.isRunning) {
      this.isRunning = true;
      this.delay.enable();
      this.observer.observe({ entryTypes: ['gc'] });
    }
    this.delay.reset();
    this.gcMs = this.busyMax = 0;
    this.startMs = this.secondStartMs = this.lastTurnMs = performance.now();
    this.idlePollMs = this.idlePollTakenMs = 0;
    this.startCpu = process.threadCpuUsage();
    this.startElu = this.secondElu = performance.eventLoopUtilization();
  }

  stop(): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.delay.disable();
    this.observer.disconnect();
    this.endMs = performance.now();
    const cpu = process.threadCpuUsage(this.startCpu);
    this.cpuUs = cpu.user + cpu.system;
    this.totalElu = performance.eventLoopUtilization(this.startElu);
  }

  /** Called once per turn of the swarm's loop, at its end. */
  onTurn(turn: { didWork: boolean; isPolling: boolean }): void {
    const nowMs = performance.now();
    if (this.wasPolling) {
      const turnMs = nowMs - this.lastTurnMs;
      if (turn.didWork) {
        this.idlePollMs += Math.min(turnMs, this.emptyTurnMs);
      } else {
        this.idlePollMs += turnMs;
        this.emptyTurnMs += (Math.min(turnMs, EMPTY_TURN_MAX_MS) - this.emptyTurnMs) / 64;
      }
    }
    this.wasPolling = turn.isPolling;
    this.lastTurnMs = nowMs;
  }

  /** Busy share since the last call. */
  takeBusyShare(): number {
    const nowMs = performance.now();
    const elu = performance.eventLoopUtilization(this.secondElu);
    const elapsedMs = nowMs - this.secondStartMs;
    const idleMs = elu.idle + this.idlePollMs - this.idlePollTakenMs;
    this.secondElu = performance.eventLoopUtilization();
    this.secondStartMs = nowMs;
    this.idlePollTakenMs = this.idlePollMs;
    const share = elapsedMs <= 0 ? 0 : clamp01(1 - idleMs / elapsedMs);
    if (this.isRunning) this.busyMax = Math.max(this.busyMax, share);
    if (this.isRunning && nowMs <= this.anewUntilMs) this.start();
    return share;
  }

  health(): LoopHealth {
    const elapsedMs = Math.max(this.endMs - this.startMs, 1e-3);
    const idleMs = (this.totalElu?.idle ?? 0) + this.idlePollMs;
    const busyMean = this.totalElu === null ? 0 : clamp01(1 - idleMs / elapsedMs);
    return {
      busyMean,
      busyMax: Math.max(this.busyMax, busyMean),
      // The histogram counts from one tick to the next: the tick itself is no delay.
      loopDelayP99Us: Math.max(0, this.delay.percentile(99) / 1000 - DELAY_RESOLUTION_MS * 1000),
      gcShare: clamp01(this.gcMs / elapsedMs),
      cpuUs: this.cpuUs * (elapsedMs > 0 ? 1 - Math.min(this.idlePollMs / elapsedMs, 1) : 1),
      elapsedUs: elapsedMs * 1000,
    };
  }
}

function clamp01(share: number): number {
  return Math.min(1, Math.max(0, share));
}
