/** What only some scenarios have: the cost table, chaos, recovery, HTTP, the ceiling, the layout. */
import type { CeilingReport } from '../../ceiling-run.ts';
import type { ChaosReport } from '../../chaos.ts';
import type { HttpFigures } from '../../http-pull-run.ts';
import type { CostRow } from '../../offline-cost-run.ts';
import { bar, type Child, choice, type Column, h, panel, replace, table } from './dom.ts';
import { numberIn } from './machine-panel.ts';
import type { Overlay } from './overlay.ts';
import { percentText, rateText, timeText } from './words.ts';
import { counted, formatBytes, formatCount, significant } from '../../units.ts';

/** All of them that this scenario has; what cannot be read is left out, not guessed. */
export function extraPanels(overlays: readonly Overlay[]): HTMLElement[] {
  const makers: [string, (overlay: Overlay, value: never, note: string) => HTMLElement][] = [
    ['costTable', costPanel as never],
    ['http', httpPanel as never],
    ['ceiling', ceilingPanel as never],
    ['chaos', chaosPanel as never],
  ];
  const panels = overlays.flatMap((overlay) =>
    makers.flatMap(([key, make]): HTMLElement[] => {
      const value = overlay.run.extra[key];
      if (value === undefined || value === null) return [];
      try {
        return [make(overlay, value as never, overlays.length > 1 ? ` (${overlay.label})` : '')];
      } catch {
        return []; // an older form of it
      }
    }),
  );
  const facts = factsPanel(overlays);
  return facts === null ? panels : [...panels, facts];
}

interface CostFigure {
  read: (row: CostRow) => number;
  text: (value: number) => string;
}

const COSTS: Readonly<Record<string, CostFigure>> = {
  interactions: { read: ({ interactions }) => interactions, text: formatCount },
  'bytes in': { read: ({ bytesReceived }) => bytesReceived, text: formatBytes },
  'bytes out': { read: ({ bytesSent }) => bytesSent, text: formatBytes },
  time: { read: ({ drainUs }) => drainUs, text: timeText },
  repeats: { read: ({ repeats }) => repeats, text: formatCount },
};

const DISTURBANCE_COLOUR: Readonly<Record<string, string>> = {
  none: 'c0',
  'client killed': 'c1',
  'server killed': 'c3',
};

function costPanel(_: Overlay, rows: CostRow[], note: string): HTMLElement {
  const place = h('div');
  const names = Object.keys(COSTS);
  const show = (name: string): void => {
    const { read, text } = COSTS[name] as CostFigure;
    const most = Math.max(...rows.map(read), 1);
    const columns: Column[] = [
      { name: 'strategy' },
      { name: 'disturbed' },
      { name, isNumber: true },
      { name: '', isBar: true },
      { name: 'expected', isNumber: true },
      { name: 'rows', isNumber: true },
    ];
    const bad = new Set<number>();
    replace(
      place,
      table(
        columns,
        rows.map((row, i) => {
          if (row.expected !== null && row.expected !== row.interactions) bad.add(i);
          const isNew = i === 0 || rows[i - 1]?.strategy !== row.strategy;
          return [
            isNew ? h('b', {}, row.strategy) : '',
            row.disturbance === 'none' ? 'undisturbed' : row.disturbance,
            text(read(row)),
            bar(read(row) / most, `var(--${DISTURBANCE_COLOUR[row.disturbance] ?? 'c0'})`),
            row.expected === null ? '' : `${row.expected}`,
            formatCount(row.rows),
          ];
        }),
        bad,
      ),
    );
  };
  show('interactions');
  return panel(
    `What an inbox costs to empty${note}`,
    'Five ways to pull the same messages, undisturbed and with one side killed in the middle. The number of interactions is known beforehand and must be met.',
    { isWide: true, tools: choice('Cost', names, 'interactions', show) },
    place,
  );
}

function httpPanel(_: Overlay, http: HttpFigures, note: string): HTMLElement {
  const { latencyMs } = http;
  return panel(
    `HTTP inbox${note}`,
    'GET /v1/inbox page by page, as fast as it goes: a closed loop.',
    {},
    table(
      [{ name: 'figure' }, { name: 'value', isNumber: true }],
      [
        ['pages', rateText(http.requestsPerSec)],
        ['messages', rateText(http.rowsPerSec)],
        ['data', `${formatBytes(http.bytesPerSec)}/s`],
        ['p50 / p99 / max', `${latencyMs.p50} / ${latencyMs.p99} / ${latencyMs.max} ms`],
        ['answers that are not 2xx', formatCount(http.non2xx)],
        ['errors', formatCount(http.errors)],
      ],
    ),
  );
}

