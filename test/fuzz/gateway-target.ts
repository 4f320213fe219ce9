/**
 * The gateway against any sequence of events: packets good and bad, logins, closes, and a store that
 * answers late, in any order, or with a failure. A model beside it says what each effect must answer
 * to; `GatewayWorld` holds the rules.
 */
import { mutateSequence } from './mutate.ts';
import { vectorPackets } from './codec-target.ts';
import type { OpenTarget } from './target.ts';
import { encodeSteps, parseSteps, type Step } from './steps.ts';

/** What the op of a step means, modulo their number. */
const OPS = [
  'packet',
  'packet',
  'packet',
  'packet',
  'open',
  'close',
  'answer',
  'answer',
  'fail',
  'wait',
  'drain',
] as const;

function step(op: (typeof OPS)[number], who: number, payload: Buffer = Buffer.alloc(0)): Step {
  return { op: OPS.indexOf(op), who, payload };
}

export const openGatewayTarget: OpenTarget = async () => {
  const { GatewayWorld, USERS } = await import('./gateway-world.ts');
  const protocol = await import('../../protocol/index.ts');
  const { valid, invalid } = vectorPackets();

  const packetBytes = (fields: object): Buffer =>
    Buffer.from(protocol.encodeAlone(Object.assign(new protocol.Packet(), fields)));
  const { Kind } = protocol;
  const [a, b] = USERS;
  const message = (uid: number, seq: number): Buffer =>
    packetBytes({ kind: Kind.MsgR, uid, epoch: 7, seq, content: Buffer.from('hi') });
  const ack = (uid: number, seq: number): Buffer =>
    packetBytes({ kind: Kind.AckR, uid, epoch: 7, seq });
  const pull = packetBytes({ kind: Kind.PullR, request: 1, limit: 2, limitBytes: 40 });
  const token = protocol.encodePageToken({ receiver: b, sender: 0, first: 1, last: 2 ** 52 });
  const pullNext = packetBytes({
    kind: Kind.PullR,
    request: 2,
    limit: 2,
    limitBytes: 40,
    page: token,
  });
  const done = packetBytes({ kind: Kind.DoneR, request: 3, page: token });
  const count = packetBytes({ kind: Kind.CountR, request: 4 });

  const online = [
    step('open', 0),
    step('open', 1),
    step('packet', 0, message(b, 1)),
    step('packet', 1, ack(a, 1)),
  ];
  const offline = [
    step('open', 0),
    step('packet', 0, message(b, 1)),
    step('packet', 0, message(b, 2)),
    step('answer', 0),
    step('open', 1),
    step('answer', 0),
    step('packet', 1, count),
    step('packet', 1, pull),
    step('answer', 1),
    step('answer', 0),
    step('packet', 1, pullNext),
    step('answer', 0),
    step('answer', 0),
    step('packet', 1, done),
    step('fail', 0),
  ];
  const kicked = [step('open', 0), step('packet', 0, count), step('open', 4), step('answer', 0)];

  return {
    sources: /\/protocol\/(gateway|page-token|codec)\.ts$/,
    maxBytes: 4096,
    batch: 64,
    dictionary: [...valid, ...invalid, message(a, 1), message(b, 1), ack(a, 1), ack(b, 1), pull]
      .concat([pullNext, done, count])
      .filter((word) => word.length < 200),
    // The head says policy and limits: see GatewayWorld.
    seeds: [online, offline, kicked].flatMap((steps) =>
      [0, 1, 2, 3].map((head) => Buffer.concat([Buffer.of(head), encodeSteps(steps)])),
    ),
    mutate: (input, context) =>
      Buffer.concat([
        Buffer.of(context.random.chance(0.9) ? (input[0] ?? 0) : context.random.int(0, 255)),
        mutateSequence(input.subarray(1), { ...context, other: context.other.subarray(1) }),
      ]),
    run(input, seen) {
      const world = new GatewayWorld(input[0] ?? 0, seen);
      for (const { op, who, payload } of parseSteps(input.subarray(1))) {
        world.step(OPS[op % OPS.length] as string, who, payload);
      }
      world.end();
    },
    describe(input) {
      const lines = parseSteps(input.subarray(1)).map(
        ({ op, who, payload }) => `${OPS[op % OPS.length]} ${who} ${payload.toString('hex')}`,
      );
      return [`options ${input[0] ?? 0}`, ...lines].join('\n');
    },
  };
};
