// deadline: 240s
/**
 * `ackbench bench` as a process that measures: exit codes, what is said on which stream, the result
 * file, and that nothing is left behind, however the run ends.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CostRow } from '../../bench/offline-cost-run.ts';
import type { ScenarioResult } from '../../bench/result.ts';
import { MUST_BE_ZERO, type SwarmReport } from '../../loadgen/index.ts';
import {
  type Cli,
  type Ended,
  eventually,
  isGone,
  isReleased,
  messagesSeen,
  readResult,
  serverOf,
  startCli,
  stopAll,
} from '../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-cli-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});
const onLinux = process.platform === 'linux' ? test : test.skip;

let files = 0;

/** A file in the test's directory. */
function file(ending: string, text = ''): string {
  const path = join(dir, `${++files}.${ending}`);
  if (text !== '') writeFileSync(path, text);
  return path;
}

/** A load of a second that a busy machine can bear too; judged by its audit. */
const TINY = {
  kind: 'load',
  name: 'tiny',
  clients: 20,
  load: { mode: 'open', ratePerSec: 200 },
  durationS: 1,
  warmupS: 0.2,
  retransmit: { firstMs: 150, maxMs: 150, maxAttempts: 60 },
  judged: 'audit',
};

function scenarioFile(...scenarios: object[]): string {
  return file('json', JSON.stringify(scenarios));
}

/** Runs scenarios with a result file and without a second try. */
function bench(scenarios: object[], flags: string[] = [], env: NodeJS.ProcessEnv = {}) {
  const json = file('result.json');
  const args = ['bench', '--retries', '0', '--json', json, '--out', join(dir, 'out'), ...flags];
  // Data of a server whose bench was killed stays behind: in our directory, which is removed.
  const ours = { TMPDIR: dir, ...env };
  const cli = startCli([...args, '--scenario', scenarioFile(...scenarios)], ours);
  return { cli, json };
}

async function measured(
  scenarios: object[],
  flags?: string[],
  env?: NodeJS.ProcessEnv,
): Promise<Ended & { json: string; scenarios: ScenarioResult[] }> {
  const { cli, json } = bench(scenarios, flags, env);
  const ended = await cli.ended;
  try {
    return { ...ended, json, scenarios: readResult(json).scenarios };
  } catch {
    throw new Error(`no result; exit ${ended.code}\n${ended.stdout}\n${ended.stderr}`);
  }
}

function nothingWrong(scenario: ScenarioResult): void {
  for (const figure of MUST_BE_ZERO) assert.is(scenario.ledger[figure], 0, figure);
  assert.equal(scenario.reasons, []);
  assert.is(scenario.verdict, 'pass');
}

// ---- results ---------------------------------------------------------------------------------

