/** What the server and the generator cost, and whether the measurement is valid: gates and thresholds. */
import type { RunView } from '../model.ts';
import { bar, type Child, h, panel, table } from './dom.ts';
import type { Overlay } from './overlay.ts';
import { percentText, timeText } from './words.ts';
import { formatBytes, formatCount, significant } from '../../units.ts';

interface Cost {
  name: string;
  read: (run: RunView) => number | null;
  text: (value: number) => string;
}

const micros = (us: number): string => `${significant(us)} µs`;

const SERVER: readonly Cost[] = [
  { name: 'CPU per message', read: ({ server }) => server.cpuUsPerMessage, text: micros },
  { name: 'memory at the end', read: ({ server }) => server.rssBytes, text: formatBytes },
  { name: 'memory at its peak', read: ({ server }) => server.peakRssBytes, text: formatBytes },
  {
    name: 'memory growth per hour',
    read: ({ extra }) => numberIn(extra['memoryTrend'], 'perHour'),
    text: (share) => `${share < 0 ? '' : '+'}${percentText(share)}`,
  },
];

const GENERATOR: readonly Cost[] = [
  { name: 'CPU per message', read: ({ generator }) => generator.cpuUsPerMessage, text: micros },
  { name: 'busy, mean', read: ({ generator }) => generator.eluMean, text: percentText },
  { name: 'busy, worst second', read: ({ generator }) => generator.eluMax, text: percentText },
  { name: 'loop delay p99', read: ({ generator }) => generator.loopDelayP99Us, text: timeText },
  { name: 'garbage collection', read: ({ generator }) => generator.gcShare, text: percentText },
  {
    name: 'processor time stolen',
    read: ({ extra }) => numberIn(extra['processorTime'], 'stolen'),
    text: percentText,
  },
  {
    name: 'processor time of others',
    read: ({ extra }) => numberIn(extra['processorTime'], 'others'),
    text: percentText,
  },
];

export function numberIn(value: unknown, key: string): number | null {
  const found = (Object(value) as Record<string, unknown>)[key];
  return typeof found === 'number' ? found : null;
}

export function machinePanel(overlays: readonly Overlay[]): HTMLElement {
  return panel(
    'What it cost: server and generator',
    'CPU and memory of the server are read from outside, by the kernel’s account. - = could not be seen.',
    {},
    h('h4', {}, 'Server'),
    costs(SERVER, overlays),
    h('h4', {}, 'Generator and machine'),
    costs(GENERATOR, overlays),
  );
}

function costs(all: readonly Cost[], overlays: readonly Overlay[]): HTMLElement {
  const isOne = overlays.length === 1;
  const rows = all.flatMap(({ name, read, text }): Child[][] => {
    const values = overlays.map(({ run }) => read(run));
    if (values.every((value) => value === null)) return [];
    const most = Math.max(...values.map((value) => Math.abs(value ?? 0)));
    const isShare = text === percentText;
    return overlays.map(({ label, colour }, i) => {
      const value = values[i] ?? null;
      return [
        i === 0 ? name : '',
        ...(isOne ? [] : [label]),
        value === null ? '-' : text(value),
        ...(isOne && !isShare
          ? ['']
          : [
              value === null
                ? ''
                : bar(isShare ? value : Math.abs(value) / most, `var(--${colour})`),
            ]),
      ];
    });
  });
  return table(
    [
      { name: 'figure' },
      ...(isOne ? [] : [{ name: 'run', isLabel: true }]),
      { name: 'value', isNumber: true },
      { name: '', isBar: true },
    ],
    rows,
  );
}

export function gatesPanel(overlays: readonly Overlay[]): HTMLElement | null {
  const isOne = overlays.length === 1;
  const bad = new Set<number>();
  const rows: Child[][] = [];
  // Those of one name below each other, whichever run they are of.
  const names = new Set(overlays.flatMap(({ run }) => run.gates.map(gateName)));
  for (const wanted of names) {
    const found = overlays.flatMap(({ label, run }) =>
      run.gates.filter((gate) => gateName(gate) === wanted).map((gate) => ({ label, gate })),
    );
    for (const [i, { label, gate }] of found.entries()) {
      if (!gate.ok) bad.add(rows.length);
      rows.push([
        gate.ok ? h('span', { class: 'ok' }, '✓') : '✕',
        i === 0 ? gate.id : '',
        i === 0 ? gate.name : '',
        ...(isOne ? [] : [label]),
        numberText(gate.value),
        gate.limit.replace('<=', '≤').replace('>=', '≥').replace('+-', '±'),
        room(gate.value, gate.limit),
      ]);
    }
  }
  if (rows.length === 0) return null;
  return panel(
    'Validity gates',
    'Whether the machine and the generator were fit to measure this. One that fails makes the run invalid: not slow, not fast.',
    {},
    table(
      [
        { name: '' },
        { name: 'gate' },
        { name: 'what' },
        ...(isOne ? [] : [{ name: 'run', isLabel: true }]),
        { name: 'value', isNumber: true },
        { name: 'limit', isNumber: true },
        { name: 'of limit', isBar: true },
      ],
      rows,
      bad,
    ),
  );
}

function gateName({ id, name }: RunView['gates'][number]): string {
  return `${id} ${name}`;
}

/** How much of the limit is used up, where that can be said. */
function room(value: number, limit: string): Child {
  const most = /^<= (-?[\d.]+)$/.exec(limit)?.[1];
  if (most === undefined || !(Number(most) > 0)) return '';
  const share = value / Number(most);
  return bar(share, share > 1 ? 'var(--fail)' : 'var(--c0)', percentText(Math.max(0, share)));
}

function numberText(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '-';
  return Number.isInteger(value) ? formatCount(value) : significant(value);
}

export function thresholdsPanel(overlays: readonly Overlay[]): HTMLElement | null {
  const isOne = overlays.length === 1;
  const bad = new Set<number>();
  const rows: Child[][] = [];
  for (const { label, run } of overlays) {
    for (const { threshold, value, ok } of run.thresholds) {
      if (!ok) bad.add(rows.length);
      const isTime = /(^|:)(accept|deliver|confirm|storedConfirm|pull|connect|sendLag)\./.test(
        threshold,
      );
      const text = value === null ? 'no value' : isTime ? timeText(value) : numberText(value);
      rows.push([
        ok ? h('span', { class: 'ok' }, '✓') : '✕',
        h('span', { class: 'mono' }, threshold),
        ...(isOne ? [] : [label]),
        text,
        ok ? 'met' : 'missed',
      ]);
    }
  }
  if (rows.length === 0) return null;
  return panel(
    'Thresholds',
    'Limits that were set for this run. One that is missed fails it.',
    {},
    table(
      [
        { name: '' },
        { name: 'limit' },
        ...(isOne ? [] : [{ name: 'run', isLabel: true }]),
        { name: 'value', isNumber: true },
        { name: 'outcome' },
      ],
      rows,
      bad,
    ),
  );
}
