/**
 * What a gateway works on and writes: sessions, effects, and the store operations in flight.
 *
 * As with the client's effects, slots are reused and the buffer is drained wholly after each input.
 * Operations are handed to the driver and come back with the store's answer.
 */
import { EffectBuffer } from './effects.ts';
import { CloseCode } from './errors.ts';
import { type Order, Packet, type Row } from './packet.ts';
import type { PageRange } from './page-token.ts';

/** One authenticated connection. Made by `Gateway.onOpen`; `handle` is the driver's own. */
export class Session<Handle = unknown> {
  readonly uid: number;
  readonly handle: Handle;
  open = true;
  /** Packets that the session may send now. */
  credit: number;
  creditAtMs: number;

  constructor(uid: number, handle: Handle, credit: number, nowMs: number) {
    this.uid = uid;
    this.handle = handle;
    this.credit = credit;
    this.creditAtMs = nowMs;
  }
}

export const GatewayEffectKind = {
  /** Send `packet` to `session`. */
  Send: 0,
  /** Close `session` with `closeCode`, after what was sent to it before. */
  Close: 1,
  /** Store `operation.row`; answer with `onPut`. */
  Put: 2,
  /** Read `operation.query`; answer with `onPage`. */
  Page: 3,
  /** Read the counts of `operation.session.uid`; answer with `onCounts`. */
  Counts: 4,
  /** Delete `operation.range`; answer with `onDeleted`. */
  DeletePage: 5,
  /** Delete the row named by uid (receiver), `packet` uid, epoch, seq (durable, on ack:R). */
  Remove: 6,
} as const;
export type GatewayEffectKind = (typeof GatewayEffectKind)[keyof typeof GatewayEffectKind];

/** A row on its way into the store. */
export interface PutRow extends Row {
  readonly receiver: number;
}

export interface PullQuery {
  readonly receiver: number;
  readonly sender: number;
  readonly order: Order;
  readonly limit: number;
  readonly limitBytes: number;
}

/** A store operation in flight; the driver hands it back with the result. */
export interface PutOperation<Handle> {
  readonly session: Session<Handle>;
  readonly row: PutRow;
}
export interface PageOperation<Handle> {
  readonly session: Session<Handle>;
  readonly request: number;
  readonly query: PullQuery;
}
export interface CountsOperation<Handle> {
  readonly session: Session<Handle>;
  readonly request: number;
}
export interface DeleteOperation<Handle> {
  readonly session: Session<Handle>;
  /** Request of the done:R to answer; null when the deletion rides on a pull:R. */
  readonly request: number | null;
  readonly range: PageRange;
}

export class GatewayEffect<Handle> {
  kind: GatewayEffectKind = GatewayEffectKind.Send;
  session: Session<Handle> | null = null;
  readonly packet = new Packet();
  closeCode: CloseCode = CloseCode.BadPacket;
  /** Receiver of Remove. */
  receiver = 0;
  put: PutOperation<Handle> | null = null;
  page: PageOperation<Handle> | null = null;
  counts: CountsOperation<Handle> | null = null;
  deletion: DeleteOperation<Handle> | null = null;
}

export type GatewayEffects<Handle> = EffectBuffer<GatewayEffect<Handle>>;

export function createGatewayEffects<Handle>(): GatewayEffects<Handle> {
  return new EffectBuffer(() => new GatewayEffect<Handle>());
}
