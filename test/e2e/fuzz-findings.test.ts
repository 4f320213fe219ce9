/**
 * What the fuzzer has found and what was mended: each stays mended. The inputs that found them are in
 * test/fuzz/corpus too; here they are told in words.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, DecodeResult, encodeAlone, Kind, Packet, UID_MAX } from '../../protocol/index.ts';
import { connectTo, withWsServer } from '../support/socket-peer.ts';

test('every u64 above 2^53 - 1 decodes to 2^53, and comes back as that', () => {
  const bytes = encodeAlone(Object.assign(new Packet(), { kind: Kind.AckR, epoch: 1, seq: 1 }));
  const view = new DataView(bytes.buffer);
  const packet = new Packet();
  for (const uid of [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1024n, 2n ** 64n - 1n]) {
    view.setBigUint64(12, uid, true);
    for (let round = 0; round < 2; round++) {
      assert.is(decode(bytes, view, 0, bytes.length, packet), DecodeResult.Ok);
      assert.is(packet.uid, 2 ** 53, String(uid));
      bytes.set(encodeAlone(packet));
    }
  }
  view.setBigUint64(12, BigInt(UID_MAX), true);
  decode(bytes, view, 0, bytes.length, packet);
  assert.is(packet.uid, UID_MAX);
});

test('a client socket that is reset while it closes reports its end', async () => {
  await withWsServer(
    () => {},
    async (port) => {
      const { client, ear } = connectTo(port);
      await ear.opened();
      client.close(1000);
      client.reset();
      assert.is((await ear.closed()).code, 1006);
      assert.is(ear.closes.length, 1);
    },
  );
});

test.run();
