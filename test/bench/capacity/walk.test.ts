/** The way through the grid: what is measured when time is short, and when the machine is not fit. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CapacityRun } from '../../../bench/capacity/file.ts';
import { essentialOf, gridOf } from '../../../bench/capacity/grid.ts';
import { walkGrid, type WalkOptions } from '../../../bench/capacity/walk.ts';
import { capacityRun } from '../../support/capacity.ts';

const POINTS = gridOf({
  topPerSec: 20_000,
  clients: 500,
  payloadBytes: 128,
  clientsMax: 15_000,
  isQuick: false,
});
const RUN: CapacityRun = capacityRun(1000);

/** A walk on which every run takes ten seconds. */
function walk(changes: Partial<WalkOptions> = {}): {
  ended: Promise<'all' | 'part'>;
  runs: CapacityRun[];
  left: number[];
  said: string[];
} {
  const runs = changes.runs ?? [];
  const left: number[] = [];
  const said: string[] = [];
  let nowS = 0;
  const ended = walkGrid({
    points: POINTS,
    limitS: 1e6,
    elapsedS: () => nowS,
    isAborted: () => false,
    measure: () => {
      nowS += 10;
      return Promise.resolve(RUN);
    },
    onRun: (_, { leftS }) => left.push(leftS),
    log: (line) => said.push(line),
    ...changes,
    runs,
  });
  return { ended, runs, left, said };
}

test('measures every point, and knows how long the rest takes', async () => {
  const { ended, runs, left, said } = walk();
  assert.is(await ended, 'all');
  assert.is(runs.length, POINTS.length);
  assert.equal([left[0], left.at(-1)], [10 * (POINTS.length - 1), 0]);
  assert.equal(said, []);
});

test('leaves out repeats when time is up, and no point', async () => {
  const short = walk({ limitS: 5 });
  assert.is(await short.ended, 'all');
  assert.is(short.runs.length, essentialOf(POINTS));
  assert.match(short.said.join(), /^--limit 5s: \d+ repeats left out$/);
  const longer = walk({ limitS: 10 * (POINTS.length - 2) });
  assert.is(await longer.ended, 'all');
  const { length } = longer.runs;
  assert.ok(length > essentialOf(POINTS) && length < POINTS.length, `${length} runs`);
});

test('gives up after eight points in a row that are not valid, and does not keep them', async () => {
  let nth = 0;
  const spoilt = walk({
    measure: () => Promise.resolve({ ...RUN, isUsable: ++nth <= 5 }),
  });
  assert.is(await spoilt.ended, 'part');
  assert.is(nth, 13);
  assert.is(spoilt.runs.length, 5);
  assert.match(spoilt.said.join(), 'gave up: 8 points in a row were not valid');
  nth = 0;
  const now = walk({ measure: () => Promise.resolve({ ...RUN, isUsable: ++nth % 8 === 0 }) });
  assert.is(await now.ended, 'all', 'seven in a row do not end it');
  assert.is(now.runs.length, POINTS.length);
});

test('goes on where it was, and an interrupted run is not kept', async () => {
  const before = POINTS.slice(0, 10).map(() => RUN);
  const measured: number[] = [];
  const resumed = walk({
    runs: [...before],
    isAborted: () => measured.length === 3,
    measure: ({ ratePerSec }) => {
      measured.push(ratePerSec);
      return Promise.resolve(RUN);
    },
  });
  assert.is(await resumed.ended, 'part');
  assert.equal(
    measured,
    POINTS.slice(10, 13).map(({ ratePerSec }) => ratePerSec),
  );
  assert.is(resumed.runs.length, 12);
});

test.run();
