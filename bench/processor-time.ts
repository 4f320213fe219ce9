/**
 * Who had the machine's processors during a load (Linux: /proc/stat; elsewhere nothing is known): what
 * the hypervisor took away, and what processes took that are neither generator nor server.
 *
 * The ticks are 10 ms, so the figures are good to a per cent over a second. Time in interrupts counts
 * as ours: on loopback nearly all of it is our packets.
 */
import { readFileSync } from 'node:fs';

interface Ticks {
  readonly total: number;
  readonly busy: number;
  readonly stolen: number;
}

const TICK_US = 10_000;

function readTicks(): Ticks | null {
  try {
    const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] as string;
    const [user, nice, system, idle, ioWait, irq, softIrq, stolen] = line
      .trim()
      .split(/\s+/)
      .slice(1)
      .map(Number) as [number, number, number, number, number, number, number, number];
    const busy = user + nice + system + irq + softIrq;
    return { total: busy + idle + ioWait + stolen, busy, stolen };
  } catch {
    return null;
  }
}

/** Shares of the machine's processor time since it was made. */
export class ProcessorMeter {
  private readonly ticks = readTicks();

  /**
   * `ownUs`: what generator and server took meanwhile; null = not known, and then neither is what
   * others took.
   */
  shares(ownUs: number | null): { stolen: number; others: number } | null {
    const now = readTicks();
    if (this.ticks === null || now === null || ownUs === null) return null;
    const total = now.total - this.ticks.total;
    if (total <= 0) return null;
    const others = now.busy - this.ticks.busy - ownUs / TICK_US;
    return {
      stolen: (now.stolen - this.ticks.stolen) / total,
      others: Math.max(0, others) / total,
    };
  }
}