/** Schema 1 as design.md section 7 fixes it: keys may be added, these must stay. */
const LATENCIES = [
  'acceptUs',
  'deliverUs',
  'confirmUs',
  'storedConfirmUs',
  'pullUs',
  'connectUs',
  'sendLagUs',
];
const SUMMARY = ['count', 'mean', 'p50', 'p90', 'p95', 'p99', 'p999', 'p9999', 'max', 'hdr'];
const SCHEMA: Record<string, string[]> = {
  '': [
    'schema',
    'tool',
    'startedAt',
    'durationS',
    'seed',
    'commit',
    'environment',
    'target',
    'verdict',
    'scenarios',
  ],
  tool: ['name', 'version'],
  commit: ['sha', 'dirty', 'branch'],
  environment: [
    'cpuModel',
    'cores',
    'memoryBytes',
    'kernel',
    'node',
    'uws',
    'pinning',
    'openFilesLimit',
  ],
  target: ['kind', 'policy', 'store', 'url'],
  'scenarios.0': [
    'name',
    'verdict',
    'reasons',
    'config',
    'configHash',
    'load',
    'latency',
    'ledger',
    'dedupe',
    'retransmit',
    'packets',
    'server',
    'generator',
    'gates',
    'series',
  ],
  'scenarios.0.load': ['clients', 'offeredPerSec', 'achievedPerSec', 'sent'],
  'scenarios.0.latency': LATENCIES,
  ...Object.fromEntries(LATENCIES.map((name) => [`scenarios.0.latency.${name}`, SUMMARY])),
  'scenarios.0.ledger': [
    'attempted',
    'accepted',
    'confirmed',
    'confirmedStored',
    'delivered',
    'lost',
    'falseConfirm',
    'duplicated',
    'unexpected',
    'misrouted',
    'corrupt',
    'phantom',
    'recovered',
    'unknown',
    'stuck',
    'orderInversions',
  ],
  'scenarios.0.dedupe': ['wireArrivals', 'wireDuplicates', 'wireDuplicateRatio', 'absorbed'],
  'scenarios.0.retransmit': ['count', 'ratio'],
  'scenarios.0.packets': [
    'msg:R',
    'msg:A',
    'msg:N',
    'ack:R',
    'ack:A',
    'ack:N',
    'count:R',
    'count:A',
    'pull:R',
    'pull:A',
    'done:R',
    'done:A',
    'inbox:N',
    'kick:N',
  ],
  'scenarios.0.server': ['cpuUsPerMessage', 'rssBytes', 'peakRssBytes'],
  'scenarios.0.generator': ['cpuUsPerMessage', 'eluMean', 'eluMax', 'loopDelayP99Us'],
  'scenarios.0.gates.0': ['id', 'name', 'value', 'limit', 'ok'],
};

test('a tiny run passes, and its result file has every key of schema 1', async () => {
  const summary = file('summary.md');
  const { code, stdout, stderr, json, scenarios } = await measured(
    [{ ...TINY, offlineShare: 0.2 }],
    ['--seed', '42'],
    { GITHUB_STEP_SUMMARY: summary },
  );
  assert.is(code, 0, stderr);
  const result = readResult(json);
  for (const [path, keys] of Object.entries(SCHEMA)) {
    let value: unknown = result;
    for (const key of path === '' ? [] : path.split('.')) {
      value = (value as Record<string, unknown>)[key];
    }
    for (const key of keys) {
      assert.ok(Object.hasOwn(value as object, key), `${path}.${key} is missing`);
    }
  }
  assert.is(result.schema, 1);
  assert.is(result.seed, 42);
  assert.is(result.interrupted, false);
  assert.is(result.verdict, 'pass');
  assert.is(result.tool.name, 'ackbench');

  const scenario = scenarios[0] as ScenarioResult;
  nothingWrong(scenario);
  const { ledger, packets, latency, load } = scenario;
  assert.is(ledger.delivered, ledger.attempted);
  assert.is(ledger.confirmed + ledger.confirmedStored, ledger.attempted);
  assert.ok(ledger.confirmedStored > 0, 'a fifth of the clients was offline');
  assert.is(load.sent, ledger.attempted);
  assert.ok(ledger.attempted > 100 && ledger.attempted < 320, '200 +- 7 standard deviations');
  assert.ok((packets['msg:R'] as number) >= ledger.attempted);
  for (const summarised of Object.values(latency)) {
    assert.is(decodeFromCompressedBase64(summarised.hdr).totalCount, summarised.count);
  }

  assert.match(stdout, /^tiny {2}pass /m);
  assert.match(stdout, /^PASS: 1 scenario, [\d,]+ messages, 0 lost .* seed 42$/m);
  assert.not.match(stdout, '\u001b[');
  assert.match(stderr, 'tiny: started');
  assert.match(stderr, `result: ${json}`);
  assert.match(readFileSync(summary, 'utf8'), stdout.trimEnd());
  const kept = readdirSync(join(dir, 'out')).filter((name) => name.endsWith('.json'));
  assert.ok(kept.length > 0, '--out keeps the result too');
});

