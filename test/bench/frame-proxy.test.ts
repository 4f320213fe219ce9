/**
 * Every fault of the frame proxy on real loopback connections: a client of ours on one side, the
 * server of the package `ws` on the other. Waits are for events; the only times are the faults' own.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type WebSocket, WebSocketServer } from 'ws';
import { FrameProxy } from '../../bench/frame-proxy.ts';
import { LINK_ACTIONS, type LinkAction } from '../../bench/frame-proxy-link.ts';
import { KIND_NAME, KINDS, type LinkFaults, Random } from '../../loadgen/index.ts';
import { decode, DecodeResult, encodeAlone, Kind, Packet } from '../../protocol/index.ts';
import { connectTo, type Ear, pattern, say } from '../support/socket-peer.ts';

interface Rig {
  proxy: FrameProxy;
  client: ReturnType<typeof connectTo>['client'];
  ear: Ear;
  peer: WebSocket;
  /** What the server got. */
  got: Buffer[];
  /** Resolves when the server has so many messages. */
  atServer(count: number): Promise<void>;
  /** Sends one binary message of the client. */
  tell(message: Uint8Array): void;
}

/** Polls: what is waited for happens in another socket's events. */
async function eventually(what: string, isDone: () => boolean): Promise<void> {
  for (let i = 0; !isDone(); i++) {
    if (i > 4000) throw new Error(`${what}: never`);
    await sleep(5);
  }
}

async function withRig(packets: LinkFaults, use: (rig: Rig) => Promise<void>): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const upstream = { host: '127.0.0.1', port, isTls: false, isInsecure: false };
  const proxy = new FrameProxy({ upstream, packets, seed: 1 });
  const connected = once(server, 'connection');
  const limits = { unsentMaxBytes: 100_000_000 };
  const { client, ear, hub } = connectTo(await proxy.listen(), { limits });
  try {
    await ear.opened();
    const [peer] = (await connected) as [WebSocket];
    const got: Buffer[] = [];
    peer.on('message', (data) => got.push(data as Buffer));
    peer.on('error', () => {});
    await use({
      proxy,
      client,
      ear,
      peer,
      got,
      atServer: (count) => eventually(`${count} messages`, () => got.length >= count),
      tell: (message) => say(client, hub, message),
    });
  } finally {
    client.destroy();
    await proxy.close();
    for (const peer of server.clients) peer.terminate();
    server.close();
  }
}

/** A packet of a kind, told apart by its seq. */
function packet(kind: Kind, seq = 1): Uint8Array {
  const one = new Packet();
  one.kind = kind;
  one.uid = 7;
  one.epoch = 1;
  one.seq = seq;
  one.content = Buffer.from('content');
  return encodeAlone(one);
}

function seqOf(message: Buffer): number {
  return message.readUInt32LE(8);
}

function hit(proxy: FrameProxy, action: LinkAction, forMs = 60_000, bytesPerSec = 1000): number {
  return proxy.hit({ action, share: 1, forMs, bytesPerSec });
}

test('everything passes untouched while there is no fault', async () => {
  await withRig({ drop: 1 }, async ({ proxy, client, ear, peer, got, atServer, tell }) => {
    const messages = [1, 125, 126, 65_535, 65_536, 300_000].map(pattern);
    for (const message of messages) tell(message);
    await atServer(messages.length);
    assert.ok(got.every((message, i) => message.equals(messages[i] as Buffer)));
    for (const message of messages) peer.send(message);
    await ear.received(messages.length);
    assert.ok(ear.messages.every((message, i) => message.equals(messages[i] as Buffer)));
    peer.ping('are you there');
    const [answer] = (await once(peer, 'pong')) as [Buffer];
    assert.is(String(answer), 'are you there');
    peer.send('in two ', { binary: true, fin: false });
    peer.send('parts', { binary: true, fin: true });
    await ear.received(messages.length + 1);
    assert.is(String(ear.messages.at(-1)), 'in two parts');
    client.close(4321);
    assert.is((await ear.closed()).code, 4321);
    const { faults, links } = proxy.stats();
    assert.equal(faults, { drop: {}, duplicate: {}, delay: {}, reorder: {}, truncate: {} });
    assert.ok(LINK_ACTIONS.every((action) => links[action] === 0));
  });
});

test('drops packets of a kind, in either direction, and no others', async () => {
  await withRig({ drop: { 'msg:R': 1, 'msg:N': 1 } }, async (rig) => {
    const { proxy, ear, peer, got, atServer, tell } = rig;
    proxy.arm();
    for (let seq = 1; seq <= 3; seq++) tell(packet(Kind.MsgR, seq));
    tell(packet(Kind.AckR, 4));
    await atServer(1);
    assert.equal(got.map(seqOf), [4]);
    peer.send(packet(Kind.MsgN, 1));
    peer.send(packet(Kind.AckN, 2));
    await ear.received(1);
    assert.equal(ear.messages.map(seqOf), [2]);
    proxy.calm();
    tell(packet(Kind.MsgR, 5));
    await atServer(2);
    assert.equal(got.map(seqOf), [4, 5], 'not after the calm');
    const { faults, packets } = proxy.stats();
    assert.equal(faults.drop, { 'msg:R': 3, 'msg:N': 1 });
    assert.is(packets['msg:R'], 4);
    assert.is(packets['ack:N'], 1);
  });
});

