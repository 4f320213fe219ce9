/** The messages of a trace that are worth a look: the slowest, the most repeated, those that failed. */
import { columns as inColumns } from '../columns.ts';
import { counted, formatCount, formatUs } from '../units.ts';
import { isOfSender, type MessageName, nameText, wholeFromUs, workerOf } from './events.ts';
import { addFact, type Facts, type Fate, fateOf, newFacts, settledUs } from './facts.ts';
import type { MessageTraceFile } from './message-trace-file.ts';
import { labelOf } from './save.ts';

interface RankedMessage extends MessageName {
  readonly name: string;
  /** Into the load, s. */
  readonly dueS: number;
  readonly transmissions: number;
  readonly absorbed: number;
  /** From the due instant, us; null = it did not happen. */
  readonly acceptUs: number | null;
  readonly deliverUs: number | null;
  /** The first ack:N, of either sort. */
  readonly confirmUs: number | null;
  readonly fate: Fate;
}

export interface Ranking {
  readonly scenario: string;
  readonly variant: string | null;
  /** Messages whose submission is in the trace, and events in all. */
  readonly messages: number;
  readonly events: number;
  /** Older events for which there was no room. */
  readonly overwritten: number;
  /** Confirmed, and last of all. */
  readonly slowest: RankedMessage[];
  readonly mostRepeated: RankedMessage[];
  readonly repeatedCount: number;
  /** Neither confirmed nor stored and delivered once. */
  readonly troubled: RankedMessage[];
  readonly troubledCount: number;
}

const CALM: readonly Fate[] = ['confirmed', 'stored'];
/** The worst first. */
const GRAVITY: readonly Fate[] = [
  'lost',
  'duplicated',
  'phantom',
  'unknown',
  'unconfirmed',
  'refused',
  'incomplete',
];

/** The `count` first of each sort. O(events). */
export function rank(file: MessageTraceFile, count: number): Ranking {
  const { header } = file;
  const messages = collect(file);
  const whole = wholeFromUs(file);
  const ranked = messages.flatMap(({ name, facts }): RankedMessage[] => {
    const { dueUs } = facts;
    if (dueUs === null) return [];
    const since = (us: number | null): number | null => (us === null ? null : us - dueUs);
    const fate = fateOf(facts, {
      senderFromUs: whole[workerOf(header, name.sender)] ?? -Infinity,
      receiverFromUs: whole[workerOf(header, name.receiver)] ?? -Infinity,
      isQuiet: header.isQuiet,
    });
    return [
      {
        ...name,
        name: nameText(name),
        dueS: (dueUs - header.loadStartUs) / 1e6,
        transmissions: facts.transmissions,
        absorbed: facts.absorbed,
        acceptUs: since(facts.acceptUs),
        deliverUs: since(facts.deliverUs),
        confirmUs: since(settledUs(facts)),
        fate,
      },
    ];
  });
  const confirmed = ranked.filter(({ confirmUs }) => confirmUs !== null);
  const repeated = ranked.filter(({ transmissions }) => transmissions > 1);
  const troubled = ranked.filter(({ fate }) => !CALM.includes(fate));
  const total = header.workers.reduce((sum, worker) => sum + worker.total, 0);
  const events = header.workers.reduce((sum, { kept }) => sum + kept, 0);
  return {
    scenario: header.scenario,
    variant: header.variant,
    messages: ranked.length,
    events,
    overwritten: total - events,
    slowest: top(confirmed, count, ({ confirmUs }) => confirmUs as number),
    mostRepeated: top(repeated, count, ({ transmissions }) => transmissions),
    repeatedCount: repeated.length,
    troubled: top(troubled, count, ({ fate }) => -GRAVITY.indexOf(fate)),
    troubledCount: troubled.length,
  };
}

/** The `count` largest, the largest first; of equals the one that was due first. */
function top(
  messages: readonly RankedMessage[],
  count: number,
  figure: (message: RankedMessage) => number,
): RankedMessage[] {
  return messages.toSorted((a, b) => figure(b) - figure(a) || a.dueS - b.dueS).slice(0, count);
}

function collect({ blocks }: MessageTraceFile): { name: MessageName; facts: Facts }[] {
  const found = new Map<string, { name: MessageName; facts: Facts }>();
  for (const { columns } of blocks) {
    const { what, kind, fault, status, detail, atUs } = columns;
    for (let i = 0; i < atUs.length; i++) {
      const other = columns.other[i] as number;
      if (other === 0) continue;
      const self = columns.self[i] as number;
      const isSender = isOfSender(what[i] as number, kind[i] as number);
      const sender = isSender ? self : other;
      const receiver = isSender ? other : self;
      const epoch = columns.epoch[i] as number;
      const seq = columns.seq[i] as number;
      const key = `${sender} ${receiver} ${epoch} ${seq}`;
      let entry = found.get(key);
      if (entry === undefined) {
        entry = { name: { sender, receiver, epoch, seq }, facts: newFacts() };
        found.set(key, entry);
      }
      addFact(
        entry.facts,
        what[i] as number,
        kind[i] as number,
        fault[i] as number,
        status[i] as number,
        detail[i] as number,
        atUs[i] as number,
      );
    }
  }
  return [...found.values()];
}

export function renderRanking(ranking: Ranking): string {
  const { slowest, mostRepeated, repeatedCount, troubled, troubledCount, overwritten } = ranking;
  const first = troubled[0] ?? mostRepeated[0] ?? slowest[0];
  const lines = [
    `${labelOf(ranking)}: ${counted(ranking.messages, 'message')}, ${counted(ranking.events, 'event')}`,
  ];
  if (overwritten > 0) {
    lines.push(
      `${formatCount(overwritten)} older events were overwritten: --trace-messages with a larger number keeps more.`,
    );
  }
  lines.push('', 'The slowest to be confirmed:', table(slowest));
  if (repeatedCount > 0) {
    lines.push(
      '',
      `Sent more than once: ${formatCount(repeatedCount)}, most often:`,
      table(mostRepeated),
    );
  }
  if (troubledCount > 0) {
    lines.push(
      '',
      `Not delivered once and confirmed: ${formatCount(troubledCount)}:`,
      table(troubled),
    );
  } else lines.push('', 'All were delivered once, and all were confirmed.');
  if (first !== undefined) lines.push('', `The story of one: ackbench explain '${first.name}'`);
  return `${lines.join('\n')}\n`;
}

function table(messages: readonly RankedMessage[]): string {
  if (messages.length === 0) return '  none';
  const head = ['message', 'due', 'sent', 'accept', 'deliver', 'confirm', 'outcome'];
  const rows = messages.map((message) => [
    message.name,
    `${message.dueS.toFixed(3)} s`,
    `${message.transmissions}`,
    formatUs(message.acceptUs),
    formatUs(message.deliverUs),
    formatUs(message.confirmUs),
    message.fate,
  ]);
  return inColumns([head, ...rows]);
}
