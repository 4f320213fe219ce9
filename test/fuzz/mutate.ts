/**
 * Mutations: how one input becomes another. Bytes for formats, steps for sequences.
 *
 * All randomness is the caller's, so a seed names a run (of a target that answers at once; sockets
 * bring their own timing).
 */
import type { Random } from '../../sim/random.ts';
import { encodeSteps, parseSteps, type Step, STEPS_MAX } from './steps.ts';

/** Values at which lengths, counts and ids go wrong. */
const INTERESTING = [
  0n,
  1n,
  4n,
  19n,
  20n,
  21n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x10000n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
] as const;

const WIDTHS = [1, 2, 4, 8] as const;
const STACKED_MAX = 6;

interface MutateContext {
  readonly random: Random;
  /** Another input of the corpus, to splice from. */
  readonly other: Buffer;
  readonly dictionary: readonly Buffer[];
  readonly maxBytes: number;
}

export type Mutate = (input: Buffer, context: MutateContext) => Buffer;

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.int(0, values.length - 1)] as T;
}

function writeInteger(bytes: Buffer, at: number, value: bigint, random: Random): void {
  const width = pick(random, WIDTHS);
  if (at + width > bytes.length) return;
  const isLittle = random.chance(0.75);
  for (let i = 0; i < width; i++) {
    const shift = BigInt(8 * (isLittle ? i : width - 1 - i));
    bytes[at + i] = Number((value >> shift) & 0xffn);
  }
}

/** Cuts [from, to) out and puts `insert` there. */
function splice(bytes: Buffer, from: number, to: number, insert: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(to)]);
}

function part(bytes: Buffer, random: Random): Buffer {
  const from = random.int(0, bytes.length);
  return bytes.subarray(from, random.int(from, Math.min(bytes.length, from + 64)));
}

type ByteMutation = (bytes: Buffer, context: MutateContext) => Buffer;

const BYTE_MUTATIONS: readonly ByteMutation[] = [
  // A bit.
  (bytes, { random }) => {
    if (bytes.length === 0) return bytes;
    const at = random.int(0, bytes.length - 1);
    bytes[at] = bytes[at]! ^ (1 << random.int(0, 7));
    return bytes;
  },
  // A byte.
  (bytes, { random }) => {
    if (bytes.length > 0) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255);
    return bytes;
  },
  // An interesting integer.
  (bytes, { random }) => {
    if (bytes.length > 0) {
      writeInteger(bytes, random.int(0, bytes.length - 1), pick(random, INTERESTING), random);
    }
    return bytes;
  },
  // A little more or less.
  (bytes, { random }) => {
    if (bytes.length === 0) return bytes;
    const at = random.int(0, bytes.length - 1);
    bytes[at] = (bytes[at]! + random.int(-4, 4)) & 0xff;
    return bytes;
  },
  // A length field: what really follows it, or one off.
  (bytes, { random }) => {
    if (bytes.length < 2) return bytes;
    const at = random.int(0, bytes.length - 1);
    const follows = Math.max(0, bytes.length - at - pick(random, [0, 1, 2, 4, 8, 32]));
    writeInteger(bytes, at, BigInt(Math.max(0, follows + random.int(-1, 1))), random);
    return bytes;
  },
  // Cut out.
  (bytes, { random }) => {
    const from = random.int(0, bytes.length);
    const to = random.int(from, Math.min(bytes.length, from + 32));
    return splice(bytes, from, to, Buffer.alloc(0));
  },
  // Cut off.
  (bytes, { random }) => bytes.subarray(0, random.int(0, bytes.length)),
  // A part again.
  (bytes, { random }) => {
    const at = random.int(0, bytes.length);
    return splice(bytes, at, at, part(bytes, random));
  },
  // A part of another input.
  (bytes, { random, other }) => {
    const from = random.int(0, bytes.length);
    const to = random.chance(0.5) ? from : random.int(from, bytes.length);
    return splice(bytes, from, to, part(other, random));
  },
  // The head of this, the tail of another.
  (bytes, { random, other }) =>
    Buffer.concat([
      bytes.subarray(0, random.int(0, bytes.length)),
      other.subarray(random.int(0, other.length)),
    ]),
  // A word of the dictionary, put in or written over.
  (bytes, { random, dictionary }) => {
    if (dictionary.length === 0) return bytes;
    const word = pick(random, dictionary);
    const at = random.int(0, bytes.length);
    const to = random.chance(0.5) ? at : Math.min(bytes.length, at + word.length);
    return splice(bytes, at, to, word);
  },
];

/** One to six mutations, one after the other. Never longer than `maxBytes`. */
export const mutateBytes: Mutate = (input, context) => {
  let bytes: Buffer = Buffer.from(input);
  for (let n = context.random.int(1, STACKED_MAX); n > 0; n--) {
    const mutated = pick(context.random, BYTE_MUTATIONS)(bytes, context);
    bytes = mutated.length > context.maxBytes ? mutated.subarray(0, context.maxBytes) : mutated;
  }
  return Buffer.from(bytes);
};

function mutateSteps(steps: Step[], context: MutateContext): void {
  const { random, other, dictionary, maxBytes } = context;
  const at = random.int(0, steps.length);
  const step = steps[at];
  switch (random.int(0, 7)) {
    case 0: // leave one out
      if (steps.length > 1) steps.splice(at, 1);
      return;
    case 1: // say it twice
      if (step !== undefined) steps.splice(random.int(0, steps.length), 0, step);
      return;
    case 2: {
      // a wrong order
      const partner = random.int(0, steps.length - 1);
      if (step === undefined || steps[partner] === undefined) return;
      steps[at] = steps[partner];
      steps[partner] = step;
      return;
    }
    case 3: {
      // a part of another sequence
      const theirs = parseSteps(other);
      const from = random.int(0, theirs.length);
      steps.splice(at, 0, ...theirs.slice(from, from + random.int(1, 8)));
      return;
    }
    case 4: // somebody else
      if (step !== undefined) steps[at] = { ...step, who: random.int(0, 255) };
      return;
    case 5: // something else
      if (step !== undefined) steps[at] = { ...step, op: random.int(0, 255) };
      return;
    case 6: // a whole word said
      if (dictionary.length > 0) {
        const payload = pick(random, dictionary);
        steps.splice(at, 0, { op: random.int(0, 255), who: random.int(0, 255), payload });
      }
      return;
    default: // other bytes in a step
      if (step !== undefined) {
        steps[at] = { ...step, payload: mutateBytes(step.payload, { ...context, maxBytes }) };
      }
  }
}

/** For targets that read steps: mostly whole steps are moved, seldom bytes that frame them. */
export const mutateSequence: Mutate = (input, context) => {
  if (context.random.chance(0.05)) return mutateBytes(input, context);
  const steps = parseSteps(input);
  for (let n = context.random.int(1, STACKED_MAX); n > 0; n--) mutateSteps(steps, context);
  const bytes = encodeSteps(steps.slice(0, STEPS_MAX));
  return bytes.length > context.maxBytes ? bytes.subarray(0, context.maxBytes) : bytes;
};
