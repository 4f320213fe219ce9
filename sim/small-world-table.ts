/**
 * Growing tables of integers for millions of states: no object per state, no hashing away.
 */

/** An array of i32 that grows. */
export class IntList {
  length = 0;
  private items = new Int32Array(1024);

  push(value: number): number {
    if (this.length === this.items.length) {
      const larger = new Int32Array(this.items.length * 2);
      larger.set(this.items);
      this.items = larger;
    }
    this.items[this.length] = value;
    return this.length++;
  }

  at(index: number): number {
    return this.items[index] as number;
  }

  set(index: number, value: number): void {
    this.items[index] = value;
  }
}

/** Numbers tuples of `width` non-negative i32, from 0: open addressing, at most half full. */
export class TupleTable {
  private readonly width: number;
  private readonly values = new IntList();
  private slots = new Int32Array(1 << 16).fill(-1);
  private count = 0;

  constructor(width: number) {
    this.width = width;
  }

  get size(): number {
    return this.count;
  }

  /** The number of `tuple`; the next free one, which is then `size - 1`, when it is new. */
  numberOf(tuple: readonly number[]): number {
    const mask = this.slots.length - 1;
    let slot = hashOf(tuple, this.width) & mask;
    for (;;) {
      const number = this.slots[slot] as number;
      if (number < 0) break;
      if (this.holds(number, tuple)) return number;
      slot = (slot + 1) & mask;
    }
    const number = this.count++;
    this.slots[slot] = number;
    for (let i = 0; i < this.width; i++) this.values.push(tuple[i] as number);
    if (this.count * 2 > this.slots.length) this.grow();
    return number;
  }

  /** Copies the tuple `number` into `into`. */
  read(number: number, into: number[]): void {
    const start = number * this.width;
    for (let i = 0; i < this.width; i++) into[i] = this.values.at(start + i);
  }

  private holds(number: number, tuple: readonly number[]): boolean {
    const start = number * this.width;
    for (let i = 0; i < this.width; i++) if (this.values.at(start + i) !== tuple[i]) return false;
    return true;
  }

  private grow(): void {
    const slots = new Int32Array(this.slots.length * 2).fill(-1);
    const mask = slots.length - 1;
    const tuple: number[] = [];
    for (let number = 0; number < this.count; number++) {
      this.read(number, tuple);
      let slot = hashOf(tuple, this.width) & mask;
      while ((slots[slot] as number) >= 0) slot = (slot + 1) & mask;
      slots[slot] = number;
    }
    this.slots = slots;
  }
}

function hashOf(tuple: readonly number[], width: number): number {
  let hash = 0x9e3779b9;
  for (let i = 0; i < width; i++) {
    hash = Math.imul(hash ^ (tuple[i] as number), 0x85ebca6b);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
