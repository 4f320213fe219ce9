/** What a comparison says beside its metrics: why one has no value, and which scenario has none at all. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { metricsOf } from '../../../bench/compare/metrics.ts';
import { type PairsOutcome, shortfallOf } from '../../../bench/compare/pairs.ts';
import { conclude, unmeasured } from '../../../bench/compare/report.ts';
import type { LoadScenario } from '../../../bench/scenario.ts';
import { scenarioResult } from '../../support/result.ts';

/** Six pairs of `steady` in which what `hasValue` says has the same value on both sides. */
function outcomeOf(
  hasValue: (metric: string) => boolean,
  reasons: readonly string[] = [],
): PairsOutcome {
  const pairs = Array.from({ length: 6 }, () => ({ a: 1, b: 1 }));
  const metrics = metricsOf('steady', 'open').map((metric) => ({
    metric,
    stage1: hasValue(metric.name) ? pairs : [],
    stage2: [],
  }));
  const verdict = reasons.length > 0 ? ('invalid' as const) : ('pass' as const);
  const slice = { how: 'alone' as const, verdict, reasons, values: {} };
  const pair = { stage: 1, seed: 1, first: 'a', a: [slice], b: [slice], repeated: 0 } as const;
  return {
    pairs: [{ ...pair, a: [slice], b: [slice] }],
    metrics,
    isFinished: true,
    isStage2Needed: false,
    auditFailures: [],
  };
}

test('a quantile without samples is not a scenario without numbers, and says what it lacks', () => {
  const concluded = conclude(outcomeOf((name) => !name.endsWith('confirm.p99')));
  assert.equal(unmeasured(concluded), []);
  assert.ok(concluded.reasons.includes('no valid pair for steady.confirm.p99'));
  assert.match(concluded.reasons.join(), 'too few messages for it');
});

test('a gate that failed is the reason, and a scenario without any number is named', () => {
  const concluded = conclude(outcomeOf(() => false, ['the machine was slowed down']));
  assert.equal(unmeasured(concluded), ['steady']);
  assert.ok(concluded.reasons.includes('the machine was slowed down'));
  assert.not.match(concluded.reasons.join(), 'too few messages');
});

test('an open loop that is not kept up with has no costs; a closed one is what it is', () => {
  const { load } = scenarioResult();
  const at = (achievedPerSec: number) => ({ load: { ...load, achievedPerSec } });
  const open = { load: { mode: 'open', ratePerSec: 1000 } } as Pick<LoadScenario, 'load'>;
  const closed = { load: { mode: 'closed', window: 4 } } as Pick<LoadScenario, 'load'>;
  assert.is(shortfallOf(at(950), open), null);
  assert.match(shortfallOf(at(610), open) ?? '', 'only 61 % of 1000/s were confirmed');
  assert.is(shortfallOf(at(10), closed), null);
});

test.run();
