/**
 * Liveness: from any state, faults stop and one fair history goes on; it must end, with everything
 * delivered once and nothing left behind.
 *
 *     everybody notices what broke and logs in ─> packets arrive in order, commits and answers come
 *     ─> nothing under way: a deadline ─> … ─> quiet: all that was sent is delivered
 *     ─> everybody pulls once more ─> quiet again: the inboxes are empty too
 *
 * The last pull is there because a row may be left behind by an ack:R or a removal that was lost; it
 * waits for the next pull and is dropped as a repeat. A *message* may wait for that pull only when an
 * inbox:N was lost on the way to its receiver, which no server repeats.
 *
 * Histories meet soon, and a state that was seen to end well is not followed again: the cost of a
 * state is a few steps.
 */
import type { Policy } from '../protocol/index.ts';
import type { Graph } from './small-world-graph.ts';
import type { SmallWorldOptions } from './small-world-options.ts';
import { brokenRule, type WorldBooks } from './small-world-rules.ts';
import { Link, type Step, StepKind } from './small-world-steps.ts';
import { IntList, TupleTable } from './small-world-table.ts';

/** Steps after which a history counts as endless; those that end are far shorter. */
const STEPS_MAX = 1_000;
/** Pulls after which the inboxes must be empty. */
const PULLS_MAX = 3;

/** Why a history does not end well, and its steps. */
export interface HealFailure {
  readonly rule: string;
  readonly steps: readonly Step[];
  /** True for a rule of the books, false when it does not end, or not well. */
  readonly isOfBooks: boolean;
}

export class Healer {
  /** Steps taken; what an earlier history had gone through is not counted. */
  steps = 0;
  private readonly graph: Graph;
  private readonly users: number;
  private readonly policy: Policy;
  private readonly messages: SmallWorldOptions['messages'];
  private readonly books: WorldBooks;
  /** World and pulls made so far, of every state that a history went through. */
  private readonly seen: TupleTable;
  /** Which history came first through each state of `seen`. */
  private readonly firstBy = new IntList();
  private histories = 0;
  private readonly world: number[] = [];

  constructor(graph: Graph, options: SmallWorldOptions, books: WorldBooks) {
    this.graph = graph;
    this.users = options.users;
    this.policy = options.policy;
    this.messages = options.messages;
    this.books = books;
    this.seen = new TupleTable(options.users + 2);
  }

  /** Worlds that histories went through, those where they began included. */
  get worlds(): number {
    return this.seen.size;
  }

  /**
   * Follows the history from `start`. Null when it ends well, or meets one that did. After a failure
   * the healer must not be asked again: it takes states of the failed history for good ones.
   */
  heal(start: readonly number[]): HealFailure | null {
    const { world, users, seen, firstBy } = this;
    for (let i = 0; i <= users; i++) world[i] = start[i] as number;
    world[users + 1] = 0;
    const history = this.histories++;
    const steps: Step[] = [];
    while (steps.length < STEPS_MAX) {
      const number = seen.numberOf(world);
      if (number < firstBy.length) {
        // Went through before: by a history that ended well, or by this one, which goes round then.
        if (firstBy.at(number) !== history) return null;
        return { rule: 'faults have stopped, and it goes round for ever', steps, isOfBooks: false };
      }
      firstBy.push(history);
      const next = this.nextSteps();
      if (next.length === 0) {
        const rule = this.ruleAtEnd();
        return rule === null ? null : { rule, steps, isOfBooks: false };
      }
      for (const step of next) {
        const rule = this.take(step);
        steps.push(step);
        if (rule !== null) return { rule, steps, isOfBooks: true };
      }
    }
    return { rule: 'faults have stopped, and it does not become quiet', steps, isOfBooks: false };
  }

  /** The next steps of the history; none when it is at its end, well or not. */
  private nextSteps(): Step[] {
    const { graph, users, world } = this;
    for (let user = 0; user < users; user++) {
      const { link, up, lateUp, lateDown } = graph.userState(world[user] as number);
      if (link === Link.ServerOnly) return [stepOf(StepKind.ServerNotices, user)];
      if (link === Link.None) return [stepOf(StepKind.Login, user)];
      if (up.length > 0) return [stepOf(StepKind.Up, user)];
      if (lateUp.length > 0) return [stepOf(StepKind.LateUp, user)];
      if (lateDown.length > 0) return [stepOf(StepKind.LateDown, user)];
    }
    const server = world[users] as number;
    if (graph.writesOf(server) > 0) return [stepOf(StepKind.Commit, 0)];
    if (graph.answersOf(server) > 0) return [stepOf(StepKind.Answer, 0)];
    return this.deadline() ?? this.pulls();
  }

  /** Nothing is under way: the first deadline of somebody comes. */
  private deadline(): Step[] | null {
    const { graph, users, world } = this;
    for (let user = 0; user < users; user++) {
      const part = graph.partOf(world[user] as number);
      if (part.isRequestArmed()) return [stepOf(StepKind.Repeat, user)];
      const [index] = part.armedMessages();
      if (index !== undefined) return [stepOf(StepKind.Retransmit, user, index)];
    }
    return null;
  }

  /** It is quiet: everybody pulls once more, if that may help. */
  private pulls(): Step[] {
    const { graph, users, world } = this;
    const made = world[users + 1] as number;
    graph.readBooks(world, this.books);
    const { attempted, failed, delivered, stored } = this.books;
    const missing = attempted & ~failed & ~delivered;
    const mayWait = made === 0 ? stored & this.untold() : 0;
    if ((missing & ~mayWait) !== 0 || made === PULLS_MAX || (made > 0 && stored === 0)) return [];
    world[users + 1] = made + 1;
    return Array.from({ length: users }, (_, user) => stepOf(StepKind.Pull, user));
  }

  /** Messages to users who lost an inbox:N. */
  private untold(): number {
    const { graph, world, messages } = this;
    let mask = 0;
    messages.forEach(({ to }, index) => {
      if (graph.userState(world[to - 1] as number).isUntold) mask |= 1 << index;
    });
    return mask;
  }

  private ruleAtEnd(): string | null {
    const { attempted, failed, delivered, stored } = this.books;
    if (delivered !== (attempted & ~failed)) return 'all is quiet, and a message is not delivered';
    return stored === 0 ? null : 'all is quiet, and a row stays in the inbox';
  }

  private take({ kind, user, arg }: Step): string | null {
    const { graph, world, books } = this;
    this.steps++;
    if (kind === StepKind.Commit || kind === StepKind.Answer)
      graph.applyServer(world, kind, arg, 0);
    else graph.applyMove(world, user, graph.moveOf(world[user] as number, kind, arg), 0);
    graph.readBooks(world, books);
    return brokenRule(books, this.policy);
  }
}

function stepOf(kind: StepKind, user: number, arg = 0): Step {
  return { kind, user, arg, fates: 0 };
}
