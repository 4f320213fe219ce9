/**
 * The story of one message: what its sender and its receiver did and saw, in order of time, and between
 * them what the server must have done, which nobody recorded.
 */
import { Kind, SessionEnd, Status, TraceWhat } from '../../loadgen/index.ts';
import { clientSteps, type Relevant } from './client-steps.ts';
import {
  eventsOf,
  type MessageName,
  nameText,
  type TraceEvent,
  wholeFromUs,
  workerOf,
} from './events.ts';
import {
  addFact,
  type Coverage,
  type Fate,
  fateOf,
  isSeen,
  newFacts,
  outcomeText,
} from './facts.ts';
import type { MessageTraceFile } from './message-trace-file.ts';
import { withServer } from './server-steps.ts';
import { numberOf } from './users.ts';

export type Party = 'sender' | 'server' | 'receiver';

/** What the link of a client did with a packet. */
export type Mark = 'passed' | 'dropped' | 'doubled' | 'held' | 'released' | 'lost';

export interface Step {
  /** Since the message was due, us; null = nobody saw when, as all that the server does. */
  readonly atUs: number | null;
  readonly who: Party;
  /** `msg:R` …; null = no packet. */
  readonly packet: string | null;
  readonly way: 'out' | 'in' | null;
  readonly mark: Mark | null;
  /** The session of `who`, where this is about it. */
  readonly session: 'opened' | 'closed' | null;
  readonly text: string;
  readonly tone: 'plain' | 'good' | 'bad' | 'quiet';
  /** Index of the step where this packet came from; null = not known, or none. */
  readonly cause: number | null;
}

export interface Story {
  readonly name: string;
  readonly scenario: string;
  readonly variant: string | null;
  readonly policy: string;
  readonly store: string;
  readonly seed: number;
  /** Numbers of the users; null for a uid that is none of the run's. */
  readonly senderNumber: number | null;
  readonly receiverNumber: number | null;
  /** Into the load, s; null = its submission is not in the trace. */
  readonly dueS: number | null;
  /** Whether they had a session when it was due; null = not known. */
  readonly isOnline: { readonly sender: boolean | null; readonly receiver: boolean | null };
  readonly steps: readonly Step[];
  /** From the due instant; null = it did not happen. */
  readonly latency: {
    readonly acceptUs: number | null;
    readonly deliverUs: number | null;
    readonly confirmUs: number | null;
    readonly storedConfirmUs: number | null;
    /** How late the generator handed it over. */
    readonly sendLagUs: number | null;
  };
  readonly transmissions: number;
  readonly absorbed: number;
  readonly dropped: number;
  readonly fate: Fate;
  readonly outcome: string;
}

/** Null when the trace has no event of that message. */
export function tellStory(file: MessageTraceFile, name: MessageName): Story | null {
  const { header } = file;
  const all = eventsOf(file, name);
  const named = all.filter(({ other }) => other !== 0);
  if (named.length === 0) return null;
  const facts = newFacts();
  for (const { what, kind, fault, status, detail, atUs } of named) {
    addFact(facts, what, kind, fault, status, detail, atUs);
  }
  const coverage = coverageOf(file, name);
  const fate = fateOf(facts, coverage);
  const zeroUs = facts.dueUs ?? (named[0] as TraceEvent).atUs;
  const since = (us: number | null): number | null => (us === null ? null : us - zeroUs);
  const told = relevant(all, name, zeroUs, facts.deliveries > 0);
  const steps = withServer(clientSteps(told, { name, zeroUs, facts }), header.policy);
  return {
    name: nameText(name),
    scenario: header.scenario,
    variant: header.variant,
    policy: header.policy,
    store: header.store,
    seed: header.seed,
    senderNumber: numberOf(header, name.sender),
    receiverNumber: numberOf(header, name.receiver),
    dueS: facts.dueUs === null ? null : (facts.dueUs - header.loadStartUs) / 1e6,
    isOnline: {
      sender: onlineAt(all, name.sender, zeroUs),
      receiver: onlineAt(all, name.receiver, zeroUs),
    },
    steps,
    latency: {
      acceptUs: since(facts.acceptUs),
      deliverUs: since(facts.deliverUs),
      confirmUs: since(facts.confirmUs),
      storedConfirmUs: since(facts.storedUs),
      sendLagUs: facts.dueUs === null ? null : since(facts.sentUs),
    },
    transmissions: facts.transmissions,
    absorbed: facts.absorbed,
    dropped: facts.dropped,
    fate,
    outcome: outcomeText(facts, fate, coverage, zeroUs),
  };
}

