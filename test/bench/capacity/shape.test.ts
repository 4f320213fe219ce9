/** Capacity files that were damaged or edited by hand: a sentence about the place, never a number from it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCapacityFile } from '../../../bench/capacity/shape.ts';
import { capacityFile } from '../../support/capacity.ts';

const directory = mkdtempSync(join(tmpdir(), 'ackbench-shape-'));
test.after(() => rmSync(directory, { recursive: true }));

function read(text: string): ReturnType<typeof readCapacityFile> {
  const file = join(directory, 'capacity.json');
  writeFileSync(file, text);
  return readCapacityFile(file);
}

/** The file with one value changed; undefined = without it. */
function edited(place: string, value: unknown): string {
  const file = JSON.parse(JSON.stringify(capacityFile())) as Record<string, unknown>;
  const keys = place.split('.');
  const last = keys.pop() as string;
  let at = file;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  at[last] = value;
  return JSON.stringify(file);
}

test('a whole file comes back as it is', () => {
  assert.equal(read(JSON.stringify(capacityFile())), JSON.parse(JSON.stringify(capacityFile())));
});

const EDITS: readonly (readonly [string, unknown])[] = [
  ['model.network.inBytes.online', -1e6],
  ['model.diskBytesPerStored', -1000],
  ['model.fitted.demandUs.online', -500],
  ['model.fitted.demandUs.online', 1e308],
  ['model.fitted.demandUs', null],
  ['model.fitted.memory.baseBytes', -1e12],
  ['model.fitted.latency', []],
  ['model.fitted.latency.2.bUs', 'many'],
  ['model.replicates', 'x'],
  ['model', 'none'],
  ['search.lambdaStarPerSec', -5],
  ['search.lambdaStarPerSec', 0],
  ['search.lambdaStarPerSec', '12000'],
  ['search', null],
  ['search.slo.confirmMs', -1],
  ['validation', undefined],
  ['validation.layers.0.coverage', 2],
  ['runs', null],
  ['runs.0.measured.cpuShare', 1e308],
  ['settings', null],
  ['settings.clients', -5],
  ['target', null],
  ['environment', {}],
  ['commit.sha', 7],
  ['startedAt', 'yesterday'],
];

for (const [place, value] of EDITS) {
  test(`${place} = ${JSON.stringify(value)} is a mistake at that place`, () => {
    const said = read(edited(place, value));
    assert.type(said, 'string');
    assert.match(said as string, `is not as capacity wrote it: ${place}`);
  });
}

test('what is no file, no JSON, of another kind or schema says what to do', () => {
  assert.match(readCapacityFile(join(directory, 'none.json')) as string, /: no such file$/);
  assert.match(readCapacityFile(directory) as string, 'is a directory: name the files in it');
  assert.match(read('{"kind":') as string, 'is no JSON');
  for (const text of ['null', '[]', '7', '{"kind":"plan"}']) {
    assert.match(read(text) as string, 'is no capacity result');
  }
  assert.match(read(edited('schema', 1)) as string, 'measure it again');
  assert.match(read(edited('schema', 9)) as string, 'take a newer ackbench');
});

test.run();
