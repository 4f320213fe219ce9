/** A plan for people: the load, the fleets of every machine type, the chosen one, and what moves it. */
import { formatCount, formatUs, significant } from '../units.ts';
import type { Block } from './blocks.ts';
import type { Figure, FleetPlan, PlanInputs, PlanOutcome, SensitivityRow } from './formulas.ts';
import type { Origin } from './inputs.ts';
import type { PlanOfFile, PlanReport, SourceReport } from './report.ts';
import type { VariedPlan } from './what-if.ts';

type Format = (value: number) => string;

/** A figure with its interval, as two cells. */
function cellsOf(figure: Figure | null, format: Format): [string, string] {
  if (figure === null) return ['never', ''];
  const { value, low, high } = figure;
  return [format(value), low === null || high === null ? '' : `${format(low)} … ${format(high)}`];
}

export const formatSeconds: Format = (seconds) =>
  seconds === Infinity ? 'never' : formatUs(seconds * 1e6);
export const formatPercent: Format = (share) => `${(100 * share).toFixed(1)} %`;
const formatNodes: Format = (nodes) => (nodes === Infinity ? 'any' : nodes.toFixed(2));
const formatWhole: Format = (nodes) => (nodes === Infinity ? 'none' : formatCount(nodes));
const formatMoney: Format = (money) => (money === Infinity ? 'none' : formatCount(money));

/** Decimal, as disks, memories and networks are sold. */
function scaledBy(value: number, unit: string): string {
  for (const [prefix, factor] of [['T', 1e12] as const, ['G', 1e9] as const, ['M', 1e6] as const]) {
    if (value >= factor) return `${significant(value / factor)} ${prefix}${unit}`;
  }
  return `${significant(value / 1e3)} k${unit}`;
}
const formatBytes: Format = (bytes) => scaledBy(bytes, 'B');
const formatBits: Format = (bits) => scaledBy(bits, 'bit/s');

/** All blocks of the report. */
export function planBlocks(report: PlanReport, showsAssumptions: boolean): Block[] {
  const blocks = report.plans.flatMap((plan) => blocksOfPlan(plan, report));
  if (report.plans.length > 1) blocks.push(comparisonBlock(report.plans));
  if (showsAssumptions) blocks.push(inputsBlock(report.origins));
  return blocks;
}

function blocksOfPlan(plan: PlanOfFile, { inputs }: PlanReport): Block[] {
  const { source, outcome } = plan;
  const chosen = outcome.chosen === null ? null : (outcome.fleets[outcome.chosen] as FleetPlan);
  return [
    sourceBlock(source),
    loadBlock(outcome, inputs),
    ...(outcome.fleets.length === 0 ? [] : [machinesBlock(outcome)]),
    ...(chosen === null ? [] : [needsBlock(chosen), fleetBlock(chosen, inputs)]),
    ...(plan.sensitivity.length === 0 ? [] : [sensitivityBlock(plan.sensitivity)]),
    ...(plan.whatIf.length === 0 ? [] : [whatIfBlock(outcome, plan.whatIf)]),
    notesBlock(outcome),
  ];
}

export function sourceBlock(source: SourceReport): Block {
  const errors = source.heldOutErrors.map(
    ({ layer, meanError }) => `${layer} ${formatPercent(meanError)}`,
  );
  return {
    heading: `${source.file}: ${source.policy}, ${source.store}`,
    lines: [
      `measured ${source.startedAt.slice(0, 10)} at commit ${source.commitSha.slice(0, 10)} on ${source.cpuModel}`,
      ...(errors.length === 0 ? [] : [`mean error on held-out runs: ${errors.join(', ')}`]),
    ],
  };
}

