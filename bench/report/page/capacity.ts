/** A capacity result: the rate that meets the SLO, the curves around it, and what the model is worth. */
import { lowerBoundOf, noModelBecause } from '../../capacity/words.ts';
import type { CapacityView } from '../model.ts';
import { type Axis, axisPlot, type Frame, line, path } from './axis-plot.ts';
import { type Child, h, panel, svg, table, tile } from './dom.ts';
import { heroCard, type HeadedSection } from './hero.ts';
import { demandPanel, lawPanel, runsPanel, validationPanel } from './capacity-model.ts';
import { countTick, percentText, rateText, timeText, timeTick } from './words.ts';
import { formatBytes, formatCount, significant } from '../../units.ts';

const PHASE_MEANS: Readonly<Record<string, string>> = {
  ramp: 'ramp: half as much again each time',
  bisect: 'bisection between held and not held',
  confirm: 'confirmation with longer windows',
  overload: 'overload',
  recovery: 'recovery',
};

const HEIGHT = 280;

export function capacitySection(capacity: CapacityView, calculator: Child): HeadedSection {
  return {
    hero: capacityHero(capacity),
    section: h(
      'section',
      { class: 'scenario', 'data-capacity': capacity.file },
      h(
        'header',
        {},
        h('h2', {}, 'Capacity'),
        h('span', { class: 'quiet' }, `${capacity.target.policy}, ${capacity.target.store}`),
      ),
      h(
        'div',
        { class: 'panels' },
        calculator,
        ratePanel(capacity),
        busyOverRatePanel(capacity),
        lawPanel(capacity),
        demandPanel(capacity),
        validationPanel(capacity),
        probesPanel(capacity),
        runsPanel(capacity),
      ),
    ),
  };
}

function capacityHero(capacity: CapacityView): HTMLElement {
  const { search, interrupted, validation, model, commit, environment } = capacity;
  const { lambdaStarPerSec: rate, slo, binds, why, recovery } = search;
  const last =
    search.probes.findLast(({ phase, ok }) => phase === 'confirm' && ok) ??
    search.probes.findLast(({ ok }) => ok);
  const refusal = validation?.refusal ?? null;
  const without = capacity.settings.isSearchOnly ? null : noModelBecause(capacity);
  const lowerBound = lowerBoundOf(search);
  const isUnsure = rate === null || binds === 'machine' || without !== null || refusal !== null;
  const verdict = recovery?.metastable === true ? 'fail' : isUnsure ? 'unknown' : 'pass';
  const atLeast = lowerBound === null ? '' : 'At least ';
  const word =
    rate !== null ? `${atLeast}${rateText(rate)}` : interrupted ? 'Not found yet:' : 'No rate';
  return heroCard({
    verdict,
    word,
    sentence:
      rate !== null
        ? `is what it carries with 99 of 100 messages confirmed within ${slo.confirmMs} ms.`
        : interrupted
          ? `what it carries with 99 of 100 messages confirmed within ${slo.confirmMs} ms.`
          : `that was tried had 99 of 100 messages confirmed within ${slo.confirmMs} ms.`,
    lead: [
      lowerBound !== null && h('p', {}, lowerBound),
      h('p', { class: 'quiet' }, rate !== null && binds !== 'rate-max' ? `Above it, ${why}` : why),
      without !== null &&
        h('ul', { class: 'reasons tone-warn' }, h('li', {}, `No model, so no plan: ${without}`)),
      recovery?.metastable === true &&
        h(
          'ul',
          { class: 'reasons tone-fail' },
          h('li', {}, 'Metastable: after 1.5 times as much it did not hold again within 10 s.'),
        ),
      refusal !== null &&
        h(
          'ul',
          { class: 'reasons tone-warn' },
          h('li', {}, `No node counts from this: ${refusal}`),
        ),
    ],
    tiles: [
      rate !== null &&
        last !== undefined &&
        last.confirmUsP99 !== null &&
        tile(timeText(last.confirmUsP99), 'p99 of confirm at that rate'),
      rate !== null &&
        last !== undefined &&
        last.cpuShare !== null &&
        tile(percentText(last.cpuShare), 'of a core is what the server needs there'),
      rate !== null && tile(binds, 'gave way first'),
      recovery !== null &&
        recovery.recoveredS !== null &&
        tile(
          `${Math.max(1, Math.ceil(recovery.recoveredS))} s`,
          'until it held again after 1.5 times as much',
        ),
      model !== null &&
        tile(
          `${significant(model.fitted.demandUs.online)} µs`,
          'of a core per message to somebody online',
        ),
      model !== null &&
        tile(formatBytes(model.fitted.memory.perConnectionBytes), 'of memory per connection'),
    ],
    meta: [
      `commit ${commit.sha.slice(0, 10)}${commit.dirty ? ' with uncommitted changes' : ''}`,
      capacity.startedAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'),
      `${formatCount(capacity.durationS)} s`,
      `${environment.cpuModel}, ${environment.cores} cores`,
      `seed ${capacity.seed}`,
      capacity.file,
    ].join(' · '),
  });
}

