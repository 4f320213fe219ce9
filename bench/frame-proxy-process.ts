/**
 * The frame proxy as a process of its own, so that it costs the generator nothing: it may use every
 * core that the run has. Orders are sent one after the other and answered in that order.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Pinning } from './environment.ts';
import type { FrameProxyOptions, FrameProxyStats } from './frame-proxy.ts';
import type { LinkHit } from './frame-proxy-link.ts';
import type { ProxyAnswer, ProxyOrder } from './frame-proxy-main.ts';

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 2000;

/** Proxies that live now: ended when this process ends, however it ends. */
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

interface Waiter {
  resolve: (answer: ProxyAnswer) => void;
  reject: (error: Error) => void;
}

export class FrameProxyProcess {
  /** Where clients connect, on 127.0.0.1. */
  port = 0;
  private readonly child: ChildProcess;
  private readonly waiting: Waiter[] = [];
  private failure: Error | null = null;
  private stderrTail = '';

  private constructor(pinning: Pinning | null) {
    const source = import.meta.url.endsWith('.ts')
      ? './frame-proxy-main.ts'
      : './frame-proxy-main.js';
    const file = fileURLToPath(new URL(source, import.meta.url));
    const command = [process.execPath, file];
    if (pinning !== null) {
      command.unshift('taskset', '-c', `${pinning.server},${pinning.generator}`);
    }
    const [program, ...args] = command as [string, ...string[]];
    // Its own process group: Ctrl-C in the terminal is for the runner, which ends the proxy itself.
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      detached: true,
    });
    this.child = child;
    living.add(child);
    child.on('message', (answer: ProxyAnswer) => this.waiting.shift()?.resolve(answer));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderrTail = (this.stderrTail + chunk.toString('utf8')).slice(-2000);
    });
    child.once('error', (error) => this.fail(`cannot be started: ${error.message}`));
    child.once('exit', (code, signal) => {
      living.delete(child);
      this.fail(`ended with ${signal ?? `exit code ${code}`}: ${this.stderrTail.trim()}`);
    });
  }

  /** Starts a proxy in front of a server; no fault yet. */
  static async start(
    options: FrameProxyOptions,
    pinning: Pinning | null,
  ): Promise<FrameProxyProcess> {
    const proxy = new FrameProxyProcess(pinning);
    const timer = setTimeout(() => proxy.child.kill('SIGKILL'), START_TIMEOUT_MS);
    try {
      const answer = await proxy.ask({ order: 'start', options });
      proxy.port = (answer as { port: number }).port;
      return proxy;
    } finally {
      clearTimeout(timer);
    }
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  arm(): Promise<FrameProxyStats> {
    return this.statsAfter({ order: 'arm' });
  }

  calm(): Promise<FrameProxyStats> {
    return this.statsAfter({ order: 'calm' });
  }

  stats(): Promise<FrameProxyStats> {
    return this.statsAfter({ order: 'stats' });
  }

  /** Resolves with how many links were hit. */
  async hit(hit: LinkHit): Promise<number> {
    return ((await this.ask({ order: 'hit', hit })) as { links: number }).links;
  }

  /** Ends the process; every connection through it breaks. */
  async stop(): Promise<void> {
    if (this.failure !== null) return;
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    if (this.child.connected) this.child.disconnect();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  private async statsAfter(order: ProxyOrder): Promise<FrameProxyStats> {
    return ((await this.ask(order)) as { stats: FrameProxyStats }).stats;
  }

  private ask(order: ProxyOrder): Promise<ProxyAnswer> {
    const { failure } = this;
    if (failure !== null) return Promise.reject(failure);
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.child.send(order, (error) => {
        if (error !== null) this.fail(`cannot be reached: ${error.message}`);
      });
    });
  }

  private fail(what: string): void {
    this.failure ??= new Error(`the frame proxy ${what}`);
    for (const { reject } of this.waiting.splice(0)) reject(this.failure);
  }
}
