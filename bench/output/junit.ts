/**
 * JUnit XML as Jenkins, GitLab and GitHub read it: a suite per scenario, and in it the audit, every
 * gate and every threshold as test cases.
 *
 *     failure   the server is at fault: the audit failed, or a threshold was missed
 *     error     nobody is proven guilty: a gate failed (invalid), or nothing was proven (unknown)
 *     skipped   a threshold whose number is that of such a run
 *
 * GitLab keeps one of two cases with the same class and name, so these are unique. The time of a
 * scenario stands at its audit: gates and thresholds are judged in no time.
 */
import { gateReason } from '../gates.ts';
import { type Gate, type Result, type ScenarioResult, worstVerdict } from '../result.ts';
import type { ThresholdOutcome } from '../thresholds.ts';
import { type NamedScenario, reasonsBesideThresholds, scenariosOf, uniqueNames } from './runs.ts';
import { thresholdValue } from './threshold-text.ts';

interface Outcome {
  readonly kind: 'failure' | 'error' | 'skipped';
  /** What kind of failure or error. */
  readonly type: string;
  /** One line. */
  readonly message: string;
  /** All of it. */
  readonly text: string;
}

interface Case {
  readonly name: string;
  /** null = passed. */
  readonly outcome: Outcome | null;
}

interface Suite {
  readonly name: string;
  readonly timeS: number;
  readonly properties: readonly (readonly [string, string])[];
  readonly cases: readonly Case[];
}

