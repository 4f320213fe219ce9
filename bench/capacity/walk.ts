/**
 * The way through the grid: every point once in any case, repeats as long as there is time, and no further
 * once the machine is not fit for it. Knows no server; what it is given to measure with decides.
 */
import { counted, formatDurationMs } from '../units.ts';
import type { CapacityRun } from './file.ts';
import { essentialOf } from './grid.ts';
import type { Point } from './point.ts';

/** So many points in a row that are not valid say that the next will not be either. */
const VOID_POINTS_MAX = 8;
/** Fitting and checking the model at the end. */
const MODEL_S = 10;

export interface WalkOptions {
  readonly points: readonly Point[];
  /** Those of the first points that were measured before; the others are added. */
  readonly runs: CapacityRun[];
  /** Beyond, repeats are left out. */
  readonly limitS: number;
  /** Of the whole calibration. */
  readonly elapsedS: () => number;
  readonly isAborted: () => boolean;
  readonly measure: (point: Point) => Promise<CapacityRun>;
  readonly onRun: (
    run: CapacityRun,
    place: { readonly nth: number; readonly leftS: number },
  ) => void;
  readonly log: (line: string) => void;
}

/** `part`: the machine is not fit for it, or it was interrupted; what is missing can be resumed. */
export async function walkGrid(options: WalkOptions): Promise<'all' | 'part'> {
  const { points, runs, limitS, elapsedS, isAborted, measure, onRun, log } = options;
  const essential = essentialOf(points);
  const resumed = runs.length;
  const startS = elapsedS();
  let runS = 0;
  let voidInRow = 0;
  for (const [i, point] of points.entries()) {
    if (i < resumed) continue;
    if (isAborted()) return 'part';
    if (i >= essential && elapsedS() + runS + MODEL_S > limitS) {
      const left = counted(points.length - i, 'repeat');
      log(`--limit ${formatDurationMs(1000 * limitS)}: ${left} left out`);
      return 'all';
    }
    const run = await measure(point);
    if (isAborted()) return 'part';
    runs.push(run);
    // With the second tries that a disturbed machine asks for.
    runS = (elapsedS() - startS) / (i - resumed + 1);
    const leftS = Math.min(
      (points.length - i - 1) * runS,
      Math.max(limitS - elapsedS(), (essential - i - 1) * runS, 0),
    );
    voidInRow = run.isUsable ? 0 : voidInRow + 1;
    // Not kept, so that --resume measures them.
    if (voidInRow === VOID_POINTS_MAX) runs.splice(-voidInRow);
    onRun(run, { nth: i + 1, leftS });
    if (voidInRow === VOID_POINTS_MAX) {
      log(
        `gave up: ${voidInRow} points in a row were not valid; end what else runs on this machine, or wait for a quieter hour`,
      );
      return 'part';
    }
  }
  return 'all';
}
