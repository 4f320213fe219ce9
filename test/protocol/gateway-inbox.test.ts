/** The gateway's side of the inbox: pages, their acknowledgement, counts, and the store's bound. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isPage, Kind, Order, type Packet, Status, UID_MAX } from '../../protocol/index.ts';
import { EMPTY_PAGE, gatewayOf, rowOf, tokenOf } from '../support/gateway-driver.ts';
import { World } from '../support/world.ts';

test('answers pull:R with a page and a token that names exactly it', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  assert.equal(driver.pullR(b), ['page 2 from 0 oldest 10/100']);
  assert.equal(driver.paged({ rows: [rowOf(1, 1), rowOf(3, 1)], first: 4, last: 6, more: true }), [
    'to B: pull:A #5 ok more page 2/0/4/6 rows 1 7:1, 3 7:1',
  ]);
  assert.is(driver.gateway.pending, 0);
});

test('keeps the filter of a page in its token', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  assert.equal(driver.pullR(b, { uid: 3, order: Order.NewestFirst }), [
    'page 2 from 3 newest 10/100',
  ]);
  assert.equal(driver.paged({ rows: [rowOf(3, 1)], first: 6, last: 6, more: false }), [
    'to B: pull:A #5 ok page 2/3/6/6 rows 3 7:1',
  ]);
});

test('answers an empty inbox, and a store that cannot read, without a token', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  driver.pullR(b);
  assert.equal(driver.paged(EMPTY_PAGE), ['to B: pull:A #5 ok page - rows']);
  driver.pullR(b);
  assert.equal(driver.paged({ ...EMPTY_PAGE, more: true }, Status.StoreFailed), [
    'to B: pull:A #5 store-failed page - rows',
  ]);
  driver.pullR(b);
  const filled = { rows: [rowOf(1, 1)], first: 1, last: 1, more: true };
  assert.equal(driver.paged(filled, Status.StoreFailed), [
    'to B: pull:A #5 store-failed page - rows',
  ]);
});

test('deletes the page before when the next pull acknowledges it, and only then', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  driver.pullR(b);
  driver.paged({ rows: [rowOf(1, 1)], first: 4, last: 4, more: true });
  assert.equal(driver.pullR(b, { page: tokenOf(2, 0, 4, 4) }), [
    'delete 2/0/4/4',
    'page 2 from 0 oldest 10/100',
  ]);
  assert.is(driver.gateway.pending, 2);
  assert.equal(driver.deleted(), []);
  assert.equal(driver.paged(EMPTY_PAGE), ['to B: pull:A #5 ok page - rows']);
  assert.is(driver.gateway.pending, 0);
});

test('sends inbox:N when the deletion that rode on a pull fails: the page is there again', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  driver.pullR(b, { page: tokenOf(2, 0, 4, 4) });
  driver.paged(EMPTY_PAGE);
  assert.equal(driver.deleted(Status.StoreFailed), ['to B: inbox:N']);
});

test("never deletes from another user's inbox", () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  const page = tokenOf(3, 0, 1, 9);
  assert.equal(driver.pullR(b, { page }), ['to B: pull:A #5 bad-page page - rows']);
  assert.equal(driver.receive(b, Kind.DoneR, { request: 6, page }), ['to B: done:A #6 bad-page']);
  assert.is(driver.gateway.pending, 0);
});

test('refuses pulls with a filter or limits out of bounds', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  const refused = (name: string) => [`to B: pull:A #5 ${name} page - rows`];
  assert.equal(driver.pullR(b, { uid: UID_MAX + 1 }), refused('bad-uid'));
  assert.equal(driver.pullR(b, { limit: 0 }), refused('bad-limit'));
  assert.equal(driver.pullR(b, { limit: 21 }), refused('bad-limit'));
  assert.equal(driver.pullR(b, { limitBytes: 0 }), refused('bad-limit'));
  assert.equal(driver.pullR(b, { limitBytes: 201 }), refused('bad-limit'));
  assert.equal(driver.pullR(b, { limit: 20, limitBytes: 200 }), ['page 2 from 0 oldest 20/200']);
});

test('answers done:R when the deletion is done, with its status', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  const page = tokenOf(2, 0, 1, 9);
  for (const [status, name] of [
    [Status.Ok, 'ok'],
    [Status.StoreFailed, 'store-failed'],
  ] as const) {
    assert.equal(driver.receive(b, Kind.DoneR, { request: 6, page }), ['delete 2/0/1/9']);
    assert.equal(driver.deleted(status), [`to B: done:A #6 ${name}`]);
  }
});

test('refuses a done:R that names no page', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  assert.equal(driver.receive(b, Kind.DoneR, { request: 6 }), ['to B: done:A #6 bad-page']);
});

test('answers count:R with the counts, or with the status of a store that cannot read', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  assert.equal(driver.receive(b, Kind.CountR, { request: 6 }), ['counts 2']);
  const counts = [
    { sender: 1, count: 4 },
    { sender: 3, count: 1 },
  ];
  assert.equal(driver.counted(counts), ['to B: count:A #6 ok 1:4 3:1']);
  driver.receive(b, Kind.CountR, { request: 7 });
  assert.equal(driver.counted(counts, Status.StoreFailed), ['to B: count:A #7 store-failed']);
  assert.is(driver.gateway.pending, 0);
});

test('finishes store operations of a closed session and drops their answers', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  const page = tokenOf(2, 0, 1, 9);
  driver.msgR(b, { uid: 1 });
  driver.pullR(b, { page });
  driver.receive(b, Kind.DoneR, { page });
  driver.receive(b, Kind.CountR);
  assert.is(driver.gateway.pending, 5);
  driver.gateway.onClose(b);
  assert.equal(driver.committed(), []);
  assert.equal(driver.paged({ rows: [rowOf(1, 1)], first: 1, last: 1, more: false }), []);
  assert.equal(driver.counted([]), []);
  assert.equal(driver.deleted(Status.StoreFailed), []);
  assert.equal(driver.deleted(), []);
  assert.is(driver.gateway.pending, 0);
});

test('answers overloaded beyond pendingMax, and starts nothing', () => {
  const driver = gatewayOf({ pendingMax: 3 });
  const a = driver.open(1, 'A');
  const page = tokenOf(1, 0, 1, 9);
  driver.msgR(a);
  assert.equal(driver.pullR(a), ['page 1 from 0 oldest 10/100']);
  assert.equal(driver.pullR(a, { page }), ['to A: pull:A #5 overloaded page - rows'], 'takes two');
  assert.equal(driver.pullR(a), ['page 1 from 0 oldest 10/100']);
  assert.is(driver.gateway.pending, 3);
  assert.equal(driver.pullR(a), ['to A: pull:A #5 overloaded page - rows']);
  assert.equal(driver.receive(a, Kind.DoneR, { request: 6, page }), ['to A: done:A #6 overloaded']);
  assert.equal(driver.receive(a, Kind.CountR, { request: 7 }), ['to A: count:A #7 overloaded']);
  assert.is(driver.gateway.pending, 3);
  driver.committed();
  driver.paged(EMPTY_PAGE);
  driver.paged(EMPTY_PAGE);
  assert.is(driver.gateway.pending, 0);
  assert.equal(driver.pullR(a, { page }).length, 2);
});

test('keeps room for a pull that acknowledges, so that repeats to a full inbox cannot starve it', () => {
  // Found by the simulator in 100,000 seeds.
  const driver = gatewayOf({ pendingMax: 3 });
  const a = driver.open(1, 'A');
  driver.msgR(a);
  assert.equal(driver.msgR(a, { seq: 2 }), ['to A: msg:A 2 7:2 overloaded']);
  assert.is(driver.pullR(a, { page: tokenOf(1, 0, 1, 9) }).length, 2);
});

test('relays to somebody online whatever the store has to do', () => {
  const driver = gatewayOf({ pendingMax: 0 });
  const a = driver.open(1, 'A');
  driver.open(2, 'B');
  assert.is(driver.msgR(a).length, 2);
  assert.equal(driver.msgR(a, { uid: 3 }), ['to A: msg:A 3 7:1 overloaded']);
});

test('leaves nothing of an earlier packet in a reused slot', () => {
  const driver = gatewayOf();
  const b = driver.open(2, 'B');
  driver.pullR(b);
  driver.paged({ rows: [rowOf(1, 1)], first: 1, last: 1, more: true });
  driver.receive(b, Kind.CountR, { request: 1 });
  driver.counted([{ sender: 1, count: 1 }]);
  assert.equal(driver.pullR(b, { limit: 0 }), ['to B: pull:A #5 bad-limit page - rows']);
  driver.receive(b, Kind.CountR, { request: 2 });
  assert.equal(driver.counted([], Status.Ok), ['to B: count:A #2 ok']);
});

test('a token survives a server that dies', () => {
  const world = new World({ pageMessages: 2 });
  world.logIn(1);
  for (let i = 0; i < 4; i++) world.send(1, 2);
  world.run(1000);
  const carriesToken = ({ kind, page }: Packet) => kind === Kind.PullR && isPage(page);
  world.admits = (p) => !carriesToken(p);
  world.logIn(2);
  world.run(300);
  assert.is(world.store.committed.length, 4);
  world.crashServer(100);
  world.admits = () => true;
  world.run(2000);
  assert.is(world.store.committed.length, 0);
  assert.is(world.user(2).absorbed, 0);
  assert.is(world.user(2).log.size, 4);
});

test.run();
