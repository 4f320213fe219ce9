/**
 * `ackbench compare` as a user runs it: a commit against the working tree, two commands, two files,
 * everything that can be typed wrong, and Ctrl-C in the middle.
 */
// deadline: 420s
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Comparison } from '../../bench/compare/report.ts';
import {
  type Ended,
  eventually,
  isGone,
  runCli,
  startCli,
  stopAll,
} from '../support/bench-process.ts';
import { resultOf, scenarioResult } from '../support/result.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-compare-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

const ROOT = join(import.meta.dirname, '../..');
const PLANTED = join(ROOT, 'test/study/planted-server.ts');
const HAS_GIT = existsSync(join(ROOT, '.git'));

const scenario = join(dir, 'tiny.json');
writeFileSync(
  scenario,
  JSON.stringify({
    kind: 'load',
    name: 'tiny',
    clients: 20,
    load: { mode: 'closed', window: 2 },
    durationS: 0.4,
    warmupS: 0.1,
    retransmit: { firstMs: 100, maxMs: 100 },
    server: { store: 'memory' },
  }),
);

const env = { ACKBENCH_CACHE: join(dir, 'cache'), ACKBENCH_OUT: join(dir, 'out') };
const short = ['--scenario', scenario, '--pairs', '6', '--fresh-pairs', '10', '--seed', '6'];

function commandOf(burnUs: number): string {
  return `exec "${process.execPath}" "${PLANTED}" --burn-us ${burnUs}`;
}

function read(file: string): Comparison {
  return JSON.parse(readFileSync(file, 'utf8')) as Comparison;
}

function refused({ code, stdout, stderr }: Ended, ...mistakes: (string | RegExp)[]): void {
  assert.is(code, 2, stderr);
  assert.is(stdout, '');
  assert.not.match(stderr, /^\s+at /m);
  for (const mistake of mistakes) assert.match(stderr, mistake);
}

test('calls a server that is far slower worse, by fresh pairs, with exit code 1', async () => {
  const json = join(dir, 'worse.json');
  const markdown = join(dir, 'worse.md');
  const summary = join(dir, 'summary.md');
  const flags = ['--a', commandOf(0), '--b', commandOf(100), '--json', json];
  const { code, stdout, stderr } = await runCli(
    ['compare', ...flags, '--markdown', markdown, ...short],
    { ...env, GITHUB_STEP_SUMMARY: summary },
  );
  assert.is(code, 1, `${stdout}${stderr}`);
  assert.match(stdout, /^WORSE: /m);
  const comparison = read(json);
  assert.is(comparison.verdict, 'worse');
  assert.is(comparison.pairs.length, 16);
  const cpu = comparison.metrics.find(({ name }) => name === 'tiny.serverCpu');
  assert.is(cpu?.verdict, 'worse');
  assert.is(cpu?.stage, 2);
  assert.ok(Math.exp(cpu?.meanLog ?? 0) > 2, 'more than twice the CPU');
  for (const { a, b } of comparison.pairs) {
    for (const slices of [a, b]) {
      assert.equal(
        slices.map(({ how, values }) => [how, ...Object.keys(values)]),
        [
          ['together', 'tiny.serverCpu', 'tiny.packets', 'tiny.memory'],
          ['alone', 'tiny.throughput'],
        ],
      );
    }
  }
  const packets = comparison.metrics.find(({ name }) => name === 'tiny.packets');
  // On a machine that pauses, some are sent again: then it is not known, but never a change.
  assert.ok(['same', 'inconclusive'].includes(packets?.verdict as string), packets?.verdict);
  assert.match(readFileSync(markdown, 'utf8'), /\| tiny\.serverCpu \|.*\| worse \|/);
  assert.is(readFileSync(summary, 'utf8'), readFileSync(markdown, 'utf8'));
});

