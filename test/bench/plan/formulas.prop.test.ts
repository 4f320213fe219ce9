/** What must hold for any inputs: more load never needs fewer nodes, and the page calculates the same. */
import fc from 'fast-check';
import { createContext, runInContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type FleetPlan,
  planFleet,
  type PlanInputs,
  sensitivityOf,
} from '../../../bench/plan/formulas.ts';
import { formulasText } from '../../support/formulas-text.ts';
import { MODEL, planSource, REPLICATES } from '../../support/capacity.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });
const machine = fc.record({
  name: fc.constant('any'),
  cores: fc.integer({ min: 1, max: 64 }),
  memoryGb: fc.double({ min: 10, max: 512, noNaN: true }),
  networkGbps: fc.double({ min: 0.1, max: 100, noNaN: true }),
  diskGb: fc.double({ min: 10, max: 10_000, noNaN: true }),
  pricePerMonth: fc.option(fc.double({ min: 0, max: 10_000, noNaN: true }), { nil: null }),
});
const inputs: fc.Arbitrary<PlanInputs> = fc.record({
  dailyUsers: fc.integer({ min: 1, max: 100_000_000 }),
  peakConcurrent: fc.oneof(
    fc.double({ min: 0.001, max: 1, noNaN: true }),
    fc.integer({ min: 2, max: 1_000_000 }),
  ),
  messagesPerUserPerDay: fc.double({ min: 0, max: 1000, noNaN: true }),
  peakFactor: fc.double({ min: 1, max: 20, noNaN: true }),
  offlineShare: share,
  loginsPerUserPerDay: fc.double({ min: 0.01, max: 100, noNaN: true }),
  retentionDays: fc.double({ min: 0, max: 1000, noNaN: true }),
  keeps: fc.constantFrom('stored' as const, 'all' as const),
  payloadBytes: fc.integer({ min: 0, max: 100_000 }),
  tls: fc.boolean(),
  heartbeatS: fc.double({ min: 1, max: 300, noNaN: true }),
  sloP99Ms: fc.double({ min: 0.5, max: 1000, noNaN: true }),
  targetUtilisation: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
  spareNodes: fc.integer({ min: 0, max: 3 }),
  growth: fc.double({ min: 0, max: 5, noNaN: true }),
  retransmitShare: share,
  copies: fc.integer({ min: 1, max: 5 }),
  connectionsPerProcess: fc.integer({ min: 100, max: 1_000_000 }),
  contention: share,
  machines: fc.array(machine, { minLength: 1, maxLength: 3 }),
});

/** Fewer replicates, so that many inputs are tried. */
const source = planSource({ model: { ...MODEL, replicates: REPLICATES.slice(0, 25) } });

function exactOf(given: PlanInputs): number {
  return (planFleet(source, given).fleets[0] as FleetPlan).nodesExact.value;
}

/** The second never needs less than the first. */
function grows(name: string, more: (given: PlanInputs, by: number) => Partial<PlanInputs>): void {
  test(`more ${name} never needs fewer nodes`, () => {
    fc.assert(
      fc.property(inputs, fc.double({ min: 1, max: 5, noNaN: true }), (given, by) => {
        const before = exactOf(given);
        const after = exactOf({ ...given, ...more(given, by) });
        assert.ok(after >= before * (1 - 1e-12), `${after} after ${before}`);
      }),
      { numRuns: 100 },
    );
  });
}

grows('users', ({ dailyUsers }, by) => ({ dailyUsers: dailyUsers * by }));
grows('messages', ({ messagesPerUserPerDay }, by) => ({
  messagesPerUserPerDay: messagesPerUserPerDay * by,
}));
grows('peak', ({ peakFactor }, by) => ({ peakFactor: peakFactor * by }));
grows('growth', ({ growth }, by) => ({ growth: growth + by - 1 }));
grows('payload', ({ payloadBytes }, by) => ({ payloadBytes: Math.ceil(payloadBytes * by) }));
grows('retention', ({ retentionDays }, by) => ({ retentionDays: retentionDays * by }));
grows('copies', ({ copies }, by) => ({ copies: Math.ceil(copies * by) }));
grows('repeats', ({ retransmitShare }, by) => ({ retransmitShare: retransmitShare * by }));
grows('contention', ({ contention }, by) => ({ contention: Math.min(1, contention * by) }));
grows('TLS', () => ({ tls: true }));
grows('heartbeats', ({ heartbeatS }, by) => ({ heartbeatS: heartbeatS / by }));
grows('strictness of the SLO', ({ sloP99Ms }, by) => ({ sloP99Ms: sloP99Ms / by }));
grows('room on the processor', ({ targetUtilisation }, by) => ({
  targetUtilisation: targetUtilisation / by,
}));

test('a plan within its SLO is one, and every interval holds its own order', () => {
  fc.assert(
    fc.property(inputs, (given) => {
      for (const fleet of planFleet(source, given).fleets) {
        if (fleet.unfit !== null) continue;
        assert.ok(fleet.meetsSlo);
        assert.ok(fleet.busyShare.value <= given.targetUtilisation * (1 + 1e-6));
        assert.ok((fleet.nodes.low as number) <= (fleet.nodes.high as number));
        assert.ok(fleet.nodes.value >= fleet.nodesExact.value + given.spareNodes - 1e-6);
        const needs = Object.values(fleet.needs).map((need) => need?.value ?? Infinity);
        assert.is(Math.max(...needs), fleet.nodesExact.value);
      }
    }),
    { numRuns: 200 },
  );
});

test('the text that a page inlines calculates the same to the last digit', () => {
  const text = formulasText();
  assert.not.match(text, /^(import|export) /m);
  const page = createContext({});
  runInContext(text, page);
  const given = JSON.stringify(source);
  fc.assert(
    fc.property(inputs, (random) => {
      const call = (code: string): string =>
        runInContext(`JSON.stringify(${code})`, page) as string;
      const asked = JSON.stringify(random);
      assert.is(call(`planFleet(${given}, ${asked})`), JSON.stringify(planFleet(source, random)));
      assert.is(
        call(`sensitivityOf(${given}, ${asked}, 0)`),
        JSON.stringify(sensitivityOf(source, random, 0)),
      );
    }),
    { numRuns: 100 },
  );
});

test.run();
