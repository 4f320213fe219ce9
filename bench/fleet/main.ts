/** `ackbench fleet`. Tables on stdout; what is wrong, and where results were written, on stderr. */
import { sayMistakes } from '../command-line.ts';
import { ExitCode } from '../../loadgen/index.ts';
import type { Block } from '../plan/blocks.ts';
import { renderText } from '../plan/blocks.ts';
import { type FleetPlan, planFleet } from '../plan/formulas.ts';
import { writeFiles } from '../plan/main.ts';
import type { NamedCapacity } from '../plan/options.ts';
import { describeSource, planSourceOf, type SourceReport } from '../plan/report.ts';
import { inputsBlock } from '../plan/table.ts';
import { TOOL } from '../package-root.ts';
import { formatCount, formatDurationMs } from '../units.ts';
import { type FleetOptions, parseFleet } from './options.ts';
import { runScenario, type ScenarioName, type ScenarioReport } from './scenarios.ts';
import { fleetBlocks, validationBlocks } from './table.ts';
import { type FleetValidation, validateRuns } from './validate.ts';
import { workloadOf } from './workload.ts';

const FLEET_SCHEMA = 1;
const DEPLOY_MAX_S = 24 * 3600;
const NOTICE_EVERY_MS = 5000;
const SLICES_PER_LOOK = 100;

/** One capacity file's fleet, and what happened to it. */
export interface FleetOfFile {
  readonly source: SourceReport;
  readonly machine: string;
  readonly nodes: number;
  readonly nodesPlanned: number;
  readonly processes: number;
  /** Nodes that a rolling deploy restarts at once. */
  readonly batchNodes: number;
  readonly scenarios: ScenarioReport[];
}

export interface ValidationOfFile {
  readonly source: SourceReport;
  readonly validation: FleetValidation;
}

/** Runs the command; the exit code. */
export async function fleet(argv: readonly string[]): Promise<ExitCode> {
  const options = parseFleet(argv);
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('fleet', options.mistakes);
  if (options.validates) return validate(options);
  const fleets: FleetOfFile[] = [];
  let code: ExitCode = ExitCode.Pass;
  for (const named of options.capacities) {
    const simulated = simulate(named, options);
    if ('why' in simulated) {
      process.stderr.write(`fleet: ${simulated.why}\n`);
      code = code === ExitCode.Invalid ? code : simulated.code;
    } else fleets.push(simulated);
  }
  if (fleets.length === 0) return code;
  const blocks = fleets.flatMap((each) => fleetBlocks(each, options));
  const isWritten = print(options, blocks, { fleets });
  if (code !== ExitCode.Pass) return code;
  if (!isWritten) return ExitCode.Invalid;
  const isBroken = fleets.some(({ scenarios }) =>
    scenarios.some(({ verdict }) => verdict === 'breaks'),
  );
  return isBroken ? ExitCode.Failed : ExitCode.Pass;
}

function simulate(
  named: NamedCapacity,
  options: FleetOptions,
): FleetOfFile | { readonly why: string; readonly code: ExitCode } {
  const { file, capacity } = named;
  const { inputs, seed } = options;
  const source = planSourceOf(named);
  if (typeof source === 'string') return { why: source, code: ExitCode.Invalid };
  const outcome = planFleet(source, inputs);
  if (outcome.refusal !== null) {
    return { why: `${file}: no node counts: ${outcome.refusal}`, code: ExitCode.Invalid };
  }
  if (outcome.chosen === null) {
    return { why: `${file}: no machine type is enough: see ackbench plan`, code: ExitCode.Failed };
  }
  const planned = outcome.fleets[outcome.chosen] as FleetPlan;
  const nodes = options.nodes ?? planned.nodes.value;
  const batchNodes = Math.min(nodes, options.batchNodes ?? Math.max(1, Math.floor(nodes / 10)));
  const tooLong = deployTooLong(nodes, batchNodes, options);
  if (tooLong !== null) return { why: `${file}: ${tooLong}`, code: ExitCode.Usage };
  const workload = workloadOf(source.model.fitted, inputs, { fleet: planned, nodes });
  const tellWhenSlow = slowNotice();
  const scenarios = options.scenarios.map((name) =>
    runScenario(name, {
      workload,
      seed,
      sloS: inputs.sloP99Ms / 1000,
      peakFactor: inputs.peakFactor,
      spreadS: options.spreadS,
      recoverWithinS: options.recoverWithinS,
      batchNodes,
      drainS: options.drainS,
      restartS: options.restartS,
      onSlice: tellWhenSlow,
    }),
  );
  return {
    source: describeSource(file, capacity),
    machine: planned.machine.name,
    nodes,
    nodesPlanned: planned.nodes.value,
    processes: workload.gateways,
    batchNodes,
    scenarios,
  };
}

/** A deploy is simulated from end to end, so that one of weeks would be simulated for hours. */
function deployTooLong(
  nodes: number,
  batchNodes: number,
  { scenarios, drainS, restartS }: FleetOptions,
): string | null {
  if (!scenarios.includes('rolling-deploy')) return null;
  const lastsS = Math.ceil(nodes / batchNodes) * (drainS + restartS);
  if (lastsS <= DEPLOY_MAX_S) return null;
  return (
    `a rolling deploy of ${formatCount(nodes)} nodes, ${formatCount(batchNodes)} at once, takes ` +
    `${formatDurationMs(lastsS * 1000)} (at most ${formatDurationMs(DEPLOY_MAX_S * 1000)} are simulated): ` +
    'set a larger --batch, a shorter --drain or --restart, or other --scenario'
  );
}

/** Says every few seconds how far a simulation is; nothing for one that is done before. */
function slowNotice(): (name: ScenarioName, nowS: number) => void {
  let slices = 0;
  let saidAtMs = Date.now();
  return (name, nowS) => {
    if (++slices % SLICES_PER_LOOK > 0) return;
    const nowMs = Date.now();
    if (nowMs - saidAtMs < NOTICE_EVERY_MS) return;
    saidAtMs = nowMs;
    process.stderr.write(`fleet: ${name}: ${formatDurationMs(nowS * 1000)} simulated\n`);
  };
}

function validate(options: FleetOptions): ExitCode {
  const validations: ValidationOfFile[] = [];
  for (const named of options.capacities) {
    const source = planSourceOf(named);
    if (typeof source === 'string') {
      process.stderr.write(`fleet: ${source}\n`);
      return ExitCode.Invalid;
    }
    validations.push({
      source: describeSource(named.file, named.capacity),
      validation: validateRuns(named.capacity, source.model, options.seed),
    });
  }
  const isWritten = print(options, validations.flatMap(validationBlocks), { validations });
  return isWritten ? ExitCode.Pass : ExitCode.Invalid;
}

function print(options: FleetOptions, blocks: readonly Block[], content: object): boolean {
  const all = options.showsAssumptions ? [...blocks, inputsBlock(options.origins)] : blocks;
  process.stdout.write(renderText(all));
  const { inputs, origins, seed } = options;
  const report = { schema: FLEET_SCHEMA, kind: 'fleet', tool: TOOL, seed, inputs, origins };
  return writeFiles('fleet', options, { report: { ...report, ...content }, blocks: all });
}
