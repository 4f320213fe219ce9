/**
 * One client empties its inbox once, measured: the rows of the cost table S20.
 */
import type { Swarm } from './swarm.ts';
import { until } from './wait.ts';
import type { VirtualClient } from './virtual-client.ts';

export interface DrainOrder {
  /** User index of the client that drains. */
  readonly index: number;
  /** Before the acknowledgement of this page (from 1) the client crashes or falls silent; 0 = never. */
  readonly atPage: number;
  /** crash: the client dies there. hold: it waits there until its server was killed. */
  readonly action: 'crash' | 'hold';
  readonly timeoutMs: number;
}

export interface DrainMeasure {
  /** False when the inbox was not drained in time. */
  isDrained: boolean;
  /** Requests, each counted once however often it was repeated. */
  interactions: number;
  /** Rows that reached the client, and those that dedupe absorbed. */
  rows: number;
  repeats: number;
  bytesReceived: number;
  bytesSent: number;
  /** From the open session to the drained inbox, reconnects included. */
  drainUs: number;
}

export function emptyDrain(): DrainMeasure {
  return {
    isDrained: false,
    interactions: 0,
    rows: 0,
    repeats: 0,
    bytesReceived: 0,
    bytesSent: 0,
    drainUs: 0,
  };
}

/** Logs the client in and waits for the end of its pull. `onPage` is called where it holds. */
export async function measureDrain(
  swarm: Swarm,
  client: VirtualClient,
  order: DrainOrder,
  onPage: () => void,
): Promise<DrainMeasure> {
  const { counters, hub } = swarm;
  const { puller } = client.machine;
  const deliveredBefore = counters.pagedDelivered;
  const repeatsBefore = counters.pagedRepeats;
  const interactionsBefore = puller.interactions;
  const plan =
    order.atPage > 0 ? { nth: order.atPage, action: order.action, reached: false } : null;
  client.atPage = plan;
  client.drains = 0;
  client.onFirstPull = () => {
    receivedBefore = hub.bytesReceived;
    sentBefore = hub.bytesSent;
    startUs = swarm.nowUs;
  };
  let receivedBefore = hub.bytesReceived;
  let sentBefore = hub.bytesSent;
  let startUs = swarm.touch();
  let isTold = false;
  client.goOnline();
  const isDrained = await until(() => {
    if (plan?.reached === true && plan.action === 'hold' && !isTold) {
      isTold = true;
      onPage();
    }
    return client.drains > 0 && (plan === null || plan.reached);
  }, order.timeoutMs);
  return {
    isDrained,
    interactions: puller.interactions - interactionsBefore,
    rows: counters.pagedDelivered + counters.pagedRepeats - deliveredBefore - repeatsBefore,
    repeats: counters.pagedRepeats - repeatsBefore,
    bytesReceived: client.drainedBytesReceived - receivedBefore,
    bytesSent: client.drainedBytesSent - sentBefore,
    drainUs: client.drainedAtUs - startUs,
  };
}
