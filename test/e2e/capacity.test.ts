/** `ackbench capacity` as a process: interrupted, resumed, and told nonsense. */
// deadline: 180s
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CapacityFile } from '../../bench/capacity/file.ts';
import { eventually, runCli, startCli, stopAll } from '../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-capacity-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

const TINY = '--quick --search-only --clients 4 --rate-min 20 --rate-max 30 --slo 10s'.split(' ');

function read(file: string): CapacityFile {
  return JSON.parse(readFileSync(file, 'utf8')) as CapacityFile;
}

test('an interrupted search is kept, and goes on where it was', async () => {
  const out = join(dir, 'out');
  const cli = startCli(['capacity', ...TINY, '--out', out], { TMPDIR: dir });
  await eventually('the first probe', () => cli.stderr().includes('ramp 20/s'));
  cli.child.kill('SIGINT');
  const interrupted = await cli.ended;
  assert.is(interrupted.code, 130, interrupted.stderr);
  const file = join(out, readdirSync(out)[0] as string);
  assert.match(interrupted.stderr, `go on with --resume ${file}`);
  const before = read(file);
  assert.is(before.interrupted, true);
  assert.ok(before.search.probes.length > 0);

  const other = await runCli(['capacity', '--resume', file, '--clients', '9', '--out', dir]);
  assert.is(other.code, 2);
  assert.match(other.stderr, '--clients: is what the file of --resume says it is');
  const moved = join(dir, 'moved.json');
  writeFileSync(
    moved,
    JSON.stringify({ ...before, commit: { ...before.commit, sha: 'deadbeef' } }),
  );
  const elsewhere = await runCli(['capacity', '--resume', moved]);
  assert.is(elsewhere.code, 2);
  assert.match(elsewhere.stderr, 'was measured at commit deadbeef');

  const resumed = await runCli(['capacity', '--resume', file], { TMPDIR: dir });
  const after = read(file);
  assert.is(after.interrupted, false, resumed.stderr);
  assert.equal(after.search.probes.slice(0, before.search.probes.length), before.search.probes);
  assert.ok(after.search.probes.length > before.search.probes.length);
  assert.match(resumed.stdout, 'lambda*');
});

test('every mistake is told at once, before anything runs', async () => {
  const broken = join(dir, 'broken.json');
  writeFileSync(broken, JSON.stringify({ kind: 'capacity', schema: 2, interrupted: true }));
  const { code, stderr } = await runCli([
    ...'capacity word --slo 100 --store tape --clients -1 --rate-min 10 --rate-max 5'.split(' '),
    '--json',
    dir,
    '--resume',
    broken,
  ]);
  assert.is(code, 2);
  for (const mistake of [
    'unexpected word word',
    '--slo 100: a time from 1ms to 60s, with its unit',
    '--store tape: one of lmdb, memory',
    '--clients -1',
    '--rate-min: must be below --rate-max',
    `--json ${dir}: is a directory`,
    `--resume ${broken}: is not as capacity wrote it: tool: `,
  ]) {
    assert.match(stderr, mistake);
  }
  assert.not.match(stderr, /^\s+at /m);
});

test.run();
