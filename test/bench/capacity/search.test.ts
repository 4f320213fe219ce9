/** The search for lambda*, on servers that are known: how often it is right, and what it says. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Probe } from '../../../bench/capacity/file.ts';
import { type ProbeOutcome, searchLambdaStar } from '../../../bench/capacity/search.ts';
import { Random } from '../../../loadgen/index.ts';

const HELD: ProbeOutcome = {
  ok: true,
  reasons: [],
  confirmUsP99: 1000,
  cpuShare: 0.5,
  isVoid: false,
};

/** A server that holds up to `edge`; `noise` = standard deviation of its edge from run to run. */
function server(edgePerSec: number, { noise = 0, seed = 1, reason = 'confirm p99 1 s' } = {}) {
  const random = new Random(seed, 'server');
  const asked: { phase: string; ratePerSec: number }[] = [];
  const probe = (phase: Probe['phase'], ratePerSec: number): Promise<ProbeOutcome> => {
    asked.push({ phase, ratePerSec });
    // The sum of twelve uniform numbers is normal enough.
    let z = -6;
    for (let i = 0; i < 12; i++) z += random.unit();
    const ok = ratePerSec <= edgePerSec * (1 + noise * z);
    return Promise.resolve(ok ? HELD : { ...HELD, ok, reasons: [reason] });
  };
  return { probe, asked };
}

const base = { startPerSec: 1000, maxPerSec: 1e6, sloMs: 100, onProbe() {} };

for (const edge of [1000, 1234, 7777, 25_000, 333_333]) {
  test(`finds ${edge}/s to 2 % from below`, async () => {
    const found = await searchLambdaStar({ ...base, probe: server(edge).probe });
    const rate = found.lambdaStarPerSec as number;
    assert.ok(rate <= edge && rate >= edge / 1.0201, `${rate}`);
    assert.is(found.binds, 'server');
    assert.match(found.why, 'confirm p99 1 s');
  });
}

test('a start that is too high is lowered until it holds', async () => {
  const found = await searchLambdaStar({ ...base, startPerSec: 9000, probe: server(700).probe });
  assert.ok((found.lambdaStarPerSec as number) > 680);
});

test('a rate that only short runs hold is gone back from until long ones hold', async () => {
  const [short, long] = [server(20_000), server(15_000)];
  const found = await searchLambdaStar({
    ...base,
    probe: (phase, rate) => (phase === 'confirm' ? long : short).probe(phase, rate),
  });
  const rate = found.lambdaStarPerSec as number;
  assert.ok(rate <= 15_000 && rate > 11_000, `${rate}`);
});

test('a bad minute on the way up does not keep the rate down', async () => {
  const { probe } = server(20_000);
  let runs = 0;
  const found = await searchLambdaStar({
    ...base,
    probe: async (phase, rate) => {
      const outcome = await probe(phase, rate);
      const isBadMinute = phase === 'bisect' && runs++ < 4;
      return isBadMinute ? { ...HELD, ok: false, reasons: ['a neighbour'] } : outcome;
    },
  });
  const rate = found.lambdaStarPerSec as number;
  assert.ok(rate <= 20_000 && rate > 20_000 / 1.051, `${rate}`);
  assert.match(found.why, 'confirm p99 1 s');
});

test('says that nothing held, and why', async () => {
  const found = await searchLambdaStar({ ...base, probe: server(0, { reason: 'too slow' }).probe });
  assert.is(found.lambdaStarPerSec, null);
  assert.match(found.why, 'no rate held: too slow');
});

test('ends at the highest rate that it may offer, and says that this was not the limit', async () => {
  const found = await searchLambdaStar({ ...base, maxPerSec: 5000, probe: server(1e9).probe });
  assert.is(found.lambdaStarPerSec, 5000);
  assert.is(found.binds, 'rate-max');
  assert.match(found.why, 'still holds at --rate-max 5000/s');
});

test('a generator that gave way is named, not the server', async () => {
  const { probe } = server(4000, { reason: 'generator: busy 0.97, limit <= 0.7' });
  const found = await searchLambdaStar({ ...base, probe });
  assert.is(found.binds, 'generator');
});

test('the highest rate that may be offered is confirmed like any other', async () => {
  const { probe, asked } = server(1e9);
  await searchLambdaStar({ ...base, maxPerSec: 5000, probe });
  assert.is(asked.filter(({ phase }) => phase === 'confirm').length, 2);
});

test('a machine that gave way is named before the generator', async () => {
  const { probe } = server(4000, { reason: 'machine: 0 % stolen, 60 % in other processes' });
  const found = await searchLambdaStar({ ...base, probe });
  assert.is(found.binds, 'machine');
});

test('a run that the machine spoilt is made again, and counts after three', async () => {
  let spoilt = 0;
  const { probe } = server(3000);
  const found = await searchLambdaStar({
    ...base,
    probe: async (phase, ratePerSec) => {
      // Two of every three runs are void.
      if (spoilt++ % 3 !== 2) return { ...HELD, ok: false, reasons: ['stolen'], isVoid: true };
      return probe(phase, ratePerSec);
    },
  });
  assert.ok((found.lambdaStarPerSec as number) > 2940);
});

test('is repeatable on a server whose edge moves by 2 % from run to run', async () => {
  const rates: number[] = [];
  for (let seed = 1; seed <= 60; seed++) {
    const found = await searchLambdaStar({
      ...base,
      probe: server(20_000, { noise: 0.02, seed }).probe,
    });
    rates.push(found.lambdaStarPerSec as number);
  }
  const mean = rates.reduce((a, b) => a + b, 0) / rates.length;
  const deviation = Math.sqrt(rates.reduce((s, x) => s + (x - mean) ** 2, 0) / (rates.length - 1));
  assert.ok(deviation / mean < 0.03, `coefficient of variation ${deviation / mean}`);
  assert.ok(Math.abs(mean / 20_000 - 1) < 0.03, `mean ${mean}`);
});

test('an interrupted search goes on where it was, and comes to the same end', async () => {
  const whole: Probe[] = [];
  const onProbe = (probe: Probe): void => void whole.push(probe);
  const first = await searchLambdaStar({ ...base, onProbe, probe: server(12_345).probe });
  for (const cut of [1, 4, whole.length - 2]) {
    const { probe, asked } = server(12_345);
    const replayed: Probe[] = [];
    const again = await searchLambdaStar({
      ...base,
      probe,
      replay: whole.slice(0, cut),
      onProbe: (done) => void replayed.push(done),
    });
    assert.is(again.lambdaStarPerSec, first.lambdaStarPerSec);
    assert.is(asked.length, whole.length - cut);
    assert.is(replayed.length, whole.length, 'what was replayed is kept as well');
  }
});

test('an interruption is no result', async () => {
  let runs = 0;
  const found = await searchLambdaStar({
    ...base,
    probe: () => Promise.resolve(++runs > 3 ? null : HELD),
  });
  assert.is(found.isComplete, false);
  assert.is(found.lambdaStarPerSec, null);
});

test.run();
