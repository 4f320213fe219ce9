/**
 * What a plan is asked for: defaults, then a preset, then a file, then flags; the later wins. Every value
 * remembers where it came from, so that `--assumptions` can say what nobody has checked.
 */
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { type Field, FIELDS, FIELD_OF, type FieldKey, valueOf } from './fields.ts';
import type { MachineType, PlanInputs } from './formulas.ts';
import { PRESETS } from './presets.ts';

export interface Origin {
  readonly key: FieldKey;
  readonly value: string | number | boolean;
  readonly source: string;
}

export interface ChosenInputs {
  readonly inputs: PlanInputs;
  /** One per field, in their order. */
  readonly origins: Origin[];
}

/** Without prices, because a price is nobody's but the user's. */
export const DEFAULT_MACHINES: readonly MachineType[] = [
  ['2-core', 2, 8, 1, 100] as const,
  ['4-core', 4, 16, 2, 200] as const,
  ['8-core', 8, 32, 5, 400] as const,
].map(([name, cores, memoryGb, networkGbps, diskGb]) => ({
  name,
  cores,
  memoryGb,
  networkGbps,
  diskGb,
  pricePerMonth: null,
}));

/** Keys of a machine: in a file, and in `--machine name=…,cores=…`. */
const MACHINE_KEYS = ['cores', 'memoryGb', 'networkGbps', 'diskGb', 'pricePerMonth'] as const;
const MACHINE_MAX: Readonly<Record<(typeof MACHINE_KEYS)[number], number>> = {
  cores: 1024,
  memoryGb: 1e5,
  networkGbps: 1e4,
  diskGb: 1e7,
  pricePerMonth: 1e9,
};
const MACHINE_EXAMPLE = 'name=small,cores=2,memoryGb=8,networkGbps=1,diskGb=100,pricePerMonth=60';

export interface GivenInputs {
  readonly preset: string | undefined;
  readonly file: string | undefined;
  /** Texts of flags by field. */
  readonly flags: ReadonlyMap<FieldKey, string>;
  readonly machines: readonly string[];
}

/** All of it together; null when `mistakes` got some. */
export function chooseInputs(given: GivenInputs, mistakes: string[]): ChosenInputs | null {
  const before = mistakes.length;
  const file = given.file === undefined ? {} : readInputsFile(given.file, mistakes);
  const presetName = given.preset ?? file['preset'];
  const isKnown = typeof presetName === 'string' && Object.hasOwn(PRESETS, presetName);
  const preset = isKnown ? PRESETS[presetName] : undefined;
  if (presetName !== undefined && preset === undefined) {
    const known = Object.keys(PRESETS).join(', ');
    const where = given.preset === undefined ? `${given.file}: preset` : '--preset';
    const name = typeof presetName === 'string' ? presetName : JSON.stringify(presetName);
    mistakes.push(`${where} ${name}: no such preset; there are ${known}`);
  }
  for (const key of Object.keys(file)) {
    if (FIELD_OF.has(key) || key === 'preset' || key === 'machines') continue;
    const known = [...FIELD_OF.keys(), 'machines', 'preset'].join(', ');
    mistakes.push(`${given.file}: unknown key ${key}; known are ${known}`);
  }
  const origins = FIELDS.flatMap((field): Origin[] => {
    const { key, fallback } = field;
    const ofPreset = preset?.[key];
    const text = given.flags.get(key);
    if (text !== undefined) return checked(field, text, `--${field.flag}`, mistakes);
    if (file[key] !== undefined) {
      return checked(field, file[key], `${given.file}: ${key}`, mistakes);
    }
    if (ofPreset !== undefined) return [{ key, ...ofPreset }];
    if (fallback !== undefined) return [{ key, value: fallback, source: 'default' }];
    mistakes.push(`--${field.flag} (${field.does}): say it, or choose a --preset`);
    return [];
  });
  const machines = chooseMachines(given, file['machines'], mistakes);
  if (mistakes.length > before) return null;
  const values = Object.fromEntries(origins.map(({ key, value }) => [key, value]));
  return { inputs: { ...values, machines } as unknown as PlanInputs, origins };
}

