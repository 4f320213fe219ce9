/** What the clients of a swarm did and met, counted over the whole run. */
import { nowUs } from './clock.ts';

export class SwarmCounters {
  /** Messages that clients were given to send. */
  submitted = 0;
  connects = 0;
  /** Upgrades that the server never answered. */
  handshakeTimeouts = 0;
  disconnects = 0;
  crashes = 0;
  /** Of the crashes, those between a page and its acknowledgement. */
  pageCrashes = 0;
  /** Connections that the client's own network reset, went silent, or that were not read. */
  drops = 0;
  halfOpens = 0;
  slowReads = 0;
  /** Log-outs during the load: churn, or the end of a burst of a trace. */
  logouts = 0;
  undecodable = 0;
  /** Not sent because the waiting-ack queue was full: the generator's own bound. */
  refusedByQueue = 0;
  /** No online sender was found for a due message. */
  noSender = 0;
  /** Messages delivered from pages, and rows that were repeats. */
  pagedDelivered = 0;
  pagedRepeats = 0;
  /** Of those delivered, the ones after the load, and when the first and the last came, µs. */
  drainedRows = 0;
  drainedFromUs = Infinity;
  drainedUntilUs = 0;
  pulls = 0;
  pullsRefused = 0;
  interactions = 0;
  closes: Record<string, number> = {};
}

/** The commonest reason why connections ended; empty when none did. */
export function topCloseOf({ closes }: Pick<SwarmCounters, 'closes'>): string {
  let top = '';
  for (const [reason, count] of Object.entries(closes)) {
    if (top === '' || count > (closes[top] as number)) top = reason;
  }
  return top;
}

/** What the clients of a swarm have sent and received so far. */
export interface Traffic {
  /** On the monotonic clock. */
  atUs: number;
  /** By kind. */
  packets: number[];
  submitted: number;
  connects: number;
  /** Rows of pages, repeats included. */
  pagedRows: number;
  bytesSent: number;
  bytesReceived: number;
}

/** The traffic of a swarm, as of now. */
export function trafficOf(swarm: {
  readonly counters: SwarmCounters;
  readonly packets: Float64Array;
  readonly hub: { readonly bytesSent: number; readonly bytesReceived: number };
}): Traffic {
  const { submitted, connects, pagedDelivered, pagedRepeats } = swarm.counters;
  return {
    atUs: nowUs(),
    packets: [...swarm.packets],
    submitted,
    connects,
    pagedRows: pagedDelivered + pagedRepeats,
    bytesSent: swarm.hub.bytesSent,
    bytesReceived: swarm.hub.bytesReceived,
  };
}
