/**
 * A gateway whose every packet is simulated. Time goes in slices with constant rates; within a slice
 * packets are Poisson, and connects and repeats, whose number is known, are spread evenly over it. Service
 * times are exponential.
 */
import type { Random } from '../../loadgen/index.ts';
import { ServiceQueue } from './queue.ts';
import { WaitHistogram } from './wait-histogram.ts';
import type { FleetWorkload } from './workload.ts';

export const SLICE_S = 0.05;
/** As the clients of loadgen/: a connect that takes longer is given up, its work is done all the same. */
export const CONNECT_TIMEOUT_S = 10;
/** Sender's timers (docs/PROTOCOL.md): a msg:R comes again after so long, and then every two seconds. */
const RESEND_FIRST_S = 1;
const RESEND_NEXT_S = 2;
const ATTEMPTS_MAX = 12;
/** Repeats of a slice are served in so many jobs at most: in a collapse there are more of them than packets. */
const REPEAT_JOBS_MAX = 20;

export interface Connects {
  readonly count: number;
  /** Mean time that their clients were away. */
  readonly awayS: number;
}

export interface ConnectsOutcome {
  timedOut: number;
  /** Connected by slice, from this one on. */
  readonly connectedIn: Map<number, number>;
}

export class WatchedGateway {
  readonly waits = new WaitHistogram();
  private readonly workload: FleetWorkload;
  private readonly random: Random;
  private readonly queue: ServiceQueue;
  /** msg:R that will come again, by slice. */
  private readonly repeats = new Map<number, number>();

  constructor(workload: FleetWorkload, random: Random) {
    this.workload = workload;
    this.random = random;
    this.queue = new ServiceQueue(workload.wakeUpS);
  }

  busyS(atS: number): number {
    return this.queue.busyS(atS);
  }

  backlogS(atS: number): number {
    return this.queue.backlogS(atS);
  }

  /** The process dies, with all it had to do. */
  clear(atS: number): void {
    this.queue.clear(atS);
    this.repeats.clear();
  }

  /** Works through a slice. */
  run(slice: number, packetsPerSec: number, connects: Connects): ConnectsOutcome {
    const { workload, random, queue } = this;
    const endS = (slice + 1) * SLICE_S;
    const outcome: ConnectsOutcome = { timedOut: 0, connectedIn: new Map() };
    const repeats = this.repeats.get(slice) ?? 0;
    this.repeats.delete(slice);
    const gapS = packetsPerSec > 0 ? 1 / packetsPerSec : Infinity;
    let packetAtS = slice * SLICE_S + random.exponential(gapS);
    let connected = 0;
    let repeated = 0;
    const repeatJobs = Math.min(REPEAT_JOBS_MAX, repeats);
    const repeatJobS = repeatJobs > 0 ? (workload.retransmitS * repeats) / repeatJobs : 0;
    const connectAtS = (): number =>
      connected < connects.count ? evenly(slice, connected, connects.count) : Infinity;
    const repeatAtS = (): number =>
      repeated < repeatJobs ? evenly(slice, repeated, repeatJobs) : Infinity;
    const connectS = workload.connectS + workload.perAwayS * connects.awayS;
    for (;;) {
      const nextConnectS = connectAtS();
      const nextRepeatS = repeatAtS();
      const atS = Math.min(packetAtS, nextConnectS, nextRepeatS);
      if (atS >= endS) return outcome;
      if (atS === packetAtS) {
        const waitS = queue.arrive(atS, random.exponential(workload.packetS));
        this.waits.add(waitS);
        if (waitS > RESEND_FIRST_S && random.chance(workload.msgRShare)) this.resend(atS, waitS);
        packetAtS += random.exponential(gapS);
      } else if (atS === nextConnectS) {
        connected++;
        const serviceS = random.exponential(connectS);
        const doneS = queue.arrive(atS, serviceS) + serviceS;
        if (doneS > CONNECT_TIMEOUT_S) outcome.timedOut++;
        else bump(outcome.connectedIn, Math.floor((atS + doneS) / SLICE_S), 1);
      } else {
        repeated++;
        queue.arrive(atS, repeatJobS);
      }
    }
  }

  /** Its sender cannot know that it waits, and sends it again. */
  private resend(atS: number, waitS: number): void {
    let dueS = atS + RESEND_FIRST_S;
    for (let attempt = 1; attempt < ATTEMPTS_MAX && dueS < atS + waitS; attempt++) {
      bump(this.repeats, Math.floor(dueS / SLICE_S), 1);
      dueS += RESEND_NEXT_S;
    }
  }
}

/** The instant of the k-th of `count` within a slice. */
function evenly(slice: number, k: number, count: number): number {
  return (slice + (k + 0.5) / count) * SLICE_S;
}

export function bump(counts: Map<number, number>, key: number, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
