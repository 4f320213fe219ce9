/**
 * The fuzzer's command line: `npm run fuzz -- [--seconds N] [--target name,…] [--seed N]
 * [--keep]`, or `--replay FILE` for one input of the corpus or of crashes/.
 *
 * Targets run one after the other and share the time. Exit codes: 0 clean, 1 something crashed,
 * 2 usage, 130 interrupted and clean so far.
 */
import { parseArgs } from 'node:util';
import { readInput, targetOfFile } from './corpus.ts';
import { localCoverage } from './coverage.ts';
import { fuzz, type LoopResult } from './loop.ts';
import type { OpenTarget } from './target.ts';
import { Watchdog } from './watchdog.ts';

/** Imported when it is its turn: coverage must have begun before the code under test is loaded. */
const TARGETS: Readonly<Record<string, () => Promise<OpenTarget>>> = {
  codec: async () => (await import('./codec-target.ts')).openCodecTarget,
  gateway: async () => (await import('./gateway-target.ts')).openGatewayTarget,
  client: async () => (await import('./client-target.ts')).openClientTarget,
  config: async () => (await import('./config-target.ts')).openConfigTarget,
  socket: async () => (await import('./socket-target.ts')).openSocketTarget,
  http: async () => (await import('./http-target.ts')).openHttpTarget,
};

const USAGE = `Usage: npm run fuzz -- [flags]
  --seconds N        mutate for so long, all targets together (default 30)
  --target a,b       only these: ${Object.keys(TARGETS).join(', ')}
  --seed N           names the run (default: from the clock)
  --keep             write what reached new code into test/fuzz/corpus/
  --replay FILE      run one input and say what happens
Columns: what the corpus reached of the code (functions and blocks of V8's coverage) and of the
target's own decisions. Exit codes: 0 clean, 1 something crashed, 2 usage, 130 interrupted.
`;

interface Flags {
  readonly seconds: number;
  readonly targets: readonly string[];
  readonly seed: number;
  readonly keep: boolean;
  readonly replay: string | undefined;
}

/** Reads the flags, or lists everything that is wrong with them. */
function parseFlags(argv: readonly string[]): Flags | { readonly mistakes: string[] } {
  const mistakes: string[] = [];
  const whole = (name: string, text: string | undefined, fallback: number): number => {
    if (text === undefined) return fallback;
    if (!/^\d{1,9}$/.test(text)) mistakes.push(`--${name} must be a whole number`);
    return Number(text);
  };
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string' },
        target: { type: 'string' },
        seed: { type: 'string' },
        keep: { type: 'boolean', default: false },
        replay: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    const targets = [...new Set(values.target?.split(',') ?? Object.keys(TARGETS))];
    for (const name of targets) {
      if (!Object.hasOwn(TARGETS, name)) mistakes.push(`no target ${name}`);
    }
    const flags: Flags = {
      seconds: whole('seconds', values.seconds, 30),
      targets,
      seed: whole('seed', values.seed, Date.now() % 1_000_000_000),
      keep: values.keep,
      replay: values.replay,
    };
    return mistakes.length > 0 ? { mistakes } : flags;
  } catch (error) {
    return { mistakes: [(error as Error).message] };
  }
}

let isStopped = false;

async function runTarget(name: string, flags: Flags, watchdog: Watchdog): Promise<LoopResult> {
  const local = localCoverage();
  const open = await (TARGETS[name] as () => Promise<OpenTarget>)();
  const target = await open();
  const coverage = target.coverage === undefined ? local : await target.coverage();
  if (coverage !== local) local.close();
  watchdog.watch(name);
  try {
    const result = await fuzz(target, {
      name,
      seed: flags.seed,
      seconds: flags.seconds / flags.targets.length,
      isKeeping: flags.keep,
      coverage,
      onInput: (input) => watchdog.onInput(input),
      isStopped: () => isStopped,
    });
    return result;
  } finally {
    watchdog.rest();
    coverage.close();
    await target.close?.();
  }
}

function report(result: LoopResult): void {
  const { name, executions, elapsedS, reached, crashes } = result;
  const columns = [
    name.padEnd(8),
    `${executions} executions`,
    `${Math.round(executions / elapsedS)}/s`,
    `corpus ${result.corpusInputs} (${result.corpusBytes} B)`,
    `functions ${reached.functions}/${reached.functionsKnown}`,
    `blocks ${reached.blocks}/${reached.blocksKnown}`,
    `decisions ${result.seen}`,
    ...(result.note === '' ? [] : [result.note]),
    `crashes ${crashes.length}`,
  ];
  process.stdout.write(`${columns.join('  ')}\n`);
  for (const { message, file, description } of crashes) {
    const replay = file === null ? '' : `\nreplay: npm run fuzz -- --replay ${file}`;
    process.stdout.write(`\n${message}\n${description}${replay}\n\n`);
  }
}

async function replay(file: string, watchdog: Watchdog): Promise<number> {
  const name = targetOfFile(file);
  if (name === null || !Object.hasOwn(TARGETS, name)) {
    process.stderr.write(`${file}: no input of a target (crashes/<target>-<hash>.hex)\n`);
    return 2;
  }
  let input;
  try {
    input = readInput(file);
  } catch (error) {
    process.stderr.write(`fuzz: ${(error as Error).message}\n`);
    return 2;
  }
  const target = await (await (TARGETS[name] as () => Promise<OpenTarget>)())();
  process.stdout.write(`${name}: ${target.describe(input)}\n`);
  watchdog.watch(name);
  watchdog.onInput(input);
  try {
    await target.run(input, new Set());
    process.stdout.write('clean\n');
    return 0;
  } catch (error) {
    process.stdout.write(`${(error as Error).stack}\n`);
    return 1;
  } finally {
    watchdog.rest();
    await target.close?.();
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv);
  if ('mistakes' in flags) {
    for (const mistake of flags.mistakes) process.stderr.write(`fuzz: ${mistake}\n`);
    process.stderr.write(USAGE);
    return 2;
  }
  const watchdog = new Watchdog();
  try {
    if (flags.replay !== undefined) return await replay(flags.replay, watchdog);
    process.stdout.write(`seed ${flags.seed}, ${flags.seconds} s\n`);
    let crashes = 0;
    for (const name of flags.targets) {
      if (isStopped) break;
      const result = await runTarget(name, flags, watchdog);
      report(result);
      crashes += result.crashes.length;
    }
    process.stdout.write(`targets: ${flags.targets.length}, crashes: ${crashes}\n`);
    if (crashes > 0) return 1;
    return isStopped ? 130 : 0;
  } finally {
    await watchdog.end();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The first asks for the summary, the second does not wait for it.
    if (isStopped) process.exit(130);
    isStopped = true;
  });
}
process.exitCode = await main(process.argv.slice(2));
