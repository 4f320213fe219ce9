/** What parameters say about a run: the formulas of the model, one per layer. */
import {
  busyShareOf,
  type CapacityRun,
  type LatencyLaw,
  type NetworkLaw,
  type Parameters,
} from './file.ts';

export type Layer = 'cpu' | 'throughput' | 'memory' | 'network' | 'p99';
export const LAYERS: readonly Layer[] = ['cpu', 'throughput', 'memory', 'network', 'p99'];

/** Bytes per second in both directions; headers of TCP and IP are not in it, as in what is measured. */
export function networkBytesPerSec(
  law: NetworkLaw,
  { measured, payloadBytes }: CapacityRun,
): number {
  const { rates } = measured;
  let bytes = 0;
  for (const operation of ['online', 'stored', 'pulled'] as const) {
    const perMessage =
      law.inBytes[operation] +
      law.outBytes[operation] +
      payloadBytes * (law.contentIn[operation] + law.contentOut[operation]);
    bytes += rates[operation] * perMessage;
  }
  // A msg:R again, and the msg:A or ack:N that it gets again.
  bytes += rates.retransmit * (law.inBytes.stored + payloadBytes + law.outBytes.stored);
  return bytes + rates.connect * (law.inBytes.connect + law.outBytes.connect);
}

function latencyUs({ aUs, bUs }: LatencyLaw, share: number): number {
  const rho = Math.min(0.99, share);
  return aUs + (bUs * rho) / (1 - rho);
}

/** Prediction and measurement of one layer; null where the run says nothing about it. */
export function predicted(
  layer: Layer,
  run: CapacityRun,
  { parameters, network }: { readonly parameters: Parameters; readonly network: NetworkLaw },
): { readonly predicted: number; readonly measured: number } | null {
  const { measured } = run;
  const share = busyShareOf(parameters.demandUs, measured.rates);
  const pair = (value: number, was: number | null) =>
    was === null ? null : { predicted: value, measured: was };
  switch (layer) {
    case 'cpu':
      return pair(share, measured.cpuShare);
    case 'throughput':
      // What is offered, as long as it fits on a core; all of it then.
      return pair(run.ratePerSec * Math.min(1, 1 / Math.max(share, 1e-9)), measured.achievedPerSec);
    case 'memory': {
      const { baseBytes, perConnectionBytes, perStoredBytes, perContentByte } = parameters.memory;
      const perWaiting = perStoredBytes + perContentByte * run.payloadBytes;
      const bytes =
        baseBytes + perConnectionBytes * measured.connections + perWaiting * measured.waiting;
      return pair(bytes, measured.rssBytes);
    }
    case 'network':
      return pair(
        networkBytesPerSec(network, run),
        measured.bytesInPerSec + measured.bytesOutPerSec,
      );
    default: {
      const law = parameters.latency.find(({ quantile }) => quantile === 'p99');
      return law === undefined ? null : pair(latencyUs(law, share), measured.confirmUs.p99);
    }
  }
}
