/** Starts the page: reads its data, which are text and nothing else, and puts everything in place. */
import type { PageData } from '../model.ts';
import { calculatorPanel } from './calculator.ts';
import { capacitySection } from './capacity.ts';
import { comparisonSection } from './comparison.ts';
import { type Child, h, replace } from './dom.ts';
import { environmentPanel } from './environment.ts';
import { manyHero, resultHero, worstFirst } from './hero.ts';
import { showLive } from './live.ts';
import { anchorOf, scenarioSection, sightingsOf } from './scenario.ts';
import { themeButton } from './theme.ts';
import { signOf, toneOf } from './words.ts';

function start(): void {
  const data = JSON.parse(document.getElementById('data')?.textContent ?? '') as PageData;
  const main = h('main');
  document.getElementById('page')?.append(topBar(data), main);
  if (data.isLive) showLive(main, reportOf);
  else replace(main, ...reportOf(data));
  document.documentElement.dataset['ready'] = 'true';
}

function topBar({ results, isLive }: PageData): HTMLElement {
  const kind = isLive ? 'live' : 'report';
  const name = results.length === 1 ? (results[0]?.label ?? '') : '';
  return h(
    'div',
    { class: 'top' },
    h('div', { class: 'brand' }, 'ackbench ', h('span', {}, `${kind} ${name}`)),
    h('span', { class: 'grow' }),
    themeButton(),
    h('button', { type: 'button', click: () => print() }, 'Print'),
  );
}

/** More verdicts than this are a table. */
const HEROES_MAX = 2;

function reportOf(data: PageData): Child[] {
  const { results, comparisons, capacities } = data;
  const scenarios = sightingsOf(results);
  const headed = [
    ...capacities.map((capacity) =>
      capacitySection(capacity, calculatorPanel(capacity, data.plan)),
    ),
    ...comparisons.map(comparisonSection),
  ];
  const heroes = [
    ...headed.map(({ hero }) => hero),
    ...(results.length > HEROES_MAX
      ? [manyHero(results)]
      : results.map((result) => resultHero(result, data.isLive))),
  ];
  return [
    // All verdicts before any figures, so that none is overlooked below another's.
    worstFirst(heroes),
    headed.map(({ section }) => section),
    scenarios.size > 1 && index(scenarios),
    [...scenarios].map(([name, sightings]) => scenarioSection(name, sightings)),
    results.length > 0 && environmentPanel(results),
    h(
      'footer',
      {},
      `Made by ${data.tool.name} ${data.tool.version} at ${data.madeAt.slice(0, 16).replace('T', ' ')} UTC. `,
      'What every panel shows is in docs/REPORT.md, what every figure means in docs/MEASUREMENT.md.',
    ),
  ];
}

function index(scenarios: ReturnType<typeof sightingsOf>): HTMLElement {
  return h(
    'nav',
    { class: 'index', 'aria-label': 'scenarios' },
    [...scenarios].map(([name, sightings]) =>
      h(
        'a',
        { href: `#${anchorOf(name)}` },
        sightings.map(({ scenario }) =>
          h(
            'b',
            { class: `tone-${toneOf(scenario.whole.verdict)}` },
            signOf(scenario.whole.verdict),
          ),
        ),
        name,
      ),
    ),
  );
}

start();
