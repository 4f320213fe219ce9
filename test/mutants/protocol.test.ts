/** Every planted bug of client, gateway and store is caught, and the table in the docs is true. */
// deadline: 180s
import { existsSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hunt, SEEDS_MAX } from './hunt.ts';
import { loadProtocolMutants } from './protocol-mutants.ts';

const test = suite('planted bugs of the protocol');
const DOCS = new URL('../../docs/RELIABILITY.md', import.meta.url);
const docs = existsSync(DOCS) ? readFileSync(DOCS, 'utf8') : '';
const mutants = await loadProtocolMutants();

for (const mutant of mutants) {
  test(`catches: ${mutant.name}`, () => {
    const { caughtBy, seeds } = hunt(mutant);
    assert.ok(caughtBy !== null, `it lives after ${SEEDS_MAX} seeds`);
    const row = docs.split('\n').find((line) => line.includes(`| ${mutant.name} `));
    assert.ok(row !== undefined, 'docs/RELIABILITY.md has a row for it');
    const cells = row.split('|').map((cell) => cell.trim());
    assert.equal(cells.slice(1, 5), [mutant.name, mutant.part, caughtBy, String(seeds)]);
  });
}

test('plants more than two dozen bugs', () => {
  assert.ok(mutants.length >= 24);
});

test.run();
