/**
 * A client written from docs/PROTOCOL.md alone against the real server: every mechanism that the
 * page promises to a client in another language.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FaultyStore } from '../support/faulty-store.ts';
import { type TestServer, type TestServerOptions, withServer } from '../support/server.ts';
import { ackR, msgR, NO_TOKEN, STATUS, Stranger, StrangerUser } from '../support/stranger.ts';

const A = 1001;
const B = 2002;
const C = 3003;

const test = suite('a stranger who read PROTOCOL.md');

function connect(server: TestServer, uid: number): Promise<Stranger> {
  return Stranger.connect(server.url, { token: server.token(uid) });
}

/** A server, and A connected to it. */
async function withA(
  options: TestServerOptions,
  use: (server: TestServer, a: Stranger) => Promise<void>,
): Promise<void> {
  await withServer(options, async (server) => use(server, await connect(server, A)));
}

/** Sends messages `from`..`to` of this sender to B, who is offline, one after the other. */
async function store(sender: Stranger, from: number, to: number): Promise<void> {
  for (let seq = from; seq <= to; seq++) {
    assert.is(await sender.confirm({ receiver: B, seq, content: `m${seq}` }), 'stored');
  }
}

function texts(prefix: string, from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => `${prefix}${from + i}`);
}

test('completes one message in six packets', async () => {
  await withA({}, async (server, a) => {
    const b = await connect(server, B);
    a.send(msgR({ receiver: B, epoch: 7, seq: 1, msgType: 9, content: 'héllo' }));
    const accepted = await a.next('msg:A');
    assert.equal(accepted, { name: 'msg:A', status: 0, epoch: 7, seq: 1, uid: 2002n });
    const push = await b.next('msg:N');
    assert.is(push.content.toString(), 'héllo');
    assert.equal([push.uid, push.epoch, push.seq, push.msgType], [1001n, 7, 1, 9]);
    b.send(ackR({ sender: A, epoch: 7, seq: 1 }));
    const noted = await b.next('ack:A');
    assert.equal(noted, { name: 'ack:A', status: 0, epoch: 7, seq: 1, uid: 1001n });
    const confirmed = await a.next('ack:N');
    assert.equal(confirmed, {
      name: 'ack:N',
      confirmation: 'delivered',
      epoch: 7,
      seq: 1,
      uid: 2002n,
    });
    await Promise.all([a.barrier(), b.barrier()]);
    assert.equal([a.unread, b.unread], [[], []], 'and nothing else was sent');
  });
});

test('carries empty content, every message type, and the largest uid and msgid', async () => {
  const largestUid = 2n ** 53n - 1n;
  await withA({}, async (server, a) => {
    const b = await connect(server, Number(largestUid));
    a.send(msgR({ receiver: largestUid, epoch: 0xffffffff, seq: 0xffffffff, msgType: 255 }));
    const push = await b.next('msg:N');
    assert.equal([push.msgType, push.content.length], [255, 0]);
    b.send(ackR({ sender: A, epoch: push.epoch, seq: push.seq }));
    const { uid, epoch, seq } = await a.next('ack:N');
    assert.equal([uid, epoch, seq], [largestUid, 0xffffffff, 0xffffffff]);
  });
});

test('lets a user write to itself', async () => {
  await withA({}, async (_server, a) => {
    new StrangerUser().attach(a);
    assert.is(await a.confirm({ receiver: A, seq: 1 }), 'delivered');
  });
});

test('delivers a retransmitted message once, and acknowledges every repeat', async () => {
  await withA({}, async (server, a) => {
    const b = await connect(server, B);
    const user = new StrangerUser();
    user.attach(b);
    a.send(msgR({ receiver: B, seq: 1, content: 'once' }));
    for (let i = 0; i < 3; i++) a.send(msgR({ receiver: B, seq: 1, flags: 1, content: 'once' }));
    for (let i = 0; i < 4; i++) assert.is((await a.next('ack:N')).confirmation, 'delivered');
    assert.equal(user.log, ['once']);
    assert.is(user.repeats, 3);
    assert.is(a.received.get('msg:A'), 4, 'one A for each R');
    assert.is(server.counters.retransmissionsReceived, 3);
  });
});

