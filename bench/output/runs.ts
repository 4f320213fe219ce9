/**
 * What of a result stands for itself: a scenario, or each of its variants, for a scenario with variants
 * is only their sum. Names are unique: readers of all formats keep one of two entries with the same name
 * and drop the other without a word. Also, which runs may be held against those of another day.
 */
import type { Result, ScenarioResult, Verdict } from '../result.ts';

export interface Run {
  /** Unique among the scenarios of the result. */
  readonly scenario: string;
  /** Unique within the scenario; empty for a scenario without variants. */
  readonly variant: string;
  /** Both, as in a comparison. */
  readonly label: string;
  readonly result: ScenarioResult;
  /** The measurement is valid and complete, so that its numbers may be compared. */
  readonly isComparable: boolean;
}

export interface NamedScenario {
  readonly name: string;
  readonly result: ScenarioResult;
  readonly isComparable: boolean;
  /** Its variants, or the scenario itself. */
  readonly runs: readonly Run[];
}

/** Gives each name out once: the second `x` becomes `x #2`, or has another separator. */
export function uniqueNames(separator = ' #'): (name: string) => string {
  const taken = new Set<string>();
  return (name) => {
    let unique = name;
    for (let n = 2; taken.has(unique); n++) unique = `${name}${separator}${n}`;
    taken.add(unique);
    return unique;
  };
}

/** The scenarios in their order. */
export function scenariosOf(result: Result): NamedScenario[] {
  const nameScenario = uniqueNames();
  return result.scenarios.map((scenario) => {
    const name = nameScenario(scenario.name);
    const isComparable = isMeasured(scenario, result.interrupted);
    const nameVariant = uniqueNames();
    const parts = scenario.variants.length > 0 ? scenario.variants : [scenario];
    const runs = parts.map((part) => {
      const variant = part.variant === null ? '' : nameVariant(part.variant);
      return {
        scenario: name,
        variant,
        label: variant === '' ? name : `${name} ${variant}`,
        result: part,
        isComparable: isComparable && isMeasured(part, result.interrupted),
      };
    });
    return { name, result: scenario, isComparable, runs };
  });
}

export function runsOf(result: Result): Run[] {
  return scenariosOf(result).flatMap(({ runs }) => runs);
}

const VERDICTS_WITH_NUMBERS: readonly Verdict[] = ['pass', 'fail'];

/**
 * A failed audit outweighs a failed gate and an interruption in the verdict, but the numbers are no
 * better for that.
 */
function isMeasured({ verdict, gates }: ScenarioResult, isInterrupted: boolean): boolean {
  if (isInterrupted && verdict !== 'pass') return false;
  return VERDICTS_WITH_NUMBERS.includes(verdict) && gates.every(({ ok }) => ok);
}

/** What is wrong with a run, without the thresholds that it missed: those have an outcome of their own. */
export function reasonsBesideThresholds({ reasons, thresholds }: ScenarioResult): string[] {
  const missed = thresholds.map(({ threshold }) => `threshold ${threshold} missed: `);
  return reasons.filter((reason) => !missed.some((start) => reason.startsWith(start)));
}
