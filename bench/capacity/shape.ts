/**
 * What a capacity file must look like before anything is calculated from it: a plan buys machines, and
 * files are edited by hand. No figure in it can be negative; none is near the bound.
 */
import { z } from 'zod';
import { readJsonFile, schemaMistake } from '../json-file.ts';
import { mistakesOf } from '../shape-mistakes.ts';
import { CAPACITY_SCHEMA, type CapacityFile, OPERATIONS } from './file.ts';

const NUMBER_MAX = 1e15;

const text = z.string();
const flag = z.boolean();
const number = z.number().min(0).max(NUMBER_MAX);
const positive = number.gt(0);
const count = number.int();
const known = number.nullable();

const each = <Name extends string, Shape extends z.ZodType>(
  names: readonly Name[],
  shape: Shape,
): z.ZodObject<Record<Name, Shape>> =>
  z.object(Object.fromEntries(names.map((name) => [name, shape])) as Record<Name, Shape>);

const MESSAGES = ['online', 'stored', 'pulled'] as const;
const RATES = [
  ...MESSAGES,
  'connect',
  'connectionSecond',
  'payloadKiB',
  'retransmit',
  'packetsIn',
] as const;
const QUANTILES = ['p50', 'p90', 'p99'] as const;

const Run = z.looseObject({
  mix: text,
  clients: count,
  ratePerSec: positive,
  payloadBytes: number,
  offlineShare: number.max(1),
  heldOut: z.enum(['point', 'mix']).nullable(),
  verdict: text,
  reasons: z.array(text),
  isUsable: flag,
  isLatencyValid: flag,
  measured: z.looseObject({
    windowS: positive,
    achievedPerSec: number,
    rates: each(RATES, number),
    packetsPerSec: z.record(text, number),
    cpuShare: known,
    rssBytes: known,
    connections: number,
    waiting: number,
    dataBytes: known,
    perConnect: each(['bytesSent', 'bytesReceived'], number).nullable(),
    bytesInPerSec: number,
    bytesOutPerSec: number,
    confirmUs: each(QUANTILES, known),
    lost: count,
  }),
});

const Search = z.looseObject({
  slo: z.object({ quantile: z.literal('p99'), confirmMs: positive }),
  probes: z.array(
    z.looseObject({
      phase: z.enum(['ramp', 'bisect', 'confirm', 'overload', 'recovery']),
      ratePerSec: positive,
      ok: flag,
      reasons: z.array(text),
      confirmUsP99: known,
      cpuShare: known,
    }),
  ),
  lambdaStarPerSec: positive.nullable(),
  binds: z.enum(['server', 'generator', 'machine', 'rate-max', 'none found']),
  why: text,
  recovery: z.object({ recoveredS: known, metastable: flag }).nullable(),
});

const Parameters = z.object({
  demandUs: each(OPERATIONS, number),
  memory: each(
    ['baseBytes', 'perConnectionBytes', 'perStoredBytes', 'perContentByte'] as const,
    number,
  ),
  latency: z
    .array(z.object({ quantile: z.enum(QUANTILES), aUs: number, bUs: number }))
    .length(QUANTILES.length),
});

const Model = z.looseObject({
  fitted: Parameters,
  replicates: z.array(Parameters),
  network: z.object({
    inBytes: each([...MESSAGES, 'connect'] as const, number),
    outBytes: each([...MESSAGES, 'connect'] as const, number),
    contentIn: each(MESSAGES, number),
    contentOut: each(MESSAGES, number),
    segmentBytes: number,
  }),
  diskBytesPerStored: known,
  measured: each(['ratePerSec', 'connections', 'payloadBytes', 'cpuShare'] as const, number),
});

/** A result of `ackbench capacity`. */
export const CapacityShape = z.looseObject({
  schema: z.literal(CAPACITY_SCHEMA),
  kind: z.literal('capacity'),
  tool: z.object({ name: text, version: text }),
  startedAt: text.refine((at) => !Number.isNaN(Date.parse(at)), 'is no time'),
  durationS: number,
  seed: number,
  interrupted: flag,
  commit: z.object({ sha: text, dirty: flag, branch: text }),
  environment: z.looseObject({
    cpuModel: text,
    cores: count,
    memoryBytes: number,
    kernel: text,
    node: text,
    uws: text,
    pinning: text,
    openFilesLimit: number,
  }),
  target: z.object({ kind: z.enum(['reference', 'remote']), policy: text, store: text, url: text }),
  settings: z.object({
    policy: text,
    store: text,
    clients: count.min(2),
    payloadBytes: count,
    sloMs: positive,
    startPerSec: positive,
    maxPerSec: positive,
    seed: number,
    workers: count.min(1),
    isQuick: flag,
    isSearchOnly: flag,
  }),
  search: Search,
  runs: z.array(Run),
  losses: z.array(text),
  model: Model.nullable(),
  validation: z
    .object({
      layers: z.array(
        z.looseObject({
          layer: z.enum(['cpu', 'throughput', 'memory', 'network', 'p99']),
          points: count,
          meanError: number,
          maxError: number,
          coverage: number.max(1).nullable(),
          judged: count,
        }),
      ),
      refusal: text.nullable(),
    })
    .nullable(),
});

/** The file, or a sentence about what is wrong with it. */
export function readCapacityFile(file: string): CapacityFile | string {
  const read = readJsonFile(file);
  if ('mistake' in read) return `${file}: ${read.mistake}`;
  const { value } = read;
  const { kind, schema } = Object(value) as Partial<CapacityFile>;
  if (kind !== 'capacity') {
    return `${file}: is no capacity result; write one with ackbench capacity`;
  }
  const mistake = schemaMistake(schema, CAPACITY_SCHEMA);
  if (mistake !== null) return `${file}: ${mistake}`;
  const parsed = CapacityShape.safeParse(value);
  if (parsed.success) return parsed.data as unknown as CapacityFile;
  return `${file}: is not as capacity wrote it: ${mistakesOf(parsed.error).join('; ')}`;
}