test('stores for a receiver who is offline before it confirms, and repeats store once', async () => {
  await withA({ store: 'lmdb' }, async (server, a) => {
    const before = BigInt(Date.now());
    a.send(msgR({ receiver: B, epoch: 5, seq: 1, msgType: 4, content: 'kept' }));
    assert.is((await a.next('msg:A')).status, STATUS.ok);
    assert.is((await a.next('ack:N')).confirmation, 'stored');
    a.send(msgR({ receiver: B, epoch: 5, seq: 1, msgType: 4, flags: 1, content: 'kept' }));
    assert.is((await a.next('ack:N')).confirmation, 'stored');

    const b = await connect(server, B);
    const { rows, more } = await b.pull();
    assert.is(rows.length, 1);
    const row = rows[0]!;
    assert.equal([row.sender, row.epoch, row.seq, row.msgType], [1001n, 5, 1, 4]);
    assert.is(row.content.toString(), 'kept');
    assert.ok(row.timeMs >= before && row.timeMs <= BigInt(Date.now()));
    assert.not(more);
  });
});

test('counts what waits, per sender', async () => {
  await withA({}, async (server, a) => {
    const b = await connect(server, B);
    assert.equal([...(await b.counts()).counts], []);
    await b.close();
    await store(a, 1, 3);
    const c = await connect(server, C);
    await store(c, 1, 1);
    const again = await connect(server, B);
    const { status, counts } = await again.counts();
    assert.is(status, STATUS.ok);
    assert.equal(
      [...counts].sort(([x], [y]) => Number(x - y)),
      [
        [1001n, 3],
        [3003n, 1],
      ],
    );
  });
});

test('pulls N pages in N + 1 interactions, each pull acknowledging the page before', async () => {
  await withA({ store: 'lmdb' }, async (server, a) => {
    await store(a, 1, 10);
    const b = await connect(server, B);
    const user = new StrangerUser();
    assert.is(await user.drain(b, { limit: 3 }), 4 + 1);
    assert.equal(user.log, texts('m', 1, 10));
    assert.is(user.repeats, 0);
    assert.equal([b.received.get('pull:A'), b.received.get('done:A')], [4, 1]);
    assert.is((await b.counts()).counts.size, 0, 'and the inbox is empty');
    const empty = await b.pull();
    assert.equal([empty.rows.length, empty.more, empty.token], [0, false, NO_TOKEN]);
  });
});

test('keeps a page until it is acknowledged, over crashes of the client', async () => {
  await withA({ store: 'lmdb' }, async (server, a) => {
    await store(a, 1, 4);
    const user = new StrangerUser();
    const first = await connect(server, B);
    const page = await first.pull({ limit: 2 });
    const second = await first.pull({ limit: 2, token: page.token });
    assert.equal(
      second.rows.map((row) => row.seq),
      [3, 4],
    );
    await first.crash();

    const next = await connect(server, B);
    assert.is(await user.drain(next, { limit: 2 }), 2, 'page 1 is gone, page 2 comes again');
    assert.equal(user.log, ['m3', 'm4']);
    assert.is((await next.done(page.token)).status, STATUS.ok, 'an old token deletes nothing');
  });
});

test('never deletes by a token what was stored after its page was read', async () => {
  await withA({}, async (server, a) => {
    await store(a, 1, 2);
    const b = await connect(server, B);
    const { token } = await b.pull({ order: 'newest' });
    await b.close();
    await store(a, 3, 3);
    const again = await connect(server, B);
    const page = await again.pull({ token, order: 'newest' });
    assert.equal(
      page.rows.map((row) => row.seq),
      [3],
    );
  });
});

test('pulls the newest page first when asked to', async () => {
  await withA({}, async (server, a) => {
    await store(a, 1, 5);
    const b = await connect(server, B);
    const user = new StrangerUser();
    assert.is(await user.drain(b, { order: 'newest', limit: 2 }), 3 + 1);
    assert.equal(user.log, ['m5', 'm4', 'm3', 'm2', 'm1']);
  });
});

test('pulls the messages of one sender and leaves the others', async () => {
  await withA({}, async (server, a) => {
    await store(a, 1, 3);
    const c = await connect(server, C);
    await store(c, 7, 8);
    const b = await connect(server, B);
    const user = new StrangerUser();
    assert.is(await user.drain(b, { sender: C, limit: 1 }), 2 + 1);
    assert.equal(user.log, ['m7', 'm8']);
    assert.equal([...(await b.counts()).counts], [[1001n, 3]]);
  });
});

test('limits a page in bytes, but always gives the first message', async () => {
  await withA({}, async (server, a) => {
    for (const seq of [1, 2, 3]) {
      await a.confirm({ receiver: B, seq, content: Buffer.alloc(100, seq) });
    }
    const b = await connect(server, B);
    assert.is((await b.pull({ limitBytes: 1 })).rows.length, 1);
    assert.is((await b.pull({ limitBytes: 200 })).rows.length, 2);
    assert.not((await b.pull({ limitBytes: 300 })).more);
  });
});

