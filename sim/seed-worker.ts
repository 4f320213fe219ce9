/** A thread that runs seeds, block after block, and reports what it saw. */
import { parentPort } from 'node:worker_threads';
import type { Policy } from '../protocol/index.ts';
import { runSeed } from './run.ts';

export interface Block {
  readonly first: number;
  readonly count: number;
  readonly policy: Policy | null;
}

export interface BlockReport {
  readonly seeds: number;
  readonly messages: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly absorbed: number;
  readonly crashes: number;
  readonly struck: readonly (readonly [string, number])[];
  readonly planned: readonly (readonly [string, number])[];
  /** Failing seeds with their first violation. */
  readonly failed: readonly { seed: number; check: string; text: string }[];
  /** Hashes of all seeds, folded in their order. */
  readonly hash: string;
}

/** Runs one block of seeds. */
export function runBlock({ first, count, policy }: Block): BlockReport {
  const report = { seeds: count, messages: 0, events: 0, virtualMs: 0, absorbed: 0, crashes: 0 };
  const struck = new Map<string, number>();
  const planned = new Map<string, number>();
  const failed: { seed: number; check: string; text: string }[] = [];
  let folded = 0n;
  for (let seed = first; seed < first + count; seed++) {
    const outcome = runSeed(seed, policy);
    report.messages += outcome.messages.length;
    report.events += outcome.events;
    report.virtualMs += outcome.virtualMs;
    report.absorbed += outcome.absorbed;
    report.crashes += outcome.crashes;
    for (const [what, times] of outcome.struck) struck.set(what, (struck.get(what) ?? 0) + times);
    for (const { do: what } of outcome.plan.steps) planned.set(what, (planned.get(what) ?? 0) + 1);
    // A sum, so that blocks can be folded in any order.
    folded = BigInt.asUintN(64, folded + BigInt(`0x${outcome.hash}`) * BigInt(2 * seed + 1));
    const [violation] = outcome.violations;
    if (violation !== undefined) {
      const text = `${violation.message ?? ''} ${violation.text}`.trim();
      failed.push({ seed, check: violation.check, text });
    }
  }
  return {
    ...report,
    struck: [...struck],
    planned: [...planned],
    failed,
    hash: folded.toString(16),
  };
}

parentPort?.on('message', (block: Block) => parentPort?.postMessage(runBlock(block)));
