/** Faults of a client's own link: by probability, by rule, and their end. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FaultAction, FaultPlan, type LinkFaults } from '../../loadgen/link.ts';
import { Random } from '../../loadgen/random.ts';
import { Kind, KINDS } from '../../protocol/index.ts';

const DRAWS = 100_000;

function plan(faults: LinkFaults, seed = 1): FaultPlan {
  return new FaultPlan(faults, new Random(seed, 'link test'));
}

function share(of: FaultPlan, kind: Kind, action: FaultAction): number {
  let count = 0;
  for (let nth = 1; nth <= DRAWS; nth++) if (of.decide(kind, nth) === action) count++;
  return count / DRAWS;
}

/** Four standard errors of a share. */
function within(found: number, p: number, what: string): void {
  const tolerance = 4 * Math.sqrt((p * (1 - p)) / DRAWS);
  assert.ok(Math.abs(found - p) <= tolerance, `${what}: ${found}, expected ${p} +- ${tolerance}`);
}

test('a plan without faults passes every packet', () => {
  const none = plan({});
  assert.not(none.hasRules);
  for (const kind of KINDS) assert.is(none.decide(kind, 1), FaultAction.Pass);
});

test('hits a kind with its own probability, and no other kind', () => {
  const some = plan({ drop: { 'msg:R': 0.05, 'ack:N': 0.3 } });
  within(share(some, Kind.MsgR, FaultAction.Drop), 0.05, 'msg:R');
  within(share(some, Kind.AckN, FaultAction.Drop), 0.3, 'ack:N');
  for (const kind of KINDS) {
    if (kind === Kind.MsgR || kind === Kind.AckN) continue;
    assert.is(share(some, kind, FaultAction.Pass), 1);
  }
});

test('one number hits every kind', () => {
  const some = plan({ drop: 1 });
  for (const kind of KINDS) assert.is(some.decide(kind, 1), FaultAction.Drop);
});

test('a packet that was not dropped may be duplicated, else held', () => {
  const some = plan({ drop: 0.2, duplicate: 0.25, delay: 0.1, reorder: 0.3 });
  within(share(some, Kind.MsgN, FaultAction.Drop), 0.2, 'drop');
  within(share(some, Kind.MsgN, FaultAction.Duplicate), 0.8 * 0.25, 'duplicate');
  within(share(some, Kind.MsgN, FaultAction.Delay), 0.8 * 0.75 * 0.4, 'delay or reorder');
});

test('a rule hits exactly the n-th packet of its kind', () => {
  const rules = plan({
    rules: [
      { packet: 'ack:N', nth: 3, action: 'drop' },
      { packet: 'ack:N', nth: 5, action: 'duplicate' },
      { packet: 'msg:N', nth: 1, action: 'delay' },
    ],
  });
  assert.ok(rules.hasRules);
  const decided = (kind: Kind): FaultAction[] =>
    Array.from({ length: 7 }, (_, i) => rules.decide(kind, i + 1));
  const { Pass, Drop, Duplicate, Delay } = FaultAction;
  assert.equal(decided(Kind.AckN), [Pass, Pass, Drop, Pass, Duplicate, Pass, Pass]);
  assert.equal(decided(Kind.MsgN), [Delay, Pass, Pass, Pass, Pass, Pass, Pass]);
  for (const kind of KINDS) {
    if (kind === Kind.AckN || kind === Kind.MsgN) continue;
    assert.equal(decided(kind), [Pass, Pass, Pass, Pass, Pass, Pass, Pass]);
  }
});

test('a rule overrides the probabilities, and costs them no randomness', () => {
  const rule = { packet: 'msg:R', nth: 2, action: 'drop' } as const;
  const both = plan({ duplicate: 1, rules: [rule] });
  assert.is(both.decide(Kind.MsgR, 1), FaultAction.Duplicate);
  assert.is(both.decide(Kind.MsgR, 2), FaultAction.Drop);
  assert.is(both.decide(Kind.MsgR, 3), FaultAction.Duplicate);
});

test('the same seed hits the same packets', () => {
  const faults: LinkFaults = { drop: 0.1, duplicate: 0.1, reorder: 0.1 };
  const actions = (seed: number): FaultAction[] => {
    const seeded = plan(faults, seed);
    return Array.from({ length: 500 }, (_, i) => seeded.decide(Kind.MsgR, i + 1));
  };
  assert.equal(actions(3), actions(3));
  assert.not.equal(actions(3), actions(4));
});

test('healing ends every fault, rules included', () => {
  const all = plan({
    drop: 1,
    rules: [{ packet: 'msg:R', nth: 1, action: 'duplicate' }],
  });
  all.active = false;
  for (const kind of KINDS) assert.is(all.decide(kind, 1), FaultAction.Pass);
  all.active = true;
  assert.is(all.decide(Kind.MsgR, 1), FaultAction.Duplicate);
});

/** Range of many holds. */
function holds(of: FaultPlan, kind: Kind): { min: number; max: number; all: number[] } {
  const all = Array.from({ length: 20_000 }, () => of.holdMs(kind));
  return { min: Math.min(...all), max: Math.max(...all), all };
}

test('delayed packets are held for delayMs, reordered ones for reorderMs', () => {
  const delayed = holds(plan({ delay: 0.1, delayMs: [200, 300] }), Kind.MsgR);
  assert.ok(delayed.min >= 200 && delayed.min < 201 && delayed.max > 299 && delayed.max <= 300);
  const reordered = holds(plan({ reorder: 0.1, reorderMs: [2, 4] }), Kind.MsgR);
  assert.ok(reordered.min >= 2 && reordered.min < 2.1 && reordered.max > 3.9 && reordered.max <= 4);
  const both = holds(
    plan({ delay: 0.1, reorder: 0.3, delayMs: [200, 300], reorderMs: [2, 4] }),
    Kind.MsgR,
  );
  const share = both.all.filter((ms) => ms >= 200).length / both.all.length;
  assert.ok(Math.abs(share - 0.25) < 0.0125, `share of delays ${share}`);
  assert.ok(both.all.every((ms) => (ms >= 2 && ms <= 4) || (ms >= 200 && ms <= 300)));
});

test('a packet delayed by a rule alone is held for delayMs', () => {
  const { min, max } = holds(
    plan({
      delayMs: [200, 300],
      reorderMs: [2, 4],
      rules: [{ packet: 'ack:R', nth: 1, action: 'delay' }],
    }),
    Kind.AckR,
  );
  assert.ok(min >= 200 && max <= 300, `held ${min} to ${max} ms`);
});

test.run();
