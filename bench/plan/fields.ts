/**
 * The inputs of a plan: their names in a file, their flags, ranges and defaults. One list, from which the
 * flags, the check of files, the what-if lists and the table of `--assumptions` are made.
 */
import { parseCount, parseDurationMs } from '../units.ts';
import type { PlanInputs } from './formulas.ts';

export type FieldKey = Exclude<keyof PlanInputs, 'machines'>;

export interface Field {
  readonly key: FieldKey;
  readonly flag: string;
  readonly placeholder: string;
  readonly does: string;
  /** Text of a flag to a value; NaN or undefined = not understood. */
  readonly parse: (text: string) => number | string | boolean | undefined;
  readonly min: number;
  readonly max: number;
  /** undefined = the user has to say it, or a preset. */
  readonly fallback: number | string | boolean | undefined;
  readonly choices?: readonly string[];
}

type Parse = Field['parse'];

const number: Parse = (text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN);
const whole: Parse = (text) => (/^\d+$/.test(text) ? Number(text) : NaN);
const share: Parse = (text) => {
  const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(text);
  return percent === null ? number(text) : Number(percent[1]) / 100;
};
/** A share up to 1, or a count above it. */
const shareOrCount: Parse = (text) => (text.endsWith('%') ? share(text) : parseCount(text));
const seconds: Parse = (text) => parseDurationMs(text) / 1000;
/** A duration with its unit, or a plain number of ms: SLOs are thought of in ms. */
const milliseconds: Parse = (text) =>
  /^\d+(\.\d+)?$/.test(text) ? Number(text) : parseDurationMs(text);
const yesNo: Parse = (text) => ({ yes: true, true: true, no: false, false: false })[text];

const field = (
  key: FieldKey,
  flag: string,
  [placeholder, parse, min, max]: [string, Parse, number, number],
  does: string,
  fallback?: Field['fallback'],
): Field => ({ key, flag, placeholder, does, parse, min, max, fallback });

export const FIELDS: readonly Field[] = [
  field('dailyUsers', 'users', ['n', parseCount, 1, 1e10], 'users a day'),
  field(
    'peakConcurrent',
    'peak-concurrent',
    ['share|n', shareOrCount, 1e-6, 1e10],
    'connected at the peak: a share of the users (0.3, 30%), or above 1 a number of connections',
    0.3,
  ),
  field(
    'messagesPerUserPerDay',
    'messages',
    ['n', number, 0, 1e6],
    'messages per user and day; one to a group of ten is ten',
  ),
  field('peakFactor', 'peak-factor', ['n', number, 1, 1000], 'peak rate over mean rate', 2),
  field(
    'offlineShare',
    'offline-share',
    ['share', share, 0, 1],
    'of the messages, to receivers who are away',
    0.2,
  ),
  field('loginsPerUserPerDay', 'logins', ['n', number, 0.01, 10_000], 'logins per user and day', 5),
  field(
    'retentionDays',
    'retention-days',
    ['n', number, 0, 100_000],
    'days that a kept message stays on the disk',
    30,
  ),
  {
    ...field('keeps', 'keeps', ['what', (text) => text, 0, 0], 'what is kept', 'stored'),
    does: 'what the disk keeps: `stored` (for who was away) or `all`',
    choices: ['stored', 'all'],
  },
  field(
    'payloadBytes',
    'payload-bytes',
    ['n', whole, 0, 1_048_576],
    'content of a message, bytes, mean',
    128,
  ),
  field('tls', 'tls', ['yes|no', yesNo, 0, 0], 'TLS ends at the server; not measured', false),
  field(
    'heartbeatS',
    'heartbeat',
    ['time', seconds, 1, 86_400],
    'between two heartbeats; default in s',
    60,
  ),
  field(
    'sloP99Ms',
    'slo',
    ['time', milliseconds, 0.01, 3_600_000],
    'p99 of confirm; default in ms',
    100,
  ),
  field(
    'targetUtilisation',
    'utilisation',
    ['share', share, 0.01, 0.99],
    'busy share that is planned for at the peak',
    0.6,
  ),
  field('spareNodes', 'spare', ['n', whole, 0, 1000], 'spare nodes: 1 = N+1', 1),
  field('growth', 'growth', ['share', share, 0, 100], 'more users than today: 20% or 0.2', 0),
  field(
    'retransmitShare',
    'retransmit-share',
    ['share', share, 0, 10],
    'msg:R beyond the first, per message',
    0.01,
  ),
  field('copies', 'copies', ['n', whole, 1, 100], 'copies of every stored byte', 1),
  field(
    'connectionsPerProcess',
    'connections-max',
    ['n', parseCount, 1, 1e7],
    'connections that a process may hold',
    64_000,
  ),
  field(
    'contention',
    'contention',
    ['share', share, 0, 1],
    'N processes of a node do the work of N / (1 + contention × (N − 1)); not measured',
    0,
  ),
];

export const FIELD_OF: ReadonlyMap<string, Field> = new Map(FIELDS.map((each) => [each.key, each]));

/** The value of a flag's text or of a file, or what is wrong with it. */
export function valueOf(field: Field, raw: unknown): { value: Field['fallback'] } | string {
  const isPlain = typeof raw === 'string' || typeof raw === 'number';
  const shown = isPlain ? String(raw) : JSON.stringify(raw);
  if (field.choices !== undefined) {
    if (typeof raw === 'string' && field.choices.includes(raw)) return { value: raw };
    return `${shown}: must be ${field.choices.join(' or ')}`;
  }
  const value = typeof raw === 'string' ? field.parse(raw.trim()) : raw;
  if (typeof field.fallback === 'boolean') {
    return typeof value === 'boolean' ? { value } : `${shown}: must be yes or no`;
  }
  const isWhole = field.parse !== whole || Number.isInteger(value);
  if (typeof value === 'number' && isWhole && value >= field.min && value <= field.max) {
    return { value };
  }
  const kind = field.parse === whole ? 'a whole number' : 'a number';
  const example = { share: ', as 0.2 or 20%', time: ', as 500ms or 30s' }[field.placeholder] ?? '';
  return `${shown}: must be ${kind} between ${field.min} and ${field.max}${example}`;
}
