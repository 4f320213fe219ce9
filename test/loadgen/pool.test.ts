/** The channel to the worker threads: a worker that is gone is told of, whenever it is asked. */
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

test.run();
