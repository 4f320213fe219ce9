/** The audit: what went in and what came out, what must be zero, and what travelled twice. */
import type { RunView } from '../model.ts';
import { bar, type Child, h, panel, table } from './dom.ts';
import type { Overlay } from './overlay.ts';
import { MUST_BE_ZERO, percentText } from './words.ts';
import { formatCount, significant } from '../../units.ts';

interface Part {
  name: string;
  count: number;
  colour: string;
}

/** Every message is in one part of each side: attempted = ok + info + fail, and where they ended. */
function sidesOf({ ledger }: RunView): { went: Part[]; came: Part[] } {
  const { accepted, info, failed, lost, recovered, unknown, phantom } = ledger;
  return {
    went: [
      { name: 'accepted by the server', count: accepted, colour: 'c0' },
      { name: 'never answered', count: info, colour: 'c4' },
      { name: 'refused', count: failed, colour: 'quiet' },
    ],
    came: [
      { name: 'delivered', count: accepted - lost + recovered + phantom, colour: 'c2' },
      { name: 'lost', count: lost, colour: 'fail' },
      { name: 'unknown: never answered, not there', count: unknown, colour: 'c4' },
      { name: 'refused and not there', count: failed - phantom, colour: 'quiet' },
    ],
  };
}

const total = (parts: readonly Part[]): number => parts.reduce((sum, { count }) => sum + count, 0);

export function ledgerPanel(overlays: readonly Overlay[]): HTMLElement {
  return panel(
    'Ledger: what went in, what came out',
    'Every single message is accounted for by name, on both ends. Both bars must be of one length.',
    { isWide: true },
    overlays.map(({ label, run }) => [
      overlays.length > 1 && h('h4', {}, label),
      balance(run),
      zeros(run),
      proof(run),
    ]),
  );
}

function balance(run: RunView): Child {
  const { went, came } = sidesOf(run);
  const [inCount, outCount] = [total(went), total(came)];
  const { ledger } = run;
  const side = (name: string, parts: readonly Part[]): Child => [
    h('b', {}, name),
    stack(parts),
    h('span', { class: 'number' }, formatCount(total(parts))),
  ];
  const parts = (of: readonly Part[]): string =>
    of
      .filter(({ count }, i) => i === 0 || count > 0)
      .map(({ name, count }) => `${formatCount(count)} ${name}`)
      .join(' + ');
  const isBalanced = inCount === outCount && inCount === ledger.attempted;
  return [
    h('div', { class: 'balance' }, side('in', went), side('out', came)),
    stackKey([...went, ...came]),
    h(
      'p',
      { class: 'sum' },
      h('span', { class: isBalanced ? 'ok' : 'no' }, isBalanced ? '✓ ' : '✕ '),
      `${formatCount(ledger.attempted)} sent = ${parts(went)} = ${parts(came)}`,
      isBalanced ? '' : ': the books do not balance',
      h(
        'span',
        { class: 'quiet' },
        `; confirmed to the sender: ${formatCount(ledger.confirmed)} as delivered, ${formatCount(ledger.confirmedStored)} as stored for an absent receiver; ${formatCount(ledger.recovered)} arrived though never answered, ${formatCount(ledger.orderInversions)} out of order`,
      ),
    ),
  ];
}

function stack(parts: readonly Part[]): HTMLElement {
  return h(
    'div',
    { class: 'stack' },
    parts
      .filter(({ count }) => count > 0)
      .map(({ name, count, colour }) =>
        h('i', {
          '--w': count,
          '--fill': `var(--${colour})`,
          title: `${name}: ${formatCount(count)}`,
        }),
      ),
  );
}

function stackKey(parts: readonly Part[]): HTMLElement {
  return h(
    'ul',
    { class: 'key' },
    parts
      .filter(({ count }) => count > 0)
      .map(({ name, count, colour }) =>
        h(
          'li',
          {},
          h('span', { class: 'swatch', '--fill': `var(--${colour})` }),
          `${name} ${formatCount(count)}`,
        ),
      ),
  );
}

function zeros({ ledger }: RunView): HTMLElement {
  return h(
    'ul',
    { class: 'zeros', 'aria-label': 'what must be zero' },
    MUST_BE_ZERO.map(({ key, name, means }) => {
      const isZero = ledger[key] === 0;
      return h(
        'li',
        {},
        h('span', { class: isZero ? 'ok' : 'no' }, isZero ? '✓' : '✕'),
        name,
        h('b', { class: isZero ? '' : 'no' }, formatCount(ledger[key])),
        h('small', {}, means),
      );
    }),
  );
}

