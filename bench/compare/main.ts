/**
 * `ackbench compare`. The table on stdout, progress on stderr. Ctrl-C keeps the pairs done so far and
 * reports them; a second one ends at once.
 */
import { appendFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { sayMistakes } from '../command-line.ts';
import { ExitCode, prepareThreads } from '../../loadgen/index.ts';
import { describeEnvironment, detectPinning, pinSelf } from '../environment.ts';
import { interruptible } from '../interrupt.ts';
import { TOOL } from '../package-root.ts';
import { createProgress } from '../progress.ts';
import { isServersFault, isUnfit } from '../rig.ts';
import { CheckoutError, requireSameProtocol } from './checkouts.ts';
import { falseAlarmsOf, noteSelfComparison } from './false-alarms.ts';
import { compareFiles } from './files.ts';
import { type CompareOptions, type CompareWord, parseCompare } from './options.ts';
import { runPairs } from './pairs.ts';
import { COMPARE_SCHEMA, type Comparison, conclude, unmeasured } from './report.ts';
import { describeSide, type Side, sideOfRef } from './side.ts';
import { renderComparison, renderComparisonMarkdown } from './table.ts';
import { writeWhole } from '../write-file.ts';

/** Runs the command; the exit code. */
export async function compare(argv: readonly string[]): Promise<ExitCode> {
  const options = parseCompare(argv);
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('compare', options.mistakes);
  if (options.a.kind === 'file' && options.b.kind === 'file') {
    const { text, exitCode } = compareFiles(options.a.file, options.b.file);
    (exitCode === ExitCode.Usage ? process.stderr : process.stdout).write(text);
    return exitCode;
  }
  const signal = interruptible('compare', 'reporting the pairs done so far');
  try {
    const comparison = await runComparison(options, signal);
    process.stdout.write(renderComparison(comparison));
    const isWritten = keep(comparison, options);
    if (comparison.interrupted) return ExitCode.Interrupted;
    if (comparison.verdict === 'worse') return ExitCode.Failed;
    if (!isWritten) return ExitCode.Invalid;
    // A whole scenario without a number is no green light, whatever the others say.
    const isWhole = comparison.verdict !== 'invalid' && unmeasured(comparison).length === 0;
    return isWhole ? ExitCode.Pass : ExitCode.Invalid;
  } catch (error) {
    if (signal.aborted) return ExitCode.Interrupted;
    if (error instanceof CheckoutError) {
      process.stderr.write(`compare: ${error.message}\n`);
      return ExitCode.Usage;
    }
    if (!isUnfit(error)) throw error;
    process.stderr.write(`compare: ${(error as Error).message}\n`);
    // A server B that does not start is worse than any A; one A that does not start compares nothing.
    const isFaultOfB = isServersFault(error) && (error as Error).message.startsWith('B ');
    return isFaultOfB ? ExitCode.Failed : ExitCode.Invalid;
  }
}

/** Both sides made ready, the pairs run and judged. For `study` as well. */
export async function runComparison(
  options: Omit<CompareOptions, 'jsonFile' | 'markdownFile'>,
  signal: AbortSignal,
): Promise<Comparison> {
  const progress = createProgress({ enabled: options.progress });
  const startedAt = new Date();
  const startMs = performance.now();
  const ready = { log: progress.log, signal };
  const a = await sideOf(options.a, ready);
  const b = await sideOf(options.b, ready);
  if (a.checkout !== null && b.checkout !== null) requireSameProtocol(a.checkout, b.checkout);
  const pinning = a.target === null && b.target === null ? detectPinning() : null;
  const environment = describeEnvironment(pinning); // before pinning, which hides cores
  pinSelf(pinning);
  const workers = options.workers ?? Math.max(1, environment.cores - 1);
  prepareThreads(2 * workers); // each side has its own when both are loaded at once
  const { scenarios, stage1Pairs, stage2Pairs, isCostsOnly, seed, outDir } = options;
  progress.log(`A: ${a.label}; B: ${b.label}; seed ${seed}`);
  const outcome = await runPairs({
    a,
    b,
    scenarios,
    stage1Pairs,
    stage2Pairs,
    isCostsOnly,
    context: { seed, workers, progress, signal },
    pinning,
  });
  const concluded = conclude(outcome);
  const isInterrupted = signal.aborted;
  if (isSelf(a, b) && !isInterrupted) {
    const changed = concluded.metrics.filter(({ verdict }) => /worse|better/.test(verdict));
    try {
      noteSelfComparison(outDir, {
        environment,
        startedAt: startedAt.toISOString(),
        metrics: concluded.metrics.filter(({ verdict }) => verdict !== 'invalid').length,
        alarms: changed.map(({ name }) => name),
      });
    } catch (error) {
      // The comparison itself must not be lost with it.
      process.stderr.write(`compare: false alarms are not kept: ${(error as Error).message}\n`);
    }
  }
  return {
    schema: COMPARE_SCHEMA,
    kind: 'comparison',
    tool: TOOL,
    startedAt: startedAt.toISOString(),
    durationS: (performance.now() - startMs) / 1000,
    seed,
    interrupted: isInterrupted,
    environment,
    a: describeSide(a),
    b: describeSide(b),
    scenarios,
    stage1Pairs,
    stage2Pairs,
    isStage2Needed: outcome.isStage2Needed,
    pairs: outcome.pairs,
    ...concluded,
    falseAlarms: falseAlarmsOf(outDir, environment),
  };
}

/** The same version, or the same command, on both sides: whatever differs is a false alarm. */
function isSelf(a: Side, b: Side): boolean {
  if (a.checkout !== null) {
    const isClean = !a.checkout.isDirty && b.checkout?.isDirty === false;
    return isClean && a.checkout.sha === b.checkout?.sha;
  }
  return a.program?.kind === 'command' && b.checkout === null && a.label === b.label;
}

async function sideOf(
  word: CompareWord,
  options: { log: (line: string) => void; signal: AbortSignal },
): Promise<Side> {
  if (word.kind === 'side') return word.side;
  return sideOfRef(word.kind === 'ref' ? word.ref : null, options);
}

/** Writes the comparison wherever it can; false when a place refused it. */
function keep(comparison: Comparison, options: CompareOptions): boolean {
  const stamp = comparison.startedAt.replace(/[:.]/g, '-');
  const json = `${JSON.stringify(comparison, null, 1)}\n`;
  const markdown = renderComparisonMarkdown(comparison);
  const files: [string, string][] = [[path.join(options.outDir, `${stamp}-compare.json`), json]];
  if (options.jsonFile !== null) files.push([options.jsonFile, json]);
  if (options.markdownFile !== null) files.push([options.markdownFile, markdown]);
  let isWritten = true;
  const attempt = (what: string, write: () => void): void => {
    try {
      write();
    } catch (error) {
      isWritten = false;
      process.stderr.write(`compare: cannot write ${what}: ${(error as Error).message}\n`);
    }
  };
  for (const [file, text] of files) {
    attempt(file, () => {
      mkdirSync(path.dirname(file), { recursive: true });
      writeWhole(file, text);
      process.stderr.write(`comparison: ${file}\n`);
    });
  }
  const summary = process.env['GITHUB_STEP_SUMMARY'];
  if (summary !== undefined && summary !== '') {
    attempt('the step summary', () => appendFileSync(summary, markdown));
  }
  return isWritten;
}
