/** What the validity gates judge, of a run beyond doubt: a test breaks what it is about. */
import type { GateInput } from '../../bench/gates.ts';

/** 10 s at 1,000 messages per second with 5 ms each: five in flight. */
export const GOOD_GATE_INPUT: GateInput = {
  judged: 'latency',
  mode: 'open',
  arrivals: 'poisson',
  sendLagUsP99: 200,
  deliverUsP99: 4000,
  due: 10_000,
  sent: 10_000,
  busyMean: 0.3,
  busyMax: 0.4,
  loopDelayP99Us: 1000,
  gcShare: 0.005,
  gaps: { count: 100_000, coefficientOfVariation: 1.01, intervals: 100_000, dispersion: 0.99 },
  inflight: [5, 6, 4, 5, 5, 4, 6, 5, 5, 5],
  confirmUsP50: [4000, 4100, 3900, 4000, 4000, 4000, 4100, 3900, 4000, 4000],
  processorTime: { stolen: 0.01, others: 0.02 },
  socketsAsked: 100,
  socketsOpen: 100,
  windowUs: 10_000_000,
  settledInside: 10_000,
  settledMeanUs: 5000,
  inflightAreaUs: 5 * 10_000_000,
};
