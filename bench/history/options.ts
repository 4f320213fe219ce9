/** The flags of `ackbench history`, and every mistake in them. */
import { Command } from 'commander';
import { outDirOf, parseFlags } from '../command-line.ts';

export interface HistoryOptions {
  /** Parts of names, or whole names with `*`; none = all metrics. */
  readonly patterns: readonly string[];
  readonly last: number | null;
  readonly isJson: boolean;
  readonly outDir: string;
  /** A part of its name; null = this one. */
  readonly machine: string | null;
}

interface HistoryFlags {
  metric?: string[];
  last?: string;
  json?: boolean;
  out?: string;
  machine?: string;
}

const LAST_MAX = 1_000_000;

function historyCommand(): Command {
  return new Command('ackbench history')
    .description(
      'Shows the figures of kept runs (bench --keep) over commits, and where they changed.\n' +
        'Exit codes: 0, 2 = wrong usage, or no history yet.',
    )
    .option('--metric <pattern...>', "parts of metric names, or whole ones with *: 'lossy*.p99'")
    .option('--last <n>', 'only the newest n runs')
    .option('--json', 'print JSON instead of the table')
    .option('--out <dir>', 'directory of history.ndjson (default results)')
    .option('--machine <text>', 'part of the name of the machine (default: this one)');
}

/** Flags and environment to options, or all mistakes. */
export function parseHistoryFlags(
  argv: readonly string[],
): HistoryOptions | { mistakes: string[] } | 'done' {
  const command = historyCommand();
  const mistakes: string[] = [];
  if (!parseFlags(command, argv, mistakes)) return 'done';
  const flags = command.opts<HistoryFlags>();
  const last = flags.last === undefined ? null : Number(flags.last);
  if (last !== null && !(/^\d+$/.test(flags.last as string) && last >= 1 && last <= LAST_MAX)) {
    mistakes.push(`--last ${flags.last}: must be between 1 and ${LAST_MAX}`);
  }
  for (const pattern of flags.metric ?? []) {
    if (pattern.trim() === '') mistakes.push('--metric: is empty: give a part of a name');
  }
  if (flags.machine?.trim() === '') mistakes.push('--machine: is empty: give a part of a name');
  const outDir = outDirOf(flags.out, mistakes);
  if (mistakes.length > 0) return { mistakes };
  return {
    patterns: flags.metric ?? [],
    last,
    isJson: flags.json === true,
    outDir,
    machine: flags.machine ?? null,
  };
}
