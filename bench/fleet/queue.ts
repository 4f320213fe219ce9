/**
 * One event loop as a queue: jobs in order of arrival, one at a time (Lindley's recursion, exact). A job
 * that finds the loop asleep pays the wake-up in addition, as in the model that was measured; of Poisson
 * arrivals as many do as its idle share (PASTA), so the busy share is that of `busyShareOf`.
 */
export class ServiceQueue {
  private readonly wakeUpS: number;
  private freeAtS = 0;
  /** Work that was taken, done or not. */
  private takenS = 0;

  constructor(wakeUpS = 0) {
    this.wakeUpS = wakeUpS;
  }

  /** Takes a job at `atS`, not before the one of the last call; how long it waits before it is served. */
  arrive(atS: number, serviceS: number): number {
    const isAsleep = this.freeAtS <= atS;
    const startS = isAsleep ? atS : this.freeAtS;
    const takesS = isAsleep ? serviceS + this.wakeUpS : serviceS;
    this.freeAtS = startS + takesS;
    this.takenS += takesS;
    return startS - atS;
  }

  /** Work that is queued or in service. */
  backlogS(atS: number): number {
    return Math.max(0, this.freeAtS - atS);
  }

  /** Time that was spent on jobs until then. */
  busyS(atS: number): number {
    return this.takenS - this.backlogS(atS);
  }

  /** Forgets all work: the process died. */
  clear(atS: number): void {
    this.takenS -= this.backlogS(atS);
    this.freeAtS = atS;
  }
}
