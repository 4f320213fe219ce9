/**
 * The ceiling: what a WebSocket message costs with nothing behind it, and how far the reference
 * server and the generator stay from that. In turn, on the same cores, with the same client sockets,
 * connections and payload:
 *
 *     echo    own client  <-> raw uWebSockets.js echo      2 packets per echo
 *     ws      ws client   <-> raw uWebSockets.js echo      the generator's counterpart
 *     server  virtual clients <-> reference server         6 packets per message
 *     blind   the same without books and histograms        what those cost
 *     idle    the most clients, connected and silent       memory of either end
 *
 * Every figure is the median of the rounds; a round goes through all points, so what the machine
 * does for a while hits a point and its counterpart alike.
 */
import { type EchoReport, runEcho } from '../loadgen/index.ts';
import { combine } from './combine.ts';
import { ChildServer } from './child-server.ts';
import { type IdleCost, measureIdle } from './idle-cost.ts';
import { runLoadOnce } from './load-run.ts';
import type { ScenarioResult } from './result.ts';
import { pause, type RunContext } from './rig.ts';
import { type CeilingScenario, type LoadScenario, parseScenario } from './scenario.ts';
import { median } from './statistics/median.ts';
import { counted, formatCount } from './units.ts';

/** What an echo load measured; µs of CPU per echo. */
interface EchoFigures {
  echoesPerSec: number;
  serverUs: number | null;
  clientUs: number;
}

/** What a load of the reference server measured; µs of CPU per confirmed message. */
interface ServerFigures {
  confirmedPerSec: number;
  packetsPerSec: number;
  packetsPerMessage: number;
  serverUs: number | null;
  generatorUs: number;
}

/** Medians of one number of clients and one window. */
interface CeilingPoint {
  clients: number;
  window: number;
  echo: EchoFigures;
  /** null = not measured at this point, or the `ws` package is not installed. */
  ws: EchoFigures | null;
  server: ServerFigures;
  /** Server CPU per confirmed message over server CPU per raw echo. */
  cpuRatio: number | null;
  /** Packets per second of the reference server over those of the raw echo. */
  packetsRatio: number;
  /** Echo rate of our client over that of `ws`, and CPU per echo of `ws` over that of ours. */
  clientRatio: number | null;
  clientCpuRatio: number | null;
}

/** The same messages in flight in all, over more and more clients. */
interface ScalePoint {
  clients: number;
  outstanding: number;
  server: ServerFigures;
  /** Confirmed messages per second over those of the fewest clients. */
  rateRatio: number;
}

export interface CeilingReport {
  rounds: number;
  points: CeilingPoint[];
  scale: ScalePoint[];
  /** Generator CPU per message with and without books and histograms; null = interrupted before. */
  blind: { generatorUs: number; withoutUs: number; share: number } | null;
  idle: IdleCost | null;
}

/** Waits shorter than this would repeat what is merely queued: expected rate of the slowest point. */
const SLOWEST_PER_SEC = 20_000;
const WAIT_MIN_MS = 400;
/** With fewer, what a process allocates by itself hides what a client needs. */
const IDLE_CLIENTS_MIN = 3000;
const CONNECT_PER_SEC = 10_000;

export async function runCeiling(
  context: RunContext,
  scenario: CeilingScenario,
): Promise<ScenarioResult> {
  const { signal, progress } = context;
  const taken: Taken[] = [];
  progress.log(
    `${scenario.name}: ${counted(scenario.rounds, 'round')}, about ${minutesOf(scenario)} min`,
  );
  for (let round = 0; round < scenario.rounds; round++) {
    for (const plan of plansOf(scenario)) {
      // The first point is always measured, so that there is something to report.
      if (signal.aborted && taken.length > 0) break;
      taken.push(await take(context, scenario, plan, round));
    }
  }
  const sighted = taken.filter(({ plan }) => !plan.isBlind).map(({ result }) => result);
  const combined = combine(scenario, sighted);
  const most = scenario.clients.at(-1) as number;
  const idle =
    signal.aborted || most < IDLE_CLIENTS_MIN
      ? null
      : await measureIdle(context, scenario.server, most);
  const report = { ...reportOf(scenario, taken), idle };
  combined.variants = representatives(taken);
  combined.variant = combined.variants[0]?.variant ?? null;
  combined.extra = { ceiling: report };
  return combined;
}

