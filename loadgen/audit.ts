/**
 * The audit: closes the ledger. Sets per conversation, as interval lists:
 *
 *     Att  all sends            Acc  msg:A ok seen      Conf  ack:N seen
 *     Wire arrivals at b        Del  b's application log
 *
 *     lost = Acc \ Del    falseConfirm = Conf \ Del    phantom = Fail ∩ Del
 *     unexpected = Del \ Att    recovered = Info ∩ Del    unknown = Info \ Del
 *
 * and the conservation laws, which must hold whatever the server does: sent = ok + fail + info,
 * set(Wire) = set(Del), Conf ⊆ set(Del) ⊆ Att.
 */
import type { Books, ReceivedEntry, SentEntry } from './ledger.ts';

/** Intervals as lo, hi, lo, hi …, ascending and disjoint. */
type Pairs = readonly number[];

/** How many numbers a list of intervals holds. */
export function sizeOf(pairs: Pairs): number {
  let size = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    size += (pairs[i + 1] as number) - (pairs[i] as number) + 1;
  }
  return size;
}

/** Intervals of a that are not in b. */
export function difference(a: Pairs, b: Pairs): number[] {
  const result: number[] = [];
  let j = 0;
  for (let i = 0; i < a.length; i += 2) {
    let lo = a[i] as number;
    const hi = a[i + 1] as number;
    while (j < b.length && (b[j + 1] as number) < lo) j += 2;
    for (let k = j; k < b.length && (b[k] as number) <= hi; k += 2) {
      if ((b[k] as number) > lo) result.push(lo, (b[k] as number) - 1);
      lo = Math.max(lo, (b[k + 1] as number) + 1);
    }
    if (lo <= hi) result.push(lo, hi);
  }
  return result;
}

/** Intervals that are in a and in b. */
export function intersection(a: Pairs, b: Pairs): number[] {
  return difference(a, difference(a, b));
}

/** Intervals that are in a or in b. */
export function union(a: Pairs, b: Pairs): number[] {
  const merged: number[] = [];
  const all: [number, number][] = [];
  for (const pairs of [a, b]) {
    for (let i = 0; i < pairs.length; i += 2) {
      all.push([pairs[i] as number, pairs[i + 1] as number]);
    }
  }
  all.sort(([x], [y]) => x - y);
  for (const [lo, hi] of all) {
    const last = merged.length - 1;
    if (last > 0 && lo <= (merged[last] as number) + 1) {
      merged[last] = Math.max(merged[last] as number, hi);
    } else merged.push(lo, hi);
  }
  return merged;
}

/** The figures of the ledger; see docs/MEASUREMENT.md. Counts of messages. */
export interface Ledger {
  attempted: number;
  accepted: number;
  confirmed: number;
  confirmedStored: number;
  delivered: number;
  failed: number;
  info: number;
  lost: number;
  falseConfirm: number;
  duplicated: number;
  unexpected: number;
  misrouted: number;
  corrupt: number;
  phantom: number;
  recovered: number;
  unknown: number;
  stuck: number;
  orderInversions: number;
}

export interface Dedupe {
  wireArrivals: number;
  wireDuplicates: number;
  /** wireDuplicates over distinct messages on the wire. */
  wireDuplicateRatio: number;
  /** Repeats that the dedupe of the receivers kept from the application. */
  absorbed: number;
}

export interface Audit {
  ledger: Ledger;
  dedupe: Dedupe;
  /** Laws that did not hold: a defect of the server, of a machine or of the ledger itself. */
  violations: string[];
  /**
   * The first messages of every figure that must be 0, as `lost 1001->1002 epoch 1 seq 7`: at most
   * ten, and none of the figures crowds out another.
   */
  examples: string[];
}

/** Figures that must be 0 in every run. */
export const MUST_BE_ZERO = [
  'lost',
  'falseConfirm',
  'duplicated',
  'unexpected',
  'misrouted',
  'corrupt',
  'phantom',
  'stuck',
] as const satisfies readonly (keyof Ledger)[];

const EXAMPLES_MAX = 10;
const NOTHING_RECEIVED = { wireArrivals: 0, wire: [], delivered: [] } as const;

