/**
 * When messages are sent and by whom: the open-loop schedule. Instants are fixed before the server
 * has any say, changes of the rate (`steps`) among them. They are not re-based after lateness: a message
 * that was due while the server stalled keeps its instant, so the stall shows in its latency, instead of
 * in fewer messages (coordinated omission).
 *
 * Poisson is the default: constant pacing hides queueing (design of the reference: D/M/1 against
 * M/M/1). The worker's rate is its share of the total; the superposition of independent Poisson
 * streams is Poisson again.
 */
import { Random } from './random.ts';

export const Arrivals = { Poisson: 'poisson', Constant: 'constant', Burst: 'burst' } as const;
export type Arrivals = (typeof Arrivals)[keyof typeof Arrivals];

export interface ScheduleOptions {
  readonly arrivals: Arrivals;
  readonly ratePerSec: number;
  /** Messages at one instant when arrivals are `burst`. */
  readonly burst: number;
  /** Other rates from an instant on, ascending, µs from the start of the load. */
  readonly steps?: readonly { readonly atUs: number; readonly ratePerSec: number }[];
}

/** Yields intended instants, ascending, in µs from the start of the load. */
export class Schedule {
  private readonly options: ScheduleOptions;
  private readonly random: Random;
  private meanGapUs: number;
  private nextUs: number;
  private leftInBurst: number;
  private stepsTaken = 0;

  constructor(options: ScheduleOptions, random: Random) {
    this.options = options;
    this.random = random;
    this.meanGapUs = 1e6 / options.ratePerSec;
    // The first burst is due at once, and whole: the gap before it counts as one of its own.
    this.leftInBurst = options.burst + 1;
    this.nextUs = this.after(0);
  }

  /** The next instant that has not been taken. */
  peekUs(): number {
    return this.nextUs;
  }

  /** Takes it. */
  takeUs(): number {
    const taken = this.nextUs;
    this.nextUs = this.after(taken);
    return taken;
  }

  /**
   * The instant after `us`. A gap that reaches beyond a step is drawn anew from there with the new
   * rate: exponential gaps have no memory, so the arrivals stay Poisson on both sides.
   */
  private after(us: number): number {
    const { steps = [] } = this.options;
    let next = us + this.gapUs();
    for (;;) {
      const step = steps[this.stepsTaken];
      if (step === undefined || next < step.atUs) return next;
      this.stepsTaken++;
      this.meanGapUs = 1e6 / step.ratePerSec;
      next = step.atUs + this.gapUs();
    }
  }

  private gapUs(): number {
    switch (this.options.arrivals) {
      case Arrivals.Poisson:
        return this.random.exponential(this.meanGapUs);
      case Arrivals.Constant:
        return this.meanGapUs;
      default:
        if (--this.leftInBurst > 0) return 0;
        this.leftInBurst = this.options.burst;
        return this.meanGapUs * this.options.burst;
    }
  }
}

/**
 * The first `count` instants of a generator's schedule, µs from the start of the load: what an open
 * loop of that seed and rate will do, known beforehand. `from` = its first user.
 */
export function instantsUs(
  options: ScheduleOptions & { readonly seed: number; readonly from: number },
  count: number,
): number[] {
  const schedule = new Schedule(options, scheduleRandom(options));
  return Array.from({ length: count }, () => schedule.takeUs());
}

/** The stream that a generator's schedule draws from. */
export function scheduleRandom({ seed, from }: { seed: number; from: number }): Random {
  return new Random(seed, `schedule ${from}`);
}

const INTERVAL_US = 100_000;

/** What the instants that were really used look like. */
export interface GapSummary {
  /** Gaps, and whole intervals of 100 ms. */
  count: number;
  intervals: number;
  coefficientOfVariation: number;
  dispersion: number;
}

/** Gap statistics of what was really scheduled: the law of arrivals is checked in every run. */
export class GapStatistics {
  /** Arrivals in the current interval of 100 ms, and Welford's sums over the whole intervals. */
  private intervalEndUs = -1;
  private inInterval = 0;
  private intervalCount = 0;
  private intervalMean = 0;
  private intervalSquares = 0;
  private count = 0;
  private mean = 0;
  private squares = 0;
  private previousUs = -1;

