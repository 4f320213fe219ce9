/** One probe of the search: a run at a rate, and whether the server held its SLO in it. */
import { gateWords } from '../gates.ts';
import type { ScenarioResult, SeriesPoint } from '../result.ts';
import type { LoadScenario } from '../scenario.ts';
import { theilSen } from '../statistics/theil-sen.ts';
import { formatUs } from '../units.ts';
import type { CapacitySearch, CapacitySettings } from './file.ts';
import { type Point, resentShareOf, scenarioOf, type Timing } from './point.ts';
import type { ProbeOutcome } from './search.ts';

/** Share of the offered messages that must be settled. */
const SETTLED_MIN = 0.999;
/** Growth of the backlog, of the rate, per second. */
const BACKLOG_GROWTH_MAX = 0.001;
const RESENT_MAX = 0.01;
const WINDOWS = 3;
/** Gates that say that what was to be offered was not offered: then nothing was held. */
const OFFER_GATES = new Set(['G2', 'G7', 'G10']);
/** Gates that say that the generator was late or busy: whose fault it is that an SLO was missed. */
const GENERATOR_GATES = new Set(['G1', 'G2', 'G3', 'G5', 'G6', 'G7', 'G10']);
/** Gates that say that something else disturbed the machine. */
const MACHINE_GATES = new Set(['G4']);

/** The load of the search: everybody online, messages of one size. */
export function searchPoint(
  { clients, payloadBytes }: Pick<CapacitySettings, 'clients' | 'payloadBytes'>,
  ratePerSec: number,
): Point {
  return {
    mix: 'online',
    clients,
    ratePerSec,
    payloadBytes,
    offlineShare: 0,
    churn: null,
    dropShare: 0,
    heldOut: null,
  };
}

/**
 * What a run of the search says about its rate. A late generator makes latencies longer, never shorter:
 * what holds all the same, holds. Only when it does not hold is it asked whose fault that was, and only
 * a load that was not offered is refused whatever the latencies (docs/decisions/0013).
 */
