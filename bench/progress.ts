/**
 * Progress on stderr: on a terminal a bar per scenario and the run so far as small curves, plain lines
 * otherwise (CI, a file, a pipe). The only file that knows the progress library.
 */
import { MultiBar, type SingleBar } from 'cli-progress';
import { grouped, sparkline } from './history/sparkline.ts';
import type { SeriesPoint } from './result.ts';
import { formatCount, formatUs } from './units.ts';

export interface Progress {
  /** `config`: of the load, where there is one; it says what to expect and when. */
  start(name: string, totalS: number, config?: object): void;
  /**
   * `note` is a short live figure, such as the confirmed messages per second. `point` is what is known
   * of a second so far; the same second again replaces it.
   */
  update(elapsedS: number, note: string, point?: SeriesPoint): void;
  phase(text: string): void;
  end(summary: string): void;
  log(line: string): void;
}

const PLAIN_EVERY_S = 5;

export function createProgress(options: { enabled: boolean }): Progress {
  const isTerminal = process.stderr.isTTY === true && process.env['CI'] === undefined;
  if (!options.enabled) return silent();
  return isTerminal ? bars() : plainLines();
}

function silent(): Progress {
  return { start() {}, update() {}, phase() {}, end() {}, log() {} };
}

/** Tells both. */
export function bothOf(one: Progress, other: Progress): Progress {
  return {
    start(...told) {
      one.start(...told);
      other.start(...told);
    },
    update(...told) {
      one.update(...told);
      other.update(...told);
    },
    phase(text) {
      one.phase(text);
      other.phase(text);
    },
    end(summary) {
      one.end(summary);
      other.end(summary);
    },
    log(line) {
      one.log(line);
      other.log(line);
    },
  };
}

function plainLines(): Progress {
  let current = '';
  let lastS = 0;
  const log = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  return {
    start(name, totalS) {
      current = name;
      lastS = 0;
      log(`${name}: started, ${totalS.toFixed(1)} s of load`);
    },
    update(elapsedS, note) {
      if (elapsedS - lastS < PLAIN_EVERY_S) return;
      lastS = elapsedS;
      log(`${current}: ${elapsedS.toFixed(0)} s, ${note}`);
    },
    phase() {},
    end: log,
    log,
  };
}

/** What is left of a line for a curve, between these. */
const CURVE_MIN = 8;
const CURVE_MAX = 60;
const NAME_WIDTH = 11;
const VALUE_WIDTH = 10;

interface Spark {
  readonly name: string;
  readonly read: (point: SeriesPoint) => number;
  /** Of the seconds that share a column: a percentile is never averaged. */
  readonly of: 'mean' | 'worst';
  readonly text: (value: number) => string;
  /** Differences smaller than this share of the highest value are no mountains. */
  readonly calm: number;
}

const SPARKS: readonly Spark[] = [
  {
    name: 'rate',
    read: ({ confirmedPerSec }) => confirmedPerSec,
    of: 'mean',
    text: (value) => `${formatCount(value)}/s`,
    calm: 0.1,
  },
  {
    name: 'p99',
    read: ({ confirmUsP99 }) => confirmUsP99,
    of: 'worst',
    text: formatUs,
    calm: 0.3,
  },
  {
    name: 'in flight',
    read: ({ inflight }) => inflight,
    of: 'mean',
    text: formatCount,
    calm: 0.3,
  },
];

/** The curves of a run as lines of `columns`: name, last value, and all seconds so far. */
export function sparkLines(points: readonly SeriesPoint[], columns: number): string[] {
  const last = points.at(-1);
  if (last === undefined) return [];
  const room = Math.max(CURVE_MIN, Math.min(CURVE_MAX, columns - NAME_WIDTH - VALUE_WIDTH - 6));
  return SPARKS.map(({ name, read, of, text, calm }) => {
    const values = grouped(points, room).map((group) => {
      const all = group.map(read);
      return of === 'worst' ? Math.max(...all) : all.reduce((sum, x) => sum + x, 0) / all.length;
    });
    const curve = sparkline(values, calm * Math.max(...values));
    return `  ${name.padEnd(NAME_WIDTH)}${text(read(last)).padStart(VALUE_WIDTH)}  ${curve}`;
  });
}

function bars(): Progress {
  let all: MultiBar | null = null;
  let bar: SingleBar | null = null;
  let lines: SingleBar[] = [];
  let points: SeriesPoint[] = [];
  let total = 1;
  const write = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  return {
    start(name, totalS) {
      total = Math.max(totalS, 0.1);
      points = [];
      lines = [];
      all = new MultiBar({
        format: `${name.padEnd(18)} {bar} {percentage}% {note}`,
        stream: process.stderr,
        hideCursor: true,
        barsize: 24,
        clearOnComplete: true,
        linewrap: false,
      });
      bar = all.create(total, 0, { note: 'starting' });
    },
    update(elapsedS, note, point) {
      bar?.update(Math.min(elapsedS, total), { note });
      if (point === undefined || all === null) return;
      if (points.at(-1)?.second === point.second) points.pop();
      points.push(point);
      for (const [i, text] of sparkLines(points, process.stderr.columns ?? 80).entries()) {
        lines[i] ??= all.create(1, 0, { text }, { format: '{text}' });
        lines[i].update(0, { text });
      }
    },
    phase(text) {
      bar?.update({ note: text });
    },
    end(summary) {
      all?.stop();
      all = bar = null;
      write(summary);
    },
    log(line) {
      // Above the bars, where there are any, or they would be drawn over it.
      if (all === null) write(line);
      else all.log(`${line}\n`);
    },
  };
}
