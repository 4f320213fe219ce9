/** What the judge makes of the meters of the generator's workers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { perSettled } from '../../bench/judge.ts';

test('CPU per message is the same whether the meter has the warm-up in it or not', () => {
  // Half a core at 10,000/s is 50 us a message, over a window of 1.5 s or with its half second before it.
  const settledPerUs = 0.01;
  for (const elapsedUs of [1.5e6, 2e6]) {
    const perMessage = perSettled([{ cpuUs: elapsedUs / 2, elapsedUs }], settledPerUs);
    assert.ok(Math.abs(perMessage - 50) < 1e-9, `${perMessage}`);
  }
});

test('workers are added up, and of no message there is no cost', () => {
  const half = { cpuUs: 5e5, elapsedUs: 1e6 };
  assert.is(perSettled([half, half], 0.01), 100);
  assert.is(perSettled([half], 0), 0);
});

test.run();
