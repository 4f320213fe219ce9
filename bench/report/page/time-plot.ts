/**
 * Figures over the seconds of a run, on a canvas. The only file that knows the plotting library, which
 * is on the page before this script. Plots of one group share their cursor.
 */
import type uPlot from 'uplot';
import type { Mark } from '../model.ts';
import { ticksOf } from './axis-plot.ts';
import { h, onWidth } from './dom.ts';
import { colour, onTheme } from './theme.ts';

export interface Curve {
  name: string;
  /** One per second of `seconds`; null = nothing to show. */
  values: (number | null)[];
  /** Name of a colour variable. */
  colour: string;
  dash?: number[];
  width?: number;
}

export interface TimePlotData {
  seconds: number[];
  curves: Curve[];
}

export interface TimePlotOptions {
  /** What the vertical axis shows, with its unit. */
  unit: string;
  /** Cursors of one group move together. */
  group: string;
  isLog?: boolean;
  height?: number;
  tick: (value: number) => string;
  text: (value: number) => string;
  marks: readonly Mark[];
  warmupS: number;
  /** Where the horizontal axis ends; null = with the data. */
  untilS: number | null;
  /** Upper end of the vertical axis where it is fixed. */
  top?: number;
}

export interface TimePlot {
  readonly element: HTMLElement;
  /** Other values; curves must be as many as before, or the plot is made anew. */
  update(data: TimePlotData): void;
}

const HEIGHT = 210;
/** More marks than this are lines without words. */
const LABELS_MAX = 12;
/** With fewer seconds a line hides what was measured: points are drawn as well. */
const POINTS_MAX = 40;

/** Nothing is measured more often than once a second. */
const SECOND_STEPS = [
  1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200, 86_400,
];

const { uPlot: Plot } = globalThis as unknown as { uPlot: typeof uPlot };

export function timePlot(data: TimePlotData, options: TimePlotOptions): TimePlot {
  const element = h('div', {
    class: 'plot',
    role: 'group',
    'aria-label': `${options.unit} over the seconds of the run`,
  });
  let now = data;
  let plot: uPlot | null = null;
  let width = 0;
  const make = (): void => {
    plot?.destroy();
    plot = new Plot(settings(now, options, width), aligned(now, options), element);
  };
  onWidth(element, (wide) => {
    width = wide;
    if (plot === null) make();
    else plot.setSize({ width, height: options.height ?? HEIGHT });
  });
  // Made anew, not redrawn: the signs in its legend keep the colours that they were made with.
  onTheme(element, () => {
    if (plot !== null) make();
  });
  return {
    element,
    update(next) {
      const isSame =
        next.curves.length === now.curves.length &&
        next.curves.every(({ name }, i) => name === now.curves[i]?.name);
      now = next;
      if (plot === null || width === 0) return;
      if (isSame) plot.setData(aligned(now, options));
      else make();
    },
  };
}

function aligned({ seconds, curves }: TimePlotData, { isLog }: TimePlotOptions): uPlot.AlignedData {
  // There is no place for zero on a logarithmic axis.
  const values = curves.map((curve) =>
    isLog === true ? curve.values.map((x) => (x !== null && x > 0 ? x : null)) : curve.values,
  );
  return [seconds, ...values] as uPlot.AlignedData;
}

