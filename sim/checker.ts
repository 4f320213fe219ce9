/**
 * Checker: knows every message of a world from both ends and says at once when a promise breaks.
 *
 *     Conf ⊆ Del ⊆ Att;  nothing twice;  what is accepted is delivered, in the inbox, or (relay)
 *     still with its sender;  nothing leaves an inbox before its receiver has it for good
 *
 * The sets change only through the events below, so checking each event checks every instant. The
 * checker believes no machine: it sees what users did, what logs hold and what the disk holds.
 * At the end `finish` goes through everything once more, by full scans.
 */
import { Outcome, Policy } from '../protocol/index.ts';
import { nameOf } from './trace.ts';

/** What must be asked of the stores: is the row on the disk? */
export interface Disk {
  holds(record: MessageRecord): boolean;
}

export interface MessageRecord {
  readonly index: number;
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
  readonly seq: number;
  readonly content: string;
  accepted: boolean;
  outcome: Outcome | null;
  /** Told to the sender, in whichever life of his. */
  confirmed: 'delivered' | 'stored' | null;
  /** In the receiver's log: not at all, written, or safe from a crash. */
  log: 'none' | 'written' | 'synced';
  /** A store answered ok for it, and has not deleted it since. */
  isStored: boolean;
  /** The sender crashed before his log had it, and before it was sent. */
  isErased: boolean;
}

export interface Violation {
  /** Which promise: a short name. */
  readonly check: string;
  readonly atMs: number;
  readonly message: string | null;
  readonly text: string;
}

export class Checker {
  readonly messages: MessageRecord[] = [];
  readonly violations: Violation[] = [];
  /** Repeats that dedupe kept from a log. */
  absorbed = 0;
  private readonly byName = new Map<string, MessageRecord>();
  private readonly policy: Policy;
  private readonly disk: Disk;
  /** A link that duplicates msg:R can make a definite error untrue: docs/RELIABILITY.md. */
  private readonly mayFailTwins: boolean;
  /** Senders have more attempts than the troubles can use up. */
  private readonly isPatient: boolean;
  private readonly now: () => number;

  constructor(options: {
    policy: Policy;
    disk: Disk;
    mayFailTwins: boolean;
    isPatient: boolean;
    now: () => number;
  }) {
    this.policy = options.policy;
    this.disk = options.disk;
    this.mayFailTwins = options.mayFailTwins;
    this.isPatient = options.isPatient;
    this.now = options.now;
  }

  find(from: number, to: number, epoch: number, seq: number): MessageRecord | undefined {
    return this.byName.get(nameOf(from, to, epoch, seq));
  }

  /** A user submits a message. */
  onSubmit(from: number, to: number, epoch: number, seq: number, content: string): MessageRecord {
    const name = nameOf(from, to, epoch, seq);
    const older = this.byName.get(name);
    if (older !== undefined && !older.isErased)
      this.violate('msgid reused', older, 'a msgid names two messages');
    const record: MessageRecord = {
      index: this.messages.length,
      name,
      from,
      to,
      epoch,
      seq,
      content,
      accepted: false,
      outcome: null,
      confirmed: null,
      log: 'none',
      isStored: false,
      isErased: false,
    };
    this.messages.push(record);
    this.byName.set(name, record);
    return record;
  }

  /** A receiver's log gets a line. Returns its message, or null when nobody sent it. */
  onDeliver(
    at: number,
    from: number,
    epoch: number,
    seq: number,
    content: string,
  ): MessageRecord | null {
    const record = this.find(from, at, epoch, seq);
    if (record === undefined || record.isErased) {
      this.report(
        'unexpected',
        nameOf(from, at, epoch, seq),
        `${at} got a message that nobody sent to him`,
      );
      return null;
    }
    if (record.content !== content) this.violate('corrupt', record, `its content is "${content}"`);
    if (record.log !== 'none') this.violate('duplicated', record, 'it stands in the log twice');
    if (record.outcome === Outcome.Failed && !this.mayFailTwins) {
      this.violate('phantom', record, 'its sender was told that it failed');
    }
    record.log = 'written';
    return record;
  }

  /** msg:A ok reached the sender. */
  onAccepted(record: MessageRecord): void {
    record.accepted = true;
    this.checkAccepted(record, 'msg:A was sent');
  }

  /** The message left the sender's waiting-ack queue. */
  onSettled(record: MessageRecord, outcome: Outcome): void {
    if (record.outcome !== null) this.violate('settled twice', record, 'it left the queue before');
    record.outcome = outcome;
    switch (outcome) {
      case Outcome.Delivered:
        record.confirmed = 'delivered';
        if (record.log !== 'synced') {
          this.violate('false confirm', record, `ack:N says delivered, the log says ${record.log}`);
        }
        return;
      case Outcome.Stored:
        record.confirmed = 'stored';
        if (record.log === 'none' && !this.disk.holds(record)) {
          this.violate('false confirm', record, 'ack:N says stored, and no store has it');
        }
        return;
      case Outcome.Failed:
        if (record.log !== 'none' && !this.mayFailTwins) {
          this.violate('phantom', record, 'it failed, and is delivered');
        }
        return;
      default:
        if (this.isPatient)
          this.violate('gave up', record, 'its sender had attempts for every fault');
        this.checkAccepted(record, 'it was given up');
    }
  }

