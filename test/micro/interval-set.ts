/** Interval set: the dedupe set as it mostly is (no gaps), and with a thousand gaps. */
import { IntervalSet } from '../../protocol/index.ts';
import type { Benchmark } from './benchmark.ts';

const NUMBERS = 2000;
const GAPS = 1000;
/** Prime to GAPS: visits every gap once, in no order. */
const STRIDE = 387;

/** 2, 4, 6 …: as many intervals as numbers. */
function withGaps(): IntervalSet {
  const set = new IntervalSet();
  for (let i = 1; i <= GAPS; i++) set.add(2 * i);
  return set;
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'interval set: add in order',
    operations: NUMBERS,
    prepare: () => {
      let set = new IntervalSet();
      return {
        expected: NUMBERS,
        reset: () => {
          set = new IntervalSet();
        },
        run: () => {
          for (let i = 1; i <= NUMBERS; i++) set.add(i);
          return set.intervals === 1 ? set.size : -1;
        },
      };
    },
  },
  {
    name: 'interval set: fill gaps',
    operations: GAPS,
    prepare: () => {
      let set = withGaps();
      return {
        expected: 2 * GAPS,
        reset: () => {
          set = withGaps();
        },
        run: () => {
          for (let i = 0; i < GAPS; i++) set.add(2 * ((i * STRIDE) % GAPS) + 1);
          return set.intervals === 1 ? set.size : -1;
        },
      };
    },
  },
  {
    name: 'interval set: has among gaps',
    operations: NUMBERS,
    prepare: () => {
      const set = withGaps();
      return {
        expected: GAPS,
        run: () => {
          let found = 0;
          for (let i = 0; i < NUMBERS; i++) if (set.has(((i * STRIDE) % NUMBERS) + 1)) found++;
          return found;
        },
      };
    },
  },
];
