/** Drives one Gateway by hand: sessions named by a letter, a store that answers when told to. */
import {
  type CountsOperation,
  createGatewayEffects,
  type DeleteOperation,
  encodePageToken,
  Gateway,
  GatewayEffectKind,
  type GatewayOptions,
  Kind,
  NO_CONTENT,
  Order,
  type Packet,
  type PageOperation,
  Policy,
  type PutOperation,
  type Row,
  type SenderCount,
  type Session,
  Status,
} from '../../protocol/index.ts';
import { bytesOf, drainGateway, packet, present } from './describe.ts';

export const EMPTY_PAGE = { rows: [], first: 0, last: 0, more: false };

/** Small limits, no rate limit. */
export const GATEWAY_OPTIONS: GatewayOptions = {
  policy: Policy.Relay,
  contentMaxBytes: 10,
  pageMaxMessages: 20,
  pageMaxBytes: 200,
  packetsPerSec: 0,
  packetsBurst: 0,
  pendingMax: 100,
};

/** A row as a store would give it. */
export function rowOf(sender: number, seq: number): Row {
  return { sender, epoch: 7, seq, timeMs: 0, msgType: 1, content: NO_CONTENT };
}

export function tokenOf(receiver: number, sender: number, first: number, last: number): Uint8Array {
  return encodePageToken({ receiver, sender, first, last });
}

/** A gateway whose inputs answer with lines; store operations wait, oldest first, to be answered. */
export function gatewayOf(options: Partial<GatewayOptions> = {}) {
  const gateway = new Gateway<string>({ ...GATEWAY_OPTIONS, ...options });
  const out = createGatewayEffects<string>();
  const puts: PutOperation<string>[] = [];
  const pages: PageOperation<string>[] = [];
  const asks: CountsOperation<string>[] = [];
  const deletions: DeleteOperation<string>[] = [];
  const drain = (): string[] => {
    for (let i = 0; i < out.length; i++) {
      const { kind, put, page, counts, deletion } = out.at(i);
      if (kind === GatewayEffectKind.Put) puts.push(present(put));
      if (kind === GatewayEffectKind.Page) pages.push(present(page));
      if (kind === GatewayEffectKind.Counts) asks.push(present(counts));
      if (kind === GatewayEffectKind.DeletePage) deletions.push(present(deletion));
    }
    return drainGateway(out);
  };
  const receive = (
    session: Session<string>,
    kind: Kind,
    fields: Partial<Packet> = {},
    nowMs = 0,
  ): string[] => {
    gateway.onPacket(session, packet(kind, fields), nowMs, out);
    return drain();
  };
  return {
    gateway,
    receive,
    /** Logs a user in; what the login itself caused is in `loginLines`. */
    open(uid: number, handle: string, nowMs = 0): Session<string> {
      const session = gateway.onOpen(uid, handle, nowMs, out);
      this.loginLines = drain();
      return session;
    },
    loginLines: [] as string[],
    msgR(session: Session<string>, fields: Partial<Packet> = {}, nowMs = 0): string[] {
      const message = { uid: 2, epoch: 7, seq: 1, content: bytesOf('hi') };
      return receive(session, Kind.MsgR, { ...message, ...fields }, nowMs);
    },
    pullR(session: Session<string>, fields: Partial<Packet> = {}): string[] {
      const pull = { request: 5, order: Order.OldestFirst, limit: 10, limitBytes: 100 };
      return receive(session, Kind.PullR, { ...pull, ...fields });
    },
    unparsable(session: Session<string>): string[] {
      gateway.onUnparsable(session, out);
      return drain();
    },
    committed(status: Status = Status.Ok): string[] {
      gateway.onPut(present(puts.shift()), status, out);
      return drain();
    },
    paged(
      page: { rows: readonly Row[]; first: number; last: number; more: boolean },
      status: Status = Status.Ok,
    ): string[] {
      gateway.onPage(present(pages.shift()), status, page, out);
      return drain();
    },
    counted(counts: readonly SenderCount[], status: Status = Status.Ok): string[] {
      gateway.onCounts(present(asks.shift()), status, counts, out);
      return drain();
    },
    deleted(status: Status = Status.Ok): string[] {
      gateway.onDeleted(present(deletions.shift()), status, out);
      return drain();
    },
  };
}
