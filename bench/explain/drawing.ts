/**
 * The story of a message as a sequence diagram: three vertical lines, packets as sloped arrows between
 * the instants that are known, dropped ones ending in a cross. One SVG that needs nothing else, to be
 * kept as a file or put into a page, readable in light and dark.
 *
 *     sender          server         receiver       a row per step, not to scale: what takes long is
 *       |---- msg:R --->|                |           a gap with its length. A line is dashed while its
 *       |           [takes it]           |           client has no session. A packet that a link holds
 *       |               |---- msg:N ---->|           waits at a square.
 */
import { ms } from './facts.ts';
import { labelOf } from './save.ts';
import type { Party, Step, Story } from './story.ts';
import { serverText } from './text.ts';

const WIDTH = 1080;
const LANE: Readonly<Record<Party, number>> = { sender: 300, server: 540, receiver: 780 };
const TOP = 92;
const ROW = 34;
const LINE = 14;
/** Longer waits get a gap of their own, us. */
const GAP_FROM_US = 5000;
const GAP = 26;
/** How far from the client a link drops or holds packets. */
const LINK_REACH = 56;
const NOTE_CHARS = 33;
const WORK_CHARS = 31;
const WORK_HALF_WIDTH = 94;
const OUTCOME_CHARS = 150;

const STYLE = `
.ackbench-story { --page: #ffffff; --ink: #1f2328; --soft: #656d76; --line: #d0d7de; --packet: #0550ae;
  --good: #1a7f37; --bad: #cf222e; --box: #f6f8fa; font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .ackbench-story { --page: #0d1117; --ink: #e6edf3; --soft: #9198a1;
  --line: #3d444d; --packet: #79c0ff; --good: #56d364; --bad: #ff7b72; --box: #161b22; } }
.ackbench-story text { fill: var(--ink); font-variant-numeric: tabular-nums; }
.ackbench-story .head { font-size: 14px; font-weight: 600; }
.ackbench-story .soft, .ackbench-story .quiet { fill: var(--soft); }
.ackbench-story .good { fill: var(--good); } .ackbench-story .bad { fill: var(--bad); }
.ackbench-story .lane { stroke: var(--line); stroke-width: 2; }
.ackbench-story .away { stroke-dasharray: 3 5; }
.ackbench-story .packet { stroke: var(--packet); stroke-width: 1.5; fill: none; }
.ackbench-story .tip, .ackbench-story .hold, .ackbench-story .dot { fill: var(--packet); }
.ackbench-story .wait { stroke-dasharray: 2 4; }
.ackbench-story .cross, .ackbench-story .cut { stroke: var(--bad); stroke-width: 2; fill: none; }
.ackbench-story .cut { stroke-width: 1.5; }
.ackbench-story .name { fill: var(--packet); font-size: 11px; }
.ackbench-story .name, .ackbench-story .gap { paint-order: stroke; stroke: var(--page); stroke-width: 4px; }
.ackbench-story .work { fill: var(--box); stroke: var(--line); }
.ackbench-story .page { fill: var(--page); }`;

interface Row {
  readonly step: Step;
  readonly lines: readonly string[];
  readonly y: number;
}

