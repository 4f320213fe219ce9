/**
 * The story of one message: what its sender and its receiver did and saw, in order of time, and between
 * them what the server must have done, which nobody recorded.
 */
import {
  Confirmation,
  FaultAction,
  Kind,
  KIND_NAME,
  Outcome,
  SessionEnd,
  Status,
  statusName,
  TraceWhat,
} from '../../loadgen/index.ts';
import { counted } from '../units.ts';
import {
  eventsOf,
  isOfSender,
  type MessageName,
  nameText,
  type TraceEvent,
  wholeFromUs,
  workerOf,
} from './events.ts';
import {
  addFact,
  type Coverage,
  type Facts,
  type Fate,
  fateOf,
  isSeen,
  ms,
  newFacts,
  outcomeText,
} from './facts.ts';
import type { MessageTraceFile } from './message-trace-file.ts';
import { withServer } from './server-steps.ts';
import { numberOf } from './users.ts';

export type Party = 'sender' | 'server' | 'receiver';

/** What the link of a client did with a packet. */
type Mark = 'passed' | 'dropped' | 'doubled' | 'held' | 'released' | 'lost';

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

/** A step of a client with the event behind it. */
export interface ClientStep extends Omit<Step, 'cause'> {
  readonly event: TraceEvent;
  /** How many sessions this client lost before. */
  readonly sessionNumber: number;
  /** For a packet that goes on: place of the step at which it was held. */
  readonly heldAt: number | null;
  /** For a pull or done: whether it acknowledges the page that the message was in. */
  readonly endsPage: boolean;
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
  const teller = new Teller(name, zeroUs, facts);
  const told = relevant(all, name, zeroUs, facts.deliveries > 0);
  const steps = withServer(teller.tell(told), header.policy);
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

interface Relevant {
  readonly event: TraceEvent;
  readonly endsPage: boolean;
  /** For the last answer of an inbox in which the message was not: how many there were; else 0. */
  readonly vainPulls: number;
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

const SESSION_END: Readonly<Record<SessionEnd, string>> = {
  [SessionEnd.Lost]: 'connection closed by the other side',
  [SessionEnd.Logout]: 'logs out',
  [SessionEnd.Reset]: 'connection reset by its network',
  [SessionEnd.Crash]: 'crashes; its log survives',
};

type Told = Pick<ClientStep, 'text' | 'tone'>;
type Draft = { -readonly [Key in keyof ClientStep]: ClientStep[Key] };

/** Turns events into steps, in order. */
class Teller {
  private readonly name: MessageName;
  private readonly zeroUs: number;
  private readonly facts: Facts;
  private readonly steps: Draft[] = [];
  private readonly lostSessions = { sender: 0, receiver: 0 };
  private transmissions = 0;
  private isAccepted = false;
  private isSettled = false;
  private arrival: Draft | null = null;

  constructor(name: MessageName, zeroUs: number, facts: Facts) {
    this.name = name;
    this.zeroUs = zeroUs;
    this.facts = facts;
  }

  tell(events: readonly Relevant[]): ClientStep[] {
    for (const [i, told] of events.entries()) this.take(told, events, i);
    return this.steps;
  }

  private take(told: Relevant, events: readonly Relevant[], i: number): void {
    const { event } = told;
    const { what } = event;
    if (what === TraceWhat.Delivered || what === TraceWhat.Absorbed) {
      this.takeArrival(event);
      return;
    }
    const who = this.whoOf(event);
    if (event.kind === 0) {
      const said = this.ofClient(event);
      const isOpened = what === TraceWhat.Opened;
      const isClosed = what === TraceWhat.Closed;
      const session = isOpened ? 'opened' : isClosed ? 'closed' : null;
      this.push({ event, who, session, ...said });
      if (isClosed) this.lostSessions[who]++;
      return;
    }
    const way = isOutgoing(event) ? 'out' : 'in';
    const mark = markOf(event);
    const packet = KIND_NAME[event.kind as Kind];
    const heldAt = mark === 'released' || mark === 'lost' ? this.placeHeld(event) : null;
    const fault = mark === 'held' ? this.holdText(event, events, i) : FAULT_TEXT[mark];
    const said = this.ofPacket(told, way, mark);
    const text = [said.text, fault].filter((part) => part !== '').join(', ');
    const tone = mark === 'dropped' || mark === 'lost' ? 'bad' : said.tone;
    const step = this.push({ event, who, packet, way, mark, text, tone, heldAt });
    step.endsPage = told.endsPage;
    if (isSeen(what, event.fault) && (event.kind === Kind.MsgN || event.kind === Kind.PullA)) {
      this.arrival = step;
    }
  }

