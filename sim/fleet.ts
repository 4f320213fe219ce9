/** Many seeds on all cores: threads that take block after block, and the sum of what they saw. */
import { Worker } from 'node:worker_threads';
import type { Policy } from '../protocol/index.ts';
import type { Block, BlockReport } from './seed-worker.ts';

export interface FleetReport {
  seeds: number;
  messages: number;
  events: number;
  virtualMs: number;
  absorbed: number;
  crashes: number;
  struck: Map<string, number>;
  /** Steps of the plans, by what they do. */
  planned: Map<string, number>;
  failed: { seed: number; check: string; text: string }[];
  hash: string;
}

const BLOCK_SEEDS = 50;
/** After so many failing seeds more of them tell nothing new. */
const FAILED_MAX = 50;

/** Runs `count` seeds from `first` on. Stops early on `signal`, or when very many fail. */
export async function runFleet(options: {
  first: number;
  count: number;
  policy: Policy | null;
  threads: number;
  signal: AbortSignal;
  onProgress(report: FleetReport): void;
}): Promise<FleetReport> {
  const { first, count, policy, signal } = options;
  const total: FleetReport = {
    seeds: 0,
    messages: 0,
    events: 0,
    virtualMs: 0,
    absorbed: 0,
    crashes: 0,
    struck: new Map(),
    planned: new Map(),
    failed: [],
    hash: '',
  };
  let next = first;
  let folded = 0n;
  const nextBlock = (): Block | null => {
    const left = first + count - next;
    if (left <= 0 || signal.aborted || total.failed.length >= FAILED_MAX) return null;
    const block = { first: next, count: Math.min(BLOCK_SEEDS, left), policy };
    next += block.count;
    return block;
  };
  const take = (report: BlockReport): void => {
    total.seeds += report.seeds;
    total.messages += report.messages;
    total.events += report.events;
    total.virtualMs += report.virtualMs;
    total.absorbed += report.absorbed;
    total.crashes += report.crashes;
    for (const [what, times] of report.struck) {
      total.struck.set(what, (total.struck.get(what) ?? 0) + times);
    }
    for (const [what, times] of report.planned) {
      total.planned.set(what, (total.planned.get(what) ?? 0) + times);
    }
    total.failed.push(...report.failed);
    folded = BigInt.asUintN(64, folded + BigInt(`0x${report.hash}`));
    total.hash = folded.toString(16).padStart(16, '0');
    options.onProgress(total);
  };
  const source = import.meta.url.endsWith('.ts') ? './seed-worker.ts' : './seed-worker.js';
  const threads = Math.max(1, Math.min(options.threads, Math.ceil(count / BLOCK_SEEDS)));
  const runThread = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(source, import.meta.url));
      const proceed = (): void => {
        const block = nextBlock();
        if (block !== null) worker.postMessage(block);
        else void worker.terminate().then(() => resolve());
      };
      worker.on('message', (report: BlockReport) => {
        take(report);
        proceed();
      });
      worker.on('error', reject);
      // Blocks under way are given up: the report is about whole blocks.
      signal.addEventListener('abort', () => void worker.terminate().then(() => resolve()));
      proceed();
    });
  await Promise.all(Array.from({ length: threads }, runThread));
  total.failed.sort((a, b) => a.seed - b.seed);
  return total;
}
