/**
 * `bench/plan/formulas.ts` as a page inlines it: types stripped, no module. What the calculator of a report
 * does with it must be what `plan` does.
 */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

/** Function declarations and constants at the top level; nothing is exported or run. */
export function formulasText(): string {
  const file = join(import.meta.dirname, '../../bench/plan/formulas.ts');
  // Node calls the stripping experimental each time, about which nobody who reads it can do anything.
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    const text = stripTypeScriptTypes(readFileSync(file, 'utf8'));
    return text.replace(/^export (?=const|function)/gm, '');
  } finally {
    process.emitWarning = emitWarning;
  }
}
