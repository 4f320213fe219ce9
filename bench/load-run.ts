/**
 * Runs a load scenario (open loop, closed loop or trace): connect, warm up, load with its faults,
 * quiesce, audit, judge.
 */
import {
  nowUs,
  parseEndpoint,
  sampleTree,
  type SecondSample,
  type SwarmConfig,
  SwarmPool,
} from '../loadgen/index.ts';
import { type ChaosReport, ChaosRun } from './chaos.ts';
import { combine } from './combine.ts';
import { openFilesLimit } from './environment.ts';
import { judge } from './judge.ts';
import { MemorySamples } from './memory-trend.ts';
import { layoutOf, machineLimits } from './layout.ts';
import { ProcessorMeter } from './processor-time.ts';
import { type Part, sliceParts, startParts, stopParts, sumOfServers } from './parts.ts';
import type { ScenarioResult } from './result.ts';
import {
  connectEverybody,
  epochOf,
  pause,
  quiesce,
  type RunContext,
  SeriesCollector,
  statusOf,
  swarmBase,
  TargetError,
} from './rig.ts';
import { type LoadScenario, thresholdsOf, type TraceScenario, variantsOf } from './scenario.ts';
import type { ServerProcess } from './server-process.ts';
import { ThresholdWatch } from './threshold-watch.ts';
import { TrafficMark } from './traffic.ts';
import { formatCount, formatUs } from './units.ts';
import { readTrace, syntheticTrace } from './trace-file.ts';

const CONNECT_TIMEOUT_MS = 30_000;
/** Between the order to start and the first instant of the schedule. */
const START_DELAY_US = 50_000;
const UID_BASE = 1_000_000;
const DEAD_QUIESCE_MS = 1000;

