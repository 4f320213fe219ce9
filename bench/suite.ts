/**
 * The built-in scenarios, in a default and a quick form: the suite of eight, and the extra ones that
 * run only when they are named.
 */
import { PullStrategy } from '../loadgen/index.ts';
import { parseScenario, type Scenario } from './scenario.ts';

const SIX = ['msg:R', 'msg:A', 'msg:N', 'ack:R', 'ack:A', 'ack:N'] as const;
const drop = Object.fromEntries(SIX.map((packet) => [packet, 0.05]));
const some = Object.fromEntries(SIX.map((packet) => [packet, 0.02]));

/** Timers short enough that a lost packet is repeated within the run. */
const fastTimers = (quick: boolean) => ({
  firstMs: 150,
  maxMs: quick ? 200 : 600,
  maxAttempts: 20,
});

const saturationVariants = [
  { name: 'relay w16', policy: 'relay', window: 16 },
  { name: 'relay w1', policy: 'relay', window: 1 },
  { name: 'durable w16', policy: 'durable', window: 16 },
  { name: 'durable w1', policy: 'durable', window: 1 },
];

/** `quick` shrinks durations and sizes so that the whole suite ends in less than half a minute. */
export function builtInSuite(options: { quick: boolean; traceFile: string | null }): Scenario[] {
  const { quick } = options;
  const pick = <Value>(full: Value, small: Value): Value => (quick ? small : full);
  const fast = fastTimers(quick);
  const raw: unknown[] = [
    {
      kind: 'load',
      name: 'online-steady',
      description: 'open loop, Poisson, everybody online',
      clients: pick(2000, 300),
      load: { mode: 'open', ratePerSec: pick(10_000, 5000) },
      durationS: pick(15, 1.2),
      warmupS: pick(4, 0.5),
      retransmit: { firstMs: pick(1000, 150), maxMs: pick(1000, 150) },
      // A second of load, most of it on code that is not compiled yet, is no latency to judge.
      judged: pick('latency', 'audit'),
    },
    {
      kind: 'load',
      name: 'online-saturation',
      description: 'closed loop, 200 clients, windows 1 and 16, both policies',
      clients: 200,
      load: { mode: 'closed', window: 16 },
      durationS: pick(4, 0.6),
      warmupS: pick(1, 0.2),
      retransmit: { firstMs: pick(1000, 200), maxMs: pick(1000, 200) },
      // Quick: both windows and both policies in two variants.
      variants: pick(saturationVariants, [saturationVariants[0], saturationVariants[3]]),
    },
    {
      kind: 'load',
      name: 'lossy',
      description: 'each of the six packets dropped with 5 %, duplicated and reordered with 2 %',
      clients: pick(400, 200),
      load: { mode: 'open', ratePerSec: pick(3000, 2000) },
      durationS: pick(7, 1.2),
      warmupS: pick(1, 0.2),
      retransmit: fast,
      faults: { drop, duplicate: some, reorder: some },
      judged: 'audit',
    },
    {
      kind: 'offline-cost',
      name: 'offline-cost',
      description: 'what each pull strategy costs, undisturbed and killed in the middle',
      friends: pick(50, 10),
      messages: pick(2000, 200),
      pageMessages: pick(100, 20),
      serverKilled: pick(Object.values(PullStrategy), ['paged-next']),
    },
    {
      kind: 'load',
      name: 'offline-crash',
      description: 'half offline, server killed and restarted, clients crash between page and ack',
      clients: pick(400, 100),
      offlineShare: 0.5,
      load: { mode: 'open', ratePerSec: pick(4000, 1500) },
      durationS: pick(8, 1.5),
      warmupS: pick(1, 0.2),
      retransmit: { ...fast, maxAttempts: 40 },
      pull: { pageMessages: 20, requestTimeoutMs: 500 },
      serverEvents: [{ atS: pick(4, 0.7), action: 'kill', forMs: 300 }],
      crashOnPage: { probability: 0.3, maxPerClient: 2 },
      judged: 'audit',
    },
    {
      kind: 'load',
      name: 'reconnect-storm',
      description: 'every client drops and returns at once while messages flow',
      clients: pick(2000, 300),
      load: { mode: 'open', ratePerSec: pick(4000, 1500) },
      durationS: pick(8, 1.5),
      warmupS: pick(1, 0.2),
      retransmit: { firstMs: pick(500, 200), maxMs: pick(1000, 200) },
      clientEvents: [{ atS: pick(3, 0.6), action: 'disconnect' }],
      judged: 'audit',
    },
    {
      kind: 'http-pull',
      name: 'http-pull',
      description: 'the HTTP inbox API with pages of 100',
      users: pick(50, 10),
      messagesPerUser: pick(500, 200),
      durationS: pick(4, 0.8),
    },
    {
      kind: 'trace',
      name: 'trace',
      description: 'who wrote to whom and when, people offline between their bursts',
      file: options.traceFile,
      durationS: pick(10, 1),
      messages: pick(20_000, 1000),
      retransmit: fast,
      pull: { requestTimeoutMs: 500 },
      judged: 'audit',
    },
  ];
  return raw.map(parseBuiltIn);
}

