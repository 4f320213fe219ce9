/**
 * `npm run study -- gates|self|power`: measures how far the bench's own verdicts can be trusted on
 * this machine.
 *
 *     gates   runs whose generator is saturated on purpose, and healthy ones: which are declared invalid?
 *     self    comparisons of a server with itself, a third of them beside a noisy neighbour: how many
 *             false alarms?
 *     power   comparisons with a server whose CPU per message is higher by a planted share: how many
 *             are called worse?
 *
 * Results on stdout, progress on stderr. Exit codes: 0 when the aims of docs/MEASUREMENT.md hold, 1
 * when they do not, 2 for wrong usage, 130. Ctrl-C reports what was done so far.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { describeEnvironment, detectPinning, pinSelf } from '../../bench/environment.ts';
import { interruptible } from '../../bench/interrupt.ts';
import { ExitCode, prepareThreads } from '../../loadgen/index.ts';
import { studyGates } from './gates.ts';
import { studyPower } from './power.ts';
import { studySelf } from './self.ts';
import type { Study, StudyContext } from './study.ts';

const STUDIES: Readonly<Record<string, { run: Study; runs: number }>> = {
  gates: { run: studyGates, runs: 50 },
  self: { run: studySelf, runs: 30 },
  power: { run: studyPower, runs: 12 },
};

const USAGE = `npm run study -- ${Object.keys(STUDIES).join('|')} [--runs N] [--planted PERCENT] [--seed N] [--json FILE]

  gates  ${STUDIES['gates']?.runs} saturated and as many healthy runs: which are declared invalid? About 25 minutes
  self   ${STUDIES['self']?.runs} comparisons of a server with itself: how many false alarms? About 40 minutes
  power  ${STUDIES['power']?.runs} comparisons with a server that uses --planted more CPU: how many are seen? About 25 minutes`;

function usage(mistakes: readonly string[]): never {
  for (const mistake of mistakes) process.stderr.write(`study: ${mistake}\n`);
  process.stderr.write(`${USAGE}\n`);
  process.exit(ExitCode.Usage);
}

async function main(): Promise<ExitCode> {
  const mistakes: string[] = [];
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse();
  } catch (error) {
    return usage([((error as Error).message.split('\n')[0] as string).replace(/\.$/, '')]);
  }
  if (parsed.values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return ExitCode.Pass;
  }
  const { values, positionals } = parsed;
  const [name = ''] = positionals;
  const study = STUDIES[name];
  if (study === undefined || positionals.length > 1) mistakes.push('name one study');
  const number = (text: string | undefined, flag: string, fallback: number): number => {
    const value = text === undefined ? fallback : Number(text);
    if (!(value > 0 && value <= 1000)) mistakes.push(`--${flag} ${text}: from above 0 to 1000`);
    return value;
  };
  const runs = Math.round(number(values.runs, 'runs', study?.runs ?? 1));
  const plantedPercent = number(values.planted, 'planted', 10);
  const seed = number(values.seed, 'seed', 1);
  if (mistakes.length > 0 || study === undefined) return usage(mistakes);
  const signal = interruptible('study', 'reporting what was done so far');
  const pinning = detectPinning();
  const environment = describeEnvironment(pinning); // before pinning, which hides cores
  pinSelf(pinning);
  prepareThreads(2); // two loads at once, at most
  const startMs = performance.now();
  const context: StudyContext = {
    runs,
    plantedShare: plantedPercent / 100,
    seed,
    pinning,
    signal,
    log: (line) => process.stderr.write(`${line}\n`),
  };
  const outcome = await study.run(context);
  const verdict = !outcome.hasJudged
    ? 'NOTHING WAS JUDGED'
    : outcome.ok
      ? 'HOLDS'
      : 'DOES NOT HOLD';
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  const machine = `${environment.cpuModel}, ${environment.cores} cores, ${environment.node}`;
  process.stdout.write(
    `${outcome.lines.join('\n')}\n${verdict}: ${seconds} s, seed ${seed}, ${machine}\n`,
  );
  if (values.json !== undefined) {
    const kept = { kind: 'study', name, environment, seed, runs, ...outcome };
    writeFileSync(values.json, `${JSON.stringify(kept, null, 1)}\n`);
  }
  if (signal.aborted) return ExitCode.Interrupted;
  return outcome.ok ? ExitCode.Pass : ExitCode.Failed;
}

function parse() {
  const text = { type: 'string' } as const;
  return parseArgs({
    options: {
      runs: text,
      planted: text,
      seed: text,
      json: text,
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  });
}

process.exit(await main());
