/**
 * Runs the pairs of a comparison. One pair = for each scenario fresh servers A and B with the same
 * load and the same arrivals, in two ways:
 *
 *     together   both at once on the same cores: what a message costs (tier 1). Whatever the machine
 *                does, it does to both in the same moment, and CPU is each process's own
 *     alone      one after the other, in an order that a seeded coin decides: how fast it is
 *
 * Servers that run already are loaded alone, for nothing is seen of their CPU
 * (docs/decisions/0015-costs-are-compared-together.md).
 *
 * A slice that fails a validity gate has no number: it is run again in that pair, both sides anew, as
 * often as there is room for, and is left out of the pair after that.
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
  /** Tier 1 alone: no slice in which a server has the machine for itself. */
  readonly isCostsOnly: boolean;
  /** Everything but the side. */
  readonly context: Omit<RunContext, 'servers' | 'target'>;
  readonly pinning: ServerYard['pinning'];
}

type How = 'together' | 'alone';

/** One way in which a scenario is run in a pair, and the metrics that it is run for. */
interface Take {
  readonly scenario: LoadScenario;
  readonly how: How;
  readonly metrics: readonly Metric[];
}

/** Of the reasons in a line of progress; all of them are in the file. */
const REASONS_CHARS_MAX = 200;

/** What one side gave in one of them. */
interface Slice {
  readonly how: How;
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

/** Of what an open loop offers, at least; its share of arrivals scatters by a few per cent. */
const SETTLED_MIN = 0.9;

/** A gate that fails by chance is not held against the pair; one that always fails is. */
const REPEATS_PER_PAIR = 1;

export async function runPairs(options: PairsOptions): Promise<PairsOutcome> {
  const { stage1Pairs, stage2Pairs, context } = options;
  const { seed, signal, progress } = context;
  const coin = new Random(seed, 'order of a pair');
  const takes = takesOf(options);
  const metrics = takes.flatMap((take) => take.metrics);
  const pairs: Pair[] = [];
  const auditFailures: { side: 'a' | 'b'; reason: string }[] = [];
  const run = async (stage: 1 | 2, count: number): Promise<boolean> => {
    for (let i = 0; i < count; i++) {
      if (signal.aborted) return false;
      const pair = await runPair(options, {
        takes,
        stage,
        seed: (seed + pairs.length) & 0x7fffffff,
        first: coin.chance(0.5) ? 'a' : 'b',
      });
      // Half a pair says nothing.
      if (signal.aborted) return false;
      pairs.push(pair);
      noteFailures(pair, auditFailures);
      progress.log(progressLine(pair, { metrics, number: i + 1, count }));
      if (auditFailures.some(({ side }) => side === 'b')) {
        progress.log('B failed its audit: it is worse, whatever else is measured');
        return false;
      }
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
  progress.log(estimateOf(takes, { stage1Pairs, stage2Pairs }));
  let isFinished = await run(1, stage1Pairs);
  const isStage2Needed = isFinished && collected().some(isFlagged);
  if (isStage2Needed) {
    progress.log('stage 2: something differs; fresh pairs decide');
    isFinished = await run(2, stage2Pairs);
  }
  return { pairs, metrics: collected(), isFinished, isStage2Needed, auditFailures };
}

/** What a slice takes beside its load: start, connect, silence at the end. */
const SLICE_OVERHEAD_S = 2.5;

function estimateOf(
  takes: readonly Take[],
  { stage1Pairs, stage2Pairs }: Pick<PairsOptions, 'stage1Pairs' | 'stage2Pairs'>,
): string {
  const pairS = takes.reduce((sum, { scenario, how }) => {
    const sliceS = scenario.durationS + 2 * (scenario.retransmit.maxMs / 1000) + SLICE_OVERHEAD_S;
    return sum + (how === 'together' ? 1 : 2) * sliceS;
  }, 0);
  const minutes = (pairs: number): string => String(Math.ceil((pairs * pairS) / 60));
  return `about ${minutes(stage1Pairs)} min, ${minutes(stage1Pairs + stage2Pairs)} if something differs`;
}

/** Costs first: what is seen of them does not need a quiet machine. */
function takesOf({ a, b, scenarios, isCostsOnly }: PairsOptions): Take[] {
  const isSeen = a.target === null && b.target === null;
  return scenarios.flatMap((scenario) => {
    const all = metricsOf(scenario.name, scenario.load.mode);
    const costs = all.filter(({ tier }) => tier === 1);
    const speeds = all.filter(({ tier }) => tier > 1);
    if (!isSeen) return [{ scenario, how: 'alone' as const, metrics: isCostsOnly ? costs : all }];
    // The gates of latency ask for a generator with a core of its own, which neither has here.
    const cost: Take = {
      scenario: { ...scenario, judged: 'audit' },
      how: 'together',
      metrics: costs,
    };
    return isCostsOnly ? [cost] : [cost, { scenario, how: 'alone', metrics: speeds }];
  });
}

async function runPair(
  options: PairsOptions,
  {
    takes,
    stage,
    seed,
    first,
  }: { takes: readonly Take[]; stage: 1 | 2; seed: number; first: 'a' | 'b' },
): Promise<Pair> {
  const { signal } = options.context;
  const order = first === 'a' ? (['a', 'b'] as const) : (['b', 'a'] as const);
  const slices = { a: [] as Slice[], b: [] as Slice[] };
  let repeated = 0;
  for (const take of takes) {
    for (let attempt = 0; ; attempt++) {
      const run = take.how === 'together' ? runTogether : runInTurn;
      const taken = await run(options, take, { order, seed });
      const isValid = ![taken.a, taken.b].some(({ verdict }) => verdict === 'invalid');
      if (isValid || attempt === REPEATS_PER_PAIR || signal.aborted) {
        slices.a.push(taken.a);
        slices.b.push(taken.b);
        break;
      }
      repeated++;
    }
  }
  return { stage, seed, first, ...slices, repeated };
}

type Taken = Record<'a' | 'b', Slice>;
interface Turn {
  readonly order: readonly ('a' | 'b')[];
  readonly seed: number;
}

async function runInTurn(options: PairsOptions, take: Take, { order, seed }: Turn): Promise<Taken> {
  const taken = {} as Taken;
  for (const side of order) taken[side] = await runSlice(options, side, { take, seed });
  return taken;
}

/** Both at once: neither is loaded before both are ready. */
async function runTogether(
  options: PairsOptions,
  take: Take,
  { order, seed }: Turn,
): Promise<Taken> {
  const start = new Meeting(order.length);
  const taken = {} as Taken;
  const ends = await Promise.allSettled(
    order.map(async (side) => {
      try {
        taken[side] = await runSlice(options, side, { take, seed, start });
      } finally {
        start.leave();
      }
    }),
  );
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return taken;
}

/** Where several wait until all have come; one that leaves is not waited for. */
class Meeting {
  private missing: number;
  private readonly everybody: Promise<void>;
  private open!: () => void;

  constructor(parties: number) {
    this.missing = parties;
    this.everybody = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  arrive(): Promise<void> {
    if (--this.missing <= 0) this.open();
    return this.everybody;
  }

  leave(): void {
    this.open();
  }
}

async function runSlice(
  options: PairsOptions,
  side: 'a' | 'b',
  { take, seed, start }: { take: Take; seed: number; start?: Meeting },
): Promise<Slice> {
  const { scenario, how, metrics } = take;
  const { program, target, label } = options[side];
  const servers = new ServerYard(options.pinning, [], program ?? undefined);
  const silent = { start() {}, update() {}, phase() {}, end() {}, log() {} };
  try {
    const result = await runLoadOnce(
      {
        ...options.context,
        seed,
        servers,
        target,
        progress: silent,
        ...(start && { beforeLoad: () => start.arrive() }),
      },
      scenario,
      null,
    );
    const shortfall = how === 'together' ? shortfallOf(result, scenario) : null;
    const verdict =
      shortfall !== null && result.verdict === 'pass' ? ('invalid' as const) : result.verdict;
    const isMeasured = verdict === 'pass' || verdict === 'fail';
    return {
      how,
      verdict,
      reasons: shortfall === null ? result.reasons : [...result.reasons, shortfall],
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

/** Why the costs of an open loop are those of an overload; null = they are not. */
export function shortfallOf(
  { load: { achievedPerSec } }: Pick<ScenarioResult, 'load'>,
  { load }: Pick<LoadScenario, 'load'>,
): string | null {
  if (load.mode !== 'open') return null;
  const share = achievedPerSec / load.ratePerSec;
  if (share >= SETTLED_MIN) return null;
  const percent = Math.round(100 * share);
  return `only ${percent} % of ${load.ratePerSec}/s were confirmed with both at once: give a lower --rate`;
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
  const note =
    invalid === undefined
      ? ''
      : ` (${invalid.verdict}: ${invalid.reasons.join('; ').slice(0, REASONS_CHARS_MAX)})`;
  return `stage ${pair.stage}, pair ${number} of ${count}: ${changes.join(', ')}${note}`;
}
