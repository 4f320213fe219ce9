/** `ackbench plan` and `fleet` from the command line: what they print, write, and exit with. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CapacityFile } from '../../bench/capacity/file.ts';
import { capacityFile } from '../support/capacity.ts';
import { withTempDir } from '../support/temp-dir.ts';

const BIN = resolve(import.meta.dirname, '../../bin/ackbench.mjs');
const MACHINE = 'name=m,cores=2,memoryGb=8,networkGbps=1,diskGb=1000,pricePerMonth=60';
const LOAD = ['--users', '100k', '--messages', '100', '--machine', MACHINE];

function ackbench(...argv: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [BIN, ...argv], { encoding: 'utf8' });
}

/** A directory, and capacity files by name. */
async function withFiles(
  files: Readonly<Record<string, Partial<CapacityFile>>>,
  run: (path: (name: string) => string) => void,
): Promise<void> {
  await withTempDir(async (directory) => {
    for (const [name, changed] of Object.entries(files)) {
      writeFileSync(join(directory, name), JSON.stringify(capacityFile(changed)));
    }
    run((name) => join(directory, name));
  });
}

const DURABLE = { kind: 'reference' as const, policy: 'durable', store: 'lmdb', url: '' };

test('plan compares two servers, says what if, and writes JSON and Markdown', () =>
  withFiles({ 'relay.json': {}, 'durable.json': { target: DURABLE } }, (path) => {
    const { status, stdout, stderr } = ackbench(
      ...['plan', path('relay.json'), path('durable.json'), ...LOAD, '--assumptions'],
      ...['--what-if', 'offlineShare=0.1,0.3', '--json', path('plan.json')],
      ...['--markdown', path('plan.md')],
    );
    assert.is(status, 0, stderr);
    for (const part of ['relay, lmdb', 'durable, lmdb', 'binds', 'Sensitivity', 'What if']) {
      assert.match(stdout, part, part);
    }
    assert.match(stdout, 'offlineShare=0.3');
    assert.match(stdout, 'Compared');
    assert.match(stdout, 'dailyUsers = 100000: --users');
    const report = JSON.parse(readFileSync(path('plan.json'), 'utf8')) as {
      kind: string;
      plans: { outcome: { chosen: number }; whatIf: unknown[] }[];
    };
    assert.is(report.kind, 'plan');
    assert.equal(
      report.plans.map(({ outcome, whatIf }) => [outcome.chosen, whatIf.length]),
      [
        [0, 2],
        [0, 2],
      ],
    );
    assert.match(readFileSync(path('plan.md'), 'utf8'), '| resource | nodes | 90 % |');
  }));

test('a model that is too far off gets no node counts, but network and disk, and exit code 3', () => {
  const refusal = 'the model is 20.0 % off on held-out runs';
  return withFiles({ 'off.json': { validation: { layers: [], refusal } } }, (path) => {
    const { status, stdout, stderr } = ackbench('plan', path('off.json'), ...LOAD);
    assert.is(status, 3);
    assert.match(stderr, refusal);
    assert.match(stdout, 'network in');
    assert.match(stdout, 'disk');
    assert.match(stdout, `! no node counts: ${refusal}`);
    assert.not.match(stdout, 'Nodes, spares included');
    const fleet = ackbench('fleet', path('off.json'), ...LOAD);
    assert.is(fleet.status, 3);
    assert.match(fleet.stderr, refusal);
  });
});

test('no model is exit code 3, no machine that fits is 1, a mistake is 2', () =>
  withFiles({ 'none.json': { model: null }, 'good.json': {} }, (path) => {
    const none = ackbench('plan', path('none.json'), ...LOAD);
    assert.is(none.status, 3);
    assert.match(none.stderr, 'has no model');
    const tight = ackbench('plan', path('good.json'), ...LOAD, '--slo', '1ms');
    assert.is(tight.status, 1);
    assert.match(tight.stdout, 'no machine type is enough');
    assert.is(ackbench('fleet', path('good.json'), ...LOAD, '--slo', '1ms').status, 1);
    const wrong = ackbench('plan', path('good.json'), '--colour', 'red');
    assert.is(wrong.status, 2);
    assert.match(wrong.stderr, 'unknown flag --colour');
    assert.match(wrong.stderr, 'Run with --help');
  }));

