/**
 * The commands of this room, and `ackbench bench` itself. Results on stdout, progress on stderr.
 * Ctrl-C stops the load, settles, reports what was measured and exits with 130; a second Ctrl-C
 * ends at once.
 */
import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { sayMistakes } from './command-line.ts';
import { ExitCode, prepareThreads } from '../loadgen/index.ts';
import { runCeiling } from './ceiling-run.ts';
import { capacity } from './capacity/main.ts';
import { compare } from './compare/main.ts';
import { touchesServer } from './chaos.ts';
import { doctor } from './doctor.ts';
import { describeCommit, describeEnvironment, detectPinning, pinSelf } from './environment.ts';
import { fleet } from './fleet/main.ts';
import { readyAnchor } from './history/anchor.ts';
import { keepRun } from './history/keep.ts';
import { explain } from './explain/main.ts';
import { MessageTraces } from './explain/save.ts';
import { history } from './history/main.ts';
import { runHttpPull } from './http-pull-run.ts';
import { interruptible } from './interrupt.ts';
import { LiveRunServer } from './live/live-run.ts';
import { runLoad, runTrace } from './load-run.ts';
import { runOfflineCost } from './offline-cost-run.ts';
import { type BenchOptions, parseBench } from './options.ts';
import { oracle } from './oracle/main.ts';
import { writeOutput } from './output/formats.ts';
import { renderMarkdown } from './output/markdown.ts';
import { thresholdValue } from './output/threshold-text.ts';
import { TOOL } from './package-root.ts';
import { plan } from './plan/main.ts';
import { report } from './report/main.ts';
import { serverOrders, ServerYard } from './server-yard.ts';
import { bothOf, createProgress } from './progress.ts';
import { type Result, SCHEMA, type ScenarioResult, type Verdict, worstVerdict } from './result.ts';
import { isServersFault, isUnfit, type RunContext } from './rig.ts';
import { type Scenario, thresholdsOf } from './scenario.ts';
import { renderResult } from './table.ts';
import type { Stop } from './threshold-watch.ts';
import { judgeThreshold, type Threshold } from './thresholds.ts';
import { writeWhole } from './write-file.ts';

const EXIT_OF: Readonly<Record<Verdict, ExitCode>> = {
  pass: ExitCode.Pass,
  fail: ExitCode.Failed,
  invalid: ExitCode.Invalid,
  unknown: ExitCode.Unknown,
};

async function runScenario(context: RunContext, scenario: Scenario): Promise<ScenarioResult> {
  switch (scenario.kind) {
    case 'load':
      return runLoad(context, scenario);
    case 'trace':
      return runTrace(context, scenario);
    case 'offline-cost':
      return runOfflineCost(context, scenario);
    case 'ceiling':
      // A trace would be part of what is measured there.
      return runCeiling({ ...context, messageTraces: null }, scenario);
    default:
      return runHttpPull(context, scenario);
  }
}

/** Applies thresholds of the scenario and of the flags; a missed one fails the run. */
function applyThresholds(
  result: ScenarioResult,
  scenario: Scenario,
  fromFlags: readonly Threshold[],
): void {
  const runs = [result, ...result.variants];
  const stops = runs.flatMap(({ extra }) => (extra['stopped'] as Stop | undefined) ?? []);
  const own = thresholdsOf(scenario).map(({ threshold }) => threshold);
  for (const threshold of [...own, ...fromFlags]) {
    // What stopped the load was missed, even if the rest that settled after it looks better.
    const stop = stops.find((candidate) => candidate.threshold === threshold.text);
    const outcome =
      stop === undefined
        ? judgeThreshold(threshold, result)
        : { threshold: stop.threshold, value: stop.value, ok: false };
    if (outcome === null) continue;
    result.thresholds.push(outcome);
    if (outcome.ok) continue;
    // An invalid or unknown run has no number that a threshold could judge.
    const isJudged = result.verdict === 'pass' || result.verdict === 'fail';
    if (!isJudged && stop === undefined) continue;
    const value = outcome.value === null ? 'has no value' : `is ${thresholdValue(outcome)}`;
    const when = stop === undefined ? '' : `, and the load was stopped after ${stop.second} s`;
    result.reasons.push(`threshold ${outcome.threshold} missed: it ${value}${when}`);
    if (result.verdict === 'pass') result.verdict = 'fail';
  }
}