/** All variants of a scenario; the first one that has a name is the headline. */
export async function runLoad(
  context: RunContext,
  scenario: LoadScenario,
): Promise<ScenarioResult> {
  const results: ScenarioResult[] = [];
  for (const variant of variantsOf(scenario)) {
    if (context.signal.aborted && results.length > 0) break;
    results.push(await runLoadOnce(context, variant.scenario, variant.name));
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
  const result = await runLoadOnce(context, scenario, null, { trace });
  result.extra['trace'] = trace.origin;
  return result;
}

/** One run of a load, without its variants. */
export async function runLoadOnce(
  context: RunContext,
  scenario: LoadScenario | TraceScenario,
  variant: string | null,
  options: { readonly trace?: ReturnType<typeof readTrace>; readonly isBlind?: boolean } = {},
): Promise<ScenarioResult> {
  const { trace = null, isBlind = false } = options;
  const { progress, signal } = context;
  const seed = scenario.seed ?? context.seed;
  const durationMs = scenario.durationS * 1000;
  const isLoad = scenario.kind === 'load';
  const warmupMs = isLoad ? scenario.warmupS * 1000 : 0;
  const label = variant === null ? scenario.name : `${scenario.name} ${variant}`;
  progress.start(label, scenario.durationS, scenario);

  const users = trace?.people ?? (scenario as LoadScenario).clients;
  const layout = layoutOf(
    {
      clients: users,
      workers: context.workers,
      servers: isLoad && scenario.chaos === null ? scenario.server.processes : 1,
      targetHost: targetHostOf(context),
    },
    machineLimits(openFilesLimit()),
  );
  if ('binds' in layout) {
    throw new TargetError(`${formatCount(users)} clients do not fit: ${layout.binds}`);
  }
  const parts = await startParts(context, scenario.server, {
    users,
    servers: layout.servers,
    uidBase: UID_BASE,
  });
  const servers = parts.flatMap(({ server }) => server ?? []);
  const series = new SeriesCollector();
  const chaos = isLoad ? await prepareChaos(context, scenario, parts, seed) : null;
  const mode = trace === null ? (scenario as LoadScenario).load.mode : 'trace';
  const configOf = (part: Part): SwarmConfig => ({
    ...swarmBase({
      target: { ...part, url: chaos?.url ?? part.url },
      seed,
      uidBase: part.uidBase,
      epoch: epochOf(context),
      users: part.users,
      retransmit: scenario.retransmit,
      payloadBytes: scenario.payloadBytes,
      pull: scenario.pull,
    }),
    load: trace?.load ?? (scenario as LoadScenario).load,
    faults: scenario.faults,
    connectRatePerSec: scenario.connectRatePerSec,
    warmupMs,
    durationMs,
    isBlind,
    traceEventsMax: context.messageTraces?.eventsMax ?? 0,
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
  });
  let startMs = 0;
  let sent = 0;
  const memory = new MemorySamples();
  const watch = watchOf(context, scenario, layout.generators);
  const events = {
    onSecond: (worker: number, sample: SecondSample): void => {
      const isLoaded = worker === 0 && sample.second * 1000 < durationMs + 500;
      const rssBytes = isLoaded ? sumOfServers(parts, (server) => server.rssBytes()) : null;
      if (rssBytes !== null) memory.add(sample.second, rssBytes);
      const point = series.add(sample);
      watch.add(sample);
      sent += sample.sent;
      if (sample.second * 1000 > durationMs + 500) return; // settling has words of its own
      const rate = `${formatCount(point.confirmedPerSec)} confirmed/s`;
      const faults = chaos === null ? '' : `, ${formatCount(chaos.faultsSoFar)} faults`;
      progress.update(
        sample.second,
        `${rate}, p99 ${formatUs(point.confirmUsP99)}, ${formatCount(sent)} messages${faults}`,
        point,
      );
    },
    onAtPage() {},
  };
  const slices = sliceParts(parts.map(configOf), layout.generators);
  const pool = new SwarmPool(slices, events, layout.generatorsAre);
  try {
    const connectMs = (1000 * users) / scenario.connectRatePerSec;
    const sockets = await connectEverybody(pool, CONNECT_TIMEOUT_MS + 2 * connectMs);
    const connected = await TrafficMark.take(pool);
    await context.beforeLoad?.();
    const startUs = nowUs() + START_DELAY_US;
    await pool.ask('startLoad', { startUs });
    startMs = performance.now() + (startUs - nowUs()) / 1000;
    const ending = AbortSignal.any([signal, watch.signal]);
    const waitUntil = (ms: number): Promise<void> =>
      pause(startMs + ms - performance.now(), ending);

    const happened: ServerEventTaken[] = [];
    const serverEvents =
      isLoad && servers.length > 0
        ? runServerEvents(scenario, servers, waitUntil, { signal: ending, happened })
        : [];
    const disturbances = [...serverEvents, chaos?.run(startMs, ending)];
    for (const disturbance of disturbances) disturbance?.catch(() => {}); // told where awaited
    const recovery = isLoad ? watchRecovery(scenario, pool, waitUntil, () => startMs) : null;
    await waitUntil(warmupMs);
    const cpuBefore = sumOfServers(parts, (server) => server.cpuUs());
    const processors = new ProcessorMeter();
    const oursBefore = ourCpuUs(parts, layout.generatorsAre);
    // Not awaited here: a worker that is overloaded answers when the window is long over.
    const takesBefore = TrafficMark.take(pool);
    takesBefore.catch(() => {}); // told where it is awaited
    await waitUntil(durationMs);
    // Shorter than planned when it was stopped: rates are over what was run.
    const loadedMs = Math.min(durationMs, performance.now() - startMs);
    const cpuAfter = sumOfServers(parts, (server) => server.cpuUs());
    const cpuUs = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore;
    const oursAfter = ourCpuUs(parts, layout.generatorsAre);
    const processorTime = processors.shares(
      oursBefore === null || oursAfter === null ? null : oursAfter - oursBefore,
    );
    const rssBytes = sumOfServers(parts, (server) => server.rssBytes());
    const trafficBefore = await takesBefore;
    const trafficAfter = await TrafficMark.take(pool);
    const dataBytes = sumOfServers(parts, (server) => server.dataBytes());
    await pool.ask('stopLoad', null);
    await Promise.all(disturbances);
    if (!signal.aborted) context.servers.prepareNext();
    progress.phase('settling');
    const quiescence = await quiesce(pool, {
      retransmit: scenario.retransmit,
      // Of a server that is gone nothing more will come.
      timeoutMs: servers.some((server) => server.endedBy() !== null)
        ? DEAD_QUIESCE_MS
        : scenario.quiesceTimeoutS * 1000,
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
      mode,
      users,
      reports,
      series: series.points(scenario.durationS),
      sockets,
      loadedMs,
      quiescence,
      cpuUs,
      processorTime,
      rssBytes,
      peakRssBytes: sumOfServers(parts, (server) => server.peakRssBytes),
    });
    for (const server of servers) addDeath(result, server, signal.aborted);
    if (happened.length > 0) result.extra['serverEvents'] = happened;
    if (recovered !== null) result.extra['recovery'] = recovered;
    result.extra['traffic'] = {
      ...trafficAfter.since(trafficBefore),
      waiting: trafficAfter.waiting(),
      perConnect: connected.perConnect(),
      dataBytes,
    };
    if (watch.stop !== null) result.extra['stopped'] = watch.stop;
    if (layout.reason !== '' || layout.servers > 1) {
      result.extra['layout'] = { ...layout, generators: slices.length };
    }
    const memoryTrend = memory.trend();
    if (memoryTrend !== null) result.extra['memoryTrend'] = memoryTrend;
    if (chaos !== null) addChaos(result, await chaos.report(reports), ending.aborted);
    if (context.messageTraces) {
      result.extra['messageTrace'] = await context.messageTraces.save(pool, slices, {
        scenario: scenario.name,
        variant,
        seed,
        ...result.target,
        epoch: slices[0]!.epoch,
        loadStartUs: startUs,
        isQuiet: quiescence.reached,
        parts: parts.map(({ uidBase, users: count }) => ({ uidBase, users: count })),
        configHash: result.configHash,
      });
    }
    progress.end(summaryLine(result, label, isBlind));
    return result;
  } finally {
    await pool.close();
    await chaos?.close();
    await stopParts(parts);
  }
}

/** What may stop this load: thresholds of its own, and those of the flags that are meant for it. */
function watchOf(
  { stopsOn = [] }: RunContext,
  scenario: LoadScenario | TraceScenario,
  workers: number,
): ThresholdWatch {
  const own = thresholdsOf(scenario).flatMap(({ stops }) => stops ?? []);
  const warmupS = scenario.kind === 'load' ? scenario.warmupS : 0;
  return new ThresholdWatch([...own, ...stopsOn.map((threshold) => ({ threshold, delayS: 0 }))], {
    scenario: scenario.name,
    warmupS,
    workers,
  });
}

/** CPU of generator and servers so far, µs; null where a server that is not ours cannot be seen. */
function ourCpuUs(parts: readonly Part[], generatorsAre: 'threads' | 'processes'): number | null {
  const servers = sumOfServers(parts, (server) => server.cpuUs());
  if (servers === null) return null;
  // Servers and generators that are processes are children of this one.
  if (generatorsAre === 'processes') return sampleTree(process.pid)?.cpuUs ?? null;
  const { user, system } = process.cpuUsage();
  return servers + user + system;
}

function targetHostOf({ target }: RunContext): string | null {
  if (target === null) return null;
  return parseEndpoint(target.url, { isInsecure: target.isInsecure }).host;
}

/** As `ChaosRun.prepare`; servers whose proxy does not start are ended. */
async function prepareChaos(
  context: RunContext,
  scenario: LoadScenario,
  parts: readonly Part[],
  seed: number,
): Promise<ChaosRun | null> {
  try {
    const { pinning } = context.servers;
    // The schema refuses chaos with several servers.
    return await ChaosRun.prepare({ scenario, seed, target: parts[0] as Part, pinning });
  } catch (error) {
    await stopParts(parts);
    throw error;
  }
}

/** A server that ended by itself failed, whatever else is known of the run. */
function addDeath(result: ScenarioResult, server: ServerProcess, isInterrupted: boolean): void {
  const reason = server.endedBy();
  if (reason === null || isInterrupted) return;
  result.reasons.unshift(`the server ended by itself in the middle of the run: ${reason}`);
  result.verdict = 'fail';
}

/** A fault that was planned and never happened proves nothing: such a run is invalid. */
function addChaos(result: ScenarioResult, chaos: ChaosReport, isInterrupted: boolean): void {
  result.extra['chaos'] = chaos;
  if (chaos.never.length === 0 || isInterrupted) return;
  result.reasons.push(`planned, but never happened: ${chaos.never.join(', ')}`);
  if (result.verdict === 'pass') result.verdict = 'invalid';
}

/** How long a server was really away: timers are late, and a restart takes its time. */
export interface ServerEventTaken {
  readonly action: string;
  readonly tookMs: number;
}

/** kill: SIGKILL, and a restart on the same data after forMs. pause: SIGSTOP for forMs. */
function runServerEvents(
  scenario: LoadScenario,
  servers: readonly ServerProcess[],
  waitUntil: (ms: number) => Promise<void>,
  { signal, happened }: { signal: AbortSignal; happened: ServerEventTaken[] },
): Promise<unknown>[] {
  const happens = async (server: ServerProcess, action: string, forMs: number): Promise<void> => {
    const fromMs = performance.now();
    if (action === 'kill') {
      await server.kill();
      await pause(forMs);
      await server.restart();
    } else {
      server.pause();
      await pause(forMs);
      server.resume();
    }
    happened.push({ action, tookMs: performance.now() - fromMs });
  };
  return scenario.serverEvents.map(async ({ atS, action, forMs }) => {
    await waitUntil(atS * 1000);
    if (signal.aborted) return;
    await Promise.all(servers.map((server) => happens(server, action, forMs)));
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

/** Without books there is no verdict, only a rate. */
function summaryLine(result: ScenarioResult, label: string, isBlind: boolean): string {
  const rate = `${formatCount(result.load.achievedPerSec)} confirmed/s`;
  if (isBlind) return `${label}: ${rate}`;
  const p99 = `confirm p99 ${formatUs(result.latency.confirmUs.p99)}`;
  return `${label}: ${result.verdict}, ${rate}, ${p99}, ${formatCount(result.ledger.attempted)} messages, ${result.ledger.lost} lost`;
}
