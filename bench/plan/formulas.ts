/**
 * From what was measured on one server to a fleet: every formula of `ackbench plan`, and nothing else.
 * The HTML report inlines exactly this file, types stripped, as its calculator, so it has no imports
 * but types, and no API of Node or of a browser: `plan` and the page agree to the last digit.
 *
 * A node is a machine that runs one server process per core; a process was measured, more than one were
 * not. With D the direct work of the fleet (core seconds per second) and W the work of waking a loop
 * that sleeps, P processes are busy for U = (D + W) / (P + W): `busyShareOf` of the capacity file.
 */
import type { CapacityFile, CapacitySearch, Operation, Parameters } from '../capacity/file.ts';

/** The parts of a capacity result that a plan rests on. */
export interface PlanSource {
  model: NonNullable<CapacityFile['model']>;
  search: Pick<CapacitySearch, 'slo' | 'lambdaStarPerSec' | 'binds'>;
  /** Why node counts must not be printed; null = they may. */
  refusal: string | null;
}

export interface MachineType {
  name: string;
  /** One server process each; a hyperthread is no core. */
  cores: number;
  memoryGb: number;
  networkGbps: number;
  diskGb: number;
  /** In any currency; null = not known, and then no cost is said. */
  pricePerMonth: number | null;
}

export interface PlanInputs {
  dailyUsers: number;
  /** At most 1: share of the daily users; above: connections. */
  peakConcurrent: number;
  /** Deliveries: a message to a group of ten is ten. */
  messagesPerUserPerDay: number;
  /** Peak rate over mean rate. */
  peakFactor: number;
  /** Share of the messages whose receiver is away. */
  offlineShare: number;
  loginsPerUserPerDay: number;
  retentionDays: number;
  /** What the disk keeps so long: messages for who was away, or all of them. */
  keeps: 'stored' | 'all';
  payloadBytes: number;
  tls: boolean;
  heartbeatS: number;
  sloP99Ms: number;
  targetUtilisation: number;
  spareNodes: number;
  /** 0.2 = 20 % more users than today. */
  growth: number;
  /** msg:R beyond the first, per message. */
  retransmitShare: number;
  /** Copies of every stored byte in the fleet. */
  copies: number;
  connectionsPerProcess: number;
  /** N processes of a node do the work of N / (1 + contention (N - 1)): the sigma of the USL. */
  contention: number;
  machines: MachineType[];
}

/** The fleet's load at its peak, per second unless the name says otherwise. */
export interface Demand {
  messagesPerSec: number;
  onlinePerSec: number;
  storedPerSec: number;
  pulledPerSec: number;
  connectPerSec: number;
  pullRequestsPerSec: number;
  retransmitPerSec: number;
  payloadKiBPerSec: number;
  packetsInPerSec: number;
  packetsOutPerSec: number;
  /** Heartbeats beyond those that were measured with the connections. */
  extraHeartbeatsPerSec: number;
  connections: number;
  /** Messages in inboxes, by Little's law. */
  waitingMessages: number;
  messagesPerDay: number;
}

/** A figure with its 90 % interval over the bootstrap replicates; null = too few of them. */
export interface Figure {
  value: number;
  low: number | null;
  high: number | null;
}

type Resource = 'CPU' | 'latency' | 'lambda*' | 'memory' | 'connections' | 'network' | 'disk';

/** What a fleet of one type of machine comes to. */
export interface FleetPlan {
  machine: MachineType;
  /** Why no number of them is enough; null = it fits, and the figures hold. */
  unfit: string | null;
  binds: Resource;
  /** Share of the replicates in which the same resource binds. */
  bindsShare: number | null;
  /** Machines before rounding and without spares, by resource. */
  needs: Record<Resource, Figure | null>;
  /** The largest of them. */
  nodesExact: Figure;
  /** With spares. */
  nodes: Figure;
  processes: number;
  costPerMonth: Figure | null;
  /** At the peak, with the spares down. */
  busyShare: Figure;
  confirmUs: { quantile: 'p50' | 'p90' | 'p99'; figure: Figure }[];
  meetsSlo: boolean;
  memoryPerNodeBytes: Figure;
  connectionsPerNode: number;
  messagesPerSecPerProcess: number;
  networkPerNodeBitsPerSec: { in: number; out: number };
  diskPerNodeBytes: number;
  /** Seconds until everybody is back and has their inbox; null = never, or nobody is left to take them. */
  storm: {
    connections: number;
    oneNodeS: Figure | null;
    wholeFleetS: Figure;
  };
}