async function bench(argv: readonly string[]): Promise<ExitCode> {
  const options = parseBench(argv);
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('bench', options.mistakes);
  const pinning = options.target === null ? detectPinning() : null;
  const environment = describeEnvironment(pinning); // before pinning, which hides cores
  pinSelf(pinning);
  const signal = interruptible('bench', 'settling and reporting');
  const shown = createProgress({ enabled: options.progress });
  const live = await openLive(options);
  if (typeof live === 'number') return live;
  const progress = live === null ? shown : bothOf(shown, live.progress);
  const anchor = await readyAnchor(options.anchorRef, { log: progress.log, signal });
  if (typeof anchor === 'number') return anchor;
  const workers = options.workers ?? Math.max(1, environment.cores - 1);
  prepareThreads(workers);
  const upcoming = options.target === null ? options.scenarios.flatMap(serverOrders) : [];
  const servers = new ServerYard(pinning, upcoming);
  servers.prepareNext();
  const commit = describeCommit(); // now: one made during the run is not what was measured
  const startedAt = new Date();
  const messageTraces = tracesOf(options, { startedAt: startedAt.toISOString(), sha: commit.sha });
  const context: RunContext = {
    messageTraces,
    seed: options.seed,
    workers,
    servers,
    target: options.target,
    progress,
    stopsOn: options.stopsOn,
    signal,
  };
  const startMs = performance.now();
  const scenarios: ScenarioResult[] = [];
  /** Scenarios that do not fit on this machine. */
  const unfit: string[] = [];
  /** Scenarios whose server did not start, or let nobody in. */
  const broken: string[] = [];
  /** What is known by now. */
  const conclude = (): Result => {
    const isInterrupted = signal.aborted;
    const first = scenarios[0];
    return {
      schema: SCHEMA,
      tool: TOOL,
      startedAt: startedAt.toISOString(),
      durationS: (performance.now() - startMs) / 1000,
      seed: options.seed,
      interrupted: isInterrupted,
      commit,
      environment,
      target:
        options.target === null
          ? {
              kind: 'reference',
              policy: first?.target.policy ?? '',
              store: first?.target.store ?? '',
              url: 'a fresh server per scenario on 127.0.0.1',
            }
          : { kind: 'remote', policy: 'unknown', store: 'unknown', url: options.target.url },
      verdict: worstVerdict([
        ...scenarios.map((scenario) => scenario.verdict),
        ...(broken.length > 0 ? (['fail'] as const) : []),
        ...(unfit.length > 0 ? (['invalid'] as const) : []),
        ...(isInterrupted || scenarios.length + unfit.length + broken.length === 0
          ? (['unknown'] as const)
          : []),
      ]),
      scenarios,
    };
  };
  try {
    for (const scenario of options.scenarios) {
      if (signal.aborted) break;
      const skip = skipReason(scenario, options.target !== null);
      if (skip !== null) {
        process.stderr.write(`bench: ${scenario.name}: left out: ${skip}\n`);
        continue;
      }
      let result: ScenarioResult;
      const scenarioStartMs = performance.now();
      try {
        result = await runScenario(context, scenario);
      } catch (error) {
        if (!isUnfit(error)) throw error;
        // What was measured before must not be lost with it.
        process.stderr.write(`bench: ${scenario.name}: ${(error as Error).message}\n`);
        (isServersFault(error) ? broken : unfit).push(scenario.name);
        continue;
      }
      for (let retry = 0; retry < options.retries && result.verdict === 'invalid'; retry++) {
        if (signal.aborted) break;
        context.progress.log(`${scenario.name}: invalid (${result.reasons.join('; ')}); once more`);
        const first = result.reasons;
        result = await runScenario(context, scenario);
        result.extra['invalidBefore'] = first;
      }
      // A copy: of a scenario with variants, the first of them has the same object.
      const elapsedS = Math.round(performance.now() - scenarioStartMs) / 1000;
      result.extra = { ...result.extra, elapsedS };
      applyThresholds(result, scenario, options.thresholds);
      scenarios.push(result);
      live?.finished(conclude());
    }
  } finally {
    await servers.close();
  }
  const result = conclude();
  const { verdict } = result;
  process.stdout.write(renderResult(result));
  const isWritten = writeResult(result, options) && isTraceWritten(messageTraces);
  await live?.end(result, fileNameOf(result));
  writeStepSummary(result);
  let isKept = true;
  if (options.isKept) {
    const { outDir: directory, retries } = options;
    isKept = await keepRun(result, {
      directory,
      anchor,
      scenarios: options.scenarios,
      context,
      retries,
    });
  }
  if (signal.aborted) return ExitCode.Interrupted;
  // What failed, failed, whether or not it could be written down.
  return (isWritten && isKept) || verdict === 'fail' ? EXIT_OF[verdict] : ExitCode.Invalid;
}

