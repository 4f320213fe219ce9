/**
 * `ackbench sim`: worlds from seeds, and what became of every message in them.
 *
 *     sim --seeds 1000              many seeds on all cores, each run twice
 *     sim --seed 17                 one seed, shrunk when it fails
 *     sim --seed 17 --explain 12    the life of its 12th message
 *     sim --exhaustive              every state of the small worlds, both policies
 *
 * Results on stdout, progress on stderr. Exit 0 = every promise kept, 1 = one was broken.
 */
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { Outcome, Policy } from '../protocol/index.ts';
import type { MessageRecord } from './checker.ts';
import { searchExhaustively } from './exhaustive.ts';
import { type FleetReport, runFleet } from './fleet.ts';
import { drawPlan } from './plan.ts';
import { describePlan, type RunOutcome, runPlan, runSeed } from './run.ts';
import { shrink } from './shrink.ts';
import { formatLine, lifeOf, type TraceLine } from './trace.ts';

interface SimFlags {
  seeds?: string;
  first?: string;
  seed?: string;
  explain?: string;
  policy?: string;
  threads?: string;
  trace?: boolean;
  exhaustive?: boolean;
  quick?: boolean;
}

interface SimOptions {
  seeds: number;
  first: number;
  seed: number | null;
  explain: string | null;
  policy: Policy | null;
  threads: number;
  trace: boolean;
  exhaustive: boolean;
  quick: boolean;
}

const ExitCode = { Kept: 0, Broken: 1, Usage: 2, Interrupted: 130 } as const;
type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
const SEED_MAX = 0x7fffffff;

function parseFlags(argv: readonly string[]): SimOptions | { mistakes: string[] } | 'done' {
  const command = new Command('ackbench sim')
    .description('Simulates seeded worlds and checks every promise at every event.')
    .option('--seeds <n>', 'how many seeds (default 1000)')
    .option('--first <n>', 'the first of them (default 1)')
    .option('--seed <n>', 'replay this one; a failure is shrunk')
    .option('--explain <id>', 'with --seed: the life of a message, by its number or name 1>2 7:3')
    .option('--trace', 'with --seed: every event')
    .option('--policy <policy>', 'relay or durable (default: the seed chooses)')
    .option('--threads <n>', 'default: one per core')
    .option('--exhaustive', 'every reachable state of the small worlds instead')
    .option('--quick', 'with --exhaustive: the smaller ones only')
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  const mistakes: string[] = [];
  try {
    command.parse(argv, { from: 'user' });
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    if (code === 'commander.helpDisplayed') return 'done';
    mistakes.push(message.replace(/^error: /, ''));
  }
  for (const word of command.args) {
    mistakes.push(word.startsWith('-') ? `unknown flag ${word}` : `unexpected word ${word}`);
  }
  const flags = command.opts<SimFlags>();
  const whole = (text: string | undefined, name: string, max: number): number | null => {
    if (text === undefined) return null;
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= 1 && value <= max) return value;
    mistakes.push(`--${name} ${text}: must be a whole number from 1 to ${max}`);
    return null;
  };
  const policy = Object.values(Policy).find((name) => name === flags.policy) ?? null;
  if (flags.policy !== undefined && policy === null) {
    mistakes.push(`--policy ${flags.policy}: must be relay or durable`);
  }
  const seed = whole(flags.seed, 'seed', SEED_MAX);
  const together = (a: keyof SimFlags, b: keyof SimFlags): void => {
    if (flags[a] === undefined || flags[b] === undefined) return;
    mistakes.push(`--${a} and --${b} do not go together`);
  };
  for (const name of ['seed', 'seeds', 'first', 'threads'] as const) together('exhaustive', name);
  for (const name of ['seeds', 'first', 'threads'] as const) together('seed', name);
  together('explain', 'trace');
  if (flags.seed === undefined && flags.explain !== undefined)
    mistakes.push('--explain needs --seed');
  if (flags.quick === true && flags.exhaustive !== true)
    mistakes.push('--quick needs --exhaustive');
  if (flags.seed === undefined && flags.trace === true) mistakes.push('--trace needs --seed');
  const options: SimOptions = {
    seeds: whole(flags.seeds, 'seeds', 100_000_000) ?? 1000,
    first: whole(flags.first, 'first', SEED_MAX) ?? 1,
    seed,
    explain: flags.explain ?? null,
    policy,
    threads: whole(flags.threads, 'threads', 256) ?? availableParallelism(),
    trace: flags.trace === true,
    exhaustive: flags.exhaustive === true,
    quick: flags.quick === true,
  };
  const last = options.first + options.seeds - 1;
  if (last > SEED_MAX) mistakes.push(`--first and --seeds: the last seed would be ${last}`);
  return mistakes.length > 0 ? { mistakes } : options;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** The command that shows a seed again. */
