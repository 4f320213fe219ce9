/**
 * The bench against servers with a planted bug: it must fail each of them by the figure that the bug
 * touches, and name a message; and it must pass the healthy server in the very same scenarios.
 *
 * The bench's own door is tested too: nothing here but flags, a scenario file and the wire.
 */
// deadline: 240s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type RunOrder, type RunOutcome, runAgainst } from '../sabotaged/run.ts';
import { missOf, NO_SABOTAGE, SABOTAGES, sabotageOf } from '../sabotaged/sabotages.ts';

/** Most of a run is waiting for silence, so some fit side by side. */
const LANES = 3;
const SEED = 1;
/** Rare bugs strike more often here, so that a short run has to meet them; none strikes less often. */
const SHORT_RATE = 0.02;
const SHORT_RATE_MAX = 0.5;
const SHORT_LOAD_S = 0.6;

const orders: RunOrder[] = [
  ...[...new Set(SABOTAGES.map(({ scenario }) => scenario))].map((scenario) => ({
    sabotage: NO_SABOTAGE,
    scenario,
    seed: SEED,
    durationS: SHORT_LOAD_S,
  })),
  ...SABOTAGES.map(({ name, scenario, rate }) => ({
    sabotage: name,
    scenario,
    seed: SEED,
    durationS: SHORT_LOAD_S,
    rate: Math.max(rate, Math.min(SHORT_RATE_MAX, Math.max(4 * rate, SHORT_RATE))),
  })),
];

/** Each run's outcome, started side by side; a test waits for its own. */
function startAll(): Promise<RunOutcome>[] {
  const starts: (() => void)[] = [];
  const outcomes = orders.map(async (order) => {
    await new Promise<void>((resolve) => starts.push(resolve));
    try {
      return await runAgainst(order);
    } finally {
      starts.shift()?.();
    }
  });
  for (const outcome of outcomes) outcome.catch(() => {}); // the test that waits for it reports it
  for (const start of starts.splice(0, LANES)) start();
  return outcomes;
}

const test = suite('sabotaged servers');
const outcomes = startAll();

for (const [i, { sabotage: name, scenario }] of orders.entries()) {
  const sabotage = sabotageOf(name);
  if (sabotage === undefined) throw new Error(`${name} is no sabotage`);
  if (sabotage === null) {
    test(`the healthy server passes the scenario ${scenario}`, async () => {
      const outcome = (await outcomes[i]) as RunOutcome;
      const said = `${outcome.scenario?.reasons.join('; ')} ${outcome.stderr}`;
      assert.is(outcome.exitCode, 0, said);
      assert.ok((outcome.scenario?.ledger.accepted ?? 0) > 100, 'it was under load');
      assert.equal(outcome.scenario?.examples, []);
    });
    continue;
  }
  test(`fails the sabotage ${name} and names what it did`, async () => {
    const { exitCode, scenario: found, stderr } = (await outcomes[i]) as RunOutcome;
    assert.is(exitCode, 1, `${found?.reasons.join('; ')} ${stderr}`);
    if (found === null) return assert.unreachable('no result');
    assert.is(found.verdict, 'fail');
    const said = `${found.reasons.join('; ')}\n${found.examples.join('\n')}`;
    assert.is(missOf(sabotage, found), null, said);
  });
}

test.run();