function skipReason(scenario: Scenario, isRemote: boolean): string | null {
  if (!isRemote) return null;
  if (scenario.kind === 'load' && touchesServer(scenario)) {
    return 'it kills or pauses the server, which is not ours to do at a --target';
  }
  if (scenario.kind === 'ceiling') {
    return 'it holds the reference server against a raw echo on the same core, so it needs its own';
  }
  return null;
}

/** The live page where one is wanted; an exit code when its port cannot be had. */
async function openLive({ ui, scenarios }: BenchOptions): Promise<LiveRunServer | null | ExitCode> {
  if (ui === null) return null;
  try {
    const planned = scenarios.map(({ name }) => name);
    const live = await LiveRunServer.start({ port: ui.port, planned });
    process.stderr.write(`live: ${live.url}\n`);
    return live;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is taken; choose another, or 0 for any' : message;
    process.stderr.write(`bench: --ui-port ${ui.port}: ${why}\n`);
    return ExitCode.Usage;
  }
}

function fileNameOf({ startedAt, commit }: Result): string {
  return `${resultStem({ startedAt, sha: commit.sha })}.json`;
}

/** The name of a result file, without its ending. */
function resultStem({ startedAt, sha }: { startedAt: string; sha: string }): string {
  return `${startedAt.replace(/[:.]/g, '-')}-${sha.slice(0, 8)}`;
}

function tracesOf(
  { traceEventsMax, outDir }: BenchOptions,
  run: { startedAt: string; sha: string },
): MessageTraces | null {
  if (traceEventsMax === 0) return null;
  const stem = resultStem(run);
  return new MessageTraces({ eventsMax: traceEventsMax, directory: outDir, stem, run });
}

/** Writes the result wherever it can; false, with the reasons on stderr, when a place refused it. */
function writeResult(result: Result, options: BenchOptions): boolean {
  const json = `${JSON.stringify(result, null, 1)}\n`;
  const files = [path.join(options.outDir, fileNameOf(result))];
  if (options.jsonFile !== null) files.push(options.jsonFile);
  let isWritten = true;
  const attempt = (place: string, write: () => void): void => {
    try {
      write();
      process.stderr.write(`result: ${place}\n`);
    } catch (error) {
      isWritten = false;
      process.stderr.write(`bench: cannot write ${place}: ${(error as Error).message}\n`);
    }
  };
  for (const file of files) {
    attempt(file, () => {
      if (file !== options.jsonFile && !existsSync(options.outDir)) mkdirSync(options.outDir);
      writeWhole(file, json);
    });
  }
  for (const output of options.outputs) attempt(output.place, () => writeOutput(result, output));
  return isWritten;
}

/** False, with the reasons on stderr, when a message trace could not be written. */
function isTraceWritten(traces: MessageTraces | null): boolean {
  const failures = traces?.failures ?? [];
  for (const failure of failures) process.stderr.write(`bench: ${failure}\n`);
  return failures.length === 0;
}

function writeStepSummary(result: Result): void {
  const file = process.env['GITHUB_STEP_SUMMARY'];
  if (file === undefined || file === '') return;
  try {
    appendFileSync(file, renderMarkdown(result));
  } catch (error) {
    process.stderr.write(`bench: no step summary: ${(error as Error).message}\n`);
  }
}

const COMMANDS: Readonly<Record<string, (argv: readonly string[]) => Promise<ExitCode>>> = {
  bench,
  capacity,
  compare,
  explain,
  history,
  oracle,
  plan,
  fleet,
  report,
  doctor,
};

/** All of stdout is out: more than a pipe holds is written later, and an exit would cut it off. */
function printed(): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write('', () => resolve());
  });
}

/** Entry of the bin: `name` is one of the commands of this room. */
export async function main(name: string, argv: readonly string[]): Promise<void> {
  const command = COMMANDS[name];
  if (command === undefined) throw new Error(`bench/ has no command ${name}`);
  // Whoever reads only the first lines of a table closes the pipe; that is no failure.
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') return;
    process.stderr.write(`${name}: cannot write to stdout: ${message}\n`);
    process.exit(ExitCode.Invalid);
  });
  try {
    const code = await command(argv);
    await printed();
    process.exit(code);
  } catch (error) {
    const { message, stack } = error as Error;
    const isEnvironment = isUnfit(error);
    process.stderr.write(`${name}: ${isEnvironment ? message : (stack ?? message)}\n`);
    const code = isServersFault(error) ? ExitCode.Failed : ExitCode.Invalid;
    process.exit(isEnvironment ? code : ExitCode.Bug);
  }
}