export function judgeProbe(result: ScenarioResult, sloMs: number): ProbeOutcome {
  const { load, gates, ledger, latency, series } = result;
  const { warmupS } = result.config as LoadScenario;
  const failed = gates.filter(({ ok }) => !ok);
  const ofGenerator = failed.filter(({ id }) => GENERATOR_GATES.has(id));
  const isOffered = failed.every(({ id }) => !OFFER_GATES.has(id));
  const reasons = ofGenerator.map((gate) => {
    const { what, figure, limit } = gateWords(gate);
    return `generator: ${what.replace(/^generator /, '')} ${figure}, limit ${limit}`;
  });
  const slow: string[] = [];
  const sloUs = 1000 * sloMs;
  const p99 = latency.confirmUs.p99 ?? latency.confirmUs.max;
  if (p99 > sloUs) slow.push(`confirm p99 ${formatUs(p99)}, SLO ${sloMs} ms`);
  const inWindow = series.filter(({ second }) => second > warmupS);
  for (const [i, part] of windowsOf(inWindow).entries()) {
    if (part.length === 0) continue;
    const median = part.map(({ confirmUsP99 }) => confirmUsP99).sort((a, b) => a - b)[
      part.length >> 1
    ] as number;
    if (median > sloUs) slow.push(`p99 of window ${i + 1} ${formatUs(median)}, SLO ${sloMs} ms`);
  }
  const settled = load.offeredPerSec === 0 ? 1 : load.achievedPerSec / load.offeredPerSec;
  // What is on its way at either end is no loss of throughput.
  const slack = (2 * Math.sqrt(load.offeredPerSec)) / Math.max(1, load.offeredPerSec);
  if (settled < SETTLED_MIN - slack)
    slow.push(`settled ${(100 * settled).toFixed(1)} % of what was offered`);
  const growth = backlogGrowth(inWindow) / Math.max(1, load.offeredPerSec);
  if (growth > BACKLOG_GROWTH_MAX)
    slow.push(`backlog grows by ${(100 * growth).toFixed(2)} % of the rate`);
  const resent = resentShareOf(result);
  if (resent > RESENT_MAX) {
    slow.push(`${(100 * resent).toFixed(1)} % of the messages were sent again`);
  }
  const isHeld = isOffered && slow.length === 0;
  const all = isHeld ? [] : [...slow, ...reasons];
  const isDisturbed = failed.some(({ id }) => MACHINE_GATES.has(id));
  if (!isHeld && isDisturbed) {
    const { stolen = 0, others = 0 } = (result.extra['processorTime'] ?? {}) as {
      stolen?: number;
      others?: number;
    };
    all.push(
      `machine: ${percent(stolen)} of its time stolen, ${percent(others)} in other processes`,
    );
  }
  if (ledger.lost > 0) all.push(`${ledger.lost} messages lost`);
  if (result.verdict === 'fail') all.push(...result.reasons);
  const { cpuUsPerMessage } = result.server;
  return {
    ok: all.length === 0,
    reasons: [...new Set(all)],
    confirmUsP99: latency.confirmUs.p99,
    cpuShare: cpuUsPerMessage === null ? null : (cpuUsPerMessage * load.achievedPerSec) / 1e6,
    isVoid: !isHeld && ledger.lost === 0 && isDisturbed,
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function windowsOf(series: readonly SeriesPoint[]): SeriesPoint[][] {
  const length = series.length / WINDOWS;
  return Array.from({ length: WINDOWS }, (_, i) =>
    series.slice(Math.round(i * length), Math.round((i + 1) * length)),
  );
}

/** Messages per second by which the backlog surely grows: the lower bound of its slope. */
function backlogGrowth(series: readonly SeriesPoint[]): number {
  return series.length < 4 ? 0 : theilSen(series.map(({ inflight }) => inflight)).low;
}

/**
 * Whether it comes back from overload: 1.5 times the rate for a while, then 0.8 of it.
 *
 *     0.8 |--warm-up--|           |----------- until it holds again, or 15 s -------|
 *     1.5             |--overload--|
 */
export function recoveryScenario({
  settings,
  lambdaPerSec,
  timing: { warmupS },
}: {
  readonly settings: CapacitySettings;
  readonly lambdaPerSec: number;
  readonly timing: Timing;
}): { scenario: LoadScenario; backS: number } {
  const overloadS = settings.isQuick ? 2 : 5;
  const point = searchPoint(settings, 0.8 * lambdaPerSec);
  const scenario = scenarioOf(point, { warmupS, windowS: overloadS + RECOVERY_S }, settings);
  const backS = warmupS + overloadS;
  scenario.judged = 'audit';
  if (scenario.load.mode === 'open') {
    scenario.load.steps = [
      ...(scenario.load.steps ?? []),
      { atS: warmupS, ratePerSec: 1.5 * lambdaPerSec },
      { atS: backS, ratePerSec: 0.8 * lambdaPerSec },
    ];
  }
  return { scenario, backS };
}

export function judgeRecovery(
  series: readonly Pick<SeriesPoint, 'second' | 'confirmUsP99'>[],
  backS: number,
  sloUs: number,
): NonNullable<CapacitySearch['recovery']> {
  const recoveredS = recoveryOf(series, backS, sloUs);
  return { recoveredS, metastable: recoveredS === null || recoveredS > RECOVERED_MAX_S };
}

const RECOVERY_S = 15;
const RECOVERED_MAX_S = 10;
/** It holds again when it holds for so many seconds on end. */
const STEADY_S = 3;

/** Seconds from the step back until the SLO holds on; null = not in this run. */
function recoveryOf(
  series: readonly Pick<SeriesPoint, 'second' | 'confirmUsP99'>[],
  backS: number,
  sloUs: number,
): number | null {
  const after = series.filter(({ second }) => second > backS);
  for (let i = 0; i + STEADY_S <= after.length; i++) {
    if (after.slice(i, i + STEADY_S).every(({ confirmUsP99 }) => confirmUsP99 <= sloUs)) {
      // A point is of the second that ends there.
      return Math.max(0, (after[i]?.second ?? 0) - 1 - backS);
    }
  }
  return null;
}
