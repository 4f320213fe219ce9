/**
 * The steps of a message's two clients: each event in words, with what the link did to the packet, and
 * packets that were held tied to their release.
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
import { isOfSender, type MessageName, type TraceEvent } from './events.ts';
import { type Facts, isSeen, ms } from './facts.ts';
import type { Mark, Step } from './story.ts';

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

/** An event that tells of the message. */
export interface Relevant {
  readonly event: TraceEvent;
  readonly endsPage: boolean;
  /** For the last answer of an inbox in which the message was not: how many there were; else 0. */
  readonly vainPulls: number;
}

const SESSION_END: Readonly<Record<SessionEnd, string>> = {
  [SessionEnd.Lost]: 'connection closed by the other side',
  [SessionEnd.Logout]: 'logs out',
  [SessionEnd.Reset]: 'connection reset by its network',
  [SessionEnd.Crash]: 'crashes; its log survives',
};

type Told = Pick<ClientStep, 'text' | 'tone'>;
type Draft = { -readonly [Key in keyof ClientStep]: ClientStep[Key] };

/** The steps of the clients, in order; instants count from `zeroUs`. */
export function clientSteps(
  events: readonly Relevant[],
  { name, zeroUs, facts }: { name: MessageName; zeroUs: number; facts: Facts },
): ClientStep[] {
  return new Teller(name, zeroUs, facts).tell(events);
}

/** Turns events into steps. */
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
