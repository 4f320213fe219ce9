/** Chaos as a plan: when what happens, what a scenario may ask for, and the built-in ones. */
import { tmpdir } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drawInstants, totalsOf, touchesServer } from '../../bench/chaos.ts';
import { LINK_ACTIONS } from '../../bench/frame-proxy-link.ts';
import { parseBench } from '../../bench/options.ts';
import { type LoadScenario, parseScenario } from '../../bench/scenario.ts';
import { builtInSuite, extraScenarios } from '../../bench/suite.ts';
import { renderResult } from '../../bench/table.ts';
import { resultOf, scenarioResult } from '../support/result.ts';

const TINY = {
  kind: 'load',
  name: 'tiny',
  clients: 2,
  load: { mode: 'open', ratePerSec: 10 },
  durationS: 5,
};

function parse(chaos: unknown): LoadScenario | string[] {
  const scenario = parseScenario({ ...TINY, chaos }, 'test');
  return 'mistakes' in scenario ? scenario.mistakes : (scenario as LoadScenario);
}

const EVENTS = [
  { action: 'kill', everyS: 4, forMs: [50, 500] as [number, number] },
  { action: 'pause', everyS: 0.5, forMs: 200 },
];

test('instants are in order, within the time, and the same for the same seed', () => {
  const draw = (seed: number, of = 'x') => drawInstants(EVENTS, 100_000, { seed, of });
  const timed = draw(1);
  for (const [i, { atMs, forMs, event }] of timed.entries()) {
    assert.ok(atMs >= (timed[i - 1]?.atMs ?? 0) && atMs < 100_000);
    if (event.action === 'pause') assert.is(forMs, 200);
    else assert.ok(forMs >= 50 && forMs <= 500);
  }
  assert.equal(draw(1), timed);
  assert.not.equal(draw(2), timed);
  assert.not.equal(draw(1, 'y'), timed);
});

test('instants come as often as asked, however long the run is', () => {
  for (const seconds of [1000, 20_000]) {
    const timed = drawInstants(EVENTS, seconds * 1000, { seed: 5, of: 'x' });
    for (const { action, everyS } of EVENTS) {
      const count = timed.filter(({ event }) => event.action === action).length;
      const expected = seconds / everyS;
      // A Poisson count within 5 standard deviations, and the early first one.
      const tolerance = 5 * Math.sqrt(expected) + 1;
      assert.ok(Math.abs(count - expected) <= tolerance, `${action}: ${count} of ${expected}`);
    }
  }
});

test('every kind happens, however short the run: the first one in its first half', () => {
  for (let seed = 0; seed < 200; seed++) {
    const timed = drawInstants(EVENTS, 300, { seed, of: 'x' });
    for (const { action } of EVENTS) {
      const first = timed.find(({ event }) => event.action === action);
      assert.ok(first !== undefined && first.atMs <= 150, `${action}, seed ${seed}`);
    }
  }
});

test('fills in the defaults of chaos', () => {
  const scenario = parse({
    server: [{ action: 'kill', everyS: 5 }],
    network: [{ action: 'throttle', everyS: 5 }],
    clients: [{ action: 'crash', everyS: 5, forMs: 10 }],
  }) as LoadScenario;
  assert.equal(scenario.chaos, {
    quietS: 1,
    server: [{ action: 'kill', everyS: 5, forMs: [100, 1000] }],
    network: [
      { action: 'throttle', everyS: 5, share: 0.05, forMs: [100, 1000], bytesPerSec: 10_000 },
    ],
    clients: [{ action: 'crash', everyS: 5, share: 0.05, forMs: 10 }],
    packets: {},
  });
});

test('lists every mistake in chaos at once, each with its path', () => {
  const mistakes = parse({
    quietS: -1,
    server: [{ action: 'explode', everyS: 5 }, { action: 'kill' }],
    network: [{ action: 'reset', everyS: 0, share: 2, forMs: [500, 100] }],
    clients: [{ action: 'kill', everyS: 1 }],
    packets: {
      truncate: { 'msg:Q': 1 },
      drop: 2,
      rules: [{ packet: 'msg:R', nth: 0, action: 'lose' }],
    },
    speed: 1,
  }) as string[];
  for (const path of [
    'chaos.quietS',
    'chaos.server.0.action',
    'chaos.server.1.everyS',
    'chaos.network.0.everyS',
    'chaos.network.0.share',
    'chaos.network.0.forMs',
    'chaos.clients.0.action',
    'chaos.packets.truncate',
    'chaos.packets.drop',
    'chaos.packets.rules.0.nth',
    'chaos.packets.rules.0.action',
    'chaos',
  ]) {
    assert.ok(
      mistakes.some((mistake) => mistake.startsWith(`test: ${path}: `)),
      `${path} is missing in\n${mistakes.join('\n')}`,
    );
  }
});

test('refuses a quiet end that is as long as the load', () => {
  assert.equal(parse({ quietS: 5 }), [
    'test: chaos.quietS: must be shorter than durationS, or no fault ever happens',
  ]);
});

test('truncation is for the proxy alone: a client cuts nothing of its own', () => {
  const mistakes = parseScenario({ ...TINY, faults: { truncate: 0.1 } }, 'test');
  assert.ok('mistakes' in mistakes && mistakes.mistakes.length === 1);
});

