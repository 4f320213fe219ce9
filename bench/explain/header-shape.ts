/**
 * What the header of a message trace must look like before a story is told from it: traces are sent
 * around, and come back cut, merged and edited.
 */
import { z } from 'zod';
import { mistakesOf } from '../shape-mistakes.ts';
import { printable } from '../units.ts';
import type { TraceHeader } from './message-trace-file.ts';

/** What the first line of a trace says it is. */
export const FORMAT = 'ackbench-message-trace';
export const VERSION = 1;

// Names end up on a terminal and in a drawing.
const name = z.string().transform(printable);
const count = z.number().int().min(0);

const Header = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  startedAt: name,
  sha: name,
  seed: count,
  scenario: name,
  variant: name.nullable(),
  policy: name,
  store: name,
  epoch: count,
  loadStartUs: z.number(),
  isQuiet: z.boolean(),
  parts: z.array(z.object({ uidBase: count, users: count })),
  workers: z.array(z.object({ uidFrom: count, uidTo: count, total: count, kept: count })),
});

/** The header, or what is wrong with it. */
export function headerOf(value: unknown): TraceHeader | { readonly mistakes: string[] } {
  const { data, error } = Header.safeParse(value);
  return error === undefined ? data : { mistakes: mistakesOf(error) };
}
