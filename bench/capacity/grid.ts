/**
 * The designed grid: short runs that tell the operations apart, because in each mix another one has the
 * say. About a third of the points is held out, and one whole mix that the fit never sees.
 */
import type { Point } from './point.ts';

export interface GridOptions {
  /** Highest rate at which a run is valid: the found lambda*, or what the generator carries. */
  readonly topPerSec: number;
  readonly clients: number;
  readonly payloadBytes: number;
  /** Most clients: what the machine's limits and the target allow. */
  readonly clientsMax: number;
  readonly isQuick: boolean;
}

type Row = Partial<Omit<Point, 'ratePerSec' | 'heldOut'>> & {
  readonly mix: string;
  /** Shares of the highest rate; a negative one is held out. */
  readonly shares: readonly number[];
};

/** Fitted points are run so often; held-out ones once, but for those whose latency is judged. */
const REPEATS = 2;
const LATENCY_REPEATS = 3;
const LARGE_PAYLOAD_BYTES = 1024;

export function gridOf(options: GridOptions): Point[] {
  const { clients, payloadBytes, isQuick } = options;
  const most = (factor: number): number =>
    Math.max(2, Math.min(options.clientsMax, Math.round(clients * factor)));
  const large = payloadBytes >= LARGE_PAYLOAD_BYTES ? 4 * payloadBytes : LARGE_PAYLOAD_BYTES;
  const rows: Row[] = [
    { mix: 'online', shares: [0.1, -0.2, 0.3, 0.45, -0.6, 0.7, -0.8, 0.9] },
    { mix: 'payload', payloadBytes: large, shares: [0.2, -0.45, 0.7] },
    { mix: 'connections', clients: most(4), shares: [0.15, 0.5] },
    { mix: 'connections', clients: most(8), shares: [-0.3] },
    { mix: 'connections', clients: most(12), shares: [0.3] },
    { mix: 'offline', offlineShare: 0.5, shares: [0.2, -0.45, 0.7] },
    { mix: 'offline', offlineShare: 0.5, payloadBytes: large, shares: [0.35] },
    { mix: 'logins', churn: { onlineS: 4, offlineS: 2 }, shares: [0.2, -0.4, 0.6] },
    { mix: 'logins', churn: { onlineS: 1.5, offlineS: 0.75 }, shares: [0.3] },
    { mix: 'lossy', dropShare: 0.15, shares: [0.25, 0.6] },
  ];
  const mixed: Row = {
    mix: 'mixed',
    clients: most(2),
    payloadBytes: Math.round((payloadBytes + large) / 2),
    offlineShare: 0.2,
    churn: { onlineS: 5, offlineS: 2 },
    shares: [0.3, 0.5, 0.7],
  };
  const fitted: Point[] = [];
  const heldOut: Point[] = [];
  for (const { shares, ...rest } of rows) {
    for (const share of shares) {
      if (share > 0) fitted.push(pointOf(rest, share, null, options));
      else heldOut.push(pointOf(rest, -share, 'point', options));
    }
  }
  const { shares, ...rest } = mixed;
  for (const share of shares) heldOut.push(pointOf(rest, share, 'mix', options));
  const plain = isQuick ? [] : heldOut.filter(isPlain);
  for (let i = 1; i < LATENCY_REPEATS; i++) heldOut.push(...plain);
  // In rounds, so that what the machine does for a while hits a point and its repeat differently; the
  // held-out ones in between, not when the machine is another.
  const rounds = Array.from({ length: isQuick ? 1 : REPEATS }, () => fitted).flat();
  const every = Math.ceil(rounds.length / heldOut.length);
  return rounds
    .flatMap((point, i) => {
      const between = i % every === every - 1 ? heldOut[Math.floor(i / every)] : undefined;
      return between === undefined ? [point] : [point, between];
    })
    .concat(heldOut.slice(Math.floor(rounds.length / every)));
}

/** How many of the points are not yet repeats: without them there is no model, without the rest a worse one. */
export function essentialOf(points: readonly Point[]): number {
  const last = points.findLastIndex((point, i) => points.indexOf(point) === i);
  return last + 1;
}

/** The p99 of one run of a few seconds is that of the machine's pauses in it: judged is a median. */
function isPlain({ offlineShare, churn, dropShare }: Point): boolean {
  return offlineShare === 0 && churn === null && dropShare === 0;
}

function pointOf(
  row: Omit<Row, 'shares'>,
  share: number,
  heldOut: Point['heldOut'],
  { topPerSec, clients, payloadBytes }: GridOptions,
): Point {
  return {
    clients,
    payloadBytes,
    offlineShare: 0,
    churn: null,
    dropShare: 0,
    ...row,
    ratePerSec: Math.max(1, Math.round(share * topPerSec)),
    heldOut,
  };
}
