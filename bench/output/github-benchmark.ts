/**
 * For the action `benchmark-action/github-action-benchmark`: JSON arrays of `name`, `unit`, `value`,
 * `range` and `extra`. A step of the action knows one direction only, so there are two files: the one
 * that was asked for is for `customSmallerIsBetter`, the one beside it for `customBiggerIsBetter`.
 * Both are always written: a file left over from an earlier run would be taken for this one's.
 */
import type { Result } from '../result.ts';
import { type TrackedMetric, trackedMetrics } from './tracked-metrics.ts';

/** `bench.json` -> `bench.bigger.json`. */
export function biggerFileOf(file: string): string {
  return `${file.replace(/\.json$/, '')}.bigger.json`;
}

/** Two JSON documents, `[]` where there is nothing to compare. */
export function renderGithubBenchmark(result: Result): { smaller: string; bigger: string } {
  const metrics = trackedMetrics(result);
  const render = (isLowerBetter: boolean): string => {
    const chosen = metrics.filter((metric) => metric.isLowerBetter === isLowerBetter);
    return `${JSON.stringify(
      chosen.map((metric) => entryOf(metric, result)),
      null,
      2,
    )}\n`;
  };
  return { smaller: render(true), bigger: render(false) };
}

function entryOf(
  { run, figure, unit, value, spread }: TrackedMetric,
  result: Result,
): Record<string, unknown> {
  const { verdict, configHash, load } = run.result;
  return {
    name: `${run.label}.${figure}`,
    unit,
    value: rounded(value),
    ...(spread === null ? {} : { range: `${rounded(spread.lower)} … ${rounded(spread.upper)}` }),
    extra: [
      `verdict ${verdict}`,
      `${load.clients} clients, ${load.sent} messages`,
      `config ${configHash}, seed ${result.seed}`,
    ].join('\n'),
  };
}

/** More digits would be noise in a tooltip. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
