/**
 * The promise itself: whatever links, clients and the server do, once they behave again every message
 * that was accepted or confirmed stands in its receiver's log, once (S10, docs/MEASUREMENT.md).
 *
 * Each world is made from one seed. A failure prints it with the smallest plan that still fails;
 * `REPLAY_SEED=n` runs that world alone and prints its packets, `WORLDS=n` runs that many new ones.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createClientEffects,
  createGatewayEffects,
  DEFAULT_RETRANSMIT,
  Gateway,
  Kind,
  KINDS,
  NO_CONTENT,
  Order,
  Outcome,
  Policy,
  PullStrategy,
  type PutOperation,
  Sender,
  Status,
} from '../../protocol/index.ts';
import type { Audit } from '../support/audit.ts';
import { drainClient, present } from '../support/describe.ts';
import { SABOTAGE, SilentGateway, withGateway } from '../support/sabotage.ts';
import type { LinkFaults, WorldOptions } from '../support/world-options.ts';
import { World } from '../support/world.ts';

const WORLDS = 1000;
/** Worlds in which each sabotage must show itself at least once. */
const SABOTAGE_WORLDS = 30;
const TROUBLE_MS = 10_000;

type Step =
  | { do: 'send'; atMs: number; from: number; to: number }
  | { do: 'leave'; atMs: number; who: number; forMs: number; noticeMs: number; crashes: boolean }
  | { do: 'log in twice'; atMs: number; who: number }
  | { do: 'go dead'; atMs: number; who: number; forMs: number }
  | { do: 'pull'; atMs: number; who: number }
  | { do: 'crash server'; atMs: number; forMs: number };

interface Plan {
  seed: number;
  clients: number;
  policy: Policy;
  strategy: PullStrategy;
  order: Order;
  pageMessages: number;
  pageBytes: number;
  inboxMaxMessages: number;
  pendingMax: number;
  storeLatencyMaxMs: number;
  commitFailure: number;
  faults: LinkFaults[];
  duplicatesMsgR: boolean;
  /** When each client logs in for the first time. */
  logInAtMs: number[];
  sends: Step[];
  troubles: Step[];
}

const atMs = fc.integer({ min: 0, max: TROUBLE_MS });
const forMs = fc.integer({ min: 1, max: 8000 });
/** How long the server takes for online who has left. */
const noticeMs = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 }));
const who = fc.integer({ min: 1, max: 4 });
const percent = (max: number) => fc.integer({ min: 0, max }).map((value) => value / 100);

const send: fc.Arbitrary<Step> = fc.record({ do: fc.constant('send'), atMs, from: who, to: who });
const leave = { do: fc.constant('leave' as const), atMs, who, forMs, noticeMs };
const trouble: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ ...leave, crashes: fc.constant(false) }),
  fc.record({ ...leave, crashes: fc.constant(true) }),
  fc.record({ do: fc.constant('log in twice'), atMs, who }),
  fc.record({ do: fc.constant('go dead'), atMs, who, forMs }),
  fc.record({ do: fc.constant('pull'), atMs, who }),
  fc.record({ do: fc.constant('crash server'), atMs, forMs }),
);
const linkFaults: fc.Arbitrary<LinkFaults> = fc.record({
  drop: percent(30),
  duplicate: percent(30),
  delay: percent(20),
  reorder: percent(30),
});
const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.integer({ min: 1, max: 0x7fffffff }),
  clients: fc.integer({ min: 2, max: 4 }),
  policy: fc.constantFrom(...Object.values(Policy)),
  strategy: fc.constantFrom(...Object.values(PullStrategy)),
  order: fc.constantFrom(...Object.values(Order)),
  pageMessages: fc.integer({ min: 1, max: 5 }),
  pageBytes: fc.integer({ min: 1, max: 60 }),
  inboxMaxMessages: fc.constantFrom(3, 10, 1000),
  pendingMax: fc.constantFrom(2, 5, 1000),
  storeLatencyMaxMs: fc.constantFrom(1, 30, 700),
  commitFailure: percent(30),
  faults: fc.array(linkFaults, { minLength: KINDS.length, maxLength: KINDS.length }),
  duplicatesMsgR: fc.boolean(),
  logInAtMs: fc.array(fc.oneof(fc.constant(0), atMs), { minLength: 4, maxLength: 4 }),
  sends: fc.array(send, { minLength: 1, maxLength: 40, size: 'max' }),
  troubles: fc.array(trouble, { maxLength: 16, size: 'max' }),
});

