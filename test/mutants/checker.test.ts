/** The checkers are checked: no planted bug of the ledger or of its judges survives the hunts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type * as auditModule from '../../loadgen/audit.ts';
import { difference } from '../../loadgen/audit.ts';
import { CHECKER_CONTROLS, CHECKER_MUTANTS } from './checker-mutants.ts';
import { Edition } from './checker-source.ts';

const SEEDS = 200;

for (const { name, hunt } of CHECKER_CONTROLS) {
  test(`raises no false alarm: ${name}`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) assert.is(hunt(seed), null, `seed ${seed}`);
  });
}

for (const { name, part, hunt } of CHECKER_MUTANTS) {
  test(`catches in the ${part}: ${name}`, () => {
    let caught: string | null = null;
    for (let seed = 1; seed <= SEEDS && caught === null; seed++) caught = hunt(seed);
    assert.ok(caught !== null, 'it survived');
  });
}

test('every planted bug has a name of its own', () => {
  const names = CHECKER_MUTANTS.map(({ name }) => name);
  assert.equal([...new Set(names)], names);
});

test('an edit that fits nowhere, or twice, is out of date and refused', () => {
  const file = 'loadgen/audit.ts';
  const edit = (find: string) => () => new Edition([{ file, find, replace: '' }]);
  assert.throws(edit('no such text'), /loadgen\/audit\.ts holds 0 times/);
  assert.throws(edit('difference('), /loadgen\/audit\.ts holds \d+ times/);
});

test('an edit stays in its edition, and reaches through the files between', async () => {
  const file = 'loadgen/audit.ts';
  const edition = new Edition([
    { file, find: 'const result: number[] = [];', replace: 'const result: number[] = [7, 7];' },
  ]);
  const edited = await edition.load<typeof auditModule>(file);
  assert.equal(edited.difference([1, 1], [1, 1]), [7, 7]);
  assert.equal(difference([1, 1], [1, 1]), []);
  const door = await edition.load<typeof auditModule>('loadgen/index.ts');
  assert.is(door.auditBooks, edited.auditBooks);
  const untouched = await new Edition([]).load<typeof auditModule>(file);
  assert.is(untouched.difference, difference);
});

test.run();