type Probe = CapacityView['search']['probes'][number];

function rateAxis(probes: readonly Probe[]): Axis {
  const rates = probes.map(({ ratePerSec }) => ratePerSec);
  const [min, max] = [Math.min(...rates), Math.max(...rates)];
  return {
    isLog: max / min > 4,
    min: max / min > 4 ? min * 0.9 : 0,
    max: max * 1.08,
    tick: countTick,
    label: 'offered, messages/s',
  };
}

function ratePanel({ search }: CapacityView): HTMLElement | null {
  const probes = search.probes.filter(({ confirmUsP99 }) => confirmUsP99 !== null);
  if (probes.length === 0) return search.probes.length === 0 ? null : noLatencyPanel();
  const sloUs = search.slo.confirmMs * 1000;
  const values = probes.map(({ confirmUsP99 }) => confirmUsP99 as number);
  const x = rateAxis(probes);
  const y: Axis = {
    isLog: true,
    min: Math.min(sloUs, ...values) * 0.8,
    max: Math.max(sloUs, ...values) * 1.4,
    tick: timeTick,
    label: 'confirm p99 (log)',
  };
  return panel(
    'Latency over rate, and the knee',
    'Every probe of the search. The knee is where p99 turns up: at the vertical line the SLO still holds.',
    {},
    axisPlot({ x, y, height: HEIGHT, title: 'confirm p99 over the offered rate' }, (frame) => [
      line(frame.left, frame.y(sloUs), frame.right, frame.y(sloUs), 'var(--fail)', {
        'stroke-dasharray': '6 4',
        'stroke-width': 1.5,
      }),
      svg(
        'text',
        { x: frame.left + 6, y: frame.y(sloUs) - 5, class: 'strong' },
        `SLO ${search.slo.confirmMs} ms`,
      ),
      knee(search.lambdaStarPerSec, frame),
      envelope(probes, (probe) => probe.confirmUsP99 as number, frame),
      probes.map((probe) => probeMark(probe, probe.confirmUsP99 as number, frame)),
    ]),
    probeKey(),
  );
}

function noLatencyPanel(): HTMLElement {
  return panel(
    'Latency over rate, and the knee',
    'Not drawn: no probe had the messages that a p99 needs. --quick is for trying the command out; without it probes are long enough.',
    {},
  );
}

function busyOverRatePanel({ search }: CapacityView): HTMLElement | null {
  const probes = search.probes.filter(({ cpuShare }) => cpuShare !== null);
  if (probes.length === 0) return null;
  const y: Axis = {
    min: 0,
    max: Math.max(1, ...probes.map(({ cpuShare }) => cpuShare as number)),
    tick: (share) => `${Math.round(100 * share)} %`,
    label: 'of one core',
  };
  return panel(
    'Server busy over rate',
    'How much of one core the server’s process took. Near 100 % nothing more fits.',
    {},
    axisPlot(
      {
        x: rateAxis(probes),
        y,
        height: HEIGHT,
        title: 'busy share of the server over the offered rate',
      },
      (frame) => [
        knee(search.lambdaStarPerSec, frame),
        envelope(probes, (probe) => probe.cpuShare as number, frame),
        probes.map((probe) => probeMark(probe, probe.cpuShare as number, frame)),
      ],
    ),
    probeKey(),
  );
}

