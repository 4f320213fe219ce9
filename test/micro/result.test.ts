/** The judgement on two results, and what is read from perf and from files. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compare, FORMAT, isGrown, type MicroResult, parseResult } from './result.ts';
import { perfCount } from './tools.ts';

function result(fields: Partial<MicroResult['benchmarks'][number]> = {}): MicroResult {
  const figures = { name: 'a', instructions: 1000, bytes: 100, nsMin: 10, nsMedian: 11, ...fields };
  return {
    format: FORMAT,
    node: 'v1',
    machine: 'm',
    counter: 'callgrind',
    benchmarks: [figures],
  };
}

test('growth beyond the tolerance is growth, and half a byte never is', () => {
  assert.not(isGrown(1000, 1020, 2));
  assert.ok(isGrown(1000, 1021, 2));
  assert.not(isGrown(0, 0.5, 2));
  assert.ok(isGrown(0, 0.51, 2));
  assert.ok(isGrown(1000, 1001, 0));
  assert.not(isGrown(1000, 10, 0));
});

test('names every figure that grew, and never the time', () => {
  const worse = result({ instructions: 1100, bytes: 110, nsMin: 1000, nsMedian: 1000 });
  assert.equal(compare(result(), worse, 2).grown, ['a: instructions', 'a: bytes']);
  assert.equal(compare(result(), worse, 10).grown, []);
  assert.equal(compare(worse, result(), 2).grown, []);
  assert.match(
    compare(result(), worse, 2).text,
    /\| a +\| +ns, min \| +10\.00 \| +1000 \| 100\.000 \|/,
  );
});

test('instructions that were counted by something else are not compared, and it says so', () => {
  const worse = result({ instructions: 5000 });
  const { text, grown } = compare({ ...result(), counter: 'perf' }, worse, 2);
  assert.equal(grown, []);
  assert.match(text, 'Instructions are not compared: then perf, now callgrind.');
  assert.not.match(text, '| instructions');
});

test('says what else differs between two results', () => {
  const other = { ...result({ name: 'b' }), node: 'v2', machine: 'n' };
  const { text } = compare(result(), other, 2);
  assert.match(text, 'Other node: then v1, now v2.');
  assert.match(text, 'Other machine: then m, now n.');
  assert.match(text, 'New, not compared: b.');
});

test('reads a result back, and says what is wrong with another file', () => {
  assert.equal(parseResult(JSON.stringify(result())), result());
  assert.is(parseResult('{'), 'is not JSON');
  assert.match(parseResult('null') as string, 'not a result of this version');
  assert.match(parseResult('{"format":"ackbench micro 0"}') as string, 'not a result');
  const broken = { ...result(), benchmarks: [{ name: 'a', bytes: 'many' }] };
  assert.match(parseResult(JSON.stringify(broken)) as string, 'without a name or figures');
});

test('reads the count of perf, and knows when there is none', () => {
  // Lines that perf 6.1 printed, on a machine without such a counter, and the documented other one.
  assert.is(perfCount('<not supported>,,instructions:u,0,100.00,,\n'), null);
  assert.is(perfCount('Events enabled\n123456,,instructions:u,1056219,100.00,,\n'), 123456);
});

test.run();
