/**
 * Random histories of a run, and the truth about them.
 *
 * A history is a list of what happened, in order: sends, what senders were told, arrivals with their
 * bytes. The truth is kept by name, message by message, in plain Sets, straight from the definitions
 * of docs/MEASUREMENT.md: it knows no interval, no book and no epoch chain, and shares no line with
 * the ledger.
 */
import type { Random } from '../support/random.ts';
import { randomOf } from './checker-seed.ts';

/** One direction between two users in one epoch. */
interface Conversation {
  readonly sender: number;
  readonly receiver: number;
  readonly epoch: number;
}

export type Settlement = 'confirmed' | 'stored' | 'failed' | 'gaveUp';

/** What the bytes of an arrival are: as sent, damaged, cut, or some other message's. */
type Content =
  'intact' | 'flipped' | 'cut' | 'of another receiver' | 'of another sender' | 'of another seq';

export type Happening = Conversation & { readonly seq: number } & (
    | { readonly do: 'send' }
    | { readonly do: 'accept' }
    | { readonly do: 'settle'; readonly how: Settlement }
    /** ack:N, or msg:A ok, that ended no wait. */
    | { readonly do: 'late'; readonly packet: 'ack:N' | 'msg:A' }
    | {
        readonly do: 'arrive';
        /** The machine called it new: a line of the application's log. */
        readonly isFresh: boolean;
        readonly content: Content;
      }
  );

/** A run as it was: which worker has which users, what happened, what was left in inboxes. */
export interface History {
  /** Users of each worker. */
  readonly workers: readonly (readonly number[])[];
  readonly happenings: readonly Happening[];
  /** By worker. */
  readonly stuck: readonly number[];
}

/** What the definitions say about a history. */
export interface Truth {
  readonly figures: Readonly<Record<string, number>>;
  readonly wire: { readonly arrivals: number; readonly duplicates: number };
  /** Laws that do not hold, each as `law: conversation`. */
  readonly violations: ReadonlySet<string>;
  /** Names of the messages behind a figure, as `1->2 epoch 1 seq 7`. */
  readonly messages: Readonly<Record<string, ReadonlySet<string>>>;
}

/**
 * honest: everything that was accepted arrives, once. faulty: one thing goes wrong in an honest run.
 * chaos: anything at all, possible or not.
 */
type Manner = 'honest' | 'faulty' | 'chaos';
const MANNERS: readonly Manner[] = ['honest', 'honest', 'faulty', 'faulty', 'faulty', 'chaos'];

const FAULTS = [
  'lost',
  'falsely confirmed',
  'falsely stored',
  'lost at the end',
  'duplicated',
  'phantom',
  'never sent',
  'from nobody',
  'swallowed by dedupe',
  'settled twice',
  'lost and admitted late',
  'confirmed though never sent',
  'accepted and failed',
  'stuck',
  'flipped',
  'cut',
  'of another receiver',
  'of another sender',
  'of another seq',
] as const;

class Writer {
  readonly timed: { atMs: number; happening: Happening }[] = [];
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  write(atMs: number, happening: Happening): void {
    this.timed.push({ atMs, happening });
  }

  /** Some time after `atMs`: mostly soon, sometimes after many later messages. */
  after(atMs: number): number {
    const { random } = this;
    return atMs + 1 + random.int(0, random.chance(0.2) ? 400 : 15);
  }

  ordered(): Happening[] {
    this.timed.sort((a, b) => a.atMs - b.atMs);
    return this.timed.map(({ happening }) => happening);
  }
}

const drawn = new Map<number, History>();
const truths = new WeakMap<History, Truth>();

/** The history of a seed. The same seed gives the same history, always; kept, for the next hunt. */
export function historyOf(seed: number): History {
  let history = drawn.get(seed);
  if (history === undefined) drawn.set(seed, (history = drawHistory(seed)));
  return history;
}

/** The truth about a history, by looking at every message; kept with it. */
export function truthOf(history: History): Truth {
  let truth = truths.get(history);
  if (truth === undefined) truths.set(history, (truth = lookAtEvery(history)));
  return truth;
}

function drawHistory(seed: number): History {
  const random = randomOf(seed);
  const manner = MANNERS[random.int(0, MANNERS.length - 1)]!;
  const users = Array.from({ length: random.int(2, 5) }, (_, i) => 101 + i);
  const workerCount = random.int(1, 3);
  const workers = Array.from({ length: workerCount }, (_, worker) =>
    users.filter((_user, i) => i % workerCount === worker),
  );
  const writer = new Writer(random);
  const conversations: (Conversation & { length: number })[] = [];
  for (const sender of users) {
    for (const receiver of users) {
      for (const epoch of random.chance(0.3) ? [7, 3] : [7]) {
        if (!random.chance(0.5)) continue;
        const length = random.int(0, random.chance(0.3) ? 60 : 12);
        conversations.push({ sender, receiver, epoch, length });
      }
    }
  }
  /** Some messages get neither an answer nor anywhere. */
  const isLeftOpen = manner === 'chaos' || random.chance(0.4);
  for (const { length, ...conversation } of conversations) {
    for (let seq = 1; seq <= length; seq++) {
      drawMessage(writer, random, { ...conversation, seq }, { manner, isLeftOpen });
    }
  }
  let isStuck = false;
  if (manner !== 'honest') {
    const count = manner === 'faulty' ? 1 : random.int(0, 6);
    for (let i = 0; i < count; i++) {
      const fault = FAULTS[random.int(0, FAULTS.length - 1)]!;
      if (fault === 'stuck') isStuck = true;
      else plant(writer, random, fault, conversations, users);
    }
  }
  const stuckAt = random.int(0, workerCount - 1);
  return {
    workers,
    happenings: writer.ordered(),
    stuck: workers.map((_, worker) => (isStuck && worker === stuckAt ? 1 + (seed % 3) : 0)),
  };
}

