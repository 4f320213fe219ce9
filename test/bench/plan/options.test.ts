/** Flags, files and presets of a plan: which wins, and every mistake at once. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FIELDS } from '../../../bench/plan/fields.ts';
import { DEFAULT_MACHINES } from '../../../bench/plan/inputs.ts';
import { parsePlan, type PlanOptions } from '../../../bench/plan/options.ts';
import { PRESETS } from '../../../bench/plan/presets.ts';
import { capacityFile } from '../../support/capacity.ts';
import { withTempDir } from '../../support/temp-dir.ts';

/** A directory with a capacity file in it. */
async function withCapacity(run: (file: string, directory: string) => void): Promise<void> {
  await withTempDir(async (directory) => {
    const file = join(directory, 'capacity.json');
    writeFileSync(file, JSON.stringify(capacityFile()));
    run(file, directory);
  });
}

function optionsOf(argv: readonly string[]): PlanOptions {
  const options = parsePlan(argv);
  assert.not(options === 'done' || 'mistakes' in options, JSON.stringify(options));
  return options as PlanOptions;
}

function mistakesOf(argv: readonly string[]): string[] {
  const options = parsePlan(argv);
  assert.ok(options !== 'done' && 'mistakes' in options);
  return (options as { mistakes: string[] }).mistakes;
}

const ENOUGH = ['--users', '1m', '--messages', '40'];

test('defaults fill what is not said, and only users and messages must be', () =>
  withCapacity((file) => {
    const { inputs, origins } = optionsOf([file, ...ENOUGH]);
    assert.is(inputs.dailyUsers, 1_000_000);
    assert.is(inputs.targetUtilisation, 0.6);
    assert.is(inputs.spareNodes, 1);
    assert.equal(inputs.machines, [...DEFAULT_MACHINES]);
    assert.is(origins.length, FIELDS.length);
    assert.equal(
      mistakesOf([file]).map((mistake) => mistake.split(' ')[0]),
      ['--users', '--messages'],
    );
  }));

test('what is written is never a file that is read, nor twice the same', () =>
  withCapacity((file, directory) => {
    const inputsFile = join(directory, 'inputs.yaml');
    writeFileSync(inputsFile, 'dailyUsers: 5000\nmessagesPerUserPerDay: 4\n');
    const out = join(directory, 'out');
    const already = (argv: string[]): string => mistakesOf([file, ...argv]).join('\n');
    const read = /is a file to read already/;
    assert.match(already([...ENOUGH, '--json', file]), read);
    assert.match(already(['--inputs', inputsFile, '--json', inputsFile]), read);
    assert.match(already([...ENOUGH, '--markdown', `${directory}/./capacity.json`]), read);
    assert.match(
      already([...ENOUGH, '--json', out, '--markdown', out]),
      /--markdown .* is that of --json already/,
    );
  }));

test('a preset by the name of what every object has is none, nor is a list', () =>
  withCapacity((file, directory) => {
    const inputsFile = join(directory, 'inputs.yaml');
    writeFileSync(inputsFile, 'preset: [team-chat]\n');
    for (const name of ['constructor', 'toString', '__proto__']) {
      assert.match(mistakesOf([file, ...ENOUGH, '--preset', name]).join(), 'no such preset');
    }
    assert.match(
      mistakesOf([file, ...ENOUGH, '--inputs', inputsFile]).join(),
      'preset ["team-chat"]: no such preset',
    );
  }));

test('a machine says what is missing, and its name is one line', () =>
  withCapacity((file) => {
    const mistakes = mistakesOf([file, ...ENOUGH, '--machine', 'name=a,cores=0']).join('\n');
    assert.match(mistakes, 'cores: must be a whole number above 0');
    assert.match(mistakes, 'memoryGb: is missing');
    const spec = 'name=a\u001b[31m,cores=2,memoryGb=8,networkGbps=1,diskGb=100';
    assert.match(mistakesOf([file, ...ENOUGH, '--machine', spec]).join(), 'control characters');
  }));

