/** The flags of `ackbench compare`, and every mistake in them. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import {
  checkOutputs,
  fileOf,
  numberOf,
  type NumberRule,
  outDirOf,
  parseWords,
  setting,
} from '../command-line.ts';
import { type LoadScenario, parseScenario, readScenarioFile } from '../scenario.ts';
import { PAIRS_MAX } from '../statistics/sign-flip.ts';
import { formatDurationMs, parseCount, parseDurationMs } from '../units.ts';
import { isRef, type Side, sideOfText } from './side.ts';
import { STAGE_1_PAIRS_MIN, STAGE_2_PAIRS_MIN } from './verdict.ts';

export interface CompareOptions {
  /** Refs (null = the working tree), sides that need no checkout, or result files. */
  readonly a: CompareWord;
  readonly b: CompareWord;
  readonly scenarios: LoadScenario[];
  readonly stage1Pairs: number;
  readonly stage2Pairs: number;
  /** What a message costs, and nothing that needs a server to have the machine for itself. */
  readonly isCostsOnly: boolean;
  readonly seed: number;
  readonly workers: number | null;
  readonly jsonFile: string | null;
  readonly markdownFile: string | null;
  readonly outDir: string;
  readonly progress: boolean;
}

export type CompareWord =
  | { readonly kind: 'ref'; readonly ref: string | null }
  | { readonly kind: 'side'; readonly side: Side }
  | { readonly kind: 'file'; readonly file: string };

interface CompareFlags {
  a?: string;
  b?: string;
  scenario?: string[];
  pairs?: string;
  freshPairs?: string;
  costsOnly?: boolean;
  clients?: string;
  rate?: string;
  duration?: string;
  warmup?: string;
  seed?: string;
  workers?: string;
  json?: string;
  markdown?: string;
  out?: string;
  jwtKey?: string;
  insecure?: boolean;
  allowRemote?: boolean;
  progress: boolean;
}

/** What is compared unless scenarios are named: one load below and one at saturation. */
const DEFAULT_SCENARIOS: readonly unknown[] = [
  {
    kind: 'load',
    name: 'steady',
    description: 'open loop, Poisson, far below saturation',
    clients: 200,
    load: { mode: 'open', ratePerSec: 4000 },
    durationS: 4, // 12,000 messages in the window: p99 needs 10,000
    warmupS: 1,
    retransmit: { firstMs: 300, maxMs: 300 },
  },
  {
    kind: 'load',
    name: 'saturated',
    description: 'closed loop, 4 messages in flight per client',
    clients: 200,
    load: { mode: 'closed', window: 4 },
    durationS: 3,
    warmupS: 1,
    retransmit: { firstMs: 300, maxMs: 300 },
  },
];

function compareCommand(): Command {
  return new Command('ackbench compare')
    .argument('[A]', 'git ref, or result file')
    .argument('[B]', 'git ref, or result file; the working tree when left out')
    .description(
      'Says whether B is slower than A, and whether that is more than noise: fresh servers of both,\n' +
        'pair by pair, the same load for both, by the generator of this tree. Costs of a message are\n' +
        'measured with both at once, speed with one after the other in random order.\n' +
        'Exit codes: 0, 1 = worse, 2 = wrong usage, 3 = could not be measured, 130 = interrupted.',
    )
    .option('--a <command|url>', 'server A: a command that starts one, or the URL of one that runs')
    .option('--b <command|url>', 'server B; see docs/MEASUREMENT.md for what a command is told')
    .option('--scenario <file...>', 'load scenarios instead of the two built in')
    .option('--pairs <n>', `pairs of stage 1 (default 8, at least ${STAGE_1_PAIRS_MIN})`)
    .option('--fresh-pairs <n>', 'pairs of stage 2, run when stage 1 sees something (default 12)')
    .option(
      '--costs-only',
      'CPU, packets, bytes and memory; no throughput, no latency: half the time',
    )
    .option('--clients <n>', 'clients of every scenario')
    .option('--rate <n>', 'messages per second of every open-loop scenario')
    .option('--duration <time>', 'load of every slice, the warm-up included (default 3s to 4s)')
    .option('--warmup <time>', 'warm-up of every slice (default 1s)')
    .option('--seed <n>', 'seed of arrivals and of the order in pairs')
    .option('--workers <n>', 'generator threads')
    .option('--json <file>', 'write the comparison to this file too')
    .option('--markdown <file>', 'write the table as Markdown to this file')
    .option('--out <dir>', 'directory of result files (default results)')
    .option('--jwt-key <key>', 'HS256 secret of a URL [ACKBENCH_JWT_KEY]')
    .option('--insecure', 'accept any TLS certificate of a URL')
    .option('--allow-remote', 'allow a URL that is not loopback')
    .option('--no-progress', 'no progress on stderr');
}

