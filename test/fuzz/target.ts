/** What the fuzzer drives. A target is one piece of the house with an oracle of its own. */
import type { CoverageSource } from './coverage.ts';
import type { Mutate } from './mutate.ts';

/** An input that shows a defect: the code under test threw, or an oracle says no. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

/** Throws a Finding unless it is so. */
export function expect(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Finding(what);
}

export interface Target {
  /** Files whose coverage decides which inputs are kept, by URL. */
  readonly sources: RegExp;
  readonly maxBytes: number;
  /** Inputs per look at the coverage. */
  readonly batch: number;
  readonly dictionary: readonly Buffer[];
  readonly seeds: readonly Buffer[];
  readonly mutate: Mutate;
  /** Where coverage comes from when the code under test runs in another process. */
  readonly coverage?: () => Promise<CoverageSource>;
  /**
   * Runs one input from a fresh state. Anything that it throws is a crash. Small numbers put into
   * `seen` count as coverage: which decisions met each other, say, and not only which lines ran.
   */
  run(input: Buffer, seen: Set<number>): void | Promise<void>;
  /** The input for people to read. */
  describe(input: Buffer): string;
  /** One more fact for the summary. */
  note?(): string;
  /** Ends what the target started; throws a Finding when the end shows a defect. */
  close?(): Promise<void>;
}

/** Makes a target; what it imports of the house is imported in here, after coverage has begun. */
export type OpenTarget = () => Promise<Target>;