test('a flag wins over the file, the file over the preset, the preset over the default', () =>
  withCapacity((file, directory) => {
    const inputsFile = join(directory, 'inputs.yaml');
    const lines = ['preset: team-chat', 'dailyUsers: 5000', 'offlineShare: 40%', 'heartbeatS: 30s'];
    writeFileSync(inputsFile, `${lines.join('\n')}\n`);
    const { inputs, origins } = optionsOf([file, '--inputs', inputsFile, '--users', '7k']);
    assert.is(inputs.dailyUsers, 7000);
    assert.is(inputs.offlineShare, 0.4);
    assert.is(inputs.heartbeatS, 30);
    assert.is(inputs.messagesPerUserPerDay, 153);
    assert.is(inputs.copies, 1);
    const source = (key: string): string | undefined =>
      origins.find((origin) => origin.key === key)?.source;
    assert.is(source('dailyUsers'), '--users');
    assert.is(source('offlineShare'), inputsFile);
    assert.match(source('messagesPerUserPerDay') ?? '', 'Microsoft');
    assert.is(source('copies'), 'default');
  }));

test('units are understood: counts, shares, times', () =>
  withCapacity((file) => {
    const { inputs } = optionsOf([
      ...[file, '--users', '2.5m', '--messages', '40', '--peak-concurrent', '30%'],
      ...['--growth', '50%', '--slo', '0.2s', '--heartbeat', '2m', '--tls', 'yes'],
      ...['--connections-max', '20k', '--keeps', 'all'],
    ]);
    assert.is(inputs.dailyUsers, 2_500_000);
    assert.is(inputs.peakConcurrent, 0.3);
    assert.is(inputs.growth, 0.5);
    assert.is(inputs.sloP99Ms, 200);
    assert.is(inputs.heartbeatS, 120);
    assert.is(inputs.tls, true);
    assert.is(inputs.connectionsPerProcess, 20_000);
    assert.is(inputs.keeps, 'all');
    assert.is(optionsOf([file, ...ENOUGH, '--slo', '80']).inputs.sloP99Ms, 80);
    assert.is(optionsOf([file, ...ENOUGH, '--peak-concurrent', '9k']).inputs.peakConcurrent, 9000);
  }));

test('machines come from flags or the file', () =>
  withCapacity((file, directory) => {
    const spec = 'name=a,cores=2,memoryGb=8,networkGbps=1,diskGb=100';
    const { inputs } = optionsOf([
      file,
      ...ENOUGH,
      '--machine',
      spec,
      `${spec},pricePerMonth=9`.replace('=a', '=b'),
    ]);
    assert.equal(inputs.machines[0], {
      name: 'a',
      cores: 2,
      memoryGb: 8,
      networkGbps: 1,
      diskGb: 100,
      pricePerMonth: null,
    });
    assert.is(inputs.machines[1]?.pricePerMonth, 9);
    const inputsFile = join(directory, 'inputs.json');
    writeFileSync(inputsFile, JSON.stringify({ machines: inputs.machines }));
    assert.equal(
      optionsOf([file, ...ENOUGH, '--inputs', inputsFile]).inputs.machines,
      inputs.machines,
    );
  }));

test('a capacity file may stand behind a flag that takes several words', () =>
  withCapacity((file, directory) => {
    const { capacities, variations, jsonFile } = optionsOf([
      ...[...ENOUGH, '--json', join(directory, 'plan.json'), '--what-if', 'copies=2', file],
    ]);
    assert.equal(
      capacities.map((named) => named.file),
      [file],
    );
    assert.is(variations.length, 1);
    assert.is(jsonFile, join(directory, 'plan.json'));
  }));

test('what-if takes keys and flags, one variation per value', () =>
  withCapacity((file) => {
    const { variations } = optionsOf([
      ...[file, ...ENOUGH, '--what-if', 'offlineShare=0.1,30%', 'payload-bytes=1024', 'tls=yes'],
    ]);
    assert.equal(variations, [
      { name: 'offlineShare=0.1', changed: { offlineShare: 0.1 } },
      { name: 'offlineShare=30%', changed: { offlineShare: 0.3 } },
      { name: 'payloadBytes=1024', changed: { payloadBytes: 1024 } },
      { name: 'tls=yes', changed: { tls: true } },
    ]);
  }));