type Message = Conversation & { readonly seq: number };

function drawMessage(
  writer: Writer,
  random: Random,
  message: Message,
  { manner, isLeftOpen }: { manner: Manner; isLeftOpen: boolean },
): void {
  const sentMs = 10 * message.seq;
  writer.write(sentMs, { ...message, do: 'send' });
  const fate = random.int(1, 100);
  const how: Settlement | null =
    fate <= 60
      ? 'confirmed'
      : fate <= 75
        ? 'stored'
        : fate <= 83
          ? 'failed'
          : fate <= 93
            ? 'gaveUp'
            : null;
  const isConfirmed = how === 'confirmed' || how === 'stored';
  const isChaos = manner === 'chaos';
  const isAccepted = random.chance(isConfirmed ? 0.9 : 0.5) && (how !== 'failed' || isChaos);
  if (isAccepted) writer.write(writer.after(sentMs), { ...message, do: 'accept' });
  if (how !== null) writer.write(writer.after(sentMs), { ...message, do: 'settle', how });
  if (how !== null && random.chance(0.1)) {
    const packet = random.chance(0.5) ? 'ack:N' : 'msg:A';
    writer.write(sentMs + 500, { ...message, do: 'late', packet });
  }
  if (isChaos && random.chance(0.03)) {
    writer.write(writer.after(sentMs), { ...message, do: 'settle', how: 'gaveUp' });
  }

  let arrivals = random.chance(0.25) ? random.int(2, 4) : 1;
  if (how === 'failed') arrivals = isChaos && random.chance(0.2) ? 1 : 0;
  else if (isChaos && random.chance(0.1)) arrivals = 0;
  else if (isLeftOpen && !isAccepted && !isConfirmed && random.chance(0.5)) arrivals = 0;
  const times = Array.from({ length: arrivals }, () => writer.after(sentMs)).sort((a, b) => a - b);
  for (const [i, atMs] of times.entries()) {
    const isFresh = isChaos && random.chance(0.04) ? i > 0 : i === 0;
    const content = isChaos && random.chance(0.02) ? 'flipped' : 'intact';
    writer.write(atMs, { ...message, do: 'arrive', isFresh, content });
  }
}

/** Adds one fault to what `writer` holds, to a message of its own at the end of a conversation. */
function plant(
  writer: Writer,
  random: Random,
  fault: Exclude<(typeof FAULTS)[number], 'stuck'>,
  conversations: (Conversation & { length: number })[],
  users: readonly number[],
): void {
  if (conversations.length === 0) {
    conversations.push({ sender: users[0]!, receiver: users[1]!, epoch: 7, length: 0 });
  }
  const chosen = conversations[random.int(0, conversations.length - 1)]!;
  const { sender, receiver, epoch } = chosen;
  const say = (seq: number, what: object): void => {
    const message = { sender, receiver, epoch, seq };
    writer.write(writer.after(10 * seq), { ...message, ...what } as Happening);
  };
  const send = (): number => {
    chosen.length++;
    const seq = chosen.length;
    writer.write(10 * seq, { sender, receiver, epoch, seq, do: 'send' });
    return seq;
  };
  const accept = { do: 'accept' };
  const settle = (how: Settlement): object => ({ do: 'settle', how });
  const arrive = (facts: object = {}): object => ({
    do: 'arrive',
    isFresh: true,
    content: 'intact',
    ...facts,
  });
  const seq = fault === 'never sent' || fault === 'from nobody' ? 0 : send();
  switch (fault) {
    case 'lost':
      say(seq, accept);
      say(send(), arrive()); // the gap is not at the end
      return;
    case 'lost at the end':
      say(seq, accept);
      say(seq, settle('gaveUp'));
      return;
    case 'falsely confirmed':
      say(seq, settle('confirmed'));
      return;
    case 'falsely stored':
      say(seq, accept);
      say(seq, settle('stored'));
      return;
    case 'duplicated':
      for (let i = random.int(2, 3); i > 0; i--) say(seq, arrive());
      return;
    case 'phantom':
      say(seq, settle('failed'));
      say(seq, arrive());
      return;
    case 'never sent':
      say(chosen.length + random.int(1, 3), arrive());
      return;
    case 'from nobody':
      writer.write(5, { sender: 999, receiver, epoch, seq: 1, ...arrive() } as Happening);
      return;
    case 'swallowed by dedupe':
      say(seq, arrive({ isFresh: false }));
      return;
    case 'settled twice':
      say(seq, settle('gaveUp'));
      say(seq, settle(random.chance(0.5) ? 'gaveUp' : 'failed'));
      return;
    case 'lost and admitted late':
      say(seq, settle('gaveUp'));
      writer.write(10 * seq + 500, {
        ...{ sender, receiver, epoch, seq },
        do: 'late',
        packet: random.chance(0.5) ? 'ack:N' : 'msg:A',
      });
      return;
    case 'confirmed though never sent':
      writer.write(1e6, { sender, receiver, epoch, seq: seq + 1, do: 'late', packet: 'ack:N' });
      return;
    case 'accepted and failed':
      say(seq, accept);
      say(seq, settle('failed'));
      say(seq, arrive());
      return;
    default:
      say(seq, accept);
      say(seq, arrive({ content: fault }));
  }
}

