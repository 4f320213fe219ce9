/**
 * One line per kept run in `history.ndjson`: what was measured, of which commit, on which machine.
 * What must stay true: lines are only ever appended; scenarios that proved nothing have no numbers in
 * them; and figures of one name are of one load, whose hash is in `loads`.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { cautionOf } from '../caution.ts';
import { metricsOf } from '../compare/metrics.ts';
import type { Result, ScenarioResult, Verdict } from '../result.ts';

export const HISTORY_SCHEMA = 1;

/** Numbers of two machines, or of two runtimes, are never in one series. */
interface Machine {
  readonly cpuModel: string;
  readonly cores: number;
  readonly node: string;
}

/** Figures by `scenario[ variant].figure`, all above 0, six significant digits. */
type Figures = Readonly<Record<string, number>>;

export interface HistoryLine {
  readonly schema: typeof HISTORY_SCHEMA;
  /** UTC, ISO 8601. */
  readonly startedAt: string;
  readonly sha: string;
  readonly subject?: string;
  readonly dirty: boolean;
  readonly branch: string;
  readonly machine: Machine;
  readonly verdict: Verdict;
  readonly metrics: Figures;
  /** `configHash` of each `scenario[ variant]`: another load is another series. */
  readonly loads: Readonly<Record<string, string>>;
  /** The same loads on the server of a frozen commit, right after the run. */
  readonly anchor?: { readonly sha: string; readonly metrics: Figures };
}

export function historyFile(directory: string): string {
  return path.join(directory, 'history.ndjson');
}

/** The figures of all that was measured, and the loads they are of. */
export function figuresOf(scenarios: readonly ScenarioResult[]): {
  metrics: Record<string, number>;
  loads: Record<string, string>;
} {
  const metrics: Record<string, number> = {};
  const loads: Record<string, string> = {};
  // Variants stand for themselves; a scenario with variants is only their sum.
  for (const run of scenarios.flatMap((run) => (run.variants.length > 0 ? run.variants : [run]))) {
    if (!isMeasured(run)) continue;
    const name = run.variant === null ? run.name : `${run.name} ${run.variant}`;
    loads[name] = run.configHash;
    // Of a load that nothing but its audit was judged by, and that was disturbed, costs alone are kept.
    const isDisturbed = cautionOf(run) !== null;
    for (const metric of metricsOf(name, run.load.mode)) {
      if (isDisturbed && metric.tier > 1) continue;
      const value = metric.read(run);
      if (value === null || !Number.isFinite(value) || value <= 0) continue;
      metrics[metric.name] = Number(value.toPrecision(6));
    }
  }
  return { metrics, loads };
}

/**
 * A missed threshold judges a number and does not take it away: the run in which a figure went bad
 * is the one that the history needs most.
 */
function isMeasured({ verdict, reasons, thresholds }: ScenarioResult): boolean {
  const missed = thresholds.filter(({ ok }) => !ok).length;
  return verdict === 'pass' || (verdict === 'fail' && missed > 0 && reasons.length === missed);
}

/** The line of a run; `anchor` = what the frozen commit gave beside it. */
export function lineOf(
  result: Result,
  facts: {
    readonly subject: string | null;
    readonly anchor: { readonly sha: string; readonly results: readonly ScenarioResult[] } | null;
  },
): HistoryLine {
  const { commit, environment, startedAt, verdict } = result;
  const { cpuModel, cores, node } = environment;
  const { subject, anchor } = facts;
  return {
    schema: HISTORY_SCHEMA,
    startedAt,
    sha: commit.sha,
    ...(subject !== null && { subject }),
    dirty: commit.dirty,
    branch: commit.branch,
    machine: { cpuModel, cores, node },
    verdict,
    ...figuresOf(result.scenarios),
    ...(anchor !== null && {
      anchor: { sha: anchor.sha, metrics: figuresOf(anchor.results).metrics },
    }),
  };
}

/** Appends to the history in `directory`, which is made if need be; its file. Throws what fs throws. */
export function appendLine(directory: string, line: HistoryLine): string {
  mkdirSync(directory, { recursive: true });
  const file = historyFile(directory);
  // A process that was killed while it wrote must not take the next line with it.
  const isTorn = existsSync(file) && !/(^|\n)$/.test(readFileSync(file, 'utf8').slice(-1));
  appendFileSync(file, `${isTorn ? '\n' : ''}${JSON.stringify(line)}\n`);
  return file;
}