test('every mistake in the flags is said at once', () =>
  withCapacity((file, directory) => {
    const result = join(directory, 'other.json');
    writeFileSync(result, '{"kind":"comparison"}');
    const mistakes = mistakesOf([
      ...[file, result, join(directory, 'missing.json'), '--bogus', '--preset', 'email'],
      ...['--users', 'many', '--peak-concurrent', '0', '--messages', '-1', '--peak-factor', '0.5'],
      ...[
        '--offline-share',
        '120%',
        '--logins',
        '0',
        '--retention-days',
        'long',
        '--keeps',
        'none',
      ],
      ...['--payload-bytes', '1.5', '--tls', 'perhaps', '--heartbeat', '0s', '--slo', 'fast'],
      ...['--utilisation', '1', '--spare', '-1', '--growth', 'x', '--retransmit-share', '11'],
      ...[
        '--copies',
        '0',
        '--connections-max',
        '0',
        '--machine',
        'cores',
        'name=a,cores=1.5,ram=4',
      ],
      ...['--what-if', 'weather=1', 'offlineShare=2', 'copies', '--json', '/nowhere/at/all/x.json'],
      ...['--markdown', '/nowhere/at/all/x.md', '--contention', '2'],
    ]).join('\n');
    for (const { flag } of FIELDS) assert.match(mistakes, `--${flag} `, flag);
    for (const part of [
      'unknown flag --bogus',
      'is no capacity result',
      'missing.json: no such file',
      '--preset email: no such preset; there are team-chat, consumer-messenger, customer-support',
      '--users many: must be a number between 1 and',
      '--offline-share 120%: must be a number between 0 and 1, as 0.2 or 20%',
      '--tls perhaps: must be yes or no',
      '--keeps none: must be stored or all',
      '--payload-bytes 1.5: must be a whole number',
      '--heartbeat 0s: must be a number between 1 and 86400, as 500ms or 30s',
      '--machine cores: write name=small',
      'unknown key ram',
      'cores: must be a whole number above 0',
      '--what-if weather=1: no input weather',
      '--what-if offlineShare: 2: must be',
      '--what-if copies: no values',
      '--json /nowhere/at/all/x.json: its directory does not exist',
      '--markdown /nowhere/at/all/x.md: its directory does not exist',
    ]) {
      assert.match(mistakes, part, part);
    }
  }));

test('every mistake in a file is said at once', () =>
  withCapacity((file, directory) => {
    const inputsFile = join(directory, 'inputs.yaml');
    const mistakes = (text: string): string => {
      writeFileSync(inputsFile, text);
      return mistakesOf([file, '--inputs', inputsFile, ...ENOUGH]).join('\n');
    };
    const wrong =
      'preset: sms\ncopies: 1.5\ntls: 3\ncolour: red\nmachines: [5, {name: a, cores: 0}]';
    const said = mistakes(wrong);
    for (const part of [
      'preset sms: no such preset',
      'copies 1.5: must be a whole number',
      'tls 3: must be yes or no',
      'unknown key colour; known are dailyUsers',
      'machines[0]: must be a map',
      'machines[1]: cores: must be a whole number above 0',
      'machines[1]: memoryGb: is missing',
    ]) {
      assert.match(said, part, part);
    }
    assert.match(mistakes('machines: []'), 'must be a list with at least one machine');
    assert.match(mistakes('- 1'), 'must be a map of inputs');
    assert.match(mistakes('a: [1'), `--inputs ${inputsFile}: `);
    const machine = '{name: a, cores: 1, memoryGb: 1, networkGbps: 1, diskGb: 1}';
    assert.match(mistakes(`machines: [${machine}, ${machine}]`), 'machine a: named twice');
    assert.match(mistakesOf([file, ...ENOUGH, '--inputs', '/no/file']).join(), 'ENOENT');
    assert.match(mistakesOf(ENOUGH).join(), 'name a capacity file');
  }));

test('every number of a preset is in range and has a source', () => {
  for (const [name, preset] of Object.entries(PRESETS)) {
    for (const { key, min, max } of FIELDS) {
      const given = preset[key];
      if (given === undefined) continue;
      assert.ok(given.value >= min && given.value <= max, `${name}: ${key}`);
      assert.ok(given.source.length > 5, `${name}: ${key} has a source`);
    }
    assert.ok(preset.dailyUsers && preset.messagesPerUserPerDay, `${name} is enough by itself`);
  }
});

test.run();
