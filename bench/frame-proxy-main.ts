/**
 * Entry of the proxy's own process: it obeys the runner over the channel that `fork` makes, and ends
 * when that channel does, so that no proxy outlives a runner that was killed.
 */
import { FrameProxy, type FrameProxyOptions, type FrameProxyStats } from './frame-proxy.ts';
import type { LinkHit } from './frame-proxy-link.ts';

/** Runner to proxy. `arm` and `calm` begin and end the faults of packets. */
export type ProxyOrder =
  | { order: 'start'; options: FrameProxyOptions }
  | { order: 'arm' | 'calm' | 'stats' }
  | { order: 'hit'; hit: LinkHit };

/** Proxy to runner: one answer to each order. `links`: how many were hit. */
export type ProxyAnswer =
  | { answer: 'listening'; port: number }
  | { answer: 'hit'; links: number }
  | { answer: 'stats'; stats: FrameProxyStats };

let proxy: FrameProxy | null = null;

function tell(answer: ProxyAnswer): void {
  process.send?.(answer);
}

async function obey(message: ProxyOrder): Promise<void> {
  if (message.order === 'start') {
    proxy = new FrameProxy(message.options);
    tell({ answer: 'listening', port: await proxy.listen() });
    return;
  }
  if (proxy === null) throw new Error('the first order is start');
  if (message.order === 'arm') proxy.arm();
  else if (message.order === 'calm') proxy.calm();
  else if (message.order === 'hit') {
    tell({ answer: 'hit', links: proxy.hit(message.hit) });
    return;
  }
  tell({ answer: 'stats', stats: proxy.stats() });
}

process.on('message', (message: ProxyOrder) => {
  obey(message).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
