/**
 * Plan: everything that one simulated world will meet, drawn from its seed, swarm style. Each seed
 * takes its own subset of the fault classes and its own rates: a world with few kinds of trouble gets
 * deep into them, and rare combinations are not drowned by common ones (Groce et al., ISSTA 2012).
 *
 * A plan is data. It can be printed, shortened and run again; that is how a failure is shrunk.
 */
import {
  type Kind,
  KINDS,
  Order,
  Policy,
  PullStrategy,
  type RetransmitTimers,
} from '../protocol/index.ts';
import { Random } from './random.ts';

/** How long users act and faults last, ms of virtual time. */
export const TROUBLE_MS = 10_000;
/** The longest single fault; one that began at the very end is under way so long afterwards. */
export const FAULT_MAX_MS = 4000;

/** Probabilities per packet of one kind. */
export interface PacketFaults {
  readonly drop: number;
  readonly duplicate: number;
  /** Late, and everything behind it as well. */
  readonly delay: number;
  /** Late, and overtaken. */
  readonly reorder: number;
}

export type Step = { readonly atMs: number } & (
  | { readonly do: 'send'; readonly from: number; readonly to: number }
  | { readonly do: 'log in'; readonly who: number }
  | { readonly do: 'log in twice'; readonly who: number }
  /** Hangs up; the server finds out `noticeMs` later. */
  | {
      readonly do: 'log out';
      readonly who: number;
      readonly forMs: number;
      readonly noticeMs: number;
    }
  /** The client's process dies; `losesTail`: so does what its log had not synced. */
  | {
      readonly do: 'crash client';
      readonly who: number;
      readonly forMs: number;
      readonly noticeMs: number;
      readonly losesTail: boolean;
    }
  | { readonly do: 'pull'; readonly who: number }
  /** The link is dead without a sign; both ends find out at the end. */
  | { readonly do: 'half open'; readonly who: number; readonly forMs: number }
  /** Packets in this direction wait until the end. */
  | { readonly do: 'partition'; readonly who: number; readonly forMs: number; readonly way: Way }
  | { readonly do: 'read slowly'; readonly who: number; readonly forMs: number }
  | {
      readonly do: 'crash server';
      readonly server: number;
      readonly forMs: number;
      readonly power: boolean;
    }
  | { readonly do: 'pause server'; readonly server: number; readonly forMs: number }
  | { readonly do: 'jump clock'; readonly server: number; readonly byMs: number }
  | { readonly do: 'fill disk'; readonly server: number; readonly forMs: number }
  | { readonly do: 'fail sync'; readonly server: number }
);
type Way = 'to server' | 'to client' | 'both';

export interface Plan {
  readonly seed: number;
  readonly servers: number;
  /** Users 1 … users; user u belongs to server (u - 1) % servers and writes to users of the same. */
  readonly users: number;
  readonly policy: Policy;
  readonly strategy: PullStrategy;
  readonly order: Order;
  readonly pageMessages: number;
  readonly pageBytes: number;
  readonly inboxMaxMessages: number;
  readonly pendingMax: number;
  readonly packetsPerSec: number;
  readonly timers: RetransmitTimers;
  readonly requestTimeoutMs: number;
  readonly latencyMaxMs: number;
  readonly delayMaxMs: number;
  /** By kind; a kind that is missing has no faults. */
  readonly packets: Readonly<Partial<Record<Kind, PacketFaults>>>;
  /** Longest commit of a store. */
  readonly commitMaxMs: number;
  /** Probability that a commit fails and the disk is well again. */
  readonly commitFailure: number;
  /** Longest sync of a client's log; 0 = each entry is durable at once. */
  readonly logSyncMaxMs: number;
  /** Probability per effect that the server dies before it is carried out. */
  readonly serverCrashPoint: number;
  /** The same for a client; its log's tail survives or not. */
  readonly clientCrashPoint: number;
  readonly steps: readonly Step[];
}

