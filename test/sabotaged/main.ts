/**
 * `npm run sabotage -- [NAME…] [--messages N] [--seed N]`: runs the bench against every
 * sabotaged server, or those named, and against the healthy one in the same scenarios.
 *
 * The table on stdout says what the bench found; progress is on stderr. Exit codes: 0 when the bench
 * failed every sabotage by name and passed the healthy server, 1 when it did not, 2 for wrong usage.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { detectionPower } from '../../bench/result.ts';
import { readScenarioFile } from '../../bench/scenario.ts';
import { MUST_BE_ZERO } from '../../loadgen/index.ts';
import { ExitCode } from '../../protocol/index.ts';
import { type RunOrder, type RunOutcome, runAgainst } from './run.ts';
import { exampleOf, missOf, NO_SABOTAGE, type Sabotage, SABOTAGES } from './sabotages.ts';

/** Messages per second that a closed loop is expected to settle; a guess, corrected by trying. */
const SATURATION_PER_SEC = 20_000;
const ATTEMPTS_MAX = 3;

interface Line {
  readonly name: string;
  readonly outcome: RunOutcome;
  /** What the bench did not do and should have; null when all is well. */
  readonly miss: string | null;
  readonly example: string;
}

/** Seconds of load of a scenario, and about how many messages it sends in each. */
function paceOf(scenario: Sabotage['scenario']): { durationS: number; perSec: number } {
  const [first] = readScenarioFile(join(import.meta.dirname, `${scenario}.yaml`)) as unknown[];
  const { durationS, load } = first as { durationS: number; load: { ratePerSec?: number } };
  return { durationS, perSec: load.ratePerSec ?? SATURATION_PER_SEC };
}

/** Runs until the run had at least `messages`, longer every time. */
async function runWith(order: RunOrder, messages: number): Promise<RunOutcome> {
  const { durationS, perSec } = paceOf(order.scenario);
  let seconds = Math.max(durationS, (1.1 * messages) / perSec);
  for (let attempt = 1; ; attempt++) {
    const outcome = await runAgainst({ ...order, durationS: seconds });
    const sent = outcome.scenario?.ledger.attempted ?? 0;
    if (sent === 0 || sent >= messages || attempt === ATTEMPTS_MAX) return outcome;
    seconds *= (1.5 * messages) / sent;
  }
}

async function control(
  scenario: Sabotage['scenario'],
  seed: number,
  messages: number,
): Promise<Line> {
  const outcome = await runWith({ sabotage: NO_SABOTAGE, scenario, seed }, messages);
  const isPassed = outcome.exitCode === ExitCode.Pass;
  const miss = isPassed ? null : `the healthy server did not pass: ${reasonsOf(outcome)}`;
  return { name: `${NO_SABOTAGE} (${scenario})`, outcome, miss, example: '-' };
}

async function attack(sabotage: Sabotage, seed: number, messages: number): Promise<Line> {
  const { name, scenario } = sabotage;
  const needed = Math.max(messages, sabotage.messages ?? 0);
  const outcome = await runWith({ sabotage: name, scenario, seed }, needed);
  const found = outcome.scenario;
  const isFailed = outcome.exitCode === ExitCode.Failed && found !== null;
  const miss = isFailed ? missOf(sabotage, found) : `not failed: ${reasonsOf(outcome)}`;
  const example = (found && exampleOf(sabotage, found)) ?? '-';
  return { name, outcome, miss, example: example.replace('conservation violated: ', '') };
}

function reasonsOf({ exitCode, scenario, stderr }: RunOutcome): string {
  return `exit code ${exitCode}; ${scenario?.reasons.join('; ') ?? stderr.trim()}`;
}

/** `lost 12, falseConfirm 12`: the figures that must be 0 and are not. */
function figuresOf({ scenario }: RunOutcome): string {
  if (scenario === null) return '-';
  const figures = MUST_BE_ZERO.filter((figure) => scenario.ledger[figure] > 0).map(
    (figure) => `${figure} ${scenario.ledger[figure]}`,
  );
  const violated = scenario.reasons.filter((reason) => reason.startsWith('conservation')).length;
  if (violated > 0) figures.push(`laws ${violated}`);
  return figures.length === 0 ? 'all 0' : figures.join(', ');
}

