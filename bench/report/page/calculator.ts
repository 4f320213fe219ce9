/**
 * What if: the plan of `ackbench plan` for other users, as sliders. It calculates with the very files of
 * the command, formulas and tables alike, so both say the same to the last digit; and it says the command
 * that gives the same answer.
 */
import type { CapacityView, PageData } from '../model.ts';
import { type Field, FIELDS, type FieldKey } from '../../plan/fields.ts';
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
import { type Child, h, panel, replace, table } from './dom.ts';
import { percentText, timeText } from './words.ts';
import { counted, formatBytes, formatCount, significant } from '../../units.ts';

interface Scale {
  min: number;
  max: number;
  /** As many times more with every step; otherwise as much more. */
  isLog?: boolean;
  isWhole?: boolean;
  text: (value: number) => string;
  name: string;
}

const plain = (value: number): string =>
  Number.isInteger(value) ? formatCount(value) : significant(value);

/** What a slider covers: what is usual, not all that the command allows. */
const SCALES: Readonly<Partial<Record<FieldKey, Scale>>> = {
  dailyUsers: {
    min: 1000,
    max: 1e8,
    isLog: true,
    isWhole: true,
    text: formatCount,
    name: 'users a day',
  },
  peakConcurrent: { min: 0.01, max: 1, text: percentText, name: 'of them connected at the peak' },
  messagesPerUserPerDay: {
    min: 1,
    max: 1000,
    isLog: true,
    text: plain,
    name: 'messages per user and day',
  },
  peakFactor: {
    min: 1,
    max: 10,
    text: (value) => `× ${significant(value)}`,
    name: 'peak over mean',
  },
  offlineShare: { min: 0, max: 1, text: percentText, name: 'of the messages to who is away' },
  payloadBytes: {
    min: 16,
    max: 65_536,
    isLog: true,
    isWhole: true,
    text: formatBytes,
    name: 'content of a message',
  },
  sloP99Ms: {
    min: 5,
    max: 2000,
    isLog: true,
    text: (ms) => timeText(ms * 1000),
    name: 'p99 of confirm within',
  },
  targetUtilisation: { min: 0.1, max: 0.95, text: percentText, name: 'busy at the peak, at most' },
  spareNodes: { min: 0, max: 5, isWhole: true, text: plain, name: 'spare nodes' },
  growth: {
    min: 0,
    max: 4,
    text: (share) => `+${percentText(share)}`,
    name: 'growth to be ready for',
  },
  loginsPerUserPerDay: {
    min: 0.5,
    max: 100,
    isLog: true,
    text: plain,
    name: 'logins per user and day',
  },
  retentionDays: {
    min: 1,
    max: 730,
    isLog: true,
    text: (days) => `${significant(days)} days`,
    name: 'kept for',
  },
  heartbeatS: {
    min: 10,
    max: 600,
    isLog: true,
    isWhole: true,
    text: (s) => `${formatCount(s)} s`,
    name: 'between heartbeats',
  },
  retransmitShare: { min: 0, max: 0.3, text: percentText, name: 'of the messages sent again' },
  copies: { min: 1, max: 5, isWhole: true, text: plain, name: 'copies on disk' },
  connectionsPerProcess: {
    min: 1000,
    max: 1e6,
    isLog: true,
    isWhole: true,
    text: formatCount,
    name: 'connections of a process, at most',
  },
};

const CHOICES: Readonly<Partial<Record<FieldKey, string>>> = {
  keeps: 'what the disk keeps: messages for who was away, or all',
  tls: 'TLS at the server (assumed: not measured)',
};

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

const STEPS = 300;
/** Where neither default nor preset says anything. */
const START: Readonly<Partial<Record<FieldKey, number>>> = {
  dailyUsers: 100_000,
  messagesPerUserPerDay: 40,
};

