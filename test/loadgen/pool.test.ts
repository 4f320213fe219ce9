/** The channel to the worker threads: a worker that is gone is told of, whenever it is asked. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { swarmBase } from '../../bench/rig.ts';
import { endThreads, SwarmPool } from '../../loadgen/index.ts';

test.after(() => endThreads());

const BASE = swarmBase({
  target: { url: 'ws://127.0.0.1:1', jwtKey: 'k'.repeat(32), isInsecure: false },
  seed: 1,
  uidBase: 100,
  epoch: 1,
  users: 3,
  retransmit: { firstMs: 50, maxMs: 50, maxAttempts: 2, jitter: 0 },
  payloadBytes: 40,
  pull: {
    strategy: 'paged-next',
    order: 'oldest',
    pageMessages: 10,
    pageBytes: 10_000,
    requestTimeoutMs: 100,
  },
});

async function refusalOf(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'answered',
    (error: unknown) => (error as Error).message,
  );
}

test('a worker that died fails every later question instead of leaving it open', async () => {
  const healthy = { ...BASE, from: 0, to: 1 };
  const dying = { ...BASE, from: 1, to: 3, url: 'not a url' };
  const pool = new SwarmPool([healthy, dying], { onSecond() {}, onAtPage() {} });
  const first = await refusalOf(pool.ask('status', null));
  assert.match(first, /url/i);
  assert.is(await refusalOf(pool.ask('status', null)), first);
  assert.is(await refusalOf(pool.ask('report', { stuck: 0 })), first);
  await pool.close();
});

test('a generator process answers as a thread does, and ends when its pool is closed', async () => {
  const alone = { ...BASE, from: 0, to: 3 };
  const pool = new SwarmPool([alone], { onSecond() {}, onAtPage() {} }, 'processes');
  const [status] = await pool.ask('status', null);
  assert.is(status?.clients, 3);
  const [report] = await pool.ask('report', { stuck: 0 });
  assert.ok(
    report?.latencies.confirm.counts instanceof Uint32Array,
    'histograms cross as they are',
  );
  await pool.close();
  assert.is(childrenOf(process.pid).length, 0);
});

test('a generator process that cannot start, or is killed, fails every question', async () => {
  const dying = { ...BASE, from: 0, to: 3, url: 'not a url' };
  const events = { onSecond() {}, onAtPage() {} };
  const pool = new SwarmPool([dying], events, 'processes');
  assert.match(await refusalOf(pool.ask('status', null)), /url/i);
  await pool.close();

  const killed = new SwarmPool([{ ...BASE, from: 0, to: 3 }], events, 'processes');
  await killed.ask('status', null);
  const asked = refusalOf(killed.ask('pullAll', { timeoutMs: 60_000 }));
  for (const pid of childrenOf(process.pid)) process.kill(pid, 'SIGKILL');
  assert.match(await asked, /a generator process ended with SIGKILL/);
  assert.match(await refusalOf(killed.ask('status', null)), /SIGKILL/);
  await killed.close();
});

/** Processes that this one started and that still run. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

test.run();
