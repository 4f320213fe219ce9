/**
 * Holm's correction: of m hypotheses tested together, the chance that any true one is rejected stays
 * at the level, whatever their dependence (Holm, "A simple sequentially rejective multiple test
 * procedure", Scandinavian Journal of Statistics 6, 1979).
 */

/** Adjusted p-values in the order given: reject where they are at most the level. At most 1. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((p, i) => ({ p, i })).sort((a, b) => a.p - b.p);
  const adjusted = new Array<number>(ps.length).fill(1);
  let largest = 0;
  for (const [rank, { p, i }] of order.entries()) {
    largest = Math.max(largest, Math.min(1, p * (ps.length - rank)));
    adjusted[i] = largest;
  }
  return adjusted;
}
