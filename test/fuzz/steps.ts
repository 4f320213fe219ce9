/**
 * Sequences as bytes: how an input of a sequence target is read and written. Every string of bytes
 * is a sequence, so a mutation cannot make an input that says nothing.
 *
 *     0    1     2         4
 *     | op | who | length  | payload … |      length u16, little-endian; the last payload may be cut
 */

/** One step: what to do, who does it, and with which bytes. */
export interface Step {
  readonly op: number;
  readonly who: number;
  readonly payload: Buffer;
}

/** Longer sequences are cut: a failure of hundreds of steps tells nobody anything. */
export const STEPS_MAX = 64;
const HEADER_BYTES = 4;

export function parseSteps(input: Buffer): Step[] {
  const steps: Step[] = [];
  let at = 0;
  while (steps.length < STEPS_MAX && input.length - at >= HEADER_BYTES) {
    const from = at + HEADER_BYTES;
    const to = Math.min(input.length, from + input.readUInt16LE(at + 2));
    steps.push({
      op: input[at] as number,
      who: input[at + 1] as number,
      payload: input.subarray(from, to),
    });
    at = to;
  }
  return steps;
}

export function encodeSteps(steps: readonly Step[]): Buffer {
  return Buffer.concat(
    steps.flatMap(({ op, who, payload }) => {
      const header = Buffer.from([op, who, 0, 0]);
      header.writeUInt16LE(Math.min(payload.length, 0xffff), 2);
      return [header, payload.subarray(0, 0xffff)];
    }),
  );
}
