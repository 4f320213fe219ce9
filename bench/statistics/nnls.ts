/**
 * Non-negative least squares: minimises |A x - b| over x >= 0, by the active-set method of Lawson and
 * Hanson (Solving Least Squares Problems, 1974, chapter 23). For a handful of unknowns: every inner
 * problem is solved by its normal equations, with columns scaled to length 1 first.
 */

const ITERATIONS_MAX = 1000;
const TOLERANCE = 1e-10;

/** `rows` of A, each with one number per unknown. Unknowns whose column is all 0 come out as 0. */
export function nonNegativeLeastSquares(
  rows: readonly (readonly number[])[],
  b: readonly number[],
): number[] {
  const unknowns = rows[0]?.length ?? 0;
  const lengths = Array.from({ length: unknowns }, (_, k) =>
    Math.sqrt(rows.reduce((sum, row) => sum + (row[k] as number) ** 2, 0)),
  );
  const scaled = rows.map((row) =>
    row.map((value, k) => (lengths[k] === 0 ? 0 : value / (lengths[k] as number))),
  );
  const x = new Array<number>(unknowns).fill(0);
  const isFree = new Array<boolean>(unknowns).fill(false);
  for (let iteration = 0; iteration < ITERATIONS_MAX; iteration++) {
    const gradient = gradientAt(scaled, b, x);
    let best = -1;
    for (let k = 0; k < unknowns; k++) {
      if (isFree[k] || lengths[k] === 0) continue;
      if ((gradient[k] as number) <= TOLERANCE) continue;
      if (best < 0 || (gradient[k] as number) > (gradient[best] as number)) best = k;
    }
    if (best < 0) break;
    isFree[best] = true;
    for (;;) {
      const free = isFree.flatMap((value, k) => (value ? [k] : []));
      const solution = leastSquares(scaled, b, free);
      const negative = free.filter((_, i) => (solution[i] as number) <= 0);
      if (negative.length === 0) {
        free.forEach((k, i) => (x[k] = solution[i] as number));
        break;
      }
      // As far towards the solution as nothing becomes negative.
      let step = 1;
      free.forEach((k, i) => {
        const to = solution[i] as number;
        const from = x[k] as number;
        if (to <= 0) step = Math.min(step, from / (from - to || 1));
      });
      free.forEach((k, i) => {
        x[k] = (x[k] as number) + step * ((solution[i] as number) - (x[k] as number));
        if ((x[k] as number) <= TOLERANCE) {
          x[k] = 0;
          isFree[k] = false;
        }
      });
    }
  }
  return x.map((value, k) => (lengths[k] === 0 ? 0 : value / (lengths[k] as number)));
}

/** A' (b - A x). */
function gradientAt(
  rows: readonly (readonly number[])[],
  b: readonly number[],
  x: readonly number[],
): number[] {
  const gradient = new Array<number>(x.length).fill(0);
  rows.forEach((row, r) => {
    const rest =
      (b[r] as number) - row.reduce((sum, value, k) => sum + value * (x[k] as number), 0);
    row.forEach((value, k) => (gradient[k] = (gradient[k] as number) + value * rest));
  });
  return gradient;
}

/** Unconstrained, over the columns `free`, by Gaussian elimination with pivoting. */
function leastSquares(
  rows: readonly (readonly number[])[],
  b: readonly number[],
  free: readonly number[],
): number[] {
  const n = free.length;
  const system = free.map((k) => [
    ...free.map((j) => rows.reduce((sum, row) => sum + (row[k] as number) * (row[j] as number), 0)),
    rows.reduce((sum, row, r) => sum + (row[k] as number) * (b[r] as number), 0),
  ]);
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) {
      if (Math.abs(system[r]![column]!) > Math.abs(system[pivot]![column]!)) pivot = r;
    }
    [system[column], system[pivot]] = [system[pivot]!, system[column]!];
    const head = system[column]!;
    // A column that says nothing beside the others: the smallest solution has 0 there.
    if (Math.abs(head[column]!) < 1e-12) continue;
    for (let r = 0; r < n; r++) {
      if (r === column) continue;
      const factor = system[r]![column]! / head[column]!;
      for (let c = column; c <= n; c++) system[r]![c]! -= factor * head[c]!;
    }
  }
  return system.map((row, i) => (Math.abs(row[i]!) < 1e-12 ? 0 : row[n]! / row[i]!));
}
