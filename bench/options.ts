/** The flags of `ackbench bench`, the scenarios they choose, and every mistake in them. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import {
  fileOf,
  numberOf,
  type NumberRule,
  outDirOf,
  parseFlags,
  setting,
} from './command-line.ts';
import { isLoopback, parseEndpoint } from '../loadgen/index.ts';
import { isRef } from './compare/side.ts';
import { describeCommit } from './environment.ts';
import { FORMAT_NAMES, type Output, parseOutputs } from './output/formats.ts';
import { ROOT_DIR } from './package-root.ts';
import type { RunContext } from './rig.ts';
import { parseScenario, readScenarioFile, type Scenario } from './scenario.ts';
import { builtInSuite, extraScenarios } from './suite.ts';
import { stopMistake } from './threshold-watch.ts';
import { parseThreshold, type Threshold } from './thresholds.ts';
import { readTrace } from './trace-file.ts';
import { formatDurationMs, parseCount, parseDurationMs } from './units.ts';

export interface BenchOptions {
  scenarios: Scenario[];
  seed: number;
  thresholds: Threshold[];
  /** Those of `thresholds` that stop a load. */
  stopsOn: Threshold[];
  jsonFile: string | null;
  outDir: string;
  outputs: Output[];
  workers: number | null;
  retries: number;
  target: RunContext['target'];
  /** Events of its message trace that each worker keeps; 0 = none is kept. */
  traceEventsMax: number;
  /** Whether the run gets a line in the history. */
  isKept: boolean;
  /** The frozen commit that a kept run is measured beside. */
  anchorRef: string | null;
  /** The live page; null = none, and a port of null is the usual one. */
  ui: { readonly port: number | null } | null;
  progress: boolean;
}

interface BenchFlags {
  quick?: boolean;
  scenario?: string[];
  list?: boolean;
  seed?: string;
  json?: string;
  out?: string;
  output?: string[];
  threshold?: string[];
  abortOnFail?: boolean;
  target?: string;
  jwtKey?: string;
  insecure?: boolean;
  allowRemote?: boolean;
  workers?: string;
  clients?: string;
  servers?: string;
  rate?: string;
  duration?: string;
  trace?: string;
  traceMessages?: string | true;
  retries?: string;
  keep?: boolean;
  anchor?: string;
  ui?: boolean;
  uiPort?: string;
  progress: boolean;
}

/** Fewer events than this are not worth a file; more are gigabytes of memory. */
const TRACE_EVENTS_MIN = 1000;
const TRACE_EVENTS_MAX = 50_000_000;
/** Real trace, where there is one; docs/RESULTS.md says how to get it. */
const TRACE_PLACES = ['data/college-msg.txt.gz', '../shared/data/college-msg.txt.gz'];
function benchCommand(): Command {
  const collect = (value: string, all: string[] = []): string[] => [...all, value];
  return new Command('ackbench bench')
    .description(
      'Runs the suite, or the scenarios named, against a fresh reference server each.\n' +
        'Flags > ACKBENCH_* (ACKBENCH_SEED for --seed …) > default.',
    )
    .option('--quick', 'the whole suite in about 25 s: a smoke test, not a measurement')
    .option('--scenario <name|file...>', 'built-in name, or a YAML/JSON file; may be repeated')
    .option('--list', 'list the built-in scenarios')
    .option('--seed <n>', 'seed of every random choice (default: from the clock, printed)')
    .option('--json <file>', 'write the result to this file too')
    .option('--out <dir>', 'directory of result files (default results)')
    .option(
      '--output <format=file>',
      `write the result in another format too: ${FORMAT_NAMES}; may be repeated`,
      collect,
    )
    .option('--threshold <rule>', "e.g. 'confirm.p99<50ms'; may be repeated", collect)
    .option(
      '--abort-on-fail',
      'a missed --threshold stops the load, instead of waiting for its end',
    )
    .option('--target <url>', 'measure this server (ws:// or wss://) instead of a fresh one')
    .option('--jwt-key <key>', 'HS256 secret of the target [ACKBENCH_JWT_KEY]')
    .option('--insecure', 'accept any TLS certificate of the target')
    .option('--allow-remote', 'allow a target that is not loopback')
    .option('--workers <n>', 'generator threads (default: one per core that the server leaves)')
    .option('--clients <n>', 'clients of every load scenario, e.g. 10k')
    .option('--servers <n>', 'independent servers that the clients of every load are parted among')
    .option('--rate <n>', 'messages per second of every open-loop scenario, e.g. 5k')
    .option('--duration <time>', 'length of the load of every scenario, e.g. 30s or 5m')
    .option('--trace <file>', 'message trace for the scenario trace')
    .option(
      '--trace-messages [n]',
      'record what happens to each message, for `ackbench explain`: the last n events of each ' +
        'generator (default 1m)',
    )
    .option('--retries <n>', 'runs again that were invalid (default 1)')
    .option('--keep', 'add the figures to history.ndjson of --out, for `ackbench history`')
    .option('--anchor <ref>', 'with --keep: run the loads against the server of this commit too')
    .option('--ui', 'show the run on a page while it goes on, on 127.0.0.1 only')
    .option('--ui-port <n>', 'port of --ui (default 9480, or any free one)')
    .option('--no-progress', 'no progress on stderr');
}

