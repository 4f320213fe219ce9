/** Whether a calibration that ran to its end measured what it was asked for. */
import { ExitCode } from '../../loadgen/index.ts';
import type { CapacityFile } from './file.ts';

export function exitOf({
  losses,
  model,
  search,
  settings,
  target,
  validation,
}: Pick<
  CapacityFile,
  'losses' | 'model' | 'search' | 'settings' | 'target' | 'validation'
>): ExitCode {
  if (losses.length > 0) return ExitCode.Failed;
  // Of somebody else's server there is no model to miss.
  const needsModel = !settings.isSearchOnly && target.kind === 'reference';
  const isMeasured =
    search.lambdaStarPerSec !== null &&
    search.binds !== 'machine' &&
    (!needsModel || (model !== null && validation?.refusal === null));
  return isMeasured ? ExitCode.Pass : ExitCode.Invalid;
}
