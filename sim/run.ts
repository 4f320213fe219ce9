/** One seed: its plan, its world, twice, and what came of it. */
import { KIND_NAME, KINDS, type Policy } from '../protocol/index.ts';
import type { MessageRecord, Violation } from './checker.ts';
import { drawPlan, type Plan } from './plan.ts';
import type { TraceLine } from './trace.ts';
import { World } from './world.ts';

export interface RunOutcome {
  readonly plan: Plan;
  /** Of the trace: the same for the same plan. */
  readonly hash: string;
  readonly violations: readonly Violation[];
  readonly messages: readonly MessageRecord[];
  readonly events: number;
  readonly virtualMs: number;
  readonly absorbed: number;
  readonly crashes: number;
  /** Faults that struck, by class. */
  readonly struck: ReadonlyMap<string, number>;
  /** Only when recording. */
  readonly lines: readonly TraceLine[];
  readonly faultKeys: readonly string[];
}

const NOTHING_MUTED: ReadonlySet<string> = new Set();

/** Runs a plan once. An exception inside is a violation too: machines must not throw. */
export function runPlan(
  plan: Plan,
  options: { muted?: ReadonlySet<string>; isRecording?: boolean } = {},
): RunOutcome {
  const { muted = NOTHING_MUTED, isRecording = false } = options;
  const world = new World(plan, { muted, isRecording });
  const violations: Violation[] = [];
  try {
    world.run();
  } catch (error) {
    const { message, stack } = error as Error;
    const where = stack?.split('\n')[1]?.trim() ?? '';
    violations.push({
      check: 'exception',
      atMs: world.clock.nowMs,
      message: null,
      text: `${message} ${where}`,
    });
  }
  const sum = (parts: readonly { crashes: number }[]): number =>
    parts.reduce((total, { crashes }) => total + crashes, 0);
  return {
    plan,
    hash: world.trace.hash,
    violations: [...world.checker.violations, ...violations],
    messages: world.checker.messages,
    events: world.trace.events,
    virtualMs: world.clock.nowMs,
    absorbed: world.checker.absorbed,
    crashes: sum(world.clients) + sum(world.servers),
    struck: world.network.struck,
    lines: world.trace.lines ?? [],
    faultKeys: world.network.keys ?? [],
  };
}

/** Runs a seed twice; a second trace that differs is a violation as well. */
export function runSeed(seed: number, policy: Policy | null = null): RunOutcome {
  const plan = drawPlan(seed, policy);
  const first = runPlan(plan);
  const second = runPlan(drawPlan(seed, policy));
  if (first.hash === second.hash) return first;
  const differs: Violation = {
    check: 'replay',
    atMs: 0,
    message: null,
    text: `two runs of the seed differ: ${first.hash}, ${second.hash}`,
  };
  return { ...first, violations: [...first.violations, differs] };
}

/** A plan in a few lines, for people. */
export function describePlan(plan: Plan): string[] {
  const { timers } = plan;
  const lines = [
    `${plan.policy}, ${plan.servers} ${plan.servers === 1 ? 'server' : 'servers'}, ${plan.users} users, pull ${plan.strategy} by ${plan.pageMessages}`,
    `retransmission ${timers.firstMs} … ${timers.maxMs} ms, ${timers.maxAttempts} attempts; commit up to ${plan.commitMaxMs} ms, log sync up to ${plan.logSyncMaxMs} ms`,
  ];
  for (const kind of KINDS) {
    const faults = plan.packets[kind];
    if (faults === undefined) continue;
    const named = Object.entries(faults).filter(([, rate]) => rate > 0);
    if (named.length === 0) continue;
    const rates = named.map(([name, rate]) => `${name} ${Math.round(rate * 100)} %`);
    lines.push(`${KIND_NAME[kind].padEnd(7)} ${rates.join(', ')}`);
  }
  return lines;
}
