/** Pages of the HTTP inbox: a page that is short, doubled, damaged or another user's is told of. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { auditPages, type HttpPage, meanPage, pageMistake } from '../../bench/http-page-audit.ts';
import { Payload } from '../../loadgen/index.ts';

const SENDER = 7;
const UID = 20;

function rowOf(seq: number, facts: { receiver?: number; sender?: number; named?: number } = {}) {
  const { receiver = UID, sender = SENDER, named = seq } = facts;
  const payload = new Payload(64);
  payload.write({ seq: named, intendedAtUs: 1, sentAtUs: 2, sender, receiver });
  const content = Buffer.from(payload.bytes).toString('base64');
  return { sender: SENDER, epoch: 1, seq, content };
}

/** Rows 1 … count. */
function page(count: number, more: boolean): HttpPage {
  return { rows: Array.from({ length: count }, (_, i) => rowOf(i + 1)), more };
}

const mistakeOf = (it: HttpPage): string | null =>
  pageMistake(it, { uid: UID, stored: 5, limit: 3 });

test('finds nothing wrong with a full page, the last page, or one that the server cut', () => {
  assert.is(mistakeOf(page(3, true)), null);
  assert.is(pageMistake(page(3, false), { uid: UID, stored: 3, limit: 10 }), null);
  assert.is(mistakeOf(page(2, true)), null);
});

test('an empty, short or overfull page is told of', () => {
  assert.is(mistakeOf(page(0, false)), '0 rows instead of 3');
  assert.is(mistakeOf(page(0, true)), '0 rows instead of 3');
  assert.is(mistakeOf(page(2, false)), '2 rows instead of 3');
  assert.is(mistakeOf(page(4, true)), '4 rows instead of 3');
  assert.is(mistakeOf(page(3, false)), 'more is false after 3 rows');
});

test('a row that is doubled, damaged, misrouted or misnamed is told of', () => {
  const first = [rowOf(1), rowOf(2)];
  const broken: [string, HttpPage['rows'][number]][] = [
    ['7 epoch 1 seq 2 is there twice', rowOf(2)],
    ['7 epoch 1 seq 3 is corrupt', { ...rowOf(3), content: rowOf(3).content.slice(0, -8) }],
    ['7 epoch 1 seq 3 is meant for 21', rowOf(3, { receiver: 21 })],
    ['7 epoch 1 seq 3 carries another message', rowOf(3, { sender: 8 })],
    ['7 epoch 1 seq 3 carries another message', rowOf(3, { named: 4 })],
  ];
  for (const [mistake, row] of broken) {
    assert.is(mistakeOf({ rows: [...first, row], more: true }), mistake);
  }
});

test('every page of a sample is pulled with its own token; refusals are told of', async () => {
  const server = createServer((request, response) => {
    const uid = Number(request.headers.authorization?.replace('Bearer ', ''));
    assert.is(request.url, '/v1/inbox?limit=3');
    if (uid === 22) response.statusCode = 503;
    if (uid === 23) response.end('no JSON');
    else response.end(JSON.stringify(page(3, true)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const audit = await auditPages({
      origin: `http://127.0.0.1:${port}`,
      isInsecure: false,
      uids: [20, 21, 22, 23],
      tokenOf: String,
      stored: 5,
      limit: 3,
    });
    assert.is(audit.pages, 4);
    assert.is(audit.rows, 6);
    assert.is(meanPage(audit).rows, 1.5);
    assert.equal(audit.mistakes.slice(0, 2), [
      'HTTP page of 21: 7 epoch 1 seq 1 is meant for 20',
      'HTTP page of 22: answered 503',
    ]);
    assert.match(audit.mistakes[2]!, /^HTTP page of 23: /);
  } finally {
    server.close();
  }
});

test('a sample of no page has no rows and no bytes', () => {
  assert.equal(meanPage({ pages: 0, rows: 0, bytes: 0, mistakes: [] }), { rows: 0, bytes: 0 });
});

test.run();
