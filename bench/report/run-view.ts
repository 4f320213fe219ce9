/** A scenario of a result file made ready for drawing: histograms as curves, faults as marks. */
import { percentileCurve } from '../../loadgen/index.ts';
import type { ServerEventTaken } from '../load-run.ts';
import type { LatencySummary } from '../../loadgen/index.ts';
import type { LatencyName, LatencyView, Mark, RateStep, RunView } from './model.ts';
import type { ReadResult } from './shape.ts';

type ReadRun = Omit<ReadResult['scenarios'][number], 'variants'>;

/** Throws when a histogram cannot be read. */
export function runView(run: ReadRun): RunView {
  const { latency, ...rest } = run;
  const views: Partial<Record<LatencyName, LatencyView>> = {};
  for (const [name, summary] of Object.entries(latency)) {
    if (summary !== undefined) views[name as LatencyName] = latencyView(name, summary);
  }
  return {
    ...rest,
    latency: views,
    ...loadFacts(run.config),
    marks: marksOf(run.config, run.extra),
  };
}

function latencyView(name: string, { hdr, ...figures }: LatencySummary): LatencyView {
  try {
    return { ...figures, curve: figures.count === 0 ? [] : percentileCurve(hdr) };
  } catch (error) {
    throw new Error(`latency.${name}.hdr is no histogram: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** What a plot needs to know of a load before it is run. */
export interface LoadFacts {
  warmupS: number;
  durationS: number | null;
  schedule: RateStep[];
}

export function loadFacts(config: Readonly<Record<string, unknown>>): LoadFacts {
  return {
    warmupS: number(config['warmupS']) ?? 0,
    durationS: number(config['durationS']),
    schedule: scheduleOf(record(config['load'])),
  };
}

function scheduleOf(load: Fields): RateStep[] {
  const rate = load['mode'] === 'open' ? number(load['ratePerSec']) : null;
  if (rate === null) return [];
  const steps = list(load['steps']).flatMap((step): RateStep[] => {
    const [fromS, perSec] = [number(step['atS']), number(step['ratePerSec'])];
    return fromS === null || perSec === null ? [] : [{ fromS, perSec }];
  });
  return [{ fromS: 0, perSec: rate }, ...steps];
}

/** Every fault whose instant is known: those of the configuration, with what `extra` says of them. */
export function marksOf(
  config: Readonly<Record<string, unknown>>,
  extra: Readonly<Record<string, unknown>>,
): Mark[] {
  const marks = [
    ...serverMarks(list(config['serverEvents']), list(extra['serverEvents'])),
    ...list(config['clientEvents']).map(clientMark),
    ...chaosMarks(record(extra['chaos'])),
    ...stopMark(record(extra['stopped'])),
  ];
  return marks.sort((a, b) => a.atS - b.atS);
}

const WHAT_HAPPENS: Readonly<Record<string, string>> = {
  kill: 'server killed (SIGKILL) and restarted on the same data',
  pause: 'server paused (SIGSTOP)',
  disconnect: 'connections dropped',
  crash: 'clients crashed and came back',
  'half-open': 'connections half-open: no packet gets through, nobody is told',
  'slow-read': 'clients stopped reading',
};

function serverMarks(events: readonly Fields[], taken: readonly Fields[]): Mark[] {
  // Those that happened are in the order in which they ended, which is not that of their start.
  const left = [...taken] as Partial<ServerEventTaken>[];
  return events.map((event) => {
    const [atS, forMs] = [number(event['atS']) ?? 0, number(event['forMs']) ?? 0];
    const action = String(event['action']);
    const found = left.findIndex((happened) => happened.action === action);
    const tookMs = found < 0 ? null : (number(left.splice(found, 1)[0]?.tookMs) ?? null);
    const away = tookMs === null ? `${forMs} ms planned` : `away for ${Math.round(tookMs)} ms`;
    return {
      atS,
      untilS: atS + (tookMs ?? forMs) / 1000,
      label: action,
      text: `${WHAT_HAPPENS[action] ?? action}, ${away}`,
    };
  });
}

function clientMark(event: Fields): Mark {
  const action = String(event['action']);
  const atS = number(event['atS']) ?? 0;
  // A dropped connection is dropped: how long that is to last means nothing.
  const forMs = action === 'disconnect' ? 0 : (number(event['forMs']) ?? 0);
  const share = Math.round(100 * (number(event['share']) ?? 1));
  const lasting = forMs === 0 ? '' : ` for ${Math.round(forMs)} ms`;
  return {
    atS,
    untilS: forMs === 0 ? null : atS + forMs / 1000,
    label: action,
    text: `${share} % of the clients: ${WHAT_HAPPENS[action] ?? action}${lasting}`,
  };
}

/** Of chaos only what hit the server or most clients has instants; the rest is counted. */
function chaosMarks(chaos: Fields): Mark[] {
  return list(chaos['moments']).map((moment) => {
    const [atS, tookMs] = [number(moment['atS']) ?? 0, number(moment['tookMs']) ?? 0];
    if (moment['of'] === 'clients') return clientMark({ ...moment, forMs: tookMs });
    const action = String(moment['action']);
    const away = `away for ${Math.round(tookMs)} ms`;
    return {
      atS,
      untilS: atS + tookMs / 1000,
      label: action,
      text: `${WHAT_HAPPENS[action] ?? action}, ${away}`,
    };
  });
}

function stopMark(stop: Fields): Mark[] {
  const second = number(stop['second']);
  if (second === null) return [];
  const text = `load stopped: ${String(stop['threshold'])} was missed`;
  return [{ atS: second, untilS: null, label: 'stopped', text }];
}

type Fields = Readonly<Record<string, unknown>>;

function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : {};
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
