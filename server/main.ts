/**
 * `ackbench serve` and `ackbench token`: flags in, a running server or a token out.
 *
 * stdout carries the JSON log; its line `listening` holds the url and is what starts a client.
 * Exit codes: 0 after a drain, 2 for wrong settings, 3 when the environment does not fit, 70 a bug.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { pino } from 'pino';
import { z } from 'zod';
import { ExitCode, UID_MAX } from '../protocol/index.ts';
import { createAuthenticator, JWT_ALGORITHMS, type JwtAlgorithm, mintToken } from './auth.ts';
import { environmentOf, flagOf, loadServerConfig, ServerConfig, SETTING_NAMES } from './config.ts';
import { startServer } from './server.ts';
import { openLmdbStore } from './stores/lmdb-store.ts';
import { createMemoryStore } from './stores/memory-store.ts';
import type { Store } from './stores/store.ts';

/** Prints every mistake and ends the process with exit code 2. */
function usage(command: string, mistakes: readonly string[]): never {
  for (const mistake of mistakes) process.stderr.write(`${command}: ${mistake}\n`);
  process.stderr.write(`Run with --help to see all settings.\n`);
  process.exit(ExitCode.Usage);
}

function fail(message: string, code: ExitCode): never {
  process.stderr.write(`serve: ${message}\n`);
  process.exit(code);
}

/** Parses flags leniently, so that unknown ones can be reported together with all else. */
function parseFlags(command: Command, argv: readonly string[]): string[] {
  const mistakes: string[] = [];
  command.allowUnknownOption().allowExcessArguments().exitOverride();
  command.configureOutput({ writeErr: () => {} });
  try {
    command.parse(argv, { from: 'user' });
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    if (code === 'commander.helpDisplayed') process.exit(ExitCode.Pass);
    mistakes.push(message.replace(/^error: /, ''));
    if (code === 'commander.optionMissingArgument') {
      // Only the last word can miss its value; the others may hold mistakes too.
      return [...mistakes, ...parseFlags(command, argv.slice(0, -1))];
    }
  }
  for (const word of command.args) {
    mistakes.push(word.startsWith('-') ? `unknown flag ${word}` : `unexpected word ${word}`);
  }
  return mistakes;
}

async function serve(argv: readonly string[]): Promise<void> {
  const command = new Command('ackbench serve').description(
    'Runs the reference server. Settings: flags > ACKBENCH_* > file > default.',
  );
  command.option('--config <file>', 'YAML or JSON file of settings');
  for (const name of SETTING_NAMES) {
    const schema = ServerConfig.shape[name];
    const fallback: unknown = schema.safeParse(undefined).data;
    const isShown = fallback !== undefined;
    command.addOption(
      new Option(
        `${flagOf(name)} <value>`,
        `${schema.description ?? ''}${isShown ? ` (default ${String(fallback)})` : ''} [${environmentOf(name)}]`,
      ),
    );
  }
  const mistakes = parseFlags(command, argv);
  const { config: file, ...flags } = command.opts<Record<string, string | undefined>>();
  const loaded = loadServerConfig({ flags, environment: process.env, file });
  if ('mistakes' in loaded) mistakes.push(...loaded.mistakes);
  if (mistakes.length > 0 || 'mistakes' in loaded) usage('serve', mistakes);
  await run(loaded);
}

async function run(config: ServerConfig): Promise<void> {
  // Not pino's own writer: when whoever read the log is gone it tries again for ever (seen with
  // SIGKILL of the runner), and the process never ends.
  process.stdout.on('error', () => {});
  const log = pino(
    { level: config.logLevel, base: { pid: process.pid } },
    { write: (line) => void process.stdout.write(line) },
  );
  const jwtKey = keyOf(config);
  try {
    createAuthenticator({ algorithm: config.jwtAlgorithm, key: jwtKey });
  } catch (error) {
    fail(`--jwt-key: ${(error as Error).message}`, ExitCode.Usage);
  }
  const limits = config;
  let store: Store;
  try {
    store =
      config.store === 'memory'
        ? createMemoryStore({ limits })
        : openLmdbStore({
            path: config.dataDir,
            limits,
            onError: (error) => log.error({ err: error }, 'the store failed'),
          });
  } catch (error) {
    fail((error as Error).message, ExitCode.Invalid);
  }
  const server = await startServer({ config: { ...config, jwtKey }, store }).catch(
    async (error: unknown) => {
      await store.close();
      fail((error as Error).message, ExitCode.Invalid);
    },
  );
  const scheme = config.tlsCert === undefined ? 'ws' : 'wss';
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const url = `${scheme}://${host}:${server.port}/v1/ws`;
  const summary = { url, port: server.port, policy: config.policy, store: store.kind };
  log.info({ ...summary, survives: store.survives }, 'listening');
  if (store.kind === 'memory') log.warn('the memory store forgets every message when it stops');

  const stop = async (signal: string): Promise<void> => {
    log.info({ signal }, 'draining');
    const isDrained = await server.drain();
    if (isDrained) log.info('drained');
    else log.error('commits were still in flight at the drain timeout; senders will retransmit');
    process.exit(isDrained ? ExitCode.Pass : ExitCode.Failed);
  };
  if (process.env['ACKBENCH_STOP_WITH_STDIN'] === '1') {
    // A runner started this server: it must not outlive it.
    process.stdin.on('end', () => void stop('end of stdin')).resume();
  }
  process.once('SIGTERM', () => void stop('SIGTERM'));
  process.once('SIGINT', () => void stop('SIGINT'));
}

