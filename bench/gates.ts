/**
 * Validity gates: a run that fails one is invalid, not slow. Identifiers as in docs/MEASUREMENT.md;
 * the limits were calibrated there with healthy and with saturated runs.
 */
import type { Gate } from './result.ts';
import { median } from './statistics/median.ts';
import { theilSen } from './statistics/theil-sen.ts';
import { formatUs, significant } from './units.ts';

export interface GateInput {
  readonly judged: 'latency' | 'audit';
  readonly mode: 'open' | 'closed' | 'trace' | 'none';
  readonly arrivals: string | null;
  readonly sendLagUsP99: number;
  readonly deliverUsP99: number;
  readonly due: number;
  readonly sent: number;
  readonly busyMean: number;
  /** Of the busiest second. */
  readonly busyMax: number;
  readonly loopDelayP99Us: number;
  readonly gcShare: number;
  readonly gaps: {
    readonly count: number;
    readonly coefficientOfVariation: number;
    /** Intervals of 100 ms, and variance over mean of the arrivals in them. */
    readonly intervals: number;
    readonly dispersion: number;
  };
  /** Each second of the window: messages in flight at its end, p50 of confirm (0 = none). */
  readonly inflight: readonly number[];
  readonly confirmUsP50: readonly number[];
  /** Of the machine's processor time during the window; null where it cannot be seen. */
  readonly processorTime: { readonly stolen: number; readonly others: number } | null;
  readonly socketsAsked: number;
  readonly socketsOpen: number;
  readonly windowUs: number;
  readonly settledInside: number;
  readonly settledMeanUs: number;
  readonly inflightAreaUs: number;
}

export const BUSY_MEAN_MAX = 0.7;
const BUSY_SECOND_MAX = 0.95;
export const STOLEN_MAX = 0.02;
export const OTHERS_MAX = 0.1;
const LOOP_DELAY_MAX_US = 5000;
/** The meter ticks once a millisecond: a single tick that was missed reads as one. */
const LOOP_DELAY_FLOOR_US = 2000;
const GC_MAX = 0.02;
const GROWTH_MAX = 0.01;
/** Seconds that a trend needs; shorter windows have the growth alone. */
const TREND_SECONDS_MIN = 8;
/** Of the mean in flight, per second. */
const TREND_MAX = 0.001;
/** Medians closer than this are the same, whatever their ratio: a machine drifts by as much. */
const SAME_US = 200;
const HALVES_MAX = 0.25;
const WARM_MAX = 0.5;

/** The gates that apply: all for an open loop judged by latency, fewer for the others. */
export function judgeGates(input: GateInput): Gate[] {
  const gates: Gate[] = [];
  // Of none, none are missing: in a trace everybody is away until the load begins.
  if (input.socketsAsked > 0) {
    gates.push(
      gate('G10', 'all sockets open', input.socketsOpen, {
        ok: input.socketsOpen === input.socketsAsked,
        limit: `${input.socketsAsked}`,
      }),
    );
  }
  if (input.mode !== 'open') return gates;
  gates.push(...arrivalGates(input));
  if (input.judged === 'audit') return gates;
  gates.push(...generatorGates(input), ...machineGates(input), ...steadinessGates(input));
  return gates;
}

function gate(
  id: string,
  name: string,
  value: number,
  { ok, limit }: { ok: boolean; limit: string },
): Gate {
  return { id, name, value, limit, ok };
}

function atMost(id: string, name: string, value: number, limit: number): Gate {
  return gate(id, name, value, { ok: value <= limit, limit: `<= ${limit}` });
}

function arrivalGates({ due, sent, arrivals, gaps }: GateInput): Gate[] {
  const sentShare = due === 0 ? 1 : sent / due;
  const gates = [
    gate('G2', 'sent of what was due', sentShare, { ok: sentShare >= 0.995, limit: '>= 0.995' }),
  ];
  if (arrivals !== 'poisson') return gates;
  // Both estimates scatter by themselves: short runs get that much room.
  const near1 = (name: string, value: number, tolerance: number): Gate =>
    gate('G7', name, value, {
      ok: Math.abs(value - 1) <= tolerance,
      limit: `1 +- ${tolerance.toFixed(2)}`,
    });
  if (gaps.count >= 1000) {
    const tolerance = Math.max(0.05, 5.6 / Math.sqrt(gaps.count));
    gates.push(
      near1('arrivals are Poisson (gap variation)', gaps.coefficientOfVariation, tolerance),
    );
  }
  if (gaps.intervals >= 20) {
    const tolerance = Math.max(0.1, 4 * Math.sqrt(2 / gaps.intervals));
    gates.push(
      near1(
        'arrivals are Poisson (counts per 100 ms, variance over mean)',
        gaps.dispersion,
        tolerance,
      ),
    );
  }
  return gates;
}

