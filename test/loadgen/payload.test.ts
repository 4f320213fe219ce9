/** What a message of the load carries, and that damage to it shows. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Payload, PAYLOAD_MIN_BYTES, PayloadReader } from '../../loadgen/payload.ts';

const STAMP = {
  seq: 0xfffffffe,
  intendedAtUs: 123_456_789.25,
  sentAtUs: 123_456_800.5,
  sender: 1_000_001,
  receiver: 2 ** 53 - 1,
};

function payload(length: number): Payload {
  const made = new Payload(length);
  made.write(STAMP);
  return made;
}

const LENGTHS = [40, 41, 42, 43, 44, 127, 128, 129, 1000, 16_384, 65_535, 65_536, 70_001];

test('reads back what was written, at every length', () => {
  const reader = new PayloadReader();
  for (const length of LENGTHS) {
    const { bytes } = payload(length);
    assert.is(bytes.length, length);
    assert.ok(reader.read(bytes), `${length} bytes`);
    const { seq, intendedAtUs, sentAtUs, sender, receiver } = reader;
    assert.equal({ seq, intendedAtUs, sentAtUs, sender, receiver }, STAMP);
  }
});

test('reads a content in the middle of a larger buffer, at any alignment', () => {
  const { bytes } = payload(133);
  for (let offset = 0; offset < 9; offset++) {
    const wide = new Uint8Array(300).fill(0xaa);
    wide.set(bytes, offset);
    const reader = new PayloadReader();
    assert.ok(reader.read(wide.subarray(offset, offset + 133)));
    assert.is(reader.sender, STAMP.sender);
  }
});

test('any single changed byte is corrupt', () => {
  const reader = new PayloadReader();
  for (const length of [40, 43, 131]) {
    const { bytes } = payload(length);
    for (let at = 0; at < length; at++) {
      const before = bytes[at] as number;
      for (let value = 0; value < 256; value++) {
        bytes[at] = value;
        assert.is(reader.read(bytes), value === before, `byte ${at} of ${length} is ${value}`);
      }
      bytes[at] = before;
    }
    assert.ok(reader.read(bytes));
  }
});

test('a changed byte far inside a large content is corrupt', () => {
  const reader = new PayloadReader();
  const { bytes } = payload(70_001);
  for (let at = 0; at < bytes.length; at += 997) {
    bytes[at]! ^= 1;
    assert.not(reader.read(bytes), `byte ${at}`);
    bytes[at]! ^= 1;
  }
});

test('a content that was cut or prolonged is corrupt', () => {
  const reader = new PayloadReader();
  const { bytes } = payload(128);
  for (let length = 0; length < 128; length++) {
    assert.not(reader.read(bytes.subarray(0, length)), `${length} of 128 bytes`);
  }
  for (const extra of [1, 2, 3, 4, 8]) {
    const longer = new Uint8Array(128 + extra);
    longer.set(bytes);
    assert.not(reader.read(longer), `${extra} more`);
  }
});

test('swapped blocks are corrupt', () => {
  const reader = new PayloadReader();
  const { bytes } = payload(128);
  bytes.set(bytes.slice(64, 96), 32);
  assert.not(reader.read(bytes));
});

test('zeroes are corrupt', () => {
  const reader = new PayloadReader();
  for (const length of [0, 1, 39, 40, 128]) assert.not(reader.read(new Uint8Array(length)));
});

test('an intact content names its parties, so that a misrouted one is recognised', () => {
  const made = new Payload(64);
  made.write({ ...STAMP, receiver: 1002 });
  const reader = new PayloadReader();
  assert.ok(reader.read(made.bytes));
  assert.is(reader.receiver, 1002);
  assert.is.not(reader.receiver, 1003);
});

test('a reused payload carries the new stamp and nothing of the old one', () => {
  const made = payload(64);
  made.write({ seq: 1, intendedAtUs: 1, sentAtUs: 2, sender: 3, receiver: 4 });
  const reader = new PayloadReader();
  assert.ok(reader.read(made.bytes));
  const { seq, intendedAtUs, sentAtUs, sender, receiver } = reader;
  assert.equal([seq, intendedAtUs, sentAtUs, sender, receiver], [1, 1, 2, 3, 4]);
  assert.equal([made.intendedAtUs, made.sentAtUs], [1, 2]);
});

test('the filler is neither constant nor different from run to run', () => {
  const { bytes } = payload(16_384);
  const filler = bytes.subarray(PAYLOAD_MIN_BYTES);
  assert.ok(new Set(filler).size > 200);
  assert.equal(payload(16_384).bytes, bytes);
});

test('refuses a payload that cannot hold its header', () => {
  assert.is(PAYLOAD_MIN_BYTES, 40);
  assert.throws(() => new Payload(39));
});

test.run();