/** The classes of trouble of which a seed takes a subset. */
const CLASSES = [
  'drop',
  'duplicate',
  'delay',
  'reorder',
  'client crashes',
  'client crash points',
  'log syncs late',
  'log outs',
  'double log ins',
  'half open links',
  'partitions',
  'slow readers',
  'server crashes',
  'server crash points',
  'power failures',
  'server pauses',
  'clock jumps',
  'commit failures',
  'slow commits',
  'full disk',
  'failing sync',
  'small inboxes',
  'small pages',
  'few operations',
  'rate limit',
  'few attempts',
] as const;
type Trouble = (typeof CLASSES)[number];

const NO_RATE = 1_000_000;
/** Transmissions that outlast every fault. */
export const PATIENT_ATTEMPTS = 400;

/** The plan of a seed. `policy` null lets the seed choose. */
export function drawPlan(seed: number, policy: Policy | null = null): Plan {
  const random = new Random(seed);
  const density = random.pick([0.15, 0.35, 0.6]);
  const troubles = new Set<Trouble>(CLASSES.filter(() => random.chance(density)));
  const servers = random.pick([1, 1, 2, 3]);
  const users = servers * random.int(2, 4);
  const drawnPolicy = random.pick([Policy.Relay, Policy.Durable]);
  const rate = (max: number): number => Math.round(random.unit() * max * 100) / 100;
  const packets: Partial<Record<Kind, PacketFaults>> = {};
  for (const kind of KINDS) {
    const isHit = random.chance(0.7);
    const faults = { drop: rate(0.3), duplicate: rate(0.3), delay: rate(0.2), reorder: rate(0.3) };
    if (!isHit) continue;
    packets[kind] = {
      drop: troubles.has('drop') ? faults.drop : 0,
      duplicate: troubles.has('duplicate') ? faults.duplicate : 0,
      delay: troubles.has('delay') ? faults.delay : 0,
      reorder: troubles.has('reorder') ? faults.reorder : 0,
    };
  }
  const fewAttempts = troubles.has('few attempts');
  const steps = drawSteps(random, troubles, servers, users);
  const commitMaxMs = troubles.has('slow commits') ? 700 : random.pick([1, 5, 30]);
  const races = new Random(~seed);
  const isRacing = races.chance(0.5);
  return {
    seed,
    servers,
    users,
    policy: policy ?? drawnPolicy,
    strategy: random.pick(Object.values(PullStrategy)),
    order: random.pick(Object.values(Order)),
    pageMessages: troubles.has('small pages') ? random.int(1, 3) : random.int(1, 20),
    pageBytes: troubles.has('small pages') ? random.int(1, 40) : 1000,
    inboxMaxMessages: troubles.has('small inboxes') ? random.int(2, 6) : 1000,
    pendingMax: troubles.has('few operations') ? random.int(3, 6) : 1000,
    packetsPerSec: troubles.has('rate limit') ? 2000 : NO_RATE,
    timers: {
      firstMs: random.pick([100, 200, 400]),
      maxMs: random.pick([400, 1600]),
      maxAttempts: fewAttempts ? random.int(1, 4) : PATIENT_ATTEMPTS,
      jitter: 0.1,
    },
    requestTimeoutMs: random.pick([200, 500]),
    latencyMaxMs: random.pick([2, 5, 50]),
    delayMaxMs: random.pick([100, 1000, 5000]),
    packets,
    commitMaxMs: isRacing ? Math.max(commitMaxMs, RACE_COMMIT_MS) : commitMaxMs,
    commitFailure: troubles.has('commit failures') ? rate(0.3) : 0,
    logSyncMaxMs: troubles.has('log syncs late') ? random.pick([5, 50, 300]) : 0,
    serverCrashPoint: troubles.has('server crash points') ? random.pick([0.002, 0.01]) : 0,
    clientCrashPoint: troubles.has('client crash points') ? random.pick([0.002, 0.01]) : 0,
    steps: isRacing ? withRaces(races, steps, servers, users) : steps,
  };
}

/** Longest commit in a world of races: long enough for a log-in and a pull to come between. */
const RACE_COMMIT_MS = 300;