/** Flags and environment to options, or all mistakes. */
export function parseCompare(
  argv: readonly string[],
): CompareOptions | { mistakes: string[] } | 'done' {
  const command = compareCommand();
  const mistakes: string[] = [];
  const words = parseWords(command, argv, mistakes);
  if (words === 'done') return 'done';
  const flags = command.opts<CompareFlags>();
  const sidesByFlag = [flags.a, flags.b].filter((flag) => flag !== undefined).length;
  for (const word of words.slice(2 - sidesByFlag)) mistakes.push(`unexpected word ${word}`);
  const number = (text: string | undefined, flag: string, rule: NumberRule): number | null =>
    numberOf(text, flag, { ...rule, mistakes });
  const whole = (text: string): number => (/^\d+$/.test(text) ? Number(text) : NaN);
  const stage1Pairs = number(flags.pairs, 'pairs', {
    parse: whole,
    min: STAGE_1_PAIRS_MIN,
    max: PAIRS_MAX,
  });
  const stage2Pairs = number(flags.freshPairs, 'fresh-pairs', {
    parse: whole,
    min: STAGE_2_PAIRS_MIN,
    max: PAIRS_MAX,
  });
  if ((stage1Pairs ?? 8) + (stage2Pairs ?? 12) > PAIRS_MAX) {
    mistakes.push(`--pairs and --fresh-pairs: at most ${PAIRS_MAX} pairs together`);
  }
  const clients = number(flags.clients, 'clients', { parse: parseCount, min: 2, max: 15_000 });
  const rate = number(flags.rate, 'rate', { parse: parseCount, min: 1, max: 1_000_000 });
  const durationMs = number(flags.duration, 'duration', {
    parse: parseDurationMs,
    min: 500,
    max: 3_600_000,
    format: formatDurationMs,
  });
  const warmupMs = number(flags.warmup, 'warmup', {
    parse: parseDurationMs,
    min: 0,
    max: 3_600_000,
    format: formatDurationMs,
  });
  const seed = number(setting(flags.seed, 'SEED'), 'seed', {
    parse: whole,
    min: 0,
    max: 0x7fffffff,
  });
  const workers = number(setting(flags.workers, 'WORKERS'), 'workers', {
    parse: whole,
    min: 1,
    max: 256,
  });
  const scenarios = chooseScenarios(
    flags.scenario,
    {
      clients,
      rate,
      durationS: durationMs === null ? null : durationMs / 1000,
      warmupS: warmupMs === null ? null : warmupMs / 1000,
    },
    mistakes,
  );
  const access = {
    jwtKey: setting(flags.jwtKey, 'JWT_KEY'),
    isInsecure: flags.insecure === true,
    allowRemote: flags.allowRemote === true,
  };
  const a = wordOf('a', flags.a, words[0], { access, mistakes });
  const b = wordOf('b', flags.b, flags.a === undefined ? words[1] : words[0], { access, mistakes });
  if (a?.kind === 'ref' && a.ref === null) {
    mistakes.push('what is A? name a git ref, two result files, or give --a and --b');
  }
  const isFile = [a, b].filter((word) => word?.kind === 'file').length;
  if (isFile === 1) mistakes.push('a result file is compared with a result file: name two');
  const outDir = outDirOf(flags.out, mistakes);
  const jsonFile = fileOf(flags.json, 'json', mistakes);
  const markdownFile = fileOf(flags.markdown, 'markdown', mistakes);
  const read = [a, b].flatMap((word) => (word?.kind === 'file' ? [word.file] : []));
  checkOutputs({ json: jsonFile, markdown: markdownFile }, read, mistakes);
  if (mistakes.length > 0 || a === null || b === null) return { mistakes };
  return {
    a,
    b,
    scenarios,
    stage1Pairs: stage1Pairs ?? 8,
    stage2Pairs: stage2Pairs ?? 12,
    isCostsOnly: flags.costsOnly === true,
    seed: seed ?? Date.now() % 0x7fffffff,
    workers,
    jsonFile,
    markdownFile,
    outDir,
    progress: flags.progress,
  };
}

