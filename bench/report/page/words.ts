/** How figures and verdicts are said on the page. */
import type { RunView } from '../model.ts';
import { formatCount, formatUs, significant } from '../../units.ts';

/** A latency with its unit. */
export function timeText(us: number | null): string {
  return formatUs(us).replace(' us', ' µs');
}

/** A latency for an axis, as short as can be. */
export function timeTick(us: number): string {
  const [value, unit] = us >= 1e6 ? [us / 1e6, 's'] : us >= 1e3 ? [us / 1e3, 'ms'] : [us, 'µs'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** A count for an axis: 12k. */
export function countTick(value: number): string {
  if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (Math.abs(value) >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  // An axis of a few has lines between the whole ones.
  if (Math.abs(value) < 100) return String(Number(value.toPrecision(3)));
  return formatCount(value);
}

export function rateText(perSec: number): string {
  return `${formatCount(perSec)}/s`;
}

export function percentText(share: number): string {
  return `${significant(share * 100)} %`;
}

/** q as a percentile: 0.999 -> p99.9. `oneOver` = 1 / (1 - q). */
export function percentileName(oneOver: number): string {
  const digits = Math.max(0, Math.round(Math.log10(oneOver)) - 2);
  return `${(100 * (1 - 1 / oneOver)).toFixed(digits)} %`;
}

export type Tone = 'pass' | 'fail' | 'warn' | 'none';

/** What a verdict looks like; those of comparisons as well. */
export function toneOf(verdict: string): Tone {
  switch (verdict) {
    case 'pass':
    case 'better':
    case 'same':
      return 'pass';
    case 'fail':
    case 'worse':
      return 'fail';
    case 'invalid':
    case 'unknown':
    case 'inconclusive':
      return 'warn';
    default:
      return 'none';
  }
}

/** A sign, so that no verdict is told by colour alone. */
export function signOf(verdict: string): string {
  const signs: Readonly<Record<string, string>> = {
    pass: '✓',
    better: '▲',
    same: '=',
    fail: '✕',
    worse: '▼',
    invalid: '!',
    unknown: '?',
    inconclusive: '~',
  };
  return signs[verdict] ?? '·';
}

export const VERDICT_MEANS: Readonly<Record<string, string>> = {
  pass: 'nothing lost, nothing twice, and the measurement is valid',
  fail: 'the audit found something, or a limit was missed',
  invalid: 'a validity gate failed: these numbers say nothing',
  unknown: 'nothing was proven',
};

export interface MustBeZero {
  key: keyof RunView['ledger'];
  name: string;
  means: string;
  /** As the subject of a sentence with a count before it. */
  happened: string;
}

export const MUST_BE_ZERO: readonly MustBeZero[] = [
  { key: 'lost', name: 'lost', means: 'accepted, never arrived', happened: 'lost' },
  {
    key: 'falseConfirm',
    name: 'false confirm',
    means: 'sender told “delivered”, it was not',
    happened: 'confirmed without having arrived',
  },
  {
    key: 'duplicated',
    name: 'duplicated',
    means: 'shown to the user twice',
    happened: 'shown twice',
  },
  {
    key: 'unexpected',
    name: 'unexpected',
    means: 'arrived, was never sent',
    happened: 'delivered though never sent',
  },
  {
    key: 'misrouted',
    name: 'misrouted',
    means: 'at the wrong user',
    happened: 'delivered to the wrong user',
  },
  { key: 'corrupt', name: 'corrupt', means: 'content changed', happened: 'corrupted' },
  {
    key: 'phantom',
    name: 'phantom',
    means: 'refused, yet arrived',
    happened: 'refused and delivered all the same',
  },
  { key: 'stuck', name: 'stuck', means: 'left in an inbox', happened: 'left in an inbox' },
];

/** `1 message was`, `3 messages were`. */
export function messagesWere(count: number): string {
  return count === 1 ? '1 message was' : `${formatCount(count)} messages were`;
}
