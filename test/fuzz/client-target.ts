/**
 * The client's machines (Sender, Receiver, Puller) against any server: packets that no request asked
 * for, answers of other requests, logins and crashes in between. No message is delivered twice, each
 * submitted one is settled at most once, and only packets of a client leave.
 */
import { vectorPackets } from './codec-target.ts';
import { mutateSequence } from './mutate.ts';
import { encodeSteps, parseSteps, type Step } from './steps.ts';
import { expect, type OpenTarget } from './target.ts';

const OPS = [
  'packet',
  'packet',
  'packet',
  'submit',
  'wait',
  'connect',
  'disconnect',
  'crash',
] as const;
const FRIENDS = [2002, 3003];
const EPOCH = 7;
const START_MS = 1_700_000_000_000;

function step(op: (typeof OPS)[number], who: number, payload: Buffer = Buffer.alloc(0)): Step {
  return { op: OPS.indexOf(op), who, payload };
}

export const openClientTarget: OpenTarget = async () => {
  const protocol = await import('../../protocol/index.ts');
  const { Client, ClientEffectKind, createClientEffects, decode, DecodeResult, encodeAlone } =
    protocol;
  const { Kind, KIND_NAME, Packet, PullStrategy } = protocol;
  const strategies = Object.values(PullStrategy);
  const { valid } = vectorPackets();
  const bytesOf = (fields: object): Buffer =>
    Buffer.from(encodeAlone(Object.assign(new Packet(), fields)));
  const name = { uid: 2002, epoch: EPOCH, seq: 1 };
  const row = {
    sender: 2002,
    epoch: EPOCH,
    seq: 1,
    timeMs: 1,
    msgType: 1,
    content: Buffer.from('x'),
  };
  const words = [
    { kind: Kind.MsgA, ...name },
    { kind: Kind.MsgA, ...name, status: 1 },
    { kind: Kind.AckN, ...name },
    { kind: Kind.AckN, ...name, confirmation: 1 },
    { kind: Kind.MsgN, ...name, content: Buffer.from('hello') },
    { kind: Kind.InboxN },
    { kind: Kind.KickN },
    ...[1, 2, 3, 4].flatMap((request) => [
      { kind: Kind.PullA, request, rows: [row], page: Buffer.alloc(32, request) },
      { kind: Kind.PullA, request, rows: [row], page: Buffer.alloc(32, request), more: true },
      { kind: Kind.PullA, request, status: 7 },
      { kind: Kind.PullA, request },
      { kind: Kind.CountA, request, counts: [{ sender: 2002, count: 2 }] },
      { kind: Kind.DoneA, request },
      { kind: Kind.DoneA, request, status: 3 },
    ]),
  ].map(bytesOf);

  const runSteps = (head: number, steps: readonly Step[], seen: Set<number>): void => {
    const client = new Client({
      sender: {
        epoch: EPOCH,
        timers: { firstMs: 100, maxMs: 400, jitter: 0.1, maxAttempts: 3 },
        inflightMax: 4,
        jitterSeed: head,
      },
      puller: {
        strategy: strategies[head % strategies.length]!,
        order: head & 1 ? 1 : 0,
        pageMessages: 2,
        pageBytes: 100,
        wholeMessages: 10,
        wholeBytes: 1000,
        friends: FRIENDS,
        requestTimeoutMs: 300,
      },
    });
    const out = createClientEffects();
    const packet = new Packet();
    const delivered = new Set<string>();
    const waiting = new Set<number>();
    let nowMs = START_MS;
    let lastTag = 0;

    const drain = (input: number): void => {
      for (let i = 0; i < out.length; i++) {
        const effect = out.at(i);
        const isSend = effect.kind === ClientEffectKind.Send;
        seen.add(
          (input << 12) | (effect.kind << 8) | (isSend ? effect.packet.kind : effect.outcome),
        );
        if (isSend) {
          const bytes = encodeAlone(effect.packet);
          const view = new DataView(bytes.buffer);
          const result = decode(bytes, view, 0, bytes.length, new Packet());
          const what = KIND_NAME[effect.packet.kind];
          expect(result === DecodeResult.Ok, `${what} that no server can decode`);
          expect((effect.packet.kind & 3) === 1, `${what} sent by a client`);
        } else if (effect.kind === ClientEffectKind.Deliver) {
          const key = `${effect.uid} ${effect.epoch} ${effect.seq}`;
          expect(!delivered.has(key), `${key} is delivered twice`);
          delivered.add(key);
        } else if (effect.kind === ClientEffectKind.Settled) {
          expect(waiting.delete(effect.tag), `message ${effect.tag} is settled twice`);
        }
      }
      out.clear();
    };

    for (const { op, who, payload } of steps) {
      const what = OPS[op % OPS.length];
      switch (what) {
        case 'packet': {
          const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
          if (decode(payload, view, 0, payload.length, packet) !== DecodeResult.Ok) break;
          const isTaken = client.onPacket(packet, nowMs, out);
          expect(isTaken === ((packet.kind & 3) !== 1), `${KIND_NAME[packet.kind]} is taken`);
          drain(packet.kind);
          break;
        }
        case 'submit':
          waiting.add(++lastTag);
          if (client.sender.submit(FRIENDS[who % 2]!, 1, payload, lastTag, nowMs, out) === 0) {
            waiting.delete(lastTag);
          }
          break;
        case 'wait':
          nowMs += who * 4;
          client.onDeadline(nowMs, out);
          drain(0x101);
          expect(!(client.nextDeadlineMs() <= nowMs), 'a deadline that is over stays armed');
          break;
        case 'connect':
          client.onConnect(nowMs, out);
          break;
        case 'disconnect':
          client.onDisconnect();
          break;
        default:
          client.onCrash();
      }
      drain(0x100 + (op % OPS.length));
    }
    expect(client.sender.inflight === waiting.size, 'a message is gone without an outcome');
  };

  const exchange = [
    step('connect', 0),
    step('submit', 0, Buffer.from('hi')),
    ...words.slice(0, 5).map((word) => step('packet', 0, word)),
    step('wait', 100),
    ...words.slice(7, 14).map((word) => step('packet', 0, word)),
    step('disconnect', 0),
    step('connect', 0),
  ];
  return {
    sources: /\/protocol\/(client|sender|receiver|puller|interval-set)\.ts$/,
    maxBytes: 4096,
    batch: 64,
    dictionary: [...words, ...valid.filter((vector) => vector.length < 200)],
    seeds: strategies.map((_, head) => Buffer.concat([Buffer.of(head), encodeSteps(exchange)])),
    mutate: (input, context) =>
      Buffer.concat([
        Buffer.of(context.random.chance(0.9) ? (input[0] ?? 0) : context.random.int(0, 9)),
        mutateSequence(input.subarray(1), { ...context, other: context.other.subarray(1) }),
      ]),
    run: (input, seen) => runSteps(input[0] ?? 0, parseSteps(input.subarray(1)), seen),
    describe(input) {
      const lines = parseSteps(input.subarray(1)).map(
        ({ op, who, payload }) => `${OPS[op % OPS.length]} ${who} ${payload.toString('hex')}`,
      );
      return [`strategy ${strategies[(input[0] ?? 0) % strategies.length]}`, ...lines].join('\n');
    },
  };
};
