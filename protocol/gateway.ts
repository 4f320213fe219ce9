/**
 * Gateway: the server's decision for every packet (S2-S9, S11, S17-S19), with the store as effects
 * that complete later.
 *
 * Policies. `relay` keeps no state for an online message (S8): msg:R to an online receiver becomes
 * msg:A and msg:N at once. `durable` commits first, always, and deletes on ack:R, so that a message
 * survives a sender that dies after msg:A. In both, a message for an offline receiver is committed
 * before msg:A ok and the forged ack:N(stored) go out (S9, S11); a failed commit is a definite error
 * and never a forged ack.
 *
 * Who may say what: the sender of a msg:R and the receiver of an ack:R or pull are the session's own
 * uid, never a field of the packet. An ack:R for somebody else's message can only name a message
 * from that sender to the session's own user, so it cannot touch what it does not own.
 *
 * Bounds: `pendingMax` store operations in flight, then `overloaded`; a token bucket per session. The
 * last places are for emptying inboxes: if senders to a full inbox could take them all with their
 * repeats, nobody could ever pull it empty.
 * Removals on ack:R ask for no answer: the store's own queue bounds them, and a row that was not
 * removed is pulled and deduped later.
 */
import { assert } from './assert.ts';
import { copyOf } from './content-slab.ts';
import { CloseCode, Status } from './errors.ts';
import {
  Confirmation,
  isPage,
  isUid,
  Kind,
  NO_PAGE,
  type Packet,
  type Row,
  type SenderCount,
} from './packet.ts';
import {
  type CountsOperation,
  type DeleteOperation,
  GatewayEffectKind,
  type GatewayEffects,
  type PageOperation,
  type PutOperation,
  Session,
} from './gateway-effects.ts';
import { decodePageToken, encodePageToken, type PageRange } from './page-token.ts';

export const Policy = { Relay: 'relay', Durable: 'durable' } as const;
export type Policy = (typeof Policy)[keyof typeof Policy];

export interface GatewayOptions {
  readonly policy: Policy;
  readonly contentMaxBytes: number;
  readonly pageMaxMessages: number;
  readonly pageMaxBytes: number;
  /** Refill of each session's token bucket; 0 = no limit. */
  readonly packetsPerSec: number;
  /** Size of the bucket. */
  readonly packetsBurst: number;
  /** At least 3: a message and a pull. */
  readonly pendingMax: number;
}

/** What a pull that acknowledges takes: a deletion and a page. */
const PULL_OPERATIONS = 2;

export class Gateway<Handle = unknown> {
  private readonly options: GatewayOptions;
  private readonly isDurable: boolean;
  private readonly sessions = new Map<number, Session<Handle>>();
  private pendingCount = 0;
  private draining = false;

  constructor(options: GatewayOptions) {
    this.options = options;
    this.isDurable = options.policy === Policy.Durable;
  }

  /** Users online. */
  get online(): number {
    return this.sessions.size;
  }

  /** Store operations in flight. */
  get pending(): number {
    return this.pendingCount;
  }

  sessionOf(uid: number): Session<Handle> | undefined {
    return this.sessions.get(uid);
  }

  /** A user logged in. An older session of the user gets kick:N and is closed: the newer wins. */
  onOpen(uid: number, handle: Handle, nowMs: number, out: GatewayEffects<Handle>): Session<Handle> {
    assert(isUid(uid), 'the driver authenticated a valid uid');
    const older = this.sessions.get(uid);
    const session = new Session(uid, handle, this.options.packetsBurst, nowMs);
    this.sessions.set(uid, session);
    if (older !== undefined) {
      this.send(older, Kind.KickN, out);
      this.close(older, CloseCode.Kicked, out);
    }
    return session;
  }

  /** The connection is gone. Operations in flight complete; their answers are dropped. */
  onClose(session: Session<Handle>): void {
    session.open = false;
    if (this.sessions.get(session.uid) === session) this.sessions.delete(session.uid);
  }

  /** From now on msg:R is answered with `draining`. */
  drain(): void {
    this.draining = true;
  }

