/**
 * The client's socket against two peers that know nothing of it: the server of the package `ws`, and
 * a raw server that sends bytes as no library would. No test waits for time, only for events.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocketServer } from 'ws';
import { parseEndpoint } from '../../loadgen/endpoint.ts';
import { SocketHub } from '../../loadgen/socket.ts';
import {
  connectTo,
  echo,
  First,
  frame,
  LIMITS,
  pattern,
  say,
  saying,
  switching,
  withRawServer,
  withWsServer,
} from '../support/socket-peer.ts';
import { withTempDir } from '../support/temp-dir.ts';

// ---- handshake -------------------------------------------------------------------------------

test('opens with the path, the version and the token', async () => {
  let request: IncomingMessage | undefined;
  await withWsServer(
    (_peer, it) => (request = it),
    async (port) => {
      const { client, ear } = connectTo(port, { endpoint: { path: '/v1/other' } });
      assert.not(client.isOpen);
      await ear.opened();
      assert.ok(client.isOpen);
      assert.is(request?.url, '/v1/other');
      assert.is(request?.headers.authorization, 'Bearer a.token');
      assert.is(request?.headers['sec-websocket-version'], '13');
      assert.is(request?.headers.host, `127.0.0.1:${port}`);
    },
  );
});

test('asks with a fresh key each time', async () => {
  const keys = new Set<string | undefined>();
  await withWsServer(
    (_peer, { headers }) => keys.add(headers['sec-websocket-key']),
    async (port) => {
      for (let i = 0; i < 3; i++) await connectTo(port).ear.opened();
    },
  );
  assert.is(keys.size, 3);
});

test('refuses an answer whose Sec-WebSocket-Accept does not fit', async () => {
  for (const accept of ['Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n', '']) {
    await withRawServer(
      (socket) => {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n` +
            `Connection: Upgrade\r\n${accept}\r\n`,
        );
      },
      async (port) => {
        const { ear } = connectTo(port);
        const { code, reason } = await ear.closed();
        assert.is(code, 1002);
        assert.match(reason, 'Sec-WebSocket-Accept');
        assert.not(ear.isOpened);
      },
    );
  }
});

test('reports a refused handshake with status and body', async () => {
  const server = createHttpServer();
  server.on('upgrade', (_request, socket) => {
    const body = '{"error":"token-expired"}';
    socket.end(`HTTP/1.1 401 Unauthorized\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { ear } = connectTo((server.address() as AddressInfo).port);
  const { code, reason } = await ear.closed();
  assert.is(code, 1006);
  assert.is(reason, 'the server answered HTTP 401: {"error":"token-expired"}');
  server.close();
});

test('gives up on a handshake answer without an end', async () => {
  await withRawServer(
    (socket) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nX: ${'x'.repeat(20_000)}`);
    },
    async (port) => {
      const { code, reason } = await connectTo(port).ear.closed();
      assert.is(code, 1002);
      assert.match(reason, 'too long');
    },
  );
});

test('reports a server that is not there', async () => {
  const unused = createServer().listen(0, '127.0.0.1');
  await once(unused, 'listening');
  const { port } = unused.address() as AddressInfo;
  unused.close();
  await once(unused, 'close');
  const { code, reason } = await connectTo(port).ear.closed();
  assert.is(code, 1006);
  assert.match(reason, 'ECONNREFUSED');
});

test('reports a server that closes instead of answering', async () => {
  await withRawServer(
    (socket) => socket.end(),
    async (port) => {
      assert.equal(await connectTo(port).ear.closed(), { code: 1006, reason: '' });
    },
  );
});

test('destroyed while it connects, it closes once', async () => {
  await withWsServer(echo, async (port) => {
    const { client, ear } = connectTo(port);
    client.destroy();
    const { code } = await ear.closed();
    assert.is(code, 1006);
    client.destroy();
    client.close(1000);
    await nextTurn();
    assert.is(ear.closes.length, 1);
    assert.is(ear.closes[0]?.socket, client);
  });
});

// ---- frames ----------------------------------------------------------------------------------

test('echoes messages of every length class, both ways', async () => {
  await withWsServer(echo, async (port) => {
    const { client, ear, hub } = connectTo(port);
    await ear.opened();
    const lengths = [0, 1, 2, 125, 126, 127, 65_535, 65_536, 65_537, 300_000, LIMITS.frameMaxBytes];
    for (const [i, length] of lengths.entries()) {
      const message = pattern(length);
      say(client, hub, message);
      await ear.received(i + 1);
      assert.ok(message.equals(ear.messages[i] as Buffer), `${length} bytes`);
    }
  });
});

test('writes many messages with one flush, in order', async () => {
  const server: Buffer[] = [];
  await withWsServer(
    (peer) => {
      peer.on('message', (data: Buffer) => {
        server.push(data);
        if (server.length === 2000) peer.send('x', { binary: true });
      });
    },
    async (port) => {
      const { client, ear, hub } = connectTo(port);
      await ear.opened();
      // More than the write buffer holds: it is handed over in between.
      for (let i = 0; i < 2000; i++) {
        const at = client.reserve(200);
        hub.write.fill(i & 0xff, at, at + 200);
        hub.writeView.setUint32(at, i);
      }
      client.flush();
      await ear.received(1);
      for (const [i, data] of server.entries()) {
        assert.is(data.length, 200);
        assert.is(data.readUInt32BE(0), i);
        assert.is(data[199], i & 0xff);
      }
    },
  );
});

test('keeps the messages of sockets that share a hub apart', async () => {
  await withWsServer(echo, async (port) => {
    const hub = new SocketHub();
    const peers = Array.from({ length: 5 }, () => connectTo(port, { hub }));
    await Promise.all(peers.map(({ ear }) => ear.opened()));
    for (let round = 0; round < 50; round++) {
      for (const [i, { client }] of peers.entries()) say(client, hub, Buffer.from([i, round]));
    }
    await Promise.all(peers.map(({ ear }) => ear.received(50)));
    for (const [i, { ear }] of peers.entries()) {
      for (const [round, message] of ear.messages.entries()) {
        assert.equal([...message], [i, round]);
      }
    }
  });
});

test('counts the bytes of both directions, and its reads', async () => {
  await withWsServer(echo, async (port) => {
    const { client, ear, hub } = connectTo(port);
    await ear.opened();
    const { bytesReceived: before } = hub;
    const readEnds = ear.readEnds;
    say(client, hub, pattern(100));
    await ear.received(1);
    await nextTurn();
    assert.is(hub.bytesSent, 6 + 100, 'a masked frame of 100 bytes');
    assert.is(hub.bytesReceived - before, 2 + 100);
    assert.ok(hub.reads >= 2);
    assert.is(ear.readEnds, readEnds + 1);
  });
});

/** A bit of everything: lengths of all classes, fragments with a ping between, an empty message. */
const STREAM = Buffer.concat([
  frame(First.Binary, 'one'),
  frame(First.Binary, ''),
  frame(First.Binary, pattern(130)),
  frame(First.Ping, 'p'),
  frame(0x02, 'fra'),
  frame(First.Ping, ''),
  frame(0x00, 'gmen'),
  frame(First.Pong, 'unasked'),
  frame(First.Continuation, 'ted'),
  frame(First.Binary, 'last'),
]);
const STREAM_MESSAGES = ['one', '', pattern(130).toString('latin1'), 'fragmented', 'last'];

