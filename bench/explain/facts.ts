/**
 * What became of one message, from the events that its two clients recorded: the same for the story of
 * one message and for the ranking of all. Only what a client saw counts: a packet that its link
 * dropped on the way in was not seen.
 */
import {
  Confirmation,
  FaultAction,
  Kind,
  Outcome,
  Status,
  statusName,
  TraceWhat,
} from '../../loadgen/index.ts';
import { counted } from '../units.ts';

export type Fate =
  /** In the receiver's log, once, and its sender knows: by ack:N(delivered), or by ack:N(stored). */
  | 'confirmed'
  | 'stored'
  /** In the receiver's log, and its sender never heard of it. */
  | 'unconfirmed'
  /** The server took it, and the receiver never saw it. */
  | 'lost'
  /** Nobody told its sender that it was taken, and it did not arrive. */
  | 'unknown'
  /** A definite error: it had no effect. */
  | 'refused'
  /** In the receiver's log twice; in the log although it was refused. */
  | 'duplicated'
  | 'phantom'
  /** The trace does not reach far enough to tell. */
  | 'incomplete';

/** Instants are of the clock of the trace, us; null = it did not happen. */
export interface Facts {
  dueUs: number | null;
  sentUs: number | null;
  transmissions: number;
  acceptUs: number | null;
  deliverUs: number | null;
  isPaged: boolean;
  deliveries: number;
  absorbed: number;
  confirmUs: number | null;
  storedUs: number | null;
  endedUs: number | null;
  outcome: Outcome | null;
  refusal: number;
  dropped: number;
}

export function newFacts(): Facts {
  return {
    dueUs: null,
    sentUs: null,
    transmissions: 0,
    acceptUs: null,
    deliverUs: null,
    isPaged: false,
    deliveries: 0,
    absorbed: 0,
    confirmUs: null,
    storedUs: null,
    endedUs: null,
    outcome: null,
    refusal: 0,
    dropped: 0,
  };
}

/** Whether a client saw the packet of an event. */
export function isSeen(what: number, fault: number): boolean {
  if (what === TraceWhat.HeldIn) return true;
  return what === TraceWhat.In && fault !== FaultAction.Drop && fault !== FaultAction.Delay;
}

/** Takes an event that names the message; those of one client in order of time. */
export function addFact(
  facts: Facts,
  what: number,
  kind: number,
  fault: number,
  status: number,
  detail: number,
  atUs: number,
): void {
  switch (what) {
    case TraceWhat.Submitted:
      facts.dueUs = atUs - detail;
      facts.sentUs = atUs;
      return;
    case TraceWhat.Out:
      if (kind === Kind.MsgR) facts.transmissions++;
      if (fault === FaultAction.Drop) facts.dropped++;
      return;
    case TraceWhat.In:
    case TraceWhat.HeldIn:
      if (!isSeen(what, fault)) {
        if (fault === FaultAction.Drop) facts.dropped++;
      } else if (kind === Kind.MsgA && status === Status.Ok) {
        facts.acceptUs ??= atUs;
      } else if (kind === Kind.AckN) {
        if (status === Confirmation.Stored) facts.storedUs ??= atUs;
        else facts.confirmUs ??= atUs;
      }
      return;
    case TraceWhat.HeldLost:
      facts.dropped++;
      return;
    case TraceWhat.Delivered:
      facts.deliveries++;
      if (facts.deliverUs !== null) return;
      facts.deliverUs = atUs;
      facts.isPaged = status === 1;
      return;
    case TraceWhat.Absorbed:
      facts.absorbed++;
      return;
    case TraceWhat.Ended:
      facts.endedUs = atUs;
      facts.outcome = status as Outcome;
      facts.refusal = detail;
      return;
    default: // of a client, not of the message
  }
}

/** What the trace can vouch for. */
export interface Coverage {
  /** From when on the events of sender and receiver are whole, us. */
  readonly senderFromUs: number;
  readonly receiverFromUs: number;
  /** Whether the run came to rest. */
  readonly isQuiet: boolean;
}

