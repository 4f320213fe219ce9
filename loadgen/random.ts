/**
 * Seeded randomness of a run. The only file that knows the generator library. Streams with different
 * names from one seed are independent, so that adding a consumer changes no other consumer's draws.
 */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export class Random {
  private readonly generator: { next(): number };

  constructor(seed: number, stream: string) {
    let mixed = seed | 0;
    for (let i = 0; i < stream.length; i++) {
      mixed = Math.imul(mixed ^ stream.charCodeAt(i), 0x01000193);
    }
    this.generator = xoroshiro128plus(mixed);
  }

  /** Uniform in [0, 1), 32 bits. */
  unit(): number {
    return (this.generator.next() >>> 0) / 4294967296;
  }

  /** Uniform whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.unit() * below);
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return p > 0 && this.unit() < p;
  }

  /** Exponential with the given mean: the gap of a Poisson process. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean;
  }
}
