/**
 * The frozen commit that is measured along with a run. Whatever the machine does to both, a slower
 * disk, a new kernel, a neighbour, is in both numbers and cancels in their ratio; what the commit does
 * is in one of them only. Loads only: nothing else is short enough to be run twice every time.
 */
import { ExitCode } from '../../loadgen/index.ts';
import {
  type Checkout,
  CheckoutError,
  checkOut,
  requireSameProtocol,
  workingTree,
} from '../compare/checkouts.ts';
import { runLoad } from '../load-run.ts';
import type { ScenarioResult } from '../result.ts';
import { isUnfit, type RunContext } from '../rig.ts';
import type { LoadScenario, Scenario } from '../scenario.ts';
import { referenceOf } from '../server-program.ts';
import { ServerYard } from '../server-yard.ts';

/**
 * Unpacks the anchor and installs its packages, which takes processor time and so comes before
 * anything is measured. null for no ref; an exit code, with the reason on stderr, when it cannot be.
 */
export async function readyAnchor(
  ref: string | null,
  options: { log: (line: string) => void; signal: AbortSignal },
): Promise<Checkout | ExitCode | null> {
  if (ref === null) return null;
  try {
    const anchor = await checkOut(ref, options);
    requireSameProtocol(anchor, workingTree());
    return anchor;
  } catch (error) {
    if (options.signal.aborted) return ExitCode.Interrupted;
    if (!(error instanceof CheckoutError)) throw error;
    process.stderr.write(`bench: --anchor: ${error.message}\n`);
    return ExitCode.Usage;
  }
}

/** The same loads on the anchor's server; what it cannot run is left out, and stderr says so. */
export async function measureAnchor(
  anchor: Checkout,
  options: {
    readonly context: RunContext;
    readonly scenarios: readonly Scenario[];
    readonly retries: number;
  },
): Promise<ScenarioResult[]> {
  const { scenarios, retries } = options;
  const { pinning } = options.context.servers;
  const servers = new ServerYard(pinning, [], referenceOf(anchor.directory));
  const context: RunContext = { ...options.context, servers };
  const results: ScenarioResult[] = [];
  const leftOut = (name: string, why: string): void => {
    process.stderr.write(`bench: ${name}: left out of the anchor's run: ${why}\n`);
  };
  try {
    for (const scenario of scenarios) {
      if (context.signal.aborted) break;
      if (scenario.kind !== 'load') {
        leftOut(scenario.name, `only loads are run against it, this is ${scenario.kind}`);
        continue;
      }
      try {
        const result = await runUntilValid(context, scenario, retries);
        results.push(result);
        if (result.verdict !== 'pass') {
          leftOut(scenario.name, `${result.verdict}: ${result.reasons.join('; ')}`);
        }
      } catch (error) {
        if (!isUnfit(error)) throw error;
        leftOut(scenario.name, (error as Error).message);
      }
    }
  } finally {
    await servers.close();
  }
  return results;
}

async function runUntilValid(
  context: RunContext,
  scenario: LoadScenario,
  retries: number,
): Promise<ScenarioResult> {
  let result = await runLoad(context, scenario);
  for (let retry = 0; retry < retries && result.verdict === 'invalid'; retry++) {
    if (context.signal.aborted) break;
    result = await runLoad(context, scenario);
  }
  return result;
}
