/**
 * Runs a load scenario (open loop, closed loop or trace): connect, warm up, load with its faults,
 * quiesce, audit, judge.
 */
import { nowUs, type SwarmConfig, SwarmPool, type SwarmReport } from '../loadgen/index.ts';
import { type ChaosReport, ChaosRun } from './chaos.ts';
import { gateReason, judgeGates } from './gates.ts';
import { detectionPower, type ScenarioResult, type Verdict } from './result.ts';
import {
  auditReasons,
  connectEverybody,
  epochOf,
  hashOf,
  mergeReports,
  pause,
  proofReason,
  quiesce,
  retransmitOf,
  type RunContext,
  SeriesCollector,
  sliceConfig,
  startTarget,
  describeTarget,
  statusOf,
  swarmBase,
} from './rig.ts';
import { type LoadScenario, type TraceScenario, variantsOf } from './scenario.ts';
import type { ServerProcess } from './server-process.ts';
import { formatCount, formatUs } from './units.ts';
import { readTrace, syntheticTrace } from './trace-file.ts';

const CONNECT_TIMEOUT_MS = 30_000;
/** Between the order to start and the first instant of the schedule. */
const START_DELAY_US = 50_000;
const UID_BASE = 1_000_000;

/** All variants of a scenario; the first one that has a name is the headline. */
export async function runLoad(
  context: RunContext,
  scenario: LoadScenario,
): Promise<ScenarioResult> {
  const results: ScenarioResult[] = [];
  for (const variant of variantsOf(scenario)) {
    if (context.signal.aborted && results.length > 0) break;
    results.push(await runOne(context, variant.scenario, variant.name));
  }
  return results.length === 1 ? (results[0] as ScenarioResult) : combine(scenario, results);
}

export async function runTrace(
  context: RunContext,
  scenario: TraceScenario,
): Promise<ScenarioResult> {
  const options = {
    messages: scenario.messages,
    durationMs: scenario.durationS * 1000,
    lingerMs: scenario.lingerMs,
  };
  const trace =
    scenario.file === null
      ? syntheticTrace(context.seed, options)
      : readTrace(scenario.file, options);
  context.progress.log(`trace: ${trace.origin}`);
  const result = await runOne(context, scenario, null, trace);
  result.extra['trace'] = trace.origin;
  return result;
}

