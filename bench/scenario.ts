/**
 * Scenarios as data: the schema of a user's own file (YAML or JSON) and of the built-in suite.
 * Unknown keys are refused, every mistake is listed, and units are in the names.
 */
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import {
  Arrivals,
  KIND_NAME,
  KINDS,
  PAYLOAD_MIN_BYTES,
  Policy,
  PullStrategy,
  ReceiverChoice,
} from '../loadgen/index.ts';
import { LINK_ACTIONS } from './frame-proxy-link.ts';
import { stopMistake, type WatchedThreshold } from './threshold-watch.ts';
import { parseThreshold, type Threshold } from './thresholds.ts';

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const whole = (min: number, max: number) => z.number().int().min(min).max(max);
const packetName = z.enum(KINDS.map((kind) => KIND_NAME[kind]) as [string, ...string[]]);
const range = z.tuple([z.number().min(0), z.number().min(0)]).refine(([min, max]) => min <= max, {
  message: 'the first must not exceed the second',
});
const strategy = z.enum(Object.values(PullStrategy) as [PullStrategy, ...PullStrategy[]]);
const perPacket = z.union([share, z.partialRecord(packetName, share)]);

const Server = z
  .strictObject({
    policy: z.enum([Policy.Relay, Policy.Durable]).default(Policy.Relay),
    store: z.enum(['lmdb', 'memory']).default('lmdb'),
    /** Independent servers, the users parted among them; null = as many as their open files ask. */
    processes: whole(1, 64).nullable().default(null),
    settings: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  })
  .prefault({});

const Retransmit = z
  .strictObject({
    firstMs: positive.default(1000),
    maxMs: positive.default(2000),
    maxAttempts: whole(1, 100).default(12),
    jitter: share.default(0.1),
  })
  .prefault({});

const Pull = z
  .strictObject({
    strategy: strategy.default(PullStrategy.PagedNext),
    order: z.enum(['oldest', 'newest']).default('oldest'),
    pageMessages: whole(1, 100_000).default(100),
    pageBytes: whole(1, 67_108_864).default(1_048_576),
    requestTimeoutMs: positive.default(2000),
  })
  .prefault({});

const Receivers = z
  .strictObject({
    choice: z
      .enum(Object.values(ReceiverChoice) as [ReceiverChoice, ...ReceiverChoice[]])
      .default(ReceiverChoice.Friends),
    friends: whole(1, 100_000).default(16),
    exponent: z.number().min(0).max(5).default(1),
  })
  .prefault({});

const contentBytes = whole(PAYLOAD_MIN_BYTES, 1_048_576);
const PayloadBytes = z
  .union([
    contentBytes,
    z.tuple([contentBytes, contentBytes]).refine(([min, max]) => min <= max, {
      message: 'the first must not exceed the second',
    }),
  ])
  .default(128);

const LoadMode = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.literal('open'),
    ratePerSec: positive.max(10_000_000),
    arrivals: z
      .enum(Object.values(Arrivals) as [Arrivals, ...Arrivals[]])
      .default(Arrivals.Poisson),
    burst: whole(1, 100_000).default(100),
  }),
  z
    .strictObject({
      mode: z.literal('closed'),
      window: whole(1, 100_000).nullable().default(null),
      outstanding: whole(1, 10_000_000).nullable().default(null),
    })
    .refine(({ window, outstanding }) => (window === null) !== (outstanding === null), {
      message: 'closed needs window, per client, or outstanding, of all clients together',
    }),
]);

const Faults = z.strictObject({
  drop: perPacket.optional(),
  duplicate: perPacket.optional(),
  reorder: perPacket.optional(),
  delay: perPacket.optional(),
  delayMs: range.optional(),
  reorderMs: range.optional(),
  rules: z
    .array(
      z.strictObject({
        packet: packetName,
        nth: whole(1, 1_000_000_000),
        action: z.enum(['drop', 'duplicate', 'delay']),
      }),
    )
    .optional(),
});

/** Fixed, or drawn uniformly from a range. */
const forMs = z.union([z.number().min(0).max(60_000), range]).default([100, 1000]);
/** Mean time between two of the kind, over the whole load. */
const everyS = z.number().min(0.05).max(86_400);

