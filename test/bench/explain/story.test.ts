/** Stories of messages told from traces that were made by hand, as text and as what they conclude. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Story, tellStory } from '../../../bench/explain/story.ts';
import { renderStory } from '../../../bench/explain/text.ts';
import { FaultAction } from '../../../loadgen/link.ts';
import { SessionEnd } from '../../../loadgen/message-trace.ts';
import { Kind, Outcome, Status } from '../../../protocol/index.ts';
import {
  lost,
  MessageScript,
  NAME,
  RECEIVER,
  retransmitted,
  rowOf,
  SENDER,
  storedThenPulled,
} from '../../support/message-trace.ts';

function storyOf(script: MessageScript, facts = {}): Story {
  const story = tellStory(script.file(facts), NAME);
  if (story === null) throw new Error('the message is not in the trace');
  return story;
}

test('tells of a message that was sent again', () => {
  assert.fixture(
    renderStory(storyOf(retransmitted())),
    `by-hand: 1000000->1000001 epoch 1 seq 7
user 0 (online) to user 1 (online), due 1.000 s into the load; relay, memory, seed 7

         ms  who       packet       what happened
      0.000  sender                 due
      0.500  sender                 handed over
      0.500  sender    msg:R  -->   transmission 1
             server                 takes it, answers, pushes it on
      0.900  sender    msg:A  <--   accepted
      1.000  receiver  msg:N  <--   delivered to the application
      1.000  receiver  ack:R  --x   dropped by its link
    150.000  sender    msg:R  -->   transmission 2, retransmission 1
             server                 takes it again, answers, pushes it on
    150.400  sender    msg:A  x--   dropped by its link
    150.500  receiver  msg:N  |--   held by its link for 2.500 ms
    153.000  receiver  msg:N  <--   goes on after the hold; a repeat, absorbed by dedupe
    153.000  receiver  ack:R  -->
             server                 tells the sender, answers
    153.400  sender    ack:N  <--   confirmed: delivered
    153.500  receiver  ack:A  <--   ends the second half

accept 900 us   deliver 1.00 ms   confirm 153 ms   send lag 500 us
Delivered once at 1.000 ms, by push; confirmed after 153.400 ms; 1 retransmission; 1 duplicate absorbed.
`,
  );
});

test('tells of a message that was stored, pulled, and whose page was acknowledged', () => {
  assert.fixture(
    renderStory(storyOf(storedThenPulled())),
    `by-hand: 1000000->1000001 epoch 1 seq 7
user 0 (online) to user 1 (offline), due 1.000 s into the load; relay, memory, seed 7

         ms  who       packet       what happened
      0.000  sender                 due, and handed over
      0.000  sender    msg:R  -->   transmission 1
             server                 takes it for the inbox, answers, confirms it as stored
      2.000  sender    msg:A  <--   accepted
      2.000  sender    ack:N  <--   confirmed: stored
    500.000  receiver               session opened
    500.000  receiver  pull:R -->   asks for a page
             server                 gives the page that it is in
    501.000  receiver  pull:A <--   delivered to the application
    501.000  receiver  done:R -->   acknowledges the page
             server                 deletes the page
    502.000  receiver  done:A <--

accept 2.00 ms   deliver 501 ms   confirm -   stored-confirm 2.00 ms   send lag 0 us
Confirmed as stored after 2.000 ms; delivered once at 501.000 ms, from the inbox; 0 retransmissions; 0 duplicates absorbed.
`,
  );
});

test('tells of a message that was lost, to the last answer in which it was not', () => {
  const story = storyOf(lost());
  assert.is(story.fate, 'lost');
  assert.is(
    story.outcome,
    'LOST: accepted at 2.000 ms, confirmed as stored at 2.000 ms and never seen by the receiver; ' +
      '0 retransmissions; 0 duplicates absorbed.',
  );
  const last = story.steps.at(-1);
  assert.equal([last?.packet, last?.text], ['pull:A', 'the only answer, without the message']);
});

test('does not say lost of a run that never came to rest, nor of a trace that was overwritten', () => {
  const restless = storyOf(lost(), { isQuiet: false });
  assert.is(restless.fate, 'incomplete');
  assert.match(restless.outcome, 'not seen by the receiver yet');
  const full = new MessageScript(3).submitted(0);
  for (const at of [1, 2, 3]) full.packet(at, Kind.MsgA);
  const cut = storyOf(full);
  assert.is(cut.fate, 'incomplete');
  assert.match(cut.outcome, 'its submission is not in the trace');
});

test('knows the other ends that a message can take', () => {
  const sent = (): MessageScript => new MessageScript().submitted(0).packet(0, Kind.MsgR);
  const ends: [Story['fate'], MessageScript][] = [
    ['unknown', sent().ended(900, Outcome.GaveUp)],
    [
      'refused',
      sent().packet(1, Kind.MsgA, { status: Status.TooLarge }).ended(1, Outcome.Failed, 2),
    ],
    ['unconfirmed', sent().packet(1, Kind.MsgN).arrived(1, 'delivered').ended(9, Outcome.GaveUp)],
    ['phantom', sent().packet(1, Kind.MsgN).arrived(1, 'delivered').ended(2, Outcome.Failed, 1)],
    [
      'duplicated',
      sent()
        .packet(1, Kind.MsgN)
        .arrived(1, 'delivered')
        .packet(2, Kind.MsgN)
        .arrived(2, 'delivered'),
    ],
    ['lost', sent().packet(1, Kind.AckN)],
  ];
  for (const [fate, script] of ends) assert.is(storyOf(script).fate, fate, fate);
});

test('an ack:N that the link dropped confirms nothing', () => {
  const story = storyOf(
    new MessageScript()
      .submitted(0)
      .packet(0, Kind.MsgR)
      .packet(1, Kind.MsgN)
      .arrived(1, 'delivered')
      .packet(1, Kind.AckR)
      .packet(2, Kind.AckN, { fault: FaultAction.Drop }),
  );
  assert.is(story.fate, 'unconfirmed');
  assert.is(story.latency.confirmUs, null);
  assert.is(story.dropped, 1);
});

test('an answer belongs to the first request of its session that has none', () => {
  const { steps } = storyOf(
    new MessageScript()
      .opened(-1, SENDER)
      .submitted(0)
      .packet(0, Kind.MsgR)
      .closed(10, SENDER, SessionEnd.Reset)
      .opened(20, SENDER)
      .packet(20, Kind.MsgR)
      .packet(21, Kind.MsgA)
      .closed(30, RECEIVER, SessionEnd.Crash),
  );
  const answer = steps.findIndex(({ packet }) => packet === 'msg:A');
  const work = steps[steps[answer]?.cause as number];
  const request = steps[work?.cause as number];
  assert.is(request?.text, 'transmission 2, retransmission 1');
  const vain = steps.find(({ text }) => text === 'nothing came of it that anybody saw');
  assert.is(steps[vain?.cause as number]?.text, 'transmission 1');
});

test('a page that came again after a crash is asked for twice and acknowledged once', () => {
  const page = new Uint8Array(32).fill(1);
  const story = storyOf(
    new MessageScript()
      .submitted(0)
      .packet(0, Kind.MsgR)
      .packet(2, Kind.AckN, { confirmation: 1 })
      .opened(100, RECEIVER)
      .packet(100, Kind.PullR, { request: 1 })
      .packet(101, Kind.PullA, { request: 1, rows: [rowOf()], page })
      .arrived(101, 'delivered', true)
      .closed(101, RECEIVER, SessionEnd.Crash)
      .opened(200, RECEIVER)
      .packet(200, Kind.PullR, { request: 2 })
      .packet(201, Kind.PullA, { request: 2, rows: [rowOf()], page })
      .arrived(201, 'absorbed', true)
      .packet(201, Kind.PullR, { request: 3, page })
      .packet(202, Kind.PullA, { request: 3 }),
  );
  const receivers = story.steps.filter(({ who }) => who === 'receiver');
  assert.equal(
    receivers.map(({ packet, text }) => `${packet ?? ''} ${text}`.trim()),
    [
      'session opened',
      'pull:R asks for a page',
      'pull:A delivered to the application',
      'crashes; its log survives',
      'session opened',
      'pull:R asks for a page',
      'pull:A a repeat, absorbed by dedupe',
      'pull:R acknowledges the page',
      'pull:A the next page',
    ],
  );
  assert.is(story.absorbed, 1);
});

test('a message of others is none of its events', () => {
  const file = retransmitted().file();
  assert.is(tellStory(file, { ...NAME, seq: 8 }), null);
  assert.is(tellStory(file, { ...NAME, epoch: 2 }), null);
  assert.is(tellStory(file, { ...NAME, sender: RECEIVER, receiver: SENDER }), null);
});

test.run();
