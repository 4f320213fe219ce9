/**
 * Entry of a worker thread: a swarm that obeys commands from the runner over a port.
 * Commands are answered in order of completion; samples of each second are pushed.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { emptyDrain, type DrainMeasure, type DrainOrder, measureDrain } from './drain-measure.ts';
import type { TraceChunk } from './message-trace.ts';
import type { SwarmConfig } from './swarm-config.ts';
import { Swarm, type SwarmReport } from './swarm.ts';
import { topCloseOf, type Traffic, trafficOf } from './swarm-counters.ts';
import type { SecondSample } from './tally.ts';
import { sleep, until } from './wait.ts';

/** What the runner may ask, with the answer's type. */
export interface Commands {
  connect: { ask: null; answer: null };
  startLoad: { ask: { startUs: number }; answer: null };
  stopLoad: { ask: null; answer: null };
  heal: { ask: null; answer: null };
  returnAll: { ask: null; answer: null };
  status: { ask: null; answer: SwarmStatus };
  pullAll: { ask: { timeoutMs: number }; answer: number | null };
  probeAll: { ask: { timeoutMs: number }; answer: number | null };
  dropAll: { ask: null; answer: null };
  /** Every client of [from, to) sends `count` messages to user index `receiver`. */
  send: {
    ask: { from: number; to: number; receiver: number; count: number; timeoutMs: number };
    answer: boolean;
  };
  goOffline: { ask: { from: number; to: number }; answer: null };
  drain: { ask: DrainOrder; answer: DrainMeasure };
  /** Resident memory of the worker's process after a garbage collection, bytes. */
  memory: { ask: null; answer: number };
  /** What has gone over the sockets so far. */
  traffic: { ask: null; answer: Traffic };
  report: { ask: { stuck: number }; answer: SwarmReport };
  /** A piece of the message trace; null when none is kept. */
  trace: { ask: { from: number; count: number }; answer: TraceChunk | null };
  stop: { ask: null; answer: null };
}
export type CommandName = keyof Commands;

export interface SwarmStatus {
  clients: number;
  wanted: number;
  online: number;
  inflight: number;
  silenceMs: number;
  pulling: number;
  /** Why connections ended most often; empty when none did. */
  topClose: string;
}

export interface Command {
  id: number;
  name: CommandName;
  ask: unknown;
}

/** Worker to runner. */
export type WorkerMessage =
  | { type: 'answer'; id: number; answer: unknown }
  | { type: 'failure'; id: number; message: string }
  | { type: 'second'; sample: SecondSample }
  | { type: 'at-page' }
  /** The last word of a process that ends by a mistake; a thread's own rejection says it. */
  | { type: 'died'; message: string };

/** The worker's end of its channel: a MessagePort, or the channel of a process. */
export interface CommandPort {
  on(event: 'message', listener: (command: Command) => void): unknown;
  postMessage(message: WorkerMessage): void;
  close(): void;
}

const SECOND_MS = 1000;

/** A collection on demand, which takes no flag at the start of the process. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 2; i++) collect();
}

/** Whether a run before this one has left its garbage in this thread. */
let isUsed = false;

/** The piscina task: runs until the command `stop`. */
export default async function runSwarm(task: {
  config: SwarmConfig;
  port: CommandPort;
}): Promise<void> {
  const { config, port } = task;
  // What a saturated run left behind would be collected in the middle of the next run's window.
  if (isUsed) collectGarbage();
  isUsed = true;
  const swarm = new Swarm(config);
  const post = (message: WorkerMessage): void => port.postMessage(message);
  let seconds: NodeJS.Timeout | null = null;

  const handlers: {
    [Name in CommandName]: (
      ask: Commands[Name]['ask'],
    ) => Commands[Name]['answer'] | Promise<Commands[Name]['answer']>;
  } = {
    connect: async () => {
      await swarm.connectAll();
      return null;
    },
    startLoad: ({ startUs }) => {
      swarm.startLoad(startUs);
      seconds = setInterval(() => post({ type: 'second', sample: swarm.takeSecond() }), SECOND_MS);
      return null;
    },
    stopLoad: () => {
      swarm.stopLoad();
      return null;
    },
    heal: () => {
      swarm.heal();
      return null;
    },
    returnAll: async () => {
      await swarm.returnAll();
      return null;
    },
    status: () => ({
      clients: swarm.clients.length,
      wanted: swarm.clients.filter((client) => client.isWanted).length,
      online: swarm.online,
      inflight: swarm.inflight,
      silenceMs: swarm.silenceMs(),
      pulling: swarm.clients.filter((client) => client.machine.puller.busy).length,
      topClose: topCloseOf(swarm.counters),
    }),
    pullAll: ({ timeoutMs }) => swarm.pullAll(timeoutMs),
    probeAll: ({ timeoutMs }) => swarm.probeAll(timeoutMs),
    dropAll: () => {
      for (const client of swarm.clients) client.drop();
      return null;
    },
    send: async ({ from, to, receiver, count, timeoutMs }) => {
      const senders = swarm.clients.filter(({ index }) => index >= from && index < to);
      for (let i = 0; i < count; i++) {
        for (const client of senders) {
          const nowMs = swarm.touch() / 1000;
          swarm.submit(client, config.uidBase + receiver, swarm.nowUs, nowMs);
          client.drain(nowMs);
          client.flush();
        }
        if (i % 16 === 15) await sleep(0);
      }
      return until(() => swarm.isSettled(), timeoutMs);
    },
    goOffline: ({ from, to }) => {
      for (const client of swarm.clients) {
        if (client.index >= from && client.index < to) client.goOffline();
      }
      return null;
    },
    drain: (order) => {
      const client = swarm.clients.find(({ index }) => index === order.index);
      if (client === undefined) return emptyDrain();
      return measureDrain(swarm, client, order, () => post({ type: 'at-page' }));
    },
    memory: () => {
      collectGarbage();
      return process.memoryUsage.rss();
    },
    traffic: () => trafficOf(swarm),
    report: ({ stuck }) => swarm.report(stuck),
    trace: ({ from, count }) => swarm.trace?.chunk(from, count) ?? null,
    stop: () => {
      if (seconds !== null) clearInterval(seconds);
      swarm.stop();
      return null;
    },
  };

  swarm.run();
  await new Promise<void>((resolve) => {
    port.on('message', (command: Command) => {
      const handler = handlers[command.name] as (ask: unknown) => unknown;
      Promise.resolve()
        .then(() => handler(command.ask))
        .then(
          (answer) => {
            post({ type: 'answer', id: command.id, answer });
            if (command.name === 'stop') setTimeout(resolve, 20);
          },
          (error: unknown) => {
            post({
              type: 'failure',
              id: command.id,
              message: error instanceof Error ? (error.stack ?? error.message) : String(error),
            });
          },
        );
    });
  });
  port.close();
}