/** A whole `<svg>` element. */
export function drawStory(story: Story): string {
  const { rows, gaps, bottom } = place(story.steps);
  const outcome = wrap(story.outcome, OUTCOME_CHARS);
  const height = bottom + 30 + outcome.length * 18;
  const parts = [
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    text(20, 26, `${labelOf(story)}: ${story.name}`, { of: 'head' }),
    text(20, 46, facts(story), { of: 'soft' }),
    ...lanes(story, rows, bottom),
    ...gaps.map(({ y, us }) =>
      text(LANE.server, y, `${ms(us)} ms`, { of: 'soft gap', anchor: 'middle' }),
    ),
    ...rows.flatMap((row) => packetOf(row, rows)),
    ...rows.flatMap(noteOf),
    ...outcome.map((line, i) =>
      text(20, bottom + 26 + i * 18, line, { of: toneOf(story), size: 13 }),
    ),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="ackbench-story" role="img" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    `<title>${escape(story.name)}</title>`,
    `<desc>${escape(story.outcome)}</desc>`,
    `<style>${STYLE}</style>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function facts(story: Story): string {
  const due = story.dueS === null ? '' : `due ${story.dueS.toFixed(3)} s into the load, `;
  return `${due}${serverText(story)}, seed ${story.seed}; times in ms since it was due, not to scale`;
}

function toneOf({ fate }: Story): string {
  if (fate === 'confirmed' || fate === 'stored') return 'good';
  return fate === 'lost' || fate === 'duplicated' || fate === 'phantom' ? 'bad' : '';
}

/** Where each step stands, and the gaps between them. */
function place(steps: readonly Step[]): {
  rows: Row[];
  gaps: { y: number; us: number }[];
  bottom: number;
} {
  const rows: Row[] = [];
  const gaps: { y: number; us: number }[] = [];
  let y = TOP;
  let knownUs: number | null = null;
  for (const [i, step] of steps.entries()) {
    // What the server does stands right before what is seen of it: its wait is that of the next.
    const atUs = steps.slice(i).find((later) => later.atUs !== null)?.atUs ?? null;
    if (atUs !== null && knownUs !== null && atUs - knownUs > GAP_FROM_US) {
      gaps.push({ y: y + GAP / 2 - 10, us: atUs - knownUs });
      y += GAP;
    }
    knownUs = atUs ?? knownUs;
    const chars = step.who === 'server' ? WORK_CHARS : NOTE_CHARS;
    const lines = wrap(step.text, chars);
    const taller = LINE * (lines.length - 1);
    // A box grows around its middle, a note downwards.
    rows.push({ step, lines, y: step.who === 'server' ? y + taller / 2 : y });
    y += ROW + taller;
  }
  return { rows, gaps, bottom: y };
}

/** The three lines; dashed while a client is away. */
function lanes(story: Story, rows: readonly Row[], bottom: number): string[] {
  const parts: string[] = [];
  const numbers = { sender: story.senderNumber, receiver: story.receiverNumber, server: null };
  for (const who of ['sender', 'server', 'receiver'] as const) {
    const x = LANE[who];
    const number = numbers[who];
    const label = number === null ? who : `${who}, user ${number}`;
    parts.push(text(x, TOP - 24, label, { of: 'head', anchor: 'middle', size: 13 }));
    let from = TOP - 14;
    let isAway = who !== 'server' && story.isOnline[who] === false;
    const draw = (to: number): void => {
      parts.push(line(x, from, x, to, isAway ? 'lane away' : 'lane'));
      from = to;
    };
    for (const { step, y } of rows) {
      if (step.who !== who || step.session === null) continue;
      draw(y);
      isAway = step.session === 'closed';
    }
    draw(bottom);
  }
  return parts;
}

/** What stands beside a client, or in the box of the server. */
function noteOf({ step, lines, y }: Row): string[] {
  const { who, tone } = step;
  if (who === 'server') {
    const height = 12 + LINE * lines.length;
    const x = LANE.server - WORK_HALF_WIDTH;
    return [
      `<rect class="work" x="${x}" y="${y - height / 2}" width="${2 * WORK_HALF_WIDTH}" height="${height}" rx="5"/>`,
      ...lines.map((part, i) =>
        text(LANE.server, y - height / 2 + 17 + i * LINE, part, {
          of: tone,
          anchor: 'middle',
          size: 11,
        }),
      ),
    ];
  }
  const isLeft = who === 'sender';
  const x = LANE[who] + (isLeft ? -12 : 12);
  const at = step.atUs === null ? '' : ms(step.atUs);
  return [
    `<circle class="dot" cx="${LANE[who]}" cy="${y}" r="2.5"/>`,
    ...lines.map((part, i) => {
      // The instant stands at the edge, in one column.
      const label = text(x, y + 4 + i * LINE, part, { of: tone, anchor: isLeft ? 'end' : 'start' });
      if (i > 0) return label;
      const edge = isLeft ? 10 : WIDTH - 10;
      return (
        label + text(edge, y + 4, at, { of: 'soft', anchor: isLeft ? 'start' : 'end', size: 11 })
      );
    }),
  ];
}

type Point = readonly [x: number, y: number];

/** The arrows that end at a step, and those that leave it and arrive nowhere. */
function packetOf({ step, y }: Row, rows: readonly Row[]): string[] {
  const { who, packet, way, mark } = step;
  const cause = step.cause === null ? undefined : rows[step.cause];
  if (who === 'server') {
    if (cause === undefined || cause.step.who === 'server') return [];
    const start = cause.step.mark === 'released' ? holdPoint(cause) : lanePoint(cause);
    return arrow(start, workPoint(cause.step.who, y), nameOf(cause.step));
  }
  if (packet === null) return [];
  const end: Point = [LANE[who], y];
  const link = linkPoint(who, y);
  if (way === 'out') {
    if (mark === 'dropped') return [...cutArrow(end, slope(link), packet)];
    if (mark === 'held') return [...stub(end, link, packet), square(link)];
    if (cause === undefined) return [];
    if (mark === 'released') return [wait(holdPoint(cause), link)];
    return mark === 'lost' ? [wait(holdPoint(cause), link), cross(link)] : [];
  }
  if (mark === 'released' || mark === 'lost') {
    const from = cause === undefined ? link : holdPoint(cause);
    const waiting = wait(from, link);
    return mark === 'lost' ? [waiting, cross(link)] : [waiting, ...arrow(link, end, null)];
  }
  const start: Point = workPoint(who, cause === undefined ? y - 12 : cause.y);
  if (mark === 'dropped') return cutArrow(start, link, packet);
  if (mark === 'held') return [...stub(start, link, packet), square(link)];
  return arrow(start, end, nameOf(step));
}

function nameOf({ packet, mark }: Step): string {
  return mark === 'doubled' ? `${packet} twice` : (packet ?? '');
}

function lanePoint({ step, y }: Row): Point {
  return [LANE[step.who], y];
}

/** Where the link of a client drops and holds. */
function linkPoint(who: Party, y: number): Point {
  return [LANE[who] + (who === 'sender' ? LINK_REACH : -LINK_REACH), y];
}

function holdPoint({ step, y }: Row): Point {
  return linkPoint(step.who, y);
}

/** The side of the server's box that a client sees. */
function workPoint(who: Party, y: number): Point {
  return [LANE.server + (who === 'sender' ? -WORK_HALF_WIDTH : WORK_HALF_WIDTH), y];
}

function slope([x, y]: Point): Point {
  return [x, y + 10];
}

function arrow(from: Point, to: Point, name: string | null): string[] {
  const [x1, y1] = from;
  const [x2, y2] = to;
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const corner = (turn: number): string =>
    `${round(x2 - 9 * Math.cos(angle + turn))},${round(y2 - 9 * Math.sin(angle + turn))}`;
  const tip = `<polygon class="tip" points="${x2},${round(y2)} ${corner(0.35)} ${corner(-0.35)}"/>`;
  return [line(x1, y1, x2, y2, 'packet'), tip, ...label(from, to, name)];
}

function stub(from: Point, to: Point, name: string): string[] {
  return [line(...from, ...to, 'packet'), ...label(from, to, name)];
}

function cutArrow(from: Point, to: Point, name: string): string[] {
  return [line(...from, ...to, 'cut'), cross(to), ...label(from, to, name)];
}

function label([x1, y1]: Point, [x2, y2]: Point, name: string | null): string[] {
  if (name === null) return [];
  return [text((x1 + x2) / 2, (y1 + y2) / 2 - 4, name, { of: 'name', anchor: 'middle' })];
}

function wait(from: Point, to: Point): string {
  return line(...from, ...to, 'packet wait');
}

function square([x, y]: Point): string {
  return `<rect class="hold" x="${x - 4}" y="${round(y - 4)}" width="8" height="8"/>`;
}

function cross([x, y]: Point): string {
  return `<path class="cross" d="M${x - 5} ${round(y - 5)}l10 10m0 -10l-10 10"/>`;
}

function line(x1: number, y1: number, x2: number, y2: number, of: string): string {
  return `<line class="${of}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
}

function text(
  x: number,
  y: number,
  content: string,
  look: { of: string; anchor?: 'start' | 'middle' | 'end'; size?: number },
): string {
  const anchor = look.anchor === undefined ? '' : ` text-anchor="${look.anchor}"`;
  const size = look.size === undefined ? '' : ` style="font-size:${look.size}px"`;
  return `<text class="${look.of}" x="${round(x)}" y="${round(y)}"${anchor}${size}>${escape(content)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Lines of at most `chars`, cut at spaces; a word that is longer keeps its line. */
function wrap(content: string, chars: number): string[] {
  const lines: string[] = [];
  let current = '';
  for (const word of content.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > chars) {
      lines.push(current);
      current = word;
    } else current = current === '' ? word : `${current} ${word}`;
  }
  return [...lines, current];
}

const ENTITY: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(content: string): string {
  return Array.from(content, (char) => ENTITY[char] ?? (isOfXml(char) ? char : '\ufffd')).join('');
}

/** Control characters have no place in XML, not even as entities. */
function isOfXml(char: string): boolean {
  const code = char.codePointAt(0) as number;
  return code >= 0x20 ? code !== 0xfffe && code !== 0xffff : code === 9 || code === 10;
}
