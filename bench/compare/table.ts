/** A comparison as text: a table in the manner of benchstat, and as Markdown. */
import { columns } from '../columns.ts';
import { formatBytes, formatCount, formatUs, significant } from '../units.ts';
import { type Comparison, unmeasured } from './report.ts';
import type { SideReport } from './side.ts';
import type { MetricOutcome } from './verdict.ts';

/** `old`, `new`, change with its interval, p, pairs; `~` where no change was proven. */
const HEAD = ['metric', 'A', 'B', 'change', '95 % interval', 'p', 'n', 'sees', 'verdict'];

export function renderComparison(comparison: Comparison): string {
  const { a, b, metrics } = comparison;
  const lines = [`A  ${describe(a)}`, `B  ${describe(b)}`, ''];
  lines.push(columns([HEAD, ...metrics.map(cells)]));
  lines.push('', ...closing(comparison));
  return `${lines.join('\n')}\n`;
}

export function renderComparisonMarkdown(comparison: Comparison): string {
  const { a, b, metrics } = comparison;
  const row = (texts: readonly string[]): string =>
    `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  const lines = [
    `### ackbench compare: ${comparison.verdict}`,
    '',
    `A: ${describe(a)}  `,
    `B: ${describe(b)}`,
    '',
    row(HEAD),
    `|:--|${HEAD.slice(1)
      .map(() => '--:|')
      .join('')}`,
    ...metrics.map((metric) => row(cells(metric))),
    '',
    ...closing(comparison).flatMap((line) => [line, '']),
  ];
  return lines.join('\n');
}

function describe({ label, sha, subject, dirty }: SideReport): string {
  if (sha === null) return label;
  const changes = dirty ? ' with uncommitted changes' : '';
  const name = sha.startsWith(label) ? '' : `${label}, `;
  return `${name}${sha.slice(0, 10)}${changes} "${subject ?? ''}"`;
}

function cells(metric: MetricOutcome): string[] {
  const { name, a, b, meanLog, low, high, p, pairs, verdict, detectable } = metric;
  if (verdict === 'invalid') return [name, '-', '-', '-', '-', '-', String(pairs), '-', verdict];
  const isChanged = verdict === 'worse' || verdict === 'better';
  return [
    name,
    formatMetric(metric.unit, a),
    formatMetric(metric.unit, b),
    isChanged ? formatPercent(meanLog) : `~ (${formatPercent(meanLog)})`,
    low === null || high === null
      ? 'too few pairs'
      : `${formatPercent(low)} … ${formatPercent(high)}`,
    p < 0.001 ? p.toExponential(0) : p.toFixed(3),
    String(pairs),
    detectable === null ? '-' : `${(100 * detectable).toFixed(1)} %`,
    verdict,
  ];
}

/** A figure with its unit. */
export function formatMetric(unit: MetricOutcome['unit'], number: number): string {
  switch (unit) {
    case 'us':
      return formatUs(number);
    case 'B':
      return formatBytes(number);
    case '/s':
      return `${formatCount(number)}/s`;
    default:
      return significant(number);
  }
}

/** A logarithm of a ratio, as the change in per cent. */
export function formatPercent(log: number): string {
  const change = 100 * Math.expm1(log);
  return `${change < 0 ? '' : '+'}${change.toFixed(1)} %`;
}

function closing(comparison: Comparison): string[] {
  const { pairs, verdict, durationS, seed, falseAlarms, isStage2Needed, interrupted } = comparison;
  const inStage = (stage: 1 | 2): number => pairs.filter((pair) => pair.stage === stage).length;
  const lines = comparison.reasons.map((reason) => `! ${reason}`);
  const repeated = pairs.reduce((sum, pair) => sum + pair.repeated, 0);
  const again = repeated === 0 ? '' : `, ${repeated} run again because a gate failed`;
  lines.push(
    `pairs: ${inStage(1)} in stage 1${isStage2Needed ? `, ${inStage(2)} fresh ones in stage 2` : ''}${again}. ` +
      'sees = smallest change that would have been noticed with 80 % chance.',
  );
  lines.push(
    falseAlarms === null
      ? 'false alarms on this machine: not known; compare a version with itself now and then.'
      : `false alarms on this machine: ${falseAlarms.alarms} of ${falseAlarms.comparisons} comparisons of a version with itself.`,
  );
  const note = interrupted ? ' interrupted:' : '';
  const missing = unmeasured(comparison);
  const without =
    missing.length === 0 ? '' : ` ${missing.join(', ')} could not be measured at all;`;
  lines.push(`${verdict.toUpperCase()}:${note}${without} ${durationS.toFixed(0)} s, seed ${seed}`);
  return lines;
}
