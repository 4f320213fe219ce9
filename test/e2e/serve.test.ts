/**
 * `ackbench serve` and `ackbench token` as real processes: starting, stopping in every way, and the
 * exit code and words for every mistake.
 */
// deadline: 120s
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { msgR, Stranger, StrangerUser } from '../support/stranger.ts';
import { withTempDir } from '../support/temp-dir.ts';

const BIN = fileURLToPath(new URL('../../bin/ackbench.mjs', import.meta.url));
const KEY = 'the-key-of-this-test';
const A = 1001;
const B = 2002;

/** The environment without settings of whoever runs the tests. */
const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !name.startsWith('ACKBENCH_') || name === 'ACKBENCH_TEST_FILE',
  ),
);

interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: 'pipe' | 'ignore';
}

/** A command that runs; killed at the end of the test when it still does. */
class Command {
  readonly child: ChildProcess;
  readonly exit: Promise<Exit>;
  /** The log line `listening`. Rejects with what was printed when the process ends before. */
  readonly listening: Promise<{ readonly url: string; readonly port: number }>;

  constructor(argv: readonly string[], { environment = {}, stdin = 'ignore' }: RunOptions = {}) {
    this.child = spawn(process.execPath, [BIN, ...argv], {
      stdio: [stdin, 'pipe', 'pipe'],
      env: { ...ENVIRONMENT, ...environment },
    });
    let stdout = '';
    let stderr = '';
    const stream = this.child.stdout as Readable;
    stream.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    this.exit = once(this.child, 'close').then(([code, signal]) => {
      return { code, signal, stdout, stderr } as Exit;
    });
    this.listening = Promise.race([
      listeningLine(stream),
      this.exit.then((exit): never => {
        throw new Error(`ended before it listened: ${JSON.stringify(exit)}`);
      }),
    ]);
    this.listening.catch(() => {}); // a test of a mistake does not wait for it
  }
}

function listeningLine(stdout: Readable): Promise<{ url: string; port: number }> {
  return new Promise((resolve) => {
    createInterface({ input: stdout }).on('line', (line) => {
      if (line.includes('"listening"')) resolve(JSON.parse(line) as { url: string; port: number });
    });
  });
}

const commands: Command[] = [];

function start(argv: readonly string[], options?: RunOptions): Command {
  const command = new Command(argv, options);
  commands.push(command);
  return command;
}

/** A server on a free port, with the key of this test. */
function serve(argv: readonly string[] = [], options?: RunOptions): Command {
  const withPort = argv.includes('--port') ? argv : ['--port', '0', ...argv];
  const store = argv.includes('--data-dir') ? [] : ['--store', 'memory'];
  return start(['serve', '--jwt-key', KEY, ...store, ...withPort], options);
}

/** Runs a command that ends by itself. */
function run(argv: readonly string[], options?: RunOptions): Promise<Exit> {
  return start(argv, options).exit;
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** A token made here: a process for each is slow, and the token command has tests of its own. */
function mint(uid: number): string {
  const claims = { sub: String(uid), exp: Math.floor(Date.now() / 1000) + 600 };
  const text = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
}

function connect(url: string, uid: number): Promise<Stranger> {
  return Stranger.connect(url, { token: mint(uid) });
}

/**
 * A free port that is named, not 0: only then does uWebSockets.js set SO_REUSEADDR, without which
 * the port is not free while connections to it are in TIME_WAIT. Below the ports of clients.
 */
async function namedPort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
}

/** Sends messages to B, who is offline, until `stop`; knows which were confirmed as stored. */
class Flood {
  readonly stored = new Set<number>();
  private readonly a: Stranger;
  private seq = 0;
  private onStored: () => void = () => {};

  constructor(a: Stranger) {
    this.a = a;
    a.onPacket = (answer) => {
      a.unread.length = 0;
      if (answer.name !== 'ack:N') return;
      assert.is(answer.confirmation, 'stored');
      this.stored.add(answer.seq);
      this.send(); // a window that stays full
      this.onStored();
    };
    for (let i = 0; i < 500; i++) this.send();
  }

