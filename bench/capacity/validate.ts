/**
 * How far the model is off where it was not fitted: points held out, and a mix that it never saw. Judged
 * is the median over the repeats of a point; whether a run lies inside its interval, of each run.
 */
import type { CapacityRun, NetworkLaw, Parameters, Validation } from './file.ts';
import { median } from '../statistics/median.ts';
import { hasPlainLatency, isUsable } from './fit.ts';
import { LAYERS, type Layer, predicted } from './predict.ts';

/** Above this mean error of CPU, nobody should buy machines by the model. */
const ERROR_MAX = 0.15;
/** Latency is promised below this busy share only. */
const RHO_MAX = 0.8;
const HELD_OUT_MIN = 3;

interface Model {
  readonly fitted: Parameters;
  readonly replicates: readonly Parameters[];
  readonly network: NetworkLaw;
}

export function validateModel(runs: readonly CapacityRun[], model: Model): Validation {
  const heldOut = runs.filter((run) => run.heldOut !== null && isUsable(run));
  const layers = LAYERS.map((layer) => {
    const judged = heldOut.filter((run) => layer !== 'p99' || isJudgedForLatency(run));
    return { layer, ...errorsOf(layer, judged, model) };
  });
  return { layers, refusal: refusalOf(heldOut.length, layers[0]?.meanError ?? Infinity) };
}

function isJudgedForLatency(run: CapacityRun): boolean {
  return hasPlainLatency(run) && (run.measured.cpuShare as number) <= RHO_MAX;
}

function refusalOf(points: number, cpuError: number): string | null {
  if (points < HELD_OUT_MIN) {
    return `only ${points} held-out runs were valid: repeat the calibration on a quieter machine`;
  }
  if (cpuError <= ERROR_MAX) return null;
  const percent = (100 * cpuError).toFixed(1);
  return `the model is ${percent} % off on held-out runs, more than ${100 * ERROR_MAX} %: repeat the calibration on a quieter machine`;
}

function errorsOf(
  layer: Layer,
  runs: readonly CapacityRun[],
  { fitted, replicates, network }: Model,
): Omit<Validation['layers'][number], 'layer'> {
  const ratios = new Map<string, number[]>();
  let inside = 0;
  let judged = 0;
  for (const run of runs) {
    const pair = predicted(layer, run, { parameters: fitted, network });
    if (pair === null) continue;
    const key = pointOf(run);
    const ratio = pair.predicted / pair.measured;
    ratios.set(key, [...(ratios.get(key) ?? []), ratio]);
    if (layer === 'network' || layer === 'throughput') continue; // exact laws have no interval
    const spread = replicates
      .flatMap((parameters) => predicted(layer, run, { parameters, network })?.predicted ?? [])
      .sort((a, b) => a - b);
    if (spread.length === 0) continue;
    judged++;
    const at = (q: number): number => spread[Math.round(q * (spread.length - 1))] as number;
    if (at(0.05) <= pair.measured && pair.measured <= at(0.95)) inside++;
  }
  const errors = [...ratios.values()].map((of) => Math.abs(median(of) - 1));
  const mean = errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length);
  return {
    points: errors.length,
    meanError: errors.length === 0 ? 0 : mean,
    maxError: Math.max(0, ...errors),
    coverage: judged === 0 ? null : inside / judged,
    judged,
  };
}

/** Of all layers that have intervals together: of one, ten runs say little. */
export function coverageOf(layers: Validation['layers']): number | null {
  const sum = (pick: (layer: Validation['layers'][number]) => number): number =>
    layers.reduce((total, layer) => total + pick(layer), 0);
  const judged = sum((layer) => layer.judged);
  return judged === 0 ? null : sum((layer) => layer.judged * (layer.coverage ?? 0)) / judged;
}

/** Repeats of a point have the same. */
function pointOf({ mix, ratePerSec, clients, payloadBytes }: CapacityRun): string {
  return `${mix} ${ratePerSec} ${clients} ${payloadBytes}`;
}