export function fateOf(facts: Facts, coverage: Coverage): Fate {
  const { deliveries } = facts;
  if (deliveries > 1) return 'duplicated';
  if (!isWhole(facts, coverage)) return 'incomplete';
  if (deliveries === 1) {
    if (facts.outcome === Outcome.Failed) return 'phantom';
    if (facts.confirmUs !== null && !isStoredFirst(facts)) return 'confirmed';
    return facts.storedUs === null ? 'unconfirmed' : 'stored';
  }
  if (facts.outcome === Outcome.Failed) return 'refused';
  const isTaken = facts.acceptUs ?? facts.confirmUs ?? facts.storedUs;
  if (isTaken === null) return 'unknown';
  return coverage.isQuiet ? 'lost' : 'incomplete';
}

/** Whether all that happened since the message was handed over is in the trace. */
function isWhole({ sentUs }: Facts, { senderFromUs, receiverFromUs }: Coverage): boolean {
  return sentUs !== null && Math.max(senderFromUs, receiverFromUs) <= sentUs;
}

/** The first ack:N settles a message; what comes later changes nothing. */
function isStoredFirst({ confirmUs, storedUs }: Facts): boolean {
  return storedUs !== null && (confirmUs === null || storedUs < confirmUs);
}

/** When its sender was first told that it has arrived or is stored, us; null = never. */
export function settledUs({ confirmUs, storedUs }: Facts): number | null {
  if (confirmUs === null || storedUs === null) return confirmUs ?? storedUs;
  return Math.min(confirmUs, storedUs);
}

/** The outcome in a sentence. Instants count from `zeroUs`. */
export function outcomeText(facts: Facts, fate: Fate, coverage: Coverage, zeroUs: number): string {
  const at = (us: number | null): string => `${ms((us ?? zeroUs) - zeroUs)} ms`;
  const how = facts.isPaged ? 'from the inbox' : 'by push';
  const delivered = `${at(facts.deliverUs)}, ${how}`;
  const counts = countsText(facts);
  switch (fate) {
    case 'confirmed':
      return `Delivered once at ${delivered}; confirmed after ${at(facts.confirmUs)}; ${counts}.`;
    case 'stored':
      return `Confirmed as stored after ${at(facts.storedUs)}; delivered once at ${delivered}; ${counts}.`;
    case 'unconfirmed': {
      const given = facts.endedUs === null ? '' : `: given up after ${at(facts.endedUs)}`;
      return `Delivered once at ${delivered}; its sender was never told${given}; ${counts}.`;
    }
    case 'lost':
      return `LOST: ${takenText(facts, at)} and never seen by the receiver; ${counts}.`;
    case 'unknown': {
      const given = facts.endedUs === null ? '' : `, given up after ${at(facts.endedUs)}`;
      return `UNKNOWN: never accepted and never seen by the receiver${given}; nobody promised anything; ${counts}.`;
    }
    case 'refused':
      return `Refused with ${statusName(facts.refusal)} at ${at(facts.endedUs)}: it had no effect; ${counts}.`;
    case 'phantom':
      return `PHANTOM: refused with ${statusName(facts.refusal)} and delivered at ${delivered} all the same; ${counts}.`;
    case 'duplicated':
      return `DUPLICATED: ${facts.deliveries} times in the receiver's log, first at ${delivered}; ${counts}.`;
    default:
      return `${incompleteText(facts, coverage, at)}; ${counts}.`;
  }
}

function takenText(facts: Facts, at: (us: number | null) => string): string {
  const parts: string[] = [];
  if (facts.acceptUs !== null) parts.push(`accepted at ${at(facts.acceptUs)}`);
  if (facts.storedUs !== null) parts.push(`confirmed as stored at ${at(facts.storedUs)}`);
  if (facts.confirmUs !== null) parts.push(`confirmed as delivered at ${at(facts.confirmUs)}`);
  return parts.join(', ');
}

function incompleteText(
  facts: Facts,
  coverage: Coverage,
  at: (us: number | null) => string,
): string {
  if (facts.sentUs === null) {
    return 'INCOMPLETE: its submission is not in the trace, so this is only a part of its story';
  }
  if (!isWhole(facts, coverage)) {
    return 'INCOMPLETE: older events were overwritten, so this is only a part of its story';
  }
  return `INCOMPLETE: ${takenText(facts, at)}, not seen by the receiver yet when the run ended without coming to rest`;
}

function countsText({ transmissions, absorbed }: Facts): string {
  const again = counted(Math.max(0, transmissions - 1), 'retransmission');
  return `${again}; ${counted(absorbed, 'duplicate')} absorbed`;
}

/** Milliseconds with their microseconds. */
export function ms(us: number): string {
  return (us / 1000).toFixed(3);
}
