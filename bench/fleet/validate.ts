/**
 * The simulated gateway against the measured runs of one server: what it predicts for their rates, and
 * how far that is off. Demands and latency law are of the same file, so runs that were held out of the
 * fit say more than the others.
 */
import { Random } from '../../loadgen/index.ts';
import { type CapacityFile, directShareOf, wakeShareOf } from '../capacity/file.ts';
import { hasPlainLatency, isUsable } from '../capacity/fit.ts';
import type { PlanSource } from '../plan/formulas.ts';
import { ServiceQueue } from './queue.ts';
import { WaitHistogram } from './wait-histogram.ts';
import { p99Of, type Service, serviceOf } from './workload.ts';

export interface RunCheck {
  readonly mix: string;
  readonly ratePerSec: number;
  readonly isHeldOut: boolean;
  readonly cpuShare: {
    readonly measured: number;
    readonly simulated: number;
    readonly error: number;
  };
  /** null = the run has no p99, or repeats and logins are in it. */
  readonly p99Us: RunCheck['cpuShare'] | null;
}

export interface FleetValidation {
  readonly runs: RunCheck[];
  /** Means of the absolute relative errors; null = no run. */
  readonly meanErrors: {
    readonly cpuShare: number | null;
    readonly p99: number | null;
    readonly cpuShareHeldOut: number | null;
    readonly p99HeldOut: number | null;
  };
}

/** Packets that a run is simulated for. */
const PACKETS = 200_000;
/** The law of latency is said to hold up to here. */
const P99_SHARE_MAX = 0.8;

export function validateRuns(
  { runs }: Pick<CapacityFile, 'runs'>,
  { fitted }: Pick<PlanSource['model'], 'fitted'>,
  seed: number,
): FleetValidation {
  const checks = runs.flatMap((run): RunCheck[] => {
    const { rates, confirmUs } = run.measured;
    if (!isUsable(run)) return [];
    const cpuShare = run.measured.cpuShare as number;
    const packetsPerSec = rates.packetsIn;
    if (!(packetsPerSec > 0)) return [];
    const service = serviceOf(fitted, {
      directS: directShareOf(fitted.demandUs, rates),
      wakeS: wakeShareOf(fitted.demandUs, rates),
      packetsPerSec,
    });
    const simulated = simulateServer(service, packetsPerSec, new Random(seed, `run ${run.mix}`));
    const isPlain = hasPlainLatency(run) && cpuShare <= P99_SHARE_MAX;
    return [
      {
        mix: run.mix,
        ratePerSec: run.ratePerSec,
        isHeldOut: run.heldOut !== null,
        cpuShare: pairOf(cpuShare, simulated.busyShare),
        p99Us:
          isPlain && confirmUs.p99 !== null ? pairOf(confirmUs.p99, simulated.p99S * 1e6) : null,
      },
    ];
  });
  const heldOut = checks.filter(({ isHeldOut }) => isHeldOut);
  const mean = (list: readonly RunCheck[], of: 'cpuShare' | 'p99Us'): number | null => {
    const errors = list.flatMap((check) => check[of]?.error ?? []);
    if (errors.length === 0) return null;
    return errors.reduce((sum, error) => sum + Math.abs(error), 0) / errors.length;
  };
  return {
    runs: checks,
    meanErrors: {
      cpuShare: mean(checks, 'cpuShare'),
      p99: mean(checks, 'p99Us'),
      cpuShareHeldOut: mean(heldOut, 'cpuShare'),
      p99HeldOut: mean(heldOut, 'p99Us'),
    },
  };
}

/** A server under Poisson packets: its busy share, and p99 of confirm. */
function simulateServer(
  service: Service,
  packetsPerSec: number,
  random: Random,
): { readonly busyShare: number; readonly p99S: number } {
  const queue = new ServiceQueue(service.wakeUpS);
  const waits = new WaitHistogram();
  let atS = 0;
  for (let i = 0; i < PACKETS; i++) {
    atS += random.exponential(1 / packetsPerSec);
    waits.add(queue.arrive(atS, random.exponential(service.packetS)));
  }
  const busyShare = queue.busyS(atS) / atS;
  return { busyShare, p99S: p99Of(service, busyShare, waits.quantileS(0.99)) };
}

function pairOf(measured: number, simulated: number): RunCheck['cpuShare'] {
  return { measured, simulated, error: simulated / measured - 1 };
}
