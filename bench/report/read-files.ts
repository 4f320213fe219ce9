/**
 * Reads the files of a report: results of bench, comparisons and capacities, told apart by their `kind`.
 * Says of every file that cannot be used what is wrong with it.
 */
import path from 'node:path';
import type { z } from 'zod';
import { CAPACITY_SCHEMA } from '../capacity/file.ts';
import { CapacityShape } from '../capacity/shape.ts';
import { readJsonFile, schemaMistake } from '../json-file.ts';
import { uniqueNames } from '../output/runs.ts';
import { TOOL } from '../package-root.ts';
import { DEFAULT_MACHINES } from '../plan/inputs.ts';
import type { Result } from '../result.ts';
import { mistakesOf } from '../shape-mistakes.ts';
import type { CapacityView, ComparisonView, PageData, ResultView, ScenarioView } from './model.ts';
import { runView } from './run-view.ts';
import { ComparisonShape, type ReadResult, ResultShape } from './shape.ts';

const KNOWN_SCHEMA = 1;
const OF_KIND: Readonly<Record<string, number>> = { capacity: CAPACITY_SCHEMA };

/** What the page is made of, or every mistake in every file. */
export function readFiles(files: readonly string[]): PageData | { mistakes: string[] } {
  const page = emptyPage({ isLive: false });
  const mistakes = files.flatMap((file) =>
    addFile(page, file).map((mistake) => `${file}: ${mistake}`),
  );
  if (mistakes.length > 0) return { mistakes };
  nameResults(page.results);
  return page;
}

/** A page without anything on it. */
export function emptyPage({ isLive }: { isLive: boolean }): PageData {
  return {
    tool: TOOL,
    madeAt: new Date().toISOString(),
    isLive,
    plan: { machines: DEFAULT_MACHINES },
    results: [],
    comparisons: [],
    capacities: [],
  };
}

/** Adds what is in the file; what is wrong with it. */
function addFile(page: PageData, file: string): string[] {
  const content = readJsonFile(file);
  if ('mistake' in content) return [content.mistake];
  const { value } = content;
  const { schema, kind, scenarios } = Object(value) as Record<string, unknown>;
  if (typeof schema !== 'number') {
    return ['is no result file of ackbench: give what bench, compare or capacity wrote'];
  }
  const mistake = schemaMistake(schema, OF_KIND[String(kind)] ?? KNOWN_SCHEMA);
  if (mistake !== null) return [mistake];
  const name = path.basename(file);
  if (kind === 'comparison') {
    return add(ComparisonShape, value, (read) =>
      page.comparisons.push({ ...(read as unknown as ComparisonView), file: name }),
    );
  }
  if (kind === 'capacity') {
    return add(CapacityShape, value, (read) =>
      page.capacities.push({ ...(read as unknown as CapacityView), file: name }),
    );
  }
  if (kind !== undefined || scenarios === undefined) {
    return [`is of kind ${JSON.stringify(kind)}: reports are of bench, compare and capacity`];
  }
  return add(ResultShape, value, (read) => page.results.push(resultView(read, name)));
}

function add<Shape extends z.ZodType>(
  shape: Shape,
  value: unknown,
  take: (read: z.infer<Shape>) => void,
): string[] {
  const parsed = shape.safeParse(value);
  if (!parsed.success) {
    return mistakesOf(parsed.error);
  }
  try {
    take(parsed.data);
  } catch (error) {
    return [(error as Error).message];
  }
  return [];
}

/** A result that was just measured, through the same door as a file: so page and report cannot differ. */
export function viewOf(result: Result, file: string): ResultView {
  return resultView(ResultShape.parse(JSON.parse(JSON.stringify(result))), file);
}

/** A result as the page takes it. `file`: its name without directory. */
function resultView(read: ReadResult, file: string): ResultView {
  const { scenarios, schema: _, ...rest } = read;
  const nameScenario = uniqueNames();
  return {
    ...(rest as unknown as Omit<ResultView, 'file' | 'label' | 'scenarios'>),
    file,
    label: commitLabel(read),
    scenarios: scenarios.map((scenario): ScenarioView => {
      const { variants, ...whole } = scenario;
      const nameVariant = uniqueNames();
      const { description } = scenario.config;
      return {
        name: nameScenario(scenario.name),
        description: typeof description === 'string' ? description : '',
        whole: runView(whole),
        variants: variants.map(({ variants: __, ...run }) => ({
          name: nameVariant(run.variant ?? 'without a name'),
          run: runView(run),
        })),
      };
    }),
  };
}

function commitLabel({ commit }: ReadResult): string {
  return `${commit.sha.slice(0, 8)}${commit.dirty ? '*' : ''}`;
}

/** Several runs of one commit are told apart by their start. */
function nameResults(results: ResultView[]): void {
  const name = uniqueNames();
  const count = (label: string): number => results.filter((other) => other.label === label).length;
  const labels = results.map((result) =>
    count(result.label) === 1
      ? result.label
      : `${result.label} ${result.startedAt.replace('T', ' ').slice(5, 16)}`,
  );
  for (const [i, result] of results.entries()) result.label = name(labels[i] as string);
}