/** Medians of the probes at each rate, so that repeats do not zigzag. */
function envelope(
  probes: readonly Probe[],
  read: (probe: Probe) => number,
  { x, y }: Frame,
): Child {
  const byRate = new Map<number, number[]>();
  for (const probe of probes) {
    byRate.set(probe.ratePerSec, [...(byRate.get(probe.ratePerSec) ?? []), read(probe)]);
  }
  const points = [...byRate]
    .sort(([a], [b]) => a - b)
    .map(([rate, values]): [number, number] => {
      const sorted = values.sort((a, b) => a - b);
      return [x(rate), y(sorted[sorted.length >> 1] as number)];
    });
  return points.length > 1 && path(points, 'var(--quiet)', { 'stroke-width': 1.5, opacity: 0.8 });
}

function knee(rate: number | null, { x, top, bottom, right }: Frame): Child {
  if (rate === null) return null;
  const at = x(rate);
  const isLeft = at > right - 110;
  return [
    line(at, top, at, bottom, 'var(--accent)', { 'stroke-width': 2 }),
    svg(
      'text',
      {
        x: isLeft ? at - 6 : at + 6,
        y: bottom - 8,
        'text-anchor': isLeft ? 'end' : 'start',
        class: 'strong',
      },
      `λ* ${rateText(rate)}`,
    ),
  ];
}

/** A dot held, a cross did not; a triangle did not, and the generator was at fault. The rest is in the title. */
function probeMark(probe: Probe, value: number, { x, y }: Frame): SVGElement {
  const { ok, phase, ratePerSec, reasons } = probe;
  const [cx, cy] = [x(ratePerSec), y(value)];
  const outcome = ok ? 'held' : reasons.join('; ');
  const title = svg(
    'title',
    {},
    `${rateText(ratePerSec)}, ${PHASE_MEANS[phase] ?? phase}: ${outcome}`,
  );
  if (ok) return svg('circle', { cx, cy, r: 4.5, fill: 'var(--c2)', stroke: 'var(--card)' }, title);
  const cross = `M${cx - 4} ${cy - 4}l8 8m0 -8l-8 8`;
  const triangle = `M${cx} ${cy - 5}l5 9h-10z`;
  const isOurs = ofGenerator(probe);
  return svg(
    'path',
    {
      d: isOurs ? triangle : cross,
      stroke: isOurs ? 'var(--quiet)' : 'var(--c1)',
      'stroke-width': isOurs ? 1.5 : 2.2,
      fill: isOurs ? 'var(--card)' : 'none',
    },
    title,
  );
}

function ofGenerator({ ok, reasons }: Probe): boolean {
  return !ok && reasons.some((reason) => /^(generator|machine):/.test(reason));
}

function probeKey(): HTMLElement {
  return h(
    'ul',
    { class: 'key' },
    h('li', {}, h('span', { class: 'ok' }, '●'), 'held'),
    h('li', {}, h('span', { class: 'tone-c1' }, '✕'), 'did not hold'),
    h(
      'li',
      {},
      h('span', { class: 'quiet' }, '△'),
      'did not hold, by the fault of generator or machine',
    ),
    h('li', {}, 'line: medians at each rate'),
  );
}

function probesPanel({ search }: CapacityView): HTMLElement {
  return panel(
    'The search',
    'Probe by probe, in their order. “generator:”, “machine:” = they were at fault, not the server.',
    { isWide: true },
    h(
      'details',
      {},
      h('summary', {}, `${search.probes.length} probes`),
      table(
        [
          { name: '' },
          { name: 'phase' },
          { name: 'messages/s', isNumber: true },
          { name: 'p99', isNumber: true },
          { name: 'of a core', isNumber: true },
          { name: 'why not' },
        ],
        search.probes.map(({ ok, phase, ratePerSec, confirmUsP99, cpuShare, reasons }) => [
          h('span', { class: ok ? 'ok' : 'no' }, ok ? '✓' : '✕'),
          phase,
          significant(ratePerSec),
          timeText(confirmUsP99),
          cpuShare === null ? '-' : percentText(cpuShare),
          reasons.join('; '),
        ]),
      ),
    ),
  );
}
