/**
 * The series of a history: one per metric, one value per run. What must stay true: the values of a
 * series are comparable. They are of one load (the newest; runs of another have no value), and either
 * all are divided by the same frozen commit's or none is.
 */
import { type Metric, metricsOf } from '../compare/metrics.ts';
import type { HistoryLine } from './record.ts';

export interface Series {
  /** `scenario[ variant].figure`. */
  readonly name: string;
  readonly figure: Pick<Metric, 'unit' | 'delta' | 'isLowerBetter'>;
  /** One per run, null where it was not measured; divided where `anchorSha` is not null. */
  readonly values: (number | null)[];
  /** The commit that the values are divided by. */
  readonly anchorSha: string | null;
  /** Runs whose value is of another load. */
  readonly otherLoads: number;
}

/** By `.figure`, the end of a metric's name; no figure's is the end of another's. */
const FIGURES = new Map(
  [...metricsOf('', 'open'), ...metricsOf('', 'closed')].map((metric) => [metric.name, metric]),
);

/** All series of the runs, those of the newest run first; figures that are not known are left out. */
export function seriesOf(lines: readonly HistoryLine[]): Series[] {
  const names = new Set(lines.toReversed().flatMap(({ metrics }) => Object.keys(metrics)));
  return [...names].flatMap((name) => {
    const found = [...FIGURES].find(([end]) => name.endsWith(end));
    if (found === undefined) return [];
    const [end, figure] = found;
    return [oneSeries(lines, { name, load: name.slice(0, -end.length), figure })];
  });
}

function oneSeries(
  lines: readonly HistoryLine[],
  { name, load, figure }: { name: string; load: string; figure: Metric },
): Series {
  const isMeasured = ({ metrics }: HistoryLine): boolean => metrics[name] !== undefined;
  const newest = lines.findLast(isMeasured)?.loads[load];
  const isSame = (line: HistoryLine): boolean => isMeasured(line) && line.loads[load] === newest;
  const anchorSha = commonAnchor(lines.filter(isSame), name);
  const valueOf = (line: HistoryLine): number => {
    const value = line.metrics[name] as number;
    return anchorSha === null ? value : value / (line.anchor?.metrics[name] as number);
  };
  return {
    name,
    figure: { unit: figure.unit, delta: figure.delta, isLowerBetter: figure.isLowerBetter },
    values: lines.map((line) => (isSame(line) ? valueOf(line) : null)),
    anchorSha,
    otherLoads: lines.filter((line) => isMeasured(line) && !isSame(line)).length,
  };
}

/** The frozen commit that every run has a value of, if there is one. */
function commonAnchor(lines: readonly HistoryLine[], name: string): string | null {
  const sha = lines[0]?.anchor?.sha;
  const isCommon = lines.every(
    ({ anchor }) => anchor?.sha === sha && anchor?.metrics[name] !== undefined,
  );
  return sha !== undefined && isCommon ? sha : null;
}
