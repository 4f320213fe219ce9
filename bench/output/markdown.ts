/**
 * A result in GitHub's Markdown, for step summaries, comments and wikis: per scenario why it did not
 * pass, its latencies and its figures; at the end, folded, the whole report as it stands on the
 * terminal, in which the tables of experiments are.
 */
import { stripVTControlCharacters } from 'node:util';
import { type LatencySummary, MUST_BE_ZERO } from '../../loadgen/index.ts';
import type { Gate, Result, ScenarioResult } from '../result.ts';
import { renderResult } from '../table.ts';
import type { ThresholdOutcome } from '../thresholds.ts';
import { counted, formatBytes, formatCount, formatUs, significant } from '../units.ts';
import { type NamedScenario, reasonsBesideThresholds, type Run, scenariosOf } from './runs.ts';
import { thresholdValue } from './threshold-text.ts';

export function renderMarkdown(result: Result): string {
  const blocks = [
    `## ackbench: ${result.verdict}`,
    summaryOf(result),
    ...scenariosOf(result).flatMap(scenarioBlocks),
    foldedReport(result),
  ];
  return `${blocks.join('\n\n')}\n`;
}

function summaryOf({ scenarios, interrupted, durationS, ...result }: Result): string {
  const sum = (figure: 'lost' | 'attempted'): number =>
    scenarios.reduce((total, { ledger }) => total + ledger[figure], 0);
  const { commit, environment, tool, seed } = result;
  const changes = commit.dirty ? ' with uncommitted changes' : '';
  const facts = [
    `${interrupted ? 'interrupted: ' : ''}${counted(scenarios.length, 'scenario')}`,
    counted(sum('attempted'), 'message'),
    `**${formatCount(sum('lost'))} lost**`,
    `${durationS.toFixed(0)} s`,
    `seed ${seed}`,
    `${tool.name} ${tool.version}`,
    `commit ${commit.sha.slice(0, 10)}${changes}`,
    `${escape(environment.cpuModel)}, ${counted(environment.cores, 'core')}`,
    `node ${environment.node}`,
  ];
  return facts.join(', ');
}

function scenarioBlocks({ name, result, runs }: NamedScenario): string[] {
  const { target, load } = result;
  const blocks = [
    `### ${escape(name)}: ${result.verdict}`,
    `${target.policy}, ${target.store}, ${counted(load.clients, 'client')}, ${counted(load.sent, 'message')}`,
  ];
  const items = [
    ...reasonsBesideThresholds(result).map(escape),
    ...result.thresholds.map(thresholdText),
  ];
  if (items.length > 0) blocks.push(items.map((item) => `- ${item}`).join('\n'));
  if (result.variants.length > 0) blocks.push(variantTable(runs));
  else if (load.mode !== 'none') blocks.push(...latencyTable(result));
  blocks.push(figureTable(result));
  return blocks;
}

function thresholdText(outcome: ThresholdOutcome): string {
  const { threshold, ok } = outcome;
  return `threshold ${escape(threshold)}: ${thresholdValue(outcome)}, ${ok ? 'ok' : '**missed**'}`;
}

function latencyTable({ latency }: ScenarioResult): string[] {
  const named: [string, LatencySummary][] = [
    ['accept', latency.acceptUs],
    ['deliver', latency.deliverUs],
    ['confirm', latency.confirmUs],
    ['stored-confirm', latency.storedConfirmUs],
    ['pull', latency.pullUs],
    ['connect', latency.connectUs],
    ['send lag', latency.sendLagUs],
  ];
  const rows = named
    .filter(([, { count }]) => count > 0)
    .map(([name, { count, p50, p90, p99, p999, max }]) => [
      name,
      formatCount(count),
      ...[p50, p90, p99, p999, max].map(formatUs),
    ]);
  const head = ['Latency', 'count', 'p50', 'p90', 'p99', 'p99.9', 'max'];
  return rows.length === 0 ? [] : [table(head, rows)];
}

const VARIANT_HEAD = [
  'Variant',
  'verdict',
  'confirmed/s',
  'confirm p50',
  'p99',
  'server us/message',
  'peak memory',
];