test('gets inbox:N for a row that was committed after its login', async () => {
  let held!: FaultyStore;
  const options = { store: (limits: TestServer['config']) => (held = new FaultyStore(limits)) };
  await withA(options, async (server, a) => {
    held.hold();
    a.send(msgR({ receiver: B, seq: 1, content: 'late' }));
    await held.whenHeld();
    const b = await connect(server, B);
    held.release();
    await b.next('inbox:N');
    assert.is((await a.next('ack:N')).confirmation, 'stored');
    const user = new StrangerUser();
    await user.drain(b);
    assert.equal(user.log, ['late']);
  });
});

test('gets kick:N and 4502 when a newer session of the same user comes', async () => {
  await withA({}, async (server, a) => {
    const older = await connect(server, B);
    const newer = await connect(server, B);
    await older.next('kick:N');
    assert.equal(await older.closed, { code: 4502, reason: 'kicked' });
    const user = new StrangerUser();
    user.attach(newer);
    assert.is(await a.confirm({ receiver: B, seq: 1, content: 'to the newer' }), 'delivered');
    assert.equal(user.log, ['to the newer']);
  });
});

test('gets over a broken connection: offline, stored, reconnected, pulled, delivered', async () => {
  await withA({ store: 'lmdb' }, async (server, a) => {
    const user = new StrangerUser();
    let b = await connect(server, B);
    user.attach(b);
    assert.is(await a.confirm({ receiver: B, seq: 1, content: 'm1' }), 'delivered');
    await b.crash();
    // The server learns of it when it reads the end of the stream: until then it pushes into it, and
    // the sender retransmits, as the page says.
    const confirmations: string[] = [];
    a.onPacket = (answer) => {
      if (answer.name === 'ack:N' && answer.seq === 2) confirmations.push(answer.confirmation);
    };
    for (let flags = 0; confirmations.length === 0; flags = 1) {
      await a.submit({ receiver: B, seq: 2, flags, content: 'm2' });
      await a.barrier();
    }
    assert.is(confirmations[0], 'stored');
    b = await connect(server, B);
    user.attach(b);
    await user.drain(b);
    assert.is(await a.confirm({ receiver: B, seq: 3, content: 'm3' }), 'delivered');
    assert.equal(user.log, texts('m', 1, 3));
  });
});

test('under the durable policy keeps an unacknowledged message and deletes it on ack:R', async () => {
  const options: TestServerOptions = { store: 'lmdb', settings: { policy: 'durable' } };
  await withA(options, async (server, a) => {
    let b = await connect(server, B);
    await a.submit({ receiver: B, seq: 1, content: 'unacknowledged' });
    await b.next('msg:N'); // and dies before its ack:R; the sender dies as well
    await b.crash();
    await a.crash();
    b = await connect(server, B);
    const user = new StrangerUser();
    user.attach(b);
    await user.drain(b);
    assert.equal(user.log, ['unacknowledged']);

    const again = await connect(server, A);
    assert.is(await again.confirm({ receiver: B, seq: 2, content: 'acknowledged' }), 'delivered');
    while ((await b.counts()).counts.size > 0);
    assert.equal(user.log, ['unacknowledged', 'acknowledged']);
  });
});

test('under the durable policy a repeat after delivery is dropped by the receiver', async () => {
  await withA({ settings: { policy: 'durable' } }, async (server, a) => {
    const b = await connect(server, B);
    const user = new StrangerUser();
    user.attach(b);
    await a.confirm({ receiver: B, seq: 1, content: 'once' });
    await a.confirm({ receiver: B, seq: 1, flags: 1, content: 'once' });
    assert.equal([user.log, user.repeats], [['once'], 1]);
  });
});

test('authenticates like a browser, by subprotocol or by query parameter', async () => {
  await withServer({}, async (server) => {
    const bearer = `bearer.${server.token(A)}`;
    const bySubprotocol = await Stranger.connect(server.url, {
      protocols: ['ackbench.v1', bearer],
    });
    assert.is(bySubprotocol.ws.protocol, 'ackbench.v1');
    const byQuery = await Stranger.connect(`${server.url}?token=${server.token(B)}`);
    assert.is(byQuery.ws.protocol, '');
    new StrangerUser().attach(byQuery);
    assert.is(await bySubprotocol.confirm({ receiver: B, seq: 1 }), 'delivered');
  });
});

test('is who the header says when several tokens are there', async () => {
  await withServer({}, async (server) => {
    const b = await connect(server, B);
    const a = await Stranger.connect(`${server.url}?token=${server.token(7)}`, {
      token: server.token(A),
      protocols: ['ackbench.v1', `bearer.${server.token(8)}`],
    });
    assert.is(a.ws.protocol, 'ackbench.v1');
    await a.submit({ receiver: B, seq: 1 });
    assert.is((await b.next('msg:N')).uid, 1001n);
  });
});

test.run();
