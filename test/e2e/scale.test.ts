// deadline: 120s
/** Loads beyond one process or one server, and the ceiling scenario, as a user starts them. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CeilingReport } from '../../bench/ceiling-run.ts';
import type { Layout } from '../../bench/layout.ts';
import { readResult, runCli, stopAll } from '../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-scale-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

function scenarioFile(name: string, scenario: object): string {
  const file = join(dir, `${name}.json`);
  writeFileSync(file, JSON.stringify({ name, ...scenario }));
  return file;
}

const LOAD = scenarioFile('parted', {
  kind: 'load',
  clients: 60,
  load: { mode: 'open', ratePerSec: 400 },
  durationS: 1,
  warmupS: 0.2,
  retransmit: { firstMs: 200, maxMs: 200 },
  judged: 'audit',
});

const quiet = (name: string): string[] => [
  ...'--no-progress --seed 3 --retries 0 --out'.split(' '),
  dir,
  '--json',
  join(dir, `${name}.result.json`),
];

test('--servers parts the clients among independent servers, and audits them as one run', async () => {
  const args = ['bench', '--scenario', LOAD, '--servers', '2', ...quiet('servers')];
  const { code, stdout, stderr } = await runCli(args);
  assert.is(code, 0, stdout + stderr);
  assert.match(stdout, /layout +2 independent servers, 2 generator threads/);
  const [scenario] = readResult(join(dir, 'servers.result.json')).scenarios;
  assert.is((scenario!.extra['layout'] as Layout).servers, 2);
  assert.ok((scenario?.ledger.accepted ?? 0) > 100);
  assert.is(scenario?.ledger.lost, 0);
});

test('clients beyond the open files of a process are driven by several processes', async () => {
  // 640 files leave 140 clients to a process: 300 clients take three, and three servers.
  const args = ['bench', '--scenario', LOAD, '--clients', '300', ...quiet('files')];
  const shell = `ulimit -n 640 && exec "$0" --single-threaded-gc --no-memory-reducer bin/ackbench.mjs "$@"`;
  const child = spawn('sh', ['-c', shell, process.execPath, ...args], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.is(code, 0, said);
  assert.match(said, /layout +3 independent servers, 3 generator processes: 300 clients, and a/);
  const [scenario] = readResult(join(dir, 'files.result.json')).scenarios;
  assert.is(scenario?.load.clients, 300);
  assert.is(scenario?.ledger.accepted, scenario?.ledger.attempted);
});

test('a load that does not fit names the limit that binds, exit code 3', async () => {
  const args = ['bench', '--scenario', LOAD, '--clients', '1m', ...quiet('large')];
  const { code, stderr } = await runCli(args);
  assert.is(code, 3, stderr);
  assert.match(
    stderr,
    /parted: 1,000,000 clients do not fit: (memory|cores|open files|local ports)/,
  );
});

test('several servers are refused where they make no sense', async () => {
  const chaotic = await runCli(['bench', '--scenario', 'chaos', '--servers', '2']);
  assert.is(chaotic.code, 2);
  assert.match(chaotic.stderr, /only loads without chaos run against several servers/);
  const target = await runCli([
    ...'bench --servers 2 --target ws://127.0.0.1:1 --jwt-key k --scenario'.split(' '),
    LOAD,
  ]);
  assert.is(target.code, 2);
  assert.match(target.stderr, /--servers: a --target is one server/);
});

test('a closed loop over all clients keeps as many messages in flight as it was told', async () => {
  const file = scenarioFile('outstanding', {
    kind: 'load',
    clients: 50,
    load: { mode: 'closed', outstanding: 7 },
    durationS: 1,
    warmupS: 0.2,
    retransmit: { firstMs: 200, maxMs: 200 },
    judged: 'audit',
  });
  const args = ['bench', '--scenario', file, ...quiet('outstanding')];
  const { code, stdout, stderr } = await runCli(args);
  assert.is(code, 0, stdout + stderr);
  const [scenario] = readResult(join(dir, 'outstanding.result.json')).scenarios;
  assert.ok((scenario?.ledger.attempted ?? 0) > 100);
  for (const { second, inflight } of scenario?.series ?? []) {
    assert.ok(inflight <= 7, `second ${second}: ${inflight} in flight`);
  }
});

test('the ceiling holds the server beside a raw echo and the generator beside ws', async () => {
  const file = scenarioFile('small-ceiling', {
    kind: 'ceiling',
    clients: [10, 20],
    windows: [2],
    outstanding: 10,
    durationS: 0.3,
    warmupS: 0.1,
    rounds: 1,
  });
  const { code, stdout, stderr } = await runCli(['bench', '--scenario', file, ...quiet('ceiling')]);
  assert.is(code, 0, stdout + stderr);
  assert.match(stdout, /server +window +raw packets\/s +packets\/s +ratio/);
  assert.match(stdout, /generator +window +own echo\/s +ws echo\/s +ratio/);
  const [scenario] = readResult(join(dir, 'ceiling.result.json')).scenarios;
  const { points, scale, blind } = scenario!.extra['ceiling'] as CeilingReport;
  assert.equal(
    points.map(({ clients, window }) => [clients, window]),
    [
      [10, 2],
      [20, 2],
    ],
  );
  for (const point of points) {
    assert.ok(point.echo.echoesPerSec > 0 && point.server.confirmedPerSec > 0);
    assert.ok(Math.abs(point.server.packetsPerMessage - 6) < 0.5);
    assert.is(point.ws === null, point.clients !== 10);
  }
  assert.is(scale.length, 2);
  assert.ok(blind !== null && blind.withoutUs > 0);
});

test.run();