/** The configured key, or a random one that is printed (loopback only: the config checks that). */
function keyOf(config: ServerConfig): string {
  if (config.jwtKey !== undefined) return config.jwtKey;
  if (config.jwtKeyFile !== undefined) {
    try {
      return readFileSync(config.jwtKeyFile, 'utf8').trim();
    } catch (error) {
      fail(`--jwt-key-file: ${(error as Error).message}`, ExitCode.Usage);
    }
  }
  const key = randomBytes(32).toString('hex');
  process.stderr.write(
    `serve: no JWT key configured; using a random one for this run.\n` +
      `serve: mint a token with: npm run token -- --uid 1 --jwt-key ${key}\n`,
  );
  return key;
}

const TokenSettings = z.strictObject({
  uid: z.coerce.number().int().min(1).max(UID_MAX),
  jwtKey: z.string().min(1).optional(),
  jwtKeyFile: z.string().min(1).optional(),
  jwtAlgorithm: z.enum(JWT_ALGORITHMS).default('HS256'),
  lifetimeS: z.coerce.number().int().min(1).max(315_360_000).default(3600),
});

function token(argv: readonly string[]): void {
  const command = new Command('ackbench token').description('Mints a token for a uid.');
  command
    .option('--uid <uid>', 'the user')
    .option('--jwt-key <key>', 'secret (HS256) or private key in PEM [ACKBENCH_JWT_KEY]')
    .option('--jwt-key-file <file>', 'file that holds the key [ACKBENCH_JWT_KEY_FILE]')
    .option('--jwt-algorithm <name>', 'HS256, RS256 or EdDSA (default HS256)')
    .option('--lifetime-s <seconds>', 'validity (default 3600)');
  const mistakes = parseFlags(command, argv);
  const flags = command.opts<Record<string, string>>();
  const parsed = TokenSettings.safeParse({
    jwtKey: process.env['ACKBENCH_JWT_KEY'],
    jwtKeyFile: process.env['ACKBENCH_JWT_KEY_FILE'],
    jwtAlgorithm: process.env['ACKBENCH_JWT_ALGORITHM'],
    ...flags,
  });
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      mistakes.push(`${flagOf(issue.path.join('.'))}: ${issue.message}`);
    }
  } else if (parsed.data.jwtKey === undefined && parsed.data.jwtKeyFile === undefined) {
    mistakes.push('give --jwt-key or --jwt-key-file: the key of the server');
  }
  if (mistakes.length > 0 || !parsed.success) usage('token', mistakes);
  const { uid, jwtKey, jwtKeyFile, jwtAlgorithm, lifetimeS } = parsed.data;
  try {
    const key = jwtKey ?? readFileSync(jwtKeyFile as string, 'utf8').trim();
    const algorithm: JwtAlgorithm = jwtAlgorithm;
    process.stdout.write(`${mintToken({ uid, key, algorithm, lifetimeS })}\n`);
  } catch (error) {
    usage('token', [(error as Error).message]);
  }
}

/** Entry of the bin: `name` is `serve` or `token`. */
export async function main(name: 'serve' | 'token', argv: readonly string[]): Promise<void> {
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${name}: this is a bug of ackbench: ${error.stack ?? error.message}\n`);
    process.exit(ExitCode.Bug);
  });
  if (name === 'serve') await serve(argv);
  else token(argv);
}