function lookAtEvery({ happenings, stuck }: History): Truth {
  const attempted = new Set<string>();
  const accepted = new Set<string>();
  const settled = new Map<string, Settlement>();
  const wire = new Set<string>();
  const log: string[] = [];
  const logs = new Map<string, number[]>();
  const violations = new Set<string>();
  const conversationOf = new Map<string, string>();
  const misrouted: string[] = [];
  const corrupt: string[] = [];
  let arrivals = 0;
  for (const it of happenings) {
    const conversation = `${it.sender}->${it.receiver} epoch ${it.epoch}`;
    const name = `${conversation} seq ${it.seq}`;
    conversationOf.set(name, conversation);
    if (it.do === 'send') attempted.add(name);
    else if (it.do === 'accept') accepted.add(name);
    else if (it.do === 'late') {
      // Whoever was waited for in vain has the message after all, and answers for it.
      if (settled.get(name) === 'gaveUp') accepted.add(name);
      if (it.packet === 'ack:N' && !attempted.has(name)) {
        violations.add(`ack:N only for what was sent: ${name}`);
      }
    } else if (it.do === 'settle') {
      if (settled.has(name)) violations.add(`a message settles once: ${conversation}`);
      else settled.set(name, it.how);
    } else {
      arrivals++;
      wire.add(name);
      if (!it.isFresh) continue;
      log.push(name);
      logs.set(conversation, [...(logs.get(conversation) ?? []), it.seq]);
      if (it.content === 'of another receiver') misrouted.push(name);
      else if (it.content !== 'intact') corrupt.push(name);
    }
  }

  const settledAs = (...hows: Settlement[]): Set<string> =>
    new Set([...settled].filter(([, how]) => hows.includes(how)).map(([name]) => name));
  const confirmed = settledAs('confirmed', 'stored');
  const failed = settledAs('failed');
  const ok = new Set([...accepted, ...confirmed]);
  const info = new Set([...attempted].filter((name) => !ok.has(name) && !failed.has(name)));
  const delivered = new Set(log);
  const without = (a: Set<string>, b: Set<string>): Set<string> =>
    new Set([...a].filter((name) => !b.has(name)));
  const within = (a: Set<string>, b: Set<string>): Set<string> =>
    new Set([...a].filter((name) => b.has(name)));
  const seen = new Set<string>();
  const repeated = new Set(log.filter((name) => seen.size === seen.add(name).size));

  for (const name of [...without(wire, delivered), ...without(delivered, wire)]) {
    violations.add(`set(Wire) = set(Del): ${conversationOf.get(name)}`);
  }
  const outside = without(new Set([...ok, ...failed]), attempted);
  for (const name of [...within(ok, failed), ...outside]) {
    violations.add(`sent = ok + fail + info: ${conversationOf.get(name)}`);
  }
  let orderInversions = 0;
  for (const seqs of logs.values()) {
    orderInversions += seqs.filter((seq, i) => i > 0 && seq < seqs[i - 1]!).length;
  }
  const messages = {
    lost: without(ok, delivered),
    falseConfirm: without(confirmed, delivered),
    phantom: within(failed, delivered),
    unexpected: without(delivered, attempted),
    duplicated: repeated,
    misrouted: new Set(misrouted),
    corrupt: new Set(corrupt),
  };
  return {
    figures: {
      attempted: attempted.size,
      accepted: ok.size,
      confirmed: settledAs('confirmed').size,
      confirmedStored: settledAs('stored').size,
      delivered: delivered.size,
      failed: failed.size,
      info: info.size,
      lost: messages.lost.size,
      falseConfirm: messages.falseConfirm.size,
      duplicated: log.length - delivered.size,
      unexpected: messages.unexpected.size,
      misrouted: misrouted.length,
      corrupt: corrupt.length,
      phantom: messages.phantom.size,
      recovered: within(info, delivered).size,
      unknown: without(info, delivered).size,
      stuck: stuck.reduce((sum, rows) => sum + rows, 0),
      orderInversions,
    },
    wire: { arrivals, duplicates: arrivals - wire.size },
    violations,
    messages,
  };
}
