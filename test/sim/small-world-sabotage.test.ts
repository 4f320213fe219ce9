/**
 * The search of small worlds against machines that each break one rule: it must find every one, by a
 * short path that happens on live machines too.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Client,
  type ClientEffects,
  Confirmation,
  Gateway,
  GatewayEffectKind,
  type GatewayEffects,
  Kind,
  type Packet,
  type PageOperation,
  type PutOperation,
  type PutRow,
  Receiver,
  type Session,
  Status,
} from '../../protocol/index.ts';
import { replaySmallWorld } from '../../sim/small-world-live.ts';
import type { SmallWorldOptions } from '../../sim/small-world-options.ts';
import { searchSmallWorld } from '../../sim/small-world-search.ts';
import { SmallStore } from '../../sim/small-world-store.ts';

type Out = GatewayEffects<number>;

/** Appends a packet to `session` as a gateway would. */
function forge(session: Session<number>, out: Out, packet: Partial<Packet>): void {
  const effect = out.push();
  effect.kind = GatewayEffectKind.Send;
  effect.session = session;
  Object.assign(effect.packet, packet);
}

class ForgetfulClient extends Client {
  override onCrash(): void {
    super.onCrash();
    Object.assign(this, { receiver: new Receiver() });
  }
}

class BelievingClient extends Client {
  override onPacket(packet: Packet, nowMs: number, out: ClientEffects): boolean {
    const isKnown = super.onPacket(packet, nowMs, out);
    if (packet.kind === Kind.MsgA) this.sender.onAckN(packet, nowMs, out);
    return isKnown;
  }
}

class SilentPuller extends Client {
  override onConnect(nowMs: number, out: ClientEffects): void {
    this.sender.onConnect(nowMs, out);
  }
}

class HastyGateway extends Gateway<number> {
  override onPacket(session: Session<number>, packet: Packet, nowMs: number, out: Out): void {
    super.onPacket(session, packet, nowMs, out);
    if (packet.kind !== Kind.MsgR) return;
    const { uid, epoch, seq } = packet;
    forge(session, out, { kind: Kind.MsgA, uid, epoch, seq, status: Status.Ok });
  }
}

class ForgingGateway extends Gateway<number> {
  override onPacket(session: Session<number>, packet: Packet, nowMs: number, out: Out): void {
    super.onPacket(session, packet, nowMs, out);
    if (packet.kind !== Kind.MsgR || this.sessionOf(packet.uid) !== undefined) return;
    const { uid, epoch, seq } = packet;
    const confirmation = Confirmation.Stored;
    forge(session, out, { kind: Kind.AckN, uid, epoch, seq, confirmation });
  }
}

class QuietGateway extends Gateway<number> {
  override onPut(operation: PutOperation<number>, status: Status, out: Out): void {
    super.onPut(operation, status, out);
    const last = out.length - 1;
    if (last >= 0 && out.at(last).packet.kind === Kind.InboxN) out.length = last;
  }
}

class OptimisticGateway extends Gateway<number> {
  override onPut(operation: PutOperation<number>, _status: Status, out: Out): void {
    super.onPut(operation, Status.Ok, out);
  }
}

class MisroutingGateway extends Gateway<number> {
  override onPacket(session: Session<number>, packet: Packet, nowMs: number, out: Out): void {
    super.onPacket(session, packet, nowMs, out);
    if (packet.kind !== Kind.MsgR) return;
    const { epoch, seq, content } = packet;
    forge(session, out, { kind: Kind.MsgN, uid: session.uid, epoch, seq, content });
  }
}

class DeletingOnSendStore extends SmallStore {
  override page(operation: PageOperation<number>): void {
    super.page(operation);
    const answer = this.answers.at(-1);
    if (answer?.kind !== 'page' || answer.page.rows.length === 0) return;
    const { first, last } = answer.page;
    const { receiver, sender } = operation.query;
    this.hide(null, this.named({ receiver, sender, first, last }));
  }
}

