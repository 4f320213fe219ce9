/** The model on runs that were made from known parameters: it finds them, and knows how far it is off. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bootstrap } from '../../../bench/capacity/bootstrap.ts';
import {
  busyShareOf,
  type CapacityRun,
  OPERATIONS,
  type Operation,
  type OperationRates,
} from '../../../bench/capacity/file.ts';
import { fitParameters, FITTED_MIN } from '../../../bench/capacity/fit.ts';
import { essentialOf, gridOf } from '../../../bench/capacity/grid.ts';
import { networkLaw } from '../../../bench/capacity/network.ts';
import type { Point } from '../../../bench/capacity/point.ts';
import { networkBytesPerSec } from '../../../bench/capacity/predict.ts';
import { coverageOf, validateModel } from '../../../bench/capacity/validate.ts';
import { Random } from '../../../loadgen/index.ts';

const DEMAND_US: Record<Operation, number> = {
  online: 20,
  stored: 25,
  pulled: 3,
  connect: 300,
  connectionSecond: 0.5,
  payloadKiB: 2,
  retransmit: 8,
  wakeUp: 9,
  loneCommit: 40,
};
const MEMORY = {
  baseBytes: 90e6,
  perConnectionBytes: 1600,
  perStoredBytes: 60,
  perContentByte: 1.5,
};
const LATENCY = { aUs: 400, bUs: 900 };

/** What a server with those parameters would have shown at a point. */
function runAt(point: Point, random: Random | null = null): CapacityRun {
  const noise = (size: number): number =>
    random === null ? 1 : 1 + size * (2 * random.unit() - 1);
  const onlineShare =
    point.churn === null ? 1 - point.offlineShare : 0.7 * (1 - point.offlineShare);
  const connections = point.clients * onlineShare;
  const rate = point.ratePerSec;
  const stored = rate * (1 - onlineShare);
  const logins = point.churn === null ? 0 : connections / point.churn.onlineS;
  const retransmit = rate * point.dropShare;
  const rates: OperationRates = {
    online: rate - stored,
    stored,
    pulled: point.churn === null ? 0 : 0.6 * stored,
    connect: logins,
    connectionSecond: connections,
    payloadKiB: ((rate + retransmit) * point.payloadBytes) / 1024,
    retransmit,
    packetsIn: 2 * rate - stored + retransmit + 2 * logins,
  };
  const share = busyShareOf(DEMAND_US, rates) * noise(0.03);
  const p99 = (LATENCY.aUs + (LATENCY.bUs * share) / (1 - share)) * noise(0.1);
  const waiting = 4 * stored;
  const { baseBytes, perConnectionBytes, perStoredBytes, perContentByte } = MEMORY;
  const perWaiting = perStoredBytes + perContentByte * point.payloadBytes;
  return {
    ...point,
    verdict: 'pass',
    reasons: [],
    isUsable: true,
    isLatencyValid: true,
    measured: {
      windowS: 4,
      achievedPerSec: rate,
      rates,
      packetsPerSec: { 'pull:R': logins + (rates.pulled > 0 ? logins : 0) },
      cpuShare: share,
      rssBytes: (baseBytes + perConnectionBytes * connections + perWaiting * waiting) * noise(0.01),
      connections,
      waiting,
      dataBytes: null,
      perConnect: { bytesSent: 400, bytesReceived: 300 },
      bytesInPerSec: 0,
      bytesOutPerSec: 0,
      confirmUs: { p50: p99 / 4, p90: p99 / 2, p99 },
      lost: 0,
    },
  };
}

const GRID = gridOf({
  topPerSec: 20_000,
  clients: 500,
  payloadBytes: 128,
  clientsMax: 15_000,
  isQuick: false,
});
const fittedOf = (runs: CapacityRun[]): CapacityRun[] =>
  runs.filter(({ heldOut }) => heldOut === null);

test('finds every demand from a grid without noise', () => {
  const parameters = fitParameters(fittedOf(GRID.map((point) => runAt(point))));
  assert.ok(parameters !== null);
  for (const operation of OPERATIONS) {
    const found = parameters.demandUs[operation];
    const is = DEMAND_US[operation];
    assert.ok(Math.abs(found - is) < 0.01 * is + 0.001, `${operation}: ${found}, is ${is}`);
  }
  assert.ok(Math.abs(parameters.memory.perConnectionBytes - 1600) < 1);
  assert.ok(Math.abs(parameters.memory.perContentByte - 1.5) < 0.01);
  const p99 = parameters.latency.find(({ quantile }) => quantile === 'p99');
  assert.ok(Math.abs((p99?.aUs ?? 0) - LATENCY.aUs) < 1);
  assert.ok(Math.abs((p99?.bUs ?? 0) - LATENCY.bUs) < 1);
});

test('what must be measured whatever the time comes first: every point once, all of the rest is repeats', () => {
  const essential = essentialOf(GRID);
  assert.ok(essential < 0.6 * GRID.length, `${essential} of ${GRID.length}`);
  assert.is(new Set(GRID.slice(0, essential)).size, new Set(GRID).size);
  assert.is.not(new Set(GRID.slice(0, essential - 1)).size, new Set(GRID).size);
});