/** Faults at random instants for the whole length of the load, however long it is. */
const Chaos = z.strictObject({
  /** The end of the load that is left in peace. */
  quietS: z.number().min(0).default(1),
  server: z.array(z.strictObject({ action: z.enum(['kill', 'pause']), everyS, forMs })).default([]),
  network: z
    .array(
      z.strictObject({
        action: z.enum(LINK_ACTIONS),
        everyS,
        share: share.default(0.05),
        forMs,
        bytesPerSec: whole(100, 1_000_000_000).default(10_000),
      }),
    )
    .default([]),
  clients: z
    .array(
      z.strictObject({
        action: z.enum(['crash', 'disconnect', 'half-open', 'slow-read']),
        everyS,
        share: share.default(0.05),
        forMs,
      }),
    )
    .default([]),
  /** What the proxy does to packets. */
  packets: Faults.extend({
    truncate: perPacket.optional(),
    rules: z
      .array(
        z.strictObject({
          packet: packetName,
          nth: whole(1, 1_000_000_000),
          action: z.enum(['drop', 'duplicate', 'delay', 'truncate']),
        }),
      )
      .optional(),
  }).default({}),
});
export type Chaos = z.infer<typeof Chaos>;

const ClientEvents = z
  .array(
    z.strictObject({
      atS: z.number().min(0),
      action: z.enum(['crash', 'disconnect', 'half-open', 'slow-read']),
      share: share.default(1),
      forMs: z.number().min(0).default(0),
    }),
  )
  .default([]);

const ServerEvents = z
  .array(
    z.strictObject({
      atS: z.number().min(0),
      action: z.enum(['kill', 'pause']),
      forMs: z.number().min(0).max(60_000).default(500),
    }),
  )
  .default([]);

const Rule = z.string().superRefine((text, context) => {
  const parsed = parseThreshold(text);
  if (typeof parsed === 'string') context.addIssue({ code: 'custom', message: parsed });
});

/** A threshold that stops the load when it is missed, from `delayS` of the measured window on. */
const StoppingRule = z
  .strictObject({
    threshold: Rule,
    abortOnFail: z.boolean().default(true),
    delayS: z.number().min(0).default(0),
  })
  .superRefine(({ threshold, abortOnFail }, context) => {
    const parsed = parseThreshold(threshold);
    if (typeof parsed === 'string' || !abortOnFail) return;
    const message = stopMistake(parsed);
    if (message !== null) context.addIssue({ code: 'custom', path: ['threshold'], message });
  });

const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'lower-case words joined by -'),
  description: z.string().default(''),
  server: Server,
  seed: whole(0, 0x7fffffff).optional(),
  thresholds: z.array(z.union([Rule, StoppingRule])).default([]),
};

const client = {
  payloadBytes: PayloadBytes,
  retransmit: Retransmit,
  pull: Pull,
  faults: Faults.nullable().default(null),
  connectRatePerSec: positive.default(5000),
  quiesceTimeoutS: positive.default(30),
  /** What the run is judged by: gates for latency and load, or the audit alone. */
  judged: z.enum(['latency', 'audit']).default('latency'),
};

const loadShape = {
  ...common,
  ...client,
  kind: z.literal('load'),
  clients: whole(2, 1_000_000),
  offlineShare: share.default(0),
  load: LoadMode,
  receivers: Receivers,
  durationS: positive.max(7 * 86_400),
  warmupS: z.number().min(0).default(1),
  inflightMax: whole(1, 10_000_000).default(10_000),
  churn: z.strictObject({ onlineS: positive, offlineS: positive }).nullable().default(null),
  crashOnPage: z
    .strictObject({ probability: share, maxPerClient: whole(1, 1000).default(2) })
    .nullable()
    .default(null),
  clientEvents: ClientEvents,
  serverEvents: ServerEvents,
  chaos: Chaos.nullable().default(null),
};

const LoadScenario = z.strictObject({
  ...loadShape,
  /** The same load several times with other settings; the first is the headline. */
  variants: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        policy: z.enum([Policy.Relay, Policy.Durable]).optional(),
        store: z.enum(['lmdb', 'memory']).optional(),
        window: whole(1, 100_000).optional(),
        ratePerSec: positive.optional(),
        clients: whole(2, 1_000_000).optional(),
        offlineShare: share.optional(),
      }),
    )
    .default([]),
});

