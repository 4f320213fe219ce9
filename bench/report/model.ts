/**
 * What a page is given: result files made ready for drawing. Types only: the page takes them from here
 * as well, so that what is embedded and what is drawn cannot differ. Histograms are curves already;
 * everything else is as in the file, under the same names.
 */
import type { CapacityFile } from '../capacity/file.ts';
import type { Comparison } from '../compare/report.ts';
import type { MachineType } from '../plan/formulas.ts';
import type { LatencyReport, Result, ScenarioResult, SeriesPoint } from '../result.ts';

export type LatencyName = keyof LatencyReport;

/** A latency without its histogram. */
export interface LatencyView {
  count: number;
  mean: number;
  p50: number | null;
  p90: number | null;
  p95: number | null;
  p99: number | null;
  p999: number | null;
  p9999: number | null;
  max: number;
  /** `[1 / (1 - q), us]`, ascending; empty when nothing was recorded. */
  curve: [number, number][];
}

/** Something that was done to a run, at its place on the time axis. */
export interface Mark {
  atS: number;
  /** null = an instant. */
  untilS: number | null;
  /** One word for the plot, as `kill`. */
  label: string;
  /** A sentence for the list under it. */
  text: string;
}

/** A rate that is offered from an instant on. */
export interface RateStep {
  fromS: number;
  perSec: number;
}

export interface RunView extends Omit<ScenarioResult, 'latency' | 'variants' | 'bytes'> {
  latency: Partial<Record<LatencyName, LatencyView>>;
  bytes: ScenarioResult['bytes'] | null;
  marks: Mark[];
  warmupS: number;
  durationS: number | null;
  /** What is offered; empty where nothing is, as in a closed loop. */
  schedule: RateStep[];
}

export interface ScenarioView {
  /** Unique in its file. */
  name: string;
  description: string;
  /** Over all variants; its ledger, dedupe and packets are sums. */
  whole: RunView;
  /** The variants by their unique names; empty for a scenario without. */
  variants: { name: string; run: RunView }[];
}

export interface ResultView extends Omit<Result, 'scenarios' | 'schema'> {
  /** The file's name, without its directory. */
  file: string;
  /** Names it in legends: the commit, and the start where that is not enough. */
  label: string;
  scenarios: ScenarioView[];
}

export interface ComparisonView extends Comparison {
  file: string;
}

export interface CapacityView extends CapacityFile {
  file: string;
}

export interface PageData {
  /** What a calculator starts with. */
  plan: { machines: readonly MachineType[] };
  tool: { name: string; version: string };
  madeAt: string;
  /** A page of a run that still goes on, which asks its own origin for news. */
  isLive: boolean;
  results: ResultView[];
  comparisons: ComparisonView[];
  capacities: CapacityView[];
}

/** News of a run that goes on, one JSON object per server-sent event. */
export type LiveEvent =
  | { type: 'state'; state: LiveState }
  | { type: 'run'; run: LiveRun }
  /** What goes on, and what is known of a second; the same second again replaces it. */
  | { type: 'second'; phase: string; point: SeriesPoint | null }
  | { type: 'end'; state: LiveState };

export interface LiveState {
  /** All that is finished. */
  page: PageData;
  /** Names of what was planned, in order. */
  planned: string[];
  running: LiveRun | null;
}

export interface LiveRun {
  name: string;
  totalS: number;
  /** What goes on, in words. */
  phase: string;
  marks: Mark[];
  warmupS: number;
  schedule: RateStep[];
  series: SeriesPoint[];
}
