/**
 * What the outside world knows about the inboxes, and since when: a message is stored once its sender
 * was told so, gone once its receiver said so. "When" is a place in the journal of the disk, so that
 * the book can be held against what the disk had at any of its places.
 *
 * A place is read when the answer has arrived, thus never too early: every claim of the book at a
 * place is one that a user had really been given before the power went at that place.
 */
import { createHash } from 'node:crypto';

export const OFFLINE: readonly number[] = [2001, 2002, 2003, 2004, 2005];
/** Online, acknowledges a third: its rows are stored under the durable policy only. */
export const ONLINE = 3001;
/** Whose inboxes are audited. */
export const RECEIVERS: readonly number[] = [...OFFLINE, ONLINE];

/** A row as it was found after a power loss. */
export interface FoundRow {
  readonly receiver: number;
  readonly sender: number;
  readonly seq: number;
  /** SHA-256 in hex. */
  readonly digest: string;
}

interface Message {
  readonly receiver: number;
  readonly seq: number;
  readonly content: Buffer;
  readonly digest: string;
  storedAt: number;
  /** When its deletion was asked for: from then on it may be gone. */
  mayGoAt: number;
  /** When its deletion was answered ok: from then on it must be gone. */
  goneAt: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

export class InboxBook {
  private readonly messages = new Map<string, Message>();

  /** Before the message is sent. */
  send(receiver: number, seq: number, content: Buffer): void {
    this.messages.set(nameOf(receiver, seq), {
      receiver,
      seq,
      content,
      digest: digestOf(content),
      storedAt: NEVER,
      mayGoAt: NEVER,
      goneAt: NEVER,
    });
  }

  /** The server answered that it is stored. */
  stored(receiver: number, seq: number, place: number): void {
    const message = this.of(receiver, seq);
    message.storedAt = Math.min(message.storedAt, place);
  }

  /** Before its deletion is asked for. */
  mayGo(receiver: number, seq: number, place: number): void {
    const message = this.of(receiver, seq);
    message.mayGoAt = Math.min(message.mayGoAt, place);
  }

  /** The server answered that it is deleted. */
  gone(receiver: number, seq: number, place: number): void {
    const message = this.of(receiver, seq);
    message.goneAt = Math.min(message.goneAt, place);
  }

  /** Messages that were confirmed as stored so far. */
  get confirmed(): number {
    let count = 0;
    for (const { storedAt } of this.messages.values()) if (storedAt < NEVER) count++;
    return count;
  }

  /**
   * What a sender would send again: not confirmed, and no row of it was ever pulled (after that, a
   * repeat may rightly be stored anew).
   */
  get unsettled(): { receiver: number; seq: number; content: Buffer }[] {
    return [...this.messages.values()].filter(
      ({ storedAt, mayGoAt }) => storedAt === NEVER && mayGoAt === NEVER,
    );
  }

  /** Where messages were confirmed, each place once. */
  get places(): number[] {
    const places = new Set([...this.messages.values()].map(({ storedAt }) => storedAt));
    places.delete(NEVER);
    return [...places];
  }

  /**
   * After a power loss at `place`: from now on the disk counts from 0, and what was promised before
   * is promised from the beginning. What was promised later, the users never heard: it is forgotten.
   */
  rebase(place: number): void {
    const moved = (at: number): number => (at <= place ? 0 : NEVER);
    for (const message of this.messages.values()) {
      message.storedAt = moved(message.storedAt);
      message.mayGoAt = moved(message.mayGoAt);
      message.goneAt = moved(message.goneAt);
    }
  }

  /** Holds the rows of a disk that lost its power at `place` against the book; a line per breach. */
  audit(rows: readonly FoundRow[], place: number): string[] {
    const breaches: string[] = [];
    const found = new Set<string>();
    for (const { receiver, sender, seq, digest } of rows) {
      const name = nameOf(receiver, seq);
      const message = this.messages.get(name);
      if (found.has(name)) breaches.push(`${name} is there twice`);
      found.add(name);
      if (message === undefined) breaches.push(`${name} of ${sender} was never sent`);
      else if (message.digest !== digest) breaches.push(`${name} has another content`);
      else if (message.goneAt <= place) breaches.push(`${name} was deleted and is back`);
    }
    for (const [name, { storedAt, mayGoAt }] of this.messages) {
      if (storedAt <= place && mayGoAt > place && !found.has(name)) {
        breaches.push(`${name} was confirmed and is lost`);
      }
    }
    return breaches;
  }

  private of(receiver: number, seq: number): Message {
    const message = this.messages.get(nameOf(receiver, seq));
    if (message === undefined) throw new Error(`${nameOf(receiver, seq)} was never sent`);
    return message;
  }
}

function nameOf(receiver: number, seq: number): string {
  return `${receiver}/${seq}`;
}
