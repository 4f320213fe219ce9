/** The flags of `ackbench capacity`, and every mistake in them. */
import { Command } from 'commander';
import {
  fileOf,
  numberOf,
  type NumberRule,
  outDirOf,
  parseFlags,
  setting,
} from '../command-line.ts';
import { parseTarget } from '../options.ts';
import {
  describeCommit,
  describeEnvironment,
  detectPinning,
  nameOfMachine,
} from '../environment.ts';
import { TOOL } from '../package-root.ts';
import type { RunContext } from '../rig.ts';
import { formatDurationMs, parseCount, parseDurationMs } from '../units.ts';
import type { CapacityFile, CapacitySettings } from './file.ts';
import { readCapacityFile } from './shape.ts';

export interface CapacityOptions {
  readonly settings: CapacitySettings;
  readonly target: RunContext['target'];
  /** An interrupted calibration to go on with, and where it is kept. */
  readonly resumed: { readonly file: string; readonly content: CapacityFile } | null;
  readonly outDir: string;
  readonly jsonFile: string | null;
  /** Beyond, repeats of points are left out. */
  readonly limitS: number;
  readonly progress: boolean;
}

interface CapacityFlags {
  slo?: string;
  policy?: string;
  store?: string;
  clients?: string;
  payloadBytes?: string;
  rateMin?: string;
  rateMax?: string;
  target?: string;
  jwtKey?: string;
  insecure?: boolean;
  allowRemote?: boolean;
  seed?: string;
  workers?: string;
  searchOnly?: boolean;
  quick?: boolean;
  resume?: string;
  limit?: string;
  json?: string;
  out?: string;
  progress: boolean;
}

/** What `--resume` takes from the file, so that these flags would contradict it. */
const SETTLED = [
  'slo',
  'policy',
  'store',
  'clients',
  'payloadBytes',
  'rateMin',
  'rateMax',
  'seed',
  'searchOnly',
  'quick',
  'workers',
  'out',
] as const satisfies (keyof CapacityFlags)[];

function capacityCommand(): Command {
  return new Command('ackbench capacity')
    .description(
      'Finds the highest rate that a server holds within an SLO, whether it recovers from overload,\n' +
        'and what each operation costs it; checks the model on runs that it was not fitted to. For\n' +
        '`ackbench plan`. About 15 minutes on two cores: see --limit.\n' +
        'Exit codes: 0, 1 = messages were lost, 2 = wrong usage, 3 = could not be measured, 130.',
    )
    .option('--slo <time>', 'p99 of confirm that must hold (default 100ms)')
    .option('--policy <name>', 'relay or durable (default relay)')
    .option('--store <name>', 'lmdb or memory (default lmdb)')
    .option('--clients <n>', 'clients of the search (default 500)')
    .option('--payload-bytes <n>', 'content of a message (default 128)')
    .option('--rate-min <n>', 'where the search begins, messages per second (default 1k)')
    .option('--rate-max <n>', 'where it ends at the latest (default 1m)')
    .option('--search-only', 'only the highest rate: no model, about 5 minutes')
    .option('--quick', 'short runs: shows how it works, and measures little')
    .option('--resume <file>', 'go on with an interrupted calibration, with its settings')
    .option('--limit <time>', 'beyond it no point is measured twice (default 15m)')
    .option('--target <url>', 'this server instead of a fresh reference server per run')
    .option('--jwt-key <key>', 'HS256 secret of the target [ACKBENCH_JWT_KEY]')
    .option('--insecure', 'accept any TLS certificate of the target')
    .option('--allow-remote', 'allow a target that is not loopback')
    .option('--seed <n>', 'seed of arrivals and of the bootstrap (default 1)')
    .option('--workers <n>', 'generator threads (default: one per core that the server leaves)')
    .option('--json <file>', 'write the result to this file too')
    .option('--out <dir>', 'directory of result files (default results)')
    .option('--no-progress', 'no progress on stderr');
}

