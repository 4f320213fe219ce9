/** The result of `plan`: one plan per capacity file, what would be different, and what moves it most. */
import type { CapacityFile } from '../capacity/file.ts';
import { noModelBecause } from '../capacity/words.ts';
import { TOOL } from '../package-root.ts';
import {
  planFleet,
  type PlanInputs,
  type PlanOutcome,
  type PlanSource,
  type SensitivityRow,
  sensitivityOf,
} from './formulas.ts';
import type { Origin } from './inputs.ts';
import type { NamedCapacity, PlanOptions } from './options.ts';
import { planVariations, type VariedPlan } from './what-if.ts';

const PLAN_SCHEMA = 1;

/** Where the measured numbers of a plan come from. */
export interface SourceReport {
  readonly file: string;
  readonly policy: string;
  readonly store: string;
  readonly startedAt: string;
  readonly commitSha: string;
  readonly cpuModel: string;
  /** Mean error of a layer on runs that were held out. */
  readonly heldOutErrors: { readonly layer: string; readonly meanError: number }[];
}

export interface PlanOfFile {
  readonly source: SourceReport;
  readonly outcome: PlanOutcome;
  /** Of the chosen machine type; none when there is none. */
  readonly sensitivity: SensitivityRow[];
  readonly whatIf: VariedPlan[];
}

export interface PlanReport {
  readonly schema: typeof PLAN_SCHEMA;
  readonly kind: 'plan';
  readonly tool: typeof TOOL;
  readonly inputs: PlanInputs;
  readonly origins: Origin[];
  readonly plans: PlanOfFile[];
}

/** What a plan needs of a capacity file, or why there can be none. */
export function planSourceOf({ file, capacity }: NamedCapacity): PlanSource | string {
  const { model, search, validation } = capacity;
  if (model === null) return `${file}: has no model: ${noModelBecause(capacity)}`;
  const refusal =
    validation === null
      ? 'the model was not validated: the calibration was interrupted'
      : validation.refusal;
  return { model, search, refusal };
}

/** The report, or why there is none, one reason per file. */
export function planReportOf(options: PlanOptions): PlanReport | { reasons: string[] } {
  const { inputs, origins, capacities, variations } = options;
  const reasons: string[] = [];
  const plans = capacities.flatMap((named): PlanOfFile[] => {
    const source = planSourceOf(named);
    if (typeof source === 'string') {
      reasons.push(source);
      return [];
    }
    const outcome = planFleet(source, inputs);
    const { chosen } = outcome;
    return [
      {
        source: describeSource(named.file, named.capacity),
        outcome,
        sensitivity: chosen === null ? [] : sensitivityOf(source, inputs, chosen),
        whatIf: planVariations(source, inputs, variations),
      },
    ];
  });
  if (reasons.length > 0) return { reasons };
  return { schema: PLAN_SCHEMA, kind: 'plan', tool: TOOL, inputs, origins, plans };
}

export function describeSource(file: string, capacity: CapacityFile): SourceReport {
  return {
    file,
    policy: capacity.target.policy,
    store: capacity.target.store,
    startedAt: capacity.startedAt,
    commitSha: capacity.commit.sha,
    cpuModel: capacity.environment.cpuModel,
    heldOutErrors: (capacity.validation?.layers ?? []).map(({ layer, meanError }) => ({
      layer,
      meanError,
    })),
  };
}
