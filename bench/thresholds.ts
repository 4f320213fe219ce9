/**
 * Thresholds: `confirm.p99<50ms`, `online-steady:load.achievedPerSec>=9900`, `ledger.unknown==0`.
 *
 *     [scenario:] figure operator value[unit]
 *
 * A figure is a path into the scenario's result; `accept`, `deliver`, `confirm`, `storedConfirm`,
 * `pull`, `connect` and `sendLag` are short for `latency.acceptUs` and so on. us, ms and s are
 * converted to the µs of the file.
 */

export interface Threshold {
  readonly text: string;
  /** null = every scenario. */
  readonly scenario: string | null;
  readonly path: readonly string[];
  readonly operator: '<' | '<=' | '>' | '>=' | '==';
  readonly limit: number;
}

const PATTERN =
  /^(?:([a-z0-9-]+):)?([A-Za-z][\w.:]*)\s*(<=|>=|==|<|>)\s*(-?\d+(?:\.\d+)?)(us|ms|s|%)?$/;
const LATENCY_NAMES = new Set([
  'accept',
  'deliver',
  'confirm',
  'storedConfirm',
  'pull',
  'connect',
  'sendLag',
]);
const FACTOR: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1e6, '%': 0.01 };

/** The threshold, or a sentence about what is wrong with it. */
export function parseThreshold(text: string): Threshold | string {
  const match = PATTERN.exec(text.trim());
  if (match === null) {
    return `"${text}" is no threshold; write for example confirm.p99<50ms or ledger.unknown==0`;
  }
  const [, scenario, figure, operator, value, unit] = match;
  const path = (figure as string).split('.');
  if (LATENCY_NAMES.has(path[0] as string)) path.splice(0, 1, 'latency', `${path[0]}Us`);
  const mistake = figureMistake(path);
  if (mistake !== null) return `"${text}": ${mistake}`;
  return {
    text: text.trim(),
    scenario: scenario ?? null,
    path,
    operator: operator as Threshold['operator'],
    limit: Number(value) * (FACTOR[unit ?? ''] ?? 1),
  };
}

const ROOTS =
  'latency load ledger dedupe retransmit packets server generator extra lossBelow detection'.split(
    ' ',
  );
const QUANTILES = ['count', 'mean', 'p50', 'p90', 'p95', 'p99', 'p999', 'p9999', 'max'];

/** What cannot be a figure, said before the run instead of after it. */
function figureMistake(path: readonly string[]): string | null {
  const [root, name, quantile] = path;
  if (!ROOTS.includes(root as string)) return `unknown figure; it starts with ${ROOTS.join(', ')}`;
  if (root === 'latency' && !(name !== undefined && QUANTILES.includes(quantile as string))) {
    return `a latency needs one of ${QUANTILES.join(', ')}`;
  }
  return null;
}

export interface ThresholdOutcome {
  readonly threshold: string;
  readonly value: number | null;
  readonly ok: boolean;
}

/** Judges one result; null when the threshold is for another scenario. */
export function judgeThreshold(
  threshold: Threshold,
  result: { readonly name: string },
): ThresholdOutcome | null {
  if (threshold.scenario !== null && threshold.scenario !== result.name) return null;
  let value: unknown = result;
  for (const key of threshold.path) value = (value as Record<string, unknown> | null)?.[key];
  if (typeof value !== 'number') return { threshold: threshold.text, value: null, ok: false };
  const { limit } = threshold;
  const ok = {
    '<': value < limit,
    '<=': value <= limit,
    '>': value > limit,
    '>=': value >= limit,
    '==': value === limit,
  }[threshold.operator];
  return { threshold: threshold.text, value, ok };
}
