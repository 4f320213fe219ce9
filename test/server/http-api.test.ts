/** The HTTP API: the offline inbox without a socket, health, and metrics. */
import { Agent, get, type IncomingHttpHeaders } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FaultyStore } from '../support/faulty-store.ts';
import { type TestServer, type TestServerOptions, withServer } from '../support/server.ts';
import { countR, msgR, Stranger, StrangerUser } from '../support/stranger.ts';

const A = 1001;
const B = 2002;

interface Answer {
  readonly status: number;
  // The API speaks JSON; each test knows the shape that it asserts.
  readonly body: Record<string, never> & { readonly error?: { readonly code: string } };
}

/** Calls the API as B. */
async function call(server: TestServer, path: string, ack?: string): Promise<Answer> {
  const response = await fetch(`${server.httpUrl}${path}`, {
    headers: { authorization: `Bearer ${server.token(B)}` },
    ...(ack === undefined ? {} : { method: 'POST', body: JSON.stringify({ ack }) }),
  });
  assert.is(response.headers.get('content-type'), 'application/json');
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** A server whose B is offline and has `messages` waiting from A, seqs 1, 2 …. */
async function withInbox(
  messages: number,
  options: TestServerOptions,
  use: (server: TestServer, a: Stranger) => Promise<void>,
): Promise<void> {
  await withServer(options, async (server) => {
    const a = await Stranger.connect(server.url, { token: server.token(A) });
    for (let seq = 1; seq <= messages; seq++) {
      const fields = { receiver: B, epoch: 9, seq, msgType: 3, content: `m${seq}` };
      assert.is(await a.confirm(fields), 'stored');
    }
    await use(server, a);
  });
}

interface Row {
  readonly sender: number;
  readonly epoch: number;
  readonly seq: number;
  readonly timeMs: number;
  readonly msgType: number;
  readonly content: string;
}

interface Page {
  readonly rows: Row[];
  readonly page: string;
  readonly more: boolean;
}

async function pull(server: TestServer, query: string): Promise<Page> {
  const { status, body } = await call(server, `/v1/inbox?${query}`);
  assert.is(status, 200, JSON.stringify(body));
  return body as unknown as Page;
}

function seqs(page: Page): number[] {
  return page.rows.map((row) => row.seq);
}

const test = suite('HTTP API');

test('counts what waits', async () => {
  await withInbox(3, {}, async (server) => {
    const { status, body } = await call(server, '/v1/inbox/counts');
    assert.is(status, 200);
    assert.equal(body, { counts: [{ sender: A, count: 3 }] });
  });
});

test('gives rows with every field, content in base64', async () => {
  await withInbox(1, {}, async (server) => {
    const before = Date.now();
    const { rows, page, more } = await pull(server, '');
    assert.match(page, /^[0-9a-f]{64}$/);
    assert.is(more, false);
    const { timeMs, ...row } = rows[0]!;
    assert.ok(timeMs > before - 60_000 && timeMs <= Date.now());
    assert.equal(row, { sender: A, epoch: 9, seq: 1, msgType: 3, content: 'bTE=' });
  });
});

test('carries bytes that are no text unharmed', async () => {
  await withInbox(0, {}, async (server, a) => {
    const content = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await a.confirm({ receiver: B, seq: 1, content });
    const { rows } = await pull(server, '');
    assert.equal(Buffer.from(rows[0]!.content, 'base64'), content);
  });
});

test('drains pages with ack for the page before, and done for the last', async () => {
  await withInbox(5, { store: 'lmdb' }, async (server) => {
    const first = await pull(server, 'limit=2');
    const again = await pull(server, 'limit=2');
    assert.equal(seqs(again), [1, 2], 'nothing goes without an acknowledgement');
    const second = await pull(server, `limit=2&ack=${first.page}`);
    const third = await pull(server, `limit=2&ack=${second.page.toUpperCase()}`);
    assert.equal(
      [first, second, third].map((page) => [...seqs(page), page.more]),
      [
        [1, 2, true],
        [3, 4, true],
        [5, false],
      ],
    );
    assert.equal((await call(server, '/v1/inbox/done', third.page)).body, { ok: true });
    assert.equal((await call(server, '/v1/inbox/done', third.page)).body, { ok: true }, 'twice');
    const empty = await pull(server, '');
    assert.equal(empty, { rows: [], page: '0'.repeat(64), more: false });
    assert.equal((await call(server, '/v1/inbox/counts')).body, { counts: [] });
  });
});

test('takes 64 zeros in ack of a pull as nothing to acknowledge', async () => {
  await withInbox(1, {}, async (server) => {
    assert.equal(seqs(await pull(server, `ack=${'0'.repeat(64)}`)), [1]);
  });
});

test('filters by sender, orders, and limits in messages and bytes', async () => {
  await withInbox(3, {}, async (server) => {
    const c = await Stranger.connect(server.url, { token: server.token(3003) });
    await c.confirm({ receiver: B, seq: 8 });
    assert.equal(seqs(await pull(server, 'sender=3003')), [8]);
    assert.equal(seqs(await pull(server, 'sender=0')), [1, 2, 3, 8]);
    assert.equal(seqs(await pull(server, 'order=newest&limit=2')), [8, 3]);
    assert.equal(seqs(await pull(server, 'limitBytes=4')), [1, 2]);
    assert.equal(seqs(await pull(server, 'sender=4')), []);
  });
});

test('gives a hundred messages when no limit is given', async () => {
  await withInbox(101, {}, async (server) => {
    const page = await pull(server, '');
    assert.equal([page.rows.length, page.more], [100, true]);
  });
});

test('neither makes the user online nor kicks its session', async () => {
  await withInbox(1, {}, async (server, a) => {
    await pull(server, '');
    assert.is(await a.confirm({ receiver: B, epoch: 9, seq: 2 }), 'stored');
    const b = await Stranger.connect(server.url, { token: server.token(B) });
    new StrangerUser().attach(b);
    await pull(server, '');
    assert.is(await a.confirm({ receiver: B, epoch: 9, seq: 3 }), 'delivered');
    assert.is(b.received.get('kick:N'), undefined);
  });
});

test('takes the token from the query, and asks for one with 401', async () => {
  await withInbox(1, {}, async (server) => {
    const url = `${server.httpUrl}/v1/inbox/counts`;
    assert.is((await fetch(`${url}?token=${server.token(B)}`)).status, 200);
    for (const [init, code] of [
      [{}, 'token-missing'],
      [{ headers: { authorization: 'Bearer x' } }, 'token-invalid'],
    ] as const) {
      const response = await fetch(url, init);
      assert.is(response.status, 401);
      assert.is(response.headers.get('www-authenticate'), 'Bearer');
      assert.is(((await response.json()) as Answer['body']).error?.code, code);
    }
    const done = await fetch(`${server.httpUrl}/v1/inbox/done`, { method: 'POST', body: '{}' });
    assert.is(done.status, 401);
  });
});

test('answers 503 when the store fails or has too much to do', async () => {
  let store!: FaultyStore;
  const options: TestServerOptions = {
    settings: { pendingMax: 3 },
    store: (limits) => (store = new FaultyStore(limits)),
  };
  await withInbox(1, options, async (server, a) => {
    const { page } = await pull(server, '');
    for (const path of ['/v1/inbox/counts', '/v1/inbox']) {
      store.failOthers = 1;
      const { status, body } = await call(server, path);
      assert.equal([status, body.error?.code], [503, 'store-failed'], path);
    }
    store.failOthers = 1;
    assert.is((await call(server, '/v1/inbox/done', page)).body.error?.code, 'store-failed');

    store.hold();
    a.send(msgR({ receiver: B, seq: 7 }));
    for (const request of [901, 902]) a.send(countR(request));
    // A fourth operation is refused, so its answer also says that the three are in the server.
    for (let code: string | undefined; code !== 'overloaded';) {
      code = (await a.counts()).status === 8 ? 'overloaded' : undefined;
    }
    const { status, body } = await call(server, '/v1/inbox/counts');
    assert.equal([status, body.error?.code], [503, 'overloaded']);
    store.release();
    assert.is((await call(server, '/v1/inbox/counts')).status, 200);
  });
});

test('answers /healthz, and /readyz with 503 while draining', async () => {
  let store!: FaultyStore;
  const options: TestServerOptions = { store: (limits) => (store = new FaultyStore(limits)) };
  await withInbox(0, options, async (server, a) => {
    // Draining closes the listening socket, so the question must come on an open connection.
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (path: string): Promise<unknown> => getJson(`${server.httpUrl}${path}`, agent);
    assert.equal(await ask('/healthz'), [200, { ok: true }]);
    assert.equal(await ask('/readyz'), [200, { ready: true }]);
    store.hold();
    a.send(msgR({ receiver: B, seq: 1 }));
    await store.whenHeld();
    const drained = server.drain();
    assert.equal(await ask('/healthz'), [200, { ok: true }]);
    const [status, body] = (await ask('/readyz')) as [number, Answer['body']];
    assert.equal([status, body.error?.code], [503, 'draining']);
    store.release();
    assert.is(await drained, true);
    agent.destroy();
  });
});

test('drain gives up at its timeout when the store never answers, and says so', async () => {
  let store!: FaultyStore;
  const options: TestServerOptions = {
    settings: { drainTimeoutS: 1 },
    store: (limits) => (store = new FaultyStore(limits)),
  };
  await withInbox(0, options, async (server, a) => {
    store.hold();
    a.send(msgR({ receiver: B, seq: 1 }));
    await store.whenHeld();
    assert.is(await server.drain(), false);
    assert.is((await a.closed).code, 1012);
    assert.is(a.received.get('ack:N'), undefined, 'nothing was confirmed');
  });
});

function getJson(url: string, agent: Agent): Promise<[number | undefined, unknown]> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.once('end', () => resolve([response.statusCode, JSON.parse(text)]));
    }).once('error', reject);
  });
}

