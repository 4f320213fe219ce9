/**
 * The hunts on what is made of an audit: the verdict of a run and its reasons, the sum of variants,
 * the validity gates, thresholds. The expected answers are written down a second time, from
 * docs/MEASUREMENT.md alone.
 */
import type { GateInput } from '../../bench/gates.ts';
import type { Gate, ScenarioResult, Verdict } from '../../bench/result.ts';
import { parseScenario } from '../../bench/scenario.ts';
import type { Ledger, SwarmReport } from '../../loadgen/index.ts';
import { LATENCIES, Recorder } from '../../loadgen/index.ts';
import { Kind } from '../../protocol/index.ts';
import { ledgerOf } from '../support/books.ts';
import { GOOD_GATE_INPUT } from '../support/gate-input.ts';
import type { Random } from '../support/random.ts';
import { scenarioResult } from '../support/result.ts';
import { historyOf, truthOf } from './checker-histories.ts';
import { keepBooks, type LedgerModules } from './checker-ledger.ts';
import { randomOf } from './checker-seed.ts';
import type { Rewrites } from './checker-source.ts';

/** Of bench/judge.ts and bench/combine.ts, given only what they look at. */
export type Judge = (input: Record<string, unknown>) => ScenarioResult;
export type Combine = (scenario: unknown, results: ScenarioResult[]) => ScenarioResult;

/** Merging histograms is most of the time of a judgement and none of its matter here. */
export const OPENED: Rewrites = {
  'bench/rig.ts': (source) =>
    source
      .replace('recorder.add(report.latencies[name]);', 'void report;')
      .replace('recorder.summary()', 'undefined as never'),
};

/** The figures that docs/MEASUREMENT.md bounds by 0, and those that no waiting can mend. */
const FATAL = ['duplicated', 'unexpected', 'misrouted', 'corrupt', 'phantom'] as const;
const FATAL_AT_REST = ['lost', 'falseConfirm', 'stuck', ...FATAL] as const;

/** Share of messages without answer and arrival beyond which a run proves nothing. */
const UNANSWERED_SHARE_MAX = 0.005;

const SCENARIO = parseScenario(
  {
    kind: 'load',
    name: 'hunted',
    clients: 10,
    durationS: 2,
    warmupS: 0,
    load: { mode: 'open', ratePerSec: 100 },
    judged: 'audit',
  },
  'a hunt',
);