export interface PlanOutcome {
  demand: Demand;
  network: { inBitsPerSec: number; outBitsPerSec: number };
  disk: { bytes: number; bytesPerDay: number };
  refusal: string | null;
  /** One per machine type, in their order; none when node counts are refused. */
  fleets: FleetPlan[];
  /** Index of the cheapest that fits; without prices, that of the fewest cores. */
  chosen: number | null;
  extrapolated: string[];
  assumed: string[];
}

/** Free space that a disk and a memory are planned with. */
const DISK_USABLE = 0.7;
const MEMORY_USABLE = 0.8;
/** The idle timeout of the reference server, with which connections were measured. */
const HEARTBEAT_MEASURED_S = 60;
const PAGE_MESSAGES = 100;
/** Content of a segment on Ethernet, with timestamps. */
const SEGMENT_CONTENT_BYTES = 1448;
/** A ping of the server and the masked pong. */
const PING_BYTES = 2;
const PONG_BYTES = 6;
/** TLS is not measured. RSA-2048 handshake, AES-GCM record, TLS 1.3 sizes: an assumption, all of it. */
export const TLS_ASSUMED = {
  handshakeUs: 1000,
  recordUs: 1,
  recordBytes: 22,
  handshakeInBytes: 600,
  handshakeOutBytes: 3500,
  connectionBytes: 32_768,
} as const;
const REPLICATES_MIN = 20;
/** Beyond, an input is mistyped rather than a fleet planned. */
const NODES_MAX = 1e6;

/** The fleet's load at the peak. */
export function demandOf(inputs: PlanInputs): Demand {
  const users = inputs.dailyUsers * (1 + inputs.growth);
  const messagesPerDay = users * inputs.messagesPerUserPerDay;
  const messagesPerSec = (messagesPerDay / 86_400) * inputs.peakFactor;
  const connectPerSec = ((users * inputs.loginsPerUserPerDay) / 86_400) * inputs.peakFactor;
  const { peakConcurrent } = inputs;
  const connections =
    (peakConcurrent <= 1 ? peakConcurrent * inputs.dailyUsers : peakConcurrent) *
    (1 + inputs.growth);
  const storedPerSec = messagesPerSec * inputs.offlineShare;
  const onlinePerSec = messagesPerSec - storedPerSec;
  // What is stored is pulled again, page by page, and the last pull of a login comes back empty.
  const pullRequestsPerSec = connectPerSec + storedPerSec / PAGE_MESSAGES;
  const retransmitPerSec = messagesPerSec * inputs.retransmitShare;
  const heartbeatsPerSec = connections / inputs.heartbeatS;
  const waitDays = Math.min(inputs.retentionDays, 1 / inputs.loginsPerUserPerDay);
  return {
    messagesPerSec,
    onlinePerSec,
    storedPerSec,
    pulledPerSec: storedPerSec,
    connectPerSec,
    pullRequestsPerSec,
    retransmitPerSec,
    payloadKiBPerSec: (messagesPerSec * inputs.payloadBytes) / 1024,
    packetsInPerSec:
      2 * onlinePerSec + storedPerSec + retransmitPerSec + connectPerSec + pullRequestsPerSec,
    packetsOutPerSec:
      4 * onlinePerSec +
      2 * storedPerSec +
      2 * retransmitPerSec +
      2 * connectPerSec +
      pullRequestsPerSec,
    extraHeartbeatsPerSec: Math.max(0, heartbeatsPerSec - connections / HEARTBEAT_MEASURED_S),
    connections,
    waitingMessages: messagesPerDay * inputs.offlineShare * waitDays,
    messagesPerDay,
  };
}

