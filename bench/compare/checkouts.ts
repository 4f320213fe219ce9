/**
 * The servers of two commits side by side: each ref is unpacked once into a cache, by its full hash,
 * with the packages of its own lock file; refs with the same lock file share one install.
 *
 *     <cache>/checkouts/<commit>/            the files of the commit; node_modules -> below
 *     <cache>/installs/<lock hash>/          package.json, package-lock.json, node_modules
 *
 * A directory is made under another name and renamed when it is whole, so that whoever is interrupted
 * leaves nothing behind that looks finished. Unpacked is with `git archive`: a `git worktree` would
 * stay registered in the user's repository when a comparison is killed.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { ROOT_DIR } from '../package-root.ts';

/** A ref cannot be compared; the message is for whoever named it. */
export class CheckoutError extends Error {}

/** A version of the project whose server can be started. */
export interface Checkout {
  /** What the user wrote, or `working tree`. */
  readonly label: string;
  readonly sha: string;
  readonly subject: string;
  /** Uncommitted changes are in it. */
  readonly isDirty: boolean;
  readonly directory: string;
}

export const WORKING_TREE = 'working tree';

function git(...args: string[]): string {
  return execFileSync('git', ['-C', ROOT_DIR, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
  }).trim();
}

function cacheDir(): string {
  const own = process.env['ACKBENCH_CACHE'];
  if (own !== undefined && own !== '') return path.resolve(own);
  const base = process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache');
  return path.join(base, 'ackbench');
}

/** Full hash of a ref. Throws `CheckoutError` for what is none. */
export function resolveRef(ref: string): string {
  if (ref.startsWith('-')) throw new CheckoutError(`${ref}: is no git ref`);
  try {
    git('rev-parse', '--git-dir');
  } catch {
    throw new CheckoutError(
      'not a git checkout: commits cannot be compared here, only --a and --b',
    );
  }
  try {
    return git('rev-parse', '--verify', '--quiet', `${ref}^{commit}`);
  } catch {
    throw new CheckoutError(`${ref}: no such commit, branch or tag here`);
  }
}

/** The working tree as it is, changes included. */
export function workingTree(): Checkout {
  const sha = resolveRef('HEAD');
  return {
    label: WORKING_TREE,
    sha,
    subject: git('log', '-1', '--format=%s', sha),
    isDirty: git('status', '--porcelain', '--untracked-files=no') !== '',
    directory: ROOT_DIR,
  };
}

/** Unpacks a ref and installs its packages, unless both were done before. */
export async function checkOut(
  ref: string,
  { log, signal }: { log: (line: string) => void; signal: AbortSignal },
): Promise<Checkout> {
  const sha = resolveRef(ref);
  const directory = path.join(cacheDir(), 'checkouts', sha);
  if (!existsSync(directory)) {
    await make(directory, async (draft) => {
      log(`${ref}: unpacking ${sha.slice(0, 12)}`);
      unpack(sha, draft);
      await linkPackages(draft, { ref, log, signal });
    });
  } else {
    // The working tree that it was linked to may have moved on to other packages.
    await linkPackages(directory, { ref, log, signal });
  }
  for (const file of ['bin/ackbench.mjs', 'server/index.ts']) {
    if (existsSync(path.join(directory, file))) continue;
    throw new CheckoutError(`${ref}: has no ${file}: there is no server to start in that commit`);
  }
  return {
    label: ref,
    sha,
    subject: git('log', '-1', '--format=%s', sha),
    isDirty: false,
    directory,
  };
}

/** Calls `fill` with a directory that gets the name `directory` once it is whole. */
async function make(directory: string, fill: (draft: string) => Promise<void>): Promise<void> {
  mkdirSync(path.dirname(directory), { recursive: true });
  const draft = mkdtempSync(`${directory}.`);
  try {
    await fill(draft);
    renameSync(draft, directory);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Somebody else may have finished the same meanwhile.
    if (!existsSync(directory)) throw error;
  }
}

function unpack(sha: string, directory: string): void {
  const tar = execFileSync('git', ['-C', ROOT_DIR, 'archive', '--format=tar', sha], {
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  execFileSync('tar', ['-x', '-C', directory], { input: tar, stdio: ['pipe', 'ignore', 'pipe'] });
}

/** Makes `node_modules` a link to the packages that fit the lock file in `directory`. */
async function linkPackages(
  directory: string,
  options: { ref: string; log: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const modules = await installFor(directory, options);
  const link = path.join(directory, 'node_modules');
  // By a rename: a server of another comparison may be starting from here right now.
  const draft = `${link}.${process.pid}`;
  rmSync(draft, { force: true });
  symlinkSync(modules, draft, 'dir');
  renameSync(draft, link);
}

/** The `node_modules` that fits the lock file in `directory`. */
async function installFor(
  directory: string,
  options: { ref: string; log: (line: string) => void; signal: AbortSignal },
): Promise<string> {
  const lock = path.join(directory, 'package-lock.json');
  if (!existsSync(lock)) {
    throw new CheckoutError(`${options.ref}: has no package-lock.json to install from`);
  }
  const hash = lockHash(directory);
  const own = path.join(ROOT_DIR, 'node_modules');
  if (existsSync(own) && lockHash(ROOT_DIR) === hash) return own;
  const install = path.join(cacheDir(), 'installs', hash);
  if (!existsSync(install)) {
    await make(install, async (draft) => {
      options.log(`${options.ref}: installing the packages of its lock file`);
      for (const file of ['package.json', 'package-lock.json']) {
        copyFileSync(path.join(directory, file), path.join(draft, file));
      }
      await npmCi(draft, options);
    });
  }
  return path.join(install, 'node_modules');
}

/** The manifest too: it says which install scripts may run. */
function lockHash(directory: string): string {
  const hash = createHash('sha256').update(process.version);
  hash.update(readFileSync(path.join(directory, 'package-lock.json')));
  const manifest = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as {
    allowScripts?: unknown;
  };
  hash.update(JSON.stringify(manifest.allowScripts ?? null));
  return hash.digest('hex').slice(0, 16);
}

function npmCi(
  directory: string,
  { ref, signal }: { ref: string; signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const npm = spawn('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      signal,
    });
    let stderr = '';
    npm.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-2000);
    });
    npm.once('error', (error) => {
      reject(new CheckoutError(`${ref}: npm ci cannot be started: ${error.message}`));
    });
    npm.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new CheckoutError(`${ref}: npm ci failed (${code}): ${stderr.trim()}`));
    });
  });
}

/** Refuses two versions that do not speak the same protocol: one generator loads both. */
export function requireSameProtocol(a: Checkout, b: Checkout): void {
  const [versionA, versionB] = [a, b].map(protocolVersion);
  if (versionA === versionB) return;
  throw new CheckoutError(
    `protocol versions differ: ${a.label} speaks ${versionA}, ${b.label} speaks ${versionB}; ` +
      'one generator cannot load both',
  );
}

function protocolVersion({ directory }: Checkout): string {
  const file = path.join(directory, 'protocol/packet.ts');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return /PROTOCOL_VERSION = (\d+)/.exec(text)?.[1] ?? 'unknown';
}
