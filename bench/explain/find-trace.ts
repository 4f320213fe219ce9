/** Finds the trace that is meant: the newest run that has one, and of its scenarios the one named. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { readTraceHeader, TRACE_ENDING, TraceFileError } from './message-trace-file.ts';
import { labelOf } from './save.ts';

/** The file, or a `TraceFileError` that says which there are, or how to make one. */
export async function findTrace(directory: string, scenario: string | null): Promise<string> {
  const names = existsSync(directory)
    ? readdirSync(directory).filter((name) => name.endsWith(TRACE_ENDING))
    : [];
  if (names.length === 0) {
    const advice = '`ackbench bench --scenario lossy --trace-messages` writes one';
    throw new TraceFileError(`${directory}: no message trace there: ${advice}`);
  }
  // Names begin with the instant at which their run started, and go on after the first dot.
  const runOf = (name: string): string => name.slice(0, name.indexOf('.'));
  const runs = [...new Set(names.map(runOf))].toSorted().toReversed();
  const seen: string[] = [];
  for (const run of runs) {
    const own = names.filter((name) => runOf(name) === run).toSorted();
    const traces = await Promise.all(
      own.map(async (name) => {
        const file = path.join(directory, name);
        const header = await readTraceHeader(file);
        return { file, scenario: header.scenario, label: labelOf(header) };
      }),
    );
    const matching = traces.filter(
      (trace) => scenario === null || trace.scenario === scenario || trace.label === scenario,
    );
    const [found] = matching;
    seen.push(...traces.map(({ label }) => label));
    if (found === undefined) continue;
    if (matching.length === 1) return found.file;
    const choice = [...new Set(matching.map(({ label }) => `'${label}'`))];
    const files = matching.map(({ file }) => file);
    throw new TraceFileError(
      choice.length === matching.length
        ? `the run has traces of several loads: add --scenario with one of ${choice.join(', ')}`
        : `the run has several traces of that name: add --trace with one of ${files.join(', ')}`,
    );
  }
  const known = [...new Set(seen)].join(', ');
  throw new TraceFileError(
    `--scenario ${scenario}: no trace of it in ${directory}, only of ${known}`,
  );
}
