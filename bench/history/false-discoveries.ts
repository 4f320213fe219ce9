/**
 * The correction of Benjamini and Hochberg ("Controlling the false discovery rate", Journal of the
 * Royal Statistical Society B 57, 1995): of all that is found among m hypotheses, at most the share
 * `level` is false on average. Holm's would be stricter than a history needs, where a finding is a
 * suspicion that a comparison then tests.
 */

/** The largest p that still counts; 0 when none does. `ps` = one per hypothesis. */
export function falseDiscoveryLimit(ps: readonly number[], level: number): number {
  const sorted = [...ps].sort((a, b) => a - b);
  const limitOf = (rank: number): number => (level * rank) / sorted.length;
  // The largest rank decides, also where smaller ranks are above their own limits.
  const last = sorted.findLastIndex((p, i) => p <= limitOf(i + 1) * (1 + 1e-12));
  return last === -1 ? 0 : limitOf(last + 1);
}