type Values = Record<FieldKey, number | string | boolean>;

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
  const values = Object.fromEntries(
    FIELDS.map(({ key, fallback }) => [key, fallback ?? START[key] ?? 0]),
  ) as Values;
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
  const controls = FIELDS.map((field) => control(field, values, calculate));
  const setAll = (preset: string): void => {
    for (const [key, given] of Object.entries(PRESETS[preset] ?? {})) {
      values[key as FieldKey] = given.value;
    }
    for (const { refresh } of controls) refresh();
    calculate();
  };
  calculate();
  const elementsOf = (isFirst: boolean): HTMLElement[] =>
    controls.filter(({ key }) => FIRST.has(key) === isFirst).map(({ element }) => element);
  return panel(
    'What if: how many machines for your users?',
    'The formulas of ackbench plan, on what was measured here; 90 % intervals by bootstrap.',
    { isWide: true, tools: presetChoice(setAll) },
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

function presetChoice(choose: (preset: string) => void): HTMLElement {
  const select = h(
    'select',
    { 'aria-label': 'a kind of messaging to start from' },
    h('option', { value: '' }, 'start from …'),
    Object.keys(PRESETS).map((name) => h('option', { value: name }, name)),
  ) as HTMLSelectElement;
  select.addEventListener('change', () => {
    if (select.value !== '') choose(select.value);
  });
  return h('label', { class: 'slider' }, select);
}

interface Control {
  key: FieldKey;
  element: HTMLElement;
  /** Shows the value that was set elsewhere. */
  refresh: () => void;
}

function control(field: Field, values: Values, changed: () => void): Control {
  const { key, choices, fallback } = field;
  const scale = SCALES[key];
  if (scale !== undefined) return slider(key, scale, values, changed);
  const options = choices ?? (typeof fallback === 'boolean' ? ['no', 'yes'] : []);
  const select = h(
    'select',
    { name: key },
    options.map((option) => h('option', { value: option }, option)),
  ) as HTMLSelectElement;
  const refresh = (): void => {
    const value = values[key];
    select.value = typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
  };
  select.addEventListener('change', () => {
    values[key] = choices === undefined ? select.value === 'yes' : select.value;
    changed();
  });
  refresh();
  const name = CHOICES[key] ?? field.does;
  return { key, element: h('label', { class: 'slider' }, name, select), refresh };
}

function slider(key: FieldKey, scale: Scale, values: Values, changed: () => void): Control {
  const { min, max, isLog, isWhole, text, name } = scale;
  const output = h('output');
  const steps = isWhole === true && isLog !== true ? max - min : STEPS;
  const input = h('input', {
    type: 'range',
    name: key,
    min: 0,
    max: steps,
    step: 1,
  }) as HTMLInputElement;
  const valueAt = (step: number): number => {
    const share = step / steps;
    const value = isLog === true ? min * (max / min) ** share : min + share * (max - min);
    // Three digits: a slider pretends no more.
    return isWhole === true
      ? Math.round(Number(value.toPrecision(3)))
      : Number(value.toPrecision(3));
  };
  const show = (): void => {
    const said = text(values[key] as number);
    output.textContent = said;
    input.setAttribute('aria-valuetext', said);
  };
  const refresh = (): void => {
    const value = Math.max(min, Math.min(max, values[key] as number));
    const share =
      isLog === true ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
    input.value = String(Math.round(share * steps));
    show();
  };
  input.addEventListener('input', () => {
    values[key] = valueAt(Number(input.value));
    show();
    changed();
  });
  refresh();
  const element = h(
    'label',
    { class: 'slider' },
    h('span', { class: 'row' }, h('span', {}, name), output),
    input,
  );
  return { key, element, refresh };
}

function priceInput(
  { name, cores, memoryGb }: MachineType,
  changed: (price: number | null) => void,
): HTMLElement {
  const input = h('input', {
    type: 'number',
    min: 0,
    step: 'any',
    name: `price-${name}`,
    placeholder: 'not known',
  }) as HTMLInputElement;
  input.addEventListener('input', () => {
    const price = input.value === '' ? NaN : Number(input.value);
    changed(price >= 0 ? price : null);
  });
  return h(
    'label',
    { class: 'slider' },
    `price of ${name} (${cores} cores, ${memoryGb} GB) per month`,
    input,
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