test('is within its promise on held-out points and the held-out mix of a noisy server', () => {
  const random = new Random(7, 'noise');
  const runs = GRID.map((point) => runAt(point, random));
  const fitted = fitParameters(fittedOf(runs));
  assert.ok(fitted !== null);
  const network = networkLaw(runs, 128);
  const replicates = bootstrap(fittedOf(runs), { network, seed: 1 });
  const { layers, refusal } = validateModel(runs, { fitted, replicates, network });
  assert.is(refusal, null);
  const cpu = layers.find(({ layer }) => layer === 'cpu');
  assert.ok((cpu?.meanError ?? 1) < 0.03, `${cpu?.meanError}`);
  assert.ok((cpu?.coverage ?? 0) >= 0.8, `${cpu?.coverage}`);
  const memory = layers.find(({ layer }) => layer === 'memory');
  assert.ok((memory?.meanError ?? 1) < 0.02);
  const together = coverageOf(layers) ?? 0;
  const [least, most] = layers
    .flatMap(({ coverage }) => coverage ?? [])
    .sort((a, b) => a - b)
    .filter((_, i, all) => i === 0 || i === all.length - 1) as [number, number];
  assert.ok(least <= together && together <= most, `${least} ${together} ${most}`);
});

test('of the repeats of a held-out point the median is judged, and one that the machine paused in is not', () => {
  const runs = GRID.map((point) => runAt(point));
  const fitted = fitParameters(fittedOf(runs));
  assert.ok(fitted !== null);
  const repeats = runs.filter(({ heldOut, mix }) => heldOut === 'point' && mix === 'online');
  const points = new Set(repeats.map(({ ratePerSec }) => ratePerSec));
  assert.is(repeats.length, 3 * points.size);
  for (const ratePerSec of points) {
    const one = repeats.find((run) => run.ratePerSec === ratePerSec) as CapacityRun;
    one.measured.confirmUs.p99 = 8 * (one.measured.confirmUs.p99 as number);
  }
  const network = networkLaw(runs, 128);
  const { layers } = validateModel(runs, { fitted, replicates: [fitted], network });
  const p99 = layers.find(({ layer }) => layer === 'p99');
  assert.ok((p99?.meanError ?? 1) < 1e-6, `${p99?.meanError}`);
  assert.ok((p99?.judged ?? 0) > (p99?.points ?? 0));
});

test('one fitted run in four that the machine paused in does not move the latency law', () => {
  const runs = fittedOf(GRID.map((point) => runAt(point)));
  for (const [i, run] of runs.entries()) {
    if (i % 4 === 0) run.measured.confirmUs.p99 = 6 * (run.measured.confirmUs.p99 as number);
  }
  const p99 = fitParameters(runs)?.latency.find(({ quantile }) => quantile === 'p99');
  assert.ok(Math.abs((p99?.aUs ?? 0) - LATENCY.aUs) < 1, `${p99?.aUs}`);
  assert.ok(Math.abs((p99?.bUs ?? 0) - LATENCY.bUs) < 1, `${p99?.bUs}`);
});

test('a third of the points is held out, and a whole mix', () => {
  const points = new Map(GRID.map((point) => [JSON.stringify(point), point]));
  const heldOut = [...points.values()].filter(({ heldOut }) => heldOut !== null);
  const share = heldOut.length / points.size;
  assert.ok(share >= 0.3 && share <= 0.45, `${share}`);
  const mixed = GRID.filter(({ mix }) => mix === 'mixed');
  assert.ok(mixed.length > 0 && mixed.every(({ heldOut }) => heldOut === 'mix'));
});

test('a model that is off where it was not fitted refuses node counts, and says by how much', () => {
  const runs = GRID.map((point) => runAt(point));
  for (const run of runs) {
    if (run.heldOut !== null) run.measured.cpuShare = (run.measured.cpuShare as number) * 1.5;
  }
  const fitted = fitParameters(fittedOf(runs));
  assert.ok(fitted !== null);
  const network = networkLaw(runs, 128);
  const { refusal } = validateModel(runs, { fitted, replicates: [fitted], network });
  assert.match(refusal as string, /33\.3 % off on held-out runs/);
});

test('runs that are not usable are not fitted, and too few make no model', () => {
  const runs = fittedOf(GRID.map((point) => runAt(point)));
  assert.is(fitParameters(runs.slice(0, FITTED_MIN - 1)), null);
  const spoilt = runs.map((run) => ({ ...run, isUsable: false }));
  assert.is(fitParameters(spoilt), null);
});

test('a latency that a late generator made is not fitted', () => {
  const runs = fittedOf(GRID.map((point) => runAt(point)));
  for (const run of runs.slice(0, 3)) {
    run.isLatencyValid = false;
    run.measured.confirmUs.p99 = 5e6;
  }
  const p99 = fitParameters(runs)?.latency.find(({ quantile }) => quantile === 'p99');
  assert.ok(Math.abs((p99?.aUs ?? 0) - LATENCY.aUs) < 1);
});

test('bytes of a message are those of its six frames', () => {
  const law = networkLaw([], 128);
  // Client frames carry a mask of 4: msg:R 148 + 4 + 4, ack:R 20 + 2 + 4.
  assert.is(law.inBytes.online + 128, 156 + 26);
  // msg:A 22, msg:N 148 + 4, ack:A 22, ack:N 22.
  assert.is(law.outBytes.online + 128, 22 + 152 + 22 + 22);
  // msg:R in; msg:A and ack:N out.
  assert.is(law.inBytes.stored + law.outBytes.stored + 128, 156 + 44);
});

test('short frames have short headers', () => {
  const law = networkLaw([], 64);
  assert.is(law.inBytes.online + 64, 84 + 2 + 4 + 26);
});

test('the bytes of a run are the sum over its operations', () => {
  const run = runAt({ ...(GRID[0] as Point), payloadBytes: 128, ratePerSec: 1000 });
  const bytes = networkBytesPerSec(networkLaw([run], 128), run);
  assert.ok(Math.abs(bytes - 1000 * (182 + 218)) < 1, `${bytes}`);
});

test.run();