  /** A store said that it has the message. */
  onStored(record: MessageRecord): void {
    if (this.disk.holds(record)) record.isStored = true;
    else if (record.log !== 'synced')
      this.violate('early answer', record, 'stored, and not on the disk');
  }

  /** A row leaves the disk. */
  onDeleted(receiver: number, row: { sender: number; epoch: number; seq: number }): void {
    const record = this.find(row.sender, receiver, row.epoch, row.seq);
    if (record === undefined) return;
    record.isStored = false;
    if (record.log !== 'synced') {
      this.violate('deleted unread', record, `the inbox forgets it, the log says ${record.log}`);
    }
  }

  /** A crash took what the log of `user` had not synced. `lost` are deliveries, `unsent` submissions. */
  onTailLost(deliveries: readonly MessageRecord[], unsent: readonly MessageRecord[]): void {
    for (const record of deliveries) {
      record.log = 'none';
      if (record.confirmed === 'delivered') {
        this.violate('false confirm', record, 'ack:N said delivered, then the log lost it');
      }
    }
    for (const record of unsent) record.isErased = true;
  }

  /** A server opened its disk after a crash: what it had promised must be on it. */
  onRecovered(isOfServer: (user: number) => boolean): void {
    for (const record of this.messages) {
      if (!isOfServer(record.to) || record.log !== 'none') continue;
      if (record.isStored && !this.disk.holds(record)) {
        this.violate('lost', record, 'stored, and gone after a crash');
      }
      this.checkAccepted(record, 'the server crashed');
    }
  }

  onClosedForNothing(user: number, code: number): void {
    this.report('wrong close', null, `${user} kept every rule and was closed with ${code}`);
  }

  /** Everybody is online and it is silent: nothing new may lie in an inbox without its owner knowing. */
  onSilence(): void {
    for (const record of this.messages) {
      if (record.isErased || record.log !== 'none' || !this.disk.holds(record)) continue;
      this.violate('asleep', record, 'it lies in the inbox, and nobody told the receiver');
    }
  }

  onStall(text: string): void {
    this.report('liveness', null, text);
  }

  /** The world is at rest: everything once more, by full scans. */
  finish(logs: ReadonlyMap<number, ReadonlyMap<string, string>>, rowsLeft: number): void {
    for (const record of this.messages) {
      if (record.isErased) continue;
      const content = logs.get(record.to)?.get(record.name);
      const isDelivered = content !== undefined;
      if (isDelivered !== (record.log !== 'none')) {
        this.violate('checker', record, 'the log and its books disagree');
      }
      const isPromised = record.accepted || record.confirmed !== null;
      if (!isDelivered && isPromised) {
        const gaveUp = record.outcome === Outcome.GaveUp && this.policy === Policy.Relay;
        // relay: an accepted message that its sender gave up is unknown to him, by design (S8).
        if (!gaveUp || record.confirmed !== null)
          this.violate('lost', record, 'accepted, and never delivered');
      }
      if (record.outcome === null)
        this.violate('liveness', record, 'its sender still waits for ack:N');
    }
    for (const [user, log] of logs) {
      for (const name of log.keys()) {
        const record = this.byName.get(name);
        if (record === undefined || record.to !== user || record.isErased) {
          this.report('unexpected', name, `stands in the log of ${user}`);
        }
      }
    }
    if (rowsLeft > 0) this.report('stuck', null, `${rowsLeft} rows are left in inboxes`);
  }

  /** Accepted ⇒ delivered, or on the disk, or (relay) still with its sender. */
  private checkAccepted(record: MessageRecord, when: string): void {
    if (!record.accepted || record.log !== 'none' || this.disk.holds(record)) return;
    const isWithSender = record.outcome === null;
    const mayBe =
      this.policy === Policy.Relay && (isWithSender || record.outcome === Outcome.GaveUp);
    if (!mayBe) this.violate('lost', record, `accepted, and nowhere: ${when}`);
  }

  private violate(check: string, record: MessageRecord, text: string): void {
    this.report(check, record.name, text);
  }

  private report(check: string, message: string | null, text: string): void {
    if (this.violations.length >= VIOLATIONS_MAX) return;
    this.violations.push({ check, atMs: this.now(), message, text });
  }
}

/** Kept per world; the first one is the one to look at. */
const VIOLATIONS_MAX = 20;
