/**
 * The model, from runs: service demands by non-negative least squares on the busy share, memory by the
 * same on resident bytes, latency laws on the runs whose messages all went to receivers online, by least
 * absolute deviations: a machine that pauses during one run makes its p99 several times longer.
 *
 * Errors are relative (rows are divided by what was measured), because a run at a tenth of the load says
 * as much about a demand as one at full load.
 */
import { leastAbsoluteLog } from '../statistics/least-absolute-log.ts';
import { nonNegativeLeastSquares } from '../statistics/nnls.ts';
import { type Operation, OPERATIONS, type CapacityRun, type Parameters } from './file.ts';

/** Fewer fitted runs than this have more unknowns than news. */
export const FITTED_MIN = 8;
const QUANTILES = ['p50', 'p90', 'p99'] as const;

/** A run that the model may be fitted to or held against. */
export function isUsable({ isUsable, measured }: CapacityRun): boolean {
  return isUsable && measured.cpuShare !== null && measured.cpuShare > 0;
}

/** Parameters of `runs`; null when they are too few. */
export function fitParameters(runs: readonly CapacityRun[]): Parameters | null {
  const usable = runs.filter(isUsable);
  if (usable.length < FITTED_MIN) return null;
  return { demandUs: fitDemands(usable), memory: fitMemory(usable), latency: fitLatency(usable) };
}

/** us of a core per operation: U = D + W (1 - U), in which all but the demands is measured. */
function fitDemands(runs: readonly CapacityRun[]): Record<Operation, number> {
  const rows = runs.map(({ measured }) => {
    const { rates } = measured;
    const share = measured.cpuShare as number;
    return OPERATIONS.map((operation) => {
      const idle = Math.max(0, 1 - share);
      const perSec =
        operation === 'wakeUp'
          ? rates.packetsIn * idle
          : operation === 'loneCommit'
            ? rates.stored * idle
            : rates[operation];
      return perSec / 1e6 / share;
    });
  });
  const demands = nonNegativeLeastSquares(
    rows,
    rows.map(() => 1),
  );
  return Object.fromEntries(
    OPERATIONS.map((operation, k) => [operation, demands[k] as number]),
  ) as Record<Operation, number>;
}

function fitMemory(runs: readonly CapacityRun[]): Parameters['memory'] {
  const seen = runs.filter(({ measured }) => measured.rssBytes !== null);
  const rows = seen.map(({ measured, payloadBytes }) => {
    const { rssBytes, connections, waiting } = measured;
    return [1, connections, waiting, waiting * payloadBytes].map((n) => n / (rssBytes as number));
  });
  const [baseBytes = 0, perConnectionBytes = 0, perStoredBytes = 0, perContentByte = 0] =
    nonNegativeLeastSquares(
      rows,
      rows.map(() => 1),
    );
  return { baseBytes, perConnectionBytes, perStoredBytes, perContentByte };
}

/** Whether confirm latencies of a run are valid, of receivers online, with nothing repeated. */
export function hasPlainLatency({ isLatencyValid, offlineShare, measured }: CapacityRun): boolean {
  const { rates } = measured;
  return (
    isLatencyValid &&
    offlineShare === 0 &&
    rates.stored === 0 &&
    rates.retransmit < 0.001 * rates.online
  );
}

/** q(rho) = a + b rho / (1 - rho), each quantile for itself. */
function fitLatency(runs: readonly CapacityRun[]): Parameters['latency'] {
  return QUANTILES.map((quantile) => {
    const points = runs.filter(hasPlainLatency).flatMap(({ measured }) => {
      const y = measured.confirmUs[quantile];
      const rho = Math.min(0.99, measured.cpuShare as number);
      return y ? [{ x: rho / (1 - rho), y }] : [];
    });
    const { a, b } = leastAbsoluteLog(points);
    return { quantile, aUs: a, bUs: b };
  });
}
