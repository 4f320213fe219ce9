/**
 * A line y = a + b x with a, b >= 0 through positive y, by the least sum of |ln(line / y)|: the median
 * of ratios, so that a few wild values (the machine paused) do not move it, and so that twice as much
 * is as wrong as half as much.
 *
 * The best of all lines through two of the points, or through one with a = 0 or b = 0. The sum has its
 * kinks there, and for the dozen runs of a calibration that is a few hundred trials. {0, 0} of no points.
 */
export function leastAbsoluteLog(points: readonly { readonly x: number; readonly y: number }[]): {
  a: number;
  b: number;
} {
  let best = { a: 0, b: 0 };
  let least = Infinity;
  const attempt = (a: number, b: number): void => {
    if (!(a >= 0 && b >= 0)) return;
    let sum = 0;
    for (const { x, y } of points) sum += Math.abs(Math.log((a + b * x) / y));
    if (sum < least) [least, best] = [sum, { a, b }];
  };
  points.forEach((p, i) => {
    attempt(p.y, 0);
    if (p.x > 0) attempt(0, p.y / p.x);
    for (const q of points.slice(i + 1)) {
      const b = (q.y - p.y) / (q.x - p.x);
      attempt(p.y - b * p.x, b);
    }
  });
  return best;
}
