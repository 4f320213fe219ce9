/**
 * Measures benchmarks, each in a fresh process in which everything is fixed that can be: flags and
 * seeds of V8, environment, addresses, core, warm-up and iterations (docs/MICRO.md says why).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ChildReport,
  EMPTY_SPANS,
  INSTRUCTION_BLOCKS,
  PERF_ANSWERS,
  PERF_CONTROL,
} from './benchmark.ts';
import { copyStripped } from './strip.ts';
import { PERF_EVENT, perfCount, type Tools } from './tools.ts';

/** One thread and no clock in V8's decisions; a young generation that no benchmark fills. */
const NODE_FLAGS = [
  '--predictable',
  '--hash-seed=1',
  '--random-seed=1',
  '--v8-pool-size=0',
  '--expose-gc',
  '--min-semi-space-size=64',
  '--max-semi-space-size=64',
];
const ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', UV_THREADPOOL_SIZE: '1' };
/** For a child that hangs; the slowest takes a tenth of it. */
const CHILD_TIMEOUT_MS = 600_000;
/** Processes under valgrind at the same time; others' load changes no count of instructions. */
const LANES_MAX = 4;

export interface Measured {
  readonly name: string;
  /** Per operation; null when not counted. */
  readonly instructions: number | null;
  readonly bytes: number;
  readonly nsMin: number;
  readonly nsMedian: number;
}

export class Runner {
  private readonly tools: Tools;
  private readonly directory = mkdtempSync(join(tmpdir(), 'ackbench-micro-'));
  private readonly entry: string;
  private readonly children = new Set<ChildProcess>();
  private runs = 0;

  constructor(tools: Tools) {
    this.tools = tools;
    this.entry = copyStripped('test/micro/child.ts', join(this.directory, 'code'));
  }

  /** In the order of `names`. Throws when a benchmark fails. */
  async measure(
    names: readonly string[],
    options: { countsInstructions: boolean; onProgress: (text: string) => void },
  ): Promise<Measured[]> {
    const measured: Measured[] = [];
    // One after the other, for the sake of the times.
    for (const name of names) {
      options.onProgress(`bytes and time, ${measured.length + 1} of ${names.length}`);
      measured.push(await this.bytesAndTime(name));
    }
    if (!options.countsInstructions) return measured;
    let started = 0;
    const lane = async (core: number): Promise<void> => {
      while (started < names.length) {
        const index = started++;
        options.onProgress(`instructions, ${started} of ${names.length}`);
        const instructions = await this.instructions(names[index] as string, core);
        measured[index] = { ...(measured[index] as Measured), instructions };
      }
    };
    await Promise.all(this.tools.cores.slice(-LANES_MAX).map(lane));
    return measured;
  }

  /** Ends what is running and removes what was written. */
  close(): void {
    for (const child of this.children) child.kill('SIGKILL');
    removeTree(this.directory);
  }

  private async bytesAndTime(name: string): Promise<Measured> {
    const core = this.tools.cores.at(-1) as number;
    const { report, directory } = await this.run([], { name, core, mode: 'bytes' });
    removeTree(directory);
    const { operations, bytes, ns } = report;
    const sum = bytes.reduce((a, b) => a + b, 0);
    return {
      name,
      instructions: null,
      bytes: round(Math.max(0, sum) / bytes.length / operations),
      nsMin: round(Math.min(...ns) / operations),
      nsMedian: round(median(ns) / operations),
    };
  }

  private async instructions(name: string, core: number): Promise<number | null> {
    const { counter } = this.tools;
    if (counter === null) return null;
    if (counter.kind === 'perf') {
      const how = (directory: string): string[] => {
        const pipes = [PERF_CONTROL, PERF_ANSWERS].map((pipe) => join(directory, pipe));
        execFileSync('mkfifo', pipes);
        const control = ['--control', `fifo:${pipes.join(',')}`];
        return [counter.path, 'stat', '-x,', '-e', PERF_EVENT, '-D', '-1', ...control];
      };
      const { report, stderr, directory } = await this.run(how, { name, core, mode: 'perf' });
      removeTree(directory);
      const count = perfCount(stderr);
      return count === null ? null : round(count / INSTRUCTION_BLOCKS / report.operations);
    }
    const how = (directory: string): string[] => [
      counter.path,
      '-q',
      '--tool=callgrind',
      // The code that V8 makes is in no file, and changes.
      '--smc-check=all-non-file',
      // Counts begin anew whenever the child calls it.
      '--dump-before=uv_loadavg',
      `--callgrind-out-file=${join(directory, 'callgrind')}`,
    ];
    const { report, directory } = await this.run(how, { name, core, mode: 'callgrind' });
    // Marks come in pairs, and dump k is what lies before mark k.
    const span = (index: number): number => dumpedTotal(directory, 2 * index);
    const blocks = Array.from({ length: INSTRUCTION_BLOCKS }, (_, index) => {
      return span(EMPTY_SPANS + 1 + index) - span(EMPTY_SPANS);
    });
    removeTree(directory);
    return round(median(blocks) / report.operations);
  }

  private async run(
    how: readonly string[] | ((directory: string) => readonly string[]),
    { name, core, mode }: { name: string; core: number; mode: string },
  ): Promise<{ report: ChildReport; stderr: string; directory: string }> {
    // Names of one length, so that no string on the stack moves another.
    const directory = join(this.directory, `run-${String(++this.runs).padStart(4, '0')}`);
    mkdirSync(directory);
    const { fixedLayout, pinned } = this.tools;
    const line = [
      ...pinned(core),
      ...fixedLayout,
      ...(typeof how === 'function' ? how(directory) : how),
      process.execPath,
      ...NODE_FLAGS,
      this.entry,
      name,
      directory,
      mode,
    ];
    const child = spawn(line[0] as string, line.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: ENVIRONMENT,
      timeout: CHILD_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    this.children.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const end = await new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    this.children.delete(child);
    if (end !== 'exit code 0') throw new Error(`${name} failed (${end})\n${stderr.trim()}`);
    return { report: JSON.parse(stdout) as ChildReport, stderr, directory };
  }
}

function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}

function dumpedTotal(directory: string, dump: number): number {
  const text = readFileSync(join(directory, `callgrind.${dump}`), 'utf8');
  const found = /^totals: (\d+)/m.exec(text);
  if (found === null) throw new Error(`callgrind wrote no total into dump ${dump}`);
  return Number(found[1]);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}

/** Two decimals: a hundredth of a byte is a byte in a hundred operations. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}
