/**
 * Series as one line of blocks. The height is relative: the lowest value to the highest, but at least
 * a span that the caller calls small, so that noise looks like noise and not like mountains.
 */
const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const NOTHING = '·';

/** One block per value, `·` for null. */
export function sparkline(values: readonly (number | null)[], spanMin: number): string {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const span = Math.max(high - low, spanMin);
  const blockOf = (value: number): string => {
    const share = span === 0 ? 0.5 : 0.5 + (value - (low + high) / 2) / span;
    const height = Math.floor(share * BLOCKS.length);
    return BLOCKS[Math.max(0, Math.min(BLOCKS.length - 1, height))] as string;
  };
  return values.map((value) => (value === null ? NOTHING : blockOf(value))).join('');
}

/** `items` in at most `columnsMax` groups of neighbours that are as even as can be. */
export function grouped<Item>(items: readonly Item[], columnsMax: number): Item[][] {
  const count = Math.min(items.length, columnsMax);
  return Array.from({ length: count }, (_, i) =>
    items.slice(
      Math.floor((i * items.length) / count),
      Math.floor(((i + 1) * items.length) / count),
    ),
  );
}
