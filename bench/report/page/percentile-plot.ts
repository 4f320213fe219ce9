/**
 * Latency by percentile, as HdrHistogram's plotter shows it: the horizontal axis is 1 / (1 - q), so that
 * each nine is as wide as the one before. Response time counts from the instant a message was due, service
 * time from its hand-over: where they part, messages waited in the generator.
 */
import type { LatencyName, LatencyView, RunView } from '../model.ts';
import { type Axis, axisPlot, type Frame, path } from './axis-plot.ts';
import { type Child, choice, h, panel, replace, svg, table } from './dom.ts';
import { type Overlay, keyOf } from './overlay.ts';
import { percentileName, timeText, timeTick } from './words.ts';
import { formatCount } from '../../units.ts';

interface Shown {
  name: string;
  response: LatencyName;
  service: LatencyName | null;
}

const LATENCIES: readonly Shown[] = [
  { name: 'confirm', response: 'confirmUs', service: 'confirmServiceUs' },
  { name: 'deliver', response: 'deliverUs', service: 'deliverServiceUs' },
  { name: 'accept', response: 'acceptUs', service: 'acceptServiceUs' },
  { name: 'stored-confirm', response: 'storedConfirmUs', service: null },
  { name: 'pull', response: 'pullUs', service: null },
  { name: 'connect', response: 'connectUs', service: null },
  { name: 'send lag', response: 'sendLagUs', service: null },
];

/** A quantile counts for something with this many samples beyond it. */
const BEYOND_MIN = 100;
const HEIGHT = 290;

/** null when nothing was recorded. */
export function percentilePanel(overlays: readonly Overlay[]): HTMLElement | null {
  const has = ({ response }: Shown): boolean =>
    overlays.some(({ run }) => (run.latency[response]?.count ?? 0) > 0);
  const known = LATENCIES.filter(has);
  const [first] = known;
  if (first === undefined) return null;
  const place = h('div');
  const show = (name: string): void => {
    const shown = known.find((latency) => latency.name === name) ?? first;
    replace(place, picture(shown, overlays), legend(shown, overlays));
  };
  show(first.name);
  return panel(
    'Latency by percentile',
    'How long the slowest 1 in 10, 100, 1,000 … messages took. Thin where fewer than 100 messages are behind it.',
    {
      isWide: true,
      tools: choice(
        'Latency',
        known.map(({ name }) => name),
        first.name,
        show,
      ),
    },
    place,
    latencyTable(known, overlays),
  );
}

function viewsOf(
  { response, service }: Shown,
  { run }: Overlay,
): { view: LatencyView; isService: boolean }[] {
  const views = [
    { view: run.latency[response], isService: false },
    { view: service === null ? undefined : run.latency[service], isService: true },
  ];
  return views.flatMap(({ view, isService }) =>
    view !== undefined && view.count > 0 ? [{ view, isService }] : [],
  );
}

function picture(shown: Shown, overlays: readonly Overlay[]): HTMLElement {
  const curves = overlays
    .flatMap((overlay) => viewsOf(shown, overlay))
    .map(({ view }) => view.curve);
  const values = curves
    .flat()
    .map(([, us]) => us)
    .filter((us) => us > 0);
  const most = Math.max(10, ...curves.flat().map(([oneOver]) => oneOver));
  const min = Math.min(...values, 1e9);
  const max = Math.max(...values, 1);
  const x: Axis = {
    isLog: true,
    min: 1,
    max: most,
    ticks: Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, i) => 10 ** i),
    tick: percentileName,
    label: 'percentile of the messages',
  };
  const y: Axis = {
    isLog: true,
    min: values.length === 0 ? 1 : min * 0.9,
    max: max > min ? max * 1.1 : min * 10,
    tick: timeTick,
    label: `${shown.name} latency (log)`,
  };
  const title = `${shown.name} latency by percentile`;
  return axisPlot({ x, y, height: HEIGHT, title }, (frame) =>
    overlays.flatMap((overlay) =>
      viewsOf(shown, overlay).flatMap(({ view, isService }) =>
        drawn(view, frame, { stroke: `var(--${overlay.colour})`, isService }),
      ),
    ),
  );
}

function drawn(
  { curve, count }: LatencyView,
  { x, y }: Frame,
  { stroke, isService }: { stroke: string; isService: boolean },
): Child[] {
  const knownUntil = count / BEYOND_MIN;
  const place = ([oneOver, us]: readonly [number, number]): [number, number] => [
    x(oneOver),
    y(Math.max(us, 1)),
  ];
  const sure = curve.filter(([oneOver]) => oneOver <= knownUntil);
  const rest = curve.slice(Math.max(0, sure.length - 1));
  const dash = isService ? { 'stroke-dasharray': '5 4' } : {};
  const last = curve.at(-1);
  return [
    sure.length > 1 &&
      path(sure.map(place), stroke, { ...dash, 'stroke-width': isService ? 1.6 : 2.4 }),
    rest.length > 1 && path(rest.map(place), stroke, { ...dash, 'stroke-width': 1, opacity: 0.75 }),
    last !== undefined &&
      !isService &&
      svg('circle', { cx: place(last)[0], cy: place(last)[1], r: 3, fill: stroke }),
  ];
}

function legend(shown: Shown, overlays: readonly Overlay[]): Child {
  const hasService = overlays.some((overlay) => viewsOf(shown, overlay).length > 1);
  const items = overlays
    .filter((overlay) => viewsOf(shown, overlay).length > 0)
    .flatMap(({ label, colour }) => {
      const name = overlays.length > 1 ? `${label}: ` : '';
      const response = {
        name: hasService ? `${name}response time` : `${name}${shown.name}`,
        colour,
      };
      return hasService
        ? [response, { name: `${name}service time`, colour, dash: '5 4' }]
        : [response];
    });
  return keyOf(items);
}

function latencyTable(known: readonly Shown[], overlays: readonly Overlay[]): HTMLElement {
  const number = (name: string) => ({ name, isNumber: true });
  const isOne = overlays.length === 1;
  const columns = [
    { name: 'latency' },
    ...(isOne ? [] : [{ name: 'run', isLabel: true }]),
    ...['count', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max', 'service p99'].map(number),
  ];
  const rows = known.flatMap(({ name, response, service }) =>
    overlays.flatMap(({ label, run }): Child[][] => {
      const view = run.latency[response];
      if (view === undefined || view.count === 0) return [];
      return [[name, ...(isOne ? [] : [label]), ...figures(view), serviceP99(run, service)]];
    }),
  );
  return table(columns, rows);
}

function figures({ count, mean, p50, p90, p99, p999, p9999, max }: LatencyView): string[] {
  return [formatCount(count), ...[mean, p50, p90, p99, p999, p9999, max].map(timeText)];
}

function serviceP99(run: RunView, service: LatencyName | null): string {
  const view = service === null ? undefined : run.latency[service];
  return view === undefined ? '' : timeText(view.p99);
}