const TraceScenario = z.strictObject({
  ...common,
  ...client,
  kind: z.literal('trace'),
  /** `sender receiver unix_seconds` per line, plain or .gz; null = a small synthetic one. */
  file: z.string().min(1).nullable().default(null),
  /** The trace is sped up to last so long. */
  durationS: positive.max(86_400),
  /** At most so many messages from its start. */
  messages: whole(1, 100_000_000).default(100_000),
  lingerMs: positive.default(250),
});

const OfflineCostScenario = z.strictObject({
  ...common,
  kind: z.literal('offline-cost'),
  friends: whole(1, 10_000).default(50),
  messages: whole(1, 1_000_000).default(2000),
  pageMessages: whole(1, 10_000).default(100),
  payloadBytes: contentBytes.default(128),
  /** Strategies that are also run with the server killed in the middle. */
  serverKilled: z.array(strategy).default(Object.values(PullStrategy)),
});

const HttpPullScenario = z.strictObject({
  ...common,
  kind: z.literal('http-pull'),
  users: whole(1, 100_000).default(50),
  messagesPerUser: whole(1, 100_000).default(500),
  pageMessages: whole(1, 10_000).default(100),
  payloadBytes: contentBytes.default(128),
  connections: whole(1, 10_000).default(20),
  durationS: positive.max(86_400).default(5),
});

const ascending = (max: number) =>
  z
    .array(whole(1, max))
    .min(1)
    .refine((list) => list.every((value, i) => i === 0 || value > (list[i - 1] as number)), {
      message: 'must ascend',
    });

const CeilingScenario = z.strictObject({
  ...common,
  kind: z.literal('ceiling'),
  clients: ascending(15_000).default([200, 1000, 5000, 15_000]),
  windows: ascending(1000).default([1, 4, 16]),
  /** Messages in flight in all, for the curve over the number of clients. */
  outstanding: whole(1, 1_000_000).default(100),
  payloadBytes: contentBytes.default(128),
  /** Of every measurement, and the warm-up before it. */
  durationS: positive.max(600).default(2),
  warmupS: positive.max(600).default(1),
  /** Every figure is the median of so many. */
  rounds: whole(1, 99).default(3),
});

export const Scenario = z
  .discriminatedUnion('kind', [
    LoadScenario,
    TraceScenario,
    OfflineCostScenario,
    HttpPullScenario,
    CeilingScenario,
  ])
  .superRefine((scenario, context) => {
    if (scenario.kind === 'load' && scenario.warmupS >= scenario.durationS) {
      context.addIssue({
        code: 'custom',
        path: ['warmupS'],
        message: 'must be shorter than durationS, which includes it',
      });
    }
    if (
      scenario.kind === 'load' &&
      scenario.chaos !== null &&
      scenario.chaos.quietS >= scenario.durationS
    ) {
      context.addIssue({
        code: 'custom',
        path: ['chaos', 'quietS'],
        message: 'must be shorter than durationS, or no fault ever happens',
      });
    }
    const { processes } = scenario.server;
    if (processes !== null && processes > 1) {
      const isParted = scenario.kind === 'load' && scenario.chaos === null;
      const isFilled = scenario.kind !== 'load' || scenario.clients >= 2 * processes;
      if (!isParted || !isFilled) {
        context.addIssue({
          code: 'custom',
          path: ['server', 'processes'],
          message: isParted
            ? 'every server needs two clients at least'
            : 'only loads without chaos run against several servers',
        });
      }
    }
    for (const events of ['clientEvents', 'serverEvents'] as const) {
      const late =
        scenario.kind === 'load' && scenario[events].some(({ atS }) => atS >= scenario.durationS);
      if (late)
        context.addIssue({
          code: 'custom',
          path: [events],
          message: 'an event lies after the load: atS must be below durationS',
        });
    }
    for (const [i, rule] of scenario.thresholds.entries()) {
      const text = typeof rule === 'string' ? rule : rule.threshold;
      if (typeof rule !== 'string' && rule.abortOnFail && scenario.kind !== 'load') {
        context.addIssue({
          code: 'custom',
          path: ['thresholds', i],
          message: 'only a load can be stopped: abortOnFail has no meaning here',
        });
      }
      const parsed = parseThreshold(text);
      if (typeof parsed === 'string' || parsed.scenario === null) continue;
      if (parsed.scenario === scenario.name) continue;
      context.addIssue({
        code: 'custom',
        path: ['thresholds', i],
        message: `"${text}" is for another scenario, so nothing would judge it`,
      });
    }
    if (scenario.kind === 'ceiling' && (scenario.clients[0] as number) < 2) {
      context.addIssue({
        code: 'custom',
        path: ['clients'],
        message: 'nobody writes to herself: two clients at least',
      });
    }
    if (scenario.kind === 'offline-cost' && scenario.messages < scenario.friends) {
      context.addIssue({
        code: 'custom',
        path: ['messages'],
        message: 'every friend sends at least one message',
      });
    }
  });
