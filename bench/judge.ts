/** What a load run proved and how fast it was: gates, audit, figures, verdict. */
import type { SwarmConfig, SwarmReport } from '../loadgen/index.ts';
import { gateReason, judgeGates } from './gates.ts';
import { detectionPower, type ScenarioResult, type Verdict } from './result.ts';
import {
  auditReasons,
  describeTarget,
  hashOf,
  mergeReports,
  proofReason,
  bytesOf,
  retransmitOf,
  type RunContext,
} from './rig.ts';
import type { LoadScenario, TraceScenario } from './scenario.ts';

export interface JudgeInput {
  context: RunContext;
  scenario: LoadScenario | TraceScenario;
  variant: string | null;
  mode: SwarmConfig['load']['mode'];
  users: number;
  reports: SwarmReport[];
  series: ScenarioResult['series'];
  sockets: { asked: number; open: number };
  loadedMs: number;
  quiescence: { reached: boolean; reason: string };
  cpuUs: number | null;
  /** Of the machine, during the window; null where it cannot be seen. */
  processorTime: { stolen: number; others: number } | null;
  rssBytes: number | null;
  peakRssBytes: number | null;
}

/**
 * Generator CPU per message, us. The meters run in whole seconds, the window need not, so it is what they
 * say of a second over what settled in one.
 */
export function perSettled(
  healths: readonly { readonly cpuUs: number; readonly elapsedUs: number }[],
  settledPerUs: number,
): number {
  const cores = healths.reduce((sum, { cpuUs, elapsedUs }) => sum + cpuUs / elapsedUs, 0);
  return settledPerUs === 0 ? 0 : cores / settledPerUs;
}

