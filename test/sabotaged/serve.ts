/**
 * `node test/sabotaged/serve.ts --sabotage NAME [--sabotage-rate P] [--sabotage-seed N]` and the flags
 * and environment of `ackbench serve`: the reference server with one planted bug, or with none.
 *
 * Like `serve` it says `listening` and its url in a JSON line on stdout, and ends at SIGTERM, at
 * SIGINT, or with its stdin when ACKBENCH_STOP_WITH_STDIN is 1. Exit codes: 0, 2 for wrong settings.
 */
import { parseArgs } from 'node:util';
import { ExitCode } from '../../protocol/index.ts';
import {
  createMemoryStore,
  loadServerConfig,
  openLmdbStore,
  type ServerConfig,
  startServer,
} from '../../server/index.ts';
import { flagOf, SETTING_NAMES } from '../../server/config.ts';
import type { Plan } from './gateways.ts';
import { NO_SABOTAGE, type Sabotage, SABOTAGES, sabotageOf } from './sabotages.ts';

interface Order {
  readonly sabotage: Sabotage | null;
  readonly plan: Plan;
  readonly config: ServerConfig & { readonly jwtKey: string };
}

/** Everything that the command line asks for, or all mistakes in it. */
function parseOrder(argv: readonly string[]): Order | { mistakes: string[] } {
  const text = { type: 'string' } as const;
  const own = ['sabotage', 'sabotage-rate', 'sabotage-seed', 'config'];
  const names = [...own, ...SETTING_NAMES.map((name) => flagOf(name).slice(2))];
  let values: Readonly<Record<string, string | undefined>>;
  try {
    const options = Object.fromEntries(names.map((name) => [name, text]));
    ({ values } = parseArgs({ args: [...argv], options }));
  } catch (error) {
    return { mistakes: [(error as Error).message] };
  }
  const mistakes: string[] = [];
  const sabotage = sabotageOf(values['sabotage'] ?? '');
  if (sabotage === undefined) {
    const known = [NO_SABOTAGE, ...SABOTAGES.map(({ name }) => name)].join(', ');
    mistakes.push(`--sabotage: one of ${known}`);
  }
  const rate = Number(values['sabotage-rate'] ?? sabotage?.rate ?? 0);
  if (!(rate >= 0 && rate <= 1)) mistakes.push('--sabotage-rate: must be between 0 and 1');
  const seed = Number(values['sabotage-seed'] ?? 1);
  if (!Number.isSafeInteger(seed)) mistakes.push('--sabotage-seed: must be a whole number');
  const config = loadServerConfig({
    flags: Object.fromEntries(SETTING_NAMES.map((name) => [name, values[flagOf(name).slice(2)]])),
    environment: process.env,
    file: values['config'],
  });
  if ('mistakes' in config) mistakes.push(...config.mistakes);
  else if (config.jwtKey === undefined) mistakes.push('--jwt-key: give the key of the clients');
  if (mistakes.length > 0 || sabotage === undefined || 'mistakes' in config) return { mistakes };
  return { sabotage, plan: { rate, seed }, config: { ...config, jwtKey: config.jwtKey ?? '' } };
}

async function serve({ sabotage, plan, config }: Order): Promise<void> {
  const store =
    config.store === 'memory'
      ? createMemoryStore({ limits: config })
      : openLmdbStore({ path: config.dataDir, limits: config });
  const makeGateway = sabotage?.makeGateway;
  const server = await startServer({
    config,
    store: sabotage?.wrapStore?.(store, plan) ?? store,
    ...(makeGateway && { makeGateway: (options) => makeGateway(options, plan) }),
  });
  const url = `ws://${config.host}:${server.port}/v1/ws`;
  const sabotaged = sabotage?.does ?? NO_SABOTAGE;
  process.stdout.write(
    `${JSON.stringify({ msg: 'listening', url, port: server.port, sabotaged, ...plan })}\n`,
  );
  const stop = (): void => {
    void server.drain().then((isDrained) => {
      process.exit(isDrained ? ExitCode.Pass : ExitCode.Failed);
    });
  };
  if (process.env['ACKBENCH_STOP_WITH_STDIN'] === '1') process.stdin.on('end', stop).resume();
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

const order = parseOrder(process.argv.slice(2));
if ('mistakes' in order) {
  for (const mistake of order.mistakes) process.stderr.write(`sabotaged: ${mistake}\n`);
  process.exitCode = ExitCode.Usage;
} else {
  await serve(order);
}
