/**
 * Runs the pairs of a comparison. One pair = for each scenario a fresh server A and a fresh server B,
 * side by side in time, in an order that a seeded coin decides, with the same load and the same
 * arrivals. A drift of the machine hits both, and which side it hits first is left to the coin.
 *
 *     pair 1   A B     pair 2   B A     pair 3   B A     …
 *
 * A slice that fails a validity gate has no number: its scenario is run again in that pair, both
 * sides anew, as often as there is room for, and is left out of the pair after that.
 */
import { Random } from '../../loadgen/index.ts';
import { runLoadOnce } from '../load-run.ts';
import type { ScenarioResult } from '../result.ts';
import { isUnfit, type RunContext, TargetError } from '../rig.ts';
import type { LoadScenario } from '../scenario.ts';
import { ServerYard } from '../server-yard.ts';
import { type Metric, metricsOf } from './metrics.ts';
import type { Side } from './side.ts';
import { isFlagged, type MetricPairs, type PairValue } from './verdict.ts';

export interface PairsOptions {
  readonly a: Side;
  readonly b: Side;
  readonly scenarios: readonly LoadScenario[];
  readonly stage1Pairs: number;
  readonly stage2Pairs: number;
  /** Everything but the side. */
  readonly context: Omit<RunContext, 'servers' | 'target'>;
  readonly pinning: ServerYard['pinning'];
}

/** What one side of one scenario gave in one pair. */
interface Slice {
  readonly verdict: ScenarioResult['verdict'];
  readonly reasons: readonly string[];
  readonly values: Readonly<Record<string, number | null>>;
}

/** One pair, as the result file keeps it. */
export interface Pair {
  readonly stage: 1 | 2;
  readonly seed: number;
  /** Which side came first. */
  readonly first: 'a' | 'b';
  readonly a: Slice[];
  readonly b: Slice[];
  /** How many times scenarios were run again because a gate failed. */
  readonly repeated: number;
}

export interface PairsOutcome {
  readonly pairs: Pair[];
  readonly metrics: MetricPairs[];
  /** Whether stage 2, where it was asked for, was run to its end. */
  readonly isFinished: boolean;
  readonly isStage2Needed: boolean;
  /** What the audit says against a side: no metric can outweigh that. */
  readonly auditFailures: { readonly side: 'a' | 'b'; readonly reason: string }[];
}

/** A gate that fails by chance is not held against the pair; one that always fails is. */
const REPEATS_PER_PAIR = 1;

export async function runPairs(options: PairsOptions): Promise<PairsOutcome> {
  const { scenarios, stage1Pairs, stage2Pairs, context } = options;
  const { seed, signal, progress } = context;
  const coin = new Random(seed, 'order of a pair');
  const metrics = scenarios.flatMap(({ name, load }) => metricsOf(name, load.mode));
  const pairs: Pair[] = [];
  const auditFailures: { side: 'a' | 'b'; reason: string }[] = [];
  const run = async (stage: 1 | 2, count: number): Promise<boolean> => {
    for (let i = 0; i < count; i++) {
      if (signal.aborted) return false;
      const pair = await runPair(options, {
        stage,
        seed: (seed + pairs.length) & 0x7fffffff,
        first: coin.chance(0.5) ? 'a' : 'b',
      });
      // Half a pair says nothing.
      if (signal.aborted) return false;
      pairs.push(pair);
      noteFailures(pair, auditFailures);
      progress.log(progressLine(pair, { metrics, number: i + 1, count }));
    }
    return true;
  };
  const of = (stage: 1 | 2): Pair[] => pairs.filter((pair) => pair.stage === stage);
  const collected = (): MetricPairs[] =>
    metrics.map((metric) => ({
      metric,
      stage1: valuesOf(metric, of(1)),
      stage2: valuesOf(metric, of(2)),
    }));
  let isFinished = await run(1, stage1Pairs);
  const isStage2Needed = isFinished && collected().some(isFlagged);
  if (isStage2Needed) {
    progress.log('stage 2: something differs; fresh pairs decide');
    isFinished = await run(2, stage2Pairs);
  }
  return { pairs, metrics: collected(), isFinished, isStage2Needed, auditFailures };
}

