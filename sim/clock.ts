/**
 * Virtual time: a binary heap of events. Events of one instant run in the order of scheduling, so a
 * run is a function of its seed.
 */
/** A world that needs more is going round in circles; a sound one needs some thousands. */
const STEPS_MAX = 200_000;

interface TimedEvent {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

function isBefore(a: TimedEvent, b: TimedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

export class Clock {
  nowMs = 0;
  private readonly heap: TimedEvent[] = [];
  private scheduled = 0;
  private steps = 0;

  /** When the next event is due, Infinity when there is none. */
  get nextMs(): number {
    return this.heap[0]?.atMs ?? Infinity;
  }

  at(atMs: number, run: () => void): void {
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.scheduled++, run };
    const { heap } = this;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent] as TimedEvent)) break;
      heap[index] = heap[parent] as TimedEvent;
      index = parent;
    }
    heap[index] = event;
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.nowMs + delayMs, run);
  }

  /** Runs everything due until `untilMs`, and stands there afterwards. */
  runUntil(untilMs: number): void {
    while (this.nextMs <= untilMs) this.step();
    this.nowMs = untilMs;
  }

  /** Runs the next event; there must be one. */
  step(): void {
    if (++this.steps > STEPS_MAX) throw new Error(`no end after ${STEPS_MAX} events`);
    const { heap } = this;
    const event = heap[0] as TimedEvent;
    const last = heap.pop() as TimedEvent;
    let index = 0;
    while (heap.length > 0) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && isBefore(heap[right] as TimedEvent, heap[child] as TimedEvent)) {
        child = right;
      }
      if (!isBefore(heap[child] as TimedEvent, last)) break;
      heap[index] = heap[child] as TimedEvent;
      index = child;
    }
    if (heap.length > 0) heap[index] = last;
    this.nowMs = event.atMs;
    event.run();
  }
}