class ForgetfulStore extends SmallStore {
  protected override insert(row: PutRow): Status {
    return row.seq === 2 ? Status.Ok : super.insert(row);
  }
}

class HoardingStore extends SmallStore {
  protected override named() {
    return [];
  }
}

const NO_FAULTS = {
  losses: 0,
  duplicates: 0,
  reorders: 0,
  crashes: 0,
  disconnects: 0,
  retransmissions: 0,
  repeats: 0,
  commitFailures: 0,
};

interface Sabotage {
  readonly what: string;
  readonly rule: RegExp;
  /** Most steps of a path that shows it. */
  readonly steps: number;
  readonly options: Partial<SmallWorldOptions>;
}

const SABOTAGE: readonly Sabotage[] = [
  {
    what: 'a gateway that answers before the commit',
    rule: /accepted message is neither committed nor delivered/,
    steps: 2,
    options: { policy: 'durable', makeGateway: (options) => new HastyGateway(options) },
  },
  {
    what: 'a client that loses its dedupe sets in a crash',
    rule: /twice in the log/,
    steps: 12,
    options: { crashes: 1, makeClient: (options) => new ForgetfulClient(options) },
  },
  {
    what: 'a store that deletes a page when it is read',
    rule: /neither in the inbox nor delivered/,
    steps: 12,
    options: { disconnects: 1, makeStore: () => new DeletingOnSendStore() },
  },
  {
    what: 'a gateway that says nothing about a late commit',
    rule: /all is quiet, and a message is not delivered/,
    steps: 14,
    options: { makeGateway: (options) => new QuietGateway(options) },
  },
  {
    what: 'a gateway that forges ack:N without storing',
    rule: /neither in the inbox nor delivered/,
    steps: 2,
    options: { makeGateway: (options) => new ForgingGateway(options) },
  },
  {
    what: 'a gateway that takes a failed commit for done',
    rule: /neither in the inbox nor delivered|accepted message is not/,
    steps: 4,
    options: { commitFailures: 1, makeGateway: (options) => new OptimisticGateway(options) },
  },
  {
    what: 'a gateway that pushes to the wrong user',
    rule: /wrong user/,
    steps: 2,
    options: { makeGateway: (options) => new MisroutingGateway(options) },
  },
  {
    what: 'a sender that takes msg:A for delivery',
    rule: /confirmed and was not delivered/,
    steps: 4,
    options: { losses: 1, makeClient: (options) => new BelievingClient(options) },
  },
  {
    what: 'a client that does not pull when it logs in',
    rule: /all is quiet, and a message is not delivered/,
    steps: 12,
    options: { makeClient: (options) => new SilentPuller(options) },
  },
  {
    what: 'a store that forgets a row',
    rule: /neither in the inbox nor delivered/,
    steps: 7,
    options: { makeStore: () => new ForgetfulStore() },
  },
  {
    what: 'a store that never deletes',
    rule: /goes round for ever|a row stays in the inbox/,
    steps: 40,
    options: { makeStore: () => new HoardingStore() },
  },
];

for (const { what, rule, steps, options } of SABOTAGE) {
  test(`finds ${what}`, () => {
    const { violation } = searchSmallWorld({ ...NO_FAULTS, ...options });
    assert.ok(violation, 'found');
    assert.match(violation.rule, rule);
    const { lines } = replaySmallWorld(options, violation.steps);
    assert.ok(
      violation.steps.length <= steps,
      `${violation.steps.length} steps\n${lines.join('\n')}`,
    );
  });
}

test('a violation of the books happens on live machines too, in its last step and not before', () => {
  for (const { options } of SABOTAGE) {
    const { violation } = searchSmallWorld({ ...NO_FAULTS, ...options });
    assert.ok(violation);
    const { rule } = replaySmallWorld(options, violation.steps);
    if (rule === null) {
      assert.match(violation.rule, /^all is quiet|^faults have stopped/);
      continue;
    }
    assert.is(rule, violation.rule);
    assert.is(replaySmallWorld(options, violation.steps.slice(0, -1)).rule, null);
  }
});

test.run();
