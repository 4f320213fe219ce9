/** Two result files side by side: who failed, what is left out, and what is refused. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareFiles } from '../../../bench/compare/files.ts';
import type { Result, ScenarioResult } from '../../../bench/result.ts';
import { ExitCode } from '../../../loadgen/index.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';
import { withTempDir } from '../../support/temp-dir.ts';

async function compared(a: unknown, b: unknown): Promise<ReturnType<typeof compareFiles>> {
  return withTempDir(async (directory) => {
    const files = [a, b].map((value, i) => {
      const file = join(directory, `${i}.json`);
      writeFileSync(file, JSON.stringify(value));
      return file;
    });
    return compareFiles(...(files as [string, string]));
  });
}

const both = (facts: Partial<Result> = {}): Result => resultOf([scenarioResult()], facts);

test('a failure is told of the side that failed', async () => {
  const failed = scenarioResult({ name: 'lossy', verdict: 'fail', reasons: ['lost: 1'] });
  const { text, exitCode } = await compared(resultOf([scenarioResult(), failed]), both());
  assert.is(exitCode, ExitCode.Pass);
  assert.match(text, 'lossy: A FAILED: lost: 1');
  assert.match(text, 'lossy: left out: only in A');
  assert.not.match(text, 'B FAILED');
});

test('figures of a disturbed load that only its audit judged are shown with that', async () => {
  const busy = scenarioResult({
    config: { judged: 'audit' },
    extra: { processorTime: { stolen: 0, others: 0.4 } },
  });
  const { text } = await compared(resultOf([busy]), both());
  assert.match(text, 'a-scenario: A was judged by its audit alone, and other processes took 40');
});

test('a file that is not whole is refused with the place of what is missing', async () => {
  const broken: [string, (result: Result) => unknown][] = [
    ['commit', (result) => ({ ...result, commit: null })],
    ['environment', (result) => ({ ...result, environment: null })],
    ['scenarios.0.server', (result) => withRun(result, { server: undefined })],
    ['scenarios.0.load', (result) => withRun(result, { load: null })],
    ['scenarios.0.verdict', (result) => withRun(result, { verdict: 'whatever' })],
    ['scenarios.0.variants.0', (result) => withRun(result, { variants: [null] })],
    ['scenarios.0.reasons', (result) => withRun(result, { reasons: null })],
  ];
  for (const [place, spoil] of broken) {
    const { text, exitCode } = await compared(spoil(both()), both());
    assert.is(exitCode, ExitCode.Usage, place);
    assert.match(text, `is not whole: ${place}`);
  }
});

function withRun(result: Result, facts: Record<keyof ScenarioResult, unknown> | object): unknown {
  return { ...result, scenarios: [{ ...result.scenarios[0], ...facts }] };
}

test('a name cannot take over the terminal', async () => {
  const result = both({ commit: { sha: '\u001b[2Jgone', dirty: false, branch: 'b' } });
  const { text } = await compared(result, result);
  assert.not.match(text, '\u001b');
});

test.run();
