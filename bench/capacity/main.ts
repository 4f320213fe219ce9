/**
 * `ackbench capacity`: the search for lambda*, the overload, the grid, the model and its check. What was
 * measured is written after every run, so that Ctrl-C, or a machine that goes away, costs one run:
 * `--resume` goes on. Progress with the time left on stderr, the result on stdout.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { sayMistakes } from '../command-line.ts';
import { ExitCode, prepareThreads } from '../../loadgen/index.ts';
import {
  describeCommit,
  describeEnvironment,
  detectPinning,
  openFilesLimit,
  pinSelf,
} from '../environment.ts';
import { interruptible } from '../interrupt.ts';
import { runLoadOnce } from '../load-run.ts';
import { TOOL } from '../package-root.ts';
import { createProgress, type Progress } from '../progress.ts';
import { isUnfit, type RunContext } from '../rig.ts';
import type { LoadScenario } from '../scenario.ts';
import type { ScenarioResult } from '../result.ts';
import { ServerYard } from '../server-yard.ts';
import { formatCount } from '../units.ts';
import { bootstrap } from './bootstrap.ts';
import { CAPACITY_SCHEMA, type CapacityFile, type CapacityRun } from './file.ts';
import { fitParameters } from './fit.ts';
import { gridOf } from './grid.ts';
import { networkLaw } from './network.ts';
import { type CapacityOptions, parseCapacity } from './options.ts';
import { capacityRun, type Point, scenarioOf, type Timing } from './point.ts';
import { judgeProbe, judgeRecovery, recoveryScenario, searchPoint } from './probe.ts';
import { searchLambdaStar } from './search.ts';
import { exitOf } from './verdict.ts';
import { renderCapacity } from './table.ts';
import { validateModel } from './validate.ts';
import { walkGrid } from './walk.ts';
import { writeWhole } from '../write-file.ts';

/** Open files besides the clients' sockets. */
const FILES_KEPT = 500;
/** A point that the machine disturbed is measured again so often. */
const POINT_REPEATS = 1;
/** More than any calibration has. */
const RUNS_MAX = 1000;
const OVERHEAD_S = 2.5;
/** What a search takes, about. */
const PROBES_USUAL = 20;
const CONFIRMATIONS_USUAL = 3;

export async function capacity(argv: readonly string[]): Promise<ExitCode> {
  const pinning = detectPinning();
  const environment = describeEnvironment(pinning); // before pinning, which hides cores
  const options = parseCapacity(argv, Math.max(1, environment.cores - 1));
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('capacity', options.mistakes);
  const { settings, target } = options;
  pinSelf(target === null ? pinning : null);
  const signal = interruptible('capacity', 'keeping what was measured');
  prepareThreads(settings.workers);
  // All runs ask for the same: the next server starts while the last run settles.
  const { server } = scenarioOf(searchPoint(settings, 1), { warmupS: 0, windowS: 1 }, settings);
  const servers = new ServerYard(pinning, target === null ? Array(RUNS_MAX).fill(server) : []);
  const progress = createProgress({ enabled: options.progress });
  const file = options.resumed?.content ?? freshFile(options, environment);
  const calibration = new Calibration(options, file, {
    context: {
      seed: settings.seed,
      workers: settings.workers,
      servers,
      target,
      // Every run has its own line, with the time left; a bar for each would hide them.
      progress: { ...progress, start() {}, update() {}, phase() {}, end() {} },
      signal,
    },
    log: progress.log,
  });
  try {
    await calibration.run();
  } catch (error) {
    if (!isUnfit(error)) throw error;
    process.stderr.write(`capacity: ${(error as Error).message}\n`);
    calibration.keep();
    return ExitCode.Invalid;
  } finally {
    await servers.close();
  }
  process.stdout.write(renderCapacity(file));
  if (calibration.isKept) process.stderr.write(`result: ${calibration.place}\n`);
  if (file.interrupted && calibration.isKept) {
    process.stderr.write(`capacity: go on with --resume ${calibration.place}\n`);
  }
  if (signal.aborted) return ExitCode.Interrupted;
  if (file.interrupted) return ExitCode.Invalid;
  return calibration.isWhole ? exitOf(file) : ExitCode.Invalid;
}

function freshFile(
  { settings, target }: CapacityOptions,
  environment: CapacityFile['environment'],
): CapacityFile {
  return {
    schema: CAPACITY_SCHEMA,
    kind: 'capacity',
    tool: TOOL,
    startedAt: new Date().toISOString(),
    durationS: 0,
    seed: settings.seed,
    interrupted: true,
    commit: describeCommit(),
    environment,
    target:
      target === null
        ? {
            kind: 'reference',
            policy: settings.policy,
            store: settings.store,
            url: 'a fresh server per run on 127.0.0.1',
          }
        : { kind: 'remote', policy: 'unknown', store: 'unknown', url: target.url },
    settings,
    search: {
      slo: { quantile: 'p99', confirmMs: settings.sloMs },
      probes: [],
      lambdaStarPerSec: null,
      binds: 'none found',
      why: 'not over',
      recovery: null,
    },
    runs: [],
    losses: [],
    model: null,
    validation: null,
  };
}

