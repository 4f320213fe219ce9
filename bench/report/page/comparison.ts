/**
 * A comparison: every metric as the change from A to B with its 95 % interval and the band within which
 * a change does not matter. Changes are ratios, so the axis is one of ratios: half and double are as far.
 */
import type { ComparisonView } from '../model.ts';
import { onWidth, type Child, h, panel, svg, table, tile } from './dom.ts';
import { heroCard, type HeadedSection } from './hero.ts';
import { line } from './axis-plot.ts';
import { signOf, timeText, toneOf } from './words.ts';
import { pill } from './scenario.ts';
import { counted, formatBytes, formatCount, significant } from '../../units.ts';

type Metric = ComparisonView['metrics'][number];

const MEANS: Readonly<Record<string, string>> = {
  worse: 'B is worse than A.',
  better: 'B is better than A.',
  same: 'A and B are the same, as far as it matters.',
  inconclusive: 'No difference was proven, and no sameness either.',
  invalid: 'This machine could not measure it.',
};

export function comparisonSection(comparison: ComparisonView): HeadedSection {
  return {
    hero: comparisonHero(comparison),
    section: h(
      'section',
      { class: 'scenario', 'data-comparison': comparison.file },
      h('header', {}, h('h2', {}, 'Comparison'), pill(comparison.verdict)),
      h(
        'div',
        { class: 'panels' },
        intervalsPanel(comparison),
        metricsPanel(comparison),
        pairsPanel(comparison),
      ),
    ),
  };
}

function comparisonHero(comparison: ComparisonView): HTMLElement {
  const { verdict, metrics, reasons, a, b, falseAlarms, pairs, interrupted } = comparison;
  const changed = metrics.filter(
    (metric) => metric.verdict === 'worse' || metric.verdict === 'better',
  );
  const count = (wanted: string): number =>
    metrics.filter((metric) => metric.verdict === wanted).length;
  return heroCard({
    verdict,
    sentence: `${interrupted ? 'Interrupted: ' : ''}${MEANS[verdict] ?? ''}`,
    lead: [
      h('p', {}, h('b', {}, 'A '), sideText(a), h('br'), h('b', {}, 'B '), sideText(b)),
      changed.length > 0 &&
        h('p', {}, changed.map(({ name, meanLog }) => `${name} ${percentOf(meanLog)}`).join(', ')),
      reasons.length > 0 &&
        h(
          'ul',
          { class: `reasons tone-${toneOf(verdict)}` },
          reasons.map((reason) => h('li', {}, reason)),
        ),
    ],
    tiles: [
      ...(['worse', 'better', 'same', 'inconclusive'] as const).map((wanted) =>
        tile(String(count(wanted)), `metrics ${wanted}`, wanted === 'worse' && count(wanted) > 0),
      ),
      tile(String(pairs.length), 'pairs of fresh servers'),
      tile(
        falseAlarms === null ? '-' : `${falseAlarms.alarms} of ${falseAlarms.comparisons}`,
        'false alarms of this machine, a version against itself',
      ),
    ],
    meta: [
      comparison.startedAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'),
      `${formatCount(comparison.durationS)} s`,
      `${comparison.environment.cpuModel}, ${comparison.environment.cores} cores`,
      `seed ${comparison.seed}`,
      comparison.file,
    ].join(' · '),
  });
}

function sideText({ label, sha, subject, dirty }: ComparisonView['a']): string {
  if (sha === null) return label;
  const changes = dirty ? ' with uncommitted changes' : '';
  return `${sha.startsWith(label) ? '' : `${label}, `}${sha.slice(0, 10)}${changes} “${subject ?? ''}”`;
}

/** ln(B / A) as a change in per cent. */
function percentOf(log: number | null): string {
  if (log === null || !Number.isFinite(log)) return '-';
  const change = 100 * Math.expm1(log);
  const digits = Math.abs(change).toFixed(1);
  if (digits === '0.0') return '0.0 %';
  return `${change < 0 ? '−' : '+'}${digits} %`;
}

const ROW = 44;
const FOOT = 46;
const LABELS_MIN = 620;

function intervalsPanel({ metrics, pairs }: ComparisonView): HTMLElement {
  const place = h('div', { class: 'plot' });
  onWidth(place, (width) => place.replaceChildren(dotAndWhisker(metrics, pairs, width)));
  return panel(
    'Change from A to B',
    'Dot and line: the mean change and its 95 % interval. Grey band: changes too small to matter. Small dots: single pairs. Only a line wholly inside the band proves sameness.',
    { isWide: true },
    place,
  );
}

