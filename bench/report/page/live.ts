/**
 * The page of a run that goes on: what runs now, second by second, and below it the report of what is
 * finished. Asks its own origin and nothing else.
 */
import type { LiveEvent, LiveRun, LiveState, PageData } from '../model.ts';
import { type Child, h, replace, tile } from './dom.ts';
import { type TimePanels, timePanels, type TimeRun } from './time-panels.ts';
import { rateText, timeText } from './words.ts';
import { formatCount } from '../../units.ts';

/** Fills `main` and keeps it up to date until the run is over. */
export function showLive(main: Element, report: (page: PageData) => Child[]): void {
  const now = h('div', { class: 'now', 'data-live': 'waiting' });
  const done = h('div', { class: 'done' });
  replace(main, now, done);
  const view = new RunningView(now);
  const source = new EventSource('/events');
  const show = (state: LiveState): void => {
    view.show(state);
    replace(done, ...report(state.page));
  };
  source.addEventListener('message', ({ data }) => {
    const event = JSON.parse(String(data)) as LiveEvent;
    switch (event.type) {
      case 'state':
        show(event.state);
        break;
      case 'run':
        view.start(event.run);
        break;
      case 'second':
        view.second(event.phase, event.point);
        break;
      default:
        // Or the browser would ask again for a run that is over.
        source.close();
        now.remove();
        replace(done, ...report({ ...event.state.page, isLive: false }));
    }
  });
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED || now.isConnected) view.lost();
  });
}

class RunningView {
  private readonly place: HTMLElement;
  private state: LiveState | null = null;
  private run: LiveRun | null = null;
  private panels: TimePanels | null = null;
  private readonly head = h('div');

  constructor(place: HTMLElement) {
    this.place = place;
    replace(place, waiting('Waiting for the run …'));
  }

  show(state: LiveState): void {
    this.state = state;
    if (state.running === null) {
      this.run = null;
      const left = state.planned.length - finishedOf(state).length;
      replace(this.place, waiting(left > 0 ? 'Between two scenarios …' : 'Judging …'));
    } else this.start(state.running);
  }

  start(run: LiveRun): void {
    this.run = run;
    this.panels = null;
    replace(this.place, this.head);
    this.place.dataset['live'] = 'running';
    this.refresh();
  }

  second(phase: string, point: LiveRun['series'][number] | null): void {
    const { run } = this;
    if (run === null) return;
    run.phase = phase;
    if (point !== null) {
      if (run.series.at(-1)?.second === point.second) run.series.pop();
      run.series.push(point);
    }
    this.refresh();
  }

  lost(): void {
    this.place.dataset['live'] = 'lost';
    if (this.run !== null)
      this.run.phase = 'The connection to the run is lost: it has ended, or its machine is away.';
    this.refresh();
  }

  private refresh(): void {
    const { run } = this;
    if (run === null) return;
    replace(this.head, headOf(run, this.state));
    if (run.series.length === 0) return;
    const runs = [timeRunOf(run)];
    if (this.panels === null) {
      this.panels = timePanels(runs, 'live');
      replace(
        this.place,
        this.head,
        h('section', { class: 'scenario' }, h('div', { class: 'panels' }, this.panels.elements)),
      );
    } else this.panels.update(runs);
  }
}

function timeRunOf({ name, series, marks, warmupS, totalS, schedule }: LiveRun): TimeRun {
  return { label: name, colour: 'c0', dash: [], series, marks, warmupS, untilS: totalS, schedule };
}

function finishedOf(state: LiveState): string[] {
  return state.page.results.flatMap(({ scenarios }) => scenarios.map(({ name }) => name));
}

function waiting(text: string): HTMLElement {
  return h('section', { class: 'hero tone-none' }, h('h1', {}, text));
}

function headOf(run: LiveRun, state: LiveState | null): HTMLElement {
  const last = run.series.at(-1);
  const elapsedS = last?.second ?? 0;
  const sent = run.series.reduce((sum, { sentPerSec }) => sum + sentPerSec, 0);
  const worst = Math.max(0, ...run.series.map(({ confirmUsMax }) => confirmUsMax));
  const place =
    state === null || state.planned.length < 2
      ? ''
      : `, scenario ${Math.min(finishedOf(state).length + 1, state.planned.length)} of ${state.planned.length}`;
  return h(
    'section',
    { class: 'hero tone-none' },
    h(
      'h1',
      {},
      h('span', { class: 'word' }, 'Running '),
      run.name,
      h('span', { class: 'quiet' }, place),
    ),
    h('p', { class: 'lead', 'aria-live': 'off' }, run.phase),
    last !== undefined &&
      h(
        'div',
        { class: 'tiles' },
        tile(rateText(last.confirmedPerSec), 'confirmed in the last second'),
        tile(timeText(last.confirmUsP99), '99 of 100 confirmed within, last second'),
        tile(timeText(worst), 'slowest so far'),
        tile(formatCount(last.inflight), 'in flight'),
        tile(formatCount(last.online), 'online'),
        tile(formatCount(sent), 'messages sent so far'),
      ),
    h(
      'div',
      { class: 'meter' },
      h('i', { '--w': `${Math.min(100, (100 * elapsedS) / Math.max(1, run.totalS))}%` }),
    ),
    h(
      'p',
      { class: 'meta' },
      'Whether anything was lost is known only once the load is over and everything has come to rest.',
    ),
  );
}
