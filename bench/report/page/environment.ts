/** What the runs were measured on, side by side; differences are marked. */
import type { ResultView } from '../model.ts';
import { type Child, h, panel, table } from './dom.ts';
import { formatBytes, formatCount } from '../../units.ts';

type Facts = Pick<
  ResultView,
  'environment' | 'commit' | 'startedAt' | 'durationS' | 'seed' | 'tool' | 'target' | 'file'
>;

const ROWS: readonly [string, (facts: Facts) => string][] = [
  ['file', ({ file }) => file],
  ['commit', ({ commit }) => `${commit.sha}${commit.dirty ? ' with uncommitted changes' : ''}`],
  ['branch', ({ commit }) => commit.branch],
  ['started', ({ startedAt }) => startedAt],
  ['took', ({ durationS }) => `${formatCount(durationS)} s`],
  ['seed', ({ seed }) => String(seed)],
  ['target', ({ target }) => target.url],
  ['processor', ({ environment }) => environment.cpuModel],
  ['cores', ({ environment }) => String(environment.cores)],
  ['memory', ({ environment }) => formatBytes(environment.memoryBytes)],
  ['kernel', ({ environment }) => environment.kernel],
  ['runtime', ({ environment }) => `${environment.node}, ${environment.uws}`],
  ['pinning', ({ environment }) => environment.pinning],
  ['open files', ({ environment }) => formatCount(environment.openFilesLimit)],
  ['ackbench', ({ tool }) => tool.version],
];

/** Of these a difference makes figures hard to compare. */
const MUST_AGREE = new Set([
  'processor',
  'cores',
  'memory',
  'kernel',
  'runtime',
  'pinning',
  'ackbench',
]);

export function environmentPanel(runs: readonly (Facts & { label: string })[]): HTMLElement {
  const bad = new Set<number>();
  const rows = ROWS.map(([name, read], i): Child[] => {
    const values = runs.map(read);
    const differs = MUST_AGREE.has(name) && new Set(values).size > 1;
    if (differs) bad.add(i);
    return [differs ? `≠ ${name}` : name, ...values];
  });
  return h(
    'section',
    { class: 'scenario', id: 'environment' },
    panel(
      'Environment',
      'Figures compare only on the same machine and runtime; ≠ marks what differs.',
      { isWide: true },
      table([{ name: '' }, ...runs.map(({ label }) => ({ name: label }))], rows, bad),
    ),
  );
}
