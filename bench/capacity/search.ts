/**
 * The search for lambda*: the highest Poisson rate that a server holds within its SLO.
 *
 *     ramp     x 1.5 from a low rate to the first that does not hold
 *     bisect   between the last that held and the first that did not, in log space, to 2 %
 *     confirm  three longer runs of what was found, or of less, until two of them hold
 *     climb    from there up again by 5 %, as far as it holds, and that confirmed
 *
 * Every probe is a fresh server, so it starts drained. It holds when two of at most three runs do: one
 * run alone is a coin near the edge. The search itself knows no server and no clock: what it is given
 * to probe with decides, and a list of probes that were made before is replayed first (resume).
 */
import type { CapacitySearch, Probe } from './file.ts';

/** What one run at a rate said. */
export type ProbeOutcome = Omit<Probe, 'phase' | 'ratePerSec'> & {
  /** Nobody's fault: the machine was disturbed, so it says nothing about the rate. */
  readonly isVoid: boolean;
};

export interface SearchOptions {
  readonly startPerSec: number;
  readonly maxPerSec: number;
  readonly sloMs: number;
  /** Runs once at a rate; null = interrupted. */
  readonly probe: (phase: Probe['phase'], ratePerSec: number) => Promise<ProbeOutcome | null>;
  readonly onProbe: (probe: Probe) => void;
  /** A run that the machine spoilt; the last one counts as not held. */
  readonly onVoid?: (isLast: boolean) => void;
  /** Probes of an earlier search with the same options, in their order. */
  readonly replay?: readonly Probe[];
}

const RAMP = 1.5;
/** Bisection ends when the bounds are this close. */
const RESOLUTION = 1.02;
/** Steps up again from what was confirmed. */
const CLIMB = 1.05;
const CONFIRM_RUNS = 3;
const CONFIRM_STEPS_MAX = 6;
/** Runs at one rate that the machine may spoil before the rate counts as not held. */
const VOID_MAX = 3;
/** A start that does not hold is divided by this, so often. */
const DESCENTS_MAX = 6;
const REASONS_TOLD = 3;

export type SearchOutcome = Pick<CapacitySearch, 'lambdaStarPerSec' | 'binds' | 'why'> & {
  readonly isComplete: boolean;
};

export async function searchLambdaStar(options: SearchOptions): Promise<SearchOutcome> {
  const search = new Search(options);
  try {
    return await search.run();
  } catch (error) {
    if (error instanceof Interrupted) return search.interrupted();
    throw error;
  }
}

class Interrupted extends Error {}

class Search {
  private readonly options: SearchOptions;
  private readonly replay: Probe[];
  /** Why the lowest rate that did not hold did not. */
  private broken: { ratePerSec: number; reasons: string[] } | null = null;

  constructor(options: SearchOptions) {
    this.options = options;
    this.replay = [...(options.replay ?? [])];
  }

  async run(): Promise<SearchOutcome> {
    const { startPerSec, maxPerSec } = this.options;
    let rate = startPerSec;
    for (let i = 0; i <= DESCENTS_MAX && !(await this.holds('ramp', rate)); i++) {
      if (i === DESCENTS_MAX) return this.nothingFound();
      rate /= 4;
    }
    let held = rate;
    // A start that had to be lowered has its upper bound already.
    while (this.broken === null && rate < maxPerSec) {
      rate = Math.min(rate * RAMP, maxPerSec);
      if (await this.holds('ramp', rate)) held = rate;
    }
    while (this.broken !== null && this.broken.ratePerSec / held > RESOLUTION) {
      const middle = Math.sqrt(held * this.broken.ratePerSec);
      if (await this.holds('bisect', middle)) held = middle;
    }
    const confirmed = await this.confirmDown(held, 0);
    if (confirmed === 0) return this.nothingFound();
    return this.found(await this.confirmDown(await this.climb(confirmed), confirmed));
  }

  /** The rate itself or the next below that longer runs hold; `floor` did before, 0 = none did. */
  private async confirmDown(ratePerSec: number, floor: number): Promise<number> {
    let rate = ratePerSec;
    let down: number = RESOLUTION;
    for (let step = 0; step < CONFIRM_STEPS_MAX && rate > floor; step++) {
      if (await this.isConfirmed(rate)) return rate;
      rate /= down;
      // Twice it may be the edge; then longer runs see something that shorter ones did not.
      if (step > 0) down **= 2;
    }
    return floor;
  }

