/** Non-negative least squares against values worked out by hand and by conditions of optimality. */
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nonNegativeLeastSquares } from '../../../bench/statistics/nnls.ts';

function near(actual: readonly number[], expected: readonly number[], tolerance = 1e-9): void {
  assert.is(actual.length, expected.length);
  actual.forEach((value, i) => {
    assert.ok(
      Math.abs(value - (expected[i] as number)) <= tolerance,
      `${actual.join(' ')} instead of ${expected.join(' ')}`,
    );
  });
}

test('is ordinary least squares where that is positive anyway', () => {
  // A line through (1, 1), (2, 2), (3, 2): intercept 2/3, slope 1/2.
  near(
    nonNegativeLeastSquares(
      [
        [1, 1],
        [1, 2],
        [1, 3],
      ],
      [1, 2, 2],
    ),
    [2 / 3, 0.5],
  );
});

test('puts to 0 what would be negative, and fits the others anew', () => {
  // Without the bound: -1 and 2. With it: the first is 0, the second (1 + 4) / 2... = 5/5 * 1.
  const x = nonNegativeLeastSquares(
    [
      [1, 1],
      [1, 2],
    ],
    [1, 3],
  );
  near(x, [0, 7 / 5]);
});

test('an unknown that no row mentions is 0', () => {
  near(
    nonNegativeLeastSquares(
      [
        [2, 0],
        [4, 0],
      ],
      [1, 2],
    ),
    [0.5, 0],
  );
});

test('two columns that are the same share nothing twice', () => {
  const x = nonNegativeLeastSquares(
    [
      [1, 1],
      [2, 2],
    ],
    [3, 6],
  );
  near([(x[0] as number) + (x[1] as number)], [3]);
});

test('scales of 1e6 between the columns do no harm', () => {
  near(
    nonNegativeLeastSquares(
      [
        [1, 1e-6],
        [1, 2e-6],
        [2, 1e-6],
      ],
      [3, 5, 4],
    ),
    [1, 2e6],
    1e-3,
  );
});

test('satisfies the conditions of Karush, Kuhn and Tucker for random systems', () => {
  const cell = fc.double({ min: -10, max: 10, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }).chain((unknowns) =>
        fc.tuple(
          fc.array(fc.array(cell, { minLength: unknowns, maxLength: unknowns }), {
            minLength: unknowns + 3,
            maxLength: 12,
          }),
          fc.array(cell, { minLength: 12, maxLength: 12 }),
        ),
      ),
      ([rows, all]) => {
        const b = all.slice(0, rows.length);
        const x = nonNegativeLeastSquares(rows, b);
        const scale = Math.max(1, ...rows.flat().map(Math.abs)) ** 2 * rows.length * 10;
        x.forEach((value, k) => {
          assert.ok(value >= 0);
          const gradient = rows.reduce((sum, row, r) => {
            const rest = (b[r] as number) - row.reduce((s, a, j) => s + a * (x[j] as number), 0);
            return sum + (row[k] as number) * rest;
          }, 0);
          // No way uphill for what is 0, level for what is not.
          assert.ok(gradient <= 1e-6 * scale, `gradient ${gradient} at ${k}`);
          if (value > 1e-6) assert.ok(Math.abs(gradient) <= 1e-5 * scale, `slope ${gradient}`);
        });
      },
    ),
    { numRuns: 300 },
  );
});

test.run();