test('duplicates a packet', async () => {
  await withRig({ duplicate: { 'msg:N': 1 } }, async ({ proxy, ear, peer }) => {
    proxy.arm();
    peer.send(packet(Kind.MsgN, 9));
    peer.send(packet(Kind.AckN, 10));
    await ear.received(3);
    assert.equal(ear.messages.map(seqOf), [9, 9, 10]);
    assert.ok(ear.messages[0]?.equals(packet(Kind.MsgN, 9)));
    assert.equal(proxy.stats().faults.duplicate, { 'msg:N': 1 });
  });
});

for (const fault of ['delay', 'reorder'] as const) {
  test(`${fault}: a packet that is held is overtaken by later ones`, async () => {
    const packets = { [fault]: { 'msg:R': 1 }, [`${fault}Ms`]: [30, 60] };
    await withRig(packets, async ({ proxy, got, atServer, tell }) => {
      proxy.arm();
      tell(packet(Kind.MsgR, 1));
      tell(packet(Kind.AckR, 2));
      await atServer(2);
      assert.equal(got.map(seqOf), [2, 1]);
      assert.ok(got[1]?.equals(packet(Kind.MsgR, 1)));
      const { faults, heldPeakBytes } = proxy.stats();
      assert.equal(faults[fault], { 'msg:R': 1 });
      assert.is(heldPeakBytes, packet(Kind.MsgR, 1).length + 6);
    });
  });
}

test('a truncated packet of any kind can never be decoded', async () => {
  const { length } = KINDS;
  await withRig({ truncate: 1 }, async ({ proxy, got, atServer, tell }) => {
    proxy.arm();
    const random = new Random(3, 'truncation');
    const sent = Array.from({ length: 300 }, () => KINDS[random.below(length)] as Kind);
    for (const kind of sent) tell(packet(kind));
    await atServer(sent.length);
    const into = new Packet();
    for (const [i, message] of got.entries()) {
      const kind = sent[i] as Kind;
      assert.ok(message.length < packet(kind).length, KIND_NAME[kind]);
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      const result = decode(message, view, 0, message.length, into);
      assert.is.not(result, DecodeResult.Ok, `${KIND_NAME[kind]} of ${message.length} bytes`);
    }
    const counted = Object.values(proxy.stats().faults.truncate);
    assert.is(
      counted.reduce((sum, n) => sum + n, 0),
      sent.length,
    );
  });
});

test('rules hit the k-th packet of a kind on each link, and tell how often', async () => {
  const rules = [
    { packet: 'msg:R', nth: 2, action: 'drop' },
    { packet: 'msg:R', nth: 3, action: 'truncate' },
    { packet: 'msg:R', nth: 50, action: 'duplicate' },
  ] as const;
  await withRig({ rules }, async ({ proxy, got, atServer, tell }) => {
    proxy.arm();
    for (let seq = 1; seq <= 4; seq++) tell(packet(Kind.MsgR, seq));
    await atServer(3);
    assert.equal([seqOf(got[0] as Buffer), seqOf(got[2] as Buffer)], [1, 4]);
    assert.ok((got[1] as Buffer).length < 20);
    assert.equal(proxy.stats().ruleHits, [1, 1, 0]);
  });
});

test('reset: both sides lose the connection at once', async () => {
  await withRig({}, async ({ proxy, ear, peer }) => {
    const closed = once(peer, 'close') as Promise<[number]>;
    assert.is(hit(proxy, 'reset'), 1);
    assert.is((await ear.closed()).code, 1006);
    assert.is((await closed)[0], 1006);
    await eventually('the link is gone', () => proxy.stats().open === 0);
    assert.is(proxy.stats().links.reset, 1);
    assert.is(hit(proxy, 'reset'), 0, 'there is none left');
  });
});

test('tear: half of a packet arrives, then the connection ends on both sides', async () => {
  await withRig({}, async ({ proxy, ear, peer, got, tell }) => {
    const closed = once(peer, 'close') as Promise<[number]>;
    assert.is(hit(proxy, 'tear'), 1);
    assert.is(proxy.stats().links.tear, 0, 'nothing happened yet');
    tell(packet(Kind.MsgR, 1));
    peer.send(packet(Kind.MsgN, 1));
    await ear.closed();
    assert.is((await closed)[0], 1006);
    assert.ok(got.length + ear.messages.length <= 1, 'the torn one came to nobody');
    assert.is(proxy.stats().links.tear, 1);
  });
});

