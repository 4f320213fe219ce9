/** The report on stdout: a table per scenario and the verdict, for people. */
import { styleText } from 'node:util';
import {
  KIND_NAME,
  KINDS,
  type LatencySummary,
  PACKET_FAULTS,
  type PacketFault,
} from '../loadgen/index.ts';
import type { CeilingReport } from './ceiling-run.ts';
import { renderCeiling } from './ceiling-table.ts';
import { adviceOf, cautionOf } from './caution.ts';
import type { ChaosReport } from './chaos.ts';
import { columns } from './columns.ts';
import type { SavedTrace } from './explain/save.ts';
import type { HttpFigures } from './http-pull-run.ts';
import type { Drain } from './judge.ts';
import type { Layout } from './layout.ts';
import type { MemoryTrend } from './memory-trend.ts';
import type { CostRow } from './offline-cost-run.ts';
import {
  type Detection,
  detectionPower,
  type Gate,
  type Result,
  type ScenarioResult,
  type Verdict,
} from './result.ts';
import { thresholdValue } from './output/threshold-text.ts';
import { counted, formatBytes, formatCount, formatUs, significant } from './units.ts';

/** So that a line stays below 120 columns. */
const GATES_PER_LINE = 6;

type Style = Parameters<typeof styleText>[0];

/** Colours only where they are wanted: NO_COLOR and FORCE_COLOR are honoured. */
function wantsColour(): boolean {
  const { env } = process;
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '0') return true;
  if (env['NO_COLOR'] !== undefined) return false;
  return process.stdout.isTTY === true;
}

function paint(style: Style, text: string): string {
  return wantsColour() ? styleText(style, text, { validateStream: false }) : text;
}

const VERDICT_STYLE: Readonly<Record<Verdict, Style>> = {
  pass: 'green',
  fail: 'red',
  invalid: 'yellow',
  unknown: 'yellow',
};

/** The whole report. */
export function renderResult(result: Result): string {
  const parts = result.scenarios.map(renderScenario);
  const lost = result.scenarios.reduce((sum, { ledger }) => sum + ledger.lost, 0);
  const sent = result.scenarios.reduce((sum, { ledger }) => sum + ledger.attempted, 0);
  // Without quiescence no loss was judged, and those messages prove nothing.
  const judged = result.scenarios
    .filter(({ lossBelow }) => lossBelow !== null)
    .reduce((sum, { ledger }) => sum + ledger.accepted, 0);
  const bound = lost === 0 ? renderPower(judged) : '';
  const verdict = paint(VERDICT_STYLE[result.verdict], result.verdict.toUpperCase());
  const interrupted = result.interrupted ? ' interrupted:' : '';
  parts.push(
    `${verdict}:${interrupted} ${counted(result.scenarios.length, 'scenario')}, ${counted(sent, 'message')}, ${formatCount(lost)} lost${bound}, ${result.durationS.toFixed(0)} s, seed ${result.seed}`,
  );
  return `${parts.join('\n\n')}\n`;
}

/** What 0 lost of `judged` messages proves, and what it would not have overlooked. */
function renderPower(judged: number): string {
  const { lossBelow, detection } = detectionPower(judged);
  if (lossBelow === null) return '';
  // The rarest loss that would hardly have been overlooked; if none, the commonest.
  const caught = detection.findLast(({ probability }) => probability >= 0.95) ?? detection[0];
  const { lossRate, probability } = caught as Detection;
  // Rounded down: nothing short of certainty is 100 %.
  const chance = Math.min(99.99, Math.floor(probability * 10_000) / 100);
  return ` (loss below ${lossBelow.toExponential(1)} at 95 %; would have caught a loss of 1 in ${formatCount(1 / lossRate)} with ${chance} %)`;
}

