/**
 * Machines and stores that each break one rule of the protocol. An audit that passes one of them
 * proves nothing.
 */
import {
  Client,
  type ClientEffects,
  ClientEffectKind,
  Confirmation,
  Gateway,
  GatewayEffectKind,
  type GatewayEffects,
  type GatewayOptions,
  Kind,
  type Packet,
  type PutOperation,
  Receiver,
  type Row,
  type Session,
  Status,
} from '../../protocol/index.ts';
import type { NewRow, Page, PageQuery, PageRange } from '../../server/stores/store.ts';
import type { Audit } from './audit.ts';
import { SimStore } from './sim-store.ts';
import type { Connection } from './user.ts';
import type { WorldOptions } from './world-options.ts';

/** Appends packets to a session as a gateway would. */
function forge(
  session: Session<Connection>,
  out: GatewayEffects<Connection>,
  packet: Partial<Packet>,
): void {
  const effect = out.push();
  effect.kind = GatewayEffectKind.Send;
  effect.session = session;
  Object.assign(effect.packet, packet);
}

function isFirstOf(row: { seq: number }): boolean {
  return row.seq === 1;
}

class WithoutDedupe extends Receiver {
  override onMsgN(packet: Packet, out: ClientEffects): void {
    super.onMsgN(packet, out);
    this.deliverRepeats(out);
  }

  override onRow(row: Row, out: ClientEffects): void {
    super.onRow(row, out);
    this.deliverRepeats(out);
  }

  private deliverRepeats(out: ClientEffects): void {
    for (let i = 0; i < out.length; i++) {
      const effect = out.at(i);
      if (effect.kind === ClientEffectKind.Repeat) effect.kind = ClientEffectKind.Deliver;
    }
  }
}

/** Takes "older than the newest" for "seen before", the rule that only exact sets replace. */
class WithWatermark extends Receiver {
  private readonly newest = new Map<number, number>();

  override onRow(row: Row, out: ClientEffects): void {
    if (row.seq > (this.newest.get(row.sender) ?? 0)) super.onRow(row, out);
  }

  override onMsgN(packet: Packet, out: ClientEffects): void {
    this.newest.set(packet.uid, Math.max(packet.seq, this.newest.get(packet.uid) ?? 0));
    super.onMsgN(packet, out);
  }
}

class AcknowledgingOnly extends Receiver {
  override onMsgN(packet: Packet, out: ClientEffects): void {
    const effect = out.push();
    effect.kind = ClientEffectKind.Send;
    effect.packet.kind = Kind.AckR;
    effect.packet.uid = packet.uid;
    effect.packet.epoch = packet.epoch;
    effect.packet.seq = packet.seq;
  }
}

/** Believes msg:A, as a protocol without the second half would. */
class BelievingClient extends Client {
  override onPacket(packet: Packet, nowMs: number, out: ClientEffects): boolean {
    const isKnown = super.onPacket(packet, nowMs, out);
    if (packet.kind === Kind.MsgA && packet.status === Status.Ok) {
      this.sender.onAckN(packet, nowMs, out);
    }
    return isKnown;
  }
}

class ForgingGateway extends Gateway<Connection> {
  override onPacket(
    session: Session<Connection>,
    packet: Packet,
    nowMs: number,
    out: GatewayEffects<Connection>,
  ): void {
    const isForged = packet.kind === Kind.MsgR && this.sessionOf(packet.uid) === undefined;
    if (!isForged) {
      super.onPacket(session, packet, nowMs, out);
      return;
    }
    const { uid, epoch, seq } = packet;
    forge(session, out, { kind: Kind.MsgA, uid, epoch, seq, status: Status.Ok });
    const confirmation = Confirmation.Stored;
    forge(session, out, { kind: Kind.AckN, uid, epoch, seq, confirmation });
  }
}

class OptimisticGateway extends Gateway<Connection> {
  override onPut(
    operation: PutOperation<Connection>,
    _status: Status,
    out: GatewayEffects<Connection>,
  ): void {
    super.onPut(operation, Status.Ok, out);
  }
}

