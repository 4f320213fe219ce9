/**
 * The live server's WebSocket against peers that keep no rule: frames of every kind, cut, too long,
 * unmasked, in any order, over several TCP connections at once, with good packets in between.
 */
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { vectorPackets } from './codec-target.ts';
import { inTime, LIMITS, LiveServer, tokenFor } from './live-server.ts';
import { mutateSequence } from './mutate.ts';
import { encodeSteps, parseSteps, type Step } from './steps.ts';
import { expect, type OpenTarget } from './target.ts';

const OPS = [
  'binary', // one packet, as it should be
  'binary',
  'frame', // the first payload byte is the frame's first byte
  'fragments', // one packet in frames of a few bytes
  'raw', // bytes as they are
  'cut', // a frame without its end
  'large', // a frame above the largest message
  'open', // another connection, of one of three users
  'text',
  'close',
  'end', // FIN
  'reset', // RST
] as const;
type Op = (typeof OPS)[number];

const ATTACKERS = [6001, 6002, 6003] as const;
const CONNECTIONS_MAX = 6;
const HANDSHAKE_END = '\r\n\r\n';

function step(op: Op, who: number, payload: Buffer = Buffer.alloc(0)): Step {
  return { op: OPS.indexOf(op), who, payload };
}

/** A masked frame; the mask comes from the payload, so that an input always sends the same bytes. */
function frame(first: number, payload: Buffer): Buffer {
  const mask = createHash('sha1').update(payload).digest().subarray(0, 4);
  const masked = Buffer.from(payload.map((byte, i) => byte ^ mask[i % 4]!));
  const head = Buffer.alloc(payload.length < 126 ? 2 : 4);
  head[0] = first;
  head[1] = 0x80 | (payload.length < 126 ? payload.length : 126);
  if (payload.length >= 126) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, mask, masked]);
}

/** One TCP connection; nothing that happens to it is an error here. */
class Attacker {
  readonly socket: Socket;
  readonly isOpen: Promise<boolean>;
  private readonly isGone: Promise<void>;

  constructor(port: number, uid: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setNoDelay(true);
    this.socket.on('error', () => {});
    this.isGone = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.isOpen = new Promise((resolve) => {
      let head = '';
      const onData = (chunk: Buffer): void => {
        head += chunk.toString('latin1');
        if (!head.includes(HANDSHAKE_END)) return;
        this.socket.off('data', onData).resume();
        resolve(head.startsWith('HTTP/1.1 101'));
      };
      this.socket.on('data', onData);
      void this.isGone.then(() => resolve(false));
    });
    this.socket.write(
      `GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n` +
        `Authorization: Bearer ${tokenFor(uid)}\r\n\r\n`,
    );
  }