function rowOf({ name, outcome, example }: Line): string[] {
  const { exitCode, scenario, seconds } = outcome;
  return [
    name,
    String(exitCode),
    scenario?.verdict ?? '-',
    (scenario?.ledger.attempted ?? 0).toLocaleString('en'),
    seconds.toFixed(1),
    figuresOf(outcome),
    example,
  ];
}

/** Columns of text, each to the left: the last ones are sentences. */
function aligned(rows: readonly (readonly string[])[]): string {
  const width = (i: number): number => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  const lines = rows.map((row) => row.map((cell, i) => cell.padEnd(width(i))).join('  '));
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

const USAGE = 'Usage: npm run sabotage -- [NAME…] [--messages N] [--seed N]\n';

let isInterrupted = false;

async function main(argv: readonly string[]): Promise<ExitCode> {
  const usage = (mistake: string): ExitCode => {
    process.stderr.write(`sabotage: ${mistake}\n`);
    process.stderr.write(USAGE);
    return ExitCode.Usage;
  };
  let parsed;
  try {
    const options = {
      messages: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    } as const;
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { values, positionals } = parsed;
  if (values.help === true) {
    process.stdout.write(`${USAGE}Names:\n`);
    for (const { name, does } of SABOTAGES) process.stdout.write(`  ${name.padEnd(22)} ${does}\n`);
    return ExitCode.Pass;
  }
  const messages = Number(values.messages ?? 0);
  const seed = Number(values.seed ?? 1);
  if (!Number.isSafeInteger(messages) || messages < 0) return usage('--messages: a whole number');
  if (!Number.isSafeInteger(seed) || seed < 0) return usage('--seed: a whole number');
  const names = SABOTAGES.map(({ name }) => name);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0) return usage(`${unknown.join(', ')}: one of ${names.join(', ')}`);

  const chosen = SABOTAGES.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  );
  const scenarios = [...new Set(chosen.map(({ scenario }) => scenario))];
  const lines: Line[] = [];
  const add = (line: Line): void => {
    lines.push(line);
    process.stderr.write(`${line.name}: ${line.miss ?? 'as it should be'}\n`);
  };
  for (const scenario of scenarios) {
    if (isInterrupted) break;
    const needed = chosen.map((sabotage) =>
      sabotage.scenario === scenario ? (sabotage.messages ?? 0) : 0,
    );
    add(await control(scenario, seed, Math.max(messages, ...needed)));
  }
  for (const sabotage of chosen) {
    if (isInterrupted) break;
    add(await attack(sabotage, seed, messages));
  }

  const head = ['sabotage', 'exit', 'verdict', 'messages', 'seconds', 'not 0', 'named'];
  process.stdout.write(aligned([head, ...lines.map(rowOf)]));
  const missed = lines.filter(({ miss }) => miss !== null);
  for (const { name, miss } of missed) process.stdout.write(`MISSED ${name}: ${miss}\n`);
  for (const { name, outcome } of lines) {
    if (!name.includes('saturation')) continue;
    const { accepted } = outcome.scenario?.ledger ?? { accepted: 0 };
    const chance = detectionPower(accepted).detection[0]?.probability ?? 0;
    // Rounded down: nothing short of certainty is 100 %.
    const percent = Math.min(99.999, Math.floor(chance * 100_000) / 1000);
    const count = accepted.toLocaleString('en');
    process.stdout.write(`${count} messages catch a loss of 1 in 10,000 with ${percent} %\n`);
  }
  if (isInterrupted) return ExitCode.Interrupted;
  return missed.length === 0 ? ExitCode.Pass : ExitCode.Failed;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (isInterrupted) process.exit(ExitCode.Interrupted);
    isInterrupted = true;
    process.stderr.write('sabotage: interrupted; this run ends first (again to quit at once)\n');
  });
}
process.exitCode = await main(process.argv.slice(2));
