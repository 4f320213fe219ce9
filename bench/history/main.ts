/** `ackbench history`. The table, or JSON, on stdout; what was skipped, and what is wrong, on stderr. */
import { sayMistakes } from '../command-line.ts';
import { ExitCode } from '../../loadgen/index.ts';
import { describeEnvironment, nameOfMachine } from '../environment.ts';
import { counted, printable } from '../units.ts';
import { type HistoryOptions, parseHistoryFlags } from './options.ts';
import { chooseLines, readHistory } from './read.ts';
import { historyFile } from './record.ts';
import { type HistoryReport, reportOf } from './report.ts';
import { seriesOf } from './series.ts';
import { renderHistory } from './table.ts';

/** Runs the command; the exit code. */
export async function history(argv: readonly string[]): Promise<ExitCode> {
  const options = parseHistoryFlags(argv);
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('history', options.mistakes);
  const report = prepare(options);
  if (typeof report === 'string') {
    say(report);
    return ExitCode.Usage;
  }
  process.stdout.write(
    options.isJson ? `${JSON.stringify(report, null, 1)}\n` : printable(renderHistory(report)),
  );
  return ExitCode.Pass;
}

/** The report, or why there is none and what to do. */
function prepare(options: HistoryOptions): HistoryReport | string {
  const file = historyFile(options.outDir);
  const read = readHistory(options.outDir);
  const corrupt = read?.corrupt ?? 0;
  if (corrupt > 0) say(`${file}: ${counted(corrupt, 'line')} could not be read: skipped`);
  if (read === null || read.lines.length === 0) {
    const state = read === null ? 'there is no such file' : 'no runs in it';
    return `${file}: ${state}: \`ackbench bench --keep\` adds one run each time`;
  }
  const chosen = chooseLines(read.lines, {
    wanted: options.machine,
    here: nameOfMachine(describeEnvironment(null)),
    last: options.last,
  });
  if (typeof chosen === 'string') return `${file}: ${chosen}`;
  const { patterns } = options;
  const report = reportOf(chosen, { file, patterns, corrupt });
  if (report.metrics.length > 0) return report;
  const known = seriesOf(chosen.lines).map(({ name }) => name);
  return known.length === 0
    ? `${file}: no run that is looked at has a figure: were they all invalid?`
    : `--metric ${patterns.join(' ')}: no such metric; there are ${known.join(', ')}`;
}

function say(line: string): void {
  process.stderr.write(`history: ${printable(line)}\n`);
}