function dotAndWhisker(
  metrics: readonly Metric[],
  pairs: ComparisonView['pairs'],
  width: number,
): SVGElement {
  const isWide = width >= LABELS_MIN;
  const [left, right] = isWide ? [190, width - 150] : [12, width - 12];
  const rowHeight = isWide ? ROW : ROW + 14;
  const height = metrics.length * rowHeight + FOOT;
  const reach = reachOf(metrics, pairs);
  const x = (log: number): number =>
    (left + right) / 2 + (Math.max(-reach, Math.min(reach, log)) / reach) * ((right - left) / 2);
  const bottom = height - FOOT + 8;
  const ticks = ticksWithin(reach, (right - left) / 2);
  return svg(
    'svg',
    {
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': 'change of every metric with its interval',
    },
    ticks.map((share) => [
      line(
        x(Math.log1p(share)),
        4,
        x(Math.log1p(share)),
        bottom,
        share === 0 ? 'var(--quiet)' : 'var(--grid)',
      ),
      svg(
        'text',
        { x: x(Math.log1p(share)), y: bottom + 15, 'text-anchor': 'middle' },
        `${share > 0 ? '+' : share < 0 ? '−' : ''}${Number(Math.abs(100 * share).toFixed(1))} %`,
      ),
    ]),
    svg(
      'text',
      { x: (left + right) / 2, y: height - 4, 'text-anchor': 'middle' },
      'change of B over A',
    ),
    metrics.map((metric, i) => {
      const top = i * rowHeight;
      const y = top + (isWide ? ROW / 2 : ROW / 2 + 14);
      return [
        svg('rect', {
          x: x(-Math.log1p(metric.delta)),
          y: y - 13,
          width: x(Math.log1p(metric.delta)) - x(-Math.log1p(metric.delta)),
          height: 26,
          fill: 'var(--warmup)',
        }),
        labels(metric, { isWide, left, right, top, y }),
        pairDots(metric, pairs).map((log) =>
          svg('circle', { cx: x(log), cy: y + 8, r: 2, fill: 'var(--quiet)', opacity: 0.65 }),
        ),
        whisker(metric, x, y),
      ];
    }),
  );
}

function labels(
  metric: Metric,
  {
    isWide,
    left,
    right,
    top,
    y,
  }: { isWide: boolean; left: number; right: number; top: number; y: number },
): Child {
  const change = metric.meanLog === null ? '' : ` ${percentOf(metric.meanLog)}`;
  const verdict = `${signOf(metric.verdict)} ${metric.verdict}${change}`;
  return isWide
    ? [
        svg('text', { x: left - 10, y: y + 4, 'text-anchor': 'end', class: 'strong' }, metric.name),
        svg(
          'text',
          { x: right + 10, y: y + 4, class: `toned tone-${toneOf(metric.verdict)}` },
          verdict,
        ),
      ]
    : [svg('text', { x: left, y: top + 14, class: 'strong' }, `${metric.name}: ${verdict}`)];
}

function whisker(metric: Metric, x: (log: number) => number, y: number): Child {
  const { meanLog, low, high } = metric;
  if (meanLog === null || !Number.isFinite(meanLog)) return null;
  const tone = toneOf(metric.verdict);
  const colour = tone === 'none' ? 'var(--quiet)' : `var(--${tone})`;
  const [from, to] = [x(low ?? -Infinity), x(high ?? Infinity)];
  const open = {
    'stroke-width': 2.5,
    ...(low === null || high === null ? { 'stroke-dasharray': '3 3' } : {}),
  };
  return [
    line(from, y, to, y, colour, open),
    low !== null && line(from, y - 6, from, y + 6, colour, { 'stroke-width': 2 }),
    high !== null && line(to, y - 6, to, y + 6, colour, { 'stroke-width': 2 }),
    svg('circle', {
      cx: x(meanLog),
      cy: y,
      r: 5,
      fill: colour,
      stroke: 'var(--card)',
      'stroke-width': 1.5,
    }),
  ];
}

/** ln(B / A) of each pair that has the metric. */
function pairDots({ name, stage }: Metric, pairs: ComparisonView['pairs']): number[] {
  const valueIn = (slices: ComparisonView['pairs'][number]['a']): number | null => {
    for (const { values } of slices) if (name in values) return values[name] ?? null;
    return null;
  };
  return pairs.flatMap((pair) => {
    // Those of stage 1 raised the suspicion and do not decide it.
    if (stage === 2 && pair.stage === 1) return [];
    const [a, b] = [valueIn(pair.a), valueIn(pair.b)];
    return a !== null && b !== null && a > 0 && b > 0 ? [Math.log(b / a)] : [];
  });
}