function generatorGates(input: GateInput): Gate[] {
  const { deliverUsP99 } = input;
  const lagLimitUs = Math.round(Math.max(1000, 0.05 * deliverUsP99));
  const delayLimitUs = Math.round(
    Math.min(LOOP_DELAY_MAX_US, Math.max(LOOP_DELAY_FLOOR_US, deliverUsP99 / 2)),
  );
  return [
    atMost('G1', 'send lag p99, us', input.sendLagUsP99, lagLimitUs),
    atMost('G3', 'generator busy', input.busyMean, BUSY_MEAN_MAX),
    atMost('G3', 'generator busy, worst second', input.busyMax, BUSY_SECOND_MAX),
    atMost('G5', 'generator loop delay p99, us', input.loopDelayP99Us, delayLimitUs),
    atMost('G6', 'generator in garbage collection', input.gcShare, GC_MAX),
  ];
}

function machineGates({ processorTime }: GateInput): Gate[] {
  if (processorTime === null) return [];
  return [
    atMost('G4', 'processor time stolen from this machine', processorTime.stolen, STOLEN_MAX),
    atMost('G4', 'processor time of other processes', processorTime.others, OTHERS_MAX),
  ];
}

function steadinessGates(input: GateInput): Gate[] {
  const { inflight, sent, windowUs, settledInside, settledMeanUs, inflightAreaUs } = input;
  const gates: Gate[] = [];
  const third = Math.max(1, Math.floor(inflight.length / 3));
  const growth =
    (mean(inflight.slice(-third)) - mean(inflight.slice(0, third))) / Math.max(1, sent);
  gates.push(atMost('G8', 'growth of messages in flight, of all sent', growth, GROWTH_MAX));
  if (inflight.length >= TREND_SECONDS_MIN) {
    // Growth is what the whole interval says, not what its middle does.
    const trend = theilSen(inflight).low / Math.max(1, mean(inflight));
    gates.push(atMost('G8', 'trend of messages in flight, per second, at least', trend, TREND_MAX));
    const medians = input.confirmUsP50.filter((us) => us > 0);
    const half = medians.length >> 1;
    const quarter = medians.length >> 2;
    const apart = (a: readonly number[], b: readonly number[]): number => {
      const [x, y] = [median(a), median(b)];
      return Math.abs(x - y) <= SAME_US ? 0 : x / y - 1;
    };
    if (quarter > 0) {
      const halves = Math.abs(apart(medians.slice(half), medians.slice(0, half)));
      gates.push(atMost('G8', 'p50 of the halves, apart', halves, HALVES_MAX));
      const cold = apart(medians.slice(0, quarter), medians.slice(quarter));
      gates.push(atMost('G9', 'p50 of the first quarter above the rest (warm-up)', cold, WARM_MAX));
    }
  }
  const meanInflight = inflightAreaUs / windowUs;
  const predicted = (settledInside / windowUs) * settledMeanUs;
  const little = meanInflight === 0 ? 0 : Math.abs(predicted / meanInflight - 1);
  const isClose = little <= 0.05 || Math.abs(predicted - meanInflight) <= 1;
  gates.push(gate('G11', "Little's law, deviation", little, { ok: isClose, limit: '<= 0.05' }));
  return gates;
}

function mean(values: readonly number[]): number {
  if (values.length === 0) return 0;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Gates whose value is a share; those of times end in their unit; the others are plain numbers. */
const SHARES = new Set(['G2', 'G3', 'G4', 'G6', 'G8', 'G9', 'G11']);

/** A gate for people: what it is about, its value and its limit with their units. */
export function gateWords({ id, name, value, limit }: Gate): {
  readonly what: string;
  readonly figure: string;
  readonly limit: string;
} {
  const isTime = name.endsWith(', us');
  const share = (part: number): string => `${Number((100 * part).toPrecision(3))} %`;
  const format = isTime ? formatUs : SHARES.has(id) ? share : significant;
  return {
    what: name.replace(/, us$/, ''),
    figure: Number.isInteger(value) && !isTime && !SHARES.has(id) ? `${value}` : format(value),
    limit: limit.replace(/^([<>]= )(.*)$/, (_, sign, bound) => sign + format(Number(bound))),
  };
}

/** What a failed gate says about the run, in words. */
export function gateReason(failed: Gate): string {
  const { id, name, value } = failed;
  const { what, figure, limit } = gateWords(failed);
  const percent = `${Math.round(value * 100)} %`;
  switch (id) {
    case 'G3':
      return name.includes('second')
        ? `the generator was the bottleneck: loop busy ${percent} in its worst second`
        : `the generator was the bottleneck: loop busy ${percent}`;
    case 'G1':
      return `the generator sent late: p99 of the send lag is ${figure} (${limit})`;
    case 'G4':
      return name.includes('stolen')
        ? `the machine was slowed down from outside: ${percent} of its processor time was stolen (${limit})`
        : `other processes took ${percent} of the processor time (${limit})`;
    case 'G10':
      return `only ${figure} of ${limit} sockets were open`;
    default:
      return `${what}: ${figure}, must be ${limit}`;
  }
}
