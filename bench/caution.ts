/**
 * What a reader must know of figures that no gate stood guard over. Pure: the terminal and the page of a
 * report say the same.
 */
import { BUSY_MEAN_MAX, OTHERS_MAX, STOLEN_MAX } from './gates.ts';
import type { ScenarioResult } from './result.ts';
import { significant } from './units.ts';

/** Busy share at which the generator has room for a bad second. */
const BUSY_WANTED = 0.6;

/** An open loop whose audit alone was judged may have been anything but fast: said, not judged. */
export function cautionOf({
  config,
  load,
  generator,
  extra,
}: Pick<ScenarioResult, 'config' | 'load' | 'generator' | 'extra'>): string | null {
  const { judged } = config as { judged?: string };
  if (judged !== 'audit' || load.mode !== 'open') return null;
  const { stolen = 0, others = 0 } = (extra['processorTime'] ?? {}) as {
    stolen?: number;
    others?: number;
  };
  const signs = [
    ...(generator.eluMean > BUSY_MEAN_MAX
      ? [`the generator was ${percentOf(generator.eluMean)} busy`]
      : []),
    ...(others > OTHERS_MAX ? [`other processes took ${percentOf(others)} of the processor`] : []),
    ...(stolen > STOLEN_MAX ? [`${percentOf(stolen)} of the processor was stolen`] : []),
    ...(load.achievedPerSec < 0.9 * load.offeredPerSec
      ? ['it did not keep up with its schedule']
      : []),
  ];
  if (signs.length === 0) return null;
  return `judged by its audit alone, and ${signs.join(', ')}: its latencies and rates say nothing`;
}

/** What to do about a generator that was the bottleneck; null where it was none. */
export function adviceOf({
  gates,
  generator,
  load,
}: Pick<ScenarioResult, 'gates' | 'generator' | 'load'>): string | null {
  if (gates.every(({ id, ok }) => id !== 'G3' || ok)) return null;
  const perSec = (load.achievedPerSec * BUSY_WANTED) / Math.max(BUSY_WANTED, generator.eluMean);
  if (!(perSec >= 1)) return null;
  // Two digits, rounded down: it is an estimate, and should hold.
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(perSec)) - 1);
  const ratePerSec = Math.floor(perSec / unit) * unit;
  return `take --rate ${ratePerSec} or less on this machine, or give the generator more cores (--workers)`;
}

function percentOf(share: number): string {
  return `${significant(share * 100)} %`;
}
