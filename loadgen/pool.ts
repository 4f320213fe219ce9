/**
 * Worker threads by piscina: one swarm each, and a typed channel to command them. The only file that
 * knows the thread library.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { SwarmConfig } from './swarm-config.ts';
import type { SecondSample } from './tally.ts';
import type { Command, CommandName, Commands, WorkerMessage } from './worker.ts';

export interface SwarmEvents {
  onSecond(worker: number, sample: SecondSample): void;
  onAtPage(): void;
}

/** One worker's end of the channel. */
class Remote {
  readonly finished: Promise<void>;
  private readonly port: MessagePort;
  private readonly waiting = new Map<
    number,
    { resolve: (answer: unknown) => void; reject: (error: Error) => void }
  >();
  private nextId = 1;
  /** Why the worker is gone; null while it works. */
  private failure: Error | null = null;

  constructor(pool: Piscina, config: SwarmConfig, events: SwarmEvents, index: number) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.finished = pool.run({ config, port: port2 }, { transferList: [port2] }) as Promise<void>;
    this.finished.catch((error: unknown) => this.failAll(error as Error));
    port1.on('message', (message: WorkerMessage) => {
      switch (message.type) {
        case 'answer':
          this.take(message.id)?.resolve(message.answer);
          return;
        case 'failure':
          this.take(message.id)?.reject(new Error(`worker ${index}: ${message.message}`));
          return;
        case 'second':
          events.onSecond(index, message.sample);
          return;
        default:
          events.onAtPage();
      }
    });
  }

  ask<Name extends CommandName>(
    name: Name,
    ask: Commands[Name]['ask'],
  ): Promise<Commands[Name]['answer']> {
    // A worker that is gone would never answer.
    if (this.failure !== null) return Promise.reject(this.failure);
    const command: Command = { id: this.nextId++, name, ask };
    return new Promise((resolve, reject) => {
      this.waiting.set(command.id, { resolve: resolve as (answer: unknown) => void, reject });
      this.port.postMessage(command);
    });
  }

  close(): void {
    this.port.close();
  }

  private take(id: number) {
    const entry = this.waiting.get(id);
    this.waiting.delete(id);
    return entry;
  }

  private failAll(error: Error): void {
    this.failure = error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

/** Threads are kept from one run to the next: their code is compiled and their heap has grown. */
let threads: Piscina | null = null;

function sharedThreads(count = 0): Piscina {
  const source = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
  threads ??= new Piscina({
    filename: new URL(source, import.meta.url).href,
    minThreads: count,
    maxThreads: THREADS_MAX,
    idleTimeout: Infinity,
    concurrentTasksPerWorker: 1,
    atomics: 'disabled',
    resourceLimits: { maxYoungGenerationSizeMb: 24, maxOldGenerationSizeMb: 8192 },
  });
  return threads;
}

/** Starts `count` threads ahead of the first pool. */
export function prepareThreads(count: number): void {
  sharedThreads(Math.min(count, THREADS_MAX));
}

const THREADS_MAX = 256;
const STOP_TIMEOUT_MS = 2000;

export class SwarmPool {
  private readonly remotes: Remote[];

  /** Starts one worker per config. */
  constructor(configs: readonly SwarmConfig[], events: SwarmEvents) {
    const pool = sharedThreads();
    this.remotes = configs.map((config, index) => new Remote(pool, config, events, index));
  }

  /** Asks every worker and resolves with all answers. */
  ask<Name extends CommandName>(
    name: Name,
    ask: Commands[Name]['ask'],
  ): Promise<Commands[Name]['answer'][]> {
    return Promise.all(this.remotes.map((remote) => remote.ask(name, ask)));
  }

  /** Stops all swarms. A thread that does not stop is ended with all others. */
  async close(): Promise<void> {
    const stopped = this.ask('stop', null)
      .then(() => Promise.all(this.remotes.map(({ finished }) => finished)))
      .then(() => true);
    const timedOut = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), STOP_TIMEOUT_MS).unref();
    });
    const isStopped = await Promise.race([stopped, timedOut]).catch(() => false);
    for (const remote of this.remotes) remote.close();
    if (!isStopped) await endThreads();
  }
}

/** Ends all threads; the next pool starts fresh ones. */
export async function endThreads(): Promise<void> {
  const ending = threads;
  threads = null;
  await ending?.destroy().catch(() => {});
}
