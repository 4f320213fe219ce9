/** The history for people: sparklines, change points below their metric, and what is said beside. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HistoryLine } from '../../../bench/history/record.ts';
import { reportOf } from '../../../bench/history/report.ts';
import { grouped, sparkline } from '../../../bench/history/sparkline.ts';
import { renderHistory } from '../../../bench/history/table.ts';
import { HERE, line, shaOf } from '../../support/history.ts';

function render(lines: HistoryLine[], facts: { patterns?: string[]; others?: number } = {}) {
  const { patterns = [], others = 0 } = facts;
  const chosen = { machine: HERE, lines, others };
  return renderHistory(reportOf(chosen, { file: 'history.ndjson', patterns, corrupt: 0 }));
}

/** CPU with a step of 20 % at run 10 of 20, and packets that stay. */
const stepping = (facts: (run: number) => Partial<HistoryLine> = () => ({})): HistoryLine[] =>
  Array.from({ length: 20 }, (_, run) =>
    line(run, {
      metrics: {
        'steady.serverCpu': (run < 10 ? 20 : 24) * (1 + 0.001 * ((run * 7) % 5)),
        'steady.packets': 6,
      },
      ...facts(run),
    }),
  );

test('the lowest value is the lowest block, the highest the highest, none is a dot', () => {
  assert.is(sparkline([1, 2, 3, 4, 5, 6, 7, 8], 0), '▁▂▃▄▅▆▇█');
  assert.is(sparkline([8, null, 1], 0), '█·▁');
  assert.is(sparkline([null], 0), '·');
});

test('differences that are small stay small', () => {
  assert.is(sparkline([10, 10, 10], 0), '▅▅▅');
  assert.is(sparkline([99, 100, 101], 20), '▄▅▅');
});

test('more runs than places share them with their neighbours', () => {
  const runs = Array.from({ length: 7 }, (_, i) => i);
  assert.equal(grouped(runs, 3), [
    [0, 1],
    [2, 3],
    [4, 5, 6],
  ]);
  assert.equal(grouped(runs, 60).length, 7);
  assert.equal(grouped([], 60), []);
  const many = Array.from({ length: 200 }, (_, run) => line(run));
  assert.match(render(many), ` ${'▅'.repeat(60)} `);
});

test('a change is named below its metric: medians, p, and the commits under suspicion', () => {
  const text = render(stepping());
  const rows = text.split('\n');
  const cpu = rows.findIndex((row) => row.startsWith('  steady.serverCpu '));
  assert.match(
    rows[cpu] as string,
    /^ {2}steady\.serverCpu +[▁▂]{10}[▇█]{10} +20\.0 us +24\.1 us +\+/,
  );
  const [from, to] = [shaOf(9).slice(0, 10), shaOf(10).slice(0, 10)];
  assert.match(
    rows[cpu + 1] as string,
    new RegExp(
      `^    ! worse \\+20\\.0 % \\(20\\.0 us to 24\\.0 us, p 0\\.0\\d+\\): ${from}\\.\\.${to}$`,
    ),
  );
  assert.match(text, 'history.ndjson: 20 runs of 20 commits, 2025-01-01\na cpu, 2 cores, v22\n');
  assert.match(text, '2 metrics looked at, 1 change found');
  assert.match(text, `\`ackbench compare ${from} ${to}\` decides`);
  assert.match(text, 'No metric has the same anchor throughout');
  assert.not.match(text, 'uncommitted');
});

test('values divided by the anchor are shown as such', () => {
  const anchor = { sha: shaOf(77), metrics: { 'steady.serverCpu': 10 } };
  const text = render(stepping(() => ({ anchor })));
  assert.match(text, /steady\.serverCpu +\S+ +×2\.000 +×2\.4/);
  assert.match(text, /steady\.packets +\S+ +6\.00 +6\.00/);
  assert.match(text, `× = times the same figure of the anchor ${shaOf(77).slice(0, 10)}`);
  assert.match(text, 'The others: not every run has the same anchor throughout');
});

test('runs with uncommitted changes are marked in place, and in the range', () => {
  const text = render(stepping((run) => ({ dirty: run >= 10 && run < 12 })));
  const rows = text.split('\n');
  const blocks = rows.find((row) => row.startsWith('  steady.packets')) as string;
  const marks = rows.find((row) => row.startsWith('  uncommitted changes')) as string;
  assert.is(marks.indexOf('*'), blocks.indexOf('▅') + 10);
  assert.is(marks.lastIndexOf('*'), blocks.indexOf('▅') + 11);
  assert.match(text, `${shaOf(9).slice(0, 10)}..${shaOf(10).slice(0, 10)}*`);
  assert.not.match(text, 'ackbench compare', 'what was never committed cannot be checked out');
  assert.match(text, '* = with uncommitted changes');
});

test('a change inside the runs of one commit is put down to the machine first', () => {
  const text = render(stepping(() => ({ sha: shaOf(5) })));
  assert.match(text, `: runs of ${shaOf(5).slice(0, 10)} lie on both sides: rather the machine\n`);
});

test('patterns choose metrics: a part of the name, or all of it with *', () => {
  const namesBy = (...patterns: string[]): string[] => {
    const options = { file: '', patterns, corrupt: 0 };
    const { metrics } = reportOf({ machine: HERE, lines: stepping(), others: 0 }, options);
    return metrics.map(({ name }) => name);
  };
  assert.equal(namesBy(), ['steady.serverCpu', 'steady.packets']);
  assert.equal(namesBy('packets'), ['steady.packets']);
  assert.equal(namesBy('steady*'), ['steady.serverCpu', 'steady.packets']);
  assert.equal(namesBy('*cpu'), []);
  assert.equal(namesBy('steady.server*u', 'pack'), ['steady.serverCpu', 'steady.packets']);
  assert.equal(namesBy('s*a'), [], 'a * stands at its place only');
});

test('says what was left out, and when there is too little to see a change', () => {
  const lines = [line(1, { loads: { steady: 'other' } }), line(2), line(3)];
  const text = render(lines, { others: 4 });
  assert.match(text, 'No metric has 6 runs yet');
  assert.match(text, 'up to 1 value a metric of another load');
  assert.match(text, 'Left out: 4 runs of other machines');
  assert.match(text, /steady\.serverCpu +·▅▅ /);
});

test.run();
