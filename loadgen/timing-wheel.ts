/**
 * Timing wheel: deadlines of thousands of clients without a timer of the runtime each
 * (G. Varghese, T. Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 6).
 *
 *     slot   0     1     2            now           SLOTS-1
 *          [ . ] [ . ] [ x ] ...    [  ^  ]  ...    [ x ]     one slot = TICK_MS
 *
 * An entry is in one slot or in none; slots are doubly linked lists through the entries, so arming
 * and disarming are O(1) and allocate nothing. A deadline beyond one turn waits in the farthest slot
 * and is placed again from there. Entries fire in the order of ticks, never early.
 */

const TICK_MS = 1;
const SLOTS = 4096;

/** Something that wants to be called at a deadline; extend it. */
export abstract class Timer {
  /** Managed by the wheel. */
  wheelNext: Timer | null = null;
  wheelPrevious: Timer | null = null;
  wheelSlot = -1;
  deadlineMs = Infinity;

  /** The deadline has passed; the timer is disarmed. */
  abstract onTimer(nowMs: number): void;
}

export class TimingWheel {
  private readonly slots: (Timer | null)[] = new Array<Timer | null>(SLOTS).fill(null);
  private tick: number;
  private armedCount = 0;

  constructor(nowMs: number) {
    this.tick = Math.floor(nowMs / TICK_MS);
  }

  get armed(): number {
    return this.armedCount;
  }

  /** Arms or moves a timer; Infinity disarms it. */
  arm(timer: Timer, deadlineMs: number): void {
    if (timer.wheelSlot >= 0) this.unlink(timer);
    timer.deadlineMs = deadlineMs;
    if (deadlineMs === Infinity) return;
    // Rounded up: a timer fires in the first tick that starts at or after its deadline.
    const due = Math.ceil(deadlineMs / TICK_MS);
    const ahead = Math.min(Math.max(due - this.tick, 1), SLOTS - 1);
    const slot = (this.tick + ahead) % SLOTS;
    const head = this.slots[slot] as Timer | null;
    timer.wheelSlot = slot;
    timer.wheelNext = head;
    timer.wheelPrevious = null;
    if (head !== null) head.wheelPrevious = timer;
    this.slots[slot] = timer;
    this.armedCount++;
  }

  disarm(timer: Timer): void {
    this.arm(timer, Infinity);
  }

  /** Fires every timer whose deadline has passed. A timer armed meanwhile fires in a later tick. */
  advance(nowMs: number): void {
    const target = Math.floor(nowMs / TICK_MS);
    while (this.tick < target) {
      this.tick++;
      this.fireSlot(this.tick % SLOTS, nowMs);
    }
  }

  private fireSlot(slot: number, nowMs: number): void {
    let timer = this.slots[slot] as Timer | null;
    if (timer === null) return;
    // Taken off as a whole, so that timers armed by a callback do not fire in this tick.
    this.slots[slot] = null;
    const firing: Timer[] = [];
    for (; timer !== null; timer = timer.wheelNext) {
      timer.wheelSlot = FIRING;
      firing.push(timer);
    }
    this.armedCount -= firing.length;
    for (const due of firing) {
      if (due.wheelSlot !== FIRING) continue; // armed anew or disarmed by an earlier callback
      due.wheelSlot = -1;
      due.wheelNext = due.wheelPrevious = null;
      if (due.deadlineMs > this.tick * TICK_MS) this.arm(due, due.deadlineMs);
      else due.onTimer(nowMs);
    }
  }

  private unlink(timer: Timer): void {
    const { wheelNext: next, wheelPrevious: previous } = timer;
    if (next !== null) next.wheelPrevious = previous;
    if (previous !== null) previous.wheelNext = next;
    else this.slots[timer.wheelSlot] = next;
    timer.wheelNext = timer.wheelPrevious = null;
    timer.wheelSlot = -1;
    this.armedCount--;
  }
}

/** Marks a timer that was taken off its slot and has not been called yet. */
const FIRING = -2;
