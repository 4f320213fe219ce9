/** A planted bug, and how it is hunted. A mutant that survives is a hole in the checks. */
export interface Mutant {
  /** What is broken, in a few words: the row's name in docs/RELIABILITY.md. */
  readonly name: string;
  readonly part: 'client' | 'gateway' | 'store' | 'ledger' | 'checker';
  /** Runs one seed with the bug in. The name of the check that caught it, null when none did. */
  hunt(seed: number): string | null;
}