function variantTable(runs: readonly Run[]): string {
  const rows = runs.map(({ variant, result: { verdict, load, latency, server } }) => [
    escape(variant),
    verdict,
    formatCount(load.achievedPerSec),
    formatUs(latency.confirmUs.p50 ?? latency.storedConfirmUs.p50),
    formatUs(latency.confirmUs.p99 ?? latency.storedConfirmUs.p99),
    orDash(server.cpuUsPerMessage),
    formatBytes(server.peakRssBytes),
  ]);
  return table(VARIANT_HEAD, rows);
}

/** What is counted over all variants; the rest of a scenario with variants is in their table. */
function figureTable(scenario: ScenarioResult): string {
  const isOne = scenario.variants.length === 0;
  const isLoad = scenario.load.mode !== 'none' && scenario.extra['http'] === undefined;
  const rows = [
    ...(isOne && isLoad ? [['Throughput', throughputText(scenario)]] : []),
    ...countRows(scenario),
    ...(isOne ? processRows(scenario, isLoad) : []),
  ];
  return table(['Figure', 'value'], rows, { alignment: 'left' });
}

function throughputText({ load }: ScenarioResult): string {
  const offered = load.offeredPerSec > 0 ? `offered ${formatCount(load.offeredPerSec)}/s, ` : '';
  return `${offered}achieved ${formatCount(load.achievedPerSec)}/s (${load.mode})`;
}

function countRows({ ledger, dedupe, retransmit }: ScenarioResult): string[][] {
  const confirmed = `${formatCount(ledger.confirmed)} + stored ${formatCount(ledger.confirmedStored)}`;
  const zeroes = MUST_BE_ZERO.map((figure) =>
    ledger[figure] === 0 ? `${figure} 0` : `**${figure} ${formatCount(ledger[figure])}**`,
  );
  return [
    [
      'Ledger',
      `attempted ${formatCount(ledger.attempted)}, accepted ${formatCount(ledger.accepted)}, confirmed ${confirmed}, delivered ${formatCount(ledger.delivered)}`,
    ],
    ['Must be zero', zeroes.join(', ')],
    [
      'Wire',
      `${percent(dedupe.wireDuplicateRatio)} duplicates, ${percent(retransmit.ratio)} retransmissions`,
    ],
  ];
}

function processRows({ server, generator, gates }: ScenarioResult, isLoad: boolean): string[][] {
  const perMessage = `${orDash(server.cpuUsPerMessage)} us CPU/message`;
  const rows = [['Server', `${perMessage}, peak memory ${formatBytes(server.peakRssBytes)}`]];
  if (isLoad) {
    const busy = `busy ${percent(generator.eluMean)}, at most ${percent(generator.eluMax)}`;
    rows.push(['Generator', `${significant(generator.cpuUsPerMessage)} us CPU/message, ${busy}`]);
  }
  if (gates.length > 0) rows.push(['Gates', gatesText(gates)]);
  return rows;
}

function gatesText(gates: readonly Gate[]): string {
  const failed = gates.filter(({ ok }) => !ok);
  const texts = failed.map(
    ({ id, name, value, limit }) =>
      `**${id} ${escape(name)}: ${significant(value)} (${escape(limit)})**`,
  );
  return [`${gates.length - failed.length} of ${gates.length} met`, ...texts].join(', ');
}

/** Tildes, for a fence of backticks could be ended by a reason that quotes one. */
function foldedReport(result: Result): string {
  const text = stripVTControlCharacters(renderResult(result)).trimEnd();
  return `<details><summary>The whole report</summary>\n\n~~~~text\n${text}\n~~~~\n\n</details>`;
}

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { alignment = 'right' }: { alignment?: 'left' | 'right' } = {},
): string {
  const rule = head.map((_, i) => (i === 0 || alignment === 'left' ? ':--' : '--:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Text that means itself, on one line. */
function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|~#&]/g, '\\$&').replace(/\s+/g, ' ');
}

function percent(share: number): string {
  return `${significant(100 * share)} %`;
}

function orDash(value: number | null): string {
  return value === null ? '-' : significant(value);
}
