/** `ackbench explain`. The story, the list or JSON on stdout; what is wrong on stderr. */
import { sayMistakes } from '../command-line.ts';
import { ExitCode } from '../../loadgen/index.ts';
import { counted } from '../units.ts';
import { drawStory } from './drawing.ts';
import { isOfSender, type MessageName, nameText } from './events.ts';
import { findTrace } from './find-trace.ts';
import type { WantedMessage } from './message-name.ts';
import { type MessageTraceFile, readMessageTrace, TraceFileError } from './message-trace-file.ts';
import { type ExplainOptions, parseExplainFlags } from './options.ts';
import { rank, renderRanking } from './ranking.ts';
import { labelOf } from './save.ts';
import { tellStory } from './story.ts';
import { renderStory } from './text.ts';
import { rangeText, uidOf } from './users.ts';
import { writeWhole } from '../write-file.ts';

/** Runs the command; the exit code. */
export async function explain(argv: readonly string[]): Promise<ExitCode> {
  const options = parseExplainFlags(argv);
  if (options === 'done') return ExitCode.Pass;
  if ('mistakes' in options) return sayMistakes('explain', options.mistakes);
  try {
    await run(options);
    return ExitCode.Pass;
  } catch (error) {
    if (!(error instanceof TraceFileError)) throw error;
    say(error.message);
    return ExitCode.Usage;
  }
}

async function run(options: ExplainOptions): Promise<void> {
  const { scenario, message, isJson, svgFile } = options;
  const place = options.traceFile ?? (await findTrace(options.outDir, scenario));
  const file = await readMessageTrace(place);
  const { header } = file;
  if (scenario !== null && scenario !== header.scenario && scenario !== labelOf(header)) {
    throw new TraceFileError(`--scenario ${scenario}: ${place} is of '${labelOf(header)}'`);
  }
  if (message === null) {
    const ranking = rank(file, options.listCount);
    print(isJson ? { trace: place, ...ranking } : renderRanking(ranking));
    return;
  }
  const name = nameOf(file, message);
  const story = tellStory(file, name);
  if (story === null) throw new TraceFileError(`${place}: ${notThere(file, name)}`);
  print(isJson ? { trace: place, ...story } : renderStory(story));
  const { seq, lastSeq } = message;
  if (lastSeq > seq) say(`this is the first of seq ${seq} … ${lastSeq}; name one to see another`);
  if (svgFile === null) return;
  try {
    writeWhole(svgFile, drawStory(story));
  } catch (error) {
    throw new TraceFileError(`--svg: ${(error as Error).message}`);
  }
  process.stderr.write(`drawing: ${svgFile}\n`);
}

function print(what: string | object): void {
  process.stdout.write(typeof what === 'string' ? what : `${JSON.stringify(what, null, 1)}\n`);
}

function say(line: string): void {
  process.stderr.write(`explain: ${line}\n`);
}

function nameOf({ header }: MessageTraceFile, wanted: WantedMessage): MessageName {
  const uid = (given: number): number => {
    const found = uidOf(header, given);
    if (found === null)
      throw new TraceFileError(`no user ${given}: there are ${rangeText(header)}`);
    return found;
  };
  return {
    sender: uid(wanted.sender),
    receiver: uid(wanted.receiver),
    epoch: wanted.epoch ?? header.epoch,
    seq: wanted.seq,
  };
}

const OTHERS_MAX = 5;

/** Why a message is not there, and which are. */
function notThere(file: MessageTraceFile, name: MessageName): string {
  const { sender, receiver, epoch } = name;
  const seqs: number[] = [];
  const epochs = new Set<number>();
  const receivers = new Map<number, number>();
  for (const { columns } of file.blocks) {
    for (let i = 0; i < columns.self.length; i++) {
      const other = columns.other[i] as number;
      if (other === 0 || columns.self[i] !== sender) continue;
      if (!isOfSender(columns.what[i] as number, columns.kind[i] as number)) continue;
      const seq = columns.seq[i] as number;
      receivers.set(other, Math.max(receivers.get(other) ?? 0, seq));
      if (other !== receiver) continue;
      epochs.add(columns.epoch[i] as number);
      if (columns.epoch[i] === epoch) seqs.push(seq);
    }
  }
  const what = `no message ${nameText(name)}`;
  const list = '`ackbench explain --list` shows some';
  const { workers } = file.header;
  const isCut = workers.some(({ total, kept }) => total > kept);
  const cut = isCut ? '; older events were overwritten, see --trace-messages' : '';
  if (seqs.length > 0) {
    const lowest = seqs.reduce((a, b) => Math.min(a, b));
    const highest = seqs.reduce((a, b) => Math.max(a, b));
    return `${what}: the two have seq ${lowest} … ${highest}; ${list}${cut}`;
  }
  if (epochs.size > 0)
    return `${what}: the two have epoch ${[...epochs].join(', ')}; ${list}${cut}`;
  if (receivers.size === 0) return `${what}: that user sent nothing; ${list}${cut}`;
  const others = [...receivers]
    .slice(0, OTHERS_MAX)
    .map(([uid, highest]) => `${uid} (seq to ${highest})`);
  const more = receivers.size > OTHERS_MAX ? ', …' : '';
  return `${what}: that user wrote to ${counted(receivers.size, 'user')}, ${others.join(', ')}${more}; ${list}${cut}`;
}