/** Judges the history of `seed` as the run that it was, and compares verdict, reasons and figures. */
export function huntVerdict(judge: Judge, ledgers: LedgerModules, seed: number): string | null {
  const random = randomOf(seed);
  const drawn = historyOf(seed);
  // Now and then a run in which nothing was sent, or in which the server answered nothing or no.
  const isSilent = random.chance(0.05);
  const isRefused = !isSilent && random.chance(0.1);
  const isAnswered = random.chance(0.5);
  const sends = drawn.happenings.filter((it) => it.do === 'send');
  const refusals = sends.map((it) => ({ ...it, do: 'settle', how: 'failed' }) as const);
  const refused = isAnswered ? [...sends, ...refusals] : sends;
  const happenings = isSilent ? [] : isRefused ? refused : drawn.happenings;
  const history = { ...drawn, happenings, ...(isSilent && { stuck: drawn.stuck.map(() => 0) }) };
  const truth = truthOf(history);
  const isReached = random.chance(0.6);
  const isAborted = random.chance(0.2);
  const isGateFailed = random.chance(0.3);
  const msgR = (truth.figures['attempted'] ?? 0) + random.int(0, 9);
  const kept = history.happenings === drawn.happenings ? reportsOf(ledgers, seed) : null;
  const reports = (kept ?? keepBooks(ledgers, history)).map((report, i) =>
    reportOf(report, i === 0, msgR),
  );

  const result = judge({
    context: { target: null, signal: { aborted: isAborted } },
    scenario: SCENARIO,
    variant: null,
    mode: 'open',
    users: 10,
    reports,
    series: [],
    sockets: { asked: 10, open: isGateFailed ? 9 : 10 },
    loadedMs: 2000,
    quiescence: { reached: isReached, reason: isReached ? '' : 'somebody is away' },
    cpuUs: null,
    rssBytes: null,
    peakRssBytes: null,
  });

  const judged = isReached ? FATAL_AT_REST : FATAL;
  const faults = judged.filter((figure) => truth.figures[figure]! > 0);
  const isFailed = faults.length > 0 || truth.violations.size > 0;
  const { attempted, accepted, unknown, lost } = truth.figures as unknown as Ledger;
  const unanswered = unknown + (isReached ? 0 : lost);
  const isEmpty = accepted === 0 || unanswered / attempted > UNANSWERED_SHARE_MAX;
  const isUnproven = !isReached || isAborted || isEmpty;
  const isInvalid = isGateFailed && !isAborted;
  const expected: Verdict = isFailed
    ? 'fail'
    : isUnproven
      ? 'unknown'
      : isInvalid
        ? 'invalid'
        : 'pass';
  if (result.verdict !== expected) return `verdict: ${result.verdict} instead of ${expected}`;
  const named = result.reasons.flatMap(
    (reason) => /^(\w+): \d+ of \d+ mess/.exec(reason)?.[1] ?? [],
  );
  if (named.sort().join() !== faults.sort().join()) return 'verdict: its reasons';
  if (expected !== 'pass' && result.reasons.length === 0) return 'verdict: no reason';

  const figures = { ...truth.figures } as unknown as Ledger;
  if (!isReached) {
    figures.unknown += figures.lost;
    figures.lost = figures.falseConfirm = figures.stuck = 0;
  }
  const wrong = differenceOf(result.ledger, figures);
  if (wrong !== null) return `oracle: ${wrong}`;
  const lossBelow = isReached ? lossBelowOf(figures.accepted) : null;
  if (result.lossBelow !== lossBelow) return 'oracle: lossBelow';
  if (result.retransmit.count !== msgR - figures.attempted) return 'oracle: retransmit';
  return null;
}

const keptReports = new WeakMap<LedgerModules['swarm'], Map<number, SwarmReport[]>>();

/** The reports of a seed's history, kept per edition of the ledger: most edits are elsewhere. */
function reportsOf(ledgers: LedgerModules, seed: number): SwarmReport[] {
  let kept = keptReports.get(ledgers.swarm);
  if (kept === undefined) keptReports.set(ledgers.swarm, (kept = new Map()));
  let reports = kept.get(seed);
  if (reports === undefined) kept.set(seed, (reports = keepBooks(ledgers, historyOf(seed))));
  return reports;
}

function differenceOf(found: Ledger, expected: Ledger): string | null {
  for (const figure of Object.keys(expected) as (keyof Ledger)[]) {
    if (found[figure] !== expected[figure]) return figure;
  }
  return null;
}

/** 0 lost of n excludes at 95 % a loss of 3 / n and more; of nothing, nothing follows. */
function lossBelowOf(accepted: number): number | null {
  return accepted === 0 ? null : 3 / accepted;
}

const noLatencies = Object.fromEntries(LATENCIES.map((name) => [name, new Recorder().state()]));

function reportOf(report: SwarmReport, isFirst: boolean, msgR: number): SwarmReport {
  const packets: number[] = [];
  if (isFirst) packets[Kind.MsgR] = msgR;
  return {
    ...report,
    latencies: noLatencies as SwarmReport['latencies'],
    packets,
    window: {
      due: 100,
      sent: 100,
      confirmed: 100,
      settledInside: 100,
      inflightAreaUs: 0,
      settledMeanUs: 0,
    },
    health: {
      busyMean: 0.1,
      busyMax: 0.1,
      loopDelayP99Us: 100,
      gcShare: 0,
      cpuUs: 1000,
      elapsedUs: 2e6,
    },
  };
}

const VERDICTS: readonly Verdict[] = ['pass', 'invalid', 'unknown', 'fail'];

