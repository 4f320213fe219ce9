/**
 * RFC 6455 as far as the protocol leans on it, with `ws` as the peer, and by hand where `ws` would
 * not misbehave.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type TestServer, withServer } from '../support/server.ts';
import { countR, msgR, Stranger } from '../support/stranger.ts';

const A = 1001;

const test = suite('WebSocket');

async function withA(use: (a: Stranger, server: TestServer) => Promise<void>): Promise<void> {
  await withServer({}, async (server) => {
    await use(await Stranger.connect(server.url, { token: server.token(A) }), server);
  });
}

test('joins a packet that comes in fragments, with a ping between them', async () => {
  await withA(async (a) => {
    const bytes = msgR({ receiver: A, epoch: 3, seq: 4, content: 'in pieces' });
    const pong = once(a.ws, 'pong');
    a.ws.send(bytes.subarray(0, 1), { fin: false });
    a.ws.send(bytes.subarray(1, 15), { fin: false });
    a.ws.ping('between');
    a.ws.send(bytes.subarray(15), { fin: false });
    a.ws.send(Buffer.alloc(0), { fin: true });
    assert.is((await a.next('msg:N')).content.toString(), 'in pieces');
    assert.is(String((await pong)[0]), 'between');
  });
});

test('takes a packet that TCP delivers byte by byte', async () => {
  await withServer({}, async (server) => {
    const socket = await upgraded(server);
    socket.setNoDelay(true);
    for (const byte of frame(0x82, countR(77))) {
      await new Promise<void>((resolve) => socket.write(Buffer.of(byte), () => resolve()));
    }
    const answer = await readUntil(socket, 2 + 12);
    assert.is(answer.toString('hex'), '820c22000000' + '4d000000' + '00000000');
    socket.destroy();
  });
});

test('answers a ping with its payload, of up to 125 bytes', async () => {
  await withA(async (a) => {
    for (const payload of [Buffer.alloc(0), Buffer.from('are you there'), randomBytes(125)]) {
      const pong = once(a.ws, 'pong');
      a.ws.ping(payload);
      assert.equal((await pong)[0], payload);
    }
    a.ws.pong('unasked');
    assert.is((await a.counts()).status, 0, 'an unasked pong is ignored');
  });
});

test('echoes the close code of the client', async () => {
  await withServer({}, async (server) => {
    for (const code of [1000, 1001, 1002, 1011, 4000, 4999]) {
      const a = await Stranger.connect(server.url, { token: server.token(A) });
      assert.is((await a.close(code)).code, code);
      assert.is(server.counters.closedByCode.get(code), 1);
    }
    const a = await Stranger.connect(server.url, { token: server.token(A) });
    a.ws.close();
    assert.is((await a.closed).code, 1005, 'none for none');
  });
});

test('closes cleanly, but without a code, after a code from 3000 to 3999', async () => {
  // uWebSockets.js takes these for invalid; PROTOCOL.md tells clients not to use them.
  await withA(async (a) => {
    assert.is((await a.close(3000)).code, 1005);
  });
});

test('answers what came before the close frame in the same read', async () => {
  await withServer({}, async (server) => {
    const socket = await upgraded(server);
    const close = Buffer.from([0x03, 0xe8]);
    socket.write(Buffer.concat([frame(0x82, countR(1)), frame(0x88, close)]));
    const bytes = await readToEnd(socket);
    assert.ok(bytes.includes(Buffer.from('880203e8', 'hex')), bytes.toString('hex'));
  });
});

test('negotiates no compression', async () => {
  await withServer({}, async (server) => {
    const a = await Stranger.connect(server.url, {
      token: server.token(A),
      perMessageDeflate: true,
    });
    assert.is(a.ws.extensions, '');
    assert.is((await a.counts()).status, 0);
  });
});

test('drops a peer that breaks the framing', async () => {
  const packet = countR(1);
  const broken: Record<string, Buffer> = {
    'a reserved bit': frame(0x82 | 0x40, packet),
    'a reserved opcode': frame(0x83, packet),
    'a ping in fragments': frame(0x09, Buffer.alloc(1)),
    'a ping that is too long': frame(0x89, Buffer.alloc(126)),
    'a continuation of nothing': frame(0x80, packet),
    'a message within a message': Buffer.concat([frame(0x02, packet), frame(0x82, packet)]),
    'a length of 2^63': Buffer.from('82ffffffffffffffffff00000000', 'hex'),
    'a close frame with one byte': frame(0x88, Buffer.alloc(1)),
    'text that is no UTF-8': frame(0x81, Buffer.of(0xff, 0xfe)),
  };
  await withA(async (a, server) => {
    for (const [what, bytes] of Object.entries(broken)) {
      const socket = await upgraded(server);
      socket.write(bytes);
      const answer = await readToEnd(socket);
      assert.not(answer.includes(0x22), `${what}: no count:A came`);
      assert.is((await a.counts()).status, 0, 'others go on');
    }
  });
});

/** A connection of another user, upgraded by hand. */
async function upgraded(server: TestServer): Promise<Socket> {
  const socket = connectTcp(server.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(
    [
      'GET /v1/ws HTTP/1.1',
      'Host: x',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      `Authorization: Bearer ${server.token(5005)}`,
      '\r\n',
    ].join('\r\n'),
  );
  let head = '';
  while (!head.endsWith('\r\n\r\n')) {
    await once(socket, 'readable');
    for (let byte; !head.endsWith('\r\n\r\n') && (byte = socket.read(1) as Buffer | null);) {
      head += byte.toString('latin1');
    }
  }
  assert.match(head, /^HTTP\/1\.1 101 /);
  return socket;
}

/** A masked frame; `first` is its first byte: FIN, reserved bits and opcode. */
function frame(first: number, payload: Buffer): Buffer {
  const mask = randomBytes(4);
  const masked = payload.map((byte, i) => byte ^ mask[i % 4]!);
  const length =
    payload.length < 126
      ? [payload.length | 0x80]
      : [0xfe, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.of(first, ...length), mask, masked]);
}

async function readUntil(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}

async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('end', () => socket.end());
  if (!socket.closed) await once(socket, 'close');
  return Buffer.concat(chunks);
}

test.run();
