/** The built-in suite: eight scenarios, in a default and a quick form. */
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
  return raw.map((value) => {
    const scenario = parseScenario(value, 'built-in suite');
    if ('mistakes' in scenario) throw new Error(scenario.mistakes.join('\n'));
    return scenario;
  });
}