test('fleet simulates what is asked for, and validates against the runs', () =>
  withFiles({ 'good.json': {} }, (path) => {
    const { status, stdout, stderr } = ackbench(
      ...['fleet', path('good.json'), ...LOAD, '--scenario', 'node-failure', 'day'],
      ...['--nodes', '3', '--seed', '7', '--json', path('fleet.json'), '--recover-within', '1m'],
    );
    assert.is(status, 0, stderr);
    assert.match(stdout, 'node-failure');
    assert.not.match(stdout, 'reconnect-storm');
    assert.match(stdout, '3 × m (planned: 2), 6 processes');
    const report = JSON.parse(readFileSync(path('fleet.json'), 'utf8')) as {
      fleets: { scenarios: { name: string }[] }[];
    };
    assert.equal(
      report.fleets[0]?.scenarios.map(({ name }) => name),
      ['day', 'node-failure'],
    );
    const validation = ackbench('fleet', path('good.json'), ...LOAD, '--validate');
    assert.is(validation.status, 0, validation.stderr);
    assert.match(validation.stdout, 'mean error: CPU');
    assert.match(validation.stdout, 'online 12,000/s');
  }));

test('fleet refuses a deploy of weeks, and says what would help a fleet that breaks', () =>
  withFiles({ 'good.json': {} }, (path) => {
    const run = ['fleet', path('good.json'), ...LOAD, '--scenario'];
    const weeks = ackbench(
      ...[...run, 'rolling-deploy', '--nodes', '10000', '--batch', '1'],
      ...['--drain', '1h', '--restart', '1h'],
    );
    assert.is(weeks.status, 2);
    assert.match(weeks.stderr, '10,000 nodes, 1 at once, takes 20000h (at most 24h are simulated)');
    const alone = ackbench(...run, 'node-failure', '--nodes', '1');
    assert.is(alone.status, 1);
    assert.match(alone.stdout, '! node-failure breaks the SLO: a second node (--spare 1)');
  }));

test('every mistake in the flags of fleet is said at once', () =>
  withFiles({ 'good.json': {} }, (path) => {
    const { status, stderr } = ackbench(
      ...['fleet', path('good.json'), ...LOAD, '--scenario', 'earthquake', '--seed', 'x'],
      ...['--nodes', '0', '--reconnect-spread', 'soon', '--recover-within', '2h', '--batch', '0'],
      ...['--drain', '-1s', '--restart', 'x', '--growth', 'x', '--json', '/nowhere/at/all/f.json'],
    );
    assert.is(status, 2);
    for (const part of [
      '--scenario earthquake: no such scenario; there are all, day',
      '--seed x: must be a whole number',
      '--nodes 0: must be',
      '--reconnect-spread soon: must be a time',
      '--recover-within 2h: must be a time up to 1h',
      '--batch 0: must be',
      '--drain -1s: must be a time',
      '--restart x: must be a time',
      '--growth x: must be',
      'its directory does not exist',
    ]) {
      assert.match(stderr, part, part);
    }
    assert.not.ok(existsSync('/nowhere'));
  }));

test('a breaking fleet is exit code 1', () =>
  withFiles({ 'good.json': {} }, (path) => {
    const { status, stdout } = ackbench(
      ...['fleet', path('good.json'), ...LOAD, '--scenario', 'reconnect-storm'],
      ...['--peak-concurrent', '0.9', '--recover-within', '0s'],
    );
    assert.is(status, 1);
    assert.match(stdout, 'breaks');
  }));

test.run();
