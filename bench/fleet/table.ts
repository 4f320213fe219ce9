/** What happened to the simulated fleet, for people; and how far the simulation is off what was measured. */
import type { Block } from '../plan/blocks.ts';
import { formatPercent, formatSeconds, sourceBlock } from '../plan/table.ts';
import { counted, formatCount, formatUs, significant } from '../units.ts';
import type { FleetOfFile, ValidationOfFile } from './main.ts';
import type { FleetOptions } from './options.ts';
import type { ScenarioName, ScenarioReport } from './scenarios.ts';
import type { RunCheck } from './validate.ts';

export function fleetBlocks(fleet: FleetOfFile, { inputs, seed, nodes }: FleetOptions): Block[] {
  const planned = nodes === null ? '' : ` (planned: ${formatCount(fleet.nodesPlanned)})`;
  const size = `${formatCount(fleet.nodes)} × ${fleet.machine}${planned}, ${formatCount(fleet.processes)} processes`;
  const slo = `SLO p99 ${significant(inputs.sloP99Ms)} ms`;
  const head = [
    'scenario',
    'verdict',
    'worst p99',
    'at',
    'SLO missed',
    'met again',
    'backlog',
    'away',
    'all back',
  ];
  return [
    sourceBlock(fleet.source),
    {
      heading: `Simulated: ${size}, ${slo}, seed ${seed}`,
      hasHead: true,
      rows: [head, ...fleet.scenarios.map(rowOf)],
      lines: [
        ...fleet.scenarios.map(({ name, does, imbalance }) => {
          const uneven =
            imbalance > 1.05
              ? `; afterwards the fullest process holds ${imbalance.toFixed(2)} times its share`
              : '';
          return `  ${name}: ${does}${uneven}`;
        }),
        ...fleet.scenarios
          .filter(({ verdict }) => verdict === 'breaks')
          .map(({ name }) => `! ${name} breaks the SLO: ${adviceOn(name, fleet)}`),
        ...(fleet.scenarios.every(({ worstP99S }) => worstP99S === null)
          ? ['! nobody sent a message: only connections are simulated, see --messages']
          : []),
      ],
    },
  ];
}

/** What is likely to help. */
function adviceOn(name: ScenarioName, { nodes, batchNodes }: FleetOfFile): string {
  const more = `more than ${counted(nodes, 'node')} (--nodes, --spare)`;
  switch (name) {
    case 'day':
      return `${more}, or a lower --utilisation`;
    case 'node-failure':
      return nodes === 1
        ? 'a second node (--spare 1), as nobody takes over from one alone'
        : `${more}, or clients that come back over a longer time (--reconnect-spread)`;
    case 'reconnect-storm':
      return `clients that come back over a longer time (--reconnect-spread), or ${more}`;
    default:
      return nodes === 1
        ? 'a second node (--spare 1), as nobody takes over from one alone'
        : `${batchNodes > 1 ? 'fewer nodes at once (--batch), ' : ''}a longer --drain, or ${more}`;
  }
}

function rowOf(scenario: ScenarioReport): string[] {
  const { name, verdict, worstAt, aboveS, recoverS, maxBacklogS, awayMax, backS } = scenario;
  const isDay = name === 'day';
  const inTime = (seconds: number | null): string =>
    seconds === null ? 'not in time' : formatSeconds(seconds);
  return [
    name,
    verdict,
    scenario.worstP99S === null ? '-' : formatSeconds(scenario.worstP99S),
    worstAt === null ? '' : `${worstAt} ${isDay ? 'h' : 's'}`,
    aboveS === 0 ? 'never' : `for ${formatSeconds(aboveS)}`,
    aboveS === 0 || isDay ? '' : inTime(recoverS),
    `${formatSeconds(maxBacklogS)}, ${formatCount(scenario.maxBacklogMessages)} msg`,
    isDay ? '' : formatCount(awayMax),
    isDay ? '' : inTime(backS),
  ];
}

export function validationBlocks({ source, validation }: ValidationOfFile): Block[] {
  const { meanErrors, runs } = validation;
  const shown = (error: number | null): string => (error === null ? '-' : formatPercent(error));
  const cells = (pair: RunCheck['p99Us'], format: (value: number) => string): string[] =>
    pair === null
      ? ['-', '-', '-']
      : [
          format(pair.measured),
          format(pair.simulated),
          `${pair.error >= 0 ? '+' : ''}${formatPercent(pair.error)}`,
        ];
  return [
    sourceBlock(source),
    {
      heading: 'The simulated server against the measured runs (* = held out of the fit)',
      hasHead: true,
      rows: [
        ['run', 'CPU', 'simulated', 'error', 'p99', 'simulated', 'error'],
        ...runs.map((run) => [
          `${run.mix} ${formatCount(run.ratePerSec)}/s${run.isHeldOut ? ' *' : ''}`,
          ...cells(run.cpuShare, formatPercent),
          ...cells(run.p99Us, formatUs),
        ]),
      ],
      lines: [
        `mean error: CPU ${shown(meanErrors.cpuShare)}, p99 ${shown(meanErrors.p99)}; ` +
          `held out: CPU ${shown(meanErrors.cpuShareHeldOut)}, p99 ${shown(meanErrors.p99HeldOut)}`,
      ],
    },
  ];
}