  /**
   * What did not hold on the way may have been a bad minute of the machine, below which bisection would
   * stay for ever: from the rate that is confirmed it goes up again as far as it holds.
   */
  private async climb(fromPerSec: number): Promise<number> {
    const { maxPerSec } = this.options;
    let rate = fromPerSec;
    while (rate < maxPerSec) {
      const next = Math.min(rate * CLIMB, maxPerSec);
      if (!(await this.holds('bisect', next))) break;
      rate = next;
      if (this.broken !== null && this.broken.ratePerSec <= rate) this.broken = null;
    }
    return rate;
  }

  interrupted(): SearchOutcome {
    return {
      lambdaStarPerSec: null,
      binds: 'none found',
      why: 'interrupted before the search was over',
      isComplete: false,
    };
  }

  private nothingFound(): SearchOutcome {
    const reasons = tellReasons(this.broken?.reasons ?? []);
    return {
      lambdaStarPerSec: null,
      binds: 'none found',
      why: `no rate held: ${reasons}`,
      isComplete: true,
    };
  }

  private found(lambdaStarPerSec: number): SearchOutcome {
    const { broken } = this;
    const isComplete = true;
    if (broken === null) {
      const why = `it still holds at --rate-max ${Math.round(lambdaStarPerSec)}/s`;
      return { lambdaStarPerSec, binds: 'rate-max', why, isComplete };
    }
    const why = `at ${Math.round(broken.ratePerSec)}/s: ${tellReasons(broken.reasons)}`;
    return { lambdaStarPerSec, binds: bindsOf(broken.reasons), why, isComplete };
  }

  /** Two of at most three; remembers why it did not. */
  private async holds(phase: Probe['phase'], ratePerSec: number): Promise<boolean> {
    let good = 0;
    const bad: Probe[] = [];
    while (good < 2 && bad.length < 2) {
      const probe = await this.once(phase, ratePerSec);
      if (probe.ok) good++;
      else bad.push(probe);
      // On the way up, the first run that holds is believed: its bound is tried again from both sides.
      if (phase === 'ramp' && good === 1 && bad.length === 0) return true;
    }
    if (good === 2) return true;
    const reasons = [...new Set(bad.flatMap((probe) => probe.reasons))];
    if (this.broken === null || ratePerSec < this.broken.ratePerSec) {
      this.broken = { ratePerSec, reasons };
    }
    return false;
  }

  private async isConfirmed(ratePerSec: number): Promise<boolean> {
    let good = 0;
    for (let i = 0; i < CONFIRM_RUNS; i++) {
      const probe = await this.once('confirm', ratePerSec);
      if (probe.ok) good++;
      if (good >= 2) return true;
      if (i + 1 - good >= 2) {
        this.broken = { ratePerSec, reasons: probe.reasons };
        return false;
      }
    }
    return false;
  }

  /** One run that says something, repeated while the machine spoils it. */
  private async once(phase: Probe['phase'], ratePerSec: number): Promise<Probe> {
    const recorded = this.replay[0];
    if (recorded !== undefined) {
      // The same options ask for the same rates in the same order, or the rest is of another search.
      if (recorded.phase === phase && Math.abs(recorded.ratePerSec / ratePerSec - 1) < 1e-9) {
        this.replay.shift();
        this.options.onProbe(recorded);
        return recorded;
      }
      this.replay.length = 0;
    }
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.options.probe(phase, ratePerSec);
      if (outcome === null) throw new Interrupted();
      if (outcome.isVoid) this.options.onVoid?.(attempt === VOID_MAX);
      if (outcome.isVoid && attempt < VOID_MAX) continue;
      const { isVoid: _, ...said } = outcome;
      const probe: Probe = { phase, ratePerSec, ...said };
      this.options.onProbe(probe);
      return probe;
    }
  }
}

/** The first few: the verdict is a line, and the probes keep all of them. */
function tellReasons(reasons: readonly string[]): string {
  const more = reasons.length - REASONS_TOLD;
  const told = reasons.slice(0, REASONS_TOLD).join('; ');
  return more > 0 ? `${told}; and ${more} more, see its probes` : told;
}

/** Whose fault it is: a disturbed machine excuses the generator, a late generator the server. */
function bindsOf(reasons: readonly string[]): CapacitySearch['binds'] {
  for (const culprit of ['machine', 'generator'] as const) {
    if (reasons.some((reason) => reason.startsWith(`${culprit}: `))) return culprit;
  }
  return 'server';
}