/** Core seconds per second of the whole fleet: direct work, and what waking would cost if all slept. */
export function workOf(
  demandUs: Record<Operation, number>,
  demand: Demand,
  inputs: Pick<PlanInputs, 'tls' | 'heartbeatS'>,
): { direct: number; wake: number } {
  const heartbeats = Math.max(1, HEARTBEAT_MEASURED_S / inputs.heartbeatS);
  let directUs =
    demand.onlinePerSec * demandUs.online +
    demand.storedPerSec * demandUs.stored +
    demand.pulledPerSec * demandUs.pulled +
    demand.connectPerSec * demandUs.connect +
    demand.connections * demandUs.connectionSecond * heartbeats +
    demand.payloadKiBPerSec * demandUs.payloadKiB +
    demand.retransmitPerSec * demandUs.retransmit;
  if (inputs.tls) {
    const records = demand.packetsInPerSec + demand.packetsOutPerSec;
    directUs += demand.connectPerSec * TLS_ASSUMED.handshakeUs + records * TLS_ASSUMED.recordUs;
  }
  const packetsIn = demand.packetsInPerSec + demand.extraHeartbeatsPerSec;
  const wakeUs = packetsIn * demandUs.wakeUp + demand.storedPerSec * demandUs.loneCommit;
  return { direct: directUs / 1e6, wake: wakeUs / 1e6 };
}

/** Processes that do as much as all of a node, were each of them alone on it. */
export function effectiveCores(machine: MachineType, inputs: PlanInputs): number {
  return machine.cores / (1 + inputs.contention * (machine.cores - 1));
}

/** Busy share of each of `processes` that share the work: U = (D + W) / (P + W). */
export function busyShareWith(work: { direct: number; wake: number }, processes: number): number {
  return (work.direct + work.wake) / (processes + work.wake);
}

/** Processes, not rounded, that are busy for `share` of the time. */
function processesFor(work: { direct: number; wake: number }, share: number): number {
  return Math.max(0, (work.direct + work.wake) / share - work.wake);
}

/** A quantile of confirm, us, at a busy share; infinite from 1 on. */
export function confirmUsAt(law: { aUs: number; bUs: number }, busyShare: number): number {
  return busyShare >= 1 ? Infinity : law.aUs + (law.bUs * busyShare) / (1 - busyShare);
}

/** The busy share at which p99 is the SLO; 0 or less = no number of processes meets it. */
function busyShareAtSlo(parameters: Parameters, sloP99Ms: number): number {
  const law = parameters.latency.find(({ quantile }) => quantile === 'p99');
  if (law === undefined) return 1;
  const roomUs = sloP99Ms * 1000 - law.aUs;
  if (roomUs <= 0) return 0;
  return roomUs / (roomUs + Math.max(0, law.bUs));
}

