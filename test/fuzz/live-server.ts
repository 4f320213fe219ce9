/**
 * A real `ackbench serve` as a child, watched while strangers attack it, and two bystanders who
 * exchange messages all the while and must not notice.
 *
 * What `check` demands: the process lives, its log has no error and no word of a bug, and its memory
 * stays below a bound. The server is drained and started anew after ROUND executions, because inboxes
 * of made-up receivers fill any memory in the end; a drain that does not exit 0 is a finding too.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mintToken } from '../../server/auth.ts';
import { STATUS, Stranger, StrangerUser } from '../support/stranger.ts';
import { type CoverageSource, remoteCoverage } from './coverage.ts';
import { expect, Finding } from './target.ts';

const CLI = join(import.meta.dirname, '../../bin/ackbench.mjs');
const KEY = 'a-secret-that-only-the-fuzzer-knows';
const ROUND = 1500;
const RSS_MAX_BYTES = 600 * 2 ** 20;
const PATIENCE_MS = 15_000;
const LOG_MAX_CHARS = 200_000;
const BYSTANDERS = [7001, 7002] as const;

/** Short, so that limits are reached by inputs of a few hundred bytes. */
export const LIMITS = {
  contentMaxBytes: 512,
  inboxMaxMessages: 50,
  inboxMaxBytes: 16_384,
  pageMaxMessages: 20,
  pageMaxBytes: 4096,
  packetsPerSec: 2000,
  packetsBurst: 400,
  connectionsMax: 64,
  backpressureMaxBytes: 65_536,
} as const;

export function tokenFor(uid: number, lifetimeS = 86_400): string {
  return mintToken({ uid, key: KEY, algorithm: 'HS256', lifetimeS });
}

