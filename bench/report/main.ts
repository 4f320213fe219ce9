/** `ackbench report`. One line about the page on stdout; what is wrong with the files on stderr. */
import { sayMistakes } from '../command-line.ts';
import { ExitCode } from '../../loadgen/index.ts';
import { formatBytes } from '../units.ts';
import { parseReportFlags } from './options.ts';
import { renderPage } from './page-html.ts';
import { readFiles } from './read-files.ts';
import { writeWhole } from '../write-file.ts';

/** Runs the command; the exit code. */
export async function report(argv: readonly string[]): Promise<ExitCode> {
  const options = parseReportFlags(argv);
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('report', options.mistakes);
  const page = readFiles(options.files);
  if ('mistakes' in page) {
    for (const mistake of page.mistakes) say(mistake);
    return ExitCode.Usage;
  }
  const html = renderPage(page);
  try {
    writeWhole(options.outFile, html);
  } catch (error) {
    say(`--out ${options.outFile}: ${(error as Error).message}`);
    return ExitCode.Usage;
  }
  process.stdout.write(`${options.outFile}: ${formatBytes(Buffer.byteLength(html))}\n`);
  return ExitCode.Pass;
}

function say(line: string): void {
  process.stderr.write(`report: ${line}\n`);
}