test('knows which scenarios touch the server, which is only allowed with one of ours', () => {
  assert.not(touchesServer(parse(null) as LoadScenario));
  assert.not(touchesServer(parse({ network: [{ action: 'reset', everyS: 1 }] }) as LoadScenario));
  assert.ok(touchesServer(parse({ server: [{ action: 'kill', everyS: 1 }] }) as LoadScenario));
});

for (const quick of [false, true]) {
  const extra = extraScenarios({ quick }).filter(({ kind }) => kind === 'load') as LoadScenario[];

  test(`chaos is built in and no part of the ${quick ? 'quick' : 'default'} suite`, () => {
    assert.equal(
      extra.map(({ name, server, judged }) => [name, server.policy, judged]),
      [
        ['chaos', 'relay', 'audit'],
        ['chaos-durable', 'durable', 'audit'],
      ],
    );
    const suite = builtInSuite({ quick, traceFile: null }).map(({ name }) => name);
    assert.not(suite.some((name) => name.startsWith('chaos')));
  });

  test(`the ${quick ? 'quick' : 'default'} chaos plans every fault there is`, () => {
    for (const { chaos, churn, crashOnPage, name } of extra) {
      assert.ok(chaos !== null && churn !== null && crashOnPage !== null, name);
      assert.equal(
        chaos.server.map(({ action }) => action),
        ['kill', 'pause'],
      );
      assert.equal(
        chaos.network.map(({ action }) => action),
        [...LINK_ACTIONS],
      );
      for (const fault of ['drop', 'duplicate', 'delay', 'reorder', 'truncate'] as const) {
        assert.ok(Object.keys(chaos.packets[fault] ?? {}).length >= 6, `${name}: ${fault}`);
      }
    }
  });

  test(`a message of the ${quick ? 'quick' : 'default'} chaos outlasts its faults`, () => {
    for (const { chaos, retransmit, name } of extra) {
      const longestMs = Math.max(
        ...[...chaos!.server, ...chaos!.network, ...chaos!.clients].map(({ forMs }) =>
          typeof forMs === 'number' ? forMs : forMs[1],
        ),
      );
      const lifeMs = retransmit.maxMs * retransmit.maxAttempts * (1 - retransmit.jitter);
      assert.ok(lifeMs > 10 * longestMs, `${name}: given up after ${lifeMs} ms`);
    }
  });
}

function chosen(...argv: string[]): LoadScenario[] {
  const options = parseBench(['--out', tmpdir(), ...argv]);
  if (options === 'done' || 'mistakes' in options) throw new Error(JSON.stringify(options));
  return options.scenarios as LoadScenario[];
}

test('--duration makes chaos last longer, and changes nothing about how often', () => {
  const [plain] = chosen('--scenario', 'chaos') as [LoadScenario];
  const [long] = chosen('--scenario', 'chaos', '--duration', '30m', '--rate', '15k') as [
    LoadScenario,
  ];
  assert.is(long.durationS, 1800);
  assert.is(long.load.mode === 'open' && long.load.ratePerSec, 15_000);
  assert.equal(long.chaos, plain.chaos);
  const [short] = chosen('--scenario', 'chaos', '--duration', '2s') as [LoadScenario];
  assert.is(short.chaos?.quietS, 0.5);
  assert.is(chosen().filter(({ name }) => name.startsWith('chaos')).length, 0);
});

test('adds up packets by fault', () => {
  const counts = { drop: { 'msg:R': 2, 'ack:N': 3 }, duplicate: {}, delay: {}, reorder: {} };
  assert.equal(totalsOf({ ...counts, truncate: { 'msg:N': 1 } }), {
    drop: 5,
    duplicate: 0,
    delay: 0,
    reorder: 0,
    truncate: 1,
  });
});

test('the report shows what was really done, kind by kind', () => {
  const chaos = {
    total: 1240,
    server: { kill: 3, pause: 0 },
    links: { reset: 7, 'half-open': 2 },
    clients: {
      crash: 4,
      disconnect: 0,
      'half-open': 0,
      'slow-read': 0,
      'page-crash': 1,
      'log-out': 9,
    },
    packets: {
      drop: { 'msg:R': 1234 },
      duplicate: { 'ack:N': 2 },
      delay: {},
      reorder: {},
      truncate: {},
    },
    seen: { 'msg:R': 20_000, 'ack:N': 19_000 },
    connections: 30,
    refused: 1,
    swallowed: 5,
    never: [],
  };
  const text = renderResult(resultOf([scenarioResult({ extra: { chaos } })]));
  const lines = text.split('\n').map((line) => line.trim().replace(/ {2,}/g, ' | '));
  const at = lines.findIndex((line) => line.startsWith('chaos | 1,240 faults'));
  assert.equal(lines.slice(at, at + 6), [
    'chaos | 1,240 faults; server: kill 3; clients: crash 4, page-crash 1, log-out 9',
    'links: reset 7, half-open 2; 5 packets swallowed by half-open links',
    'packets | msg:R | ack:N',
    'through the proxy | 20,000 | 19,000',
    'dropped | 1,234 | 0',
    'duplicated | 0 | 2',
  ]);
});

test.run();
