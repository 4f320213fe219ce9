/**
 * `ackbench oracle`: measures what is known beforehand, with the bench's own load generator, and
 * says how far off it was.
 *
 *     stall      the reference server is stopped for P of T seconds, arrivals are constant:
 *                the quantile q of accept is P - (1 - q) T
 *     delays     a server that holds each answer back by a known law
 *     queue      a server that is an M/M/1 queue, at three loads, against the closed form
 *     saturation a generator that cannot keep up must be declared invalid
 *
 * Beside it stands the naive figure: a closed loop that waits for an answer before it sends the next
 * message, as most tools do, against the very same server. Exit codes: 0, 1 = a figure is off,
 * 2 = wrong usage, 3 = the machine was too disturbed to tell, 130.
 */
import { Command } from 'commander';
import { ExitCode, prepareThreads } from '../../loadgen/index.ts';
import { fileOf, parseWords, sayMistakes } from '../command-line.ts';
import { describeEnvironment, detectPinning, pinSelf } from '../environment.ts';
import { interruptible } from '../interrupt.ts';
import { createProgress } from '../progress.ts';
import { ServerYard } from '../server-yard.ts';
import {
  delayOracle,
  type Finding,
  queueOracle,
  saturationOracle,
  stallOracle,
} from './oracles.ts';
import { renderFindings } from './table.ts';
import { writeWhole } from '../write-file.ts';

const ORACLES = {
  stall: [stallOracle],
  delays: [
    delayOracle('exponential', { kind: 'exponential', meanMs: 20 }),
    delayOracle('bimodal', {
      kind: 'bimodal',
      first: { atMs: 10, widthMs: 1 },
      second: { atMs: 100, widthMs: 5 },
      share: 0.2,
    }),
  ],
  queue: [queueOracle(0.5), queueOracle(0.7), queueOracle(0.8)],
  saturation: [saturationOracle],
} as const;

/** A run that a gate declared invalid is repeated so often: the machine, not the tool, was at fault. */
const REPEATS_MAX = 2;

export async function oracle(argv: readonly string[]): Promise<ExitCode> {
  const command = new Command('ackbench oracle')
    .argument('[NAME...]', `which: ${Object.keys(ORACLES).join(', ')} (default all)`)
    .description('Measures what is known beforehand, and says how far off the bench was.')
    .option('--quick', 'short runs: fewer quantiles, more chance')
    .option('--seed <n>', 'seed (default 1)')
    .option('--json <file>', 'write the findings to this file')
    .option('--no-progress', 'no progress on stderr');
  const mistakes: string[] = [];
  const words = parseWords(command, argv, mistakes);
  if (words === 'done') return ExitCode.Pass;
  const flags = command.opts<{
    quick?: boolean;
    seed?: string;
    json?: string;
    progress: boolean;
  }>();
  const names = words.length === 0 ? Object.keys(ORACLES) : words;
  for (const name of names) {
    if (!Object.hasOwn(ORACLES, name)) {
      mistakes.push(`${name}: no such oracle; there are ${Object.keys(ORACLES).join(', ')}`);
    }
  }
  const seed = Number(flags.seed ?? 1);
  if (!Number.isSafeInteger(seed) || seed < 0)
    mistakes.push(`--seed ${flags.seed}: a whole number`);
  const jsonFile = fileOf(flags.json, 'json', mistakes);
  if (mistakes.length > 0) return sayMistakes('oracle', mistakes);
  const signal = interruptible('oracle', 'reporting what was found so far');
  const pinning = detectPinning();
  const environment = describeEnvironment(pinning);
  pinSelf(pinning);
  prepareThreads(1);
  const progress = createProgress({ enabled: flags.progress });
  const servers = new ServerYard(pinning, []);
  const context = { seed, workers: 1, servers, target: null, progress, signal };
  const findings: Finding[] = [];
  try {
    for (const name of names as (keyof typeof ORACLES)[]) {
      for (const run of ORACLES[name]) {
        for (let attempt = 0; attempt <= REPEATS_MAX && !signal.aborted; attempt++) {
          const finding = await run({ context, isQuick: flags.quick === true });
          if (finding.invalid.length > 0 && attempt < REPEATS_MAX) {
            progress.log(`${finding.name}: once more: ${finding.invalid.join('; ')}`);
            continue;
          }
          findings.push(finding);
          break;
        }
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await servers.close();
  }
  process.stdout.write(renderFindings(findings, { isInterrupted: signal.aborted }));
  if (jsonFile !== null) {
    const kept = { kind: 'oracle', environment, findings };
    try {
      writeWhole(jsonFile, `${JSON.stringify(kept, null, 1)}\n`);
    } catch (error) {
      process.stderr.write(`oracle: cannot write ${jsonFile}: ${(error as Error).message}\n`);
      return ExitCode.Invalid;
    }
  }
  if (signal.aborted) return ExitCode.Interrupted;
  if (findings.some(({ invalid }) => invalid.length > 0)) return ExitCode.Invalid;
  return findings.every(({ readings, ok }) => ok && readings.every((reading) => reading.ok))
    ? ExitCode.Pass
    : ExitCode.Failed;
}
