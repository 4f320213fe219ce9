/** What a run could have seen: the power of detection, against figures from elsewhere. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { detectionPower } from '../../bench/result.ts';

test('the probability of catching a loss agrees with exact arithmetic', () => {
  // 1 - (1 - p)**n in Python's decimal with 60 digits, for n = 30,000 and 1,000,000.
  const expected: [judged: number, probabilities: number[]][] = [
    [30_000, [0.950220399630148, 0.259182890552188, 0.02955448100818442]],
    [1_000_000, [1, 0.9999546023401924, 0.6321207427683549]],
  ];
  for (const [judged, probabilities] of expected) {
    const { detection } = detectionPower(judged);
    assert.equal(
      detection.map(({ lossRate }) => lossRate),
      [1e-4, 1e-5, 1e-6],
    );
    for (const [i, { probability }] of detection.entries()) {
      const deviation = Math.abs(probability / (probabilities[i] as number) - 1);
      assert.ok(deviation < 1e-12, `${judged}, ${i}: ${probability}`);
    }
  }
});

test('without a judged message nothing is proven and nothing would have been caught', () => {
  const { lossBelow, detection } = detectionPower(0);
  assert.is(lossBelow, null);
  for (const { probability } of detection) assert.is(Math.abs(probability), 0);
});

test('the bound is the rule of three: what the bound excludes would have been caught with 95 %', () => {
  for (const judged of [1000, 30_000, 1_000_000]) {
    const bound = detectionPower(judged).lossBelow as number;
    assert.is(bound, 3 / judged);
    const caught = 1 - (1 - bound) ** judged;
    assert.ok(caught > 0.95 && caught < 0.951, `${judged}: ${caught}`);
  }
});

test.run();
