/**
 * Planted bugs of the ledger and of what judges it: whoever checks the server must be checked too.
 *
 * Each row is one edit of the real source (`checker-source.ts`) and the hunt that has to notice it. A
 * ledger that is blind in one eye, or a judge that lets one thing pass, must differ from the truth
 * on some random history; the untouched code must not differ on any (`CHECKER_CONTROLS`).
 */
import type * as combineModule from '../../bench/combine.ts';
import type * as gatesModule from '../../bench/gates.ts';
import type * as judgeModule from '../../bench/judge.ts';
import type * as resultModule from '../../bench/result.ts';
import type * as thresholdsModule from '../../bench/thresholds.ts';
import { huntLedger, loadLedger } from './checker-ledger.ts';
import { huntQuiescence, SYNCHRONOUS, type SynchronousRig } from './checker-quiescence.ts';
import { type Edit, Edition } from './checker-source.ts';
import {
  huntGates,
  huntThresholds,
  huntVariants,
  huntVerdict,
  huntWorst,
  type Combine,
  type Judge,
  OPENED,
} from './checker-verdict.ts';
import type { Mutant } from './mutant.ts';

type Hunt = Mutant['hunt'];

/** Each loads what it judges with `edits` in it and returns the hunt. */
const HUNTS = {
  ledger: async (edits: readonly Edit[]): Promise<Hunt> => {
    const modules = await loadLedger(new Edition(edits));
    return (seed) => huntLedger(modules, seed);
  },
  quiescence: async (edits: readonly Edit[]): Promise<Hunt> => {
    const rig = await new Edition(edits, SYNCHRONOUS).load<SynchronousRig>('bench/rig.ts');
    return (seed) => huntQuiescence(rig, seed);
  },
  verdict: async (edits: readonly Edit[]): Promise<Hunt> => {
    const edition = new Edition(edits, OPENED);
    const { judge } = await edition.load<typeof judgeModule>('bench/judge.ts');
    const ledgers = await loadLedger(edition);
    return (seed) => huntVerdict(judge as unknown as Judge, ledgers, seed);
  },
  variants: async (edits: readonly Edit[]): Promise<Hunt> => {
    const edition = new Edition(edits, OPENED);
    const { combine } = await edition.load<typeof combineModule>('bench/combine.ts');
    return (seed) => huntVariants(combine as unknown as Combine, seed);
  },
  worst: async (edits: readonly Edit[]): Promise<Hunt> => {
    const edition = new Edition(edits);
    const module = await edition.load<typeof resultModule>('bench/result.ts');
    return (seed) => huntWorst(module, seed);
  },
  gates: async (edits: readonly Edit[]): Promise<Hunt> => {
    const edition = new Edition(edits);
    const module = await edition.load<typeof gatesModule>('bench/gates.ts');
    return (seed) => huntGates(module, seed);
  },
  thresholds: async (edits: readonly Edit[]): Promise<Hunt> => {
    const edition = new Edition(edits);
    const module = await edition.load<typeof thresholdsModule>('bench/thresholds.ts');
    return (seed) => huntThresholds(module, seed);
  },
} as const;

