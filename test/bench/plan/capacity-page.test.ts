/** docs/CAPACITY.md says what `plan` and `fleet` do: inputs, defaults, presets, flags, and its example. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SCENARIOS } from '../../../bench/fleet/scenarios.ts';
import { FIELDS } from '../../../bench/plan/fields.ts';
import { chooseInputs } from '../../../bench/plan/inputs.ts';
import { PRESETS } from '../../../bench/plan/presets.ts';
import { withTempDir } from '../../support/temp-dir.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/CAPACITY.md'), 'utf8');

/** Cells of the table whose first two heads are these. */
function table(first: string, second: string): string[][] {
  const lines = PAGE.split('\n');
  const head = lines.findIndex((line) =>
    new RegExp(`^\\| ${first} +\\| ${second} +\\|`).test(line),
  );
  assert.ok(head >= 0, `there is a table ${first}, ${second}`);
  const rows: string[][] = [];
  for (let at = head + 2; lines[at]?.startsWith('|') === true; at++) {
    const cells = (lines[at] as string).split('|').slice(1, -1);
    rows.push(cells.map((cell) => cell.trim()));
  }
  return rows;
}

test('every input stands in the table with its flag, default and meaning', () => {
  const expected = FIELDS.map(({ key, flag, fallback, does }) => {
    const shown = fallback === undefined ? '-' : fallback === false ? 'no' : String(fallback);
    return [`\`${key}\``, `\`--${flag}\``, shown, does];
  });
  assert.equal(table('Input', 'Flag'), expected);
});

test('every number of every preset stands in the table, marked where it is assumed', () => {
  const rows = table('Input', '`team-chat`');
  const keys = Object.keys(Object.values(PRESETS)[0] as object);
  assert.equal(
    rows.map(([input]) => input),
    keys.map((key) => `\`${key}\``),
  );
  for (const [column, [name, preset]] of Object.entries(PRESETS).entries()) {
    for (const [row, { value, source }] of Object.values(preset).entries()) {
      const cell = rows[row]?.[column + 1] ?? '';
      assert.is(cell.split(' ')[0], String(value), `${name}: ${keys[row]}`);
      assert.is(cell.includes('(a'), source.startsWith('assumed'), `${name}: ${keys[row]}`);
    }
  }
});

test('every scenario and flag of fleet is described', () => {
  assert.equal(
    table('Scenario', 'What happens').map(([name]) => name),
    SCENARIOS.map((name) => `\`${name}\``),
  );
  const options = readFileSync(
    join(import.meta.dirname, '../../../bench/fleet/options.ts'),
    'utf8',
  );
  const flags = [...options.matchAll(/\.option\(\s*['`](--[a-z-]+)/g)].map(([, flag]) => flag);
  assert.ok(flags.length > 5);
  assert.equal(
    table('Flag', 'Default').map(([flag]) => flag),
    flags.map((flag) => `\`${flag}\``),
  );
});

test('the example of an inputs file is accepted', () =>
  withTempDir(async (directory) => {
    const example = /^```yaml\n([\s\S]*?)^```$/m.exec(PAGE)?.[1];
    assert.ok(example);
    const file = join(directory, 'inputs.yaml');
    writeFileSync(file, example);
    const mistakes: string[] = [];
    const given = { preset: undefined, file, flags: new Map(), machines: [] };
    const chosen = chooseInputs(given, mistakes);
    assert.equal(mistakes, []);
    assert.is(chosen?.inputs.dailyUsers, 2_000_000);
    assert.is(chosen?.inputs.machines.length, 2);
  }));

test.run();