export function renderJunit(result: Result): string {
  const suites = scenariosOf(result).map((scenario) => suiteOf(scenario, result));
  const unexplained = runCase(result);
  if (unexplained !== null) {
    suites.push({ name: 'run', timeS: 0, properties: [], cases: [unexplained] });
  }
  const totals = countsOf(suites.flatMap(({ cases }) => cases));
  const timestamp = result.startedAt.slice(0, 19); // the schema knows neither fractions nor zones
  const root = attributes({ name: 'ackbench', ...totals, time: result.durationS, timestamp });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${root}>`,
    ...suites.flatMap((suite) => suiteLines(suite, timestamp)),
    '</testsuites>',
    '',
  ].join('\n');
}

/** What the verdict of the whole says and no scenario does: some could not be run. */
function runCase({ verdict, scenarios, interrupted }: Result): Case | null {
  if (worstVerdict(scenarios.map((scenario) => scenario.verdict)) === verdict) return null;
  const message = interrupted
    ? 'interrupted: scenarios are missing or incomplete'
    : 'a scenario could not be run; stderr says why';
  return { name: 'all scenarios were run', outcome: problem('error', verdict, [message]) };
}

function suiteOf({ name, result, runs, isComparable }: NamedScenario, whole: Result): Suite {
  const uniqueName = uniqueNames();
  const cases: Case[] = [];
  for (const { variant, result: run } of runs) {
    const prefix = variant === '' ? '' : `${variant}: `;
    cases.push({ name: uniqueName(`${prefix}audit`), outcome: auditOutcome(run) });
    for (const gate of run.gates) {
      const gateName = uniqueName(`${prefix}${gate.id} ${gate.name}`);
      cases.push({ name: gateName, outcome: gateOutcome(gate, run) });
    }
  }
  if (result.variants.length > 0) {
    cases.push({ name: uniqueName('all variants'), outcome: sumOutcome(result) });
  }
  for (const threshold of result.thresholds) {
    cases.push({
      name: uniqueName(`threshold ${threshold.threshold}`),
      outcome: thresholdOutcome(threshold, result, isComparable),
    });
  }
  const elapsedS = result.extra['elapsedS'];
  return {
    name,
    timeS: typeof elapsedS === 'number' ? elapsedS : 0,
    properties: [
      ['verdict', result.verdict],
      ['policy', result.target.policy],
      ['store', result.target.store],
      ['configHash', result.configHash],
      ['seed', String(whole.seed)],
      ['version', whole.tool.version],
      ['commit', whole.commit.sha],
    ],
    cases,
  };
}

/** Everything that is wrong with a run and is neither a gate's nor a threshold's. */
function auditOutcome(run: ScenarioResult): Outcome | null {
  const { verdict, gates, thresholds, examples } = run;
  const failedGates = gates.filter(({ ok }) => !ok);
  const ofGates = new Set(failedGates.map(gateReason));
  const reasons = reasonsBesideThresholds(run).filter((reason) => !ofGates.has(reason));
  switch (verdict) {
    case 'pass':
      return null;
    case 'fail':
      // By a threshold alone: the audit passed.
      if (reasons.length === 0 && thresholds.some(({ ok }) => !ok)) return null;
      return problem('failure', 'audit', [...reasons, ...examples]);
    case 'unknown':
      return problem('error', 'unknown', reasons);
    case 'invalid':
      if (reasons.length === 0 && failedGates.length > 0) return null;
      return problem('error', 'invalid', reasons);
    default:
      return verdict satisfies never;
  }
}

/** Of a scenario with variants: what its verdict says and none of theirs does. */
function sumOutcome(scenario: ScenarioResult): Outcome | null {
  const { verdict, variants, thresholds } = scenario;
  const known = worstVerdict([
    ...variants.map((variant) => variant.verdict),
    ...(thresholds.some(({ ok }) => !ok) ? (['fail'] as const) : []),
  ]);
  if (worstVerdict([known, verdict]) === known) return null;
  const kind = verdict === 'fail' ? 'failure' : 'error';
  return problem(kind, verdict, [...reasonsBesideThresholds(scenario), ...scenario.examples]);
}

function gateOutcome(gate: Gate, { reasons }: ScenarioResult): Outcome | null {
  if (gate.ok) return null;
  const reason = gateReason(gate);
  // Of what was interrupted, no gate is asked for.
  const kind = reasons.includes(reason) ? 'error' : 'skipped';
  return problem(kind, 'invalid', [reason, `value ${gate.value}, limit ${gate.limit}`]);
}

function thresholdOutcome(
  threshold: ThresholdOutcome,
  scenario: ScenarioResult,
  isJudged: boolean,
): Outcome | null {
  if (!isJudged) {
    const why = 'not judged: the run is invalid or incomplete';
    return problem('skipped', 'threshold', [why, ...reasonsBesideThresholds(scenario)]);
  }
  if (threshold.ok) return null;
  return problem('failure', 'threshold', [`it is ${thresholdValue(threshold)}`]);
}

function problem(kind: Outcome['kind'], type: string, lines: readonly string[]): Outcome {
  const text = lines.join('\n') || type;
  return { kind, type, message: text.split('\n', 1)[0] as string, text };
}

function countsOf(cases: readonly Case[]): Record<string, number> {
  const count = (kind: Outcome['kind']): number =>
    cases.filter(({ outcome }) => outcome?.kind === kind).length;
  return {
    tests: cases.length,
    failures: count('failure'),
    errors: count('error'),
    skipped: count('skipped'),
  };
}

function suiteLines({ name, timeS, properties, cases }: Suite, timestamp: string): string[] {
  const head = attributes({ name, ...countsOf(cases), time: timeS, timestamp });
  const lines = [`  <testsuite${head}>`];
  if (properties.length > 0) {
    lines.push('    <properties>');
    for (const [name, value] of properties) {
      lines.push(`      <property${attributes({ name, value })}/>`);
    }
    lines.push('    </properties>');
  }
  // Jenkins takes what is before the last dot for the package.
  const classname = `ackbench.${name}`;
  for (const [i, { name, outcome }] of cases.entries()) {
    const head = attributes({ classname, name, time: i === 0 ? timeS : 0 });
    if (outcome === null) lines.push(`    <testcase${head}/>`);
    else lines.push(`    <testcase${head}>`, `      ${element(outcome)}`, '    </testcase>');
  }
  lines.push('  </testsuite>');
  return lines;
}

/** GitLab shows the text and not the message, Jenkins both. Ant's schema knows no type of skipped. */
function element({ kind, type, message, text }: Outcome): string {
  const head = attributes(kind === 'skipped' ? { message } : { type, message });
  return `<${kind}${head}>${escape(text)}</${kind}>`;
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => {
      const text = name === 'time' ? (value as number).toFixed(3) : escape(String(value));
      return ` ${name}="${text.replaceAll('\n', '&#10;')}"`;
    })
    .join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Characters that XML 1.0 forbids, even as entities, are replaced. */
function escape(text: string): string {
  return text
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}')
    .replace(/[&<>"']/g, (found) => ENTITIES[found] as string);
}
