import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Client,
  createClientEffects,
  DEFAULT_REQUEST_TIMEOUT_MS,
  encodePageToken,
  Kind,
  NO_CONTENT,
  Order,
  type Packet,
  Puller,
  type PullerOptions,
  PullStrategy,
  type Row,
  Status,
} from '../../protocol/index.ts';
import { drainClient, packet } from '../support/describe.ts';
import { World } from '../support/world.ts';

const OPTIONS: PullerOptions = {
  strategy: PullStrategy.PagedNext,
  order: Order.OldestFirst,
  pageMessages: 5,
  pageBytes: 50,
  wholeMessages: 100,
  wholeBytes: 1000,
  friends: [1, 3],
  requestTimeoutMs: 500,
};

const ROW: Row = { sender: 1, epoch: 7, seq: 1, timeMs: 0, msgType: 1, content: NO_CONTENT };

/** A puller of user 9 whose inputs answer with lines. */
function pullerOf(options: Partial<PullerOptions> = {}) {
  const puller = new Puller({ ...OPTIONS, ...options });
  const out = createClientEffects();
  const answer = (kind: Kind, request: number, fields: Partial<Packet>, nowMs = 0): string[] => {
    puller.onAnswer(packet(kind, { request, ...fields }), nowMs, out);
    return drainClient(out);
  };
  return {
    puller,
    answer,
    start(nowMs = 0): string[] {
      puller.start(nowMs, out);
      return drainClient(out);
    },
    /** A page with one row, whose token is 9/sender/position/position. */
    page(request: number, position: number, { sender = 0, more = false } = {}): string[] {
      const page = encodePageToken({ receiver: 9, sender, first: position, last: position });
      return answer(Kind.PullA, request, { rows: [ROW], more, page });
    },
    emptyPage: (request: number): string[] => answer(Kind.PullA, request, {}),
    done: (request: number): string[] => answer(Kind.DoneA, request, {}),
    refuse: (kind: Kind, request: number, status: Status) => answer(kind, request, { status }),
    deadline(nowMs: number): string[] {
      puller.onDeadline(nowMs, out);
      return drainClient(out);
    },
  };
}

test('keeps its own copy of a page token that lies in a reused read buffer', () => {
  // A Buffer's slice() is a view: the next read would change the token under the puller's hands.
  const { start, answer, deadline } = pullerOf();
  const read = Buffer.from(encodePageToken({ receiver: 9, sender: 0, first: 3, last: 4 }));
  start();
  answer(Kind.PullA, 1, { rows: [ROW], more: true, page: read });
  read.fill(0xff);
  assert.equal(deadline(500), ['send pull:R #2 from 0 oldest 5/50 page 9/0/3/4']);
});

test('acknowledges each page with the next pull and the last one by done:R', () => {
  const { start, page, done, puller } = pullerOf();
  assert.equal(start(), ['send pull:R #1 from 0 oldest 5/50 page -']);
  assert.ok(puller.busy);
  assert.equal(page(1, 1, { more: true }), ['send pull:R #2 from 0 oldest 5/50 page 9/0/1/1']);
  assert.equal(page(2, 2), ['send done:R #3 page 9/0/2/2']);
  assert.equal(done(3), ['drained']);
  assert.not(puller.busy);
  assert.is(puller.nextDeadlineMs(), Infinity);
});

test('acknowledges each page alone with paged-ack', () => {
  const { start, page, done } = pullerOf({ strategy: PullStrategy.PagedAck });
  assert.equal(start(), ['send pull:R #1 from 0 oldest 5/50 page -']);
  assert.equal(page(1, 1, { more: true }), ['send done:R #2 page 9/0/1/1']);
  assert.equal(done(2), ['send pull:R #3 from 0 oldest 5/50 page -']);
  assert.equal(page(3, 2), ['send done:R #4 page 9/0/2/2']);
  assert.equal(done(4), ['drained']);
});

test('asks for the whole inbox at once with one-shot, and on when it is larger than a page', () => {
  const { start, page, done } = pullerOf({ strategy: PullStrategy.OneShot });
  assert.equal(start(), ['send pull:R #1 from 0 oldest 100/1000 page -']);
  assert.equal(page(1, 1, { more: true }), ['send pull:R #2 from 0 oldest 100/1000 page 9/0/1/1']);
  assert.equal(page(2, 2), ['send done:R #3 page 9/0/2/2']);
  assert.equal(done(3), ['drained']);
});

