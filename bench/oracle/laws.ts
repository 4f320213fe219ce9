/**
 * Laws of delay that an oracle server follows, and their exact quantiles, ms.
 *
 * Delays are not drawn but dealt: the quantiles at (i + 1/2) / DECK, shuffled, one deck after the
 * other. Each deck has exactly the distribution that the closed form says, so what a tool reports may
 * be held against the closed form without waiting for chance to even out.
 */
import type { Random } from '../../loadgen/index.ts';

export type Law =
  | { readonly kind: 'exponential'; readonly meanMs: number }
  /** Two humps: `share` of the messages around the second. */
  | {
      readonly kind: 'bimodal';
      readonly first: Hump;
      readonly second: Hump;
      readonly share: number;
    }
  /** One server, first come first served, exponential service: M/M/1 when arrivals are Poisson. */
  | { readonly kind: 'queue'; readonly serviceMs: number };

/** A logistic distribution: smooth, with a closed form in both directions. */
interface Hump {
  readonly atMs: number;
  readonly widthMs: number;
}

export const DECK = 10_000;

/** P(delay <= x) of a law without a queue. */
export function cdf(law: Law, xMs: number): number {
  if (law.kind !== 'bimodal') {
    return 1 - Math.exp(-xMs / (law.kind === 'exponential' ? law.meanMs : law.serviceMs));
  }
  const hump = ({ atMs, widthMs }: Hump): number => 1 / (1 + Math.exp(-(xMs - atMs) / widthMs));
  return (1 - law.share) * hump(law.first) + law.share * hump(law.second);
}

/** The delay (of `queue`: the service time) that a share `q` does not exceed. */
export function quantileOf(law: Law, q: number): number {
  if (law.kind !== 'bimodal') {
    return -Math.log(1 - q) * (law.kind === 'exponential' ? law.meanMs : law.serviceMs);
  }
  let low = 0;
  let high = law.second.atMs + 60 * law.second.widthMs;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (cdf(law, middle) < q) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Deals delays, or service times, of a law. */
export class Dealer {
  private readonly deck: Float64Array;
  private readonly random: Random;
  private at = DECK;

  constructor(law: Law, random: Random) {
    this.deck = Float64Array.from({ length: DECK }, (_, i) => quantileOf(law, (i + 0.5) / DECK));
    this.random = random;
  }

  nextMs(): number {
    if (this.at === DECK) this.shuffle();
    return this.deck[this.at++] as number;
  }

  private shuffle(): void {
    const { deck, random } = this;
    for (let i = DECK - 1; i > 0; i--) {
      const j = random.below(i + 1);
      const kept = deck[i] as number;
      deck[i] = deck[j] as number;
      deck[j] = kept;
    }
    this.at = 0;
  }
}

/**
 * Time in the system of an M/M/1 queue at quantile `q`, ms: exponential with rate mu - lambda
 * (Kleinrock, Queueing Systems I, 1975, section 5.8).
 */
export function sojournQuantileMs(
  { serviceMs, ratePerSec }: { serviceMs: number; ratePerSec: number },
  q: number,
): number {
  return -Math.log(1 - q) / (1 / serviceMs - ratePerSec / 1000);
}

/** Times in the system of a first-come-first-served queue, ms (Lindley's recursion). */
export function sojournsMs(arrivalsMs: readonly number[], dealer: Dealer): number[] {
  let freeAtMs = 0;
  return arrivalsMs.map((arrivalMs) => {
    freeAtMs = Math.max(freeAtMs, arrivalMs) + dealer.nextMs();
    return freeAtMs - arrivalMs;
  });
}

/** The smallest value that a share `q` of them does not exceed. */
export function empiricalQuantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] as number;
}
