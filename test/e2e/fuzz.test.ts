/**
 * The fuzzer itself: the whole corpus replayed and a few seconds of mutation with a fixed seed, its
 * command line, and its oracles against gateways that are broken on purpose.
 */
// deadline: 180s
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  encodeAlone,
  Gateway,
  type GatewayEffects,
  type GatewayOptions,
  Kind,
  Packet,
  type Session,
} from '../../protocol/index.ts';
import { type Client, GatewayWorld, USERS } from '../fuzz/gateway-world.ts';
import { withTempDir } from '../support/temp-dir.ts';

const MAIN = join(import.meta.dirname, '../fuzz/main.ts');
const CORPUS = join(import.meta.dirname, '../fuzz/corpus');

async function run(
  argv: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout, stderr };
}

test('replays the whole corpus of every target, and some seconds of mutants, without a crash', async () => {
  const { code, stdout, stderr } = await run(['--seconds', '2', '--seed', '1']);
  assert.is(code, 0, stdout + stderr);
  for (const target of ['codec', 'gateway', 'client', 'config', 'socket', 'http']) {
    const line = new RegExp(
      `^${target} +(\\d+) executions .* blocks (\\d+)/\\d+ .* crashes 0$`,
      'm',
    );
    const [, executions, blocks] = line.exec(stdout) ?? [];
    const folder = join(CORPUS, target);
    const inputs = existsSync(folder) ? readdirSync(folder).length : 0;
    assert.ok(Number(executions) > inputs, `${target}: ${inputs} inputs\n${stdout}`);
    assert.ok(Number(blocks) > 50, `${target} reaches code\n${stdout}`);
  }
});

test('replays one input of a file named after its target', async () => {
  await withTempDir(async (directory) => {
    const file = join(directory, 'codec-0123456789abcdef.hex');
    writeFileSync(file, '# a count:R\n2100000001000000\n');
    const { code, stdout } = await run(['--replay', file]);
    assert.is(code, 0);
    assert.match(stdout, /^codec: 8 bytes: 2100000001000000\nclean\n$/);
  });
});

test('lists every wrong flag of the fuzzer and exits 2', async () => {
  const { code, stderr } = await run(['--seconds', 'x', '--target', 'codec,nothing']);
  assert.is(code, 2);
  assert.match(stderr, 'fuzz: --seconds must be a whole number');
  assert.match(stderr, 'fuzz: no target nothing');
  assert.not.match(stderr, / at .*:\d+:\d+/);
});

const countR = encodeAlone(Object.assign(new Packet(), { kind: Kind.CountR, request: 3 }));
const msgR = encodeAlone(
  Object.assign(new Packet(), { kind: Kind.MsgR, uid: USERS[1], epoch: 1, seq: 1 }),
);
const ackR = encodeAlone(
  Object.assign(new Packet(), { kind: Kind.AckR, uid: USERS[0], epoch: 1, seq: 1 }),
);

/** Two users; one counts and sends, the other acknowledges; the store answers everything. */
function judge(make: (options: GatewayOptions) => Gateway<Client>): string {
  const world = new GatewayWorld(0, new Set(), make);
  try {
    world.step('open', 0, Buffer.alloc(0));
    world.step('open', 1, Buffer.alloc(0));
    world.step('packet', 0, Buffer.from(msgR));
    world.step('packet', 1, Buffer.from(ackR));
    world.step('packet', 0, Buffer.from(countR));
    world.end();
    return 'fine';
  } catch (error) {
    return (error as Error).message;
  }
}

type Out = GatewayEffects<Client>;

class Deaf extends Gateway<Client> {
  override onPacket(session: Session<Client>, packet: Packet, nowMs: number, out: Out): void {
    if (packet.kind !== Kind.CountR) super.onPacket(session, packet, nowMs, out);
  }
}

class Stammering extends Gateway<Client> {
  override onPacket(session: Session<Client>, packet: Packet, nowMs: number, out: Out): void {
    super.onPacket(session, packet, nowMs, out);
    if (packet.kind === Kind.AckR) super.onPacket(session, packet, nowMs, out);
  }
}

/** Answers whoever came last instead of who asked. */
class Confused extends Gateway<Client> {
  private last: Session<Client> | null = null;

  override onOpen(uid: number, handle: Client, nowMs: number, out: Out): Session<Client> {
    return (this.last = super.onOpen(uid, handle, nowMs, out));
  }

  override onPacket(session: Session<Client>, packet: Packet, nowMs: number, out: Out): void {
    super.onPacket(session, packet, nowMs, out);
    for (let i = 0; i < out.length; i++) out.at(i).session = this.last;
  }
}

/** Confirms by guess. */
class Forging extends Gateway<Client> {
  override onPacket(session: Session<Client>, packet: Packet, nowMs: number, out: Out): void {
    super.onPacket(session, packet, nowMs, out);
    for (let i = 0; i < out.length; i++) {
      if (out.at(i).packet.kind === Kind.MsgN) out.at(i).packet.kind = Kind.AckN;
    }
  }
}

test('the oracle of the gateway accepts a sound one and names what is wrong with broken ones', () => {
  assert.is(
    judge((options) => new Gateway(options)),
    'fine',
  );
  assert.match(
    judge((options) => new Deaf(options)),
    'never answered: count 3',
  );
  assert.match(
    judge((options) => new Stammering(options)),
    'an answer that nobody waits for: ack',
  );
  assert.match(
    judge((options) => new Confused(options)),
    'an answer that nobody waits for: msg',
  );
  assert.match(
    judge((options) => new Forging(options)),
    'ack:N of what is not',
  );
});

test.run();
