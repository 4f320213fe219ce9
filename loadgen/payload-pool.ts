/** Content buffers in use and free, by length; a message names its buffer by an index (its tag). */
import { Payload } from './payload.ts';

export class PayloadPool {
  private readonly payloads: Payload[] = [];
  private readonly free = new Map<number, number[]>();

  at(tag: number): Payload {
    return this.payloads[tag] as Payload;
  }

  /** A free buffer of `length` bytes; grows when there is none. */
  take(length: number): number {
    const reused = this.free.get(length)?.pop();
    if (reused !== undefined) return reused;
    this.payloads.push(new Payload(length));
    return this.payloads.length - 1;
  }

  /** The message has settled: its buffer may carry another. */
  give(tag: number): void {
    const { length } = this.at(tag).bytes;
    const free = this.free.get(length);
    if (free === undefined) this.free.set(length, [tag]);
    else free.push(tag);
  }

  /** Messages of the measured window without an outcome. */
  unresolved(): number {
    return this.payloads.reduce((count, { isInWindow }) => count + (isInWindow ? 1 : 0), 0);
  }
}
