/** Recorder: a latency recorded, and a quantile read. */
import { Recorder } from '../../loadgen/recorder.ts';
import type { Benchmark } from './benchmark.ts';

const VALUES = 5000;
const QUANTILES = 20;

/** 1 µs to about 8 s, spread over all sizes; fixed. */
function latenciesUs(): number[] {
  return Array.from({ length: VALUES }, (_, index) => 2 ** ((index * 23) / VALUES) + 0.25);
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'recorder: record',
    operations: VALUES,
    prepare: () => {
      const recorder = new Recorder();
      const values = latenciesUs();
      return {
        expected: VALUES,
        reset: () => recorder.reset(),
        run: () => {
          // By index: an iterator makes an object of each double that it hands out.
          for (let i = 0; i < VALUES; i++) recorder.record(values[i] as number);
          return recorder.count;
        },
      };
    },
  },
  {
    name: 'recorder: quantile',
    operations: QUANTILES,
    prepare: () => {
      const recorder = new Recorder();
      for (let us = 1; us <= 1000; us++) recorder.record(us);
      for (const us of latenciesUs()) recorder.record(2_000_000 + us);
      let sum = 0;
      for (let i = 0; i < QUANTILES; i++) sum += recorder.quantile(0.1 * (i % 2));
      return {
        expected: sum,
        run: () => {
          let total = 0;
          for (let i = 0; i < QUANTILES; i++) total += recorder.quantile(0.1 * (i % 2));
          return total;
        },
      };
    },
  },
];
