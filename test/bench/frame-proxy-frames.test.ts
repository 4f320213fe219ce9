/** Cutting a stream into WebSocket frames: whatever the reads cut, nothing is lost, added or moved. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  firstPayloadByte,
  FrameSplitter,
  shortenedFrame,
  WHOLE_BINARY,
} from '../../bench/frame-proxy-frames.ts';
import { First, frame, pattern } from '../support/socket-peer.ts';

const REQUEST = Buffer.from('GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n');
const SWITCHING = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n');
const FRAME_MAX_BYTES = 70_000;

/** A frame as a client sends it. */
function masked(payload: Uint8Array, mask: readonly number[], firstByte = WHOLE_BINARY): Buffer {
  const plain = frame(firstByte, payload);
  const headerBytes = plain.length - payload.length;
  const header = Buffer.from(plain.subarray(0, headerBytes));
  header[1]! |= 0x80;
  const body = Buffer.from(payload.map((byte, i) => byte ^ (mask[i % 4] as number)));
  return Buffer.concat([header, Buffer.from(mask), body]);
}

/** Feeds reads of the given sizes and tells what came out. */
function split(bytes: Buffer, cuts: readonly number[], frameMaxBytes = FRAME_MAX_BYTES) {
  const frames: Buffer[] = [];
  const all: Buffer[] = [];
  const keep = (part: Buffer): void => void all.push(Buffer.from(part));
  const splitter = new FrameSplitter(
    {
      onFrame: (from, at, headerBytes, payloadBytes) => {
        const whole = from.subarray(at, at + headerBytes + payloadBytes);
        frames.push(Buffer.from(whole));
        keep(whole);
      },
      onBytes: (from, start, end) => keep(from.subarray(start, end)),
    },
    frameMaxBytes,
  );
  const shared = Buffer.alloc(bytes.length);
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = Math.min(cuts[i % cuts.length] as number, bytes.length - at);
    bytes.copy(shared, 0, at, at + size);
    splitter.take(shared, size);
    shared.fill(0xee, 0, size); // the read buffer is used again
    at += size;
  }
  return { frames, passed: Buffer.concat(all), splitter };
}

const anyFrame = fc
  .record({
    bytes: fc.oneof(fc.nat(130), fc.constantFrom(0, 125, 126, 127, 65_535, 65_536)),
    mask: fc.option(fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })),
    first: fc.constantFrom(...Object.values(First), 0x02, 0x00),
  })
  .map(({ bytes, mask, first }) =>
    mask === null ? frame(first, pattern(bytes)) : masked(pattern(bytes), mask, first),
  );

test('cuts a stream into exactly its frames, wherever the reads cut it', () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom(REQUEST, SWITCHING),
      (frames, cuts, head) => {
        const bytes = Buffer.concat([head, ...frames]);
        const result = split(bytes, cuts);
        assert.ok(result.passed.equals(bytes), 'nothing lost, added or moved');
        assert.equal(result.frames, frames);
        assert.is(result.splitter.keptBytes, 0);
      },
    ),
    { numRuns: 150 },
  );
});

test('keeps no more than a frame of the limit: longer ones stream through, later ones are seen', () => {
  const small = frame(First.Binary, 'small');
  const bytes = Buffer.concat([SWITCHING, frame(First.Binary, pattern(5000)), small]);
  for (const cut of [1, 7, 1000, 100_000]) {
    const { frames, passed } = split(bytes, [cut], 1000);
    assert.ok(passed.equals(bytes));
    assert.equal(frames, [small]);
  }
});

test('what is no upgrade passes as bytes, frames or not', () => {
  const notFound = Buffer.from('HTTP/1.1 401 Unauthorized\r\nUpgrade: websocket\r\n\r\n{"a":1}');
  const get = Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n');
  const endless = Buffer.alloc(20_000, 'x');
  for (const bytes of [notFound, get, endless]) {
    const { frames, passed, splitter } = split(bytes, [3]);
    assert.ok(passed.equals(bytes));
    assert.equal(frames, []);
    assert.not(splitter.isOpen);
  }
});

test('reads the kind through the mask', () => {
  const bytes = masked(Buffer.from([0x13, 1, 2]), [0xa5, 1, 2, 3]);
  assert.is(firstPayloadByte(bytes, 0, 6), 0x13);
  assert.is(firstPayloadByte(frame(First.Binary, Buffer.from([0x63])), 0, 2), 0x63);
});

test('a shortened frame is a valid frame of the first bytes, masked as before', () => {
  for (const mask of [null, [9, 8, 7, 6]]) {
    for (const [length, keep] of [
      [20, 0],
      [20, 19],
      [200, 125],
      [200, 126],
      [66_000, 65_535],
      [66_000, 65_536],
    ] as const) {
      const payload = pattern(length);
      const whole = mask === null ? frame(0x82, payload) : masked(payload, mask);
      const expected =
        mask === null
          ? frame(0x82, payload.subarray(0, keep))
          : masked(payload.subarray(0, keep), mask);
      const short = shortenedFrame(whole, 0, whole.length - length, keep);
      assert.ok(short.equals(expected), `${length} to ${keep}, mask ${mask !== null}`);
    }
  }
});

test.run();
