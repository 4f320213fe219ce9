/** How a user names a message: three numbers, or a line of a result's `examples` as it stands. */

export interface WantedMessage {
  /** Numbers of users, or uids. */
  readonly sender: number;
  readonly receiver: number;
  /** null = the epoch of the run. */
  readonly epoch: number | null;
  readonly seq: number;
  /** Last of a range of messages, of which `seq` is the first; the same where there is no range. */
  readonly lastSeq: number;
}

/** `lost 1001->1002 epoch 1 seq 7`, or a range of sequences: of that, the first. */
const EXAMPLE = /(?:^|\s)(\d+)\s*->\s*(\d+)\s+epoch\s+(\d+)\s+seq\s+(\d+)(?:\.\.(\d+))?\b/;
const CONVERSATION = /(?:^|\s)(\d+)\s*->\s*(\d+)\b/;
const NUMBERS = /^(\d+)\s+(\d+)\s+(\d+)$/;

/** The message that `words` name, or what is wrong with them. */
export function parseMessageName(words: readonly string[]): WantedMessage | string {
  const text = words.join(' ').trim();
  const example = EXAMPLE.exec(text);
  const numbers = example === null ? NUMBERS.exec(text) : null;
  if (example === null && numbers === null) return mistakeOf(text);
  const [sender, receiver, epoch, seq] =
    example === null
      ? [numbers?.[1], numbers?.[2], null, numbers?.[3]]
      : [example[1], example[2], Number(example[3]), example[4]];
  const wanted: WantedMessage = {
    sender: Number(sender),
    receiver: Number(receiver),
    epoch,
    seq: Number(seq),
    lastSeq: Number(example?.[5] ?? seq),
  };
  const isSafe = [wanted.sender, wanted.receiver, wanted.seq].every(Number.isSafeInteger);
  if (!isSafe) return `${text}: such large numbers name no message`;
  return wanted.seq >= 1 ? wanted : `${text}: sequences count from 1`;
}

function mistakeOf(text: string): string {
  const forms = "<sender> <receiver> <seq>, or '1000001->1000002 epoch 1 seq 7' as in `examples`";
  if (text === '') return `which message? ${forms}; --list shows some`;
  const conversation = CONVERSATION.exec(text);
  if (conversation !== null) {
    const [, sender, receiver] = conversation;
    return `${text}: names a conversation and no message of it: add its number, as in ${sender} ${receiver} 1`;
  }
  return `${text}: names no message: ${forms}`;
}
