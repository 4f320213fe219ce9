/** The flags of `ackbench report`, and every mistake in them. */
import { Command } from 'commander';
import { checkOutputs, fileOf, parseWords } from '../command-line.ts';

export interface ReportOptions {
  readonly files: readonly string[];
  readonly outFile: string;
}

const OUT_DEFAULT = 'report.html';
/** More curves than this nobody can tell apart. */
const FILES_MAX = 12;

function reportCommand(): Command {
  return new Command('ackbench report')
    .argument('[files...]')
    .usage('<file…> [--out report.html]')
    .description(
      'Writes one HTML page with every plot and figure of result files of bench, compare and capacity.\n' +
        'It needs no network. Scenarios of one name are laid over each other.\n' +
        'Exit codes: 0, 2 = wrong usage, or a file that is no result.',
    )
    .option('--out <file>', 'the page', OUT_DEFAULT);
}

/** Flags to options, or all mistakes. */
export function parseReportFlags(
  argv: readonly string[],
): ReportOptions | { mistakes: string[] } | 'done' {
  const command = reportCommand();
  const mistakes: string[] = [];
  const files = parseWords(command, argv, mistakes);
  if (files === 'done') return 'done';
  if (files.length === 0 && mistakes.length === 0) {
    mistakes.push('no file: name the result files, for example results/*.json');
  }
  if (files.length > FILES_MAX) {
    mistakes.push(`${files.length} files: at most ${FILES_MAX} can be told apart on one page`);
  }
  const { out = OUT_DEFAULT } = command.opts<{ out?: string }>();
  fileOf(out, 'out', mistakes);
  checkOutputs({ out }, files, mistakes);
  return mistakes.length > 0 ? { mistakes } : { files, outFile: out };
}
