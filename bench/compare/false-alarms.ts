/**
 * How often this machine called a version different from itself: every comparison of one version
 * with itself adds a line, and every report prints the rate. A machine on which it is high cannot be
 * trusted with small changes.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Environment, nameOfMachine } from '../environment.ts';

export interface FalseAlarms {
  readonly comparisons: number;
  /** Comparisons in which any metric was called better or worse. */
  readonly alarms: number;
  /** Metrics judged in all of them. */
  readonly metrics: number;
}

/** The last so many comparisons of this machine count. */
const COMPARISONS_MAX = 200;
const FILE = 'self-comparisons.ndjson';

interface Line {
  readonly machine: string;
  readonly startedAt: string;
  readonly metrics: number;
  readonly alarms: readonly string[];
}

export function noteSelfComparison(
  directory: string,
  line: { environment: Environment; startedAt: string; metrics: number; alarms: string[] },
): void {
  const { environment, ...rest } = line;
  mkdirSync(directory, { recursive: true });
  const kept: Line = { machine: nameOfMachine(environment), ...rest };
  appendFileSync(path.join(directory, FILE), `${JSON.stringify(kept)}\n`);
}

/** null when this machine never compared a version with itself. */
export function falseAlarmsOf(directory: string, environment: Environment): FalseAlarms | null {
  const file = path.join(directory, FILE);
  if (!existsSync(file)) return null;
  const machine = nameOfMachine(environment);
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text): Line[] => {
      try {
        const line = JSON.parse(text) as Line;
        return line.machine === machine ? [line] : [];
      } catch {
        return []; // a line that a killed process left half written
      }
    })
    .slice(-COMPARISONS_MAX);
  if (lines.length === 0) return null;
  return {
    comparisons: lines.length,
    alarms: lines.filter(({ alarms }) => alarms.length > 0).length,
    metrics: lines.reduce((sum, { metrics }) => sum + metrics, 0),
  };
}
