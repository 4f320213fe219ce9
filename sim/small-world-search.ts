/**
 * The search: every state that a small world can reach within its budget of faults, the rules checked
 * in each, and from each a history without further faults that must end well.
 *
 * A node is a state and what was used up to reach it. A node whose state was reached with at most as
 * much of everything used up is not gone into: whatever follows from it follows there too, and the
 * rules do not look at budgets. Nodes are taken by what they used up in all, then by steps, so the
 * first violation is one with the fewest faults, and among those the shortest.
 */
import { performance } from 'node:perf_hooks';
import { assert } from '../protocol/index.ts';
import { Graph, type LocalMove } from './small-world-graph.ts';
import { Healer } from './small-world-heal.ts';
import { BUDGET_KEYS, DEFAULT_SMALL_WORLD, type SmallWorldOptions } from './small-world-options.ts';
import { brokenRule, emptyBooks } from './small-world-rules.ts';
import {
  FATE_UNITS,
  isWithin,
  packBudget,
  type Step,
  STEP_UNITS,
  StepKind,
  sumOf,
} from './small-world-steps.ts';
import { IntList, TupleTable } from './small-world-table.ts';

interface SmallViolation {
  /** The broken rule, as a sentence. */
  readonly rule: string;
  /** From the initial state: the steps of the search, then those of the fault-free history. */
  readonly steps: readonly Step[];
  /** How many of `steps` are the search's. */
  readonly searched: number;
}

export interface SmallWorldReport {
  readonly options: SmallWorldOptions;
  /** Distinct states reached, budgets apart; all rules hold in each but the violation's. */
  readonly states: number;
  /** States together with what was used up, as far as none made another needless. */
  readonly nodes: number;
  readonly transitions: number;
  /** Most steps from the initial state, along the paths found. */
  readonly depth: number;
  /** States that fault-free histories went through, and their steps. */
  readonly healStates: number;
  readonly healSteps: number;
  /** Distinct states of parts, and runs of the real machines. */
  readonly parts: Graph['sizes'];
  readonly machineRuns: number;
  /** False when `statesMax` ended the search, or a violation. */
  readonly complete: boolean;
  readonly elapsedMs: number;
  readonly violation: SmallViolation | null;
}

const USERS_MAX = 4;
/** Faultable packets of one step, at most. */
const FATES_MAX = 5;

/** kind 5 bits, user 2, arg 5, fates 2 each. */
function packStep({ kind, user, arg, fates }: Step): number {
  assert(arg < 32, 'few attempts, answers and late packets');
  return kind | (user << 5) | (arg << 7) | (fates << 12);
}

function unpackStep(packed: number): Step {
  return {
    kind: (packed & 31) as StepKind,
    user: (packed >> 5) & 3,
    arg: (packed >> 7) & 31,
    fates: packed >>> 12,
  };
}

/** Searches the whole world of `options`; defaults are DEFAULT_SMALL_WORLD. */
export function searchSmallWorld(options: Partial<SmallWorldOptions> = {}): SmallWorldReport {
  return new Search({ ...DEFAULT_SMALL_WORLD, ...options }).run();
}

class Search {
  private readonly options: SmallWorldOptions;
  private readonly graph: Graph;
  private readonly users: number;
  private readonly budget: number;
  private readonly books = emptyBooks();
  private readonly healer: Healer;
  /** States: users' numbers and the server's. */
  private readonly states: TupleTable;
  /** Newest node of each state, -1 for none. */
  private readonly newestOf = new IntList();
  // Nodes, a column each.
  private readonly stateOf = new IntList();
  private readonly usedOf = new IntList();
  private readonly depthOf = new IntList();
  private readonly parentOf = new IntList();
  private readonly stepOf = new IntList();
  private readonly olderOf = new IntList();
  private readonly isDone = new IntList();
  /** Nodes to go into, by what they used up in all, then by depth. */
  private readonly waiting: IntList[][] = [];
  private readonly world: number[] = [];
  private readonly next: number[] = [];
  private transitions = 0;
  private deepest = 0;
  private violation: SmallViolation | null = null;
  /** A violation in a fault-free history; nothing is healed after it. */
  private unwell: SmallViolation | null = null;