  write(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  /** RST; plain closing once our FIN is under way, for which Node has no RST and no close event. */
  reset(): void {
    if (this.socket.writableEnded) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  /** Hangs up; the server must let go of the connection. */
  async end(): Promise<void> {
    if (!this.socket.destroyed) this.socket.end();
    await inTime('the server closes after FIN', this.isGone);
  }
}

function bytesOf(op: Op, payload: Buffer): Buffer[] {
  switch (op) {
    case 'binary':
      return [frame(0x82, payload)];
    case 'text':
      return [frame(0x81, payload)];
    case 'close':
      return [frame(0x88, payload.subarray(0, 125))];
    case 'frame':
      return [frame(payload[0] ?? 0, payload.subarray(1))];
    case 'fragments': {
      const size = 1 + ((payload[0] ?? 0) % 16);
      const body = payload.subarray(1);
      const frames: Buffer[] = [];
      for (let at = 0; at < body.length || frames.length === 0; at += size) {
        const isLast = at + size >= body.length;
        const opcode = frames.length === 0 ? 2 : 0;
        frames.push(frame((isLast ? 0x80 : 0) | opcode, body.subarray(at, at + size)));
      }
      return frames;
    }
    case 'cut': {
      const whole = frame(0x82, payload.subarray(1));
      return [whole.subarray(0, (payload[0] ?? 0) % Math.max(1, whole.length))];
    }
    case 'large': {
      // A few bytes around the largest message, then far above.
      const slack = payload[0] ?? 0;
      const bytes = LIMITS.contentMaxBytes + 4096 - 128 + (slack < 250 ? slack : slack * 200);
      return [frame(0x82, Buffer.alloc(Math.min(bytes, 65_535), payload[1] ?? 0))];
    }
    default:
      return [payload];
  }
}

export const openSocketTarget: OpenTarget = async () => {
  const { encodeAlone, Kind, Packet } = await import('../../protocol/index.ts');
  const server = new LiveServer();
  await server.start();
  const { valid, invalid } = vectorPackets();
  const packet = (fields: object): Buffer =>
    Buffer.from(encodeAlone(Object.assign(new Packet(), fields)));
  const [a, b] = ATTACKERS;
  const message = packet({ kind: Kind.MsgR, uid: b, epoch: 7, seq: 1, content: Buffer.from('hi') });
  const toBystander = packet({ kind: Kind.MsgR, uid: 7002, epoch: 1, seq: 1 });
  const ackOfBystander = packet({ kind: Kind.AckR, uid: 7001, epoch: 1, seq: 1 });
  const ack = packet({ kind: Kind.AckR, uid: a, epoch: 7, seq: 1 });
  const pull = packet({ kind: Kind.PullR, request: 1, limit: 5, limitBytes: 1000 });
  const count = packet({ kind: Kind.CountR, request: 2 });

  const attack = async (steps: readonly Step[]): Promise<void> => {
    const attackers: Attacker[] = [];
    const attackerOf = async (who: number): Promise<Attacker> => {
      if (attackers.length === 0) attackers.push(new Attacker(server.port, ATTACKERS[0]));
      const attacker = attackers[who % attackers.length] as Attacker;
      await inTime('the upgrade is answered', attacker.isOpen);
      return attacker;
    };
    for (const { op, who, payload } of steps) {
      const what = OPS[op % OPS.length] as Op;
      if (what === 'open') {
        if (attackers.length >= CONNECTIONS_MAX) continue;
        const attacker = new Attacker(server.port, ATTACKERS[who % ATTACKERS.length] as number);
        attackers.push(attacker);
        expect(await inTime('the upgrade is answered', attacker.isOpen), 'an upgrade is refused');
        continue;
      }
      const attacker = await attackerOf(who);
      if (what === 'end') attacker.socket.end();
      else if (what === 'reset') attacker.reset();
      else for (const bytes of bytesOf(what, payload)) attacker.write(bytes);
    }
    await Promise.all(attackers.map((attacker) => attacker.end()));
  };

  const seeds: Step[][] = [
    [step('open', 0), step('open', 1), step('binary', 0, message), step('binary', 1, ack)],
    [step('binary', 0, message), step('open', 1), step('binary', 1, pull), step('close', 1)],
    [step('open', 0), step('open', 0), step('binary', 0, count), step('text', 1, count)],
    [step('fragments', 0, Buffer.concat([Buffer.of(3), message])), step('binary', 0, count)],
    [step('frame', 0, Buffer.of(0x89, 1, 2)), step('frame', 0, Buffer.of(0xc2)), step('reset', 0)],
    [step('cut', 0, Buffer.concat([Buffer.of(9), message])), step('end', 0)],
    [step('large', 0, Buffer.of(100)), step('open', 1), step('large', 1, Buffer.of(255))],
    [step('close', 0, Buffer.of(0x03, 0xe8)), step('binary', 0, count), step('raw', 0, message)],
    [step('binary', 0, toBystander), step('binary', 0, ackOfBystander), step('binary', 0, count)],
  ];
  return {
    sources: /\/(server|protocol)\/[\w-]+\.ts$/,
    maxBytes: 8192,
    batch: 8,
    dictionary: [message, ack, pull, count, toBystander, ackOfBystander, ...valid, ...invalid]
      .concat([0x00, 0x01, 0x02, 0x08, 0x80, 0x83, 0x88, 0x89, 0x8a, 0xc2].map((x) => Buffer.of(x)))
      .filter((word) => word.length < 200),
    seeds: seeds.map(encodeSteps),
    mutate: mutateSequence,
    coverage: () => Promise.resolve(server.coverage),
    run: (input) => server.under(() => attack(parseSteps(input))),
    describe: (input) =>
      parseSteps(input)
        .map(({ op, who, payload }) => `${OPS[op % OPS.length]} ${who} ${payload.toString('hex')}`)
        .join('\n'),
    note: () => server.note(),
    close: () => server.stop(),
  };
};
