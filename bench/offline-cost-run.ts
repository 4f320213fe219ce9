/**
 * The cost table S20: one inbox of F friends and M messages, emptied by every strategy, undisturbed,
 * with the client killed between page and acknowledgement, and with the server killed there.
 *
 * Interactions of the undisturbed drain are exact and are checked: naive F, counts F + 2, one-shot
 * 2, paged-ack 2N, paged-next N + 1.
 */
import {
  type DrainMeasure,
  PullStrategy,
  type RetransmitTimers,
  SwarmPool,
  type SwarmReport,
} from '../loadgen/index.ts';
import { detectionPower, type ScenarioResult, type Verdict } from './result.ts';
import {
  bytesOf,
  auditReasons,
  connectEverybody,
  describeTarget,
  epochOf,
  hashOf,
  mergeReports,
  quiesce,
  retransmitOf,
  type RunContext,
  startTarget,
  swarmBase,
} from './rig.ts';
import type { OfflineCostScenario } from './scenario.ts';
import type { ServerProcess } from './server-process.ts';
import { serverOrders, wholePageBytes } from './server-yard.ts';

export interface CostRow {
  strategy: PullStrategy;
  disturbance: 'none' | 'client killed' | 'server killed';
  interactions: number;
  /** What S13-S19 demand of the undisturbed drain; null for the others. */
  expected: number | null;
  rows: number;
  /** Rows that came again and were absorbed by dedupe. */
  repeats: number;
  bytesReceived: number;
  bytesSent: number;
  drainUs: number;
}

const TIMEOUT_MS = 20_000;
const RETRANSMIT: RetransmitTimers = { firstMs: 100, maxMs: 100, maxAttempts: 50, jitter: 0.1 };
const DISTURBANCES = ['none', 'client killed', 'server killed'] as const;
const UID_BASE = 2_000_000;
const UID_STEP = 100_000;

export async function runOfflineCost(
  context: RunContext,
  scenario: OfflineCostScenario,
): Promise<ScenarioResult> {
  const { progress, signal } = context;
  const strategies = Object.values(PullStrategy);
  const disturbancesOf = (strategy: PullStrategy): readonly CostRow['disturbance'][] => {
    const isKilled = context.target === null && scenario.serverKilled.includes(strategy);
    return isKilled ? DISTURBANCES : DISTURBANCES.slice(0, 2);
  };
  const started = performance.now();
  progress.start(scenario.name, strategies.length);
  const wholeBytes = wholePageBytes(scenario);
  const target = await startTarget(context, serverOrders(scenario)[0]!);
  const table: CostRow[] = [];
  const reports: SwarmReport[] = [];
  const reasons: string[] = [];
  let isQuiescent = true;
  try {
    for (const [index, strategy] of strategies.entries()) {
      if (signal.aborted) break;
      const outcome = await runStrategy({
        context,
        scenario,
        strategy,
        disturbances: disturbancesOf(strategy),
        uidBase: UID_BASE + index * UID_STEP,
        target,
        wholeBytes,
        isLast: index === strategies.length - 1,
      });
      table.push(...outcome.rows);
      reports.push(outcome.report);
      reasons.push(...outcome.reasons);
      isQuiescent &&= outcome.isQuiescent;
      progress.update(index + 1, strategy);
    }
    const merged = mergeReports(reports);
    const auditFindings = auditReasons(merged.audit, { reached: isQuiescent });
    let verdict: Verdict = auditFindings.length > 0 || reasons.length > 0 ? 'fail' : 'pass';
    reasons.unshift(...auditFindings);
    if (verdict === 'pass' && (!isQuiescent || signal.aborted)) {
      verdict = 'unknown';
      reasons.push(signal.aborted ? 'interrupted' : 'not quiescent');
    }
    const { ledger, dedupe } = merged.audit;
    const result: ScenarioResult = {
      name: scenario.name,
      variant: null,
      verdict,
      reasons,
      config: scenario,
      configHash: hashOf(scenario),
      target: describeTarget(context, scenario.server),
      load: {
        clients: reports.length * scenario.friends + table.length,
        offeredPerSec: 0,
        achievedPerSec: ledger.attempted / ((performance.now() - started) / 1000),
        sent: ledger.attempted,
        mode: 'none',
      },
      latency: merged.latency,
      ledger,
      dedupe,
      retransmit: retransmitOf(merged),
      packets: merged.packets,
      bytes: bytesOf(merged.reports),
      server: {
        cpuUsPerMessage: perMessage(target.server, ledger.attempted),
        rssBytes: target.server?.rssBytes() ?? null,
        peakRssBytes: target.server?.peakRssBytes ?? null,
      },
      generator: {
        cpuUsPerMessage: 0,
        eluMean: 0,
        eluMax: 0,
        loopDelayP99Us: 0,
        gcShare: 0,
      },
      gates: [],
      thresholds: [],
      series: [],
      ...detectionPower(isQuiescent ? ledger.accepted : 0),
      examples: merged.audit.examples,
      extra: {
        friends: scenario.friends,
        messages: scenario.messages,
        pageMessages: scenario.pageMessages,
        costTable: table,
      },
      variants: [],
    };
    progress.end(
      `${scenario.name}: ${verdict}, ${table.length} drains of ${scenario.messages} messages, ${ledger.lost} lost, ${dedupe.absorbed} repeats absorbed`,
    );
    return result;
  } finally {
    await target.server?.stop();
  }
}

function perMessage(server: ServerProcess | null, messages: number): number | null {
  const cpuUs = server?.cpuUs() ?? null;
  return cpuUs === null || messages === 0 ? null : cpuUs / messages;
}

