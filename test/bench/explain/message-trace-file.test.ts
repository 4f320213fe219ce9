/** Files of message traces: what is written is read again, and what is no whole trace is refused. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  readMessageTrace,
  readTraceHeader,
  TraceFileError,
  writeMessageTrace,
} from '../../../bench/explain/message-trace-file.ts';
import { retransmitted, storedThenPulled } from '../../support/message-trace.ts';
import { withTempDir } from '../../support/temp-dir.ts';

async function refusalOf(file: string): Promise<string> {
  try {
    await readMessageTrace(file);
  } catch (error) {
    assert.instance(error, TraceFileError);
    return (error as Error).message;
  }
  throw new Error('it was read');
}

test('what is written is read again, block by block', () =>
  withTempDir(async (directory) => {
    const { header, blocks } = retransmitted().file();
    const [worker] = header.workers;
    const more = storedThenPulled()
      .file()
      .blocks.map(({ columns }) => ({ worker: 1, columns }));
    const file = join(directory, 'new', 'a.trace.gz');
    const workers = [worker!, { ...worker!, uidFrom: 2_000_000, uidTo: 2_000_010 }];
    await writeMessageTrace(file, { ...header, workers }, [...blocks, ...more]);
    const read = await readMessageTrace(file);
    assert.equal(read.header, { ...header, workers });
    assert.equal(read.blocks, [...blocks, ...more]);
    assert.equal(await readTraceHeader(file), read.header);
    assert.equal(readdirSync(join(directory, 'new')), ['a.trace.gz']);
  }));

test('a writer that fails leaves nothing behind', () =>
  withTempDir(async (directory) => {
    const { header, blocks } = retransmitted().file();
    async function* failing() {
      yield* blocks;
      throw new Error('the worker is gone');
    }
    let message = '';
    try {
      await writeMessageTrace(join(directory, 'a.trace.gz'), header, failing());
    } catch (error) {
      message = (error as Error).message;
    }
    assert.is(message, 'the worker is gone');
    assert.equal(readdirSync(directory), []);
  }));

test('a file that is cut off anywhere is refused, and so is one with a changed byte', () =>
  withTempDir(async (directory) => {
    const { header, blocks } = retransmitted().file();
    const file = join(directory, 'a.trace.gz');
    await writeMessageTrace(file, header, blocks);
    const bytes = readFileSync(file);
    for (const share of [0.2, 0.5, 0.9, 0.999]) {
      writeFileSync(file, bytes.subarray(0, Math.floor(bytes.length * share)));
      assert.match(
        await refusalOf(file),
        /a\.trace\.gz: (cut off: the end is missing|is no message)/,
      );
    }
    const changed = Buffer.from(bytes);
    changed[changed.length - 6]! ^= 1; // of its checksum
    writeFileSync(file, changed);
    assert.match(await refusalOf(file), /corrupt: incorrect data check/);
  }));

test('what is no trace at all is told apart from one of another version', () =>
  withTempDir(async (directory) => {
    const file = join(directory, 'a.trace.gz');
    for (const bytes of [
      Buffer.from(''),
      Buffer.from('{"schema":1}'),
      gzipSync('{"schema":1}\n'),
      gzipSync('text'),
      gzipSync(Buffer.alloc(3_000_000, 'x')),
    ]) {
      writeFileSync(file, bytes);
      assert.match(await refusalOf(file), /is no message trace|cut off/);
    }
    writeFileSync(file, gzipSync('{"format":"ackbench-message-trace","version":2}\n'));
    assert.match(await refusalOf(file), 'written by another ackbench: version 2');
    writeFileSync(file, gzipSync('{"format":"ackbench-message-trace","version":1}\n'));
    assert.match(await refusalOf(file), 'corrupt: its header: startedAt:');
  }));

test('a header that was edited is refused with the place, and cannot steer a terminal', () =>
  withTempDir(async (directory) => {
    const { header } = retransmitted().file();
    const file = join(directory, 'a.trace.gz');
    const rewrite = (changed: object): void =>
      writeFileSync(
        file,
        gzipSync(
          Buffer.concat([
            Buffer.from(`${JSON.stringify({ ...header, ...changed })}\n`),
            Buffer.from(Uint32Array.of(0xffffffff, 0).buffer),
          ]),
        ),
      );
    rewrite({ parts: [{ uidBase: 'x', users: -1 }] });
    assert.match(await refusalOf(file), /its header: parts\.0\.uidBase: .*parts\.0\.users/);
    rewrite({ workers: null });
    assert.match(await refusalOf(file), 'its header: workers:');
    rewrite({ scenario: 'a\u001b[2Jb', policy: '\u009b1m' });
    const { scenario, policy } = await readTraceHeader(file);
    assert.equal([scenario, policy], ['a\ufffd[2Jb', '\ufffd1m']);
  }));

test('blocks that cannot be are refused', () =>
  withTempDir(async (directory) => {
    const { header, blocks } = retransmitted().file();
    const file = join(directory, 'a.trace.gz');
    await writeMessageTrace(file, header, blocks);
    const bytes = gunzipSync(readFileSync(file));
    const line = bytes.indexOf(10) + 1;
    const rewrite = (offset: number, value: number): void => {
      const copy = Buffer.from(bytes);
      copy.writeUInt32LE(value, offset);
      writeFileSync(file, gzipSync(copy));
    };
    rewrite(line, 5); // no such worker
    assert.match(await refusalOf(file), 'a block of no worker');
    rewrite(line + 4, 0xfffffff0); // gigabytes
    assert.match(await refusalOf(file), 'a block of no worker');
    rewrite(bytes.length - 4, 3); // the count at the end
    assert.match(await refusalOf(file), 'events are missing');
    writeFileSync(file, gzipSync(Buffer.concat([bytes, Buffer.from('more')])));
    assert.match(await refusalOf(file), 'something follows its end');
  }));

test.run();