/** People write to a user just before he comes: the log-in races with the commit. */
function withRaces(random: Random, steps: Step[], servers: number, users: number): Step[] {
  const races: Step[] = [];
  for (const step of steps) {
    if (step.do !== 'log in' && step.do !== 'log out' && step.do !== 'crash client') continue;
    const comesAtMs = step.do === 'log in' ? step.atMs : step.atMs + step.forMs;
    if (comesAtMs === 0 || comesAtMs > TROUBLE_MS) continue;
    for (let n = random.int(1, 3); n > 0; n--) {
      const friend = ((step.who - 1) % servers) + 1 + servers * random.int(0, users / servers - 1);
      const earlyMs = random.int(0, RACE_COMMIT_MS);
      const atMs = Math.max(0, comesAtMs - earlyMs);
      races.push({ do: 'send', from: friend, to: step.who, atMs });
    }
  }
  return [...steps, ...races].sort((a, b) => a.atMs - b.atMs);
}

function drawSteps(
  random: Random,
  troubles: ReadonlySet<Trouble>,
  servers: number,
  users: number,
): Step[] {
  const steps: Step[] = [];
  const atMs = (): number => random.int(0, TROUBLE_MS);
  const forMs = (): number => random.int(1, FAULT_MAX_MS);
  const who = (): number => random.int(1, users);
  const server = (): number => random.int(0, servers - 1);
  const noticeMs = (): number => (random.chance(0.5) ? 0 : random.int(1, 3000));
  for (let user = 1; user <= users; user++) {
    steps.push({ do: 'log in', who: user, atMs: random.chance(0.6) ? 0 : atMs() });
  }
  for (let n = random.int(1, 40); n > 0; n--) {
    const from = who();
    const friends = users / servers;
    const to = ((from - 1) % servers) + 1 + servers * random.int(0, friends - 1);
    steps.push({ do: 'send', from, to, atMs: atMs() });
  }
  const some = (trouble: Trouble, max: number, draw: () => Step): void => {
    if (!troubles.has(trouble)) return;
    for (let n = random.int(1, max); n > 0; n--) steps.push(draw());
  };
  some('client crashes', 5, () => ({
    do: 'crash client',
    who: who(),
    forMs: forMs(),
    noticeMs: noticeMs(),
    losesTail: random.chance(0.5),
    atMs: atMs(),
  }));
  some('log outs', 6, () => ({
    do: 'log out',
    who: who(),
    forMs: forMs(),
    noticeMs: noticeMs(),
    atMs: atMs(),
  }));
  some('log outs', 3, () => ({ do: 'pull', who: who(), atMs: atMs() }));
  some('double log ins', 3, () => ({ do: 'log in twice', who: who(), atMs: atMs() }));
  some('half open links', 4, () => ({
    do: 'half open',
    who: who(),
    forMs: forMs(),
    atMs: atMs(),
  }));
  some('partitions', 4, () => ({
    do: 'partition',
    who: who(),
    forMs: forMs(),
    way: random.pick(['to server', 'to client', 'both'] as const),
    atMs: atMs(),
  }));
  some('slow readers', 3, () => ({
    do: 'read slowly',
    who: who(),
    forMs: forMs(),
    atMs: atMs(),
  }));
  some('server crashes', 3, () => ({
    do: 'crash server',
    server: server(),
    forMs: forMs(),
    power: false,
    atMs: atMs(),
  }));
  some('power failures', 2, () => ({
    do: 'crash server',
    server: server(),
    forMs: forMs(),
    power: true,
    atMs: atMs(),
  }));
  some('server pauses', 3, () => ({
    do: 'pause server',
    server: server(),
    forMs: forMs(),
    atMs: atMs(),
  }));
  some('clock jumps', 3, () => ({
    do: 'jump clock',
    server: server(),
    byMs: random.int(-3_600_000, 3_600_000),
    atMs: atMs(),
  }));
  some('full disk', 2, () => ({
    do: 'fill disk',
    server: server(),
    forMs: forMs(),
    atMs: atMs(),
  }));
  some('failing sync', 2, () => ({ do: 'fail sync', server: server(), atMs: atMs() }));
  return steps.sort((a, b) => a.atMs - b.atMs);
}
