/** Every reachable state of the small worlds, a thread per policy. */
import { Worker } from 'node:worker_threads';
import type { Policy } from '../protocol/index.ts';
import type { SearchOrder, WorldSearched } from './small-world-worker.ts';

export interface PolicySearched {
  readonly policy: Policy;
  worlds: number;
  states: number;
  transitions: number;
  /** Worlds that broke a rule or could not be searched wholly. */
  unsound: number;
}

/** Searches the worlds of each policy; `onWorld` gets the lines of each as it is done. */
export function searchExhaustively(options: {
  policies: readonly Policy[];
  quick: boolean;
  signal: AbortSignal;
  onWorld(lines: readonly string[]): void;
}): Promise<PolicySearched[]> {
  const source = import.meta.url.endsWith('.ts')
    ? './small-world-worker.ts'
    : './small-world-worker.js';
  const search = (policy: Policy): Promise<PolicySearched> =>
    new Promise((resolve, reject) => {
      const total: PolicySearched = { policy, worlds: 0, states: 0, transitions: 0, unsound: 0 };
      const order: SearchOrder = { policy, quick: options.quick };
      const worker = new Worker(new URL(source, import.meta.url), { workerData: order });
      worker.on('message', ({ lines, states, transitions, isSound }: WorldSearched) => {
        total.worlds++;
        total.states += states;
        total.transitions += transitions;
        if (!isSound) total.unsound++;
        options.onWorld(lines);
      });
      worker.on('error', reject);
      options.signal.addEventListener('abort', () => void worker.terminate());
      worker.on('exit', (code) => {
        if (code === 0 || options.signal.aborted) resolve(total);
        else reject(new Error(`the search of ${policy} ended with ${code}`));
      });
    });
  return Promise.all(options.policies.map(search));
}