  constructor(options: SmallWorldOptions) {
    assert(options.users <= USERS_MAX, 'a small world has few users');
    this.options = options;
    this.graph = new Graph(options);
    this.users = options.users;
    this.budget = packBudget(options);
    this.states = new TupleTable(options.users + 1);
    this.healer = new Healer(this.graph, options, emptyBooks());
    const most = BUDGET_KEYS.reduce((sum, key) => sum + options[key], 0);
    for (let cost = 0; cost <= most; cost++) this.waiting.push([]);
  }

  run(): SmallWorldReport {
    const { options, graph, healer, states } = this;
    const startedAtMs = performance.now();
    this.reach(graph.initial(), -1, 0, 0);
    const complete = this.goThrough();
    return {
      options,
      states: states.size,
      nodes: this.stateOf.length,
      transitions: this.transitions,
      depth: this.deepest,
      healStates: healer.worlds,
      healSteps: healer.steps,
      parts: graph.sizes,
      machineRuns: graph.machineRuns,
      complete: complete && this.unwell === null,
      elapsedMs: performance.now() - startedAtMs,
      violation: this.violation ?? this.unwell,
    };
  }

  /** False when it ended before everything was gone into. */
  private goThrough(): boolean {
    for (const byDepth of this.waiting) {
      for (let depth = 0; depth < byDepth.length; depth++) {
        const nodes = byDepth[depth];
        if (nodes === undefined) continue;
        for (let i = 0; i < nodes.length; i++) {
          this.expand(nodes.at(i));
          if (this.violation !== null) return false;
          if (this.states.size > this.options.statesMax) return false;
        }
        byDepth[depth] = new IntList();
      }
    }
    return true;
  }

  private expand(node: number): void {
    if (this.isDone.at(node) === 1 || this.isNeedless(node)) return;
    this.isDone.set(node, 1);
    const { graph, users, world } = this;
    this.states.read(this.stateOf.at(node), world);
    for (let user = 0; user < users; user++) {
      for (const move of graph.movesOf(world[user] as number)) this.tryMove(node, user, move);
    }
    const server = world[users] as number;
    if (graph.writesOf(server) > 0) {
      this.tryServer(node, StepKind.Commit, 0);
      this.tryServer(node, StepKind.CommitFails, 0);
    }
    const answers = graph.answersOf(server);
    for (let index = 0; index < answers; index++) this.tryServer(node, StepKind.Answer, index);
    this.tryServer(node, StepKind.CrashServer, 0);
  }

  private tryMove(node: number, user: number, move: LocalMove): void {
    const used = this.usedOf.at(node) + move.units;
    if (!isWithin(used, this.budget)) return;
    this.copyWorld();
    this.graph.applyMove(this.next, user, move, 0);
    const step = { kind: move.kind, user, arg: move.arg, fates: 0 };
    this.reach(this.next, node, packStep(step), used);
    const last = this.lastFates(used);
    for (let fates = 1; fates <= last; fates++) {
      const usedToo = used + fateUnits(fates);
      if (!isWithin(usedToo, this.budget)) continue;
      this.copyWorld();
      this.graph.applyMove(this.next, user, move, fates);
      this.reach(this.next, node, packStep({ ...step, fates }), usedToo);
    }
  }

  private tryServer(node: number, kind: StepKind, arg: number): void {
    const used = this.usedOf.at(node) + (STEP_UNITS[kind] as number);
    if (!isWithin(used, this.budget)) return;
    this.copyWorld();
    this.graph.applyServer(this.next, kind, arg, 0);
    const step = { kind, user: 0, arg, fates: 0 };
    this.reach(this.next, node, packStep(step), used);
    const last = this.lastFates(used);
    for (let fates = 1; fates <= last; fates++) {
      const usedToo = used + fateUnits(fates);
      if (!isWithin(usedToo, this.budget)) continue;
      this.copyWorld();
      this.graph.applyServer(this.next, kind, arg, fates);
      this.reach(this.next, node, packStep({ ...step, fates }), usedToo);
    }
  }