/** One measurement of a round. */
interface Plan {
  readonly name: string;
  readonly clients: number;
  /** null = `outstanding` messages over all clients. */
  readonly window: number | null;
  readonly isBlind: boolean;
  readonly withWs: boolean;
}

interface Taken {
  readonly plan: Plan;
  readonly echo: EchoFigures | null;
  readonly ws: EchoFigures | null;
  readonly result: ScenarioResult;
}

function plansOf(scenario: CeilingScenario): Plan[] {
  const { clients, windows, outstanding } = scenario;
  const fewest = clients[0] as number;
  const plans: Plan[] = [];
  for (const count of clients) {
    for (const window of windows) {
      plans.push({
        name: `${formatCount(count)} x ${window}`,
        clients: count,
        window,
        isBlind: false,
        withWs: count === fewest,
      });
    }
  }
  const widest = windows.at(-1) as number;
  plans.splice(windows.length, 0, {
    name: 'without books',
    clients: fewest,
    window: widest,
    isBlind: true,
    withWs: false,
  });
  for (const count of clients.length > 1 ? clients : []) {
    const name = `${formatCount(count)}, ${formatCount(outstanding)} in flight`;
    plans.push({ name, clients: count, window: null, isBlind: false, withWs: false });
  }
  return plans;
}

function minutesOf(scenario: CeilingScenario): number {
  const perPoint = 3 * (scenario.durationS + scenario.warmupS) + 2;
  const connecting = scenario.clients.reduce((sum, clients) => sum + clients / 2000, 0);
  const points = plansOf(scenario).length;
  const seconds = scenario.rounds * (points * perPoint + scenario.windows.length * connecting);
  return Math.max(1, Math.round(seconds / 60));
}

async function take(
  context: RunContext,
  scenario: CeilingScenario,
  plan: Plan,
  round: number,
): Promise<Taken> {
  let echo: EchoFigures | null = null;
  let ws: EchoFigures | null = null;
  if (plan.window !== null && !plan.isBlind) {
    echo = await takeEcho(context, scenario, plan, 'own');
    if (plan.withWs) ws = await takeEcho(context, scenario, plan, 'ws');
  }
  const load = loadOf(scenario, plan);
  const label = scenario.rounds === 1 ? plan.name : `${plan.name} round ${round + 1}`;
  const result = await runLoadOnce(context, load, label, { isBlind: plan.isBlind });
  return { plan, echo, ws, result };
}

/** The load on the reference server that belongs to a point. */
function loadOf(scenario: CeilingScenario, { clients, window, isBlind }: Plan): LoadScenario {
  const inflight = window === null ? scenario.outstanding : clients * window;
  const waitMs = Math.max(WAIT_MIN_MS, Math.round((2000 * inflight) / SLOWEST_PER_SEC));
  const load = parseScenario(
    {
      kind: 'load',
      name: scenario.name,
      server: scenario.server,
      seed: scenario.seed,
      clients,
      load:
        window === null
          ? { mode: 'closed', outstanding: scenario.outstanding }
          : { mode: 'closed', window },
      payloadBytes: scenario.payloadBytes,
      durationS: scenario.warmupS + scenario.durationS,
      warmupS: scenario.warmupS,
      retransmit: { firstMs: waitMs, maxMs: waitMs },
      connectRatePerSec: CONNECT_PER_SEC,
      quiesceTimeoutS: 120,
      judged: 'audit',
      description: isBlind ? 'without books and histograms' : '',
    },
    scenario.name,
  );
  if ('mistakes' in load) throw new Error(load.mistakes.join('; '));
  return load as LoadScenario;
}

