import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodePageToken,
  encodePageToken,
  isPage,
  NO_PAGE,
  PAGE_TOKEN_BYTES,
  UID_MAX,
} from '../../protocol/index.ts';

/** A token with any four u64, also those that no gateway makes. */
function rawToken(...fields: [bigint, bigint, bigint, bigint]): Uint8Array {
  return new Uint8Array(new BigUint64Array(fields).buffer);
}

test('names its page as owner, sender, first and last position in 32 bytes', () => {
  const token = encodePageToken({ receiver: 2, sender: 0, first: 3, last: 0x0102_0304_0506 });
  assert.is(
    Buffer.from(token).toString('hex'),
    '0200000000000000' + '0000000000000000' + '0300000000000000' + '0605040302010000',
  );
});

test('gives back every range that a gateway can name', () => {
  const uid = fc.integer({ min: 1, max: UID_MAX });
  const ranges = fc.record({
    receiver: uid,
    sender: fc.oneof(fc.constant(0), uid),
    first: uid,
    last: uid,
  });
  fc.assert(
    fc.property(ranges, (range) => {
      fc.pre(range.first <= range.last);
      assert.equal(decodePageToken(encodePageToken(range), range.receiver), { ...range });
    }),
  );
});

test('reads a token that lies in the middle of a packet', () => {
  const bytes = new Uint8Array(PAGE_TOKEN_BYTES + 8);
  bytes.set(encodePageToken({ receiver: 2, sender: 1, first: 3, last: 4 }), 5);
  const range = decodePageToken(bytes.subarray(5, 5 + PAGE_TOKEN_BYTES), 2);
  assert.equal(range, { receiver: 2, sender: 1, first: 3, last: 4 });
});

test('refuses the token of another user', () => {
  const token = encodePageToken({ receiver: 2, sender: 0, first: 1, last: 4 });
  assert.is(decodePageToken(token, 3), null);
});

test('refuses a token of the wrong length', () => {
  const token = encodePageToken({ receiver: 2, sender: 0, first: 1, last: 4 });
  assert.is(decodePageToken(token.subarray(1), 2), null);
  assert.is(decodePageToken(new Uint8Array(PAGE_TOKEN_BYTES + 1), 2), null);
});

test('refuses ranges that no gateway makes', () => {
  const max = BigInt(UID_MAX);
  assert.is(decodePageToken(rawToken(2n, max + 1n, 1n, 4n), 2), null, 'sender above the uids');
  assert.is(decodePageToken(rawToken(2n, 0n, 0n, 4n), 2), null, 'positions start at 1');
  assert.is(decodePageToken(rawToken(2n, 0n, 5n, 4n), 2), null, 'last before first');
  assert.is(decodePageToken(rawToken(2n, 0n, 1n, max + 1n), 2), null, 'position above 2^53 - 1');
  assert.is(decodePageToken(rawToken(2n ** 64n - 1n, 0n, 1n, 4n), UID_MAX), null, 'owner above');
  assert.equal(decodePageToken(rawToken(2n, max, 1n, max), 2), {
    receiver: 2,
    sender: UID_MAX,
    first: 1,
    last: UID_MAX,
  });
});

test('takes the token that names no page for no page', () => {
  assert.not(isPage(NO_PAGE));
  assert.is(decodePageToken(NO_PAGE, 2), null);
});

test.run();