/** Sums random variants and compares verdict, figures and what they prove. */
export function huntVariants(combine: Combine, seed: number): string | null {
  const random = randomOf(seed);
  const variants = Array.from({ length: random.int(2, 4) }, (_, i) => {
    const ledger = ledgerOf({});
    if (random.chance(0.8)) {
      for (const figure of Object.keys(ledger) as (keyof Ledger)[]) {
        ledger[figure] = random.int(0, 9);
      }
    }
    const verdict = VERDICTS[random.int(0, random.int(0, 3))]!;
    return scenarioResult({ variant: `v${i}`, verdict, reasons: [`r${i}`], ledger });
  });
  const { verdict, reasons, ledger, lossBelow } = combine(SCENARIO, variants);
  const worst = Math.max(...variants.map((variant) => VERDICTS.indexOf(variant.verdict)));
  if (verdict !== VERDICTS[worst]) return 'variants: verdict';
  if (reasons.join() !== variants.map((_, i) => `v${i}: r${i}`).join()) return 'variants: reasons';
  const sum = ledgerOf({});
  for (const variant of variants) {
    for (const figure of Object.keys(sum) as (keyof Ledger)[]) {
      sum[figure] += variant.ledger[figure];
    }
  }
  const wrong = differenceOf(ledger, sum);
  if (wrong !== null) return `variants: ${wrong}`;
  return lossBelow === lossBelowOf(sum.accepted) ? null : 'variants: lossBelow';
}

/** Ranks random verdicts of a whole run. */
export function huntWorst(
  { worstVerdict }: { worstVerdict(verdicts: readonly Verdict[]): Verdict },
  seed: number,
): string | null {
  const random = randomOf(seed);
  const drawn = Array.from({ length: random.int(0, 4) }, () => VERDICTS[random.int(0, 3)]!);
  const expected = (['fail', 'unknown', 'invalid'] as const).find((it) => drawn.includes(it));
  return worstVerdict(drawn) === (expected ?? 'pass') ? null : 'verdict: the worst of a run';
}

/** Breaks some of the gates' conditions by a little, on either side of the limit. */
function drawGates(random: Random): { input: GateInput; failing: Set<string> } {
  const input: { -readonly [Key in keyof GateInput]: GateInput[Key] } = { ...GOOD_GATE_INPUT };
  const failing = new Set<string>();
  const draw = (id: string, apply: (isBroken: boolean) => void): void => {
    if (!random.chance(0.25)) return;
    const isBroken = random.chance(0.5);
    apply(isBroken);
    if (isBroken) failing.add(id);
  };
  draw('G10', (isBroken) => {
    input.socketsAsked = random.int(1, 100);
    input.socketsOpen = input.socketsAsked - (isBroken ? 1 : 0);
  });
  draw('G2', (isBroken) => (input.sent = isBroken ? 9949 : 9950));
  draw('G7', (isBroken) => {
    const deviation = isBroken ? 0.051 : 0.049;
    const coefficientOfVariation = 1 + (random.chance(0.5) ? deviation : -deviation);
    input.gaps = { ...input.gaps, coefficientOfVariation };
  });
  draw('G1', (isBroken) => {
    // 1 ms, or 5 % of the delivery's p99 where that is more.
    input.deliverUsP99 = random.chance(0.5) ? 200_000 : 4000;
    input.sendLagUsP99 = Math.max(1000, input.deliverUsP99 / 20) + (isBroken ? 1 : 0);
  });
  draw('G3', (isBroken) => (input.busyMean = isBroken ? 0.71 : 0.7));
  draw('G5', (isBroken) => {
    const limitUs = Math.min(5000, Math.max(1000, input.deliverUsP99 / 2));
    input.loopDelayP99Us = limitUs + (isBroken ? 1 : 0);
  });
  draw('G4', (isBroken) => {
    const isStolen = random.chance(0.5);
    const over = isBroken ? 0.001 : 0;
    input.processorTime = isStolen
      ? { stolen: 0.02 + over, others: 0 }
      : { stolen: 0, others: 0.1 + over };
  });
  draw('G9', (isBroken) => {
    const coldUs = isBroken ? 6001 : 6000;
    input.confirmUsP50 = [coldUs, coldUs, ...new Array<number>(8).fill(4000)];
  });
  draw('G6', (isBroken) => (input.gcShare = isBroken ? 0.021 : 0.02));
  draw('G8', (isBroken) => {
    const last = 5 + input.sent * (isBroken ? 0.011 : 0.009);
    input.inflight = [5, 5, 5, 5, 5, 5, 5, last, last, last];
  });
  draw('G11', (isBroken) => {
    input.inflightAreaUs *= 100;
    const deviation = isBroken ? 0.06 : 0.04;
    input.settledMeanUs = 500_000 * (1 + (random.chance(0.5) ? deviation : -deviation));
  });
  return { input, failing };
}

