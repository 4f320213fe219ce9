/** NDJSON: one object per line, seconds and summaries, each with the run it is of. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderNdjson } from '../../../bench/output/ndjson.ts';
import type { ScenarioResult } from '../../../bench/result.ts';
import { resultOf } from '../../support/result.ts';
import { measuredRun, variantsOf } from './measured.ts';

type Line = Record<string, unknown>;

function linesOf(...scenarios: ScenarioResult[]): Line[] {
  const text = renderNdjson(resultOf(scenarios));
  assert.ok(text.endsWith('\n'));
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

test('every second has a line with the keys of the file, and the scenario a summary', () => {
  const run = measuredRun();
  const lines = linesOf(run);
  assert.equal(
    lines.map(({ type }) => type),
    ['second', 'second', 'second', 'summary'],
  );
  assert.equal(lines[1], {
    type: 'second',
    startedAt: '2025-01-01T00:00:00.000Z',
    scenario: 'a-scenario',
    variant: null,
    ...run.series[1],
  });
});

test('a summary has the figures without histograms, and what the run was', () => {
  const [summary] = linesOf(measuredRun()).filter(({ type }) => type === 'summary') as [Line];
  const latency = summary['latency'] as Record<string, Line>;
  assert.is(latency['confirmUs']?.['p50'], 10_000);
  assert.is(latency['confirmUs']?.['p999'], null);
  assert.not(JSON.stringify(summary).includes('hdr'));
  assert.not('series' in summary || 'config' in summary || 'variants' in summary);
  assert.is(summary['verdict'], 'pass');
  assert.is(summary['seed'], 42);
  assert.is(summary['tool'], '0.0.0');
  assert.is((summary['ledger'] as Line)['attempted'], 1000);
});

test('of a scenario with variants the sum has no latency, for it is that of the first variant', () => {
  const lines = linesOf(
    variantsOf(measuredRun({ variant: 'w1' }), measuredRun({ variant: 'w16' })),
  );
  const summaries = lines.filter(({ type }) => type === 'summary');
  assert.equal(
    summaries.map(({ variant, latency }) => [variant, latency !== undefined]),
    [
      ['w1', true],
      ['w16', true],
      [null, false],
    ],
  );
  assert.is(lines.filter(({ type }) => type === 'second').length, 6, 'each second once');
});

test.run();