  private push(facts: Partial<Draft> & Pick<Draft, 'event' | 'who'> & Told): Draft {
    const who = facts.who as 'sender' | 'receiver';
    const step: Draft = {
      packet: null,
      way: null,
      mark: null,
      session: null,
      heldAt: null,
      endsPage: false,
      ...facts,
      atUs: facts.event.atUs - this.zeroUs,
      sessionNumber: this.lostSessions[who],
    };
    if (facts.event.what === TraceWhat.Submitted) this.pushDue(step);
    this.steps.push(step);
    return step;
  }

  /** A message that was handed over late was due before. */
  private pushDue(submitted: Draft): void {
    if (submitted.event.detail === 0) return;
    // Before all else that is told: no step before it has a place that others know.
    this.steps.unshift({ ...submitted, atUs: 0, text: 'due', tone: 'quiet' });
  }

  private whoOf({ self, what, kind, other }: TraceEvent): 'sender' | 'receiver' {
    const { sender, receiver } = this.name;
    if (sender === receiver && other !== 0) return isOfSender(what, kind) ? 'sender' : 'receiver';
    return self === sender ? 'sender' : 'receiver';
  }

  /** What the application got out of the packet that came last. */
  private takeArrival(event: TraceEvent): void {
    const isNew = event.what === TraceWhat.Delivered;
    const text = isNew ? 'delivered to the application' : 'a repeat, absorbed by dedupe';
    const tone = isNew ? 'good' : 'quiet';
    const { arrival } = this;
    if (arrival === null) {
      this.push({ event, who: 'receiver', text, tone });
      return;
    }
    arrival.text = arrival.text === '' ? text : `${arrival.text}; ${text}`;
    if (arrival.tone !== 'good') arrival.tone = tone;
  }

  private ofClient({ what, status, detail }: TraceEvent): Told {
    switch (what) {
      case TraceWhat.Submitted:
        return { text: detail === 0 ? 'due, and handed over' : 'handed over', tone: 'plain' };
      case TraceWhat.Ended:
        return status === Outcome.Failed
          ? { text: `fails with ${statusName(detail)}: it had no effect`, tone: 'bad' }
          : { text: `gives up after ${counted(this.transmissions, 'transmission')}`, tone: 'bad' };
      case TraceWhat.Opened:
        return { text: 'session opened', tone: 'plain' };
      case TraceWhat.Closed:
        return { text: SESSION_END[status as SessionEnd], tone: 'bad' };
      case TraceWhat.Silent:
        return { text: 'its link goes dead without a sign', tone: 'bad' };
      case TraceWhat.Paused:
        return { text: 'stops reading', tone: 'bad' };
      default:
        return { text: 'reads again', tone: 'plain' };
    }
  }

  private ofPacket(told: Relevant, way: 'out' | 'in', mark: Mark): Told {
    const { event } = told;
    const isNews = mark === 'passed' || mark === 'doubled' || mark === 'released';
    if (way === 'in' && !isNews) return { text: '', tone: 'plain' };
    switch (event.kind) {
      case Kind.MsgR:
        if (mark === 'released' || mark === 'lost') return { text: '', tone: 'plain' };
        return { text: this.transmissionText(), tone: 'plain' };
      case Kind.MsgA:
        return this.ofMsgA(event);
      case Kind.AckN:
        return this.ofAckN(event);
      case Kind.AckA:
        return { text: 'ends the second half', tone: 'quiet' };
      case Kind.PullR:
        return { text: told.endsPage ? 'acknowledges the page' : 'asks for a page', tone: 'plain' };
      case Kind.DoneR:
        return { text: 'acknowledges the page', tone: 'plain' };
      case Kind.DoneA:
        return { text: event.status === Status.Ok ? '' : statusName(event.status), tone: 'quiet' };
      case Kind.PullA:
        if (told.vainPulls > 0) {
          const { vainPulls } = told;
          const which = vainPulls === 1 ? 'the only answer' : `the last of ${vainPulls} answers`;
          return { text: `${which}, without the message`, tone: 'bad' };
        }
        return { text: event.other === 0 ? 'the next page' : '', tone: 'quiet' };
      default: // msg:N says what the application got, ack:R nothing
        return { text: '', tone: 'plain' };
    }
  }

