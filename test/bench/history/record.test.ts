/** What a kept run leaves behind: its numbers, what they are of, and nothing that was not proven. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseHistory } from '../../../bench/history/read.ts';
import { appendLine, figuresOf, lineOf } from '../../../bench/history/record.ts';
import { line } from '../../support/history.ts';
import { latencyReport, resultOf, scenarioResult } from '../../support/result.ts';
import { withTempDir } from '../../support/temp-dir.ts';

const alone = { subject: null, anchor: null };

test('a run becomes a line with its commit, its machine and its figures', () => {
  const latency = latencyReport();
  latency.confirmUs = { ...latency.confirmUs, p50: 1234.5678, p99: 9000 };
  const result = resultOf([scenarioResult({ latency })], {
    commit: { sha: 'abc', dirty: true, branch: 'a-branch' },
  });
  assert.equal(lineOf(result, { subject: 'Says why', anchor: null }), {
    schema: 1,
    startedAt: '2025-01-01T00:00:00.000Z',
    sha: 'abc',
    subject: 'Says why',
    dirty: true,
    branch: 'a-branch',
    machine: { cpuModel: 'a cpu', cores: 2, node: 'v22' },
    verdict: 'pass',
    metrics: {
      'a-scenario.serverCpu': 12.5,
      'a-scenario.packets': 2,
      'a-scenario.wireBytes': 450,
      'a-scenario.memory': Number((2 ** 26 / 10).toPrecision(6)),
      'a-scenario.confirm.p50': 1234.57,
      'a-scenario.confirm.p99': 9000,
    },
    loads: { 'a-scenario': '0123456789abcdef' },
  });
});

test('a scenario with variants is kept as its variants, a closed loop with its throughput', () => {
  const load = { ...scenarioResult().load, mode: 'closed', offeredPerSec: 0, achievedPerSec: 5000 };
  const variants = ['w1', 'w16'].map((variant) => scenarioResult({ variant, load }));
  const { metrics, loads } = figuresOf([scenarioResult({ variant: 'w1', load, variants })]);
  assert.is(metrics['a-scenario w1.throughput'], 5000);
  assert.is(metrics['a-scenario w16.throughput'], 5000);
  assert.is(metrics['a-scenario.throughput'], undefined);
  assert.equal(Object.keys(loads), ['a-scenario w1', 'a-scenario w16']);
});

test('a load judged by its audit alone, on a disturbed machine, keeps its costs and no latency', () => {
  const latency = latencyReport();
  latency.confirmUs = { ...latency.confirmUs, p50: 1234 };
  const config = { judged: 'audit' };
  const calm = scenarioResult({ latency, config });
  assert.is(figuresOf([calm]).metrics['a-scenario.confirm.p50'], 1234);
  const busy = { ...calm, extra: { processorTime: { stolen: 0, others: 0.4 } } };
  const { metrics } = figuresOf([busy]);
  assert.is(metrics['a-scenario.confirm.p50'], undefined);
  assert.is(metrics['a-scenario.serverCpu'], 12.5);
});

test('what proved nothing has no numbers, and neither has what failed its audit', () => {
  for (const verdict of ['invalid', 'unknown', 'fail'] as const) {
    const bad = scenarioResult({ name: 'bad', verdict, reasons: ['lost: 1 of 1000 messages'] });
    const { metrics, loads } = figuresOf([bad, scenarioResult()]);
    assert.is(metrics['bad.serverCpu'], undefined, verdict);
    assert.is(metrics['a-scenario.serverCpu'], 12.5);
    assert.equal(Object.keys(loads), ['a-scenario']);
  }
});

test('a missed threshold alone does not take a number away: it is the one to look at', () => {
  const thresholds = [{ threshold: 'confirm.p99<1ms', value: 2000, ok: false }];
  const missed = { verdict: 'fail' as const, thresholds };
  const reasons = ['threshold confirm.p99<1ms missed: it is 2000'];
  const slow = figuresOf([scenarioResult({ ...missed, reasons })]);
  assert.is(slow.metrics['a-scenario.serverCpu'], 12.5);
  const lossy = figuresOf([scenarioResult({ ...missed, reasons: [...reasons, 'lost: 1'] })]);
  assert.equal(lossy, { metrics: {}, loads: {} });
});

test('figures that are not there are left out, not written as nothing', () => {
  const server = { cpuUsPerMessage: null, rssBytes: null, peakRssBytes: null };
  const load = { ...scenarioResult().load, clients: 0 };
  const unseen = figuresOf([scenarioResult({ server })]).metrics;
  assert.equal(Object.keys(unseen), ['a-scenario.packets', 'a-scenario.wireBytes']);
  const nobody = figuresOf([scenarioResult({ load })]).metrics;
  assert.is(nobody['a-scenario.memory'], undefined, 'nothing is divided by no clients');
});

test('the figures of the anchor are in the same line', () => {
  const results = [scenarioResult({ server: { ...scenarioResult().server, cpuUsPerMessage: 10 } })];
  const kept = lineOf(resultOf([scenarioResult()]), {
    subject: null,
    anchor: { sha: 'frozen', results },
  });
  assert.is(kept.anchor?.sha, 'frozen');
  assert.is(kept.anchor?.metrics['a-scenario.serverCpu'], 10);
  assert.is(kept.metrics['a-scenario.serverCpu'], 12.5);
  assert.is(lineOf(resultOf([]), alone).anchor, undefined);
});

test('lines are appended, and what is written is what is read', () =>
  withTempDir(async (directory) => {
    const deeper = join(directory, 'results');
    const first = lineOf(resultOf([scenarioResult()]), alone);
    const file = appendLine(deeper, first);
    appendLine(deeper, line(1_000_000));
    assert.equal(parseHistory(readFileSync(file, 'utf8')), {
      lines: [first, line(1_000_000)],
      corrupt: 0,
    });
  }));

test('a line that a killed process left torn does not swallow the next one', () =>
  withTempDir(async (directory) => {
    const file = appendLine(directory, line(1));
    writeFileSync(file, readFileSync(file, 'utf8') + '{"schema":1,"startedAt":"20');
    appendLine(directory, line(2));
    assert.equal(parseHistory(readFileSync(file, 'utf8')), {
      lines: [line(1), line(2)],
      corrupt: 1,
    });
  }));

test.run();
