/** A scenario of one or several result files: its verdict, and every panel that has something to show. */
import type { ResultView, RunView, ScenarioView } from '../model.ts';
import { cautionOf } from '../../caution.ts';
import { type Child, choice, h, replace, table, tile } from './dom.ts';
import { extraPanels } from './extra-panels.ts';
import { ledgerPanel, packetsPanel, wirePanel } from './ledger-panel.ts';
import { gatesPanel, machinePanel, thresholdsPanel } from './machine-panel.ts';
import { colourOf, dashOf, type Overlay } from './overlay.ts';
import { percentilePanel } from './percentile-plot.ts';
import { runKey, timePanels, timeRunOf } from './time-panels.ts';
import { rateText, signOf, timeText, toneOf, VERDICT_MEANS } from './words.ts';
import { formatBytes, formatCount, significant } from '../../units.ts';

/** The scenario of one name in a file, and which of the files it is. */
export interface Sighting {
  index: number;
  label: string;
  scenario: ScenarioView;
}

/** Scenarios by name, in the order of their first sighting. */
export function sightingsOf(results: readonly ResultView[]): Map<string, Sighting[]> {
  const found = new Map<string, Sighting[]>();
  for (const [index, { label, scenarios }] of results.entries()) {
    for (const scenario of scenarios) {
      const sightings = found.get(scenario.name) ?? [];
      sightings.push({ index, label, scenario });
      found.set(scenario.name, sightings);
    }
  }
  return found;
}

export function pill(verdict: string): HTMLElement {
  return h(
    'span',
    { class: `pill tone-${toneOf(verdict)}`, title: VERDICT_MEANS[verdict] ?? '' },
    `${signOf(verdict)} ${verdict}`,
  );
}

export function anchorOf(name: string): string {
  return `scenario-${name.replace(/[^a-z0-9]+/gi, '-')}`;
}

export function scenarioSection(name: string, sightings: readonly Sighting[]): HTMLElement {
  const variantNames = [
    ...new Set(
      sightings.flatMap(({ scenario }) => scenario.variants.map((variant) => variant.name)),
    ),
  ];
  const place = h('div', { class: 'panels' });
  const show = (variant: string | null): void => {
    replace(place, panelsOf(overlaysOf(sightings, variant), `${name} ${variant ?? ''}`));
  };
  const [first = null] = variantNames;
  show(first);
  const { description } = (sightings[0] as Sighting).scenario;
  const isOne = sightings.length === 1;
  return h(
    'section',
    { class: 'scenario', id: anchorOf(name), 'data-scenario': name },
    h(
      'header',
      {},
      h('h2', {}, name),
      sightings.map(({ label, scenario }) => [
        !isOne && h('span', { class: 'small quiet' }, label),
        pill(scenario.whole.verdict),
      ]),
      h('span', { class: 'quiet' }, description),
    ),
    sightings.map(({ label, scenario }) => reasons(scenario.whole, isOne ? '' : `${label}: `)),
    sightings.map(({ label, scenario }) => caution(scenario.whole, isOne ? '' : `${label}: `)),
    differentLoads(sightings),
    variantNames.length > 0 && [
      h('h4', {}, 'Variants'),
      variantTable(sightings),
      h(
        'p',
        { class: 'quiet small' },
        'Shown below: ',
        choice('Variant', variantNames, first ?? '', show),
      ),
    ],
    place,
  );
}

/** Runs that can be drawn over each other: of one variant, a file each. */
function overlaysOf(sightings: readonly Sighting[], variant: string | null): Overlay[] {
  return sightings.flatMap(({ index, label, scenario }): Overlay[] => {
    const found = scenario.variants.find(({ name }) => name === variant)?.run;
    const run = found ?? (scenario.variants.length === 0 ? scenario.whole : undefined);
    if (run === undefined) return [];
    // What belongs to all variants is kept at the whole.
    const extra = found === undefined ? run.extra : { ...scenario.whole.extra, ...run.extra };
    return [{ label, run: { ...run, extra }, colour: colourOf(index), dash: dashOf(index) }];
  });
}

function panelsOf(overlays: readonly Overlay[], group: string): Child[] {
  if (overlays.length === 0) return [];
  const hasSeries = overlays.some(({ run }) => run.series.length > 0);
  const isMeasured = overlays.some(({ run }) => run.ledger.attempted > 0);
  return [
    h(
      'div',
      { class: 'panel wide' },
      runKey(overlays),
      overlays.map((overlay) => tiles(overlay, overlays.length > 1)),
    ),
    hasSeries && timePanels(overlays.map(timeRunOf), group).elements,
    percentilePanel(overlays),
    isMeasured && ledgerPanel(overlays),
    extraPanels(overlays),
    isMeasured && wirePanel(overlays),
    packetsPanel(overlays),
    machinePanel(overlays),
    gatesPanel(overlays),
    thresholdsPanel(overlays),
    configuration(overlays),
  ];
}

