/**
 * Plain numbers that the hot path counts; `metrics.ts` turns them into Prometheus text on demand.
 * Every way in which something does not happen has a counter here: nothing is dropped silently.
 */
import { KINDS } from '../protocol/index.ts';

/** Indexed by packet kind (the byte on the wire). */
export type PerKind = Float64Array;

const KIND_SLOTS = Math.max(...KINDS) + 1;

export class Counters {
  readonly received: PerKind = new Float64Array(KIND_SLOTS);
  readonly sent: PerKind = new Float64Array(KIND_SLOTS);
  /** Not sent because the socket's buffer was full. */
  readonly droppedBackpressure: PerKind = new Float64Array(KIND_SLOTS);
  /** Not sent because the socket was closed in the same turn. */
  droppedClosed = 0;
  /** msg:R with the retransmission flag. */
  retransmissionsReceived = 0;
  connectionsOpened = 0;
  /** Connections closed, by close code; 1006 = without a close frame. */
  readonly closedByCode = new Map<number, number>();
  /** Upgrades refused, by error code. */
  readonly refusedByCode = new Map<string, number>();
  httpRequests = 0;
  /** Deletions on ack:R (durable policy) that failed; the row is pulled and deduped later. */
  removeFailures = 0;

  static bump<Key>(map: Map<Key, number>, key: Key): void {
    map.set(key, (map.get(key) ?? 0) + 1);
  }
}
