/** Timing wheel: deadlines moved, as every answer does, and deadlines that pass. */
import { Timer, TimingWheel } from '../../loadgen/timing-wheel.ts';
import type { Benchmark } from './benchmark.ts';

const TIMERS = 1000;

class CountingTimer extends Timer {
  fired = 0;

  override onTimer(): void {
    this.fired++;
  }
}

function makeTimers(): CountingTimer[] {
  return Array.from({ length: TIMERS }, () => new CountingTimer());
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'timing wheel: move a deadline',
    operations: TIMERS,
    prepare: () => {
      const wheel = new TimingWheel(0);
      const timers = makeTimers();
      let round = 0;
      return {
        expected: TIMERS,
        run: () => {
          round++;
          timers.forEach((timer, index) => wheel.arm(timer, 1 + ((index * 7 + round) % 3000)));
          return wheel.armed;
        },
      };
    },
  },
  {
    // 250 slots of four, and as many empty ones between them.
    name: 'timing wheel: arm and fire',
    operations: TIMERS,
    prepare: () => {
      const wheel = new TimingWheel(0);
      const timers = makeTimers();
      let nowMs = 0;
      return {
        expected: TIMERS,
        run: () => {
          timers.forEach((timer, index) => wheel.arm(timer, nowMs + 1 + 2 * (index % 250)));
          nowMs += 500;
          wheel.advance(nowMs);
          let fired = 0;
          for (const timer of timers) {
            fired += timer.fired;
            timer.fired = 0;
          }
          return wheel.armed === 0 ? fired : -1;
        },
      };
    },
  },
];
