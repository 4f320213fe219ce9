/**
 * An exact set of positive integers as sorted, disjoint, non-adjacent intervals.
 *
 *     add 1 2 3 5 6   ->   [1..3] [5..6]        add 4   ->   [1..6]
 *
 * It is the dedupe set of a conversation: sequences are dense, so a conversation without gaps costs
 * one interval however many messages it had. Nothing is ever forgotten, so there is no window that a
 * late message could fall out of (hole "newer online before older offline" of the source articles).
 *
 * Cost: O(1) for the next number in order, O(log gaps) to look up, O(gaps) to insert in the middle.
 */
export class IntervalSet {
  /** Last interval, kept apart: nearly every add extends it. Empty set: lastHi = -1. */
  private lastLo = 0;
  private lastHi = -1;
  /** Earlier intervals as lo, hi, lo, hi …; null until the first gap. */
  private earlier: number[] | null = null;
  private count = 0;

  /** How many numbers are in the set. */
  get size(): number {
    return this.count;
  }

  /** How many intervals hold them; 1 for a conversation without gaps. */
  get intervals(): number {
    return this.count === 0 ? 0 : 1 + (this.earlier === null ? 0 : this.earlier.length / 2);
  }

  /** Largest number in the set, -1 when empty. */
  get max(): number {
    return this.lastHi;
  }

  /** Adds `value`; false when it was there already. */
  add(value: number): boolean {
    if (value === this.lastHi + 1 && this.count > 0) {
      this.lastHi = value;
      this.count++;
      return true;
    }
    if (value > this.lastHi) {
      if (this.count > 0) (this.earlier ??= []).push(this.lastLo, this.lastHi);
      this.lastLo = this.lastHi = value;
      this.count++;
      return true;
    }
    if (value >= this.lastLo) return false;
    return this.addEarlier(value);
  }

  /** True when `value` is in the set. */
  has(value: number): boolean {
    if (value > this.lastHi) return false;
    if (value >= this.lastLo) return true;
    const earlier = this.earlier;
    if (earlier === null) return false;
    const at = this.firstEndingAtOrAfter(earlier, value);
    return at < earlier.length && (earlier[at] as number) <= value;
  }

  /** The intervals as lo, hi, lo, hi …, ascending. A fresh array. */
  toPairs(): number[] {
    if (this.count === 0) return [];
    const pairs = this.earlier === null ? [] : this.earlier.slice();
    pairs.push(this.lastLo, this.lastHi);
    return pairs;
  }

  /** Rebuilds a set from `toPairs()`. */
  static fromPairs(pairs: readonly number[]): IntervalSet {
    const set = new IntervalSet();
    if (pairs.length === 0) return set;
    set.lastLo = pairs[pairs.length - 2] as number;
    set.lastHi = pairs[pairs.length - 1] as number;
    if (pairs.length > 2) set.earlier = pairs.slice(0, -2);
    for (let i = 0; i < pairs.length; i += 2) {
      set.count += (pairs[i + 1] as number) - (pairs[i] as number) + 1;
    }
    return set;
  }

  /** Index of the first earlier interval whose hi is >= value; always even. */
  private firstEndingAtOrAfter(earlier: number[], value: number): number {
    let low = 0;
    let high = earlier.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((earlier[2 * middle + 1] as number) < value) low = middle + 1;
      else high = middle;
    }
    return 2 * low;
  }

  private addEarlier(value: number): boolean {
    const earlier = (this.earlier ??= []);
    const at = this.firstEndingAtOrAfter(earlier, value);
    const isInside = at < earlier.length && (earlier[at] as number) <= value;
    if (isInside) return false;
    this.count++;
    const joinsBefore = at > 0 && earlier[at - 1] === value - 1;
    const joinsLast = at === earlier.length && value + 1 === this.lastLo;
    const joinsAfter = at < earlier.length && earlier[at] === value + 1;
    if (joinsLast) {
      this.lastLo = joinsBefore ? (earlier[at - 2] as number) : value;
      if (joinsBefore) earlier.length = at - 2;
    } else if (joinsBefore && joinsAfter) {
      earlier.splice(at - 1, 2);
    } else if (joinsBefore) {
      earlier[at - 1] = value;
    } else if (joinsAfter) {
      earlier[at] = value;
    } else {
      earlier.splice(at, 0, value, value);
    }
    if (earlier.length === 0) this.earlier = null;
    return true;
  }
}
