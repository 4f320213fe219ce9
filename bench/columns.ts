/** Text in columns, for a terminal. */

/** Columns padded to their widest cell; the first is left-aligned, the others right-aligned. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  }
  return rows
    .map((row) => {
      const cells = row.map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number),
      );
      return `${indent}${cells.join('  ').trimEnd()}`;
    })
    .join('\n');
}
