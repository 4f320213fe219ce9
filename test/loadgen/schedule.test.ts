/**
 * The schedule and the choice of receivers. Statistics are of fixed seeds, so they are exact for this
 * code; the bounds are four standard errors of the law that is claimed.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Random } from '../../loadgen/random.ts';
import {
  instantsUs,
  scheduleRandom,
  Arrivals,
  GapStatistics,
  ReceiverChoice,
  ReceiverPicker,
  Schedule,
} from '../../loadgen/schedule.ts';

function schedule(options: {
  arrivals: Arrivals;
  ratePerSec: number;
  burst?: number;
  seed?: number;
}): Schedule {
  return new Schedule({ burst: 100, ...options }, new Random(options.seed ?? 1, 'schedule test'));
}

function take(from: Schedule, count: number): number[] {
  return Array.from({ length: count }, () => from.takeUs());
}

function within(value: number, expected: number, tolerance: number, what: string): void {
  const message = `${what}: ${value}, expected ${expected} +- ${tolerance}`;
  assert.ok(Math.abs(value - expected) <= tolerance, message);
}

const GAPS = 100_000;

for (const seed of [1, 2, 3]) {
  test(`Poisson gaps have the mean, variation and tail of the exponential law, seed ${seed}`, () => {
    const instants = take(schedule({ arrivals: Arrivals.Poisson, ratePerSec: 4000, seed }), GAPS);
    const gaps = instants.map((at, i) => at - (i === 0 ? 0 : (instants[i - 1] as number)));
    assert.ok(gaps.every((gap) => gap >= 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / GAPS;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / (GAPS - 1);
    // Standard error of the mean is mean / sqrt(n), of the variation about 1 / sqrt(n).
    within(mean, 250, (4 * 250) / Math.sqrt(GAPS), 'mean gap, us');
    within(Math.sqrt(variance) / mean, 1, 4 / Math.sqrt(GAPS), 'coefficient of variation');
    for (const k of [0.1, 0.5, 1, 2, 3, 5]) {
      const p = Math.exp(-k);
      const share = gaps.filter((gap) => gap > k * 250).length / GAPS;
      within(share, p, 4 * Math.sqrt((p * (1 - p)) / GAPS), `share of gaps above ${k} means`);
    }
    // Lag-1 correlation of independent gaps is 0 with standard error 1 / sqrt(n).
    let covariance = 0;
    for (let i = 1; i < GAPS; i++) covariance += (gaps[i]! - mean) * (gaps[i - 1]! - mean);
    within(covariance / GAPS / variance, 0, 4 / Math.sqrt(GAPS), 'correlation of neighbours');
  });
}

test('one seed gives one schedule, another seed another', () => {
  const poisson = (seed: number): number[] =>
    take(schedule({ arrivals: Arrivals.Poisson, ratePerSec: 100, seed }), 50);
  assert.equal(poisson(7), poisson(7));
  assert.not.equal(poisson(7), poisson(8));
});

test('constant arrivals are at exact instants', () => {
  const instants = take(schedule({ arrivals: Arrivals.Constant, ratePerSec: 1000 }), 5);
  assert.equal(instants, [1000, 2000, 3000, 4000, 5000]);
  // 800 per second for an hour: no drift, 1250 us is exact in binary.
  const hour = schedule({ arrivals: Arrivals.Constant, ratePerSec: 800 });
  let last = 0;
  for (let i = 0; i < 2_880_000; i++) last = hour.takeUs();
  assert.is(last, 3_600_000_000);
});

test('a burst is whole from the first on, and keeps the mean rate', () => {
  const instants = take(schedule({ arrivals: Arrivals.Burst, ratePerSec: 1000, burst: 3 }), 10);
  assert.equal(instants, [0, 0, 0, 3000, 3000, 3000, 6000, 6000, 6000, 9000]);
  const single = take(schedule({ arrivals: Arrivals.Burst, ratePerSec: 1000, burst: 1 }), 3);
  assert.equal(single, [0, 1000, 2000]);
});

test('peek shows the instant that take returns next', () => {
  const poisson = schedule({ arrivals: Arrivals.Poisson, ratePerSec: 10 });
  for (let i = 0; i < 20; i++) {
    const peeked = poisson.peekUs();
    assert.is(poisson.peekUs(), peeked);
    assert.is(poisson.takeUs(), peeked);
  }
});

test('gap statistics agree with an independent two-pass computation', () => {
  const samples: number[][] = [
    take(schedule({ arrivals: Arrivals.Poisson, ratePerSec: 50_000, seed: 9 }), 5000),
    take(schedule({ arrivals: Arrivals.Burst, ratePerSec: 1000, burst: 7 }), 700),
    // A monotonic clock that is far from zero must not cost the digits.
    take(schedule({ arrivals: Arrivals.Poisson, ratePerSec: 1000 }), 2000).map((us) => us + 5e11),
  ];
  for (const instants of samples) {
    const statistics = new GapStatistics();
    for (const at of instants) statistics.add(at);
    const gaps = instants.slice(1).map((at, i) => at - (instants[i] as number));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const squares = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0);
    const expected = Math.sqrt(squares / (gaps.length - 1)) / mean;
    assert.is(statistics.summary().count, instants.length - 1);
    within(statistics.summary().coefficientOfVariation, expected, 1e-9, 'coefficient of variation');
  }
});

test('gap statistics of hand-made gaps are exact', () => {
  const of = (instants: readonly number[]): number => {
    const statistics = new GapStatistics();
    for (const at of instants) statistics.add(at);
    return statistics.summary().coefficientOfVariation;
  };
  assert.is(of([]), 0);
  assert.is(of([0]), 0);
  assert.is(of([0, 10]), 0, 'one gap has no variation');
  assert.is(of([0, 10, 20, 30]), 0);
  // Gaps 10 and 30: mean 20, sample standard deviation sqrt(200).
  within(of([0, 10, 40]), Math.sqrt(200) / 20, 1e-12, 'gaps 10, 30');
  assert.is(of([5, 5, 5]), 0, 'gaps of nothing');
});

// ---- who writes to whom ----------------------------------------------------------------------

function picker(options: {
  users: number;
  choice: ReceiverChoice;
  friends?: number;
  exponent?: number;
}): ReceiverPicker {
  return new ReceiverPicker(
    { friends: 16, exponent: 1, ...options },
    new Random(11, 'receivers test'),
  );
}

test('friends are fixed, never oneself, and as many as asked for', () => {
  const users = 100;
  const friends = picker({ users, choice: ReceiverChoice.Friends, friends: 8 });
  for (const user of [0, 1, 42, 99]) {
    const fixed = new Set(Array.from({ length: 8 }, (_, k) => friends.friendOf(user, k)));
    assert.is(fixed.size, 8);
    assert.not(fixed.has(user));
    const picked = new Set(Array.from({ length: 2000 }, () => friends.pick(user)));
    assert.equal([...picked].sort(), [...fixed].sort());
    assert.ok([...fixed].every((friend) => friend >= 0 && friend < users));
  }
});

test('no choice of receivers yields the sender, or anybody who does not exist', () => {
  for (const choice of Object.values(ReceiverChoice)) {
    for (const users of [2, 3, 4, 5, 17, 18]) {
      const any = picker({ users, choice });
      for (let sender = 0; sender < users; sender++) {
        for (let i = 0; i < 50; i++) {
          const receiver = any.pick(sender);
          const isUser = Number.isInteger(receiver) && receiver >= 0 && receiver < users;
          assert.ok(
            isUser && receiver !== sender,
            `${choice}: ${sender} -> ${receiver} of ${users}`,
          );
        }
      }
    }
  }
});

test('a naive pull asks everybody who may write to a user, each once, and nobody else', () => {
  for (const choice of Object.values(ReceiverChoice)) {
    for (const [users, friends] of [
      [2, 16],
      [5, 16],
      [6, 5],
      [40, 5],
      [40, 16],
    ] as const) {
      const any = picker({ users, choice, friends, exponent: 0.2 });
      const writers = Array.from({ length: users }, () => new Set<number>());
      for (let sender = 0; sender < users; sender++) {
        for (let i = 0; i < 2000; i++) writers[any.pick(sender)]!.add(sender);
      }
      for (const [receiver, found] of writers.entries()) {
        const asked = any.writersTo(receiver).sort((a, b) => a - b);
        const expected = [...found].sort((a, b) => a - b);
        assert.equal(asked, expected, `${choice}, ${users} users, ${friends} friends`);
      }
    }
  }
});

/** Shares of each receiver when everybody sends alike. */
function shares(from: ReceiverPicker, users: number, draws: number): number[] {
  const counts = new Array<number>(users).fill(0);
  for (let i = 0; i < draws; i++) counts[from.pick(i % users)]!++;
  return counts.map((count) => count / draws);
}