test('a lossy link costs retransmissions and wire duplicates, and nothing else', async () => {
  const drop = {
    'msg:R': 0.1,
    'msg:A': 0.1,
    'msg:N': 0.1,
    'ack:R': 0.1,
    'ack:A': 0.1,
    'ack:N': 0.1,
  };
  const { code, stderr, scenarios } = await measured([
    { ...TINY, name: 'tiny-lossy', faults: { drop, duplicate: 0.02, reorder: 0.05 } },
  ]);
  assert.is(code, 0, stderr);
  const scenario = scenarios[0] as ScenarioResult;
  nothingWrong(scenario);
  const { dedupe, retransmit, ledger, packets } = scenario;
  assert.ok(dedupe.wireDuplicates > 0);
  assert.is(dedupe.absorbed, dedupe.wireDuplicates);
  assert.is(dedupe.wireArrivals, ledger.delivered + dedupe.wireDuplicates);
  assert.ok(retransmit.count > 0);
  assert.is(packets['msg:R'], ledger.attempted + retransmit.count);
});

test('naive pulls ask everybody who may have written', async () => {
  const naive = { ...TINY, offlineShare: 0.4, pull: { strategy: 'naive' } };
  const { code, stderr, scenarios } = await measured([
    { ...naive, name: 'friends', receivers: { friends: 5 } },
    { ...naive, name: 'uniform', receivers: { choice: 'uniform' } },
    {
      kind: 'trace',
      name: 'trace',
      durationS: 1,
      messages: 300,
      retransmit: TINY.retransmit,
      pull: { strategy: 'naive' },
      judged: 'audit',
    },
  ]);
  assert.is(code, 0, stderr);
  for (const scenario of scenarios) nothingWrong(scenario);
  assert.ok(scenarios.every(({ ledger }) => ledger.confirmedStored > 0));
});

test('a missed threshold fails the run and is named, exit code 1', async () => {
  const { code, stdout, scenarios } = await measured(
    [{ ...TINY, thresholds: ['ledger.lost==0', 'load.clients>=21'] }],
    ['--threshold', 'tiny:ledger.unknown==0', '--threshold', 'accept.p9999<1s'],
  );
  assert.is(code, 1);
  const scenario = scenarios[0] as ScenarioResult;
  assert.is(scenario.verdict, 'fail');
  assert.equal(scenario.thresholds, [
    { threshold: 'ledger.lost==0', value: 0, ok: true },
    { threshold: 'load.clients>=21', value: 20, ok: false },
    { threshold: 'tiny:ledger.unknown==0', value: 0, ok: true },
    { threshold: 'accept.p9999<1s', value: null, ok: false },
  ]);
  assert.match(stdout, '! threshold load.clients>=21 missed: it is 20');
  assert.match(stdout, '! threshold accept.p9999<1s missed: it has no value');
  assert.match(stdout, /^FAIL: /m);
});

test('a threshold with abortOnFail stops the load, and the run is settled, audited and failed', async () => {
  const startMs = performance.now();
  const { code, stdout, scenarios } = await measured([
    {
      ...TINY,
      load: { mode: 'open', ratePerSec: 1500 },
      durationS: 60,
      warmupS: 0.5,
      judged: 'audit',
      thresholds: [{ threshold: 'confirm.p50<1us', abortOnFail: true, delayS: 1 }],
    },
  ]);
  assert.is(code, 1);
  assert.ok(performance.now() - startMs < 50_000, 'it ran on');
  const scenario = scenarios[0] as ScenarioResult;
  assert.is(scenario.verdict, 'fail');
  assert.ok(scenario.ledger.attempted > 1000);
  assert.is(scenario.ledger.lost, 0);
  assert.is(scenario.ledger.unknown, 0);
  assert.is((scenario.extra['stopped'] as { threshold: string }).threshold, 'confirm.p50<1us');
  assert.match(
    stdout,
    /! threshold confirm\.p50<1us missed: it is [\d.]+ (us|ms), and the load was stopped after \d+ s/,
  );
});

