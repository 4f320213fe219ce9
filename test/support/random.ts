/**
 * Randomness of the hunts in test/mutants: the only test file that knows the PRNG library. The seed is
 * taken as it is, and the first draws of neighbouring seeds are alike, so the hunts throw those away;
 * the table of docs/RELIABILITY.md hangs on every draw. Anything else takes `sim/random.ts`, which
 * mixes the seed.
 */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export class Random {
  private readonly generator;

  constructor(seed: number) {
    this.generator = xoroshiro128plus(seed);
  }

  /** Uniform integer in [from, to]. */
  int(from: number, to: number): number {
    return uniformInt(this.generator, from, to);
  }

  /** True with this probability. Consumes randomness in every case, so that runs stay aligned. */
  chance(probability: number): boolean {
    return uniformFloat64(this.generator) < probability;
  }
}
