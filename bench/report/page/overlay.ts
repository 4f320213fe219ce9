/** Runs that are drawn over each other, each with its colour, and the key that names them. */
import type { RunView } from '../model.ts';
import { h, svg } from './dom.ts';

export interface Overlay {
  /** Of the file: its commit. */
  label: string;
  run: RunView;
  /** Name of a colour variable. */
  colour: string;
  dash: number[];
}

const COLOURS = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5'] as const;
/** Beyond the colours, and for those who do not see them. */
const DASHES: readonly number[][] = [[], [8, 3], [3, 3], [10, 3, 2, 3], [1, 3], [14, 4]];

/** The colour of the `index`-th of several. */
export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] as string;
}

export function dashOf(index: number): number[] {
  const turn = index + Math.floor(index / COLOURS.length);
  return DASHES[turn % DASHES.length] as number[];
}

/** A line of names with a piece of their line. */
export function keyOf(
  items: readonly { name: string; colour: string; dash?: string; width?: number }[],
): HTMLElement {
  return h(
    'ul',
    { class: 'key' },
    items.map(({ name, colour, dash, width = 2.4 }) =>
      h(
        'li',
        {},
        svg(
          'svg',
          { width: 26, height: 10, 'aria-hidden': 'true' },
          svg('line', {
            x1: 0,
            y1: 5,
            x2: 26,
            y2: 5,
            stroke: `var(--${colour})`,
            'stroke-width': width,
            'stroke-dasharray': dash,
          }),
        ),
        name,
      ),
    ),
  );
}