  /** Welford's update. */
  add(intendedUs: number): void {
    if (this.previousUs >= 0) {
      const gap = intendedUs - this.previousUs;
      this.count++;
      const delta = gap - this.mean;
      this.mean += delta / this.count;
      this.squares += delta * (gap - this.mean);
    }
    this.previousUs = intendedUs;
    if (this.intervalEndUs < 0) this.intervalEndUs = intendedUs + INTERVAL_US;
    while (intendedUs >= this.intervalEndUs) this.closeInterval();
    this.inInterval++;
  }

  /** Variance over mean of the arrivals per interval: 1 for Poisson, 0 for constant. */
  private get dispersion(): number {
    if (this.intervalCount < 2 || this.intervalMean === 0) return 0;
    return this.intervalSquares / (this.intervalCount - 1) / this.intervalMean;
  }

  private closeInterval(): void {
    this.intervalCount++;
    const delta = this.inInterval - this.intervalMean;
    this.intervalMean += delta / this.intervalCount;
    this.intervalSquares += delta * (this.inInterval - this.intervalMean);
    this.inInterval = 0;
    this.intervalEndUs += INTERVAL_US;
  }

  summary(): GapSummary {
    const { count, intervalCount, coefficientOfVariation, dispersion } = this;
    return { count, intervals: intervalCount, coefficientOfVariation, dispersion };
  }

  /** Standard deviation of the gaps over their mean: 1 for Poisson, 0 for constant. */
  private get coefficientOfVariation(): number {
    if (this.count < 2 || this.mean === 0) return 0;
    return Math.sqrt(this.squares / (this.count - 1)) / this.mean;
  }
}

export const ReceiverChoice = { Friends: 'friends', Uniform: 'uniform', Zipf: 'zipf' } as const;
export type ReceiverChoice = (typeof ReceiverChoice)[keyof typeof ReceiverChoice];

/**
 * Who writes to whom among users 0 … users-1. `friends`: each user has k fixed friends (the next k,
 * scattered), so conversations are few and long as in life; `uniform`: anybody; `zipf`: popular
 * receivers, user of rank r with weight 1 / r^exponent. Never yields the sender itself.
 */
export class ReceiverPicker {
  private readonly users: number;
  private readonly choice: ReceiverChoice;
  private readonly friends: number;
  private readonly cumulative: Float64Array | null;
  private readonly random: Random;

  constructor(
    options: { users: number; choice: ReceiverChoice; friends: number; exponent: number },
    random: Random,
  ) {
    this.users = options.users;
    this.choice = options.choice;
    this.friends = Math.min(options.friends, options.users - 1);
    this.random = random;
    this.cumulative = null;
    if (options.choice === ReceiverChoice.Zipf) {
      const cumulative = new Float64Array(options.users);
      let sum = 0;
      for (let rank = 1; rank <= options.users; rank++) {
        sum += 1 / rank ** options.exponent;
        cumulative[rank - 1] = sum;
      }
      this.cumulative = cumulative;
    }
  }

  /** The k-th friend (from 0) of a user; the same for the whole run. */
  friendOf(user: number, k: number): number {
    return (user + this.step(k)) % this.users;
  }

  /** Everybody who may write to a user: whom a naive pull must ask, lest messages stay behind. */
  writersTo(user: number): number[] {
    const { users } = this;
    const isFriends = this.choice === ReceiverChoice.Friends;
    const steps = Array.from({ length: isFriends ? this.friends : users - 1 }, (_, k) =>
      isFriends ? this.step(k) : k + 1,
    );
    return [...new Set(steps.map((step) => (user - step + users) % users))];
  }

  pick(sender: number): number {
    const { users, random } = this;
    if (this.choice === ReceiverChoice.Friends) {
      const friend = this.friendOf(sender, random.below(this.friends));
      return friend === sender ? (sender + 1) % users : friend;
    }
    const other = this.cumulative === null ? random.below(users) : this.byWeight(this.cumulative);
    return other === sender ? (other + 1) % users : other;
  }

  /**
   * Steps 1, -1, 3, -3 … around the ring: friends are spread over workers, and friendship is mutual
   * often enough that conversations have answers.
   */
  private step(k: number): number {
    return k % 2 === 0 ? k + 1 : this.users - k;
  }

  private byWeight(cumulative: Float64Array): number {
    const target = this.random.unit() * (cumulative[cumulative.length - 1] as number);
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cumulative[middle] as number) <= target) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