  /** Bytes that are no packet: closes this connection and touches no other. */
  onUnparsable(session: Session<Handle>, out: GatewayEffects<Handle>): void {
    this.close(session, CloseCode.BadPacket, out);
  }

  onPacket(
    session: Session<Handle>,
    packet: Packet,
    nowMs: number,
    out: GatewayEffects<Handle>,
  ): void {
    if (!session.open) return;
    if (this.options.packetsPerSec > 0 && !this.takeCredit(session, nowMs)) {
      this.close(session, CloseCode.RateLimit, out);
      return;
    }
    switch (packet.kind) {
      case Kind.MsgR:
        this.onMsgR(session, packet, nowMs, out);
        return;
      case Kind.AckR:
        this.onAckR(session, packet, out);
        return;
      case Kind.PullR:
        this.onPullR(session, packet, out);
        return;
      case Kind.DoneR:
        this.onDoneR(session, packet, out);
        return;
      case Kind.CountR:
        this.onCountR(session, packet, out);
        return;
      default:
        this.close(session, CloseCode.WrongDirection, out);
    }
  }

  /** The store's answer to Put. */
  onPut(operation: PutOperation<Handle>, status: Status, out: GatewayEffects<Handle>): void {
    this.pendingCount--;
    const { session, row } = operation;
    this.answerMsgR(session, row.receiver, row.epoch, row.seq, status, out);
    const receiver = this.sessions.get(row.receiver);
    if (status !== Status.Ok) {
      // Rows that failed removals or late repeats left behind can fill the inbox of a receiver who
      // is online and has no reason to pull: nothing could be sent to her until her next login.
      if (status === Status.InboxFull && receiver !== undefined) {
        this.send(receiver, Kind.InboxN, out);
      }
      return;
    }
    if (receiver !== undefined && this.isDurable) {
      this.pushMsgN(receiver, session.uid, row, out);
      return;
    }
    this.confirm(session, row.receiver, row.epoch, row.seq, Confirmation.Stored, out);
    // The receiver may have logged in and pulled while the row was being committed.
    if (receiver !== undefined) this.send(receiver, Kind.InboxN, out);
  }

  /** The store's answer to Page. `rows` are encoded before the next input. */
  onPage(
    operation: PageOperation<Handle>,
    status: Status,
    page: { rows: readonly Row[]; first: number; last: number; more: boolean },
    out: GatewayEffects<Handle>,
  ): void {
    this.pendingCount--;
    const answer = this.send(operation.session, Kind.PullA, out);
    if (answer === null) return;
    const isFilled = status === Status.Ok && page.rows.length > 0;
    answer.request = operation.request;
    answer.status = status;
    answer.more = status === Status.Ok && page.more;
    answer.rows = isFilled ? page.rows : [];
    answer.page = isFilled
      ? encodePageToken({
          receiver: operation.session.uid,
          sender: operation.query.sender,
          first: page.first,
          last: page.last,
        })
      : NO_PAGE;
  }

  /** The store's answer to Counts. */
  onCounts(
    operation: CountsOperation<Handle>,
    status: Status,
    counts: readonly SenderCount[],
    out: GatewayEffects<Handle>,
  ): void {
    this.pendingCount--;
    const answer = this.send(operation.session, Kind.CountA, out);
    if (answer === null) return;
    answer.request = operation.request;
    answer.status = status;
    answer.counts = status === Status.Ok ? counts : [];
  }

  /** The store's answer to DeletePage. */
  onDeleted(operation: DeleteOperation<Handle>, status: Status, out: GatewayEffects<Handle>): void {
    this.pendingCount--;
    const { session, request } = operation;
    if (request !== null) {
      this.answerDone(session, request, status, out);
    } else if (status !== Status.Ok) {
      // The pull was answered already; its page before is back in the inbox and must be pulled.
      this.send(session, Kind.InboxN, out);
    }
  }

