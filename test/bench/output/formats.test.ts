/** `--output format=place`: what is wrong is said before the run, and what is asked for is written. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseBench } from '../../../bench/options.ts';
import { FORMAT_NAMES, parseOutputs, writeOutput } from '../../../bench/output/formats.ts';
import { resultOf } from '../../support/result.ts';
import { withTempDir } from '../../support/temp-dir.ts';
import { measuredRun } from './measured.ts';

function mistakesOf(texts: string[], taken: string[] = []): string[] {
  return parseOutputs(texts, taken).mistakes;
}

test('every format writes where it was told to', () =>
  withTempDir(async (directory) => {
    const texts = FORMAT_NAMES.split(', ').map((format) => `${format}=${join(directory, format)}`);
    const { outputs, mistakes } = parseOutputs(texts);
    assert.equal(mistakes, []);
    for (const output of outputs) writeOutput(resultOf([measuredRun()]), output);
    assert.equal(readdirSync(directory).sort(), [
      'bencher',
      'csv',
      'github-benchmark',
      'github-benchmark.bigger.json',
      'hgrm',
      'html',
      'junit',
      'markdown',
      'ndjson',
      'prometheus',
    ]);
    assert.equal(readdirSync(join(directory, 'hgrm')), ['a-scenario-confirm.hgrm']);
    for (const format of ['markdown', 'junit', 'csv', 'ndjson', 'bencher', 'prometheus', 'html']) {
      assert.match(readFileSync(join(directory, format), 'utf8'), 'a-scenario', format);
    }
  }));

test('a place may hold an equals sign, and a file that is there is replaced', () =>
  withTempDir(async (directory) => {
    const file = join(directory, 'a=b.csv');
    writeFileSync(file, 'old');
    const { outputs } = parseOutputs([`csv=${file}`]);
    assert.equal(outputs, [{ format: 'csv', place: file }]);
    writeOutput(resultOf([measuredRun()]), { format: 'csv', place: file });
    assert.match(readFileSync(file, 'utf8'), /^scenario,variant,/);
  }));

test('says what is no wish for a format', () => {
  assert.equal(mistakesOf(['xml=a.xml', 'toString=b']), [
    `--output xml=a.xml: unknown format; there are ${FORMAT_NAMES}`,
    `--output toString=b: unknown format; there are ${FORMAT_NAMES}`,
  ]);
  for (const text of ['junit', 'junit=', '', 'a.xml']) {
    const [mistake] = mistakesOf([text]);
    assert.is(mistake, `--output ${text}: write format=file; formats are ${FORMAT_NAMES}`);
  }
});

test('says what cannot be written', () =>
  withTempDir(async (directory) => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    mkdirSync(join(directory, 'bench.bigger.json'));
    const nowhere = join(directory, 'no', 'where');
    assert.equal(
      mistakesOf([
        `csv=${nowhere}`,
        `hgrm=${nowhere}`,
        `csv=${directory}`,
        `hgrm=${file}`,
        `csv=${file}/x`,
        `github-benchmark=${directory}/bench.json`,
      ]).map((mistake) => mistake.replaceAll(directory, 'DIR')),
      [
        '--output csv=DIR/no/where: its directory does not exist',
        '--output hgrm=DIR/no/where: its directory does not exist',
        '--output csv=DIR: DIR is a directory',
        '--output hgrm=DIR/file: is not a directory, and this format needs one',
        '--output csv=DIR/file/x: its directory does not exist',
        '--output github-benchmark=DIR/bench.json: DIR/bench.bigger.json is a directory',
      ],
    );
  }));

test('nothing is written over what the same run writes', () =>
  withTempDir(async (directory) => {
    const place = join(directory, 'out.json');
    assert.equal(mistakesOf([`csv=${place}`], [place]), [
      `--output csv=${place}: ${place} would be written twice`,
    ]);
    const bigger = join(directory, 'out.bigger.json');
    assert.equal(mistakesOf([`github-benchmark=${place}`, `csv=${bigger}`]), [
      `--output csv=${bigger}: ${bigger} would be written twice`,
    ]);
    assert.equal(mistakesOf([`csv=${place}`, `junit=${directory}/./out.json`]).length, 1);
  }));

test('the flag may be repeated, and wins over the variable, in which commas part the formats', () =>
  withTempDir(async (directory) => {
    const outputsOf = (argv: string[]): unknown => {
      const options = parseBench(['--scenario', 'online-steady', ...argv]);
      assert.ok(options !== 'done');
      return 'mistakes' in options ? options.mistakes : options.outputs;
    };
    const [a, b] = [join(directory, 'a'), join(directory, 'b')];
    process.env['ACKBENCH_OUTPUT'] = `csv=${a},junit=${b}`;
    try {
      assert.equal(outputsOf([]), [
        { format: 'csv', place: a },
        { format: 'junit', place: b },
      ]);
      assert.equal(outputsOf(['--output', `ndjson=${a}`, '--output', `markdown=${b}`]), [
        { format: 'ndjson', place: a },
        { format: 'markdown', place: b },
      ]);
    } finally {
      delete process.env['ACKBENCH_OUTPUT'];
    }
    assert.equal(outputsOf(['--json', a, '--output', `csv=${a}`]), [
      `--output csv=${a}: ${a} would be written twice`,
    ]);
    assert.equal(outputsOf([]), []);
  }));

test.run();
