/** `bench --keep`: the anchor's run, and the line that the history gets. */
import { type Checkout, workingTree } from '../compare/checkouts.ts';
import type { Result } from '../result.ts';
import type { RunContext } from '../rig.ts';
import type { Scenario } from '../scenario.ts';
import { measureAnchor } from './anchor.ts';
import { appendLine, figuresOf, lineOf } from './record.ts';

/**
 * Appends the run to the history in `directory`; false, with the reason on stderr, when it cannot be
 * written. An interrupted run is no run of this load and is not kept.
 */
export async function keepRun(
  result: Result,
  options: {
    readonly directory: string;
    readonly anchor: Checkout | null;
    readonly scenarios: readonly Scenario[];
    readonly context: RunContext;
    readonly retries: number;
  },
): Promise<boolean> {
  const { directory, anchor, context, retries } = options;
  let beside: Parameters<typeof lineOf>[1]['anchor'] = null;
  if (anchor !== null && !result.interrupted) {
    const scenarios = options.scenarios.filter(({ name }) => hasFigures(result, name));
    context.progress.log(`anchor ${anchor.label}, ${anchor.sha.slice(0, 10)}: the same loads`);
    const results = await measureAnchor(anchor, { context, scenarios, retries });
    beside = { sha: anchor.sha, results };
  }
  if (context.signal.aborted) {
    process.stderr.write('bench: interrupted, so the run is not kept in the history\n');
    return true;
  }
  try {
    const line = lineOf(result, { subject: subjectOf(result.commit.sha), anchor: beside });
    process.stderr.write(`history: ${appendLine(directory, line)}\n`);
    return true;
  } catch (error) {
    process.stderr.write(`bench: cannot keep the run: ${(error as Error).message}\n`);
    return false;
  }
}

/** What has no number needs none beside it. */
function hasFigures({ scenarios }: Result, name: string): boolean {
  const own = scenarios.filter((scenario) => scenario.name === name);
  return Object.keys(figuresOf(own).metrics).length > 0;
}

/** null when the checkout has moved on to another commit since. */
function subjectOf(sha: string): string | null {
  const tree = workingTree();
  return tree.sha === sha ? tree.subject : null;
}