/** Rejects with a Finding when it takes too long: a server that does not answer is a defect. */
export async function inTime<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Finding(`${what}: not in time`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

class Bystanders {
  private readonly sender: Stranger;
  private readonly receiver: Stranger;
  private readonly log: string[] = [];
  private exchanged = 0;

  private constructor(sender: Stranger, receiver: Stranger) {
    this.sender = sender;
    this.receiver = receiver;
    const user = new StrangerUser();
    user.attach(receiver);
    const acknowledge = receiver.onPacket;
    receiver.onPacket = (answer) => {
      acknowledge(answer);
      if (answer.name === 'msg:N' && answer.uid === BigInt(BYSTANDERS[0])) {
        this.log.push(answer.content.toString());
      }
    };
  }

  static async connect(url: string): Promise<Bystanders> {
    const [sender, receiver] = await Promise.all(
      BYSTANDERS.map((uid) => Stranger.connect(url, { token: tokenFor(uid) })),
    );
    return new Bystanders(sender as Stranger, receiver as Stranger);
  }

  /** One message there and one confirmation back. */
  async exchange(): Promise<void> {
    const seq = ++this.exchanged;
    const content = `bystander ${seq}`;
    const { status } = await this.sender.submit({ receiver: BYSTANDERS[1], seq, content });
    expect(status === STATUS.ok, `a bystander's message got status ${status}`);
    const { confirmation } = await this.sender.next('ack:N', (answer) => {
      return answer.seq === seq && answer.uid === BigInt(BYSTANDERS[1]);
    });
    expect(confirmation === 'delivered', 'a bystander looked offline');
    expect(this.log.length === seq && this.log.at(-1) === content, 'a bystander lost a message');
    // What strangers sent to them is not their business, and would pile up.
    this.sender.unread.length = 0;
    this.receiver.unread.length = 0;
    if (this.log.length > 2 ** 20) throw new Error('the log of the bystanders grows too long');
  }

  close(): void {
    this.sender.ws.terminate();
    this.receiver.ws.terminate();
  }
}

export class LiveServer {
  port = 0;
  private rssMaxBytes = 0;
  private child: ChildProcess | null = null;
  private log = '';
  private inspectorUrl = '';
  private inspector: CoverageSource | null = null;
  private bystanders: Bystanders | null = null;
  private executions = 0;
  private servers = 0;

  /** Coverage of whichever server runs; what ran in the one before is lost with it. */
  readonly coverage: CoverageSource = {
    take: async () => (await this.inspector?.take()) ?? [],
    close: () => this.inspector?.close(),
  };

  async start(): Promise<void> {
    const settings = { host: '127.0.0.1', port: 0, store: 'memory', jwtKey: KEY, ...LIMITS };
    const flags = Object.entries(settings).flatMap(([name, value]) => [
      `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      String(value),
    ]);
    const environment = Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => !name.startsWith('ACKBENCH_') || name === 'ACKBENCH_TEST_FILE',
      ),
    );
    // Ends with us, whatever happens to us.
    const env = { ...environment, ACKBENCH_STOP_WITH_STDIN: '1' };
    const child = spawn(process.execPath, ['--inspect=127.0.0.1:0', CLI, 'serve', ...flags], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env,
      detached: true, // a Ctrl-C in the terminal is for the fuzzer, not for the server
    });
    this.child = child;
    this.log = '';
    this.servers++;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log = (this.log + text).slice(-LOG_MAX_CHARS);
      });
    }
    await inTime('the server starts', this.untilListening(child));
    this.inspector = await remoteCoverage(this.inspectorUrl);
    this.bystanders = await Bystanders.connect(`ws://127.0.0.1:${this.port}/v1/ws`);
  }

  /** Runs one attack while the bystanders exchange messages, then looks at the server. */
  async under(attack: () => Promise<void>): Promise<void> {
    if (this.executions++ % ROUND === ROUND - 1) await this.restart();
    const bystanders = this.bystanders as Bystanders;
    // All, so that a failure of one does not leave the other running into the next input.
    const results = await Promise.allSettled([
      attack(),
      inTime('a bystander', bystanders.exchange()),
    ]);
    try {
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      await inTime('a bystander afterwards', bystanders.exchange());
      this.check();
    } catch (error) {
      await sleep(50); // for the last words of a server that dies
      const lastWords = this.log.split('\n').slice(-12).join('\n');
      await this.kill();
      await this.start();
      throw new Finding(`${(error as Error).message}\n${lastWords}`);
    }
  }

  note(): string {
    return `servers ${this.servers}, RSS up to ${Math.round(this.rssMaxBytes / 2 ** 20)} MiB`;
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    this.inspector?.close();
    this.bystanders?.close();
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    const [code] = (await inTime('the server drains', exit)) as [number | null];
    this.child = null;
    expect(code === 0, `the drained server exits with ${code}\n${this.log.slice(-2000)}`);
  }

  private async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  private async kill(): Promise<void> {
    const { child } = this;
    if (child === null) return;
    this.inspector?.close();
    this.bystanders?.close();
    this.child = null;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  private check(): void {
    const child = this.child as ChildProcess;
    expect(child.exitCode === null && child.signalCode === null, 'the server is gone');
    expect(!/this is a bug|uncaught|"level":(50|60)/i.test(this.log), 'the log tells of an error');
    if (this.executions % 16 !== 0 || process.platform !== 'linux') return;
    const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
    const rssBytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
    this.rssMaxBytes = Math.max(this.rssMaxBytes, rssBytes);
    expect(rssBytes < RSS_MAX_BYTES, `the server takes ${Math.round(rssBytes / 2 ** 20)} MiB`);
  }

  private async untilListening(child: ChildProcess): Promise<void> {
    for (;;) {
      const port = /"url":"ws:\/\/127\.0\.0\.1:(\d+)\//.exec(this.log)?.[1];
      const inspector = /Debugger listening on (ws:\S+)/.exec(this.log)?.[1];
      if (port !== undefined && inspector !== undefined) {
        this.port = Number(port);
        this.inspectorUrl = inspector;
        return;
      }
      if (child.exitCode !== null) throw new Error(`the server does not start:\n${this.log}`);
      await sleep(10);
    }
  }
}
