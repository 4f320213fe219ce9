/** Thresholds that stop a load: judged over the window so far, not over one second. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ThresholdWatch } from '../../bench/threshold-watch.ts';
import { parseThreshold, type Threshold } from '../../bench/thresholds.ts';
import { Recorder, type SecondSample } from '../../loadgen/index.ts';

function watch(text: string, { delayS = 0, workers = 1, warmupS = 1 } = {}): ThresholdWatch {
  const threshold = parseThreshold(text) as Threshold;
  return new ThresholdWatch([{ threshold, delayS }], { scenario: 'tiny', warmupS, workers });
}

/** `count` messages that took `us` each, confirmed in this second. */
function second(at: number, count: number, us: number): SecondSample {
  const confirm = new Recorder();
  for (let i = 0; i < count; i++) confirm.record(us);
  return {
    second: at + 0.01,
    sent: count,
    confirmed: count,
    delivered: count,
    inflight: 0,
    online: 2,
    busyShare: 0.1,
    confirm: confirm.state(),
  };
}

test('stops when the window so far misses it, and says when and by how much', () => {
  const watched = watch('confirm.p99<1ms');
  watched.add(second(2, 12_000, 500));
  assert.is(watched.stop, null);
  watched.add(second(3, 12_000, 5000));
  assert.is(watched.signal.aborted, true);
  assert.is(watched.stop?.second, 3);
  assert.ok(Math.abs((watched.stop?.value ?? 0) - 5000) < 5);
});

test('one slow second in a long window stops nothing', () => {
  const watched = watch('confirm.p50<1ms');
  for (let at = 2; at < 10; at++) watched.add(second(at, 2000, at === 5 ? 9000 : 500));
  assert.is(watched.stop, null);
});

test('the warm-up is not judged, nor is a second that is half of it', () => {
  const watched = watch('confirm.p50<1ms', { warmupS: 1.5 });
  watched.add(second(1, 2000, 9000));
  watched.add(second(2, 2000, 9000));
  assert.is(watched.stop, null);
  watched.add(second(3, 2000, 9000));
  assert.is(watched.stop?.second, 3);
});

test('too few messages have no percentile to stop for', () => {
  const watched = watch('confirm.p50<1ms');
  watched.add(second(2, 999, 9000));
  assert.is(watched.stop, null);
  watched.add(second(3, 1, 9000));
  assert.is(watched.stop?.second, 3);
});

test('waits until its delay is over', () => {
  const watched = watch('confirm.p50<1ms', { delayS: 3 });
  for (const at of [2, 3]) watched.add(second(at, 2000, 9000));
  assert.is(watched.stop, null);
  watched.add(second(4, 2000, 9000));
  assert.is(watched.stop?.second, 4);
});

test('a rate is that of all workers together', () => {
  const watched = watch('load.achievedPerSec>=2500', { workers: 2, warmupS: 0 });
  for (const at of [1, 1, 2, 2]) watched.add(second(at, 1500, 500));
  assert.is(watched.stop, null);
  for (const at of [3, 3, 4, 4]) watched.add(second(at, 500, 500));
  assert.is(watched.stop?.second, 3);
});

test.run();
