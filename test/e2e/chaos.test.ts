// deadline: 180s
/**
 * Chaos as a process: a real server that is killed and paused, a real proxy that spoils packets and
 * links, clients that crash, and at the end an audit that finds nothing wrong, with every fault
 * counted. Nothing is left running.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChaosReport } from '../../bench/chaos.ts';
import { LINK_ACTIONS } from '../../bench/frame-proxy-link.ts';
import { MUST_BE_ZERO } from '../../loadgen/index.ts';
import {
  eventually,
  isGone,
  readResult,
  serverOf,
  startCli,
  stopAll,
} from '../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-chaos-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});
const onLinux = process.platform === 'linux' ? test : test.skip;

const SIX = ['msg:R', 'msg:A', 'msg:N', 'ack:R', 'ack:A', 'ack:N'];
const each = (p: number) => Object.fromEntries(SIX.map((packet) => [packet, p]));

const SMALL = {
  kind: 'load',
  name: 'small-chaos',
  clients: 60,
  load: { mode: 'open', ratePerSec: 500 },
  durationS: 3.5,
  warmupS: 0.2,
  retransmit: { firstMs: 200, maxMs: 400, maxAttempts: 100 },
  pull: { requestTimeoutMs: 300, pageMessages: 20 },
  quiesceTimeoutS: 60,
  churn: { onlineS: 1.5, offlineS: 0.4 },
  crashOnPage: { probability: 0.2, maxPerClient: 100 },
  chaos: {
    quietS: 0.4,
    server: [
      { action: 'kill', everyS: 2, forMs: [50, 150] },
      { action: 'pause', everyS: 1, forMs: [50, 150] },
    ],
    network: LINK_ACTIONS.map((action) => ({ action, everyS: 0.5, share: 0.1, forMs: [50, 300] })),
    clients: [
      { action: 'crash', everyS: 0.3, share: 0.2, forMs: [10, 100] },
      { action: 'disconnect', everyS: 0.25, share: 1 },
      { action: 'slow-read', everyS: 0.2, share: 0.2, forMs: [50, 200] },
    ],
    packets: {
      drop: each(0.03),
      duplicate: each(0.03),
      delay: each(0.02),
      reorder: each(0.03),
      truncate: each(0.01),
      delayMs: [10, 100],
      rules: [{ packet: 'pull:A', nth: 1, action: 'duplicate' }],
    },
  },
  judged: 'audit',
};

function bench(scenario: object, flags: string[] = []) {
  const file = join(dir, `${Math.random()}.json`);
  const json = `${file}.result`;
  writeFileSync(file, JSON.stringify(scenario));
  const args = ['bench', '--scenario', file, '--json', json, '--out', join(dir, 'out'), ...flags];
  return { cli: startCli(args, { TMPDIR: dir }), json };
}

test('loses nothing and confirms nothing falsely while everything fails', async () => {
  const { cli, json } = bench(SMALL, ['--seed', '11']);
  const { code, stdout, stderr } = await cli.ended;
  assert.is(code, 0, `${stdout}\n${stderr}`);
  const [scenario] = readResult(json).scenarios;
  assert.ok(scenario);
  for (const figure of MUST_BE_ZERO) assert.is(scenario.ledger[figure], 0, figure);
  assert.ok(scenario.ledger.attempted > 1000);
  assert.is(scenario.ledger.delivered, scenario.ledger.attempted);
  assert.is(scenario.ledger.unknown, 0, 'every message outlasts the faults');

  const chaos = scenario.extra['chaos'] as ChaosReport;
  assert.equal(chaos.never, []);
  assert.ok(chaos.server.kill > 0 && chaos.server.pause > 0);
  const ofServer = chaos.moments.filter(({ of }) => of === 'server');
  assert.is(ofServer.length, chaos.server.kill + chaos.server.pause);
  for (const { atS, tookMs } of ofServer)
    assert.ok(atS >= 0 && tookMs > 0, `${atS} s, ${tookMs} ms`);
  for (const action of LINK_ACTIONS) assert.ok((chaos.links[action] ?? 0) > 0, action);
  for (const client of ['crash', 'disconnect', 'slow-read', 'page-crash', 'log-out'] as const) {
    assert.ok(chaos.clients[client] > 0, client);
  }
  for (const fault of ['drop', 'duplicate', 'delay', 'reorder', 'truncate'] as const) {
    for (const packet of SIX)
      assert.ok((chaos.packets[fault][packet] ?? 0) > 0, `${fault} ${packet}`);
  }
  assert.match(stdout, /^ {2}chaos {6}[\d,]+ faults; server: kill \d+, pause \d+; /m);
  assert.match(stdout, /^ +truncated +\d/m);
});

test('a planned fault that never happened makes a run invalid, and says which', async () => {
  const quiet = { ...SMALL, durationS: 1, churn: null, crashOnPage: null };
  const rules = [{ packet: 'msg:R', nth: 1_000_000, action: 'drop' }];
  const chaos = { quietS: 0.3, packets: { rules } };
  const { cli } = bench({ ...quiet, chaos }, ['--retries', '0']);
  const { code, stdout } = await cli.ended;
  assert.is(code, 3, stdout);
  assert.match(stdout, '! planned, but never happened: drop of the 1000000. msg:R of a link');
});

/** Processes that `pid` started. Linux only. */
function childrenOf(pid: number): { pid: number; command: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (parent !== pid) return [];
      return [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'latin1') }];
    } catch {
      return []; // no process, or one that ended while we looked
    }
  });
}

function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.charAt(stat.lastIndexOf(')') + 2);
}

onLinux('neither a paused server nor a proxy outlives a bench that is killed', async () => {
  const pauses = { ...SMALL.chaos, server: [{ action: 'pause', everyS: 0.05, forMs: 30_000 }] };
  const { cli } = bench({ ...SMALL, durationS: 60, chaos: pauses });
  const proxy = await eventually('a proxy', () =>
    childrenOf(cli.pid).find(({ command }) => command.includes('frame-proxy-main')),
  );
  const server = await eventually('a server', () => serverOf(cli.pid));
  await eventually('a pause', () => stateOf(server.pid) === 'T');
  process.kill(cli.pid, 'SIGKILL');
  await cli.ended;
  await eventually('the proxy ends', () => isGone(proxy.pid));
  await eventually('the server ends', () => isGone(server.pid));
});

test.run();
