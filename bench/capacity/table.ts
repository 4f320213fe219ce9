/** A capacity result for the terminal: the rate first, then what it costs, then how far to trust it. */
import { columns } from '../columns.ts';
import { formatBytes, formatCount, formatUs, significant } from '../units.ts';
import { type CapacityFile, OPERATIONS, type Operation } from './file.ts';
import { coverageOf } from './validate.ts';
import { lowerBoundOf, noModelBecause } from './words.ts';

const MEANING: Record<Operation, string> = {
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

export function renderCapacity(file: CapacityFile): string {
  const { target, environment, search, validation, settings } = file;
  const lines = [
    `ackbench ${file.tool.version} capacity  ${file.startedAt}  commit ${file.commit.sha.slice(0, 12)}${file.commit.dirty ? ' (dirty)' : ''}`,
    `${environment.cpuModel}, ${environment.cores} cores, ${environment.node}; ${environment.pinning}`,
    `target: ${target.kind === 'remote' ? target.url : `reference server, ${target.policy}, ${target.store}`}`,
    '',
    headline(file),
    `  ${search.why}`,
  ];
  const lowerBound = lowerBoundOf(search);
  if (lowerBound !== null) lines.push(`  ${lowerBound}`);
  for (const loss of file.losses) lines.push(`AUDIT FAILED at ${loss}`);
  if (search.recovery !== null) {
    const { recoveredS, metastable } = search.recovery;
    lines.push(
      metastable
        ? `METASTABLE: after 1.5 times as much it did not hold again within 10 s (${recoveredS === null ? 'not at all' : `${recoveredS.toFixed(0)} s`})`
        : `recovers: after 1.5 times as much for a while it held again within ${Math.max(1, Math.ceil(recoveredS ?? 0))} s`,
    );
  }
  if (file.model !== null) lines.push('', ...renderModel(file.model));
  else if (!settings.isSearchOnly) lines.push('', `no model: ${noModelBecause(file)}`);
  if (validation !== null) lines.push('', ...renderValidation(validation));
  const invalid = file.runs.filter(({ isUsable }) => !isUsable).length;
  if (file.runs.length > 0) {
    lines.push(
      '',
      `${file.runs.length} runs, ${invalid} of them not valid and left out; ${Math.round(file.durationS)} s`,
    );
  }
  if (file.interrupted) lines.push('', 'INTERRUPTED: go on with --resume');
  return `${lines.join('\n')}\n`;
}

function headline({ search, settings, interrupted }: CapacityFile): string {
  const { lambdaStarPerSec, probes } = search;
  const load = `${formatCount(settings.clients)} clients, ${settings.payloadBytes} B`;
  if (lambdaStarPerSec === null) {
    return interrupted ? 'lambda*: not found yet' : `lambda*: none found (${load})`;
  }
  const last = probes.findLast(({ phase, ok }) => phase === 'confirm' && ok);
  const p99 = last === undefined ? '' : `, p99 there ${formatUs(last.confirmUsP99)}`;
  const busy =
    last === undefined || last.cpuShare === null
      ? ''
      : `, server ${(100 * last.cpuShare).toFixed(0)} % of a core`;
  return `lambda* = ${formatCount(lambdaStarPerSec)} messages/s at confirm p99 <= ${settings.sloMs} ms (${load})${p99}${busy}; bound by ${search.binds === 'rate-max' ? '--rate-max' : `the ${search.binds}`}`;
}

function renderModel(model: NonNullable<CapacityFile['model']>): string[] {
  const interval = (values: number[], format: (value: number) => string): string => {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (q: number): number => sorted[Math.round(q * (sorted.length - 1))] ?? 0;
    return `${format(at(0.05))} to ${format(at(0.95))}`;
  };
  const { fitted, replicates } = model;
  const us = (value: number): string => `${significant(value)} us`;
  const demands = OPERATIONS.map((operation) => [
    MEANING[operation],
    us(fitted.demandUs[operation]),
    interval(
      replicates.map(({ demandUs }) => demandUs[operation]),
      us,
    ),
  ]);
  const memory = (
    [
      ['empty server', 'baseBytes'],
      ['open connection', 'perConnectionBytes'],
      ['message that waits', 'perStoredBytes'],
      ['byte of its content', 'perContentByte'],
    ] as const
  ).map(([name, key]) => [
    name,
    formatBytes(fitted.memory[key]),
    interval(
      replicates.map((parameters) => parameters.memory[key]),
      formatBytes,
    ),
  ]);
  const laws = fitted.latency.map(({ quantile, aUs, bUs }) => [
    `confirm ${quantile}`,
    `${formatUs(aUs)} + ${formatUs(bUs)} rho/(1-rho)`,
    '',
  ]);
  const disk =
    model.diskBytesPerStored === null
      ? []
      : [
          [
            'disk per stored message, beside its content',
            formatBytes(model.diskBytesPerStored),
            '',
          ],
        ];
  return [
    columns([
      ['server CPU per', 'fitted', '90 %'],
      ...demands,
      ['memory per', '', ''],
      ...memory,
      ['latency', '', ''],
      ...laws,
      ...disk,
    ]),
  ];
}

function renderValidation({ layers, refusal }: NonNullable<CapacityFile['validation']>): string[] {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const rows = layers.map(({ layer, points, meanError, maxError, coverage }) => [
    layer,
    String(points),
    points === 0 ? '-' : percent(meanError),
    points === 0 ? '-' : percent(maxError),
    coverage === null ? '-' : percent(coverage),
  ]);
  const inside = coverageOf(layers);
  if (inside !== null) rows.push(['together', '', '', '', percent(inside)]);
  const head = ['held out', 'points', 'mean error', 'largest', 'runs inside 90 %'];
  const lines = [columns([head, ...rows])];
  if (refusal !== null) lines.push(`NO NODE COUNTS from this: ${refusal}`);
  return lines;
}
