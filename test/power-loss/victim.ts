/**
 * The server whose disk fails: `serve --store lmdb` as a process of its own, its data.mdb on the
 * simulated disk. Killed with SIGKILL, started again as often as a test likes; ends with its tester.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { mintToken } from '../../server/auth.ts';
import { Stranger } from '../support/stranger.ts';
import type { DiskShim } from './disk-shim.ts';

/** The pinned runtime: with another one the command hands over to a child, which a kill would miss. */
export const RUNTIME = createRequire(import.meta.url).resolve('node/bin/node');
const BIN = join(import.meta.dirname, '../../bin/ackbench.mjs');
const MUTANT = join(import.meta.dirname, 'mutant-lmdb.ts');
const JWT_KEY = 'a-secret-that-only-this-test-knows';
const START_TIMEOUT_MS = 20_000;

/** Planted bugs of the store; see mutant-lmdb.ts. */
export const MUTANTS = ['no-sync', 'overlapping-sync', 'answers-early', 'hides-failures'] as const;
export type StoreMutant = (typeof MUTANTS)[number];

export interface VictimOptions {
  readonly dataDir: string;
  readonly policy: 'relay' | 'durable';
  readonly disk: DiskShim;
  readonly mutant?: StoreMutant | undefined;
}

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/**
 * Kills the child when this process exits, before the directory goes (exit handlers run in the order
 * in which they were added): one that ran on would make the directory anew.
 */
export function endWithTester(child: ChildProcess): void {
  children.add(child);
  child.once('exit', () => children.delete(child));
}

/** The server ended before it listened. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed';
}

export class Victim {
  readonly url: string;
  private readonly child: ChildProcess;
  private readonly output: { stdout: string; stderr: string };

  private constructor(
    url: string,
    child: ChildProcess,
    output: { stdout: string; stderr: string },
  ) {
    this.url = url;
    this.child = child;
    this.output = output;
  }

  /** Throws `StartFailed` with what the server printed. */
  static async start({ dataDir, policy, disk, mutant }: VictimOptions): Promise<Victim> {
    const flags = ['--host=127.0.0.1', '--port=0', `--policy=${policy}`, `--data-dir=${dataDir}`];
    const hooks = mutant === undefined ? [] : ['--import', MUTANT];
    const child = spawn(RUNTIME, [...hooks, BIN, 'serve', '--store=lmdb', ...flags], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...disk.environment,
        ACKBENCH_JWT_KEY: JWT_KEY,
        ACKBENCH_STOP_WITH_STDIN: '1',
        POWER_LOSS_MUTANT: mutant,
      },
    });
    endWithTester(child);
    child.stdin?.on('error', () => {});
    const output = { stdout: '', stderr: '' };
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    const url = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        output.stdout += text;
        const found = /"url":"([^"]+)"[^\n]*"listening"/.exec(output.stdout);
        if (found === null) return;
        clearTimeout(timer);
        resolve(found[1] as string);
      });
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        reject(new StartFailed(`the server ended with ${how}: ${output.stderr.trim()}`));
      });
    });
    return new Victim(url, child, output);
  }

  get httpUrl(): string {
    return this.url.replace(/^ws/, 'http').replace(/\/v1\/ws$/, '');
  }

  get log(): string {
    return this.output.stdout;
  }

  connect(uid: number): Promise<Stranger> {
    return Stranger.connect(this.url, { token: tokenOf(uid) });
  }

  /** An HTTP call in the name of a user: pulls without putting the user online. */
  async ask(uid: number, path: string, body?: unknown): Promise<{ status: number; body: string }> {
    const headers = { authorization: `Bearer ${tokenOf(uid)}` };
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${this.httpUrl}${path}`, { ...init, headers });
    return { status: response.status, body: await response.text() };
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** SIGTERM; the exit code, null when a signal ended it. */
  stop(): Promise<number | null> {
    return this.end('SIGTERM');
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const closed = once(this.child, 'close');
    this.child.kill(signal);
    await closed;
    return this.child.exitCode;
  }
}

const tokens = new Map<number, string>();

function tokenOf(uid: number): string {
  const known = tokens.get(uid);
  if (known !== undefined) return known;
  const token = mintToken({ uid, key: JWT_KEY, algorithm: 'HS256', lifetimeS: 36_000 });
  tokens.set(uid, token);
  return token;
}
