/**
 * The HTTP inbox API under load: autocannon pulls pages from filled inboxes; afterwards the receivers
 * log in, drain over their sockets and the ledger is closed as in every run.
 *
 * No rate is given to autocannon, so its correction for coordinated omission (which assumes an
 * interval of 1 ms at any rate) is off; its latencies are those of a closed loop, reported as such.
 * Not acknowledging makes every request pull the same first page, so the inboxes stay full for the
 * audit. A sample of these pages is checked row by row before the load; under load, answers are
 * only counted and their size compared with the checked ones.
 */
import autocannon from 'autocannon';
import { createMinter, type RetransmitTimers, SwarmPool } from '../loadgen/index.ts';
import { auditPages, meanPage, type PageAudit } from './http-page-audit.ts';
import { detectionPower, type ScenarioResult, type Verdict } from './result.ts';
import {
  bytesOf,
  auditReasons,
  connectEverybody,
  describeTarget,
  epochOf,
  hashOf,
  mergeReports,
  proofReason,
  quiesce,
  retransmitOf,
  type RunContext,
  startTarget,
  swarmBase,
} from './rig.ts';
import type { HttpPullScenario } from './scenario.ts';
import { serverOrders } from './server-yard.ts';
import { formatCount } from './units.ts';

const TIMEOUT_MS = 30_000;
const UID_BASE = 3_000_000;
const RETRANSMIT: RetransmitTimers = { firstMs: 200, maxMs: 200, maxAttempts: 50, jitter: 0.1 };
const SENDERS_MAX = 20;
/** Pages that are read and checked before the load. */
const AUDITED_PAGES_MAX = 200;
const MISTAKES_MAX = 5;
/** Answers under load smaller than this share of a checked page are not that page. */
const SMALLEST_SHARE = 0.9;

export interface HttpFigures {
  requestsPerSec: number;
  rowsPerSec: number;
  bytesPerSec: number;
  /** Closed loop, ms, as autocannon reports them. */
  latencyMs: { p50: number; p90: number; p99: number; max: number };
  requests: number;
  non2xx: number;
  errors: number;
}

export async function runHttpPull(
  context: RunContext,
  scenario: HttpPullScenario,
): Promise<ScenarioResult> {
  const { progress, signal } = context;
  progress.start(scenario.name, scenario.durationS);
  const messages = scenario.messagesPerUser;
  const target = await startTarget(context, serverOrders(scenario)[0]!);
  const senders = Math.min(SENDERS_MAX, messages);
  const users = senders + scenario.users;
  const pool = new SwarmPool(
    [
      {
        ...swarmBase({
          target,
          seed: scenario.seed ?? context.seed,
          uidBase: UID_BASE,
          epoch: epochOf(context),
          users,
          retransmit: RETRANSMIT,
          payloadBytes: scenario.payloadBytes,
          pull: {
            strategy: 'paged-next',
            order: 'oldest',
            pageMessages: scenario.pageMessages,
            pageBytes: 1_048_576,
            requestTimeoutMs: 1000,
          },
        }),
        offlineFrom: senders,
      },
    ],
    { onSecond() {}, onAtPage() {} },
  );
  try {
    await connectEverybody(pool, TIMEOUT_MS);
    const each = Math.floor(messages / senders);
    const rest = messages - each * senders;
    for (let user = 0; user < scenario.users && !signal.aborted; user++) {
      const all = {
        from: 0,
        to: senders,
        receiver: senders + user,
        count: each,
        timeoutMs: TIMEOUT_MS,
      };
      await pool.ask('send', all);
      if (rest > 0) await pool.ask('send', { ...all, to: rest, count: 1 });
    }
    // After an interruption the inboxes are not full.
    const sample = signal.aborted ? 0 : Math.min(scenario.users, AUDITED_PAGES_MAX);
    const pages = await auditSample(scenario, target, { senders, sample });
    const cpuBefore = target.server?.cpuUs() ?? null;
    const figures = await pullOverHttp(context, scenario, target, { senders, pages });
    const cpuAfter = target.server?.cpuUs() ?? null;
    const rssBytes = target.server?.rssBytes() ?? null;
    if (!signal.aborted) context.servers.prepareNext();
    progress.phase('settling');
    const quiescence = await quiesce(pool, {
      retransmit: RETRANSMIT,
      timeoutMs: TIMEOUT_MS,
      returnsUnderFaults: false,
      signal,
    });
    const merged = mergeReports(await pool.ask('report', { stuck: quiescence.stuck }));
    const { ledger, dedupe } = merged.audit;
    const reasons = auditReasons(merged.audit, quiescence);
    if (figures.non2xx > 0 || figures.errors > 0) {
      reasons.push(`${figures.non2xx} answers were not 2xx, ${figures.errors} requests failed`);
    }
    reasons.push(...pages.mistakes.slice(0, MISTAKES_MAX));
    const bytesPerPage = figures.bytesPerSec / Math.max(figures.requestsPerSec, 1e-9);
    const auditedBytes = meanPage(pages).bytes;
    if (figures.requests > 0 && bytesPerPage < SMALLEST_SHARE * auditedBytes) {
      reasons.push(
        `answers under load had ${Math.round(bytesPerPage)} bytes, a page has ${Math.round(auditedBytes)}`,
      );
    }
    let verdict: Verdict = reasons.length > 0 ? 'fail' : 'pass';
    if (verdict === 'pass' && (!quiescence.reached || signal.aborted)) {
      verdict = 'unknown';
      reasons.push(signal.aborted ? 'interrupted' : quiescence.reason);
    }
    const unproven = proofReason(ledger);
    if (verdict === 'pass' && unproven !== null) {
      verdict = 'unknown';
      reasons.push(unproven);
    }
    const cpuUs = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore;
    const rows = figures.requests * meanPage(pages).rows;
    const result: ScenarioResult = {
      name: scenario.name,
      variant: null,
      verdict,
      reasons,
      config: scenario,
      configHash: hashOf(scenario),
      target: describeTarget(context, scenario.server),
      load: {
        clients: users,
        offeredPerSec: 0,
        achievedPerSec: figures.requestsPerSec,
        sent: ledger.attempted,
        mode: 'closed',
      },
      latency: merged.latency,
      ledger,
      dedupe,
      retransmit: retransmitOf(merged),
      packets: merged.packets,
      bytes: bytesOf(merged.reports),
      server: {
        // Per message that an HTTP page carried.
        cpuUsPerMessage: cpuUs === null || rows === 0 ? null : cpuUs / rows,
        rssBytes,
        peakRssBytes: target.server?.peakRssBytes ?? null,
      },
      generator: { cpuUsPerMessage: 0, eluMean: 0, eluMax: 0, loopDelayP99Us: 0, gcShare: 0 },
      gates: [],
      thresholds: [],
      series: [],
      ...detectionPower(quiescence.reached ? ledger.accepted : 0),
      examples: merged.audit.examples,
      extra: { http: figures },
      variants: [],
    };
    progress.end(
      `${scenario.name}: ${verdict}, ${formatCount(figures.requestsPerSec)} pages/s, p99 ${figures.latencyMs.p99} ms, ${ledger.lost} lost`,
    );
    return result;
  } finally {
    await pool.close();
    await target.server?.stop();
  }
}

