/**
 * Shrinking: from a failing plan to a small one that fails in the same way. Steps are taken away and
 * faults are muted by halves, then by quarters, and so on (delta debugging, Zeller and Hildebrandt,
 * TSE 2002), until nothing more can go or the budget of runs is used up.
 */
import type { Plan, Step } from './plan.ts';
import { type RunOutcome, runPlan } from './run.ts';

export interface Shrunk {
  readonly plan: Plan;
  /** Faults that do not strike any more. */
  readonly muted: ReadonlySet<string>;
  /** The recorded run of the small plan. */
  readonly outcome: RunOutcome;
  /** Steps and faults that are left: what it takes to break the promise. */
  readonly needed: number;
  readonly runs: number;
}

const RUNS_MAX = 600;

/** Shrinks the plan of `failing`; the first violation's check must stay the same. */
export function shrink(failing: RunOutcome, runsMax = RUNS_MAX): Shrunk {
  const check = failing.violations[0]?.check;
  const { plan } = failing;
  let runs = 0;
  const fails = (steps: readonly Step[], muted: ReadonlySet<string>): RunOutcome | null => {
    if (runs >= runsMax) return null;
    runs++;
    const outcome = runPlan({ ...plan, steps }, { muted, isRecording: true });
    return outcome.violations.some((violation) => violation.check === check) ? outcome : null;
  };
  let steps: readonly Step[] = plan.steps;
  let muted: ReadonlySet<string> = new Set();
  let best = fails(steps, muted) ?? failing;
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    const fewer = withoutSome(steps, (left) => fails(left, muted));
    if (fewer !== null) {
      steps = fewer.left;
      best = fewer.outcome;
      isSmaller = true;
    }
    const alive = [...new Set(best.faultKeys)];
    const quieter = withoutSome(alive, (left) => {
      const kept = new Set(left);
      return fails(steps, new Set([...muted, ...alive.filter((key) => !kept.has(key))]));
    });
    if (quieter !== null) {
      const kept = new Set(quieter.left);
      muted = new Set([...muted, ...alive.filter((key) => !kept.has(key))]);
      best = quieter.outcome;
      isSmaller = true;
    }
  }
  const needed = steps.length + new Set(best.faultKeys).size;
  return { plan: { ...plan, steps }, muted, outcome: best, needed, runs };
}

/** Takes away as many items as it can while `fails`; null when none could go. */
function withoutSome<Item>(
  items: readonly Item[],
  fails: (left: readonly Item[]) => RunOutcome | null,
): { left: readonly Item[]; outcome: RunOutcome } | null {
  let left = items;
  let outcome: RunOutcome | null = null;
  for (let size = Math.ceil(items.length / 2); size >= 1;) {
    let isReduced = false;
    for (let at = 0; at < left.length;) {
      const fewer = [...left.slice(0, at), ...left.slice(at + size)];
      const still = fails(fewer);
      if (still === null) at += size;
      else {
        left = fewer;
        outcome = still;
        isReduced = true;
      }
    }
    if (size === 1 && !isReduced) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
    if (left.length === 0) break;
  }
  return outcome === null ? null : { left, outcome };
}
