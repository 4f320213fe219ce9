/**
 * How the client's socket ends: with a close code either way, by what a server must not do, or
 * because the server does not read. No test waits for time, only for events.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ClientSocket, SocketHub } from '../../loadgen/socket.ts';
import {
  connectTo,
  echo,
  First,
  frame,
  pattern,
  say,
  saying,
  switching,
  withRawServer,
  withWsServer,
} from '../support/socket-peer.ts';

// ---- closing ---------------------------------------------------------------------------------

test('reports the close code and reason of the server, and answers with the code', async () => {
  for (const [code, reason] of [
    [1000, ''],
    [1012, 'service restart'],
    [4001, 'kicked: ü'],
  ] as const) {
    let answered: Promise<unknown[]> | undefined;
    await withWsServer(
      (peer) => {
        answered = once(peer, 'close');
        peer.close(code, reason);
      },
      async (port) => {
        assert.equal(await connectTo(port).ear.closed(), { code, reason });
        const [seen] = (await answered) as [number];
        assert.is(seen, code);
      },
    );
  }
});

test('a close frame without a code is 1005, a connection that just ends 1006', async () => {
  await withWsServer(
    (peer) => peer.close(),
    async (port) => assert.equal(await connectTo(port).ear.closed(), { code: 1005, reason: '' }),
  );
  await withWsServer(
    (peer) => peer.terminate(),
    async (port) => assert.is((await connectTo(port).ear.closed()).code, 1006),
  );
});

test('closes with a code that the server sees, and reports its answer', async () => {
  let seen: Promise<unknown[]> | undefined;
  await withWsServer(
    (peer) => (seen = once(peer, 'close')),
    async (port) => {
      const { client, ear } = connectTo(port);
      await ear.opened();
      client.close(4321);
      assert.not(client.isOpen);
      const { code } = await ear.closed();
      assert.is(code, 4321);
      const [atServer] = (await seen) as [number];
      assert.is(atServer, 4321);
      assert.is(ear.closes.length, 1);
    },
  );
});

test('hands over nothing more once it is closing', async () => {
  await withRawServer(
    saying(...['a', 'b', 'c', 'd'].map((text) => frame(First.Binary, text))),
    async (port) => {
      const { client, ear } = connectTo(port);
      ear.onEach = (message) => {
        if (String(message) === 'b') client.close(1000);
      };
      await ear.received(2);
      await nextTurn();
      client.destroy();
      await ear.closed();
      assert.equal(ear.messages.map(String), ['a', 'b']);
    },
  );
});

test('destroy and reset end the connection without a close frame', async () => {
  for (const how of ['destroy', 'reset'] as const) {
    let seen: Promise<unknown[]> | undefined;
    await withWsServer(
      (peer) => {
        peer.on('error', () => {}); // ECONNRESET
        seen = once(peer, 'close');
      },
      async (port) => {
        const { client, ear } = connectTo(port);
        await ear.opened();
        client[how]();
        assert.is((await ear.closed()).code, 1006);
        const [atServer] = (await seen) as [number];
        assert.is(atServer, 1006);
      },
    );
  }
});

test('what a socket had reserved when it died in a read does not leave through another', async () => {
  const ends = {
    destroy: (client: ClientSocket) => client.destroy(),
    reset: (client: ClientSocket) => client.reset(),
    close: (client: ClientSocket) => client.close(1000),
    'a close frame of the server': () => {},
  };
  for (const [how, end] of Object.entries(ends)) {
    const hub = new SocketHub();
    const bytes = [frame(First.Binary, 'a message'), frame(First.Close, Buffer.from([0x03, 0xe8]))];
    await withRawServer(saying(...bytes), async (dyingPort) => {
      await withWsServer(echo, async (port) => {
        const other = connectTo(port, { hub });
        await other.ear.opened();
        const dying = connectTo(dyingPort, { hub });
        dying.ear.onEach = () => {
          hub.write.set(Buffer.from('leaked'), dying.client.reserve(6));
          end(dying.client);
        };
        await dying.ear.received(1);
        say(other.client, hub, Buffer.from('own'));
        await other.ear.received(1);
        assert.is(String(other.ear.messages[0]), 'own', how);
        dying.client.destroy();
        other.client.destroy();
      });
    });
  }
});

// ---- what a server must not do ---------------------------------------------------------------

const maskedFrame = Buffer.concat([
  Buffer.from([First.Binary, 0x80 | 2, 1, 2, 3, 4]),
  Buffer.from('hi'),
]);

const violations: [what: string, bytes: Buffer, code: number][] = [
  ['a masked frame', maskedFrame, 1002],
  ['reserved bit 1', frame(0xc2, 'x'), 1002],
  ['reserved bit 2', frame(0xa2, 'x'), 1002],
  ['reserved bit 3', frame(0x92, 'x'), 1002],
  ['a text message', frame(First.Text, 'hello'), 1003],
  ['a fragmented text message', frame(0x01, 'hel'), 1003],
  ['opcode 3', frame(0x83, ''), 1002],
  ['opcode 11', frame(0x8b, ''), 1002],
  ['a continuation of nothing', frame(First.Continuation, 'x'), 1002],
  [
    'a message within a fragmented one',
    Buffer.concat([frame(0x02, 'a'), frame(First.Binary, 'b')]),
    1002,
  ],
  ['a fragmented ping', frame(0x09, 'x'), 1002],
  ['a ping of 126 bytes', frame(First.Ping, 'x'.repeat(126)), 1002],
];
for (const [what, bytes, code] of violations) {
  test(`${what} from the server closes with ${code}, and what follows is ignored`, async () => {
    const behind = [frame(First.Binary, 'ignored'), frame(First.Close, Buffer.from([0x03, 0xe8]))];
    await withRawServer(saying(frame(First.Binary, 'before'), bytes, ...behind), async (port) => {
      const { ear } = connectTo(port);
      const closed = await ear.closed();
      assert.is(closed.code, code);
      assert.is.not(closed.reason, '');
      assert.equal(ear.messages.map(String), ['before']);
    });
  });
}

test('a frame above the limit closes with 1009, one of exactly the limit passes', async () => {
  const limits = { frameMaxBytes: 1000 };
  await withWsServer(
    (peer) => {
      peer.send(pattern(1000));
      peer.send(pattern(1001));
    },
    async (port) => {
      const { ear } = connectTo(port, { limits });
      assert.is((await ear.closed()).code, 1009);
      assert.equal(
        ear.messages.map(({ length }) => length),
        [1000],
      );
    },
  );
});

test('a frame above the limit is refused by its header, before its bytes come', async () => {
  const header = Buffer.alloc(10);
  header[0] = First.Binary;
  header[1] = 127;
  header.writeBigUInt64BE(2n ** 62n, 2);
  await withRawServer(saying(header), async (port) => {
    assert.is((await connectTo(port).ear.closed()).code, 1009);
  });
});

test('fragments above the limit together close with 1009', async () => {
  const limits = { frameMaxBytes: 1000 };
  await withRawServer(
    saying(frame(0x02, pattern(600)), frame(0x00, pattern(400)), frame(0x80, pattern(1))),
    async (port) => {
      const { ear } = connectTo(port, { limits });
      assert.is((await ear.closed()).code, 1009);
      assert.is(ear.messages.length, 0);
    },
  );
});

test('the limit is for each message, not for all of a connection', async () => {
  const message = [frame(0x02, pattern(600)), frame(First.Continuation, pattern(400))];
  await withRawServer(saying(...message, ...message, ...message), async (port) => {
    const { ear } = connectTo(port, { limits: { frameMaxBytes: 1000 } });
    await ear.received(3);
    for (const { length } of ear.messages) assert.is(length, 1000);
  });
});

// ---- backpressure and faults -----------------------------------------------------------------

test('closes on a server that does not read, once the unsent bytes pass their limit', async () => {
  await withRawServer(
    (socket, request) => {
      socket.pause();
      socket.write(switching(request));
    },
    async (port) => {
      const { client, ear, hub } = connectTo(port, { limits: { unsentMaxBytes: 100_000 } });
      await ear.opened();
      const message = pattern(60_000);
      let said = 0;
      // Whatever the kernel buffers, it is less than 256 MB.
      for (; client.isOpen && said < 4000; said++) {
        say(client, hub, message);
        if (said % 8 === 0) await nextTurn();
      }
      assert.not(client.isOpen);
      assert.equal(await ear.closed(), { code: 1006, reason: 'the server does not read' });
      say(client, hub, message);
      assert.is(hub.writeLength, 0, 'what is said to a closed socket is dropped');
    },
  );
});

test('a write that the kernel takes in parts arrives whole, while others write', async () => {
  const chunks: Buffer[] = [];
  let slow: Socket | undefined;
  await withRawServer(
    (socket, request) => {
      socket.pause();
      socket.write(switching(request));
      slow = socket;
    },
    async (port) => {
      const hub = new SocketHub();
      const options = { hub, limits: { unsentMaxBytes: 1 << 30 } };
      const first = connectTo(port, options);
      await first.ear.opened();
      await withWsServer(echo, async (wsPort) => {
        const second = connectTo(wsPort, options);
        await second.ear.opened();
        const big = pattern(200_000);
        const rounds = 100;
        for (let i = 0; i < rounds; i++) {
          big[0] = i;
          say(first.client, hub, big);
          say(second.client, hub, Buffer.from([i]));
        }
        await second.ear.received(rounds);
        const wire = 14 + 200_000;
        let bytes = 0;
        slow?.resume();
        for await (const chunk of slow as Socket) {
          chunks.push(chunk as Buffer);
          bytes += (chunk as Buffer).length;
          if (bytes >= rounds * wire) break;
        }
        const all = Buffer.concat(chunks);
        for (let i = 0; i < rounds; i++) {
          big[0] = i;
          assert.ok(all.subarray(i * wire + 14, (i + 1) * wire).equals(big), `message ${i}`);
          assert.equal([...(second.ear.messages[i] as Buffer)], [i]);
        }
      });
    },
  );
});

test('a half-open link neither answers pings nor sends, until it is alive again', async () => {
  const heard: string[] = [];
  await withWsServer(
    (peer) => {
      peer.on('pong', (data) => heard.push(`pong ${data.toString()}`));
      peer.on('message', (data: Buffer) => {
        heard.push(data.toString());
        if (data.toString() !== 'start') return;
        peer.ping('unheard');
        peer.send('pinged', { binary: true });
      });
    },
    async (port) => {
      const { client, ear, hub } = connectTo(port);
      await ear.opened();
      say(client, hub, Buffer.from('start'));
      client.isAlive = false;
      await ear.received(1);
      const { bytesSent } = hub;
      say(client, hub, Buffer.from('lost'));
      assert.is(hub.bytesSent, bytesSent);
      client.isAlive = true;
      say(client, hub, Buffer.from('back'));
      while (!heard.includes('back')) await nextTurn();
      assert.equal(heard, ['start', 'back']);
    },
  );
});

test('a paused socket reads on where it stopped', async () => {
  await withWsServer(echo, async (port) => {
    const hub = new SocketHub();
    const slow = connectTo(port, { hub });
    const other = connectTo(port, { hub });
    await Promise.all([slow.ear.opened(), other.ear.opened()]);
    slow.client.pause();
    say(slow.client, hub, Buffer.from('a'));
    for (let i = 1; i <= 20; i++) {
      say(other.client, hub, Buffer.from('b'));
      await other.ear.received(i);
    }
    assert.is(slow.ear.messages.length, 0);
    slow.client.resume();
    await slow.ear.received(1);
    assert.is(String(slow.ear.messages[0]), 'a');
  });
});

test.run();
