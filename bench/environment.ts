/** What a result was measured on: machine, runtime, commit, pinning. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { ROOT_DIR } from './package-root.ts';

export interface Environment {
  cpuModel: string;
  cores: number;
  memoryBytes: number;
  kernel: string;
  node: string;
  uws: string;
  /** Which cores the server and the generator may use, or why they are not pinned. */
  pinning: string;
  openFilesLimit: number;
}

/** A machine and its runtime: figures of two are never held against each other. */
export function nameOfMachine({
  cpuModel,
  cores,
  node,
}: Pick<Environment, 'cpuModel' | 'cores' | 'node'>): string {
  return `${cpuModel}, ${cores} cores, ${node}`;
}

export interface Commit {
  sha: string;
  dirty: boolean;
  branch: string;
}

/** Cores for the server and for the generator; null when there is nothing to part or no taskset. */
export interface Pinning {
  readonly server: string;
  readonly generator: string;
}

export function detectPinning(): Pinning | null {
  const cores = os.availableParallelism();
  if (cores < 2 || spawnSync('taskset', ['--version']).status !== 0) return null;
  const allowed = allowedCores();
  if (allowed.length < 2) return null;
  return { server: String(allowed[0]), generator: allowed.slice(1).join(',') };
}

function allowedCores(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(
      readFileSync('/proc/self/status', 'utf8'),
    )?.[1];
    const cores: number[] = [];
    for (const part of (list ?? '').split(',')) {
      const [from, to] = part.split('-').map(Number);
      for (let core = from as number; core <= (to ?? (from as number)); core++) cores.push(core);
    }
    return cores.filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** Pins every thread of this process, present and future, to the generator's cores. */
export function pinSelf(pinning: Pinning | null): void {
  if (pinning === null) return;
  spawnSync('taskset', ['-acp', pinning.generator, String(process.pid)]);
}

/** Soft limit of open files of this process; 0 when unknown. */
export function openFilesLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
    return soft === undefined || soft === 'unlimited' ? 0 : Number(soft);
  } catch {
    return 0;
  }
}

export function describeEnvironment(pinning: Pinning | null): Environment {
  let uws = 'unknown';
  try {
    const file = new URL(import.meta.resolve('uWebSockets.js'));
    file.pathname = file.pathname.replace(/dist\/.*$/, 'package.json');
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as {
      name: string;
      version: string;
    };
    uws = `${name}@${version}`;
  } catch {
    // A target elsewhere does not need it.
  }
  return {
    cpuModel: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    uws,
    pinning:
      pinning === null
        ? 'none: one core or no taskset'
        : `server on core ${pinning.server}, generator on ${pinning.generator}`,
    openFilesLimit: openFilesLimit(),
  };
}

/** The commit of the checkout; unknown in a published package. */
export function describeCommit(): Commit {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', ROOT_DIR, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    return {
      sha: git('rev-parse', 'HEAD'),
      dirty: git('status', '--porcelain', '--untracked-files=no') !== '',
      branch: git('rev-parse', '--abbrev-ref', 'HEAD'),
    };
  } catch {
    return { sha: 'unknown', dirty: false, branch: 'unknown' };
  }
}