function renderScenario(scenario: ScenarioResult): string {
  const lines: string[] = [];
  const { target, load } = scenario;
  const verdict = paint(VERDICT_STYLE[scenario.verdict], scenario.verdict);
  lines.push(
    `${paint('bold', scenario.name)}  ${verdict}  (${target.policy}, ${target.store}, ${counted(load.clients, 'client')}, ${counted(load.sent, 'message')})`,
  );
  for (const reason of scenario.reasons) lines.push(`  ! ${reason}`);
  for (const example of scenario.reasons.length > 0 ? scenario.examples : []) {
    lines.push(`    ${example}`);
  }
  const advice = adviceOf(scenario);
  if (advice !== null) lines.push(`    ${advice}`);
  const caution = cautionOf(scenario);
  if (caution !== null) lines.push(`  note: ${caution}`);
  const isExperiment = load.mode === 'none';
  if (scenario.variants.length > 0) lines.push(renderVariants(scenario.variants));
  else if (!isExperiment) lines.push(renderLatency(scenario));
  if (scenario.extra['costTable'] !== undefined) {
    lines.push(renderCosts(scenario.extra['costTable'] as CostRow[]));
  }
  if (scenario.extra['ceiling'] !== undefined) {
    lines.push(renderCeiling(scenario.extra['ceiling'] as CeilingReport));
  }
  if (scenario.extra['http'] !== undefined) {
    lines.push(renderHttp(scenario.extra['http'] as HttpFigures));
  }
  lines.push(renderFigures(scenario));
  for (const { variant, extra } of scenario.variants.length > 0 ? scenario.variants : [scenario]) {
    if (extra['chaos'] !== undefined)
      lines.push(renderChaos(extra['chaos'] as ChaosReport, variant));
    const traced = extra['messageTrace'] as SavedTrace | null | undefined;
    if (traced) lines.push(renderTraced(traced));
  }
  return lines.join('\n');
}

function renderLatency(scenario: ScenarioResult): string {
  const { latency } = scenario;
  const named: [string, LatencySummary, LatencySummary | null][] = [
    ['accept', latency.acceptUs, latency.acceptServiceUs],
    ['deliver', latency.deliverUs, latency.deliverServiceUs],
    ['confirm', latency.confirmUs, latency.confirmServiceUs],
    ['stored-confirm', latency.storedConfirmUs, null],
    ['pull', latency.pullUs, null],
    ['connect', latency.connectUs, null],
    ['send lag', latency.sendLagUs, null],
  ];
  const rows = [['latency', 'count', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'max', 'service p99']];
  for (const [name, summary, service] of named) {
    if (summary.count === 0) continue;
    rows.push([
      name,
      formatCount(summary.count),
      formatUs(summary.mean),
      formatUs(summary.p50),
      formatUs(summary.p90),
      formatUs(summary.p99),
      formatUs(summary.p999),
      formatUs(summary.max),
      service === null ? '' : formatUs(service.p99),
    ]);
  }
  return columns(rows);
}

function renderVariants(variants: readonly ScenarioResult[]): string {
  const rows = [
    ['variant', 'confirmed/s', 'server us/msg', 'confirm p50', 'p99', 'server memory', 'verdict'],
  ];
  for (const variant of variants) {
    rows.push([
      variant.variant ?? '',
      formatCount(variant.load.achievedPerSec),
      formatNumber(variant.server.cpuUsPerMessage),
      formatUs(variant.latency.confirmUs.p50 ?? variant.latency.storedConfirmUs.p50),
      formatUs(variant.latency.confirmUs.p99 ?? variant.latency.storedConfirmUs.p99),
      formatBytes(variant.server.peakRssBytes),
      variant.verdict,
    ]);
  }
  return columns(rows);
}

function renderCosts(table: readonly CostRow[]): string {
  const rows = [
    ['strategy', 'killed', 'interactions', 'expected', 'rows', 'repeats', 'in', 'out', 'time'],
  ];
  for (const row of table) {
    rows.push([
      row.strategy,
      row.disturbance === 'none' ? '-' : row.disturbance.replace(' killed', ''),
      String(row.interactions),
      row.expected === null ? '' : String(row.expected),
      formatCount(row.rows),
      formatCount(row.repeats),
      formatBytes(row.bytesReceived),
      formatBytes(row.bytesSent),
      formatUs(row.drainUs),
    ]);
  }
  return columns(rows);
}

