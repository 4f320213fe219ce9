/**
 * The tally of one swarm: what becomes a number of the result. Latencies by the instant a message
 * was intended for, counts of the measured window, one sample per second.
 *
 *     start      warmupMs                     durationMs
 *       |-- warm-up --|------ the window ---------|         counted by intended instant
 *
 * A message that never got its ack:N counts as infinite; it is not left out.
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

export class Tally {
  readonly latencies: Record<Latency, Recorder>;
  readonly window: WindowCounts = {
    due: 0,
    sent: 0,
    confirmed: 0,
    settledInside: 0,
    inflightAreaUs: 0,
    settledMeanUs: 0,
  };
  private readonly warmupUs: number;
  private readonly durationUs: number;
  private startUs = Infinity;
  private isOpen = false;
  private inflightCount = 0;
  private inflightChangedUs = 0;
  private settledSumUs = 0;
  private readonly second = { sent: 0, confirmed: 0, delivered: 0, confirm: new Recorder() };

  constructor(options: { warmupMs: number; durationMs: number; isBlind: boolean }) {
    this.warmupUs = options.warmupMs * 1000;
    this.durationUs = options.durationMs * 1000;
    this.latencies = Object.fromEntries(LATENCIES.map((name) => [name, new Recorder()])) as Record<
      Latency,
      Recorder
    >;
    for (const recorder of [...Object.values(this.latencies), this.second.confirm]) {
      recorder.isMuted = options.isBlind;
    }
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
    if (isInWindow) this.window.due++;
    return isInWindow;
  }

  onSent(payload: Payload, nowUs: number): void {
    this.second.sent++;
    this.moveInflight(1, nowUs);
    if (!payload.isInWindow) return;
    this.window.sent++;
    this.latencies.sendLag.record(payload.sentAtUs - payload.intendedAtUs);
  }

  onAccepted(payload: Payload, nowUs: number): void {
    if (!payload.isInWindow) return;
    this.latencies.accept.record(nowUs - payload.intendedAtUs);
    this.latencies.acceptService.record(nowUs - payload.sentAtUs);
  }

  onSettled(outcome: Outcome, payload: Payload, nowUs: number): void {
    const { latencies, window } = this;
    const latencyUs = nowUs - payload.intendedAtUs;
    const serviceUs = nowUs - payload.sentAtUs;
    const isConfirmed = outcome === Outcome.Delivered || outcome === Outcome.Stored;
    this.moveInflight(-1, nowUs);
    if (isConfirmed) {
      this.second.confirmed++;
      this.second.confirm.record(latencyUs);
      if (this.isOpen && this.isInWindow(nowUs)) {
        window.settledInside++;
        this.settledSumUs += serviceUs;
      }
    }
    if (!payload.isInWindow) return;
    payload.isInWindow = false;
    if (outcome === Outcome.Delivered) {
      latencies.confirm.record(latencyUs);
      latencies.confirmService.record(serviceUs);
    } else if (outcome === Outcome.Stored) {
      latencies.storedConfirm.record(latencyUs);
    } else {
      latencies.confirm.recordNever();
    }
    if (isConfirmed) window.confirmed++;
  }

  /** A message was delivered to the application; null = its content could not be read. */
  onDelivered(reader: PayloadReader | null, options: { paged: boolean; nowUs: number }): void {
    this.second.delivered++;
    // Messages out of pages waited for their receiver, not for the server.
    if (reader === null || options.paged || !this.isInWindow(reader.intendedAtUs)) return;
    this.latencies.deliver.record(options.nowUs - reader.intendedAtUs);
    this.latencies.deliverService.record(options.nowUs - reader.sentAtUs);
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

  /** Counts what is still without an outcome as infinite and closes the window's figures. */
  close(unresolved: number): void {
    this.latencies.confirm.recordNever(unresolved);
    const { settledInside } = this.window;
    this.window.settledMeanUs = settledInside === 0 ? 0 : this.settledSumUs / settledInside;
  }

  private isInWindow(atUs: number): boolean {
    const sinceStartUs = atUs - this.startUs;
    return sinceStartUs >= this.warmupUs && sinceStartUs < this.durationUs;
  }

  /** Adds to the messages in flight and to their integral over time inside the window. */
  private moveInflight(by: number, nowUs: number): void {
    const fromUs = Math.max(this.inflightChangedUs, this.startUs + this.warmupUs);
    const toUs = Math.min(nowUs, this.startUs + this.durationUs);
    if (toUs > fromUs) this.window.inflightAreaUs += (toUs - fromUs) * this.inflightCount;
    this.inflightChangedUs = nowUs;
    this.inflightCount += by;
  }
}
