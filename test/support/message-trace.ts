/** Message traces made by hand: what two clients did, instant by instant, as a run would have it. */
import type { TraceFacts, MessageTraceFile } from '../../bench/explain/message-trace-file.ts';
import { FaultAction } from '../../loadgen/link.ts';
import { MessageTrace, TraceWhat } from '../../loadgen/message-trace.ts';
import {
  ClientEffect,
  ClientEffectKind,
  encodeAlone,
  Kind,
  type Outcome,
  Packet,
  type Row,
} from '../../protocol/index.ts';

export const SENDER = 1_000_000;
export const RECEIVER = 1_000_001;
export const NAME = { sender: SENDER, receiver: RECEIVER, epoch: 1, seq: 7 };
/** On the clock of the trace, us. */
const START_US = 5_000_000;

export function traceFacts(facts: Partial<TraceFacts> = {}): TraceFacts {
  return {
    startedAt: '2026-01-02T03:04:05.678Z',
    sha: 'abcdef0123456789',
    seed: 7,
    scenario: 'by-hand',
    variant: null,
    policy: 'relay',
    store: 'memory',
    epoch: 1,
    loadStartUs: START_US - 1_000_000,
    isQuiet: true,
    parts: [{ uidBase: SENDER, users: 10 }],
    ...facts,
  };
}

/** Message `NAME`, told event by event; instants are ms since it was due. */
export class MessageScript {
  readonly trace: MessageTrace;

  constructor(capacity = 1000) {
    this.trace = new MessageTrace(capacity);
  }

  submitted(atMs: number, lateMs = 0): this {
    const { sender, receiver, epoch, seq } = NAME;
    const at = atUs(atMs);
    this.trace.onSubmitted(at, sender, receiver, epoch, seq, at - lateMs * 1000);
    return this;
  }

  /** A packet of the six; of the sender or of the receiver, as its kind says. */
  packet(atMs: number, kind: Kind, facts: Partial<Packet> & { fault?: FaultAction } = {}): this {
    const { fault = FaultAction.Pass, ...fields } = facts;
    const isIncoming = !REQUESTS.includes(kind);
    this.trace.onPacket(atUs(atMs), selfOf(kind), isIncoming, packetOf(kind, fields), fault);
    return this;
  }

  /** The end of a hold. */
  held(atMs: number, kind: Kind, isLost = false): this {
    const bytes = encodeAlone(packetOf(kind, {}));
    this.trace.onHeld(atUs(atMs), selfOf(kind), !REQUESTS.includes(kind), bytes, isLost);
    return this;
  }

  arrived(atMs: number, how: 'delivered' | 'absorbed', paged = false): this {
    const effect = Object.assign(new ClientEffect(), {
      kind: how === 'delivered' ? ClientEffectKind.Deliver : ClientEffectKind.Repeat,
      uid: SENDER,
      epoch: NAME.epoch,
      seq: NAME.seq,
      paged,
    });
    this.trace.onArrival(atUs(atMs), RECEIVER, effect);
    return this;
  }

  ended(atMs: number, outcome: Outcome, status = 0): this {
    const { epoch, seq } = NAME;
    const effect = Object.assign(new ClientEffect(), {
      uid: RECEIVER,
      epoch,
      seq,
      outcome,
      status,
    });
    this.trace.onSettled(atUs(atMs), SENDER, effect);
    return this;
  }

  opened(atMs: number, self: number): this {
    this.trace.onClient(atUs(atMs), self, TraceWhat.Opened, 0);
    return this;
  }

  closed(atMs: number, self: number, why: number): this {
    this.trace.onClient(atUs(atMs), self, TraceWhat.Closed, why);
    return this;
  }

  file(facts: Partial<TraceFacts> = {}): MessageTraceFile {
    const { total, kept, columns } = this.trace.chunk(0, Infinity);
    const worker = { uidFrom: SENDER, uidTo: SENDER + 10, total, kept };
    const header = { format: 'ackbench-message-trace', version: 1, ...traceFacts(facts) } as const;
    return { header: { ...header, workers: [worker] }, blocks: [{ worker: 0, columns }] };
  }
}

/** The row of the message in a page. */
export function rowOf(): Row {
  const { sender, epoch, seq } = NAME;
  return { sender, epoch, seq, timeMs: 1, msgType: 0, content: new Uint8Array(4) };
}

const REQUESTS: readonly Kind[] = [Kind.MsgR, Kind.AckR, Kind.PullR, Kind.DoneR];
const OF_SENDER: readonly Kind[] = [Kind.MsgR, Kind.MsgA, Kind.AckN];

function atUs(ms: number): number {
  return START_US + ms * 1000;
}

function selfOf(kind: Kind): number {
  return OF_SENDER.includes(kind) ? SENDER : RECEIVER;
}

function packetOf(kind: Kind, fields: Partial<Packet>): Packet {
  const uid = OF_SENDER.includes(kind) ? RECEIVER : SENDER;
  return Object.assign(new Packet(), { kind, uid, epoch: NAME.epoch, seq: NAME.seq, ...fields });
}

/** Lost on the way in, sent again, absorbed: six packets and four more. */
export function retransmitted(): MessageScript {
  return new MessageScript()
    .opened(-20, SENDER)
    .opened(-10, RECEIVER)
    .submitted(0.5, 0.5)
    .packet(0.5, Kind.MsgR)
    .packet(0.9, Kind.MsgA)
    .packet(1, Kind.MsgN)
    .arrived(1, 'delivered')
    .packet(1, Kind.AckR, { fault: FaultAction.Drop })
    .packet(150, Kind.MsgR)
    .packet(150.4, Kind.MsgA, { fault: FaultAction.Drop })
    .packet(150.5, Kind.MsgN, { fault: FaultAction.Delay })
    .held(153, Kind.MsgN)
    .arrived(153, 'absorbed')
    .packet(153, Kind.AckR)
    .packet(153.4, Kind.AckN)
    .packet(153.5, Kind.AckA);
}

/** For an absent receiver: stored, then pulled, then acknowledged by the page's own request. */
export function storedThenPulled(): MessageScript {
  return new MessageScript()
    .opened(-20, SENDER)
    .submitted(0)
    .packet(0, Kind.MsgR)
    .packet(2, Kind.MsgA)
    .packet(2, Kind.AckN, { confirmation: 1 })
    .opened(500, RECEIVER)
    .packet(500, Kind.PullR, { request: 3 })
    .packet(501, Kind.PullA, { request: 3, rows: [rowOf()], page: PAGE })
    .arrived(501, 'delivered', true)
    .packet(501, Kind.DoneR, { request: 4, page: PAGE })
    .packet(502, Kind.DoneA, { request: 4 });
}

/** Confirmed as stored, and in no page that the receiver got. */
export function lost(): MessageScript {
  return new MessageScript()
    .opened(-20, SENDER)
    .submitted(0)
    .packet(0, Kind.MsgR)
    .packet(2, Kind.MsgA)
    .packet(2, Kind.AckN, { confirmation: 1 })
    .opened(500, RECEIVER)
    .packet(500, Kind.PullR, { request: 3 })
    .packet(501, Kind.PullA, { request: 3 });
}

const PAGE = new Uint8Array(32).fill(1);
