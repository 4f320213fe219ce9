/** Where the package lives: its manifest and its command line. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

function findRoot(): URL {
  // From bench/ in a checkout, from dist/bench/ in the published package.
  for (const up of ['../', '../../']) {
    const candidate = new URL(up, import.meta.url);
    if (existsSync(new URL('bin/ackbench.mjs', candidate))) return candidate;
  }
  throw new Error('the package is incomplete: bin/ackbench.mjs is missing');
}

const root = findRoot();
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  name: string;
  version: string;
};

export const ROOT_DIR = fileURLToPath(root);
export const CLI_FILE = fileURLToPath(new URL('bin/ackbench.mjs', root));
/** In a checkout the sources run; a published package holds compiled files only. */
export const IS_CHECKOUT = import.meta.url.endsWith('.ts');
export const TOOL = { name: manifest.name, version: manifest.version };
