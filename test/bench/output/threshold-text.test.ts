/** The value of a threshold as people read it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { thresholdValue } from '../../../bench/output/threshold-text.ts';

function valueOf(threshold: string, value: number | null): string {
  return thresholdValue({ threshold, value, ok: false });
}

test('a latency has a unit, whatever the threshold was written in', () => {
  assert.is(valueOf('confirm.p99<1ms', 4040), '4.04 ms');
  assert.is(valueOf('online-steady:latency.confirmUs.p99<1', 4040), '4.04 ms');
  assert.is(valueOf('confirm.max<1s', 3_600_000_000), 'never');
});

test('other figures are numbers, small ones as well', () => {
  assert.is(valueOf('confirm.count>=100', 40), '40');
  assert.is(valueOf('load.achievedPerSec>=9900', 9899.123_456), '9899.12');
  assert.is(valueOf('lossBelow<0.00001', 0.000_150_195), '0.000150195');
  assert.is(valueOf('confirm.p9999<1ms', null), 'no value');
});

test.run();