/** Bits per second on the wire of the whole fleet, TCP and IP headers and login pulls included. */
export function networkOf(
  law: PlanSource['model']['network'],
  demand: Demand,
  inputs: PlanInputs,
): { inBitsPerSec: number; outBitsPerSec: number } {
  const { payloadBytes } = inputs;
  const { onlinePerSec, storedPerSec, pulledPerSec, connectPerSec, retransmitPerSec } = demand;
  const heartbeats = demand.connections / inputs.heartbeatS;
  const bytes = (
    fixed: PlanSource['model']['network']['inBytes'],
    content: PlanSource['model']['network']['contentIn'],
    packets: number,
    extra: number,
  ): number => {
    // A msg:R that is repeated costs what its message cost: an upper bound.
    const contentBytes =
      payloadBytes *
      ((onlinePerSec + retransmitPerSec) * content.online +
        storedPerSec * content.stored +
        pulledPerSec * content.pulled);
    const segments = packets + heartbeats + contentBytes / SEGMENT_CONTENT_BYTES;
    const perSegment = law.segmentBytes + (inputs.tls ? TLS_ASSUMED.recordBytes : 0);
    return (
      (onlinePerSec + retransmitPerSec) * fixed.online +
      storedPerSec * fixed.stored +
      pulledPerSec * fixed.pulled +
      connectPerSec * fixed.connect +
      contentBytes +
      segments * perSegment +
      extra
    );
  };
  const tlsIn = inputs.tls ? connectPerSec * TLS_ASSUMED.handshakeInBytes : 0;
  const tlsOut = inputs.tls ? connectPerSec * TLS_ASSUMED.handshakeOutBytes : 0;
  const pongs = heartbeats * PONG_BYTES;
  const pings = heartbeats * PING_BYTES;
  return {
    inBitsPerSec: 8 * bytes(law.inBytes, law.contentIn, demand.packetsInPerSec, pongs + tlsIn),
    outBitsPerSec: 8 * bytes(law.outBytes, law.contentOut, demand.packetsOutPerSec, pings + tlsOut),
  };
}

/** Bytes of disk of the whole fleet: bytes x copies x retention / 0.7. */
export function diskOf(
  bytesPerStored: number | null,
  demand: Demand,
  inputs: PlanInputs,
): { bytes: number; bytesPerDay: number } {
  const kept = inputs.keeps === 'all' ? 1 : inputs.offlineShare;
  const bytesPerMessage = inputs.payloadBytes + (bytesPerStored ?? 0);
  const bytesPerDay = demand.messagesPerDay * kept * bytesPerMessage * inputs.copies;
  return { bytes: (bytesPerDay * inputs.retentionDays) / DISK_USABLE, bytesPerDay };
}

/** Machines of one type that each resource asks for, not rounded; null = no number is enough. */
function needsOf(
  parameters: Parameters,
  source: PlanSource,
  inputs: PlanInputs,
  machine: MachineType,
): Record<Resource, number | null> {
  const demand = demandOf(inputs);
  const work = workOf(parameters.demandUs, demand, inputs);
  const network = networkOf(source.model.network, demand, inputs);
  const disk = diskOf(source.model.diskBytesPerStored, demand, inputs);
  const { memory } = parameters;
  const heldBytes = heldBytesOf(parameters, demand, inputs);
  const roomBytes = machine.memoryGb * 1e9 * MEMORY_USABLE - machine.cores * memory.baseBytes;
  const atSlo = busyShareAtSlo(parameters, inputs.sloP99Ms);
  const { lambdaStarPerSec } = source.search;
  const { targetUtilisation, connectionsPerProcess } = inputs;
  const cores = effectiveCores(machine, inputs);
  const bitsPerSec = Math.max(network.inBitsPerSec, network.outBitsPerSec);
  return {
    CPU: processesFor(work, targetUtilisation) / cores,
    latency: atSlo <= 0 ? null : processesFor(work, atSlo) / cores,
    'lambda*':
      lambdaStarPerSec === null
        ? 0
        : demand.messagesPerSec / (lambdaStarPerSec * targetUtilisation) / cores,
    memory: roomBytes <= 0 ? null : heldBytes / roomBytes,
    connections: demand.connections / connectionsPerProcess / machine.cores,
    network: bitsPerSec / (machine.networkGbps * 1e9 * targetUtilisation),
    disk: disk.bytes / (machine.diskGb * 1e9),
  };
}

/** Memory of the fleet beyond its empty processes. */
function heldBytesOf(parameters: Parameters, demand: Demand, inputs: PlanInputs): number {
  const perConnection =
    parameters.memory.perConnectionBytes + (inputs.tls ? TLS_ASSUMED.connectionBytes : 0);
  const { perStoredBytes, perContentByte } = parameters.memory;
  const perWaiting = perStoredBytes + perContentByte * inputs.payloadBytes;
  return demand.connections * perConnection + demand.waitingMessages * perWaiting;
}

