/**
 * What every command of this room does with its words: parses them, collects every mistake instead of
 * stopping at the first, and says them. Exit code 2 and no stack trace: they are the user's.
 */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { ExitCode } from '../loadgen/index.ts';
import { IS_CHECKOUT, ROOT_DIR } from './package-root.ts';

/** The words that are no flags; 'done' when the help was asked for and printed. */
export function parseWords(
  command: Command,
  argv: readonly string[],
  mistakes: string[],
): string[] | 'done' {
  command.allowUnknownOption().allowExcessArguments().exitOverride();
  command.configureOutput({ writeErr: () => {} });
  try {
    command.parse(argv, { from: 'user' });
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    if (code === 'commander.helpDisplayed') return 'done';
    mistakes.push(message.replace(/^error: /, ''));
    // Only the last word can miss its value; the others are looked at all the same.
    if (code === 'commander.optionMissingArgument') {
      return parseWords(command, argv.slice(0, -1), mistakes);
    }
  }
  const isFlag = (word: string): boolean => word.startsWith('-') && word !== '-';
  for (const word of command.args) if (isFlag(word)) mistakes.push(`unknown flag ${word}`);
  return command.args.filter((word) => !isFlag(word));
}

/** As `parseWords`, of a command that takes flags alone; false when the help was printed. */
export function parseFlags(command: Command, argv: readonly string[], mistakes: string[]): boolean {
  const words = parseWords(command, argv, mistakes);
  if (words === 'done') return false;
  for (const word of words) mistakes.push(`unexpected word ${word}`);
  return true;
}

export interface NumberRule {
  /** NaN for what is none. */
  readonly parse: (text: string) => number;
  readonly min: number;
  readonly max: number;
  /** How a bound is written. */
  readonly format?: (value: number) => string;
}

/** The value of a flag; null when it was not given, or is a mistake. */
export function numberOf(
  text: string | undefined,
  flag: string,
  { parse, min, max, format = String, mistakes }: NumberRule & { readonly mistakes: string[] },
): number | null {
  if (text === undefined) return null;
  const value = parse(text);
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  const variable = `ACKBENCH_${flag.toUpperCase().replaceAll('-', '_')}`;
  const origin = process.env[variable] === text ? ` (${variable})` : '';
  mistakes.push(`--${flag} ${text}${origin}: must be between ${format(min)} and ${format(max)}`);
  return null;
}

/** A flag, else its variable; an empty one is none. */
export function setting(flag: string | undefined, variable: string): string | undefined {
  const value = process.env[`ACKBENCH_${variable}`];
  return flag ?? (value === '' ? undefined : value);
}

/** The directory of result files: `--out`, `ACKBENCH_OUT`, or `results/`. */
export function outDirOf(flag: string | undefined, mistakes: string[]): string {
  const fallback = path.join(IS_CHECKOUT ? ROOT_DIR : process.cwd(), 'results');
  const outDir = setting(flag, 'OUT') ?? fallback;
  if (outDir === '') mistakes.push('--out: names no directory');
  else if (existsSync(outDir) && !isDirectory(outDir)) {
    mistakes.push(`--out ${outDir}: is not a directory`);
  } else if (!isDirectory(path.dirname(path.resolve(outDir)))) {
    mistakes.push(`--out ${outDir}: its parent directory does not exist`);
  }
  return outDir;
}

function isDirectory(place: string): boolean {
  return existsSync(place) && statSync(place).isDirectory();
}

/** A file that a flag asks for, looked at before the measurement instead of after it. */
export function fileOf(file: string | undefined, flag: string, mistakes: string[]): string | null {
  if (file === undefined) return null;
  const parent = path.dirname(path.resolve(file));
  if (file.trim() === '') mistakes.push(`--${flag}: is empty: give a file`);
  else if (!isDirectory(parent)) {
    mistakes.push(`--${flag} ${file}: its directory does not exist`);
  } else if (isDirectory(file)) {
    mistakes.push(`--${flag} ${file}: is a directory`);
  }
  return file;
}

/** Files that are written must not be those that are read, nor each other: one of two would be lost. */
export function checkOutputs(
  written: Readonly<Record<string, string | null>>,
  read: readonly string[],
  mistakes: string[],
): void {
  const places = new Map(read.map((file) => [path.resolve(file), 'a file to read']));
  for (const [flag, file] of Object.entries(written)) {
    if (file === null) continue;
    const taken = places.get(path.resolve(file));
    if (taken !== undefined) mistakes.push(`--${flag} ${file}: is ${taken} already`);
    places.set(path.resolve(file), `that of --${flag}`);
  }
}

export function sayMistakes(command: string, mistakes: readonly string[]): ExitCode {
  for (const mistake of mistakes) process.stderr.write(`${command}: ${mistake}\n`);
  process.stderr.write('Run with --help to see all flags.\n');
  return ExitCode.Usage;
}