test('uniform receivers are equally likely', () => {
  const users = 20;
  const draws = 200_000;
  const p = 1 / users;
  for (const share of shares(picker({ users, choice: ReceiverChoice.Uniform }), users, draws)) {
    within(share, p, 4 * Math.sqrt((p * (1 - p)) / draws), 'share');
  }
});

for (const exponent of [0, 0.8, 1, 2]) {
  test(`zipf receivers follow rank^-${exponent}`, () => {
    const users = 50;
    const draws = 200_000;
    const weights = Array.from({ length: users }, (_, i) => 1 / (i + 1) ** exponent);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const zipf = picker({ users, choice: ReceiverChoice.Zipf, exponent });
    const found = shares(zipf, users, draws);
    for (const [receiver, share] of found.entries()) {
      // The sender itself is drawn with 1 / users; its place then goes to the next user.
      const own = weights[receiver]! / total;
      const before = weights[(receiver + users - 1) % users]! / total;
      const p = own * (1 - 1 / users) + before / users;
      within(share, p, 4 * Math.sqrt((p * (1 - p)) / draws), `rank ${receiver + 1}`);
    }
  });
}

test('counts per 100 ms scatter as much as their mean for Poisson, not at all for constant arrivals', () => {
  const dispersion = (arrivals: Arrivals): { intervals: number; dispersion: number } => {
    const statistics = new GapStatistics();
    const options = { seed: 3, from: 0, arrivals, ratePerSec: 1000, burst: 50 };
    for (const us of instantsUs(options, 100_000)) statistics.add(us);
    return statistics.summary();
  };
  const poisson = dispersion('poisson');
  // 100 s; four times its own scatter, sqrt(2 / 1000).
  assert.ok(Math.abs(poisson.intervals - 1000) < 15);
  within(poisson.dispersion, 1, 0.18, 'variance over mean');
  assert.is(dispersion('constant').dispersion, 0);
  assert.ok(dispersion('burst').dispersion < 0.9);
});

