/**
 * Validity gates: a run that fails one is invalid, not slow. Identifiers and limits as in
 * docs/MEASUREMENT.md section 3.
 */
import type { Gate } from './result.ts';

export interface GateInput {
  readonly judged: 'latency' | 'audit';
  readonly mode: 'open' | 'closed' | 'trace' | 'none';
  readonly arrivals: string | null;
  readonly sendLagUsP99: number;
  readonly deliverUsP99: number;
  readonly due: number;
  readonly sent: number;
  readonly busyMean: number;
  readonly loopDelayP99Us: number;
  readonly gcShare: number;
  readonly gaps: { readonly count: number; readonly coefficientOfVariation: number };
  /** Messages in flight in the first and last third of the window, means of the seconds. */
  readonly inflightFirst: number;
  readonly inflightLast: number;
  readonly socketsAsked: number;
  readonly socketsOpen: number;
  readonly windowUs: number;
  readonly settledInside: number;
  readonly settledMeanUs: number;
  readonly inflightAreaUs: number;
}

/** The gates that apply: all for an open loop judged by latency, fewer for the others. */
export function judgeGates(input: GateInput): Gate[] {
  const gates: Gate[] = [];
  const gate = (id: string, name: string, value: number, limit: string, ok: boolean): void => {
    gates.push({ id, name, value, limit, ok });
  };
  gate(
    'G10',
    'all sockets open',
    input.socketsOpen,
    `${input.socketsAsked}`,
    input.socketsOpen === input.socketsAsked,
  );
  if (input.mode !== 'open') return gates;
  const sentShare = input.due === 0 ? 1 : input.sent / input.due;
  gate('G2', 'sent of what was due', sentShare, '>= 0.995', sentShare >= 0.995);
  if (input.arrivals === 'poisson' && input.gaps.count >= 1000) {
    // The estimate itself scatters by about 1.4 / sqrt(n): short runs get that much room.
    const tolerance = Math.max(0.05, 5.6 / Math.sqrt(input.gaps.count));
    const deviation = Math.abs(input.gaps.coefficientOfVariation - 1);
    gate(
      'G7',
      'arrivals are Poisson (gap variation)',
      input.gaps.coefficientOfVariation,
      `1 +- ${tolerance.toFixed(2)}`,
      deviation <= tolerance,
    );
  }
  if (input.judged === 'audit') return gates;
  const lagLimitUs = Math.max(1000, 0.05 * input.deliverUsP99);
  gate(
    'G1',
    'send lag p99, us',
    input.sendLagUsP99,
    `<= ${Math.round(lagLimitUs)}`,
    input.sendLagUsP99 <= lagLimitUs,
  );
  gate('G3', 'generator busy', input.busyMean, '<= 0.70', input.busyMean <= 0.7);
  gate(
    'G5',
    'generator loop delay p99, us',
    input.loopDelayP99Us,
    '<= 5000',
    input.loopDelayP99Us <= 5000,
  );
  gate('G6', 'generator in garbage collection', input.gcShare, '<= 0.02', input.gcShare <= 0.02);
  const growth = (input.inflightLast - input.inflightFirst) / Math.max(1, input.sent);
  gate('G8', 'growth of messages in flight, of all sent', growth, '<= 0.01', growth <= 0.01);
  const meanInflight = input.inflightAreaUs / input.windowUs;
  const predicted = (input.settledInside / input.windowUs) * input.settledMeanUs;
  const little = meanInflight === 0 ? 0 : Math.abs(predicted / meanInflight - 1);
  const isClose = little <= 0.05 || Math.abs(predicted - meanInflight) <= 1;
  gate('G11', "Little's law, deviation", little, '<= 0.05', isClose);
  return gates;
}

/** What a failed gate says about the run, in words. */
export function gateReason(gate: Gate): string {
  const value = Number.isInteger(gate.value) ? gate.value : gate.value.toPrecision(3);
  const busy = `loop busy ${Math.round(gate.value * 100)} %`;
  switch (gate.id) {
    case 'G3':
      return `the generator was the bottleneck: ${busy}`;
    case 'G1':
      return `the generator sent late: p99 of the send lag is ${value} us (${gate.limit})`;
    case 'G10':
      return `only ${value} of ${gate.limit} sockets were open`;
    default:
      return `${gate.name}: ${value}, must be ${gate.limit}`;
  }
}
