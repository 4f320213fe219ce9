/**
 * What happens to the fleet, and what that does to the SLO: a day, a node lost at the peak, a storm of
 * reconnects, a rolling deploy. A scenario holds when no window's p99 is above the SLO; it recovers when
 * those that are do not last long, and everybody comes back; else it breaks.
 */
import { FleetWorld, type WindowSample, type WorldOptions } from './world.ts';
import type { FleetWorkload } from './workload.ts';

export const SCENARIOS = ['day', 'node-failure', 'reconnect-storm', 'rolling-deploy'] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

type FleetVerdict = 'holds' | 'recovers' | 'breaks';

export interface ScenarioReport {
  readonly name: ScenarioName;
  readonly verdict: FleetVerdict;
  readonly does: string;
  /**
   * p99 of confirm in the worst window, and when that was: hour of the day, or s after the event; null =
   * no window had a message in it.
   */
  readonly worstP99S: number | null;
  readonly worstAt: number | null;
  /** Windows with a p99 above the SLO, together. */
  readonly aboveS: number;
  /** From the event to the end of the last of them; 0 = none; null = not within the run. */
  readonly recoverS: number | null;
  /** Work that waited in front of one gateway, at most. */
  readonly maxBacklogS: number;
  /** Messages among it, about. */
  readonly maxBacklogMessages: number;
  /** Clients without a connection, at most, and until the last of them was back. */
  readonly awayMax: number;
  readonly backS: number | null;
  /** Connections of the fullest gateway at the end, of an even share. */
  readonly imbalance: number;
}

export interface ScenarioOptions {
  readonly workload: FleetWorkload;
  readonly seed: number;
  readonly sloS: number;
  /** Peak rate over mean rate: the shape of the day. */
  readonly peakFactor: number;
  /** Clients that were cut off come back within so long. */
  readonly spreadS: number;
  readonly recoverWithinS: number;
  /** Nodes that a rolling deploy restarts at once. */
  readonly batchNodes: number;
  readonly drainS: number;
  readonly restartS: number;
  /** Told of every simulated slice, of the scenario and how far it is. */
  readonly onSlice?: (name: ScenarioName, nowS: number) => void;
}

/** Steady load before an event. */
const LEAD_S = 10;
const AFTER_MIN_S = 20;
const AFTER_MAX_S = 300;
/** A deploy is watched for its first and last batches; between them connections are only counted. */
const BATCHES_WATCHED = 3;
const DAY_SAMPLES = 48;
const DAY_WINDOW_S = 2;

export function runScenario(name: ScenarioName, options: ScenarioOptions): ScenarioReport {
  switch (name) {
    case 'day':
      return day(options);
    case 'node-failure':
      return nodeFailure(options);
    case 'reconnect-storm':
      return reconnectStorm(options);
    default:
      return rollingDeploy(options);
  }
}

/**
 * Load at an hour of the day, of that at the peak: ((1 + cos) / 2)^k around 20 h, with the k that makes
 * the mean 1 / peakFactor.
 */
export function loadOfDay(peakFactor: number): (hour: number) => number {
  const curve = (hour: number, k: number): number =>
    ((1 + Math.cos((2 * Math.PI * (hour - 20)) / 24)) / 2) ** k;
  const meanOf = (k: number): number => {
    let sum = 0;
    for (let i = 0; i < 240; i++) sum += curve(i / 10, k);
    return sum / 240;
  };
  let low = 0;
  let high = 1;
  while (meanOf(high) > 1 / peakFactor) high *= 2;
  for (let i = 0; i < 50; i++) {
    const k = (low + high) / 2;
    if (meanOf(k) > 1 / peakFactor) low = k;
    else high = k;
  }
  return (hour) => curve(hour, low);
}

function day(options: ScenarioOptions): ScenarioReport {
  const { workload, sloS } = options;
  const loadAt = loadOfDay(options.peakFactor);
  const samples: WindowSample[] = [];
  // Load changes slowly beside the queue: half an hour is seen through two seconds of it.
  for (let i = 0; i < DAY_SAMPLES; i++) {
    const hour = (i * 24) / DAY_SAMPLES;
    const load = loadAt(hour);
    const world = worldOf('day', options, [0], {
      seed: options.seed + i,
      loadAt: () => load,
      onSlice: () => options.onSlice?.('day', hour * 3600),
    });
    world.runTo(DAY_WINDOW_S);
    world.finish();
    const worst = worstOf(world.samples);
    samples.push({ ...worst, fromS: hour, untilS: hour + 24 / DAY_SAMPLES });
  }
  const above = samples.filter(({ p99S }) => p99S > sloS).length;
  const worst = worstOf(samples);
  return {
    name: 'day',
    verdict: above === 0 ? 'holds' : 'breaks',
    does: `24 hours, peak at 20 h, mean 1/${options.peakFactor} of it`,
    ...worstFigures(worst, (fromS) => fromS),
    aboveS: (above * 24 * 3600) / DAY_SAMPLES,
    recoverS: above === 0 ? 0 : null,
    ...backlogOf(samples, workload),
    awayMax: 0,
    backS: 0,
    imbalance: 1,
  };
}

function nodeFailure(options: ScenarioOptions): ScenarioReport {
  const { workload } = options;
  const lost = gatewaysOf(0, 1, workload);
  const left = workload.gateways - lost.length;
  const survivors = [0, 1, 2, 3].map((k) => lost.length + Math.floor((k * left) / 4));
  const world = worldOf('node-failure', options, left === 0 ? [] : survivors);
  world.runTo(LEAD_S);
  world.finish();
  world.kill(lost);
  const backS = settle(world, options);
  const does = `one node of ${workload.gateways / workload.perNode} dies at the peak`;
  return reportOf('node-failure', does, world, { options, backS });
}