function wordOf(
  name: 'a' | 'b',
  flag: string | undefined,
  word: string | undefined,
  options: { access: Parameters<typeof sideOfText>[1]; mistakes: string[] },
): CompareWord | null {
  const { access, mistakes } = options;
  if (flag !== undefined) {
    const side = sideOfText(flag, access);
    if (typeof side !== 'string') return { kind: 'side', side };
    mistakes.push(`--${name}: ${side}`);
    return null;
  }
  if (word === undefined) return { kind: 'ref', ref: null };
  if (word.endsWith('.json')) {
    if (existsSync(word)) return { kind: 'file', file: word };
    mistakes.push(`${word}: no such result file`);
    return null;
  }
  if (isRef(word)) return { kind: 'ref', ref: word };
  mistakes.push(`${word}: no such commit, branch or tag here, and no result file (.json)`);
  return null;
}

/** Loads only, without variants: each slice is one run. */
function chooseScenarios(
  files: readonly string[] | undefined,
  flags: {
    clients: number | null;
    rate: number | null;
    durationS: number | null;
    warmupS: number | null;
  },
  mistakes: string[],
): LoadScenario[] {
  const scenarios: LoadScenario[] = [];
  const take = (value: unknown, where: string): void => {
    const parsed = parseScenario(value, where);
    if ('mistakes' in parsed) mistakes.push(...parsed.mistakes);
    else if (parsed.kind !== 'load' || parsed.variants.length > 0) {
      mistakes.push(`${where}: only loads without variants can be compared`);
    } else scenarios.push(parsed);
  };
  const changed = (scenario: LoadScenario): unknown => {
    const durationS = flags.durationS ?? scenario.durationS;
    const warmupS = flags.warmupS ?? Math.min(scenario.warmupS, durationS / 3);
    const { load } = scenario;
    return {
      ...scenario,
      clients: flags.clients ?? scenario.clients,
      durationS,
      warmupS,
      load: load.mode === 'open' ? { ...load, ratePerSec: flags.rate ?? load.ratePerSec } : load,
    };
  };
  const raw: { value: unknown; where: string }[] =
    files === undefined
      ? DEFAULT_SCENARIOS.map((value) => ({ value, where: 'built in' }))
      : files.flatMap((file) => {
          const read = readScenarioFile(file);
          if (!('mistakes' in read)) return read.map((value) => ({ value, where: file }));
          mistakes.push(...read.mistakes);
          return [];
        });
  for (const { value, where } of raw) {
    const parsed = parseScenario(value, where);
    take('mistakes' in parsed || parsed.kind !== 'load' ? value : changed(parsed), where);
  }
  const names = scenarios.map(({ name }) => name);
  for (const name of new Set(names.filter((each, i) => names.indexOf(each) !== i))) {
    mistakes.push(`scenario ${name}: named twice`);
  }
  return scenarios;
}
