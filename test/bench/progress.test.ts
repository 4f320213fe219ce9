/** The curves of a run on a terminal: what is last, and all seconds so far in the room that there is. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bothOf, type Progress, sparkLines } from '../../bench/progress.ts';
import { seriesOf } from '../support/report-files.ts';

const [point] = seriesOf(1);

/** Seconds that differ in one figure. */
function secondsOf(figure: 'confirmedPerSec' | 'confirmUsP99' | 'inflight', values: number[]) {
  return values.map((value, i) => ({
    ...(point as NonNullable<typeof point>),
    second: i + 1,
    [figure]: value,
  }));
}

test('shows nothing before the first second', () => {
  assert.equal(sparkLines([], 80), []);
});

test('shows rate, p99 and messages in flight with their last value', () => {
  assert.equal(sparkLines(secondsOf('confirmedPerSec', [100, 800, 450]), 80), [
    '  rate            450/s  ▁█▅',
    '  p99           3.73 ms  ▅▅▅',
    '  in flight           6  ▅▅▅',
  ]);
});

test('puts all seconds into the columns that are left, and keeps the worst p99 of those that share one', () => {
  const calm = Array.from({ length: 200 }, () => 1000);
  calm[100] = 90_000;
  const [, p99] = sparkLines(secondsOf('confirmUsP99', calm), 60);
  const curve = (p99 as string).slice(25);
  assert.is(curve.length, 33);
  assert.match(curve, /^▁+█▁+$/);
});

test('never becomes narrower than a few columns', () => {
  for (const line of sparkLines(
    secondsOf(
      'inflight',
      Array.from({ length: 99 }, (_, i) => i),
    ),
    10,
  )) {
    assert.is(line.slice(25).length, 8, line);
  }
});

test('tells both who want to know', () => {
  const said: string[] = [];
  const told = (who: string): Progress => ({
    start: (name) => said.push(`${who} start ${name}`),
    update: (elapsedS) => said.push(`${who} update ${elapsedS}`),
    phase: (text) => said.push(`${who} phase ${text}`),
    end: (summary) => said.push(`${who} end ${summary}`),
    log: (line) => said.push(`${who} log ${line}`),
  });
  const both = bothOf(told('a'), told('b'));
  both.start('x', 1);
  both.update(1, '');
  both.phase('p');
  both.end('e');
  both.log('l');
  const each = ['start x', 'update 1', 'phase p', 'end e', 'log l'];
  assert.equal(
    said,
    each.flatMap((what) => [`a ${what}`, `b ${what}`]),
  );
});

test.run();