function parseBuiltIn(value: unknown): Scenario {
  const scenario = parseScenario(value, 'built-in suite');
  if ('mistakes' in scenario) throw new Error(scenario.mistakes.join('\n'));
  return scenario;
}

/** Built in, but no part of the suite. */
export function extraScenarios(options: { quick: boolean }): Scenario[] {
  const { quick } = options;
  const pick = <Value>(full: Value, small: Value): Value => (quick ? small : full);
  const every = (full: number, small: number): number => pick(full, small);
  const six = (p: number) => Object.fromEntries(SIX.map((packet) => [packet, p]));
  const inbox = (p: number) =>
    Object.fromEntries(['pull:R', 'pull:A', 'done:R', 'done:A'].map((packet) => [packet, p]));
  const common = {
    kind: 'load',
    clients: pick(400, 120),
    load: { mode: 'open', ratePerSec: pick(10_000, 1500) },
    durationS: pick(60, 3),
    warmupS: pick(2, 0.3),
    payloadBytes: [64, 256],
    // A message must outlast every fault, and the wait must outgrow every backlog: repeats of all
    // that waits, sooner than it can be worked off, would never let the server recover.
    retransmit: { firstMs: pick(1000, 250), maxMs: pick(8000, 500), maxAttempts: 60 },
    pull: { pageMessages: 50, requestTimeoutMs: pick(1000, 400) },
    connectRatePerSec: 2000,
    // A backlog of minutes is worked off, not given up.
    quiesceTimeoutS: 300,
    churn: pick({ onlineS: 20, offlineS: 4 }, { onlineS: 2, offlineS: 0.5 }),
    crashOnPage: { probability: pick(0.02, 0.1), maxPerClient: 1000 },
    chaos: {
      quietS: pick(2, 0.4),
      server: [
        { action: 'kill', everyS: every(10, 2), forMs: [50, pick(600, 200)] },
        { action: 'pause', everyS: every(8, 1), forMs: [50, pick(500, 150)] },
      ],
      network: [
        { action: 'reset', everyS: every(2, 0.3) },
        { action: 'tear', everyS: every(2, 0.3) },
        { action: 'half-open', everyS: every(4, 0.6), share: 0.02, forMs: [200, pick(3000, 500)] },
        {
          action: 'half-open-up',
          everyS: every(4, 0.6),
          share: 0.02,
          forMs: [200, pick(3000, 500)],
        },
        {
          action: 'half-open-down',
          everyS: every(4, 0.6),
          share: 0.02,
          forMs: [200, pick(3000, 500)],
        },
        { action: 'ghost', everyS: every(4, 0.6), share: 0.02, forMs: [200, pick(3000, 500)] },
        { action: 'stall', everyS: every(3, 0.5), forMs: [100, pick(1500, 300)] },
        { action: 'throttle', everyS: every(5, 0.7), forMs: [200, pick(2000, 400)] },
      ],
      clients: [
        { action: 'crash', everyS: every(2, 0.2), forMs: [10, pick(1000, 200)] },
        { action: 'disconnect', everyS: every(20, 0.3), share: 1 },
        { action: 'slow-read', everyS: every(5, 0.2), forMs: [100, pick(1500, 300)] },
      ],
      packets: {
        drop: { ...six(pick(0.005, 0.02)), ...inbox(pick(0.01, 0.05)) },
        duplicate: { ...six(pick(0.005, 0.02)), ...inbox(pick(0.01, 0.05)) },
        delay: { ...six(pick(0.002, 0.01)) },
        reorder: { ...six(pick(0.005, 0.01)) },
        // Each costs a connection, so they are rare.
        truncate: six(pick(0.0001, 0.002)),
        delayMs: [10, 200],
      },
    },
    judged: 'audit',
  };
  return [
    {
      ...common,
      name: 'chaos',
      description: 'everything fails at random, again and again: server, network, packets, clients',
    },
    {
      ...common,
      name: 'chaos-durable',
      description: 'the same, and every message is committed before it is accepted',
      server: { policy: 'durable' },
    },
    {
      kind: 'ceiling',
      name: 'ceiling',
      description:
        'the reference server and the generator beside a raw echo, over windows and clients',
      clients: pick([200, 1000, 5000, 15_000], [200]),
      windows: pick([1, 4, 16], [1, 16]),
      durationS: pick(2, 1),
      warmupS: 1,
      rounds: pick(3, 1),
    },
  ].map(parseBuiltIn);
}
