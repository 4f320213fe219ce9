/** A plot as SVG with one horizontal and one vertical axis, linear or logarithmic. */
import { type Child, h, onWidth, svg } from './dom.ts';

export interface Axis {
  isLog?: boolean;
  min: number;
  max: number;
  /** Where there are lines; computed when it is left out. */
  ticks?: readonly number[];
  tick: (value: number) => string;
  /** What it shows, with its unit. */
  label: string;
}

export interface Frame {
  x: (value: number) => number;
  y: (value: number) => number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const MARGIN = { left: 62, right: 14, top: 12, bottom: 40 };
const PIXELS_PER_TICK = 58;

/** Drawn as wide as its place, and again when that changes. `draw` gives what is inside. */
export function axisPlot(
  options: { x: Axis; y: Axis; height: number; title: string },
  draw: (frame: Frame) => Child[],
): HTMLElement {
  const element = h('div', { class: 'plot' });
  onWidth(element, (width) => element.replaceChildren(picture(options, draw, width)));
  return element;
}

function picture(
  { x, y, height, title }: { x: Axis; y: Axis; height: number; title: string },
  draw: (frame: Frame) => Child[],
  width: number,
): SVGElement {
  const frame: Frame = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: height - MARGIN.bottom,
    x: () => 0,
    y: () => 0,
  };
  frame.x = scale(x, frame.left, frame.right);
  frame.y = scale(y, frame.bottom, frame.top);
  const { left, right, top, bottom } = frame;
  const middle = (top + bottom) / 2;
  const fits = thin(x.ticks ?? ticksOf(x, 8), Math.max(2, (right - left) / PIXELS_PER_TICK));
  return svg(
    'svg',
    { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': title },
    (y.ticks ?? ticksOf(y, 6)).map((value) => [
      line(left, frame.y(value), right, frame.y(value), 'var(--grid)'),
      svg('text', { x: left - 6, y: frame.y(value) + 4, 'text-anchor': 'end' }, y.tick(value)),
    ]),
    fits.map((value) => [
      line(frame.x(value), top, frame.x(value), bottom, 'var(--grid)'),
      svg('text', { x: frame.x(value), y: bottom + 15, 'text-anchor': 'middle' }, x.tick(value)),
    ]),
    line(left, bottom, right, bottom, 'var(--line)'),
    svg('text', { x: (left + right) / 2, y: height - 6, 'text-anchor': 'middle' }, x.label),
    svg(
      'text',
      { x: 11, y: middle, 'text-anchor': 'middle', transform: `rotate(-90 11 ${middle})` },
      y.label,
    ),
    draw(frame),
  );
}

export function line(
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  stroke: string,
  more: Readonly<Record<string, string | number>> = {},
): SVGElement {
  return svg('line', { x1, y1, x2, y2, stroke, 'stroke-width': 1, ...more });
}

/** A curve through points in pixels. */
export function path(
  points: readonly (readonly [number, number])[],
  stroke: string,
  more: Readonly<Record<string, string | number>> = {},
): SVGElement {
  const d = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join('');
  return svg('path', {
    d,
    fill: 'none',
    stroke,
    'stroke-width': 2,
    'stroke-linejoin': 'round',
    ...more,
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function scale({ isLog, min, max }: Axis, from: number, to: number): (value: number) => number {
  const of = (value: number): number => (isLog === true ? Math.log(Math.max(value, min)) : value);
  const span = of(max) - of(min) || 1;
  return (value) => from + ((of(value) - of(min)) / span) * (to - from);
}

/** Round numbers from `min` to `max`, about `wanted` of them. */
export function ticksOf(
  { isLog, min, max }: Pick<Axis, 'isLog' | 'min' | 'max'>,
  wanted: number,
): number[] {
  if (!(max > min && max < Infinity && min > -Infinity)) return [min];
  return isLog === true ? logTicks(min, max, wanted) : linearTicks(min, max, wanted);
}

function linearTicks(min: number, max: number, wanted: number): number[] {
  const raw = (max - min) / wanted;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= raw) as number);
  const ticks: number[] = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++)
    ticks.push(i * step);
  return ticks;
}

function logTicks(min: number, max: number, wanted: number): number[] {
  const within = (factors: readonly number[]): number[] => {
    const ticks: number[] = [];
    for (let at = Math.floor(Math.log10(min)); 10 ** at <= max; at++) {
      for (const factor of factors) ticks.push(factor * 10 ** at);
    }
    return ticks.filter((value) => value >= min * 0.999 && value <= max * 1.001);
  };
  const fine = within([1, 2, 5]);
  return fine.length <= wanted + 2 ? fine : within([1]);
}

/** Every so many, so that no more than `most` are left. */
function thin(ticks: readonly number[], most: number): number[] {
  const every = Math.ceil(ticks.length / most);
  return ticks.filter((_, i) => i % every === 0);
}