class ModestGateway extends Gateway<Connection> {
  override onPut(
    operation: PutOperation<Connection>,
    status: Status,
    out: GatewayEffects<Connection>,
  ): void {
    super.onPut(operation, status === Status.Ok ? Status.InboxFull : status, out);
  }
}

class MisroutingGateway extends Gateway<Connection> {
  override sessionOf(uid: number): Session<Connection> | undefined {
    return super.sessionOf(uid === 1 ? 2 : uid);
  }

  override onPacket(
    session: Session<Connection>,
    packet: Packet,
    nowMs: number,
    out: GatewayEffects<Connection>,
  ): void {
    super.onPacket(session, packet, nowMs, out);
    const other = this.sessionOf(1);
    if (packet.kind !== Kind.MsgR || other === undefined) return;
    const { epoch, seq, content, msgType } = packet;
    forge(other, out, { kind: Kind.MsgN, uid: session.uid, epoch, seq, msgType, content });
  }
}

export class SilentGateway extends Gateway<Connection> {
  override onPacket(): void {
    // A server that takes everything and answers nothing.
  }
}

class ForgetfulStore extends SimStore {
  protected override insert(row: NewRow): Status {
    return isFirstOf(row) ? Status.Ok : super.insert(row);
  }
}

class DeletingOnSendStore extends SimStore {
  override page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    super.page(query, (status, page) => {
      const { first, last, rows } = page;
      const { receiver, sender } = query;
      if (rows.length > 0) this.deletePage({ receiver, sender, first, last }, () => undefined);
      done(status, page);
    });
  }
}

class DeletingTooMuchStore extends SimStore {
  override deletePage(range: PageRange, done: (status: Status) => void): void {
    super.deletePage({ ...range, last: Number.MAX_SAFE_INTEGER }, done);
  }
}

/** Hides what it should delete. */
class HoardingStore extends SimStore {
  override deletePage(range: PageRange, done: (status: Status) => void): void {
    for (const row of this.rows) {
      const isNamed = row.receiver === range.receiver && row.position <= range.last;
      if (isNamed) row.deletions = 1;
    }
    super.deletePage({ ...range, first: Number.MAX_SAFE_INTEGER }, done);
  }
}

const withReceiver = (make: () => Receiver): Partial<WorldOptions> => ({
  makeClient: (options) => Object.assign(new Client(options), { receiver: make() }),
});
export const withGateway = (
  make: new (options: GatewayOptions) => Gateway<Connection>,
): Partial<WorldOptions> => ({ makeGateway: (options) => new make(options) });
const withStore = (make: typeof SimStore): Partial<WorldOptions> => ({
  makeStore: (clock, random, options) => new make(clock, random, options),
});

/** What is broken, the figure of the audit that must show it, and the world that has it. */
export const SABOTAGE: readonly [string, keyof Audit, Partial<WorldOptions>][] = [
  ['a receiver without dedupe', 'duplicated', withReceiver(() => new WithoutDedupe())],
  ['a receiver that dedupes by a watermark', 'lost', withReceiver(() => new WithWatermark())],
  [
    'a receiver that acknowledges without delivering',
    'falseConfirm',
    withReceiver(() => new AcknowledgingOnly()),
  ],
  [
    'a sender that takes msg:A for delivery',
    'falseConfirm',
    { makeClient: (options) => new BelievingClient(options) },
  ],
  ['a gateway that forges ack:N without storing', 'falseConfirm', withGateway(ForgingGateway)],
  ['a gateway that takes a failed commit for done', 'lost', withGateway(OptimisticGateway)],
  ['a gateway that calls a stored message failed', 'phantom', withGateway(ModestGateway)],
  ['a gateway that pushes to the wrong user', 'unexpected', withGateway(MisroutingGateway)],
  ['a gateway that answers nothing', 'unknown', withGateway(SilentGateway)],
  ['a store that forgets a row', 'lost', withStore(ForgetfulStore)],
  ['a store that deletes a page when it is read', 'lost', withStore(DeletingOnSendStore)],
  ['a store that deletes more than the page', 'lost', withStore(DeletingTooMuchStore)],
  ['a store that never deletes', 'stuck', withStore(HoardingStore)],
];
