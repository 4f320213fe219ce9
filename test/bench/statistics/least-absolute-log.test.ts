/** The line of least absolute log deviation, against a search over a grid and by hand. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { leastAbsoluteLog } from '../../../bench/statistics/least-absolute-log.ts';
import { Random } from '../../../loadgen/index.ts';

const deviation = (points: readonly { x: number; y: number }[], a: number, b: number): number =>
  points.reduce((sum, { x, y }) => sum + Math.abs(Math.log((a + b * x) / y)), 0);

test('points on a line give the line', () => {
  const { a, b } = leastAbsoluteLog([0.1, 0.5, 2, 4].map((x) => ({ x, y: 3 + 2 * x })));
  assert.ok(Math.abs(a - 3) < 1e-9 && Math.abs(b - 2) < 1e-9, `${a} ${b}`);
});

test('two wild points of seven do not move it', () => {
  const points = [0, 1, 2, 3, 4, 5, 6].map((x) => ({ x, y: 3 + 2 * x }));
  (points[1] as { y: number }).y *= 50;
  (points[4] as { y: number }).y *= 9;
  const { a, b } = leastAbsoluteLog(points);
  assert.ok(Math.abs(a - 3) < 1e-9 && Math.abs(b - 2) < 1e-9, `${a} ${b}`);
});

test('no line of a fine grid is better', () => {
  const random = new Random(4, 'lines');
  for (let round = 0; round < 20; round++) {
    const points = Array.from({ length: 8 }, () => {
      const x = 3 * random.unit();
      return { x, y: (0.5 + x) * Math.exp(random.unit() - 0.5) };
    });
    const { a, b } = leastAbsoluteLog(points);
    const least = deviation(points, a, b);
    for (let i = 0; i <= 60; i++) {
      for (let j = 0; j <= 60; j++) {
        const tried = deviation(points, i / 30, j / 30);
        assert.ok(least <= tried + 0.02 * points.length, `${least} > ${tried} at ${i} ${j}`);
      }
    }
  }
});

test('a falling line is none: a and b are not negative', () => {
  const { a, b } = leastAbsoluteLog([0.1, 1, 2].map((x) => ({ x, y: 5 - 2 * x })));
  assert.ok(a >= 0 && b === 0, `${a} ${b}`);
});

test('of nothing it is nothing', () => {
  assert.equal(leastAbsoluteLog([]), { a: 0, b: 0 });
});

test.run();