test('half-open: nothing passes and nobody is told, until the link is reset', async () => {
  await withRig({}, async ({ proxy, client, ear, peer, got, tell }) => {
    hit(proxy, 'half-open');
    tell(packet(Kind.MsgR, 1));
    peer.send(packet(Kind.MsgN, 1));
    await eventually('both were swallowed', () => proxy.stats().swallowed === 2);
    client.destroy();
    await sleep(50);
    assert.is(peer.readyState, peer.OPEN, 'the server does not know that its client left');
    assert.equal([got.length, ear.messages.length], [0, 0]);
    const closed = once(peer, 'close') as Promise<[number]>;
    proxy.calm();
    assert.is((await closed)[0], 1006);
    assert.is(proxy.stats().links['half-open'], 1);
  });
});

test('half-open in one direction lets the other pass', async () => {
  await withRig({}, async ({ proxy, ear, peer, got, tell }) => {
    hit(proxy, 'half-open-up');
    tell(packet(Kind.MsgR, 1));
    peer.send(packet(Kind.MsgN, 2));
    await ear.received(1);
    await eventually('swallowed', () => proxy.stats().swallowed === 1);
    assert.equal([got.length, ear.messages.length], [0, 1]);
  });
  await withRig({}, async ({ proxy, ear, peer, got, atServer, tell }) => {
    hit(proxy, 'half-open-down');
    peer.send(packet(Kind.MsgN, 2));
    tell(packet(Kind.MsgR, 1));
    await atServer(1);
    await eventually('swallowed', () => proxy.stats().swallowed === 1);
    assert.equal([got.length, ear.messages.length], [1, 0]);
  });
});

test('half-open and ghost links are reset by themselves when their time is over', async () => {
  for (const action of ['half-open', 'half-open-up', 'half-open-down', 'ghost'] as const) {
    await withRig({}, async ({ proxy, ear, peer }) => {
      const closed = once(peer, 'close') as Promise<[number]>;
      hit(proxy, action, 20);
      assert.is((await closed)[0], 1006, action);
      assert.is((await ear.closed()).code, 1006, action);
      await eventually('the link is gone', () => proxy.stats().open === 0);
    });
  }
});

test('ghost: the client is reset, and the server goes on talking to nobody', async () => {
  await withRig({}, async ({ proxy, ear, peer }) => {
    hit(proxy, 'ghost');
    assert.is((await ear.closed()).code, 1006);
    peer.send(packet(Kind.MsgN, 1));
    await eventually('swallowed', () => proxy.stats().swallowed === 1);
    assert.is(peer.readyState, peer.OPEN);
  });
});

test('stall: nothing is read for a while, and nothing is lost', async () => {
  await withRig({}, async ({ proxy, ear, peer, got, atServer, tell }) => {
    hit(proxy, 'stall');
    tell(packet(Kind.MsgR, 1));
    peer.send(packet(Kind.MsgN, 2));
    await sleep(50);
    assert.equal([got.length, ear.messages.length], [0, 0]);
    proxy.calm();
    await atServer(1);
    await ear.received(1);
    assert.is(proxy.stats().links.stall, 1);
  });
});

test('throttle: bytes pass no faster than asked, and all of them', async () => {
  await withRig({}, async ({ proxy, atServer, tell, got }) => {
    hit(proxy, 'throttle', 60_000, 2000);
    const startMs = performance.now();
    tell(pattern(200));
    await atServer(1);
    tell(pattern(10));
    await atServer(2);
    assert.ok(performance.now() - startMs >= 100, '208 bytes at 2000 per second take 104 ms');
    proxy.calm();
    tell(pattern(50_000));
    await atServer(3);
    assert.ok(got[2]?.equals(pattern(50_000)));
  });
});

test('a receiver who does not read stops the sender: the proxy holds little of it', async () => {
  await withRig({}, async ({ proxy, peer, got, atServer, tell }) => {
    peer.pause();
    const bytes = 24 * 1_000_000;
    const message = Buffer.alloc(1_000_000, 'x');
    for (let i = 0; i < 24; i++) tell(message);
    await eventually('something waits', () => proxy.stats().unsentPeakBytes > 256 * 1024);
    await sleep(50);
    const { unsentPeakBytes } = proxy.stats();
    assert.ok(unsentPeakBytes < 8_000_000, `${unsentPeakBytes} of ${bytes} bytes`);
    peer.resume();
    await atServer(24);
    assert.ok(got.every((message) => message.length === 1_000_000));
  });
});

test('a client whose server is not there is turned away, and that is counted', async () => {
  const upstream = { host: '127.0.0.1', port: 1, isTls: false, isInsecure: false };
  const proxy = new FrameProxy({ upstream, packets: {}, seed: 1 });
  const { ear } = connectTo(await proxy.listen());
  assert.is((await ear.closed()).code, 1006);
  assert.is(proxy.stats().refused, 1);
  await proxy.close();
});

test.run();
