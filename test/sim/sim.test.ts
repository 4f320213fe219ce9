/** The simulator itself: its seeds, its traces, its shrinking, its command line. */
// deadline: 120s
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { drawPlan, runPlan, runSeed, type shrink } from '../../sim/index.ts';
import { Edition } from '../mutants/checker-source.ts';
import type { RunOutcome } from '../../sim/run.ts';

const test = suite('simulator');
const ROOT = join(import.meta.dirname, '../..');
const SEEDS = 500;

function sim(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'bin/ackbench.mjs'), 'sim', ...argv],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return { status, stdout, stderr };
}

test(`keeps every promise in ${SEEDS} worlds, each the same when run again`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const [violation] = runSeed(seed).violations;
    assert.is(violation, undefined, `npm run sim -- --seed ${seed}: ${violation?.check}`);
  }
});

test('meets every kind of trouble within the first 100 seeds', () => {
  const struck = new Set<string>();
  const steps = new Set<string>();
  const outcomes = new Set<unknown>();
  let absorbed = 0;
  for (let seed = 1; seed <= 100; seed++) {
    const outcome = runPlan(drawPlan(seed));
    for (const what of outcome.struck.keys()) struck.add(what);
    for (const step of outcome.plan.steps) steps.add(step.do);
    for (const message of outcome.messages) if (!message.isErased) outcomes.add(message.outcome);
    absorbed += outcome.absorbed;
  }
  const faults = ['crash client', 'crash server', 'delay', 'drop', 'duplicate', 'fail commit'];
  assert.equal([...struck].sort(), [...faults, 'reorder']);
  assert.is(steps.size, 14);
  assert.is(outcomes.size, 4, 'delivered, stored, failed, given up');
  assert.ok(absorbed > 100);
});

test('draws the same plan from a seed, and another from another', () => {
  assert.equal(drawPlan(5), drawPlan(5));
  assert.not.equal(drawPlan(5), drawPlan(6));
  assert.is(drawPlan(5, 'relay').policy, 'relay');
  assert.is(drawPlan(5, 'durable').policy, 'durable');
});

test('gives two worlds that differ in one message different traces', () => {
  const plan = drawPlan(7);
  const fewer = { ...plan, steps: plan.steps.filter((_, i) => i !== plan.steps.length - 1) };
  assert.not.equal(runPlan(plan).hash, runPlan(fewer).hash);
});

test('shrinks a failing world to the few steps and faults that it takes', async () => {
  const edition = new Edition([
    {
      file: 'protocol/receiver.ts',
      find: 'const fresh = this.expect(sender, epoch).setOf(epoch).add(seq);',
      replace: 'this.expect(sender, epoch).setOf(epoch).add(seq);\n    const fresh = true;',
    },
  ]);
  const broken = await edition.load<{ runPlan: typeof runPlan }>('sim/run.ts');
  const { shrink: shrinkBroken } = await edition.load<{ shrink: typeof shrink }>('sim/shrink.ts');
  let failing: RunOutcome | null = null;
  for (let seed = 1; failing === null; seed++) {
    const outcome = broken.runPlan(drawPlan(seed));
    if (outcome.violations.length > 0) failing = outcome;
  }
  const { outcome, needed, plan } = shrinkBroken(failing);
  assert.is(outcome.violations[0]?.check, 'duplicated');
  assert.ok(needed <= 20, `${needed} steps and faults are left`);
  assert.ok(plan.steps.length < failing.plan.steps.length);
  assert.ok(outcome.lines.length > 0, 'with a trace to read');
});

test('muting a fault changes no other packet’s fate', () => {
  const plan = drawPlan(3);
  const all = runPlan(plan, { isRecording: true });
  const [first] = all.faultKeys;
  assert.ok(first !== undefined);
  const without = runPlan(plan, { isRecording: true, muted: new Set([first]) });
  assert.not.ok(without.faultKeys.includes(first));
});

test('explains the life of a message', () => {
  const found = runPlan(drawPlan(17)).messages.find(({ log }) => log === 'synced');
  assert.ok(found !== undefined);
  const { status, stdout } = sim('--seed', '17', '--explain', String(found.index));
  assert.is(status, 0);
  assert.is(
    stdout.split('\n')[0],
    `message ${found.index}: ${found.name} "${found.content}" (sender>receiver epoch:seq)`,
  );
  assert.ok(stdout.includes(`${found.from} ──> msg:R ${found.name}`));
  assert.ok(stdout.includes(`${found.to} delivers ${found.name} to the application`));
  assert.match(stdout, /delivered once\n$/);
  assert.is(sim('--seed', '17', '--explain', found.name).stdout, stdout, 'by its name as well');
});

test('prints its totals and exits 0 when every promise was kept', () => {
  const { status, stdout } = sim('--seeds', '60');
  assert.is(status, 0);
  assert.match(stdout, /^60 seeds, each run twice: [\d,]+ messages/);
  assert.match(stdout, /0 seeds broke a promise; hash of all traces [0-9a-f]{16}/);
  assert.is(
    sim('--seeds', '60', '--threads', '1').stdout.split('hash of')[1],
    stdout.split('hash of')[1],
  );
});

test('visits every state of the small worlds, and says how many there were', () => {
  const { status, stdout } = sim('--exhaustive', '--quick', '--policy', 'relay');
  assert.is(status, 0);
  assert.match(stdout, /^ok {2}relay 1>2 1>2 {2}no faults: \d+ states/);
  assert.match(
    stdout,
    /relay: \d+ worlds, every one of [\d,]+ states visited .* 0 worlds broke a rule/,
  );
});

test('lists every mistake in its flags, and exits 2', () => {
  const { status, stderr } = sim(
    '--seeds',
    '0',
    '--policy',
    'x',
    '--explain',
    '1',
    '--quick',
    '--nope',
    'y',
  );
  assert.is(status, 2);
  for (const part of [
    '--seeds 0',
    '--policy x',
    '--explain needs --seed',
    '--quick needs',
    '--nope',
  ]) {
    assert.ok(stderr.includes(part), `${part} in ${stderr}`);
  }
});

test('says which messages there are when asked for one that is not', () => {
  const { status, stderr } = sim('--seed', '17', '--explain', '9999');
  assert.is(status, 2);
  assert.match(stderr, /no such message; seed 17 has 0 …/);
});

test.run();