async function runOne(
  context: RunContext,
  scenario: LoadScenario | TraceScenario,
  variant: string | null,
  trace: ReturnType<typeof readTrace> | null = null,
): Promise<ScenarioResult> {
  const { progress, signal } = context;
  const seed = scenario.seed ?? context.seed;
  const durationMs = scenario.durationS * 1000;
  const isLoad = scenario.kind === 'load';
  const warmupMs = isLoad ? scenario.warmupS * 1000 : 0;
  const label = variant === null ? scenario.name : `${scenario.name} ${variant}`;
  progress.start(label, scenario.durationS);

  const target = await startTarget(context, scenario.server);
  const { server } = target;
  const series = new SeriesCollector();
  const chaos = isLoad ? await prepareChaos(context, scenario, target, seed) : null;
  const users = trace?.people ?? (scenario as LoadScenario).clients;
  const config: SwarmConfig = {
    ...swarmBase({
      target: { ...target, url: chaos?.url ?? target.url },
      seed,
      uidBase: UID_BASE,
      epoch: epochOf(context),
      users,
      retransmit: scenario.retransmit,
      payloadBytes: scenario.payloadBytes,
      pull: scenario.pull,
    }),
    load: trace?.load ?? (scenario as LoadScenario).load,
    faults: scenario.faults,
    connectRatePerSec: scenario.connectRatePerSec,
    warmupMs,
    durationMs,
    ...(isLoad && {
      offlineShare: scenario.offlineShare,
      churn: scenario.churn,
      receivers: scenario.receivers,
      inflightMax: scenario.inflightMax,
      crashOnPage: scenario.crashOnPage,
      events: [
        ...scenario.clientEvents.map(({ atS, ...event }) => ({ atMs: atS * 1000, ...event })),
        ...(chaos?.clientEvents ?? []),
      ],
    }),
  };
  let startMs = 0;
  let sent = 0;
  const pool = new SwarmPool(sliceConfig(config, context.workers), {
    onSecond: (_worker, sample) => {
      const point = series.add(sample);
      sent += sample.sent;
      const rate = `${formatCount(point.confirmedPerSec)} confirmed/s`;
      const faults = chaos === null ? '' : `, ${formatCount(chaos.faultsSoFar)} faults`;
      progress.update(
        sample.second,
        `${rate}, p99 ${formatUs(point.confirmUsP99)}, ${formatCount(sent)} messages${faults}`,
      );
    },
    onAtPage() {},
  });
  try {
    const sockets = await connectEverybody(pool, CONNECT_TIMEOUT_MS);
    const startUs = nowUs() + START_DELAY_US;
    await pool.ask('startLoad', { startUs });
    startMs = performance.now() + (startUs - nowUs()) / 1000;
    const waitUntil = (ms: number): Promise<void> =>
      pause(startMs + ms - performance.now(), signal);

    const serverEvents =
      isLoad && server !== null ? runServerEvents(scenario, server, waitUntil, signal) : [];
    const disturbances = [...serverEvents, chaos?.run(startMs, signal)];
    for (const disturbance of disturbances) disturbance?.catch(() => {}); // told where awaited
    const recovery = isLoad ? watchRecovery(scenario, pool, waitUntil, () => startMs) : null;
    await waitUntil(warmupMs);
    const cpuBefore = server?.cpuUs() ?? null;
    await waitUntil(durationMs);
    // Shorter than planned after Ctrl-C: rates are over what was run.
    const loadedMs = Math.min(durationMs, performance.now() - startMs);
    const cpuAfter = server?.cpuUs() ?? null;
    const rssBytes = server?.rssBytes() ?? null;
    await pool.ask('stopLoad', null);
    await Promise.all(disturbances);
    if (!signal.aborted) context.servers.prepareNext();
    progress.phase('settling');
    const quiescence = await quiesce(pool, {
      retransmit: scenario.retransmit,
      timeoutMs: scenario.quiesceTimeoutS * 1000,
      returnsUnderFaults: isLoad && scenario.crashOnPage !== null,
      signal,
    });
    const reports = await pool.ask('report', { stuck: 0 });
    reports[0]!.books.stuck = quiescence.stuck;
    const recovered = recovery === null ? null : await recovery;

    const result = judge({
      context,
      scenario,
      variant,
      mode: config.load.mode,
      users,
      reports,
      series: series.points(scenario.durationS),
      sockets,
      loadedMs,
      quiescence,
      cpuUs: cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore,
      rssBytes,
      peakRssBytes: server?.peakRssBytes ?? null,
    });
    if (recovered !== null) result.extra['recovery'] = recovered;
    if (chaos !== null) addChaos(result, await chaos.report(reports), signal.aborted);
    progress.end(summaryLine(result, label));
    return result;
  } finally {
    await pool.close();
    await chaos?.close();
    await server?.stop();
  }
}

/** As `ChaosRun.prepare`; a server whose proxy does not start is ended. */
async function prepareChaos(
  context: RunContext,
  scenario: LoadScenario,
  target: { url: string; isInsecure: boolean; server: ServerProcess | null },
  seed: number,
): Promise<ChaosRun | null> {
  try {
    const { pinning } = context.servers;
    return await ChaosRun.prepare({ scenario, seed, target, pinning });
  } catch (error) {
    await target.server?.stop();
    throw error;
  }
}

/** A fault that was planned and never happened proves nothing: such a run is invalid. */
function addChaos(result: ScenarioResult, chaos: ChaosReport, isInterrupted: boolean): void {
  result.extra['chaos'] = chaos;
  if (chaos.never.length === 0 || isInterrupted) return;
  result.reasons.push(`planned, but never happened: ${chaos.never.join(', ')}`);
  if (result.verdict === 'pass') result.verdict = 'invalid';
}

