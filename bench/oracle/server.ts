/**
 * An oracle server: speaks the online half of the protocol and holds msg:A, and with it msg:N, back
 * for exactly as long as its law says. What a tool reports of it is known beforehand.
 *
 * A process of its own on the server's core, started with its order as JSON in argv. Timers of the
 * runtime have a millisecond's precision, so while something is held back it polls; a queue polls
 * always, because a processor that fell asleep takes a tenth of a millisecond to wake up, which is no
 * part of its law (at rho 0.5 it made p50 0.3 ms longer). It trusts every
 * token and keeps nothing: it serves its own generator on loopback, and ends with it.
 */
import * as uWS from 'uWebSockets.js';
import {
  Confirmation,
  decode,
  DecodeResult,
  encodeAlone,
  Kind,
  Packet,
  Random,
} from '../../loadgen/index.ts';
import { Dealer, type Law } from './laws.ts';

interface User {
  uid: number;
}

/** A message that waits for its instant. */
interface Held {
  readonly dueMs: number;
  readonly sender: number;
  readonly receiver: number;
  readonly epoch: number;
  readonly seq: number;
  readonly msgType: number;
  readonly content: Uint8Array;
}

/** The earliest first; ties in any order. */
class HeldQueue {
  private readonly heap: Held[] = [];

  get earliest(): Held | undefined {
    return this.heap[0];
  }

  push(held: Held): void {
    const { heap } = this;
    let at = heap.push(held) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as Held).dueMs <= held.dueMs) break;
      heap[at] = heap[parent] as Held;
      at = parent;
    }
    heap[at] = held;
  }

  pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && (heap[right] as Held).dueMs < (heap[child] as Held).dueMs) {
        child = right;
      }
      if ((heap[child] as Held).dueMs >= last.dueMs) break;
      heap[at] = heap[child] as Held;
      at = child;
    }
    heap[at] = last;
  }
}

const order = JSON.parse(process.argv[2] as string) as { law: Law; seed: number };
const { law } = order;
const dealer = new Dealer(law, new Random(order.seed, 'oracle'));
const online = new Map<number, uWS.WebSocket<User>>();
const held = new HeldQueue();
const packet = new Packet();
const answer = new Packet();
let isPolling = false;
/** When the one server of a queue has worked off all that has arrived. */
let freeAtMs = 0;

function send(uid: number, kind: Kind, fill: (out: Packet) => void): void {
  const socket = online.get(uid);
  if (socket === undefined) return;
  answer.kind = kind;
  answer.status = 0;
  fill(answer);
  socket.send(encodeAlone(answer).buffer, true);
}

function name(of: { uid: number; epoch: number; seq: number }): (out: Packet) => void {
  return (out) => {
    out.uid = of.uid;
    out.epoch = of.epoch;
    out.seq = of.seq;
  };
}

function onMsgR(sender: number): void {
  const nowMs = performance.now();
  const givenMs = dealer.nextMs();
  if (law.kind === 'queue') freeAtMs = Math.max(freeAtMs, nowMs) + givenMs;
  held.push({
    dueMs: law.kind === 'queue' ? freeAtMs : nowMs + givenMs,
    sender,
    receiver: packet.uid,
    epoch: packet.epoch,
    seq: packet.seq,
    msgType: packet.msgType,
    content: packet.content.slice(),
  });
  if (isPolling) return;
  isPolling = true;
  setImmediate(release);
}

/** Lets go of whatever is due, and polls while something is held. */
function release(): void {
  const nowMs = performance.now();
  for (let first = held.earliest; first !== undefined; first = held.earliest) {
    if (first.dueMs > nowMs) break;
    held.pop();
    const { sender, receiver, epoch, seq, msgType, content } = first;
    send(sender, Kind.MsgA, name({ uid: receiver, epoch, seq }));
    send(receiver, Kind.MsgN, (out) => {
      name({ uid: sender, epoch, seq })(out);
      out.msgType = msgType;
      out.content = content;
    });
  }
  isPolling = law.kind === 'queue' || held.earliest !== undefined;
  if (isPolling) setImmediate(release);
}

function onPacket(uid: number): void {
  const { kind, request } = packet;
  switch (kind) {
    case Kind.MsgR:
      onMsgR(uid);
      return;
    case Kind.AckR: {
      const { uid: sender, epoch, seq } = packet;
      send(uid, Kind.AckA, name({ uid: sender, epoch, seq }));
      send(sender, Kind.AckN, (out) => {
        name({ uid, epoch, seq })(out);
        out.confirmation = Confirmation.Delivered;
      });
      return;
    }
    // Nobody is ever away, so every inbox is empty.
    case Kind.PullR:
    case Kind.CountR:
    case Kind.DoneR:
      send(uid, ANSWER_OF[kind], (out) => {
        out.request = request;
        out.more = false;
        out.rows = [];
        out.counts = [];
      });
      return;
    default:
  }
}

const ANSWER_OF = {
  [Kind.PullR]: Kind.PullA,
  [Kind.CountR]: Kind.CountA,
  [Kind.DoneR]: Kind.DoneA,
} as const;

/** The uid in a token, whose signature nobody checks here; 0 when there is none. */
function uidOf(authorization: string): number {
  const payload = authorization.split('.')[1];
  if (payload === undefined) return 0;
  const { sub } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub: string };
  return Number(sub);
}

uWS
  .App()
  .ws<User>('/v1/ws', {
    maxPayloadLength: 1 << 20,
    maxBackpressure: 1 << 26,
    upgrade: (res, req, context) => {
      res.upgrade(
        { uid: uidOf(req.getHeader('authorization')) },
        req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'),
        req.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open: (ws) => void online.set(ws.getUserData().uid, ws),
    close: (ws) => {
      const { uid } = ws.getUserData();
      if (online.get(uid) === ws) online.delete(uid);
    },
    message: (ws, message) => {
      const bytes = new Uint8Array(message);
      const view = new DataView(message);
      if (decode(bytes, view, 0, bytes.length, packet) === DecodeResult.Ok) {
        onPacket(ws.getUserData().uid);
      } else ws.end(4000);
    },
  })
  .listen('127.0.0.1', 0, (listening) => {
    process.send?.(listening === false ? 0 : uWS.us_socket_local_port(listening));
  });

process.on('disconnect', () => process.exit());