const RESOURCES: readonly Resource[] = [
  'CPU',
  'latency',
  'lambda*',
  'memory',
  'connections',
  'network',
  'disk',
];

/** The resource that asks for most machines; one that cannot be met comes first. */
function bindingOf(needs: Record<Resource, number | null>): Resource {
  let binding: Resource = 'CPU';
  for (const resource of RESOURCES) {
    const need = needs[resource];
    const most = needs[binding];
    if (most !== null && (need === null || need > most)) binding = resource;
  }
  return binding;
}

/** Machines before rounding, without spares; infinite = no number is enough. */
function exactNodes(needs: Record<Resource, number | null>): number {
  return needs[bindingOf(needs)] ?? Infinity;
}

/** Whole machines: at least one that works, and the spares. */
function wholeNodes(exact: number, spareNodes: number): number {
  return Math.max(1, Math.ceil(exact - 1e-9)) + spareNodes;
}

/** Seconds until the connections of one lost node, of `nodes`, are back with their inboxes. */
function stormS(
  parameters: Parameters,
  inputs: PlanInputs,
  fleet: { nodes: number; lost: number; cores: number },
): number {
  const demand = demandOf(inputs);
  const { demandUs } = parameters;
  const work = workOf(demandUs, demand, inputs);
  const share = fleet.lost / fleet.nodes;
  const left = (fleet.nodes === fleet.lost ? fleet.nodes : fleet.nodes - fleet.lost) * fleet.cores;
  // A loop that never sleeps pays no wake-ups. When all are gone there is no other load either.
  const spare = left - (share === 1 ? 0 : work.direct);
  if (spare <= 0) return Infinity;
  const connectUs = demandUs.connect + (inputs.tls ? TLS_ASSUMED.handshakeUs : 0);
  const connectS = (share * demand.connections * connectUs) / 1e6 / spare;
  // Meanwhile every message to one of them was stored, and is pulled.
  const missed = share * demand.messagesPerSec * connectS;
  return connectS + (missed * demandUs.pulled) / 1e6 / spare;
}

/** What each machine type comes to, and which is chosen. Figures of the fit, intervals of replicates. */
export function planFleet(source: PlanSource, inputs: PlanInputs): PlanOutcome {
  const demand = demandOf(inputs);
  const { model } = source;
  const fleets =
    source.refusal === null
      ? inputs.machines.map((machine) => fleetOf(source, inputs, machine))
      : [];
  const chosen = cheapest(fleets);
  const fleet = chosen === null ? null : (fleets[chosen] as FleetPlan);
  return {
    demand,
    network: networkOf(model.network, demand, inputs),
    disk: diskOf(model.diskBytesPerStored, demand, inputs),
    refusal: source.refusal,
    fleets,
    chosen,
    extrapolated: extrapolations(source, inputs, fleet),
    assumed: assumptions(source, inputs),
  };
}