function checked(field: Field, raw: unknown, where: string, mistakes: string[]): Origin[] {
  const value = valueOf(field, raw);
  if (typeof value === 'string') {
    mistakes.push(`${where} ${value}`);
    return [];
  }
  const source = where.startsWith('--') ? where : where.replace(/: \w+$/, '');
  return [{ key: field.key, value: value.value as Origin['value'], source }];
}

function readInputsFile(file: string, mistakes: string[]): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    mistakes.push(`--inputs ${file}: ${(error as Error).message.split('\n')[0]}`);
    return {};
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  mistakes.push(`--inputs ${file}: must be a map of inputs, such as dailyUsers: 100000`);
  return {};
}

function chooseMachines(
  given: GivenInputs,
  ofFile: unknown,
  mistakes: string[],
): readonly MachineType[] {
  let machines: (MachineType | null)[];
  if (given.machines.length > 0) {
    machines = given.machines.map((text) => machineOfText(text, mistakes));
  } else if (ofFile === undefined) {
    return DEFAULT_MACHINES;
  } else if (!Array.isArray(ofFile) || ofFile.length === 0) {
    mistakes.push(`${given.file}: machines: must be a list with at least one machine`);
    return [];
  } else {
    machines = ofFile.map((value, i) =>
      machineOf(value, `${given.file}: machines[${i}]`, mistakes),
    );
  }
  const known = machines.filter((machine) => machine !== null);
  const names = known.map(({ name }) => name);
  for (const name of new Set(names.filter((each, i) => names.indexOf(each) !== i))) {
    mistakes.push(`machine ${name}: named twice`);
  }
  return known;
}

function machineOfText(text: string, mistakes: string[]): MachineType | null {
  const record: Record<string, unknown> = {};
  for (const part of text.split(',')) {
    const [key, value, ...rest] = part.split('=').map((piece) => piece.trim());
    if (value === undefined || value === '' || rest.length > 0) {
      mistakes.push(`--machine ${text}: write ${MACHINE_EXAMPLE}`);
      return null;
    }
    record[key as string] = key === 'name' ? value : Number(value);
  }
  return machineOf(record, `--machine ${text}`, mistakes);
}

function machineOf(value: unknown, where: string, mistakes: string[]): MachineType | null {
  const before = mistakes.length;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    mistakes.push(`${where}: must be a map: ${MACHINE_EXAMPLE.replaceAll('=', ': ')}`);
    return null;
  }
  const record = value as Record<string, unknown>;
  for (const key of Object.keys(record)) {
    if (key === 'name' || (MACHINE_KEYS as readonly string[]).includes(key)) continue;
    mistakes.push(`${where}: unknown key ${key}; known are name, ${MACHINE_KEYS.join(', ')}`);
  }
  const { name } = record;
  if (typeof name !== 'string' || name === '' || /[\p{C}|]/u.test(name)) {
    mistakes.push(`${where}: name: must be a text without control characters and |`);
  }
  const numbers = MACHINE_KEYS.map((key): number | null => {
    const given = record[key];
    if (key === 'pricePerMonth' && (given === undefined || given === null)) return null;
    const isPrice = key === 'pricePerMonth';
    const isWhole = key !== 'cores' || Number.isInteger(given);
    if (typeof given === 'number' && isWhole && given <= MACHINE_MAX[key]) {
      if (given > 0 || (isPrice && given === 0)) return given;
    }
    if (given === undefined) {
      mistakes.push(`${where}: ${key}: is missing; a machine is ${MACHINE_EXAMPLE}`);
      return 0;
    }
    const kind = key === 'cores' ? 'a whole number' : 'a number';
    mistakes.push(`${where}: ${key}: must be ${kind} above 0, at most ${MACHINE_MAX[key]}`);
    return 0;
  });
  if (mistakes.length > before) return null;
  const [cores, memoryGb, networkGbps, diskGb, pricePerMonth] = numbers as number[];
  return { name, cores, memoryGb, networkGbps, diskGb, pricePerMonth } as MachineType;
}
