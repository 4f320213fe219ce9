/**
 * Receiver: drops what was delivered before, by exact sets, and acknowledges every push (S4, S7).
 *
 * A repeat is acknowledged like the first arrival: the sender repeats because it has not heard yet.
 * ack:R is never retransmitted; the sender's retransmission makes it be sent again. Rows of a page
 * are not acknowledged one by one: the page token does it (S19), see `puller.ts`.
 *
 * The sets are the client's durable state together with its log: `Deliver` and membership change in
 * one step. Memory: one interval per conversation without gaps.
 */
import { type ClientEffects, ClientEffectKind } from './effects.ts';
import { IntervalSet } from './interval-set.ts';
import { Kind, type Packet, type Row } from './packet.ts';

class SenderHistory {
  /** The epoch seen first; nearly always the only one. */
  epoch: number;
  set = new IntervalSet();
  older: Map<number, IntervalSet> | null = null;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  setOf(epoch: number): IntervalSet {
    if (epoch === this.epoch) return this.set;
    const older = (this.older ??= new Map<number, IntervalSet>());
    let set = older.get(epoch);
    if (set === undefined) {
      set = new IntervalSet();
      older.set(epoch, set);
    }
    return set;
  }
}

export class Receiver {
  /** Null until the first message. */
  private histories: Map<number, SenderHistory> | null = null;

  /** msg:N: delivers it unless it is a repeat, and sends ack:R in either case. */
  onMsgN(packet: Packet, out: ClientEffects): void {
    const { uid, epoch, seq } = packet;
    this.take(uid, epoch, seq, packet.msgType, packet.content, false, out);
    const effect = out.push();
    effect.kind = ClientEffectKind.Send;
    effect.packet.kind = Kind.AckR;
    effect.packet.uid = uid;
    effect.packet.epoch = epoch;
    effect.packet.seq = seq;
  }

  /** A row of a page: delivers it unless it is a repeat. */
  onRow(row: Row, out: ClientEffects): void {
    this.take(row.sender, row.epoch, row.seq, row.msgType, row.content, true, out);
  }

  /** True when the message was delivered before. */
  has(sender: number, epoch: number, seq: number): boolean {
    const history = this.histories?.get(sender);
    if (history === undefined) return false;
    const set = epoch === history.epoch ? history.set : history.older?.get(epoch);
    return set?.has(seq) ?? false;
  }

  /** Makes the state of a conversation before its first message, so that no message pays for it. */
  expect(sender: number, epoch: number): SenderHistory {
    const histories = (this.histories ??= new Map<number, SenderHistory>());
    let history = histories.get(sender);
    if (history === undefined) {
      history = new SenderHistory(epoch);
      histories.set(sender, history);
    }
    return history;
  }

  private take(
    sender: number,
    epoch: number,
    seq: number,
    msgType: number,
    content: Uint8Array,
    paged: boolean,
    out: ClientEffects,
  ): void {
    const fresh = this.expect(sender, epoch).setOf(epoch).add(seq);
    const effect = out.push();
    effect.kind = fresh ? ClientEffectKind.Deliver : ClientEffectKind.Repeat;
    effect.uid = sender;
    effect.epoch = epoch;
    effect.seq = seq;
    effect.msgType = msgType;
    effect.content = content;
    effect.paged = paged;
  }
}