interface Means {
  readonly context: RunContext;
  readonly log: Progress['log'];
}

class Calibration {
  readonly place: string;
  /** Whether the result file of the last save is there. */
  isKept = false;
  /** And that of `--json`, too. */
  isWhole = false;
  private readonly saidOfFiles = new Set<string>();
  private readonly options: CapacityOptions;
  private readonly file: CapacityFile;
  private readonly means: Means;
  private readonly durationBeforeS: number;
  private readonly startMs = performance.now();
  private readonly timings: { probe: Timing; confirm: Timing; point: Timing };

  constructor(options: CapacityOptions, file: CapacityFile, means: Means) {
    this.options = options;
    this.file = file;
    this.means = means;
    this.durationBeforeS = file.durationS;
    const stamp = file.startedAt.replace(/[:.]/g, '-');
    const name = `${stamp}-${file.commit.sha.slice(0, 8)}-capacity.json`;
    this.place = options.resumed?.file ?? path.join(options.outDir, name);
    this.timings = options.settings.isQuick
      ? {
          probe: { warmupS: 0.5, windowS: 1 },
          confirm: { warmupS: 0.5, windowS: 2 },
          point: { warmupS: 0.5, windowS: 1 },
        }
      : {
          probe: { warmupS: 3, windowS: 6 },
          confirm: { warmupS: 3, windowS: 15 },
          point: { warmupS: 3, windowS: 4 },
        };
  }

  async run(): Promise<void> {
    const { file, options, means } = this;
    const { signal } = means.context;
    file.interrupted = true;
    await this.search();
    if (signal.aborted) return this.keep();
    await this.recovery();
    const isMeasured =
      options.settings.isSearchOnly || (!signal.aborted && (await this.grid()) === 'all');
    if (signal.aborted || !isMeasured) return this.keep();
    if (!options.settings.isSearchOnly) this.model();
    file.interrupted = false;
    this.keep();
  }

  private get elapsedS(): number {
    return this.durationBeforeS + (performance.now() - this.startMs) / 1000;
  }

  /** Writes the file, whole or not at all. */
  keep(): void {
    const { file, options, place } = this;
    file.durationS = this.elapsedS;
    const text = `${JSON.stringify(file, null, 1)}\n`;
    this.isKept = this.write(place, text);
    const { jsonFile } = options;
    this.isWhole = (jsonFile === null || this.write(jsonFile, text)) && this.isKept;
  }

  /** Whether it worked; why not is said once. */
  private write(name: string, text: string): boolean {
    try {
      mkdirSync(path.dirname(path.resolve(name)), { recursive: true });
      writeWhole(name, text);
      return true;
    } catch (error) {
      const said = `capacity: cannot write ${name}: ${(error as Error).message}\n`;
      if (!this.saidOfFiles.has(said)) process.stderr.write(said);
      this.saidOfFiles.add(said);
      return false;
    }
  }

  private async search(): Promise<void> {
    const { file, options, means, timings } = this;
    const { settings } = options;
    const replay = file.search.probes;
    file.search.probes = [];
    // The first run of a process is compiled while it runs; it would not hold at any rate.
    if (!means.context.signal.aborted && replay.length === 0) {
      const lasts = ({ warmupS, windowS }: Timing): number => warmupS + windowS + OVERHEAD_S;
      const searchS =
        PROBES_USUAL * lasts(timings.probe) + CONFIRMATIONS_USUAL * lasts(timings.confirm);
      means.log(`searching: about ${Math.ceil(searchS / 60)} min, by the number of probes`);
      await this.warmUp();
    }
    const { isComplete: _, ...outcome } = await searchLambdaStar({
      startPerSec: settings.startPerSec,
      maxPerSec: settings.maxPerSec,
      sloMs: settings.sloMs,
      replay,
      probe: async (phase, ratePerSec) => {
        if (means.context.signal.aborted) return null;
        const timing = phase === 'confirm' ? timings.confirm : timings.probe;
        const scenario = scenarioOf(searchPoint(settings, ratePerSec), timing, settings);
        const result = await this.load(scenario);
        if (means.context.signal.aborted) return null;
        const outcome = judgeProbe(result, settings.sloMs);
        const said = outcome.ok ? 'holds' : outcome.reasons.join('; ');
        means.log(`${phase} ${formatCount(ratePerSec)}/s: ${said}`);
        return outcome;
      },
      onVoid: (isLast) =>
        means.log(
          isLast
            ? 'the machine was disturbed again and again: counted as not held'
            : 'the machine was disturbed: once more',
        ),
      onProbe: (probe) => {
        file.search.probes.push(probe);
        this.keep();
      },
    });
    Object.assign(file.search, outcome);
    this.keep();
  }

  private async warmUp(): Promise<void> {
    const { options, means } = this;
    const { settings } = options;
    const point = searchPoint(settings, Math.min(4000, settings.maxPerSec));
    const timing = { warmupS: 0, windowS: settings.isQuick ? 0.5 : 5 };
    means.log('warming up');
    await this.load(scenarioOf(point, timing, settings));
  }

