/** What nobody can know when a link duplicates msg:R: docs/RELIABILITY.md, "What is not promised". */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createClientEffects,
  createGatewayEffects,
  DEFAULT_RETRANSMIT,
  Gateway,
  NO_CONTENT,
  Policy,
  type PutOperation,
  Sender,
  Status,
} from '../../protocol/index.ts';
import { drainClient, present } from '../support/describe.ts';

test('calls a message failed though its other copy was stored', () => {
  // Why phantom cannot be 0 where a link duplicates msg:R: the sender transmitted once, so that a
  // definite error is the message's own. The answer to the other copy, which was stored before the
  // inbox was full, is lost, and nobody is left to tell him. WebSocket links do not duplicate.
  const gateway = new Gateway<string>({
    policy: Policy.Relay,
    contentMaxBytes: 100,
    pageMaxMessages: 10,
    pageMaxBytes: 100,
    packetsPerSec: 0,
    packetsBurst: 0,
    pendingMax: 10,
  });
  const session = gateway.onOpen(1, 'A', 0, createGatewayEffects<string>());
  const puts: PutOperation<string>[] = [];
  const serverOut = createGatewayEffects<string>();
  const sender = new Sender({
    epoch: 7,
    timers: DEFAULT_RETRANSMIT,
    inflightMax: 1,
    jitterSeed: 1,
  });
  const clientOut = createClientEffects();
  sender.onConnect(0, clientOut);
  sender.submit(2, 1, NO_CONTENT, 0, 0, clientOut);
  assert.is(clientOut.length, 1);
  for (let copy = 0; copy < 2; copy++) {
    gateway.onPacket(session, clientOut.at(0).packet, 0, serverOut);
    puts.push(present(serverOut.at(copy).put));
  }
  assert.equal(drainClient(clientOut), ['send msg:R 2 7:1 ""']);
  serverOut.clear();

  gateway.onPut(present(puts[0]), Status.Ok, serverOut); // stored; the answer gets lost
  serverOut.clear();
  gateway.onPut(present(puts[1]), Status.InboxFull, serverOut); // the row was pulled, others came
  sender.onMsgA(serverOut.at(0).packet, 5, clientOut);
  assert.equal(drainClient(clientOut), ['settled 2 7:1 tag 0 failed inbox-full after 1']);
});

test.run();
