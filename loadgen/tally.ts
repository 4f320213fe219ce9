/**
 * The tally of one swarm: what becomes a number of the result. Latencies by the instant a message
 * was intended for, counts of the measured window, one sample per second.
 *
 *     start      warmupMs                     durationMs
 *       |-- warm-up --|------ the window ---------|         counted by intended instant
 *
 * A message that never got its ack:N counts as infinite; it is not left out.
 *
 * What belongs to no window is counted the same way, into figures that nobody reads: code that ran for
 * the first time when the window opens would be compiled anew there. Measured: a pause of 25 to 60 ms
 * in the first second of every window.
 */
import { Outcome } from '../protocol/index.ts';
import type { Payload, PayloadReader } from './payload.ts';
import { Recorder, type RecorderState } from './recorder.ts';

/** Names of the histograms, as in the result file without its unit suffix. */
export const LATENCIES = [
  'accept',
  'deliver',
  'confirm',
  'storedConfirm',
  'pull',
  'connect',
  'sendLag',
  'acceptService',
  'deliverService',
  'confirmService',
] as const;
export type Latency = (typeof LATENCIES)[number];

export interface WindowCounts {
  /** Messages due, sent, and settled by ack:N, counted by the instant they were intended for. */
  due: number;
  sent: number;
  confirmed: number;
  /** Messages settled while the window was open, whenever they were intended. */
  settledInside: number;
  /** Time integral of the messages in flight, message-us. */
  inflightAreaUs: number;
  /** Mean time in flight of those settled inside, us; for Little's law. */
  settledMeanUs: number;
}

/** One second of the run. */
export interface SecondSample {
  /** Seconds since the start of the load. */
  second: number;
  sent: number;
  confirmed: number;
  delivered: number;
  inflight: number;
  online: number;
  busyShare: number;
  confirm: RecorderState;
}

/** What is counted, inside the window or outside of it. */
class Phase {
  readonly latencies: Record<Latency, Recorder>;
  readonly counts = { due: 0, sent: 0, confirmed: 0, settledInside: 0 };
  /** See `AREA` and `SETTLED`: doubles from the first, whatever they hold. */
  readonly sumsUs = new Float64Array(2);

  constructor(isBlind: boolean) {
    const recorders = LATENCIES.map((name) => [name, new Recorder()] as const);
    for (const [, recorder] of recorders) recorder.isMuted = isBlind;
    this.latencies = Object.fromEntries(recorders) as Record<Latency, Recorder>;
  }
}

/** Places in `sumsUs`: in-flight integral, and time in flight of what settled inside. */
const AREA = 0;
const SETTLED = 1;

export class Tally {
  /** Outside the window, inside the window. */
  private readonly phases: readonly [Phase, Phase];
  private readonly warmupUs: number;
  private readonly durationUs: number;
  private startUs = Infinity;
  private isOpen = false;
  private inflightCount = 0;
  private inflightChangedUs = 0;
  private readonly second = { sent: 0, confirmed: 0, delivered: 0, confirm: new Recorder() };

  constructor(options: { warmupMs: number; durationMs: number; isBlind: boolean }) {
    this.warmupUs = options.warmupMs * 1000;
    this.durationUs = options.durationMs * 1000;
    this.phases = [new Phase(options.isBlind), new Phase(options.isBlind)];
    this.second.confirm.isMuted = options.isBlind;
  }

  /** Of the window. */
  get latencies(): Record<Latency, Recorder> {
    return this.phases[1].latencies;
  }

  /** What was counted inside the window so far. */
  get window(): WindowCounts {
    const { counts, sumsUs } = this.phases[1];
    const settledSumUs = sumsUs[SETTLED] as number;
    return {
      ...counts,
      inflightAreaUs: sumsUs[AREA] as number,
      settledMeanUs: counts.settledInside === 0 ? 0 : settledSumUs / counts.settledInside,
    };
  }

  /** Messages without an outcome. */
  get inflight(): number {
    return this.inflightCount;
  }

  start(startUs: number): void {
    this.startUs = startUs;
    this.inflightChangedUs = startUs;
    this.isOpen = true;
  }

  stop(nowUs: number): void {
    this.moveInflight(0, nowUs);
    this.isOpen = false;
  }

