/** `ackbench oracle` as a user runs it, in its short form. */
// deadline: 240s
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Finding } from '../../bench/oracle/oracles.ts';
import { eventually, runCli, startCli, stopAll } from '../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-oracle-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

async function findings(
  name: string,
): Promise<{ code: number | null; found: Finding[]; said: string }> {
  const json = join(dir, `${name}.json`);
  const { code, stdout, stderr } = await runCli(['oracle', name, '--quick', '--json', json]);
  const { findings: found } = JSON.parse(readFileSync(json, 'utf8')) as { findings: Finding[] };
  return { code, found, said: `${stdout}${stderr}` };
}

test('a stall is reported, and a closed loop hides it', async () => {
  const { code, found, said } = await findings('stall');
  // How exactly, the machine of a test does not tell: other tests run beside it.
  assert.ok([0, 1, 3].includes(code ?? -1), said);
  const p90 = found[0]?.readings.find(({ quantile }) => quantile === 0.9);
  if (p90 === undefined) return assert.unreachable(said);
  assert.ok(p90.expectedUs >= 599_000, said);
  assert.ok(p90.reportedUs > 500_000, said);
  const naiveUs = p90.naiveUs;
  // A disturbed closed loop may have too few samples for a p90.
  assert.ok(naiveUs === null || naiveUs < 300_000, said);
});

test('a generator that cannot keep up is declared invalid', async () => {
  const { code, found, said } = await findings('saturation');
  assert.is(code, 0, said);
  assert.match(found[0]?.note ?? '', /^invalid: .*the generator was the bottleneck/);
});

test('Ctrl-C ends it at once, with what was found so far', async () => {
  const cli = startCli(['oracle', 'stall', 'saturation', '--quick']);
  await eventually('the stall', () => cli.stderr().includes('stall: started'));
  cli.child.kill('SIGINT');
  const { code, stdout, stderr } = await cli.ended;
  assert.is(code, 130, stderr);
  assert.match(stdout, 'INTERRUPTED: 0 of 0 oracles');
  assert.not.match(stderr, /stall-naive|saturation: started|^\s+at /m);
});

test('unknown oracles and flags are named, exit code 2', async () => {
  const { code, stderr } = await runCli(['oracle', 'delphi', '--nonsense', '--seed', 'x']);
  assert.is(code, 2);
  assert.match(stderr, 'delphi: no such oracle; there are stall, delays, queue, saturation');
  assert.match(stderr, 'unknown flag --nonsense');
  assert.match(stderr, '--seed x');
});

test.run();