function fleetOf(source: PlanSource, inputs: PlanInputs, machine: MachineType): FleetPlan {
  const { fitted, replicates } = source.model;
  const demand = demandOf(inputs);
  const network = networkOf(source.model.network, demand, inputs);
  const disk = diskOf(source.model.diskBytesPerStored, demand, inputs);
  const needs = needsOf(fitted, source, inputs, machine);
  const binds = bindingOf(needs);
  const resampled = replicates.map((each) => needsOf(each, source, inputs, machine));
  const exact = exactNodes(needs);
  const nodes = wholeNodes(exact, inputs.spareNodes);
  const working = nodes - inputs.spareNodes;
  const cores = effectiveCores(machine, inputs);
  const busy = (parameters: Parameters): number =>
    busyShareWith(workOf(parameters.demandUs, demand, inputs), working * cores);
  const over = (formula: (parameters: Parameters) => number): Figure =>
    figureOf(formula(fitted), replicates.map(formula));
  const exactFigure = figureOf(exact, resampled.map(exactNodes));
  const nodesFigure = figureOf(
    nodes,
    resampled.map((each) => wholeNodes(exactNodes(each), inputs.spareNodes)),
  );
  const lost = { nodes, lost: 1, cores };
  const p99 = fitted.latency.find(({ quantile }) => quantile === 'p99');
  const isFit = exact <= NODES_MAX;
  return {
    machine,
    unfit: isFit ? null : unfitReason(binds, exact, { inputs, machine }),
    binds,
    bindsShare:
      resampled.length < REPLICATES_MIN
        ? null
        : resampled.filter((each) => bindingOf(each) === binds).length / resampled.length,
    needs: {
      CPU: needFigure('CPU', needs, resampled),
      latency: needFigure('latency', needs, resampled),
      'lambda*': needFigure('lambda*', needs, resampled),
      memory: needFigure('memory', needs, resampled),
      connections: needFigure('connections', needs, resampled),
      network: needFigure('network', needs, resampled),
      disk: needFigure('disk', needs, resampled),
    },
    nodesExact: exactFigure,
    nodes: nodesFigure,
    processes: nodes * machine.cores,
    costPerMonth:
      machine.pricePerMonth === null ? null : scaled(nodesFigure, machine.pricePerMonth),
    busyShare: over(busy),
    confirmUs: fitted.latency.map(({ quantile }) => ({
      quantile,
      figure: over((parameters) => {
        const law = parameters.latency.find((each) => each.quantile === quantile);
        return law === undefined ? NaN : confirmUsAt(law, busy(parameters));
      }),
    })),
    meetsSlo:
      isFit &&
      p99 !== undefined &&
      confirmUsAt(p99, busy(fitted)) <= inputs.sloP99Ms * 1000 * (1 + 1e-9),
    memoryPerNodeBytes: over(
      (parameters) =>
        machine.cores * parameters.memory.baseBytes +
        heldBytesOf(parameters, demand, inputs) / working,
    ),
    connectionsPerNode: demand.connections / working,
    messagesPerSecPerProcess: demand.messagesPerSec / (working * machine.cores),
    networkPerNodeBitsPerSec: {
      in: network.inBitsPerSec / working,
      out: network.outBitsPerSec / working,
    },
    diskPerNodeBytes: disk.bytes / working,
    storm: {
      connections: demand.connections / nodes,
      oneNodeS: nodes === 1 ? null : over((parameters) => stormS(parameters, inputs, lost)),
      wholeFleetS: over((parameters) => stormS(parameters, inputs, { ...lost, lost: nodes })),
    },
  };
}

function unfitReason(
  binds: Resource,
  exact: number,
  { inputs, machine }: { readonly inputs: PlanInputs; readonly machine: MachineType },
): string {
  if (exact < Infinity)
    return 'more than 1,000,000 nodes: check the inputs, or take a larger machine';
  return binds === 'memory'
    ? `${machine.memoryGb} GB are not enough for ${machine.cores} empty server processes`
    : `p99 of an idle server is above ${inputs.sloP99Ms} ms: no number of nodes meets the SLO`;
}

function needFigure(
  resource: Resource,
  needs: Record<Resource, number | null>,
  resampled: readonly Record<Resource, number | null>[],
): Figure | null {
  const value = needs[resource];
  if (value === null) return null;
  return figureOf(
    value,
    resampled.map((each) => each[resource] ?? Infinity),
  );
}

/** 5 % and 95 % of the replicates, linear between ranks; infinite ends stay infinite. */
function figureOf(value: number, replicates: readonly number[]): Figure {
  if (replicates.length < REPLICATES_MIN) return { value, low: null, high: null };
  const sorted = replicates.toSorted((a, b) => a - b);
  const at = (q: number): number => {
    const rank = q * (sorted.length - 1);
    const below = sorted[Math.floor(rank)] as number;
    const above = sorted[Math.ceil(rank)] as number;
    return below === above ? below : below + (above - below) * (rank - Math.floor(rank));
  };
  return { value, low: at(0.05), high: at(0.95) };
}