test('an interval without arrivals counts as one', () => {
  const statistics = new GapStatistics();
  for (const us of [0, 50_000, 350_000, 400_001]) statistics.add(us);
  // From 0: two, none, none, one; the fifth is not over.
  assert.is(statistics.summary().intervals, 4);
  within(statistics.summary().dispersion, 11 / 12 / (3 / 4), 1e-9, 'variance over mean');
});

test('the instants of a schedule are known beforehand', () => {
  const options = { seed: 9, from: 40, arrivals: 'poisson', ratePerSec: 500, burst: 1 } as const;
  const schedule = new Schedule(options, scheduleRandom(options));
  assert.equal(
    instantsUs(options, 50),
    Array.from({ length: 50 }, () => schedule.takeUs()),
  );
});

test('a step changes the rate at its instant, and both sides stay Poisson', () => {
  const stepped = new Schedule(
    {
      arrivals: Arrivals.Poisson,
      ratePerSec: 1000,
      burst: 1,
      steps: [
        { atUs: 50e6, ratePerSec: 4000 },
        { atUs: 100e6, ratePerSec: 500 },
      ],
    },
    new Random(3, 'steps'),
  );
  const counts = [0, 0, 0];
  const statistics = [new GapStatistics(), new GapStatistics(), new GapStatistics()];
  for (let us = stepped.takeUs(); us < 150e6; us = stepped.takeUs()) {
    const part = Math.floor(us / 50e6);
    counts[part]!++;
    statistics[part]!.add(us);
  }
  // Poisson counts: four standard deviations.
  [50_000, 200_000, 25_000].forEach((expected, i) => {
    within(counts[i] as number, expected, 4 * Math.sqrt(expected), `arrivals of part ${i}`);
    within(statistics[i]!.summary().coefficientOfVariation, 1, 0.03, `variation of part ${i}`);
  });
});

test('constant arrivals go on from a step with the new gap', () => {
  const stepped = new Schedule(
    {
      arrivals: Arrivals.Constant,
      ratePerSec: 10,
      burst: 1,
      steps: [{ atUs: 250_000, ratePerSec: 100 }],
    },
    new Random(1, 'steps'),
  );
  assert.equal(take(stepped, 5), [100_000, 200_000, 260_000, 270_000, 280_000]);
});

test.run();
