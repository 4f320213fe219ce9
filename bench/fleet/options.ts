/** The flags of `ackbench fleet`: those of `plan`, and what happens to the fleet. */
import { commandWithInputs, parseShared, type SharedOptions } from '../plan/options.ts';
import { parseDurationMs } from '../units.ts';
import { SCENARIOS, type ScenarioName } from './scenarios.ts';

export interface FleetOptions extends SharedOptions {
  readonly scenarios: readonly ScenarioName[];
  readonly seed: number;
  /** Instead of the planned number; null = that. */
  readonly nodes: number | null;
  readonly spreadS: number;
  readonly recoverWithinS: number;
  readonly batchNodes: number | null;
  readonly drainS: number;
  readonly restartS: number;
  readonly validates: boolean;
}

interface FleetFlags {
  scenario?: string[];
  seed?: string;
  nodes?: string;
  reconnectSpread?: string;
  recoverWithin?: string;
  batch?: string;
  drain?: string;
  restart?: string;
  validate?: boolean;
}

const NODES_MAX = 10_000;

/** Flags to options, or all mistakes. */
export function parseFleet(
  argv: readonly string[],
): FleetOptions | { mistakes: string[] } | 'done' {
  const command = commandWithInputs('ackbench fleet')
    .description(
      'Simulates the planned fleet packet by packet: a day, a node lost at the peak, a storm of\n' +
        'reconnects, a rolling deploy; says whether the SLO holds, and how soon it does again.\n' +
        'Exit codes: 0, 1 = a scenario breaks the SLO, 2 = wrong usage, 3 = node counts are refused.',
    )
    .option('--scenario <name...>', `all (default), or ${SCENARIOS.join(', ')}`)
    .option('--seed <n>', 'seed of arrivals and service times (default 1)')
    .option('--nodes <n>', 'so many nodes instead of the planned number, spares included')
    .option('--reconnect-spread <time>', 'clients that were cut off try again within (default 1s)')
    .option(
      '--recover-within <time>',
      'SLO missed for no longer = recovers, else breaks (default 30s)',
    )
    .option('--batch <n>', 'nodes that a deploy restarts at once (default a tenth of them)')
    .option('--drain <time>', 'for which a deploy drains a node (default 10s)')
    .option('--restart <time>', 'that a node is away in a deploy (default 5s)')
    .option('--validate', 'hold the simulated server against the measured runs, and stop');
  const mistakes: string[] = [];
  const shared = parseShared(command, argv, mistakes);
  if (shared === 'done') return 'done';
  const flags = command.opts<FleetFlags>();
  const whole = (
    name: string,
    text: string | undefined,
    { min, max }: { min: number; max: number },
  ): number | null => {
    if (text === undefined) return null;
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    mistakes.push(`--${name} ${text}: must be a whole number between ${min} and ${max}`);
    return null;
  };
  const time = (name: string, text: string | undefined, fallbackS: number): number => {
    if (text === undefined) return fallbackS;
    const seconds = parseDurationMs(text) / 1000;
    if (seconds >= 0 && seconds <= 3600) return seconds;
    mistakes.push(`--${name} ${text}: must be a time up to 1h, as 500ms or 30s`);
    return fallbackS;
  };
  const seed = whole('seed', flags.seed, { min: 0, max: 0x7fffffff });
  const nodes = whole('nodes', flags.nodes, { min: 1, max: NODES_MAX });
  const batchNodes = whole('batch', flags.batch, { min: 1, max: NODES_MAX });
  const options = {
    scenarios: chooseScenarios(flags.scenario ?? ['all'], mistakes),
    seed: seed ?? 1,
    nodes,
    spreadS: time('reconnect-spread', flags.reconnectSpread, 1),
    recoverWithinS: time('recover-within', flags.recoverWithin, 30),
    batchNodes,
    drainS: time('drain', flags.drain, 10),
    restartS: time('restart', flags.restart, 5),
    validates: flags.validate === true,
  };
  if (shared === null || mistakes.length > 0) return { mistakes };
  return { ...shared, ...options };
}

function chooseScenarios(names: readonly string[], mistakes: string[]): ScenarioName[] {
  const known = SCENARIOS as readonly string[];
  for (const name of names) {
    if (name === 'all' || known.includes(name)) continue;
    mistakes.push(`--scenario ${name}: no such scenario; there are all, ${known.join(', ')}`);
  }
  return SCENARIOS.filter((name) => names.includes('all') || names.includes(name));
}
