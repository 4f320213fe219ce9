/**
 * `ackbench history` as a process, and the flags of `bench` that feed it: what a user did wrong is
 * told all at once, with exit code 2; there is an answer also where there is no history yet.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describeEnvironment, nameOfMachine } from '../../../bench/environment.ts';
import { runCli, stopAll } from '../../support/bench-process.ts';
import { line } from '../../support/history.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-history-test-'));
const file = join(dir, 'history.ndjson');
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

const machine = describeEnvironment(null);

/** Runs of this machine with a step in the middle. */
function write(count: number, extra: readonly string[] = []): void {
  const { cpuModel, cores, node } = machine;
  const runs = Array.from({ length: count }, (_, run) =>
    JSON.stringify(
      line(run, {
        machine: { cpuModel, cores, node },
        metrics: { 'steady.serverCpu': (run < count / 2 ? 20 : 25) + 0.01 * (run % 3) },
      }),
    ),
  );
  writeFileSync(file, [...runs, ...extra].map((text) => `${text}\n`).join(''));
}

test('every wrong flag is listed at once, exit code 2', async () => {
  writeFileSync(join(dir, 'a-file'), '');
  const { code, stdout, stderr } = await runCli([
    ...'history stray --nonsense --last none --metric'.split(' '),
    '',
    '--machine',
    ' ',
    '--out',
    join(dir, 'a-file'),
  ]);
  assert.is(code, 2);
  assert.is(stdout, '');
  for (const mistake of [
    'history: unexpected word stray',
    'unknown flag --nonsense',
    '--last none: must be between 1 and',
    '--metric: is empty',
    '--machine: is empty',
    'a-file: is not a directory',
    'Run with --help to see all flags.',
  ]) {
    assert.match(stderr, mistake);
  }
  assert.not.match(stderr, /^\s+at /m);
});

test('without a history it says how to get one, exit code 2', async () => {
  const missing = await runCli(['history', '--out', join(dir, 'nothing')]);
  assert.is(missing.code, 2);
  assert.match(missing.stderr, 'there is no such file: `ackbench bench --keep` adds one run');
  writeFileSync(file, '');
  const empty = await runCli(['history', '--out', dir]);
  assert.is(empty.code, 2);
  assert.is(empty.stdout, '');
  assert.match(empty.stderr, 'no runs in it: `ackbench bench --keep`');
});

test('shows a change on stdout, corrupt lines on stderr, exit code 0', async () => {
  write(20, ['{"torn', JSON.stringify(line(99))]);
  const { code, stdout, stderr } = await runCli(['history'], { ACKBENCH_OUT: dir });
  assert.is(code, 0, stderr);
  assert.is(stderr, `history: ${file}: 1 line could not be read: skipped\n`);
  assert.match(stdout, /^ {2}steady\.serverCpu +▁{10}█{10} /m);
  assert.match(stdout, /^ {4}! worse \+25\.0 % /m);
  assert.match(stdout, 'Left out: 1 run of other machines.');
});

test('--json prints what the table shows', async () => {
  write(20);
  const { code, stdout } = await runCli(['history', '--json', '--last', '18', '--out', dir]);
  assert.is(code, 0);
  const report = JSON.parse(stdout);
  assert.is(report.schema, 1);
  assert.is(report.machine, nameOfMachine(machine));
  assert.is(report.runs.length, 18);
  assert.is(report.metrics[0].name, 'steady.serverCpu');
  assert.is(report.metrics[0].changes[0].run, 8);
  assert.is(report.metrics[0].changes[0].suspects.to, report.runs[8].sha);
});

test('a metric or a machine that is not there is a mistake that names those that are', async () => {
  write(6);
  const metric = await runCli(['history', '--metric', 'speed', '--out', dir]);
  assert.is(metric.code, 2);
  assert.match(metric.stderr, '--metric speed: no such metric; there are steady.serverCpu');
  const other = await runCli(['history', '--machine', 'abacus', '--out', dir]);
  assert.is(other.code, 2);
  assert.match(other.stderr, `no run of a machine like abacus; --machine may name one of: `);
  assert.match(other.stderr, nameOfMachine(machine));
});

test('bench refuses to keep what is of no commit, and an anchor that is none', async () => {
  const target = '--target ws://127.0.0.1:9 --jwt-key k --keep --anchor no-such-commit';
  const { code, stderr } = await runCli(['bench', ...target.split(' ')]);
  assert.is(code, 2);
  assert.match(stderr, '--keep: a --target is no commit of this checkout');
  assert.match(stderr, '--anchor no-such-commit: no such commit, branch or tag here');
  const alone = await runCli(['bench', '--anchor', 'HEAD']);
  assert.is(alone.code, 2);
  assert.match(alone.stderr, '--anchor: only a run that is kept (--keep) needs one');
});

test('--help lists the flags on stdout', async () => {
  const { code, stdout } = await runCli(['history', '--help']);
  assert.is(code, 0);
  for (const flag of ['--metric', '--last', '--json', '--out', '--machine']) {
    assert.match(stdout, flag);
  }
});

test.run();