  private onMsgR(
    session: Session<Handle>,
    packet: Packet,
    nowMs: number,
    out: GatewayEffects<Handle>,
  ): void {
    const { uid, epoch, seq } = packet;
    const refusal = this.refusalOf(packet);
    if (refusal !== Status.Ok) {
      this.answerMsgR(session, uid, epoch, seq, refusal, out);
      return;
    }
    const receiver = this.sessions.get(uid);
    if (receiver !== undefined && !this.isDurable) {
      this.answerMsgR(session, uid, epoch, seq, Status.Ok, out);
      this.pushMsgN(receiver, session.uid, packet, out);
      return;
    }
    if (this.pendingCount >= this.options.pendingMax - PULL_OPERATIONS || !this.admit()) {
      this.answerMsgR(session, uid, epoch, seq, Status.Overloaded, out);
      return;
    }
    const effect = out.push();
    effect.kind = GatewayEffectKind.Put;
    effect.put = {
      session,
      row: {
        receiver: uid,
        sender: session.uid,
        epoch,
        seq,
        timeMs: nowMs,
        msgType: packet.msgType,
        content: copyOf(packet.content),
      },
    };
  }

  private refusalOf(packet: Packet): Status {
    if (!isUid(packet.uid)) return Status.BadUid;
    if (packet.epoch === 0 || packet.seq === 0) return Status.BadMsgid;
    if (packet.content.length > this.options.contentMaxBytes) return Status.TooLarge;
    return this.draining ? Status.Draining : Status.Ok;
  }

  private onAckR(session: Session<Handle>, packet: Packet, out: GatewayEffects<Handle>): void {
    const { uid, epoch, seq } = packet;
    const isNamed = epoch !== 0 && seq !== 0;
    const status = !isUid(uid) ? Status.BadUid : isNamed ? Status.Ok : Status.BadMsgid;
    const answer = this.push(session, Kind.AckA, out);
    answer.uid = uid;
    answer.epoch = epoch;
    answer.seq = seq;
    answer.status = status;
    if (status !== Status.Ok) return;
    if (this.isDurable) {
      const effect = out.push();
      effect.kind = GatewayEffectKind.Remove;
      effect.receiver = session.uid;
      effect.packet.uid = uid;
      effect.packet.epoch = epoch;
      effect.packet.seq = seq;
    }
    const sender = this.sessions.get(uid);
    if (sender !== undefined) {
      this.confirm(sender, session.uid, epoch, seq, Confirmation.Delivered, out);
    }
  }

  private onPullR(session: Session<Handle>, packet: Packet, out: GatewayEffects<Handle>): void {
    const { request, uid, order, limit, limitBytes } = packet;
    let status: Status = Status.Ok;
    let range: PageRange | null = null;
    if (isPage(packet.page)) {
      range = decodePageToken(packet.page, session.uid);
      if (range === null) status = Status.BadPage;
    }
    if (uid !== 0 && !isUid(uid)) status = Status.BadUid;
    const { pageMaxMessages, pageMaxBytes } = this.options;
    if (limit < 1 || limit > pageMaxMessages) status = Status.BadLimit;
    if (limitBytes < 1 || limitBytes > pageMaxBytes) status = Status.BadLimit;
    if (status === Status.Ok && !this.admit(range === null ? 1 : 2)) status = Status.Overloaded;
    if (status !== Status.Ok) {
      this.answerPull(session, request, status, out);
      return;
    }
    if (range !== null) this.deletePage(session, null, range, out);
    const effect = out.push();
    effect.kind = GatewayEffectKind.Page;
    effect.page = {
      session,
      request,
      query: { receiver: session.uid, sender: uid, order, limit, limitBytes },
    };
  }

  private onDoneR(session: Session<Handle>, packet: Packet, out: GatewayEffects<Handle>): void {
    const range = decodePageToken(packet.page, session.uid);
    if (range === null) {
      this.answerDone(session, packet.request, Status.BadPage, out);
    } else if (this.admit()) {
      this.deletePage(session, packet.request, range, out);
    } else {
      this.answerDone(session, packet.request, Status.Overloaded, out);
    }
  }

