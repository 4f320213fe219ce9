/** What ends a calibration with which exit code. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CapacityFile } from '../../../bench/capacity/file.ts';
import { exitOf } from '../../../bench/capacity/verdict.ts';
import { capacityFile } from '../../support/capacity.ts';

const whole = capacityFile();
const changed = (facts: Partial<CapacityFile>) => exitOf({ ...whole, ...facts });

test('a calibration with a model that holds passes', () => {
  assert.is(exitOf(whole), 0);
});

test('a lost message fails it, whatever else was measured', () => {
  assert.is(changed({ losses: ['500/s: 1 lost'] }), 1);
});

test('without a model it is not measured, unless none was asked for or possible', () => {
  const none = { model: null, validation: null };
  assert.is(changed(none), 3);
  assert.is(changed({ ...none, settings: { ...whole.settings, isSearchOnly: true } }), 0);
  assert.is(changed({ ...none, target: { ...whole.target, kind: 'remote' } }), 0);
});

test('a model that refuses node counts, and a rate that the machine bound, are not measured', () => {
  assert.is(changed({ validation: { layers: [], refusal: 'too far off' } }), 3);
  assert.is(changed({ search: { ...whole.search, binds: 'machine' } }), 3);
  assert.is(changed({ search: { ...whole.search, lambdaStarPerSec: null } }), 3);
});

test.run();