  /** One run; what it lost is kept, whatever else comes of it. */
  private async load(scenario: LoadScenario): Promise<ScenarioResult> {
    const { file, means } = this;
    const result = await runLoadOnce(means.context, scenario, null);
    if (result.verdict === 'fail') {
      const { load } = scenario;
      const rate =
        load.mode === 'open'
          ? `${formatCount(load.steps?.at(-1)?.ratePerSec ?? load.ratePerSec)}/s`
          : load.mode;
      file.losses.push(`${rate}: ${result.reasons.join('; ')}`);
      means.log(`AUDIT FAILED at ${rate}: ${result.reasons.join('; ')}`);
    }
    return result;
  }

  private async recovery(): Promise<void> {
    const { file, options, means, timings } = this;
    const { lambdaStarPerSec, recovery } = file.search;
    if (lambdaStarPerSec === null || recovery !== null) return;
    const { scenario, backS } = recoveryScenario({
      settings: options.settings,
      lambdaPerSec: lambdaStarPerSec,
      timing: timings.probe,
    });
    const { series } = await this.load(scenario);
    file.search.recovery = judgeRecovery(series, backS, 1000 * options.settings.sloMs);
    if (means.context.signal.aborted) file.search.recovery = null;
    else {
      const { recoveredS, metastable } = file.search.recovery;
      const took = recoveredS === null ? 'not within 15 s' : `after ${recoveredS.toFixed(1)} s`;
      means.log(`overload of 1.5 times: recovered ${took}${metastable ? ': metastable' : ''}`);
    }
    this.keep();
  }

  private async grid(): Promise<'all' | 'part'> {
    const { file, options, means } = this;
    const { settings, limitS } = options;
    const { lambdaStarPerSec } = file.search;
    if (lambdaStarPerSec === null) return 'all';
    const points = gridOf({
      topPerSec: 0.9 * lambdaStarPerSec,
      clients: settings.clients,
      payloadBytes: settings.payloadBytes,
      clientsMax: Math.max(2, openFilesLimit() - FILES_KEPT),
      isQuick: settings.isQuick,
    });
    return walkGrid({
      points,
      runs: file.runs,
      limitS,
      elapsedS: () => this.elapsedS,
      isAborted: () => means.context.signal.aborted,
      measure: (point) => this.measure(point),
      onRun: (run, { nth, leftS }) => {
        const { mix, ratePerSec, isUsable, verdict, reasons, measured } = run;
        const { cpuShare } = measured;
        const busy = cpuShare === null ? '' : `, server ${(100 * cpuShare).toFixed(1)} % of a core`;
        const invalid = isUsable ? '' : `, ${verdict}: ${reasons.join('; ')}`;
        means.log(
          `[${nth}/${points.length}] ${mix} ${formatCount(ratePerSec)}/s${busy}${invalid}; about ${Math.ceil(leftS / 60)} min left`,
        );
        this.keep();
      },
      log: means.log,
    });
  }

  private async measure(point: Point): Promise<CapacityRun> {
    const { context } = this.means;
    for (let attempt = 0; ; attempt++) {
      const scenario = scenarioOf(point, this.timings.point, this.options.settings);
      const run = capacityRun(point, await this.load(scenario));
      if (run.isUsable || attempt === POINT_REPEATS || context.signal.aborted) return run;
    }
  }

  private model(): void {
    const { file, options } = this;
    const fittedRuns = file.runs.filter(({ heldOut }) => heldOut === null);
    const fitted = fitParameters(fittedRuns);
    if (fitted === null) return;
    const network = networkLaw(file.runs, options.settings.payloadBytes);
    const replicates = bootstrap(fittedRuns, { network, seed: options.settings.seed });
    const most = (pick: (run: CapacityRun) => number): number => Math.max(...file.runs.map(pick));
    file.model = {
      fitted,
      replicates,
      network,
      diskBytesPerStored: diskBytesPerStored(file.runs),
      measured: {
        ratePerSec: most(({ measured }) => measured.achievedPerSec),
        connections: most(({ measured }) => measured.connections),
        payloadBytes: most(({ payloadBytes }) => payloadBytes),
        cpuShare: most(({ measured }) => measured.cpuShare ?? 0),
      },
    };
    file.validation = validateModel(file.runs, { fitted, replicates, network });
  }
}

/** Beyond its content, from the runs in which receivers stayed away; null where no disk was seen. */
function diskBytesPerStored(runs: readonly CapacityRun[]): number | null {
  const middle = (values: number[]): number | null =>
    values.length === 0 ? null : (values.sort((a, b) => a - b)[values.length >> 1] as number);
  const empty = middle(
    runs.flatMap(({ mix, measured }) => (mix === 'online' ? (measured.dataBytes ?? []) : [])),
  );
  const perStored = runs.flatMap(({ mix, measured, payloadBytes }) => {
    if (mix !== 'offline' || measured.dataBytes === null || measured.waiting < 100) return [];
    return [(measured.dataBytes - (empty ?? 0)) / measured.waiting - payloadBytes];
  });
  const bytes = middle(perStored);
  return bytes === null ? null : Math.max(0, bytes);
}
