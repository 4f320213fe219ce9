/**
 * Gateways that each break one rule for some messages, on real sockets. What must stay true: apart
 * from the one planted bug a gateway here does what the protocol's own does, so a run that fails,
 * fails because of it.
 */
import { Random } from '../../loadgen/random.ts';
import {
  Confirmation,
  Gateway,
  GatewayEffectKind,
  type GatewayEffects,
  type GatewayOptions,
  Kind,
  MSG_FLAG_RETRANSMISSION,
  type Packet,
  type PutOperation,
  type Session,
  Status,
} from '../../protocol/index.ts';
import type { Peer } from '../../server/connection.ts';

/** How often a bug strikes, and the seed that decides when. */
export interface Plan {
  /** Probability per opportunity: a message, a confirmation, a row, a page. */
  readonly rate: number;
  readonly seed: number;
}

/** Added to a seq, so that the message has a name that nobody gave it. Seqs of a run stay below. */
export const ANOTHER_NAME = 2 ** 31;

type Effects = GatewayEffects<Peer>;
type UserSession = Session<Peer>;

/** A gateway that strikes by chance, knows who is online, and may change what it has decided. */
abstract class SabotagedGateway extends Gateway<Peer> {
  protected readonly random: Random;
  private readonly rate: number;
  private readonly present = new Set<UserSession>();

  constructor(options: GatewayOptions, plan: Plan) {
    super(options);
    this.random = new Random(plan.seed, 'gateway');
    this.rate = plan.rate;
  }

  override onOpen(uid: number, handle: Peer, nowMs: number, out: Effects): UserSession {
    const session = super.onOpen(uid, handle, nowMs, out);
    this.present.add(session);
    return session;
  }

  override onClose(session: UserSession): void {
    this.present.delete(session);
    super.onClose(session);
  }

  protected strikes(): boolean {
    return this.random.chance(this.rate);
  }

  /** Somebody online who is none of `parties`; null when there is nobody else. O(online). */
  protected stranger(parties: readonly number[]): UserSession | null {
    const others = [...this.present].filter(({ uid }) => !parties.includes(uid));
    return others[this.random.below(others.length)] ?? null;
  }

  /** Hands every packet that leaves as `kind` since effect `from` to `change`, with its session. */
  protected changeSent(
    out: Effects,
    from: number,
    kind: Kind,
    change: (packet: Packet, session: UserSession) => UserSession | null,
  ): void {
    for (let i = from; i < out.length; i++) {
      const effect = out.at(i);
      if (effect.kind !== GatewayEffectKind.Send || effect.packet.kind !== kind) continue;
      const session = effect.session as UserSession;
      effect.session = change(effect.packet, session) ?? session;
    }
  }
}

/** Says that an online message was accepted and delivered, and drops it. */
class DroppingGateway extends SabotagedGateway {
  override onPacket(session: UserSession, packet: Packet, nowMs: number, out: Effects): void {
    const receiver = packet.kind === Kind.MsgR ? this.sessionOf(packet.uid) : undefined;
    if (receiver === undefined || !this.strikes()) {
      super.onPacket(session, packet, nowMs, out);
      return;
    }
    const { uid, epoch, seq } = packet;
    const confirmation = Confirmation.Delivered;
    send(session, out, { kind: Kind.MsgA, uid, epoch, seq, status: Status.Ok });
    send(session, out, { kind: Kind.AckN, uid, epoch, seq, confirmation });
  }
}

/** Pushes a message to somebody it was not meant for, instead of to its receiver. */
class MisroutingGateway extends SabotagedGateway {
  override onPacket(session: UserSession, packet: Packet, nowMs: number, out: Effects): void {
    const from = out.length;
    super.onPacket(session, packet, nowMs, out);
    this.changeSent(out, from, Kind.MsgN, (push, receiver) =>
      this.strikes() ? this.stranger([push.uid, receiver.uid]) : null,
    );
  }
}

/** Flips one bit of a pushed content. */
class CorruptingGateway extends SabotagedGateway {
  override onPacket(session: UserSession, packet: Packet, nowMs: number, out: Effects): void {
    const from = out.length;
    super.onPacket(session, packet, nowMs, out);
    this.changeSent(out, from, Kind.MsgN, (push) => {
      if (push.content.length === 0 || !this.strikes()) return null;
      push.content = new Uint8Array(push.content);
      push.content[this.random.below(push.content.length)]! ^= 1 << this.random.below(8);
      return null;
    });
  }
}

/**
 * Takes a retransmission for a new message and pushes it under a new msgid, which the receiver's
 * exact dedupe cannot know. Confirmations are translated back, so the sender sees nothing.
 */
class RenamingGateway extends SabotagedGateway {
  override onPacket(session: UserSession, packet: Packet, nowMs: number, out: Effects): void {
    const from = out.length;
    const isAgain = packet.kind === Kind.MsgR && packet.flags === MSG_FLAG_RETRANSMISSION;
    const isRenamed = packet.kind === Kind.AckR && packet.seq >= ANOTHER_NAME;
    if (isRenamed) packet.seq -= ANOTHER_NAME;
    super.onPacket(session, packet, nowMs, out);
    const rename = (sent: Packet): null => {
      sent.seq += ANOTHER_NAME;
      return null;
    };
    if (isAgain && this.strikes()) this.changeSent(out, from, Kind.MsgN, rename);
    if (isRenamed) this.changeSent(out, from, Kind.AckA, rename);
  }
}

/** Gives a confirmation to somebody who did not send the message. */
class WrongConfirmGateway extends SabotagedGateway {
  override onPacket(session: UserSession, packet: Packet, nowMs: number, out: Effects): void {
    const from = out.length;
    super.onPacket(session, packet, nowMs, out);
    this.changeSent(out, from, Kind.AckN, (confirm, sender) =>
      this.strikes() ? this.stranger([confirm.uid, sender.uid]) : null,
    );
  }
}

/** Answers that the inbox was full although the message was stored. */
class FalseErrorGateway extends SabotagedGateway {
  override onPut(operation: PutOperation<Peer>, status: Status, out: Effects): void {
    const isTold = status === Status.Ok && this.strikes();
    super.onPut(operation, isTold ? Status.InboxFull : status, out);
  }
}

function send(session: UserSession, out: Effects, facts: Partial<Packet>): void {
  const effect = out.push();
  effect.kind = GatewayEffectKind.Send;
  effect.session = session;
  Object.assign(effect.packet, facts);
}

export type MakeGateway = (options: GatewayOptions, plan: Plan) => Gateway<Peer>;

export const drops: MakeGateway = (options, plan) => new DroppingGateway(options, plan);
export const misroutes: MakeGateway = (options, plan) => new MisroutingGateway(options, plan);
export const corrupts: MakeGateway = (options, plan) => new CorruptingGateway(options, plan);
export const renames: MakeGateway = (options, plan) => new RenamingGateway(options, plan);
export const confirmsWrongly: MakeGateway = (options, plan) =>
  new WrongConfirmGateway(options, plan);
export const callsStoredFailed: MakeGateway = (options, plan) =>
  new FalseErrorGateway(options, plan);
