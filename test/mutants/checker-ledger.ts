/**
 * The hunt on the ledger: a random history is written into books by the swarm's own methods, bytes
 * and all, the audit closes them, and every figure, law and example is compared with the truth.
 */
import type * as auditModule from '../../loadgen/audit.ts';
import type * as ledgerModule from '../../loadgen/ledger.ts';
import type * as payloadModule from '../../loadgen/payload.ts';
import type * as swarmModule from '../../loadgen/swarm.ts';
import { LATENCIES } from '../../loadgen/tally.ts';
import { ClientEffect, ClientEffectKind, Outcome } from '../../protocol/index.ts';
import type { Random } from '../support/random.ts';
import {
  historyOf,
  type Happening,
  type History,
  type Settlement,
  type Truth,
  truthOf,
} from './checker-histories.ts';
import { randomOf } from './checker-seed.ts';
import type { Edition } from './checker-source.ts';

/** The modules that make and close books, possibly with a bug in them. */
export interface LedgerModules {
  readonly audit: typeof auditModule;
  readonly ledger: typeof ledgerModule;
  readonly payload: typeof payloadModule;
  readonly swarm: typeof swarmModule;
}

export async function loadLedger(edition: Edition): Promise<LedgerModules> {
  return {
    audit: await edition.load('loadgen/audit.ts'),
    ledger: await edition.load('loadgen/ledger.ts'),
    payload: await edition.load('loadgen/payload.ts'),
    swarm: await edition.load('loadgen/swarm.ts'),
  };
}

/** Compares what the audit says about the history of `seed` with the truth. */
export function huntLedger(modules: LedgerModules, seed: number): string | null {
  const history = historyOf(seed);
  const truth = truthOf(history);
  const books = keepBooks(modules, history).map((report) => report.books);
  return (
    disagreementOf(modules.audit.auditBooks(books), truth) ?? secondBookUnseen(modules, books, seed)
  );
}

/** The first figure, law or example that differs from the truth. */
function disagreementOf(audit: auditModule.Audit, truth: Truth): string | null {
  for (const [figure, count] of Object.entries(truth.figures)) {
    if (audit.ledger[figure as keyof auditModule.Ledger] !== count) return `oracle: ${figure}`;
  }
  const { arrivals, duplicates } = truth.wire;
  const { dedupe, violations, examples } = audit;
  if (dedupe.wireArrivals !== arrivals) return 'oracle: wireArrivals';
  if (dedupe.wireDuplicates !== duplicates) return 'oracle: wireDuplicates';
  const distinct = arrivals - duplicates;
  const ratio = distinct === 0 ? 0 : duplicates / distinct;
  if (dedupe.wireDuplicateRatio !== ratio) return 'oracle: wireDuplicateRatio';
  if (dedupe.absorbed !== duplicates - truth.figures['duplicated']!) return 'oracle: absorbed';
  const isListed = violations.every((violation) => truth.violations.has(violation));
  if (!isListed || violations.length !== Math.min(NAMED_MAX, truth.violations.size)) {
    return 'oracle: conservation';
  }
  const isNamed = (figure: string): boolean => truth.messages[figure]!.size > 0;
  const isSilent = examples.length === 0 && NAMED_ALWAYS.some(isNamed);
  const areTrue = examples.every((example) => isTrueExample(example, truth));
  return isSilent || !areTrue ? 'oracle: examples' : null;
}

/** Figures whose messages the audit itself can name. */
const NAMED_ALWAYS = ['lost', 'falseConfirm', 'phantom', 'unexpected', 'duplicated'];

/** The audit names so many violations and no more. */
const NAMED_MAX = 10;

/** `lost 1->2 epoch 1 seq 3..5`: every message of it is one. Some name a conversation only. */
function isTrueExample(example: string, truth: Truth): boolean {
  const [, figure, conversation, rest] = /^(\w+) (\S+ epoch \d+) (.+)$/.exec(example) ?? [];
  const messages = truth.messages[figure ?? ''];
  if (messages === undefined) return false;
  const [, lo, hi] = /^seq (\d+)(?:\.\.(\d+))?(?:,.*)?$/.exec(rest ?? '') ?? [];
  if (lo === undefined) return [...messages].some((name) => name.startsWith(`${conversation} `));
  for (let seq = Number(lo); seq <= Number(hi ?? lo); seq++) {
    if (!messages.has(`${conversation} seq ${seq}`)) return false;
  }
  return true;
}

/** Two books of one conversation hide repeats from each other: the audit must say so. */
function secondBookUnseen(
  { audit }: LedgerModules,
  books: readonly ledgerModule.Books[],
  seed: number,
): string | null {
  const random = randomOf(seed);
  const side = random.chance(0.5) ? 'sent' : 'received';
  const entries = books.flatMap((part) => part[side] as object[]);
  if (entries.length === 0) return null;
  const again = entries[random.int(0, entries.length - 1)]!;
  const second = { sent: [], received: [], stuck: 0, [side]: [again] } as ledgerModule.Books;
  const { violations } = audit.auditBooks([second, ...books]);
  const isSeen = violations.some((violation) => violation.startsWith('one book per conversation'));
  return isSeen || violations.length === NAMED_MAX ? null : 'oracle: one book per conversation';
}

const OUTCOMES: Readonly<Record<Settlement, Outcome>> = {
  confirmed: Outcome.Delivered,
  stored: Outcome.Stored,
  failed: Outcome.Failed,
  gaveUp: Outcome.GaveUp,
};

