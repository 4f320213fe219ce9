/** `ackbench plan`. Tables on stdout; what is wrong, and where results were written, on stderr. */
import { sayMistakes } from '../command-line.ts';
import { ExitCode } from '../../loadgen/index.ts';
import { type Block, renderMarkdown, renderText } from './blocks.ts';
import { parsePlan, type SharedOptions } from './options.ts';
import { planReportOf } from './report.ts';
import { planBlocks } from './table.ts';
import { writeWhole } from '../write-file.ts';

/** Runs the command; the exit code. */
export async function plan(argv: readonly string[]): Promise<ExitCode> {
  const options = parsePlan(argv);
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('plan', options.mistakes);
  const report = planReportOf(options);
  if ('reasons' in report) {
    for (const reason of report.reasons) process.stderr.write(`plan: ${reason}\n`);
    return ExitCode.Invalid;
  }
  const blocks = planBlocks(report, options.showsAssumptions);
  process.stdout.write(renderText(blocks));
  const isWritten = writeFiles('plan', options, { report, blocks });
  const outcomes = report.plans.map(({ outcome }) => outcome);
  for (const { outcome, source } of report.plans) {
    if (outcome.refusal === null) continue;
    process.stderr.write(`plan: ${source.file}: no node counts: ${outcome.refusal}\n`);
  }
  if (!isWritten || outcomes.some(({ refusal }) => refusal !== null)) return ExitCode.Invalid;
  return outcomes.some(({ chosen }) => chosen === null) ? ExitCode.Failed : ExitCode.Pass;
}

/** The files that were asked for; false, with the reasons on stderr, when a place refused one. */
export function writeFiles(
  command: string,
  { jsonFile, markdownFile }: SharedOptions,
  { report, blocks }: { readonly report: unknown; readonly blocks: readonly Block[] },
): boolean {
  const files: [string, string | null, () => string][] = [
    // JSON knows no infinity: what is never, or impossible, is null.
    ['JSON', jsonFile, () => `${JSON.stringify(report, null, 1)}\n`],
    ['Markdown', markdownFile, () => renderMarkdown(`ackbench ${command}`, blocks)],
  ];
  let isWritten = true;
  for (const [kind, file, text] of files) {
    if (file === null) continue;
    try {
      writeWhole(file, text());
      process.stderr.write(`${kind}: ${file}\n`);
    } catch (error) {
      isWritten = false;
      process.stderr.write(`${command}: cannot write ${file}: ${(error as Error).message}\n`);
    }
  }
  return isWritten;
}
