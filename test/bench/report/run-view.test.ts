/** Faults at their place on the time axis, rates that are offered, and histograms as curves. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadFacts, marksOf, runView } from '../../../bench/report/run-view.ts';
import { ResultShape } from '../../../bench/report/shape.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';

test('marks what was planned with how long it really took', () => {
  const config = {
    serverEvents: [
      { atS: 7, action: 'pause', forMs: 200 },
      { atS: 4, action: 'kill', forMs: 300 },
    ],
    clientEvents: [{ atS: 5, action: 'disconnect', share: 0.5, forMs: 0 }],
  };
  const extra = { serverEvents: [{ action: 'kill', tookMs: 412.4 }] };
  assert.equal(marksOf(config, extra), [
    {
      atS: 4,
      untilS: 4.4124,
      label: 'kill',
      text: 'server killed (SIGKILL) and restarted on the same data, away for 412 ms',
    },
    { atS: 5, untilS: null, label: 'disconnect', text: '50 % of the clients: connections dropped' },
    { atS: 7, untilS: 7.2, label: 'pause', text: 'server paused (SIGSTOP), 200 ms planned' },
  ]);
});

test('marks what chaos did to the server and to most clients, and where a threshold stopped the load', () => {
  const extra = {
    chaos: {
      moments: [
        { of: 'server', action: 'kill', atS: 3.5, tookMs: 100, share: 1 },
        { of: 'clients', action: 'disconnect', atS: 4, tookMs: 0, share: 0.9 },
      ],
    },
    stopped: { threshold: 'confirm.p99<5ms', value: 9000, ok: false, second: 9 },
  };
  assert.equal(
    marksOf({}, extra).map(({ atS, untilS, label }) => [atS, untilS, label]),
    [
      [3.5, 3.6, 'kill'],
      [4, null, 'disconnect'],
      [9, null, 'stopped'],
    ],
  );
});

test('makes nothing of what it does not know', () => {
  const hostile = { serverEvents: 'kill', clientEvents: [null, 7], chaos: [], stopped: 'x' };
  assert.is(marksOf(hostile, hostile).length, 2, 'two client events without facts');
  assert.equal(loadFacts({ load: { mode: 'open', ratePerSec: 'fast' } }).schedule, []);
});

test('knows what was offered, step by step; a closed loop offers nothing', () => {
  const load = { mode: 'open', ratePerSec: 100, steps: [{ atS: 3, ratePerSec: 150 }] };
  assert.equal(loadFacts({ load, warmupS: 1, durationS: 9 }), {
    warmupS: 1,
    durationS: 9,
    schedule: [
      { fromS: 0, perSec: 100 },
      { fromS: 3, perSec: 150 },
    ],
  });
  assert.equal(loadFacts({ load: { mode: 'closed', window: 16 } }).schedule, []);
});

test('leaves out the histogram and keeps the figures', () => {
  const read = ResultShape.parse(JSON.parse(JSON.stringify(resultOf([scenarioResult()]))));
  const { variants: _, ...run } = read.scenarios[0] as (typeof read.scenarios)[number];
  const view = runView(run);
  assert.equal(view.latency.confirmUs?.curve, []);
  assert.not('hdr' in (view.latency.confirmUs as object));
  assert.equal(view.ledger, run.ledger);
});

test.run();
