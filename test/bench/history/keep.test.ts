// deadline: 180s
/**
 * `bench --keep` as a process that measures: the line it leaves, with and without an anchor, and that
 * an interrupted run leaves none.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describeCommit } from '../../../bench/environment.ts';
import { parseHistory } from '../../../bench/history/read.ts';
import type { HistoryLine } from '../../../bench/history/record.ts';
import { eventually, runCli, startCli, stopAll } from '../../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-keep-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

/** Judged by its audit, so that a busy machine can bear it. */
const TINY = {
  kind: 'load',
  name: 'tiny',
  clients: 20,
  load: { mode: 'open', ratePerSec: 300 },
  durationS: 1,
  warmupS: 0.2,
  retransmit: { firstMs: 150, maxMs: 150, maxAttempts: 60 },
  judged: 'audit',
};
const COST = { kind: 'offline-cost', name: 'cost', friends: 2, messages: 4, serverKilled: [] };

const scenarios = join(dir, 'scenarios.json');
writeFileSync(scenarios, JSON.stringify([TINY, COST]));
const long = join(dir, 'long.json');
writeFileSync(long, JSON.stringify({ ...TINY, durationS: 60 }));

const cache = { ACKBENCH_CACHE: join(dir, 'cache') };

function linesIn(out: string): HistoryLine[] {
  const { lines, corrupt } = parseHistory(readFileSync(join(out, 'history.ndjson'), 'utf8'));
  assert.is(corrupt, 0);
  return lines;
}

test('a kept run leaves its figures and those of the anchor, of loads only', async () => {
  const out = join(dir, 'anchored');
  const flags = ['--keep', '--anchor', 'HEAD', '--out', out, '--no-progress'];
  const { code, stderr } = await runCli(['bench', '--scenario', scenarios, ...flags], cache);
  assert.is(code, 0, stderr);
  assert.match(stderr, `history: ${join(out, 'history.ndjson')}\n`);
  assert.match(stderr, "cost: left out of the anchor's run: only loads are run against it");
  const [line, ...rest] = linesIn(out);
  assert.equal(rest, []);
  const { sha, branch } = describeCommit();
  assert.equal([line?.sha, line?.branch, line?.verdict], [sha, branch, 'pass']);
  assert.ok((line?.metrics['tiny.packets'] ?? 0) >= 6);
  assert.ok((line?.metrics['cost.packets'] ?? 0) > 0);
  assert.equal(Object.keys(line?.loads ?? {}), ['tiny', 'cost']);
  assert.is(line?.anchor?.sha, sha);
  const beside = Object.keys(line?.anchor?.metrics ?? {});
  assert.ok(beside.includes('tiny.packets'));
  assert.ok(beside.every((name) => name.startsWith('tiny.')));
  assert.is((await runCli(['history', '--out', out])).code, 0, 'which can be shown');
});

test('an interrupted run is not kept', async () => {
  const out = join(dir, 'interrupted');
  const bench = startCli(['bench', '--scenario', long, '--keep', '--out', out], { CI: '1' });
  let stderr = '';
  bench.child.stderr?.on('data', (text: string) => (stderr += text));
  await eventually('the load', () => /^tiny: \d+ s, /m.test(stderr));
  bench.child.kill('SIGINT');
  const ended = await bench.ended;
  assert.is(ended.code, 130, ended.stderr);
  assert.match(ended.stderr, 'interrupted, so the run is not kept in the history');
  assert.not(existsSync(join(out, 'history.ndjson')));
});

test.run();