export function judge(input: JudgeInput): ScenarioResult {
  const { scenario, reports, mode, series } = input;
  const merged = mergeReports(reports);
  const { audit } = merged;
  const warmupMs = scenario.kind === 'load' ? scenario.warmupS * 1000 : 0;
  const windowUs = Math.max(1, input.loadedMs - warmupMs) * 1000;
  const sum = (pick: (report: SwarmReport) => number): number =>
    reports.reduce((total, report) => total + pick(report), 0);
  // The worst of the workers: each has a stream of its own.
  const farthestFrom1 = (pick: (report: SwarmReport) => number): number =>
    reports.map(pick).reduce((worst, x) => (Math.abs(x - 1) > Math.abs(worst - 1) ? x : worst), 1);

  const settledInside = sum(({ window }) => window.settledInside);
  const due = sum(({ window }) => window.due);
  const sent = sum(({ window }) => window.sent);
  const busyMean = Math.max(...reports.map(({ health }) => health.busyMean));
  const busyMax = Math.max(...reports.map(({ health }) => health.busyMax));
  const loopDelayP99Us = Math.max(...reports.map(({ health }) => health.loopDelayP99Us));
  const gcShare = Math.max(...reports.map(({ health }) => health.gcShare));
  const inWindow = series.filter(({ second }) => second * 1000 > warmupMs);
  const gates = judgeGates({
    judged: scenario.judged,
    mode,
    arrivals: arrivalsOf(scenario),
    sendLagUsP99: merged.recorders.sendLag.quantile(0.99),
    deliverUsP99: merged.recorders.deliver.quantile(0.99),
    due,
    sent,
    busyMean,
    busyMax,
    loopDelayP99Us,
    gcShare,
    gaps: {
      count: sum(({ gaps }) => gaps.count),
      coefficientOfVariation: farthestFrom1(({ gaps }) => gaps.coefficientOfVariation),
      intervals: Math.min(...reports.map(({ gaps }) => gaps.intervals)),
      dispersion: farthestFrom1(({ gaps }) => gaps.dispersion),
    },
    inflight: inWindow.map(({ inflight }) => inflight),
    confirmUsP50: inWindow.map(({ confirmUsP50 }) => confirmUsP50),
    processorTime: input.processorTime,
    socketsAsked: input.sockets.asked,
    socketsOpen: input.sockets.open,
    windowUs,
    settledInside,
    settledMeanUs:
      settledInside === 0
        ? 0
        : sum(({ window }) => window.settledMeanUs * window.settledInside) / settledInside,
    inflightAreaUs: sum(({ window }) => window.inflightAreaUs),
  });

  const reasons = auditReasons(audit, input.quiescence);
  let verdict: Verdict = reasons.length > 0 ? 'fail' : 'pass';
  if (verdict === 'pass' && !input.quiescence.reached) {
    verdict = 'unknown';
    reasons.push(input.quiescence.reason);
  }
  const unproven = proofReason(audit.ledger);
  if (verdict === 'pass' && unproven !== null) {
    verdict = 'unknown';
    reasons.push(unproven);
  }
  const isInterrupted = input.context.signal.aborted;
  if (isInterrupted) {
    reasons.push('interrupted: the figures cover what was run');
    if (verdict === 'pass') verdict = 'unknown';
  }
  const failedGates = isInterrupted ? [] : gates.filter(({ ok }) => !ok);
  if (failedGates.length > 0) {
    reasons.push(...failedGates.map(gateReason));
    if (verdict === 'pass') verdict = 'invalid';
  }
  return {
    name: scenario.name,
    variant: input.variant,
    verdict,
    reasons,
    config: scenario,
    configHash: hashOf(scenario),
    target: describeTarget(input.context, scenario.server),
    load: {
      clients: input.users,
      offeredPerSec: mode === 'closed' ? 0 : due / (windowUs / 1e6),
      achievedPerSec: settledInside / (windowUs / 1e6),
      sent: audit.ledger.attempted,
      mode,
    },
    latency: merged.latency,
    ledger: audit.ledger,
    dedupe: audit.dedupe,
    retransmit: retransmitOf(merged),
    packets: merged.packets,
    bytes: bytesOf(reports),
    server: {
      cpuUsPerMessage:
        input.cpuUs === null || settledInside === 0 ? null : input.cpuUs / settledInside,
      rssBytes: input.rssBytes,
      peakRssBytes: input.peakRssBytes,
    },
    generator: {
      cpuUsPerMessage: perSettled(
        reports.map(({ health }) => health),
        settledInside / windowUs,
      ),
      eluMean: busyMean,
      eluMax: busyMax,
      loopDelayP99Us,
      gcShare,
    },
    gates,
    thresholds: [],
    series,
    // Without quiescence no loss was judged, and nothing is proven.
    ...detectionPower(input.quiescence.reached ? audit.ledger.accepted : 0),
    examples: audit.examples,
    extra: {
      processorTime: input.processorTime,
      counters: reports.map(({ counters }) => counters),
      drain: drainOf(reports),
    },
    variants: [],
  };
}

/** Inboxes emptied after the load. */
export interface Drain {
  rows: number;
  /** From the first row to the last, whoever got them. */
  elapsedUs: number;
}

/** The law of the window's arrivals; null where there are several in it, or none. */
function arrivalsOf(scenario: LoadScenario | TraceScenario): string | null {
  if (scenario.kind !== 'load' || scenario.load.mode !== 'open') return null;
  const { steps = [], arrivals } = scenario.load;
  return steps.every(({ atS }) => atS <= scenario.warmupS) ? arrivals : null;
}

function drainOf(reports: readonly SwarmReport[]): Drain | null {
  const counters = reports
    .map((report) => report.counters)
    .filter(({ drainedRows }) => drainedRows);
  if (counters.length === 0) return null;
  return {
    rows: counters.reduce((sum, { drainedRows }) => sum + drainedRows, 0),
    elapsedUs:
      Math.max(...counters.map(({ drainedUntilUs }) => drainedUntilUs)) -
      Math.min(...counters.map(({ drainedFromUs }) => drainedFromUs)),
  };
}