function scaled({ value, low, high }: Figure, by: number): Figure {
  return {
    value: value * by,
    low: low === null ? null : low * by,
    high: high === null ? null : high * by,
  };
}

/** The cheapest that fits; those without a price by their cores, after those with one. */
function cheapest(fleets: readonly FleetPlan[]): number | null {
  let best: number | null = null;
  const rank = (fleet: FleetPlan): [number, number] => [
    fleet.costPerMonth?.value ?? Infinity,
    fleet.processes,
  ];
  fleets.forEach((fleet, i) => {
    if (fleet.unfit !== null) return;
    if (best === null) {
      best = i;
      return;
    }
    const [cost, cores] = rank(fleet);
    const [bestCost, bestCores] = rank(fleets[best] as FleetPlan);
    if (cost < bestCost || (cost === bestCost && cores < bestCores)) best = i;
  });
  return best;
}

/** What lies beyond twice the measured range, or outside of the measured payloads and busy shares. */
function extrapolations(source: PlanSource, inputs: PlanInputs, fleet: FleetPlan | null): string[] {
  const { measured } = source.model;
  const found: string[] = [];
  if (inputs.payloadBytes > measured.payloadBytes) {
    found.push(
      `payload of ${inputs.payloadBytes} bytes: at most ${measured.payloadBytes} were measured`,
    );
  }
  if (fleet === null) return found;
  const perProcess = Math.ceil(fleet.connectionsPerNode / fleet.machine.cores);
  if (perProcess > 2 * measured.connections) {
    found.push(`${perProcess} connections of a process: ${measured.connections} were measured`);
  }
  const ratePerSec = Math.round(fleet.messagesPerSecPerProcess);
  if (ratePerSec > 2 * measured.ratePerSec) {
    found.push(`${ratePerSec} messages/s of a process: ${measured.ratePerSec} were measured`);
  }
  if (fleet.busyShare.value > measured.cpuShare) {
    const percent = (share: number): string => `${Math.round(100 * share)} %`;
    found.push(
      `busy share of ${percent(fleet.busyShare.value)}: ${percent(measured.cpuShare)} was measured`,
    );
  }
  return found;
}

/** What was not measured and is taken for granted. */
function assumptions(source: PlanSource, inputs: PlanInputs): string[] {
  const assumed = [
    inputs.contention === 0
      ? 'a server process per core, and processes that do not slow each other: one was measured'
      : `a server process per core; N of them do the work of N / (1 + ${inputs.contention} (N - 1))`,
    'users spread evenly; a message between two nodes costs no more than one within a node',
    'logins peak with the same factor as messages; a message that waits is pulled at the next login',
  ];
  if (inputs.tls) {
    assumed.push(
      `TLS is not measured: ${TLS_ASSUMED.handshakeUs} us a handshake, ${TLS_ASSUMED.recordUs} us and ` +
        `${TLS_ASSUMED.recordBytes} bytes a record, ${TLS_ASSUMED.connectionBytes} bytes a connection`,
    );
  }
  if (inputs.heartbeatS < HEARTBEAT_MEASURED_S) {
    assumed.push(
      `heartbeats of ${inputs.heartbeatS} s: an idle connection costs ${HEARTBEAT_MEASURED_S} / ` +
        `${inputs.heartbeatS} times what was measured`,
    );
  }
  if (inputs.keeps === 'all') {
    assumed.push('a history of all messages is kept beside the server, which keeps only inboxes');
  }
  if (source.model.diskBytesPerStored === null) {
    assumed.push('disk per message was not measured: contents alone are counted');
  }
  const { lambdaStarPerSec, binds, slo } = source.search;
  if (lambdaStarPerSec === null) {
    assumed.push('no rate met the SLO in the search: lambda* does not limit this plan');
  } else {
    if (binds !== 'server') {
      assumed.push('the server was not at its limit at lambda*: a lower bound, and safe here');
    }
    if (inputs.sloP99Ms < slo.confirmMs) {
      assumed.push(
        `lambda* was measured for ${slo.confirmMs} ms; for ${inputs.sloP99Ms} ms the latency law decides`,
      );
    }
  }
  return assumed;
}

