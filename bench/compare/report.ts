/** The result of a comparison: what is kept in its file, and the verdict of the whole. */
import type { Environment } from '../environment.ts';
import type { FalseAlarms } from './false-alarms.ts';
import type { Pair, PairsOutcome } from './pairs.ts';
import type { SideReport } from './side.ts';
import { judgeMetrics, type MetricOutcome, type MetricVerdict } from './verdict.ts';

export const COMPARE_SCHEMA = 1;

export interface Comparison {
  schema: typeof COMPARE_SCHEMA;
  kind: 'comparison';
  tool: { name: string; version: string };
  startedAt: string;
  durationS: number;
  seed: number;
  interrupted: boolean;
  environment: Environment;
  a: SideReport;
  b: SideReport;
  /** The loads, with all defaults. */
  scenarios: unknown[];
  stage1Pairs: number;
  stage2Pairs: number;
  isStage2Needed: boolean;
  pairs: Pair[];
  metrics: MetricOutcome[];
  /** The worst of the metrics; `worse` as well when the audit failed against B. */
  verdict: MetricVerdict;
  reasons: string[];
  /** Comparisons of a version with itself on this machine; null = none yet. */
  falseAlarms: FalseAlarms | null;
}

/** A quantile without enough samples behind it is no number. */
const TOO_FEW =
  'too few messages for it (a p99 needs 10,000 in the window): give a longer --duration or a higher --rate';

/** What the pairs say, in verdicts. */
export function conclude(outcome: PairsOutcome): {
  metrics: MetricOutcome[];
  verdict: MetricVerdict;
  reasons: string[];
} {
  const metrics = judgeMetrics(outcome.metrics, { isFinished: outcome.isFinished });
  const reasons = outcome.auditFailures.map(
    ({ side, reason }) => `the audit failed against ${side.toUpperCase()}: ${reason}`,
  );
  const invalid = metrics.filter(({ verdict }) => verdict === 'invalid');
  if (invalid.length > 0) {
    reasons.push(`no valid pair for ${invalid.map(({ name }) => name).join(', ')}`);
    const said = commonest(outcome.pairs);
    reasons.push(...(said.length > 0 ? said : [TOO_FEW]));
  }
  const failsB = outcome.auditFailures.some(({ side }) => side === 'b');
  return { metrics, verdict: failsB ? 'worse' : worstOf(metrics), reasons };
}

/** Scenarios of which not one metric could be measured. */
export function unmeasured({ metrics }: Pick<Comparison, 'metrics'>): string[] {
  const names = [...new Set(metrics.map(({ scenario }) => scenario))];
  return names.filter((name) =>
    metrics.every(({ scenario, verdict }) => scenario !== name || verdict === 'invalid'),
  );
}

/** Why slices were not measured: each reason once. */
function commonest(pairs: readonly Pair[]): string[] {
  const said = pairs.flatMap(({ a, b }) =>
    [...a, ...b].filter(({ verdict }) => verdict !== 'pass').flatMap(({ reasons }) => reasons),
  );
  return [...new Set(said)].slice(0, 5);
}

/** worse > invalid > inconclusive > better > same. */
function worstOf(metrics: readonly MetricOutcome[]): MetricVerdict {
  const order = ['worse', 'invalid', 'inconclusive', 'better', 'same'] as const;
  if (metrics.every(({ verdict }) => verdict === 'invalid')) return 'invalid';
  // One metric that could not be measured does not make the others worthless.
  const judged = metrics.filter(({ verdict }) => verdict !== 'invalid');
  return order.find((verdict) => judged.some((metric) => metric.verdict === verdict)) ?? 'same';
}
