/** Scenarios as data: what a file may hold, and that a broken one is told everything at once. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LoadScenario, parseScenario, readScenarioFile } from '../../bench/scenario.ts';
import { builtInSuite } from '../../bench/suite.ts';
import { withTempDir } from '../support/temp-dir.ts';

const MINIMAL = {
  kind: 'load',
  name: 'tiny',
  clients: 2,
  load: { mode: 'open', ratePerSec: 10 },
  durationS: 5,
};

function load(facts: Record<string, unknown> = {}): LoadScenario {
  const scenario = parseScenario({ ...MINIMAL, ...facts }, 'test');
  if ('mistakes' in scenario) throw new Error(scenario.mistakes.join('\n'));
  return scenario as LoadScenario;
}

function mistakesOf(value: unknown): string[] {
  const scenario = parseScenario(value, 'test');
  return 'mistakes' in scenario ? scenario.mistakes : [];
}

function fileMistakes(text: string, name = 'broken.yaml'): Promise<string[]> {
  return withTempDir(async (dir) => {
    const file = join(dir, name);
    writeFileSync(file, text);
    const read = readScenarioFile(file);
    if (!('mistakes' in read)) return [];
    return read.mistakes.map((mistake) => mistake.replace(file, 'FILE'));
  });
}

test('fills in the defaults of a load', () => {
  assert.equal(load(), {
    kind: 'load',
    name: 'tiny',
    description: '',
    server: { policy: 'relay', store: 'lmdb', processes: null, settings: {} },
    thresholds: [],
    payloadBytes: 128,
    retransmit: { firstMs: 1000, maxMs: 2000, maxAttempts: 12, jitter: 0.1 },
    pull: {
      strategy: 'paged-next',
      order: 'oldest',
      pageMessages: 100,
      pageBytes: 1_048_576,
      requestTimeoutMs: 2000,
    },
    faults: null,
    connectRatePerSec: 5000,
    quiesceTimeoutS: 30,
    judged: 'latency',
    clients: 2,
    offlineShare: 0,
    load: { mode: 'open', ratePerSec: 10, arrivals: 'poisson', burst: 100 },
    receivers: { choice: 'friends', friends: 16, exponent: 1 },
    durationS: 5,
    warmupS: 1,
    inflightMax: 10_000,
    churn: null,
    crashOnPage: null,
    clientEvents: [],
    serverEvents: [],
    chaos: null,
    variants: [],
  });
});

test('fills in the defaults of the other kinds', () => {
  const of = (value: unknown): Record<string, unknown> => parseScenario(value, '') as never;
  const cost = of({ kind: 'offline-cost', name: 'c' });
  assert.equal([cost['friends'], cost['messages'], cost['pageMessages']], [50, 2000, 100]);
  const http = of({ kind: 'http-pull', name: 'h' });
  assert.equal([http['users'], http['messagesPerUser'], http['connections']], [50, 500, 20]);
  const trace = of({ kind: 'trace', name: 't', durationS: 2 });
  assert.equal([trace['file'], trace['messages'], trace['lingerMs']], [null, 100_000, 250]);
});

test('takes everything that a scenario may say', () => {
  const scenario = load({
    offlineShare: 0.5,
    seed: 7,
    payloadBytes: [64, 256],
    churn: { onlineS: 10, offlineS: 5 },
    crashOnPage: { probability: 0.3 },
    faults: {
      drop: { 'msg:R': 0.1, 'ack:N': 0.2 },
      duplicate: 0.05,
      delayMs: [5, 10],
      rules: [{ packet: 'msg:N', nth: 3, action: 'drop' }],
    },
    clientEvents: [{ atS: 1, action: 'half-open', forMs: 500 }],
    serverEvents: [{ atS: 2, action: 'kill' }],
    thresholds: ['confirm.p99<50ms'],
    server: { settings: { idleTimeoutS: 8, logLevel: 'warn' } },
  });
  assert.equal(scenario.crashOnPage, { probability: 0.3, maxPerClient: 2 });
  assert.equal(scenario.clientEvents, [{ atS: 1, action: 'half-open', share: 1, forMs: 500 }]);
  assert.equal(scenario.serverEvents, [{ atS: 2, action: 'kill', forMs: 500 }]);
});

test('lists every mistake of a broken file at once, each with its path', async () => {
  const mistakes = await fileMistakes(`
kind: load
name: Not A Name
clients: 1
offlineShare: 1.5
colour: blue
load: { mode: open, ratePerSec: -5, arrivals: sometimes, speed: 9 }
durationS: 0
payloadBytes: [500, 100]
retransmit: { firstMs: 0, attempts: 3 }
receivers: { choice: everybody }
pull: { strategy: magic, pageMessages: 0 }
faults: { drop: { 'msg:Q': 0.1 }, rules: [{ packet: 'msg:R', nth: 0, action: explode }] }
serverEvents: [{ atS: 1, action: kill }, { atS: -1, action: explode }]
thresholds: ['confirm.p99<50ms', 'confirm.p99 is good']
server: { store: floppy, policy: hope }
`);
  const paths = [
    'name',
    'clients',
    'offlineShare',
    'load.ratePerSec',
    'load.arrivals',
    'load',
    'durationS',
    'payloadBytes',
    'retransmit.firstMs',
    'retransmit',
    'receivers.choice',
    'pull.strategy',
    'pull.pageMessages',
    'faults.drop',
    'faults.rules.0.nth',
    'faults.rules.0.action',
    'serverEvents.1.atS',
    'serverEvents.1.action',
    'thresholds.1',
    'server.store',
    'server.policy',
  ];
  for (const path of paths) {
    assert.ok(
      mistakes.some((mistake) => mistake.startsWith(`FILE: ${path}: `)),
      `${path} is missing in\n${mistakes.join('\n')}`,
    );
  }
  assert.ok(mistakes.some((mistake) => mistake.startsWith('FILE: Unrecognized key: "colour"')));
  assert.ok(mistakes.every((mistake) => mistake.startsWith('FILE: ')));
  assert.is(new Set(mistakes).size, paths.length + 1, mistakes.join('\n'));
});

test('refuses unknown keys at every level', () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ ...MINIMAL, duration: 5 }, 'duration'],
    [{ ...MINIMAL, load: { mode: 'open', ratePerSec: 1, rate: 2 } }, 'rate'],
    [{ ...MINIMAL, load: { mode: 'closed', window: 1, ratePerSec: 2 } }, 'ratePerSec'],
    [{ ...MINIMAL, server: { polcy: 'relay' } }, 'polcy'],
    [{ ...MINIMAL, faults: { lose: 1 } }, 'lose'],
    [{ ...MINIMAL, variants: [{ name: 'a', polcy: 'relay' }] }, 'polcy'],
    [{ kind: 'offline-cost', name: 'x', clients: 5 }, 'clients'],
    [{ kind: 'http-pull', name: 'x', rate: 5 }, 'rate'],
    [{ kind: 'trace', name: 'x', durationS: 1, churn: null }, 'churn'],
  ];
  for (const [value, key] of wrong) {
    const mistakes = mistakesOf(value);
    assert.is(mistakes.length, 1, mistakes.join('\n'));
    assert.match(mistakes[0] as string, `"${key}"`);
  }
});

test('refuses what contradicts itself', () => {
  assert.equal(mistakesOf({ ...MINIMAL, warmupS: 5 }), [
    'test: warmupS: must be shorter than durationS, which includes it',
  ]);
  assert.equal(mistakesOf({ kind: 'offline-cost', name: 'x', friends: 10, messages: 9 }), [
    'test: messages: every friend sends at least one message',
  ]);
});

test('refuses a threshold that nothing would judge: one for another scenario', () => {
  const thresholds = ['confirm.p99<5ms', 'tiny:load.sent>0', 'tny:ledger.unknown==0'];
  assert.equal(mistakesOf({ ...MINIMAL, thresholds }), [
    'test: thresholds.2: "tny:ledger.unknown==0" is for another scenario, so nothing would judge it',
  ]);
});

test('refuses an unknown kind, and what is no scenario at all', () => {
  for (const value of [{ kind: 'dance', name: 'x' }, { name: 'x' }, null, 5, 'load', []]) {
    assert.ok(mistakesOf(value).length > 0, JSON.stringify(value));
  }
});

test('reads one scenario or a list, in YAML or JSON, and tells which of a list is wrong', async () => {
  await withTempDir(async (dir) => {
    const yaml = join(dir, 'one.yaml');
    writeFileSync(
      yaml,
      'kind: load\nname: one\nclients: 2\nload: { mode: closed, window: 1 }\ndurationS: 2\n',
    );
    const json = join(dir, 'two.json');
    writeFileSync(json, JSON.stringify([MINIMAL, { ...MINIMAL, name: 'other' }]));
    const names = [yaml, json].flatMap((file) => {
      const read = readScenarioFile(file);
      return 'mistakes' in read ? read.mistakes : read.map(({ name }) => name);
    });
    assert.equal(names, ['one', 'tiny', 'other']);
  });
  const list = JSON.stringify([MINIMAL, { ...MINIMAL, clients: 0 }, { ...MINIMAL, durationS: -1 }]);
  const mistakes = await fileMistakes(list, 'list.json');
  assert.ok(mistakes.some((mistake) => mistake.startsWith('FILE[1]: clients: ')));
  assert.ok(mistakes.some((mistake) => mistake.startsWith('FILE[2]: durationS: ')));
});

test('says what is wrong with a file that cannot be read', async () => {
  for (const text of ['', '[]', 'kind: [', 'just words', '- a\n b: c']) {
    const mistakes = await fileMistakes(text);
    assert.ok(mistakes.length > 0, JSON.stringify(text));
    assert.ok(mistakes.every((mistake) => mistake.startsWith('FILE')));
  }
  const missing = readScenarioFile('/nowhere/at/all.yaml');
  assert.ok('mistakes' in missing && missing.mistakes[0]?.includes('ENOENT'));
});

// ---- the built-in suite ----------------------------------------------------------------------

const EIGHT = [
  'online-steady',
  'online-saturation',
  'lossy',
  'offline-cost',
  'offline-crash',
  'reconnect-storm',
  'http-pull',
  'trace',
];

for (const quick of [false, true]) {
  const form = quick ? 'quick' : 'default';
  const suite = builtInSuite({ quick, traceFile: null });

  test(`the ${form} suite has its eight scenarios, each with a description`, () => {
    assert.equal(
      suite.map(({ name }) => name),
      EIGHT,
    );
    for (const { description } of suite) assert.ok(description.length > 10);
  });

  test(`the ${form} suite is as valid as a file of a user must be`, () => {
    for (const scenario of suite) {
      const again = parseScenario(JSON.parse(JSON.stringify(scenario)), scenario.name);
      assert.equal(again, scenario);
    }
  });

  test(`events of the ${form} suite are inside its loads`, () => {
    for (const scenario of suite) {
      if (scenario.kind !== 'load') continue;
      for (const { atS } of [...scenario.clientEvents, ...scenario.serverEvents]) {
        assert.ok(atS > scenario.warmupS && atS < scenario.durationS, scenario.name);
      }
    }
  });
}

test('the suite takes the trace that it is given', () => {
  const suite = builtInSuite({ quick: true, traceFile: '/a/trace.gz' });
  const trace = suite.find(({ kind }) => kind === 'trace');
  assert.is(trace?.kind === 'trace' && trace.file, '/a/trace.gz');
});

test.run();
