/** What of a result stands for itself, under which name, and whether its numbers may be compared. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { reasonsBesideThresholds, runsOf, uniqueNames } from '../../../bench/output/runs.ts';
import type { Result, ScenarioResult } from '../../../bench/result.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';
import { BUSY_GATE, invalidRun, variantsOf } from './measured.ts';

function comparable(scenarios: ScenarioResult[], facts: Partial<Result> = {}): string[] {
  const runs = runsOf(resultOf(scenarios, facts));
  return runs.filter(({ isComparable }) => isComparable).map(({ label }) => label);
}

test('variants stand for themselves, and a scenario without them for itself', () => {
  const saturation = variantsOf(
    scenarioResult({ name: 'saturation', variant: 'relay w1' }),
    scenarioResult({ name: 'saturation', variant: 'relay w16' }),
  );
  const runs = runsOf(resultOf([scenarioResult({ name: 'steady' }), saturation]));
  assert.equal(
    runs.map(({ scenario, variant, label }) => [scenario, variant, label]),
    [
      ['steady', '', 'steady'],
      ['saturation', 'relay w1', 'saturation relay w1'],
      ['saturation', 'relay w16', 'saturation relay w16'],
    ],
  );
});

test('a name is given once, whatever the names are', () => {
  const name = uniqueNames();
  assert.equal(['a', 'a #2', 'a', 'a', 'b'].map(name), ['a', 'a #2', 'a #3', 'a #4', 'b']);
  const twice = runsOf(resultOf([scenarioResult(), scenarioResult()]));
  assert.equal(
    twice.map(({ label }) => label),
    ['a-scenario', 'a-scenario #2'],
  );
});

test('numbers of invalid and unknown runs are not for comparing, those of failed ones are', () => {
  const named = (['pass', 'fail', 'invalid', 'unknown'] as const).map((verdict) =>
    scenarioResult({ name: verdict, verdict }),
  );
  assert.equal(comparable(named), ['pass', 'fail']);
});

test('a failed gate counts even where a failed audit hides it in the verdict', () => {
  assert.equal(comparable([scenarioResult({ verdict: 'fail', gates: [BUSY_GATE] })]), []);
  const gates = [{ ...BUSY_GATE, ok: true }];
  assert.equal(comparable([scenarioResult({ verdict: 'fail', gates })]), ['a-scenario']);
});

test('of an interrupted run only what passed is complete for sure', () => {
  const scenarios = [
    scenarioResult({ name: 'before' }),
    scenarioResult({ name: 'cut-short', verdict: 'fail' }),
  ];
  assert.equal(comparable(scenarios, { interrupted: true }), ['before']);
});

test('an invalid variant takes its scenario with it', () => {
  const good = scenarioResult({ variant: 'good' });
  const bad = invalidRun({ variant: 'bad' });
  assert.equal(comparable([{ ...variantsOf(good, bad), verdict: 'invalid' }]), []);
  // A failed variant outweighs it in the verdict of the scenario.
  const failed = scenarioResult({ variant: 'failed', verdict: 'fail' });
  const sum = { ...variantsOf(failed, bad), verdict: 'fail' as const };
  assert.equal(comparable([sum]), ['a-scenario failed']);
});

test('reasons of missed thresholds are told apart, whatever they look like', () => {
  const run = scenarioResult({
    reasons: ['lost: 2 of 1000 messages', 'threshold a.b<1 missed: it is 3', 'threshold of pain'],
    thresholds: [{ threshold: 'a.b<1', value: 3, ok: false }],
  });
  assert.equal(reasonsBesideThresholds(run), ['lost: 2 of 1000 messages', 'threshold of pain']);
});

test.run();