  /** A message was due; true when its intended instant lies in the window. */
  onDue(intendedUs: number): boolean {
    const isInWindow = this.isInWindow(intendedUs);
    this.phaseOf(isInWindow).counts.due++;
    return isInWindow;
  }

  onSent(payload: Payload, nowUs: number): void {
    this.second.sent++;
    this.moveInflight(1, nowUs);
    const { counts, latencies } = this.phaseOf(payload.isInWindow);
    counts.sent++;
    latencies.sendLag.record(payload.sentAtUs - payload.intendedAtUs);
  }

  onAccepted(payload: Payload, nowUs: number): void {
    const { latencies } = this.phaseOf(payload.isInWindow);
    latencies.accept.record(nowUs - payload.intendedAtUs);
    latencies.acceptService.record(nowUs - payload.sentAtUs);
  }

  onSettled(outcome: Outcome, payload: Payload, nowUs: number): void {
    const { latencies, counts } = this.phaseOf(payload.isInWindow);
    const latencyUs = nowUs - payload.intendedAtUs;
    const serviceUs = nowUs - payload.sentAtUs;
    const isConfirmed = outcome === Outcome.Delivered || outcome === Outcome.Stored;
    this.moveInflight(-1, nowUs);
    if (isConfirmed) {
      this.second.confirmed++;
      this.second.confirm.record(latencyUs);
      const during = this.phaseOf(this.isOpen && this.isInWindow(nowUs));
      during.counts.settledInside++;
      during.sumsUs[SETTLED]! += serviceUs;
    }
    payload.isInWindow = false;
    if (outcome === Outcome.Delivered) {
      latencies.confirm.record(latencyUs);
      latencies.confirmService.record(serviceUs);
    } else if (outcome === Outcome.Stored) {
      latencies.storedConfirm.record(latencyUs);
    } else {
      latencies.confirm.recordNever();
    }
    if (isConfirmed) counts.confirmed++;
  }

  /** A message was delivered to the application; null = its content could not be read. */
  onDelivered(reader: PayloadReader | null, options: { paged: boolean; nowUs: number }): void {
    this.second.delivered++;
    // Messages out of pages waited for their receiver, not for the server.
    if (reader === null || options.paged) return;
    const { latencies } = this.phaseOf(this.isInWindow(reader.intendedAtUs));
    latencies.deliver.record(options.nowUs - reader.intendedAtUs);
    latencies.deliverService.record(options.nowUs - reader.sentAtUs);
  }

  /** The second that just ended. */
  takeSecond(now: { nowUs: number; online: number; busyShare: number }): SecondSample {
    const { second } = this;
    const sample: SecondSample = {
      second: (now.nowUs - this.startUs) / 1e6,
      sent: second.sent,
      confirmed: second.confirmed,
      delivered: second.delivered,
      inflight: this.inflightCount,
      online: now.online,
      busyShare: now.busyShare,
      confirm: { ...second.confirm.state(), counts: second.confirm.counts.slice() },
    };
    second.sent = second.confirmed = second.delivered = 0;
    second.confirm.reset();
    return sample;
  }

  /** Counts what is still without an outcome as infinite. */
  close(unresolved: number): void {
    this.latencies.confirm.recordNever(unresolved);
  }

  private phaseOf(isInWindow: boolean): Phase {
    return this.phases[Number(isInWindow) as 0 | 1];
  }

  private isInWindow(atUs: number): boolean {
    const sinceStartUs = atUs - this.startUs;
    // No short circuit: what it skips until the window opens would be compiled then.
    const isWarm = Number(sinceStartUs >= this.warmupUs);
    return (isWarm & Number(sinceStartUs < this.durationUs)) === 1;
  }

  /** Adds to the messages in flight and to their integral over time inside the window. */
  private moveInflight(by: number, nowUs: number): void {
    const fromUs = Math.max(this.inflightChangedUs, this.startUs + this.warmupUs);
    const toUs = Math.min(nowUs, this.startUs + this.durationUs);
    const [outside, inside] = this.phases;
    const insideUs = Math.max(0, toUs - fromUs);
    const outsideUs = nowUs - this.inflightChangedUs - insideUs;
    inside.sumsUs[AREA]! += insideUs * this.inflightCount;
    outside.sumsUs[AREA]! += outsideUs * this.inflightCount;
    this.inflightChangedUs = nowUs;
    this.inflightCount += by;
  }
}