/** Flags and environment to options, or all mistakes. */
export function parseCapacity(
  argv: readonly string[],
  defaultWorkers: number,
): CapacityOptions | { mistakes: string[] } | 'done' {
  const command = capacityCommand();
  const mistakes: string[] = [];
  if (!parseFlags(command, argv, mistakes)) return 'done';
  const flags = command.opts<CapacityFlags>();
  const number = (
    text: string | undefined,
    flag: string,
    { without, ...rule }: NumberRule & { readonly without: number },
  ): number => numberOf(text, flag, { ...rule, mistakes }) ?? without;
  const choice = (text: string | undefined, name: string, among: readonly string[]): string => {
    if (text === undefined || among.includes(text)) return text ?? (among[0] as string);
    mistakes.push(`--${name} ${text}: one of ${among.join(', ')}`);
    return among[0] as string;
  };
  const rate = { parse: parseCount, min: 1, max: 10_000_000 };
  const settings: CapacitySettings = {
    sloMs: sloMsOf(flags.slo, mistakes),
    policy: choice(flags.policy, 'policy', ['relay', 'durable']),
    store: choice(flags.store, 'store', ['lmdb', 'memory']),
    clients: number(flags.clients, 'clients', {
      parse: wholeCount,
      min: 2,
      max: 15_000,
      without: 500,
    }),
    payloadBytes: number(flags.payloadBytes, 'payload-bytes', {
      parse: wholeCount,
      min: 20,
      max: 1_048_576,
      without: 128,
    }),
    startPerSec: number(flags.rateMin, 'rate-min', { ...rate, without: 1000 }),
    maxPerSec: number(flags.rateMax, 'rate-max', { ...rate, without: 1_000_000 }),
    seed: number(setting(flags.seed, 'SEED'), 'seed', {
      parse: wholeCount,
      min: 0,
      max: 0x7fffffff,
      without: 1,
    }),
    workers: number(setting(flags.workers, 'WORKERS'), 'workers', {
      parse: wholeCount,
      min: 1,
      max: 256,
      without: defaultWorkers,
    }),
    isQuick: flags.quick === true,
    isSearchOnly: flags.searchOnly === true,
  };
  if (settings.startPerSec >= settings.maxPerSec) {
    mistakes.push('--rate-min: must be below --rate-max');
  }
  const target = parseTarget(
    {
      url: setting(flags.target, 'TARGET'),
      jwtKey: setting(flags.jwtKey, 'JWT_KEY'),
      isInsecure: flags.insecure === true,
      allowRemote: flags.allowRemote === true,
    },
    mistakes,
  );
  if (target !== null) {
    for (const name of ['policy', 'store'] as const) {
      if (flags[name] !== undefined) mistakes.push(`--${name}: is the target's own affair`);
    }
  }
  const resumed = resume(flags, target, mistakes);
  const limitS = number(flags.limit, 'limit', {
    parse: (text) => parseDurationMs(text) / 1000,
    min: 60,
    max: 86_400,
    format: (seconds) => formatDurationMs(1000 * seconds),
    without: 900,
  });
  const outDir = outDirOf(flags.out, mistakes);
  const jsonFile = fileOf(flags.json, 'json', mistakes);
  if (mistakes.length > 0) return { mistakes };
  return {
    settings: resumed?.content.settings ?? settings,
    target,
    resumed,
    outDir,
    jsonFile,
    limitS,
    progress: flags.progress,
  };
}

/** With a unit: a plain number is seconds elsewhere, and nobody means an SLO of 100 s. */
function sloMsOf(text: string | undefined, mistakes: string[]): number {
  if (text === undefined) return SLO_MS;
  const ms = /[a-z]$/.test(text) ? parseDurationMs(text) : NaN;
  if (ms >= 1 && ms <= SLO_MAX_MS) return ms;
  mistakes.push(`--slo ${text}: a time from 1ms to ${SLO_MAX_MS / 1000}s, with its unit`);
  return SLO_MS;
}

const SLO_MS = 100;
const SLO_MAX_MS = 60_000;

function wholeCount(text: string): number {
  const value = parseCount(text);
  return Number.isInteger(value) ? value : NaN;
}

function resume(
  flags: CapacityFlags,
  target: RunContext['target'],
  mistakes: string[],
): CapacityOptions['resumed'] {
  if (flags.resume === undefined) return null;
  for (const name of SETTLED) {
    if (flags[name] === undefined) continue;
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    mistakes.push(`--${flag}: is what the file of --resume says it is`);
  }
  const content = readCapacityFile(flags.resume);
  if (typeof content === 'string') {
    mistakes.push(`--resume ${content}`);
    return null;
  }
  const here = { environment: describeEnvironment(detectPinning()), commit: describeCommit() };
  if (nameOfMachine(content.environment) !== nameOfMachine(here.environment)) {
    mistakes.push(
      `--resume ${flags.resume}: was measured on ${nameOfMachine(content.environment)}; one model of two machines is none`,
    );
  }
  if (content.commit.sha !== here.commit.sha || content.tool.version !== TOOL.version) {
    mistakes.push(
      `--resume ${flags.resume}: was measured at commit ${content.commit.sha.slice(0, 12)}, this is ${here.commit.sha.slice(0, 12)}`,
    );
  }
  if (!content.interrupted) {
    mistakes.push(`--resume ${flags.resume}: is finished; there is nothing to go on with`);
  }
  if ((content.target.kind === 'remote') !== (target !== null)) {
    mistakes.push(
      target === null
        ? `--resume ${flags.resume}: measured ${content.target.url}; name it with --target again`
        : `--resume ${flags.resume}: measured the reference server, not a --target`,
    );
  } else if (target !== null && target.url !== content.target.url) {
    mistakes.push(`--resume ${flags.resume}: measured ${content.target.url}, not ${target.url}`);
  }
  return { file: flags.resume, content };
}