function reconnectStorm(options: ScenarioOptions): ScenarioReport {
  const world = worldOf('reconnect-storm', options, []);
  world.runTo(LEAD_S);
  world.finish();
  world.loseAll();
  const backS = settle(world, options);
  const does = `every connection breaks at the peak, all back within ${options.spreadS} s if they could`;
  return reportOf('reconnect-storm', does, world, { options, backS });
}

function rollingDeploy(options: ScenarioOptions): ScenarioReport {
  const { workload, batchNodes, drainS, restartS } = options;
  const nodes = workload.gateways / workload.perNode;
  const batches = Math.ceil(nodes / batchNodes);
  // The first that are restarted end up with most connections: nobody moves back.
  const world = worldOf('rolling-deploy', options, [0, workload.gateways - 1]);
  world.runTo(LEAD_S);
  world.finish();
  for (let batch = 0; batch < batches; batch++) {
    const gateways = gatewaysOf(batch * batchNodes, batchNodes, workload);
    const step = (): void => {
      world.drain(gateways, drainS);
      world.kill(gateways);
      world.runTo(world.nowS + restartS);
      world.start(gateways);
    };
    const isWatched = batch < BATCHES_WATCHED || batch >= batches - BATCHES_WATCHED;
    if (isWatched) step();
    else world.unwatched(step);
  }
  const endS = world.nowS;
  const backS = settle(world, options);
  const does = `${batches} batches of ${batchNodes}, each drained for ${drainS} s and away for ${restartS} s`;
  return reportOf('rolling-deploy', does, world, {
    options,
    backS: backS === null ? null : endS - LEAD_S + backS,
  });
}

/** Gateways of `count` nodes from the given one on. */
function gatewaysOf(node: number, count: number, { gateways, perNode }: FleetWorkload): number[] {
  const to = Math.min(gateways, (node + count) * perNode);
  return Array.from({ length: to - node * perNode }, (_, i) => node * perNode + i);
}

function worldOf(
  name: ScenarioName,
  { workload, seed, spreadS, onSlice }: ScenarioOptions,
  watch: readonly number[],
  more: Partial<WorldOptions> = {},
): FleetWorld {
  const tell = (nowS: number): void => onSlice?.(name, nowS);
  return new FleetWorld({ workload, seed, watch, spreadS, onSlice: tell, ...more });
}

/** Runs on until all are back and nothing waits; seconds until all were back, null = not in time. */
function settle(world: FleetWorld, { sloS }: ScenarioOptions): number | null {
  const fromS = world.nowS;
  let backS: number | null = null;
  while (world.nowS - fromS < AFTER_MAX_S) {
    world.runTo(world.nowS + 1);
    if (backS === null && world.isEverybodyBack) backS = world.nowS - fromS;
    const last = world.samples.at(-1);
    const isCalm = last !== undefined && last.p99S <= sloS && last.fromS > fromS;
    if (backS !== null && isCalm && world.nowS - fromS >= Math.max(AFTER_MIN_S, 2 * backS)) break;
  }
  world.finish();
  return backS;
}

function reportOf(
  name: ScenarioName,
  does: string,
  world: FleetWorld,
  { options, backS }: { readonly options: ScenarioOptions; readonly backS: number | null },
): ScenarioReport {
  const { sloS, workload, recoverWithinS } = options;
  const samples = world.samples.filter(({ untilS }) => untilS > LEAD_S);
  const worst = worstOf(samples);
  const above = samples.filter(({ p99S }) => p99S > sloS);
  const aboveS = above.reduce((sum, { fromS, untilS }) => sum + untilS - fromS, 0);
  const lastAbove = above.at(-1);
  const isStillAbove = lastAbove !== undefined && lastAbove === samples.at(-1);
  let recoverS: number | null = 0;
  if (isStillAbove) recoverS = null;
  else if (lastAbove !== undefined) recoverS = Math.max(0, lastAbove.untilS - LEAD_S);
  let verdict: FleetVerdict = 'breaks';
  if (lastAbove === undefined && backS !== null) verdict = 'holds';
  else if (recoverS !== null && aboveS <= recoverWithinS && backS !== null) verdict = 'recovers';
  return {
    name,
    verdict,
    does,
    ...worstFigures(worst, (fromS) => Math.round(fromS - LEAD_S)),
    aboveS,
    recoverS,
    ...backlogOf(samples, workload),
    awayMax: Math.round(world.awayMax),
    backS,
    imbalance: world.imbalance,
  };
}

function worstOf(samples: readonly WindowSample[]): WindowSample {
  const none: WindowSample = { fromS: 0, untilS: 0, p99S: 0, backlogS: 0 };
  return samples.reduce((worst, each) => (each.p99S > worst.p99S ? each : worst), none);
}

/** Every confirm takes time: a worst p99 of 0 is a fleet in which nobody sent anything. */
function worstFigures(
  { p99S, fromS }: WindowSample,
  at: (fromS: number) => number,
): Pick<ScenarioReport, 'worstP99S' | 'worstAt'> {
  return p99S === 0 ? { worstP99S: null, worstAt: null } : { worstP99S: p99S, worstAt: at(fromS) };
}

function backlogOf(
  samples: readonly WindowSample[],
  { packetS, msgRShare }: FleetWorkload,
): Pick<ScenarioReport, 'maxBacklogS' | 'maxBacklogMessages'> {
  const maxBacklogS = samples.reduce((most, { backlogS }) => Math.max(most, backlogS), 0);
  const packets = packetS > 0 ? maxBacklogS / packetS : 0;
  return { maxBacklogS, maxBacklogMessages: Math.round(packets * msgRShare) };
}
