/** Reads a result file that somebody named: what is wrong with it, in words that say what to do. */
import { readFileSync } from 'node:fs';

/** The content, or a mistake without the file's name. */
export function readJsonFile(file: string): { value: unknown } | { mistake: string } {
  try {
    return { value: JSON.parse(readFileSync(file, 'utf8')) as unknown };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { mistake: 'no such file' };
    if (code === 'EISDIR') return { mistake: 'is a directory: name the files in it' };
    if (code !== undefined) return { mistake: `cannot be read: ${message}` };
    return { mistake: 'is no JSON, so no result file of ackbench' };
  }
}

/** What is wrong with a file's schema; null = it is the one that is known. */
export function schemaMistake(schema: unknown, known: number): string | null {
  if (schema === known) return null;
  const other = Number(schema) > known ? 'take a newer ackbench' : 'measure it again';
  return `has schema ${String(schema)}, and this version reads ${known}: ${other}`;
}
