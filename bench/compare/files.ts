/**
 * Two result files side by side. That is one run each, minutes or months apart: it shows figures and
 * their change, and can prove nothing, because a drift of the machine looks like a change of the
 * server. Exit codes: 0, 2 for files that hold nothing to compare.
 */
import { ExitCode } from '../../loadgen/index.ts';
import { cautionOf } from '../caution.ts';
import { columns } from '../columns.ts';
import { ResultShape } from '../report/shape.ts';
import { readJsonFile } from '../json-file.ts';
import { mistakesOf } from '../shape-mistakes.ts';
import type { Result, ScenarioResult } from '../result.ts';
import { printable } from '../units.ts';
import { metricsOf } from './metrics.ts';
import { formatMetric, formatPercent } from './table.ts';

interface Read {
  readonly file: string;
  readonly result: Result;
}

export function compareFiles(fileA: string, fileB: string): { text: string; exitCode: ExitCode } {
  const reads = [fileA, fileB].map(readResult);
  const mistakes = reads.filter((read) => typeof read === 'string');
  if (mistakes.length > 0) {
    return {
      text: mistakes.map((text) => `compare: ${text}\n`).join(''),
      exitCode: ExitCode.Usage,
    };
  }
  const [a, b] = reads as [Read, Read];
  const lines = [`A  ${describe(a)}`, `B  ${describe(b)}`, ''];
  const rows = [['metric', 'A', 'B', 'change']];
  const notes = environmentNotes(a.result, b.result);
  const inB = new Map(flatten(b.result).map((run) => [nameOf(run), run]));
  for (const run of flatten(a.result)) {
    const name = nameOf(run);
    const other = inB.get(name);
    inB.delete(name);
    for (const [side, found] of [
      ['A', run],
      ['B', other],
    ] as const) {
      if (found === undefined) continue;
      const { verdict, reasons } = found;
      if (verdict === 'fail') notes.push(`${name}: ${side} FAILED: ${reasons.join('; ')}`);
      const caution = cautionOf(found);
      if (caution !== null) notes.push(`${name}: ${side} was ${caution}`);
    }
    const why = other === undefined ? 'only in A' : refusal(run, other);
    if (why !== null || other === undefined) {
      notes.push(`${name}: left out: ${why ?? 'only in A'}`);
      continue;
    }
    for (const metric of metricsOf(name, run.load.mode)) {
      const [x, y] = [metric.read(run), metric.read(other)];
      if (x === null || y === null || !(x > 0) || !(y > 0)) continue;
      rows.push([
        metric.name,
        formatMetric(metric.unit, x),
        formatMetric(metric.unit, y),
        `~ (${formatPercent(Math.log(y / x))})`,
      ]);
    }
  }
  for (const name of inB.keys()) notes.push(`${name}: left out: only in B`);
  if (rows.length === 1) {
    const text = [...notes.map((note) => `compare: ${note}\n`), 'compare: nothing to compare\n'];
    return { text: text.join(''), exitCode: ExitCode.Usage };
  }
  lines.push(columns(rows), '', ...notes.map((note) => `! ${note}`));
  lines.push(
    'One run each, at different times: the changes above may be the machine. Nothing is called better',
    'or worse; `ackbench compare <ref> <ref>` runs both in pairs and can tell.',
  );
  return { text: printable(`${lines.join('\n')}\n`), exitCode: ExitCode.Pass };
}

/** The result, or what is wrong with the file. */
function readResult(file: string): Read | string {
  const content = readJsonFile(file);
  if ('mistake' in content) return `${file}: ${content.mistake}`;
  const value = content.value as Partial<Result> & { kind?: string };
  if (typeof value !== 'object' || value === null) return `${file}: is no result file`;
  if (value.kind === 'comparison') return `${file}: is a comparison already, not a result of bench`;
  if (value.schema !== 1 || !Array.isArray(value.scenarios)) {
    return `${file}: is no result file of schema 1`;
  }
  const parsed = ResultShape.safeParse(value);
  if (!parsed.success) return `${file}: is not whole: ${mistakesOf(parsed.error).join('; ')}`;
  return { file, result: value as Result };
}

function describe({ file, result: { commit, startedAt } }: Read): string {
  const changes = commit.dirty ? ' with uncommitted changes' : '';
  return `${file}: ${commit.sha.slice(0, 10)}${changes}, ${startedAt}`;
}

/** Variants stand for themselves; a scenario with variants is only their sum. */
function flatten(result: Result): ScenarioResult[] {
  return result.scenarios.flatMap((run) => (run.variants.length > 0 ? run.variants : [run]));
}

function nameOf({ name, variant }: ScenarioResult): string {
  return variant === null ? name : `${name} ${variant}`;
}

/** Why two runs of one name cannot be held against each other; null when they can. */
function refusal(a: ScenarioResult, b: ScenarioResult): string | null {
  if (a.configHash !== b.configHash) return 'another load: the configurations differ';
  for (const [side, { verdict }] of [
    ['A', a],
    ['B', b],
  ] as const) {
    if (verdict === 'invalid' || verdict === 'unknown') return `${side} is ${verdict}: no numbers`;
  }
  return null;
}

function environmentNotes(a: Result, b: Result): string[] {
  const keys = ['cpuModel', 'cores', 'memoryBytes', 'kernel', 'node', 'uws', 'pinning'] as const;
  return keys
    .filter((key) => a.environment[key] !== b.environment[key])
    .map(
      (key) =>
        `the environments differ: ${key} is ${a.environment[key]} in A, ${b.environment[key]} in B`,
    );
}
