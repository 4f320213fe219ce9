/** A plan, calculated by hand for round numbers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyShareOf } from '../../../bench/capacity/file.ts';
import {
  busyShareWith,
  confirmUsAt,
  demandOf,
  diskOf,
  type FleetPlan,
  networkOf,
  planFleet,
  type PlanInputs,
  sensitivityOf,
  workOf,
} from '../../../bench/plan/formulas.ts';
import { INPUTS, MODEL, PARAMETERS, planSource } from '../../support/capacity.ts';

function close(actual: number | null | undefined, expected: number): void {
  assert.ok(
    actual !== null && actual !== undefined && Math.abs(actual / expected - 1) < 1e-5,
    `${actual} instead of ${expected}`,
  );
}

function planned(
  changed: Partial<PlanInputs> = {},
  source = planSource(),
): { fleet: FleetPlan; outcome: ReturnType<typeof planFleet> } {
  const outcome = planFleet(source, { ...INPUTS, ...changed });
  return { fleet: outcome.fleets[outcome.chosen ?? 0] as FleetPlan, outcome };
}

test('the load at the peak follows from users, messages and the peak factor', () => {
  const demand = demandOf(INPUTS);
  assert.is(demand.messagesPerSec, 2000); // 864,000 x 100 / 86,400 x 2
  assert.is(demand.onlinePerSec, 1500);
  assert.is(demand.storedPerSec, 500);
  assert.is(demand.connectPerSec, 100);
  assert.is(demand.pullRequestsPerSec, 105); // one that comes back empty, and pages of 100
  assert.is(demand.packetsInPerSec, 3705); // 2 x 1500 + 500 + 100 + 105
  assert.is(demand.packetsOutPerSec, 7305); // 4 x 1500 + 2 x 500 + 2 x 100 + 105
  assert.is(demand.connections, 86_400);
  assert.is(demand.payloadKiBPerSec, 250);
  assert.is(demand.waitingMessages, 4_320_000); // a fifth of a day's quarter of 86.4 million
  assert.is(demandOf({ ...INPUTS, growth: 0.5 }).messagesPerSec, 3000);
  assert.is(demandOf({ ...INPUTS, peakConcurrent: 5000, growth: 0.5 }).connections, 7500);
});

test('the direct work and the wake-ups are the sums of the demands', () => {
  const work = workOf(PARAMETERS.demandUs, demandOf(INPUTS), INPUTS);
  // 75,000 + 40,000 + 5000 + 40,000 + 172,800 + 1000 us a second
  close(work.direct, 0.3338);
  close(work.wake, 0.03705);
  const withCommits = { ...PARAMETERS.demandUs, loneCommit: 100 };
  close(workOf(withCommits, demandOf(INPUTS), INPUTS).wake, 0.03705 + 0.05); // 500 stored
  const tls = workOf(PARAMETERS.demandUs, demandOf(INPUTS), { ...INPUTS, tls: true });
  close(tls.direct, 0.3338 + 0.1 + 0.01101); // 100 handshakes of 1 ms, 11,010 records of 1 us
  const heartbeats = { ...INPUTS, heartbeatS: 30 };
  close(workOf(PARAMETERS.demandUs, demandOf(heartbeats), heartbeats).direct, 0.5066);
});

test('the busy share is that of the capacity model, whatever the number of processes', () => {
  const demand = demandOf({ ...INPUTS, retransmitShare: 0.03 });
  const demandUs = { ...PARAMETERS.demandUs, loneCommit: 120 };
  const work = workOf(demandUs, demand, INPUTS);
  for (const processes of [1, 2, 3.5, 40]) {
    const expected = busyShareOf(demandUs, {
      online: demand.onlinePerSec / processes,
      stored: demand.storedPerSec / processes,
      pulled: demand.pulledPerSec / processes,
      connect: demand.connectPerSec / processes,
      connectionSecond: demand.connections / processes,
      payloadKiB: demand.payloadKiBPerSec / processes,
      retransmit: demand.retransmitPerSec / processes,
      packetsIn: demand.packetsInPerSec / processes,
    });
    assert.ok(Math.abs(busyShareWith(work, processes) - expected) < 1e-12);
  }
});

test('network counts frames, contents, headers of segments and heartbeats', () => {
  const { inBitsPerSec, outBitsPerSec } = networkOf(MODEL.network, demandOf(INPUTS), INPUTS);
  const contentSegments = 256_000 / 1448;
  const inBytes = 220_500 + 256_000 + (3705 + 1440 + contentSegments) * 52 + 1440 * 6;
  const outBytes = 255_000 + 256_000 + (7305 + 1440 + contentSegments) * 52 + 1440 * 2;
  close(inBitsPerSec, 8 * inBytes);
  close(outBitsPerSec, 8 * outBytes);
});

test('disk is bytes x copies x retention / 0.7, of what is kept', () => {
  const stored = diskOf(72, demandOf(INPUTS), INPUTS);
  close(stored.bytesPerDay, 8.64e9); // 21.6 million x 200 bytes x 2
  close(stored.bytes, (8.64e9 * 30) / 0.7);
  close(diskOf(72, demandOf(INPUTS), { ...INPUTS, keeps: 'all' }).bytesPerDay, 4 * 8.64e9);
  close(diskOf(null, demandOf(INPUTS), INPUTS).bytesPerDay, (8.64e9 * 128) / 200);
});

test('the latency law is infinite at full load', () => {
  assert.is(confirmUsAt({ aUs: 10, bUs: 5 }, 0.5), 15);
  assert.is(confirmUsAt({ aUs: 10, bUs: 5 }, 1), Infinity);
});

test('each resource asks for its nodes, and the one that asks for most binds', () => {
  const { fleet, outcome } = planned();
  const needs = fleet.needs;
  close(needs.CPU?.value, 0.58103333 / 2); // (D + W) / 0.6 - W
  close(needs.latency?.value, 0.3489369 / 2); // busy for 98 / 102
  close(needs['lambda*']?.value, 2000 / (12_000 * 0.6) / 2);
  close(needs.memory?.value, 1.728 / 6.2);
  close(needs.connections?.value, 0.675);
  close(needs.network?.value, outcome.network.outBitsPerSec / 0.6e9);
  close(needs.disk?.value, 0.3702857);
  assert.is(fleet.binds, 'connections');
  assert.is(fleet.bindsShare, 1);
  assert.is(fleet.nodes.value, 2, 'one that works, and the spare');
  assert.is(fleet.machine.name, 'two', '120 a month against 200');
  assert.equal(fleet.costPerMonth, { value: 120, low: 120, high: 120 });
});

test('processes that lose to each other need more nodes', () => {
  // Two processes do the work of 2 / 1.25.
  const { CPU, connections } = planned({ contention: 0.25 }).fleet.needs;
  close(CPU?.value, 0.58103333 / 1.6);
  close(connections?.value, 0.675);
  close(planned({ contention: 0.25 }).fleet.busyShare.value, 0.37085 / 1.63705);
});

test('every resource can be the one that binds', () => {
  const cases: [FleetPlan['binds'], Partial<PlanInputs>][] = [
    ['CPU', { connectionsPerProcess: 1e7, retentionDays: 1, peakConcurrent: 0.001 }],
    ['latency', { connectionsPerProcess: 1e7, retentionDays: 1, sloP99Ms: 2.1 }],
    ['memory', { connectionsPerProcess: 1e7, retentionDays: 20, loginsPerUserPerDay: 0.1 }],
    ['connections', {}],
    ['network', { payloadBytes: 1e6, retentionDays: 0 }],
    ['disk', { retentionDays: 3000 }],
  ];
  for (const [binds, changed] of cases) assert.is(planned(changed).fleet.binds, binds, binds);
  const slow = planSource();
  slow.search.lambdaStarPerSec = 500;
  assert.is(planned({}, slow).fleet.binds, 'lambda*');
});

test('what a node does is calculated for the peak with the spares down', () => {
  const { fleet } = planned();
  close(fleet.busyShare.value, 0.37085 / 2.03705);
  const odds = 0.37085 / (2 - 0.3338);
  close(
    fleet.confirmUs.find(({ quantile }) => quantile === 'p99')?.figure.value,
    2000 + 4000 * odds,
  );
  close(fleet.memoryPerNodeBytes.value, 0.2e9 + 1.728e9);
  assert.is(fleet.connectionsPerNode, 86_400);
  assert.is(fleet.messagesPerSecPerProcess, 1000);
  assert.ok(fleet.meetsSlo);
});

test('a lost node is taken in by the spare CPU of the others', () => {
  const { storm } = planned().fleet;
  assert.is(storm.connections, 43_200);
  const spare = 2 - 0.3338;
  const connectS = (43_200 * 400e-6) / spare;
  close(storm.oneNodeS?.value, connectS + (1000 * connectS * 10e-6) / spare);
  close(storm.wholeFleetS.value, 8.64 + (2000 * 8.64 * 10e-6) / 4);
  assert.is(planned({ spareNodes: 0 }).fleet.storm.oneNodeS, null, 'nobody is left');
});

test('intervals are the 5 % and 95 % of the replicates', () => {
  const { CPU, memory, connections } = planned().fleet.needs;
  close(CPU?.low, (0.91 * 0.58103333) / 2);
  close(CPU?.high, (1.09 * 0.58103333) / 2);
  close(memory?.low, (0.91 * 1.728) / (6.4 - 0.91 * 0.2));
  assert.is(connections?.low, connections?.high, 'nothing of it is fitted');
  const few = planSource({ model: { ...MODEL, replicates: MODEL.replicates.slice(0, 5) } });
  assert.equal(planned({}, few).fleet.nodes, { value: 2, low: null, high: null });
});

test('a refusal withholds node counts, and keeps network and disk', () => {
  const { outcome } = planned({}, planSource({ refusal: 'the model is 20 % off' }));
  assert.equal(outcome.fleets, []);
  assert.is(outcome.chosen, null);
  assert.is(outcome.refusal, 'the model is 20 % off');
  assert.ok(outcome.network.inBitsPerSec > 0 && outcome.disk.bytes > 0);
});

test('an SLO below the idle latency, or too little memory, fits on no machine', () => {
  const { outcome } = planned({ sloP99Ms: 1 });
  assert.is(outcome.chosen, null);
  assert.match(outcome.fleets[0]?.unfit ?? '', 'no number of nodes meets the SLO');
  const small = { ...(INPUTS.machines[0] as PlanInputs['machines'][0]), memoryGb: 0.2 };
  const mixed = planFleet(planSource(), { ...INPUTS, machines: [small, ...INPUTS.machines] });
  assert.match(mixed.fleets[0]?.unfit ?? '', '0.2 GB are not enough for 2 empty server processes');
  assert.is(mixed.chosen, 1);
});

test('a fleet of more than a million nodes is refused as a mistake in the inputs', () => {
  const absurd = { ...INPUTS, dailyUsers: 1e10, messagesPerUserPerDay: 1e6 };
  const outcome = planFleet(planSource(), absurd);
  assert.is(outcome.chosen, null);
  assert.match(outcome.fleets[0]?.unfit ?? '', 'more than 1,000,000 nodes: check the inputs');
});

test('without prices the fewest cores win, and no cost is said', () => {
  const machines = INPUTS.machines.map((machine) => ({ ...machine, pricePerMonth: null }));
  const outcome = planFleet(planSource(), { ...INPUTS, machines: machines.toReversed() });
  assert.is(outcome.fleets[outcome.chosen ?? -1]?.machine.name, 'two');
  assert.is(outcome.fleets[0]?.costPerMonth, null);
});

test('beyond twice the measured range, or outside of it, a plan says extrapolated', () => {
  assert.equal(planned().outcome.extrapolated, [
    '43200 connections of a process: 5000 were measured',
  ]);
  const near = { peakConcurrent: 20_000 };
  assert.equal(planned(near).outcome.extrapolated, []);
  assert.match(
    planned({ ...near, payloadBytes: 2048 }).outcome.extrapolated.join(),
    'payload of 2048 bytes: at most 1024 were measured',
  );
  const fast = {
    ...near,
    retentionDays: 0,
    messagesPerUserPerDay: 5000,
    targetUtilisation: 0.95,
    sloP99Ms: 1e6,
  };
  const source = planSource();
  source.search.lambdaStarPerSec = null;
  source.model = { ...MODEL, measured: { ...MODEL.measured, ratePerSec: 3000, cpuShare: 0.5 } };
  const { extrapolated } = planned(fast, source).outcome;
  assert.match(extrapolated.join(), 'messages/s of a process: 3000 were measured');
  assert.match(extrapolated.join(), 'busy share of');
});

test('what is not measured is said to be assumed', () => {
  const assumed = (changed: Partial<PlanInputs>, source = planSource()): string =>
    planned(changed, source).outcome.assumed.join('\n');
  assert.not.match(assumed({}), 'TLS');
  assert.match(assumed({ tls: true }), 'TLS is not measured');
  assert.match(assumed({ heartbeatS: 20 }), 'heartbeats of 20 s');
  assert.match(assumed({ keeps: 'all' }), 'a history of all messages');
  assert.match(assumed({ sloP99Ms: 50 }), 'lambda* was measured for 100 ms');
  assert.match(assumed({}, planSource({ model: { ...MODEL, diskBytesPerStored: null } })), 'disk');
  const generator = planSource();
  generator.search.binds = 'generator';
  assert.match(assumed({}, generator), 'a lower bound');
  generator.search.lambdaStarPerSec = null;
  assert.match(assumed({}, generator), 'no rate met the SLO');
});

test('the tornado moves every input by a fifth, the strongest first', () => {
  const rows = sensitivityOf(planSource(), INPUTS, 0);
  assert.is(rows[0]?.input, 'connectionsPerProcess');
  close(rows[0]?.low.nodesExact, 0.675 / 0.8);
  const users = rows.find(({ input }) => input === 'dailyUsers');
  close(users?.low.nodesExact, 0.675 * 0.8);
  close(users?.high.nodesExact, 0.675 * 1.2);
  close(users?.swing, 0.675 * 0.4);
  const price = rows.find(({ input }) => input === 'machine.pricePerMonth');
  assert.is(price?.high.costPerMonth, 144);
  assert.is(price?.swing, 0);
  assert.is(rows.length, 21);
  const capped = sensitivityOf(planSource(), { ...INPUTS, targetUtilisation: 0.9 }, 0);
  assert.is(capped.find(({ input }) => input === 'targetUtilisation')?.high.value, 1);
});

test.run();
