/** The recorder of message traces: what it keeps, in which order, and what it writes over. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FaultAction } from '../../loadgen/link.ts';
import { MessageTrace, TraceWhat } from '../../loadgen/message-trace.ts';
import { Kind, KINDS, Outcome, Packet } from '../../protocol/index.ts';
import { MessageScript, RECEIVER, rowOf, SENDER } from '../support/message-trace.ts';

function recorded(trace: MessageTrace) {
  const { total, kept, columns } = trace.chunk(0, Infinity);
  return { total, kept, seqs: [...columns.seq], columns };
}

/** A trace that saw msg:R of seq 1 … `count`, one a microsecond. */
function afterMessages(count: number, capacity: number): MessageTrace {
  const trace = new MessageTrace(capacity);
  const packet = Object.assign(new Packet(), { kind: Kind.MsgR, uid: RECEIVER, epoch: 1 });
  for (let seq = 1; seq <= count; seq++) {
    packet.seq = seq;
    trace.onPacket(seq, SENDER, false, packet, FaultAction.Pass);
  }
  return trace;
}

test('keeps events in the order in which they came', () => {
  const { total, kept, seqs, columns } = recorded(afterMessages(3, 8));
  assert.equal([total, kept, seqs], [3, 3, [1, 2, 3]]);
  assert.equal([...columns.atUs], [1, 2, 3]);
  assert.equal([...columns.what], [TraceWhat.Out, TraceWhat.Out, TraceWhat.Out]);
  assert.equal([...columns.other], [RECEIVER, RECEIVER, RECEIVER]);
});

test('writes over the oldest when it is full, and counts them', () => {
  for (const count of [8, 9, 15, 16, 17, 100]) {
    const { total, kept, seqs } = recorded(afterMessages(count, 8));
    assert.equal([total, kept], [count, 8]);
    assert.equal(
      seqs,
      Array.from({ length: 8 }, (_, i) => count - 7 + i),
      `${count} events`,
    );
  }
});

test('is handed out in pieces that make the whole', () => {
  const trace = afterMessages(21, 8);
  const whole = recorded(trace).seqs;
  const pieces = [0, 3, 6, 9].flatMap((from) => [...trace.chunk(from, 3).columns.seq]);
  assert.equal(pieces, whole);
  assert.is(trace.chunk(8, 3).columns.seq.length, 0);
});

test('rounds instants to whole microseconds, and a message due later is not early', () => {
  const trace = new MessageTrace(4);
  trace.onSubmitted(10.6, SENDER, RECEIVER, 1, 1, 3.2);
  trace.onSubmitted(10, SENDER, RECEIVER, 1, 2, 12);
  const { columns } = recorded(trace);
  assert.equal([...columns.atUs], [11, 10]);
  assert.equal([...columns.detail], [8, 0]);
});

test('has an event for each row of a page, and one for the page itself', () => {
  const { trace } = new MessageScript().packet(1, Kind.PullA, {
    request: 5,
    rows: [rowOf(), { ...rowOf(), seq: 8 }],
  });
  const { columns, seqs } = recorded(trace);
  assert.equal(seqs, [0, 7, 8]);
  assert.equal([...columns.other], [0, SENDER, SENDER]);
  assert.equal([...columns.detail], [5, 5, 5]);
});

test('says of a pull whether it acknowledges a page', () => {
  const page = new Uint8Array(32).fill(1);
  const { trace } = new MessageScript()
    .packet(1, Kind.PullR, { request: 1 })
    .packet(2, Kind.PullR, { request: 2, page });
  assert.equal([...recorded(trace).columns.status], [0, 1]);
});

test('leaves out packets that say nothing of a message', () => {
  const trace = new MessageTrace(100);
  for (const kind of KINDS) {
    const packet = Object.assign(new Packet(), { kind, uid: 1, epoch: 1, seq: 1 });
    trace.onPacket(1, SENDER, true, packet, FaultAction.Pass);
  }
  const kinds = new Set(recorded(trace).columns.kind);
  const missing = KINDS.filter((kind) => !kinds.has(kind));
  assert.equal(missing, [Kind.CountR, Kind.CountA, Kind.InboxN, Kind.KickN]);
});

test('a held packet is read again when it is due, and when its connection is gone', () => {
  const { trace } = new MessageScript()
    .packet(1, Kind.MsgN, { fault: FaultAction.Delay })
    .held(3, Kind.MsgN)
    .packet(4, Kind.MsgR, { fault: FaultAction.Delay })
    .held(5, Kind.MsgR, true);
  const { columns, seqs } = recorded(trace);
  assert.equal(
    [...columns.what],
    [TraceWhat.In, TraceWhat.HeldIn, TraceWhat.Out, TraceWhat.HeldLost],
  );
  assert.equal(seqs, [7, 7, 7, 7]);
});

test('a message settled by its ack:N needs no event of its own, one given up does', () => {
  const { trace } = new MessageScript()
    .ended(1, Outcome.Delivered)
    .ended(2, Outcome.Stored)
    .ended(3, Outcome.GaveUp)
    .ended(4, Outcome.Failed, 1);
  const { columns } = recorded(trace);
  assert.equal([...columns.status], [Outcome.GaveUp, Outcome.Failed]);
  assert.equal([...columns.detail], [0, 1]);
});

test.run();
