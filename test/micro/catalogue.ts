/** The groups of benchmarks, by the first word of their names; loaded one by one, as needed. */
import type { Benchmark } from './benchmark.ts';

interface Group {
  readonly benchmarks: readonly Benchmark[];
}

const GROUPS: Readonly<Record<string, () => Promise<Group>>> = {
  codec: () => import('./codec.ts'),
  'interval set': () => import('./interval-set.ts'),
  'timing wheel': () => import('./timing-wheel.ts'),
  ledger: () => import('./ledger.ts'),
  recorder: () => import('./recorder.ts'),
  sender: () => import('./sender.ts'),
  store: () => import('./store.ts'),
};

/** Names of all benchmarks, in the order in which they run. */
export async function benchmarkNames(): Promise<string[]> {
  const groups = await Promise.all(Object.values(GROUPS).map((load) => load()));
  return groups.flatMap(({ benchmarks }) => benchmarks.map(({ name }) => name));
}

/** The benchmark of that name; loads its group only. */
export async function loadBenchmark(name: string): Promise<Benchmark> {
  const load = GROUPS[/^[a-z ]+/.exec(name)?.[0] ?? ''];
  const found = (await load?.())?.benchmarks.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no benchmark is called ${name}`);
  return found;
}
