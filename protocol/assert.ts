/**
 * Programmer errors stop the process, in production too: a broken invariant here means that a
 * message could be lost silently, which is worse than a crash.
 */

/** Throws when `condition` is false. Cheap; used in hot paths as well. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${why}`);
}

/** Closes a switch over a kind: a case that is missing does not compile. */
export function never(value: never, what: string): never {
  throw new Error(`unhandled ${what}: ${String(value)}`);
}
