/**
 * What a file must look like before anything is drawn from it. Files come from anywhere, older versions
 * and strangers included: a page that is made is a page that works. Within a schema keys may be added,
 * so what the first version did not write has a default, and what is not known here passes through.
 */
import { z } from 'zod';

const text = z.string();
const number = z.number();
const known = z.number().nullable();
const VERDICTS = ['pass', 'fail', 'invalid', 'unknown'] as const;
const verdict = z.enum(VERDICTS);

const Latency = z.object({
  count: number,
  mean: number,
  p50: known,
  p90: known,
  p95: known,
  p99: known,
  p999: known,
  p9999: known,
  max: number,
  hdr: text,
});

const LATENCY_NAMES = [
  'acceptUs',
  'deliverUs',
  'confirmUs',
  'storedConfirmUs',
  'pullUs',
  'connectUs',
  'sendLagUs',
  'acceptServiceUs',
  'deliverServiceUs',
  'confirmServiceUs',
] as const;

const LEDGER_NAMES = [
  'attempted',
  'accepted',
  'confirmed',
  'confirmedStored',
  'delivered',
  'failed',
  'info',
  'lost',
  'falseConfirm',
  'duplicated',
  'unexpected',
  'misrouted',
  'corrupt',
  'phantom',
  'recovered',
  'unknown',
  'stuck',
  'orderInversions',
] as const;

const everyOne = <Name extends string, Shape extends z.ZodType>(
  names: readonly Name[],
  shape: Shape,
): Record<Name, Shape> =>
  Object.fromEntries(names.map((name) => [name, shape])) as Record<Name, Shape>;

const Point = z.object({
  second: number,
  sentPerSec: number,
  confirmedPerSec: number,
  deliveredPerSec: number,
  inflight: number,
  online: number,
  confirmUsP50: number,
  confirmUsP99: number,
  confirmUsMax: number,
  generatorBusy: number,
});

const run = {
  name: text,
  variant: text.nullable(),
  verdict,
  reasons: z.array(text),
  config: z.record(text, z.unknown()),
  configHash: text,
  target: z.object({ policy: text, store: text }),
  load: z.object({
    clients: number,
    offeredPerSec: number,
    achievedPerSec: number,
    sent: number,
    mode: text,
  }),
  latency: z.object(everyOne(LATENCY_NAMES, Latency)).partial(),
  ledger: z.object(everyOne(LEDGER_NAMES, number)),
  dedupe: z.object({
    wireArrivals: number,
    wireDuplicates: number,
    wireDuplicateRatio: number,
    absorbed: number,
  }),
  retransmit: z.object({ count: number, ratio: number }),
  packets: z.record(text, number),
  bytes: z.object({ sent: number, received: number }).nullable().default(null),
  server: z.object({ cpuUsPerMessage: known, rssBytes: known, peakRssBytes: known }),
  generator: z.object({
    cpuUsPerMessage: number,
    eluMean: number,
    eluMax: number,
    loopDelayP99Us: number,
    gcShare: number,
  }),
  gates: z.array(
    z.object({
      id: text,
      name: text,
      value: known.transform((x) => x ?? NaN),
      limit: text,
      ok: z.boolean(),
    }),
  ),
  thresholds: z.array(z.object({ threshold: text, value: known, ok: z.boolean() })),
  series: z.array(Point),
  lossBelow: known,
  detection: z.array(z.object({ lossRate: number, probability: number })).default([]),
  examples: z.array(text),
  extra: z.record(text, z.unknown()),
};

const Run = z.object({
  ...run,
  variants: z.array(z.object({ ...run, variants: z.array(z.unknown()) })),
});

const environment = z.looseObject({
  cpuModel: text,
  cores: number,
  memoryBytes: number,
  kernel: text,
  node: text,
  uws: text,
  pinning: text,
  openFilesLimit: number.default(0),
});
const tool = z.object({ name: text, version: text });
const target = z.object({ kind: text, policy: text, store: text, url: text });

/** A result of bench, schema 1. */
export const ResultShape = z.object({
  schema: z.literal(1),
  tool,
  startedAt: text,
  durationS: number,
  seed: number,
  interrupted: z.boolean().default(false),
  commit: z.object({ sha: text, dirty: z.boolean(), branch: text }),
  environment,
  target,
  verdict,
  scenarios: z.array(Run),
});
export type ReadResult = z.infer<typeof ResultShape>;

const side = z.looseObject({
  label: text,
  kind: text,
  sha: text.nullable(),
  subject: text.nullable(),
  dirty: z.boolean(),
});
const slice = z.object({ verdict: text, reasons: z.array(text), values: z.record(text, known) });

/** A result of compare, schema 1. */
export const ComparisonShape = z.looseObject({
  schema: z.literal(1),
  kind: z.literal('comparison'),
  tool,
  startedAt: text,
  durationS: number,
  seed: number,
  interrupted: z.boolean(),
  environment,
  a: side,
  b: side,
  stage1Pairs: number,
  stage2Pairs: number,
  isStage2Needed: z.boolean(),
  pairs: z.array(
    z.looseObject({
      stage: number,
      first: z.enum(['a', 'b']),
      a: z.array(slice),
      b: z.array(slice),
      repeated: number,
    }),
  ),
  metrics: z.array(
    z.looseObject({
      name: text,
      unit: text,
      tier: number,
      delta: number,
      isLowerBetter: z.boolean(),
      a: known,
      b: known,
      pairs: number,
      meanLog: known,
      low: known,
      high: known,
      p: number,
      stage: number,
      isFlagged: z.boolean(),
      detectable: known,
      verdict: z.enum(['worse', 'better', 'same', 'inconclusive', 'invalid']),
    }),
  ),
  verdict: z.enum(['worse', 'better', 'same', 'inconclusive', 'invalid']),
  reasons: z.array(text),
  falseAlarms: z.object({ comparisons: number, alarms: number, metrics: number }).nullable(),
});