test('asks friend by friend with naive and acknowledges the last one the next time', () => {
  const { start, page, emptyPage } = pullerOf({ strategy: PullStrategy.Naive });
  assert.equal(start(), ['send pull:R #1 from 1 oldest 100/1000 page -']);
  assert.equal(page(1, 1, { sender: 1 }), ['send pull:R #2 from 3 oldest 100/1000 page 9/1/1/1']);
  assert.equal(page(2, 2, { sender: 3, more: true }), [
    'send pull:R #3 from 3 oldest 100/1000 page 9/3/2/2',
  ]);
  assert.equal(page(3, 3, { sender: 3 }), ['drained']);
  assert.equal(start(), ['send pull:R #4 from 1 oldest 100/1000 page 9/3/3/3']);
  assert.equal(emptyPage(4), ['send pull:R #5 from 3 oldest 100/1000 page -']);
  assert.equal(emptyPage(5), ['drained']);
});

test('asks nobody with naive when there is no friend', () => {
  const { start, puller } = pullerOf({ strategy: PullStrategy.Naive, friends: [] });
  assert.equal(start(), ['drained']);
  assert.is(puller.interactions, 0);
});

test('asks for the counts first and then only for conversations that have some', () => {
  const { start, answer, page, done } = pullerOf({ strategy: PullStrategy.Counts });
  assert.equal(start(), ['send count:R #1']);
  const counts = [
    { sender: 3, count: 1 },
    { sender: 4, count: 2 },
  ];
  assert.equal(answer(Kind.CountA, 1, { counts }), [
    'send pull:R #2 from 3 oldest 100/1000 page -',
  ]);
  assert.equal(page(2, 1, { sender: 3 }), ['send pull:R #3 from 4 oldest 100/1000 page 9/3/1/1']);
  assert.equal(page(3, 2, { sender: 4 }), ['send done:R #4 page 9/4/2/2']);
  assert.equal(done(4), ['drained']);
});

test('is done after the counts when there are none', () => {
  const { start, answer, puller } = pullerOf({ strategy: PullStrategy.Counts });
  start();
  assert.equal(answer(Kind.CountA, 1, {}), ['drained']);
  assert.is(puller.interactions, 1);
});

test('asks for the newest first when told so', () => {
  const { start } = pullerOf({ order: Order.NewestFirst });
  assert.equal(start(), ['send pull:R #1 from 0 newest 5/50 page -']);
});

test('sends a request without an answer again, unchanged and counted once', () => {
  const { start, page, deadline, puller } = pullerOf();
  start(100);
  assert.is(puller.nextDeadlineMs(), 600);
  assert.equal(deadline(599), []);
  assert.equal(deadline(600), ['send pull:R #1 from 0 oldest 5/50 page -']);
  assert.is(puller.nextDeadlineMs(), 1100);
  page(1, 1);
  assert.equal(deadline(5000), ['send done:R #2 page 9/0/1/1']);
  assert.is(puller.interactions, 2);
  assert.is(DEFAULT_REQUEST_TIMEOUT_MS, 5000);
});

test('sends count:R again as well', () => {
  const { start, deadline } = pullerOf({ strategy: PullStrategy.Counts });
  start();
  assert.equal(deadline(500), ['send count:R #1']);
});

test('expects the answer to its request in flight and no other', () => {
  const { start, page, done, puller } = pullerOf();
  const expects = (kind: Kind, request: number) => puller.expects(packet(kind, { request }));
  assert.not(expects(Kind.PullA, 0), 'before the first request');
  start();
  assert.ok(expects(Kind.PullA, 1));
  assert.not(expects(Kind.PullA, 2), 'of a request that was not made');
  assert.not(expects(Kind.DoneA, 1), 'of another kind');
  assert.not(expects(Kind.CountA, 1), 'of another kind');
  assert.not(expects(Kind.MsgA, 1), 'no answer to a pull at all');
  page(1, 1);
  assert.not(expects(Kind.PullA, 1), 'stale: it was answered before');
  assert.ok(expects(Kind.DoneA, 2));
  done(2);
  assert.not(expects(Kind.DoneA, 2), 'stale: the pull is over');
});

