/** What terminal, plan and page say alike of a capacity result. No imports but types: the page has it too. */
import type { CapacityFile, CapacitySearch } from './file.ts';

/** Why what was found is a lower bound of what the server can do, and what would show more; null = it is none. */
export function lowerBoundOf({ lambdaStarPerSec, binds }: CapacitySearch): string | null {
  if (lambdaStarPerSec === null) return null;
  const advice = {
    generator: 'give the generator more cores',
    machine: 'end what else runs on this machine',
    'rate-max': 'raise --rate-max',
    server: null,
    'none found': null,
  }[binds];
  return advice === null ? null : `So this is a lower bound of what the server can do: ${advice}.`;
}

/** Why there is no model; null = there is one. */
export function noModelBecause({
  model,
  settings,
  target,
  interrupted,
}: Pick<CapacityFile, 'model' | 'settings' | 'target' | 'interrupted'>): string | null {
  if (model !== null) return null;
  if (settings.isSearchOnly) return 'it was a search only';
  if (target.kind === 'remote') return 'CPU and memory of a server that is not ours cannot be seen';
  if (interrupted) return 'it was interrupted; capacity --resume goes on with it';
  return 'too few of its runs were valid; repeat it on a quieter machine';
}
