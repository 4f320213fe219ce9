/** Hunting mutants: over how many seeds does each live, and which check ends it. */
import type { Mutant } from './mutant.ts';

/** Seeds within which a mutant must die. */
export const SEEDS_MAX = 200;

export interface Hunted {
  readonly name: string;
  readonly part: Mutant['part'];
  /** The check that caught it; null = it lives. */
  readonly caughtBy: string | null;
  /** Seeds that it took, all of them when it lives. */
  readonly seeds: number;
}

export function hunt({ name, part, hunt: run }: Mutant, seedsMax = SEEDS_MAX): Hunted {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const caughtBy = run(seed);
    if (caughtBy !== null) return { name, part, caughtBy, seeds: seed };
  }
  return { name, part, caughtBy: null, seeds: seedsMax };
}

/** As a Markdown table, the form in which docs/RELIABILITY.md has it. */
export function tableOf(hunted: readonly Hunted[]): string {
  const rows = hunted.map(
    ({ name, part, caughtBy, seeds }) =>
      `| ${name} | ${part} | ${caughtBy ?? '**survived**'} | ${seeds} |`,
  );
  return ['| planted bug | part | caught by | seeds |', '|---|---|---|--:|', ...rows].join('\n');
}
