/**
 * Memory of an idle client, on both ends: clients log in, pull their empty inbox and keep silent. The
 * cost of one is the slope between a third of them and all, so that neither what a process needs
 * anyway nor what its first clients make it compile is in it.
 */
import { SwarmPool } from '../loadgen/index.ts';
import { startParts, stopParts } from './parts.ts';
import { connectEverybody, epochOf, pause, type RunContext, swarmBase } from './rig.ts';
import type { ServerOrder } from './server-process.ts';

/** Resident bytes per client. */
export interface IdleCost {
  clients: number;
  serverBytes: number;
  generatorBytes: number;
}

const UID_BASE = 1_000_000;
const CONNECT_PER_SEC = 5000;
const CONNECT_TIMEOUT_MS = 60_000;
/** Answers to the last pulls are on their way, and the server's own garbage is collected late. */
const SETTLE_MS = 3000;

export async function measureIdle(
  context: RunContext,
  order: ServerOrder,
  clients: number,
): Promise<IdleCost | null> {
  const { progress } = context;
  progress.start(`${clients} idle clients`, (2 * SETTLE_MS) / 1000 + clients / CONNECT_PER_SEC);
  const parts = await startParts(context, order, { users: clients, servers: 1, uidBase: UID_BASE });
  const [part] = parts;
  const first = Math.max(1, Math.floor(clients / 3));
  const config = {
    ...swarmBase({
      target: part!,
      seed: context.seed,
      uidBase: UID_BASE,
      epoch: epochOf(context),
      users: clients,
      retransmit: { firstMs: 1000, maxMs: 1000, maxAttempts: 2, jitter: 0.1 },
      payloadBytes: 128,
      pull: {
        strategy: 'paged-next',
        order: 'oldest',
        pageMessages: 100,
        pageBytes: 1_048_576,
        requestTimeoutMs: 5000,
      },
    }),
    offlineFrom: first,
    connectRatePerSec: CONNECT_PER_SEC,
  };
  // A process of its own, whose memory is that of its clients and nothing else's.
  const pool = new SwarmPool([config], { onSecond() {}, onAtPage() {} }, 'processes');
  try {
    const sample = async () => {
      await pause(SETTLE_MS);
      const [generator] = await pool.ask('memory', null);
      return { generator: generator as number, server: part?.server?.rssBytes() ?? 0 };
    };
    await connectEverybody(pool, CONNECT_TIMEOUT_MS);
    const few = await sample();
    await pool.ask('returnAll', null);
    const { open } = await connectEverybody(pool, CONNECT_TIMEOUT_MS);
    const all = await sample();
    if (open < clients || clients === first) return null;
    const cost: IdleCost = {
      clients,
      serverBytes: (all.server - few.server) / (clients - first),
      generatorBytes: (all.generator - few.generator) / (clients - first),
    };
    progress.end(`${clients} idle clients: ${Math.round(cost.serverBytes)} B of the server each`);
    return cost;
  } finally {
    await pool.close();
    await stopParts(parts);
  }
}