  private onCountR(session: Session<Handle>, packet: Packet, out: GatewayEffects<Handle>): void {
    if (!this.admit()) {
      const answer = this.push(session, Kind.CountA, out);
      answer.request = packet.request;
      answer.status = Status.Overloaded;
      answer.counts = [];
      return;
    }
    const effect = out.push();
    effect.kind = GatewayEffectKind.Counts;
    effect.counts = { session, request: packet.request };
  }

  private deletePage(
    session: Session<Handle>,
    request: number | null,
    range: PageRange,
    out: GatewayEffects<Handle>,
  ): void {
    const effect = out.push();
    effect.kind = GatewayEffectKind.DeletePage;
    effect.deletion = { session, request, range };
  }

  private answerPull(
    session: Session<Handle>,
    request: number,
    status: Status,
    out: GatewayEffects<Handle>,
  ): void {
    const answer = this.push(session, Kind.PullA, out);
    answer.request = request;
    answer.status = status;
    answer.more = false;
    answer.rows = [];
    answer.page = NO_PAGE;
  }

  private answerDone(
    session: Session<Handle>,
    request: number,
    status: Status,
    out: GatewayEffects<Handle>,
  ): void {
    const answer = this.send(session, Kind.DoneA, out);
    if (answer === null) return;
    answer.request = request;
    answer.status = status;
  }

  private answerMsgR(
    session: Session<Handle>,
    receiver: number,
    epoch: number,
    seq: number,
    status: Status,
    out: GatewayEffects<Handle>,
  ): void {
    const answer = this.send(session, Kind.MsgA, out);
    if (answer === null) return;
    answer.uid = receiver;
    answer.epoch = epoch;
    answer.seq = seq;
    answer.status = status;
  }

  private pushMsgN(
    receiver: Session<Handle>,
    sender: number,
    message: Pick<Packet, 'epoch' | 'seq' | 'msgType' | 'content'>,
    out: GatewayEffects<Handle>,
  ): void {
    const push = this.push(receiver, Kind.MsgN, out);
    push.uid = sender;
    push.epoch = message.epoch;
    push.seq = message.seq;
    push.msgType = message.msgType;
    push.content = message.content;
  }

  private confirm(
    session: Session<Handle>,
    receiver: number,
    epoch: number,
    seq: number,
    confirmation: Confirmation,
    out: GatewayEffects<Handle>,
  ): void {
    const push = this.send(session, Kind.AckN, out);
    if (push === null) return;
    push.uid = receiver;
    push.epoch = epoch;
    push.seq = seq;
    push.confirmation = confirmation;
  }

  /** A Send effect to an open session, for the caller to fill. */
  private push(session: Session<Handle>, kind: Kind, out: GatewayEffects<Handle>): Packet {
    const effect = out.push();
    effect.kind = GatewayEffectKind.Send;
    effect.session = session;
    effect.packet.kind = kind;
    effect.packet.status = Status.Ok;
    return effect.packet;
  }

  /** The same for a session that may have closed while the store was at work: null then. */
  private send(session: Session<Handle>, kind: Kind, out: GatewayEffects<Handle>): Packet | null {
    return session.open ? this.push(session, kind, out) : null;
  }

  private close(session: Session<Handle>, code: CloseCode, out: GatewayEffects<Handle>): void {
    if (!session.open) return;
    const effect = out.push();
    effect.kind = GatewayEffectKind.Close;
    effect.session = session;
    effect.closeCode = code;
    this.onClose(session);
  }

  /** Counts `operations` as in flight; false, and counts none, beyond the bound. */
  private admit(operations = 1): boolean {
    if (this.pendingCount + operations > this.options.pendingMax) return false;
    this.pendingCount += operations;
    return true;
  }

  private takeCredit(session: Session<Handle>, nowMs: number): boolean {
    const { packetsPerSec, packetsBurst } = this.options;
    // Wall clocks are set back; nobody may be punished for that.
    const elapsedMs = Math.max(0, nowMs - session.creditAtMs);
    const earned = (elapsedMs * packetsPerSec) / 1000;
    session.credit = Math.min(packetsBurst, session.credit + earned) - 1;
    session.creditAtMs = nowMs;
    return session.credit >= 0;
  }
}