/** What none lost of so many proves, and what it would have shown. */
function proof({ lossBelow, detection, ledger }: RunView): Child {
  if (lossBelow === null || ledger.lost > 0) {
    return (
      lossBelow === null &&
      h('p', { class: 'sum quiet' }, 'Loss was not judged: the run did not come to rest.')
    );
  }
  const chances = detection.map(({ lossRate, probability }) => {
    const percent = Math.min(99.99, Math.floor(probability * 10_000) / 100);
    return `1 in ${formatCount(1 / lossRate)} with ${percent} %`;
  });
  return h(
    'p',
    { class: 'sum quiet' },
    `0 lost proves that fewer than 1 in ${formatCount(1 / lossBelow)} are (95 %). `,
    chances.length > 0 &&
      `A server that loses one of them would have been caught: ${chances.join(', ')}.`,
  );
}

export function wirePanel(overlays: readonly Overlay[]): HTMLElement {
  const isOne = overlays.length === 1;
  return panel(
    'Repeats: retransmissions and dedupe',
    'Lost packets are sent again, so messages travel twice; dedupe must keep every repeat from the user.',
    {},
    overlays.map(({ label, run }) => {
      const { dedupe, retransmit, ledger, packets, bytes } = run;
      const distinct = dedupe.wireArrivals - dedupe.wireDuplicates;
      const leaked = dedupe.wireDuplicates - dedupe.absorbed;
      const perMessage = (amount: number): string =>
        ledger.attempted === 0 ? '-' : significant(amount / ledger.attempted);
      const packetCount = Object.values(packets).reduce((sum, count) => sum + count, 0);
      const parts: Part[] = [
        { name: 'first arrivals', count: distinct, colour: 'c2' },
        { name: 'repeats absorbed', count: dedupe.absorbed, colour: 'c4' },
        { name: 'repeats shown to the user', count: leaked, colour: 'fail' },
      ];
      return [
        !isOne && h('h4', {}, label),
        stack(parts),
        stackKey(parts),
        table(
          [{ name: 'figure' }, { name: 'count', isNumber: true }, { name: 'of', isNumber: true }],
          [
            [
              'repeats that arrived',
              formatCount(dedupe.wireDuplicates),
              `${percentText(dedupe.wireDuplicateRatio)} of messages`,
            ],
            [
              'absorbed by dedupe',
              formatCount(dedupe.absorbed),
              dedupe.wireDuplicates === 0
                ? '-'
                : `${percentText(dedupe.absorbed / dedupe.wireDuplicates)} of repeats`,
            ],
            [
              'msg:R sent again',
              formatCount(retransmit.count),
              `${percentText(retransmit.ratio)} of messages`,
            ],
            [
              'packets, all kinds',
              formatCount(packetCount),
              `${perMessage(packetCount)} per message`,
            ],
            ...(bytes === null
              ? []
              : [
                  [
                    'bytes on the sockets',
                    formatCount(bytes.sent + bytes.received),
                    `${perMessage(bytes.sent + bytes.received)} per message`,
                  ],
                ]),
          ],
        ),
      ];
    }),
  );
}

export function packetsPanel(overlays: readonly Overlay[]): HTMLElement | null {
  const names = [...new Set(overlays.flatMap(({ run }) => Object.keys(run.packets)))].filter(
    (name) => overlays.some(({ run }) => (run.packets[name] ?? 0) > 0),
  );
  if (names.length === 0) return null;
  const most = Math.max(...overlays.flatMap(({ run }) => Object.values(run.packets)));
  const isOne = overlays.length === 1;
  const rows = names.flatMap((name) =>
    overlays.map(({ label, run, colour }): Child[] => {
      const count = run.packets[name] ?? 0;
      const share = run.ledger.attempted === 0 ? '-' : significant(count / run.ledger.attempted);
      return [
        h('span', { class: 'mono' }, name),
        ...(isOne ? [] : [label]),
        formatCount(count),
        share,
        bar(count / most, `var(--${colour})`),
      ];
    }),
  );
  return panel(
    'Packets',
    'As the clients saw them, both directions. A message to somebody online takes six: msg:R/A/N and ack:R/A/N.',
    {},
    table(
      [
        { name: 'packet' },
        ...(isOne ? [] : [{ name: 'run', isLabel: true }]),
        { name: 'count', isNumber: true },
        { name: 'per message', isNumber: true },
        { name: '', isBar: true },
      ],
      rows,
    ),
  );
}
