/** Sender: one message through the waiting-ack queue, with 64 in flight over 16 receivers. */
import {
  ClientEffectKind,
  createClientEffects,
  DEFAULT_RETRANSMIT,
  Kind,
  Packet,
  Sender,
} from '../../protocol/index.ts';
import type { Benchmark } from './benchmark.ts';

const MESSAGES = 1000;
const WINDOW = 64;
const RECEIVERS = 16;
const EPOCH = 77;
const CONTENT = new Uint8Array(128);

/** Submits, drains, answers with msg:A and ack:N; counts what was settled. */
class Loop {
  private readonly out = createClientEffects();
  private readonly answer = Object.assign(new Packet(), { kind: Kind.MsgA, epoch: EPOCH });
  private readonly sender = new Sender({
    epoch: EPOCH,
    timers: DEFAULT_RETRANSMIT,
    inflightMax: WINDOW,
    jitterSeed: 1,
  });
  private submitted = 0;
  private answered = 0;
  private nowMs = 0;
  settled = 0;

  constructor() {
    this.sender.onConnect(0, this.out);
    for (let i = 0; i < WINDOW - 1; i++) this.submit();
  }

  run(): void {
    for (let i = 0; i < MESSAGES; i++) {
      this.nowMs++;
      this.submit();
      this.settleOldest();
    }
  }

  private submit(): void {
    const tag = this.submitted++;
    this.sender.submit(1 + (tag % RECEIVERS), 1, CONTENT, tag, this.nowMs, this.out);
    this.drain();
  }

  /** Messages settle in the order in which they were submitted. */
  private settleOldest(): void {
    const { answer } = this;
    const tag = this.answered++;
    answer.uid = 1 + (tag % RECEIVERS);
    answer.seq = 1 + Math.floor(tag / RECEIVERS);
    this.sender.onMsgA(answer, this.nowMs, this.out);
    this.drain();
    this.sender.onAckN(answer, this.nowMs, this.out);
    this.drain();
  }

  private drain(): void {
    for (let i = 0; i < this.out.length; i++) {
      if (this.out.at(i).kind === ClientEffectKind.Settled) this.settled++;
    }
    this.out.clear();
  }
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'sender: submit, msg:A, ack:N',
    operations: MESSAGES,
    prepare: () => {
      const loop = new Loop();
      return {
        expected: MESSAGES,
        run: () => {
          const before = loop.settled;
          loop.run();
          return loop.settled - before;
        },
      };
    },
  },
];
