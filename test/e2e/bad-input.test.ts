/**
 * What a broken, hostile or unlucky client can do to the server. Each gets a clear error or a
 * documented close; a pair of bystanders exchanges messages all the while and must not notice; what
 * was confirmed is never lost.
 */
// deadline: 120s
import { Agent, get } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { createHmac, generateKeyPairSync, randomBytes, sign as signWith } from 'node:crypto';
import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FaultyStore } from '../support/faulty-store.ts';
import { JWT_KEY, type TestServer, type TestServerOptions, withServer } from '../support/server.ts';
import {
  ackR,
  type Closed,
  countR,
  doneR,
  msgR,
  NO_TOKEN,
  pullR,
  Refused,
  STATUS,
  Stranger,
  StrangerUser,
} from '../support/stranger.ts';

const A = 1001;
const B = 2002;
const ATTACKER = 6666;
const BYSTANDERS = [7001, 7002] as const;

const test = suite('bad input');

function connect(server: TestServer, uid: number): Promise<Stranger> {
  return Stranger.connect(server.url, { token: server.token(uid) });
}

/** Two users who exchange messages, one at a time, for as long as the test runs. */
class Bystanders {
  readonly sender: Stranger;
  readonly receiver: Stranger;
  readonly user = new StrangerUser();
  confirmed = 0;
  private isStopped = false;
  private readonly ended: Promise<void>;

  constructor(sender: Stranger, receiver: Stranger) {
    this.sender = sender;
    this.receiver = receiver;
    this.user.attach(receiver);
    this.ended = this.run();
    this.ended.catch(() => {}); // reported by `stop`
  }

  /** Exchanges ten more, then stops. Throws when any message of theirs went wrong. */
  async stop(): Promise<void> {
    const enough = this.confirmed + 10;
    while (this.confirmed < enough) await Promise.race([this.ended, nextTurn()]);
    this.isStopped = true;
    await this.ended;
    assert.is(this.user.log.length, this.confirmed, 'each arrived once');
    assert.is(this.user.repeats, 0);
    assert.is(this.sender.received.get('msg:A'), this.confirmed);
    await Promise.all([this.sender.close(), this.receiver.close()]);
  }