function loadBlock({ demand, network, disk }: PlanOutcome, inputs: PlanInputs): Block {
  const perSec = (rate: number): string => `${significant(rate)}/s`;
  return {
    heading: 'At the peak, all nodes together',
    rows: [
      ['messages', perSec(demand.messagesPerSec), `${perSec(demand.storedPerSec)} of them stored`],
      ['connections', formatCount(demand.connections), `${perSec(demand.connectPerSec)} logins`],
      ['network in', formatBits(network.inBitsPerSec), 'headers included'],
      ['network out', formatBits(network.outBitsPerSec), 'login pulls included'],
      ['disk', formatBytes(disk.bytes), `${formatBytes(disk.bytesPerDay)} a day, ${inputs.keeps}`],
    ],
  };
}

function machinesBlock(outcome: PlanOutcome): Block {
  const rows = outcome.fleets.map((fleet, i) => {
    if (fleet.unfit !== null) return [fleet.machine.name, '-', fleet.unfit];
    const [nodes, interval] = cellsOf(fleet.nodes, formatWhole);
    const [cost, costs] =
      fleet.costPerMonth === null ? ['-', '-'] : cellsOf(fleet.costPerMonth, formatMoney);
    const sure = fleet.bindsShare === null ? '' : ` (${Math.round(100 * fleet.bindsShare)} %)`;
    return [
      fleet.machine.name,
      nodes,
      interval,
      `${fleet.binds}${sure}`,
      formatCount(fleet.processes),
      cost,
      costs,
      i === outcome.chosen ? 'chosen' : '',
    ];
  });
  return {
    heading: 'Nodes, spares included',
    hasHead: true,
    rows: [['machine', 'nodes', '90 %', 'binds', 'cores', 'cost/month', '90 %', ''], ...rows],
  };
}

function needsBlock(fleet: FleetPlan): Block {
  const rows = Object.entries(fleet.needs)
    .toSorted(([, a], [, b]) => (b?.value ?? Infinity) - (a?.value ?? Infinity))
    .map(([resource, figure]) => {
      const isConstant = figure !== null && figure.low === figure.high;
      const [value, interval] = cellsOf(figure, formatNodes);
      return [resource, value, isConstant ? '' : interval];
    });
  return {
    heading: `What asks for how many of ${fleet.machine.name}, without spares`,
    hasHead: true,
    rows: [['resource', 'nodes', '90 %'], ...rows],
  };
}

function fleetBlock(fleet: FleetPlan, inputs: PlanInputs): Block {
  const { storm, networkPerNodeBitsPerSec: network } = fleet;
  const spares = inputs.spareNodes;
  return {
    heading: `A node of ${formatWhole(fleet.nodes.value)} × ${fleet.machine.name}, at the peak with ${spares} down`,
    hasHead: true,
    rows: [
      ['figure', 'value', '90 %'],
      ['busy share of a core', ...cellsOf(fleet.busyShare, formatPercent)],
      ...fleet.confirmUs.map(({ quantile, figure }) => [
        `confirm ${quantile}`,
        ...cellsOf(figure, formatUs),
      ]),
      ['memory', ...cellsOf(fleet.memoryPerNodeBytes, formatBytes)],
      ['connections', formatCount(fleet.connectionsPerNode)],
      ['messages of a process', `${significant(fleet.messagesPerSecPerProcess)}/s`],
      ['network in', formatBits(network.in)],
      ['network out', formatBits(network.out)],
      ['disk', formatBytes(fleet.diskPerNodeBytes)],
      ['one node lost: all back in', ...cellsOf(storm.oneNodeS, formatSeconds)],
      ['all nodes lost: all back in', ...cellsOf(storm.wholeFleetS, formatSeconds)],
    ],
    lines: [
      fleet.meetsSlo
        ? `SLO: p99 of confirm is within ${significant(inputs.sloP99Ms)} ms`
        : `! SLO: p99 of confirm is above ${significant(inputs.sloP99Ms)} ms`,
      ...(storm.oneNodeS === null ? ['! one node alone: when it is lost, nobody takes over'] : []),
    ],
  };
}