function replayCommand(seed: number, policy: Policy | null): string {
  return `npm run sim -- --seed ${seed}${policy === null ? '' : ` --policy ${policy}`}`;
}

/** Aborted by the first SIGINT or SIGTERM; what was done is reported. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      process.stderr.write('sim: interrupted\n');
      controller.abort();
    });
  }
  return controller.signal;
}

async function runMany(options: SimOptions): Promise<ExitCode> {
  const signal = interruption();
  const startMs = performance.now();
  let shownMs = startMs;
  let shown = 0;
  const report = await runFleet({
    first: options.first,
    count: options.seeds,
    policy: options.policy,
    threads: options.threads,
    signal,
    onProgress: ({ seeds, failed }) => {
      for (; shown < failed.length; shown++) {
        process.stderr.write(`sim: seed ${failed[shown]?.seed} failed: ${failed[shown]?.check}\n`);
      }
      if (performance.now() - shownMs < 2000) return;
      shownMs = performance.now();
      process.stderr.write(`sim: ${seeds} of ${options.seeds} seeds, ${failed.length} failed\n`);
    },
  });
  if (signal.aborted) print(`interrupted: ${report.seeds} of ${options.seeds} seeds`);
  printReport(report, (performance.now() - startMs) / 1000);
  for (const { seed, check, text } of report.failed.slice(0, 20)) {
    print(`FAILED seed ${seed}: ${check}: ${text}`);
    print(`       replay: ${replayCommand(seed, options.policy)}`);
  }
  const [first] = report.failed;
  if (first !== undefined) printShrunk(runSeed(first.seed, options.policy));
  if (report.failed.length > 0) return ExitCode.Broken;
  if (signal.aborted) return ExitCode.Interrupted;
  return ExitCode.Kept;
}

async function runExhaustive(options: SimOptions): Promise<ExitCode> {
  const signal = interruption();
  const startMs = performance.now();
  const searched = await searchExhaustively({
    signal,
    policies: options.policy === null ? Object.values(Policy) : [options.policy],
    quick: options.quick,
    onWorld: (lines) => lines.forEach(print),
  });
  if (signal.aborted) print('interrupted: not every world was searched');
  for (const { policy, worlds, states, transitions, unsound } of searched) {
    const every = signal.aborted ? '' : 'every one of ';
    print(
      `${policy}: ${counted(worlds, 'world')}, ${every}${counted(states, 'state')} visited by ${counted(transitions, 'transition')}; ${counted(unsound, 'world')} broke a rule`,
    );
  }
  print(`${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  if (searched.some(({ unsound }) => unsound > 0)) return ExitCode.Broken;
  return signal.aborted ? ExitCode.Interrupted : ExitCode.Kept;
}

function printReport(report: FleetReport, seconds: number): void {
  const { seeds, messages, events, virtualMs, absorbed, crashes, struck, failed, hash } = report;
  const hours = (virtualMs / 3_600_000).toFixed(1);
  print(
    `${counted(seeds, 'seed')}, each run twice: ${counted(messages, 'message')}, ${counted(events, 'event')}, ${hours} h of virtual time in ${seconds.toFixed(1)} s`,
  );
  const listed = (counts: ReadonlyMap<string, number>): string[] =>
    [...counts].sort().map(([what, times]) => `${count(times)} × ${what}`);
  const [faults, planned] = [listed(struck), listed(report.planned)];
  print(
    `faults by chance: ${faults.join(', ')}; planned: ${planned.join(', ')}; ${counted(crashes, 'crash', 'crashes')} in all; ${counted(absorbed, 'repeat')} absorbed`,
  );
  print(`${counted(failed.length, 'seed')} broke a promise; hash of all traces ${hash}`);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 seed`, `2 seeds`. */
function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

function runOne(seed: number, options: SimOptions): ExitCode {
  const plan = drawPlan(seed, options.policy);
  const outcome = runPlan(plan, { isRecording: true });
  const again = runPlan(plan, { isRecording: true });
  if (options.explain !== null) return explain(outcome, options.explain);
  print(`seed ${seed}: ${describePlan(plan).join('\n  ')}`);
  if (options.trace) for (const line of outcome.lines) print(formatLine(line));
  const same = outcome.hash === again.hash ? 'the same again' : `again ${again.hash}: NOT THE SAME`;
  print(
    `${counted(outcome.messages.length, 'message')}, ${counted(outcome.events, 'event')}, trace ${outcome.hash} (${same})`,
  );
  if (outcome.violations.length === 0 && outcome.hash === again.hash) {
    print('every promise kept');
    return ExitCode.Kept;
  }
  printShrunk(outcome);
  return ExitCode.Broken;
}

