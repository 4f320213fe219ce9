/**
 * `formulas.ts` as a script without modules or types, for a page that calculates offline. The published
 * package holds it compiled, so there only the exports go.
 */
import { existsSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Function declarations and constants at the top level; nothing is exported or run. */
export function formulasText(): string {
  const source = fileURLToPath(new URL('formulas.ts', import.meta.url));
  const text = existsSync(source)
    ? stripped(readFileSync(source, 'utf8'))
    : readFileSync(source.replace(/\.ts$/, '.js'), 'utf8');
  return text.replace(/^export (?=const|function)/gm, '').replace(/^export \{\};?$/gm, '');
}

/** Node calls the stripping experimental each time, about which nobody who reads it can do anything. */
function stripped(text: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text);
  } finally {
    process.emitWarning = emitWarning;
  }
}