async function runPair(
  options: PairsOptions,
  { stage, seed, first }: { stage: 1 | 2; seed: number; first: 'a' | 'b' },
): Promise<Pair> {
  const { scenarios, context } = options;
  const order = first === 'a' ? (['a', 'b'] as const) : (['b', 'a'] as const);
  const slices = { a: [] as Slice[], b: [] as Slice[] };
  let repeated = 0;
  for (const scenario of scenarios) {
    for (let attempt = 0; ; attempt++) {
      const taken = {} as Record<'a' | 'b', Slice>;
      for (const side of order) taken[side] = await runSlice(options, side, { scenario, seed });
      const isValid = ![taken.a, taken.b].some(({ verdict }) => verdict === 'invalid');
      if (isValid || attempt === REPEATS_PER_PAIR || context.signal.aborted) {
        slices.a.push(taken.a);
        slices.b.push(taken.b);
        break;
      }
      repeated++;
    }
  }
  return { stage, seed, first, ...slices, repeated };
}

async function runSlice(
  options: PairsOptions,
  side: 'a' | 'b',
  { scenario, seed }: { scenario: LoadScenario; seed: number },
): Promise<Slice> {
  const { program, target, label } = options[side];
  const servers = new ServerYard(options.pinning, [], program ?? undefined);
  const { progress: _, ...context } = options.context;
  const silent = { start() {}, update() {}, phase() {}, end() {}, log() {} };
  try {
    const result = await runLoadOnce(
      { ...context, seed, servers, target, progress: silent },
      scenario,
      null,
    );
    const metrics = metricsOf(scenario.name, scenario.load.mode);
    const isMeasured = result.verdict === 'pass' || result.verdict === 'fail';
    return {
      verdict: result.verdict,
      reasons: result.reasons,
      values: Object.fromEntries(
        metrics.map(({ name, read }) => [name, isMeasured ? read(result) : null]),
      ),
    };
  } catch (error) {
    if (!isUnfit(error)) throw error;
    throw new TargetError(`${side.toUpperCase()} (${label}): ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    await servers.close();
  }
}

/** The pairs in which both sides have a value above 0, which a logarithm needs. */
function valuesOf({ name }: Metric, pairs: readonly Pair[]): PairValue[] {
  const valueIn = (slices: readonly Slice[]): number | null => {
    for (const { values } of slices) if (name in values) return values[name] ?? null;
    return null;
  };
  return pairs.flatMap((pair) => {
    const [a, b] = [valueIn(pair.a), valueIn(pair.b)];
    return a === null || b === null || !(a > 0) || !(b > 0) ? [] : [{ a, b }];
  });
}

function noteFailures(pair: Pair, failures: { side: 'a' | 'b'; reason: string }[]): void {
  for (const side of ['a', 'b'] as const) {
    for (const { verdict, reasons } of pair[side]) {
      if (verdict === 'fail') failures.push({ side, reason: reasons.join('; ') });
    }
  }
}

function progressLine(
  pair: Pair,
  { metrics, number, count }: { metrics: readonly Metric[]; number: number; count: number },
): string {
  const changes = metrics
    .filter(({ tier, name }) => tier < 3 && /serverCpu|throughput/.test(name))
    .flatMap((metric) => {
      const [value] = valuesOf(metric, [pair]);
      if (value === undefined) return [];
      const percent = 100 * (value.b / value.a - 1);
      return [`${metric.name} ${percent < 0 ? '' : '+'}${percent.toFixed(1)} %`];
    });
  const invalid = [...pair.a, ...pair.b].find(({ verdict }) => verdict !== 'pass');
  const note = invalid === undefined ? '' : ` (${invalid.verdict}: ${invalid.reasons.join('; ')})`;
  return `stage ${pair.stage}, pair ${number} of ${count}: ${changes.join(', ')}${note}`;
}
