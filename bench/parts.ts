/** The parts of a load: one server each, its users, and the slices that its generators drive. */
import type { SwarmConfig } from '../loadgen/index.ts';
import { type RunContext, sliceConfig, startTarget } from './rig.ts';
import type { ServerOrder, ServerProcess } from './server-process.ts';

/** Between the first users of two parts, so that a user's number tells the part. */
const UIDS_PER_PART = 10_000_000;

export interface Part {
  /** null = somebody else's. */
  readonly server: ServerProcess | null;
  readonly url: string;
  readonly jwtKey: string;
  readonly isInsecure: boolean;
  readonly users: number;
  readonly uidBase: number;
}

/** Starts `servers` fresh servers, or takes the target, and gives each its share of the users. */
export async function startParts(
  context: RunContext,
  order: ServerOrder,
  size: { readonly users: number; readonly servers: number; readonly uidBase: number },
): Promise<Part[]> {
  const { users, servers, uidBase } = size;
  const parts: Part[] = [];
  try {
    for (let i = 0; i < servers; i++) {
      const target = await startTarget(context, order);
      const from = Math.floor((users * i) / servers);
      const to = Math.floor((users * (i + 1)) / servers);
      parts.push({ ...target, users: to - from, uidBase: uidBase + i * UIDS_PER_PART });
    }
    return parts;
  } catch (error) {
    await stopParts(parts);
    throw error;
  }
}

export async function stopParts(parts: readonly Part[]): Promise<void> {
  await Promise.all(parts.map(({ server }) => server?.stop()));
}

/** The slices of all parts: one config per generator, the load in proportion to the users. */
export function sliceParts(configs: readonly SwarmConfig[], generators: number): SwarmConfig[] {
  const total = configs.reduce((sum, { users }) => sum + users, 0);
  return configs.flatMap((config) => {
    const own = Math.max(1, Math.round((generators * config.users) / total));
    return sliceConfig(config, own).map((slice) => ({
      ...slice,
      share: (slice.to - slice.from) / total,
    }));
  });
}

/** A figure of all servers together; null when any of them cannot be seen. */
export function sumOfServers(
  parts: readonly Part[],
  figure: (server: ServerProcess) => number | null,
): number | null {
  let sum = 0;
  for (const { server } of parts) {
    const value = server === null ? null : figure(server);
    if (value === null) return null;
    sum += value;
  }
  return sum;
}
