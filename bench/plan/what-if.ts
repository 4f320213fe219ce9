/**
 * What would be different: the same plan with one input changed (`--what-if offlineShare=0.1,0.3`), and
 * with other capacity files (one policy against another). Every variation is planned alone.
 */
import { type Field, FIELD_OF, valueOf } from './fields.ts';
import { type PlanInputs, planFleet, type PlanOutcome, type PlanSource } from './formulas.ts';

export interface Variation {
  /** What is different, as `offlineShare=0.1`. */
  readonly name: string;
  readonly changed: Partial<PlanInputs>;
}

export interface VariedPlan {
  readonly name: string;
  readonly outcome: PlanOutcome;
}

/** `key=a,b,c` to one variation per value. */
export function parseWhatIf(text: string, mistakes: string[]): Variation[] {
  const [key = '', list] = text.split('=', 2).map((part) => part.trim());
  const field = FIELD_OF.get(key) ?? [...FIELD_OF.values()].find(({ flag }) => flag === key);
  if (field === undefined || list === undefined || list === '') {
    const why = field === undefined ? `no input ${key}` : 'no values';
    mistakes.push(
      `--what-if ${text}: ${why}; write offlineShare=0.1,0.3; inputs are ${[...FIELD_OF.keys()].join(', ')}`,
    );
    return [];
  }
  return list.split(',').flatMap((each) => variationOf(field, each.trim(), mistakes));
}

function variationOf(field: Field, text: string, mistakes: string[]): Variation[] {
  const value = valueOf(field, text);
  if (typeof value === 'string') {
    mistakes.push(`--what-if ${field.key}: ${value}`);
    return [];
  }
  return [{ name: `${field.key}=${text}`, changed: { [field.key]: value.value } }];
}

export function planVariations(
  source: PlanSource,
  inputs: PlanInputs,
  variations: readonly Variation[],
): VariedPlan[] {
  return variations.map(({ name, changed }) => ({
    name,
    outcome: planFleet(source, { ...inputs, ...changed }),
  }));
}
