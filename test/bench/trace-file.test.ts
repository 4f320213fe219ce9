/** Message traces: files, their mistakes, and the synthetic one. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTrace, syntheticTrace, type Trace } from '../../bench/trace-file.ts';
import { withTempDir } from '../support/temp-dir.ts';

const OPTIONS = { messages: 1000, durationMs: 10_000, lingerMs: 250 };

function read(text: string | Buffer, options = OPTIONS, name = 'trace.txt'): Promise<Trace> {
  return withTempDir(async (dir) => {
    const file = join(dir, name);
    writeFileSync(file, text);
    return readTrace(file, options);
  });
}

function plain({ people, load }: Trace): unknown {
  return {
    people,
    atUs: [...load.atUs],
    sender: [...load.sender],
    receiver: [...load.receiver],
  };
}

const TEXT = `# SNAP's temporal networks look like this
7 9 1000

9 7 1010
7 3\t1020
`;
const EXPECTED = {
  people: 3,
  atUs: [0, 4_750_000, 9_500_000],
  sender: [0, 1, 0],
  receiver: [1, 0, 2],
};

test('reads sender, receiver and time, numbers the people and fits 95 % of the run', async () => {
  const trace = await read(TEXT);
  assert.equal(plain(trace), EXPECTED);
  assert.is(trace.load.mode, 'trace');
  assert.is(trace.load.lingerMs, 250);
  assert.match(trace.origin, /trace\.txt: 3 messages, 3 people, sped up 2 times$/);
});

test('reads .gz', async () => {
  assert.equal(plain(await read(gzipSync(TEXT), OPTIONS, 'trace.txt.gz')), EXPECTED);
});

test('puts messages in the order of time and takes the first ones', async () => {
  const trace = await read('1 2 300\n3 4 100\n5 6 200\n7 8 400\n', { ...OPTIONS, messages: 3 });
  assert.equal(plain(trace), {
    people: 6,
    atUs: [0, 4_750_000, 9_500_000],
    sender: [0, 2, 4],
    receiver: [1, 3, 5],
  });
});

test('leaves out messages to oneself', async () => {
  assert.is((await read('1 1 5\n1 2 6\n')).load.atUs.length, 1);
});

test('takes the line ends of other systems', async () => {
  assert.equal(
    plain(await read(TEXT.replaceAll('\n', '\r\n').replace('\r\n\r\n', '\n\n'))),
    EXPECTED,
  );
});

test('names the malformed line by its number', async () => {
  const malformed: [string, number][] = [
    ['1 2\n', 1],
    ['1 2 3\n# fine\n1 2 x\n', 3],
    ['1 2 3\n\n\n1 2 3 4\n', 4],
    ['1 -2 3\n', 1],
    ['1 2 3.5\n', 1],
    ['1,2,3\n', 1],
  ];
  for (const [text, line] of malformed) {
    const message = await read(text).then(
      () => '',
      (error: Error) => error.message,
    );
    assert.match(
      message,
      new RegExp(`trace\\.txt:${line}: expected "sender receiver unix_seconds"$`),
    );
  }
});

test('refuses a file without a message', async () => {
  for (const text of ['', '# nothing\n', '4 4 100\n']) {
    const message = await read(text).then(
      () => '',
      (error: Error) => error.message,
    );
    assert.match(message, 'holds no message');
  }
});

test('a synthetic trace is a function of its seed', () => {
  const of = (seed: number): unknown => plain(syntheticTrace(seed, OPTIONS));
  assert.equal(of(1), of(1));
  assert.not.equal(of(1), of(2));
});

test('a synthetic trace is ordered, fits the run and names only people who exist', () => {
  for (const seed of [1, 2, 3]) {
    const { people, load, origin } = syntheticTrace(seed, { ...OPTIONS, messages: 5000 });
    assert.is(load.atUs.length, 5000);
    assert.match(origin, /^synthetic/);
    let last = 0;
    for (const [i, atUs] of load.atUs.entries()) {
      assert.ok(atUs >= last && atUs <= 950 * OPTIONS.durationMs);
      last = atUs;
      const [sender, receiver] = [load.sender[i] as number, load.receiver[i] as number];
      assert.ok(sender < people && receiver < people && sender !== receiver);
    }
  }
});

test('a synthetic trace is made by few people who write much and many who write little', () => {
  const { people, load } = syntheticTrace(4, { ...OPTIONS, messages: 5000 });
  const sent = new Array<number>(people).fill(0);
  for (const sender of load.sender) sent[sender]!++;
  sent.sort((a, b) => b - a);
  const tenth = sent.slice(0, Math.ceil(people / 10)).reduce((sum, count) => sum + count, 0);
  assert.ok(tenth > 0.25 * 5000, `the busiest tenth sent ${tenth} of 5000`);
});

test.run();
