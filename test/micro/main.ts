/**
 * `npm run bench:micro`: instructions, bytes and nanoseconds per operation of the hot parts, made
 * to be compared between two commits (docs/MICRO.md). Exit codes: 0 fine, 1 a figure grew or a
 * benchmark failed, 2 usage, 130 interrupted.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchmarkNames } from './catalogue.ts';
import { compare, FORMAT, type MicroResult, parseResult, tableOf } from './result.ts';
import { Runner } from './runner.ts';
import { findTools } from './tools.ts';

const DEFAULT_TOLERANCE_PERCENT = 2;

const USAGE = `Usage: npm run bench:micro -- [flags]
  --filter TEXT      only benchmarks whose name contains TEXT
  --instructions     count instructions too: perf stat, else valgrind (some minutes for all)
  --json FILE        write the figures to FILE
  --compare FILE     compare with an earlier --json; exit 1 when instructions or bytes grew
  --tolerance N      growth that --compare allows in per cent (default ${DEFAULT_TOLERANCE_PERCENT})
  --list             only print the names of the benchmarks
Exit codes: 0 fine, 1 a figure grew or a benchmark failed, 2 usage, 130 interrupted.
`;

interface Flags {
  readonly names: readonly string[];
  readonly countsInstructions: boolean;
  readonly json: string | undefined;
  readonly old: MicroResult | null;
  readonly tolerancePercent: number;
}

/** Reads the flags, or lists everything that is wrong with them. */
function parseFlags(argv: readonly string[], names: readonly string[]): Flags | string[] {
  const mistakes: string[] = [];
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        filter: { type: 'string', default: '' },
        instructions: { type: 'boolean', default: false },
        json: { type: 'string' },
        compare: { type: 'string' },
        tolerance: { type: 'string', default: `${DEFAULT_TOLERANCE_PERCENT}` },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    return [(error as Error).message];
  }
  if (values.help || values.list) {
    process.stdout.write(values.help ? USAGE : `${names.join('\n')}\n`);
    process.exit(0);
  }
  const wanted = names.filter((name) => name.includes(values.filter));
  if (wanted.length === 0) mistakes.push(`no benchmark is called ${values.filter}; try --list`);
  if (!/^\d{1,6}(\.\d{1,6})?$/.test(values.tolerance)) {
    mistakes.push('--tolerance must be a number of per cent, 0 or more');
  }
  const old = values.compare === undefined ? null : readOld(values.compare);
  if (typeof old === 'string') mistakes.push(old);
  if (values.json !== undefined) {
    try {
      // Before minutes of measuring, and without harm to a file that is there.
      writeFileSync(values.json, '', { flag: 'a' });
    } catch (error) {
      mistakes.push(`cannot write --json: ${(error as Error).message}`);
    }
  }
  if (mistakes.length > 0 || typeof old === 'string') return mistakes;
  return {
    names: wanted,
    countsInstructions: values.instructions,
    json: values.json,
    old,
    tolerancePercent: Number(values.tolerance),
  };
}

function readOld(file: string): MicroResult | string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return `cannot read --compare: ${(error as Error).message}`;
  }
  const result = parseResult(text);
  return typeof result === 'string' ? `${file} ${result}` : result;
}

async function main(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv, await benchmarkNames());
  if (Array.isArray(flags)) {
    for (const mistake of flags) process.stderr.write(`micro: ${mistake}\n`);
    process.stderr.write(USAGE);
    return 2;
  }
  const tools = findTools();
  const say = (text: string): void => void process.stderr.write(`micro: ${text}\n`);
  for (const sentence of tools.missing) say(sentence);
  const runner = new Runner(tools);
  process.once('exit', () => runner.close());
  const { countsInstructions } = flags;
  const now: MicroResult = {
    format: FORMAT,
    node: process.version,
    machine: `${process.platform} ${process.arch}, ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    counter: countsInstructions ? (tools.counter?.kind ?? null) : null,
    benchmarks: await runner.measure(flags.names, { countsInstructions, onProgress: say }),
  };
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(now, null, 2)}\n`);
  process.stdout.write(`node ${now.node}, ${now.machine}\n\n${tableOf(now.benchmarks)}\n`);
  if (flags.old === null) return 0;
  const { text, grown } = compare(flags.old, now, flags.tolerancePercent);
  process.stdout.write(`\n${text}\n`);
  for (const figure of grown) say(`grew by more than ${flags.tolerancePercent} %: ${figure}`);
  return grown.length > 0 ? 1 : 0;
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(code));
}
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`micro: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