test('a server that does not start fails the run', async () => {
  const { code, stderr, stdout } = await measured([
    { ...TINY, server: { settings: { tlsCert: '/nonexistent.pem', tlsKey: '/nonexistent.pem' } } },
  ]);
  assert.match(stderr, 'the server ended with exit code');
  assert.match(stdout, /^FAIL: /m);
  assert.is(code, 1);
});

/** Counters of the workers, as the result keeps them. */
function disconnectsOf({ extra }: ScenarioResult): number {
  const counters = extra['counters'] as SwarmReport['counters'][];
  return counters.reduce((sum, { disconnects }) => sum + disconnects, 0);
}

test('a server killed in the middle loses nothing; a paused one shows in the latency', async () => {
  const { code, stderr, scenarios } = await measured([
    {
      ...TINY,
      name: 'tiny-kill',
      offlineShare: 0.3,
      durationS: 1.5,
      pull: { requestTimeoutMs: 300 },
      serverEvents: [{ atS: 0.6, action: 'kill', forMs: 150 }],
    },
    {
      ...TINY,
      name: 'tiny-pause',
      durationS: 1.5,
      load: { mode: 'open', ratePerSec: 200, arrivals: 'constant' },
      retransmit: { firstMs: 1000, maxMs: 1000 },
      serverEvents: [{ atS: 0.6, action: 'pause', forMs: 500 }],
    },
  ]);
  assert.is(code, 0, stderr);
  const [killed, paused] = scenarios as [ScenarioResult, ScenarioResult];
  nothingWrong(killed);
  assert.ok(disconnectsOf(killed) >= 14, 'everybody who was online lost the connection');
  assert.ok(killed.ledger.confirmedStored > 0);

  nothingWrong(paused);
  const { acceptUs } = paused.latency;
  assert.ok(acceptUs.max >= 450_000, `max ${acceptUs.max} us`);
  // A hundred of 260 messages were due in the pause and waited 250 ms on average. A generator that
  // waits for answers would have sent twenty.
  assert.ok(acceptUs.mean >= 60_000, `mean ${acceptUs.mean} us`);
});

/** Mostly waits for restarts of its server: it runs beside the first tests. */
const costRun = measured([
  { kind: 'offline-cost', name: 'tiny-cost', friends: 5, messages: 40, pageMessages: 10 },
]);
costRun.catch(() => {}); // told by the test

test('each pull strategy costs what S13-S19 say, disturbed or not', async () => {
  const { code, stderr, scenarios } = await costRun;
  assert.is(code, 0, stderr);
  const scenario = scenarios[0] as ScenarioResult;
  nothingWrong(scenario);
  const table = scenario.extra['costTable'] as CostRow[];
  const undisturbed = table.filter(({ disturbance }) => disturbance === 'none');
  const costs = undisturbed.map(({ strategy, interactions }) => [strategy, interactions]);
  assert.equal(Object.fromEntries(costs), {
    naive: 5,
    counts: 7,
    'one-shot': 2,
    'paged-ack': 8,
    'paged-next': 5,
  });
  assert.is(table.length, 15, 'five strategies, undisturbed, client killed, server killed');
  for (const { strategy, disturbance, rows, repeats } of table) {
    assert.is(rows - repeats, 40, `${strategy}, ${disturbance}: distinct messages`);
    if (disturbance === 'none') assert.is(repeats, 0);
  }
  assert.ok(
    table.some(({ repeats }) => repeats > 0),
    'a page comes again after a crash',
  );
});

// ---- interruptions ---------------------------------------------------------------------------

/** Waits until the load of a bench has reached its server. */
async function underLoad(cli: Cli): Promise<{ pid: number; port: number }> {
  const server = await eventually('the server of the bench', () => serverOf(cli.pid));
  await eventually('the load', async () => (await messagesSeen(server.port)) > 20);
  return server;
}

const LONG = { ...TINY, durationS: 600 };

