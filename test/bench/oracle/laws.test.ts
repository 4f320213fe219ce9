/** The laws of the oracle servers: closed forms against each other and against what is dealt. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  cdf,
  Dealer,
  DECK,
  empiricalQuantile,
  type Law,
  quantileOf,
  sojournQuantileMs,
  sojournsMs,
} from '../../../bench/oracle/laws.ts';
import { instantsUs, Random } from '../../../loadgen/index.ts';

const LAWS: readonly Law[] = [
  { kind: 'exponential', meanMs: 20 },
  {
    kind: 'bimodal',
    first: { atMs: 10, widthMs: 1 },
    second: { atMs: 100, widthMs: 5 },
    share: 0.2,
  },
  { kind: 'queue', serviceMs: 1 },
];

const near = (actual: number, expected: number, share: number): void => {
  assert.ok(Math.abs(actual - expected) <= share * expected, `${actual} is near ${expected}`);
};

test('quantiles and distribution functions undo each other', () => {
  for (const law of LAWS) {
    for (const q of [0.01, 0.5, 0.9, 0.99, 0.999]) near(cdf(law, quantileOf(law, q)), q, 1e-9);
  }
});

test('the quantiles of an exponential law are those of the table', () => {
  const law = { kind: 'exponential', meanMs: 1 } as const;
  near(quantileOf(law, 0.5), Math.LN2, 1e-12);
  near(quantileOf(law, 0.99), 4.605170185988091, 1e-12);
});

test('a deck has exactly the quantiles of its law, whatever the seed', () => {
  for (const law of LAWS) {
    for (const seed of [1, 2]) {
      const dealer = new Dealer(law, new Random(seed, 'test'));
      for (let deck = 0; deck < 2; deck++) {
        const dealt = Array.from({ length: DECK }, () => dealer.nextMs());
        for (const q of [0.5, 0.99, 0.999]) {
          near(empiricalQuantile(dealt, q), quantileOf(law, q), 0.002 / (1 - q) / 100 + 0.001);
        }
      }
    }
  }
});

test('two decks are shuffled differently', () => {
  const dealer = new Dealer(LAWS[0] as Law, new Random(1, 'test'));
  const deal = (): number[] => Array.from({ length: DECK }, () => dealer.nextMs());
  assert.not.equal(deal().slice(0, 50), deal().slice(0, 50));
});

test('the closed form of the queue: half loaded, everything takes twice the service', () => {
  near(sojournQuantileMs({ serviceMs: 1, ratePerSec: 500 }, 0.5), 2 * Math.LN2, 1e-12);
  near(sojournQuantileMs({ serviceMs: 2, ratePerSec: 0 }, 0.5), 2 * Math.LN2, 1e-12);
});

test('customers wait for those before them (Lindley)', () => {
  const inOrder = { nextMs: () => 10 } as Dealer;
  assert.equal(sojournsMs([0, 3, 25, 26], inOrder), [10, 17, 10, 19]);
});

test('a long simulated queue comes near its closed form', () => {
  const law = { kind: 'queue', serviceMs: 1 } as const;
  const arrivals = instantsUs(
    { seed: 4, from: 0, arrivals: 'poisson', burst: 1, ratePerSec: 500 },
    400_000,
  ).map((us) => us / 1000);
  const sojourns = sojournsMs(arrivals, new Dealer(law, new Random(4, 'oracle')));
  for (const q of [0.5, 0.9, 0.99]) {
    near(
      empiricalQuantile(sojourns, q),
      sojournQuantileMs({ serviceMs: 1, ratePerSec: 500 }, q),
      0.03,
    );
  }
});

test.run();
