/** The model of a capacity result: its laws over what was measured, what operations cost, and its errors. */
import type { CapacityView } from '../model.ts';
import { type Axis, axisPlot, line, path } from './axis-plot.ts';
import { bar, h, panel, svg, table } from './dom.ts';
import { keyOf } from './overlay.ts';
import { percentText, timeText, timeTick } from './words.ts';
import { formatBytes, formatCount, significant } from '../../units.ts';

const HEIGHT = 280;

const LAW_COLOUR: Readonly<Record<string, string>> = { p50: 'c0', p90: 'c4', p99: 'c1' };

/** Runs of the grid as dots, the law that was fitted to them as lines. */
export function lawPanel({ model, runs, search }: CapacityView): HTMLElement | null {
  if (model === null) return null;
  const laws = model.fitted.latency;
  const most = Math.min(
    0.98,
    Math.max(0.5, ...runs.map(({ measured }) => measured.cpuShare ?? 0)) * 1.05,
  );
  const sloUs = search.slo.confirmMs * 1000;
  const lawAt = ({ aUs, bUs }: (typeof laws)[number], share: number): number =>
    aUs + (bUs * share) / (1 - share);
  // Neither fitted nor held out: nobody can say what it would have been.
  const valid = runs.filter(({ isUsable, isLatencyValid }) => isUsable && isLatencyValid);
  const dots = valid.flatMap(({ measured, heldOut }) =>
    (['p50', 'p90', 'p99'] as const).flatMap((quantile) => {
      const us = measured.confirmUs[quantile];
      return measured.cpuShare === null || us === null || us >= 3.6e9
        ? []
        : [{ share: measured.cpuShare, us, quantile, heldOut }];
    }),
  );
  const values = [
    ...laws.flatMap((law) => [lawAt(law, 0.01), lawAt(law, most)]),
    ...dots.map(({ us }) => us),
    sloUs,
  ].filter((us) => us > 0);
  const x: Axis = {
    min: 0,
    max: most,
    tick: (share) => `${Math.round(100 * share)} %`,
    label: 'busy share of the server’s core',
  };
  const y: Axis = {
    isLog: true,
    min: Math.min(...values) * 0.8,
    max: Math.max(...values) * 1.3,
    tick: timeTick,
    label: 'confirm latency (log)',
  };
  const steps = Array.from({ length: 61 }, (_, i) => (i / 60) * most);
  return panel(
    'Latency over busy share: the law',
    'Dots: runs that were measured, hollow where they were held out of the fit. Lines: a + b ρ/(1−ρ), which plans rest on.',
    {},
    axisPlot({ x, y, height: HEIGHT, title: 'confirm latency over the busy share' }, (frame) => [
      line(frame.left, frame.y(sloUs), frame.right, frame.y(sloUs), 'var(--fail)', {
        'stroke-dasharray': '6 4',
      }),
      laws.map((law) =>
        path(
          steps.map((share) => [frame.x(share), frame.y(lawAt(law, share))] as const),
          `var(--${LAW_COLOUR[law.quantile] ?? 'c0'})`,
        ),
      ),
      dots.map(({ share, us, quantile, heldOut }) => {
        const colour = `var(--${LAW_COLOUR[quantile] ?? 'c0'})`;
        return svg('circle', {
          cx: frame.x(share),
          cy: frame.y(us),
          r: 3.5,
          stroke: colour,
          fill: heldOut === null ? colour : 'var(--card)',
          'stroke-width': 1.5,
        });
      }),
    ]),
    keyOf(
      laws.map(({ quantile, aUs, bUs }) => ({
        name: `${quantile}: ${timeText(aUs)} + ${timeText(bUs)} ρ/(1−ρ)`,
        colour: LAW_COLOUR[quantile] ?? 'c0',
      })),
    ),
  );
}

const OPERATION_MEANS: Readonly<Record<string, string>> = {
  online: 'message to a receiver online',
  stored: 'message stored for one offline',
  pulled: 'stored message pulled',
  connect: 'login',
  connectionSecond: 'second of an open connection',
  payloadKiB: 'KiB of content',
  retransmit: 'msg:R sent again',
  wakeUp: 'wake-up by a packet when idle',
  loneCommit: 'commit for one message when idle',
};

