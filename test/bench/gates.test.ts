/** The validity gates: each one passed and failed at its limit, and what a failure says. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type GateInput, gateReason, judgeGates } from '../../bench/gates.ts';
import type { Gate } from '../../bench/result.ts';
import { GOOD_GATE_INPUT } from '../support/gate-input.ts';

function failed(facts: Partial<GateInput>): string[] {
  return judgeGates({ ...GOOD_GATE_INPUT, ...facts })
    .filter(({ ok }) => !ok)
    .map(({ id }) => id);
}

function ids(facts: Partial<GateInput>): string[] {
  return judgeGates({ ...GOOD_GATE_INPUT, ...facts }).map(({ id }) => id);
}

test('a good run passes every gate', () => {
  assert.equal(failed({}), []);
  assert.equal(ids({}), ['G10', 'G2', 'G7', 'G1', 'G3', 'G5', 'G6', 'G8', 'G11']);
});

const borders: [what: string, id: string, good: Partial<GateInput>, bad: Partial<GateInput>][] = [
  ['all sockets open', 'G10', { socketsOpen: 100 }, { socketsOpen: 99 }],
  ['sent of what was due', 'G2', { sent: 9950 }, { sent: 9949 }],
  [
    'Poisson arrivals, too regular',
    'G7',
    { gaps: { count: 100_000, coefficientOfVariation: 0.951 } },
    { gaps: { count: 100_000, coefficientOfVariation: 0.949 } },
  ],
  [
    'Poisson arrivals, too bursty',
    'G7',
    { gaps: { count: 100_000, coefficientOfVariation: 1.049 } },
    { gaps: { count: 100_000, coefficientOfVariation: 1.051 } },
  ],
  ['send lag, at least 1 ms', 'G1', { sendLagUsP99: 1000 }, { sendLagUsP99: 1001 }],
  [
    'send lag, 5 % of the delivery',
    'G1',
    { deliverUsP99: 100_000, sendLagUsP99: 5000 },
    { deliverUsP99: 100_000, sendLagUsP99: 5001 },
  ],
  ['busy generator', 'G3', { busyMean: 0.7 }, { busyMean: 0.71 }],
  ['loop delay', 'G5', { loopDelayP99Us: 5000 }, { loopDelayP99Us: 5001 }],
  ['garbage collection', 'G6', { gcShare: 0.02 }, { gcShare: 0.021 }],
  ['growing backlog', 'G8', { inflightLast: 105 }, { inflightLast: 106 }],
  ["Little's law, too few in flight", 'G11', { settledMeanUs: 5900 }, { settledMeanUs: 6100 }],
];
for (const [what, id, good, bad] of borders) {
  test(`${id} ${what}: passes at its limit and fails beyond`, () => {
    assert.equal(failed(good), []);
    assert.equal(failed(bad), [id]);
  });
}

test("G11 Little's law: 5 % once more than twenty are in flight", () => {
  const many = { inflightAreaUs: 500 * 10_000_000 };
  assert.equal(failed({ ...many, settledMeanUs: 0.951 * 500_000 }), []);
  assert.equal(failed({ ...many, settledMeanUs: 1.049 * 500_000 }), []);
  assert.equal(failed({ ...many, settledMeanUs: 0.949 * 500_000 }), ['G11']);
  assert.equal(failed({ ...many, settledMeanUs: 1.051 * 500_000 }), ['G11']);
});

test('G7 gives few gaps the room that their estimate needs, and leaves out too few', () => {
  const of = (count: number, coefficientOfVariation: number): string[] =>
    failed({ gaps: { count, coefficientOfVariation } });
  // 5.6 / sqrt(1600) = 0.14
  assert.equal(of(1600, 1.139), []);
  assert.equal(of(1600, 1.141), ['G7']);
  assert.equal(of(999, 3), []);
});

test('G7 asks only for Poisson arrivals', () => {
  for (const arrivals of ['constant', 'burst', null]) {
    assert.not(ids({ arrivals }).includes('G7'));
  }
});

test('a run that was to send nothing did not send too little', () => {
  assert.equal(failed({ due: 0, sent: 0, settledInside: 0, inflightAreaUs: 0 }), []);
});

test('a scenario judged by its audit has no gates for latency', () => {
  const terrible = {
    sendLagUsP99: 1e9,
    busyMean: 1,
    loopDelayP99Us: 1e9,
    gcShare: 1,
    inflightLast: 1e9,
    settledMeanUs: 0,
  };
  assert.equal(ids({ judged: 'audit' }), ['G10', 'G2', 'G7']);
  assert.equal(failed({ judged: 'audit', ...terrible }), []);
  assert.equal(failed({ judged: 'audit', sent: 1 }), ['G2']);
});

test('closed loops, traces and experiments must only have their sockets', () => {
  for (const mode of ['closed', 'trace', 'none'] as const) {
    assert.equal(ids({ mode }), ['G10']);
    assert.equal(failed({ mode, busyMean: 1, sent: 0 }), []);
    assert.equal(failed({ mode, socketsOpen: 0 }), ['G10']);
  }
});

test('a failed gate says in words what was wrong', () => {
  const reason = (facts: Partial<GateInput>): string =>
    gateReason(judgeGates({ ...GOOD_GATE_INPUT, ...facts }).find(({ ok }) => !ok) as Gate);
  assert.is(reason({ busyMean: 0.987 }), 'the generator was the bottleneck: loop busy 99 %');
  assert.is(
    reason({ sendLagUsP99: 2500 }),
    'the generator sent late: p99 of the send lag is 2500 us (<= 1000)',
  );
  assert.is(reason({ socketsOpen: 7 }), 'only 7 of 100 sockets were open');
  assert.is(reason({ sent: 9000 }), 'sent of what was due: 0.900, must be >= 0.995');
  assert.is(reason({ gcShare: 0.031 }), 'generator in garbage collection: 0.0310, must be <= 0.02');
  assert.is(
    reason({ loopDelayP99Us: 9000 }),
    'generator loop delay p99, us: 9000, must be <= 5000',
  );
  assert.is(
    reason({ gaps: { count: 100_000, coefficientOfVariation: 1.5 } }),
    'arrivals are Poisson (gap variation): 1.50, must be 1 +- 0.05',
  );
});

test.run();