  /** Resolves when so many are confirmed. */
  reaches(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.onStored = () => this.stored.size >= count && resolve();
      this.onStored();
    });
  }

  private send(): void {
    const seq = ++this.seq;
    if (this.a.ws.readyState !== this.a.ws.OPEN) return;
    this.a.send(msgR({ receiver: B, seq, content: `m${seq}` }));
  }
}

/** Pulls the inbox of B and checks that every confirmed message is there, once. */
async function checkInbox(url: string, stored: ReadonlySet<number>): Promise<void> {
  const b = await connect(url, B);
  const user = new StrangerUser();
  await user.drain(b);
  const log = new Set(user.log);
  assert.is(user.repeats, 0);
  const missing = [...stored].filter((seq) => !log.has(`m${seq}`));
  assert.equal(missing, [], `of ${stored.size} confirmed`);
}

const test = suite('serve');

test.after.each(async () => {
  for (const { child } of commands) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
  await Promise.all(commands.splice(0).map((command) => command.exit));
});

test('on SIGTERM finishes commits, closes with 1012, exits 0 and frees the port', async () => {
  await withTempDir(async (dataDir) => {
    const port = await namedPort();
    const argv = ['--data-dir', dataDir, '--port', String(port)];
    const server = serve(argv);
    const { url } = await server.listening;
    const a = await connect(url, A);
    const idle = await connect(url, 7);
    const flood = new Flood(a);
    await flood.reaches(500);
    server.child.kill('SIGTERM');
    assert.equal(await idle.closed, { code: 1012, reason: 'service-restart' });
    // Whoever sends at that moment may be reset before it has read the close frame.
    assert.ok([1012, 1006].includes((await a.closed).code));
    const { code, stderr, stdout } = await server.exit;
    assert.equal([code, stderr], [0, '']);
    assert.match(stdout, '"drained"');
    assert.ok(await isFree(port));

    const again = serve(argv);
    await checkInbox((await again.listening).url, flood.stored);
  });
});

test('on Ctrl-C does the same', async () => {
  const server = serve();
  const a = await connect((await server.listening).url, A);
  server.child.kill('SIGINT');
  assert.is((await a.closed).code, 1012);
  assert.is((await server.exit).code, 0);
});

for (const policy of ['relay', 'durable']) {
  test(`after kill -9 still has every message that it confirmed (${policy})`, async () => {
    await withTempDir(async (dataDir) => {
      const port = String(await namedPort());
      const argv = ['--data-dir', dataDir, '--policy', policy, '--port', port];
      const server = serve(argv);
      const { url } = await server.listening;
      const flood = new Flood(await connect(url, A));
      await flood.reaches(1000);
      server.child.kill('SIGKILL');
      assert.is((await server.exit).signal, 'SIGKILL');
      const again = serve(argv);
      await checkInbox((await again.listening).url, flood.stored);
    });
  });
}

test('stops when its stdin ends, if a runner asked for that', async () => {
  const options: RunOptions = { stdin: 'pipe', environment: { ACKBENCH_STOP_WITH_STDIN: '1' } };
  const server = serve([], options);
  const a = await connect((await server.listening).url, A);
  server.child.stdin?.end();
  assert.is((await a.closed).code, 1012);
  assert.is((await server.exit).code, 0);
});