/** kill: SIGKILL, and a restart on the same data after forMs. pause: SIGSTOP for forMs. */
function runServerEvents(
  scenario: LoadScenario,
  server: ServerProcess,
  waitUntil: (ms: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void>[] {
  return scenario.serverEvents.map(async ({ atS, action, forMs }) => {
    await waitUntil(atS * 1000);
    if (signal.aborted) return;
    if (action === 'kill') {
      await server.kill();
      await pause(forMs);
      await server.restart();
    } else {
      server.pause();
      await pause(forMs);
      server.resume();
    }
  });
}

interface Recovery {
  /** From the drop until every socket is open again, ms; null = not within the load. */
  reconnectedMs: number | null;
  /** Until the messages in flight are back at their level from before, ms. */
  steadyMs: number | null;
  inflightBefore: number;
}

const RECOVERY_POLL_MS = 20;
const STEADY_POLLS = 5;

/** Watches the first event that drops most connections. */
function watchRecovery(
  scenario: LoadScenario,
  pool: SwarmPool,
  waitUntil: (ms: number) => Promise<void>,
  startMs: () => number,
): Promise<Recovery> | null {
  const event = scenario.clientEvents.find(
    ({ action, share }) => action === 'disconnect' && share >= 0.5,
  );
  if (event === undefined) return null;
  const watch = async (): Promise<Recovery> => {
    const eventMs = event.atS * 1000;
    const endMs = scenario.durationS * 1000;
    const sinceStart = (): number => performance.now() - startMs();
    const before: number[] = [];
    await waitUntil(Math.max(0, eventMs - 500));
    while (sinceStart() < eventMs - RECOVERY_POLL_MS) {
      before.push((await statusOf(pool)).inflight);
      await pause(RECOVERY_POLL_MS);
    }
    const inflightBefore =
      before.length === 0 ? 0 : before.reduce((sum, n) => sum + n, 0) / before.length;
    const recovery: Recovery = { reconnectedMs: null, steadyMs: null, inflightBefore };
    const limit = Math.max(1.5 * inflightBefore, inflightBefore + 20);
    let steadyPolls = 0;
    await waitUntil(eventMs + RECOVERY_POLL_MS);
    while (sinceStart() < endMs && recovery.steadyMs === null) {
      const { online, wanted, inflight, pulling } = await statusOf(pool);
      const atMs = Math.round(sinceStart() - eventMs);
      if (online === wanted && pulling === 0) recovery.reconnectedMs ??= atMs;
      steadyPolls = recovery.reconnectedMs !== null && inflight <= limit ? steadyPolls + 1 : 0;
      if (steadyPolls === STEADY_POLLS) {
        recovery.steadyMs = atMs - (STEADY_POLLS - 1) * RECOVERY_POLL_MS;
      }
      await pause(RECOVERY_POLL_MS);
    }
    return recovery;
  };
  return watch();
}

interface JudgeInput {
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
  rssBytes: number | null;
  peakRssBytes: number | null;
}

function judge(input: JudgeInput): ScenarioResult {
  const { scenario, reports, mode, series } = input;
  const merged = mergeReports(reports);
  const { audit } = merged;
  const warmupMs = scenario.kind === 'load' ? scenario.warmupS * 1000 : 0;
  const windowUs = Math.max(1, input.loadedMs - warmupMs) * 1000;
  const sum = (pick: (report: SwarmReport) => number): number =>
    reports.reduce((total, report) => total + pick(report), 0);
  const mean = (values: number[]): number =>
    values.length === 0 ? 0 : values.reduce((total, value) => total + value, 0) / values.length;

  const settledInside = sum(({ window }) => window.settledInside);
  const due = sum(({ window }) => window.due);
  const sent = sum(({ window }) => window.sent);
  const cpuUs = sum(({ health }) => health.cpuUs);
  const busyMean = Math.max(...reports.map(({ health }) => health.busyMean));
  const loopDelayP99Us = Math.max(...reports.map(({ health }) => health.loopDelayP99Us));
  const gcShare = Math.max(...reports.map(({ health }) => health.gcShare));
  const inWindow = series.filter(({ second }) => second * 1000 > warmupMs);
  const third = Math.max(1, Math.floor(inWindow.length / 3));
  const gates = judgeGates({
    judged: scenario.judged,
    mode,
    arrivals:
      scenario.kind === 'load' && scenario.load.mode === 'open' ? scenario.load.arrivals : null,
    sendLagUsP99: merged.recorders.sendLag.quantile(0.99),
    deliverUsP99: merged.recorders.deliver.quantile(0.99),
    due,
    sent,
    busyMean,
    loopDelayP99Us,
    gcShare,
    gaps: {
      count: sum(({ gaps }) => gaps.count),
      // The worst of the workers: each has a stream of its own.
      coefficientOfVariation: reports.reduce(
        (worst, { gaps }) =>
          Math.abs(gaps.coefficientOfVariation - 1) > Math.abs(worst - 1)
            ? gaps.coefficientOfVariation
            : worst,
        1,
      ),
    },
    inflightFirst: mean(inWindow.slice(0, third).map(({ inflight }) => inflight)),
    inflightLast: mean(inWindow.slice(-third).map(({ inflight }) => inflight)),
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
    server: {
      cpuUsPerMessage:
        input.cpuUs === null || settledInside === 0 ? null : input.cpuUs / settledInside,
      rssBytes: input.rssBytes,
      peakRssBytes: input.peakRssBytes,
    },
    generator: {
      cpuUsPerMessage: sent === 0 ? 0 : cpuUs / audit.ledger.attempted,
      eluMean: busyMean,
      eluMax: Math.max(...reports.map(({ health }) => health.busyMax)),
      loopDelayP99Us,
      gcShare,
    },
    gates,
    thresholds: [],
    series,
    // Without quiescence no loss was judged, and nothing is proven.
    ...detectionPower(input.quiescence.reached ? audit.ledger.accepted : 0),
    examples: audit.examples,
    extra: { counters: reports.map(({ counters }) => counters) },
    variants: [],
  };
}

/** Headline of the first variant; ledger, dedupe, retransmissions and packets of all. */
function combine(scenario: LoadScenario, results: ScenarioResult[]): ScenarioResult {
  const headline = results[0] as ScenarioResult;
  const ledger = { ...headline.ledger };
  const dedupe = { ...headline.dedupe };
  const retransmit = { ...headline.retransmit };
  const packets = { ...headline.packets };
  let distinct = 0;
  for (const [index, result] of results.entries()) {
    distinct += result.dedupe.wireArrivals - result.dedupe.wireDuplicates;
    if (index === 0) continue;
    for (const key of Object.keys(ledger) as (keyof typeof ledger)[]) {
      ledger[key] += result.ledger[key];
    }
    dedupe.wireArrivals += result.dedupe.wireArrivals;
    dedupe.wireDuplicates += result.dedupe.wireDuplicates;
    dedupe.absorbed += result.dedupe.absorbed;
    retransmit.count += result.retransmit.count;
    for (const [name, count] of Object.entries(result.packets)) {
      packets[name] = (packets[name] ?? 0) + count;
    }
  }
  dedupe.wireDuplicateRatio = distinct === 0 ? 0 : dedupe.wireDuplicates / distinct;
  retransmit.ratio = ledger.attempted === 0 ? 0 : retransmit.count / ledger.attempted;
  const order = ['pass', 'invalid', 'unknown', 'fail'];
  const worst = results.reduce((a, b) =>
    order.indexOf(b.verdict) > order.indexOf(a.verdict) ? b : a,
  );
  return {
    ...headline,
    verdict: worst.verdict,
    reasons: results.flatMap(({ variant, reasons }) => reasons.map((r) => `${variant}: ${r}`)),
    config: scenario,
    configHash: hashOf(scenario),
    load: { ...headline.load, sent: ledger.attempted },
    ledger,
    dedupe,
    retransmit,
    packets,
    ...detectionPower(results.reduce((sum, result) => sum + judgedIn(result), 0)),
    variants: results,
  };
}

/** Messages of a result in which `lost` was judged. */
function judgedIn({ lossBelow, ledger }: ScenarioResult): number {
  return lossBelow === null ? 0 : ledger.accepted;
}

function summaryLine(result: ScenarioResult, label: string): string {
  const rate = `${formatCount(result.load.achievedPerSec)} confirmed/s`;
  const p99 = `confirm p99 ${formatUs(result.latency.confirmUs.p99)}`;
  return `${label}: ${result.verdict}, ${rate}, ${p99}, ${formatCount(result.ledger.attempted)} messages, ${result.ledger.lost} lost`;
}
