// deadline: 240s
/**
 * Every state of the quick small worlds, on the real machines; and that the search is what it says:
 * its look-ups do what live machines do, its tables forget nothing, its budgets compare right.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';
import { Client, createClientEffects, Policy } from '../../protocol/index.ts';
import { Graph } from '../../sim/small-world-graph.ts';
import { LiveWorld, replaySmallWorld } from '../../sim/small-world-live.ts';
import {
  BUDGET_KEYS,
  DEFAULT_SMALL_WORLD,
  type SmallBudget,
} from '../../sim/small-world-options.ts';
import { emptyBooks } from '../../sim/small-world-rules.ts';
import { searchSmallWorld } from '../../sim/small-world-search.ts';
import { copyOf, textOf } from '../../sim/small-world-snapshot.ts';
import { isWithin, packBudget, type Step, StepKind, sumOf } from '../../sim/small-world-steps.ts';
import { describeSmallWorld, searchSmallWorlds } from '../../sim/small-world-suite.ts';
import { TupleTable } from '../../sim/small-world-table.ts';
import { Random } from '../../sim/random.ts';

for (const policy of [Policy.Relay, Policy.Durable]) {
  test(`no state of the quick worlds breaks a rule, and each ends well, policy ${policy}`, () => {
    let states = 0;
    for (const report of searchSmallWorlds(policy, { quick: true })) {
      assert.is(report.violation, null, describeSmallWorld(report).join('\n'));
      assert.ok(report.complete);
      assert.ok(report.healStates >= report.states, 'each state was healed');
      states += report.states;
    }
    assert.ok(states > 30_000, `${states} states`);
  });
}

test('the same world has the same states', () => {
  const budget = { losses: 1, duplicates: 0, crashes: 0, disconnects: 0, repeats: 0 };
  const first = searchSmallWorld(budget);
  const second = searchSmallWorld(budget);
  assert.is(first.states, second.states);
  assert.is(first.transitions, second.transitions);
});

test('more faults reach more states', () => {
  const one = [{ from: 1, to: 2 }];
  const none = { messages: one, losses: 0, duplicates: 0, crashes: 0, disconnects: 0, repeats: 0 };
  const calm = searchSmallWorld({ ...none, retransmissions: 0 }).states;
  for (const key of BUDGET_KEYS) {
    const { states } = searchSmallWorld({ ...none, retransmissions: 0, [key]: 1 });
    assert.ok(states > calm, `${key}: ${states}`);
  }
});

test('a search that would be too large says that it is incomplete', () => {
  const report = searchSmallWorld({ statesMax: 1000 });
  assert.not(report.complete);
  assert.is(report.violation, null);
  assert.match(describeSmallWorld(report).join('\n'), /^INCOMPLETE/);
});

/** What can be compared of a world that is numbers and one that is objects. */
function lookAt(graph: Graph, world: readonly number[], live: LiveWorld): [unknown, unknown] {
  const books = emptyBooks();
  graph.readBooks(world, books);
  const { store } = graph.serverPart(world.at(-1) as number);
  const states = live.users.map((_, user) => graph.userState(world[user] as number));
  const shape = (s: typeof store) => [
    s.rows.map(({ seq, position, deletions }) => [seq, position, deletions]),
    s.writes.map(({ kind }) => kind),
    s.answers.map(({ kind }) => kind),
  ];
  return [
    {
      books,
      store: shape(store),
      links: states.map(({ link }) => link),
      up: states.map(({ up }) => up.map((packet) => graph.kindOf(packet))),
      late: states.map(({ lateUp, lateDown }) => [lateUp.length, lateDown.length]),
    },
    {
      books: live.books(),
      store: shape(live.server.store),
      links: live.users.map(({ link }) => link),
      up: live.users.map(({ up }) => up.map((bytes) => bytes[0])),
      late: live.users.map(({ lateUp, lateDown }) => [lateUp.length, lateDown.length]),
    },
  ];
}

test('steps of the search do what live machines do, on any walk', () => {
  for (const policy of [Policy.Relay, Policy.Durable]) {
    const options = {
      ...DEFAULT_SMALL_WORLD,
      policy,
      messages: [
        { from: 1, to: 2 },
        { from: 2, to: 1 },
        { from: 1, to: 2 },
      ],
    };
    const graph = new Graph(options);
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed);
      const world = graph.initial();
      const live = new LiveWorld(options);
      for (let count = 0; count < 80; count++) {
        const step = chooseStep(graph, world, random);
        live.perform(step);
        const [expected, found] = lookAt(graph, world, live);
        assert.equal(found, expected, `seed ${seed}\n${live.lines.join('\n')}`);
      }
    }
  }
});

