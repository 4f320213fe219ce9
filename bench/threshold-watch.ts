/**
 * Thresholds that stop a load as soon as they are missed for good reason: judged after every second of
 * the measured window, over the whole window so far, so that one slow second stops nothing by itself.
 */
import { Recorder, type SecondSample } from '../loadgen/index.ts';
import { judgeThreshold, type Threshold, type ThresholdOutcome } from './thresholds.ts';

/** Fewer settled messages than this say nothing that a load should be stopped for. */
const SETTLED_MIN = 1000;

export interface WatchedThreshold {
  readonly threshold: Threshold;
  /** Seconds of the measured window before it may stop the load. */
  readonly delayS: number;
}

export interface Stop extends ThresholdOutcome {
  /** Seconds since the start of the load. */
  readonly second: number;
}

/** What is wrong with a threshold that is to stop a load; null when it can. */
export function stopMistake({ text, path }: Threshold): string | null {
  const [root, name, quantile] = path;
  const isKnown =
    (root === 'latency' && name === 'confirmUs') || (root === 'load' && name === 'achievedPerSec');
  if (!isKnown) {
    return `"${text}" cannot stop a load: while it runs only confirm and load.achievedPerSec are known`;
  }
  // A count is still small when a load has just begun, which says nothing about its end.
  if (quantile !== 'count') return null;
  return `"${text}" cannot stop a load: a count grows until the end`;
}

export class ThresholdWatch {
  /** Aborted when a threshold is missed; the load stops, and the run is settled and judged. */
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly confirm = new Recorder();
  private readonly watched: readonly WatchedThreshold[];
  private readonly scenario: string;
  private readonly warmupS: number;
  private readonly workers: number;
  private settled = 0;
  /** Seconds of all workers together. */
  private samples = 0;
  private stopped: Stop | null = null;

  constructor(
    watched: readonly WatchedThreshold[],
    run: { readonly scenario: string; readonly warmupS: number; readonly workers: number },
  ) {
    this.watched = watched;
    this.scenario = run.scenario;
    this.warmupS = run.warmupS;
    this.workers = run.workers;
    this.signal = this.controller.signal;
  }

  get stop(): Stop | null {
    return this.stopped;
  }

  add(sample: SecondSample): void {
    if (this.watched.length === 0 || this.stopped !== null) return;
    const second = Math.round(sample.second);
    // The second in which the window opens is half warm-up.
    if (second - 1 < this.warmupS) return;
    this.confirm.add(sample.confirm);
    this.settled += sample.confirmed;
    this.samples++;
    this.judge(second);
  }

  private judge(second: number): void {
    const elapsedS = this.samples / this.workers;
    const { confirm } = this;
    if (confirm.count < SETTLED_MIN) return;
    const figures = {
      name: this.scenario,
      load: { achievedPerSec: this.settled / elapsedS },
      latency: { confirmUs: confirm.figures() },
    };
    for (const { threshold, delayS } of this.watched) {
      if (elapsedS < delayS) continue;
      const outcome = judgeThreshold(threshold, figures);
      // No value yet is no reason to stop.
      if (outcome === null || outcome.ok || outcome.value === null) continue;
      this.stopped = { ...outcome, second };
      this.controller.abort();
      return;
    }
  }
}