/** How far the axis goes to both sides: all intervals, and nine of ten pairs. */
function reachOf(metrics: readonly Metric[], pairs: ComparisonView['pairs']): number {
  const ends = metrics.flatMap(({ low, high, meanLog, delta }) =>
    [low, high, meanLog, 2 * Math.log1p(delta)].filter(
      (x): x is number => x !== null && Number.isFinite(x),
    ),
  );
  const dots = metrics
    .flatMap((metric) => pairDots(metric, pairs))
    .map(Math.abs)
    .sort((x, y) => x - y);
  const most = dots[Math.floor(0.9 * (dots.length - 1))] ?? 0;
  return Math.max(0.02, most, ...ends.map(Math.abs)) * 1.08;
}

const SHARES = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const PIXELS_PER_TICK = 52;

/** Round changes, from none outwards, as far apart as their words need. `half` = pixels of one side. */
function ticksWithin(reach: number, half: number): number[] {
  const side = (sign: 1 | -1): number[] => {
    const kept: number[] = [];
    let last = 0;
    for (const share of SHARES) {
      if (sign < 0 && share >= 1) break;
      const log = Math.abs(Math.log1p(sign * share));
      if (log > reach || ((log - last) / reach) * half < PIXELS_PER_TICK) continue;
      kept.push(sign * share);
      last = log;
    }
    return kept;
  };
  return [...side(-1), 0, ...side(1)];
}

function metricText(unit: string, value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '-';
  if (unit === 'us') return timeText(value);
  if (unit === 'B') return formatBytes(value);
  if (unit === '/s') return `${formatCount(value)}/s`;
  return significant(value);
}

function metricsPanel({ metrics }: ComparisonView): HTMLElement {
  const bad = new Set(metrics.flatMap(({ verdict }, i) => (verdict === 'worse' ? [i] : [])));
  const number = (name: string) => ({ name, isNumber: true });
  return panel(
    'Figures',
    'A, B: medians over the pairs that decided. sees: the smallest change that would have been noticed with 80 % chance.',
    { isWide: true },
    table(
      [
        { name: 'metric' },
        ...['A', 'B', 'change', '95 % interval', 'p', 'pairs', 'matters at', 'sees'].map(number),
        { name: 'verdict' },
      ],
      metrics.map((metric) => [
        metric.name,
        metricText(metric.unit, metric.a),
        metricText(metric.unit, metric.b),
        percentOf(metric.meanLog),
        metric.low === null || metric.high === null
          ? 'too few pairs'
          : `${percentOf(metric.low)} … ${percentOf(metric.high)}`,
        metric.p < 0.001 ? metric.p.toExponential(0) : metric.p.toFixed(3),
        String(metric.pairs),
        `${(100 * metric.delta).toFixed(0)} %`,
        metric.detectable === null ? '-' : `${(100 * metric.detectable).toFixed(1)} %`,
        pill(metric.verdict),
      ]),
      bad,
    ),
  );
}

function pairsPanel({
  pairs,
  stage1Pairs,
  stage2Pairs,
  isStage2Needed,
}: ComparisonView): HTMLElement {
  const inStage = (stage: number): number => pairs.filter((pair) => pair.stage === stage).length;
  const repeated = pairs.reduce((sum, pair) => sum + pair.repeated, 0);
  const invalid = [
    ...new Set(
      pairs
        .flatMap(({ a, b }) => [...a, ...b])
        .filter(({ verdict }) => verdict !== 'pass')
        .flatMap(({ reasons }) => reasons),
    ),
  ];
  return panel(
    'How it was decided',
    'Stage 1 raises a suspicion, fresh pairs of stage 2 decide it.',
    {},
    table(
      [{ name: 'step' }, { name: 'outcome' }],
      [
        ['stage 1', `${inStage(1)} of ${counted(stage1Pairs, 'pair')}`],
        [
          'stage 2',
          isStage2Needed
            ? `${inStage(2)} of ${counted(stage2Pairs, 'fresh pair')}`
            : 'not needed: nothing was suspicious',
        ],
        ['run again because a gate failed', formatCount(repeated)],
        [
          'A came first in',
          `${formatCount(pairs.filter(({ first }) => first === 'a').length)} of ${counted(pairs.length, 'pair')} (a coin decides)`,
        ],
        ...(invalid.length > 0
          ? [['why slices did not pass', invalid.slice(0, 5).join('; ')]]
          : []),
      ],
    ),
  );
}