/** A user as far as the ledger sees one. */
interface Ledgered {
  readonly uid: number;
  readonly sent: Map<number, ledgerModule.SentBook>;
  readonly received: Map<number, ledgerModule.ReceivedBook>;
  closeBooks(books: ledgerModule.Books): void;
  readonly machine: { readonly puller: { readonly interactions: number } };
}

/** The reports of all workers: the history as the swarm's own methods wrote it down. */
export function keepBooks(modules: LedgerModules, history: History): swarmModule.SwarmReport[] {
  const random = randomOf(history.happenings.length);
  const reports: swarmModule.SwarmReport[] = [];
  for (const [worker, users] of history.workers.entries()) {
    const clients = new Map<number, Ledgered>();
    for (const uid of users) {
      const machine = { puller: { interactions: 0 } };
      const sent = new Map<number, ledgerModule.SentBook>();
      const received = new Map<number, ledgerModule.ReceivedBook>();
      const closeBooks = (books: ledgerModule.Books): void =>
        modules.ledger.closeShelves(uid, sent, received, books);
      clients.set(uid, { uid, sent, received, closeBooks, machine });
    }
    const swarm = swarmOf(modules, [...clients.values()]);
    for (const happening of history.happenings) {
      const isArrival = happening.do === 'arrive';
      const client = clients.get(isArrival ? happening.receiver : happening.sender);
      if (client !== undefined) tell(modules, swarm, client, happening, random);
    }
    reports.push(swarm.report(history.stuck[worker]!));
  }
  return reports;
}

interface SwarmFace {
  onAccepted(client: Ledgered, effect: ClientEffect): void;
  onSettled(client: Ledgered, effect: ClientEffect): void;
  onArrival(client: Ledgered, effect: ClientEffect): void;
  report(stuck: number): swarmModule.SwarmReport;
}

/** A swarm without sockets, clocks and load: only what keeps the books is real. */
function swarmOf({ swarm, payload }: LedgerModules, clients: readonly Ledgered[]): SwarmFace {
  const nothing = (): void => {};
  const latencies = Object.fromEntries(LATENCIES.map((name) => [name, { state: () => null }]));
  return Object.assign(Object.create(swarm.Swarm.prototype) as SwarmFace, {
    clients,
    config: { load: { mode: 'none' }, isBlind: false },
    counters: { pagedDelivered: 0, pagedRepeats: 0 },
    hub: { bytesSent: 0, bytesReceived: 0 },
    meter: { health: () => null },
    packets: [],
    reader: new payload.PayloadReader(),
    trace: null,
    tally: {
      latencies,
      onAccepted: nothing,
      onSettled: nothing,
      onDelivered: nothing,
      close: nothing,
      window: {},
    },
    workload: {
      gaps: {
        summary: () => ({ count: 0, intervals: 0, coefficientOfVariation: 1, dispersion: 1 }),
      },
      isRunning: false,
      onSettled: nothing,
      payloads: { at: () => ({ book: null }), give: nothing, unresolved: () => 0 },
    },
  });
}

const effect = new ClientEffect();

function tell(
  modules: LedgerModules,
  swarm: SwarmFace,
  client: Ledgered,
  happening: Happening,
  random: Random,
): void {
  const { ledger } = modules;
  const { sender, receiver, epoch, seq } = happening;
  const sentBook = (): ledgerModule.SentBook => {
    return ledger.bookOf(client.sent, receiver, epoch, (made) => new ledger.SentBook(made));
  };
  effect.uid = receiver;
  effect.epoch = epoch;
  effect.seq = seq;
  switch (happening.do) {
    case 'send':
      sentBook().attempted++;
      return;
    case 'late':
      if (happening.packet === 'ack:N') sentBook().onIdleAckN(seq);
      else sentBook().onLateAnswer(seq);
      return;
    case 'accept':
      effect.kind = ClientEffectKind.Accepted;
      swarm.onAccepted(client, effect);
      return;
    case 'settle':
      effect.kind = ClientEffectKind.Settled;
      effect.outcome = OUTCOMES[happening.how];
      swarm.onSettled(client, effect);
      return;
    default:
      effect.uid = sender;
      effect.kind = happening.isFresh ? ClientEffectKind.Deliver : ClientEffectKind.Repeat;
      effect.paged = random.chance(0.5);
      effect.content = bytesOf(modules, happening, random);
      swarm.onArrival(client, effect);
  }
}

/** What arrives: the message's own bytes, those bytes damaged, or another message's. */
function bytesOf(
  { payload }: LedgerModules,
  arrival: Extract<Happening, { do: 'arrive' }>,
  random: Random,
): Uint8Array {
  const { sender, receiver, seq, content } = arrival;
  const made = new payload.Payload(payload.PAYLOAD_MIN_BYTES + random.int(0, 40));
  made.write({
    seq: content === 'of another seq' ? seq + 1 : seq,
    intendedAtUs: 10,
    sentAtUs: 20,
    sender: content === 'of another sender' ? sender + 1000 : sender,
    receiver: content === 'of another receiver' ? receiver + 1000 : receiver,
  });
  const { bytes } = made;
  if (content === 'flipped') {
    const last = bytes.length - 1;
    bytes[random.chance(0.3) ? last : random.int(0, last)]! ^= 1 << random.int(0, 7);
  }
  return content === 'cut' ? bytes.subarray(0, bytes.length - random.int(1, 40)) : bytes;
}