test('stops at an answer that it does not expect', () => {
  const { page } = pullerOf();
  assert.throws(() => page(1, 1), /the answer is expected/);
});

test('keeps a copy of the token: the packet that brought it is reused', () => {
  const { puller, start } = pullerOf();
  start();
  const page = encodePageToken({ receiver: 9, sender: 0, first: 1, last: 1 });
  const out = createClientEffects();
  puller.onAnswer(packet(Kind.PullA, { request: 1, rows: [ROW], page }), 0, out);
  page.fill(0xee);
  assert.equal(drainClient(out), ['send done:R #2 page 9/0/1/1']);
});

test('carries a token that could not be sent over a reconnect into the next pull', () => {
  const { start, page, puller, deadline } = pullerOf();
  start();
  page(1, 1);
  puller.onDisconnect();
  assert.not(puller.busy);
  assert.is(puller.nextDeadlineMs(), Infinity);
  assert.equal(deadline(10_000), []);
  assert.equal(start(), ['send pull:R #3 from 0 oldest 5/50 page 9/0/1/1']);
});

test('carries it past the counts too, and acknowledges it even when nothing else is left', () => {
  const { start, answer, page, puller } = pullerOf({ strategy: PullStrategy.Counts });
  start();
  answer(Kind.CountA, 1, { counts: [{ sender: 3, count: 1 }] });
  page(2, 1, { sender: 3 });
  puller.onDisconnect();
  assert.equal(start(), ['send count:R #4']);
  assert.equal(answer(Kind.CountA, 4, {}), ['send done:R #5 page 9/3/1/1']);
});

test('forgets the token in a crash, so that the page comes again', () => {
  const { start, page, puller } = pullerOf();
  start();
  page(1, 1);
  puller.onCrash();
  assert.equal(start(), ['send pull:R #3 from 0 oldest 5/50 page -']);
});

test('drops the token once a pull that carried it was answered', () => {
  const { start, page, emptyPage, puller } = pullerOf();
  start();
  page(1, 1, { more: true });
  assert.equal(emptyPage(2), ['drained']);
  puller.onDisconnect();
  assert.equal(start(), ['send pull:R #3 from 0 oldest 5/50 page -']);
});

test('runs again, once, when it is started while it runs', () => {
  const { start, emptyPage } = pullerOf();
  start();
  assert.equal(start(), []);
  assert.equal(start(), []);
  assert.equal(emptyPage(1), ['drained', 'send pull:R #2 from 0 oldest 5/50 page -']);
  assert.equal(emptyPage(2), ['drained']);
});

test('does not run again by itself after a disconnect: login starts it anyway', () => {
  const { start, emptyPage, puller } = pullerOf();
  start();
  start();
  puller.onDisconnect();
  assert.equal(start(), ['send pull:R #2 from 0 oldest 5/50 page -']);
  assert.equal(emptyPage(2), ['drained']);
});

test('drops a token that the server refuses and pulls on without it', () => {
  const { start, page, refuse } = pullerOf();
  start();
  page(1, 1);
  assert.equal(refuse(Kind.DoneA, 2, Status.BadPage), ['send pull:R #3 from 0 oldest 5/50 page -']);
});

test('ends with the status when the server refuses its limits or its filter', () => {
  for (const [status, name] of [
    [Status.BadLimit, 'bad-limit'],
    [Status.BadUid, 'bad-uid'],
  ] as const) {
    const { start, refuse, puller } = pullerOf();
    start();
    assert.equal(refuse(Kind.PullA, 1, status), [`drained ${name}`]);
    assert.not(puller.busy);
  }
});

test('waits and asks again through passing troubles of the server', () => {
  for (const status of [Status.StoreFailed, Status.Overloaded, Status.Draining]) {
    const { start, page, refuse, deadline, done } = pullerOf();
    start();
    assert.equal(refuse(Kind.PullA, 1, status), []);
    assert.equal(deadline(500), ['send pull:R #1 from 0 oldest 5/50 page -']);
    page(1, 1);
    assert.equal(refuse(Kind.DoneA, 2, status), []);
    assert.equal(deadline(1000), ['send done:R #2 page 9/0/1/1']);
    assert.equal(done(2), ['drained']);
  }
});

