/** Programs that make a measurement steadier, or possible: tried once, each may be absent. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Counter = 'perf' | 'callgrind';

export interface Tools {
  /** Prefix of a command line that switches the randomisation of addresses off. */
  readonly fixedLayout: readonly string[];
  /** The same for pinning to a core; `cores` are those that this process may use. */
  readonly pinned: (core: number) => readonly string[];
  readonly cores: readonly number[];
  /** Path of what counts instructions; null when there is none. */
  readonly counter: { readonly kind: Counter; readonly path: string } | null;
  /** What is left out, in sentences. */
  readonly missing: readonly string[];
}

export function findTools(): Tools {
  const missing: string[] = [];
  const setarch = find('setarch');
  const canFix = setarch !== null && works(setarch, ['-R', 'true']);
  if (!canFix) missing.push('no setarch -R: addresses are random, instructions vary a little');
  const taskset = find('taskset');
  const cores = allowedCores();
  const canPin = taskset !== null && works(taskset, ['-c', `${cores[0]}`, 'true']);
  if (!canPin) missing.push('no taskset: nothing is pinned to a core, times vary more');
  const counter = findCounter();
  if (counter === null) {
    missing.push('neither perf with hardware counters nor valgrind: no instructions');
  }
  return {
    fixedLayout: canFix ? [setarch, '-R'] : [],
    pinned: (core) => (canPin ? [taskset, '-c', `${core}`] : []),
    cores,
    counter,
    missing,
  };
}

function findCounter(): Tools['counter'] {
  const perf = find('perf');
  if (perf !== null && find('mkfifo') !== null) {
    const { status, stderr } = spawnSync(perf, ['stat', '-x,', '-e', PERF_EVENT, 'true'], {
      encoding: 'utf8',
    });
    if (status === 0 && perfCount(stderr) !== null) return { kind: 'perf', path: perf };
  }
  const valgrind = find('valgrind');
  if (valgrind !== null && works(valgrind, ['--version'])) {
    return { kind: 'callgrind', path: valgrind };
  }
  return null;
}

export const PERF_EVENT = 'instructions:u';

/** The count in the output of `perf stat -x,`; null when the event is not supported. */
export function perfCount(output: string): number | null {
  const found = new RegExp(`^(\\d+),[^,]*,${PERF_EVENT},`, 'm').exec(output);
  return found === null ? null : Number(found[1]);
}

/** Absolute path of a program, since children get a fixed environment without a PATH. */
function find(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      /* look further */
    }
  }
  return null;
}

function works(path: string, argv: readonly string[]): boolean {
  return spawnSync(path, argv, { stdio: 'ignore' }).status === 0;
}

/** Cores that this process may run on, such as 0-3,6; just 0 where the system does not say. */
function allowedCores(): number[] {
  let text = '';
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    text = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  } catch {
    /* no /proc */
  }
  const cores: number[] = [];
  for (const [, first, last] of text.matchAll(/(\d+)(?:-(\d+))?/g)) {
    for (let core = Number(first); core <= Number(last ?? first); core++) cores.push(core);
  }
  return cores.length === 0 ? [0] : cores;
}
