/** The slope of the server's memory: a line is found, a start is not taken for growth. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MemorySamples } from '../../bench/memory-trend.ts';

const MIB = 2 ** 20;

function trendOf(seconds: number, bytesAt: (second: number) => number) {
  const samples = new MemorySamples();
  for (let second = 1; second <= seconds; second++) samples.add(second, bytesAt(second));
  return samples.trend();
}

test('a steady growth is found per hour and relative to the mean', () => {
  const trend = trendOf(600, (second) => 100 * MIB + (second * MIB) / 3600);
  assert.ok(trend !== null && Math.abs(trend.bytesPerHour - MIB) < 1);
  assert.ok(Math.abs(trend.perHour - 0.01) < 0.0001);
  assert.is(trend.seconds, 480);
});

test('what a start allocates is not growth', () => {
  const trend = trendOf(600, (second) => (second < 100 ? second : 100) * MIB);
  assert.ok(trend !== null && Math.abs(trend.perHour) < 1e-9);
});

test('a load that is too short says nothing', () => {
  assert.is(
    trendOf(70, () => MIB),
    null,
  );
  assert.is(new MemorySamples().trend(), null);
});

test.run();
