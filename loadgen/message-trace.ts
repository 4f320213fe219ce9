/**
 * The message trace of one worker: what happened to each message at its clients, packet by packet.
 * Off unless it is asked for; where it is off, a packet pays for one comparison with null; where it is on,
 * nothing is allocated, and a message costs some 5 us of the generator's 17 at saturation (an event
 * takes 70 ns in a loop of its own).
 *
 *     place   0               next            capacity - 1        columns of typed arrays, 36 bytes
 *           [ newer … newest | oldest … older ]                   an event, all made at the start
 *
 * A ring, and not a list that stops when it is full: what a ring still holds is whole up to the end of
 * the run, so that "the receiver never saw it" can be said of it. Of a list that was cut at its end
 * nobody could say that of any message. What was overwritten is counted.
 *
 * Stamps are the last reading of the worker's clock, which up to sixteen packets of one read share.
 */
import {
  assert,
  type ClientEffect,
  ClientEffectKind,
  decode,
  DecodeResult,
  isPage,
  Kind,
  Outcome,
  Packet,
} from '../protocol/index.ts';
import { FaultAction } from './link.ts';

/** What an event of the trace says. */
export const TraceWhat = {
  /** The application handed the message over; `detail` = us since it was due. */
  Submitted: 0,
  /** A client sent a packet, or one came to it; `fault` = what its own link did with it. */
  Out: 1,
  In: 2,
  /** A packet that the link held goes on to the server, or to the client. */
  HeldOut: 3,
  HeldIn: 4,
  /** A packet that the link held is lost, for its connection is gone. */
  HeldLost: 5,
  /** In the receiver's log; `status` = 1 when it came in a page. */
  Delivered: 6,
  /** A repeat that dedupe kept from the log; `status` as of Delivered. */
  Absorbed: 7,
  /** Its sender stopped waiting without an ack:N; `status` = outcome, `detail` = status of the error. */
  Ended: 8,
  /** Of a client: its session opened, or ended for the reason in `status`. */
  Opened: 9,
  Closed: 10,
  /** Of a client: its link is dead without a sign, or it does not read; and it reads again. */
  Silent: 11,
  Paused: 12,
  Resumed: 13,
} as const;
export type TraceWhat = (typeof TraceWhat)[keyof typeof TraceWhat];

/** Why a session ended, as the client knows. */
export const SessionEnd = { Lost: 0, Logout: 1, Reset: 2, Crash: 3 } as const;
export type SessionEnd = (typeof SessionEnd)[keyof typeof SessionEnd];

/**
 * Events, one per place of all columns, in the order of one worker.
 *
 * `self` is the client whom the event is of, `other` the other party of the message, 0 for what is of
 * a client alone. `status` is that of an answer, the confirmation of ack:N, 1 for a pull:R or done:R
 * that acknowledges a page; `detail` of pull and done packets is their request number.
 */
export interface TraceColumns {
  /** Monotonic clock, whole us. */
  readonly atUs: Float64Array<ArrayBuffer>;
  readonly other: Float64Array<ArrayBuffer>;
  readonly self: Uint32Array<ArrayBuffer>;
  readonly epoch: Uint32Array<ArrayBuffer>;
  readonly seq: Uint32Array<ArrayBuffer>;
  readonly detail: Uint32Array<ArrayBuffer>;
  readonly what: Uint8Array<ArrayBuffer>;
  /** Kind of the packet; 0 where there is none. */
  readonly kind: Uint8Array<ArrayBuffer>;
  readonly fault: Uint8Array<ArrayBuffer>;
  readonly status: Uint8Array<ArrayBuffer>;
}

/** A piece of a worker's trace, as it crosses threads. */
export interface TraceChunk {
  /** Events of the whole run, and how many of them are still there. */
  readonly total: number;
  readonly kept: number;
  readonly columns: TraceColumns;
}

/** Room for so many events. */
export function createTraceColumns(size: number): TraceColumns {
  return {
    atUs: new Float64Array(size),
    other: new Float64Array(size),
    self: new Uint32Array(size),
    epoch: new Uint32Array(size),
    seq: new Uint32Array(size),
    detail: new Uint32Array(size),
    what: new Uint8Array(size),
    kind: new Uint8Array(size),
    fault: new Uint8Array(size),
    status: new Uint8Array(size),
  };
}

const U32_MAX = 0xffffffff;

export class MessageTrace {
  private readonly columns: TraceColumns;
  private readonly capacity: number;
  private next = 0;
  private total = 0;
  /** For packets that were held as bytes. */
  private readonly held = new Packet();

  constructor(capacity: number) {
    assert(Number.isSafeInteger(capacity) && capacity > 0, 'a trace holds at least one event');
    this.capacity = capacity;
    this.columns = createTraceColumns(capacity);
    // Touched now: memory that is first written under load is a page fault under load.
    for (const column of Object.values(this.columns) as Uint8Array[]) column.fill(0);
  }

  /** Events that are still there. */
  get kept(): number {
    return Math.min(this.total, this.capacity);
  }