/** Runs the plan until everything is quiet. */
function worldOf(plan: Plan, overrides: Partial<WorldOptions> = {}): World {
  const { clients } = plan;
  const world = new World({
    seed: plan.seed,
    clients,
    policy: plan.policy,
    strategy: plan.strategy,
    order: plan.order,
    pageMessages: plan.pageMessages,
    pageBytes: plan.pageBytes,
    gateway: { pendingMax: plan.pendingMax },
    store: { latencyMaxMs: plan.storeLatencyMaxMs, inboxMaxMessages: plan.inboxMaxMessages },
    commitFailure: plan.commitFailure,
    faultsOf: (kind) => {
      const faults = plan.faults[KINDS.indexOf(kind)] as LinkFaults;
      return kind === Kind.MsgR && !plan.duplicatesMsgR ? { ...faults, duplicate: 0 } : faults;
    },
    ...overrides,
  });
  for (let uid = 1; uid <= clients; uid++) {
    world.clock.at(plan.logInAtMs[uid - 1] ?? 0, () => world.logIn(uid));
  }
  const existing = (uid: number) => ((uid - 1) % clients) + 1;
  for (const step of [...plan.sends, ...plan.troubles]) {
    world.clock.at(step.atMs, () => {
      switch (step.do) {
        case 'send':
          world.send(existing(step.from), existing(step.to));
          return;
        case 'leave': {
          const uid = existing(step.who);
          if (step.crashes) world.crash(uid, step.noticeMs);
          else world.logOut(uid, step.noticeMs);
          world.clock.after(step.forMs, () => world.logIn(uid));
          return;
        }
        case 'log in twice':
          world.logInTwice(existing(step.who));
          return;
        case 'go dead':
          world.goDead(existing(step.who), step.forMs);
          return;
        case 'pull':
          world.pull(existing(step.who));
          return;
        case 'crash server':
          world.crashServer(step.forMs);
      }
    });
  }
  world.run(TROUBLE_MS);
  world.settle();
  return world;
}

/**
 * unknown must be 0 too: retransmission goes on for longer than the troubles, so nobody gives up.
 * phantom is not asked of a world whose links duplicate msg:R: see the test "calls a message failed
 * though its other copy was stored" for why nobody can know better there.
 */
function requirePerfect(plan: Plan, audit: Audit): void {
  const { settled, lost, falseConfirm, duplicated, unexpected, stuck, unknown } = audit;
  const phantom = plan.duplicatesMsgR ? 0 : audit.phantom;
  const wrong = lost + falseConfirm + duplicated + unexpected + phantom + stuck + unknown;
  if (!settled || wrong > 0) throw new Error(`audit: ${JSON.stringify(audit)}`);
}

/** Checks the world of one seed; on failure throws with the smallest plan that still fails. */
function checkSeed(seed: number, overrides: Partial<WorldOptions> = {}): void {
  const property = fc.property(plans, (plan) => {
    requirePerfect(plan, worldOf(plan, overrides).audit());
  });
  const result = fc.check(property, { seed, numRuns: 1, unbiased: true });
  if (!result.failed) return;
  const why = result.errorInstance instanceof Error ? result.errorInstance.message : '';
  throw new Error(
    `the world of seed ${seed} fails; replay it with REPLAY_SEED=${seed}\n` +
      `smallest plan: ${JSON.stringify(result.counterexample?.[0])}\n${why}`,
  );
}

/** The plan of one seed, as `checkSeed` runs it. */
function planOf(seed: number): Plan {
  return fc.sample(plans, { seed, numRuns: 1, unbiased: true })[0] as Plan;
}

const replay = process.env['REPLAY_SEED'];
const wanted = process.env['WORLDS'];

if (replay !== undefined) {
  test(`keeps every promise in the world of seed ${replay}`, () => {
    const plan = planOf(Number(replay));
    console.error(plan);
    const world = worldOf(plan, { trace: console.error });
    console.error(world.audit());
    checkSeed(Number(replay));
  });
} else {
  const count = wanted === undefined ? WORLDS : Number(wanted);
  // The same worlds every time, unless new ones are asked for.
  const first = wanted === undefined ? 1 : Math.floor(Math.random() * 0x3fffffff);
  test(`keeps every promise in ${count} worlds from seed ${first}`, () => {
    for (let seed = first; seed < first + count; seed++) checkSeed(seed);
  });
}

