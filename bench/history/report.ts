/** What `ackbench history` says: its JSON, of which the table is a picture. */
import { type Changes, type Change, findChanges } from './changes.ts';
import type { Chosen } from './read.ts';
import type { HistoryLine } from './record.ts';
import { type Series, seriesOf } from './series.ts';

const REPORT_SCHEMA = 1;

export interface MetricReport extends Omit<Series, 'figure'> {
  readonly unit: Series['figure']['unit'];
  readonly delta: number;
  readonly isLowerBetter: boolean;
  readonly changes: readonly Change[];
}

export interface HistoryReport {
  readonly schema: typeof REPORT_SCHEMA;
  readonly kind: 'history';
  readonly file: string;
  readonly machine: string;
  /** In the order of time; `values` and `changes[].run` are about them. */
  readonly runs: readonly Omit<
    HistoryLine,
    'schema' | 'machine' | 'metrics' | 'loads' | 'anchor'
  >[];
  readonly metrics: readonly MetricReport[];
  readonly looked: Changes['looked'];
  readonly pMax: Changes['pMax'];
  readonly leftOut: { readonly otherMachines: number; readonly corrupt: number };
}

/** The report on the metrics that match a pattern; all without one. */
export function reportOf(
  { machine, lines, others }: Chosen,
  options: {
    readonly file: string;
    readonly patterns: readonly string[];
    readonly corrupt: number;
  },
): HistoryReport {
  const { file, patterns, corrupt } = options;
  const series = seriesOf(lines).filter(
    ({ name }) => patterns.length === 0 || patterns.some((pattern) => matches(name, pattern)),
  );
  const { bySeries, looked, pMax } = findChanges(series, lines);
  return {
    schema: REPORT_SCHEMA,
    kind: 'history',
    file,
    machine,
    runs: lines.map(({ startedAt, sha, subject, dirty, branch, verdict }) => ({
      startedAt,
      sha,
      ...(subject !== undefined && { subject }),
      dirty,
      branch,
      verdict,
    })),
    metrics: series.map(({ figure, ...rest }, i) => ({
      ...rest,
      ...figure,
      changes: bySeries[i] as Change[],
    })),
    looked,
    pMax,
    leftOut: { otherMachines: others, corrupt },
  };
}

/** A part of the name, or the whole of it where the pattern has a `*` for any text. */
function matches(name: string, pattern: string): boolean {
  if (!pattern.includes('*')) return name.includes(pattern);
  const literal = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${pattern.split('*').map(literal).join('.*')}$`).test(name);
}
