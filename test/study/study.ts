/** What all studies share: their context, the short load that they compare, and how they end. */
import path from 'node:path';
import type { CompareOptions } from '../../bench/compare/options.ts';
import type { Side } from '../../bench/compare/side.ts';
import type { Pinning } from '../../bench/environment.ts';
import { type LoadScenario, parseScenario } from '../../bench/scenario.ts';

export interface StudyContext {
  readonly runs: number;
  readonly plantedShare: number;
  readonly seed: number;
  readonly pinning: Pinning | null;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

interface StudyOutcome {
  readonly lines: string[];
  /** Whether any run was judged. */
  readonly hasJudged: boolean;
  /** Whether the aim holds. */
  readonly ok: boolean;
  readonly details: unknown;
}

export type Study = (context: StudyContext) => Promise<StudyOutcome>;

export function load(fields: Record<string, unknown>): LoadScenario {
  const parsed = parseScenario({ kind: 'load', ...fields }, 'study');
  if ('mistakes' in parsed) throw new Error(parsed.mistakes.join('\n'));
  return parsed as LoadScenario;
}

/** Short slices: 1.5 s at saturation after a warm-up of half a second. */
export const SLICE = load({
  name: 'saturated',
  clients: 100,
  load: { mode: 'closed', window: 8 },
  durationS: 2,
  warmupS: 0.5,
  retransmit: { firstMs: 200, maxMs: 200 },
});

/** For small changes of cost: 2 s after the compiler has been at it. */
export const COST_SLICE = load({ ...SLICE, durationS: 3.5, warmupS: 1.5 });

/** The reference server, which uses a `share` more CPU; 0 = as it is. */
export function burningSide(label: string, share: number): Side {
  const script = path.join(import.meta.dirname, 'planted-server.ts');
  const command = `exec "${process.execPath}" "${script}" --burn-share ${share}`;
  return { label, program: { kind: 'command', command }, target: null, checkout: null };
}

/** A comparison of two sides by short slices; written nowhere. */
export function compareOptions(
  a: Side,
  b: Side,
  {
    slice,
    seed,
    outDir,
    isCostsOnly,
  }: { slice: LoadScenario } & Pick<CompareOptions, 'seed' | 'outDir' | 'isCostsOnly'>,
): CompareOptions {
  return {
    a: { kind: 'side', side: a },
    b: { kind: 'side', side: b },
    scenarios: [slice],
    stage1Pairs: 8,
    stage2Pairs: 12,
    isCostsOnly,
    seed,
    workers: 1,
    jsonFile: null,
    markdownFile: null,
    outDir,
    progress: false,
  };
}
