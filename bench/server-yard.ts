/**
 * Fresh servers in the order in which a run needs them. While one run settles, and nothing is
 * measured any more, the server of the next one starts already.
 */
import type { Pinning } from './environment.ts';
import { type Scenario, variantsOf } from './scenario.ts';
import { type ServerOrder, ServerProcess } from './server-process.ts';
import { OWN_SERVER, type ServerProgram } from './server-program.ts';

/** The servers that a scenario starts, in turn. */
export function serverOrders(scenario: Scenario): ServerOrder[] {
  switch (scenario.kind) {
    case 'load':
      return variantsOf(scenario).map((variant) => variant.scenario.server);
    case 'trace':
      return [scenario.server];
    case 'ceiling':
      return []; // each starts when its turn comes, never beside an echo that is measured
    case 'offline-cost': {
      const wholeBytes = wholePageBytes(scenario);
      return [
        {
          ...scenario.server,
          settings: {
            pageMaxMessages: Math.max(10_000, scenario.messages),
            pageMaxBytes: wholeBytes,
            backpressureMaxBytes: Math.max(4_194_304, 2 * wholeBytes),
            inboxMaxMessages: Math.max(10_000, scenario.messages),
            inboxMaxBytes: Math.max(16_777_216, scenario.messages * scenario.payloadBytes),
            ...scenario.server.settings,
          },
        },
      ];
    }
    default: {
      const messages = scenario.messagesPerUser;
      return [
        {
          ...scenario.server,
          settings: {
            inboxMaxMessages: Math.max(10_000, messages),
            inboxMaxBytes: Math.max(16_777_216, messages * scenario.payloadBytes),
            ...scenario.server.settings,
          },
        },
      ];
    }
  }
}

/** Page that holds a whole inbox of the scenario, bytes. */
export function wholePageBytes(scenario: { messages: number; payloadBytes: number }): number {
  return Math.max(1_048_576, scenario.messages * scenario.payloadBytes);
}

export class ServerYard {
  readonly pinning: Pinning | null;
  private upcoming: ServerOrder[];
  private prepared: { order: string; server: Promise<ServerProcess> } | null = null;

  private readonly program: ServerProgram;

  /** `upcoming`: what the runs will take, as far as it is known. */
  constructor(
    pinning: Pinning | null,
    upcoming: readonly ServerOrder[],
    program: ServerProgram = OWN_SERVER,
  ) {
    this.pinning = pinning;
    this.program = program;
    this.upcoming = [...upcoming];
  }

  /** A fresh server for `order`: the prepared one if it fits, else one that starts now. */
  async take(order: ServerOrder): Promise<ServerProcess> {
    const key = JSON.stringify(order);
    const { prepared } = this;
    this.prepared = null;
    const place = this.upcoming.findIndex((other) => JSON.stringify(other) === key);
    if (place !== -1) this.upcoming = this.upcoming.slice(place + 1);
    if (prepared?.order === key) return prepared.server;
    await discard(prepared);
    return ServerProcess.start(order, this.pinning, this.program);
  }

  /** Starts the server that follows the last one taken. Call it when nothing is measured. */
  prepareNext(): void {
    const order = this.upcoming[0];
    if (order === undefined || this.prepared !== null) return;
    const server = ServerProcess.start(order, this.pinning, this.program);
    server.catch(() => {}); // whoever takes it is told
    this.prepared = { order: JSON.stringify(order), server };
  }

  /** Ends a prepared server that nobody took. */
  async close(): Promise<void> {
    const { prepared } = this;
    this.prepared = null;
    await discard(prepared);
  }
}

async function discard(prepared: { server: Promise<ServerProcess> } | null): Promise<void> {
  const server = await prepared?.server.catch(() => null);
  await server?.stop();
}
