/**
 * Entry of a generator process: one swarm that obeys the runner over the channel that `fork` makes,
 * as the worker threads do over theirs. Ends with the channel, so that no swarm outlives a runner
 * that was killed.
 */
import type { SwarmConfig } from './swarm-config.ts';
import runSwarm, { type CommandPort } from './worker.ts';

process.once('message', (config: SwarmConfig) => {
  const port: CommandPort = {
    on(_event, listener) {
      process.on('message', listener);
    },
    postMessage(message) {
      // Nobody is told what happens after the runner has gone.
      if (process.connected) process.send?.(message);
    },
    close() {
      if (process.connected) process.disconnect();
    },
  };
  runSwarm({ config, port }).catch((error: unknown) => {
    port.postMessage({ type: 'died', message: (error as Error).message });
    process.exitCode = 1;
    port.close();
  });
});

process.on('disconnect', () => process.exit());
