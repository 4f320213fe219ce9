/** The flags of `ackbench plan`, those that `fleet` shares with it, and every mistake in them. */
import { Command } from 'commander';
import { checkOutputs, fileOf, parseWords } from '../command-line.ts';
import type { CapacityFile } from '../capacity/file.ts';
import { readCapacityFile } from '../capacity/shape.ts';
import { FIELDS, type FieldKey } from './fields.ts';
import { type ChosenInputs, chooseInputs } from './inputs.ts';
import { PRESETS } from './presets.ts';
import { parseWhatIf, type Variation } from './what-if.ts';

export interface NamedCapacity {
  readonly file: string;
  readonly capacity: CapacityFile;
}

/** What both commands are told. */
export interface SharedOptions extends ChosenInputs {
  readonly capacities: readonly NamedCapacity[];
  readonly showsAssumptions: boolean;
  readonly jsonFile: string | null;
  readonly markdownFile: string | null;
}

export interface PlanOptions extends SharedOptions {
  readonly variations: readonly Variation[];
}

interface Flags extends Record<string, unknown> {
  preset?: string;
  inputs?: string;
  machine?: string[];
  whatIf?: string[];
  assumptions?: boolean;
  json?: string;
  markdown?: string;
}

/** A command that takes capacity files and the inputs of a plan. */
export function commandWithInputs(name: string): Command {
  const command = new Command(name)
    .argument('[capacity...]', 'results of ackbench capacity')
    .option('--preset <name>', Object.keys(PRESETS).join(', '))
    .option('--inputs <file>', 'YAML or JSON with inputs by name; flags win');
  for (const { flag, placeholder, does, fallback } of FIELDS) {
    const shown = typeof fallback === 'boolean' ? (fallback ? 'yes' : 'no') : fallback;
    const note = shown === undefined ? '' : ` (default ${shown})`;
    command.option(`--${flag} <${placeholder}>`, `${does}${note}`);
  }
  return command
    .option(
      '--machine <spec...>',
      'name=…,cores=…,memoryGb=…,networkGbps=…,diskGb=…,pricePerMonth=…',
    )
    .option('--assumptions', 'print every input with its source')
    .option('--json <file>', 'write the result to this file too')
    .option('--markdown <file>', 'write the tables as Markdown to this file');
}

/** Flags to options, or all mistakes. */
export function parsePlan(argv: readonly string[]): PlanOptions | { mistakes: string[] } | 'done' {
  const command = commandWithInputs('ackbench plan')
    .description(
      'From a measured server to nodes, memory, network, disk and cost for your users, each with a\n' +
        '90 % interval. Several capacity files are compared.\n' +
        'Exit codes: 0, 1 = no machine type is enough, 2 = wrong usage, 3 = node counts are refused.',
    )
    .option('--what-if <key=values...>', 'plan again with other values: offlineShare=0.1,0.3');
  const mistakes: string[] = [];
  const shared = parseShared(command, argv, mistakes);
  if (shared === 'done') return 'done';
  const texts = command.opts<Flags>().whatIf ?? [];
  const variations = texts.flatMap((text) => parseWhatIf(text, mistakes));
  if (shared === null || mistakes.length > 0) return { mistakes };
  return { ...shared, variations };
}

/** What both commands are told; null when there were mistakes. */
export function parseShared(
  command: Command,
  argv: readonly string[],
  mistakes: string[],
): SharedOptions | 'done' | null {
  const files = parseWords(command, filesFirst(argv), mistakes);
  if (files === 'done') return 'done';
  const flags = command.opts<Flags>();
  if (files.length === 0) {
    mistakes.push('name a capacity file: ackbench capacity writes one');
  }
  const capacities = files.flatMap((file): NamedCapacity[] => {
    const capacity = readCapacityFile(file);
    if (typeof capacity !== 'string') return [{ file, capacity }];
    mistakes.push(capacity);
    return [];
  });
  const texts = new Map<FieldKey, string>();
  for (const { key, flag } of FIELDS) {
    const text = flags[flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof text === 'string') texts.set(key, text);
  }
  const chosen = chooseInputs(
    { preset: flags.preset, file: flags.inputs, flags: texts, machines: flags.machine ?? [] },
    mistakes,
  );
  const jsonFile = fileOf(flags.json, 'json', mistakes);
  const markdownFile = fileOf(flags.markdown, 'markdown', mistakes);
  const read = [...files, ...(flags.inputs === undefined ? [] : [flags.inputs])];
  checkOutputs({ json: jsonFile, markdown: markdownFile }, read, mistakes);
  if (chosen === null || mistakes.length > 0) return null;
  return {
    ...chosen,
    capacities,
    showsAssumptions: flags.assumptions === true,
    jsonFile,
    markdownFile,
  };
}

/** A flag that takes several words would take a capacity file behind it, too. */
function filesFirst(argv: readonly string[]): string[] {
  const isFile = (word: string, i: number): boolean =>
    word.endsWith('.json') &&
    !word.includes('=') &&
    !['--inputs', '--json', '--markdown'].includes(argv[i - 1] ?? '');
  return [...argv.filter(isFile), ...argv.filter((word, i) => !isFile(word, i))];
}
