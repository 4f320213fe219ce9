/** The command line of the micro-benchmarks: one benchmark measured, kept and compared. */
// deadline: 120s
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MicroResult } from '../micro/result.ts';
import { withTempDir } from '../support/temp-dir.ts';

const MAIN = join(import.meta.dirname, '../micro/main.ts');
const NAME = 'codec: decode six packets';

async function run(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout, stderr };
}

test('measures a benchmark, agrees with itself, and finds what grew', async () => {
  await withTempDir(async (directory) => {
    const file = join(directory, 'old.json');
    const first = await run(['--filter', NAME, '--json', file]);
    assert.is(first.code, 0, first.stderr);
    assert.match(first.stdout, `| ${NAME} |`);
    const old = JSON.parse(readFileSync(file, 'utf8')) as MicroResult;
    assert.equal(
      old.benchmarks.map(({ name }) => name),
      [NAME],
    );
    // Two contents are two views, and a view is 96 bytes in V8 12 without pointer compression.
    const bytes = old.benchmarks[0]?.bytes ?? 0;
    assert.ok(bytes >= 192 && bytes < 193, `${bytes} bytes`);

    const again = await run(['--filter', NAME, '--compare', file]);
    assert.is(again.code, 0, again.stdout + again.stderr);

    const benchmarks = old.benchmarks.map((each) => ({ ...each, bytes: 0.9 * each.bytes }));
    writeFileSync(file, JSON.stringify({ ...old, benchmarks }));
    const grown = await run(['--filter', NAME, '--compare', file]);
    assert.is(grown.code, 1);
    assert.match(grown.stderr, `micro: grew by more than 2 %: ${NAME}: bytes`);
    const tolerated = await run(['--filter', NAME, '--compare', file, '--tolerance', '20']);
    assert.is(tolerated.code, 0, tolerated.stdout);
  });
});

test('measures without any of the programs that make it steadier, and says so', async () => {
  const { code, stdout, stderr } = await run(['--filter', NAME, '--instructions'], { PATH: '' });
  assert.is(code, 0, stderr);
  assert.match(stderr, 'micro: no setarch');
  assert.match(stderr, 'micro: no taskset');
  assert.match(stderr, 'micro: neither perf');
  assert.match(stdout, `| ${NAME} | `);
});

test('every benchmark does its work', async () => {
  const { stdout: list } = await run(['--list']);
  const names = list.trimEnd().split('\n');
  assert.ok(names.length >= 20, list);
  const { code, stdout, stderr } = await run([]);
  assert.is(code, 0, stderr);
  for (const name of names) assert.match(stdout, `| ${name} `);
});

test('lists every wrong flag and exits 2', async () => {
  await withTempDir(async (directory) => {
    const file = join(directory, 'other.json');
    writeFileSync(file, '{}');
    const wrong = ['--filter', 'nothing', '--tolerance', '-', '--compare', file];
    const { code, stdout, stderr } = await run([...wrong, '--json', directory]);
    assert.is(code, 2);
    assert.is(stdout, '');
    assert.match(stderr, 'micro: no benchmark is called nothing; try --list');
    assert.match(stderr, 'micro: --tolerance must be a number of per cent');
    assert.match(stderr, `micro: ${file} is not a result of this version`);
    assert.match(stderr, 'micro: cannot write --json');
    assert.not.match(stderr, / at .*:\d+:\d+/);
  });
  const unknown = await run(['--nonsense']);
  assert.is(unknown.code, 2);
  assert.match(unknown.stderr, "micro: Unknown option '--nonsense'");
});

test.run();
