/**
 * The command line as a user runs it: real processes, found again by their pids. Whatever a test
 * does, `stopAll` leaves no process behind that it started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../../bench/result.ts';

const ROOT = join(import.meta.dirname, '../..');
const CLI_FILE = join(ROOT, 'bin/ackbench.mjs');
/** What the command line asks for: without them it starts the runtime a second time. */
const RUNTIME_FLAGS = ['--single-threaded-gc', '--no-memory-reducer'];
/** Far beyond what anything here takes on a slow machine. */
const PATIENCE_MS = 90_000;
const POLL_MS = 20;

const started = new Set<ChildProcess>();

export function stopAll(): void {
  for (const child of started) child.kill('SIGKILL');
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Cli {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has said so far. */
  stdout(): string;
  stderr(): string;
}

/** Settings of whoever runs the tests are not for the process under test. */
function environment(facts: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => name === 'ACKBENCH_TEST_FILE' || !name.startsWith('ACKBENCH_'),
  );
  const env: NodeJS.ProcessEnv = { ...Object.fromEntries(inherited), NO_COLOR: '1', ...facts };
  delete env['FORCE_COLOR'];
  if (facts['GITHUB_STEP_SUMMARY'] === undefined) delete env['GITHUB_STEP_SUMMARY'];
  return env;
}

/** Starts `ackbench <args>` with the flags that spare a second start of the runtime. */
export function startCli(args: readonly string[], env: NodeJS.ProcessEnv = {}): Cli {
  const child = spawn(process.execPath, [...RUNTIME_FLAGS, CLI_FILE, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(env),
  });
  started.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      started.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  return { pid: child.pid as number, child, ended, stdout: () => stdout, stderr: () => stderr };
}

export function runCli(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  return startCli(args, env).ended;
}

export function readResult(file: string): Result {
  return JSON.parse(readFileSync(file, 'utf8')) as Result;
}

/** Polls until `find` finds something. */
export async function eventually<T>(
  what: string,
  find: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await find();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s`);
    await sleep(POLL_MS);
  }
}

/** Gone, or dead and not yet collected by its parent. Linux only. */
export function isGone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) === 'Z';
  } catch {
    return true;
  }
}

/** The server that a bench started: a child of it that runs `serve`. Linux only. */
export function serverOf(bench: number): { pid: number; port: number } | null {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (parent !== bench) continue;
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0');
      const port = /\0--port[=\0](\d+)/.exec(command.join('\0'))?.[1];
      if (command.includes('serve') && port !== undefined) {
        return { pid: Number(name), port: Number(port) };
      }
    } catch {
      // It ended while we looked.
    }
  }
  return null;
}

/** How many msg:R a server has received; 0 while it does not answer. */
export async function messagesSeen(port: number): Promise<number> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    const line = /^ackbench_packets_received_total\{packet="msg:R"\} (\d+)$/m;
    return Number(line.exec(await answer.text())?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** True when nobody listens there. */
export function isReleased(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(port, '127.0.0.1');
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', () => resolve(true));
  });
}
