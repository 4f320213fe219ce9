/**
 * The small worlds that are searched: which faults meet in one history, of how many messages.
 *
 * All faults at once with two messages would be, by the growth from world to world, some 10^7 to 10^8
 * states. So one message meets many faults in one history, and two messages meet every kind of fault
 * and the pairs that share a mechanism: what is lost around a crash or a disconnect, what comes twice
 * while something is lost.
 */
import type { Policy } from '../protocol/index.ts';
import { BUDGET_KEYS, type SmallMessage, type SmallWorldOptions } from './small-world-options.ts';
import { replaySmallWorld } from './small-world-live.ts';
import { searchSmallWorld, type SmallWorldReport } from './small-world-search.ts';

const ONE: readonly SmallMessage[] = [{ from: 1, to: 2 }];
const TWO: readonly SmallMessage[] = [...ONE, ...ONE];
/** Both users send and receive. */
const CROSSED: readonly SmallMessage[] = [
  { from: 1, to: 2 },
  { from: 2, to: 1 },
];

const NO_FAULTS = {
  losses: 0,
  duplicates: 0,
  reorders: 0,
  crashes: 0,
  disconnects: 0,
  retransmissions: 0,
  repeats: 0,
  commitFailures: 0,
} as const;

const LOSS = { losses: 1, retransmissions: 1 } as const;
const TWO_LOSSES = { losses: 2, retransmissions: 2 } as const;

type Faults = Partial<SmallWorldOptions>;

/** Under a second or two each: a part of the tests. */
const QUICK: readonly Faults[] = [
  { messages: TWO },
  { messages: TWO, ...LOSS },
  { messages: TWO, duplicates: 1 },
  { messages: ONE, ...TWO_LOSSES, repeats: 1 },
  { messages: ONE, ...LOSS, crashes: 1 },
  { messages: ONE, ...LOSS, disconnects: 1 },
  { messages: ONE, ...LOSS, reorders: 1, repeats: 1 },
  { messages: ONE, commitFailures: 1, crashes: 1, retransmissions: 1 },
];

const BOTH_POLICIES: readonly Faults[] = [
  { messages: ONE, commitFailures: 1, disconnects: 1, ...LOSS },
  { messages: TWO, ...TWO_LOSSES },
  { messages: TWO, crashes: 1 },
  { messages: TWO, disconnects: 1 },
  { messages: TWO, losses: 1, duplicates: 1 },
  { messages: ONE, ...LOSS, crashes: 1, disconnects: 1 },
];

const FULL: Readonly<Record<Policy, readonly Faults[]>> = {
  relay: [
    ...QUICK,
    ...BOTH_POLICIES,
    { messages: ONE, ...TWO_LOSSES, duplicates: 1, crashes: 1, repeats: 1 },
    { messages: TWO, ...LOSS, crashes: 1 },
    { messages: TWO, ...LOSS, disconnects: 1 },
    { messages: CROSSED, crashes: 1 },
    { messages: CROSSED, ...LOSS },
  ],
  durable: [
    ...QUICK,
    ...BOTH_POLICIES,
    { messages: ONE, ...TWO_LOSSES, crashes: 1, repeats: 1 },
    { messages: ONE, losses: 1, duplicates: 1, crashes: 1 },
  ],
};

/** Options of every world of the suite, for one policy. `quick` leaves the large ones out. */
function smallWorldsOf(
  policy: Policy,
  { quick }: { readonly quick: boolean },
): readonly Partial<SmallWorldOptions>[] {
  const worlds = quick ? QUICK : FULL[policy];
  return worlds.map((faults) => ({ ...NO_FAULTS, policy, ...faults }));
}

/** Searches the suite world by world; ends after the first violation. */
export function* searchSmallWorlds(
  policy: Policy,
  { quick }: { readonly quick: boolean },
): Generator<SmallWorldReport> {
  for (const options of smallWorldsOf(policy, { quick })) {
    const report = searchSmallWorld(options);
    yield report;
    if (report.violation !== null) return;
  }
}

/** One line of a report; after a violation its path too, a step a line, replayed on live machines. */
export function describeSmallWorld(report: SmallWorldReport): string[] {
  const { options, violation, elapsedMs } = report;
  const faults = BUDGET_KEYS.filter((key) => options[key] > 0)
    .map((key) => `${options[key]} ${key}`)
    .join(', ');
  const routes = options.messages.map(({ from, to }) => `${from}>${to}`).join(' ');
  const figures = [
    `${report.states} states`,
    `${report.transitions} transitions`,
    `depth ${report.depth}`,
    `${report.healStates} healed`,
    `${Math.round((report.states / elapsedMs) * 1000)} states/s`,
  ].join(', ');
  const verdict = violation === null ? (report.complete ? 'ok' : 'INCOMPLETE') : 'VIOLATION';
  const lines = [`${verdict}  ${options.policy} ${routes}  ${faults || 'no faults'}: ${figures}`];
  if (violation === null) return lines;
  lines.push(`  ${violation.rule}`);
  const replayed = replaySmallWorld(options, violation.steps).lines;
  const searchedFrom = replayed.length - violation.steps.length;
  replayed.forEach((line, index) => {
    if (index === searchedFrom + violation.searched) lines.push('  then, without faults:');
    lines.push(`  ${line}`);
  });
  return lines;
}
