/**
 * What if: the plan of `ackbench plan` for other users, as sliders. It calculates with the very files of
 * the command, formulas and tables alike, so both say the same to the last digit; and it says the command
 * that gives the same answer.
 */
import type { CapacityView, PageData } from '../model.ts';
import { FIELDS, type FieldKey } from '../../plan/fields.ts';
import {
  type FleetPlan,
  type MachineType,
  planFleet,
  type PlanInputs,
  type PlanSource,
  sensitivityOf,
} from '../../plan/formulas.ts';
import { PRESETS } from '../../plan/presets.ts';
import { planBlocks } from '../../plan/table.ts';
import { control, presetChoice, priceInput, type Values } from './calculator-controls.ts';
import { type Child, h, panel, replace, table } from './dom.ts';
import { percentText, timeText } from './words.ts';
import { counted, formatCount, significant } from '../../units.ts';

/** Shown at once; the others under “more”. */
const FIRST: ReadonlySet<FieldKey> = new Set<FieldKey>([
  'dailyUsers',
  'peakConcurrent',
  'messagesPerUserPerDay',
  'peakFactor',
  'offlineShare',
  'payloadBytes',
  'sloP99Ms',
  'targetUtilisation',
  'spareNodes',
  'growth',
]);

/** Where neither default nor preset says anything. */
const START: Readonly<Partial<Record<FieldKey, number>>> = {
  dailyUsers: 100_000,
  messagesPerUserPerDay: 40,
};

const START_VALUES = Object.fromEntries(
  FIELDS.map(({ key, fallback }) => [key, fallback ?? START[key] ?? 0]),
) as Values;

/** null where there is no model to calculate with. */
export function calculatorPanel(
  capacity: CapacityView,
  { machines }: PageData['plan'],
): HTMLElement | null {
  const { model, search, validation } = capacity;
  if (model === null) return null;
  const refusal =
    validation === null
      ? 'the model was not validated: the calibration was interrupted'
      : validation.refusal;
  const source: PlanSource = { model, search, refusal };
  const values = { ...START_VALUES };
  const prices: (number | null)[] = machines.map(({ pricePerMonth }) => pricePerMonth);
  const answer = h('div', { class: 'answer', 'data-answer': true, 'aria-live': 'polite' });
  const tables = h('div');
  const command = h('pre', { tabindex: 0 });
  const calculate = (): void => {
    const priced = machines.map((machine, i): MachineType => ({
      ...machine,
      pricePerMonth: prices[i] ?? null,
    }));
    const inputs = { ...values, machines: priced } as unknown as PlanInputs;
    show({ capacity, source, inputs, answer, tables });
    command.textContent = commandOf(capacity.file, values, priced, machines);
  };
  const presets = presetChoice((preset) => {
    Object.assign(values, START_VALUES);
    for (const [key, given] of Object.entries(preset === null ? {} : (PRESETS[preset] ?? {}))) {
      values[key as FieldKey] = given.value;
    }
    for (const { refresh } of controls) refresh();
    calculate();
  });
  const controls = FIELDS.map((field) =>
    control(field, values, () => {
      presets.clear();
      calculate();
    }),
  );
  calculate();
  const elementsOf = (isFirst: boolean): HTMLElement[] =>
    controls.filter(({ key }) => FIRST.has(key) === isFirst).map(({ element }) => element);
  return panel(
    'What if: how many machines for your users?',
    'The formulas of ackbench plan, on what was measured here; 90 % intervals by bootstrap.',
    { isWide: true, tools: presets.element },
    answer,
    h('div', { class: 'sliders' }, elementsOf(true)),
    h(
      'details',
      {},
      h('summary', {}, 'More: logins, retention, TLS, prices of machines …'),
      h(
        'div',
        { class: 'sliders' },
        elementsOf(false),
        machines.map((machine, i) =>
          priceInput(machine, (price) => {
            prices[i] = price;
            calculate();
          }),
        ),
      ),
    ),
    h('details', {}, h('summary', {}, 'All figures of this plan'), tables),
    h('details', {}, h('summary', {}, 'The same by command'), command),
  );
}

