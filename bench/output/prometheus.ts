/**
 * Prometheus text format 0.0.4, for the textfile collector and the Pushgateway: base units, one family
 * after the other, no timestamps (the collector refuses them). Verdicts, gates and thresholds are there
 * for every run, numbers only of runs that may be compared, so that no graph shows a run that proves
 * nothing.
 */
import type { LatencySummary } from '../../loadgen/index.ts';
import type { Result, ScenarioResult, Verdict } from '../result.ts';
import { type NamedScenario, type Run, scenariosOf, uniqueNames } from './runs.ts';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  /** Of the name, for the parts of a summary. */
  readonly suffix?: '_sum' | '_count';
  readonly labels: Labels;
  /** null = not known; no sample. */
  readonly value: number | null;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'summary';
  readonly samples: readonly Sample[];
}

const VERDICTS: readonly Verdict[] = ['pass', 'fail', 'invalid', 'unknown'];

export function renderPrometheus(result: Result): string {
  const scenarios = scenariosOf(result);
  const runs = scenarios.flatMap((scenario) => scenario.runs);
  const comparable = runs.filter(({ isComparable }) => isComparable);
  const families = [
    ...wholeFamilies(result),
    ...verdictFamilies(scenarios, runs),
    ...latencyFamilies(comparable),
    ...countFamilies(comparable),
    ...gaugeFamilies(comparable),
  ];
  return families.map(familyText).join('');
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `ackbench_${name}`, help, type: 'gauge', samples };
}

function wholeFamilies(result: Result): Family[] {
  const { tool, commit, target, verdict, startedAt, durationS } = result;
  const { kind } = target;
  const labels = { version: tool.version, commit: commit.sha, dirty: String(commit.dirty), kind };
  return [
    gauge('run_info', 'Which run this is.', [{ labels, value: 1 }]),
    gauge('run_start_timestamp_seconds', 'When the run began.', [
      { labels: {}, value: Date.parse(startedAt) / 1000 },
    ]),
    gauge('run_duration_seconds', 'Wall-clock time of everything.', [
      { labels: {}, value: durationS },
    ]),
    gauge('run_verdict', 'Verdict of the whole: 1 for the one that it is.', states({}, verdict)),
  ];
}

/** One sample per verdict, so that a changed verdict does not leave the old one behind. */
function states(labels: Labels, verdict: Verdict): Sample[] {
  return VERDICTS.map((state) => ({
    labels: { ...labels, verdict: state },
    value: state === verdict ? 1 : 0,
  }));
}

function labelsOf({ scenario, variant }: Run): Labels {
  return { scenario, variant };
}

function verdictFamilies(scenarios: readonly NamedScenario[], runs: readonly Run[]): Family[] {
  const ofScenarios = scenarios.flatMap(({ name, result }) =>
    states({ scenario: name, variant: '' }, result.verdict),
  );
  const ofVariants = runs
    .filter(({ variant }) => variant !== '')
    .flatMap((run) => states(labelsOf(run), run.result.verdict));
  const gates = runs.flatMap((run) =>
    run.result.gates.map(({ id, name, ok }) => ({
      labels: { ...labelsOf(run), gate: id, name },
      value: Number(ok),
    })),
  );
  const thresholds = scenarios
    .filter(({ isComparable }) => isComparable)
    .flatMap(({ name, result }) => {
      const uniqueName = uniqueNames();
      return result.thresholds.map(({ threshold, ok }) => ({
        labels: { scenario: name, threshold: uniqueName(threshold) },
        value: Number(ok),
      }));
    });
  const help = 'Verdict of a scenario or variant: 1 for the one that it is.';
  return [
    gauge('verdict', help, [...ofScenarios, ...ofVariants]),
    gauge('gate_ok', 'Whether a validity gate was met.', gates),
    gauge('threshold_ok', 'Whether a threshold was met.', thresholds),
  ];
}

function latencyFamilies(runs: readonly Run[]): Family[] {
  const all = runs.flatMap((run) =>
    Object.entries(run.result.latency)
      .filter(([, { count }]) => count > 0)
      .map(([key, summary]) => ({
        labels: { ...labelsOf(run), latency: key.replace(/Us$/, '') },
        summary,
      })),
  );
  return [
    {
      name: 'ackbench_latency_seconds',
      help: 'Latencies of the window; 3600 stands for never.',
      type: 'summary',
      samples: all.flatMap(({ labels, summary }) => summarySamples(labels, summary)),
    },
    gauge(
      'latency_max_seconds',
      'The longest latency of the window.',
      all.map(({ labels, summary }) => ({ labels, value: seconds(summary.max) })),
    ),
  ];
}

