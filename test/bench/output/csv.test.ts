/** CSV: rows that any reader takes apart again, metrics that are keys of the result file. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderCsv } from '../../../bench/output/csv.ts';
import type { ScenarioResult } from '../../../bench/result.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';
import { invalidRun, measuredRun, variantsOf } from './measured.ts';

/** RFC 4180, with LF. */
function parseCsv(text: string): string[][] {
  assert.ok(text.endsWith('\n'));
  const rows: string[][] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\n]*))([,\n])/y;
  let row: string[] = [];
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    assert.ok(found, `a cell in row ${rows.length + 1}`);
    row.push(found[1]?.replaceAll('""', '"') ?? (found[2] as string));
    if (found[3] === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

function rowsOf(...scenarios: ScenarioResult[]): string[][] {
  const [head, ...rows] = parseCsv(renderCsv(resultOf(scenarios)));
  assert.equal(head, ['scenario', 'variant', 'metric', 'unit', 'value']);
  for (const row of rows) assert.is(row.length, 5, row.join());
  return rows;
}

test('every metric is a key of the result file, with its value', () => {
  const run = measuredRun({
    extra: { elapsedS: 12.5, drain: { rows: 7, elapsedUs: 900 }, counters: [{ submitted: 1 }] },
  });
  const rows = rowsOf(run);
  assert.ok(rows.length > 60, `${rows.length} rows`);
  for (const [, , metric, , value] of rows) {
    let found: unknown = run;
    for (const key of (metric as string).split('.')) {
      found = (found as Record<string, unknown>)[key];
    }
    assert.is(value, String(found), metric);
  }
  const metrics = rows.map(([, , metric]) => metric);
  assert.is(new Set(metrics).size, metrics.length);
  assert.ok(metrics.includes('latency.confirmUs.p99'));
  assert.not(metrics.includes('latency.confirmUs.p999'), 'too few samples');
  assert.not(metrics.some((metric) => /hdr|counters|series/.test(metric as string)));
});

test('units follow from the keys', () => {
  const run = measuredRun({
    extra: {
      elapsedS: 3,
      http: { bytesPerSec: 5, requestsPerSec: 2, latencyMs: { p50: 1 } },
      processorTime: { stolen: 0.01 },
      drain: { elapsedUs: 900 },
    },
  });
  const units = new Map(rowsOf(run).map(([, , metric, unit]) => [metric, unit]));
  const expected: [string, string][] = [
    ['latency.confirmUs.p50', 'us'],
    ['latency.confirmUs.count', ''],
    ['load.achievedPerSec', '1/s'],
    ['load.clients', ''],
    ['ledger.lost', ''],
    ['dedupe.wireDuplicateRatio', 'share'],
    ['retransmit.ratio', 'share'],
    ['packets.msg:R', ''],
    ['bytes.sent', 'B'],
    ['server.cpuUsPerMessage', 'us'],
    ['server.peakRssBytes', 'B'],
    ['generator.loopDelayP99Us', 'us'],
    ['generator.gcShare', 'share'],
    ['lossBelow', 'share'],
    ['extra.elapsedS', 's'],
    ['extra.http.bytesPerSec', 'B/s'],
    ['extra.http.requestsPerSec', '1/s'],
    ['extra.http.latencyMs.p50', 'ms'],
    ['extra.processorTime.stolen', 'share'],
    ['extra.drain.elapsedUs', 'us'],
  ];
  for (const [metric, unit] of expected) assert.is(units.get(metric), unit, metric);
});

test('names with commas, quotes and line breaks come back as they were', () => {
  const variant = '1,000 x "16"\nwide';
  const rows = rowsOf(variantsOf(measuredRun({ variant })));
  assert.ok(rows.some((row) => row[1] === variant));
});

test('an invalid run is in it, with a row to filter by', () => {
  const rows = rowsOf(invalidRun());
  assert.equal(rows[0], ['a-scenario', '', 'verdict', '', 'invalid']);
  assert.ok(rows.length > 60);
});

test('a scenario with variants has its own verdict and their figures', () => {
  const runs = [measuredRun({ variant: 'w1' }), measuredRun({ variant: 'w16' })];
  const rows = rowsOf(variantsOf(...runs));
  const own = rows.filter(([, variant]) => variant === '');
  assert.equal(own, [['a-scenario', '', 'verdict', '', 'pass']]);
  const names = new Set(rows.map(([, variant]) => variant));
  assert.equal([...names], ['', 'w1', 'w16']);
});

test('what is not known has no row', () => {
  const server = { cpuUsPerMessage: null, rssBytes: null, peakRssBytes: null };
  const rows = rowsOf(scenarioResult({ server, lossBelow: null }));
  assert.not(rows.some(([, , metric]) => /^server|lossBelow/.test(metric as string)));
});

test.run();