test('does not outlive the runner that started it, even one that was killed', async () => {
  // Descriptor 3 goes through the runner into the server: it ends when the last of them has.
  const script = `
    const { spawn } = require('node:child_process');
    const argv = JSON.parse(process.argv[1]);
    const stdio = ['pipe', 'pipe', 'inherit', 3];
    spawn(process.execPath, argv, { stdio }).stdout.pipe(process.stdout);`;
  const port = await namedPort();
  const argv = [BIN, 'serve', '--jwt-key', KEY, '--port', String(port), '--store', 'memory'];
  const runner = spawn(process.execPath, ['-e', script, JSON.stringify(argv)], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    env: { ...ENVIRONMENT, ACKBENCH_STOP_WITH_STDIN: '1' },
  });
  const { url } = await listeningLine(runner.stdout as Readable);
  const a = await connect(url, A);
  const allGone = once((runner.stdio[3] as Readable).resume(), 'end');
  runner.kill('SIGKILL');
  assert.is((await a.closed).code, 1012);
  await allGone;
  assert.ok(await isFree(port));
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
if (!hasOpenssl) process.stdout.write('openssl is not installed: the TLS test is skipped\n');
const tlsTest = hasOpenssl ? test : test.skip;

/** Writes a certificate for 127.0.0.1 and its key. */
function selfSigned(directory: string, name: string): { cert: string; key: string } {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  const request = ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const address = ['-addext', 'subjectAltName=IP:127.0.0.1'];
  const out = ['-keyout', key, '-out', cert];
  const { status, stderr } = spawnSync('openssl', [...request, ...curve, ...address, ...out]);
  assert.is(status, 0, String(stderr));
  return { cert, key };
}

tlsTest(
  'serves wss and https with a certificate, and says what is wrong with a bad one',
  async () => {
    await withTempDir(async (directory) => {
      const { cert, key } = selfSigned(directory, 'one');
      const other = selfSigned(directory, 'two');
      const server = serve(['--tls-cert', cert, '--tls-key', key]);
      const { url, port } = await server.listening;
      assert.ok(url.startsWith('wss://127.0.0.1:'), url);
      const ca = readFileSync(cert);
      const a = await Stranger.connect(url, { token: mint(A), ca });
      new StrangerUser().attach(a);
      assert.is(await a.confirm({ receiver: A, seq: 1, content: 'over TLS' }), 'delivered');
      const health = httpsRequest({ port, host: '127.0.0.1', path: '/healthz', ca }).end();
      const [response] = (await once(health, 'response')) as [Readable & { statusCode: number }];
      assert.is(response.resume().statusCode, 200);
      const untrusting = await Stranger.connect(url, { token: 'x' }).catch((error: Error) => error);
      assert.match(String(untrusting), /self-signed/);

      const exits = await Promise.all(
        [
          [join(directory, 'none.crt'), key],
          [cert, join(directory, 'none.key')],
          [key, cert],
          [cert, other.key],
        ].map(([badCert, badKey]) => {
          const flags = ['--store', 'memory', '--port', '0', '--jwt-key', KEY];
          return run(['serve', ...flags, '--tls-cert', badCert!, '--tls-key', badKey!]);
        }),
      );
      for (const exit of exits) {
        assert.is(exit.code, 3, exit.stderr);
        assert.is(lines(exit.stderr).length, 1);
        assert.match(exit.stderr, 'cannot use the certificate');
      }
    });
  },
);

test('lists every wrong flag at once and exits 2', async () => {
  const flags = '--port many --policy strict --frobnicate --host 0.0.0.0 extra --tls-key k --store';
  const { code, stdout, stderr } = await run(['serve', ...flags.split(' ')]);
  assert.equal([code, stdout], [2, '']);
  for (const mistake of [
    "serve: option '--store <value>' argument missing",
    'serve: unknown flag --frobnicate',
    'serve: unexpected word extra',
    'serve: --port: must be a whole number from 0 to 65535',
    'serve: --policy: ',
    'serve: --tls-cert: tlsCert and tlsKey go together',
    'serve: --jwt-key: without a key the server listens on loopback only, not on 0.0.0.0',
  ]) {
    assert.ok(
      lines(stderr).some((line) => line.startsWith(mistake)),
      `${mistake} is not in:\n${stderr}`,
    );
  }
  assert.is(lines(stderr).length, 7 + 1, 'and how to get help');
  assert.not.match(stderr, / at .*:\d+:\d+/, 'no stack');
});

test('refuses keys that it cannot use with exit code 2', async () => {
  await withTempDir(async (directory) => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const pem = join(directory, 'public.pem');
    writeFileSync(pem, publicKey.export({ type: 'spki', format: 'pem' }));
    const exits = await Promise.all([
      run(['serve', '--jwt-key-file', join(directory, 'none')]),
      run(['serve', '--jwt-algorithm', 'RS256', '--jwt-key', 'not in PEM']),
      run(['serve', '--jwt-algorithm', 'RS256', '--jwt-key-file', pem]),
      run(['serve', '--jwt-key-file', pem]),
    ]);
    for (const [i, says] of [/ENOENT/, /Invalid/, /Invalid/, /no secret for HS256/].entries()) {
      assert.is(exits[i]!.code, 2, exits[i]!.stderr);
      assert.match(exits[i]!.stderr, says);
      assert.is(lines(exits[i]!.stderr).length, 1);
    }
  });
});

