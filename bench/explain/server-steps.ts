/**
 * What the server must have done, from what its clients sent and saw: nobody recorded it, and a server
 * of somebody else's would not tell. An answer is the work of the request that it answers: the first
 * one of its session without an answer, for a connection keeps the order. What goes to the other
 * client is the work of the latest request that could have caused it.
 */
import { Confirmation, Kind, Policy, Status, statusName, TraceWhat } from '../../loadgen/index.ts';
import type { ClientStep } from './client-steps.ts';
import type { Step } from './story.ts';

/** A request that passed the link of its client. */
interface Receipt {
  /** Place of the step that sent it. */
  readonly place: number;
  readonly step: ClientStep;
  /** The link may have doubled it. */
  readonly copies: number;
  /** Places of the steps to which what it caused came. */
  readonly effects: number[];
}

/** Something that the server did. */
interface Work {
  readonly cause: number | null;
  readonly effects: readonly number[];
  readonly text: string;
  readonly tone: Step['tone'];
}

/** Steps of the clients in order, with those of the server between them. */
export function withServer(steps: readonly ClientStep[], policy: string): Step[] {
  const { receipts, strays } = assign(steps);
  const works: Work[] = [
    ...receipts.map((receipt, i) => {
      const nth = receipts.slice(0, i).filter(({ step }) => step.packet === receipt.step.packet);
      return workOf(receipt, steps, { policy, isFirst: nth.length === 0 });
    }),
    ...strays.map((place) => ({
      cause: null,
      effects: [place],
      text: strayText(steps, place),
      tone: 'plain' as const,
    })),
  ];
  return interleave(steps, works);
}

/** Of a packet that no request of the trace explains. */
function strayText(steps: readonly ClientStep[], place: number): string {
  const packet = (steps[place] as ClientStep).packet as string;
  const isRepeat = steps.slice(0, place).some((step) => step.packet === packet);
  return isRepeat
    ? `sends ${packet} once more: one of the two was doubled on its way`
    : `sends ${packet}, for a request that is not in the trace`;
}

function assign(steps: readonly ClientStep[]): { receipts: Receipt[]; strays: number[] } {
  const receipts: Receipt[] = [];
  const strays: number[] = [];
  for (const [place, step] of steps.entries()) {
    if (step.way === 'out') {
      const isSent = step.mark === 'passed' || step.mark === 'doubled' || step.mark === 'released';
      const copies = step.mark === 'doubled' ? 2 : 1;
      if (isSent) receipts.push({ place, step, copies, effects: [] });
    } else if (step.event.what === TraceWhat.In) {
      const cause = causeOf(step, receipts, steps);
      if (cause === undefined) strays.push(place);
      else cause.effects.push(place);
    }
  }
  return { receipts, strays };
}

function causeOf(
  step: ClientStep,
  receipts: readonly Receipt[],
  steps: readonly ClientStep[],
): Receipt | undefined {
  const { event, sessionNumber, who } = step;
  const isFree = ({ effects, copies }: Receipt): boolean =>
    effects.filter((place) => steps[place]?.event.kind === event.kind).length < copies;
  const of = (kind: Kind): Receipt[] =>
    receipts.filter((receipt) => receipt.step.event.kind === kind && isFree(receipt));
  const answered = (kind: Kind): Receipt | undefined =>
    of(kind).find((receipt) => {
      const { step: request } = receipt;
      return request.sessionNumber === sessionNumber && request.who === who;
    });
  switch (event.kind) {
    case Kind.MsgA:
      return answered(Kind.MsgR);
    case Kind.AckA:
      return answered(Kind.AckR);
    case Kind.MsgN:
      return of(Kind.MsgR).at(-1);
    case Kind.AckN:
      return of(event.status === Confirmation.Stored ? Kind.MsgR : Kind.AckR).at(-1);
    case Kind.PullA:
      return of(Kind.PullR).find((receipt) => receipt.step.event.detail === event.detail);
    default:
      return of(Kind.DoneR).find((receipt) => receipt.step.event.detail === event.detail);
  }
}

function workOf(
  { place, step, effects }: Receipt,
  steps: readonly ClientStep[],
  { policy, isFirst }: { policy: string; isFirst: boolean },
): Work {
  const events = effects.map((effect) => (steps[effect] as ClientStep).event);
  const caused = (kind: Kind): boolean => events.some((event) => event.kind === kind);
  const isDurable = policy === Policy.Durable;
  const work = (text: string, tone: Step['tone'] = 'plain'): Work => ({
    cause: place,
    effects,
    text,
    tone,
  });
  if (effects.length === 0) return work('nothing came of it that anybody saw', 'bad');
  switch (step.event.kind) {
    case Kind.MsgR: {
      const answer = events.find(({ kind }) => kind === Kind.MsgA);
      if (answer !== undefined && answer.status !== Status.Ok) {
        return work(`refuses it: ${statusName(answer.status)}`, 'bad');
      }
      const parts = [isFirst ? 'takes it' : 'takes it again'];
      if (caused(Kind.AckN)) parts[0] = `${parts[0]} for the inbox`;
      else if (isDurable) parts.push('commits it');
      if (caused(Kind.MsgA)) parts.push('answers');
      if (caused(Kind.AckN)) parts.push('confirms it as stored');
      if (caused(Kind.MsgN)) parts.push('pushes it on');
      return work(parts.join(', '));
    }
    case Kind.AckR: {
      const parts = isDurable ? ['takes it out of the inbox'] : [];
      if (caused(Kind.AckN)) parts.push('tells the sender');
      if (caused(Kind.AckA)) parts.push('answers');
      return work(parts.join(', '));
    }
    case Kind.PullR: {
      const parts = step.endsPage ? ['deletes the page'] : [];
      if (events.some(({ other }) => other !== 0)) parts.push('gives the page that it is in');
      return work(parts.length === 0 ? 'answers' : parts.join(', '));
    }
    default:
      return work('deletes the page');
  }
}

/** Work stands right before the first that is seen of it, and where nothing is, after its cause. */
function interleave(steps: readonly ClientStep[], works: readonly Work[]): Step[] {
  const before = new Map<number, Work[]>();
  for (const work of works) {
    const place =
      work.effects.length === 0 ? (work.cause as number) + 1 : Math.min(...work.effects);
    before.set(place, [...(before.get(place) ?? []), work]);
  }
  const rows: (ClientStep | Work)[] = [];
  for (let place = 0; place <= steps.length; place++) {
    rows.push(...(before.get(place) ?? []));
    const step = steps[place];
    if (step !== undefined) rows.push(step);
  }
  const rowOf = new Map(rows.map((row, i) => [row, i]));
  const rowOfPlace = (place: number | null): number | null =>
    place === null ? null : (rowOf.get(steps[place] as ClientStep) ?? null);
  return rows.map((row): Step => {
    if ('effects' in row) {
      return {
        atUs: null,
        who: 'server',
        packet: null,
        way: null,
        mark: null,
        session: null,
        text: row.text,
        tone: row.tone,
        cause: rowOfPlace(row.cause),
      };
    }
    const { event: _, sessionNumber: __, heldAt, endsPage: ___, ...told } = row;
    const place = steps.indexOf(row);
    const work = works.find(({ effects }) => effects.includes(place));
    const cause = heldAt !== null ? rowOfPlace(heldAt) : work && (rowOf.get(work) as number);
    return { ...told, cause: cause ?? null };
  });
}