/** 5 % and 95 % over the replicates. */
function intervalOf(values: readonly number[], text: (value: number) => string): string {
  if (values.length === 0) return '';
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number): number => sorted[Math.round(q * (sorted.length - 1))] as number;
  return `${text(at(0.05))} … ${text(at(0.95))}`;
}

export function demandPanel({ model }: CapacityView): HTMLElement | null {
  if (model === null) return null;
  const { fitted, replicates } = model;
  const micros = (us: number): string => `${significant(us)} µs`;
  const demands = Object.entries(fitted.demandUs) as [keyof typeof fitted.demandUs, number][];
  const most = Math.max(...demands.map(([, us]) => us), 1e-9);
  const memory = Object.entries({
    baseBytes: 'empty server',
    perConnectionBytes: 'open connection',
    perStoredBytes: 'message that waits',
    perContentByte: 'byte of its content',
  }) as [keyof typeof fitted.memory, string][];
  return panel(
    'What one operation costs the server',
    'Fitted to all runs together; 90 % intervals by bootstrap over runs.',
    {},
    table(
      [
        { name: 'CPU per' },
        { name: 'fitted', isNumber: true },
        { name: '90 %', isNumber: true },
        { name: '', isBar: true },
      ],
      demands.map(([operation, us]) => [
        OPERATION_MEANS[operation] ?? operation,
        micros(us),
        intervalOf(
          replicates.map(({ demandUs }) => demandUs[operation]),
          micros,
        ),
        bar(us / most, 'var(--c0)'),
      ]),
    ),
    table(
      [
        { name: 'memory per' },
        { name: 'fitted', isNumber: true },
        { name: '90 %', isNumber: true },
      ],
      memory.map(([key, name]) => [
        name,
        formatBytes(fitted.memory[key]),
        intervalOf(
          replicates.map((parameters) => parameters.memory[key]),
          formatBytes,
        ),
      ]),
    ),
  );
}

/** Above this error the model says nothing about node counts. */
const ERROR_MAX = 0.15;

export function validationPanel({ validation }: CapacityView): HTMLElement | null {
  if (validation === null) return null;
  return panel(
    'How far to trust the model',
    'Errors on runs that were held out of the fit. Above 15 % there are no node counts.',
    {},
    table(
      [
        { name: 'layer' },
        { name: 'points', isNumber: true },
        { name: 'mean error', isNumber: true },
        { name: 'of 15 %', isBar: true },
        { name: 'largest', isNumber: true },
        { name: 'runs inside 90 %', isNumber: true },
      ],
      validation.layers.map(({ layer, points, meanError, maxError, coverage }) => [
        layer,
        String(points),
        points === 0 ? '-' : percentText(meanError),
        points === 0
          ? ''
          : bar(meanError / ERROR_MAX, meanError > ERROR_MAX ? 'var(--fail)' : 'var(--c2)'),
        points === 0 ? '-' : percentText(maxError),
        coverage === null ? '-' : percentText(coverage),
      ]),
    ),
    validation.refusal !== null &&
      h('p', { class: 'sum no' }, `No node counts from this: ${validation.refusal}`),
  );
}

export function runsPanel({ runs }: CapacityView): HTMLElement | null {
  if (runs.length === 0) return null;
  return panel(
    'Runs of the grid',
    'What the model was fitted to, and what was held out to test it.',
    { isWide: true },
    h(
      'details',
      {},
      h('summary', {}, `${runs.length} runs`),
      table(
        [
          { name: 'mix' },
          ...[
            'clients',
            'messages/s',
            'content',
            'offline',
            'achieved/s',
            'of a core',
            'memory',
            'p99',
          ].map((name) => ({ name, isNumber: true })),
          { name: 'used for' },
          { name: 'verdict' },
        ],
        runs.map(
          ({
            mix,
            clients,
            ratePerSec,
            payloadBytes,
            offlineShare,
            heldOut,
            isUsable,
            verdict,
            measured,
          }) => [
            mix,
            formatCount(clients),
            significant(ratePerSec),
            formatBytes(payloadBytes),
            percentText(offlineShare),
            significant(measured.achievedPerSec),
            measured.cpuShare === null ? '-' : percentText(measured.cpuShare),
            formatBytes(measured.rssBytes),
            timeText(measured.confirmUs.p99),
            isUsable ? (heldOut === null ? 'fit' : `held out (${heldOut})`) : 'left out',
            verdict,
          ],
        ),
      ),
    ),
  );
}
