/**
 * Every planted bug: what it does, how often, the scenario in which it shows, and the figure of the
 * ledger that must show it. A bench that passes one of them proves nothing.
 */
import type { Ledger } from '../../loadgen/index.ts';
import * as gateways from './gateways.ts';
import * as stores from './stores.ts';

export interface Sabotage {
  readonly name: string;
  /** What the server does wrong. */
  readonly does: string;
  /** Probability per opportunity, unless the command line says otherwise. */
  readonly rate: number;
  /** File beside this one, without its ending. */
  readonly scenario: 'online' | 'offline' | 'saturation';
  /** Figures that must not be 0, and of which the first has to be named by an example. */
  readonly figures: readonly (keyof Ledger)[];
  /** The law of conservation that must be violated, by a message that is named. */
  readonly law?: string;
  /** Messages without which the bug may well not strike; few are enough when not given. */
  readonly messages?: number;
  readonly makeGateway?: gateways.MakeGateway;
  readonly wrapStore?: stores.WrapStore;
}

export const SABOTAGES: readonly Sabotage[] = [
  {
    name: 'delete-before-return',
    does: 'deletes a page before it has arrived (S13)',
    rate: 1,
    scenario: 'offline',
    figures: ['lost', 'falseConfirm'],
    wrapStore: stores.deletesBeforeReturn,
  },
  {
    name: 'early-ack',
    does: 'answers before the commit, which fails 1 time in 20',
    rate: 0.05,
    scenario: 'offline',
    figures: ['lost', 'falseConfirm'],
    wrapStore: stores.acknowledgesEarly,
  },
  {
    name: 'skipped-store',
    does: 'says stored without storing, 1 row in 100',
    rate: 0.01,
    scenario: 'offline',
    figures: ['lost', 'falseConfirm'],
    wrapStore: stores.skips,
  },
  {
    name: 'delete-too-much',
    does: 'deletes a page and the row behind it',
    rate: 1,
    scenario: 'offline',
    figures: ['lost', 'falseConfirm'],
    wrapStore: stores.deletesTooMuch,
  },
  {
    name: 'resurrect',
    does: 'a deleted row comes back under a new msgid, 1 page in 10',
    rate: 0.1,
    scenario: 'offline',
    // Under a new name it is a message that nobody sent; its content says whose copy it is.
    figures: ['corrupt', 'unexpected'],
    wrapStore: stores.resurrects,
  },
  {
    name: 'stuck',
    does: 'goes on counting rows that it deleted, 1 page in 10',
    rate: 0.1,
    scenario: 'offline',
    figures: ['stuck'],
    wrapStore: stores.miscounts,
  },
  {
    name: 'keep-a-row',
    does: 'says that a page was deleted, and keeps its last row',
    rate: 1,
    scenario: 'offline',
    figures: ['stuck'],
    wrapStore: stores.keeps,
  },
  {
    name: 'deny-a-row',
    does: 'keeps the last row of a deleted page, and does not count it',
    rate: 1,
    scenario: 'offline',
    figures: ['stuck'],
    wrapStore: stores.denies,
  },
  {
    name: 'false-error',
    does: 'answers inbox-full to a row that it stored, 1 in 100',
    rate: 0.01,
    scenario: 'offline',
    figures: ['phantom'],
    makeGateway: gateways.callsStoredFailed,
  },
  {
    name: 'lost-dedupe',
    does: 'pushes a retransmission under a new msgid',
    rate: 1,
    scenario: 'online',
    figures: ['corrupt', 'unexpected'],
    makeGateway: gateways.renames,
  },
  {
    name: 'misroute',
    does: 'pushes 1 message in 500 to the wrong user',
    rate: 0.002,
    scenario: 'online',
    figures: ['misrouted'],
    makeGateway: gateways.misroutes,
  },
  {
    name: 'corrupt',
    does: 'flips a bit of 1 content in 500',
    rate: 0.002,
    scenario: 'online',
    figures: ['corrupt'],
    makeGateway: gateways.corrupts,
  },
  {
    name: 'wrong-confirm',
    does: 'gives 1 confirmation in 10 to somebody else',
    rate: 0.1,
    scenario: 'online',
    // Only by chance does the wrong addressee wait for a message of the same name, and lose it.
    figures: [],
    law: 'ack:N only for what was sent',
    makeGateway: gateways.confirmsWrongly,
  },
  {
    name: 'one-in-10000',
    does: 'drops 1 online message in 10,000 and says delivered',
    rate: 1e-4,
    scenario: 'saturation',
    figures: ['lost', 'falseConfirm'],
    messages: 80_000,
    makeGateway: gateways.drops,
  },
];

/** What a run says against a server. */
export interface Findings {
  readonly reasons: readonly string[];
  readonly examples: readonly string[];
  readonly ledger: Ledger;
}

const NAMED = /\d+->\d+ epoch \d+ (?:seq|still counted:) \d+/;

/** The example by which a run names what `sabotage` did; undefined when it names nothing. */
export function exampleOf({ figures, law }: Sabotage, found: Findings): string | undefined {
  if (law !== undefined) {
    return found.reasons.find((reason) => reason.includes(law) && NAMED.test(reason));
  }
  const [figure] = figures;
  return found.examples.find((text) => text.startsWith(`${figure} `) && NAMED.test(text));
}

/** Why a run did not show what it had to show; null when it did. */
export function missOf(sabotage: Sabotage, found: Findings): string | null {
  for (const figure of sabotage.figures) {
    if (found.ledger[figure] === 0) return `${figure} is 0`;
  }
  return exampleOf(sabotage, found) === undefined ? 'nothing is named' : null;
}

/** The healthy server, by the same road. */
export const NO_SABOTAGE = 'none';

/** The sabotage of that name, null for the healthy server, undefined for an unknown name. */
export function sabotageOf(name: string): Sabotage | null | undefined {
  return name === NO_SABOTAGE ? null : SABOTAGES.find((sabotage) => sabotage.name === name);
}
