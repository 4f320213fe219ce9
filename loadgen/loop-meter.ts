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
/** A second may be taken a little before the instant at which `start` is called. */
const SECOND_SLACK_MS = 500;

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
  private startAtMs = Infinity;
  private startMs = 0;
  private endMs = 0;
  private startCpu = process.threadCpuUsage();
  private cpuUs = 0;
  private startElu: EventLoopUtilization = performance.eventLoopUtilization();
  private totalElu: EventLoopUtilization | null = null;
  private secondElu: EventLoopUtilization = this.startElu;
  private secondStartMs = performance.now();
  private busyMax = 0;
  private isRunning = false;
  /** `idlePollMs` at `start`. */
  private startIdlePollMs = 0;
  private measuredIdlePollMs = 0;

  constructor() {
    this.observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.gcMs += entry.duration;
    });
  }

  /** `start` at the first turn that ends in so many ms or later. */
  startIn(ms: number): void {
    this.startAtMs = performance.now() + ms;
  }

  /** From here on, once. Seconds go on as they were: one that has begun is not in the figures. */
  start(): void {
    this.isRunning = true;
    this.startAtMs = Infinity;
    this.delay.enable();
    this.observer.observe({ entryTypes: ['gc'] });
    this.startMs = performance.now();
    this.startIdlePollMs = this.idlePollMs;
    this.startCpu = process.threadCpuUsage();
    this.startElu = performance.eventLoopUtilization();
  }

  stop(): void {
    this.startAtMs = Infinity;
    if (!this.isRunning) return;
    this.isRunning = false;
    this.delay.disable();
    this.observer.disconnect();
    this.endMs = performance.now();
    this.measuredIdlePollMs = this.idlePollMs - this.startIdlePollMs;
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
    if (nowMs >= this.startAtMs) this.start();
  }

  /** Busy share since the last call. */
  takeBusyShare(): number {
    const nowMs = performance.now();
    const elu = performance.eventLoopUtilization(this.secondElu);
    const elapsedMs = nowMs - this.secondStartMs;
    const idleMs = elu.idle + this.idlePollMs - this.idlePollTakenMs;
    const isMeasured = this.isRunning && this.secondStartMs > this.startMs - SECOND_SLACK_MS;
    this.secondElu = performance.eventLoopUtilization();
    this.secondStartMs = nowMs;
    this.idlePollTakenMs = this.idlePollMs;
    const share = elapsedMs <= 0 ? 0 : clamp01(1 - idleMs / elapsedMs);
    if (isMeasured) this.busyMax = Math.max(this.busyMax, share);
    return share;
  }

  health(): LoopHealth {
    const elapsedMs = Math.max(this.endMs - this.startMs, 1e-3);
    const idleMs = (this.totalElu?.idle ?? 0) + this.measuredIdlePollMs;
    const busyMean = this.totalElu === null ? 0 : clamp01(1 - idleMs / elapsedMs);
    return {
      busyMean,
      busyMax: Math.max(this.busyMax, busyMean),
      // The histogram counts from one tick to the next: the tick itself is no delay.
      loopDelayP99Us: Math.max(0, this.delay.percentile(99) / 1000 - DELAY_RESOLUTION_MS * 1000),
      gcShare: clamp01(this.gcMs / elapsedMs),
      cpuUs: this.cpuUs * (1 - Math.min(this.measuredIdlePollMs / elapsedMs, 1)),
      elapsedUs: elapsedMs * 1000,
    };
  }
}

function clamp01(share: number): number {
  return Math.min(1, Math.max(0, share));
}
