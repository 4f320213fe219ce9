/** Change points, against a published series, an independent statistic, and noise without any. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bestSplit, eDivisive } from '../../../bench/statistics/e-divisive.ts';
import { Random } from '../../../loadgen/index.ts';

/**
 * Annual flow of the Nile at Aswan, 1871 to 1970, 10^8 m^3 (Cobb, "The problem of the Nile", Biometrika
 * 65, 1978): the change that everybody finds is between 1898 and 1899.
 */
const NILE = [
  1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180,
  799, 958, 1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701,
  916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862,
  698, 845, 744, 796, 1040, 759, 781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812,
  742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906,
  901, 1170, 912, 746, 919, 718, 714, 740,
];

const seeded = (seed: number): { below: (bound: number) => number } => {
  const random = new Random(seed, 'test');
  return { below: (bound) => random.below(bound) };
};

test('finds the one change of the Nile, in 1899', () => {
  const found = eDivisive(NILE, { ...seeded(1), sizeMin: 5, permutations: 199 });
  assert.equal(
    found.map(({ index }) => 1871 + index),
    [1899],
  );
  assert.ok((found[0]?.p ?? 1) <= 0.01);
});

/** The definition, pair by pair: nm/(n+m) (2 E|X-Y| - E|X-X'| - E|Y-Y'|). */
function definition(values: readonly number[], at: number): number {
  const left = values.slice(0, at);
  const right = values.slice(at);
  const pairs = (xs: readonly number[]): number => {
    let sum = 0;
    for (const [i, x] of xs.entries()) for (const y of xs.slice(i + 1)) sum += Math.abs(x - y);
    return sum / ((xs.length * (xs.length - 1)) / 2);
  };
  let across = 0;
  for (const x of left) for (const y of right) across += Math.abs(x - y);
  const [n, m] = [left.length, right.length];
  return ((n * m) / (n + m)) * ((2 * across) / (n * m) - pairs(left) - pairs(right));
}

test('the best split is the largest statistic by its definition', () => {
  const values = NILE.slice(10, 50);
  const split = bestSplit(values, 3);
  let best = { at: 0, statistic: -Infinity };
  for (let at = 3; at <= values.length - 3; at++) {
    const statistic = definition(values, at);
    if (statistic > best.statistic) best = { at, statistic };
  }
  assert.is(split?.at, best.at);
  assert.ok(Math.abs((split?.statistic ?? 0) - best.statistic) < 1e-6);
});

test('finds two changes, and names the first value of each regime', () => {
  const random = new Random(7, 'noise');
  const level = (i: number): number => (i < 20 ? 10 : i < 45 ? 12 : 9);
  const values = Array.from({ length: 60 }, (_, i) => level(i) + random.unit() - 0.5);
  const found = eDivisive(values, { ...seeded(2), permutations: 199 });
  assert.equal(
    found.map(({ index }) => index),
    [20, 45],
  );
});

test('noise that hangs together is not full of change points', () => {
  // A t-test at the best split finds one in 64 % of such series.
  const random = new Random(3, 'autocorrelated');
  const gauss = (): number => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.unit()));
    return radius * Math.cos(2 * Math.PI * random.unit());
  };
  let withChange = 0;
  const series = 60;
  for (let k = 0; k < series; k++) {
    let last = 0;
    const values = Array.from({ length: 40 }, () => (last = 0.5 * last + gauss()));
    const options = { ...seeded(k), permutations: 99, blockLength: 6, level: 0.01 };
    if (eDivisive(values, options).length > 0) withChange++;
  }
  assert.ok(withChange <= 3, `${withChange} of ${series} series`);
});

test('a series too short to be split has no change', () => {
  assert.equal(eDivisive([1, 2, 3, 9, 9], seeded(1)), []);
  assert.is(bestSplit([1, 2, 3], 2), null);
});

test.run();
