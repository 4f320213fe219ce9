/**
 * Workers: one swarm each, and a typed channel to command them. Threads by piscina as long as one
 * process may open files enough for all clients, processes beyond that. The only file that knows the
 * thread library.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { MessageChannel } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { EchoOrder, EchoReport } from './echo-worker.ts';
import type { SwarmConfig } from './swarm-config.ts';
import type { SecondSample } from './tally.ts';
import type { Command, CommandName, Commands, WorkerMessage } from './worker.ts';

export interface SwarmEvents {
  onSecond(worker: number, sample: SecondSample): void;
  onAtPage(): void;
}

/** The runner's end of a channel to a worker. */
interface WorkerLink {
  /** Resolves when the worker has ended as it was asked to, rejects when it died. */
  readonly finished: Promise<void>;
  postMessage(command: Command): void;
  onMessage(listener: (message: WorkerMessage) => void): void;
  close(): void;
  /** Ends a worker that does not stop, and all other threads with it if it is one. */
  end(): Promise<void>;
}

/** A worker thread of the shared pool. */
function threadLink(config: SwarmConfig): WorkerLink {
  const { port1, port2 } = new MessageChannel();
  const task = { config, port: port2 };
  return {
    finished: sharedThreads().run(task, { transferList: [port2] }) as Promise<void>,
    postMessage: (command) => port1.postMessage(command),
    onMessage: (listener) => port1.on('message', listener),
    close: () => port1.close(),
    end: endThreads,
  };
}

/** Generator processes that live now: ended when this process ends by itself. */
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** A process of its own, with open files, a heap and an event loop of its own. */
function processLink(config: SwarmConfig): WorkerLink {
  const source = import.meta.url.endsWith('.ts') ? './swarm-process.ts' : './swarm-process.js';
  const child = fork(new URL(source, import.meta.url), {
    serialization: 'advanced',
    // Its own process group: Ctrl-C in the terminal is for the runner, which stops it itself.
    detached: true,
    execArgv: [...process.execArgv, ...PROCESS_FLAGS],
  });
  living.add(child);
  const finished = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      living.delete(child);
      if (code === 0) resolve();
      else reject(new Error(`a generator process ended with ${signal ?? `exit code ${code}`}`));
    });
  });
  child.send(config);
  return {
    finished,
    // A channel that broke is told by the exit of the process.
    postMessage: (command) => child.send(command, () => {}),
    onMessage: (listener) => child.on('message', listener as (message: unknown) => void),
    close: () => {
      if (child.connected) child.disconnect();
    },
    end: async () => {
      child.kill('SIGKILL');
    },
  };
}

/** One worker's end of the channel. */
class Remote {
  readonly finished: Promise<void>;
  private readonly link: WorkerLink;
  private readonly waiting = new Map<
    number,
    { resolve: (answer: unknown) => void; reject: (error: Error) => void }
  >();
  private nextId = 1;
  /** Why the worker is gone; null while it works. */
  private failure: Error | null = null;

  constructor(link: WorkerLink, events: SwarmEvents, index: number) {
    this.link = link;
    this.finished = link.finished;
    this.finished.catch((error: unknown) => this.failAll(error as Error));
    link.onMessage((message) => {
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
        case 'died':
          this.failAll(new Error(message.message));
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
      this.link.postMessage(command);
    });
  }

  close(): void {
    this.link.close();
  }

  end(): Promise<void> {
    return this.link.end();
  }

  private take(id: number) {
    const entry = this.waiting.get(id);
    this.waiting.delete(id);
    return entry;
  }

  private failAll(error: Error): void {
    this.failure ??= error;
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
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB, maxOldGenerationSizeMb: OLD_MB },
  });
  return threads;
}

/** Starts `count` threads ahead of the first pool. */
export function prepareThreads(count: number): void {
  sharedThreads(Math.min(count, THREADS_MAX));
}

const THREADS_MAX = 256;
const YOUNG_MB = 24;
const OLD_MB = 8192;
/** The same heap for a process: V8's young generation is three semi-spaces. */
const PROCESS_FLAGS = [`--max-semi-space-size=${YOUNG_MB / 3}`, `--max-old-space-size=${OLD_MB}`];
const STOP_TIMEOUT_MS = 2000;

export class SwarmPool {
  private readonly remotes: Remote[];

  /** Starts one worker per config, each in a thread or each in a process. */
  constructor(
    configs: readonly SwarmConfig[],
    events: SwarmEvents,
    workers: 'threads' | 'processes' = 'threads',
  ) {
    const link = workers === 'threads' ? threadLink : processLink;
    this.remotes = configs.map((config, index) => new Remote(link(config), events, index));
  }

  /** Asks every worker and resolves with all answers. */
  ask<Name extends CommandName>(
    name: Name,
    ask: Commands[Name]['ask'],
  ): Promise<Commands[Name]['answer'][]> {
    return Promise.all(this.remotes.map((remote) => remote.ask(name, ask)));
  }

  /** Stops all swarms. Threads that do not stop are ended all together; a process ends alone. */
  async close(): Promise<void> {
    const stopped = this.ask('stop', null)
      .then(() => Promise.all(this.remotes.map(({ finished }) => finished)))
      .then(() => true);
    const timedOut = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), STOP_TIMEOUT_MS).unref();
    });
    const isStopped = await Promise.race([stopped, timedOut]).catch(() => false);
    for (const remote of this.remotes) remote.close();
    if (!isStopped) for (const remote of this.remotes) await remote.end();
  }
}

/** Runs an echo load in a thread; null when the client that it asks for is not installed. */
export function runEcho(order: EchoOrder): Promise<EchoReport | null> {
  const source = import.meta.url.endsWith('.ts') ? './echo-worker.ts' : './echo-worker.js';
  const filename = new URL(source, import.meta.url).href;
  return sharedThreads().run(order, { filename }) as Promise<EchoReport | null>;
}

/** Ends all threads; the next pool starts fresh ones. */
export async function endThreads(): Promise<void> {
  const ending = threads;
  threads = null;
  await ending?.destroy().catch(() => {});
}
