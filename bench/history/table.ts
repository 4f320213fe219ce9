/**
 * A history for the terminal: a row per metric, below it what changed and which commits are under
 * suspicion. Runs go from left to right, the same run at the same place in every row.
 */
import { columns } from '../columns.ts';
import { formatMetric, formatPercent } from '../compare/table.ts';
import { median } from '../statistics/median.ts';
import { counted } from '../units.ts';
import { type Change, RUNS_MIN, type Suspects } from './changes.ts';
import type { HistoryReport, MetricReport } from './report.ts';
import { grouped, sparkline } from './sparkline.ts';

/** More runs share a block: the median of neighbours. */
const BLOCKS_MAX = 60;

export function renderHistory(report: HistoryReport): string {
  const { metrics, runs } = report;
  const rows = [['metric', 'history', 'first', 'last', 'change'], ...metrics.map(cells)];
  const dirty = grouped(runs, BLOCKS_MAX).map((group) => group.some((run) => run.dirty));
  if (dirty.includes(true)) {
    rows.push(['uncommitted changes', dirty.map((is) => (is ? '*' : ' ')).join('')]);
  }
  const lines = columns(rows).split('\n');
  // The head comes first, so the row of metric i is line i + 1; from the end, to keep the places.
  for (const [i, metric] of [...metrics.entries()].toReversed()) {
    lines.splice(i + 2, 0, ...metric.changes.map((change) => `    ! ${sentence(change, metric)}`));
  }
  return `${[...opening(report), '', ...lines, '', ...closing(report)].join('\n')}\n`;
}

function opening({ file, machine, runs }: HistoryReport): string[] {
  const versions = new Set(runs.map((run) => run.sha)).size;
  const days = [...new Set([runs[0], runs.at(-1)].map((run) => run?.startedAt.slice(0, 10)))];
  return [
    `${file}: ${counted(runs.length, 'run')} of ${counted(versions, 'commit')}, ${days.join(' to ')}`,
    machine,
  ];
}

function cells(metric: MetricReport): string[] {
  const known = metric.values.filter((value) => value !== null);
  const [first, last] = [known[0] as number, known.at(-1) as number];
  const blocks = grouped(metric.values, BLOCKS_MAX).map((group) => {
    const values = group.filter((value) => value !== null);
    return values.length === 0 ? null : median(values);
  });
  const moved = formatPercent(Math.log(last / first));
  return [
    metric.name,
    sparkline(blocks, 2 * metric.delta * median(known)),
    formatValue(metric, first),
    formatValue(metric, last),
    metric.changes.length > 0 ? moved : `~ (${moved})`,
  ];
}

function formatValue({ unit, anchorSha }: MetricReport, value: number): string {
  return anchorSha === null ? formatMetric(unit, value) : `×${value.toFixed(3)}`;
}

function sentence(change: Change, metric: MetricReport): string {
  const { before, after, p, isWorse, suspects } = change;
  const medians = `${formatValue(metric, before)} to ${formatValue(metric, after)}`;
  const verdict = isWorse ? 'worse' : 'better';
  return `${verdict} ${formatPercent(Math.log(after / before))} (${medians}, p ${p.toFixed(4)}): ${suspected(suspects)}`;
}

function suspected({ from, to, straddling }: Suspects): string {
  const range = `${short(from)}..${short(to)}`;
  if (straddling === null) return range;
  const both = `runs of ${short(straddling)} lie on both sides: rather the machine`;
  return from === to ? both : `${both}, else ${range}`;
}

/** A version with its commit abbreviated. */
function short(version: string): string {
  return version.slice(0, 10) + (version.endsWith('*') ? '*' : '');
}

function closing(report: HistoryReport): string[] {
  const { metrics, runs, looked, leftOut } = report;
  const changes = metrics.flatMap((metric) => metric.changes);
  const lines: string[] = [];
  if (looked === 0) {
    lines.push(`No metric has ${RUNS_MIN} runs yet: fewer can show no change.`);
  } else {
    const found = changes.length === 0 ? 'no change' : counted(changes.length, 'change');
    lines.push(
      `${counted(looked, 'metric')} looked at, ${found} found: E-divisive, p by permutation, ` +
        'at most 5 % false ones.',
    );
  }
  const sure = changes.find(({ suspects }) => suspects.straddling === null)?.suspects;
  if (sure !== undefined && ![sure.from, sure.to].some((version) => version.endsWith('*'))) {
    const pair = `${short(sure.from)} ${short(sure.to)}`;
    lines.push(`A suspicion, not a proof: \`ackbench compare ${pair}\` decides.`);
  }
  lines.push(...anchorNote(metrics));
  if (runs.some((run) => run.dirty)) {
    lines.push('* = with uncommitted changes: the commit is not all that was measured.');
  }
  const otherLoads = metrics.filter((metric) => metric.otherLoads > 0);
  if (otherLoads.length > 0) {
    const most = Math.max(...otherLoads.map((metric) => metric.otherLoads));
    lines.push(`Left out (·): up to ${counted(most, 'value')} a metric of another load.`);
  }
  if (leftOut.otherMachines > 0) {
    lines.push(`Left out: ${counted(leftOut.otherMachines, 'run')} of other machines.`);
  }
  return lines;
}

function anchorNote(metrics: readonly MetricReport[]): string[] {
  const divided = metrics.filter(({ anchorSha }) => anchorSha !== null);
  const shas = [...new Set(divided.map(({ anchorSha }) => short(anchorSha as string)))];
  const lines =
    divided.length === 0
      ? []
      : [
          `× = times the same figure of the anchor ${shas.join(', ')}, measured along: the machine's drift cancels.`,
        ];
  if (divided.length < metrics.length) {
    const which = divided.length === 0 ? 'No metric' : 'The others: not every run';
    lines.push(
      `${which} has the same anchor throughout: a drift of the machine looks like a change (bench --keep --anchor REF).`,
    );
  }
  return lines;
}