/** Flags and environment to options, or all mistakes. */
export function parseBench(
  argv: readonly string[],
): BenchOptions | { mistakes: string[] } | 'done' {
  const command = benchCommand();
  const mistakes: string[] = [];
  if (!parseFlags(command, argv, mistakes)) return 'done';
  const flags = command.opts<BenchFlags>();
  const number = (text: string | undefined, flag: string, rule: NumberRule): number | null =>
    numberOf(text, flag, { ...rule, mistakes });
  const wholeNumber = (text: string): number => (/^\d+$/.test(text) ? Number(text) : NaN);
  const seed = number(setting(flags.seed, 'SEED'), 'seed', {
    parse: wholeNumber,
    min: 0,
    max: 0x7fffffff,
  });
  const workers = number(setting(flags.workers, 'WORKERS'), 'workers', {
    parse: wholeNumber,
    min: 1,
    max: 256,
  });
  const retries = number(setting(flags.retries, 'RETRIES'), 'retries', {
    parse: wholeNumber,
    min: 0,
    max: 10,
  });
  const uiPort = number(setting(flags.uiPort, 'UI_PORT'), 'ui-port', {
    parse: wholeNumber,
    min: 0,
    max: 65_535,
  });
  if (flags.uiPort !== undefined && flags.ui !== true) mistakes.push('--ui-port: needs --ui');
  const clients = number(setting(flags.clients, 'CLIENTS'), 'clients', {
    parse: (text) => Math.round(parseCount(text)),
    min: 2,
    max: 1_000_000,
  });
  const servers = number(setting(flags.servers, 'SERVERS'), 'servers', {
    parse: wholeNumber,
    min: 1,
    max: 64,
  });
  const rate = number(setting(flags.rate, 'RATE'), 'rate', {
    parse: parseCount,
    min: 0.001,
    max: 10_000_000,
  });
  const durationMs = number(setting(flags.duration, 'DURATION'), 'duration', {
    parse: parseDurationMs,
    min: 100,
    max: 7 * 86_400_000,
    format: formatDurationMs,
  });
  const { traceMessages } = flags;
  const traceEventsMax = number(traceMessages === true ? '1m' : traceMessages, 'trace-messages', {
    parse: (text) => Math.round(parseCount(text)),
    min: TRACE_EVENTS_MIN,
    max: TRACE_EVENTS_MAX,
  });
  const thresholds: Threshold[] = [];
  for (const text of flags.threshold ?? []) {
    const parsed = parseThreshold(text);
    if (typeof parsed === 'string') mistakes.push(`--threshold: ${parsed}`);
    else thresholds.push(parsed);
  }
  if (flags.abortOnFail === true) {
    if (flags.threshold === undefined) mistakes.push('--abort-on-fail: needs a --threshold');
    mistakes.push(...thresholds.flatMap((threshold) => stopMistake(threshold) ?? []));
  }
  const traceFile = setting(flags.trace, 'TRACE') ?? defaultTrace();
  if (traceFile !== null && !existsSync(traceFile)) {
    mistakes.push(`--trace ${traceFile}: no such file`);
  }
  const suite = builtInSuite({ quick: flags.quick === true, traceFile });
  const extra = extraScenarios({ quick: flags.quick === true });
  if (flags.list === true && mistakes.length === 0) {
    listScenarios(suite, extra);
    return 'done';
  }
  const chosen = chooseScenarios(flags.scenario, { suite, extra }, mistakes);
  const scenarios = chosen.map((scenario) =>
    override(scenario, { clients, servers, rate, durationMs }),
  );
  for (const scenario of scenarios) {
    if (scenario.kind === 'load' && scenario.warmupS >= scenario.durationS) {
      mistakes.push(`--duration: ${scenario.name} warms up for ${scenario.warmupS} s already`);
    }
  }
  // What flags made of a scenario must be one all the same.
  if ([clients, servers, rate, durationMs].some((value) => value !== null)) {
    for (const scenario of scenarios) {
      const parsed = parseScenario(scenario, `with these flags, ${scenario.name}`);
      if ('mistakes' in parsed) mistakes.push(...parsed.mistakes);
    }
  }
  const hasLoad = scenarios.some(({ kind }) => kind === 'load');
  if (!hasLoad && scenarios.length > 0) {
    const idle = [
      ...(clients === null ? [] : ['--clients']),
      ...(servers === null ? [] : ['--servers']),
      ...(rate === null ? [] : ['--rate']),
      ...(flags.abortOnFail === true ? ['--abort-on-fail'] : []),
    ];
    const names = scenarios.map(({ name }) => name).join(', ');
    for (const flag of idle) mistakes.push(`${flag}: changes nothing in ${names}`);
  }
  for (const { text, scenario } of thresholds) {
    if (scenario === null || scenarios.some(({ name }) => name === scenario)) continue;
    mistakes.push(`--threshold ${text}: no scenario ${scenario} in this run`);
  }
  for (const scenario of scenarios) {
    if (scenario.kind !== 'trace' || scenario.file === null) continue;
    // A missing --trace was reported above.
    if (scenario.file === traceFile && !existsSync(traceFile)) continue;
    try {
      readTrace(scenario.file, { ...scenario, durationMs: scenario.durationS * 1000 });
    } catch (error) {
      mistakes.push(`${scenario.name}: ${(error as Error).message}`);
    }
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
  if (target !== null && servers !== null && servers > 1) {
    mistakes.push('--servers: a --target is one server');
  }
  mistakes.push(...keepMistakes(flags, target !== null));
  if (traceMessages !== undefined) mistakes.push(...traceMistakes(flags, scenarios));
  const outDir = outDirOf(flags.out, mistakes);
  const jsonFile = fileOf(flags.json, 'json', mistakes);
  const wanted = flags.output ?? process.env['ACKBENCH_OUTPUT']?.split(',') ?? [];
  const taken = jsonFile === null ? [] : [jsonFile];
  const { outputs, mistakes: ofOutputs } = parseOutputs(wanted, taken);
  mistakes.push(...ofOutputs);
  if (mistakes.length > 0) return { mistakes };
  return {
    scenarios,
    seed: seed ?? Date.now() % 0x7fffffff,
    thresholds,
    stopsOn: flags.abortOnFail === true ? thresholds : [],
    jsonFile,
    outDir,
    outputs,
    workers,
    retries: retries ?? 1,
    target,
    traceEventsMax: traceEventsMax ?? 0,
    isKept: flags.keep === true,
    anchorRef: flags.anchor ?? null,
    ui: flags.ui === true ? { port: uiPort } : null,
    progress: flags.progress,
  };
}

/** The history is one of commits: what is of none has no place in it. */
function keepMistakes({ keep = false, anchor }: BenchFlags, isRemote: boolean): string[] {
  const mistakes: string[] = [];
  if (keep && isRemote) mistakes.push('--keep: a --target is no commit of this checkout');
  if (keep && describeCommit().sha === 'unknown') {
    mistakes.push('--keep: not a git checkout, so there is no commit to keep the figures of');
  }
  if (anchor === undefined) return mistakes;
  if (!keep) mistakes.push('--anchor: only a run that is kept (--keep) needs one');
  if (!isRef(anchor)) mistakes.push(`--anchor ${anchor}: no such commit, branch or tag here`);
  return mistakes;
}

function traceMistakes({ keep = false }: BenchFlags, scenarios: readonly Scenario[]): string[] {
  const mistakes: string[] = [];
  if (keep) mistakes.push('--trace-messages: costs time per packet, and --keep compares runs');
  const isAny = scenarios.some(({ kind }) => kind === 'load' || kind === 'trace');
  if (!isAny && scenarios.length > 0) {
    mistakes.push('--trace-messages: only scenarios of kind load and trace have messages to trace');
  }
  return mistakes;
}

function defaultTrace(): string | null {
  for (const place of TRACE_PLACES) {
    const file = path.join(ROOT_DIR, place);
    if (existsSync(file)) return file;
  }
  return null;
}

function listScenarios(suite: readonly Scenario[], extra: readonly Scenario[]): void {
  const line = ({ name, description }: Scenario): string => `${name.padEnd(18)} ${description}\n`;
  process.stdout.write(suite.map(line).join(''));
  process.stdout.write(`\nNot in the suite, only by --scenario:\n${extra.map(line).join('')}`);
}

/** What was named; the suite when nothing was. */
function chooseScenarios(
  wanted: readonly string[] | undefined,
  builtIns: { suite: readonly Scenario[]; extra: readonly Scenario[] },
  mistakes: string[],
): Scenario[] {
  if (wanted === undefined) return [...builtIns.suite];
  const known = [...builtIns.suite, ...builtIns.extra];
  const chosen: Scenario[] = [];
  for (const word of wanted) {
    const builtIn = known.find(({ name }) => name === word);
    if (builtIn !== undefined) {
      chosen.push(builtIn);
    } else if (/[./\\]/.test(word)) {
      const read = readScenarioFile(word);
      if ('mistakes' in read) mistakes.push(...read.mistakes);
      else chosen.push(...read);
    } else {
      const names = known.map(({ name }) => name).join(', ');
      mistakes.push(`--scenario ${word}: unknown; built in are ${names}; a file needs its ending`);
    }
  }
  return chosen;
}

/** Flags that change every scenario they apply to. */
function override(
  scenario: Scenario,
  flags: {
    clients: number | null;
    servers: number | null;
    rate: number | null;
    durationMs: number | null;
  },
): Scenario {
  const changed = structuredClone(scenario);
  if (flags.durationMs !== null && changed.kind !== 'offline-cost') {
    const factor = flags.durationMs / 1000 / changed.durationS;
    changed.durationS = flags.durationMs / 1000;
    if (changed.kind === 'load') {
      changed.warmupS = Math.min(changed.warmupS, changed.durationS / 4);
      // Events keep their place in the run.
      for (const event of [...changed.clientEvents, ...changed.serverEvents]) event.atS *= factor;
      // Random faults come as often as before, for as long as the load lasts.
      if (changed.load.mode === 'open')
        for (const step of changed.load.steps ?? []) step.atS *= factor;
      const { chaos } = changed;
      if (chaos !== null) chaos.quietS = Math.min(chaos.quietS, changed.durationS / 4);
    }
  }
  if (changed.kind !== 'load') return changed;
  if (flags.clients !== null) changed.clients = flags.clients;
  if (flags.servers !== null) changed.server.processes = flags.servers;
  if (flags.rate !== null && changed.load.mode === 'open') changed.load.ratePerSec = flags.rate;
  return changed;
}

/** The server of somebody else that flags name; null = none. */
export function parseTarget(
  wanted: {
    url: string | undefined;
    jwtKey: string | undefined;
    isInsecure: boolean;
    allowRemote: boolean;
  },
  mistakes: string[],
): RunContext['target'] {
  const { url, jwtKey, isInsecure } = wanted;
  if (url === undefined) return null;
  if (jwtKey === undefined)
    mistakes.push('--target needs --jwt-key, the HS256 secret of the server');
  try {
    const { host } = parseEndpoint(url, { isInsecure });
    if (!isLoopback(host) && !wanted.allowRemote) {
      mistakes.push(`--target ${url}: not on this machine; add --allow-remote if you may load it`);
    }
  } catch (error) {
    mistakes.push(`--target: ${(error as Error).message}`);
  }
  return { url, jwtKey: jwtKey ?? '', isInsecure };
}
