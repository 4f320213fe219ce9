/**
 * A real server for one test: in this process, on a free port of the loopback, with the store that
 * the test wants. What must stay true: `withServer` leaves nothing behind, neither sockets nor the
 * directory of the store, so a test file ends by itself.
 */
import { join } from 'node:path';
import {
  createMemoryStore,
  loadServerConfig,
  mintToken,
  openLmdbStore,
  type RunningServer,
  type ServerConfig,
  startServer,
  type Store,
} from '../../server/index.ts';
import { withTempDir } from './temp-dir.ts';

/** The HS256 secret of every server here. */
export const JWT_KEY = 'a-secret-that-only-the-tests-know';

export interface TestServerOptions {
  /** Settings by their names in server/config.ts; validated like flags. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Default: memory. */
  readonly store?: 'memory' | 'lmdb' | ((limits: ServerConfig) => Store);
  /** How often the server looks for expired tokens. */
  readonly expirySweepMs?: number;
}

export class TestServer {
  readonly running: RunningServer;
  readonly config: ServerConfig;

  constructor(running: RunningServer, config: ServerConfig) {
    this.running = running;
    this.config = config;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.running.port}/v1/ws`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.running.port}`;
  }

  get port(): number {
    return this.running.port;
  }

  get counters(): RunningServer['counters'] {
    return this.running.counters;
  }

  /** A token that this server accepts for the next ten minutes. */
  token(uid: number): string {
    return mintToken({ uid, key: JWT_KEY, algorithm: 'HS256', lifetimeS: 600 });
  }

  /** Stops the server; `withServer` does it too. */
  drain(): Promise<boolean> {
    return this.running.drain();
  }
}

/** The settings of a test as the server would load them. Throws when they are wrong. */
export function testConfig(
  settings: Readonly<Record<string, unknown>> = {},
): ServerConfig & { readonly jwtKey: string } {
  const config = loadServerConfig({
    flags: { host: '127.0.0.1', port: 0, jwtKey: JWT_KEY, store: 'memory', ...settings },
    environment: {},
    file: undefined,
  });
  if ('mistakes' in config) throw new Error(config.mistakes.join('\n'));
  return { ...config, jwtKey: config.jwtKey ?? JWT_KEY };
}

/** Runs `use` with a server that is drained afterwards, whatever happened. */
export async function withServer(
  options: TestServerOptions,
  use: (server: TestServer) => Promise<void>,
): Promise<void> {
  await withTempDir(async (directory) => {
    const config = testConfig(options.settings);
    const server = await startServer({
      config,
      store: openStore(options.store ?? 'memory', config, directory),
      closeGraceMs: 5, // clients in this process have sent all that they want to send
      ...(options.expirySweepMs === undefined ? {} : { expirySweepMs: options.expirySweepMs }),
    });
    try {
      await use(new TestServer(server, config));
    } finally {
      await server.drain();
    }
  });
}

function openStore(
  store: NonNullable<TestServerOptions['store']>,
  config: ServerConfig,
  directory: string,
): Store {
  if (store === 'memory') return createMemoryStore({ limits: config });
  if (store === 'lmdb') return openLmdbStore({ path: join(directory, 'store'), limits: config });
  return store(config);
}