  private transmissionText(): string {
    const nth = ++this.transmissions;
    return nth === 1 ? 'transmission 1' : `transmission ${nth}, retransmission ${nth - 1}`;
  }

  private ofMsgA({ status }: TraceEvent): Told {
    if (status !== Status.Ok) return { text: `refused: ${statusName(status)}`, tone: 'bad' };
    if (this.isAccepted) return { text: 'accepted again', tone: 'quiet' };
    this.isAccepted = true;
    return { text: 'accepted', tone: 'plain' };
  }

  private ofAckN({ status, atUs }: TraceEvent): Told {
    const { endedUs } = this.facts;
    const how = status === Confirmation.Stored ? 'stored' : 'delivered';
    if (endedUs !== null && endedUs <= atUs) return { text: `${how}, too late`, tone: 'quiet' };
    if (this.isSettled) return { text: `${how}, known already`, tone: 'quiet' };
    this.isSettled = true;
    return { text: `confirmed: ${how}`, tone: 'good' };
  }

  /** For how long a packet is held, by the first release of its kind that has no hold yet. */
  private holdText(event: TraceEvent, events: readonly Relevant[], i: number): string {
    const rank = events
      .slice(0, i)
      .filter(({ event: before }) => isSameKind(before, event) && markOf(before) === 'held').length;
    const releases = events.filter(({ event: after }) => isSameKind(after, event) && isDue(after));
    const release = releases[rank]?.event;
    if (release === undefined) return 'held by its link to the end of the run';
    return `held by its link for ${ms(release.atUs - event.atUs)} ms`;
  }

  /** The place of the hold that a release ends. */
  private placeHeld(event: TraceEvent): number | null {
    const rank = this.steps.filter((step) => isSameKind(step.event, event) && isDue(step.event));
    const holds = this.steps.flatMap((step, place) =>
      step.mark === 'held' && isSameKind(step.event, event) ? place : [],
    );
    return holds[rank.length] ?? null;
  }
}

function isSameKind(a: TraceEvent, b: TraceEvent): boolean {
  return a.self === b.self && a.kind === b.kind && a.other === b.other && a.detail === b.detail;
}

/** The end of a hold. */
function isDue({ what }: TraceEvent): boolean {
  return what === TraceWhat.HeldIn || what === TraceWhat.HeldOut || what === TraceWhat.HeldLost;
}

function markOf({ what, fault }: TraceEvent): Mark {
  if (what === TraceWhat.HeldLost) return 'lost';
  if (what === TraceWhat.HeldIn || what === TraceWhat.HeldOut) return 'released';
  if (fault === FaultAction.Drop) return 'dropped';
  if (fault === FaultAction.Duplicate) return 'doubled';
  return fault === FaultAction.Delay ? 'held' : 'passed';
}

const FAULT_TEXT: Readonly<Record<Mark, string>> = {
  passed: '',
  dropped: 'dropped by its link',
  doubled: 'doubled by its link',
  held: '',
  released: 'goes on after the hold',
  lost: 'lost in the hold with its connection',
};

/** Requests go out, all else comes in. */
function isOutgoing({ what, kind }: TraceEvent): boolean {
  if (what === TraceWhat.Out || what === TraceWhat.HeldOut) return true;
  if (what === TraceWhat.In || what === TraceWhat.HeldIn) return false;
  return kind === Kind.MsgR || kind === Kind.AckR || kind === Kind.PullR || kind === Kind.DoneR;
}
