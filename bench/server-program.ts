/**
 * How a server under test is started: the reference server of some checkout, or any command.
 *
 * A command is told where to listen through its environment, and through the same in braces:
 * `{port}` ACKBENCH_PORT, `{jwtKey}` ACKBENCH_JWT_KEY (HS256), `{dataDir}` ACKBENCH_DATA_DIR (empty,
 * removed afterwards), `{policy}` ACKBENCH_POLICY. It is ready when 127.0.0.1:port takes a connection,
 * is stopped with SIGTERM, and its CPU is that of all the processes it started.
 */
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { CLI_FILE } from './package-root.ts';

export type ServerProgram =
  | { readonly kind: 'reference'; readonly cliFile: string }
  | { readonly kind: 'command'; readonly command: string };

/** The reference server of this checkout or package. */
export const OWN_SERVER: ServerProgram = { kind: 'reference', cliFile: CLI_FILE };

/** The reference server of another checkout. */
export function referenceOf(directory: string): ServerProgram {
  return { kind: 'reference', cliFile: path.join(directory, 'bin/ackbench.mjs') };
}

export interface CommandPlace {
  readonly port: number;
  readonly jwtKey: string;
  readonly dataDir: string;
  readonly policy: string;
}

/** The command with its braces filled in, and the environment that says the same. */
export function fillCommand(
  command: string,
  { port, jwtKey, dataDir, policy }: CommandPlace,
): { text: string; environment: Record<string, string> } {
  const values: Readonly<Record<string, string>> = { port: String(port), jwtKey, dataDir, policy };
  return {
    text: command.replace(
      /\{(port|jwtKey|dataDir|policy)\}/g,
      (_, name: string) => values[name] as string,
    ),
    environment: {
      ACKBENCH_PORT: String(port),
      ACKBENCH_JWT_KEY: jwtKey,
      ACKBENCH_DATA_DIR: dataDir,
      ACKBENCH_POLICY: policy,
    },
  };
}

/** Whether nobody listens on 127.0.0.1:`port`. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });
}

const ASK_AGAIN_MS = 10;

/** Resolves once 127.0.0.1:`port` takes a connection; never, when it does not: race it. */
export async function takesConnections(port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}
