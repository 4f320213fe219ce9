/** The flags of `ackbench explain`, and every mistake in them. */
import { existsSync, statSync } from 'node:fs';
import { Command } from 'commander';
import { checkOutputs, fileOf, outDirOf, parseWords } from '../command-line.ts';
import { parseMessageName, type WantedMessage } from './message-name.ts';

export interface ExplainOptions {
  /** null = list messages. */
  readonly message: WantedMessage | null;
  readonly listCount: number;
  /** Name of a scenario, with its variant or without; null = the only one. */
  readonly scenario: string | null;
  /** null = the newest in `outDir`. */
  readonly traceFile: string | null;
  readonly outDir: string;
  readonly svgFile: string | null;
  readonly isJson: boolean;
}

interface ExplainFlags {
  list?: string | true;
  scenario?: string;
  epoch?: string;
  trace?: string;
  out?: string;
  svg?: string;
  json?: boolean;
}

const LIST_DEFAULT = 10;
const LIST_MAX = 1_000_000;
const EPOCH_MAX = 0xffffffff;

function explainCommand(): Command {
  return new Command('ackbench explain')
    .argument('[sender]', 'number of a user, from 0 on, or a uid')
    .argument('[receiver]', 'the same')
    .argument('[seq]', 'which message of the two, from 1 on')
    .description(
      'Tells what happened to one message, packet by packet, from a run with\n' +
        '`bench --trace-messages`. A line of `examples` of a result names one too, in quotes.\n' +
        'Exit codes: 0, 2 = wrong usage, no such message, or no trace that can be read.',
    )
    .option(
      '--list [n]',
      `the slowest, most repeated and failed messages (default ${LIST_DEFAULT})`,
    )
    .option('--scenario <name>', 'which, where the run had several; a variant follows the name')
    .option('--epoch <n>', 'epoch of the sequence (default: that of the run)')
    .option('--trace <file>', 'this trace (default: the newest)')
    .option('--out <dir>', 'directory in which the newest is looked for (default results)')
    .option('--svg <file>', 'draw it too')
    .option('--json', 'print JSON instead of text');
}

/** Flags and environment to options, or all mistakes. */
export function parseExplainFlags(
  argv: readonly string[],
): ExplainOptions | { mistakes: string[] } | 'done' {
  const command = explainCommand();
  const mistakes: string[] = [];
  const words = parseWords(command, argv, mistakes);
  if (words === 'done') return 'done';
  const flags = command.opts<ExplainFlags>();
  const isList = flags.list !== undefined;
  const whole = (text: string, name: string, max: number): number => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= 1 && value <= max) return value;
    mistakes.push(`--${name} ${text}: must be between 1 and ${max}`);
    return NaN;
  };
  const listCount = typeof flags.list === 'string' ? whole(flags.list, 'list', LIST_MAX) : NaN;
  const epoch = flags.epoch === undefined ? null : whole(flags.epoch, 'epoch', EPOCH_MAX);
  let message: WantedMessage | null = null;
  if (isList) {
    if (words.length > 0) mistakes.push(`--list: finds messages; leave out ${words.join(' ')}`);
    if (flags.svg !== undefined) mistakes.push('--svg: draws one message, and --list finds many');
    if (epoch !== null) mistakes.push('--epoch: belongs to one message, and --list finds many');
  } else if (mistakes.length === 0 || words.length > 0) {
    const parsed = parseMessageName(words);
    if (typeof parsed === 'string') mistakes.push(parsed);
    else message = parsed;
  }
  if (epoch !== null && message !== null) {
    if (message.epoch !== null && message.epoch !== epoch) {
      mistakes.push(`--epoch ${epoch}: the message is named with epoch ${message.epoch}`);
    }
    message = { ...message, epoch };
  }
  if (flags.trace !== undefined) mistakes.push(...fileMistakes('trace', flags.trace));
  const outDir = outDirOf(flags.out, mistakes);
  const svgFile = fileOf(flags.svg, 'svg', mistakes);
  checkOutputs({ svg: svgFile }, flags.trace === undefined ? [] : [flags.trace], mistakes);
  if (mistakes.length > 0) return { mistakes };
  return {
    message,
    listCount: Number.isNaN(listCount) ? LIST_DEFAULT : listCount,
    scenario: flags.scenario ?? null,
    traceFile: flags.trace ?? null,
    outDir,
    svgFile,
    isJson: flags.json === true,
  };
}

/** What keeps a file from being read. */
function fileMistakes(flag: string, file: string): string[] {
  if (!existsSync(file)) return [`--${flag} ${file}: no such file`];
  return statSync(file).isFile() ? [] : [`--${flag} ${file}: is not a file`];
}