function ceilingPanel(
  { colour }: Overlay,
  { points, rounds }: CeilingReport,
  note: string,
): HTMLElement {
  const most = Math.max(...points.map(({ echo }) => 2 * echo.echoesPerSec));
  return panel(
    `Beside a raw socket${note}`,
    `Packets per second of the server beside those of an echo server that does nothing else. Medians of ${counted(rounds, 'round')}.`,
    { isWide: true },
    table(
      [
        { name: 'clients', isNumber: true },
        { name: 'window', isNumber: true },
        { name: 'raw packets/s', isNumber: true },
        { name: '', isBar: true },
        { name: 'packets/s', isNumber: true },
        { name: '', isBar: true },
        { name: 'ratio', isNumber: true },
        { name: 'confirmed/s', isNumber: true },
        { name: 'server µs/message', isNumber: true },
      ],
      points.map(({ clients, window, echo, server, packetsRatio }) => [
        formatCount(clients),
        String(window),
        formatCount(2 * echo.echoesPerSec),
        bar((2 * echo.echoesPerSec) / most, 'var(--quiet)'),
        formatCount(server.packetsPerSec),
        bar(server.packetsPerSec / most, `var(--${colour})`),
        significant(packetsRatio),
        formatCount(server.confirmedPerSec),
        server.serverUs === null ? '-' : significant(server.serverUs),
      ]),
    ),
  );
}

function chaosPanel(_: Overlay, chaos: ChaosReport, note: string): HTMLElement {
  const counts: [string, string, number][] = [
    ...Object.entries(chaos.server).map(([what, count]): [string, string, number] => [
      'server',
      what,
      count,
    ]),
    ...Object.entries(chaos.links).map(([what, count]): [string, string, number] => [
      'links',
      what,
      count,
    ]),
    ...Object.entries(chaos.clients).map(([what, count]): [string, string, number] => [
      'clients',
      what,
      count,
    ]),
    ...Object.entries(chaos.packets).map(([what, of]): [string, string, number] => [
      'packets',
      what,
      Object.values(of).reduce((sum, count) => sum + count, 0),
    ]),
  ];
  const shown = counts.filter(([, , count]) => count > 0);
  const most = Math.max(...shown.map(([, , count]) => count), 1);
  return panel(
    `Faults that really happened${note}`,
    `${formatCount(chaos.total)} in all; ${formatCount(chaos.swallowed)} packets were swallowed by half-open links. Bars are logarithmic.`,
    {},
    table(
      [
        { name: 'at' },
        { name: 'fault' },
        { name: 'count', isNumber: true },
        { name: '', isBar: true },
      ],
      shown.map(([where, what, count]) => [
        where,
        what,
        formatCount(count),
        bar(Math.log(count + 1) / Math.log(most + 1), 'var(--mark)'),
      ]),
    ),
    chaos.never.length > 0 &&
      h('p', { class: 'sum no' }, `Planned, but never happened: ${chaos.never.join(', ')}`),
  );
}

/** Figures that are a line each. */
function factsPanel(overlays: readonly Overlay[]): HTMLElement | null {
  const rows = overlays.flatMap(({ label, run }) =>
    factsOf(run.extra).map(([name, text]): Child[] => [
      name,
      ...(overlays.length > 1 ? [label] : []),
      text,
    ]),
  );
  if (rows.length === 0) return null;
  return panel(
    'Also measured',
    'What this scenario has beside the usual.',
    {},
    table(
      [
        { name: 'figure' },
        ...(overlays.length > 1 ? [{ name: 'run', isLabel: true }] : []),
        { name: 'value' },
      ],
      rows,
    ),
  );
}

function factsOf(extra: Readonly<Record<string, unknown>>): [string, string][] {
  const facts: [string, string][] = [];
  const { recovery, drain, memoryTrend, layout, trace, invalidBefore, elapsedS } = extra;
  const ms = (value: number | null): string =>
    value === null ? 'not within the load' : `${formatCount(value)} ms`;
  if (isObject(recovery)) {
    facts.push(['all reconnected and pulled after', ms(numberIn(recovery, 'reconnectedMs'))]);
    facts.push(['steady again after', ms(numberIn(recovery, 'steadyMs'))]);
  }
  const [rows, drainUs] = [numberIn(drain, 'rows'), numberIn(drain, 'elapsedUs')];
  if (rows !== null && drainUs !== null && drainUs > 0) {
    facts.push([
      'pulled after the load',
      `${counted(rows, 'message')} within ${timeText(drainUs)}, ${rateText((1e6 * rows) / drainUs)}`,
    ]);
  }
  const perHour = numberIn(memoryTrend, 'perHour');
  if (perHour !== null) {
    const seconds = formatCount(numberIn(memoryTrend, 'seconds') ?? 0);
    facts.push([
      'server memory',
      `${percentText(perHour)} per hour over ${seconds} s, mean ${formatBytes(numberIn(memoryTrend, 'meanBytes'))}`,
    ]);
  }
  const servers = numberIn(layout, 'servers');
  if (servers !== null) {
    const { generatorsAre, reason } = layout as { generatorsAre?: unknown; reason?: unknown };
    facts.push([
      'layout',
      `${counted(servers, 'server')}, ${numberIn(layout, 'generators') ?? '?'} generator ${String(generatorsAre)}: ${String(reason)}`,
    ]);
  }
  if (typeof trace === 'string') facts.push(['trace', trace]);
  if (Array.isArray(invalidBefore)) {
    facts.push(['invalid at first, run once more', invalidBefore.map(String).join('; ')]);
  }
  if (typeof elapsedS === 'number') facts.push(['took in all', `${significant(elapsedS)} s`]);
  return facts;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