  private async run(): Promise<void> {
    while (!this.isStopped) {
      const seq = this.confirmed + 1;
      const fields = { receiver: BYSTANDERS[1], seq, content: `bystander ${seq}` };
      const { status } = await this.sender.submit(fields);
      if (status !== STATUS.ok) throw new Error(`a bystander got status ${status}`);
      const { confirmation } = await this.sender.next('ack:N');
      if (confirmation !== 'delivered') throw new Error('a bystander looked offline');
      this.confirmed++;
      await nextTurn();
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A server with bystanders, who are stopped and checked at the end. */
async function withBystanders(
  options: TestServerOptions,
  use: (server: TestServer) => Promise<void>,
): Promise<void> {
  await withServer(options, async (server) => {
    const pair = await Promise.all(BYSTANDERS.map((uid) => connect(server, uid)));
    const bystanders = new Bystanders(pair[0]!, pair[1]!);
    await use(server);
    await bystanders.stop();
  });
}

/** Sends bytes as a fresh connection of the attacker and returns how the server closes it. */
async function closeAfter(server: TestServer, bytes: Buffer | string): Promise<Closed> {
  const attacker = await connect(server, ATTACKER);
  attacker.ws.send(bytes);
  return attacker.closed;
}

async function refusal(server: TestServer, token: string | undefined): Promise<string> {
  try {
    await Stranger.connect(server.url, token === undefined ? {} : { token });
  } catch (error) {
    assert.instance(error, Refused);
    return `${(error as Refused).status} ${(error as Refused).code}`;
  }
  return 'let in';
}

/** A connection on TCP, for what no client library would send. */
async function tcp(server: TestServer): Promise<Socket> {
  const socket = connectTcp(server.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

// ---- packets ----

test('closes a connection with 4500 for bytes that are no packet, and only that one', async () => {
  const message = msgR({ receiver: B, seq: 1, content: 'x' });
  const reserved = Buffer.from(message);
  reserved[3] = 1;
  const unknownFlag = Buffer.from(message);
  unknownFlag[2] = 2;
  const badOrder = pullR(1, {});
  badOrder[1] = 2;
  const garbage: Record<string, Buffer> = {
    'an empty message': Buffer.alloc(0),
    'one zero byte': Buffer.alloc(1),
    'random bytes': Buffer.concat([Buffer.of(0xee), randomBytes(100)]),
    'an unknown kind': Buffer.of(0x7f, 0, 0, 0),
    'a truncated msg:R': message.subarray(0, 19),
    'a kind and nothing else': Buffer.of(0x01),
    'a truncated ack:R': ackR({ sender: A, epoch: 1, seq: 1 }).subarray(0, 12),
    'a pull:R without its token': pullR(1, {}).subarray(0, 24),
    'a done:R that is too long': Buffer.concat([doneR(1, NO_TOKEN), Buffer.alloc(1)]),
    'two packets in one message': Buffer.concat([countR(1), countR(2)]),
    'a reserved byte': reserved,
    'an unknown flag': unknownFlag,
    'an unknown order': badOrder,
  };
  await withBystanders({}, async (server) => {
    for (const [what, bytes] of Object.entries(garbage)) {
      assert.equal(await closeAfter(server, bytes), { code: 4500, reason: 'bad-packet' }, what);
    }
    assert.is(server.counters.closedByCode.get(4500), Object.keys(garbage).length);
  });
});

test('survives ten thousand random messages, each on its merits', async () => {
  await withBystanders({ settings: { packetsPerSec: 0 } }, async (server) => {
    let attacker = await connect(server, ATTACKER);
    // Seeded by its index, so that a failure can be repeated.
    for (let i = 0; i < 10_000; i++) {
      if (attacker.ws.readyState !== attacker.ws.OPEN) attacker = await connect(server, ATTACKER);
      const noise = createHmac('sha256', 'noise').update(String(i)).digest();
      noise[0] = [0x01, 0x11, 0x21, 0x31, 0x41, 0x02, noise[0]!][i % 7]!;
      if (i % 2 === 0) noise.fill(0, 1, 4);
      attacker.ws.send(noise.subarray(0, [4, 8, 20, 32][i % 4]));
      if (i % 97 === 0) await nextTurn();
    }
    attacker.ws.send('the end');
    const { code } = await attacker.closed;
    assert.ok([1003, 4500, 4501].includes(code), `closed with ${code}`);
  });
});

test('closes with 1003 for a text message', async () => {
  await withBystanders({}, async (server) => {
    const closed = { code: 1003, reason: 'text-message' };
    assert.equal(await closeAfter(server, 'hello'), closed);
    assert.equal(await closeAfter(server, ''), closed);
  });
});

test("closes with 4501 for a packet of the server's side", async () => {
  const packets = ['02', '12', '03', '13'].map((kind) => `${kind}000000${'01'.repeat(16)}`);
  packets.push('220000000100000000000000', `3200000001000000${'00'.repeat(36)}`);
  packets.push('4200000001000000', '53000000', '63000000');
  await withBystanders({}, async (server) => {
    for (const hex of packets) {
      const closed = await closeAfter(server, Buffer.from(hex, 'hex'));
      assert.equal(closed, { code: 4501, reason: 'wrong-direction' }, hex);
    }
  });
});

test('answers content above the limit with too-large, and keeps the connection', async () => {
  await withBystanders({ settings: { contentMaxBytes: 1000 } }, async (server) => {
    const attacker = await connect(server, ATTACKER);
    const sizes: [number, number][] = [
      [1000, STATUS.ok],
      [1001, STATUS.tooLarge],
      [1000 + 4096 - 20, STATUS.tooLarge],
    ];
    for (const [i, [size, status]] of sizes.entries()) {
      const answer = await attacker.submit({
        receiver: B,
        seq: i + 1,
        content: Buffer.alloc(size),
      });
      assert.is(answer.status, status, `${size} bytes`);
    }
    assert.is(attacker.received.get('ack:N'), 1);
  });
});

test('drops a connection without a close frame for a message far above the limit', async () => {
  await withBystanders({ settings: { contentMaxBytes: 1000 } }, async (server) => {
    // uWebSockets.js closes the TCP connection before the message is here: ws reports 1006.
    const message = msgR({ receiver: B, seq: 1, content: Buffer.alloc(1000 + 4096 - 19) });
    assert.is((await closeAfter(server, message)).code, 1006);
    assert.is((await closeAfter(server, Buffer.alloc(50_000_000))).code, 1006);
    const attacker = await connect(server, ATTACKER);
    attacker.ws.send(Buffer.alloc(4000), { fin: false });
    attacker.ws.send(Buffer.alloc(4000), { fin: true });
    assert.is((await attacker.closed).code, 1006, 'in fragments too');
    assert.is(server.counters.closedByCode.get(1006), 3);
  });
});

test('answers uids and msgids outside their range, and keeps the connection', async () => {
  await withBystanders({}, async (server) => {
    const attacker = await connect(server, ATTACKER);
    for (const uid of [0n, 2n ** 53n, 2n ** 64n - 1n]) {
      attacker.send(msgR({ receiver: uid, seq: 1 }));
      const answer = await attacker.next('msg:A');
      assert.is(answer.status, STATUS.badUid, `msg:R to ${uid}`);
      attacker.send(ackR({ sender: uid, epoch: 1, seq: 1 }));
      assert.is((await attacker.next('ack:A')).status, STATUS.badUid, `ack:R of ${uid}`);
      if (uid === 0n) continue; // no filter
      assert.is((await attacker.pull({ sender: uid })).status, STATUS.badUid, `pull:R of ${uid}`);
    }
    for (const [epoch, seq] of [
      [0, 1],
      [1, 0],
      [0, 0],
    ] as const) {
      assert.is((await attacker.submit({ receiver: B, epoch, seq })).status, STATUS.badMsgid);
      attacker.send(ackR({ sender: A, epoch, seq }));
      assert.is((await attacker.next('ack:A')).status, STATUS.badMsgid);
    }
    assert.is(attacker.received.get('ack:N'), undefined);
  });
});

test('answers page limits outside their range, and keeps the connection', async () => {
  await withBystanders({}, async (server) => {
    const attacker = await connect(server, ATTACKER);
    for (const limits of [
      { limit: 0 },
      { limit: 1_000_000_000 },
      { limit: server.config.pageMaxMessages + 1 },
      { limitBytes: 0 },
      { limitBytes: server.config.pageMaxBytes + 1 },
    ]) {
      const { status, rows, token } = await attacker.pull(limits);
      assert.equal([status, rows.length, token], [STATUS.badLimit, 0, NO_TOKEN]);
    }
    const { pageMaxMessages: limit, pageMaxBytes: limitBytes } = server.config;
    assert.is((await attacker.pull({ limit, limitBytes })).status, STATUS.ok);
  });
});

// ---- other people's messages ----

for (const policy of ['relay', 'durable']) {
  test(`a forged ack:R confirms nothing of somebody else's (${policy})`, async () => {
    await withBystanders({ settings: { policy } }, async (server) => {
      const [a, b, attacker] = await Promise.all([
        connect(server, A),
        connect(server, B),
        connect(server, ATTACKER),
      ]);
      await a.submit({ receiver: B, seq: 1, content: 'for B' });
      await b.next('msg:N');
      attacker.send(ackR({ sender: A, epoch: 1, seq: 1 }));
      assert.is((await attacker.next('ack:A')).status, STATUS.ok);
      const forged = await a.next('ack:N');
      assert.is(forged.uid, BigInt(ATTACKER), 'it names the attacker, so it matches no message');
      await a.barrier();
      assert.equal(a.unread, [], 'nothing was confirmed in the name of B');
      if (policy === 'durable') {
        assert.is((await b.pull()).rows[0]?.content.toString(), 'for B', 'and nothing deleted');
      }
      b.send(ackR({ sender: A, epoch: 1, seq: 1 }));
      assert.is((await a.next('ack:N')).uid, BigInt(B));
    });
  });
}

test("refuses another user's page token and garbage, and deletes nothing", async () => {
  await withBystanders({ store: 'lmdb' }, async (server) => {
    const a = await connect(server, A);
    for (const seq of [1, 2, 3]) await a.confirm({ receiver: B, seq, content: `m${seq}` });
    await a.confirm({ receiver: ATTACKER, seq: 1, content: 'for the attacker' });
    const b = await connect(server, B);
    const { token } = await b.pull();

    const attacker = await connect(server, ATTACKER);
    for (const forged of [token, randomBytes(32), Buffer.alloc(32, 0xff)]) {
      const page = await attacker.pull({ token: forged });
      assert.equal([page.status, page.rows.length], [STATUS.badPage, 0]);
      assert.is((await attacker.done(forged)).status, STATUS.badPage);
    }
    assert.is((await attacker.done(NO_TOKEN)).status, STATUS.badPage);
    assert.equal([...(await b.counts()).counts], [[1001n, 3]]);
    assert.equal([...(await attacker.counts()).counts], [[1001n, 1]]);
  });
});

test('no packet lets a user write in the name of another or read another inbox', async () => {
  await withBystanders({}, async (server) => {
    const a = await connect(server, A);
    await a.confirm({ receiver: B, seq: 1, content: 'secret' });
    const attacker = await connect(server, ATTACKER);
    assert.is((await attacker.pull({ sender: A })).rows.length, 0);
    assert.is((await attacker.counts()).counts.size, 0);
    await attacker.confirm({ receiver: B, seq: 1, content: 'by the attacker' });
    const b = await connect(server, B);
    const { rows } = await b.pull();
    assert.equal(
      rows.map((row) => [Number(row.sender), row.content.toString()]),
      [
        [A, 'secret'],
        [ATTACKER, 'by the attacker'],
      ],
    );
  });
});

// ---- tokens ----

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A token by hand: any claims, any header, any signature. */
function forge(
  claims: object,
  options: { readonly alg?: string; readonly sign?: (text: string) => Buffer } = {},
): string {
  const { alg = 'HS256', sign = (text) => createHmac('sha256', JWT_KEY).update(text).digest() } =
    options;
  const text = `${base64url({ alg, typ: 'JWT' })}.${base64url(claims)}`;
  return `${text}.${sign(text).toString('base64url')}`;
}

/** Seconds since 1970, so many from now. */
function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

test('lets nobody in without a good token, and says why', async () => {
  const exp = inSeconds(600);
  const sub = String(ATTACKER);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rs256 = (text: string): Buffer => signWith('sha256', Buffer.from(text), privateKey);
  const otherKey = (text: string): Buffer => createHmac('sha256', 'guess').update(text).digest();
  const nothing = (): Buffer => Buffer.alloc(0);
  const good = forge({ sub, exp });
  const cases: Record<string, [token: string | undefined, expected: string]> = {
    good: [good, 'let in'],
    none: [undefined, '401 token-missing'],
    garbage: ['garbage', '401 token-invalid'],
    'three dots': ['..', '401 token-invalid'],
    expired: [forge({ sub, exp: inSeconds(-1) }), '401 token-expired'],
    'not yet valid': [forge({ sub, exp, nbf: inSeconds(300) }), '401 token-invalid'],
    'another key': [forge({ sub, exp }, { sign: otherKey }), '401 token-invalid'],
    'no signature': [forge({ sub, exp }, { sign: nothing }), '401 token-invalid'],
    'alg none': [forge({ sub, exp }, { alg: 'none', sign: nothing }), '401 token-invalid'],
    'alg None, signed': [forge({ sub, exp }, { alg: 'None' }), '401 token-invalid'],
    RS256: [forge({ sub, exp }, { alg: 'RS256', sign: rs256 }), '401 token-invalid'],
    'RS256 in the header only': [forge({ sub, exp }, { alg: 'RS256' }), '401 token-invalid'],
    'no exp': [forge({ sub }), '401 token-invalid'],
    'exp as text': [forge({ sub, exp: String(exp) }), '401 token-invalid'],
    'no sub': [forge({ exp }), '401 token-invalid'],
    'sub as a number': [forge({ sub: ATTACKER, exp }), '401 token-invalid'],
    'changed claims': [
      good.replace(/\.[^.]+\./, `.${base64url({ sub: String(A), exp })}.`),
      '401 token-invalid',
    ],
  };
  for (const wrong of ['0', 'abc', '', '-1', '+1', '01', '1.5', '1e3', ' 1', String(2 ** 53)]) {
    cases[`sub ${JSON.stringify(wrong)}`] = [forge({ sub: wrong, exp }), '401 token-invalid'];
  }
  await withBystanders({}, async (server) => {
    for (const [what, [token, expected]] of Object.entries(cases)) {
      assert.is(await refusal(server, token), expected, what);
    }
    assert.is(server.counters.refusedByCode.get('token-missing'), 1);
    assert.is(server.counters.refusedByCode.get('token-expired'), 1);
  });
});

test('closes with 4003 when the token expires during the session', async () => {
  await withBystanders({ expirySweepMs: 20 }, async (server) => {
    const exp = inSeconds(2);
    const attacker = await Stranger.connect(server.url, {
      token: forge({ sub: String(ATTACKER), exp }),
    });
    assert.equal(await attacker.closed, { code: 4003, reason: 'token-expired' });
    assert.ok(Date.now() >= exp * 1000, 'not before');
    assert.is(await refusal(server, forge({ sub: String(ATTACKER), exp })), '401 token-expired');
    const a = await connect(server, A);
    assert.is(await a.confirm({ receiver: ATTACKER, seq: 1 }), 'stored', 'and is offline');
  });
});

// ---- stores ----

test('answers inbox-full in messages, keeps what is in, and goes on when there is room', async () => {
  await withBystanders({ store: 'lmdb', settings: { inboxMaxMessages: 3 } }, async (server) => {
    const a = await connect(server, A);
    for (const seq of [1, 2, 3]) {
      assert.is(await a.confirm({ receiver: B, seq, content: `m${seq}` }), 'stored');
    }
    assert.is((await a.submit({ receiver: B, seq: 4 })).status, STATUS.inboxFull);
    assert.is(await a.confirm({ receiver: B, seq: 3, flags: 1, content: 'm3' }), 'stored');
    const b = await connect(server, B);
    const user = new StrangerUser();
    await user.drain(b);
    await b.close();
    assert.equal(user.log, ['m1', 'm2', 'm3']);
    assert.is(await a.confirm({ receiver: B, seq: 4, flags: 1, content: 'm4' }), 'stored');
  });
});

test('answers inbox-full in bytes', async () => {
  await withBystanders({ store: 'lmdb', settings: { inboxMaxBytes: 100 } }, async (server) => {
    const a = await connect(server, A);
    const content = Buffer.alloc(60);
    assert.is((await a.submit({ receiver: B, seq: 1, content })).status, STATUS.ok);
    assert.is((await a.submit({ receiver: B, seq: 2, content })).status, STATUS.inboxFull);
    const rest = Buffer.alloc(40);
    assert.is((await a.submit({ receiver: B, seq: 3, content: rest })).status, STATUS.ok);
    assert.is((await a.submit({ receiver: B, seq: 4, content: 'x' })).status, STATUS.inboxFull);
    assert.is((await a.submit({ receiver: A, seq: 1, content: 'x' })).status, STATUS.ok);
    await a.barrier();
    assert.is(a.received.get('ack:N'), 2);
  });
});

/** The options of a server on a store with faults, which `store()` gives once it runs. */
function faulty(settings: Readonly<Record<string, unknown>> = {}): {
  readonly options: TestServerOptions;
  readonly store: () => FaultyStore;
} {
  let store: FaultyStore | undefined;
  return {
    options: { settings, store: (limits) => (store = new FaultyStore(limits)) },
    store: () => store as FaultyStore,
  };
}

test('confirms nothing while the store fails to write, and all once it recovers', async () => {
  const { options, store } = faulty();
  await withBystanders(options, async (server) => {
    const a = await connect(server, A);
    store().failPuts = 3;
    for (const seq of [1, 2, 3]) {
      const { status } = await a.submit({ receiver: B, seq, content: `m${seq}` });
      assert.is(status, STATUS.storeFailed);
    }
    await a.barrier();
    assert.is(a.received.get('ack:N'), undefined, 'no forged ack:N');
    for (const seq of [1, 2, 3]) {
      const fields = { receiver: B, seq, flags: 1, content: `m${seq}` };
      assert.is(await a.confirm(fields), 'stored');
    }
    const b = await connect(server, B);
    store().failOthers = 2;
    assert.is((await b.counts()).status, STATUS.storeFailed);
    assert.is((await b.pull()).status, STATUS.storeFailed);
    const page = await b.pull();
    store().failOthers = 1;
    assert.is((await b.done(page.token)).status, STATUS.storeFailed);
    const user = new StrangerUser();
    await user.drain(b);
    assert.equal(user.log, ['m1', 'm2', 'm3']);
  });
});

test('sends inbox:N when the deletion that rides on a pull fails: the page comes again', async () => {
  const { options, store } = faulty();
  await withBystanders(options, async (server) => {
    const a = await connect(server, A);
    await a.confirm({ receiver: B, seq: 1, content: 'm1' });
    const b = await connect(server, B);
    const { token } = await b.pull();
    store().failOthers = 1;
    assert.is((await b.pull({ token })).status, STATUS.ok);
    await b.next('inbox:N');
    assert.is((await b.pull()).rows.length, 1);
  });
});

test('stays up when the disk is full, loses nothing confirmed, and goes on after a drain', async () => {
  const { options, store } = faulty();
  await withBystanders(options, async (server) => {
    const a = await connect(server, A);
    store().diskBytes = 10_000;
    const stored: string[] = [];
    let refused = 0;
    for (let seq = 1; seq <= 20; seq++) {
      const content = `${seq}`.padEnd(1000, '.');
      const { status } = await a.submit({ receiver: B, seq, content });
      if (status === STATUS.ok) stored.push(content);
      else refused += status === STATUS.storeFailed ? 1 : 0;
    }
    assert.equal([stored.length, refused], [10, 10]);
    await a.barrier();
    assert.is(a.received.get('ack:N'), 10);
    const b = await connect(server, B);
    const user = new StrangerUser();
    await user.drain(b);
    await b.close();
    assert.equal(user.log, stored);
    assert.is(await a.confirm({ receiver: B, seq: 11, flags: 1 }), 'stored');
  });
});

test('answers overloaded when too many store operations wait', async () => {
  const { options, store } = faulty({ pendingMax: 7 });
  await withBystanders(options, async (server) => {
    const a = await connect(server, A);
    store().hold();
    for (let seq = 1; seq <= 5; seq++) a.send(msgR({ receiver: B, seq }));
    assert.is((await a.submit({ receiver: B, seq: 6 })).status, STATUS.overloaded);
    for (const request of [901, 902]) a.send(countR(request)); // the two places kept for pulls
    assert.is((await a.counts()).status, STATUS.overloaded);
    assert.is((await a.pull()).status, STATUS.overloaded);
    store().release();
    for (let seq = 1; seq <= 5; seq++) {
      const answer = await a.next('msg:A', (msgA) => msgA.seq === seq);
      assert.is(answer.status, STATUS.ok);
    }
    assert.is(await a.confirm({ receiver: B, seq: 6, flags: 1 }), 'stored');
  });
});

// ---- load ----

const FLOOD = 100_000;

test('closes with 4002 a connection that sends 100,000 packets at once', async () => {
  const settings = { packetsPerSec: 1000, packetsBurst: 2000 };
  // The bystanders, who go as fast as they can, are under the same limit: they pause instead.
  await withServer({ settings }, async (server) => {
    const [a, b] = await Promise.all([connect(server, A), connect(server, B)]);
    const user = new StrangerUser();
    user.attach(b);
    const attacker = await connect(server, ATTACKER);
    for (let i = 1; i <= FLOOD; i++) attacker.send(countR(i));
    for (let seq = 1; seq <= 100; seq++) {
      assert.is(await a.confirm({ receiver: B, seq, content: String(seq) }), 'delivered');
    }
    assert.equal(await attacker.closed, { code: 4002, reason: 'rate-limit' });
    const answered = attacker.received.get('count:A') ?? 0;
    assert.ok(answered >= 2000 && answered < FLOOD, `${answered} were answered before`);
    assert.is(user.log.length, 100);
    const again = await connect(server, ATTACKER);
    assert.is((await again.counts()).status, STATUS.ok, 'and may come back');
  });
});

test('answers 100,000 packets at once from one connection when there is no limit', async () => {
  const settings = { packetsPerSec: 0, inboxMaxMessages: FLOOD, pendingMax: FLOOD };
  await withBystanders({ settings }, async (server) => {
    const a = await connect(server, A);
    const statuses = new Map<string, number>();
    const allAnswered = new Promise<void>((resolve) => {
      let answers = 0;
      a.onPacket = (answer) => {
        const key = answer.name === 'msg:A' ? `msg:A ${answer.status}` : answer.name;
        statuses.set(key, (statuses.get(key) ?? 0) + 1);
        a.unread.length = 0;
        if (++answers === 2 * FLOOD) resolve();
      };
    });
    for (let seq = 1; seq <= FLOOD; seq++) a.send(msgR({ receiver: B, seq }));
    await allAnswered;
    assert.equal(Object.fromEntries(statuses), { 'msg:A 0': FLOOD, 'ack:N': FLOOD });
    const b = await connect(server, B);
    assert.equal([...(await b.counts()).counts], [[1001n, FLOOD]]);
  });
});

test('bounds the pages that wait for a client whose thousands of pulls arrive together', async () => {
  const settings = { packetsPerSec: 0, pageMaxBytes: 65_536, backpressureMaxBytes: 262_144 };
  await withBystanders({ settings }, async (server) => {
    const a = await connect(server, A);
    for (let seq = 1; seq <= 8; seq++) {
      a.send(msgR({ receiver: B, seq, content: Buffer.alloc(8000, 'x') }));
    }
    await a.barrier();
    const b = await connect(server, B);
    for (let request = 1; request <= 5000; request++) {
      b.send(pullR(request, { limit: 100, limitBytes: 65_536 }));
    }
    assert.is((await b.closed).code, 1006);
    const { counters } = server;
    assert.is(counters.closedByCode.get(4001), 1, 'counted as a slow consumer');
    assert.ok((counters.droppedBackpressure[0x32] ?? 0) > 0, 'what was not sent is counted');
    const again = await connect(server, B);
    const user = new StrangerUser();
    await user.drain(again, { limit: 100, limitBytes: 65_536 });
    assert.is(user.log.length, 8, 'nothing was lost');
  });
});

test('drops a client that never reads, bounds what waits for it, and loses nothing', async () => {
  const backpressureMaxBytes = 131_072;
  const settings = {
    packetsPerSec: 0,
    pageMaxBytes: 65_536,
    backpressureMaxBytes,
    inboxMaxBytes: 2 ** 30,
  };
  const count = 2500;
  const contentBytes = 16_000;
  await withBystanders({ settings }, async (server) => {
    const a = await connect(server, A);
    const b = await connect(server, B);
    // Nothing is read from the socket any more; what the kernel takes is not the server's memory.
    b.stopReading();
    const isSettled = new Set<number>();
    a.onPacket = (answer) => {
      if (answer.name === 'ack:N') isSettled.add(answer.seq);
    };
    const content = (seq: number): Buffer => Buffer.alloc(contentBytes, String(seq));
    for (let seq = 1; seq <= count; seq++) {
      a.send(msgR({ receiver: B, seq, content: content(seq) }));
      if (seq % 50 === 0) await a.barrier();
    }
    const { counters } = server;
    const dropped = counters.droppedBackpressure[0x03] ?? 0;
    assert.is(counters.closedByCode.get(4001), 1, 'counted as a slow consumer');
    assert.ok(dropped > 0, 'dropped packets are counted');
    const pushedBytes = (counters.sent[0x03] ?? 0) * contentBytes;
    const kernelBytes = 16 * 2 ** 20;
    assert.ok(pushedBytes < backpressureMaxBytes + kernelBytes, `${pushedBytes} B pushed`);
    assert.ok(count * contentBytes > 2 * kernelBytes, 'of far more');

    // The sender does what senders do: everything unconfirmed again.
    for (let seq = 1; seq <= count; seq++) {
      if (isSettled.has(seq)) continue;
      a.send(msgR({ receiver: B, seq, flags: 1, content: content(seq) }));
      if (seq % 50 === 0) await a.barrier();
    }
    await a.barrier();
    assert.is(isSettled.size, count, 'now all are stored');
    b.resume();
    assert.is((await b.closed).code, 1006, 'no close frame gets through a full buffer');
    const again = await connect(server, B);
    const user = new StrangerUser();
    await user.drain(again, { limit: 1000, limitBytes: 65_536 });
    assert.is(user.log.length, count);
  });
});

test('refuses a connection too many with 503, and takes one when one has gone', async () => {
  await withBystanders({ settings: { connectionsMax: 3 } }, async (server) => {
    const third = await connect(server, ATTACKER);
    assert.is(await refusal(server, server.token(A)), '503 too-many-connections');
    await third.close();
    await (await connect(server, A)).close();
    assert.is(server.counters.refusedByCode.get('too-many-connections'), 1);
  });
});

// ---- HTTP ----

test('answers plain HTTP on the WebSocket path, and unknown paths, with not-found', async () => {
  await withBystanders({}, async (server) => {
    for (const [method, path] of [
      ['GET', '/v1/ws'],
      ['POST', '/v1/ws'],
      ['GET', '/'],
      ['GET', '/v2/ws'],
      ['GET', '/v1/inbox/'],
      ['DELETE', '/v1/inbox'],
      ['GET', '/v1/inbox/done'],
      ['GET', '/%2e%2e/etc/passwd'],
      ['GET', `/${'x'.repeat(2000)}`],
    ] as const) {
      const response = await fetch(`${server.httpUrl}${path}`, { method });
      const { error } = (await response.json()) as { error: { code: string } };
      assert.equal([response.status, error.code], [404, 'not-found'], `${method} ${path}`);
    }
  });
});

test('answers bad HTTP parameters and bodies with the mistake in words', async () => {
  await withBystanders({}, async (server) => {
    const headers = { authorization: `Bearer ${server.token(A)}` };
    const cases: [query: string, code: string, says: RegExp][] = [
      ['limit=0', 'bad-limit', /limit/],
      ['limit=10001', 'bad-limit', /limit/],
      ['limit=1000000000000', 'bad-limit', /limit/],
      ['limitBytes=0', 'bad-limit', /limit/],
      ['limit=-1', 'bad-request', /limit must be a whole number/],
      ['limit=ten', 'bad-request', /limit must be a whole number/],
      ['limit=1.5', 'bad-request', /limit must be a whole number/],
      ['limit=', 'bad-request', /limit must be a whole number/],
      ['limitBytes=1e3', 'bad-request', /limitBytes must be/],
      ['sender=bob', 'bad-request', /sender must be a uid/],
      [`sender=${2 ** 53}`, 'bad-uid', /uid/],
      ['order=random', 'bad-request', /oldest or newest/],
      ['ack=00', 'bad-request', /ack must be 64 hex digits/],
      [`ack=${'zz'.repeat(32)}`, 'bad-request', /ack must be 64 hex digits/],
      [`ack=${'ff'.repeat(32)}`, 'bad-page', /token/],
      ['Limit=1', 'bad-request', /unknown parameter Limit/],
      ['foo=1&limit=x', 'bad-request', /unknown parameter foo; limit must/],
    ];
    for (const [query, code, says] of cases) {
      const response = await fetch(`${server.httpUrl}/v1/inbox?${query}`, { headers });
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      assert.equal([response.status, error.code], [400, code], query);
      assert.match(error.message, says);
    }
    const bodies: [body: string, code: string][] = [
      ['', 'bad-request'],
      ['{', 'bad-request'],
      ['null', 'bad-request'],
      ['[]', 'bad-request'],
      ['{"ack":1}', 'bad-request'],
      [`{"ack":"${'0'.repeat(63)}"}`, 'bad-request'],
      [`{"ack":"${'0'.repeat(64)}"}`, 'bad-page'],
      [`{"ack":"${'f'.repeat(64)}"}`, 'bad-page'],
      [' '.repeat(4097), 'bad-request'],
      ['x'.repeat(2_000_000), 'bad-request'],
    ];
    for (const [body, code] of bodies) {
      const response = await fetch(`${server.httpUrl}/v1/inbox/done`, {
        method: 'POST',
        headers,
        body,
      });
      const { error } = (await response.json()) as { error: { code: string } };
      assert.equal([response.status, error.code], [400, code], body.slice(0, 40));
    }
  });
});

test('does not mind clients that go away in the middle of an HTTP request', async () => {
  const { options, store } = faulty();
  await withBystanders(options, async (server) => {
    const socket = await tcp(server);
    const head = `Host: x\r\nAuthorization: Bearer ${server.token(A)}\r\n`;
    socket.write(`POST /v1/inbox/done HTTP/1.1\r\n${head}Content-Length: 100\r\n\r\n{"ack":`);
    const waiting = await tcp(server);
    store().hold();
    waiting.write(`GET /v1/inbox HTTP/1.1\r\n${head}\r\n`);
    await store().whenHeld();
    socket.destroy();
    waiting.destroy();
    const b = await connect(server, B); // by now the server has seen both go
    store().release();
    assert.is((await b.counts()).status, STATUS.ok);
  });
});

test('does not mind bytes that are neither HTTP nor WebSocket', async () => {
  await withBystanders({}, async (server) => {
    for (const bytes of [
      Buffer.from('\r\n\r\n'),
      Buffer.from('HELO mail\r\n\r\n'),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.concat([Buffer.of(0x16, 0x03, 0x01), randomBytes(200)]),
      Buffer.alloc(100_000, 'a'),
    ]) {
      const socket = await tcp(server);
      socket.resume();
      socket.end(bytes);
      await once(socket, 'close');
    }
  });
});

// ---- draining ----

test('refuses upgrades and new messages while draining, then closes with 1012', async () => {
  const { options, store } = faulty();
  await withServer(options, async (server) => {
    const a = await connect(server, A);
    const late = await tcp(server);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    assert.is(await statusOf(`${server.httpUrl}/readyz`, agent), 200);
    store().hold();
    a.send(msgR({ receiver: B, seq: 1, content: 'in flight' }));
    await store().whenHeld();
    const drained = server.drain();

    assert.is((await a.submit({ receiver: B, seq: 2 })).status, STATUS.draining);
    assert.is(await statusOf(`${server.httpUrl}/readyz`, agent), 503);
    const upgrade = Stranger.connect(server.url, {
      token: server.token(B),
      createConnection: () => late,
    });
    const error = await upgrade.then(() => null).catch((refused: unknown) => refused);
    assert.instance(error, Refused);
    assert.is((error as Refused).code, 'draining');

    store().release();
    assert.is((await a.next('ack:N')).seq, 1, 'what was in flight is finished');
    assert.equal(await a.closed, { code: 1012, reason: 'service-restart' });
    assert.is(await drained, true);
    agent.destroy();
  });
});

function statusOf(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    }).once('error', reject);
  });
}

test.run();
