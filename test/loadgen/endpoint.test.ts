/** Where clients connect, and from which addresses: local ports must not bound a load on loopback. */
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { connectionsMax, endpointsFor, isLoopback, parseEndpoint } from '../../loadgen/endpoint.ts';
import { ClientSocket, SocketHub } from '../../loadgen/socket.ts';

const at = (url: string) => parseEndpoint(url, { isInsecure: false });

test('a loopback target is reached from as many addresses as its clients need', () => {
  const endpoints = endpointsFor(at('ws://127.0.0.1:9000'), 50_000);
  assert.equal(
    endpoints.map(({ localAddress }) => localAddress),
    [undefined, '127.1.1.1', '127.1.1.2'],
  );
  const many = endpointsFor(at('ws://127.0.0.1:9000'), 600, 2);
  assert.is(new Set(many.map(({ localAddress }) => localAddress)).size, 300);
  assert.is(many.at(-1)?.localAddress, '127.1.2.45');
});

test('any other target is reached from the address that the system picks', () => {
  for (const url of ['ws://[::1]:9000', 'ws://10.0.0.1', 'ws://localhost', 'wss://im.example']) {
    assert.is(endpointsFor(at(url), 1_000_000).length, 1, url);
  }
  assert.is(connectionsMax('10.0.0.1', 28_232), 28_232);
  assert.is(connectionsMax('::1', 28_232), 28_232);
  assert.ok(connectionsMax('127.0.0.1', 28_232) > 1_000_000);
});

test('this machine is known by every name of it', () => {
  for (const host of ['localhost', '::1', '127.0.0.1', '127.9.9.9']) assert.ok(isLoopback(host));
  for (const host of ['10.0.0.1', '127.example', 'im.example']) assert.not(isLoopback(host));
});

test('a socket connects from the address that its endpoint names', async () => {
  const seen = await new Promise<string | undefined>((resolve, reject) => {
    const server = createServer((peer) => {
      resolve(peer.remoteAddress);
      peer.destroy();
      server.close();
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      const endpoint = { ...at(`ws://127.0.0.1:${port}`), localAddress: '127.1.1.7' };
      const listener = { onOpen() {}, onMessage() {}, onReadEnd() {}, onClose() {} };
      const limits = { frameMaxBytes: 100, unsentMaxBytes: 100 };
      void new ClientSocket(new SocketHub(), endpoint, 'token', listener, limits);
    });
    server.once('error', reject);
  });
  assert.is(seen, '127.1.1.7');
});

test.run();