test('is the same world again for the same seed', () => {
  const runs = [1, 2].map(() => {
    const lines: string[] = [];
    worldOf(planOf(3), { trace: (line) => lines.push(line) });
    return lines;
  });
  assert.ok((runs[0] ?? []).length > 100);
  assert.equal(runs[0], runs[1]);
});

test('sees the troubles that it is meant to see', () => {
  // Totals of the first 50 worlds; a change of World or of the plans may move them, none to 0.
  const seen = { absorbed: 0, kicked: 0, inboxN: 0, paged: 0, stored: 0, failed: 0, recovered: 0 };
  for (let seed = 1; seed <= 50; seed++) {
    const world = worldOf(planOf(seed));
    for (const user of world.users) {
      seen.absorbed += user.absorbed;
      seen.paged += user.rowsPaged;
    }
    seen.kicked += world.packets.get(Kind.KickN) ?? 0;
    seen.inboxN += world.packets.get(Kind.InboxN) ?? 0;
    seen.stored += world.messages.filter(({ outcome }) => outcome === Outcome.Stored).length;
    seen.failed += world.messages.filter(({ outcome }) => outcome === Outcome.Failed).length;
    seen.recovered += world.audit().recovered;
  }
  for (const [what, times] of Object.entries(seen)) assert.ok(times > 0, what);
});

test('calls a message failed though its other copy was stored', () => {
  // Why phantom cannot be 0 where a link duplicates msg:R: the sender transmitted once, so that a
  // definite error is the message's own. The answer to the other copy, which was stored before the
  // inbox was full, is lost, and nobody is left to tell him. WebSocket links do not duplicate.
  const gateway = new Gateway<string>({
    policy: Policy.Relay,
    contentMaxBytes: 100,
    pageMaxMessages: 10,
    pageMaxBytes: 100,
    packetsPerSec: 0,
    packetsBurst: 0,
    pendingMax: 10,
  });
  const session = gateway.onOpen(1, 'A', 0, createGatewayEffects<string>());
  const puts: PutOperation<string>[] = [];
  const serverOut = createGatewayEffects<string>();
  const sender = new Sender({
    epoch: 7,
    timers: DEFAULT_RETRANSMIT,
    inflightMax: 1,
    jitterSeed: 1,
  });
  const clientOut = createClientEffects();
  sender.onConnect(0, clientOut);
  sender.submit(2, 1, NO_CONTENT, 0, 0, clientOut);
  assert.is(clientOut.length, 1);
  for (let copy = 0; copy < 2; copy++) {
    gateway.onPacket(session, clientOut.at(0).packet, 0, serverOut);
    puts.push(present(serverOut.at(copy).put));
  }
  assert.equal(drainClient(clientOut), ['send msg:R 2 7:1 ""']);
  serverOut.clear();

  gateway.onPut(present(puts[0]), Status.Ok, serverOut); // stored; the answer gets lost
  serverOut.clear();
  gateway.onPut(present(puts[1]), Status.InboxFull, serverOut); // the row was pulled, others came
  sender.onMsgA(serverOut.at(0).packet, 5, clientOut);
  assert.equal(drainClient(clientOut), ['settled 2 7:1 tag 0 failed inbox-full after 1']);
});

// The audit must be able to fail: each sabotage is caught under the name of what it breaks.

for (const [what, figure, sabotage] of SABOTAGE) {
  test(`catches ${what} as ${figure}`, () => {
    const isCaught = (seed: number) => Number(worldOf(planOf(seed), sabotage).audit()[figure]) > 0;
    const seeds = Array.from({ length: SABOTAGE_WORLDS }, (_, i) => i + 1);
    assert.ok(seeds.some(isCaught));
  });
}

test('calls a run that does not come to rest unknown, not passed', () => {
  const world = new World(withGateway(SilentGateway));
  world.logIn(1);
  world.send(1, 2);
  assert.not(world.settle({ limitMs: 60_000 }));
  assert.not(world.audit().settled);
});

test.run();