const GATES = 'G10 G2 G7 G7 G1 G3 G3 G5 G6 G4 G4 G8 G8 G8 G9 G11'.split(' ');
const GATES_OF_AUDIT = ['G10', 'G2', 'G7', 'G7'];

/** Judges a run of which it is known which gates it must fail. */
export function huntGates(
  { judgeGates }: { judgeGates(input: GateInput): Gate[] },
  seed: number,
): string | null {
  const random = randomOf(seed);
  const { input, failing } = drawGates(random);
  const kind = random.int(1, 5);
  const judged = kind === 1 ? 'audit' : 'latency';
  const mode = kind === 2 ? 'closed' : kind === 3 ? 'trace' : 'open';
  const applying = mode !== 'open' ? ['G10'] : judged === 'audit' ? GATES_OF_AUDIT : GATES;
  const gates = judgeGates({ ...input, judged, mode });
  const ids = gates.map(({ id }) => id).sort();
  if (ids.join() !== [...applying].sort().join()) return 'gates: those that apply';
  const wrong = ids.find(
    (id) => failing.has(id) !== gates.some((gate) => gate.id === id && !gate.ok),
  );
  return wrong === undefined ? null : `gates: ${wrong}`;
}

interface ThresholdModule {
  parseThreshold(text: string): unknown;
  judgeThreshold(threshold: never, result: ScenarioResult): { ok: boolean } | null;
}

const UNITS: readonly [unit: string, us: number][] = [
  ['', 1],
  ['us', 1],
  ['ms', 1000],
  ['s', 1_000_000],
];

/** A random threshold for a figure whose value is known, above, at or below it. */
export function huntThresholds(
  { parseThreshold, judgeThreshold }: ThresholdModule,
  seed: number,
): string | null {
  const random = randomOf(seed);
  const operator = (['<', '<=', '>', '>=', '=='] as const)[random.int(0, 4)]!;
  const [unit, us] = UNITS[random.int(0, 3)]!;
  const limit = random.int(0, 50);
  const side = random.int(-1, 1);
  const isMissing = random.chance(0.15);
  const isElsewhere = random.chance(0.15);
  const result = scenarioResult({ name: 'here' });
  const value = limit * us + side;
  result.latency.confirmUs = { ...result.latency.confirmUs, p99: isMissing ? null : value };
  const where = isElsewhere ? 'there:' : random.chance(0.5) ? 'here:' : '';
  const threshold = parseThreshold(`${where}confirm.p99${operator}${limit}${unit}`);
  if (typeof threshold === 'string') return 'thresholds: not read';
  const outcome = judgeThreshold(threshold as never, result);
  if (isElsewhere) return outcome === null ? null : "thresholds: another scenario's";
  if (outcome === null) return 'thresholds: not judged';
  const isBelow = side < 0 && operator.startsWith('<');
  const isAbove = side > 0 && operator.startsWith('>');
  const isMet = isBelow || isAbove || (side === 0 && operator.endsWith('='));
  if (isMissing) return outcome.ok ? 'thresholds: without a value' : null;
  return outcome.ok === isMet ? null : `thresholds: ${operator}`;
}