/** An input changed by -20 % and +20 %, the machine type kept. */
export interface SensitivityRow {
  input: string;
  low: SensitivityEnd;
  high: SensitivityEnd;
  /** Difference of the exact nodes between the two ends. */
  swing: number;
}

interface SensitivityEnd {
  value: number;
  nodesExact: number | null;
  nodes: number | null;
  costPerMonth: number | null;
  networkBitsPerSec: number;
  diskBytes: number;
}

/** Every input by -20 % and +20 %, those that move the fleet most first. `machine` = index. */
export function sensitivityOf(
  source: PlanSource,
  inputs: PlanInputs,
  machine: number,
): SensitivityRow[] {
  const type = inputs.machines[machine] as MachineType;
  const fittedOnly: PlanSource = { ...source, model: { ...source.model, replicates: [] } };
  const end = (value: number, changed: Partial<PlanInputs>, on: MachineType): SensitivityEnd => {
    const outcome = planFleet(fittedOnly, { ...inputs, ...changed, machines: [on] });
    const fleet = outcome.fleets[0];
    const isFit = fleet !== undefined && fleet.unfit === null;
    return {
      value,
      nodesExact: isFit ? fleet.nodesExact.value : null,
      nodes: isFit ? fleet.nodes.value : null,
      costPerMonth: isFit ? (fleet.costPerMonth?.value ?? null) : null,
      networkBitsPerSec: Math.max(outcome.network.inBitsPerSec, outcome.network.outBitsPerSec),
      diskBytes: outcome.disk.bytes,
    };
  };
  const rows: SensitivityRow[] = [];
  const add = (input: string, ends: (factor: number) => SensitivityEnd): void => {
    const low = ends(0.8);
    const high = ends(1.2);
    rows.push({
      input,
      low,
      high,
      swing: (high.nodesExact ?? Infinity) - (low.nodesExact ?? Infinity),
    });
  };
  for (const key of NUMERIC_INPUTS) {
    const max =
      SHARES.includes(key) || (key === 'peakConcurrent' && inputs[key] <= 1) ? 1 : Infinity;
    add(key, (factor) => {
      const value = Math.min(max, inputs[key] * factor);
      return end(value, { [key]: value }, type);
    });
  }
  for (const key of ['cores', 'memoryGb', 'networkGbps', 'diskGb'] as const) {
    add(`machine.${key}`, (factor) =>
      end(type[key] * factor, {}, { ...type, [key]: type[key] * factor }),
    );
  }
  const { pricePerMonth } = type;
  if (pricePerMonth !== null) {
    add('machine.pricePerMonth', (factor) =>
      end(pricePerMonth * factor, {}, { ...type, pricePerMonth: pricePerMonth * factor }),
    );
  }
  const size = ({ swing }: SensitivityRow): number => (Number.isNaN(swing) ? 0 : Math.abs(swing));
  return rows.toSorted((a, b) => size(b) - size(a));
}

/** Spares are whole machines and change the fleet one to one, so they are left out. */
const NUMERIC_INPUTS = [
  'dailyUsers',
  'peakConcurrent',
  'messagesPerUserPerDay',
  'peakFactor',
  'offlineShare',
  'loginsPerUserPerDay',
  'retentionDays',
  'payloadBytes',
  'heartbeatS',
  'sloP99Ms',
  'targetUtilisation',
  'growth',
  'retransmitShare',
  'copies',
  'connectionsPerProcess',
  'contention',
] as const;
const SHARES: readonly string[] = [
  'offlineShare',
  'targetUtilisation',
  'retransmitShare',
  'contention',
];