async function takeEcho(
  context: RunContext,
  scenario: CeilingScenario,
  plan: Plan,
  client: 'own' | 'ws',
): Promise<EchoFigures | null> {
  const label = `${plan.name}, raw echo${client === 'ws' ? ' with ws' : ''}`;
  context.progress.start(label, scenario.warmupS + scenario.durationS);
  const server = await ChildServer.start(
    { script: './echo-server', path: '/' },
    context.servers.pinning,
  );
  try {
    const threads = Math.min(context.workers, plan.clients);
    const reports = await Promise.all(
      Array.from({ length: threads }, (_, i) =>
        runEcho({
          url: server.url,
          serverPid: server.pid,
          client,
          connections: Math.ceil((plan.clients - i) / threads),
          window: plan.window as number,
          contentBytes: scenario.payloadBytes,
          warmupMs: scenario.warmupS * 1000,
          durationMs: scenario.durationS * 1000,
        }),
      ),
    );
    const figures = figuresOfEcho(reports);
    const text =
      figures === null
        ? 'left out: the ws package is not installed'
        : `${formatCount(figures.echoesPerSec)} echoes/s`;
    context.progress.end(`${label}: ${text}`);
    return figures;
  } finally {
    server.stop();
    // The core that it had belongs to the next one only when it is gone.
    await pause(50);
  }
}

function figuresOfEcho(reports: readonly (EchoReport | null)[]): EchoFigures | null {
  let echoesPerSec = 0;
  let clientCpuPerSec = 0;
  let serverCpuPerSec: number | null = null;
  for (const report of reports) {
    if (report === null) return null;
    const seconds = report.elapsedUs / 1e6;
    echoesPerSec += report.echoes / seconds;
    clientCpuPerSec += report.clientCpuUs / seconds;
    // Every thread reads the same account of the same process.
    serverCpuPerSec ??= report.serverCpuUs === null ? null : report.serverCpuUs / seconds;
  }
  const perEcho = (cpuUs: number): number => cpuUs / Math.max(echoesPerSec, 1e-9);
  return {
    echoesPerSec,
    serverUs: serverCpuPerSec === null ? null : perEcho(serverCpuPerSec),
    clientUs: perEcho(clientCpuPerSec),
  };
}

function figuresOfServer({
  load,
  packets,
  ledger,
  server,
  generator,
}: ScenarioResult): ServerFigures {
  const total = Object.values(packets).reduce((sum, count) => sum + count, 0);
  // Pulls at login and at the end are packets too, and the same for every load: left out.
  const pulls = ['pull:R', 'pull:A', 'done:R', 'done:A', 'count:R', 'count:A'].reduce(
    (sum, name) => sum + (packets[name] ?? 0),
    0,
  );
  const packetsPerMessage = ledger.attempted === 0 ? 0 : (total - pulls) / ledger.attempted;
  return {
    confirmedPerSec: load.achievedPerSec,
    packetsPerSec: load.achievedPerSec * packetsPerMessage,
    packetsPerMessage,
    serverUs: server.cpuUsPerMessage,
    generatorUs: generator.cpuUsPerMessage,
  };
}

function reportOf(scenario: CeilingScenario, taken: readonly Taken[]): Omit<CeilingReport, 'idle'> {
  const points: CeilingPoint[] = [];
  const scale: ScalePoint[] = [];
  for (const [name, rounds] of byName(taken)) {
    const { plan } = rounds[0] as Taken;
    const server = medians(rounds.map(({ result }) => figuresOfServer(result)));
    const echo = medians(rounds.flatMap((round) => round.echo ?? []));
    const ws = medians(rounds.flatMap((round) => round.ws ?? []));
    if (plan.isBlind) continue;
    if (plan.window === null && server !== null) {
      const first = scale[0]?.server.confirmedPerSec ?? server.confirmedPerSec;
      const rateRatio = server.confirmedPerSec / first;
      scale.push({ clients: plan.clients, outstanding: scenario.outstanding, server, rateRatio });
    } else if (server !== null && echo !== null && plan.window !== null) {
      points.push({
        clients: plan.clients,
        window: plan.window,
        echo,
        ws,
        server,
        ...ratiosOf(rounds),
      });
    } else {
      throw new Error(`a point without figures: ${name}`);
    }
  }
  return { rounds: scenario.rounds, points, scale, blind: blindCost(scenario, taken) };
}

