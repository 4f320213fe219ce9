/** A report as blocks, each a table or lines under a heading: once for the terminal, once as Markdown. */
import { columns } from '../columns.ts';

export interface Block {
  readonly heading: string | null;
  /** Rows of cells; with `hasHead`, the first names the columns. */
  readonly rows?: readonly (readonly string[])[];
  readonly hasHead?: boolean;
  readonly lines?: readonly string[];
}

export function renderText(blocks: readonly Block[]): string {
  const parts = blocks.map(({ heading, rows, lines }) =>
    [
      ...(heading === null ? [] : [heading]),
      ...(rows === undefined || rows.length === 0 ? [] : [columns(rows)]),
      ...(lines ?? []),
    ].join('\n'),
  );
  return `${parts.join('\n\n')}\n`;
}

export function renderMarkdown(title: string, blocks: readonly Block[]): string {
  const parts = [`## ${title}`, ...blocks.flatMap(markdownOf)];
  return `${parts.join('\n\n')}\n`;
}

function markdownOf({ heading, rows, hasHead, lines }: Block): string[] {
  const parts = heading === null ? [] : [`### ${escape(heading)}`];
  if (rows !== undefined && rows.length > 0) parts.push(tableOf(rows, hasHead === true));
  if (lines !== undefined && lines.length > 0) {
    parts.push(lines.map((line) => `- ${escape(line.trim().replace(/^! /, ''))}`).join('\n'));
  }
  return parts;
}

function tableOf(rows: readonly (readonly string[])[], hasHead: boolean): string {
  const width = Math.max(...rows.map((row) => row.length));
  const line = (cells: readonly string[]): string =>
    `| ${Array.from({ length: width }, (_, i) => escape(cells[i] ?? '')).join(' | ')} |`;
  const [head, ...rest] = hasHead ? rows : [[], ...rows];
  const rule = `| --- |${' ---: |'.repeat(width - 1)}`;
  return [line(head as readonly string[]), rule, ...rest.map(line)].join('\n');
}

function escape(text: string): string {
  return text.replace(/[|<*_`]/g, '\\$&');
}
