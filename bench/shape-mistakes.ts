/** What zod found wrong with a file, in words. */
import type { z } from 'zod';

/** Of one file; the first few say enough. */
const MISTAKES_MAX = 5;

/** What is wrong with a file, each with its place in it. */
export function mistakesOf({ issues }: z.ZodError): string[] {
  const told = issues.map(({ path: at, message }) => `${at.join('.') || 'the file'}: ${message}`);
  const more = told.length - MISTAKES_MAX;
  return more > 0 ? [...told.slice(0, MISTAKES_MAX), `and ${more} more mistakes`] : told;
}