interface Row {
  readonly name: string;
  readonly hunt: keyof typeof HUNTS;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const IN_INTERVALS = { hunt: 'ledger', file: 'protocol/interval-set.ts' } as const;
const IN_LEDGER = { hunt: 'ledger', file: 'loadgen/ledger.ts' } as const;
const IN_AUDIT = { hunt: 'ledger', file: 'loadgen/audit.ts' } as const;
const IN_SWARM = { hunt: 'ledger', file: 'loadgen/swarm.ts' } as const;
const IN_PAYLOAD = { hunt: 'ledger', file: 'loadgen/payload.ts' } as const;
const IN_QUIESCE = { hunt: 'quiescence', file: 'bench/rig.ts' } as const;
const IN_RIG = { hunt: 'verdict', file: 'bench/rig.ts' } as const;
const IN_JUDGE = { hunt: 'verdict', file: 'bench/judge.ts' } as const;
const IN_GATES = { hunt: 'gates', file: 'bench/gates.ts' } as const;
const IN_THRESHOLDS = { hunt: 'thresholds', file: 'bench/thresholds.ts' } as const;

/** What the ledger keeps. */
const LEDGER_ROWS: readonly Row[] = [
  {
    ...IN_INTERVALS,
    name: 'interval set calls a repeat of the low end of an interval new',
    find: '(earlier[at] as number) <= value;\n    if (isInside)',
    replace: '(earlier[at] as number) < value;\n    if (isInside)',
  },
  {
    ...IN_INTERVALS,
    name: 'interval set merges over a gap of one',
    find: 'earlier[at - 1] === value - 1;',
    replace: '(earlier[at - 1] as number) >= value - 2;',
  },
  {
    ...IN_INTERVALS,
    name: 'interval set takes a step over one number as the next in order',
    find: 'if (value === this.lastHi + 1 && this.count > 0) {',
    replace: 'if (value > this.lastHi && value <= this.lastHi + 2 && this.count > 0) {',
  },
  {
    ...IN_INTERVALS,
    name: 'interval set forgets the earlier intervals on its way out',
    find: 'this.earlier === null ? [] : this.earlier.slice();',
    replace: '[] as number[];',
  },
  {
    ...IN_LEDGER,
    name: 'ledger closes only the first epoch of a sender',
    find: 'for (let book: SentBook | null = first; book !== null; book = book.other) {',
    replace: 'for (const book of [first]) {',
  },
  {
    ...IN_LEDGER,
    name: 'ledger closes only the first epoch of a receiver',
    find: 'for (let book: ReceivedBook | null = first; book !== null; book = book.other) {',
    replace: 'for (const book of [first]) {',
  },
  {
    ...IN_LEDGER,
    name: 'ledger writes all epochs into one book',
    find: 'while (book.epoch !== epoch) book',
    replace: 'while (false as boolean) book',
  },
  {
    ...IN_LEDGER,
    name: 'ledger counts a duplicate once per conversation',
    find: 'this.duplicated++;',
    replace: 'this.duplicated = 1;',
  },
  {
    ...IN_LEDGER,
    name: 'ledger counts distinct messages as arrivals on the wire',
    find: 'this.wireArrivals++;\n    this.wire.add(seq);',
    replace: 'if (this.wire.add(seq)) this.wireArrivals++;',
  },
  {
    ...IN_LEDGER,
    name: 'ledger lets a message settle twice',
    find: 'if (isSettled) this.settledTwice++;\n    else if',
    replace: 'if',
  },
  {
    ...IN_LEDGER,
    name: 'ledger ignores answers that come after giving up',
    find: 'if (this.gaveUp?.has(seq) === true) this.accepted.add(seq);',
    replace: '',
  },
  {
    ...IN_LEDGER,
    name: 'ledger finds nothing in an ack:N for what nobody sent',
    find: 'if (this.strays.length < NOTES_MAX) this.strays.push(seq);',
    replace: '',
  },
  {
    ...IN_LEDGER,
    name: 'ledger closes a book without what was corrupt',
    find: 'corrupt: book.corrupt,',
    replace: 'corrupt: 0,',
  },
  {
    ...IN_SWARM,
    name: 'swarm books only new messages as arrivals',
    find: '    book.onWire(effect.seq);\n',
    replace: '    if (effect.kind === ClientEffectKind.Deliver) book.onWire(effect.seq);\n',
  },
  {
    ...IN_SWARM,
    name: "swarm does not look at a message's receiver",
    find: 'reader.receiver !== client.uid',
    replace: 'reader.receiver === 0',
  },
  {
    ...IN_SWARM,
    name: "swarm does not look at a message's sender",
    find: 'reader.sender !== effect.uid || ',
    replace: '',
  },
  {
    ...IN_SWARM,
    name: 'swarm leaves the last user out of its report',
    find: 'for (const client of this.clients) {\n      client.closeBooks',
    replace: 'for (const client of this.clients.slice(0, -1)) {\n      client.closeBooks',
  },
  {
    ...IN_PAYLOAD,
    name: 'payload check is not compared',
    find: 'if (view.getUint32(at, true) !== checkOf(view, at, content.length)) return false;',
    replace: '',
  },
  {
    ...IN_PAYLOAD,
    name: 'payload check leaves out the bytes after the last whole word',
    find: 'for (; at < end; at++)',
    replace: 'for (; at < offset; at++)',
  },
];

/** How the audit closes it. */
const AUDIT_ROWS: readonly Row[] = [
  {
    ...IN_AUDIT,
    name: 'audit ignores the last interval of what is missing',
    find: 'const lost = difference(ok, delivered);',
    replace: 'const lost = difference(ok, delivered).slice(0, -2);',
  },
  {
    ...IN_AUDIT,
    name: 'audit calls lost only what msg:A accepted, not what ack:N confirmed',
    find: 'const lost = difference(ok, delivered);',
    replace: 'const lost = difference(sent.accepted, delivered);',
  },
  {
    ...IN_AUDIT,
    name: 'audit calls lost only what nobody confirmed',
    find: 'const lost = difference(ok, delivered);',
    replace: 'const lost = difference(difference(ok, confirmed), delivered);',
  },
  {
    ...IN_AUDIT,
    name: 'difference takes one too many at an upper end',
    find: 'lo = Math.max(lo, (b[k + 1] as number) + 1);',
    replace: 'lo = Math.max(lo, (b[k + 1] as number) + 2);',
  },
  {
    ...IN_AUDIT,
    name: 'difference skips an interval that ends where the next begins',
    find: '(b[j + 1] as number) < lo) j += 2;',
    replace: '(b[j + 1] as number) <= lo) j += 2;',
  },
  {
    ...IN_AUDIT,
    name: 'union counts a shared end twice',
    find: 'lo <= (merged[last] as number) + 1',
    replace: 'lo < (merged[last] as number)',
  },
  {
    ...IN_AUDIT,
    name: 'union keeps the shorter of two nested intervals',
    find: 'merged[last] = Math.max(merged[last] as number, hi);',
    replace: 'merged[last] = hi;',
  },
  {
    ...IN_AUDIT,
    name: 'size counts intervals, not numbers',
    find: 'size += (pairs[i + 1] as number) - (pairs[i] as number) + 1;',
    replace: 'size += 1;',
  },
  {
    ...IN_AUDIT,
    name: 'audit ignores forged confirmations in falseConfirm',
    find: 'const falseConfirm = difference(confirmed, delivered);',
    replace: 'const falseConfirm = difference(sent.confirmed, delivered);',
  },
  {
    ...IN_AUDIT,
    name: 'audit never finds a phantom',
    find: 'const phantom = intersection(sent.failed, delivered);',
    replace: 'const phantom: number[] = [];',
  },
  {
    ...IN_AUDIT,
    name: 'audit ignores deliveries from nobody it knows',
    find: 'ledger.unexpected += sizeOf(entry.delivered);',
    replace: '',
  },
  {
    ...IN_AUDIT,
    name: 'audit drops what is stuck',
    find: 'ledger.stuck += part.stuck;',
    replace: '',
  },
  {
    ...IN_AUDIT,
    name: 'audit drops what is misrouted',
    find: 'ledger.misrouted += entry.misrouted;',
    replace: '',
  },
  {
    ...IN_AUDIT,
    name: 'audit lets a message settle twice',
    find: "if (sent.settledTwice > 0) violate('a message settles once', sent);",
    replace: '',
  },
  {
    ...IN_AUDIT,
    name: 'audit checks the log against the wire in one direction only',
    find: 'difference(entry.wire, entry.delivered).length === 0 &&',
    replace: '',
  },
  {
    ...IN_AUDIT,
    name: 'audit does not add up ok, fail and info',
    find: "if (parted !== sent.attempted) violate('sent = ok + fail + info', sent);",
    replace: '',
  },
  {
    ...IN_AUDIT,
    name: 'audit lets a second book of a conversation replace the first',
    find: "if (received.has(nameOf(entry))) violate('one book per conversation', entry);",
    replace: '',
  },
];

/** What a run makes of its audit. */
const CHECKER_ROWS: readonly Row[] = [
  {
    ...IN_RIG,
    name: 'merge leaves out the books of one worker',
    find: 'auditBooks(reports.map(({ books }) => books))',
    replace: 'auditBooks(reports.slice(0, Math.max(1, reports.length - 1)).map((it) => it.books))',
  },
  ...(
    [
      'lost',
      'falseConfirm',
      'duplicated',
      'unexpected',
      'misrouted',
      'corrupt',
      'phantom',
      'stuck',
    ] as const
  ).map((figure): Row => ({
    hunt: 'verdict',
    file: 'loadgen/audit.ts',
    name: `${figure} may be more than 0`,
    find: `  '${figure}',\n`,
    replace: '',
  })),
  {
    ...IN_RIG,
    name: 'violated conservation is no reason',
    find: 'for (const violation of audit.violations) reasons.push',
    replace: 'for (const violation of [] as string[]) reasons.push',
  },
  {
    ...IN_RIG,
    name: 'without quiescence duplicates are forgiven too',
    find: 'ledger.lost = ledger.falseConfirm = ledger.stuck = 0;',
    replace: 'ledger.lost = ledger.falseConfirm = ledger.stuck = ledger.duplicated = 0;',
  },
  {
    ...IN_RIG,
    name: 'without quiescence a message under way is called lost',
    find: 'if (!quiescence.reached) {\n    const { ledger }',
    replace: 'if (quiescence.reached) {\n    const { ledger }',
  },
  {
    ...IN_JUDGE,
    name: 'a run that was not quiescent passes',
    find: "verdict === 'pass' && !input.quiescence.reached",
    replace: "verdict === 'pass' && input.context.signal.aborted",
  },
  {
    ...IN_JUDGE,
    name: 'an interrupted run passes',
    find: "if (verdict === 'pass') verdict = 'unknown';\n  }\n  const failedGates",
    replace: '}\n  const failedGates',
  },
  {
    ...IN_JUDGE,
    name: 'unknown beats fail',
    find: "verdict === 'pass' && !input.quiescence.reached",
    replace: '!input.quiescence.reached',
  },
  {
    ...IN_JUDGE,
    name: 'a failed gate beats a failed audit',
    find: "if (verdict === 'pass') verdict = 'invalid';",
    replace: "verdict = 'invalid';",
  },
  {
    ...IN_JUDGE,
    name: 'a failed gate is only remarked',
    find: "if (verdict === 'pass') verdict = 'invalid';",
    replace: '',
  },
  {
    ...IN_JUDGE,
    name: 'a run in which nothing was accepted passes',
    find: 'const unproven = proofReason(audit.ledger);',
    replace: 'const unproven = proofReason({ ...audit.ledger, accepted: audit.ledger.attempted });',
  },
  {
    ...IN_RIG,
    name: 'a run in which most messages were ignored passes',
    find: 'if (unknown <= UNANSWERED_SHARE_MAX * attempted) return null;',
    replace: 'if (accepted > 0) return null;',
  },
  {
    ...IN_JUDGE,
    name: 'zero lost of nothing accepted proves something',
    find: '...detectionPower(input.quiescence.reached ? audit.ledger.accepted : 0),',
    replace: '...detectionPower(input.quiescence.reached ? audit.ledger.attempted : 0),',
  },
  {
    hunt: 'variants',
    file: 'bench/combine.ts',
    name: 'only the last variant is judged',
    find: 'worstVerdict(results.map(({ verdict }) => verdict)),',
    replace: '(results.at(-1) as ScenarioResult).verdict,',
  },
  {
    hunt: 'variants',
    file: 'bench/combine.ts',
    name: 'the ledger of a variant is left out of the sum',
    find: 'if (index === 0) continue;',
    replace: 'if (index <= 1) continue;',
  },
  {
    hunt: 'worst',
    file: 'bench/result.ts',
    name: 'an unknown scenario hides a failed one',
    find: "['pass', 'invalid', 'unknown', 'fail']",
    replace: "['pass', 'invalid', 'fail', 'unknown']",
  },
  {
    ...IN_QUIESCE,
    name: 'quiescence after one empty pull',
    find: 'const second = first === 0 ? pullEverybody(pool, leftMs()) : null;',
    replace: 'const second = first === 0 ? 0 : null;',
  },
  {
    ...IN_QUIESCE,
    name: 'quiescence without silence',
    find: 'isCalm(status) && status.silenceMs >= silenceMs,',
    replace: 'isCalm(status),',
  },
  {
    ...IN_QUIESCE,
    name: 'quiescence after the silence of one retransmission timeout',
    find: 'const silenceMs = 2 * retransmit.maxMs * (1 + retransmit.jitter);',
    replace: 'const silenceMs = retransmit.maxMs;',
  },
  {
    ...IN_QUIESCE,
    name: 'silence of the quietest worker counts for all',
    find: 'silenceMs: Math.min(...parts',
    replace: 'silenceMs: Math.max(...parts',
  },
  {
    ...IN_QUIESCE,
    name: 'quiescence with clients offline',
    find: 'status.online === status.clients && status.inflight === 0',
    replace: 'status.inflight === 0',
  },
  {
    ...IN_QUIESCE,
    name: 'quiescence with messages waiting for ack:N',
    find: 'status.online === status.clients && status.inflight === 0',
    replace: 'status.online === status.clients',
  },
  {
    ...IN_QUIESCE,
    name: 'quiescence under faults',
    find: "pool.ask('heal', null);",
    replace: '',
  },
  {
    ...IN_QUIESCE,
    name: 'a pull without an answer was empty',
    find: 'return rows.includes(null) ? null : rows.reduce',
    replace: 'return rows.reduce',
  },
  {
    ...IN_QUIESCE,
    name: 'a final count without an answer is 0',
    find: 'if (probes.includes(null)) {',
    replace: 'if (probes.length === 0) {',
  },
  {
    ...IN_QUIESCE,
    name: 'stuck counts the inboxes of one worker',
    find: 'stuck: probes.reduce<number>((sum, n) => sum + (n ?? 0), 0)',
    replace: 'stuck: probes[0] ?? 0',
  },
  {
    ...IN_GATES,
    name: 'gates never fail',
    find: 'return { id, name, value, limit, ok };',
    replace: 'return { id, name, value, limit, ok: ok || true };',
  },
  {
    ...IN_GATES,
    name: 'a missing socket is no matter',
    find: 'ok: input.socketsOpen === input.socketsAsked,',
    replace: 'ok: input.socketsOpen <= input.socketsAsked,',
  },
  {
    ...IN_GATES,
    name: 'the limit of the send lag is the smaller of the two',
    find: 'Math.max(1000, 0.05 * deliverUsP99)',
    replace: 'Math.min(1000, 0.05 * deliverUsP99)',
  },
  {
    ...IN_GATES,
    name: 'too many messages in flight are no deviation',
    find: 'Math.abs(predicted / meanInflight - 1);',
    replace: 'predicted / meanInflight - 1;',
  },
  {
    ...IN_THRESHOLDS,
    name: 'thresholds compare the wrong way round',
    find: "'<': value < limit,",
    replace: "'<': value > limit,",
  },
  {
    ...IN_THRESHOLDS,
    name: 'a figure without a value meets its threshold',
    find: 'value: null, ok: false };',
    replace: 'value: null, ok: true };',
  },
  {
    ...IN_THRESHOLDS,
    name: 'ms are taken for us',
    find: 'ms: 1000',
    replace: 'ms: 1',
  },
  {
    ...IN_THRESHOLDS,
    name: 'a threshold is judged in no scenario',
    find: 'threshold.scenario !== null && threshold.scenario !== result.name',
    replace: 'threshold.scenario !== result.name',
  },
];

async function plant(part: Mutant['part'], rows: readonly Row[]): Promise<Mutant[]> {
  return Promise.all(
    rows.map(async ({ name, hunt, ...edit }) => ({ name, part, hunt: await HUNTS[hunt]([edit]) })),
  );
}

/** Every planted bug of the ledger and of its judges, loaded. */
export const CHECKER_MUTANTS: readonly Mutant[] = [
  ...(await plant('ledger', [...LEDGER_ROWS, ...AUDIT_ROWS])),
  ...(await plant('checker', CHECKER_ROWS)),
];

/** The same hunts on the code as it is: none may ever catch anything. */
export const CHECKER_CONTROLS: readonly Mutant[] = await Promise.all(
  Object.entries(HUNTS).map(async ([name, hunt]) => ({
    name: `no bug, hunt on ${name}`,
    part: 'checker' as const,
    hunt: await hunt([]),
  })),
);