function settings(
  { seconds, curves }: TimePlotData,
  options: TimePlotOptions,
  width: number,
): uPlot.Options {
  const { isLog = false, tick, text, untilS, top } = options;
  const axis = { stroke: () => colour('quiet'), font: '11px system-ui, sans-serif' };
  const grid = { stroke: () => colour('grid'), width: 1 };
  return {
    width,
    height: options.height ?? HEIGHT,
    cursor: { sync: { key: options.group }, drag: { x: false, y: false } },
    legend: {
      live: true,
      markers: { dash: (_, i) => ((curves[i - 1]?.dash?.length ?? 0) > 0 ? 'dashed' : 'solid') },
    },
    scales: {
      x: { time: false, range: (_, min, max) => [Math.min(0, min), Math.max(untilS ?? 0, max, 1)] },
      y: isLog
        ? { distr: 3, range: (_, min, max) => decades(min, max) }
        : { range: (_, __, max) => [0, top ?? (max > 0 ? max * 1.08 : 1)] },
    },
    axes: [
      {
        ...axis,
        grid,
        ticks: grid,
        size: 38,
        label: 'seconds since the load began',
        labelSize: 14,
        labelFont: axis.font,
        labelGap: 0,
        space: 60,
        incrs: SECOND_STEPS,
      },
      {
        ...axis,
        grid,
        ticks: grid,
        size: 58,
        space: 26,
        label: options.unit,
        labelSize: 16,
        labelFont: axis.font,
        ...(isLog && { splits: (_, __, min, max) => ticksOf({ isLog, min, max }, 6) }),
        values: (_, splits) =>
          splits.map((value) => (value === null || value === undefined ? '' : tick(value))),
      },
    ],
    series: [
      { label: 'second', value: (_, value) => (value === null ? '' : String(value)) },
      ...curves.map((curve): uPlot.Series => ({
        label: curve.name,
        stroke: () => colour(curve.colour),
        width: curve.width ?? 2,
        ...(curve.dash !== undefined && { dash: curve.dash }),
        points: { show: seconds.length <= POINTS_MAX, size: 5, fill: () => colour('card') },
        spanGaps: false,
        value: (_, value) => (value === null || value === undefined ? '' : text(value)),
      })),
    ],
    hooks: { drawClear: [(plot) => drawMarks(plot, options)] },
  };
}

/** Whole decades look empty when a run needs a third of one: halves and fifths will do. */
function decades(min: number | null, max: number | null): [number, number] {
  const low = min !== null && min > 0 ? min : 1;
  const high = max !== null && max > low ? max : low * 10;
  const step = (value: number, round: (x: number) => number): number =>
    10 ** (round(Math.log10(value) * 2) / 2);
  return [step(low * 0.95, Math.floor), step(high * 1.05, Math.ceil)];
}

/** Below the curves: the warm-up as a ground, what was done to the run as lines and bands. */
function drawMarks(plot: uPlot, { marks, warmupS }: TimePlotOptions): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const at = (second: number): number => plot.valToPos(second, 'x', true);
  const clamp = (x: number): number => Math.max(bbox.left, Math.min(bbox.left + bbox.width, x));
  ctx.save();
  // Axes were drawn before, when it is drawn again.
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  if (warmupS > 0) {
    const to = clamp(at(warmupS));
    ctx.fillStyle = colour('warmup');
    ctx.fillRect(bbox.left, bbox.top, to - bbox.left, bbox.height);
    ctx.fillStyle = colour('quiet');
    ctx.font = `${10 * ratio}px system-ui, sans-serif`;
    const label = 'warm-up';
    if (ctx.measureText(label).width + 6 * ratio < to - bbox.left) {
      ctx.fillText(label, bbox.left + 4 * ratio, bbox.top + bbox.height - 5 * ratio);
    }
  }
  ctx.strokeStyle = ctx.fillStyle = colour('mark');
  ctx.lineWidth = ratio;
  ctx.font = `600 ${10 * ratio}px system-ui, sans-serif`;
  /** Where the words of each line of words end: those that would run into each other go below. */
  const ends: number[] = [];
  const right = bbox.left + bbox.width;
  for (const { atS, untilS, label } of marks) {
    const x = at(atS);
    if (x < bbox.left - 1 || x > right + 1) continue;
    if (untilS !== null) {
      ctx.globalAlpha = 0.22;
      ctx.fillRect(x, bbox.top, Math.max(ratio, clamp(at(untilS)) - x), bbox.height);
      ctx.globalAlpha = 1;
    }
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (marks.length > LABELS_MAX) continue;
    const width = ctx.measureText(label).width;
    const from = Math.min(x + 4 * ratio, right - width - 2 * ratio);
    let row = ends.findIndex((end) => end < from);
    if (row < 0) row = ends.length;
    ends[row] = from + width + 4 * ratio;
    ctx.fillText(label, from, bbox.top + (11 + 12 * row) * ratio);
  }
  ctx.restore();
}
