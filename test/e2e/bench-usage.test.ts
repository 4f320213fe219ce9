// deadline: 180s
/**
 * `ackbench bench` and `ackbench doctor` as processes that measure nothing: what a user did wrong is
 * told all at once, in words, with exit code 2.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Ended, runCli, stopAll } from '../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-usage-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

let files = 0;

/** A file in the test's directory. */
function file(ending: string, text: string): string {
  const path = join(dir, `${++files}.${ending}`);
  writeFileSync(path, text);
  return path;
}

function scenarioFile(...scenarios: object[]): string {
  return file('json', JSON.stringify(scenarios));
}

const LOAD = {
  kind: 'load',
  name: 'tiny',
  clients: 20,
  load: { mode: 'open', ratePerSec: 200 },
  durationS: 2,
};

/** A usage mistake is told in words: exit code 2, nothing on stdout, no stack trace. */
function refused({ code, stdout, stderr }: Ended, ...mistakes: (string | RegExp)[]): void {
  assert.is(code, 2, stderr);
  assert.is(stdout, '');
  assert.not.match(stderr, /^\s+at /m);
  for (const mistake of mistakes) assert.match(stderr, mistake);
  assert.match(stderr, 'Run with --help to see all flags.');
}

test('every wrong flag is listed at once, exit code 2', async () => {
  const json = '/nowhere/at/all/result.json';
  refused(
    await runCli([
      ...'bench stray --nonsense --rate fast --clients 1 --seed -1 --duration 0s'.split(' '),
      ...`--workers 0 --retries 99 --trace /nowhere/trace.gz --json ${json}`.split(' '),
      '--threshold',
      'confirm is ok',
      '--scenario',
      'no-such-scenario',
    ]),
    'unexpected word stray',
    'unknown flag --nonsense',
    '--rate fast: must be between',
    '--clients 1: must be between 2 and',
    '--seed -1: must be between 0 and',
    '--duration 0s: must be between',
    '--workers 0: must be between 1 and',
    '--retries 99: must be between 0 and 10',
    '--threshold: "confirm is ok" is no threshold',
    '--trace /nowhere/trace.gz: no such file',
    `--json ${json}: its directory does not exist`,
    '--scenario no-such-scenario: unknown; built in are online-steady, online-saturation, lossy',
  );
});

test('a wrong environment variable is a wrong flag', async () => {
  refused(
    await runCli(['bench'], { ACKBENCH_RATE: 'fast', ACKBENCH_SEED: '1.5' }),
    '--rate fast',
    '--seed 1.5',
  );
});

test('a threshold for a scenario that is not run is a mistake, not a pass', async () => {
  refused(
    await runCli(['bench', '--threshold', 'onlin-steady:confirm.p99<50ms']),
    '--threshold onlin-steady:confirm.p99<50ms: no scenario onlin-steady in this run',
  );
});

test('every mistake of a broken scenario file is listed at once, exit code 2', async () => {
  const broken = scenarioFile(
    { ...LOAD, clients: 0, colour: 'blue', load: { mode: 'open', ratePerSec: 'many' } },
    { ...LOAD, durationS: -1, server: { store: 'floppy' } },
  );
  refused(
    await runCli(['bench', '--scenario', broken, '/nowhere/missing.yaml']),
    `${broken}[0]: clients: `,
    `${broken}[0]: Unrecognized key: "colour"`,
    `${broken}[0]: load.ratePerSec: `,
    `${broken}[1]: durationS: `,
    `${broken}[1]: server.store: `,
    '/nowhere/missing.yaml: ENOENT',
  );
});

test('a malformed trace is refused before anything runs, with its line', async () => {
  const trace = file('txt', '1 2 100\n1 two 101\n');
  const scenario = { kind: 'trace', name: 'a-trace', durationS: 1, file: trace };
  refused(
    await runCli(['bench', '--scenario', scenarioFile(scenario)]),
    `a-trace: ${trace}:2: expected "sender receiver unix_seconds"`,
  );
  const missing = { ...scenario, file: '/nowhere/trace.txt' };
  refused(await runCli(['bench', '--scenario', scenarioFile(missing)]), 'a-trace: ENOENT');
});

test('a target that is not this machine is refused without --allow-remote', async () => {
  for (const host of ['192.0.2.1', 'chat.example', '127.0.0.1.example', '[2001:db8::1]']) {
    const url = `ws://${host}:9400`;
    refused(
      await runCli(['bench', '--target', url, '--jwt-key', 'k']),
      `--target ${url}: not on this machine; add --allow-remote if you may load it`,
    );
  }
  refused(
    await runCli(['bench', '--target', 'http://127.0.0.1:1']),
    '--target: http://127.0.0.1:1 is not a ws:// or wss:// URL',
    '--target needs --jwt-key',
  );
});

test('--list names the eight scenarios, and apart from them the extra ones', async () => {
  const { code, stdout } = await runCli(['bench', '--list']);
  assert.is(code, 0);
  const namesOf = (part: string): (string | undefined)[] =>
    part
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0]);
  const [suite, extra] = stdout.split('\n\nNot in the suite, only by --scenario:\n');
  const eight =
    'online-steady online-saturation lossy offline-cost offline-crash reconnect-storm http-pull trace';
  assert.equal(namesOf(suite as string), eight.split(' '));
  assert.equal(namesOf(extra as string), ['chaos', 'chaos-durable', 'ceiling']);
});

test('--help lists the flags on stdout', async () => {
  const { code, stdout } = await runCli(['bench', '--help']);
  assert.is(code, 0);
  for (const flag of ['--quick', '--threshold', '--target', '--json', '--seed']) {
    assert.match(stdout, flag);
  }
});

test('doctor says what it found and exits with 0 or 3', async () => {
  const { code, stdout, stderr } = await runCli(['doctor']);
  assert.ok(code === 0 || code === 3, `exit code ${code}\n${stderr}`);
  const checks = ['runtime', 'cores', 'socket library', 'open files', 'ports', 'clock', 'timers'];
  for (const check of checks) {
    assert.match(stdout, new RegExp(`^(ok|warning|unfit) +${check} `, 'm'));
  }
  assert.is(/^unfit/m.test(stdout), code === 3);
});

test('what cannot stop a load is refused before it', async () => {
  const rules = [{ threshold: 'ledger.lost==0', abortOnFail: true }];
  refused(
    await runCli(['bench', '--scenario', scenarioFile({ ...LOAD, thresholds: rules })]),
    '"ledger.lost==0" cannot stop a load',
  );
  const flags = ['--abort-on-fail', '--threshold', 'accept.p99<1ms', '--threshold', 'load.sent>=1'];
  refused(
    await runCli(['bench', '--scenario', scenarioFile(LOAD), ...flags]),
    '"accept.p99<1ms" cannot stop a load',
    '"load.sent>=1" cannot stop a load',
  );
  refused(await runCli(['bench', '--abort-on-fail']), '--abort-on-fail: needs a --threshold');
});

test('flags that change nothing are refused', async () => {
  const cost = scenarioFile({ kind: 'offline-cost', name: 'cost' });
  refused(
    await runCli(['bench', '--scenario', cost, '--clients', '50', '--rate', '5k']),
    '--clients: changes nothing in cost',
    '--rate: changes nothing in cost',
  );
});

test('a variable that is empty is none', async () => {
  const { code, stderr } = await runCli(['bench', '--list'], {
    ACKBENCH_CLIENTS: '',
    ACKBENCH_SEED: '',
    ACKBENCH_TARGET: '',
  });
  assert.is(code, 0, stderr);
});

test.run();