function renderHttp(http: HttpFigures): string {
  const { latencyMs } = http;
  return columns([
    ['http', 'pages/s', 'messages/s', 'MiB/s', 'p50', 'p99', 'max', 'not 2xx'],
    [
      'GET /v1/inbox',
      formatCount(http.requestsPerSec),
      formatCount(http.rowsPerSec),
      significant(http.bytesPerSec / 2 ** 20),
      `${latencyMs.p50} ms`,
      `${latencyMs.p99} ms`,
      `${latencyMs.max} ms`,
      String(http.non2xx),
    ],
  ]);
}

const FAULT_WORD: Readonly<Record<PacketFault, string>> = {
  drop: 'dropped',
  duplicate: 'duplicated',
  delay: 'delayed',
  reorder: 'reordered',
  truncate: 'truncated',
};

/** What was really done to a run, so that a reader sees that it was. */
function renderChaos(chaos: ChaosReport, variant: string | null): string {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${formatCount(count)}`)
      .join(', ') || 'none';
  const lines = [
    `  chaos      ${variant === null ? '' : `${variant}: `}${formatCount(chaos.total)} faults; server: ${list(chaos.server)}; clients: ${list(chaos.clients)}`,
    `             links: ${list(chaos.links)}; ${formatCount(chaos.swallowed)} packets swallowed by half-open links`,
  ];
  const kinds = KINDS.map((kind) => KIND_NAME[kind]);
  const hit = kinds.filter((name) => PACKET_FAULTS.some((fault) => chaos.packets[fault][name]));
  if (hit.length === 0) return lines.join('\n');
  const rows = [
    ['packets', ...hit],
    ['through the proxy', ...hit.map((name) => formatCount(chaos.seen[name] ?? 0))],
  ];
  for (const fault of PACKET_FAULTS) {
    const counts = chaos.packets[fault];
    if (Object.keys(counts).length === 0) continue;
    rows.push([FAULT_WORD[fault], ...hit.map((name) => formatCount(counts[name] ?? 0))]);
  }
  lines.push(columns(rows, '             '));
  return lines.join('\n');
}

function renderTraced({ file, events, overwritten, wholeFromS }: SavedTrace): string {
  const lost =
    wholeFromS === null
      ? ''
      : `, and ${formatCount(overwritten)} older ones overwritten: whole from ${significant(wholeFromS)} s on`;
  return `  traced     ${counted(events, 'event')} in ${file}${lost}`;
}

function renderFigures(scenario: ScenarioResult): string {
  const { load, ledger, dedupe, retransmit, packets, server, generator } = scenario;
  const perMessage = ledger.attempted === 0 ? 0 : totalOf(packets) / ledger.attempted;
  const lines = [
    `  ledger     attempted ${formatCount(ledger.attempted)}, accepted ${formatCount(ledger.accepted)}, confirmed ${formatCount(ledger.confirmed)} + stored ${formatCount(ledger.confirmedStored)}, delivered ${formatCount(ledger.delivered)}`,
    `             ${zeroes(ledger)}; recovered ${ledger.recovered}, unknown ${ledger.unknown}, out of order ${formatCount(ledger.orderInversions)}`,
    `  wire       ${formatCount(dedupe.wireDuplicates)} duplicates (${percent(dedupe.wireDuplicateRatio)}), ${formatCount(dedupe.absorbed)} absorbed; ${formatCount(retransmit.count)} retransmissions (${percent(retransmit.ratio)}); ${significant(perMessage)} packets/message`,
    `  server     ${formatNumber(server.cpuUsPerMessage)} us CPU/message, ${formatBytes(server.rssBytes)} resident, peak ${formatBytes(server.peakRssBytes)}`,
  ];
  if (load.mode !== 'none' && scenario.extra['http'] === undefined) {
    const offered = load.offeredPerSec > 0 ? `offered ${formatCount(load.offeredPerSec)}/s, ` : '';
    lines.unshift(
      `  load       ${offered}achieved ${formatCount(load.achievedPerSec)}/s (${load.mode}${load.mode === 'closed' ? ': saturation, not comparable with an open loop' : ''})`,
    );
    lines.push(
      `  generator  ${significant(generator.cpuUsPerMessage)} us CPU/message, busy ${percent(generator.eluMean)} (max ${percent(generator.eluMax)}), loop delay p99 ${formatUs(Math.round(generator.loopDelayP99Us))}, gc ${percent(generator.gcShare)}`,
    );
  }
  if (scenario.gates.length > 0 && scenario.variants.length === 0)
    lines.push(...renderGates(scenario.gates));
  const recovery = scenario.extra['recovery'] as
    { reconnectedMs: number | null; steadyMs: number | null } | undefined;
  if (recovery !== undefined) {
    lines.push(
      `  recovery   all reconnected and pulled after ${formatMs(recovery.reconnectedMs)}, steady after ${formatMs(recovery.steadyMs)}`,
    );
  }
  const drain = scenario.extra['drain'] as Drain | null | undefined;
  if (drain !== null && drain !== undefined && drain.elapsedUs > 0) {
    const perSec = formatCount((1e6 * drain.rows) / drain.elapsedUs);
    lines.push(
      `  drain      ${formatCount(drain.rows)} messages pulled after the load within ${formatUs(drain.elapsedUs)}, ${perSec}/s`,
    );
  }
  const trend = scenario.extra['memoryTrend'] as MemoryTrend | undefined;
  if (trend !== undefined) {
    const sign = trend.perHour < 0 ? '' : '+';
    lines.push(
      `  memory     server ${sign}${percent(trend.perHour)} per hour over the last ${formatUs(trend.seconds * 1e6)}, mean ${formatBytes(trend.meanBytes)}`,
    );
  }
  const layout = scenario.extra['layout'] as Layout | undefined;
  if (layout !== undefined) {
    const servers = layout.servers === 1 ? '1 server' : `${layout.servers} independent servers`;
    const why = layout.reason === '' ? '' : `: ${layout.reason}`;
    lines.push(
      `  layout     ${servers}, ${layout.generators} generator ${layout.generatorsAre}${why}`,
    );
  }
  if (scenario.extra['trace'] !== undefined)
    lines.push(`  trace      ${String(scenario.extra['trace'])}`);
  for (const outcome of scenario.thresholds) {
    const isJudged = scenario.verdict === 'pass' || scenario.verdict === 'fail';
    const missed = isJudged ? paint('red', 'FAILED') : 'not judged';
    lines.push(
      `  threshold  ${outcome.threshold}: ${thresholdValue(outcome)}, ${outcome.ok ? 'ok' : missed}`,
    );
  }
  return lines.join('\n');
}

/** Every gate with its value and limit, so many a line as fit. */
function renderGates(gates: readonly Gate[]): string[] {
  const texts = gates.map(({ id, value, limit, ok }) => {
    const figure = Number.isInteger(value) ? formatCount(value) : significant(value);
    const text = `${id} ${figure} (${limit})`;
    return ok ? text : paint('red', `${text} FAILED`);
  });
  const lines: string[][] = [];
  for (const [i, text] of texts.entries()) {
    if (i % GATES_PER_LINE === 0) lines.push([]);
    lines.at(-1)?.push(text);
  }
  return lines.map((line, i) => `  ${i === 0 ? 'gates     ' : '          '} ${line.join(', ')}`);
}

function zeroes(ledger: ScenarioResult['ledger']): string {
  const { lost, falseConfirm, duplicated, unexpected, misrouted, corrupt, phantom, stuck } = ledger;
  const figures = {
    lost,
    falseConfirm,
    duplicated,
    unexpected,
    misrouted,
    corrupt,
    phantom,
    stuck,
  };
  return Object.entries(figures)
    .map(([name, count]) => (count === 0 ? `${name} 0` : paint('red', `${name} ${count}`)))
    .join(', ');
}

function totalOf(packets: Readonly<Record<string, number>>): number {
  return Object.values(packets).reduce((sum, count) => sum + count, 0);
}

function percent(share: number): string {
  return `${significant(share * 100)} %`;
}

function formatNumber(value: number | null): string {
  return value === null ? '-' : significant(value);
}

function formatMs(ms: number | null): string {
  return ms === null ? 'more than the load lasted' : `${formatCount(ms)} ms`;
}