test('exits 3 with one sentence when its port or its directory is taken', async () => {
  await withTempDir(async (dataDir) => {
    const server = serve(['--data-dir', dataDir]);
    const { url, port } = await server.listening;
    const flags = ['--jwt-key', KEY, '--port'];
    const [samePort, sameDirectory] = await Promise.all([
      run(['serve', ...flags, String(port), '--store', 'memory']),
      run(['serve', ...flags, '0', '--data-dir', dataDir]),
    ]);
    assert.equal([samePort.code, samePort.stdout], [3, '']);
    assert.is(samePort.stderr, `serve: cannot listen on 127.0.0.1:${port}: is the port in use?\n`);
    assert.equal([sameDirectory.code, sameDirectory.stdout], [3, '']);
    assert.match(sameDirectory.stderr, /^serve: .*is already open in process \d+;.*\n$/);
    const a = await connect(url, A);
    assert.is((await a.counts()).status, 0, 'the first goes on');
  });
});

test('without a key prints a random one, with which the token command mints', async () => {
  const server = start(['serve', '--port', '0', '--store', 'memory']);
  const { url } = await server.listening;
  server.child.kill('SIGTERM');
  const { stderr } = await server.exit;
  assert.match(stderr, /--jwt-key [0-9a-f]{64}$/m);
  assert.ok(url.startsWith('ws://127.0.0.1:'));
});

test('token mints what the server accepts, for every algorithm and source of the key', async () => {
  await withTempDir(async (directory) => {
    const cases = [
      ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
      ['EdDSA', generateKeyPairSync('ed25519')],
    ] as const;
    for (const [algorithm, { privateKey, publicKey }] of cases) {
      const [secret, open] = ['private', 'public'].map((name) => join(directory, name));
      writeFileSync(secret!, privateKey.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(open!, publicKey.export({ type: 'spki', format: 'pem' }));
      const flags = ['--store', 'memory', '--port', '0', '--jwt-algorithm', algorithm];
      const server = start(['serve', ...flags, '--jwt-key-file', open!]);
      const minted = await run(['token', '--uid', '5'], {
        environment: { ACKBENCH_JWT_KEY_FILE: secret!, ACKBENCH_JWT_ALGORITHM: algorithm },
      });
      assert.equal([minted.code, minted.stderr], [0, '']);
      const { url } = await server.listening;
      const token = minted.stdout.trim();
      assert.is((await (await Stranger.connect(url, { token })).counts()).status, 0);
    }
    const short = await run(['token', '--uid', '5', '--jwt-key', KEY, '--lifetime-s', '60']);
    const [, claims] = short.stdout.split('.') as [string, string];
    const { sub, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as {
      sub: string;
      iat: number;
      exp: number;
    };
    assert.equal([sub, exp - iat], ['5', 60]);
  });
});

test('token lists every mistake at once and exits 2', async () => {
  const flags = ['--uid', '0', '--lifetime-s', 'x', '--jwt-algorithm', 'none', '--what'];
  const [wrong, noKey, noUid] = await Promise.all([
    run(['token', ...flags]),
    run(['token', '--uid', '1']),
    run(['token', '--jwt-key', 'k']),
  ]);
  assert.equal([wrong.code, wrong.stdout], [2, '']);
  for (const name of ['--uid: ', '--lifetime-s: ', '--jwt-algorithm: ', 'unknown flag --what']) {
    assert.match(wrong.stderr, `token: ${name}`);
  }
  assert.is(noKey.code, 2);
  assert.match(noKey.stderr, 'give --jwt-key or --jwt-key-file');
  assert.is(noUid.code, 2);
  assert.match(noUid.stderr, 'token: --uid: ');
});

test('knows its commands: help exits 0, nothing and nonsense exit 2', async () => {
  const [help, nothing, nonsense, serveHelp] = await Promise.all([
    run(['--help']),
    run([]),
    run(['toString']),
    run(['serve', '--help']),
  ]);
  assert.equal([help.code, help.stderr], [0, '']);
  assert.is(nothing.code, 2);
  assert.is(nonsense.code, 2);
  assert.match(nonsense.stderr, 'unknown command toString');
  assert.is(serveHelp.code, 0);
  assert.match(serveHelp.stdout, '--content-max-bytes <value>');
});

test.run();