async function runStrategy(options: {
  context: RunContext;
  scenario: OfflineCostScenario;
  strategy: PullStrategy;
  disturbances: readonly CostRow['disturbance'][];
  uidBase: number;
  target: Awaited<ReturnType<typeof startTarget>>;
  wholeBytes: number;
  isLast: boolean;
}): Promise<{ rows: CostRow[]; report: SwarmReport; reasons: string[]; isQuiescent: boolean }> {
  const { context, scenario, strategy, disturbances, uidBase, target } = options;
  const { friends, messages, pageMessages } = scenario;
  const users = friends + disturbances.length;
  const base = swarmBase({
    target,
    seed: scenario.seed ?? context.seed,
    uidBase,
    epoch: epochOf(context),
    users,
    retransmit: RETRANSMIT,
    payloadBytes: scenario.payloadBytes,
    pull: {
      strategy,
      order: 'oldest',
      pageMessages,
      pageBytes: options.wholeBytes,
      requestTimeoutMs: 500,
    },
    whole: { messages: Math.max(10_000, messages), bytes: options.wholeBytes },
  });
  let onAtPage = (): void => {};
  const pool = new SwarmPool(
    [
      {
        ...base,
        offlineFrom: friends,
        // A handful of clients: they may look often whether the killed server is back.
        reconnect: { firstMs: 50, maxMs: 200 },
        friendUids: Array.from({ length: friends }, (_, i) => uidBase + i),
      },
    ],
    { onSecond() {}, onAtPage: () => onAtPage() },
  );
  const reasons: string[] = [];
  try {
    await connectEverybody(pool, TIMEOUT_MS);
    const each = Math.floor(messages / friends);
    const rest = messages - each * friends;
    for (let i = 0; i < disturbances.length; i++) {
      const receiver = friends + i;
      const all = { from: 0, to: friends, receiver, count: each, timeoutMs: TIMEOUT_MS };
      await pool.ask('send', all);
      if (rest > 0) await pool.ask('send', { ...all, to: rest, count: 1 });
    }
    await pool.ask('goOffline', { from: 0, to: friends });
    const rows: CostRow[] = [];
    for (const [i, disturbance] of disturbances.entries()) {
      let restarted: Promise<void> = Promise.resolve();
      onAtPage = () => {
        restarted = (async () => {
          await target.server?.kill();
          await target.server?.restart();
        })();
      };
      const [measure] = await pool.ask('drain', {
        index: friends + i,
        atPage: disturbance === 'none' ? 0 : middlePage(strategy, scenario),
        action: disturbance === 'server killed' ? 'hold' : 'crash',
        timeoutMs: TIMEOUT_MS,
      });
      await restarted;
      const row = costRow(strategy, disturbance, measure as DrainMeasure, scenario);
      rows.push(row);
      reasons.push(...reasonsOf(row, measure as DrainMeasure, scenario));
    }
    if (options.isLast && !context.signal.aborted) context.servers.prepareNext();
    const quiescence = await quiesce(pool, {
      retransmit: RETRANSMIT,
      timeoutMs: TIMEOUT_MS,
      returnsUnderFaults: false,
      signal: context.signal,
    });
    if (!quiescence.reached) reasons.push(`${strategy}: ${quiescence.reason}`);
    const [report] = await pool.ask('report', { stuck: quiescence.stuck });
    return { rows, report: report as SwarmReport, reasons, isQuiescent: quiescence.reached };
  } finally {
    await pool.close();
  }
}

/** The page in whose acknowledgement the killed variants die. */
function middlePage(strategy: PullStrategy, scenario: OfflineCostScenario): number {
  const pages = Math.ceil(scenario.messages / scenario.pageMessages);
  switch (strategy) {
    case PullStrategy.OneShot:
      return 1;
    case PullStrategy.Naive:
    case PullStrategy.Counts:
      return Math.ceil(scenario.friends / 2);
    default:
      return Math.ceil(pages / 2);
  }
}

/** Interactions of an undisturbed drain, from S13-S19. */
export function expectedInteractions(
  strategy: PullStrategy,
  scenario: { friends: number; messages: number; pageMessages: number },
): number {
  const pages = Math.ceil(scenario.messages / scenario.pageMessages);
  switch (strategy) {
    case PullStrategy.Naive:
      return scenario.friends;
    case PullStrategy.Counts:
      return scenario.friends + 2;
    case PullStrategy.OneShot:
      return 2;
    case PullStrategy.PagedAck:
      return 2 * pages;
    default:
      return pages + 1;
  }
}

function costRow(
  strategy: PullStrategy,
  disturbance: CostRow['disturbance'],
  measure: DrainMeasure,
  scenario: OfflineCostScenario,
): CostRow {
  return {
    strategy,
    disturbance,
    interactions: measure.interactions,
    expected: disturbance === 'none' ? expectedInteractions(strategy, scenario) : null,
    rows: measure.rows,
    repeats: measure.repeats,
    bytesReceived: measure.bytesReceived,
    bytesSent: measure.bytesSent,
    drainUs: measure.drainUs,
  };
}

function reasonsOf(row: CostRow, measure: DrainMeasure, scenario: OfflineCostScenario): string[] {
  const name = `${row.strategy}, ${row.disturbance}`;
  if (!measure.isDrained) return [`${name}: the inbox was not drained in time`];
  const reasons: string[] = [];
  if (row.expected !== null && row.interactions !== row.expected) {
    reasons.push(`${name}: ${row.interactions} interactions, expected ${row.expected}`);
  }
  const distinct = row.rows - row.repeats;
  if (distinct !== scenario.messages) {
    reasons.push(`${name}: ${distinct} distinct messages pulled, ${scenario.messages} stored`);
  }
  return reasons;
}
