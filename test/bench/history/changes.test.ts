/** Change points of a history: what must be found, where, and what must not be. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Change, findChanges } from '../../../bench/history/changes.ts';
import { falseDiscoveryLimit } from '../../../bench/history/false-discoveries.ts';
import type { HistoryLine } from '../../../bench/history/record.ts';
import { seriesOf } from '../../../bench/history/series.ts';
import { Random } from '../../../loadgen/index.ts';
import { line, shaOf } from '../../support/history.ts';

/** Close to the normal distribution, with a standard deviation of 1. */
function gauss(random: Random): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random.unit();
  return sum;
}

const NAMES = ['serverCpu', 'packets', 'wireBytes', 'memory', 'confirm.p50', 'confirm.p99'];

/** Two runs of each of 20 commits, six metrics with 1 % of noise; `level` of a metric in a run. */
function history(
  seed: number,
  level: (name: string, commit: number) => number,
  facts: (run: number) => Partial<HistoryLine> = () => ({}),
): HistoryLine[] {
  const random = new Random(seed, 'noise of runs');
  return Array.from({ length: 40 }, (_, run) => {
    const commit = Math.floor(run / 2);
    const metrics = Object.fromEntries(
      NAMES.map((name) => [
        `steady.${name}`,
        100 * level(name, commit) * Math.exp(0.01 * gauss(random)),
      ]),
    );
    return line(run, { sha: shaOf(commit), metrics, ...facts(run) });
  });
}

/** The changes by metric, those without any left out. */
function changesOf(lines: readonly HistoryLine[]): Record<string, Change[]> {
  const series = seriesOf(lines);
  const { bySeries } = findChanges(series, lines);
  return Object.fromEntries(
    series
      .map(({ name }, i) => [name, bySeries[i] as Change[]] as const)
      .filter(([, changes]) => changes.length > 0),
  );
}

/** One value per run, each of a commit of its own unless `commitOf` says otherwise. */
function lines(values: readonly number[], commitOf = (run: number): number => run): HistoryLine[] {
  return values.map((value, run) =>
    line(run, { sha: shaOf(commitOf(run)), metrics: { 'steady.serverCpu': value } }),
  );
}

test('a step of 10 % is found in its metric alone, and between the right commits', () => {
  const step = (name: string, commit: number): number =>
    name === 'serverCpu' && commit >= 12 ? 1.1 : 1;
  for (let seed = 1; seed <= 5; seed++) {
    const found = changesOf(history(seed, step));
    assert.equal(Object.keys(found), ['steady.serverCpu'], `seed ${seed}`);
    const [change, ...rest] = found['steady.serverCpu'] as [Change, ...Change[]];
    assert.equal(rest, []);
    assert.equal(change.suspects, { from: shaOf(11), to: shaOf(12), straddling: null });
    assert.is(change.run, 24);
    assert.ok(Math.abs(change.before - 100) < 1 && Math.abs(change.after - 110) < 1);
    assert.ok(Math.abs(change.change - 0.1) < 0.015);
    assert.ok(change.isWorse);
    assert.ok(change.p <= 0.05 / NAMES.length);
  }
});

test('noise without a change yields none', () => {
  let withChange = 0;
  const histories = 20;
  for (let seed = 1; seed <= histories; seed++) {
    if (Object.keys(changesOf(history(seed, () => 1))).length > 0) withChange++;
  }
  assert.is(withChange, 0, `${withChange} of ${histories}`);
});

/** A machine that becomes 15 % slower from the middle on, for every commit alike. */
const drift = (run: number): number => (run < 20 ? 1 : 1.15);

test('a drift of the machine looks like a change, and the anchor removes it', () => {
  const drifting = history(3, (_, commit) => drift(2 * commit));
  assert.equal(Object.keys(changesOf(drifting)).sort(), NAMES.map((n) => `steady.${n}`).sort());
  const random = new Random(3, 'noise of the anchor');
  const anchored = drifting.map((run, i) => ({
    ...run,
    anchor: {
      sha: shaOf(9999),
      metrics: Object.fromEntries(
        NAMES.map((n) => [`steady.${n}`, 80 * drift(i) * Math.exp(0.01 * gauss(random))]),
      ),
    },
  }));
  assert.equal(changesOf(anchored), {});
  assert.is(seriesOf(anchored)[0]?.anchorSha, shaOf(9999));
  assert.ok(Math.abs((seriesOf(anchored)[0]?.values[0] as number) - 1.25) < 0.05);
});

test('a change of the code is still found beside the anchor, through the drift', () => {
  const anchored = history(
    4,
    (name, commit) => drift(2 * commit) * (name === 'memory' && commit >= 6 ? 0.85 : 1),
    (run) => ({
      anchor: {
        sha: shaOf(9999),
        metrics: Object.fromEntries(NAMES.map((n) => [`steady.${n}`, 100 * drift(run)])),
      },
    }),
  );
  const found = changesOf(anchored);
  assert.equal(Object.keys(found), ['steady.memory']);
  const [change] = found['steady.memory'] as [Change];
  assert.equal(change.suspects, { from: shaOf(5), to: shaOf(6), straddling: null });
  assert.not(change.isWorse);
});

