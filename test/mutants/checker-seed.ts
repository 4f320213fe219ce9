/** Randomness of a hunt. */
import { Random } from '../support/random.ts';

/** Outputs of the generator that are thrown away at its start. */
const DISCARDED = 16;

/**
 * The random source of a seed. The first outputs of neighbouring seeds resemble each other (of seeds
 * 1 to 200 none begins with a number below a quarter), and hunts use just such seeds.
 */
export function randomOf(seed: number): Random {
  const random = new Random(seed);
  for (let i = 0; i < DISCARDED; i++) random.chance(0);
  return random;
}
