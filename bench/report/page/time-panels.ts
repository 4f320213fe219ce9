/** What happened second by second: latency, throughput, messages in flight, sockets, the generator. */
import type { Mark, RateStep } from '../model.ts';
import type { SeriesPoint } from '../../result.ts';
import { type Child, choice, h, panel } from './dom.ts';
import { keyOf, type Overlay } from './overlay.ts';
import {
  type Curve,
  type TimePlot,
  timePlot,
  type TimePlotData,
  type TimePlotOptions,
} from './time-plot.ts';
import { countTick, percentText, rateText, timeText, timeTick } from './words.ts';
import { formatCount } from '../../units.ts';

/** What of a run these plots need: also known while it goes on. */
export interface TimeRun {
  label: string;
  colour: string;
  dash: number[];
  series: readonly SeriesPoint[];
  marks: readonly Mark[];
  warmupS: number;
  untilS: number | null;
  schedule: readonly RateStep[];
}

export function timeRunOf({ label, colour, dash, run }: Overlay): TimeRun {
  const { series, marks, warmupS, schedule } = run;
  const untilS = run.durationS ?? series.at(-1)?.second ?? null;
  return { label, colour, dash, series, marks, warmupS, untilS, schedule };
}

export interface TimePanels {
  readonly elements: HTMLElement[];
  update(runs: readonly TimeRun[]): void;
}

type Pick = (point: SeriesPoint) => number;
type LatencyFigure = 'p50' | 'p99' | 'max';
const LATENCY: Readonly<Record<LatencyFigure, Pick>> = {
  p50: ({ confirmUsP50 }) => confirmUsP50,
  p99: ({ confirmUsP99 }) => confirmUsP99,
  max: ({ confirmUsMax }) => confirmUsMax,
};

/** `group`: cursors of its plots move together. Empty when there is no second to show. */
export function timePanels(runs: readonly TimeRun[], group: string): TimePanels {
  const first = runs[0] as TimeRun;
  const isOne = runs.length === 1;
  let now = runs;
  let figure: LatencyFigure = 'p99';
  const common = {
    group,
    // Runs of one name have the same faults at the same instants, or the marks of all are shown.
    marks: marksOf(runs),
    warmupS: first.warmupS,
    untilS: Math.max(...runs.map(({ untilS }) => untilS ?? 0)),
  };
  const make = (
    curves: (runs: readonly TimeRun[]) => Curve[],
    options: Omit<TimePlotOptions, keyof typeof common>,
  ): { plot: TimePlot; refresh: () => void } => {
    const data = (): TimePlotData => ({ seconds: secondsOf(now), curves: curves(now) });
    const plot = timePlot(data(), { ...common, ...options });
    return { plot, refresh: () => plot.update(data()) };
  };

  const latency = make(
    (all) =>
      all.length === 1 ? threeLatencies(all[0] as TimeRun, all) : perRun(all, LATENCY[figure]),
    { unit: 'confirm latency (log)', isLog: true, tick: timeTick, text: timeText, height: 250 },
  );
  const throughput = make(throughputCurves, {
    unit: 'messages/s',
    tick: countTick,
    text: rateText,
    height: 250,
  });
  const inflight = make((all) => perRun(all, (point) => point.inflight, 'in flight'), {
    unit: 'messages',
    tick: countTick,
    text: formatCount,
  });
  const online = make((all) => perRun(all, (point) => point.online, 'online'), {
    unit: 'sockets',
    tick: countTick,
    text: formatCount,
  });
  const busy = make((all) => perRun(all, (point) => point.generatorBusy, 'busy'), {
    unit: 'share of time',
    tick: (share) => `${Math.round(share * 100)} %`,
    text: percentText,
    top: 1,
  });
  const tools = isOne
    ? null
    : choice('Figure', ['p50', 'p99', 'max'], figure, (name) => {
        figure = name as LatencyFigure;
        latency.refresh();
      });
  const elements = [
    panel(
      'Latency over time',
      'From the instant a message was due until its sender knew that it had arrived, of each second.',
      { tools },
      latency.plot.element,
      marksList(common.marks),
    ),
    panel(
      'Throughput over time',
      'Offered = what the schedule asked for. Where delivered stays below it, the server or the generator fell behind.',
      {},
      throughput.plot.element,
    ),
    panel(
      'Messages in flight',
      'Sent and not yet confirmed. Growing = more comes in than gets done.',
      {},
      inflight.plot.element,
    ),
    panel('Online', 'Open connections of all clients.', {}, online.plot.element),
    panel(
      'Generator busy',
      'How much of its time the busiest generator thread worked. Near 100 % it measures itself.',
      {},
      busy.plot.element,
    ),
  ];
  return {
    elements,
    update(next) {
      now = next;
      for (const { refresh } of [latency, throughput, inflight, online, busy]) refresh();
    },
  };
}

