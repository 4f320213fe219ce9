/** Events of a message trace, one by one, and whose message each is of. */
import { Kind, type TraceColumns, TraceWhat } from '../../loadgen/index.ts';
import type { MessageTraceFile, TraceHeader } from './message-trace-file.ts';

/** A message as the ledger names it. */
export interface MessageName {
  readonly sender: number;
  readonly receiver: number;
  readonly epoch: number;
  readonly seq: number;
}

/** One row of `TraceColumns`. */
export interface TraceEvent {
  readonly atUs: number;
  readonly self: number;
  readonly other: number;
  readonly epoch: number;
  readonly seq: number;
  readonly detail: number;
  readonly what: number;
  readonly kind: number;
  readonly fault: number;
  readonly status: number;
}

/** As `examples` of a result has it, so that one can be pasted for the other. */
export function nameText({ sender, receiver, epoch, seq }: MessageName): string {
  return `${sender}->${receiver} epoch ${epoch} seq ${seq}`;
}

/** Whether the client of an event is the sender of the message that it names, not the receiver. */
export function isOfSender(what: number, kind: number): boolean {
  if (what === TraceWhat.Submitted || what === TraceWhat.Ended) return true;
  return kind === Kind.MsgR || kind === Kind.MsgA || kind === Kind.AckN;
}

function eventAt(columns: TraceColumns, i: number): TraceEvent {
  return {
    atUs: columns.atUs[i] as number,
    self: columns.self[i] as number,
    other: columns.other[i] as number,
    epoch: columns.epoch[i] as number,
    seq: columns.seq[i] as number,
    detail: columns.detail[i] as number,
    what: columns.what[i] as number,
    kind: columns.kind[i] as number,
    fault: columns.fault[i] as number,
    status: columns.status[i] as number,
  };
}

/** Events of a message, and those of its two clients alone, in order of time. */
export function eventsOf({ blocks }: MessageTraceFile, name: MessageName): TraceEvent[] {
  const { sender, receiver, epoch, seq } = name;
  const events: TraceEvent[] = [];
  for (const { columns } of blocks) {
    for (let i = 0; i < columns.self.length; i++) {
      const self = columns.self[i];
      if (self !== sender && self !== receiver) continue;
      const other = columns.other[i];
      if (other !== 0) {
        if (columns.seq[i] !== seq || columns.epoch[i] !== epoch) continue;
        const bySender = isOfSender(columns.what[i] as number, columns.kind[i] as number);
        const isOurs = bySender
          ? self === sender && other === receiver
          : self === receiver && other === sender;
        if (!isOurs) continue;
      }
      events.push(eventAt(columns, i));
    }
  }
  // Stable: events of one worker with one stamp keep their order.
  return events.sort((a, b) => a.atUs - b.atUs);
}

/** From when on each worker's part is whole, us; -Infinity when nothing of it was overwritten. */
export function wholeFromUs({ header, blocks }: MessageTraceFile): number[] {
  return header.workers.map(({ total, kept }, worker) => {
    if (total === kept) return -Infinity;
    return blocks.find((block) => block.worker === worker)?.columns.atUs[0] ?? Infinity;
  });
}

/** The worker that has a user; -1 = none. */
export function workerOf({ workers }: Pick<TraceHeader, 'workers'>, uid: number): number {
  return workers.findIndex(({ uidFrom, uidTo }) => uid >= uidFrom && uid < uidTo);
}
