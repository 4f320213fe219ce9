/**
 * Runs the real bench against a sabotaged server: both as processes of their own, as somebody would
 * who does not know what is wrong with it. What must stay true: nothing started here outlives the
 * call, and the bench learns nothing of the sabotage but what the wire shows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Result, ScenarioResult } from '../../bench/result.ts';
import type { Sabotage } from './sabotages.ts';

const ROOT = join(import.meta.dirname, '../..');
const CLI_FILE = join(ROOT, 'bin/ackbench.mjs');
/** What the command line asks for: without them it starts the runtime a second time. */
const RUNTIME_FLAGS = ['--single-threaded-gc', '--no-memory-reducer'];
const SERVE_FILE = join(import.meta.dirname, 'serve.ts');
const JWT_KEY = 'the-key-of-every-sabotaged-server';
const STDERR_CHARS_MAX = 4000;

export interface RunOrder {
  /** `none` for the healthy server. */
  readonly sabotage: string;
  readonly scenario: Sabotage['scenario'];
  /** Probability per opportunity; the sabotage's own by default. */
  readonly rate?: number;
  /** Of the bench and of the sabotage. */
  readonly seed: number;
  /** Length of the load; the scenario's own by default. */
  readonly durationS?: number;
}

export interface RunOutcome {
  readonly exitCode: number | null;
  /** null when the bench wrote none: then `stderr` says why. */
  readonly scenario: ScenarioResult | null;
  readonly stderr: string;
  readonly seconds: number;
}

/** Starts the server, runs one scenario against it, stops the server. */
export async function runAgainst(order: RunOrder): Promise<RunOutcome> {
  const directory = mkdtempSync(join(tmpdir(), 'ackbench-sabotaged-'));
  const startMs = performance.now();
  const server = startServer(order);
  try {
    const url = await listening(server);
    const jsonFile = join(directory, 'result.json');
    const { exitCode, stderr } = await runBench(order, { url, jsonFile, outDir: directory });
    const seconds = (performance.now() - startMs) / 1000;
    return { exitCode, scenario: readScenario(jsonFile), stderr, seconds };
  } finally {
    await end(server);
    rmSync(directory, { recursive: true, force: true });
  }
}

function startServer({ sabotage, rate, seed }: RunOrder): ChildProcess {
  const flags = ['--sabotage', sabotage, '--sabotage-seed', String(seed)];
  if (rate !== undefined) flags.push('--sabotage-rate', String(rate));
  // Memory: each of these bugs is in front of the disk, and a shared disk makes runs wait.
  flags.push('--host', '127.0.0.1', '--port', '0', '--store', 'memory', '--jwt-key', JWT_KEY);
  // Its stdin is our pipe: it ends when we do, even when we are killed.
  return spawn(process.execPath, [SERVE_FILE, ...flags], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...ownEnvironment(), ACKBENCH_STOP_WITH_STDIN: '1' },
  });
}

/** The url once the server listens. Rejects with what it said when it ends instead. */
function listening(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    server.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    server.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const url = /"msg":"listening","url":"([^"]+)"/.exec(stdout)?.[1];
      if (url !== undefined) resolve(url);
    });
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`the server ended (${code}): ${stderr}`)));
  });
}

function runBench(
  { scenario, seed, durationS }: RunOrder,
  where: { url: string; jsonFile: string; outDir: string },
): Promise<{ exitCode: number | null; stderr: string }> {
  const flags = ['--scenario', join(import.meta.dirname, `${scenario}.yaml`)];
  flags.push('--target', where.url, '--jwt-key', JWT_KEY, '--seed', String(seed));
  flags.push('--json', where.jsonFile, '--out', where.outDir, '--no-progress', '--workers', '1');
  if (durationS !== undefined) flags.push('--duration', `${Math.round(durationS * 1000)}ms`);
  const bench = spawn(process.execPath, [...RUNTIME_FLAGS, CLI_FILE, 'bench', ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: ownEnvironment(),
  });
  let stderr = '';
  bench.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS_MAX);
  });
  return new Promise((resolve, reject) => {
    bench.once('error', reject);
    bench.once('close', (exitCode) => resolve({ exitCode, stderr }));
  });
}

function readScenario(jsonFile: string): ScenarioResult | null {
  try {
    return (JSON.parse(readFileSync(jsonFile, 'utf8')) as Result).scenarios[0] ?? null;
  } catch {
    return null; // the bench ended before it wrote one; its exit code and stderr tell
  }
}

/** Ends what is still alive; resolves when it is gone. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

/** Settings of whoever runs this are not for the processes under test. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const facts = Object.entries(process.env).filter(
    ([name]) => name === 'ACKBENCH_TEST_FILE' || !name.startsWith('ACKBENCH_'),
  );
  const environment: NodeJS.ProcessEnv = {
    ...Object.fromEntries(facts),
    NO_COLOR: '1',
    // Where `ackbench` itself keeps what it compiled: servers are started often here too.
    NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
  };
  delete environment['GITHUB_STEP_SUMMARY'];
  return environment;
}
