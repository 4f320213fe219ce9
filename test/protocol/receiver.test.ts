import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createClientEffects, Kind, Receiver } from '../../protocol/index.ts';
import { bytesOf, drainClient, packet } from '../support/describe.ts';

/** A receiver whose inputs answer with lines. */
function receiverOf() {
  const receiver = new Receiver();
  const out = createClientEffects();
  return {
    receiver,
    push(uid: number, epoch: number, seq: number): string[] {
      const content = bytesOf(`m${seq}`);
      receiver.onMsgN(packet(Kind.MsgN, { uid, epoch, seq, msgType: 3, content }), out);
      return drainClient(out);
    },
    row(sender: number, epoch: number, seq: number): string[] {
      const content = bytesOf(`m${seq}`);
      receiver.onRow({ sender, epoch, seq, timeMs: 0, msgType: 3, content }, out);
      return drainClient(out);
    },
  };
}

test('delivers a pushed message and then acknowledges it', () => {
  const { push } = receiverOf();
  assert.equal(push(1, 7, 1), ['deliver 1 7:1 "m1" pushed', 'send ack:R 1 7:1']);
});

test('hands over the type and the content', () => {
  const receiver = new Receiver();
  const out = createClientEffects();
  const content = bytesOf('hi');
  receiver.onMsgN(packet(Kind.MsgN, { uid: 1, epoch: 7, seq: 1, msgType: 9, content }), out);
  assert.is(out.at(0).msgType, 9);
  assert.is(out.at(0).content, content);
});

test('acknowledges a repeat but delivers it once', () => {
  const { push } = receiverOf();
  push(1, 7, 1);
  assert.equal(push(1, 7, 1), ['repeat 1 7:1 pushed', 'send ack:R 1 7:1']);
});

test('delivers a row of a page without an ack:R of its own', () => {
  const { row } = receiverOf();
  assert.equal(row(1, 7, 1), ['deliver 1 7:1 "m1" paged']);
  assert.equal(row(1, 7, 1), ['repeat 1 7:1 paged']);
});

test('knows a message again whichever way it came first', () => {
  const { push, row } = receiverOf();
  push(1, 7, 1);
  assert.equal(row(1, 7, 1), ['repeat 1 7:1 paged']);
  row(1, 7, 2);
  assert.equal(push(1, 7, 2), ['repeat 1 7:2 pushed', 'send ack:R 1 7:2']);
});

test('delivers older offline messages after newer online ones', () => {
  const { push, row } = receiverOf();
  push(1, 7, 5);
  assert.equal(row(1, 7, 3), ['deliver 1 7:3 "m3" paged']);
  assert.equal(row(1, 7, 4), ['deliver 1 7:4 "m4" paged']);
  assert.equal(row(1, 7, 3), ['repeat 1 7:3 paged']);
});

test('keeps the sequences of different senders apart', () => {
  const { push } = receiverOf();
  push(1, 7, 1);
  assert.equal(push(2, 7, 1), ['deliver 2 7:1 "m1" pushed', 'send ack:R 2 7:1']);
});

test('starts a new set for each epoch of a sender and forgets none', () => {
  const { push } = receiverOf();
  for (const epoch of [7, 8, 9]) {
    const [first] = push(1, epoch, 1);
    assert.is(first, `deliver 1 ${epoch}:1 "m1" pushed`);
  }
  for (const epoch of [7, 8, 9]) {
    const [again] = push(1, epoch, 1);
    assert.is(again, `repeat 1 ${epoch}:1 pushed`);
  }
});

test('says what was delivered', () => {
  const { receiver, push } = receiverOf();
  assert.not(receiver.has(1, 7, 1));
  push(1, 7, 1);
  assert.ok(receiver.has(1, 7, 1));
  assert.not(receiver.has(1, 7, 2));
  assert.not(receiver.has(1, 8, 1));
  assert.not(receiver.has(2, 7, 1));
  push(1, 8, 1);
  assert.ok(receiver.has(1, 8, 1));
  assert.not(receiver.has(1, 9, 1));
});

test.run();