function secondsOf(runs: readonly TimeRun[]): number[] {
  const seconds = new Set(runs.flatMap(({ series }) => series.map(({ second }) => second)));
  return [...seconds].sort((a, b) => a - b);
}

/** The figure at each second of all runs; null where this one has none. */
function valuesOf(run: TimeRun, runs: readonly TimeRun[], pick: Pick): (number | null)[] {
  const points = new Map(run.series.map((point) => [point.second, pick(point)]));
  return secondsOf(runs).map((second) => points.get(second) ?? null);
}

function threeLatencies(run: TimeRun, runs: readonly TimeRun[]): Curve[] {
  const looks = { max: ['c3', [2, 3]], p99: ['c1', []], p50: ['c0', [8, 3]] } as const;
  return (['max', 'p99', 'p50'] as const).map((name) => ({
    name,
    values: valuesOf(run, runs, LATENCY[name]),
    colour: looks[name][0],
    dash: [...looks[name][1]],
  }));
}

function perRun(runs: readonly TimeRun[], pick: Pick, name = ''): Curve[] {
  return runs.map((run) => ({
    name: runs.length === 1 && name !== '' ? name : run.label,
    values: valuesOf(run, runs, pick),
    colour: run.colour,
    dash: run.dash,
  }));
}

function throughputCurves(runs: readonly TimeRun[]): Curve[] {
  const delivered: Pick = ({ deliveredPerSec }) => deliveredPerSec;
  const seconds = secondsOf(runs);
  const schedule = runs[0]?.schedule ?? [];
  const offered: Curve[] =
    schedule.length === 0
      ? []
      : [
          {
            name: 'offered',
            values: seconds.map((second) => offeredIn(schedule, second)),
            colour: 'quiet',
            dash: [3, 3],
            width: 1.5,
          },
        ];
  if (runs.length > 1) return [...offered, ...perRun(runs, delivered)];
  const run = runs[0] as TimeRun;
  return [
    ...offered,
    {
      name: 'sent',
      values: valuesOf(run, runs, ({ sentPerSec }) => sentPerSec),
      colour: 'c4',
      dash: [8, 3],
    },
    { name: 'delivered', values: valuesOf(run, runs, delivered), colour: 'c0' },
    {
      name: 'confirmed',
      values: valuesOf(run, runs, ({ confirmedPerSec }) => confirmedPerSec),
      colour: 'c2',
      dash: [2, 3],
    },
  ];
}

/** Offered in the second that ends at `second`. */
function offeredIn(schedule: readonly RateStep[], second: number): number | null {
  return schedule.findLast(({ fromS }) => fromS < second)?.perSec ?? null;
}

function marksOf(runs: readonly TimeRun[]): Mark[] {
  const seen = new Map<string, Mark>();
  for (const { marks } of runs) {
    for (const mark of marks) {
      const key = `${mark.atS} ${mark.label}`;
      if (!seen.has(key)) seen.set(key, mark);
    }
  }
  return [...seen.values()].sort((a, b) => a.atS - b.atS);
}

function marksList(marks: readonly Mark[]): Child {
  if (marks.length === 0) return null;
  return h(
    'ul',
    { class: 'marks', tabindex: marks.length > 6 ? 0 : null },
    marks.map(({ atS, label, text }) =>
      h('li', {}, h('b', {}, `${Number(atS.toFixed(2))} s  ${label}`), ` ${text}`),
    ),
  );
}

/** Which curve is whose, for all plots of a scenario; nothing to say of one run. */
export function runKey(
  overlays: readonly { label: string; colour: string; dash: number[] }[],
): Child {
  return overlays.length < 2
    ? null
    : keyOf(
        overlays.map(({ label, colour, dash }) => ({ name: label, colour, dash: dash.join(' ') })),
      );
}
