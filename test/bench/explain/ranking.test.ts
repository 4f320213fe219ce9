/** Which messages are worth a look, how a user may name one, and who the users are. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseMessageName } from '../../../bench/explain/message-name.ts';
import { rank, renderRanking } from '../../../bench/explain/ranking.ts';
import { numberOf, uidOf } from '../../../bench/explain/users.ts';
import { lost, MessageScript, retransmitted } from '../../support/message-trace.ts';

test('a list names what was sent again, what is slow and what was lost', () => {
  const calm = rank(retransmitted().file(), 5);
  assert.equal([calm.messages, calm.repeatedCount, calm.troubledCount], [1, 1, 0]);
  assert.is(calm.slowest[0]?.confirmUs, 153_400);
  assert.match(renderRanking(calm), 'All were delivered once, and all were confirmed.');
  const troubled = rank(lost().file(), 5);
  assert.equal(
    troubled.troubled.map(({ name, fate }) => [name, fate]),
    [['1000000->1000001 epoch 1 seq 7', 'lost']],
  );
  assert.match(
    renderRanking(troubled),
    "The story of one: ackbench explain '1000000->1000001 epoch 1 seq 7'",
  );
});

test('a list says what was overwritten, and how to keep more', () => {
  const full = new MessageScript(2).submitted(0);
  for (const at of [1, 2, 3]) full.submitted(at);
  const ranking = rank(full.file(), 5);
  assert.is(ranking.overwritten, 2);
  assert.match(renderRanking(ranking), '2 older events were overwritten: --trace-messages');
});

test('a message is named by three numbers or by a line of examples', () => {
  const named = { sender: 1001, receiver: 1002, epoch: 3, seq: 7, lastSeq: 7 };
  for (const text of [
    'lost 1001->1002 epoch 3 seq 7',
    '1001->1002 epoch 3 seq 7',
    'corrupt 1001->1002 epoch 3 seq 7, content of seq 8 of 1003',
    'misrouted 1001 -> 1002 epoch 3 seq 7, meant for 1004',
  ]) {
    assert.equal(parseMessageName([text]), named, text);
    assert.equal(parseMessageName(text.split(' ')), named, text);
  }
  assert.equal(parseMessageName(['12', '47', '3']), {
    sender: 12,
    receiver: 47,
    epoch: null,
    seq: 3,
    lastSeq: 3,
  });
  assert.equal(parseMessageName(['falseConfirm 1001->1002 epoch 3 seq 7..9']), {
    ...named,
    lastSeq: 9,
  });
});

test('what names no message is refused with what would', () => {
  const refusals: [string, RegExp][] = [
    ['', /which message\? <sender> <receiver> <seq>/],
    ['12 47', /names no message/],
    ['12 47 0', /sequences count from 1/],
    ['12 47 x', /names no message/],
    ['12 47 99999999999999999999', /such large numbers/],
    ['duplicated 1001->1002 epoch 3 4 times', /names a conversation .* 1001 1002 1$/],
  ];
  for (const [text, pattern] of refusals) {
    assert.match(parseMessageName([text]) as string, pattern, text);
  }
});

test('users are named by number or uid, also over several servers', () => {
  const parts = [
    { uidBase: 1_000_000, users: 10 },
    { uidBase: 11_000_000, users: 5 },
  ];
  assert.equal(
    [0, 9, 10, 14, 15, 1_000_003, 1_000_010, 11_000_004].map((given) => uidOf({ parts }, given)),
    [1_000_000, 1_000_009, 11_000_000, 11_000_004, null, 1_000_003, null, 11_000_004],
  );
  assert.equal(
    [1_000_009, 11_000_000, 5].map((uid) => numberOf({ parts }, uid)),
    [9, 10, null],
  );
});

test.run();