test('takes the handshake and frames in any two pieces', async () => {
  let cut = 0;
  let second: { socket: Socket; bytes: Buffer } | null = null;
  await withRawServer(
    (socket, request) => {
      const whole = Buffer.concat([switching(request), STREAM]);
      socket.write(whole.subarray(0, cut));
      second = { socket, bytes: whole.subarray(cut) };
    },
    async (port) => {
      const length = switching('').length + STREAM.length;
      for (cut = 1; cut < length; cut++) {
        second = null;
        const { client, ear, hub } = connectTo(port);
        // The second piece leaves when the first has been read, so that they cannot grow together.
        while (hub.bytesReceived < cut) await nextTurn();
        const { socket, bytes } = second as unknown as { socket: Socket; bytes: Buffer };
        socket.write(bytes);
        await ear.received(STREAM_MESSAGES.length);
        const texts = ear.messages.map((message) => message.toString('latin1'));
        assert.equal(texts, STREAM_MESSAGES, `cut at byte ${cut}`);
        client.destroy();
        await ear.closed();
      }
    },
  );
});

for (const size of [1, 2, 3, 5, 7, 11, 16, 29, 64, 131]) {
  test(`takes the handshake and frames in pieces of ${size} bytes`, async () => {
    const hub = new SocketHub();
    await withRawServer(
      (socket, request) => {
        const whole = Buffer.concat([switching(request), STREAM]);
        void (async () => {
          for (let at = 0; at < whole.length; at += size) {
            socket.write(whole.subarray(at, at + size));
            const sent = Math.min(at + size, whole.length);
            while (hub.bytesReceived < sent && !socket.destroyed) await nextTurn();
          }
        })();
      },
      async (port) => {
        const { ear } = connectTo(port, { hub });
        await ear.received(STREAM_MESSAGES.length);
        const texts = ear.messages.map((message) => message.toString('latin1'));
        assert.equal(texts, STREAM_MESSAGES);
      },
    );
  });
}