onLinux('Ctrl-C stops the load, reports what was run, exits 130 and leaves nothing', async () => {
  const { cli, json } = bench([LONG, { ...TINY, name: 'never-begun' }]);
  const server = await underLoad(cli);
  cli.child.kill('SIGINT');
  const { code, stdout, stderr } = await cli.ended;
  assert.is(code, 130, stderr);
  assert.match(stderr, 'interrupted');
  const result = readResult(json);
  assert.is(result.interrupted, true);
  assert.is(result.verdict, 'unknown');
  assert.is(result.scenarios.length, 1);
  const [scenario] = result.scenarios as [ScenarioResult];
  assert.is(scenario.verdict, 'unknown');
  assert.match(scenario.reasons.join(), 'interrupted');
  assert.ok(scenario.ledger.attempted > 20);
  for (const figure of MUST_BE_ZERO) assert.is(scenario.ledger[figure], 0, figure);
  assert.match(stdout, /^UNKNOWN: interrupted: 1 scenario,/m);
  assert.ok(isGone(server.pid), 'the server is gone');
  assert.ok(await isReleased(server.port), 'its port is free');
});

onLinux('Ctrl-C before a planned kill does not kill the server', async () => {
  const { cli, json } = bench([
    { ...LONG, serverEvents: [{ atS: 500, action: 'kill', forMs: 60_000 }] },
  ]);
  await underLoad(cli);
  cli.child.kill('SIGINT');
  const { code } = await cli.ended;
  assert.is(code, 130);
  const [scenario] = readResult(json).scenarios as [ScenarioResult];
  assert.is(scenario.ledger.lost, 0);
  assert.is(disconnectsOf(scenario), 0);
});

onLinux('a bench that is killed leaves no server behind', async () => {
  const { cli } = bench([LONG]);
  const server = await underLoad(cli);
  cli.child.kill('SIGKILL');
  const { signal } = await cli.ended;
  assert.is(signal, 'SIGKILL');
  await eventually('the end of the server', () => isGone(server.pid));
  assert.ok(await isReleased(server.port));
});

onLinux('a server that ends by itself is named, and fails the run', async () => {
  const { cli, json } = bench([{ ...TINY, durationS: 8, quiesceTimeoutS: 1 }]);
  const server = await underLoad(cli);
  process.kill(server.pid, 'SIGKILL');
  const { code, stderr } = await cli.ended;
  assert.is(code, 1, stderr);
  const [scenario] = readResult(json).scenarios as [ScenarioResult];
  assert.match(
    scenario.reasons[0] as string,
    'the server ended by itself in the middle of the run',
  );
});

// ---- other servers ----------------------------------------------------------

test('--target measures a running server, leaves it alone and leaves out what would kill it', async () => {
  const key = 'a key that only this test knows, long enough';
  const serve = startCli(['serve', '--port', '0', '--store', 'memory', '--jwt-key', key]);
  const listening = await eventually(
    'the server',
    () => /^\{.*"msg":"listening".*$/m.exec(serve.stdout())?.[0],
  );
  const { url } = JSON.parse(listening) as { url: string };
  const killing = { ...TINY, name: 'killing', serverEvents: [{ atS: 0.5, action: 'kill' }] };
  const { code, stderr, json, scenarios } = await measured(
    [TINY, killing],
    ['--target', url, '--jwt-key', key],
  );
  assert.is(code, 0, stderr);
  assert.equal(
    scenarios.map(({ name }) => name),
    ['tiny'],
  );
  nothingWrong(scenarios[0] as ScenarioResult);
  assert.match(stderr, 'killing: left out: it kills or pauses the server');
  assert.equal(readResult(json).target, {
    kind: 'remote',
    policy: 'unknown',
    store: 'unknown',
    url,
  });
  assert.is(serve.child.exitCode, null, 'the server still runs');
  serve.child.kill('SIGTERM');
  assert.is((await serve.ended).code, 0);
});

test.run();