test('numbers its requests from 1 again after 2^32 - 1', () => {
  const { start, emptyPage, puller } = pullerOf();
  Object.assign(puller, { request: 0xfffffffe });
  assert.equal(start(), ['send pull:R #4294967295 from 0 oldest 5/50 page -']);
  emptyPage(0xffffffff);
  assert.equal(start(), ['send pull:R #1 from 0 oldest 5/50 page -']);
});

test('refuses a strategy that it does not know', () => {
  const { start } = pullerOf({ strategy: 'guess' as PullStrategy });
  assert.throws(() => start(), /unhandled pull strategy: guess/);
});

// The cost table (S20), with every packet on its way: what one login costs.

interface LoginCost {
  interactions: number;
  delivered: number;
  /** Rows that the server still holds afterwards. */
  left: number;
}

/** Users 1 … friends send `perFriend` messages each to a user who then logs in. */
function loginCost(
  strategy: PullStrategy,
  { friends, perFriend, pageMessages }: Record<'friends' | 'perFriend' | 'pageMessages', number>,
  order: Order = Order.OldestFirst,
): LoginCost[] {
  const reader = friends + 1;
  const others = Array.from({ length: friends }, (_, i) => i + 1);
  const world = new World({
    clients: reader,
    strategy,
    pageMessages,
    order,
    makeClient: (options) =>
      new Client({ ...options, puller: { ...options.puller, friends: others } }),
  });
  for (const uid of others) {
    world.logIn(uid);
    for (let i = 0; i < perFriend; i++) world.send(uid, reader);
  }
  world.run(1000);
  const costs: LoginCost[] = [];
  const { log, machine } = world.user(reader);
  for (let login = 0; login < 2; login++) {
    const before = machine.puller.interactions;
    world.logIn(reader);
    world.run(1000);
    const interactions = machine.puller.interactions - before;
    costs.push({ interactions, delivered: log.size, left: world.store.committed.length });
    world.logOut(reader);
    world.run(1000);
  }
  return costs;
}

const INBOX = { friends: 3, perFriend: 4, pageMessages: 5 };

test('takes F interactions with naive, the last page being acknowledged at the next login', () => {
  assert.equal(loginCost(PullStrategy.Naive, INBOX), [
    { interactions: 3, delivered: 12, left: 4 },
    { interactions: 3, delivered: 12, left: 0 },
  ]);
});

test('takes F + 2 interactions with counts and 1 when there is nothing', () => {
  assert.equal(loginCost(PullStrategy.Counts, INBOX), [
    { interactions: 5, delivered: 12, left: 0 },
    { interactions: 1, delivered: 12, left: 0 },
  ]);
});

test('takes 2 interactions with one-shot, however many friends', () => {
  for (const friends of [1, 3, 8]) {
    assert.equal(loginCost(PullStrategy.OneShot, { ...INBOX, friends }), [
      { interactions: 2, delivered: friends * 4, left: 0 },
      { interactions: 1, delivered: friends * 4, left: 0 },
    ]);
  }
});

test('pages with an acknowledgement per page take 2N interactions', () => {
  for (const pages of [1, 2, 3, 7]) {
    const inbox = { friends: 1, perFriend: 5 * pages - 2, pageMessages: 5 };
    assert.equal(loginCost(PullStrategy.PagedAck, inbox), [
      { interactions: 2 * pages, delivered: inbox.perFriend, left: 0 },
      { interactions: 1, delivered: inbox.perFriend, left: 0 },
    ]);
  }
});

test('pages with the next pull as acknowledgement take N + 1 interactions', () => {
  for (const order of [Order.OldestFirst, Order.NewestFirst]) {
    for (const pages of [1, 2, 3, 7]) {
      const inbox = { friends: 1, perFriend: 5 * pages, pageMessages: 5 };
      assert.equal(loginCost(PullStrategy.PagedNext, inbox, order), [
        { interactions: pages + 1, delivered: inbox.perFriend, left: 0 },
        { interactions: 1, delivered: inbox.perFriend, left: 0 },
      ]);
    }
  }
});

test.run();
