/** The queue against closed forms: M/M/1, M/D/1, and M/G/1 whose first service is longer. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ServiceQueue } from '../../../bench/fleet/queue.ts';
import { WaitHistogram } from '../../../bench/fleet/wait-histogram.ts';
import { Random } from '../../../loadgen/index.ts';

interface Simulated {
  meanWaitS: number;
  busyShare: number;
  waits: WaitHistogram;
}

/** Poisson arrivals of one a second, so that a service time is the load. */
function simulate(
  service: (random: Random) => number,
  { count = 1_000_000, wakeUpS = 0 }: { count?: number; wakeUpS?: number } = {},
): Simulated {
  const random = new Random(11, 'queue');
  const queue = new ServiceQueue(wakeUpS);
  const waits = new WaitHistogram();
  let atS = 0;
  let sumS = 0;
  for (let i = 0; i < count; i++) {
    atS += random.exponential(1);
    const waitS = queue.arrive(atS, service(random));
    sumS += waitS;
    waits.add(waitS);
  }
  return { meanWaitS: sumS / count, busyShare: queue.busyS(atS) / atS, waits };
}

function near(actual: number, expected: number, tolerance: number): void {
  assert.ok(Math.abs(actual / expected - 1) < tolerance, `${actual} instead of ${expected}`);
}

for (const rho of [0.3, 0.6, 0.8]) {
  test(`M/M/1 at ${rho} waits rho / (mu - lambda), with the exponential tail`, () => {
    const { meanWaitS, busyShare, waits } = simulate((random) => random.exponential(rho));
    near(busyShare, rho, 0.01);
    near(meanWaitS, (rho * rho) / (1 - rho), 0.04);
    // P(W > t) = rho exp(-(1 - rho) t / s)
    near(waits.quantileS(0.99), (rho * Math.log(100 * rho)) / (1 - rho), 0.06);
  });

  test(`M/D/1 at ${rho} waits half of that`, () => {
    const { meanWaitS, busyShare } = simulate(() => rho);
    near(busyShare, rho, 0.01);
    near(meanWaitS, (rho * rho) / (2 * (1 - rho)), 0.03);
  });

  test(`with a wake-up, the busy share at ${rho} solves U = D + w (1 - U)`, () => {
    const wakeUpS = 0.4;
    const { meanWaitS, busyShare } = simulate((random) => random.exponential(rho), { wakeUpS });
    near(busyShare, (rho + wakeUpS) / (1 + wakeUpS), 0.01);
    // Welch 1964: M/G/1 whose first service of a busy period is another one.
    const second = 2 * rho * rho;
    const first = second + 2 * rho * wakeUpS + wakeUpS ** 2;
    const expected = second / (2 * (1 - rho)) + (first - second) / (2 * (1 + wakeUpS));
    near(meanWaitS, expected, 0.04);
  });
}

test('a queue that is cleared has no backlog, and what was not done was not busy', () => {
  const queue = new ServiceQueue();
  queue.arrive(0, 10);
  assert.is(queue.backlogS(4), 6);
  assert.is(queue.busyS(4), 4);
  queue.clear(4);
  assert.is(queue.backlogS(4), 0);
  assert.is(queue.busyS(4), 4);
  assert.is(queue.arrive(5, 1), 0);
});

test('a quantile of the histogram is at most 2 % above the wait', () => {
  const waits = new WaitHistogram();
  for (let us = 1; us <= 1000; us++) waits.add(us / 1e6);
  for (const q of [0.5, 0.9, 0.99]) {
    const exact = (q * 1000) / 1e6;
    const found = waits.quantileS(q);
    assert.ok(found >= exact * 0.999 && found <= exact * 1.021, `${q}: ${found}`);
  }
  waits.clear();
  assert.is(waits.quantileS(0.99), 0);
  waits.add(0);
  assert.is(waits.quantileS(0.99), 0);
});

test.run();
