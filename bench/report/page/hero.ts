/** The verdict, first of all: one word, one sentence, and the figures that a stranger asks for. */
import type { ResultView, RunView, ScenarioView } from '../model.ts';
import { cautionOf } from '../../caution.ts';
import { type Child, h, table, tile } from './dom.ts';
import { messagesWere, MUST_BE_ZERO, signOf, timeText, toneOf } from './words.ts';
import { counted, formatCount } from '../../units.ts';

const REASONS_MAX = 6;

/** A verdict, and the section that shows where it comes from. */
export interface HeadedSection {
  hero: HTMLElement;
  section: HTMLElement;
}

/** From what a reader can leave alone to what must be looked at. */
const ORDER = ['pass', 'invalid', 'unknown', 'fail'] as const;
const ORDER_OF_TONES = ['none', 'pass', 'warn', 'fail'] as const;

/** The worst first; those that are as bad stay in their order. */
export function worstFirst(heroes: readonly HTMLElement[]): HTMLElement[] {
  const badness = (hero: HTMLElement): number =>
    ORDER_OF_TONES.indexOf(toneOf(hero.dataset['verdict'] ?? ''));
  return heroes.toSorted((a, b) => badness(b) - badness(a));
}

export function heroCard(options: {
  verdict: string;
  /** Before the sentence; the verdict itself when it is left out. */
  word?: string;
  sentence: string;
  lead: Child;
  tiles?: Child;
  meta: Child;
}): HTMLElement {
  const { verdict, word = verdict, sentence, lead, tiles, meta } = options;
  return h(
    'section',
    { class: `hero tone-${toneOf(verdict)}`, 'data-verdict': verdict },
    h(
      'div',
      { class: 'hero-head' },
      h('div', { class: 'sign', 'aria-hidden': 'true' }, signOf(verdict)),
      h(
        'h1',
        {},
        h('span', { class: word === verdict ? 'word verdict' : 'word' }, word),
        ` ${sentence}`,
      ),
    ),
    lead !== '' && h('div', { class: 'lead' }, lead),
    tiles !== undefined && h('div', { class: 'tiles' }, tiles),
    h('div', { class: 'meta' }, meta),
  );
}

/** `isPartial`: more scenarios are to come. */
export function resultHero(result: ResultView, isPartial: boolean): HTMLElement {
  const { scenarios, verdict } = result;
  const total = (pick: (run: RunView) => number): number =>
    scenarios.reduce((sum, { whole }) => sum + pick(whole), 0);
  const sent = total(({ ledger }) => ledger.attempted);
  const lost = total(({ ledger }) => ledger.lost);
  const twice = total(({ ledger }) => ledger.duplicated);
  const judged = total(({ ledger, lossBelow }) => (lossBelow === null ? 0 : ledger.accepted));
  const repeats = total(({ dedupe }) => dedupe.wireDuplicates);
  const best = headlineLatency(scenarios);
  return heroCard({
    verdict,
    word: isPartial ? `${verdict} so far` : verdict,
    sentence: sentenceOf(result),
    lead: leadOf(result),
    tiles: [
      tile(formatCount(sent), 'messages sent'),
      tile(formatCount(lost), 'lost', lost > 0),
      tile(formatCount(twice), `shown twice; ${counted(repeats, 'repeat')} on the wire`, twice > 0),
      // A figure that cannot be trusted is no headline.
      best !== null &&
        (verdict === 'pass' || verdict === 'fail') &&
        tile(timeText(best.us), `99 of 100 messages confirmed within (${best.name})`),
      lost === 0 &&
        judged > 0 &&
        tile(`1 in ${formatCount(judged / 3)}`, 'at most are lost: proven at 95 %'),
      tile(
        `${formatCount(passed(scenarios))} of ${formatCount(scenarios.length)}`,
        'scenarios passed',
        passed(scenarios) < scenarios.length,
      ),
    ],
    meta: metaOf(result),
  });
}

