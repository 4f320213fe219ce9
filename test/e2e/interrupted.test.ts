/**
 * Commands that are interrupted, whose reader goes away, or whose starter is killed: they end at
 * once, say so, and leave nothing behind. What must stay true of a test here: where a command did
 * not end by itself, the file's deadline would.
 */
// deadline: 60s
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { eventually } from '../support/bench-process.ts';
import { withTempDir } from '../support/temp-dir.ts';

const ROOT = join(import.meta.dirname, '../..');
const RUNTIME = createRequire(import.meta.url).resolve('node/bin/node');
const SIM = ['bin/ackbench.mjs', 'sim'];
const FUZZ = ['test/fuzz/main.ts'];
const POWER_LOSS = ['test/power-loss/main.ts'];

interface Running {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  /** The exit code, once everybody who holds its stdout or stderr is gone. */
  readonly end: Promise<number | null>;
}

function start(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
  runtime: string = RUNTIME,
): Running {
  const child = spawn(runtime, argv, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const end = once(child, 'close').then(([code]) => code as number | null);
  return { child, output, end };
}

test('a search that is interrupted ends at once and says that it is not complete', async () => {
  const { child, output, end } = start([...SIM, '--exhaustive']);
  await eventually('a world', () => output.stdout.includes('\n'));
  child.kill('SIGINT');
  assert.is(await end, 130);
  assert.match(output.stderr, /^sim: interrupted\n$/);
  assert.match(output.stdout, /^interrupted: not every world was searched$/m);
  assert.not.match(output.stdout, /every one of/);
});

test('a simulation that is interrupted ends at once and says how far it came', async () => {
  const { child, output, end } = start([...SIM, '--seeds', '100000000', '--threads', '1']);
  await eventually('progress', () => output.stderr.includes('seeds'));
  child.kill('SIGINT');
  assert.is(await end, 130);
  assert.match(output.stderr, /^sim: interrupted\n$/m);
  assert.match(output.stdout, /^interrupted: \d+ of 100000000 seeds$/m);
});

test('a trace whose reader goes away ends in silence', async () => {
  const { child, output, end } = start([...SIM, '--seed', '17', '--trace']);
  child.stdout?.destroy();
  assert.is(await end, 0);
  assert.is(output.stderr, '');
});

/** A Node of another version than the pinned one, from which the command hands over to that one. */
const OTHER_NODE = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((directory) => join(directory, 'node'))
  .find((file) => {
    const major = /^v(\d+)/.exec(spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout ?? '');
    return major !== null && major[1] !== process.versions.node.split('.')[0];
  });
if (OTHER_NODE === undefined) {
  console.log(
    'SKIPPED: handing over to the pinned runtime: no other version of Node is on the PATH',
  );
}

(OTHER_NODE === undefined ? test.skip : test)(
  'what was handed over to the pinned runtime ends when its starter is killed',
  async () => {
    const argv = [...SIM, '--seeds', '100000000', '--threads', '1'];
    const { child, end } = start(argv, {}, OTHER_NODE);
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    await eventually('the other process', () => readFileSync(children, 'latin1') !== '');
    child.kill('SIGKILL');
    await end; // the other process holds our pipe too
    assert.is(child.signalCode, 'SIGKILL');
  },
);

for (const name of ['mutants', 'sabotaged', 'fuzz', 'power-loss']) {
  test(`--help of test/${name} explains it and exits 0`, async () => {
    const { output, end } = start([`test/${name}/main.ts`, '--help']);
    assert.is(await end, 0);
    assert.match(output.stdout, 'npm run');
    assert.is(output.stderr, '');
  });
}

test('the power-loss test, interrupted, says so and leaves no directory and no process', async () => {
  await withTempDir(async (directory) => {
    const { child, output, end } = start(POWER_LOSS, { TMPDIR: directory });
    const ours = (): string[] => readdirSync(directory).filter((name) => name.startsWith('ack'));
    const round = (): boolean => ours().some((name) => isRound(join(directory, name)));
    const isRunning = await eventually('a round, or none', () => round() || child.exitCode === 3);
    child.kill('SIGINT');
    const code = await end;
    if (code === 3 && isRunning) return; // no compiler here: nothing was started
    assert.is(code, 130);
    assert.is(output.stderr, 'power-loss: interrupted after 0 rounds, 0 failed\n');
    // Whoever outlived it would still use the directory, or make it anew.
    const isUsed = (): boolean => commandLines().some((line) => line.includes(directory));
    await eventually('the end of every process', () => !isUsed());
    assert.equal(ours(), []);
  });
});

function isRound(directory: string): boolean {
  return readdirSync(directory).includes('round-0');
}

function commandLines(): string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [readFileSync(`/proc/${name}/cmdline`, 'latin1')];
    } catch {
      return []; // it ended while we looked
    }
  });
}

test('the fuzzer, interrupted while it replays, keeps the corpus as it was', async () => {
  const folder = join(ROOT, 'test/fuzz/corpus/socket');
  const read = () => readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]);
  const before = read() as [string, Buffer][];
  const { child, output, end } = start([...FUZZ, '--target', 'socket', '--keep']);
  await eventually('its beginning', () => output.stdout.includes('seed '));
  child.kill('SIGINT');
  assert.is(await end, 130);
  const after = read();
  if (after.length < before.length) {
    mkdirSync(folder, { recursive: true });
    for (const [name, bytes] of before) writeFileSync(join(folder, name), bytes);
  }
  assert.is(after.length, before.length);
  assert.equal(after, before);
});

test('a target without IO hears an interruption too', async () => {
  const { child, output, end } = start([...FUZZ, '--target', 'codec', '--seconds', '100000']);
  await eventually('its beginning', () => output.stdout.includes('seed '));
  child.kill('SIGINT');
  assert.is(await end, 130);
  assert.match(output.stdout, /^targets: 1, crashes: 0$/m);
});

test.run();
