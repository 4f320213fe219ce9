/** Results as files and tables, and the judgement on two of them. */
import type { Measured } from './runner.ts';
import type { Counter } from './tools.ts';

export interface MicroResult {
  readonly format: typeof FORMAT;
  readonly node: string;
  readonly machine: string;
  /** What counted the instructions; null when they were not. */
  readonly counter: Counter | null;
  readonly benchmarks: readonly Measured[];
}

/** Changes when figures of two versions cannot be compared. */
export const FORMAT = 'ackbench micro 1';

/** Growth below it is no growth: tenths of a figure near 0 are not a matter of per cent. */
const SLACK = 0.5;

/** Reads what `--json` wrote; a sentence when `text` is something else. */
export function parseResult(text: string): MicroResult | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'is not JSON';
  }
  const { format, benchmarks } = (value ?? {}) as Partial<MicroResult>;
  if (format !== FORMAT) return `is not a result of this version (format "${FORMAT}")`;
  if (!Array.isArray(benchmarks) || !benchmarks.every(isMeasured)) {
    return 'has benchmarks without a name or figures';
  }
  return value as MicroResult;
}

function isMeasured(value: unknown): value is Measured {
  const { name, instructions, bytes, nsMin, nsMedian } = (value ?? {}) as Partial<Measured>;
  const numbers = [instructions ?? 0, bytes, nsMin, nsMedian];
  return typeof name === 'string' && numbers.every((each) => Number.isFinite(each));
}

export function tableOf(benchmarks: readonly Measured[]): string {
  return table([
    ['benchmark', 'instructions/op', 'bytes/op', 'ns/op min', 'ns/op median'],
    ...benchmarks.map(({ name, instructions, bytes, nsMin, nsMedian }) => {
      return [name, show(instructions), show(bytes), show(nsMin), show(nsMedian)];
    }),
  ]);
}

export interface Comparison {
  readonly text: string;
  /** Figures that grew by more than the tolerance, as `benchmark: metric`. */
  readonly grown: readonly string[];
}

/** Judges instructions and bytes of every benchmark of `now` that `old` has; shows the time. */
export function compare(old: MicroResult, now: MicroResult, tolerancePercent: number): Comparison {
  const notes: string[] = [];
  const isCountedAlike = old.counter !== null && old.counter === now.counter;
  if (old.counter !== now.counter) {
    notes.push(
      `Instructions are not compared: then ${old.counter ?? 'not counted'}, ` +
        `now ${now.counter ?? 'not counted'}.`,
    );
  }
  if (old.node !== now.node) notes.push(`Other node: then ${old.node}, now ${now.node}.`);
  if (old.machine !== now.machine) {
    notes.push(`Other machine: then ${old.machine}, now ${now.machine}.`);
  }
  const grown: string[] = [];
  const lines = [['benchmark', 'per operation', 'old', 'new', 'ratio', '']];
  for (const measured of now.benchmarks) {
    const { name } = measured;
    const before = old.benchmarks.find((each) => each.name === name);
    if (before === undefined) notes.push(`New, not compared: ${name}.`);
    if (before === undefined) continue;
    const judge = (metric: string, then: number | null, figure: number | null): void => {
      if (then === null || figure === null) return;
      const hasGrown = isGrown(then, figure, tolerancePercent);
      if (hasGrown) grown.push(`${name}: ${metric}`);
      lines.push([name, metric, show(then), show(figure), ratio(then, figure), flag(hasGrown)]);
    };
    if (isCountedAlike) judge('instructions', before.instructions, measured.instructions);
    judge('bytes', before.bytes, measured.bytes);
    const { nsMin } = before;
    lines.push([name, 'ns, min', show(nsMin), show(measured.nsMin), ratio(nsMin, measured.nsMin)]);
  }
  return { text: [table(lines), ...notes].join('\n'), grown };
}

export function isGrown(old: number, now: number, tolerancePercent: number): boolean {
  return now > old * (1 + tolerancePercent / 100) + SLACK;
}

function flag(hasGrown: boolean): string {
  return hasGrown ? 'GREW' : '';
}

function show(value: number | null): string {
  return value === null ? '-' : value.toFixed(value < 100 ? 2 : 0);
}

function ratio(old: number, now: number): string {
  return old === 0 ? (now === 0 ? '1.000' : '-') : (now / old).toFixed(3);
}

/** A Markdown table; the first column is text, the others are figures. */
function table([head, ...body]: readonly (readonly string[])[]): string {
  const rows = [head as readonly string[], ...body];
  const widths = (head as readonly string[]).map((_, column) => {
    return Math.max(3, ...rows.map((cells) => (cells[column] ?? '').length));
  });
  const line = (cells: readonly string[]): string => {
    const padded = widths.map((width, column) => {
      const cell = cells[column] ?? '';
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(rows[0] as readonly string[]), line(rule), ...body.map(line)].join('\n');
}
