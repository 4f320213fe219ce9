/**
 * Loads sources of the project with an edit in them, so that a planted bug sits in the real code and
 * the production code knows nothing of it.
 *
 * Nothing is written to disk: a loader hook edits the text between reading and type stripping. Each
 * set of edits gets a copy of its own of every edited file and of all files between it and the entry
 * that was asked for; everything else is shared with the rest of the process.
 *
 *     audit.ts?edits=3  <-  rig.ts?edits=3  <-  load-run.ts?edits=3        recorder.ts (shared)
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const ROOT = new URL('../../', import.meta.url);
const QUERY = '?edits=';

/** One replacement; `find` must occur exactly once, or the edit is out of date and throws. */
export interface Edit {
  /** Path from the root of the project. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Changes the text of a file beyond a single replacement, before the edits. */
export type Rewrites = Readonly<Record<string, (source: string) => string>>;

/** All sets of edits that were loaded, by the number in their query. */
const editions: Edition[] = [];

/** A set of edits and the modules that carry them. */
export class Edition {
  private readonly id: number;
  private readonly texts = new Map<string, string>();
  /** Whether a file reaches an edited one by its imports; a file under way counts as not. */
  private readonly reaches = new Map<string, boolean>();

  constructor(edits: readonly Edit[], rewrites: Rewrites = {}) {
    this.id = editions.push(this) - 1;
    for (const [file, rewrite] of Object.entries(rewrites)) {
      this.texts.set(urlOf(file), rewrite(textOf(urlOf(file))));
    }
    for (const { file, find, replace } of edits) {
      const url = urlOf(file);
      const parts = (this.texts.get(url) ?? textOf(url)).split(find);
      if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times: ${find}`);
      this.texts.set(url, parts.join(replace));
    }
  }

  /** The module `file` with all edits that it reaches; the shared one when it reaches none. */
  load<Module>(file: string): Promise<Module> {
    return import(this.carrierOf(urlOf(file))) as Promise<Module>;
  }

  /** The URL under which a module that belongs to this edition is loaded. */
  carrierOf(url: string): string {
    const isOurs = url.startsWith(ROOT.href) && url.endsWith('.ts');
    return isOurs && this.isCarrier(url) ? `${url}${QUERY}${this.id}` : url;
  }

  textFor(url: string): string {
    return this.texts.get(url) ?? textOf(url);
  }

  private isCarrier(url: string): boolean {
    if (this.texts.has(url)) return true;
    const known = this.reaches.get(url);
    if (known !== undefined) return known;
    this.reaches.set(url, false);
    const isCarrier = importsOf(url).some((other) => this.isCarrier(other));
    this.reaches.set(url, isCarrier);
    return isCarrier;
  }
}

function urlOf(file: string): string {
  return new URL(file, ROOT).href;
}

const texts = new Map<string, string>();

function textOf(url: string): string {
  let text = texts.get(url);
  if (text === undefined) texts.set(url, (text = readFileSync(new URL(url), 'utf8')));
  return text;
}

const imports = new Map<string, string[]>();

/** Project files that a file imports for more than their types. */
function importsOf(url: string): string[] {
  let found = imports.get(url);
  if (found === undefined) {
    const pattern = /^(?:import|export)\s(?!type\b)[^;]*?\bfrom '(\.[^']+\.ts)';$/gm;
    found = [...textOf(url).matchAll(pattern)].map(([, name]) => new URL(name!, url).href);
    imports.set(url, found);
  }
  return found;
}

function editionOf(url: string | undefined): Edition | undefined {
  const at = url?.indexOf(QUERY) ?? -1;
  return at < 0 ? undefined : editions[Number(url!.slice(at + QUERY.length))];
}

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const edition = editionOf(context.parentURL);
    return edition === undefined ? resolved : { ...resolved, url: edition.carrierOf(resolved.url) };
  },
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const edition = editionOf(url);
    if (edition === undefined) return loaded;
    return { ...loaded, source: edition.textFor(url.slice(0, url.indexOf(QUERY))) };
  },
});