/** The samples of /metrics by name and labels. */
async function metrics(
  server: TestServer,
): Promise<{ readonly values: Map<string, number>; readonly headers: IncomingHttpHeaders }> {
  const response = await fetch(`${server.httpUrl}/metrics`);
  assert.is(response.status, 200);
  const values = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    const sample = /^(\w+(?:\{.*\})?) (\S+)$/.exec(line);
    if (sample !== null) values.set(sample[1]!, Number(sample[2]));
  }
  return { values, headers: Object.fromEntries(response.headers) };
}

test('shows on /metrics what happened, and counts on', async () => {
  await withInbox(2, { store: 'lmdb' }, async (server, a) => {
    const { values: before, headers } = await metrics(server);
    assert.match(headers['content-type']!, 'text/plain; version=0.0.4');
    const at = (values: Map<string, number>, name: string): number | undefined => values.get(name);
    assert.is(at(before, 'ackbench_packets_received_total{packet="msg:R"}'), 2);
    assert.is(at(before, 'ackbench_packets_sent_total{packet="ack:N"}'), 2);
    assert.is(at(before, 'ackbench_packets_sent_total{packet="kick:N"}'), 0);
    assert.is(at(before, 'ackbench_packets_dropped_total{packet="msg:N"}'), 0);
    assert.is(at(before, 'ackbench_connections'), 1);
    assert.is(at(before, 'ackbench_online_users'), 1);
    assert.is(at(before, 'ackbench_pending_operations'), 0);
    assert.is(at(before, 'ackbench_store_indexed_rows'), 2);
    assert.ok(at(before, 'ackbench_store_commits_total')! >= 1);
    assert.ok(at(before, 'ackbench_process_resident_memory_bytes')! > 1e6);

    await a.submit({ receiver: B, epoch: 9, seq: 2, flags: 1 });
    await pull(server, '');
    const b = await Stranger.connect(server.url, { token: server.token(B) });
    await b.close(4999);
    await Stranger.connect(server.url).catch(() => {});
    const { values: after } = await metrics(server);
    const moved = (name: string): number => at(after, name)! - (at(before, name) ?? 0);
    assert.is(moved('ackbench_packets_received_total{packet="msg:R"}'), 1);
    assert.is(moved('ackbench_retransmissions_received_total'), 1);
    assert.is(moved('ackbench_connections_opened_total'), 1);
    assert.is(moved('ackbench_connections_closed_total{code="4999"}'), 1);
    assert.is(moved('ackbench_upgrades_refused_total{code="token-missing"}'), 1);
    assert.is(moved('ackbench_http_requests_total'), 1);
    assert.is(moved('ackbench_connections'), 0);
  });
});

test.run();