function show({
  capacity,
  source,
  inputs,
  answer,
  tables,
}: {
  capacity: CapacityView;
  source: PlanSource;
  inputs: PlanInputs;
  answer: HTMLElement;
  tables: HTMLElement;
}): void {
  const outcome = planFleet(source, inputs);
  const { chosen } = outcome;
  const fleet = chosen === null ? null : (outcome.fleets[chosen] as FleetPlan);
  // For whoever holds the page against the command.
  answer.dataset['nodes'] = fleet === null ? '' : String(fleet.nodes.value);
  answer.dataset['nodesExact'] = fleet === null ? '' : String(fleet.nodesExact.value);
  answer.dataset['busyShare'] = fleet === null ? '' : String(fleet.busyShare.value);
  replace(answer, fleet === null ? noFleet(outcome.refusal) : fleetText(fleet, inputs), [
    outcome.extrapolated.map((text) =>
      h('div', { class: 'small tone-warn-text' }, `! extrapolated: ${text}`),
    ),
  ]);
  const { target, startedAt, commit, environment, validation, file } = capacity;
  const blocks = planBlocks(
    {
      schema: 1,
      kind: 'plan',
      tool: capacity.tool,
      inputs,
      origins: [],
      plans: [
        {
          source: {
            file,
            policy: target.policy,
            store: target.store,
            startedAt,
            commitSha: commit.sha,
            cpuModel: environment.cpuModel,
            heldOutErrors: (validation?.layers ?? []).map(({ layer, meanError }) => ({
              layer,
              meanError,
            })),
          },
          outcome,
          sensitivity: chosen === null ? [] : sensitivityOf(source, inputs, chosen),
          whatIf: [],
        },
      ],
    },
    false,
  );
  replace(
    tables,
    blocks.map(({ heading, rows = [], hasHead = false, lines = [] }): Child => {
      const width = Math.max(0, ...rows.map(({ length }) => length));
      const head = hasHead ? (rows[0] ?? []) : [];
      return [
        heading !== null && h('h4', {}, heading),
        rows.length > 0 &&
          table(
            Array.from({ length: width }, (_, i) => ({
              name: head[i] ?? '',
              isNumber: i > 0 && hasHead,
            })),
            hasHead ? rows.slice(1) : rows,
          ),
        lines.map((line) => h('div', { class: 'small quiet' }, line.trim())),
      ];
    }),
  );
}

function noFleet(refusal: string | null): Child {
  return refusal === null
    ? [h('b', {}, 'No number of these machines is enough'), ' for that SLO: see the figures below.']
    : [h('b', {}, 'No node counts'), ` from this: ${refusal}`];
}

function fleetText(fleet: FleetPlan, inputs: PlanInputs): Child {
  const { nodes, machine, binds, busyShare, confirmUs, costPerMonth, meetsSlo, storm } = fleet;
  const p99 = confirmUs.find(({ quantile }) => quantile === 'p99')?.figure ?? null;
  const range =
    nodes.low === null || nodes.high === null || nodes.low === nodes.high
      ? ''
      : ` (90 %: ${formatCount(nodes.low)} to ${formatCount(nodes.high)})`;
  const cost = costPerMonth === null ? '' : `, ${formatCount(costPerMonth.value)} per month`;
  const stormS = storm.wholeFleetS.value;
  return [
    h(
      'div',
      {},
      h('b', {}, `${counted(nodes.value, 'machine')}`),
      ` of type ${machine.name}${range}${cost}, because of ${binds}.`,
    ),
    h(
      'div',
      { class: 'small' },
      `At the peak, with the ${counted(inputs.spareNodes, 'spare')} down: ${percentText(busyShare.value)} busy`,
      p99 === null
        ? ''
        : `, p99 of confirm ${timeText(p99.value)} ${meetsSlo ? '✓ within' : '✕ above'} ${timeText(inputs.sloP99Ms * 1000)}`,
      `, ${formatCount(fleet.connectionsPerNode)} connections and ${significant(fleet.memoryPerNodeBytes.value / 1e9)} GB of memory each`,
      Number.isFinite(stormS)
        ? `; all lost at once, everybody is back in ${timeText(stormS * 1e6)}.`
        : '; all lost at once, they never get everybody back.',
    ),
  ];
}

/** What gives the same answer on the command line. */
function commandOf(
  file: string,
  values: Values,
  priced: readonly MachineType[],
  usual: readonly MachineType[],
): string {
  const flags = FIELDS.filter(({ key, fallback }) => values[key] !== fallback).map(
    ({ key, flag }) => `--${flag} ${flagText(key, values[key])}`,
  );
  const isPriced = priced.some(({ pricePerMonth }, i) => pricePerMonth !== usual[i]?.pricePerMonth);
  const machines = isPriced
    ? priced.map(
        ({ name, cores, memoryGb, networkGbps, diskGb, pricePerMonth }) =>
          `--machine name=${name},cores=${cores},memoryGb=${memoryGb},networkGbps=${networkGbps},diskGb=${diskGb}${pricePerMonth === null ? '' : `,pricePerMonth=${pricePerMonth}`}`,
      )
    : [];
  return ['ackbench plan', file, ...flags, ...machines].join(' \\\n  ');
}

function flagText(key: FieldKey, value: number | string | boolean): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return key === 'heartbeatS' ? `${value}s` : String(value);
}
