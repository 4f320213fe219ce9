/** Ctrl-C and SIGTERM, for commands that report what was measured before they end. */
import { ExitCode } from '../loadgen/index.ts';

/** Signals closer than this are one: from the terminal's group, and from a wrapper forwarding it. */
const SECOND_INTERRUPT_MS = 500;

/** Aborted by the first signal; the second ends the process. `then` says what comes after the first. */
export function interruptible(command: string, then: string): AbortSignal {
  const controller = new AbortController();
  let interruptedAtMs = -Infinity;
  const onInterrupt = (): void => {
    const nowMs = performance.now();
    if (controller.signal.aborted) {
      if (nowMs - interruptedAtMs > SECOND_INTERRUPT_MS) process.exit(ExitCode.Interrupted);
      return;
    }
    interruptedAtMs = nowMs;
    process.stderr.write(`\n${command}: interrupted; ${then} (again to quit at once)\n`);
    controller.abort();
  };
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  return controller.signal;
}
