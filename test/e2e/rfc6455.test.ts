/**
 * The RFC 6455 cases against both sides of ours: the reference server, and the client's socket. Each
 * does what the RFC wants, or exactly what the case list says that it does instead, and why.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CASES, MESSAGE_MAX_BYTES, type Rfc6455Case, type Side } from '../conformance/rfc6455.ts';
import { ANSWERS, REQUESTS, type UpgradeRequest } from '../conformance/rfc6455-handshake.ts';
import { converse, inWords } from '../conformance/rfc6455-peer.ts';
import { type TestServer, withServer } from '../support/server.ts';
import { acceptOf, connectTo, switching, withRawServer } from '../support/socket-peer.ts';

const test = suite('RFC 6455');
/** What the server takes above the largest content. */
const FRAME_SLACK_BYTES = 4096;
const UID = 1001;

/** A raw connection that the server has upgraded. */
async function upgraded(server: TestServer, uid: number): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.write(
    `GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n` +
      `Authorization: Bearer ${server.token(uid)}\r\n\r\n`,
  );
  let head = '';
  while (!head.includes('\r\n\r\n')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    head += chunk.toString('latin1');
  }
  // The server says nothing by itself, so no frame came with the answer.
  assert.ok(head.startsWith('HTTP/1.1 101') && head.endsWith('\r\n\r\n'), head);
  return socket;
}

async function askServer(server: TestServer, it: Rfc6455Case, uid: number): Promise<string> {
  const reaction = await converse(await upgraded(server, uid), 'server', it);
  // count:A carries the number of the count:R that it answers.
  return inWords(
    reaction,
    reaction.messages.map((bytes) => bytes.readUInt32LE(4)),
  );
}

async function askClient(it: Rfc6455Case): Promise<string> {
  let words = '';
  let conversation: Promise<void> | null = null;
  await withRawServer(
    (socket, request) => {
      socket.write(switching(request));
      conversation = converse(socket, 'client', it).then((reaction) => {
        words = inWords(
          reaction,
          ear.messages.map((bytes) => bytes.readUInt32LE(4)),
        );
      });
    },
    async (port) => {
      ear = connectTo(port, { limits: { frameMaxBytes: MESSAGE_MAX_BYTES } }).ear;
      await ear.closed();
      await conversation;
    },
  );
  return words;
}
let ear: ReturnType<typeof connectTo>['ear'];

/** Asks one side every case; what differs from the case list, in words. */
async function differences(
  side: Side,
  ask: (it: Rfc6455Case, index: number) => Promise<string>,
): Promise<string[]> {
  const found: string[] = [];
  for (const [index, it] of CASES.entries()) {
    const expected = it.known?.[side]?.reaction ?? it.wants;
    const words = await ask(it, index).catch((error: Error) => error.message);
    if (words === expected) continue;
    found.push(`${it.id} (section ${it.section}), ${it.title}: ${words}, not ${expected}`);
  }
  return found;
}

test('case ids are unique, and a known deviation is none that the RFC wants', () => {
  assert.is(new Set(CASES.map(({ id }) => id)).size, CASES.length);
  for (const { id, wants, known } of CASES) {
    for (const { reaction } of Object.values(known ?? {})) assert.is.not(reaction, wants, id);
  }
});

test('the server reacts to every case as the case list says', async () => {
  const settings = { contentMaxBytes: MESSAGE_MAX_BYTES - FRAME_SLACK_BYTES, packetsPerSec: 0 };
  await withServer({ settings }, async (server) => {
    const found = await differences('server', (it, i) => askServer(server, it, UID + i));
    assert.equal(found, []);
  });
});

test('the client reacts to every case as the case list says', async () => {
  assert.equal(await differences('client', askClient), []);
});

test('the server answers every upgrade request as the case list says', async () => {
  await withServer({}, async (server) => {
    const found: string[] = [];
    for (const it of REQUESTS) {
      const words = await statusOf(server, it);
      const expected = it.known?.status ?? it.wants;
      if (words !== expected) found.push(`${it.title}: ${words}, not ${expected}`);
    }
    assert.equal(found, []);
  });
});

/** The status of the answer, or `end` when there is none. */
async function statusOf(server: TestServer, it: UpgradeRequest): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => {});
  let answer = '';
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (answer.includes('\r\n\r\n')) resolve();
    });
    socket.on('close', () => resolve());
  });
  const bytes = Buffer.from(it.bytes(server.token(UID)), 'latin1');
  const step = it.segment ?? bytes.length;
  for (let at = 0; at < bytes.length && socket.writable; at += step) {
    socket.write(bytes.subarray(at, at + step));
    if (it.segment !== undefined) await nextTurn();
  }
  await answered;
  socket.destroy();
  return /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 'end';
}

test('the client takes every answer to its upgrade as the case list says', async () => {
  for (const it of ANSWERS) {
    await withRawServer(
      (socket, request) => {
        void say(socket, Buffer.from(it.bytes(acceptOf(request)), 'latin1'), it.segment);
      },
      async (port) => {
        const { client, ear: listener } = connectTo(port);
        await listener.until(() => listener.isOpened || listener.closes.length > 0);
        const words = listener.isOpened ? 'open' : `closed ${listener.closes[0]?.code}`;
        assert.is(words, it.wants, it.title);
        client.destroy();
      },
    );
  }
});

async function say(socket: Socket, bytes: Buffer, segment = bytes.length): Promise<void> {
  for (let at = 0; at < bytes.length && socket.writable; at += segment) {
    socket.write(bytes.subarray(at, at + segment));
    await nextTurn();
  }
}

test.run();