function sensitivityBlock(rows: readonly SensitivityRow[]): Block {
  const shown = (value: number | null): string => (value === null ? 'none' : formatNodes(value));
  const change = (low: number, high: number): string => {
    if (low === high) return '';
    return `${significant(low)} … ${significant(high)}`;
  };
  const table = rows.map(({ input, low, high }) => [
    input,
    shown(low.nodesExact),
    shown(high.nodesExact),
    low.nodes === high.nodes ? '' : `${low.nodes ?? 'none'} … ${high.nodes ?? 'none'}`,
    change(low.networkBitsPerSec / 1e6, high.networkBitsPerSec / 1e6),
    change(low.diskBytes / 1e9, high.diskBytes / 1e9),
  ]);
  const silent = table.filter(
    (row) => row[1] === row[2] && row.slice(3).every((cell) => cell === ''),
  );
  const lines =
    silent.length === 0 ? [] : [`  no effect: ${silent.map(([input]) => input).join(', ')}`];
  return {
    heading: 'Sensitivity: each input by -20 % and +20 %',
    hasHead: true,
    rows: [
      ['input', 'nodes -20 %', 'nodes +20 %', 'whole', 'network Mbit/s', 'disk GB'],
      ...table.filter((row) => !silent.includes(row)),
    ],
    lines,
  };
}

/** One line per plan, so that they can be compared. */
function summaryRow(name: string, outcome: PlanOutcome): string[] {
  const { chosen, network, disk } = outcome;
  const fleet = chosen === null ? null : (outcome.fleets[chosen] as FleetPlan);
  const rest = [
    formatBits(Math.max(network.inBitsPerSec, network.outBitsPerSec)),
    formatBytes(disk.bytes),
  ];
  if (fleet === null) return [name, '-', '-', '', '-', '-', '-', ...rest];
  const p99 = fleet.confirmUs.find(({ quantile }) => quantile === 'p99')?.figure ?? null;
  const [nodes, interval] = cellsOf(fleet.nodes, formatWhole);
  return [
    name,
    fleet.machine.name,
    nodes,
    interval,
    fleet.binds,
    p99 === null ? '-' : formatUs(p99.value),
    fleet.costPerMonth === null ? '-' : formatMoney(fleet.costPerMonth.value),
    ...rest,
  ];
}
const SUMMARY_HEAD = ['machine', 'nodes', '90 %', 'binds', 'p99', 'cost/month', 'network', 'disk'];

function whatIfBlock(outcome: PlanOutcome, varied: readonly VariedPlan[]): Block {
  return {
    heading: 'What if',
    hasHead: true,
    rows: [
      ['change', ...SUMMARY_HEAD],
      summaryRow('as planned', outcome),
      ...varied.map((each) => summaryRow(each.name, each.outcome)),
    ],
    lines: varied.flatMap(({ name, outcome: { extrapolated } }) =>
      extrapolated.map((text) => `! ${name}: extrapolated: ${text}`),
    ),
  };
}

function comparisonBlock(plans: readonly PlanOfFile[]): Block {
  const names = plans.map(({ source }) => `${source.policy}, ${source.store}`);
  const isUnique = new Set(names).size === names.length;
  return {
    heading: 'Compared',
    hasHead: true,
    rows: [
      ['server', ...SUMMARY_HEAD],
      ...plans.map(({ source, outcome }, i) =>
        summaryRow(isUnique ? (names[i] as string) : `${names[i]}: ${source.file}`, outcome),
      ),
    ],
  };
}

function notesBlock({ refusal, extrapolated, assumed, fleets, chosen }: PlanOutcome): Block {
  const lines = [
    ...(refusal === null ? [] : [`! no node counts: ${refusal}`]),
    ...(fleets.length > 0 && chosen === null ? ['! no machine type is enough'] : []),
    ...extrapolated.map((text) => `! extrapolated: ${text}`),
    ...assumed.map((text) => `assumed: ${text}`),
  ];
  return { heading: 'Beside what was measured', lines };
}

export function inputsBlock(origins: readonly Origin[]): Block {
  // A source is long, so it is the last column, and left-aligned by standing on a line of its own.
  return {
    heading: 'Inputs and where they come from',
    lines: origins.map(({ key, value, source }) => {
      const shown = typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
      return `  ${key} = ${shown}: ${source}`;
    }),
  };
}
