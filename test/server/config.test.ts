/** Settings: where they come from, in which order, and what is refused. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  environmentOf,
  flagOf,
  isLoopback,
  loadServerConfig,
  type ServerConfig,
  SETTING_NAMES,
} from '../../server/config.ts';
import { withTempDir } from '../support/temp-dir.ts';

type Settings = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string>>;

function load(flags: Settings, environment: Environment = {}, file?: string): ServerConfig {
  const config = loadServerConfig({ flags, environment, file });
  if ('mistakes' in config) throw new Error(config.mistakes.join('\n'));
  return config;
}

function mistakes(flags: Settings, environment: Environment = {}, file?: string): string[] {
  const config = loadServerConfig({ flags, environment, file });
  assert.ok('mistakes' in config, 'the settings were accepted');
  return config.mistakes;
}

/** Runs `use` with the path of a file that holds `text`. */
async function withFile(
  name: string,
  text: string,
  use: (path: string) => void | Promise<void>,
): Promise<void> {
  await withTempDir(async (directory) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    await use(path);
  });
}

const test = suite('settings');

test('has a default for everything, the documented ones', () => {
  assert.equal(load({}), {
    host: '127.0.0.1',
    port: 9400,
    policy: 'relay',
    store: 'lmdb',
    dataDir: 'ackbench-data',
    jwtAlgorithm: 'HS256',
    contentMaxBytes: 16_384,
    inboxMaxMessages: 10_000,
    inboxMaxBytes: 16 * 1024 * 1024,
    pageMaxMessages: 10_000,
    pageMaxBytes: 1024 * 1024,
    packetsPerSec: 20_000,
    packetsBurst: 40_000,
    connectionsMax: 100_000,
    pendingMax: 100_000,
    idleTimeoutS: 60,
    backpressureMaxBytes: 4 * 1024 * 1024,
    drainTimeoutS: 10,
    logLevel: 'info',
  });
});

test('prefers flags to the environment, that to the file, and that to the default', async () => {
  await withFile('settings.yaml', 'port: 1\nhost: localhost\nstore: memory\n', (file) => {
    const environment = { ACKBENCH_PORT: '2', ACKBENCH_HOST: '127.0.0.2' };
    const config = load({ port: '3' }, environment, file);
    assert.equal(
      [config.port, config.host, config.store, config.policy],
      [3, '127.0.0.2', 'memory', 'relay'],
    );
  });
});

test('ignores flags that were not given', () => {
  assert.is(load({ port: undefined }, { ACKBENCH_PORT: '2' }).port, 2);
});

test('reads JSON as well as YAML', async () => {
  await withFile('settings.json', '{"port": 7, "policy": "durable"}', (file) => {
    const { port, policy } = load({}, {}, file);
    assert.equal([port, policy], [7, 'durable']);
  });
});

test('lists every mistake of every source at once', async () => {
  await withFile('settings.yaml', 'port: many\nprot: 1\n', (file) => {
    const all = mistakes(
      { policy: 'strict', tlsCert: 'cert.pem', host: '0.0.0.0' },
      { ACKBENCH_CONTENT_MAX_BYTES: '-5' },
      file,
    );
    assert.is(all.length, 6, all.join('\n'));
    const found = [
      /^--port: must be a whole number from 0 to 65535$/,
      /^--policy: .*"relay"\|"durable"/,
      /^--content-max-bytes: must be a whole number/,
      /Unrecognized key: "prot"/,
      /^--tls-cert: tlsCert and tlsKey go together$/,
      /^--jwt-key: without a key .* loopback only, not on 0\.0\.0\.0/,
    ];
    for (const pattern of found) {
      assert.ok(
        all.some((mistake) => pattern.test(mistake)),
        `${pattern} is not in\n${all.join('\n')}`,
      );
    }
  });
});

