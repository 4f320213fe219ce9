/**
 * How sure the parameters are: the fit again for runs drawn from the fitted ones with replacement, mix
 * by mix, so that no operation loses all of its runs. Each replicate is moved by an error that the fit
 * really made (leave-one-out), because a single new run scatters beyond what the parameters do: the
 * intervals are of a prediction, not of a mean.
 */
import { Random } from '../../loadgen/index.ts';
import type { CapacityRun, NetworkLaw, Parameters } from './file.ts';
import { fitParameters, hasPlainLatency, isUsable } from './fit.ts';
import { type Layer, predicted } from './predict.ts';

const REPLICATES = 400;

export function bootstrap(
  runs: readonly CapacityRun[],
  { network, seed }: { readonly network: NetworkLaw; readonly seed: number },
): Parameters[] {
  const usable = runs.filter(isUsable);
  const random = new Random(seed, 'bootstrap');
  const mixes = [...new Set(usable.map(({ mix }) => mix))].map((name) =>
    usable.filter(({ mix }) => mix === name),
  );
  const errors = leaveOneOutErrors(usable, network);
  const draw = (list: readonly number[]): number =>
    list.length === 0 ? 1 : (list[random.below(list.length)] as number);
  const replicates: Parameters[] = [];
  for (let i = 0; i < REPLICATES; i++) {
    const drawn = mixes.flatMap((mix) =>
      mix.map(() => mix[random.below(mix.length)] as CapacityRun),
    );
    const parameters = fitParameters(drawn);
    if (parameters !== null)
      replicates.push(
        moved(parameters, {
          cpu: draw(errors.cpu),
          memory: draw(errors.memory),
          p99: draw(errors.p99),
        }),
      );
  }
  return replicates;
}

/** Measured over predicted, of every run by a fit without it. */
function leaveOneOutErrors(
  runs: readonly CapacityRun[],
  network: NetworkLaw,
): Record<'cpu' | 'memory' | 'p99', number[]> {
  const errors: Record<'cpu' | 'memory' | 'p99', number[]> = { cpu: [], memory: [], p99: [] };
  for (const run of runs) {
    const parameters = fitParameters(runs.filter((other) => other !== run));
    if (parameters === null) continue;
    for (const layer of ['cpu', 'memory', 'p99'] as const satisfies Layer[]) {
      if (layer === 'p99' && !hasPlainLatency(run)) continue;
      const pair = predicted(layer, run, { parameters, network });
      if (pair !== null && pair.predicted > 0) errors[layer].push(pair.measured / pair.predicted);
    }
  }
  return errors;
}

function moved(
  { demandUs, memory, latency }: Parameters,
  by: Record<'cpu' | 'memory' | 'p99', number>,
): Parameters {
  const scaled = Object.entries(demandUs).map(([name, us]) => [name, us * by.cpu]);
  return {
    demandUs: Object.fromEntries(scaled) as Parameters['demandUs'],
    memory: {
      baseBytes: memory.baseBytes * by.memory,
      perConnectionBytes: memory.perConnectionBytes * by.memory,
      perStoredBytes: memory.perStoredBytes * by.memory,
      perContentByte: memory.perContentByte * by.memory,
    },
    latency: latency.map((law) => ({ ...law, aUs: law.aUs * by.p99, bUs: law.bUs * by.p99 })),
  };
}
