/** What went over the clients' sockets between two instants of a run: packets by name, rows, bytes. */
import { KIND_NAME, KINDS, type SwarmPool } from '../loadgen/index.ts';

export interface TrafficReport {
  windowS: number;
  packets: Record<string, number>;
  submitted: number;
  connects: number;
  /** Rows of pages, repeats included. */
  pagedRows: number;
  /** By the clients, WebSocket frames included. */
  bytesSent: number;
  bytesReceived: number;
}

/** The counts of all workers, each at the instant at which it answered. */
export class TrafficMark {
  /** On the monotonic clock, the mean of the workers. */
  private readonly atUs: number;
  private readonly counts: Omit<TrafficReport, 'windowS'>;

  private constructor(atUs: number, counts: Omit<TrafficReport, 'windowS'>) {
    this.atUs = atUs;
    this.counts = counts;
  }

  static async take(pool: SwarmPool): Promise<TrafficMark> {
    const parts = await pool.ask('traffic', null);
    const sum = (pick: (part: (typeof parts)[number]) => number): number =>
      parts.reduce((total, part) => total + pick(part), 0);
    const packets = Object.fromEntries(
      KINDS.map((kind) => [KIND_NAME[kind], sum((part) => part.packets[kind] ?? 0)]),
    );
    return new TrafficMark(sum(({ atUs }) => atUs) / parts.length, {
      packets,
      submitted: sum(({ submitted }) => submitted),
      connects: sum(({ connects }) => connects),
      pagedRows: sum(({ pagedRows }) => pagedRows),
      bytesSent: sum(({ bytesSent }) => bytesSent),
      bytesReceived: sum(({ bytesReceived }) => bytesReceived),
    });
  }

  since(earlier: TrafficMark): TrafficReport {
    const { counts } = this;
    const before = earlier.counts;
    const packets = Object.fromEntries(
      Object.entries(counts.packets).map(([name, n]) => [name, n - (before.packets[name] ?? 0)]),
    );
    return {
      windowS: Math.max(1e-3, (this.atUs - earlier.atUs) / 1e6),
      packets,
      submitted: counts.submitted - before.submitted,
      connects: counts.connects - before.connects,
      pagedRows: counts.pagedRows - before.pagedRows,
      bytesSent: counts.bytesSent - before.bytesSent,
      bytesReceived: counts.bytesReceived - before.bytesReceived,
    };
  }

  /** Messages that were sent and have not arrived: stored, or on their way. */
  waiting(): number {
    const { submitted, packets, pagedRows } = this.counts;
    return Math.max(0, submitted - (packets['msg:N'] ?? 0) - pagedRows);
  }

  /** Bytes of one login: handshake, and the pull of an empty inbox; null before anybody connected. */
  perConnect(): { bytesSent: number; bytesReceived: number } | null {
    const { connects, bytesSent, bytesReceived } = this.counts;
    if (connects === 0) return null;
    return { bytesSent: bytesSent / connects, bytesReceived: bytesReceived / connects };
  }
}
