/**
 * CSV after RFC 4180: one row per scenario, variant and metric. A metric is the key that the number has
 * in the result file, so that every name can be looked up there. Invalid runs are in it as well; each
 * run has a row `verdict` to filter by. Lines end in LF: tools that split on it would find a CR at the
 * end of every value.
 */
import type { Result, ScenarioResult } from '../result.ts';
import { type NamedScenario, type Run, scenariosOf } from './runs.ts';

const HEADER = ['scenario', 'variant', 'metric', 'unit', 'value'];

/** Keys of a scenario with numbers below them. Lists are left out: per second, that is what ndjson is for. */
const NUMBERS = [
  'load',
  'latency',
  'ledger',
  'dedupe',
  'retransmit',
  'packets',
  'bytes',
  'server',
  'generator',
  'lossBelow',
  'extra',
] as const satisfies readonly (keyof ScenarioResult)[];

export function renderCsv(result: Result): string {
  const rows = [HEADER, ...scenariosOf(result).flatMap(rowsOf)];
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('');
}

function rowsOf({ name, result, runs }: NamedScenario): string[][] {
  const ofVariants = runs.flatMap(runRows);
  // The sum over variants has a verdict of its own; its other figures are theirs.
  return result.variants.length === 0
    ? ofVariants
    : [[name, '', 'verdict', '', result.verdict], ...ofVariants];
}

function runRows({ scenario, variant, result }: Run): string[][] {
  const rows = [[scenario, variant, 'verdict', '', result.verdict]];
  for (const key of NUMBERS) {
    for (const [metric, value] of numbersIn(result[key], key)) {
      rows.push([scenario, variant, metric, unitOf(metric), String(value)]);
    }
  }
  return rows;
}

/** Every number below `value` with its path; null, text and lists have none. */
function numbersIn(value: unknown, path: string): [string, number][] {
  if (typeof value === 'number') return Number.isFinite(value) ? [[path, value]] : [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => numbersIn(inner, `${path}.${key}`));
}

/** By the names of the file, in which numbers carry their units. */
function unitOf(metric: string): string {
  const keys = metric.split('.');
  const [parent = '', leaf = ''] = keys.length > 1 ? keys.slice(-2) : ['', metric];
  const ends = (ending: string): boolean => parent.endsWith(ending) || leaf.endsWith(ending);
  if (leaf === 'count' || keys[0] === 'packets') return '';
  if (parent === 'bytes' || leaf.endsWith('Bytes')) return 'B';
  if (ends('Us') || leaf.startsWith('cpuUs')) return 'us';
  if (ends('Ms')) return 'ms';
  if (/[a-z]S$/.test(leaf)) return 's';
  if (leaf.endsWith('PerSec')) return leaf === 'bytesPerSec' ? 'B/s' : '1/s';
  const isShare = /Ratio$|^ratio$|Share$|^elu|^lossBelow$/.test(leaf) || parent === 'processorTime';
  return isShare ? 'share' : '';
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
