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
  const all = 'G10 G2 G7 G7 G1 G3 G3 G5 G6 G4 G4 G8 G8 G8 G9 G11';
  assert.is(ids({}).join(' '), all);
});

const { gaps } = GOOD_GATE_INPUT;
const slow = { deliverUsP99: 20_000 };
const cold = (us: number): number[] => [us, us, ...new Array<number>(8).fill(1000)];

const borders: [what: string, id: string, good: Partial<GateInput>, bad: Partial<GateInput>][] = [
  ['all sockets open', 'G10', { socketsOpen: 100 }, { socketsOpen: 99 }],
  ['sent of what was due', 'G2', { sent: 9950 }, { sent: 9949 }],
  [
    'Poisson arrivals, too regular',
    'G7',
    { gaps: { ...gaps, coefficientOfVariation: 0.951 } },
    { gaps: { ...gaps, coefficientOfVariation: 0.949 } },
  ],
  [
    'Poisson arrivals, too bursty',
    'G7',
    { gaps: { ...gaps, coefficientOfVariation: 1.049 } },
    { gaps: { ...gaps, coefficientOfVariation: 1.051 } },
  ],
  [
    'Poisson arrivals, counts too even',
    'G7',
    { gaps: { ...gaps, dispersion: 0.901 } },
    { gaps: { ...gaps, dispersion: 0.899 } },
  ],
  [
    'Poisson arrivals, counts too uneven',
    'G7',
    { gaps: { ...gaps, dispersion: 1.099 } },
    { gaps: { ...gaps, dispersion: 1.101 } },
  ],
  ['send lag, at least 1 ms', 'G1', { sendLagUsP99: 1000 }, { sendLagUsP99: 1001 }],
  [
    'send lag, 5 % of the delivery',
    'G1',
    { deliverUsP99: 100_000, sendLagUsP99: 5000 },
    { deliverUsP99: 100_000, sendLagUsP99: 5001 },
  ],
  ['busy generator', 'G3', { busyMean: 0.7 }, { busyMean: 0.71 }],
  ['loop delay', 'G5', { ...slow, loopDelayP99Us: 5000 }, { ...slow, loopDelayP99Us: 5001 }],
  ['garbage collection', 'G6', { gcShare: 0.02 }, { gcShare: 0.021 }],
  ['busy generator, worst second', 'G3', { busyMax: 0.95 }, { busyMax: 0.96 }],
  [
    'loop delay, half of the delivery',
    'G5',
    { deliverUsP99: 6000, loopDelayP99Us: 3000 },
    { deliverUsP99: 6000, loopDelayP99Us: 3001 },
  ],
  [
    'loop delay, never asked to be below 2 ms',
    'G5',
    { deliverUsP99: 300, loopDelayP99Us: 2000 },
    { deliverUsP99: 300, loopDelayP99Us: 2001 },
  ],
  [
    'stolen processor time',
    'G4',
    { processorTime: { stolen: 0.02, others: 0 } },
    { processorTime: { stolen: 0.021, others: 0 } },
  ],
  [
    'processor time of others',
    'G4',
    { processorTime: { stolen: 0, others: 0.1 } },
    { processorTime: { stolen: 0, others: 0.11 } },
  ],
  ['growing backlog', 'G8', { inflight: [5, 5, 105] }, { inflight: [5, 5, 106] }],
  [
    'trend of messages in flight',
    'G8',
    { inflight: [50, 50, 50, 50, 50, 50, 50, 50] },
    { inflight: [50, 51, 52, 53, 54, 55, 56, 57] },
  ],
  [
    'halves of the window',
    'G8',
    { confirmUsP50: [4000, 4000, 4000, 4000, 5000, 5000, 5000, 5000] },
    { confirmUsP50: [4000, 4000, 4000, 4000, 5001, 5001, 5001, 5001] },
  ],
  ['the warm-up was over', 'G9', { confirmUsP50: cold(1500) }, { confirmUsP50: cold(1501) }],
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
    failed({ gaps: { ...gaps, count, coefficientOfVariation } });
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

test('G7 gives few intervals the room that their estimate needs, and leaves out too few', () => {
  const of = (intervals: number, dispersion: number): string[] =>
    failed({ gaps: { ...gaps, intervals, dispersion } });
  // 4 sqrt(2 / 50) = 0.8
  assert.equal(of(50, 1.79), []);
  assert.equal(of(50, 1.81), ['G7']);
  assert.equal(of(19, 9), []);
});

test('G4 is left out where processor time cannot be seen', () => {
  assert.not(ids({ processorTime: null }).includes('G4'));
});

test('medians within 200 us are the same, whatever their ratio', () => {
  const confirmUsP50 = [200, 200, 200, 200, 400, 400, 400, 400];
  assert.equal(failed({ confirmUsP50 }), []);
  assert.equal(failed({ confirmUsP50: confirmUsP50.map((us) => (us === 400 ? 401 : us)) }), ['G8']);
});

test('a backlog that swings and does not grow is no trend', () => {
  assert.equal(failed({ inflight: [5, 90, 4, 80, 6, 95, 5, 85, 7, 3] }), []);
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
    inflight: [0, 1e9],
    settledMeanUs: 0,
  };
  assert.equal(ids({ judged: 'audit' }), ['G10', 'G2', 'G7', 'G7']);
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
    'the generator sent late: p99 of the send lag is 2.50 ms (<= 1.00 ms)',
  );
  assert.is(
    reason({ busyMax: 0.98 }),
    'the generator was the bottleneck: loop busy 98 % in its worst second',
  );
  assert.is(
    reason({ processorTime: { stolen: 0.07, others: 0 } }),
    'the machine was slowed down from outside: 7 % of its processor time was stolen (<= 2 %)',
  );
  assert.is(
    reason({ processorTime: { stolen: 0, others: 0.4 } }),
    'other processes took 40 % of the processor time (<= 10 %)',
  );
  assert.is(reason({ socketsOpen: 7 }), 'only 7 of 100 sockets were open');
  assert.is(reason({ sent: 9000 }), 'sent of what was due: 90 %, must be >= 99.5 %');
  assert.is(reason({ gcShare: 0.031 }), 'generator in garbage collection: 3.1 %, must be <= 2 %');
  assert.is(
    reason({ ...slow, loopDelayP99Us: 9000 }),
    'generator loop delay p99: 9.00 ms, must be <= 5.00 ms',
  );
  assert.is(
    reason({ gaps: { ...gaps, coefficientOfVariation: 1.5 } }),
    'arrivals are Poisson (gap variation): 1.50, must be 1 +- 0.05',
  );
});

test('sockets that nobody asked for pass no gate', () => {
  assert.equal(ids({ mode: 'trace', socketsAsked: 0, socketsOpen: 0 }), []);
});

test.run();