/** Many files: the worst verdict of all, and a line for each. */
export function manyHero(results: readonly ResultView[]): HTMLElement {
  const worst = Math.max(...results.map(({ verdict }) => ORDER.indexOf(verdict)));
  const verdict = ORDER[worst] ?? 'unknown';
  const count = results.filter((result) => result.verdict === verdict).length;
  const number = (name: string) => ({ name, isNumber: true });
  const bad = new Set(results.flatMap((result, i) => (result.verdict === 'fail' ? [i] : [])));
  return heroCard({
    verdict,
    sentence:
      verdict === 'pass'
        ? `In all of ${results.length} runs every message arrived, and none was shown twice.`
        : `is the verdict of ${count} of ${results.length} runs.`,
    lead: '',
    meta: table(
      [
        { name: 'verdict', isLabel: true },
        { name: 'run', isLabel: true },
        { name: 'says' },
        ...['messages', 'lost', 'shown twice', 'p99 of confirm', 'scenarios passed'].map(number),
        { name: 'file' },
      ],
      results.map((result) => {
        const { scenarios } = result;
        const total = (pick: (run: RunView) => number): string =>
          formatCount(scenarios.reduce((sum, { whole }) => sum + pick(whole), 0));
        return [
          `${signOf(result.verdict)} ${result.verdict}`,
          result.label,
          sentenceOf(result),
          total(({ ledger }) => ledger.attempted),
          total(({ ledger }) => ledger.lost),
          total(({ ledger }) => ledger.duplicated),
          timeText(headlineLatency(scenarios)?.us ?? null),
          `${passed(scenarios)} of ${scenarios.length}`,
          result.file,
        ];
      }),
      bad,
    ),
  });
}

const passed = (scenarios: readonly ScenarioView[]): number =>
  scenarios.filter(({ whole }) => whole.verdict === 'pass').length;

/**
 * p99 of the first scenario that was judged by its latency, or else of the first open loop: in a closed
 * one messages wait for each other, and say nothing about what a user would see.
 */
function headlineLatency(scenarios: readonly ScenarioView[]): { name: string; us: number } | null {
  const known = scenarios.flatMap(({ name, whole }) => {
    const us = whole.latency.confirmUs?.p99 ?? null;
    const isNoUsers = whole.load.mode === 'closed' || cautionOf(whole) !== null;
    return us === null || isNoUsers ? [] : [{ name, us, isJudged: judgedBy(whole) === 'latency' }];
  });
  return known.find(({ isJudged }) => isJudged) ?? known[0] ?? null;
}

function judgedBy({ config }: RunView): unknown {
  return (Object(config) as Record<string, unknown>)['judged'];
}

function sentenceOf({ verdict, scenarios, interrupted }: ResultView): string {
  switch (verdict) {
    case 'pass':
      return 'Every message arrived, and none was shown twice.';
    case 'invalid':
      return 'These figures cannot be trusted.';
    case 'unknown':
      return interrupted ? 'Interrupted before anything was proven.' : 'Nothing was proven.';
    default:
      return failure(scenarios);
  }
}

/** What the audit found, worst first; a missed limit only where the audit found nothing. */
function failure(scenarios: readonly ScenarioView[]): string {
  for (const { key, happened } of MUST_BE_ZERO) {
    const count = scenarios.reduce((sum, { whole }) => sum + whole.ledger[key], 0);
    if (count > 0) return `${messagesWere(count)} ${happened}.`;
  }
  const isMissed = scenarios.some(({ whole }) => whole.thresholds.some(({ ok }) => !ok));
  return isMissed ? 'Nothing was lost, but a limit was missed.' : 'The audit found something.';
}

function leadOf({ verdict, scenarios }: ResultView): Child {
  if (verdict === 'pass') {
    return 'Sender, receiver and content of every single message were checked on both ends, and every gate of the measurement was met.';
  }
  const all = scenarios.flatMap(({ name, whole }) =>
    whole.reasons.map((reason) => `${name}: ${reason}`),
  );
  const more = all.length - REASONS_MAX;
  return h(
    'ul',
    { class: `reasons tone-${toneOf(verdict)}` },
    all.slice(0, REASONS_MAX).map((reason) => h('li', {}, reason)),
    more > 0 && h('li', {}, `and ${more} more, below`),
    all.length === 0 && h('li', {}, 'No scenario was finished.'),
  );
}

function metaOf(result: ResultView): string {
  const { file, commit, startedAt, durationS, seed, environment, tool, target } = result;
  const dirty = commit.dirty ? ' with uncommitted changes' : '';
  return [
    `commit ${commit.sha.slice(0, 10)}${dirty}`,
    startedAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'),
    `${formatCount(durationS)} s`,
    `${environment.cpuModel}, ${environment.cores} cores`,
    target.kind === 'remote' ? target.url : 'reference server',
    `seed ${seed}`,
    `${tool.name} ${tool.version}`,
    file,
  ].join(' · ');
}
