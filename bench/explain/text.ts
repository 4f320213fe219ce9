/** The story of a message as lines for a terminal. */
import { formatUs } from '../units.ts';
import { ms } from './facts.ts';
import { labelOf } from './save.ts';
import type { Step, Story } from './story.ts';

const AT_WIDTH = 11;
const WHO_WIDTH = 8;
const PACKET_WIDTH = 11;

export function renderStory(story: Story): string {
  const lines = [
    `${labelOf(story)}: ${story.name}`,
    opening(story),
    '',
    `${'ms'.padStart(AT_WIDTH)}  ${'who'.padEnd(WHO_WIDTH)}  ${'packet'.padEnd(PACKET_WIDTH)}  what happened`,
    ...story.steps.map(lineOf),
    '',
    latencyLine(story),
    story.outcome,
  ];
  return `${lines.join('\n')}\n`;
}

function opening(story: Story): string {
  const { dueS, isOnline } = story;
  const user = (number: number | null): string =>
    number === null ? 'somebody else' : `user ${number}`;
  const state = (online: boolean | null): string =>
    online === null ? '' : online ? ' (online)' : ' (offline)';
  const from = `${user(story.senderNumber)}${state(isOnline.sender)}`;
  const to = `${user(story.receiverNumber)}${state(isOnline.receiver)}`;
  const due =
    dueS === null ? 'due at an unknown instant' : `due ${dueS.toFixed(3)} s into the load`;
  return `${from} to ${to}, ${due}; ${serverText(story)}, seed ${story.seed}`;
}

/** What is known of the server. */
export function serverText({ policy, store }: Pick<Story, 'policy' | 'store'>): string {
  return policy === 'unknown' ? "somebody else's server" : `${policy}, ${store}`;
}

function lineOf(step: Step): string {
  const at = step.atUs === null ? '' : ms(step.atUs);
  const cells = [
    at.padStart(AT_WIDTH),
    step.who.padEnd(WHO_WIDTH),
    packetCell(step).padEnd(PACKET_WIDTH),
    step.text,
  ];
  return cells.join('  ').trimEnd();
}

/** The packet with its way: to the server, from the server, and how far it came. */
function packetCell({ packet, way, mark }: Step): string {
  if (packet === null) return '';
  const stops = mark === 'dropped' || mark === 'lost' ? 'x' : mark === 'held' ? '|' : null;
  if (way === 'out') return `${packet.padEnd(6)} --${stops ?? '>'}`;
  return `${packet.padEnd(6)} ${stops === null ? '<' : stops}--`;
}

function latencyLine({ latency }: Story): string {
  const { acceptUs, deliverUs, confirmUs, storedConfirmUs, sendLagUs } = latency;
  const cells: [string, number | null][] = [
    ['accept', acceptUs],
    ['deliver', deliverUs],
    ['confirm', confirmUs],
    ['stored-confirm', storedConfirmUs],
    ['send lag', sendLagUs],
  ];
  return cells
    .filter(
      ([name, us]) => us !== null || name === 'accept' || name === 'deliver' || name === 'confirm',
    )
    .map(([name, us]) => `${name} ${formatUs(us)}`)
    .join('   ');
}
