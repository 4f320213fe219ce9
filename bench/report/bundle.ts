/**
 * The browser's part as one script: the modules of page/ and what they import, each in a function of its
 * own, in the order in which they need each other. No bundler and no build step: in a checkout types are
 * stripped here, in the published package they are gone already. What must stay true: only named imports
 * and exports of declarations, and no circle, which is all that this understands.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { IS_CHECKOUT } from '../package-root.ts';

const IMPORT = /^import\s+(type\s+)?\{([^}]*)\}\s+from\s+'([^']+)';$/gm;
const EXPORT = /^export\s+(?=(?:async\s+)?(?:function|class|const|let)\s+([A-Za-z_$][\w$]*))/gm;
const UNKNOWN = /^(?:import|export)\b.*$/m;

/** The script, with the plotting library before it. */
export function bundlePage(): string {
  return [
    readPackageFile('uplot/dist/uPlot.iife.min.js'),
    '(() => {',
    "'use strict';",
    ...new Bundle().add(
      new URL(IS_CHECKOUT ? './page/main.ts' : './page/main.js', import.meta.url),
    ),
    '})();',
  ].join('\n');
}

/** The style of the plotting library. */
export function plotStyle(): string {
  return readPackageFile('uplot/dist/uPlot.min.css');
}

function readPackageFile(name: string): string {
  return readFileSync(createRequire(import.meta.url).resolve(name), 'utf8').trim();
}

class Bundle {
  private readonly names = new Map<string, string>();
  private readonly open = new Set<string>();
  private readonly parts: string[] = [];

  /** Adds the module after everything that it imports; all parts so far. */
  add(url: URL): string[] {
    this.nameOf(url);
    return this.parts;
  }

  private nameOf(url: URL): string {
    const { href } = url;
    const known = this.names.get(href);
    if (known !== undefined) return known;
    if (this.open.has(href)) throw new Error(`${href} imports itself`);
    this.open.add(href);
    const source = sourceOf(url);
    const body = source.replace(
      IMPORT,
      (_, type: string | undefined, names: string, from: string) => {
        const values = names.split(',').map((name) => name.trim());
        const wanted = values.filter((name) => name !== '' && !name.startsWith('type '));
        if (type !== undefined || wanted.length === 0) return '';
        const renamed = wanted.map((name) => name.replace(/\s+as\s+/, ': ')).join(', ');
        return `const { ${renamed} } = ${this.nameOf(new URL(from, url))};`;
      },
    );
    const exported = [...body.matchAll(EXPORT)].map(([, name]) => name as string);
    const code = body.replace(EXPORT, '');
    const rest = UNKNOWN.exec(code);
    if (rest !== null) throw new Error(`${href}: cannot be bundled: ${rest[0]}`);
    const name = `module${this.names.size}`;
    this.names.set(href, name);
    this.parts.push(
      `const ${name} = (() => {\n${code.trim()}\nreturn { ${exported.join(', ')} };\n})();`,
    );
    return name;
  }
}

function sourceOf(url: URL): string {
  const file = fileURLToPath(url);
  if (!existsSync(file)) throw new Error(`the package is incomplete: ${file} is missing`);
  const text = readFileSync(file, 'utf8');
  const code = file.endsWith('.ts') ? strip(text) : text;
  // Comments are for readers of the source: at the start of a line nothing else looks like one.
  return code
    .replace(/^\s*\/\*\*[\s\S]*?\*\//gm, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\n\s*\n+/g, '\n');
}

/** Node calls it experimental each time, which nobody who makes a report can do anything about. */
function strip(text: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(text);
  } finally {
    process.emitWarning = emitWarning;
  }
}
