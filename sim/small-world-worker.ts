/** A thread that searches the small worlds of one policy and reports each as it is done. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Policy } from '../protocol/index.ts';
import { describeSmallWorld, searchSmallWorlds } from './small-world-suite.ts';

export interface SearchOrder {
  readonly policy: Policy;
  readonly quick: boolean;
}

export interface WorldSearched {
  readonly lines: readonly string[];
  readonly states: number;
  readonly transitions: number;
  readonly isSound: boolean;
}

if (parentPort !== null) {
  const { policy, quick } = workerData as SearchOrder;
  for (const report of searchSmallWorlds(policy, { quick })) {
    const searched: WorldSearched = {
      lines: describeSmallWorld(report),
      states: report.states,
      transitions: report.transitions,
      isSound: report.complete && report.violation === null,
    };
    parentPort.postMessage(searched);
  }
}
