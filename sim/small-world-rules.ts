/**
 * What must hold in every state of a small world, as operations on sets of messages (bit masks).
 */
import { Policy } from '../protocol/index.ts';
import { Wrong } from './small-world-user.ts';

/** The observer's books of the whole world: each a set of messages, `wrongs` flags of `Wrong`. */
export interface WorldBooks {
  attempted: number;
  /** msg:A ok was seen by the sender. */
  accepted: number;
  /** ack:N(delivered), ack:N(stored) were seen by the sender. */
  confirmed: number;
  confirmedStored: number;
  /** A definite error settled it. */
  failed: number;
  /** In the waiting-ack queue of its sender. */
  waiting: number;
  /** In its receiver's log. */
  delivered: number;
  /** A committed row; -1 when a row is in the wrong inbox. */
  stored: number;
  wrongs: number;
}

export function emptyBooks(): WorldBooks {
  return {
    attempted: 0,
    accepted: 0,
    confirmed: 0,
    confirmedStored: 0,
    failed: 0,
    waiting: 0,
    delivered: 0,
    stored: 0,
    wrongs: 0,
  };
}

/** The rule that `books` break, as a sentence; null when all hold. */
export function brokenRule(books: WorldBooks, policy: Policy): string | null {
  const { attempted, accepted, confirmed, confirmedStored, delivered, stored, wrongs } = books;
  if (wrongs !== 0) return wrongOf(wrongs);
  if (stored === -1) return 'a row is in the inbox of the wrong user';
  if ((delivered & ~attempted) !== 0) return 'a message was delivered that nobody sent';
  if ((stored & ~attempted) !== 0) return 'a message is stored that nobody sent';
  if ((confirmed & ~delivered) !== 0) return 'a message is confirmed and was not delivered';
  if ((confirmedStored & ~(delivered | stored)) !== 0) {
    return 'a message is confirmed stored and is neither in the inbox nor delivered';
  }
  if ((books.failed & (delivered | stored)) !== 0) return 'a failed message had an effect';
  const kept = delivered | stored | (policy === Policy.Relay ? books.waiting : 0);
  if ((accepted & ~kept) !== 0) {
    return policy === Policy.Relay
      ? 'an accepted message is not delivered, not stored and not waiting at its sender'
      : 'an accepted message is neither committed nor delivered';
  }
  return null;
}

function wrongOf(wrongs: number): string {
  if ((wrongs & Wrong.DeliveredTwice) !== 0) return 'a message is twice in the log of its receiver';
  if ((wrongs & Wrong.WrongUser) !== 0) return 'a message came to the wrong user, or changed';
  if ((wrongs & Wrong.SettledTwice) !== 0) return 'a message was settled twice';
  if ((wrongs & Wrong.GaveUp) !== 0) return 'a message was given up';
  return 'a client got a packet that only clients send';
}
