/** What every experiment shares: what the audit says in words, how load is sliced, how results rank. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { expectedInteractions } from '../../bench/offline-cost-run.ts';
import { type Verdict, worstVerdict } from '../../bench/result.ts';
import {
  auditReasons,
  epochOf,
  hashOf,
  pause,
  proofReason,
  SeriesCollector,
  sliceConfig,
  swarmBase,
} from '../../bench/rig.ts';
import { parseScenario, type Scenario } from '../../bench/scenario.ts';
import {
  auditBooks,
  MUST_BE_ZERO,
  PullStrategy,
  Recorder,
  type SecondSample,
} from '../../loadgen/index.ts';
import { ledgerOf } from '../support/books.ts';

const CALM = { reached: true };

test('every figure that must be zero is a reason when it is not', () => {
  const clean = auditBooks([]);
  assert.equal(auditReasons(clean, CALM), []);
  for (const figure of MUST_BE_ZERO) {
    const ledger = ledgerOf({ attempted: 10, [figure]: 3 });
    assert.equal(auditReasons({ ...clean, ledger }, CALM), [`${figure}: 3 of 10 messages`]);
  }
});

test('figures that are only reported are no reason', () => {
  const ledger = ledgerOf({ attempted: 10, recovered: 1, unknown: 2, orderInversions: 3, info: 3 });
  assert.equal(auditReasons({ ...auditBooks([]), ledger }, CALM), []);
});

test('without quiescence only what no waiting can mend is a reason', () => {
  const ledger = ledgerOf({
    attempted: 10,
    lost: 2,
    falseConfirm: 1,
    stuck: 3,
    unknown: 1,
    duplicated: 1,
    unexpected: 1,
    misrouted: 1,
    corrupt: 1,
    phantom: 1,
  });
  const audit = { ...auditBooks([]), ledger };
  assert.equal(
    auditReasons(audit, { reached: false }),
    ['duplicated', 'unexpected', 'misrouted', 'corrupt', 'phantom'].map(
      (figure) => `${figure}: 1 of 10 messages`,
    ),
  );
  assert.equal([audit.ledger.lost, audit.ledger.unknown], [0, 3], 'never called lost');
});

test('a broken conservation law is a reason', () => {
  const violations = ['set(Wire) = set(Del): 1->2 epoch 1'];
  assert.equal(auditReasons({ ...auditBooks([]), violations }, CALM), [
    'conservation violated: set(Wire) = set(Del): 1->2 epoch 1',
  ]);
});

test('an audit without a finding proves something only of messages that were accepted', () => {
  assert.is(proofReason(ledgerOf({ attempted: 2, accepted: 1 })), null);
  assert.is(proofReason(ledgerOf({})), 'no message was sent: nothing was proven');
  const refused = ledgerOf({ attempted: 5, failed: 3, info: 2, unknown: 2 });
  assert.is(proofReason(refused), 'no message was accepted: nothing was proven');
  const few = ledgerOf({ attempted: 1000, accepted: 995, info: 5, unknown: 5 });
  assert.is(proofReason(few), null);
  const many = ledgerOf({ attempted: 1000, accepted: 994, info: 6, unknown: 6 });
  assert.is(proofReason(many), '6 of 1000 messages were never answered and never arrived');
});

test('on a server that outlives its runs no two of them share an epoch', () => {
  const remote = { target: { url: 'ws://127.0.0.1:1', jwtKey: 'k', isInsecure: false } };
  const epochs = Array.from({ length: 5 }, () => epochOf(remote));
  assert.is(new Set(epochs).size, 5);
  assert.ok(epochs.every((epoch) => epoch > 0 && epoch < 2 ** 32));
  assert.equal([epochOf({ target: null }), epochOf({ target: null })], [1, 1], 'a fresh server');
});

test('the worst verdict wins: pass, invalid, unknown, fail', () => {
  const order: Verdict[] = ['pass', 'invalid', 'unknown', 'fail'];
  for (const [i, a] of order.entries()) {
    for (const [j, b] of order.entries()) {
      assert.is(worstVerdict([a, b]), order[Math.max(i, j)], `${a}, ${b}`);
    }
  }
  assert.is(worstVerdict([]), 'pass');
  assert.is(worstVerdict(order), 'fail');
});

test('an undisturbed drain has the interactions of S13-S19', () => {
  const inbox = { friends: 5, messages: 40, pageMessages: 10 };
  const interactions = Object.values(PullStrategy).map((strategy) => [
    strategy,
    expectedInteractions(strategy, inbox),
  ]);
  assert.equal(Object.fromEntries(interactions), {
    naive: 5,
    counts: 7,
    'one-shot': 2,
    'paged-ack': 8,
    'paged-next': 5,
  });
  const broken = { friends: 3, messages: 41, pageMessages: 10 };
  assert.is(expectedInteractions(PullStrategy.PagedAck, broken), 10, 'a last page of one message');
  assert.is(expectedInteractions(PullStrategy.PagedNext, broken), 6);
});

const BASE = swarmBase({
  target: { url: 'ws://127.0.0.1:1', jwtKey: 'k', isInsecure: false },
  seed: 1,
  uidBase: 100,
  epoch: 1,
  users: 10,
  retransmit: { firstMs: 1, maxMs: 1, maxAttempts: 1, jitter: 0 },
  payloadBytes: [40, 80],
  pull: {
    strategy: 'naive',
    order: 'newest',
    pageMessages: 1,
    pageBytes: 1,
    requestTimeoutMs: 1,
  },
});

test('slices users without gap or overlap, and the load in proportion', () => {
  for (const workers of [1, 2, 3, 7, 10]) {
    const slices = sliceConfig(BASE, workers);
    assert.is(slices.length, workers);
    let next = 0;
    for (const { from, to, share } of slices) {
      assert.is(from, next);
      assert.ok(to > from);
      assert.is(share, (to - from) / 10);
      next = to;
    }
    assert.is(next, 10);
    const total = slices.reduce((sum, { share }) => sum + share, 0);
    assert.ok(Math.abs(total - 1) < 1e-12);
  }
  assert.is(sliceConfig(BASE, 64).length, 10, 'no worker without a user');
});

function scenario(facts: Record<string, unknown>): Scenario {
  const parsed = parseScenario({ kind: 'offline-cost', name: 'x', ...facts }, '');
  if ('mistakes' in parsed) throw new Error(parsed.mistakes.join());
  return parsed;
}

test('the hash of a configuration does not depend on its seed, but on all else', () => {
  assert.is(hashOf(scenario({ seed: 1 })), hashOf(scenario({ seed: 2 })));
  assert.is(hashOf(scenario({})), hashOf(scenario({ seed: 2 })));
  assert.is.not(hashOf(scenario({})), hashOf(scenario({ friends: 49 })));
  assert.match(hashOf(scenario({})), /^[0-9a-f]{16}$/);
});

function sample(second: number, confirmed: number, latencyUs: number): SecondSample {
  const confirm = new Recorder();
  for (let i = 0; i < confirmed; i++) confirm.record(latencyUs);
  return {
    second,
    sent: confirmed + 1,
    confirmed,
    delivered: confirmed,
    inflight: 1,
    online: 5,
    busyShare: latencyUs / 1000,
    confirm: confirm.state(),
  };
}

test('a point of the series is one second of all workers', () => {
  const series = new SeriesCollector();
  series.add(sample(1.02, 10, 100));
  series.add(sample(0.98, 30, 200));
  series.add(sample(2.01, 5, 300));
  series.add(sample(9.9, 5, 300));
  assert.equal(series.points(2), [
    {
      second: 1,
      sentPerSec: 42,
      confirmedPerSec: 40,
      deliveredPerSec: 40,
      inflight: 2,
      online: 10,
      confirmUsP50: 200,
      confirmUsP99: 200,
      confirmUsMax: 200,
      generatorBusy: 0.2,
    },
    {
      second: 2,
      sentPerSec: 6,
      confirmedPerSec: 5,
      deliveredPerSec: 5,
      inflight: 1,
      online: 5,
      confirmUsP50: 300,
      confirmUsP99: 300,
      confirmUsMax: 300,
      generatorBusy: 0.3,
    },
  ]);
});

test('a pause ends with an interruption, and does not begin after one', async () => {
  const controller = new AbortController();
  const hour = pause(3_600_000, controller.signal);
  controller.abort();
  await hour;
  await pause(3_600_000, controller.signal);
  await pause(-5);
});

test.run();