/** Takes a random step of `world`, in place, and says which. */
function chooseStep(graph: Graph, world: number[], random: Random): Step {
  const users = world.length - 1;
  const server = world[users] as number;
  const choices: (() => Step)[] = [];
  for (let user = 0; user < users; user++) {
    for (const move of graph.movesOf(world[user] as number)) {
      const isRare = move.kind === StepKind.CrashClient || move.kind === StepKind.HangUp;
      const isHeavy = move.kind === StepKind.Retransmit && random.chance(0.7);
      if ((isRare && random.chance(0.9)) || isHeavy) continue;
      const fates = random.chance(0.1) ? random.int(1, 3) : 0;
      choices.push(() => {
        graph.applyMove(world, user, move, fates);
        return { kind: move.kind, user, arg: move.arg, fates };
      });
    }
  }
  const ofServer = (kind: StepKind, arg: number) => {
    choices.push(() => {
      graph.applyServer(world, kind, arg, 0);
      return { kind, user: 0, arg, fates: 0 };
    });
  };
  if (graph.writesOf(server) > 0) ofServer(StepKind.Commit, 0);
  for (let index = 0; index < graph.answersOf(server); index++) ofServer(StepKind.Answer, index);
  if (choices.length === 0 || random.chance(0.02)) ofServer(StepKind.CrashServer, 0);
  return (choices[random.int(0, choices.length - 1)] as () => Step)();
}

test('a message that a lost inbox:N told of waits for the next pull', () => {
  const step = (kind: StepKind, user = 0, arg = 0, fates = 0): Step => ({ kind, user, arg, fates });
  const options = { messages: [{ from: 1, to: 2 }] };
  const lost = [
    step(StepKind.Submit),
    step(StepKind.Up), // the receiver is offline: the message goes to the store
    step(StepKind.Login, 1),
    step(StepKind.Up, 1), // the login's pull reads the inbox, which is empty
    step(StepKind.Commit),
    step(StepKind.Answer), // the page
    step(StepKind.Answer, 0, 0, 0b0100), // ack:N arrives, inbox:N is lost
  ];
  const quiet = replaySmallWorld(options, lost);
  assert.match(quiet.lines.at(-1) ?? '', /inbox:N to user 2 \(lost\)/);
  assert.is(quiet.books.confirmedStored, 1);
  assert.is(quiet.books.delivered, 0);
  assert.is(quiet.rule, null, 'it is in the inbox');
  const pull = [step(StepKind.Pull, 1), step(StepKind.Up, 1), step(StepKind.Answer)];
  assert.is(replaySmallWorld(options, [...lost, ...pull]).books.delivered, 1);
});

test('a copy shares nothing that changes and keeps classes, cycles and identity', () => {
  class Node {
    next: Node | null = null;
    readonly bag = new Map<number, Node>();
  }
  const a = new Node();
  const b = new Node();
  a.next = b;
  b.next = a;
  a.bag.set(1, b);
  const twin = copyOf(a);
  assert.instance(twin, Node);
  assert.is.not(twin, a);
  assert.is(twin.next?.next, twin);
  assert.is(twin.bag.get(1), twin.next);
  assert.is(textOf(twin), textOf(a));
  (twin.next as Node).next = null;
  assert.is(b.next, a);
  assert.is.not(textOf(twin), textOf(a));
});

test('two clients with one text differ only in what no input can show', () => {
  const make = () => {
    const timers = { firstMs: 1000, maxMs: 8000, maxAttempts: 12, jitter: 0 };
    const sender = { epoch: 1, timers, inflightMax: 4, jitterSeed: 1 };
    const puller = {
      strategy: 'paged-next' as const,
      order: 0 as const,
      pageMessages: 1,
      pageBytes: 1,
      wholeMessages: 1,
      wholeBytes: 1,
      friends: [],
      requestTimeoutMs: 1,
    };
    return new Client({ sender, puller });
  };
  const out = createClientEffects();
  const early = make();
  const late = make();
  const waiting = make();
  early.sender.submit(2, 1, Uint8Array.of(0), 0, 0, out);
  late.sender.submit(2, 1, Uint8Array.of(0), 0, 5000, out);
  waiting.onConnect(0, out);
  waiting.sender.submit(2, 1, Uint8Array.of(0), 0, 0, out);
  assert.is(textOf(early), textOf(late), 'time is no state');
  assert.is.not(textOf(early), textOf(waiting), 'a session and a transmission are');
});

test('a table gives every tuple its own number, and keeps it while it grows', () => {
  const table = new TupleTable(3);
  const count = 100_000;
  const tupleOf = (i: number) => [i % 17, i, (i * 7) % 1009];
  for (let i = 0; i < count; i++) assert.is(table.numberOf(tupleOf(i)), i);
  for (let i = 0; i < count; i += 97) assert.is(table.numberOf(tupleOf(i)), i);
  assert.is(table.size, count);
  const tuple: number[] = [];
  table.read(4711, tuple);
  assert.equal(tuple, tupleOf(4711));
});

test('a packed budget is within another when every entry is', () => {
  const entry = fc.integer({ min: 0, max: 7 });
  const entries = Object.fromEntries(BUDGET_KEYS.map((key) => [key, entry]));
  const budget = fc.record(entries) as unknown as fc.Arbitrary<SmallBudget>;
  fc.assert(
    fc.property(budget, budget, (a, b) => {
      const isEachWithin = BUDGET_KEYS.every((key) => a[key] <= b[key]);
      assert.is(isWithin(packBudget(a), packBudget(b)), isEachWithin);
      assert.ok(isWithin(packBudget(a), packBudget(a)));
      assert.is(
        sumOf(packBudget(a)),
        BUDGET_KEYS.reduce((sum, key) => sum + a[key], 0),
      );
    }),
  );
});

test.run();
