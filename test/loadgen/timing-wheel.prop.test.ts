/** The timing wheel against a list that is searched at every tick. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Timer, TimingWheel } from '../../loadgen/timing-wheel.ts';

const TIMERS = 6;

type Order = { timer: number; afterMs: number };
type Step =
  | { do: 'arm'; timer: number; afterMs: number }
  | { do: 'disarm'; timer: number }
  /** What the timer does whenever it fires: arm or (Infinity) disarm one of them. */
  | { do: 'plan'; timer: number; order: Order | null }
  | { do: 'advance'; byMs: number };

const timer = fc.integer({ min: 0, max: TIMERS - 1 });
/** Near, just around a turn of 4,096 ticks, several turns away, and in the past. */
const afterMs = fc.oneof(
  fc.integer({ min: -5, max: 40 }),
  fc.integer({ min: 0, max: 4000 }).map((quarter) => quarter / 4),
  fc.integer({ min: 4090, max: 4100 }),
  fc.integer({ min: 4096, max: 14_000 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('arm' as const), timer, afterMs }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('disarm' as const), timer }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('plan' as const),
      timer,
      order: fc.option(
        fc.record({
          timer,
          afterMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 5000 })),
        }),
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      byMs: fc.oneof(
        fc.integer({ min: 0, max: 30 }).map((quarter) => quarter / 4),
        fc.integer({ min: 0, max: 9000 }),
      ),
    }),
  },
);

class Probe extends Timer {
  onFire: (nowMs: number) => void = () => {};

  override onTimer(nowMs: number): void {
    this.onFire(nowMs);
  }
}

test('never early, never forgotten, in the order of ticks, whatever callbacks do', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.array(step, { maxLength: 60 }),
      (startMs, steps) => {
        const wheel = new TimingWheel(startMs);
        let nowMs = startMs;
        let isAdvancing = false;
        /** Deadline and the first tick that a timer may fire in, of every armed timer. */
        const armed = new Map<number, { deadlineMs: number; dueTick: number }>();
        const plans = new Map<number, Order>();
        let lastTick = -1;

        const arm = (i: number, deadlineMs: number, tick: number): void => {
          wheel.arm(timers[i] as Probe, deadlineMs);
          if (deadlineMs === Infinity) armed.delete(i);
          else armed.set(i, { deadlineMs, dueTick: Math.max(Math.ceil(deadlineMs), tick + 1) });
        };
        const timers = Array.from({ length: TIMERS }, (_, i) => {
          const probe = new Probe();
          probe.onFire = (firedMs) => {
            assert.ok(isAdvancing);
            assert.is(firedMs, nowMs);
            const entry = armed.get(i);
            if (entry === undefined) return assert.unreachable('fired while disarmed');
            assert.ok(entry.deadlineMs <= nowMs, 'never early');
            assert.ok(entry.dueTick >= lastTick, 'in the order of ticks');
            lastTick = entry.dueTick;
            armed.delete(i);
            const plan = plans.get(i);
            if (plan !== undefined) arm(plan.timer, nowMs + plan.afterMs, entry.dueTick);
          };
          return probe;
        });

        for (const it of steps) {
          if (it.do === 'arm') arm(it.timer, nowMs + it.afterMs, Math.floor(nowMs));
          else if (it.do === 'disarm') arm(it.timer, Infinity, 0);
          else if (it.do === 'plan') {
            if (it.order === null) plans.delete(it.timer);
            else plans.set(it.timer, it.order);
          } else {
            nowMs += it.byMs;
            isAdvancing = true;
            lastTick = -1;
            wheel.advance(nowMs);
            isAdvancing = false;
            const tick = Math.floor(nowMs);
            for (const { dueTick } of armed.values()) {
              assert.ok(dueTick > tick, 'nothing that was due is left');
            }
          }
          assert.is(wheel.armed, armed.size);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test.run();
