/** Waiting for time to pass, or for something to hold. */

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls `isDone` until it holds; false after `timeoutMs`. */
export async function until(isDone: () => boolean, timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (!isDone()) {
    if (performance.now() >= endMs) return false;
    await sleep(5);
  }
  return true;
}
