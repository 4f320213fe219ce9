/** Thresholds: `[scenario:] figure operator value[unit]`. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judgeThreshold, parseThreshold, type Threshold } from '../../bench/thresholds.ts';
import { latencyReport, scenarioResult } from '../support/result.ts';

function parsed(text: string): Threshold {
  const threshold = parseThreshold(text);
  if (typeof threshold === 'string') throw new Error(threshold);
  return threshold;
}

test('reads figure, operator and value', () => {
  assert.equal(parsed('ledger.unknown==0'), {
    text: 'ledger.unknown==0',
    scenario: null,
    path: ['ledger', 'unknown'],
    operator: '==',
    limit: 0,
  });
  assert.equal(parsed('  load.achievedPerSec >= 9900  '), {
    text: 'load.achievedPerSec >= 9900',
    scenario: null,
    path: ['load', 'achievedPerSec'],
    operator: '>=',
    limit: 9900,
  });
});

test('reads the scenario that it is for', () => {
  const threshold = parsed('online-steady:confirm.p99<50ms');
  assert.is(threshold.scenario, 'online-steady');
  assert.equal(threshold.path, ['latency', 'confirmUs', 'p99']);
});

test('a packet name with its colon is a figure, not a scenario', () => {
  assert.equal(parsed('packets.msg:R<=10').path, ['packets', 'msg:R']);
  assert.is(parsed('packets.msg:R<=10').scenario, null);
  const both = parsed('lossy:packets.ack:N>0');
  assert.is(both.scenario, 'lossy');
  assert.equal(both.path, ['packets', 'ack:N']);
});

test('short names stand for latencies', () => {
  const names = ['accept', 'deliver', 'confirm', 'storedConfirm', 'pull', 'connect', 'sendLag'];
  for (const name of names) {
    assert.equal(parsed(`${name}.p50<1`).path, ['latency', `${name}Us`, 'p50']);
  }
  assert.equal(parsed('latency.confirmUs.p50<1').path, ['latency', 'confirmUs', 'p50']);
});

test('converts units to the us of the file, and per cent to a share', () => {
  const limits: [string, number][] = [
    ['confirm.p99<50', 50],
    ['confirm.p99<50us', 50],
    ['confirm.p99<50ms', 50_000],
    ['confirm.p99<1.5s', 1_500_000],
    ['dedupe.wireDuplicateRatio<5%', 0.05],
    ['load.sent>-3', -3],
  ];
  for (const [text, limit] of limits) assert.is(parsed(text).limit, limit, text);
});

test('the power of detection is a figure', () => {
  const result = scenarioResult({ detection: [{ lossRate: 1e-4, probability: 0.9995 }] });
  const outcome = judgeThreshold(parsed('detection.0.probability>=99.9%'), result);
  assert.equal(outcome, {
    threshold: 'detection.0.probability>=99.9%',
    value: 0.9995,
    ok: true,
  });
});

test('says what is wrong with anything else, and gives an example', () => {
  const wrong = [
    '',
    'confirm.p99',
    'confirm.p99<',
    '<50ms',
    'confirm.p99=50ms',
    'confirm.p99!=50ms',
    'confirm.p99<50min',
    'confirm.p99<fast',
    'confirm.p99<50ms and more',
    'Online:confirm p99<1',
    '9figure<1',
    'a<1e3',
  ];
  for (const text of wrong) {
    const mistake = parseThreshold(text);
    if (typeof mistake !== 'string') return assert.unreachable(`${text} was taken`);
    assert.match(mistake, JSON.stringify(text));
    assert.match(mistake, 'confirm.p99<50ms');
  }
});

test('judges every operator below, at and above the limit', () => {
  const expected: Record<Threshold['operator'], [below: boolean, at: boolean, above: boolean]> = {
    '<': [true, false, false],
    '<=': [true, true, false],
    '>': [false, false, true],
    '>=': [false, true, true],
    '==': [false, true, false],
  };
  for (const [operator, outcomes] of Object.entries(expected)) {
    const found = [9, 10, 11].map((sent) => {
      const result = scenarioResult();
      result.load.sent = sent;
      const outcome = judgeThreshold(parsed(`load.sent${operator}10`), result);
      assert.is(outcome?.value, sent);
      assert.is(outcome?.threshold, `load.sent${operator}10`);
      return outcome?.ok;
    });
    assert.equal(found, outcomes, operator);
  }
});

test('is silent about other scenarios', () => {
  const result = scenarioResult({ name: 'lossy' });
  assert.is(judgeThreshold(parsed('online-steady:load.sent>0'), result), null);
  assert.is(judgeThreshold(parsed('lossy:load.sent>0'), result)?.ok, true);
});

test('a figure without a value fails, whatever the operator', () => {
  const latency = latencyReport();
  const result = scenarioResult({ latency });
  result.server.cpuUsPerMessage = null;
  const missing = [
    'confirm.p99', // too few samples: null
    'server.cpuUsPerMessage', // the process cannot be seen: null
    'extra.nothing.like.this',
    'ledger', // not a number
    'load.sent.deeper',
    'load.toString',
  ];
  for (const figure of missing) {
    for (const operator of ['<', '<=', '>', '>=', '==']) {
      const outcome = judgeThreshold(parsed(`${figure}${operator}0`), result);
      const threshold = `${figure}${operator}0`;
      assert.equal(outcome, { threshold, value: null, ok: false });
    }
  }
});

test('refuses a figure that no result can have, before the run', () => {
  assert.match(String(parseThreshold('nothing<0')), /unknown figure/);
  assert.match(String(parseThreshold('confirm.p5<1us')), /a latency needs one of count, mean, p50/);
  assert.match(String(parseThreshold('confirm<1us')), /a latency needs one of/);
});

test.run();