  onSubmitted(
    atUs: number,
    self: number,
    receiver: number,
    epoch: number,
    seq: number,
    intendedUs: number,
  ): void {
    const lateUs = Math.min(U32_MAX, Math.max(0, Math.round(atUs) - Math.round(intendedUs)));
    this.write(TraceWhat.Submitted, atUs, self, 0, 0, receiver, epoch, seq, lateUs, 0);
  }

  /** A packet of a client, and what its link does with it. Packets that name no message and no page
   *  are left out. */
  onPacket(
    atUs: number,
    self: number,
    isIncoming: boolean,
    packet: Packet,
    fault: FaultAction,
  ): void {
    this.writePacket(isIncoming ? TraceWhat.In : TraceWhat.Out, atUs, self, packet, fault);
  }

  /** A packet that was held is due. */
  onHeld(
    atUs: number,
    self: number,
    isIncoming: boolean,
    bytes: Uint8Array<ArrayBuffer>,
    isLost: boolean,
  ): void {
    const { held } = this;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (decode(bytes, view, 0, bytes.length, held) !== DecodeResult.Ok) return;
    const goesOn = isIncoming ? TraceWhat.HeldIn : TraceWhat.HeldOut;
    const what = isLost ? TraceWhat.HeldLost : goesOn;
    this.writePacket(what, atUs, self, held, FaultAction.Pass);
  }

  /** A message came to the machines of a client. */
  onArrival(atUs: number, self: number, effect: ClientEffect): void {
    const { kind, uid, epoch, seq, paged } = effect;
    const isFresh = kind === ClientEffectKind.Deliver;
    const what = isFresh ? TraceWhat.Delivered : TraceWhat.Absorbed;
    this.write(what, atUs, self, 0, 0, uid, epoch, seq, 0, paged ? 1 : 0);
  }

  /** A message left the queue of its sender; with an ack:N, that packet says it already. */
  onSettled(atUs: number, self: number, effect: ClientEffect): void {
    const { outcome, uid, epoch, seq, status } = effect;
    if (outcome === Outcome.Delivered || outcome === Outcome.Stored) return;
    this.write(TraceWhat.Ended, atUs, self, 0, 0, uid, epoch, seq, status, outcome);
  }

  /** Something that happens to a client, and to no message in particular. */
  onClient(atUs: number, self: number, what: TraceWhat, status: number): void {
    this.write(what, atUs, self, 0, 0, 0, 0, 0, 0, status);
  }

  /** Copies of the events from place `from` on, counted from the oldest, at most `count` of them. */
  chunk(from: number, count: number): TraceChunk {
    const { total, kept, capacity } = this;
    const size = Math.max(0, Math.min(count, kept - from));
    const columns = createTraceColumns(size);
    const start = total > capacity ? this.next : 0;
    for (const name of Object.keys(columns) as (keyof TraceColumns)[]) {
      const source = this.columns[name];
      const target = columns[name];
      const first = (start + from) % capacity;
      const straight = Math.min(size, capacity - first);
      target.set(source.subarray(first, first + straight));
      target.set(source.subarray(0, size - straight), straight);
    }
    return { total, kept, columns };
  }

  private writePacket(
    what: TraceWhat,
    atUs: number,
    self: number,
    packet: Packet,
    fault: FaultAction,
  ): void {
    const { kind, uid, epoch, seq, status, request } = packet;
    switch (kind) {
      case Kind.MsgR:
      case Kind.MsgN:
      case Kind.AckR:
        this.write(what, atUs, self, kind, fault, uid, epoch, seq, 0, 0);
        return;
      case Kind.MsgA:
      case Kind.AckA:
        this.write(what, atUs, self, kind, fault, uid, epoch, seq, 0, status);
        return;
      case Kind.AckN:
        this.write(what, atUs, self, kind, fault, uid, epoch, seq, 0, packet.confirmation);
        return;
      case Kind.PullR:
      case Kind.DoneR:
        this.write(what, atUs, self, kind, fault, 0, 0, 0, request, isPage(packet.page) ? 1 : 0);
        return;
      case Kind.PullA:
        this.write(what, atUs, self, kind, fault, 0, 0, 0, request, status);
        for (const row of packet.rows) {
          this.write(what, atUs, self, kind, fault, row.sender, row.epoch, row.seq, request, 0);
        }
        return;
      case Kind.DoneA:
        this.write(what, atUs, self, kind, fault, 0, 0, 0, request, status);
        return;
      default: // count:R, count:A, inbox:N, kick:N say nothing of a message
    }
  }

  private write(
    what: TraceWhat,
    atUs: number,
    self: number,
    kind: number,
    fault: FaultAction,
    other: number,
    epoch: number,
    seq: number,
    detail: number,
    status: number,
  ): void {
    const at = this.next;
    const { columns } = this;
    columns.atUs[at] = Math.round(atUs);
    columns.other[at] = other;
    columns.self[at] = self;
    columns.epoch[at] = epoch;
    columns.seq[at] = seq;
    columns.detail[at] = detail;
    columns.what[at] = what;
    columns.kind[at] = kind;
    columns.fault[at] = fault;
    columns.status[at] = status;
    this.next = at + 1 === this.capacity ? 0 : at + 1;
    this.total++;
  }
}
