/**
 * Reads a history and chooses what belongs together: the lines of one machine and runtime, in the
 * order in which they were measured. A line that is none, because a process was killed while it wrote
 * or because a newer version did, is skipped and counted, never guessed at.
 */
import { readFileSync, statSync } from 'node:fs';
import { nameOfMachine } from '../environment.ts';
import { HISTORY_SCHEMA, type HistoryLine, historyFile } from './record.ts';

interface HistoryRead {
  readonly lines: HistoryLine[];
  /** Lines that could not be read. */
  readonly corrupt: number;
}

/** The history in a directory; null when there is none. */
export function readHistory(directory: string): HistoryRead | null {
  const file = historyFile(directory);
  // A directory of that name is no history either.
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  return isFile ? parseHistory(readFileSync(file, 'utf8')) : null;
}

/** Lines in the order of their start: files of several jobs may have been joined. */
export function parseHistory(text: string): HistoryRead {
  const lines: HistoryLine[] = [];
  let corrupt = 0;
  for (const row of text.split('\n')) {
    if (row.trim() === '') continue;
    const line = parseLine(row);
    if (line === null) corrupt++;
    else lines.push(line);
  }
  lines.sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
  return { lines, corrupt };
}

type Fields<Shape> = { readonly [Key in keyof Shape]?: unknown };

function parseLine(text: string): HistoryLine | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { schema, startedAt, sha, dirty, machine, metrics, loads, anchor } =
    value as Fields<HistoryLine>;
  const isLine =
    schema === HISTORY_SCHEMA &&
    typeof startedAt === 'string' &&
    !Number.isNaN(Date.parse(startedAt)) &&
    typeof sha === 'string' &&
    typeof dirty === 'boolean' &&
    isMachine(machine) &&
    isFigures(metrics) &&
    isObject(loads) &&
    (anchor === undefined || isAnchor(anchor));
  return isLine ? (value as unknown as HistoryLine) : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMachine(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { cpuModel, cores, node } = value as Fields<HistoryLine['machine']>;
  return typeof cpuModel === 'string' && typeof cores === 'number' && typeof node === 'string';
}

function isFigures(value: unknown): boolean {
  if (!isObject(value)) return false;
  return Object.values(value).every((number) => Number.isFinite(number) && (number as number) > 0);
}

function isAnchor(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { sha, metrics } = value as Fields<NonNullable<HistoryLine['anchor']>>;
  return typeof sha === 'string' && isFigures(metrics);
}

export interface Chosen {
  readonly machine: string;
  readonly lines: HistoryLine[];
  /** Lines of other machines. */
  readonly others: number;
}

/**
 * The newest `last` lines of one machine: of `here`, or of the only one whose name contains `wanted`,
 * in any case. Otherwise what is wrong, in words.
 */
export function chooseLines(
  lines: readonly HistoryLine[],
  {
    wanted,
    here,
    last,
  }: { readonly wanted: string | null; readonly here: string; readonly last: number | null },
): Chosen | string {
  const names = [...new Set(lines.map(({ machine }) => nameOfMachine(machine)))];
  const isWanted = (name: string): boolean =>
    wanted === null ? name === here : name.toLowerCase().includes(wanted.toLowerCase());
  const found = names.filter(isWanted);
  const [machine] = found;
  if (machine === undefined) {
    const whose = wanted === null ? `of this machine (${here})` : `of a machine like ${wanted}`;
    return `no run ${whose}; --machine may name one of: ${names.join('; ')}`;
  }
  if (found.length > 1) {
    return `--machine ${wanted}: is said of ${found.length}, and numbers of two machines are no series: ${found.join('; ')}`;
  }
  const own = lines.filter((line) => nameOfMachine(line.machine) === machine);
  return {
    machine,
    lines: last === null ? own : own.slice(-last),
    others: lines.length - own.length,
  };
}
