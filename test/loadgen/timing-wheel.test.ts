/** The timing wheel on virtual time: one slot is 1 ms, one turn 4,096 ms. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Timer, TimingWheel } from '../../loadgen/timing-wheel.ts';

const TURN_MS = 4096;

class Probe extends Timer {
  readonly name: string;
  readonly fired: number[] = [];
  onFire: (nowMs: number) => void = () => {};

  constructor(name = '') {
    super();
    this.name = name;
  }

  override onTimer(nowMs: number): void {
    this.fired.push(nowMs);
    this.onFire(nowMs);
  }
}

test('fires a timer once, at its deadline and not before', () => {
  const wheel = new TimingWheel(0);
  const timer = new Probe();
  wheel.arm(timer, 5);
  wheel.advance(4);
  wheel.advance(4.999);
  assert.equal(timer.fired, []);
  wheel.advance(5);
  wheel.advance(5000);
  assert.equal(timer.fired, [5]);
  assert.is(wheel.armed, 0);
});

test('rounds a fractional deadline up to the next tick', () => {
  const wheel = new TimingWheel(10.7);
  const timer = new Probe();
  wheel.arm(timer, 12.1);
  wheel.advance(12.9);
  assert.equal(timer.fired, [], 'the tick that holds the deadline began before it');
  wheel.advance(13);
  assert.equal(timer.fired, [13]);
});

test('fires what is overdue when it is armed in the next tick', () => {
  const wheel = new TimingWheel(100);
  const timer = new Probe();
  wheel.arm(timer, 3);
  wheel.advance(100.9);
  assert.equal(timer.fired, []);
  wheel.advance(101);
  assert.equal(timer.fired, [101]);
});

test('moves a timer that is armed again', () => {
  const wheel = new TimingWheel(0);
  const timer = new Probe();
  wheel.arm(timer, 5);
  wheel.arm(timer, 9);
  assert.is(wheel.armed, 1);
  wheel.advance(8);
  assert.equal(timer.fired, []);
  wheel.advance(9);
  assert.equal(timer.fired, [9]);
  wheel.arm(timer, 20);
  wheel.arm(timer, 12);
  wheel.advance(30);
  assert.equal(timer.fired, [9, 30]);
});

test('does not fire a timer that was disarmed, nor its neighbours twice', () => {
  const wheel = new TimingWheel(0);
  const timers = ['head', 'middle', 'tail'].map((name) => new Probe(name));
  for (let gone = 0; gone < 3; gone++) {
    const base = gone * 10;
    wheel.advance(base);
    for (const timer of timers) {
      timer.fired.length = 0;
      wheel.arm(timer, base + 5);
    }
    wheel.disarm(timers[gone] as Probe);
    assert.is(wheel.armed, 2);
    wheel.advance(base + 6);
    for (const [i, timer] of timers.entries()) assert.is(timer.fired.length, i === gone ? 0 : 1);
  }
  const never = new Probe();
  wheel.disarm(never);
  assert.is(wheel.armed, 0, 'disarming what is not armed changes nothing');
});

test('fires in the order of ticks, also when one advance covers many of them', () => {
  const wheel = new TimingWheel(0);
  const order: string[] = [];
  for (const deadline of [70, 3, 900, 41, 4000, 7]) {
    const timer = new Probe();
    timer.onFire = () => order.push(String(deadline));
    wheel.arm(timer, deadline);
  }
  wheel.advance(4095);
  assert.equal(order, ['3', '7', '41', '70', '900', '4000']);
});

test('keeps a deadline that is several turns away', () => {
  const wheel = new TimingWheel(0);
  const timer = new Probe();
  const deadline = 5 * TURN_MS + 17;
  wheel.arm(timer, deadline);
  for (let now = 1; now < deadline; now++) wheel.advance(now);
  assert.equal(timer.fired, []);
  assert.is(wheel.armed, 1);
  wheel.advance(deadline);
  assert.equal(timer.fired, [deadline]);
});

test('fires far deadlines in order when the loop was stalled for longer than a turn', () => {
  const wheel = new TimingWheel(0);
  const order: number[] = [];
  for (const deadline of [6000, 5000, 4500, TURN_MS + 1, TURN_MS, 4000]) {
    const timer = new Probe();
    timer.onFire = () => order.push(deadline);
    wheel.arm(timer, deadline);
  }
  wheel.advance(7000);
  assert.equal(order, [4000, TURN_MS, TURN_MS + 1, 4500, 5000, 6000]);
});

test('a timer that arms itself in its callback fires again in a later tick', () => {
  const wheel = new TimingWheel(0);
  const timer = new Probe();
  timer.onFire = (nowMs) => {
    if (timer.fired.length < 3) wheel.arm(timer, nowMs);
  };
  wheel.arm(timer, 1);
  wheel.advance(1);
  assert.equal(timer.fired, [1], 'not again in the same tick');
  wheel.advance(2);
  wheel.advance(3);
  wheel.advance(9);
  assert.equal(timer.fired, [1, 2, 3]);
  assert.is(wheel.armed, 0);
});

test('a callback may disarm or move a timer of its own tick', () => {
  const wheel = new TimingWheel(0);
  const timers = Array.from({ length: 3 }, (_, i) => new Probe(String(i)));
  // Whichever is first disarms one of the others and moves the third.
  let isFirst = true;
  for (const timer of timers) {
    timer.onFire = () => {
      if (!isFirst) return;
      isFirst = false;
      const [gone, moved] = timers.filter((other) => other !== timer) as [Probe, Probe];
      wheel.disarm(gone);
      wheel.arm(moved, 8);
    };
    wheel.arm(timer, 5);
  }
  wheel.advance(5);
  assert.is(timers.filter(({ fired }) => fired.length > 0).length, 1);
  assert.is(wheel.armed, 1);
  wheel.advance(20);
  assert.is(timers.filter(({ fired }) => fired.length > 0).length, 2);
  assert.is(wheel.armed, 0);
});

test('a callback may disarm and arm again a timer of its own tick', () => {
  const wheel = new TimingWheel(0);
  const a = new Probe('a');
  const b = new Probe('b');
  for (const [self, other] of [
    [a, b],
    [b, a],
  ] as const) {
    self.onFire = () => {
      wheel.disarm(other);
      wheel.arm(other, 6);
      self.onFire = () => {};
      other.onFire = () => {};
    };
    wheel.arm(self, 5);
  }
  wheel.advance(5);
  assert.is(a.fired.length + b.fired.length, 1);
  wheel.advance(6);
  assert.is(a.fired.length + b.fired.length, 2);
  assert.is(wheel.armed, 0);
});

test('serves one slot to deadlines of different turns', () => {
  const wheel = new TimingWheel(0);
  const near = new Probe('near');
  const far = new Probe('far');
  wheel.arm(far, TURN_MS + 100);
  wheel.arm(near, 100);
  wheel.advance(100);
  assert.equal([near.fired, far.fired], [[100], []]);
  wheel.advance(TURN_MS + 99);
  assert.equal(far.fired, []);
  wheel.advance(TURN_MS + 100);
  assert.equal(far.fired, [TURN_MS + 100]);
});

test.run();