if (HAS_GIT) {
  test('unpacks a commit, compares it with the working tree, and keeps it for the next time', async () => {
    const json = join(dir, 'head.json');
    const { code, stdout, stderr } = await runCli(
      ['compare', 'HEAD', '--json', json, ...short],
      env,
    );
    const said = `${stdout}${stderr}`;
    assert.ok(code === 0 || code === 1, said);
    const { a, b, pairs, metrics } = read(json);
    const sha = execFileSync('git', ['-C', ROOT, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
    assert.is(a.sha, sha);
    assert.is(a.kind, 'commit');
    assert.is(b.kind, 'working tree');
    assert.ok(pairs.length >= 6, said);
    assert.is(metrics.length, 4);
    for (const { verdict } of metrics) assert.is.not(verdict, 'invalid');
    assert.equal(readdirSync(join(dir, 'cache/checkouts')), [sha]);
    assert.ok(new Set(pairs.map(({ first }) => first)).size === 2, 'a coin decides who is first');
  });
}

test('Ctrl-C keeps the pairs done so far and says so', async () => {
  const json = join(dir, 'interrupted.json');
  const flags = ['--a', commandOf(0), '--b', commandOf(0), '--json', json, '--costs-only'];
  const cli = startCli(['compare', ...flags, ...short], env);
  let seen = '';
  cli.child.stderr?.on('data', (text: string) => (seen += text));
  await eventually('the second pair', () => /pair 2 of 6/.test(seen));
  cli.child.kill('SIGINT');
  const { code, stdout } = await cli.ended;
  assert.is(code, 130);
  assert.match(stdout, 'interrupted');
  const { pairs, interrupted, metrics } = read(json);
  assert.ok(interrupted);
  assert.ok(pairs.length >= 2 && pairs.length < 6);
  for (const { verdict } of metrics) assert.not(['worse', 'better'].includes(verdict));
  assert.equal(
    metrics.map(({ name }) => name),
    ['tiny.serverCpu', 'tiny.packets', 'tiny.memory'],
    'costs only',
  );
});

/** The processes that end a server when its bench is killed. */
function guardsIn(temp: string): number {
  return readdirSync('/proc').filter((name) => {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1');
      return command.includes('read -r line') && command.includes(temp);
    } catch {
      return false; // no process, or one that ended while we looked
    }
  }).length;
}

test('servers of a compare that is killed do not outlive it, and leave no data', async () => {
  const temp = join(dir, 'temp');
  mkdirSync(temp);
  const pids = join(dir, 'pids');
  const command = `echo $$ >> "${pids}"; ${commandOf(0)}`;
  const sides = ['--a', command, '--b', command, '--costs-only'];
  const cli = startCli(['compare', ...sides, ...short], { ...env, TMPDIR: temp });
  const dataDirs = (): string[] => readdirSync(temp).filter((name) => name.startsWith('ackbench-'));
  await eventually('both servers, and who ends them', () => guardsIn(temp) >= 2);
  cli.child.kill('SIGKILL');
  await cli.ended;
  const servers = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
  await eventually('the servers end', () => servers.every(isGone));
  await eventually('their data goes', () => dataDirs().length === 0);
});

test('a server B that does not start is worse than any A, one A that does not compares nothing', async () => {
  const broken = 'echo no such thing >&2; exit 7';
  const sides = ['--a', commandOf(0), '--b', broken];
  const { code, stderr } = await runCli(['compare', ...sides, ...short], env);
  assert.is(code, 1, stderr);
  const other = await runCli(['compare', '--a', broken, '--b', commandOf(0), ...short], env);
  assert.is(other.code, 3, other.stderr);
  assert.match(
    stderr,
    /B \(echo no such thing.*\): the server ended with exit code 7: no such thing/,
  );
});

test('a server B that fails its audit is worse at once', async () => {
  const json = join(dir, 'audit.json');
  const serve = `exec "${process.execPath}" "${join(ROOT, 'test/sabotaged/serve.ts')}" --store memory`;
  const sides = [
    '--a',
    `${serve} --sabotage none`,
    '--b',
    `${serve} --sabotage corrupt --sabotage-rate 0.1`,
  ];
  // Often, so that a slow machine with few messages meets it too. Where a result can be written does not
  // decide what it says.
  const { code, stdout, stderr } = await runCli(
    ['compare', ...sides, '--costs-only', '--json', json, '--markdown', '/dev/full', ...short],
    env,
  );
  assert.is(code, 1, `${stdout}${stderr}`);
  assert.match(stdout, /^WORSE: /m);
  assert.match(stdout, 'the audit failed against B: corrupt');
  assert.match(stderr, 'cannot write /dev/full');
  assert.is(read(json).pairs.length, 1);
});

test('two result files are set side by side, and nothing is called better or worse', async () => {
  const [old, fresh] = [join(dir, 'old.json'), join(dir, 'fresh.json')];
  const result = resultOf([scenarioResult()]);
  const other = structuredClone(result);
  other.scenarios[0]!.server.cpuUsPerMessage =
    2 * (result.scenarios[0]!.server.cpuUsPerMessage ?? 1);
  other.environment.cpuModel = 'another processor';
  writeFileSync(old, JSON.stringify(result));
  writeFileSync(fresh, JSON.stringify(other));
  const { code, stdout } = await runCli(['compare', old, fresh], env);
  assert.is(code, 0, stdout);
  assert.match(stdout, /serverCpu .*~ \(\+100\.0 %\)/);
  assert.match(stdout, /the environments differ: cpuModel/);
  assert.match(stdout, /may be the machine/);
});

test('files that cannot be held against each other are refused in words', async () => {
  const [good, invalid, noResult] = ['good', 'invalid', 'none'].map((name) =>
    join(dir, `${name}.json`),
  ) as [string, string, string];
  const result = resultOf([scenarioResult()]);
  writeFileSync(good, JSON.stringify(result));
  const bad = structuredClone(result);
  for (const run of bad.scenarios) run.verdict = 'invalid';
  writeFileSync(invalid, JSON.stringify(bad));
  writeFileSync(noResult, '{"schema": 9}');
  refused(await runCli(['compare', good, invalid], env), 'B is invalid: no numbers');
  refused(await runCli(['compare', good, noResult], env), 'is no result file of schema 1');
});

test('every wrong flag and word is listed at once, exit code 2', async () => {
  const wrong =
    'no-such-ref also-none third --nonsense --pairs 5 --fresh-pairs 9 --duration 1ms --seed x --rate 0';
  refused(
    await runCli(['compare', ...wrong.split(' '), '--scenario', '/nowhere.yaml'], env),
    'unknown flag --nonsense',
    'unexpected word third',
    '--pairs 5: must be between 6 and 22',
    '--fresh-pairs 9: must be between 10 and 22',
    '--duration 1ms',
    '--seed x',
    '--rate 0',
    'no-such-ref: no such commit, branch or tag here',
    'also-none: no such commit',
    '/nowhere.yaml',
  );
  const valueless = await runCli(['compare', 'no-such-ref', '--nonsense', '--seed'], env);
  refused(valueless, "'--seed <n>' argument missing", 'no-such-ref: no such', '--nonsense');
  assert.not.match(valueless.stderr, 'what is A?');
  refused(await runCli(['compare'], env), 'what is A?');
  refused(
    await runCli(['compare', '--a', 'ws://10.0.0.1:9400', '--b', 'ws://127.0.0.1:1'], env),
    '--a: a URL needs --jwt-key',
  );
  refused(
    await runCli(['compare', '--jwt-key', 'k', '--a', 'ws://10.0.0.1:9400', '--b', 'true'], env),
    'add --allow-remote',
  );
});

test.run();
