/** What is said alike of a capacity result, wherever it is shown. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CapacitySearch } from '../../../bench/capacity/file.ts';
import { lowerBoundOf, noModelBecause } from '../../../bench/capacity/words.ts';
import { capacityFile } from '../../support/capacity.ts';

const { search, settings, target } = capacityFile();

test('what did not give way at the server is a lower bound, and says what would show more', () => {
  const said = (binds: CapacitySearch['binds']): string => lowerBoundOf({ ...search, binds }) ?? '';
  assert.match(said('generator'), 'lower bound of what the server can do: give the generator');
  assert.match(said('machine'), 'end what else runs on this machine');
  assert.match(said('rate-max'), 'raise --rate-max');
  assert.is(lowerBoundOf({ ...search, binds: 'server' }), null);
  assert.is(lowerBoundOf({ ...search, binds: 'machine', lambdaStarPerSec: null }), null);
});

test('a file without a model has one reason for it', () => {
  const because = (changed: Parameters<typeof capacityFile>[0]): string =>
    noModelBecause(capacityFile({ model: null, ...changed })) ?? '';
  assert.is(noModelBecause(capacityFile()), null);
  assert.match(because({}), 'too few of its runs were valid');
  assert.match(because({ interrupted: true }), '--resume goes on with it');
  assert.match(because({ target: { ...target, kind: 'remote' } }), 'cannot be seen');
  assert.match(because({ settings: { ...settings, isSearchOnly: true } }), 'search only');
});

test.run();
