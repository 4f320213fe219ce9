/**
 * Copies a module and all it imports from this project as plain JavaScript. Under valgrind node
 * would need ten seconds per process to strip the types itself.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const IMPORT = /((?:\bfrom\s*|\bimport\s*\(?\s*)')(\.[^']*)\.ts'/g;

/** Writes `entry`, a path inside the project, and its imports below `into`; returns its copy. */
export function copyStripped(entry: string, into: string): string {
  const done = new Set<string>();
  const todo = [join(ROOT, entry)];
  withoutWarnings(() => {
    for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
      if (done.has(file)) continue;
      done.add(file);
      const folder = dirname(file);
      const stripped = stripTypeScriptTypes(readFileSync(file, 'utf8'));
      for (const [, , path] of stripped.matchAll(IMPORT)) todo.push(join(folder, `${path}.ts`));
      const copy = join(into, relative(ROOT, file).replace(/\.ts$/, '.js'));
      mkdirSync(dirname(copy), { recursive: true });
      writeFileSync(copy, stripped.replace(IMPORT, "$1$2.js'"));
    }
  });
  writeFileSync(join(into, 'package.json'), '{ "type": "module" }\n');
  symlinkSync(join(ROOT, 'node_modules'), join(into, 'node_modules'));
  return join(into, entry.replace(/\.ts$/, '.js'));
}

/** stripTypeScriptTypes is experimental, and says so at the end of the turn. */
function withoutWarnings(deed: () => void): void {
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning');
  deed();
  setImmediate(() => {
    for (const listener of listeners) process.on('warning', listener);
  });
}