/** Closes the books of all workers. O(conversations + gaps). */
export function auditBooks(parts: readonly Books[]): Audit {
  const ledger: Ledger = {
    attempted: 0,
    accepted: 0,
    confirmed: 0,
    confirmedStored: 0,
    delivered: 0,
    failed: 0,
    info: 0,
    lost: 0,
    falseConfirm: 0,
    duplicated: 0,
    unexpected: 0,
    misrouted: 0,
    corrupt: 0,
    phantom: 0,
    recovered: 0,
    unknown: 0,
    stuck: 0,
    orderInversions: 0,
  };
  const violations: string[] = [];
  const found = new Map<string, string[]>();
  let wireArrivals = 0;
  let wireDistinct = 0;

  const nameOf = (entry: SentEntry | ReceivedEntry): string =>
    `${entry.sender}->${entry.receiver} epoch ${entry.epoch}`;
  const example = (figure: string, text: string): void => {
    const texts = found.get(figure);
    if (texts === undefined) found.set(figure, [`${figure} ${text}`]);
    else if (texts.length < EXAMPLES_MAX) texts.push(`${figure} ${text}`);
  };
  const note = (figure: string, entry: SentEntry | ReceivedEntry, pairs: Pairs): void => {
    for (let i = 0; i < Math.min(pairs.length, 2 * EXAMPLES_MAX); i += 2) {
      const lo = pairs[i] as number;
      const hi = pairs[i + 1] as number;
      example(figure, `${nameOf(entry)} seq ${lo === hi ? lo : `${lo}..${hi}`}`);
    }
  };
  const violate = (law: string, entry: SentEntry | ReceivedEntry): void => {
    if (violations.length < EXAMPLES_MAX) violations.push(`${law}: ${nameOf(entry)}`);
  };

  const received = new Map<string, ReceivedEntry>();
  for (const part of parts) {
    ledger.stuck += part.stuck;
    for (const { figure, text } of part.notes ?? []) example(figure, text);
    for (const name of part.strays ?? []) {
      if (violations.length < EXAMPLES_MAX)
        violations.push(`ack:N only for what was sent: ${name}`);
    }
    for (const entry of part.received) {
      // A second book would hide repeats: a message in both is delivered twice.
      if (received.has(nameOf(entry))) violate('one book per conversation', entry);
      received.set(nameOf(entry), entry);
      const arrived = sizeOf(entry.wire);
      wireArrivals += entry.wireArrivals;
      wireDistinct += arrived;
      ledger.delivered += sizeOf(entry.delivered);
      ledger.duplicated += entry.duplicated;
      ledger.corrupt += entry.corrupt;
      ledger.misrouted += entry.misrouted;
      ledger.orderInversions += entry.orderInversions;
      if (entry.duplicated > 0) {
        example('duplicated', `${nameOf(entry)} ${entry.duplicated} times`);
      }
      const isConserved =
        difference(entry.wire, entry.delivered).length === 0 &&
        difference(entry.delivered, entry.wire).length === 0;
      if (!isConserved) violate('set(Wire) = set(Del)', entry);
    }
  }

  const matched = new Set<string>();
  for (const part of parts) {
    for (const sent of part.sent) {
      const name = nameOf(sent);
      const { delivered } = received.get(name) ?? NOTHING_RECEIVED;
      if (matched.has(name)) violate('one book per conversation', sent);
      matched.add(name);
      const attempted = sent.attempted === 0 ? [] : [1, sent.attempted];
      const confirmed = union(sent.confirmed, sent.stored);
      // ack:N says that the server took the message, even when its msg:A was lost.
      const ok = union(sent.accepted, confirmed);
      const info = difference(difference(attempted, ok), sent.failed);
      const lost = difference(ok, delivered);
      const falseConfirm = difference(confirmed, delivered);
      const phantom = intersection(sent.failed, delivered);
      const unexpected = difference(delivered, attempted);
      ledger.attempted += sent.attempted;
      ledger.accepted += sizeOf(ok);
      ledger.confirmed += sizeOf(sent.confirmed);
      ledger.confirmedStored += sizeOf(sent.stored);
      ledger.failed += sizeOf(sent.failed);
      ledger.info += sizeOf(info);
      ledger.lost += sizeOf(lost);
      ledger.falseConfirm += sizeOf(falseConfirm);
      ledger.phantom += sizeOf(phantom);
      ledger.unexpected += sizeOf(unexpected);
      ledger.recovered += sizeOf(intersection(info, delivered));
      ledger.unknown += sizeOf(difference(info, delivered));
      note('lost', sent, lost);
      note('falseConfirm', sent, falseConfirm);
      note('phantom', sent, phantom);
      note('unexpected', sent, unexpected);
      const parted = sizeOf(ok) + sizeOf(sent.failed) + sizeOf(info);
      if (parted !== sent.attempted) violate('sent = ok + fail + info', sent);
      if (sent.settledTwice > 0) violate('a message settles once', sent);
    }
  }
  for (const [name, entry] of received) {
    if (matched.has(name)) continue;
    ledger.unexpected += sizeOf(entry.delivered);
    note('unexpected', entry, entry.delivered);
  }

  const wireDuplicates = wireArrivals - wireDistinct;
  return {
    ledger,
    dedupe: {
      wireArrivals,
      wireDuplicates,
      wireDuplicateRatio: wireDistinct === 0 ? 0 : wireDuplicates / wireDistinct,
      absorbed: wireDuplicates - ledger.duplicated,
    },
    violations,
    examples: takeInTurns([...found.values()], EXAMPLES_MAX),
  };
}

/** The first of every list, then the second of every list, and so on, up to `max`. */
function takeInTurns(lists: readonly (readonly string[])[], max: number): string[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const turns = Array.from({ length: longest }, (_, turn) =>
    lists.flatMap((list) => list.slice(turn, turn + 1)),
  );
  return turns.flat().slice(0, max);
}
