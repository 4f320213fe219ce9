/** The live page's server: only for this machine, only for its own page, and never held up by who watches. */
import { get, type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LiveRunServer } from '../../../bench/live/live-run.ts';
import { PageServer } from '../../../bench/live/page-server.ts';
import type { LiveEvent } from '../../../bench/report/model.ts';
import { fullResult, seriesOf } from '../../support/report-files.ts';

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

function ask(port: number, options: Record<string, unknown> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/', ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    asked.on('error', reject).end();
  });
}

/** Listens; the events so far, and how many there must be to go on. */
async function listen(port: number, headers: Record<string, string> = {}) {
  const events: LiveEvent[] = [];
  let wake = (): void => {};
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/events', headers, agent: false }, resolve).on(
      'error',
      reject,
    );
  });
  let rest = '';
  let isOver = false;
  response.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      if (part.startsWith('data: ')) events.push(JSON.parse(part.slice(6)) as LiveEvent);
    }
    wake();
  });
  response.on('close', () => {
    isOver = true;
    wake();
  });
  const until = async (isEnough: () => boolean): Promise<void> => {
    while (!isEnough()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return {
    events,
    status: response.statusCode,
    count: (wanted: number) => until(() => events.length >= wanted),
    over: () => until(() => isOver),
    leave: () => response.destroy(),
  };
}

async function withServer(use: (server: PageServer) => Promise<void>): Promise<void> {
  const server = await PageServer.listen({
    port: 0,
    mayMove: false,
    page: () => '<p>the page</p>',
    greeting: () => ({ type: 'state' }),
  });
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

test('connections that say nothing are ended within seconds, and others get in again', () =>
  withServer(async ({ port }) => {
    const idle = Array.from({ length: 60 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    const deadlineMs = performance.now() + 20_000;
    let status = 0;
    while (status !== 200 && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      status = (await ask(port).catch(() => ({ status: 0 }))).status;
    }
    for (const socket of idle) socket.destroy();
    assert.is(status, 200);
  }));

test('answers with the page and a policy that lets it ask only here', () =>
  withServer(async ({ port }) => {
    const { status, headers, body } = await ask(port);
    assert.is(status, 200);
    assert.is(body, '<p>the page</p>');
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /connect-src 'self'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.is(headers['x-content-type-options'], 'nosniff');
    assert.is(headers['access-control-allow-origin'], undefined);
    assert.is((await ask(port, { headers: { host: `localhost:${port}` } })).status, 200);
  }));

test('refuses other names for this machine, other methods and other paths', () =>
  withServer(async ({ port }) => {
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1',
      `127.0.0.1:${port}.evil.example`,
    ]) {
      const { status, body } = await ask(port, { headers: { host } });
      assert.is(status, 403, host);
      assert.not.match(body, /the page</);
    }
    assert.is((await ask(port, { method: 'POST' })).status, 405);
    assert.is((await ask(port, { path: '/../etc/passwd' })).status, 404);
    const other = await ask(port, { path: '/events', headers: { 'sec-fetch-site': 'cross-site' } });
    assert.is(other.status, 403, 'events are for the page alone');
  }));

test('greets who listens, tells everybody, and says goodbye at the end', () =>
  withServer(async (server) => {
    const [one, two] = [await listen(server.port), await listen(server.port)];
    server.send({ type: 'run' });
    await Promise.all([one.count(2), two.count(2)]);
    assert.equal(one.events, [{ type: 'state' }, { type: 'run' }]);
    assert.equal(two.events, one.events);
    const closed = server.close();
    await Promise.all([one.over(), two.over(), closed]);
  }));

test('lets no more than eight listen, and the next one in when one leaves', () =>
  withServer(async (server) => {
    const all = [];
    for (let i = 0; i < 8; i++) all.push(await listen(server.port));
    assert.is((await ask(server.port, { path: '/events' })).status, 503);
    all[0]?.leave();
    let status: number | undefined = 503;
    while (status === 503) ({ status } = await listen(server.port));
    assert.is(status, 200);
  }));

test('takes another port where the usual one is taken, but not where one was asked for', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  const options = { port, page: () => '', greeting: () => ({}) };
  const moved = await PageServer.listen({ ...options, mayMove: true });
  assert.is.not(moved.port, port);
  await moved.close();
  let code: string | undefined;
  await PageServer.listen({ ...options, mayMove: false }).catch((error: NodeJS.ErrnoException) => {
    ({ code } = error);
  });
  assert.is(code, 'EADDRINUSE');
  taken.close();
});

test('a run is told from its start to its result, also to who comes late', async () => {
  const result = fullResult();
  const live = await LiveRunServer.start({ port: 0, planned: ['steady', 'cost'] });
  const port = Number(new URL(live.url).port);
  const early = await listen(port);
  await early.count(1);
  live.progress.start('steady', 12, result.scenarios[0]?.config as object);
  const [first, second] = seriesOf(2);
  live.progress.update(1, '1,000 confirmed/s', first);
  live.progress.update(2, '1,000 confirmed/s', second);
  live.progress.update(2, '1,001 confirmed/s', { ...(second as object), online: 7 } as never);
  const late = await listen(port);
  await late.count(1);
  const greeting = late.events[0] as LiveEvent & { type: 'state' };
  assert.is(greeting.type, 'state');
  assert.is(greeting.state.running?.series.length, 2, 'the same second again replaces it');
  assert.is(greeting.state.running?.series[1]?.online, 7);
  assert.equal(
    greeting.state.running?.marks.map(({ label }) => label),
    ['kill', 'disconnect'],
  );
  live.finished({ ...result, scenarios: result.scenarios.slice(0, 1) });
  await live.end(result, 'x.json');
  await early.over();
  assert.equal(
    early.events.map(({ type }) => type),
    ['state', 'run', 'second', 'second', 'second', 'state', 'end'],
  );
  const end = early.events.at(-1) as LiveEvent & { type: 'end' };
  assert.is(end.state.page.results[0]?.scenarios.length, 3);
  assert.is(end.state.page.results[0]?.file, 'x.json');
});

test('a result that cannot be shown spoils no run', async () => {
  const live = await LiveRunServer.start({ port: 0, planned: [] });
  const { stderr } = process;
  const write = stderr.write.bind(stderr);
  let said = '';
  stderr.write = ((text: string) => (said += text) !== '') as typeof stderr.write;
  try {
    live.finished({ ...fullResult(), verdict: 'splendid' as never });
  } finally {
    stderr.write = write;
  }
  assert.match(said, /^live: cannot show the result: /);
  await live.end(fullResult(), 'x.json');
});

test.run();