test('refuses a file that is missing, broken, or no map, and still checks the rest', async () => {
  const missing = mistakes({ port: 'x' }, {}, '/nonexistent/settings.yaml');
  assert.is(missing.length, 2);
  assert.match(missing[0]!, /^\/nonexistent\/settings\.yaml: ENOENT/);
  for (const text of ['', '- port\n', 'port', '42', 'null', '{"port": 1', 'a: b: c']) {
    await withFile('settings.yaml', text, (file) => {
      const all = mistakes({}, {}, file);
      assert.is(all.length, 1, JSON.stringify(text));
      assert.ok(all[0]!.startsWith(`${file}: `), all[0]);
    });
  }
});

test('takes only digits for a number: nothing empty or odd becomes 0, "no limit"', async () => {
  for (const value of ['', ' ', '1e3', '0x10', '1.5', '-1', '+1', 'NaN', true, null, [5], {}]) {
    assert.is(mistakes({ packetsPerSec: value }).length, 1, JSON.stringify(value));
  }
  assert.is(mistakes({}, { ACKBENCH_PACKETS_PER_SEC: '' }).length, 1);
  await withFile('settings.yaml', 'packetsPerSec:\n', (file) => {
    assert.is(mistakes({}, {}, file).length, 1);
  });
  assert.is(load({ packetsPerSec: '0' }).packetsPerSec, 0);
  assert.is(load({ packetsPerSec: 25_000 }).packetsPerSec, 25_000);
});

test('keeps numbers in their range', () => {
  for (const [name, low, high] of [
    ['port', -1, 65_536],
    ['idleTimeoutS', 7, 961],
    ['contentMaxBytes', 0, 1_048_577],
    ['inboxMaxMessages', 0, 10_000_001],
    ['drainTimeoutS', 0, 601],
  ] as const) {
    for (const value of [low, high]) {
      const all = mistakes({ [name]: value });
      assert.ok(all[0]!.startsWith(`${flagOf(name)}: must be`), all[0]);
    }
  }
});

test('without a key listens on loopback only', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) {
    assert.ok(isLoopback(host), host);
    assert.is(load({ host }).host, host);
  }
  const open = ['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.0.0.1.example.org', ' 127.0.0.1'];
  for (const host of open) {
    assert.not(isLoopback(host), host);
    assert.match(mistakes({ host })[0]!, 'loopback only');
    assert.is(load({ host, jwtKey: 'k' }).host, host);
    assert.is(load({ host, jwtKeyFile: 'k.pem' }).host, host);
  }
});

test('refuses settings that do not go together', () => {
  const cases: [Settings, RegExp][] = [
    [{ tlsCert: 'c' }, /tlsCert and tlsKey go together/],
    [{ tlsKey: 'k' }, /tlsCert and tlsKey go together/],
    [{ jwtKey: 'k', jwtKeyFile: 'f' }, /exclude each other/],
    [{ jwtAlgorithm: 'RS256' }, /needs a public key/],
    [{ packetsPerSec: 1_000_000, packetsBurst: 100 }, /at least 10 ms/],
    [{ pageMaxBytes: 4_000_000 }, /two pages/],
    [{ pageMaxBytes: 1000 }, /one message/],
  ];
  for (const [settings, pattern] of cases) {
    const all = mistakes(settings);
    assert.is(all.length, 1, all.join('\n'));
    assert.match(all[0]!, pattern);
  }
});

test('has one flag and one variable per setting, spelled alike', () => {
  assert.is(flagOf('contentMaxBytes'), '--content-max-bytes');
  assert.is(environmentOf('idleTimeoutS'), 'ACKBENCH_IDLE_TIMEOUT_S');
  assert.is(new Set(SETTING_NAMES.map(flagOf)).size, SETTING_NAMES.length);
  for (const name of SETTING_NAMES) {
    const all = mistakes({}, { [environmentOf(name)]: '' });
    assert.ok(
      all.some((mistake) => mistake.startsWith(`${flagOf(name)}: `)),
      name,
    );
  }
});

test.run();
