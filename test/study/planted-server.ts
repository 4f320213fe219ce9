/**
 * `node test/study/planted-server.ts --burn-us X --burn-rounds N`: the reference server, made slower by X µs
 * of processor time, or by N rounds of work, for every msg:R, and by nothing else. Work, other than time, takes
 * longer when the machine is slower, as everything else does: its share of a message's cost stays. Where to listen comes from the environment, as
 * for every command that `ackbench compare --a` starts. Ends at SIGTERM.
 */
import { parseArgs } from 'node:util';
import {
  ExitCode,
  Gateway,
  type GatewayEffects,
  type GatewayOptions,
  Kind,
  type Packet,
  type Session,
} from '../../protocol/index.ts';
import { createMemoryStore, loadServerConfig, startServer } from '../../server/index.ts';

class BurningGateway<Handle> extends Gateway<Handle> {
  private readonly burnMs: number;
  private readonly rounds: number;
  /** Kept, so that no compiler finds out that nobody wants it. */
  private state = 1;

  constructor(options: GatewayOptions, { burnUs, rounds }: { burnUs: number; rounds: number }) {
    super(options);
    this.burnMs = burnUs / 1000;
    this.rounds = rounds;
  }

  override onPacket(
    session: Session<Handle>,
    packet: Packet,
    nowMs: number,
    out: GatewayEffects<Handle>,
  ): void {
    if (packet.kind === Kind.MsgR) {
      if (this.burnMs > 0) {
        const untilMs = performance.now() + this.burnMs;
        while (performance.now() < untilMs);
      }
      this.work();
    }
    super.onPacket(session, packet, nowMs, out);
  }

  private work(): void {
    let { state } = this;
    for (let i = 0; i < this.rounds; i++) {
      // xorshift32
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
    }
    this.state = state;
  }
}

const text = { type: 'string', default: '0' } as const;
const { values } = parseArgs({ options: { 'burn-us': text, 'burn-rounds': text } });
const [burnUs, rounds] = [Number(values['burn-us']), Number(values['burn-rounds'])];
const loaded = loadServerConfig({
  flags: { host: '127.0.0.1', store: 'memory' },
  environment: process.env,
  file: undefined,
});
if ('mistakes' in loaded || loaded.jwtKey === undefined || !(burnUs >= 0 && rounds >= 0)) {
  process.stderr.write('planted-server: wants ACKBENCH_PORT, ACKBENCH_JWT_KEY, and numbers\n');
  process.exit(ExitCode.Usage);
}
const server = await startServer({
  config: { ...loaded, jwtKey: loaded.jwtKey },
  store: createMemoryStore({ limits: loaded }),
  ...(burnUs + rounds > 0 && {
    makeGateway: (options) => new BurningGateway(options, { burnUs, rounds }),
  }),
});
process.once('SIGTERM', () => {
  void server.drain().then(() => process.exit(ExitCode.Pass));
});
