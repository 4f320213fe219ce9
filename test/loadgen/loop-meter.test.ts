/**
 * The loop meter on this test's own loop. Wall-clock figures are only bounded by what must hold on
 * any machine: an idle loop is not busy, a spinning one is, polling that found nothing is idle.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LoopMeter } from '../../loadgen/loop-meter.ts';

const SPAN_MS = 300;

function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('a loop that sleeps is idle', async () => {
  const meter = new LoopMeter();
  meter.start();
  await sleep(SPAN_MS);
  meter.stop();
  const { busyMean, elapsedUs, cpuUs } = meter.health();
  assert.ok(busyMean < 0.5, `busy ${busyMean}`);
  assert.ok(elapsedUs >= 0.9 * SPAN_MS * 1000);
  assert.ok(cpuUs < elapsedUs);
});

test('a loop that computes is busy', async () => {
  const meter = new LoopMeter();
  meter.start();
  const end = performance.now() + SPAN_MS;
  while (performance.now() < end) {
    spin(5);
    meter.onTurn({ didWork: true, isPolling: false });
    await nextTurn();
  }
  const share = meter.takeBusyShare();
  meter.stop();
  const { busyMean, busyMax } = meter.health();
  assert.ok(share > 0.8, `busy ${share}`);
  assert.ok(busyMean > 0.8, `busy ${busyMean}`);
  assert.ok(busyMax >= busyMean);
});

test('a loop that polls and finds nothing is idle', async () => {
  const meter = new LoopMeter();
  meter.start();
  const end = performance.now() + SPAN_MS;
  while (performance.now() < end) {
    meter.onTurn({ didWork: false, isPolling: true });
    await nextTurn();
  }
  meter.stop();
  const { busyMean, cpuUs, elapsedUs } = meter.health();
  assert.ok(busyMean < 0.2, `busy ${busyMean}`);
  assert.ok(cpuUs < 0.5 * elapsedUs, 'the CPU of polling is not charged to the messages');
});

test('polling turns that found work are busy beyond what an empty turn takes', async () => {
  const meter = new LoopMeter();
  meter.start();
  const end = performance.now() + SPAN_MS;
  while (performance.now() < end) {
    meter.onTurn({ didWork: true, isPolling: true });
    spin(2);
    await nextTurn();
  }
  meter.stop();
  assert.ok(meter.health().busyMean > 0.8, `busy ${meter.health().busyMean}`);
});

test('a blocked loop shows in the delay', async () => {
  const meter = new LoopMeter();
  meter.start();
  for (let i = 0; i < 8; i++) {
    spin(40);
    await sleep(1);
  }
  meter.stop();
  const { loopDelayP99Us } = meter.health();
  assert.ok(loopDelayP99Us > 20_000, `p99 ${loopDelayP99Us} us`);
});

test('what the loop did in seconds of the warm-up is in no figure', async () => {
  const meter = new LoopMeter();
  meter.startWithWarmup(200);
  for (let i = 0; i < 5; i++) {
    spin(40);
    meter.onTurn({ didWork: true, isPolling: true });
    await nextTurn();
  }
  assert.ok(meter.takeBusyShare() > 0.8);
  await sleep(SPAN_MS);
  meter.takeBusyShare();
  await sleep(SPAN_MS);
  meter.stop();
  const { busyMean, busyMax, elapsedUs } = meter.health();
  assert.ok(busyMean < 0.5, `busy ${busyMean}`);
  assert.ok(busyMax < 0.5, `busiest second ${busyMax}`);
  assert.ok(elapsedUs > 1500 * SPAN_MS, `${elapsedUs} us`);
});

test('figures are taken once the load is over and stay as they are', async () => {
  const meter = new LoopMeter();
  meter.start();
  await sleep(50);
  meter.stop();
  const first = meter.health();
  spin(50);
  await nextTurn();
  meter.stop();
  const { busyMean, elapsedUs, cpuUs } = meter.health();
  assert.equal([busyMean, elapsedUs, cpuUs], [first.busyMean, first.elapsedUs, first.cpuUs]);
});

test('every share is between 0 and 1, also before anything was measured', () => {
  const { busyMean, busyMax, gcShare, loopDelayP99Us } = new LoopMeter().health();
  for (const share of [busyMean, busyMax, gcShare]) assert.ok(share >= 0 && share <= 1, `${share}`);
  assert.ok(loopDelayP99Us >= 0);
});

test.run();
