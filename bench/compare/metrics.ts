/**
 * What is compared: the metrics of a scenario, how much of a change matters, and which direction is
 * worse. Tiers as in docs/MEASUREMENT.md: 1 = hardly noisy, gate here; 2 = throughput; 3 = latency.
 */
import type { ScenarioResult } from '../result.ts';

export interface Metric {
  /** `scenario.figure`, as in a report. */
  readonly name: string;
  readonly scenario: string;
  readonly unit: 'us' | '/s' | 'B' | 'packets';
  readonly tier: 1 | 2 | 3;
  /** Smallest change that matters, as a share: 0.02 = 2 %. */
  readonly delta: number;
  readonly isLowerBetter: boolean;
  /** null where a run does not have it: a server that cannot be seen, too few samples. */
  readonly read: (result: ScenarioResult) => number | null;
}

interface Figure extends Omit<Metric, 'name' | 'scenario'> {
  readonly figure: string;
  readonly mode: 'open' | 'closed' | 'both';
}

const CPU_DELTA = 0.02;
const RATE_DELTA = 0.05;
const P50_DELTA = 0.05;
const P99_DELTA = 0.1;

/** Those of messages: how often clients log in and pull does not depend on how many messages there are. */
const MESSAGE_PACKETS = ['msg:R', 'msg:A', 'msg:N', 'ack:R', 'ack:A', 'ack:N'] as const;

const perMessage = (amount: number, { ledger }: ScenarioResult): number | null =>
  ledger.attempted === 0 ? null : amount / ledger.attempted;

const FIGURES: readonly Figure[] = [
  {
    figure: 'serverCpu',
    mode: 'both',
    unit: 'us',
    tier: 1,
    delta: CPU_DELTA,
    isLowerBetter: true,
    read: ({ server }) => server.cpuUsPerMessage,
  },
  {
    figure: 'packets',
    mode: 'both',
    unit: 'packets',
    tier: 1,
    delta: CPU_DELTA,
    isLowerBetter: true,
    read: (result) =>
      perMessage(
        MESSAGE_PACKETS.reduce((sum, kind) => sum + (result.packets[kind] ?? 0), 0),
        result,
      ),
  },
  {
    figure: 'wireBytes',
    // Handshakes are in it, so it compares only loads that send the same messages.
    mode: 'open',
    unit: 'B',
    tier: 1,
    delta: CPU_DELTA,
    isLowerBetter: true,
    // Not in results of old versions.
    read: (result) =>
      result.bytes === null ? null : perMessage(result.bytes.sent + result.bytes.received, result),
  },
  {
    figure: 'memory',
    mode: 'both',
    unit: 'B',
    tier: 1,
    delta: P50_DELTA,
    isLowerBetter: true,
    read: ({ server, load }) =>
      server.rssBytes === null || server.rssBytes === 0 ? null : server.rssBytes / load.clients,
  },
  {
    figure: 'throughput',
    mode: 'closed',
    unit: '/s',
    tier: 2,
    delta: RATE_DELTA,
    isLowerBetter: false,
    read: ({ load }) => load.achievedPerSec,
  },
  {
    figure: 'accept.p50',
    mode: 'open',
    unit: 'us',
    tier: 3,
    delta: P50_DELTA,
    isLowerBetter: true,
    read: ({ latency }) => latency.acceptUs.p50,
  },
  {
    figure: 'confirm.p50',
    mode: 'open',
    unit: 'us',
    tier: 3,
    delta: P50_DELTA,
    isLowerBetter: true,
    read: ({ latency }) => latency.confirmUs.p50,
  },
  {
    figure: 'confirm.p99',
    mode: 'open',
    unit: 'us',
    tier: 3,
    delta: P99_DELTA,
    isLowerBetter: true,
    read: ({ latency }) => latency.confirmUs.p99,
  },
];

/** The metrics of a load that is `open` or `closed`; latencies under saturation compare nothing. */
export function metricsOf(scenario: string, mode: string): Metric[] {
  const isMeant = (figure: Figure): boolean => figure.mode === 'both' || figure.mode === mode;
  return FIGURES.filter(isMeant).map(({ figure, unit, tier, delta, isLowerBetter, read }) => ({
    name: `${scenario}.${figure}`,
    scenario,
    unit,
    tier,
    delta,
    isLowerBetter,
    read,
  }));
}
