/**
 * Latency histograms: HDR layout, 1 µs to 1 h, 3 significant digits, merged by adding counts.
 * The only file that knows the histogram library.
 *
 * Recording uses counts of our own in the library's bucket layout (2,048 sub-buckets, unit 1 µs):
 * measured here 3 ns a value against 235 ns through the library, which at six values a message
 * would be a tenth of the generator's time. Percentiles and the interchange format (HdrHistogram V2,
 * compressed, base64) come from the library.
 */
import {
  build,
  decodeFromCompressedBase64,
  encodeIntoCompressedBase64,
  type Histogram,
} from 'hdr-histogram-js';

/** Largest value; stands for "never" too: a message that did not arrive is not left out. */
export const LATENCY_MAX_US = 3_600_000_000;

const SUB_BUCKET_BITS = 11;
const SUB_BUCKET_HALF = 1 << (SUB_BUCKET_BITS - 1);
const SLOTS = bucketOf(LATENCY_MAX_US) + 1;

function bucketOf(us: number): number {
  const shift = Math.max(0, 32 - Math.clz32(us) - SUB_BUCKET_BITS);
  return shift * SUB_BUCKET_HALF + (us >>> shift);
}

/** Smallest value of a bucket. */
function valueOf(bucket: number): number {
  if (bucket < 2 * SUB_BUCKET_HALF) return bucket;
  const shift = Math.floor(bucket / SUB_BUCKET_HALF) - 1;
  return (bucket - shift * SUB_BUCKET_HALF) * 2 ** shift;
}

export interface LatencySummary {
  count: number;
  mean: number;
  p50: number | null;
  p90: number | null;
  p95: number | null;
  p99: number | null;
  p999: number | null;
  p9999: number | null;
  max: number;
  /** HdrHistogram V2, compressed, base64; values in µs. */
  hdr: string;
}

/** Reporting points of a percentile text up to each halving of the distance to 100 %. */
const TICKS_PER_HALF = 5;
const US_PER_MS = 1000;

/**
 * A summary's `hdr` as HdrHistogram's percentile distribution (`.hgrm`), values in ms. Values are the
 * largest of their bucket there, up to 0.1 % above what was recorded.
 */
export function percentileText(hdr: string): string {
  return decodeFromCompressedBase64(hdr).outputPercentileDistribution(TICKS_PER_HALF, US_PER_MS);
}

/**
 * A summary's `hdr` as a curve: `[1 / (1 - q), value in us]` at five points for each halving of the
 * distance to 100 %, up to the last recorded value, of which 1 / (1 - q) is the count. Values are the
 * smallest of their bucket, as in the summary. Throws when the text is no histogram.
 */
export function percentileCurve(hdr: string): [number, number][] {
  const histogram = decodeFromCompressedBase64(hdr);
  const count = histogram.totalCount;
  const curve: [number, number][] = [];
  const at = (q: number): number =>
    Math.min(smallestLike(histogram.getValueAtPercentile(100 * q)), histogram.maxValue);
  for (let half = 0; 2 ** half < count; half++) {
    for (let tick = 0; tick < TICKS_PER_HALF; tick++) {
      const distance = 2 ** -half * (1 - tick / (2 * TICKS_PER_HALF));
      if (1 / distance >= count) break;
      curve.push([1 / distance, at(1 - distance)]);
    }
  }
  if (count > 0) curve.push([count, at(1)]);
  return curve;
}

/** The smallest value of the bucket that `us` is in. */
function smallestLike(us: number): number {
  return us >= LATENCY_MAX_US ? LATENCY_MAX_US : valueOf(bucketOf(us));
}

/** A quantile needs so many samples beyond it before it is printed: 100 / (1 - q) in all. */
export function isQuantileKnown(q: number, count: number): boolean {
  return count >= 100 / (1 - q) - 1e-6;
}

/** One histogram. `counts` may be transferred between threads and merged there. */
export class Recorder {
  readonly counts: Uint32Array;
  private total = 0;
  private sumUs = 0;
  private maxUs = 0;
  /** Records nothing; what a run without histograms costs. */
  isMuted = false;

  constructor(counts: Uint32Array = new Uint32Array(SLOTS)) {
    this.counts = counts;
  }

  get count(): number {
    return this.total;
  }

  /** Mean in µs; 0 when empty. */
  get mean(): number {
    return this.total === 0 ? 0 : this.sumUs / this.total;
  }

  get max(): number {
    return this.maxUs;
  }

  /** Records a latency in µs; clamped to [0, 1 h]. */
  record(us: number): void {
    if (this.isMuted) return;
    const value = us > 0 ? (us < LATENCY_MAX_US ? (us + 0.5) >>> 0 : LATENCY_MAX_US) : 0;
    this.counts[bucketOf(value)]!++;
    this.total++;
    this.sumUs += value;
    if (value > this.maxUs) this.maxUs = value;
  }

  /** Records what never happened. */
  recordNever(times = 1): void {
    for (let i = 0; i < times; i++) this.record(LATENCY_MAX_US);
  }

  add(other: RecorderState): void {
    const { counts } = this;
    // Before the loop, which is compiled while it runs: what comes after it would undo that each time.
    this.total += other.total;
    this.sumUs += other.sumUs;
    this.maxUs = Math.max(this.maxUs, other.maxUs);
    for (let i = 0; i < counts.length; i++) counts[i]! += other.counts[i] as number;
  }

  reset(): void {
    this.counts.fill(0);
    this.total = this.sumUs = this.maxUs = 0;
  }

  /** Value at quantile q in µs, 0 when empty; the smallest value of its bucket (error < 0.1 %). */
  quantile(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.total));
    let seen = 0;
    for (let bucket = 0; bucket < this.counts.length; bucket++) {
      seen += this.counts[bucket] as number;
      if (seen < rank) continue;
      // Never stays never: the last bucket starts below the hour.
      return bucket === SLOTS - 1 ? this.maxUs : Math.min(valueOf(bucket), this.maxUs);
    }
    return 0;
  }

  state(): RecorderState {
    return { counts: this.counts, total: this.total, sumUs: this.sumUs, maxUs: this.maxUs };
  }

  /** Quantiles without enough samples are null. */
  summary(): LatencySummary {
    return { ...this.figures(), hdr: encodeIntoCompressedBase64(this.toHdr()) };
  }

  /** A summary without the histogram itself, whose packing takes milliseconds. */
  figures(): Omit<LatencySummary, 'hdr'> {
    const at = (q: number): number | null =>
      isQuantileKnown(q, this.total) ? this.quantile(q) : null;
    return {
      count: this.total,
      mean: Math.round(this.mean * 10) / 10,
      p50: at(0.5),
      p90: at(0.9),
      p95: at(0.95),
      p99: at(0.99),
      p999: at(0.999),
      p9999: at(0.9999),
      max: this.maxUs,
    };
  }

  private toHdr(): Histogram {
    const histogram = build({
      bitBucketSize: 32,
      lowestDiscernibleValue: 1,
      highestTrackableValue: LATENCY_MAX_US,
      numberOfSignificantValueDigits: 3,
    });
    for (let bucket = 0; bucket < this.counts.length; bucket++) {
      const count = this.counts[bucket] as number;
      if (count > 0) histogram.recordValueWithCount(valueOf(bucket), count);
    }
    return histogram;
  }
}

/** What crosses threads. */
export interface RecorderState {
  counts: Uint32Array;
  total: number;
  sumUs: number;
  maxUs: number;
}
