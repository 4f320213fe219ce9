/**
 * The process that measures one benchmark: `child.js NAME DIRECTORY bytes|callgrind|perf`.
 *
 *     prepare   warm-up …   gc   warm-up …   gc   empty span   block block block …
 *
 * Bytes are what the heap and the memory outside it grew by; no collection may happen meanwhile, so
 * the young generation must hold all measured blocks. Instructions are counted from outside,
 * between marks: for callgrind a call of uv_loadavg, which nothing else calls, for perf a line in a
 * pipe. The empty span says what a mark or a look at the heap costs by itself.
 */
import { openSync, readSync, writeSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { GCProfiler, getHeapStatistics } from 'node:v8';
import {
  type Benchmark,
  type ChildReport,
  EMPTY_SPANS,
  INSTRUCTION_BLOCKS,
  PERF_ANSWERS,
  PERF_CONTROL,
  type Prepared,
} from './benchmark.ts';
import { loadBenchmark } from './catalogue.ts';

const WARM_UP_BLOCKS = 120;
const BYTES_BLOCKS = 10;
const LOOKS = 20_000;
const NS_BLOCKS = 40;

/** Throws when a block did not do its work. */
function check({ name }: Benchmark, { expected }: Prepared, proof: number): void {
  if (proof === expected) return;
  throw new Error(`${name} did not do its work: ${proof} instead of ${expected}`);
}

async function block(benchmark: Benchmark, prepared: Prepared): Promise<void> {
  // A block that is synchronous stays so: awaiting would count the event loop.
  const result = prepared.run();
  check(benchmark, prepared, typeof result === 'number' ? result : await result);
}

async function warmUp(benchmark: Benchmark, prepared: Prepared, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    await block(benchmark, prepared);
    await prepared.reset?.();
  }
}

function allocatedBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

async function countBytes(benchmark: Benchmark, prepared: Prepared): Promise<number[]> {
  // Looking allocates too, and not always the same until it is optimised.
  for (let i = 0; i < LOOKS; i++) allocatedBytes();
  const bytes = new Float64Array(BYTES_BLOCKS + 1);
  for (let i = 0; i < bytes.length; i++) {
    const before = allocatedBytes();
    const result = i === 0 ? prepared.expected : prepared.run();
    const proof = typeof result === 'number' ? result : await result;
    bytes[i] = allocatedBytes() - before;
    check(benchmark, prepared, proof);
    if (i > 0) await prepared.reset?.();
  }
  const [empty, ...blocks] = bytes;
  return blocks.map((each) => each - (empty as number));
}

async function measureTime(benchmark: Benchmark, prepared: Prepared): Promise<number[]> {
  const ns: number[] = [];
  for (let i = 0; i < NS_BLOCKS; i++) {
    const startedAt = process.hrtime.bigint();
    await block(benchmark, prepared);
    ns.push(Number(process.hrtime.bigint() - startedAt));
    await prepared.reset?.();
  }
  return ns;
}

interface Marks {
  begin(): void;
  end(): void;
}

function callgrindMarks(): Marks {
  return { begin: () => void loadavg(), end: () => void loadavg() };
}

function perfMarks(directory: string): Marks {
  const control = openSync(join(directory, PERF_CONTROL), 'w');
  const answers = openSync(join(directory, PERF_ANSWERS), 'r+');
  const answer = Buffer.alloc(5);
  const command = (text: string): void => {
    writeSync(control, text);
    readSync(answers, answer);
  };
  return { begin: () => command('enable\n'), end: () => command('disable\n') };
}

async function countInstructions(
  benchmark: Benchmark,
  prepared: Prepared,
  { begin, end }: Marks,
  emptySpans: number,
): Promise<void> {
  for (let i = 0; i < emptySpans; i++) {
    begin();
    end();
  }
  for (let i = 0; i < INSTRUCTION_BLOCKS; i++) {
    begin();
    const result = prepared.run();
    const proof = typeof result === 'number' ? result : await result;
    end();
    check(benchmark, prepared, proof);
    await prepared.reset?.();
  }
}

async function main([name, directory, mode]: readonly string[]): Promise<ChildReport> {
  const benchmark = await loadBenchmark(name as string);
  const prepared = await benchmark.prepare(join(directory as string, 'data'));
  const { operations } = benchmark;
  const warmUpBlocks = benchmark.warmUpBlocks ?? WARM_UP_BLOCKS;
  const collect = globalThis.gc as NodeJS.GCFunction;
  await warmUp(benchmark, prepared, warmUpBlocks);
  // A full collection throws optimised code away that refers to dead objects: warm up once more.
  collect();
  await warmUp(benchmark, prepared, Math.ceil(warmUpBlocks / 2));
  collect({ type: 'minor' });
  let report: ChildReport = { operations, bytes: [], ns: [] };
  if (mode === 'callgrind') {
    await countInstructions(benchmark, prepared, callgrindMarks(), EMPTY_SPANS);
  } else if (mode === 'perf') {
    await countInstructions(benchmark, prepared, perfMarks(directory as string), 0);
  } else {
    const profiler = new GCProfiler();
    profiler.start();
    const bytes = await countBytes(benchmark, prepared);
    const collections = profiler.stop()?.statistics.length ?? 0;
    if (collections > 0) throw new Error(`${benchmark.name} does too much in a block: it collects`);
    report = { operations, bytes, ns: await measureTime(benchmark, prepared) };
  }
  await prepared.close?.();
  return report;
}

process.stdout.write(`${JSON.stringify(await main(process.argv.slice(2)))}\n`);