test('takes many frames of one read, and a frame larger than a read', async () => {
  const small = Array.from({ length: 3000 }, (_, i) => frame(First.Binary, String(i)));
  const large = pattern(700_000);
  await withRawServer(
    saying(...small, frame(First.Binary, large), frame(First.Binary, 'end')),
    async (port) => {
      const { ear } = connectTo(port);
      await ear.received(3002);
      for (let i = 0; i < 3000; i++) assert.is(String(ear.messages[i]), String(i));
      assert.ok(large.equals(ear.messages[3000] as Buffer));
      assert.is(String(ear.messages[3001]), 'end');
    },
  );
});

test('joins fragments with control frames between them', async () => {
  const pongs: string[] = [];
  await withWsServer(
    (peer) => {
      peer.on('pong', (data) => {
        pongs.push(data.toString());
        if (pongs.length === 2) peer.send('end', { binary: true });
      });
      peer.send('frag', { binary: true, fin: false });
      peer.ping('first');
      peer.send('men', { binary: true, fin: false });
      peer.ping('second');
      peer.send('ted', { binary: true, fin: true });
    },
    async (port) => {
      const { ear } = connectTo(port);
      await ear.received(2);
      assert.equal(ear.messages.map(String), ['fragmented', 'end']);
      assert.equal(pongs, ['first', 'second']);
    },
  );
});

test('answers pings of every length with the same payload', async () => {
  const payloads = ['', 'x', 'y'.repeat(125)];
  const pongs: string[] = [];
  await withWsServer(
    (peer) => {
      peer.on('pong', (data) => {
        pongs.push(data.toString());
        if (pongs.length === payloads.length) peer.send('end', { binary: true });
      });
      for (const payload of payloads) peer.ping(payload);
    },
    async (port) => {
      const { ear } = connectTo(port);
      await ear.received(1);
      assert.equal(pongs, payloads);
    },
  );
});

// ---- TLS and addresses -----------------------------------------------------------------------

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

(hasOpenssl ? test : test.skip)(
  'speaks TLS, and trusts a self-signed server only when told',
  async () => {
    await withTempDir(async (dir) => {
      const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
      execFileSync(
        'openssl',
        // prettier-ignore
        ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
       '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert],
        { stdio: 'ignore' },
      );
      const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) });
      const webSockets = new WebSocketServer({ server });
      webSockets.on('connection', echo);
      server.on('tlsClientError', () => {});
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      try {
        const strict = connectTo(port, { endpoint: { isTls: true } });
        const { code, reason } = await strict.ear.closed();
        assert.is(code, 1006);
        assert.match(reason, /self.signed/);

        const { client, ear, hub } = connectTo(port, {
          endpoint: { isTls: true, isInsecure: true },
        });
        await ear.opened();
        for (const [i, length] of [0, 1, 126, 70_000, 400_000].entries()) {
          const message = pattern(length);
          say(client, hub, message);
          await ear.received(i + 1);
          assert.ok(message.equals(ear.messages[i] as Buffer), `${length} bytes`);
        }
        client.close(1000);
        assert.is((await ear.closed()).code, 1000);
      } finally {
        for (const peer of webSockets.clients) peer.terminate();
        webSockets.close();
        server.close();
      }
    });
  },
);

test('parses ws:// and wss:// addresses with their defaults', () => {
  const of = (url: string): unknown => {
    const { host, port, path, isTls } = parseEndpoint(url, { isInsecure: false });
    return [host, port, path, isTls];
  };
  assert.equal(of('ws://127.0.0.1:9400'), ['127.0.0.1', 9400, '/v1/ws', false]);
  assert.equal(of('ws://chat.example/v2/socket'), ['chat.example', 80, '/v2/socket', false]);
  assert.equal(of('wss://chat.example'), ['chat.example', 443, '/v1/ws', true]);
  assert.equal(of('ws://[::1]:9400/v1/ws'), ['::1', 9400, '/v1/ws', false]);
  assert.ok(parseEndpoint('ws://x', { isInsecure: true }).isInsecure);
});

test('says what is wrong with any other address', () => {
  for (const url of ['http://127.0.0.1', 'localhost:9400', '', 'ws://', 'tcp://x:1']) {
    assert.throws(
      () => parseEndpoint(url, { isInsecure: false }),
      (error: Error) => error.message === `${url} is not a ws:// or wss:// URL`,
    );
  }
});

test.run();