function summarySamples(labels: Labels, summary: LatencySummary): Sample[] {
  const { count, mean } = summary;
  const quantiles: [string, number | null][] = [
    ['0.5', summary.p50],
    ['0.9', summary.p90],
    ['0.95', summary.p95],
    ['0.99', summary.p99],
    ['0.999', summary.p999],
    ['0.9999', summary.p9999],
  ];
  return [
    ...quantiles.map(([quantile, us]) => ({
      labels: { ...labels, quantile },
      value: us === null ? null : seconds(us),
    })),
    { suffix: '_sum', labels, value: seconds(mean * count) },
    { suffix: '_count', labels, value: count },
  ];
}

function seconds(us: number): number {
  return us / 1e6;
}

function countFamilies(runs: readonly Run[]): Family[] {
  const counts = (
    label: string,
    pick: (run: ScenarioResult) => Readonly<Record<string, number>>,
  ): Sample[] =>
    runs.flatMap((run) =>
      Object.entries(pick(run.result)).map(([name, value]) => ({
        labels: { ...labelsOf(run), [label]: name },
        value,
      })),
    );
  return [
    gauge(
      'ledger_messages',
      'Figures of the ledger, messages.',
      counts('figure', ({ ledger }) => ({ ...ledger })),
    ),
    gauge(
      'packets',
      'Packets at the clients, both directions.',
      counts('packet', ({ packets }) => packets),
    ),
  ];
}

function gaugeFamilies(runs: readonly Run[]): Family[] {
  const of = (pick: (run: ScenarioResult) => number | null): Sample[] =>
    runs.map((run) => ({ labels: labelsOf(run), value: pick(run.result) }));
  // What is no load offers nothing, and its rate means nothing.
  const ofLoad = (pick: (run: ScenarioResult) => number): Sample[] =>
    of((run) => (run.load.mode === 'none' ? null : pick(run)));
  return [
    gauge(
      'achieved_per_second',
      'Messages settled per second of the window; pages per second in http-pull.',
      ofLoad(({ load }) => load.achievedPerSec),
    ),
    gauge(
      'offered_per_second',
      'Messages due per second of the window; 0 in a closed loop.',
      ofLoad(({ load }) => load.offeredPerSec),
    ),
    gauge(
      'wire_duplicates_ratio',
      'Repeats that arrived, of the messages that arrived.',
      of(({ dedupe }) => dedupe.wireDuplicateRatio),
    ),
    gauge(
      'retransmissions_ratio',
      'msg:R beyond the first of each message, of the messages.',
      of(({ retransmit }) => retransmit.ratio),
    ),
    gauge(
      'server_cpu_seconds_per_message',
      'CPU time of the server per settled message.',
      of(({ server }) =>
        server.cpuUsPerMessage === null ? null : seconds(server.cpuUsPerMessage),
      ),
    ),
    gauge(
      'server_resident_memory_bytes',
      'Resident memory of the server at the end of the load.',
      of(({ server }) => server.rssBytes),
    ),
    gauge(
      'server_peak_resident_memory_bytes',
      'Highest resident memory of the server.',
      of(({ server }) => server.peakRssBytes),
    ),
    gauge(
      'generator_cpu_seconds_per_message',
      'CPU time of the generator per message.',
      ofLoad(({ generator }) => seconds(generator.cpuUsPerMessage)),
    ),
    gauge(
      'generator_busy_ratio',
      'Share of the time that the busiest generator thread was busy.',
      ofLoad(({ generator }) => generator.eluMean),
    ),
  ];
}

function familyText({ name, help, type, samples }: Family): string {
  const known = samples.filter(({ value }) => value !== null);
  if (known.length === 0) return '';
  const lines = known.map(
    ({ suffix = '', labels, value }) => `${name}${suffix}${labelText(labels)} ${value}`,
  );
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
}

/** An empty label is no label. */
function labelText(labels: Labels): string {
  const pairs = Object.entries(labels)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
