/** What a run says about its rate, and when an overload is over. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { capacityRun, scenarioOf } from '../../../bench/capacity/point.ts';
import { judgeProbe, judgeRecovery, searchPoint } from '../../../bench/capacity/probe.ts';
import type { LatencyReport, ScenarioResult, SeriesPoint } from '../../../bench/result.ts';
import { latencyReport, scenarioResult } from '../../support/result.ts';

const CONFIG = scenarioOf(
  searchPoint({ clients: 100, payloadBytes: 128 }, 1000),
  { warmupS: 1, windowS: 6 },
  { policy: 'relay', store: 'memory', sloMs: 100 },
);

function second(at: number, confirmUsP99: number, inflight = 10): SeriesPoint {
  return {
    second: at,
    sentPerSec: 1000,
    confirmedPerSec: 1000,
    deliveredPerSec: 1000,
    inflight,
    online: 100,
    confirmUsP50: 1000,
    confirmUsP99,
    confirmUsMax: confirmUsP99,
    generatorBusy: 0.3,
  };
}

function confirmed(p99: number): LatencyReport {
  const report = latencyReport();
  return { ...report, confirmUs: { ...report.confirmUs, p99 } };
}

function result(changes: Partial<ScenarioResult> = {}): ScenarioResult {
  return scenarioResult({
    config: CONFIG,
    load: { clients: 100, offeredPerSec: 1000, achievedPerSec: 1000, sent: 7000, mode: 'open' },
    latency: confirmed(20_000),
    series: [1, 2, 3, 4, 5, 6, 7].map((at) => second(at, 20_000)),
    extra: { traffic: TRAFFIC },
    ...changes,
  });
}

const TRAFFIC = { submitted: 6000, packets: { 'msg:R': 6010 } };

const gate = (id: string) => ({ id, name: `gate ${id}`, value: 0.9, limit: '<= 0.7', ok: false });

test('a cold server gets half of the rate first, and the whole of it a second before the window', () => {
  const settings = { policy: 'relay', store: 'memory', sloMs: 100 };
  const point = searchPoint({ clients: 100, payloadBytes: 128 }, 5000);
  const { load } = scenarioOf(point, { warmupS: 3, windowS: 6 }, settings);
  assert.is(load.mode === 'open' && load.ratePerSec, 2500);
  assert.equal(load.mode === 'open' && load.steps, [{ atS: 2, ratePerSec: 5000 }]);
});

test('holds when p99, throughput and backlog do', () => {
  const outcome = judgeProbe(result(), 100);
  assert.is(outcome.ok, true, outcome.reasons.join());
});

test('what is sent again within the window counts, what was before it does not', () => {
  const cold = { retransmit: { count: 700, ratio: 0.1 } };
  assert.is(judgeProbe(result(cold), 100).ok, true);
  const again = { traffic: { submitted: 6000, packets: { 'msg:R': 6120 } } };
  assert.equal(judgeProbe(result({ extra: again }), 100).reasons, [
    '2.0 % of the messages were sent again',
  ]);
});

test('what holds with a late generator, holds', () => {
  assert.is(judgeProbe(result({ gates: [gate('G1'), gate('G3'), gate('G5')] }), 100).ok, true);
});

test('a load that was not offered is not held, however fast it was', () => {
  const outcome = judgeProbe(result({ gates: [gate('G2')] }), 100);
  assert.is(outcome.ok, false);
  assert.match(outcome.reasons[0] as string, 'generator: gate G2 90 %');
});

test('an SLO missed beside a busy generator is the fault of the generator', () => {
  const slow = { latency: confirmed(300_000) };
  const outcome = judgeProbe(result({ ...slow, gates: [gate('G3')] }), 100);
  assert.equal(outcome.reasons.slice(1), ['generator: gate G3 90 %, limit <= 70 %']);
  const alone = judgeProbe(result(slow), 100);
  assert.match(alone.reasons[0] as string, 'confirm p99 300 ms, SLO 100 ms');
});

test('an SLO missed while the processor was stolen says nothing', () => {
  const slow = { latency: confirmed(300_000) };
  assert.is(judgeProbe(result({ ...slow, gates: [gate('G4')] }), 100).isVoid, true);
  assert.is(judgeProbe(result(slow), 100).isVoid, false);
  assert.is(judgeProbe(result({ gates: [gate('G4')] }), 100).isVoid, false);
});

test('one of three windows above the SLO is enough', () => {
  const series = [1, 2, 3, 4, 5, 6, 7].map((at) => second(at, at >= 6 ? 200_000 : 5000));
  const outcome = judgeProbe(result({ series }), 100);
  assert.match(outcome.reasons.join(), 'p99 of window 3 200 ms');
});

test('a backlog that grows does not hold, even if the SLO does yet', () => {
  const series = [1, 2, 3, 4, 5, 6, 7].map((at) => second(at, 20_000, 50 * at));
  assert.match(judgeProbe(result({ series }), 100).reasons.join(), 'backlog grows by 5.00 %');
});

test('a lost message is never held, and never void', () => {
  const lost = result({ gates: [gate('G4')] });
  lost.ledger.lost = 2;
  const outcome = judgeProbe(lost, 100);
  assert.is(outcome.ok, false);
  assert.is(outcome.isVoid, false);
  assert.match(outcome.reasons.join(), '2 messages lost');
});

test('is over when the SLO holds for three seconds on end, and metastable after ten', () => {
  const series = [4, 5, 6, 7, 8, 9, 10, 11].map((at) => ({
    second: at,
    confirmUsP99: at === 9 || at < 8 ? 500_000 : 5000,
  }));
  const isOver = (points: typeof series) => judgeRecovery(points, 5, 100_000);
  assert.equal(isOver(series.slice(0, 6)), { recoveredS: null, metastable: true });
  const last = { second: 12, confirmUsP99: 5000 };
  assert.equal(isOver([...series, last]), { recoveredS: 4, metastable: false });
  const atOnce = series.map((point) => ({ ...point, confirmUsP99: 10 }));
  assert.equal(isOver(atOnce), { recoveredS: 0, metastable: false });
  const late = Array.from({ length: 20 }, (_, i) => ({
    second: i,
    confirmUsP99: i < 17 ? 500_000 : 10,
  }));
  assert.equal(isOver(late), { recoveredS: 11, metastable: true });
});

test('a machine that was disturbed is named, so that nobody blames the server', () => {
  const slow = { latency: confirmed(300_000) };
  const extra = { traffic: TRAFFIC, processorTime: { stolen: 0.1, others: 0.42 } };
  const outcome = judgeProbe(result({ ...slow, extra, gates: [gate('G4')] }), 100);
  assert.match(outcome.reasons.join(), 'machine: 10 % of its time stolen, 42 % in other processes');
});

test('a run tells what the server spends whatever latencies are worth, but not beside other processes', () => {
  const point = searchPoint({ clients: 100, payloadBytes: 128 }, 1000);
  const traffic = {
    ...TRAFFIC,
    windowS: 6,
    connects: 0,
    pagedRows: 0,
    bytesSent: 0,
    bytesReceived: 0,
    waiting: 0,
    perConnect: null,
    dataBytes: null,
  };
  const runWith = (...gates: ReturnType<typeof gate>[]) =>
    capacityRun(point, result({ verdict: 'invalid', gates, extra: { traffic } }));
  const machine = (what: string, value: number) => ({ ...gate('G4'), name: `time ${what}`, value });
  const late = runWith(gate('G1'), gate('G11'), machine('stolen', 0.07));
  assert.is(late.isUsable, true);
  assert.is(late.isLatencyValid, false);
  assert.is(runWith(machine('stolen', 0.12)).isUsable, false);
  assert.is(runWith(machine('of other processes', 0.12)).isUsable, false);
  assert.is(runWith(gate('G8')).isUsable, false);
});

test.run();