function tiles({ label, run }: Overlay, isNamed: boolean): Child {
  const { load, latency, ledger, server, dedupe } = run;
  const confirm = latency.confirmUs;
  const stored = latency.storedConfirmUs;
  const headline =
    confirm !== undefined && confirm.count > 0
      ? { name: 'confirmed', view: confirm }
      : { name: 'stored', view: stored };
  const isOpen = load.offeredPerSec > 0;
  const { view } = headline;
  return [
    isNamed && h('h4', {}, label),
    h(
      'div',
      { class: 'tiles' },
      tile(formatCount(load.sent), `messages of ${formatCount(load.clients)} clients`),
      tile(formatCount(ledger.lost), 'lost', ledger.lost > 0),
      tile(
        formatCount(ledger.duplicated),
        `shown twice; ${formatCount(dedupe.wireDuplicates)} repeats on the wire`,
        ledger.duplicated > 0,
      ),
      load.mode !== 'none' &&
        tile(
          rateText(load.achievedPerSec),
          isOpen
            ? `achieved of ${rateText(load.offeredPerSec)} offered`
            : `achieved (${load.mode} loop: as fast as it goes)`,
        ),
      view !== undefined &&
        view.count > 0 &&
        tile(timeText(view.p50), `half of them ${headline.name} within (p50)`),
      view !== undefined &&
        view.count > 0 &&
        tile(timeText(view.p99), `99 of 100 ${headline.name} within (p99)`),
      server.cpuUsPerMessage !== null &&
        tile(`${significant(server.cpuUsPerMessage)} µs`, 'server CPU per message'),
      server.peakRssBytes !== null &&
        server.peakRssBytes > 0 &&
        tile(formatBytes(server.peakRssBytes), 'server memory at its peak'),
    ),
  ];
}

function reasons({ reasons: all, examples, verdict }: RunView, who: string): Child {
  if (all.length === 0) return null;
  return [
    h(
      'ul',
      { class: `reasons tone-${toneOf(verdict)}` },
      all.map((reason) => h('li', {}, who, reason)),
    ),
    examples.length > 0 &&
      h(
        'ul',
        { class: 'examples mono' },
        examples.map((example) => h('li', {}, example)),
      ),
  ];
}

function caution(run: RunView, who: string): Child {
  const text = cautionOf(run);
  return text === null ? null : h('ul', { class: 'reasons tone-warn' }, h('li', {}, who, text));
}

/** Runs of one name with other loads are shown together and say nothing about each other. */
function differentLoads(sightings: readonly Sighting[]): Child {
  const hashes = new Set(sightings.map(({ scenario }) => scenario.whole.configHash));
  if (hashes.size < 2) return null;
  return h(
    'ul',
    { class: 'reasons tone-warn' },
    h(
      'li',
      {},
      'The configurations differ: these runs had different loads, and their figures must not be compared.',
    ),
  );
}

function variantTable(sightings: readonly Sighting[]): HTMLElement {
  const isOne = sightings.length === 1;
  const number = (name: string) => ({ name, isNumber: true });
  return table(
    [
      { name: 'variant' },
      ...(isOne ? [] : [{ name: 'run', isLabel: true }]),
      ...['confirmed/s', 'server CPU/message', 'confirm p50', 'p99', 'server memory'].map(number),
      { name: 'verdict' },
    ],
    sightings.flatMap(({ label, scenario }) =>
      scenario.variants.map(({ name, run }): Child[] => {
        const { confirmUs, storedConfirmUs } = run.latency;
        const { cpuUsPerMessage, peakRssBytes } = run.server;
        return [
          name,
          ...(isOne ? [] : [label]),
          formatCount(run.load.achievedPerSec),
          cpuUsPerMessage === null ? '-' : `${significant(cpuUsPerMessage)} µs`,
          timeText(confirmUs?.p50 ?? storedConfirmUs?.p50 ?? null),
          timeText(confirmUs?.p99 ?? storedConfirmUs?.p99 ?? null),
          formatBytes(peakRssBytes),
          pill(run.verdict),
        ];
      }),
    ),
  );
}

function configuration(overlays: readonly Overlay[]): HTMLElement {
  return h(
    'article',
    { class: 'panel wide' },
    overlays.map(({ label, run }) =>
      h(
        'details',
        {},
        h(
          'summary',
          {},
          `Configuration${overlays.length > 1 ? ` of ${label}` : ''} `,
          h(
            'span',
            { class: 'quiet small' },
            `${run.target.policy}, ${run.target.store}, hash ${run.configHash}`,
          ),
        ),
        h('pre', { tabindex: 0 }, JSON.stringify(run.config, null, 2)),
      ),
    ),
  );
}
