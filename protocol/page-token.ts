/**
 * Page tokens: what a gateway puts into pull:A and gets back as an acknowledgement (S17, S19).
 *
 *     0        8        16       24       32
 *     | owner  | sender | first  | last   |      four u64, little-endian
 *
 * A token names the rows of one page by the position range that it covered, so the server keeps no
 * state between two pulls and a token survives reconnects and restarts. It holds its owner, so that
 * a token of one user never touches another's inbox. Clients must treat it as opaque.
 */
import { isUid, PAGE_TOKEN_BYTES, UID_MAX } from './packet.ts';

export interface PageRange {
  readonly receiver: number;
  /** 0 = rows of every sender. */
  readonly sender: number;
  readonly first: number;
  readonly last: number;
}

/** A fresh token for the page. */
export function encodePageToken(range: PageRange): Uint8Array {
  const token = new Uint8Array(PAGE_TOKEN_BYTES);
  const view = new DataView(token.buffer);
  view.setBigUint64(0, BigInt(range.receiver), true);
  view.setBigUint64(8, BigInt(range.sender), true);
  view.setBigUint64(16, BigInt(range.first), true);
  view.setBigUint64(24, BigInt(range.last), true);
  return token;
}

/** The page that `token` names, or null when no gateway made it for `owner`. */
export function decodePageToken(token: Uint8Array, owner: number): PageRange | null {
  if (token.length !== PAGE_TOKEN_BYTES) return null;
  const view = new DataView(token.buffer, token.byteOffset, token.byteLength);
  const receiver = Number(view.getBigUint64(0, true));
  const sender = Number(view.getBigUint64(8, true));
  const first = Number(view.getBigUint64(16, true));
  const last = Number(view.getBigUint64(24, true));
  if (receiver !== owner) return null;
  if (sender !== 0 && !isUid(sender)) return null;
  if (first < 1 || last < first || last > UID_MAX) return null;
  return { receiver, sender, first, last };
}
