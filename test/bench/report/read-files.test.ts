/** What a report is made of: files are told apart, older ones are understood, and every mistake is said. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readFiles } from '../../../bench/report/read-files.ts';
import { parseReportFlags } from '../../../bench/report/options.ts';
import type { PageData } from '../../../bench/report/model.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';
import { searchedCapacity, comparisonFile, fullResult } from '../../support/report-files.ts';
import { withTempDir } from '../../support/temp-dir.ts';

function write(directory: string, name: string, value: unknown): string {
  const file = path.join(directory, name);
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
}

function read(files: readonly string[]): PageData {
  const page = readFiles(files);
  assert.not('mistakes' in page, JSON.stringify(page));
  return page as PageData;
}

function mistakesOf(files: readonly string[]): string[] {
  const page = readFiles(files);
  assert.ok('mistakes' in page, 'there are mistakes');
  return page.mistakes;
}

test('tells results, comparisons and capacities apart', () =>
  withTempDir(async (directory) => {
    const page = read([
      write(directory, 'result.json', fullResult()),
      write(directory, 'comparison.json', comparisonFile()),
      write(directory, 'capacity.json', searchedCapacity()),
    ]);
    assert.equal(
      page.results.map(({ file }) => file),
      ['result.json'],
    );
    assert.equal(
      page.comparisons.map(({ file }) => file),
      ['comparison.json'],
    );
    assert.equal(
      page.capacities.map(({ file }) => file),
      ['capacity.json'],
    );
  }));

test('says what is wrong with every file, all at once', () =>
  withTempDir(async (directory) => {
    mkdirSync(path.join(directory, 'folder'));
    const files = [
      path.join(directory, 'missing.json'),
      path.join(directory, 'folder'),
      write(directory, 'text.json', 'no JSON'),
      write(directory, 'null.json', 'null'),
      write(directory, 'package.json', { name: 'x', version: '1' }),
      write(directory, 'newer.json', { ...resultOf([]), schema: 2 }),
      write(directory, 'plan.json', { schema: 1, kind: 'plan' }),
      write(directory, 'broken.json', { ...resultOf([]), verdict: 'splendid', seed: 'x' }),
    ];
    const mistakes = mistakesOf(files).map((line) => line.replace(`${directory}/`, ''));
    assert.equal(mistakes.slice(0, 7), [
      'missing.json: no such file',
      'folder: is a directory: name the files in it',
      'text.json: is no JSON, so no result file of ackbench',
      'null.json: is no result file of ackbench: give what bench, compare or capacity wrote',
      'package.json: is no result file of ackbench: give what bench, compare or capacity wrote',
      'newer.json: has schema 2, and this version reads 1: take a newer ackbench',
      'plan.json: is of kind "plan": reports are of bench, compare and capacity',
    ]);
    assert.is(mistakes.length, 9, 'both mistakes of the broken one');
    assert.match(mistakes[7] as string, /^broken\.json: seed: /);
    assert.match(mistakes[8] as string, /^broken\.json: verdict: /);
  }));

test('refuses a histogram that is none', () =>
  withTempDir(async (directory) => {
    const result = fullResult();
    const [first] = result.scenarios;
    Object.assign(first?.latency.confirmUs ?? {}, { hdr: 'not a histogram' });
    const [mistake, ...more] = mistakesOf([write(directory, 'x.json', result)]);
    assert.match(mistake as string, /latency\.confirmUs\.hdr is no histogram/);
    assert.equal(more, []);
  }));

test('reads a file of the first version, which has fewer keys', () =>
  withTempDir(async (directory) => {
    const { bytes: _, detection: __, ...first } = scenarioResult();
    const page = read([write(directory, 'old.json', resultOf([first as never]))]);
    assert.is(page.results[0]?.scenarios[0]?.whole.bytes, null);
    assert.equal(page.results[0]?.scenarios[0]?.whole.detection, []);
  }));

test('names runs by commit, and by their start where that is one', () =>
  withTempDir(async (directory) => {
    const of = (sha: string, startedAt: string, dirty = false) =>
      resultOf([], { commit: { sha, dirty, branch: 'main' }, startedAt });
    const page = read([
      write(directory, '1.json', of('aaaaaaaa11', '2026-01-01T00:00:00.000Z')),
      write(directory, '2.json', of('bbbbbbbb11', '2026-01-02T00:00:00.000Z')),
      write(directory, '3.json', of('bbbbbbbb11', '2026-01-03T00:00:00.000Z')),
      write(directory, '4.json', of('cccccccc11', '2026-01-03T00:00:00.000Z', true)),
    ]);
    assert.equal(
      page.results.map(({ label }) => label),
      ['aaaaaaaa', 'bbbbbbbb 01-02 00:00', 'bbbbbbbb 01-03 00:00', 'cccccccc*'],
    );
  }));

test('gives every scenario and variant a name of its own', () =>
  withTempDir(async (directory) => {
    const variants = ['w1', 'w1'].map((variant) => scenarioResult({ variant }));
    const page = read([
      write(directory, 'x.json', resultOf([scenarioResult(), scenarioResult({ variants })])),
    ]);
    const scenarios = page.results[0]?.scenarios ?? [];
    assert.equal(
      scenarios.map(({ name }) => name),
      ['a-scenario', 'a-scenario #2'],
    );
    assert.equal(
      scenarios[1]?.variants.map(({ name }) => name),
      ['w1', 'w1 #2'],
    );
  }));

test('lists every mistake in the flags', () => {
  assert.equal(parseReportFlags([]), {
    mistakes: ['no file: name the result files, for example results/*.json'],
  });
  const parsed = parseReportFlags(['a.json', '--loud', '--out', '/nowhere/at/all.html']);
  assert.equal(parsed, {
    mistakes: ['unknown flag --loud', '--out /nowhere/at/all.html: its directory does not exist'],
  });
  const same = parseReportFlags(['package.json', '--out', './package.json']);
  assert.equal(same, { mistakes: ['--out ./package.json: is a file to read already'] });
  const many = parseReportFlags(Array.from({ length: 13 }, (_, i) => `${i}.json`));
  assert.equal(many, { mistakes: ['13 files: at most 12 can be told apart on one page'] });
});

test.run();
