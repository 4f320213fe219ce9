/** Gates of a real run: of which instants they are. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Gate, Result } from '../../bench/result.ts';
import { runCli, stopAll } from '../support/bench-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-gates-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

/** The gates of a run whose rate rises tenfold at an instant; its window begins after a second. */
async function gatesWithStepAt(atS: number): Promise<Gate[]> {
  const scenario = join(dir, 'step.json');
  const json = join(dir, 'result.json');
  const load = {
    kind: 'load',
    name: 'step',
    clients: 20,
    load: { mode: 'open', ratePerSec: 100, steps: [{ atS, ratePerSec: 1000 }] },
    durationS: 4,
    warmupS: 1,
    retransmit: { firstMs: 500, maxMs: 500 },
    server: { store: 'memory' },
    judged: 'audit',
  };
  writeFileSync(scenario, JSON.stringify(load));
  await runCli(['bench', '--scenario', scenario, '--seed', '3', '--json', json, '--out', dir]);
  const { scenarios } = JSON.parse(readFileSync(json, 'utf8')) as Result;
  return scenarios[0]?.gates ?? [];
}

test('arrivals are judged over the window: a rate that changes before it is no other law', async () => {
  const ofArrivals = (await gatesWithStepAt(0.9)).filter(({ id }) => id === 'G7');
  assert.is(ofArrivals.length, 2);
  for (const { name, value, ok } of ofArrivals) assert.ok(ok, `${name}: ${value}`);
});

test('arrivals of several rates within the window are not judged as one law', async () => {
  const gates = await gatesWithStepAt(2);
  assert.ok(gates.length > 0);
  assert.not.ok(gates.some(({ id }) => id === 'G7'));
});

test.run();
