/** One result of several runs of a scenario: its variants, or its points. */
import { detectionPower, type ScenarioResult, worstVerdict } from './result.ts';
import { hashOf } from './rig.ts';
import type { Scenario } from './scenario.ts';

/** Headline of the first variant; ledger, dedupe, retransmissions and packets of all. */
export function combine(scenario: Scenario, results: ScenarioResult[]): ScenarioResult {
  const headline = results[0] as ScenarioResult;
  const ledger = { ...headline.ledger };
  const dedupe = { ...headline.dedupe };
  const retransmit = { ...headline.retransmit };
  const packets = { ...headline.packets };
  const bytes = { ...headline.bytes };
  let distinct = 0;
  for (const [index, result] of results.entries()) {
    distinct += result.dedupe.wireArrivals - result.dedupe.wireDuplicates;
    if (index === 0) continue;
    for (const key of Object.keys(ledger) as (keyof typeof ledger)[]) {
      ledger[key] += result.ledger[key];
    }
    dedupe.wireArrivals += result.dedupe.wireArrivals;
    dedupe.wireDuplicates += result.dedupe.wireDuplicates;
    dedupe.absorbed += result.dedupe.absorbed;
    retransmit.count += result.retransmit.count;
    bytes.sent += result.bytes.sent;
    bytes.received += result.bytes.received;
    for (const [name, count] of Object.entries(result.packets)) {
      packets[name] = (packets[name] ?? 0) + count;
    }
  }
  dedupe.wireDuplicateRatio = distinct === 0 ? 0 : dedupe.wireDuplicates / distinct;
  retransmit.ratio = ledger.attempted === 0 ? 0 : retransmit.count / ledger.attempted;
  return {
    ...headline,
    verdict: worstVerdict(results.map(({ verdict }) => verdict)),
    reasons: results.flatMap(({ variant, reasons }) => reasons.map((r) => `${variant}: ${r}`)),
    config: scenario,
    configHash: hashOf(scenario),
    load: { ...headline.load, sent: ledger.attempted },
    ledger,
    dedupe,
    retransmit,
    packets,
    bytes,
    ...detectionPower(results.reduce((sum, result) => sum + judgedIn(result), 0)),
    variants: results,
  };
}

/** Messages of a result in which `lost` was judged. */
function judgedIn({ lossBelow, ledger }: ScenarioResult): number {
  return lossBelow === null ? 0 : ledger.accepted;
}
