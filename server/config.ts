/**
 * Configuration of the server: what can be set, its defaults and limits, and where it comes from:
 * flags, then ACKBENCH_* in the environment, then a YAML or JSON file, then the default.
 * All mistakes are reported at once.
 */
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Policy } from '../protocol/index.ts';
import { JWT_ALGORITHMS } from './auth.ts';

/** Flags and the environment give text. Only digits: `Number('')` would make 0, often "no limit". */
const whole = (min: number, max: number) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
    z
      .number(`must be a whole number from ${min} to ${max}`)
      .int(`must be a whole number from ${min} to ${max}`)
      .min(min, `must be at least ${min}`)
      .max(max, `must be at most ${max}`),
  );

const Settings = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('address to listen on'),
  port: whole(0, 65535).default(9400).describe('port; 0 picks a free one'),
  policy: z
    .enum([Policy.Relay, Policy.Durable])
    .default(Policy.Relay)
    .describe('relay: online messages are not stored; durable: stored before msg:A'),
  store: z.enum(['lmdb', 'memory']).default('lmdb').describe('offline store'),
  dataDir: z.string().min(1).default('ackbench-data').describe('directory of the lmdb store'),
  jwtKey: z.string().min(1).optional().describe('JWT secret (HS256) or public key in PEM'),
  jwtKeyFile: z.string().min(1).optional().describe('file that holds the JWT key'),
  jwtAlgorithm: z.enum(JWT_ALGORITHMS).default('HS256').describe('the only accepted algorithm'),
  tlsCert: z.string().min(1).optional().describe('certificate chain in PEM; needs --tls-key'),
  tlsKey: z.string().min(1).optional().describe('private key in PEM; needs --tls-cert'),
  contentMaxBytes: whole(1, 1_048_576).default(16_384).describe('largest content of a message'),
  inboxMaxMessages: whole(1, 10_000_000).default(10_000).describe('messages per inbox'),
  inboxMaxBytes: whole(1, 2 ** 40)
    .default(16_777_216)
    .describe('bytes of content per inbox'),
  pageMaxMessages: whole(1, 100_000).default(10_000).describe('largest page in messages'),
  pageMaxBytes: whole(1, 67_108_864).default(1_048_576).describe('largest page in bytes'),
  packetsPerSec: whole(0, 10_000_000)
    .default(20_000)
    .describe('packets per second per connection; 0 = unlimited'),
  packetsBurst: whole(1, 10_000_000).default(40_000).describe('packets at once per connection'),
  connectionsMax: whole(1, 10_000_000).default(100_000).describe('open connections'),
  // A pull that acknowledges takes two at once, and messages leave it that room.
  pendingMax: whole(3, 10_000_000).default(100_000).describe('store operations in flight'),
  idleTimeoutS: whole(8, 960).default(60).describe('a silent connection is pinged, then closed'),
  backpressureMaxBytes: whole(65_536, 2 ** 30)
    .default(4_194_304)
    .describe('unsent bytes per connection before it is closed'),
  drainTimeoutS: whole(1, 600).default(10).describe('how long SIGTERM waits for commits'),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('level of the JSON log on stdout'),
});
export type ServerConfig = z.infer<typeof Settings>;

export const ServerConfig = Settings.superRefine(crossCheck, { when: () => true });

/** What must fit together. Runs beside other mistakes too, so a value here may be a wrong one. */
function crossCheck(config: ServerConfig, context: z.RefinementCtx): void {
  const mistake = (path: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [path], message });
  };
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    mistake('tlsCert', 'tlsCert and tlsKey go together');
  }
  if (config.jwtKey !== undefined && config.jwtKeyFile !== undefined) {
    mistake('jwtKey', 'jwtKey and jwtKeyFile exclude each other');
  }
  const hasKey = config.jwtKey !== undefined || config.jwtKeyFile !== undefined;
  if (!hasKey && !isLoopback(config.host)) {
    mistake(
      'jwtKey',
      `without a key the server listens on loopback only, not on ${config.host}; give --jwt-key-file`,
    );
  }
  if (!hasKey && config.jwtAlgorithm !== 'HS256') {
    mistake('jwtKey', `${config.jwtAlgorithm} needs a public key; give --jwt-key-file`);
  }
  if (config.packetsPerSec > 0 && config.packetsBurst < config.packetsPerSec / 100) {
    mistake('packetsBurst', 'must hold at least 10 ms of packetsPerSec');
  }
  if (config.backpressureMaxBytes < 2 * config.pageMaxBytes) {
    mistake('backpressureMaxBytes', 'must hold two pages of pageMaxBytes');
  }
  if (config.pageMaxBytes < config.contentMaxBytes) {
    mistake('pageMaxBytes', 'must hold one message of contentMaxBytes');
  }
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** The names of all settings, in the order of the help. */
export const SETTING_NAMES = Object.keys(Settings.shape) as (keyof ServerConfig)[];

/** `contentMaxBytes` -> `--content-max-bytes`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `contentMaxBytes` -> `ACKBENCH_CONTENT_MAX_BYTES`. */
export function environmentOf(name: string): string {
  return `ACKBENCH_${flagOf(name).slice(2).replaceAll('-', '_').toUpperCase()}`;
}

/**
 * Merges the sources and validates. Returns the mistakes, all of them, when there are any.
 * `file` is the path of a YAML or JSON file of settings.
 */
export function loadServerConfig(sources: {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: string | undefined;
}): ServerConfig | { readonly mistakes: string[] } {
  const merged: Record<string, unknown> = {};
  const mistakes: string[] = [];
  if (sources.file !== undefined) {
    try {
      const parsed: unknown = parseYaml(readFileSync(sources.file, 'utf8'));
      const isMap = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
      if (isMap) Object.assign(merged, parsed);
      else mistakes.push(`${sources.file}: must be a map of settings`);
    } catch (error) {
      mistakes.push(`${sources.file}: ${(error as Error).message}`);
    }
  }
  for (const name of SETTING_NAMES) {
    const value = sources.environment[environmentOf(name)];
    if (value !== undefined) merged[name] = value;
  }
  for (const [name, value] of Object.entries(sources.flags)) {
    if (value !== undefined) merged[name] = value;
  }
  const result = ServerConfig.safeParse(merged);
  if (!result.success) {
    for (const issue of result.error.issues) {
      const name = issue.path.join('.');
      mistakes.push(name === '' ? issue.message : `${flagOf(name)}: ${issue.message}`);
    }
  }
  if (mistakes.length > 0 || !result.success) return { mistakes };
  return result.data;
}