  /** The last combination of fates for the packets of the step just done; 0 for none. */
  private lastFates(used: number): number {
    const { fateful } = this.graph;
    assert(fateful <= FATES_MAX, 'few packets in one step');
    const mayFail = FATE_UNITS.some((units) => units > 0 && isWithin(used + units, this.budget));
    return mayFail ? (1 << (2 * fateful)) - 1 : 0;
  }

  private copyWorld(): void {
    const { world, next } = this;
    for (let i = 0; i < world.length; i++) next[i] = world[i] as number;
  }

  /** A step of `parent` led to `world`. */
  private reach(world: readonly number[], parent: number, step: number, used: number): void {
    if (this.violation !== null) return;
    this.transitions++;
    const known = this.states.size;
    const state = this.states.numberOf(world);
    const isNew = state === known;
    if (isNew) this.newestOf.push(-1);
    const depth = parent < 0 ? 0 : this.depthOf.at(parent) + 1;
    if (!isNew && this.isKnown(state, used, depth, parent, step)) return;
    const node = this.stateOf.push(state);
    this.usedOf.push(used);
    this.depthOf.push(depth);
    this.parentOf.push(parent);
    this.stepOf.push(step);
    this.olderOf.push(this.newestOf.at(state));
    this.isDone.push(0);
    this.newestOf.set(state, node);
    this.enqueue(node);
    if (isNew) this.check(world, node);
  }

  /** True when a node of `state` used up no more. One that waits may get a shorter path. */
  private isKnown(
    state: number,
    used: number,
    depth: number,
    parent: number,
    step: number,
  ): boolean {
    for (let node = this.newestOf.at(state); node >= 0; node = this.olderOf.at(node)) {
      const other = this.usedOf.at(node);
      if (other === used) {
        if (this.isDone.at(node) === 0 && depth < this.depthOf.at(node)) {
          this.depthOf.set(node, depth);
          this.parentOf.set(node, parent);
          this.stepOf.set(node, step);
          this.enqueue(node);
        }
        return true;
      }
      if (isWithin(other, used)) return true;
    }
    return false;
  }

  /** True when another node of the same state was found later that used up less. */
  private isNeedless(node: number): boolean {
    const used = this.usedOf.at(node);
    const state = this.stateOf.at(node);
    for (let other = this.newestOf.at(state); other >= 0; other = this.olderOf.at(other)) {
      if (other !== node && isWithin(this.usedOf.at(other), used)) return true;
    }
    return false;
  }

  private enqueue(node: number): void {
    const depth = this.depthOf.at(node);
    this.deepest = Math.max(this.deepest, depth);
    const byDepth = this.waiting[sumOf(this.usedOf.at(node))] as IntList[];
    while (byDepth.length <= depth) byDepth.push(new IntList());
    (byDepth[depth] as IntList).push(node);
  }

  private check(world: readonly number[], node: number): void {
    const { books, graph } = this;
    graph.readBooks(world, books);
    const rule = brokenRule(books, this.options.policy);
    if (rule !== null) {
      const steps = this.pathTo(node);
      this.violation = { rule, steps, searched: steps.length };
      return;
    }
    if (this.unwell !== null) return;
    const failure = this.healer.heal(world);
    if (failure === null) return;
    const steps = this.pathTo(node);
    const searched = steps.length;
    this.unwell = { rule: failure.rule, steps: [...steps, ...failure.steps], searched };
    // A rule of the books that the history broke is within reach, by a path that is the shortest.
    if (!failure.isOfBooks) this.violation = this.unwell;
  }

  private pathTo(node: number): Step[] {
    const steps: Step[] = [];
    for (let at = node; this.parentOf.at(at) >= 0; at = this.parentOf.at(at)) {
      steps.push(unpackStep(this.stepOf.at(at)));
    }
    return steps.reverse();
  }
}

function fateUnits(fates: number): number {
  let units = 0;
  for (let rest = fates; rest !== 0; rest >>>= 2) units += FATE_UNITS[rest & 3] as number;
  return units;
}