function coverageOf(file: MessageTraceFile, { sender, receiver }: MessageName): Coverage {
  const { header } = file;
  const whole = wholeFromUs(file);
  return {
    senderFromUs: whole[workerOf(header, sender)] ?? -Infinity,
    receiverFromUs: whole[workerOf(header, receiver)] ?? -Infinity,
    isQuiet: header.isQuiet,
  };
}

function onlineAt(events: readonly TraceEvent[], uid: number, atUs: number): boolean | null {
  const isSession = ({ self, what }: TraceEvent): boolean =>
    self === uid && (what === TraceWhat.Opened || what === TraceWhat.Closed);
  const last = events.findLast((event) => event.atUs <= atUs && isSession(event));
  if (last !== undefined) return last.what === TraceWhat.Opened;
  // Whose first session opens only later was away, unless the beginning is missing.
  const next = events.find((event) => event.atUs > atUs && isSession(event));
  return next === undefined ? null : next.what === TraceWhat.Closed;
}

function isRequest({ what, kind }: TraceEvent): boolean {
  return what === TraceWhat.Out && (kind === Kind.PullR || kind === Kind.DoneR);
}

/** Of all events of the two clients, those that tell of the message. */
function relevant(
  all: readonly TraceEvent[],
  { receiver }: MessageName,
  zeroUs: number,
  isDelivered: boolean,
): Relevant[] {
  /** Requests that brought the message, and those that acknowledged the page that it was in. */
  const asked = new Set<number>();
  const ended = new Set<number>();
  for (const [i, event] of all.entries()) {
    if (event.kind !== Kind.PullA || event.other === 0) continue;
    asked.add(event.detail);
    if (!isSeen(event.what, event.fault)) continue;
    for (const next of all.slice(i + 1)) {
      if (next.self !== receiver) continue;
      // A crashed client forgets the page; it comes again.
      if (next.what === TraceWhat.Closed && next.status === SessionEnd.Crash) break;
      if (!isRequest(next) || next.status !== 1) continue;
      ended.add(next.detail);
      break;
    }
  }
  const isPull = ({ kind, other }: TraceEvent): boolean => kind !== 0 && other === 0;
  const isTold = (event: TraceEvent): boolean => {
    if (event.other !== 0) return true;
    if (!isPull(event)) return false;
    if (event.self !== receiver) return false;
    if (ended.has(event.detail)) return true;
    // The rows of an answer say what its head does.
    return asked.has(event.detail) && event.kind === Kind.PullR;
  };
  const vain = isDelivered
    ? []
    : all.filter(
        (event) =>
          event.self === receiver &&
          event.kind === Kind.PullA &&
          event.other === 0 &&
          event.status === Status.Ok &&
          isSeen(event.what, event.fault) &&
          event.atUs > zeroUs,
      );
  const lastPull = vain.at(-1);
  if (lastPull !== undefined) asked.add(lastPull.detail);
  const end = all.findLastIndex((event) => isTold(event) || event === lastPull);
  const paused = new Set<number>();
  const isClientEvent = (event: TraceEvent, i: number): boolean => {
    if (event.other !== 0 || event.kind !== 0 || event.atUs < zeroUs) return false;
    if (isDelivered && i > end) return false;
    if (event.what === TraceWhat.Paused) paused.add(event.self);
    return event.what !== TraceWhat.Resumed || paused.delete(event.self);
  };
  return all.flatMap((event, i) => {
    const vainPulls = event === lastPull && !isTold(event) ? vain.length : 0;
    if (!isTold(event) && vainPulls === 0 && !isClientEvent(event, i)) return [];
    return { event, endsPage: isPull(event) && ended.has(event.detail), vainPulls };
  });
}
