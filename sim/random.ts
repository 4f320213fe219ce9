/**
 * Randomness of simulated worlds. The only file of the room that knows the generator library.
 *
 * Plans are drawn from a stream (`Random`). What happens to one packet is drawn from its name alone
 * (`unitOf`): leaving a step or a fault out of a plan then changes nothing for the others, which is
 * what lets a failing plan be shrunk.
 */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export class Random {
  private readonly generator: { next(): number };

  constructor(seed: number) {
    // Mixed first: the generator's first numbers from neighbouring small seeds are alike.
    this.generator = xoroshiro128plus(mix(mix(seed, 0x2f0b4a27), 0x6c8e9cf5));
  }

  /** Uniform in [0, 1), 32 bits. */
  unit(): number {
    return (this.generator.next() >>> 0) / 4294967296;
  }

  /** Uniform whole number in [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.unit() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.int(0, values.length - 1)] as Value;
  }
}

/** Mixes one more number into a hash of 32 bits. */
export function mix(hash: number, value: number): number {
  let x = Math.imul(hash ^ (value | 0), 0x9e3779b1);
  x ^= x >>> 15;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  return x | 0;
}

/** Uniform in [0, 1), a function of the seed and the four numbers alone. */
export function unitOf(seed: number, a: number, b: number, c: number, d: number): number {
  const mixed = Math.imul(mix(mix(mix(mix(seed, a), b), c), d), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 4294967296;
}
