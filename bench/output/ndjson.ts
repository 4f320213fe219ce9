/**
 * One JSON object per line, for jq, DuckDB and log pipelines: `second` for every second of every run,
 * warm-up included, `summary` for every variant and for every scenario. Keys are those of the result
 * file. Every line names its run, so that files of several runs can be joined.
 */
import type { LatencySummary } from '../../loadgen/index.ts';
import type { Result, ScenarioResult } from '../result.ts';
import { scenariosOf } from './runs.ts';

export function renderNdjson(result: Result): string {
  const lines: object[] = [];
  for (const { name, result: scenario, runs } of scenariosOf(result)) {
    for (const { variant, result: run } of runs) {
      const origin = { startedAt: result.startedAt, scenario: name, variant: variant || null };
      for (const point of run.series) lines.push({ type: 'second', ...origin, ...point });
      lines.push({ type: 'summary', ...origin, ...contextOf(result), ...summaryOf(run) });
    }
    if (scenario.variants.length === 0) continue;
    const origin = { startedAt: result.startedAt, scenario: name, variant: null };
    lines.push({ type: 'summary', ...origin, ...contextOf(result), ...sumOf(scenario) });
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

function contextOf({ tool, commit, seed, interrupted }: Result): object {
  return { tool: tool.version, commit: commit.sha, dirty: commit.dirty, seed, interrupted };
}

/** A run without what is long or has lines of its own. */
function summaryOf(run: ScenarioResult): object {
  const { load, latency, server, generator, gates } = run;
  const short = Object.entries(latency).map(([name, summary]) => [name, withoutHistogram(summary)]);
  return { ...sumOf(run), load, latency: Object.fromEntries(short), server, generator, gates };
}

/** What a scenario has even when its variants are counted together. */
function sumOf(run: ScenarioResult): object {
  const { verdict, reasons, configHash, target, ledger, dedupe, retransmit, packets, bytes } = run;
  const { thresholds, lossBelow } = run;
  return {
    verdict,
    reasons,
    configHash,
    target,
    ledger,
    dedupe,
    retransmit,
    packets,
    bytes,
    thresholds,
    lossBelow,
  };
}

/** JSON has no undefined: the key is gone. */
function withoutHistogram(summary: LatencySummary): object {
  return { ...summary, hdr: undefined };
}