/** Audits the pages of users spread over all. */
function auditSample(
  scenario: HttpPullScenario,
  target: { url: string; jwtKey: string; isInsecure: boolean },
  { senders, sample }: { senders: number; sample: number },
): Promise<PageAudit> {
  const { users, messagesPerUser, pageMessages } = scenario;
  const first = UID_BASE + senders;
  return auditPages({
    origin: originOf(target),
    isInsecure: target.isInsecure,
    uids: Array.from({ length: sample }, (_, i) => first + Math.floor((i * users) / sample)),
    tokenOf: createMinter(target.jwtKey),
    stored: messagesPerUser,
    limit: pageMessages,
  });
}

function originOf(target: { url: string }): string {
  return new URL(target.url.replace(/^ws/, 'http')).origin;
}

async function pullOverHttp(
  context: RunContext,
  scenario: HttpPullScenario,
  target: { url: string; jwtKey: string },
  known: { senders: number; pages: PageAudit },
): Promise<HttpFigures> {
  const mint = createMinter(target.jwtKey);
  const instance = autocannon({
    url: originOf(target),
    connections: scenario.connections,
    duration: scenario.durationS,
    requests: Array.from({ length: scenario.users }, (_, user) => ({
      method: 'GET' as const,
      path: `/v1/inbox?limit=${scenario.pageMessages}`,
      headers: { authorization: `Bearer ${mint(UID_BASE + known.senders + user)}` },
    })),
  } as autocannon.Options);
  const stop = (): void => (instance as unknown as { stop(): void }).stop();
  context.signal.addEventListener('abort', stop);
  const ticks = setInterval(() => context.progress.phase('pulling over HTTP'), 1000);
  try {
    const result = await instance;
    const rowsPerPage = meanPage(known.pages).rows;
    const requests = result.requests.total;
    const seconds = Math.max(result.duration, 0.001);
    return {
      requestsPerSec: requests / seconds,
      rowsPerSec: (requests * rowsPerPage) / seconds,
      bytesPerSec: result.throughput.total / seconds,
      latencyMs: {
        p50: result.latency.p50,
        p90: result.latency.p90,
        p99: result.latency.p99,
        max: result.latency.max,
      },
      requests,
      non2xx: result.non2xx,
      errors: result.errors + result.timeouts,
    };
  } finally {
    clearInterval(ticks);
    context.signal.removeEventListener('abort', stop);
  }
}