test('values are divided only where every run has a value of the same anchor', () => {
  const anchor = { sha: shaOf(9), metrics: { 'steady.serverCpu': 10 } };
  const divided = seriesOf([line(1, { anchor }), line(2, { anchor })]);
  assert.equal(divided[0]?.values, [2, 2]);
  const other = { ...anchor, sha: shaOf(8) };
  const without = [line(1, { anchor }), line(2)];
  const differing = [line(1, { anchor }), line(2, { anchor: other })];
  const lacking = [line(1, { anchor }), line(2, { anchor: { ...anchor, metrics: {} } })];
  for (const mixed of [without, differing, lacking, without.toReversed()]) {
    assert.equal(seriesOf(mixed)[0]?.values, [20, 20]);
    assert.is(seriesOf(mixed)[0]?.anchorSha, null);
  }
});

test('another load under the same name is another series: the newest counts', () => {
  const small = { loads: { steady: 'smaller' } };
  const series = seriesOf([line(1, small), line(2), line(3, { metrics: {} }), line(4)])[0];
  assert.equal(series?.values, [null, 20, null, 20]);
  assert.is(series?.otherLoads, 1);
});

test('figures that this version does not know are left out', () => {
  const metrics = { 'steady.flux': 3, 'steady w1.5.confirm.p99': 7 };
  const names = seriesOf([line(1, { metrics })]).map(({ name }) => name);
  assert.equal(names, ['steady w1.5.confirm.p99'], 'a variant may have dots');
});

/** Steps at values 10 and 25, hardly any noise. */
const steps = (second: number, third: number): number[] =>
  Array.from({ length: 40 }, (_, i) => {
    const level = i < 10 ? 100 : i < 25 ? second : third;
    return level * (1 + 0.0001 * ((i * 7) % 5));
  });

test('a change below the δ of its metric is none, however sure', () => {
  assert.equal(changesOf(lines(steps(101.5, 101.5))), {});
  assert.is(changesOf(lines(steps(103, 103)))['steady.serverCpu']?.length, 1);
});

test('two changes have the medians of their own regimes', () => {
  const [up, down, ...rest] = changesOf(lines(steps(120, 80)))['steady.serverCpu'] as Change[];
  assert.equal(rest, []);
  assert.equal([up?.run, down?.run], [10, 25]);
  assert.ok(Math.abs((up?.before ?? 0) - 100) < 0.1 && Math.abs((up?.after ?? 0) - 120) < 0.1);
  assert.ok(Math.abs((down?.before ?? 0) - 120) < 0.1 && Math.abs((down?.after ?? 0) - 80) < 0.1);
  assert.equal([up?.isWorse, down?.isWorse], [true, false]);
});

test('when runs of one commit lie on both sides, the range reaches beyond it and says so', () => {
  // Commit 1 was measured in runs 5 to 14, the step is in run 10.
  const commitOf = (run: number): number => (run < 5 ? 0 : run < 15 ? 1 : 2);
  const [change] = changesOf(lines(steps(120, 120), commitOf))['steady.serverCpu'] as [Change];
  assert.equal(change.suspects, { from: shaOf(0), to: shaOf(2), straddling: shaOf(1) });
  const [only] = changesOf(lines(steps(120, 120), () => 7))['steady.serverCpu'] as [Change];
  assert.equal(only.suspects, { from: shaOf(7), to: shaOf(7), straddling: shaOf(7) });
});

test('uncommitted changes on a commit are another version than the commit', () => {
  const runs = lines(steps(120, 120), () => 7).map((run, i) => ({ ...run, dirty: i >= 10 }));
  const [change] = changesOf(runs)['steady.serverCpu'] as [Change];
  assert.equal(change.suspects, { from: shaOf(7), to: `${shaOf(7)}*`, straddling: null });
});

test('runs that lack a metric do not shift its changes', () => {
  const runs = lines(steps(120, 120)).flatMap((run, i) =>
    i % 4 === 0 ? [{ ...run, sha: shaOf(5000 + i), metrics: {} }, run] : [run],
  );
  const [change] = changesOf(runs)['steady.serverCpu'] as [Change];
  assert.is(runs[change.run]?.sha, shaOf(10));
  assert.equal(change.suspects, { from: shaOf(9), to: shaOf(10), straddling: null });
});

test('fewer than six runs are not looked at', () => {
  const runs = lines([1, 1, 2, 2, 2]);
  assert.equal(findChanges(seriesOf(runs), runs), { bySeries: [[]], looked: 0, pMax: 0 });
});

test('the same history has the same changes every time', () => {
  const runs = history(6, (_, commit) => (commit >= 7 ? 1.2 : 1));
  assert.equal(changesOf(runs), changesOf(runs));
});

test('the correction rejects as in the example of Benjamini and Hochberg', () => {
  // 1995, section 3: fifteen p-values at 0.05, of which the four smallest are rejected.
  const ps = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719,
    0.6528, 0.759, 1,
  ];
  const limit = falseDiscoveryLimit(ps.toReversed(), 0.05);
  assert.ok(Math.abs(limit - (4 / 15) * 0.05) < 1e-12);
  assert.is(ps.filter((p) => p <= limit).length, 4);
  assert.is(falseDiscoveryLimit([0.06, 0.9], 0.05), 0);
  assert.is(falseDiscoveryLimit([], 0.05), 0);
  // Stepping up: 0.04 is above its own limit of 0.025, and 0.05 takes it along.
  assert.is(falseDiscoveryLimit([0.05, 0.04], 0.05), 0.05);
});

test.run();
