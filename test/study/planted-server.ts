/**
 * `node test/study/planted-server.ts --burn-us X`: the reference server, made slower by X µs of
 * processor time for every msg:R, and by nothing else. Where to listen comes from the environment, as
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

  constructor(options: GatewayOptions, burnUs: number) {
    super(options);
    this.burnMs = burnUs / 1000;
  }

  override onPacket(
    session: Session<Handle>,
    packet: Packet,
    nowMs: number,
    out: GatewayEffects<Handle>,
  ): void {
    if (packet.kind === Kind.MsgR) {
      const untilMs = performance.now() + this.burnMs;
      while (performance.now() < untilMs);
    }
    super.onPacket(session, packet, nowMs, out);
  }
}

const { values } = parseArgs({ options: { 'burn-us': { type: 'string', default: '0' } } });
const burnUs = Number(values['burn-us']);
const loaded = loadServerConfig({
  flags: { host: '127.0.0.1', store: 'memory' },
  environment: process.env,
  file: undefined,
});
if ('mistakes' in loaded || loaded.jwtKey === undefined || !(burnUs >= 0)) {
  process.stderr.write('planted-server: wants ACKBENCH_PORT, ACKBENCH_JWT_KEY and --burn-us\n');
  process.exit(ExitCode.Usage);
}
const server = await startServer({
  config: { ...loaded, jwtKey: loaded.jwtKey },
  store: createMemoryStore({ limits: loaded }),
  ...(burnUs > 0 && { makeGateway: (options) => new BurningGateway(options, burnUs) }),
});
process.once('SIGTERM', () => {
  void server.drain().then(() => process.exit(ExitCode.Pass));
});
