/** Waiting times, counted in buckets that are 2 % wide: a quantile is at most that far off. */
const PER_OCTAVE = 35;
/** Shorter waits count as none. */
const SMALLEST_S = 1e-7;
const BUCKETS = PER_OCTAVE * 40;

export class WaitHistogram {
  count = 0;
  private readonly buckets = new Uint32Array(BUCKETS);

  add(waitS: number): void {
    this.count++;
    const bucket =
      waitS <= SMALLEST_S ? 0 : 1 + Math.floor(Math.log2(waitS / SMALLEST_S) * PER_OCTAVE);
    const at = Math.min(BUCKETS - 1, bucket);
    this.buckets[at] = (this.buckets[at] as number) + 1;
  }

  /** Upper end of the bucket in which the quantile lies; 0 when nothing was counted. */
  quantileS(q: number): number {
    let left = Math.ceil(q * this.count);
    if (left === 0) return 0;
    for (let at = 0; at < BUCKETS; at++) {
      left -= this.buckets[at] as number;
      if (left <= 0) return at === 0 ? 0 : SMALLEST_S * 2 ** (at / PER_OCTAVE);
    }
    return Infinity;
  }

  clear(): void {
    this.count = 0;
    this.buckets.fill(0);
  }
}
