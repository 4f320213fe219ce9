/** IntervalSet against a Set of numbers. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IntervalSet } from '../../protocol/index.ts';

/** Dense enough that borders meet often, in any order, with repeats. */
const adds = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 30 }),
  fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 120 }),
  fc.array(fc.integer({ min: 1, max: 0xffffffff }), { maxLength: 60 }),
);

/** A conversation as a receiver sees it: 1 … n, shuffled by chunks, some lost, some repeated. */
const arrivals = fc
  .record({ n: fc.integer({ min: 1, max: 200 }), swaps: fc.array(fc.nat(), { maxLength: 50 }) })
  .map(({ n, swaps }) => {
    const seqs = Array.from({ length: n }, (_, i) => i + 1);
    for (const swap of swaps) {
      const from = swap % n;
      const [moved] = seqs.splice(from, 1);
      seqs.splice((swap >>> 8) % n, 0, moved as number);
    }
    return seqs;
  });

function check(set: IntervalSet, model: ReadonlySet<number>): void {
  assert.is(set.size, model.size);
  const pairs = set.toPairs();
  assert.is(pairs.length, 2 * set.intervals);
  let total = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    const [lo, hi] = [pairs[i] as number, pairs[i + 1] as number];
    assert.ok(lo <= hi, 'an interval is not empty');
    if (i > 0) assert.ok((pairs[i - 1] as number) + 1 < lo, 'intervals are sorted, not adjacent');
    total += hi - lo + 1;
    // Same size and both ends in the model's runs: with `has` below this is equality.
    assert.ok(model.has(lo) && model.has(hi));
    assert.not(model.has(lo - 1) || model.has(hi + 1), 'intervals are maximal');
  }
  assert.is(total, model.size);
  assert.is(set.max, model.size === 0 ? -1 : Math.max(...model));
}

function agree(set: IntervalSet, model: ReadonlySet<number>, probes: Iterable<number>): void {
  for (const value of probes) {
    for (const near of [value - 1, value, value + 1]) {
      assert.is(set.has(near), model.has(near), `has(${near})`);
    }
  }
}

test('agrees with a Set after every add, whatever the order', () => {
  fc.assert(
    fc.property(fc.oneof(adds, arrivals), (values) => {
      const set = new IntervalSet();
      const model = new Set<number>();
      for (const value of values) {
        assert.is(set.add(value), !model.has(value), `add(${value})`);
        model.add(value);
        check(set, model);
      }
      agree(set, model, values);
    }),
    { numRuns: 500 },
  );
});

test('the order of adds does not matter', () => {
  const orders = adds.chain((values) =>
    fc.tuple(
      fc.constant(values),
      fc.shuffledSubarray(values, { minLength: values.length, maxLength: values.length }),
    ),
  );
  fc.assert(
    fc.property(orders, ([values, shuffled]) => {
      const [one, other] = [new IntervalSet(), new IntervalSet()];
      for (const value of values) one.add(value);
      for (const value of shuffled) other.add(value);
      assert.equal(one.toPairs(), other.toPairs());
      assert.is(one.size, other.size);
    }),
  );
});

test('goes on after toPairs and fromPairs as if nothing had happened', () => {
  fc.assert(
    fc.property(adds, adds, (before, after) => {
      const original = new IntervalSet();
      for (const value of before) original.add(value);
      const restored = IntervalSet.fromPairs(original.toPairs());
      assert.equal(restored.toPairs(), original.toPairs());
      for (const value of after) assert.is(restored.add(value), original.add(value));
      assert.equal(restored.toPairs(), original.toPairs());
      const model = new Set([...before, ...after]);
      check(restored, model);
      agree(restored, model, model);
    }),
  );
});

test('a whole conversation ends as one interval', () => {
  fc.assert(
    fc.property(arrivals, (seqs) => {
      const set = new IntervalSet();
      for (const seq of seqs) set.add(seq);
      assert.equal(set.toPairs(), [1, seqs.length]);
    }),
  );
});

test.run();
