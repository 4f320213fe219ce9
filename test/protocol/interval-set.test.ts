/** IntervalSet by example: each way in which a number can meet the intervals that are there. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IntervalSet } from '../../protocol/index.ts';

function setOf(...values: number[]): IntervalSet {
  const set = new IntervalSet();
  for (const value of values) set.add(value);
  return set;
}

test('an empty set has nothing in it', () => {
  const set = new IntervalSet();
  assert.is(set.size, 0);
  assert.is(set.intervals, 0);
  assert.is(set.max, -1);
  assert.equal(set.toPairs(), []);
  assert.not(set.has(0));
  assert.not(set.has(1));
});

test('numbers in order are one interval however many they are', () => {
  const set = new IntervalSet();
  for (let value = 1; value <= 100_000; value++) assert.ok(set.add(value));
  assert.is(set.intervals, 1);
  assert.is(set.size, 100_000);
  assert.is(set.max, 100_000);
  assert.equal(set.toPairs(), [1, 100_000]);
});

test('the first number need not be 1', () => {
  assert.equal(setOf(5).toPairs(), [5, 5]);
  assert.equal(setOf(0).toPairs(), [0, 0]);
});

test('a gap costs one interval, filling it merges the two', () => {
  const set = setOf(1, 2, 3, 5, 6);
  assert.equal(set.toPairs(), [1, 3, 5, 6]);
  assert.is(set.intervals, 2);
  assert.not(set.has(4));
  assert.ok(set.add(4));
  assert.equal(set.toPairs(), [1, 6]);
  assert.is(set.intervals, 1);
});

test('a repeat is refused in the last interval, in an earlier one, and at every border', () => {
  const set = setOf(1, 2, 3, 6, 7, 10, 11, 12);
  for (const value of [1, 2, 3, 6, 7, 10, 11, 12]) {
    assert.not(set.add(value), `${value} again`);
    assert.ok(set.has(value));
  }
  assert.is(set.size, 8);
  for (const value of [0, 4, 5, 8, 9, 13]) assert.not(set.has(value));
});

test('a number in the middle of a gap stands alone', () => {
  const set = setOf(1, 10, 20);
  assert.ok(set.add(5));
  assert.equal(set.toPairs(), [1, 1, 5, 5, 10, 10, 20, 20]);
  assert.ok(set.add(15));
  assert.equal(set.toPairs(), [1, 1, 5, 5, 10, 10, 15, 15, 20, 20]);
});

test('a number joins the interval before it, after it, or both', () => {
  const set = setOf(1, 5, 9, 20);
  set.add(2);
  assert.equal(set.toPairs(), [1, 2, 5, 5, 9, 9, 20, 20]);
  set.add(8);
  assert.equal(set.toPairs(), [1, 2, 5, 5, 8, 9, 20, 20]);
  set.add(6);
  set.add(7);
  assert.equal(set.toPairs(), [1, 2, 5, 9, 20, 20]);
});

test('a number joins the last interval from below, and what lies before it', () => {
  const set = setOf(1, 5, 9);
  set.add(8);
  assert.equal(set.toPairs(), [1, 1, 5, 5, 8, 9]);
  set.add(6);
  set.add(7);
  assert.equal(set.toPairs(), [1, 1, 5, 9]);
  set.add(0);
  for (const value of [2, 3, 4]) set.add(value);
  assert.equal(set.toPairs(), [0, 9]);
});

test('numbers in falling order are one interval', () => {
  assert.equal(setOf(5, 4, 3, 2, 1).toPairs(), [1, 5]);
});

test('a newer message before an older one is no reason to drop the older one', () => {
  // "Everything below the newest is a duplicate" would lose 1 … 99.
  const set = setOf(100);
  for (let value = 1; value < 100; value++) assert.ok(set.add(value));
  assert.equal(set.toPairs(), [1, 100]);
});

test('the largest u32 is a number like any other', () => {
  const set = setOf(0xffffffff);
  assert.ok(set.add(0xfffffffe));
  assert.not(set.add(0xffffffff));
  assert.equal(set.toPairs(), [0xfffffffe, 0xffffffff]);
});

test('a set comes back from its pairs and goes on', () => {
  const set = IntervalSet.fromPairs([1, 3, 5, 6]);
  assert.is(set.size, 5);
  assert.is(set.intervals, 2);
  assert.is(set.max, 6);
  assert.not(set.add(5));
  assert.ok(set.add(4));
  assert.ok(set.add(7));
  assert.equal(set.toPairs(), [1, 7]);
  assert.is(IntervalSet.fromPairs([]).size, 0);
  assert.equal(IntervalSet.fromPairs([4, 9]).toPairs(), [4, 9]);
});

test('pairs are copies: changing them, or the set, does not reach the other', () => {
  const given = [1, 2, 5, 6];
  const set = IntervalSet.fromPairs(given);
  given[0] = 99;
  const taken = set.toPairs();
  taken[0] = 99;
  set.add(9);
  assert.equal(set.toPairs(), [1, 2, 5, 6, 9, 9]);
  assert.equal(taken, [99, 2, 5, 6]);
});

test.run();