/** What books and histograms cost: each blind run against the sighted one just before it. */
function blindCost(scenario: CeilingScenario, taken: readonly Taken[]): CeilingReport['blind'] {
  const widest = scenario.windows.at(-1) as number;
  const generatorUs = ({ result }: Taken): number => result.generator.cpuUsPerMessage;
  const blind = taken.filter(({ plan }) => plan.isBlind).map(generatorUs);
  const sighted = taken
    .filter(({ plan }) => plan.clients === scenario.clients[0] && plan.window === widest)
    .filter(({ plan }) => !plan.isBlind)
    .map(generatorUs);
  if (blind.length === 0) return null;
  return {
    generatorUs: median(sighted),
    withoutUs: median(blind),
    share: median(blind.map((us, round) => 1 - us / (sighted[round] as number))),
  };
}

/** Medians of the ratios of each round, whose parts were measured within the same seconds. */
function ratiosOf(
  rounds: readonly Taken[],
): Pick<CeilingPoint, 'cpuRatio' | 'packetsRatio' | 'clientRatio' | 'clientCpuRatio'> {
  const cpu: (number | null)[] = [];
  const packets: (number | null)[] = [];
  const client: (number | null)[] = [];
  const clientCpu: (number | null)[] = [];
  for (const { echo, ws, result } of rounds) {
    const server = figuresOfServer(result);
    cpu.push(ratioOf(server.serverUs, echo?.serverUs ?? null));
    packets.push(ratioOf(server.packetsPerSec / 2, echo?.echoesPerSec ?? null));
    client.push(ratioOf(echo?.echoesPerSec ?? null, ws?.echoesPerSec ?? null));
    clientCpu.push(ratioOf(ws?.clientUs ?? null, echo?.clientUs ?? null));
  }
  return {
    cpuRatio: knownMedian(cpu),
    packetsRatio: knownMedian(packets) ?? 0,
    clientRatio: knownMedian(client),
    clientCpuRatio: knownMedian(clientCpu),
  };
}

function knownMedian(values: readonly (number | null)[]): number | null {
  return values.includes(null) || values.length === 0 ? null : median(values as number[]);
}

function byName(taken: readonly Taken[]): Map<string, Taken[]> {
  const groups = new Map<string, Taken[]>();
  for (const one of taken) {
    const group = groups.get(one.plan.name);
    if (group === undefined) groups.set(one.plan.name, [one]);
    else group.push(one);
  }
  return groups;
}

/** Of each point the run whose rate is the median one, as the variants of the result. */
function representatives(taken: readonly Taken[]): ScenarioResult[] {
  return [...byName(taken)].flatMap(([name, rounds]) => {
    if ((rounds[0] as Taken).plan.isBlind) return [];
    const sorted = rounds
      .map(({ result }) => result)
      .toSorted((a, b) => a.load.achievedPerSec - b.load.achievedPerSec);
    const middle = sorted[Math.floor(sorted.length / 2)] as ScenarioResult;
    return { ...middle, variant: name };
  });
}

function ratioOf(a: number | null, b: number | null): number | null {
  return a === null || b === null || b === 0 ? null : a / b;
}

/** The median of every field; null of nothing, and of a field that is not known everywhere. */
function medians<Figures extends object>(all: readonly Figures[]): Figures | null {
  const first = all[0];
  if (first === undefined) return null;
  return Object.fromEntries(
    Object.keys(first).map((key) => {
      const values = all.map((figures) => figures[key as keyof Figures] as number | null);
      return [key, knownMedian(values)];
    }),
  ) as Figures;
}
