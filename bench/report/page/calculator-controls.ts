/** The sliders and lists of the calculator: what they cover, and how their values are said. */
import type { Field, FieldKey } from '../../plan/fields.ts';
import type { MachineType } from '../../plan/formulas.ts';
import { PRESETS } from '../../plan/presets.ts';
import { h } from './dom.ts';
import { percentText, timeText } from './words.ts';
import { formatBytes, formatCount, significant } from '../../units.ts';

export type Values = Record<FieldKey, number | string | boolean>;

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

const STEPS = 300;
const DEFAULTS = 'the defaults';

export interface PresetChoice {
  element: HTMLElement;
  /** What was chosen is no longer what the sliders say. */
  clear: () => void;
}

/** `choose` gets a preset's name, or null for the defaults. */
export function presetChoice(choose: (preset: string | null) => void): PresetChoice {
  const select = h(
    'select',
    { 'aria-label': 'a kind of messaging to start from' },
    h('option', { value: '', disabled: true, hidden: true }, 'start from …'),
    h('option', { value: DEFAULTS }, DEFAULTS),
    Object.keys(PRESETS).map((name) => h('option', { value: name }, name)),
  ) as HTMLSelectElement;
  const clear = (): void => {
    select.value = '';
  };
  select.addEventListener('change', () => choose(select.value === DEFAULTS ? null : select.value));
  clear();
  return { element: h('label', { class: 'slider' }, select), clear };
}

export interface Control {
  key: FieldKey;
  element: HTMLElement;
  /** Shows the value that was set elsewhere. */
  refresh: () => void;
}

export function control(field: Field, values: Values, changed: () => void): Control {
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
  const stepOf = (wanted: number): number => {
    const value = Math.max(min, Math.min(max, wanted));
    const share =
      isLog === true ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
    return Math.round(share * steps);
  };
  // What was set exactly lies between two steps: the nearest leads back to it.
  let exact = values[key] as number;
  const valueAt = (step: number): number => {
    if (step === stepOf(exact)) return exact;
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
    exact = values[key] as number;
    input.value = String(stepOf(exact));
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

export function priceInput(
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
