/**
 * The vocabulary of the protocol: packet kinds, statuses, limits and the one packet record.
 *
 * The letter after the colon says who speaks (S1): R is a request of a client, A the server's answer
 * to one R, N a notification by the server. One message is six packets (S4): msg:R msg:A msg:N
 * ack:R ack:A ack:N.
 *
 * `Packet` is one flat, mutable record for every kind rather than a union of small objects: the
 * decoder and the machines reuse records, so that a message allocates nothing on its way
 * (docs/decisions/0002-flat-packets.md). Byte layouts: docs/PROTOCOL.md and `codec.ts`.
 */

/** Version in the WebSocket path (`/v1/ws`). A change of any byte layout changes it. */
export const PROTOCOL_VERSION = 1;

/** Packet kinds; the value is the first byte on the wire. */
export const Kind = {
  MsgR: 0x01,
  MsgA: 0x02,
  MsgN: 0x03,
  AckR: 0x11,
  AckA: 0x12,
  AckN: 0x13,
  CountR: 0x21,
  CountA: 0x22,
  PullR: 0x31,
  PullA: 0x32,
  DoneR: 0x41,
  DoneA: 0x42,
  InboxN: 0x53,
  KickN: 0x63,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** The names used on the wire, in logs, in docs and as keys of results. */
export const KIND_NAME: Readonly<Record<Kind, string>> = {
  [Kind.MsgR]: 'msg:R',
  [Kind.MsgA]: 'msg:A',
  [Kind.MsgN]: 'msg:N',
  [Kind.AckR]: 'ack:R',
  [Kind.AckA]: 'ack:A',
  [Kind.AckN]: 'ack:N',
  [Kind.CountR]: 'count:R',
  [Kind.CountA]: 'count:A',
  [Kind.PullR]: 'pull:R',
  [Kind.PullA]: 'pull:A',
  [Kind.DoneR]: 'done:R',
  [Kind.DoneA]: 'done:A',
  [Kind.InboxN]: 'inbox:N',
  [Kind.KickN]: 'kick:N',
};

/** Every kind, in wire order. */
export const KINDS = Object.keys(KIND_NAME).map(Number) as Kind[];

/** flags of msg:R: bit 0 is set on every transmission after the first. */
export const MSG_FLAG_RETRANSMISSION = 1;

/** What ack:N confirms. `Stored` is the forged confirmation of S9; the two are never mixed. */
export const Confirmation = { Delivered: 0, Stored: 1 } as const;
export type Confirmation = (typeof Confirmation)[keyof typeof Confirmation];

/** Order of a page: by position in the inbox, that is by the time of storing. */
export const Order = { OldestFirst: 0, NewestFirst: 1 } as const;
export type Order = (typeof Order)[keyof typeof Order];

/** uids are u64 on the wire and must satisfy 0 < uid <= UID_MAX, so that a double holds them. */
export const UID_MAX = Number.MAX_SAFE_INTEGER;

/** True for a number that may name a user. */
export function isUid(uid: number): boolean {
  return uid > 0 && Number.isSafeInteger(uid);
}

/** Length of a page token in bytes. Clients echo it and do not look inside. */
export const PAGE_TOKEN_BYTES = 32;

/** The token that acknowledges nothing. Do not write to it. */
export const NO_PAGE: Uint8Array = new Uint8Array(PAGE_TOKEN_BYTES);

/** True when a token names a page; all bytes zero names none. */
export function isPage(token: Uint8Array): boolean {
  for (let i = 0; i < token.length; i++) if (token[i] !== 0) return true;
  return false;
}

const EMPTY = new Uint8Array(0);

/** One stored message as pull:A carries it. `content` belongs to whoever made the row. */
export interface Row {
  sender: number;
  epoch: number;
  seq: number;
  /** When the server stored it, ms since 1970. */
  timeMs: number;
  msgType: number;
  content: Uint8Array;
}

/** How many messages of one sender wait in the inbox (S14). */
export interface SenderCount {
  sender: number;
  count: number;
}

const NO_ROWS: readonly Row[] = [];
const NO_COUNTS: readonly SenderCount[] = [];

/**
 * One packet of any kind. A field that a kind does not use keeps its zero. What each kind uses:
 *
 * | kind    | fields                                                          |
 * |---------|-----------------------------------------------------------------|
 * | msg:R   | uid (receiver) epoch seq msgType flags content                   |
 * | msg:A   | uid (receiver) epoch seq status                                  |
 * | msg:N   | uid (sender) epoch seq msgType content                           |
 * | ack:R   | uid (sender) epoch seq                                           |
 * | ack:A   | uid (sender) epoch seq status                                    |
 * | ack:N   | uid (receiver) epoch seq confirmation                            |
 * | count:R | request                                                          |
 * | count:A | request status counts                                            |
 * | pull:R  | request uid (sender filter, 0 = all) order limit limitBytes page |
 * | pull:A  | request status more page rows                                    |
 * | done:R  | request page                                                     |
 * | done:A  | request status                                                   |
 * | inbox:N | -                                                                |
 * | kick:N  | -                                                                |
 *
 * `content`, `page` of a decoded packet are views into the received bytes: valid until the next
 * packet is received; copy what you keep.
 */
export class Packet {
  kind: Kind = Kind.MsgR;
  uid = 0;
  epoch = 0;
  seq = 0;
  msgType = 0;
  flags = 0;
  status = 0;
  confirmation: Confirmation = Confirmation.Delivered;
  request = 0;
  order: Order = Order.OldestFirst;
  /** Page limit in messages. */
  limit = 0;
  /** Page limit in bytes of content; the first row always fits. */
  limitBytes = 0;
  more = false;
  page: Uint8Array = NO_PAGE;
  content: Uint8Array = EMPTY;
  rows: readonly Row[] = NO_ROWS;
  counts: readonly SenderCount[] = NO_COUNTS;
}

/** Empty content. */
export { EMPTY as NO_CONTENT };