export type Scenario = z.infer<typeof Scenario>;
export type LoadScenario = z.infer<typeof LoadScenario>;
export type TraceScenario = z.infer<typeof TraceScenario>;
export type OfflineCostScenario = z.infer<typeof OfflineCostScenario>;
export type HttpPullScenario = z.infer<typeof HttpPullScenario>;
export type CeilingScenario = z.infer<typeof CeilingScenario>;

/** A scenario's own thresholds; `stops` is null where missing it does not stop the load. */
export function thresholdsOf(
  scenario: Scenario,
): { threshold: Threshold; stops: WatchedThreshold | null }[] {
  return scenario.thresholds.map((rule) => {
    const {
      threshold: text,
      abortOnFail,
      delayS,
    } = typeof rule === 'string' ? { threshold: rule, abortOnFail: false, delayS: 0 } : rule;
    const threshold = parseThreshold(text) as Threshold;
    return { threshold, stops: abortOnFail ? { threshold, delayS } : null };
  });
}

/** Validates one scenario; the mistakes name `where` and the path inside. */
export function parseScenario(value: unknown, where: string): Scenario | { mistakes: string[] } {
  const result = Scenario.safeParse(value);
  if (result.success) return result.data;
  return {
    mistakes: result.error.issues.map((issue) => {
      const path = issue.path.join('.');
      return `${where}: ${path === '' ? '' : `${path}: `}${issue.message}`;
    }),
  };
}

/** Reads a scenario, or a list of them, from a YAML or JSON file. */
export function readScenarioFile(file: string): Scenario[] | { mistakes: string[] } {
  let parsed: unknown;
  try {
    parsed = parseYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    return { mistakes: [`${file}: ${(error as Error).message}`] };
  }
  const list: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  const scenarios: Scenario[] = [];
  const mistakes: string[] = [];
  if (list.length === 0) mistakes.push(`${file}: holds no scenario`);
  for (const [index, value] of list.entries()) {
    const where = list.length > 1 ? `${file}[${index}]` : file;
    const scenario = parseScenario(value, where);
    if ('mistakes' in scenario) mistakes.push(...scenario.mistakes);
    else scenarios.push(scenario);
  }
  return mistakes.length > 0 ? { mistakes } : scenarios;
}

/** A scenario of its own for every variant; the scenario itself, without a name, if it has none. */
export function variantsOf(
  scenario: LoadScenario,
): { name: string | null; scenario: LoadScenario }[] {
  if (scenario.variants.length === 0) return [{ name: null, scenario }];
  const { load } = scenario;
  return scenario.variants.map((variant) => ({
    name: variant.name,
    scenario: {
      ...scenario,
      clients: variant.clients ?? scenario.clients,
      offlineShare: variant.offlineShare ?? scenario.offlineShare,
      server: {
        ...scenario.server,
        policy: variant.policy ?? scenario.server.policy,
        store: variant.store ?? scenario.server.store,
      },
      load:
        load.mode === 'closed'
          ? {
              ...load,
              window: variant.window ?? load.window,
              outstanding: variant.window === undefined ? load.outstanding : null,
            }
          : { ...load, ratePerSec: variant.ratePerSec ?? load.ratePerSec },
    },
  }));
}
