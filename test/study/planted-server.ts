/**
 * `node test/study/planted-server.ts --burn-us X --burn-share S`: the reference server, made slower by X µs
 * of processor time for every msg:R, or by a share S of whatever processor time it uses, and by nothing
 * else. A share follows the machine, which is faster in one minute than in the next. Where to listen comes
 * from the environment, as for every command that `ackbench compare --a` starts. Ends at SIGTERM.
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

/** Messages between two looks at the process's CPU: a look takes a microsecond. */
const MESSAGES_PER_LOOK = 64;

class BurningGateway<Handle> extends Gateway<Handle> {
  private readonly burnUs: number;
  private readonly share: number;
  /** Of the share, µs. */
  private burnedUs = 0;
  private messages = 0;

  constructor(options: GatewayOptions, { burnUs, share }: { burnUs: number; share: number }) {
    super(options);
    this.burnUs = burnUs;
    this.share = share;
  }

  override onPacket(
    session: Session<Handle>,
    packet: Packet,
    nowMs: number,
    out: GatewayEffects<Handle>,
  ): void {
    if (packet.kind === Kind.MsgR) {
      if (this.burnUs > 0) burn(this.burnUs);
      if (this.share > 0 && ++this.messages % MESSAGES_PER_LOOK === 0) this.burnShare();
    }
    super.onPacket(session, packet, nowMs, out);
  }

  private burnShare(): void {
    const owedUs = this.share * (cpuUs() - this.burnedUs) - this.burnedUs;
    if (owedUs > 0) this.burnedUs += burn(owedUs);
  }
}

/** How long it took, µs: a core that is taken away meanwhile is not burnt. */
function burn(us: number): number {
  const startUs = cpuUs();
  const untilMs = performance.now() + us / 1000;
  while (performance.now() < untilMs);
  return cpuUs() - startUs;
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const text = { type: 'string', default: '0' } as const;
const { values } = parseArgs({ options: { 'burn-us': text, 'burn-share': text } });
const [burnUs, share] = [Number(values['burn-us']), Number(values['burn-share'])];
const loaded = loadServerConfig({
  flags: { host: '127.0.0.1', store: 'memory' },
  environment: process.env,
  file: undefined,
});
if ('mistakes' in loaded || loaded.jwtKey === undefined || !(burnUs >= 0 && share >= 0)) {
  process.stderr.write('planted-server: wants ACKBENCH_PORT, ACKBENCH_JWT_KEY, and numbers\n');
  process.exit(ExitCode.Usage);
}
const server = await startServer({
  config: { ...loaded, jwtKey: loaded.jwtKey },
  store: createMemoryStore({ limits: loaded }),
  ...(burnUs + share > 0 && {
    makeGateway: (options) => new BurningGateway(options, { burnUs, share }),
  }),
});
process.once('SIGTERM', () => {
  void server.drain().then(() => process.exit(ExitCode.Pass));
});
