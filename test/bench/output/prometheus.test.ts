/** Prometheus text format: every line is of its grammar, every series there once, in base units. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderPrometheus } from '../../../bench/output/prometheus.ts';
import type { ScenarioResult } from '../../../bench/result.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';
import { invalidRun, measuredRun, variantsOf } from './measured.ts';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const VALUE = '[+-]?(?:\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|Inf|NaN)';
const HELP_LINE = new RegExp(`^# HELP (${NAME}) (?:[^\\\\\\n]|\\\\[\\\\n])+$`);
const TYPE_LINE = new RegExp(`^# TYPE (${NAME}) (gauge|summary)$`);
const SAMPLE_LINE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (${VALUE})$`);

/** As a plain error, which `assert.throws` takes for one. */
function demand(isMet: boolean, what: string): void {
  if (!isMet) throw new Error(what);
}

/** Series by name and labels; throws at what is not of the format. */
function seriesOf(text: string): Map<string, number> {
  demand(text.endsWith('\n'), 'the last line does not end');
  const series = new Map<string, number>();
  const families = new Set<string>();
  let family = '';
  let type = '';
  for (const line of text.slice(0, -1).split('\n')) {
    const help = HELP_LINE.exec(line)?.[1];
    if (help !== undefined) {
      demand(!families.has(help), `${help} is in two pieces`);
      families.add(help);
      [family, type] = [help, ''];
      continue;
    }
    const [, typed, kind] = TYPE_LINE.exec(line) ?? [];
    if (typed !== undefined) {
      demand(typed === family, `${typed} has no help`);
      type = kind as string;
      continue;
    }
    const [, name, labels = '', value] = SAMPLE_LINE.exec(line) ?? [];
    if (name === undefined) throw new Error(`no line of the format: ${line}`);
    const base = type === 'summary' ? name.replace(/_(sum|count)$/, '') : name;
    demand(base === family && type !== '', `${line} is not of ${family}`);
    demand(!series.has(name + labels), `twice: ${name}${labels}`);
    series.set(name + labels, Number(value));
  }
  return series;
}

function render(...scenarios: ScenarioResult[]): Map<string, number> {
  return seriesOf(renderPrometheus(resultOf(scenarios)));
}

test('the check knows a wrong line', () => {
  for (const line of ['a{b="c"d"} 1', 'a{b="c} 1', 'a b', 'a 1 2 3', '1a 2', 'a{b="\\x"} 1']) {
    assert.throws(
      () => seriesOf(`# HELP a x\n# TYPE a gauge\n${line}\n`),
      /no line of the format/,
      line,
    );
  }
  const twice = '# HELP a x\n# TYPE a gauge\na{b="c"} 1\na{b="c"} 2\n';
  assert.throws(() => seriesOf(twice), /twice/);
  assert.is(seriesOf('# HELP a x\n# TYPE a gauge\na{b="\\"\\\\\\n"} 1e-7\n').size, 1);
});

test('a latency is a summary in seconds, without the quantiles that have too few samples', () => {
  const series = render(measuredRun());
  const labels = 'scenario="a-scenario",latency="confirm"';
  assert.is(series.get(`ackbench_latency_seconds{${labels},quantile="0.5"}`), 0.01);
  assert.is(series.get(`ackbench_latency_seconds{${labels},quantile="0.99"}`), 0.019792);
  assert.not(series.has(`ackbench_latency_seconds{${labels},quantile="0.999"}`));
  assert.is(series.get(`ackbench_latency_seconds_count{${labels}}`), 20_000);
  // 1 + … + 20,000 us
  assert.is(series.get(`ackbench_latency_seconds_sum{${labels}}`), 200.01);
  assert.is(series.get(`ackbench_latency_max_seconds{${labels}}`), 0.02);
  assert.not(
    [...series.keys()].some((name) => name.includes('latency="accept"')),
    'no samples',
  );
});

test('figures are in base units', () => {
  const series = render(measuredRun());
  const of = (name: string): number | undefined =>
    series.get(`ackbench_${name}{scenario="a-scenario"}`);
  assert.is(of('server_cpu_seconds_per_message'), 0.0000125);
  assert.is(of('server_peak_resident_memory_bytes'), 2 ** 27);
  assert.is(of('achieved_per_second'), 99);
  assert.is(of('generator_busy_ratio'), 0.2);
  assert.is(series.get('ackbench_ledger_messages{scenario="a-scenario",figure="accepted"}'), 1000);
  assert.is(series.get('ackbench_packets{scenario="a-scenario",packet="msg:R"}'), 1000);
  assert.is(series.get('ackbench_run_start_timestamp_seconds'), 1_735_689_600);
  assert.is(series.get('ackbench_run_duration_seconds'), 12.4);
});

test('runs without numbers to compare keep their verdict and their gates, and nothing else', () => {
  const series = render(invalidRun(), measuredRun({ name: 'unproven', verdict: 'unknown' }));
  assert.is(series.get('ackbench_verdict{scenario="a-scenario",verdict="invalid"}'), 1);
  assert.is(series.get('ackbench_verdict{scenario="a-scenario",verdict="pass"}'), 0);
  assert.is(series.get('ackbench_verdict{scenario="unproven",verdict="unknown"}'), 1);
  const gate = 'ackbench_gate_ok{scenario="a-scenario",gate="G3",name="generator busy"}';
  assert.is(series.get(gate), 0);
  const rest = [...series.keys()].filter((name) => !/^ackbench_(verdict|gate_ok|run_)/.test(name));
  assert.equal(rest, []);
});

test('thresholds are there once each, of runs in which they were judged', () => {
  const threshold = { threshold: 'confirm.p99<50ms', value: 19_792, ok: true };
  const series = render(measuredRun({ thresholds: [threshold, { ...threshold, ok: false }] }));
  const name = 'ackbench_threshold_ok{scenario="a-scenario",threshold="confirm.p99<50ms';
  assert.is(series.get(`${name}"}`), 1);
  assert.is(series.get(`${name} #2"}`), 0);
  const invalid = render(invalidRun({ thresholds: [threshold] }));
  assert.not([...invalid.keys()].some((key) => key.includes('threshold')));
});

test('label values are escaped, variants told apart', () => {
  const variant = 'a "quoted" \\ back\nslash';
  const series = render(variantsOf(measuredRun({ variant }), measuredRun({ variant })));
  const label = 'variant="a \\"quoted\\" \\\\ back\\nslash"';
  const name = `ackbench_achieved_per_second{scenario="a-scenario",${label}}`;
  assert.is(series.get(name), 99);
  assert.is(series.get(name.replace('slash"', 'slash #2"')), 99);
});

test('what is not known, or is no rate, has no sample', () => {
  const server = { cpuUsPerMessage: null, rssBytes: null, peakRssBytes: null };
  const load = { ...scenarioResult().load, mode: 'none' };
  const names = [...render(scenarioResult({ server, load })).keys()].join('\n');
  assert.not.match(names, /server_|achieved|offered|generator_/);
});

test.run();