function printShrunk(failing: RunOutcome): void {
  for (const { check, atMs, message, text } of failing.violations.slice(0, 5)) {
    print(`BROKEN at ${atMs.toFixed(1)} ms: ${check}: ${message ?? ''} ${text}`);
  }
  const { plan, outcome, needed, runs } = shrink(failing);
  const [violation] = outcome.violations;
  if (violation === undefined) return;
  print(
    `\nshrunk in ${counted(runs, 'run')} to ${counted(needed, 'step or fault', 'steps and faults')}:`,
  );
  for (const step of plan.steps) {
    const { atMs, do: what, ...rest } = step;
    print(`  ${String(atMs).padStart(6)} ms  ${what} ${JSON.stringify(rest)}`);
  }
  for (const key of new Set(outcome.faultKeys)) print(`             fault: ${key}`);
  const record = outcome.messages.find(({ name }) => name === violation.message);
  const lines = outcome.lines.filter(({ atMs }) => atMs <= violation.atMs);
  const shown = record === undefined ? lines : lifeOf(lines, about(record, outcome));
  print(`\n${violation.check}: ${violation.message ?? ''} ${violation.text}; before it:`);
  for (const line of shown.slice(-TRACE_LINES_MAX)) print(formatLine(line));
}

const TRACE_LINES_MAX = 40;

function about(record: MessageRecord, { plan }: RunOutcome) {
  const { name, from, to } = record;
  return { name, from, to, server: (to - 1) % plan.servers };
}

function explain(outcome: RunOutcome, id: string): ExitCode {
  const index = /^#?\d+$/.test(id) ? Number(id.replace('#', '')) : null;
  const record = outcome.messages.find((one) => one.index === index || one.name === id);
  if (record === undefined) {
    process.stderr.write(
      `sim: --explain ${id}: no such message; seed ${outcome.plan.seed} has 0 … ${outcome.messages.length - 1}\n`,
    );
    return ExitCode.Usage;
  }
  print(`message ${record.index}: ${record.name} "${record.content}" (sender>receiver epoch:seq)`);
  const life = lifeOf(outcome.lines, about(record, outcome));
  const end = life.findLastIndex(({ messages }) => messages.length > 0);
  for (const line of collapse(life.slice(0, end + 1))) print(line);
  const told = toldOf(record);
  const where = record.log === 'none' ? 'not delivered' : 'delivered once';
  print(
    `             ${told}, ${record.isErased ? 'erased by a crash before it was sent' : where}`,
  );
  return outcome.violations.length > 0 ? ExitCode.Broken : ExitCode.Kept;
}

/** What the sender knows in the end. */
function toldOf({ confirmed, outcome }: MessageRecord): string {
  if (confirmed !== null) return `confirmed as ${confirmed}`;
  if (outcome === Outcome.GaveUp) return 'given up by its sender, to whom its fate is unknown';
  return outcome === Outcome.Failed ? 'refused, and its sender knows it' : 'never confirmed';
}

/** Runs of the same text, such as attempts to connect, become one line. */
function collapse(lines: readonly TraceLine[]): string[] {
  const shown: string[] = [];
  for (let i = 0; i < lines.length;) {
    let end = i + 1;
    while (lines[end]?.text === lines[i]?.text) end++;
    const times = end - i;
    shown.push(formatLine(lines[i] as TraceLine) + (times > 1 ? `  (${times} times)` : ''));
    i = end;
  }
  return shown;
}

/** A reader that has seen enough (`| head`) is no failure; a full disk is none of the protocol's. */
function onStdoutError({ code, message }: NodeJS.ErrnoException): never {
  if (code !== 'EPIPE') process.stderr.write(`sim: cannot write: ${message}\n`);
  process.exit(code === 'EPIPE' ? ExitCode.Kept : ExitCode.Usage);
}

/** Entry of the bin. */
export async function main(_name: 'sim', argv: readonly string[]): Promise<void> {
  process.stdout.on('error', onStdoutError);
  const options = parseFlags(argv);
  if (options === 'done') return;
  if ('mistakes' in options) {
    for (const mistake of options.mistakes) process.stderr.write(`sim: ${mistake}\n`);
    process.stderr.write('Run with --help to see all flags.\n');
    process.exitCode = ExitCode.Usage;
    return;
  }
  if (options.exhaustive) process.exitCode = await runExhaustive(options);
  else if (options.seed === null) process.exitCode = await runMany(options);
  else process.exitCode = runOne(options.seed, options);
}
